/* SPDX-License-Identifier: MIT
 * movements.c - the money that people moved in one wallet, found by the rows of its keys.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: one movement a key; charges and leases (millions) are never read. Proved in
 *            movements_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ledger/ledger_int.h"
#include "lib/base/check.h"

#define PAGE_ROWS 500u

static const char *const kinds[] = {
    [LEDGER_DEPOSIT] = "deposit",
    [LEDGER_TRANSFER] = "transfer",
    [LEDGER_ADJUSTMENT] = "adjustment",
    [LEDGER_ALLOWANCE] = "allowance",
};

const char *
ledger_movement_name(enum ledger_movement_kind kind)
{
    ASSERT((size_t)kind < ARRAY_LEN(kinds));
    return kinds[kind];
}

struct search {
    struct ledger *ledger;
    uint64_t after;
    struct arena *arena;
    struct ledger_movement *rows;
    size_t count;
    size_t cap;
    struct err *err;
};

static int
search_grow(struct search *search)
{
    if (search->count < search->cap)
        return 0;
    size_t cap = search->cap > 0 ? search->cap * 2 : 64;
    struct ledger_movement *rows = arena_array(search->arena, cap, sizeof *rows);
    if (rows == NULL)
        return ledger_fail(search->err, -ERR_NOMEM);
    if (search->count > 0)
        memcpy(rows, search->rows, search->count * sizeof *rows);
    search->rows = rows;
    search->cap = cap;
    return 0;
}

/* What the receipt under the key does not say stands in its transaction. */
static int
transaction_details(struct search *search, struct str wallet, struct ledger_movement *movement)
{
    CLEANUP(arena_fini) struct arena scratch;
    struct json_doc *doc = &search->ledger->doc;
    struct store_row row;
    arena_init(&scratch, LEDGER_ARENA_BYTES_MAX);
    struct str key =
        arena_printf(&scratch, KEY_TX "%020llu", (unsigned long long)movement->transaction);
    int r = key.ptr ? store_get(search->ledger->store, key, &scratch, &row) : -ERR_NOMEM;
    if (r == 0)
        r = json_scan(doc, row.value, NULL, NULL);
    if (r == 0)
        r = json_i64(doc, json_get(doc, 0, STR("at_ms")), 0, INT64_MAX, &movement->at_ms);
    struct str text = STR_EMPTY;
    /* an allowance stands in two wallets; each is told of the other */
    bool given = r == 0 && movement->kind == LEDGER_ALLOWANCE &&
                 !json_string_eq(doc, json_get(doc, 0, STR("wallet")), wallet);
    if (r == 0)
        r = json_string(doc, json_get(doc, 0, given ? STR("wallet") : STR("reference")), &scratch,
                        &text);
    if (r == 0)
        r = arena_dup(search->arena, text, &movement->reference);
    movement->reason = STR_EMPTY;
    uint32_t reason = r == 0 ? json_get(doc, 0, STR("reason")) : JSON_NONE;
    if (reason != JSON_NONE)
        r = json_string(doc, reason, &scratch, &text);
    if (reason != JSON_NONE && r == 0)
        r = arena_dup(search->arena, text, &movement->reason);
    if (r == -ERR_NOMEM)
        return ledger_fail(search->err, r);
    return r == 0 ? 0
                  : err_set(search->err, ERR_STORE, "transaction %llu is missing or damaged",
                            (unsigned long long)movement->transaction);
}

static int
key_read(struct search *search, enum ledger_movement_kind kind, struct str wallet,
         const struct store_row *row)
{
    struct draft_field fields[] = {{"gross", 0}, {"fee", 0},         {"net", 0},  {"general", 0},
                                   {"ai", 0},    {"transaction", 0}, {"purse", 0}};
    struct draft_row read = {.key = row->key, .value = row->value};
    int r = fields_read(search->ledger, &read, fields, ARRAY_LEN(fields), search->err);
    if (r < 0 || (uint64_t)fields[5].value <= search->after)
        return r;
    r = search_grow(search);
    if (r != 0)
        return r;
    ASSERT(search->count < search->cap && search->rows != NULL);
    struct ledger_movement *movement = &search->rows[search->count];
    *movement = (struct ledger_movement){
        .kind = kind,
        .purse = (enum ledger_purse)fields[6].value,
        .gross = {fields[0].value},
        .fee = {fields[1].value},
        .net = {fields[2].value},
        .general = {fields[3].value},
        .ai = {fields[4].value},
        .transaction = (uint64_t)fields[5].value,
    };
    r = transaction_details(search, wallet, movement);
    if (r == 0)
        search->count++;
    return r;
}

static int
search_kind(struct search *search, enum ledger_movement_kind kind, struct str wallet)
{
    char after[STORE_KEY_BYTES_MAX + 1] = "";
    int r = 0;
    if (kind == LEDGER_ALLOWANCE) /* their keys are in the order of their transactions */
        (void)snprintf(after, sizeof after, KEY_ALLOWANCE "%.*s/%020llu", STR_ARG(wallet),
                       (unsigned long long)search->after);
    for (size_t count = PAGE_ROWS; r == 0 && count == PAGE_ROWS;) {
        CLEANUP(arena_fini) struct arena page;
        arena_init(&page, LEDGER_ARENA_BYTES_MAX);
        struct str prefix =
            arena_printf(&page, "ledger/key/%s/%.*s/", kinds[kind], STR_ARG(wallet));
        struct store_row *rows = NULL;
        r = prefix.ptr ? store_list(search->ledger->store, prefix, str_from(after), PAGE_ROWS,
                                    &page, &rows, &count, NULL)
                       : -ERR_NOMEM;
        if (r != 0)
            return ledger_fail(search->err, r);
        for (size_t i = 0; i < count && r == 0; i++)
            r = key_read(search, kind, wallet, &rows[i]);
        if (count > 0)
            ASSERT(str_copy(after, sizeof after, rows[count - 1].key));
    }
    return r;
}

static int
movement_compare(const void *left, const void *right)
{
    uint64_t a = ((const struct ledger_movement *)left)->transaction;
    uint64_t b = ((const struct ledger_movement *)right)->transaction;
    return a < b ? -1 : a > b;
}

int
ledger_movements(struct ledger *ledger, struct str wallet, uint64_t after, struct arena *arena,
                 struct ledger_movement **ret_rows, size_t *ret_count, struct err *err)
{
    struct search search = {.ledger = ledger, .after = after, .arena = arena, .err = err};
    int r = ledger_name_check(wallet, "wallet", err);
    for (size_t kind = 0; kind < ARRAY_LEN(kinds) && r == 0; kind++)
        r = search_kind(&search, (enum ledger_movement_kind)kind, wallet);
    if (r < 0)
        return r;
    if (search.count > 1)
        qsort(search.rows, search.count, sizeof search.rows[0], movement_compare);
    *ret_rows = search.rows;
    *ret_count = search.count;
    return 0;
}

int
ledger_head(struct ledger *ledger, struct store_cond *ret_cond, uint64_t *ret_id, struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    struct draft_row *row;
    struct draft_field seq = {"seq", 0};
    draft_init(&draft, ledger, err);
    int r = draft_row(&draft, &row, KEY_HEAD);
    if (r == 0 && row->value.len > 0)
        r = fields_read(ledger, row, &seq, 1, err);
    if (r < 0)
        return r;
    *ret_cond = (struct store_cond){.key = STR(KEY_HEAD), .mod_rev = row->mod_rev};
    *ret_id = (uint64_t)seq.value;
    return 0;
}
