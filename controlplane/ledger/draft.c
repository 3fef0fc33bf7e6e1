/* SPDX-License-Identifier: MIT
 * draft.c - building one commit: rows, balances, chained transactions.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: the draft's arena.
 * Invariant: what was read is a condition of the commit; entries sum to zero (asserted: an
 *            unbalanced transaction is our own mistake). Proved by ledger_model_test.c and
 *            ledger_audit. */
#include "controlplane/ledger/ledger_int.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define TX_BYTES_MAX 65536u
#define NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"
_Static_assert(sizeof NO_HASH == LEDGER_HASH_CHARS + 1, "as long as a hash");

int
ledger_fail(struct err *err, int code)
{
    if (code == 0)
        return 0;
    if (code == -ERR_CONFLICT)
        return err_set(err, ERR_CONFLICT, "the ledger changed meanwhile; try again");
    return err_set(err, (enum err_code) - code, "ledger: %s", err_text(code));
}

void
draft_init(struct draft *draft, struct ledger *ledger, struct err *err)
{
    draft->ledger = ledger;
    draft->err = err;
    draft->row_count = 0;
    draft->account_count = 0;
    draft->appended_count = 0;
    draft->head = NULL;
    arena_init(&draft->arena, LEDGER_ARENA_BYTES_MAX);
}

void
draft_fini(struct draft *draft)
{
    arena_fini(&draft->arena);
}

static int
row_at(struct draft *draft, struct str key, struct draft_row **ret_row)
{
    for (size_t i = 0; i < draft->row_count; i++) {
        if (str_eq(draft->rows[i].key, key)) {
            *ret_row = &draft->rows[i];
            return 0;
        }
    }
    if (key.ptr == NULL)
        return ledger_fail(draft->err, -ERR_NOMEM);
    ASSERT(draft->row_count < ARRAY_LEN(draft->rows)); /* whoever makes a draft counts */
    struct store_row found = {.value = STR_EMPTY};
    int r = store_get(draft->ledger->store, key, &draft->arena, &found);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return ledger_fail(draft->err, r);
    *ret_row = &draft->rows[draft->row_count++];
    **ret_row = (struct draft_row){.key = key, .value = found.value, .mod_rev = found.mod_rev};
    return 0;
}

static struct str PRINTF(2, 0) key_printf(struct draft *draft, const char *format, va_list args)
{
    char key[STORE_KEY_BYTES_MAX + 1];
    int count = vsnprintf(key, sizeof key, format, args);
    ASSERT(count > 0 && (size_t)count < sizeof key); /* every part of it has been checked */
    struct str copy = {NULL, 0};
    (void)!arena_dup(&draft->arena, str_make(key, (size_t)count), &copy);
    return copy;
}

int
draft_row(struct draft *draft, struct draft_row **ret_row, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str key = key_printf(draft, format, args);
    va_end(args);
    return row_at(draft, key, ret_row);
}

void
draft_set(struct draft_row *row, struct str value)
{
    row->value = value;
    row->dirty = true;
}

void
draft_delete(struct draft_row *row)
{
    row->gone = row->dirty = row->mod_rev != 0;
}

int
draft_append(struct draft *draft, struct str key, struct str value)
{
    if (key.ptr == NULL || value.ptr == NULL)
        return ledger_fail(draft->err, -ERR_NOMEM);
    ASSERT(draft->appended_count < ARRAY_LEN(draft->appended)); /* see usage_apply.c, OPS */
    draft->appended[draft->appended_count++] =
        (struct store_op){.key = key, .value = value, .quiet = true};
    return 0;
}

int
member_i64(const struct json_doc *doc, uint32_t object, const char *name, int64_t *ret_value)
{
    uint32_t node = json_get(doc, object, str_from(name));
    if (!json_is(doc, node, JSON_STRING))
        return -ERR_INVALID;
    struct str raw = json_raw(doc, node);
    return num_i64(str_make(raw.ptr + 1, raw.len - 2), INT64_MIN, INT64_MAX, ret_value) < 0
               ? -ERR_INVALID
               : 0;
}

int
num_padded(struct str digits, uint64_t *ret_number)
{
    while (digits.len > 1 && digits.ptr[0] == '0')
        digits = str_skip(digits, 1);
    return num_u64(digits, INT64_MAX, ret_number);
}

int
fields_read(struct ledger *ledger, const struct draft_row *row, struct draft_field *fields,
            size_t count, struct err *err)
{
    int r = json_scan(&ledger->doc, row->value, NULL, NULL);
    for (size_t i = 0; i < count && r == 0; i++)
        r = member_i64(&ledger->doc, 0, fields[i].name, &fields[i].value);
    if (r == -ERR_NOMEM)
        return ledger_fail(err, r);
    return r == 0 ? 0 : err_set(err, ERR_STORE, "the row %.*s is damaged", STR_ARG(row->key));
}

int
fields_write(struct draft *draft, struct draft_row *row, const struct draft_field *fields,
             size_t count)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 1024);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s\"%s\":\"%lld\"", i ? "," : "{", fields[i].name,
                   (long long)fields[i].value);
    buf_put_byte(&text, '}');
    struct str copy;
    int r = text.failed ? -ERR_NOMEM : arena_dup(&draft->arena, buf_str(&text), &copy);
    if (r < 0)
        return ledger_fail(draft->err, r);
    draft_set(row, copy);
    return 0;
}

int
draft_account(struct draft *draft, struct draft_account **ret_account, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str key = key_printf(draft, format, args);
    va_end(args);
    struct draft_row *row = NULL;
    int r = row_at(draft, key, &row);
    if (r != 0)
        return r;
    ASSERT(row != NULL);
    for (size_t i = 0; i < draft->account_count; i++) {
        if (draft->accounts[i].row == row) {
            *ret_account = &draft->accounts[i];
            return 0;
        }
    }
    struct draft_field field = {"nano", 0};
    if (row->value.len > 0)
        r = fields_read(draft->ledger, row, &field, 1, draft->err);
    if (r < 0)
        return r;
    ASSERT(draft->account_count < ARRAY_LEN(draft->accounts)); /* as many as rows at most */
    struct str name = str_skip(row->key, sizeof KEY_BALANCE - 1);
    *ret_account = &draft->accounts[draft->account_count++];
    **ret_account = (struct draft_account){.name = name, .row = row, .nano = field.value};
    return 0;
}

int
draft_wallet(struct draft *draft, struct str wallet, enum draft_wallet_account which,
             struct draft_account **ret_account)
{
    static const char *const names[] = {
        [WALLET_GENERAL] = "general", [WALLET_AI] = "ai", [WALLET_HOLDS] = "holds"};
    return draft_account(draft, ret_account, KEY_BALANCE "wallet/%.*s/%s", STR_ARG(wallet),
                         names[which]);
}

int
draft_lendable(struct draft *draft, struct str wallet, int64_t *ret_nano)
{
    struct draft_account *general;
    struct draft_account *ai;
    int r = draft_wallet(draft, wallet, WALLET_GENERAL, &general);
    if (r == 0)
        r = draft_wallet(draft, wallet, WALLET_AI, &ai);
    if (r != 0)
        return r;
    int64_t there = MAX(ai->nano, (int64_t)0); /* so that the sum fits */
    there += MIN(general->nano, (int64_t)0);
    *ret_nano = MAX(there, (int64_t)0);
    return 0;
}

int
draft_add(struct draft *draft, struct draft_account *account, int64_t nano)
{
    if (ADD_OVERFLOW(account->nano, nano, &account->nano))
        return err_set(draft->err, ERR_RANGE, "%.*s would leave the range of money",
                       STR_ARG(account->row->key));
    account->row->dirty = true;
    return 0;
}

static int
head_load(struct draft *draft)
{
    if (draft->head != NULL)
        return 0;
    int r = draft_row(draft, &draft->head, KEY_HEAD);
    if (r < 0)
        return r;
    if (draft->head->value.len == 0) {
        draft->seq = 0;
        memcpy(draft->hash, NO_HASH, sizeof draft->hash);
        return 0;
    }
    struct draft_field seq = {"seq", 0};
    r = fields_read(draft->ledger, draft->head, &seq, 1, draft->err);
    if (r < 0)
        return r;
    const struct json_doc *doc = &draft->ledger->doc;
    struct str hash = json_raw(doc, json_get(doc, 0, STR("hash")));
    if (seq.value <= 0 || hash.len != LEDGER_HASH_CHARS + 2)
        return err_set(draft->err, ERR_STORE, "the row " KEY_HEAD " is damaged");
    draft->seq = (uint64_t)seq.value;
    memcpy(draft->hash, hash.ptr + 1, LEDGER_HASH_CHARS);
    draft->hash[LEDGER_HASH_CHARS] = '\0';
    return 0;
}

static void
tx_write(const struct draft *draft, const struct draft_tx *tx, struct buf *out)
{
    struct json_writer writer;
    char number[24];
    json_writer_init(&writer, out);
    json_open_object(&writer);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)draft->seq);
    json_member_str(&writer, "id", str_from(number));
    json_member_i64(&writer, "at_ms", clock_wall_ns() / 1000000);
    json_member_str(&writer, "kind", str_from(tx->kind));
    json_member_str(&writer, "wallet", tx->wallet);
    json_member_str(&writer, "reference", tx->reference);
    if (tx->reason.len > 0)
        json_member_str(&writer, "reason", tx->reason);
    if (tx->overdraft)
        json_member_bool(&writer, "overdraft", true);
    json_key(&writer, "entries");
    json_open_array(&writer);
    for (size_t i = 0; i < tx->entry_count; i++) {
        json_open_object(&writer);
        json_member_str(&writer, "account", tx->entries[i].account->name);
        (void)snprintf(number, sizeof number, "%lld", (long long)tx->entries[i].nano);
        json_member_str(&writer, "amount", str_from(number));
        json_close_object(&writer);
    }
    json_close_array(&writer);
    json_member_str(&writer, "prev", str_from(draft->hash));
    json_close_object(&writer);
}

int
draft_post(struct draft *draft, const struct draft_tx *tx, uint64_t *ret_id)
{
    int128_t sum = 0;
    ASSERT(tx->entry_count >= 2 && tx->entry_count <= DRAFT_ENTRIES_MAX);
    for (size_t i = 0; i < tx->entry_count; i++)
        sum += tx->entries[i].nano;
    ASSERT(sum == 0);
    int r = head_load(draft);
    for (size_t i = 0; i < tx->entry_count && r == 0; i++)
        r = draft_add(draft, tx->entries[i].account, tx->entries[i].nano);
    if (r < 0)
        return r;
    draft->seq++;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, TX_BYTES_MAX);
    tx_write(draft, tx, &text);
    struct str value = {NULL, 0};
    if (text.failed || arena_dup(&draft->arena, buf_str(&text), &value) < 0)
        return ledger_fail(draft->err, -ERR_NOMEM);
    struct str key = arena_printf(&draft->arena, KEY_TX "%020llu", (unsigned long long)draft->seq);
    r = draft_append(draft, key, value);
    if (r < 0)
        return r;
    uint8_t digest[SHA256_BYTES];
    digest_sha256(value, digest);
    hex_encode(digest, sizeof digest, draft->hash);
    draft->head->dirty = true;
    if (ret_id != NULL)
        *ret_id = draft->seq;
    return 0;
}

static int
draft_write_rows(struct draft *draft)
{
    for (size_t i = 0; i < draft->account_count; i++) {
        struct draft_account *account = &draft->accounts[i];
        struct draft_field field = {"nano", account->nano};
        int r = account->row->dirty ? fields_write(draft, account->row, &field, 1) : 0;
        if (r < 0)
            return r;
    }
    if (draft->head == NULL) /* nothing was posted */
        return 0;
    draft->head->value = arena_printf(&draft->arena, "{\"seq\":\"%llu\",\"hash\":\"%s\"}",
                                      (unsigned long long)draft->seq, draft->hash);
    return draft->head->value.ptr ? 0 : ledger_fail(draft->err, -ERR_NOMEM);
}

/* Of all rows of the ledger only purses and budgets are watched (controlplane/reconcile). What is
 * held, and everything else that a charge writes, stays out of the store's history. */
static bool
row_watched(const struct draft_row *row)
{
    if (str_starts(row->key, STR(KEY_BUDGET)))
        return !row->quiet;
    return str_starts(row->key, STR(KEY_BALANCE "wallet/")) && !str_ends(row->key, STR("/holds"));
}

int
draft_commit(struct draft *draft)
{
    struct store_cond conds[STORE_COMMIT_OPS_MAX];
    struct store_op ops[STORE_COMMIT_OPS_MAX];
    size_t op_count = draft->appended_count;
    int r = draft_write_rows(draft);
    if (r < 0)
        return r;
    memcpy(ops, draft->appended, op_count * sizeof ops[0]);
    for (size_t i = 0; i < draft->row_count; i++) {
        const struct draft_row *row = &draft->rows[i];
        conds[i] = (struct store_cond){row->key, row->mod_rev};
        if (!row->dirty)
            continue;
        ASSERT(op_count < ARRAY_LEN(ops));
        ops[op_count++] = (struct store_op){.key = row->key,
                                            .value = row->gone ? STR_EMPTY : row->value,
                                            .delete_ = row->gone,
                                            .quiet = !row_watched(row)};
    }
    if (op_count == 0)
        return 0;
    return ledger_fail(draft->err, store_commit(draft->ledger->store, conds, draft->row_count, ops,
                                                op_count, NULL));
}
