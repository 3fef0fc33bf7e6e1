/* SPDX-License-Identifier: MIT
 * audit.c - recompute the ledger from its transactions and compare.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: trusts nothing but the transaction rows; stops at the first difference. Proved in
 *            ledger_test.c, which damages rows of every sort. */
#include <stdio.h>
#include <string.h>

#include "controlplane/ledger/budget_int.h"
#include "controlplane/ledger/usage_rollup.h"
#include "controlplane/ledger/usage_sum.h"
#include "lib/base/check.h"

#define PAGE_ROWS 500u
#define AUDIT_ARENA_BYTES_MAX (256u << 20) /* names and sums of all accounts */

struct total {
    int128_t nano;
    bool seen; /* its balance row was there */
};
struct noted {
    struct budget budget;
    int128_t lent;                 /* the rests of its leases */
    int128_t rolled[PERIOD_COUNT]; /* usage of its periods, by the sums of the hours */
};
struct audit {
    struct ledger *ledger;
    struct arena arena;
    struct map sums; /* "balance/ACCOUNT", "spent/WALLET", "rolled/WALLET" -> struct total */
    struct ledger_audit result;
    struct map budgets; /* name -> struct noted */
    char hash[LEDGER_HASH_CHARS + 1];
    struct err *err;
};

static int
different(struct audit *audit, uint64_t id, const char *what)
{
    audit->result.bad = id;
    return err_set(audit->err, ERR_STORE, "transaction %llu: %s", (unsigned long long)id, what);
}

static int
total_add(struct audit *audit, const char *prefix, struct str name, int64_t nano)
{
    char text[STORE_KEY_BYTES_MAX + 1];
    int length = snprintf(text, sizeof text, "%s%.*s", prefix, STR_ARG(name));
    ASSERT(length > 0);
    if ((size_t)length >= sizeof text)
        return -ERR_STORE;
    struct str key = str_make(text, (size_t)length);
    struct total *sum = map_get(&audit->sums, key);
    if (sum == NULL) {
        struct str copy;
        sum = ARENA_NEW(&audit->arena, struct total);
        if (sum == NULL || arena_dup(&audit->arena, key, &copy) < 0 ||
            map_put(&audit->sums, copy, sum, NULL) < 0)
            return -ERR_NOMEM;
    }
    sum->nano += nano;
    return 0;
}

/* The entries of the scanned transaction; *ret_spent: what its wallet paid, if it is a charge. */
static int
entries_add(struct audit *audit, uint64_t id, int64_t *ret_spent)
{
    const struct json_doc *doc = &audit->ledger->doc;
    uint32_t entries = json_get(doc, 0, STR("entries"));
    int128_t total = 0;
    *ret_spent = 0;
    if (!json_is(doc, entries, JSON_ARRAY))
        return different(audit, id, "it has no entries");
    for (uint32_t node = json_first(doc, entries); node != JSON_NONE;
         node = json_sibling(doc, entries, node)) {
        uint32_t account = json_get(doc, node, STR("account"));
        int64_t nano;
        if (!json_is(doc, account, JSON_STRING) || member_i64(doc, node, "amount", &nano) < 0)
            return different(audit, id, "an entry is damaged");
        struct str name = json_raw(doc, account);
        name = str_make(name.ptr + 1, name.len - 2);
        int r = total_add(audit, "balance/", name, nano);
        if (r < 0)
            return ledger_fail(audit->err, r);
        total += nano;
        if (str_starts(name, STR("wallet/")) && SUB_OVERFLOW(*ret_spent, nano, ret_spent))
            return different(audit, id, "its amounts are out of range");
    }
    return total == 0 ? 0 : different(audit, id, "its entries do not sum to zero");
}

/* What the scanned transaction, one of a lease, puts back into the purse: its larger amount. */
static int64_t
lent_back(const struct json_doc *doc)
{
    int64_t most = 0;
    uint32_t entries = json_get(doc, 0, STR("entries"));
    for (uint32_t node = json_first(doc, entries); node != JSON_NONE;
         node = json_sibling(doc, entries, node)) {
        int64_t nano = 0;
        (void)!member_i64(doc, node, "amount", &nano);
        most = MAX(most, nano);
    }
    return most;
}

static int
transaction_audit(struct audit *audit, const struct store_row *row)
{
    const struct json_doc *doc = &audit->ledger->doc;
    uint64_t id = audit->result.transactions + 1;
    char key[64];
    (void)snprintf(key, sizeof key, KEY_TX "%020llu", (unsigned long long)id);
    if (!str_eq(row->key, str_from(key)))
        return different(audit, id, "it is missing");
    if (json_scan(&audit->ledger->doc, row->value, NULL, NULL) < 0)
        return different(audit, id, "it is no JSON");
    int64_t said;
    if (member_i64(doc, 0, "id", &said) < 0 || (uint64_t)said != id)
        return different(audit, id, "its id is another");
    if (!json_string_eq(doc, json_get(doc, 0, STR("prev")), str_from(audit->hash)))
        return different(audit, id, "the chain is broken before it");
    int64_t spent;
    int r = entries_add(audit, id, &spent);
    if (r < 0)
        return r;
    if (json_string_eq(doc, json_get(doc, 0, STR("kind")), STR("charge"))) {
        struct str wallet = json_raw(doc, json_get(doc, 0, STR("wallet")));
        r = wallet.len < 2
                ? -ERR_STORE
                : total_add(audit, "spent/", str_make(wallet.ptr + 1, wallet.len - 2), spent);
        if (r < 0)
            return ledger_fail(audit->err, r);
    }
    if (json_string_eq(doc, json_get(doc, 0, STR("kind")), STR("lease_orphan"))) {
        audit->result.orphans++;
        r = money_add(audit->result.orphaned, (struct money){lent_back(doc)},
                      &audit->result.orphaned);
        if (r < 0)
            return different(audit, id, "its amounts are out of range");
    }
    uint8_t digest[SHA256_BYTES];
    digest_sha256(row->value, digest);
    hex_encode(digest, sizeof digest, audit->hash);
    audit->result.transactions = id;
    return 0;
}

/* fn for every row of a prefix, in pages. */
static int
rows_each(struct audit *audit, struct str prefix,
          int (*fn)(struct audit *audit, const struct store_row *row))
{
    char after[STORE_KEY_BYTES_MAX + 1] = "";
    for (;;) {
        CLEANUP(arena_fini) struct arena page;
        arena_init(&page, AUDIT_ARENA_BYTES_MAX);
        struct store_row *rows;
        size_t count;
        int r = store_list(audit->ledger->store, prefix, str_from(after), PAGE_ROWS, &page, &rows,
                           &count, NULL);
        if (r < 0)
            return ledger_fail(audit->err, r);
        if (count == 0)
            return 0;
        for (size_t i = 0; i < count && r == 0; i++)
            r = fn(audit, &rows[i]);
        if (r < 0)
            return r;
        ASSERT(str_copy(after, sizeof after, rows[count - 1].key));
    }
}

static int
balance_audit(struct audit *audit, const struct store_row *row)
{
    struct draft_row read = {.key = row->key, .value = row->value};
    struct draft_field field = {"nano", 0};
    int r = fields_read(audit->ledger, &read, &field, 1, audit->err);
    if (r < 0)
        return r;
    struct total *sum = map_get(&audit->sums, str_skip(row->key, sizeof "ledger/" - 1));
    audit->result.accounts++;
    if (sum != NULL)
        sum->seen = true;
    if ((sum ? sum->nano : 0) != field.value)
        return err_set(audit->err, ERR_STORE, "%.*s is %lld nano, its transactions say %lld",
                       STR_ARG(row->key), (long long)field.value, (long long)(sum ? sum->nano : 0));
    return 0;
}

static int
budget_lent(struct audit *audit, struct str name, int64_t nano)
{
    struct noted *noted = map_get(&audit->budgets, name);
    if (noted == NULL && nano != 0)
        return err_set(audit->err, ERR_STORE, KEY_BUDGET "%.*s is missing", STR_ARG(name));
    if (noted != NULL)
        noted->lent += nano;
    return 0;
}

/* Each lease takes its rest out of the recomputed holds of its wallet, none of which may be left;
 * or adds it to what is lent of a budget. */
static int
lease_audit(struct audit *audit, const struct store_row *row)
{
    struct draft_row read = {.key = row->key, .value = row->value};
    struct lease lease;
    int r = lease_read(audit->ledger, &read, &lease, audit->err);
    if (r < 0)
        return r;
    struct str name = str_skip(row->key, sizeof KEY_LEASE - 1);
    struct str part;
    if (lease_rest(&lease) < 0)
        return err_set(audit->err, ERR_STORE, "%.*s is overdrawn", STR_ARG(row->key));
    char account[LEDGER_NAME_BYTES_MAX + 16];
    if (!str_cut(name, '/', &part, &name) || !str_cut(name, '/', &part, &name))
        return err_set(audit->err, ERR_STORE, "%.*s is no lease", STR_ARG(row->key));
    if (budget_name_valid(name))
        return budget_lent(audit, name, lease_rest(&lease));
    int length = snprintf(account, sizeof account, "wallet/%.*s/holds", STR_ARG(name));
    ASSERT(length > 0);
    if ((size_t)length >= sizeof account)
        return err_set(audit->err, ERR_STORE, "%.*s is no lease", STR_ARG(row->key));
    return ledger_fail(audit->err,
                       total_add(audit, "balance/", str_from(account), -lease_rest(&lease)));
}

/* ---- budgets --------------------------------------------------------------------------------- */

/* Before leases and the sums of usage are read: whose are wanted, and of which times. */
static int
budget_note(struct audit *audit, const struct store_row *row)
{
    const struct draft_row read = {.key = row->key, .value = row->value};
    struct str name;
    struct noted *noted = ARENA_NEW(&audit->arena, struct noted);
    if (noted == NULL ||
        arena_dup(&audit->arena, str_skip(row->key, sizeof KEY_BUDGET - 1), &name) < 0)
        return ledger_fail(audit->err, -ERR_NOMEM);
    int r = budget_read(audit->ledger, &read, &noted->budget, audit->err);
    return r < 0 ? r : ledger_fail(audit->err, map_put(&audit->budgets, name, noted, NULL));
}

static void
budget_rolled(struct audit *audit, const struct sum *rolled)
{
    struct noted *noted = map_get(&audit->budgets, rolled->name.subject);
    int64_t at_ms = rolled->name.hour * HOUR_S * 1000;
    for (size_t i = 0; noted != NULL && i < PERIOD_COUNT; i++) {
        int64_t begin_ms = noted->budget.windows[i].begin_ms;
        if (at_ms >= begin_ms && at_ms < period_end_ms((enum period)i, begin_ms))
            noted->rolled[i] += rolled->charge;
    }
}

static int
budget_audit(struct audit *audit, struct str name, const struct noted *noted)
{
    audit->result.budgets++;
    if (noted->lent != noted->budget.lent)
        return err_set(audit->err, ERR_STORE, KEY_BUDGET "%.*s is not the sum of its leases",
                       STR_ARG(name));
    for (size_t i = 0; i < PERIOD_COUNT; i++) {
        const struct budget_window *window = &noted->budget.windows[i];
        if (window->skewed == 0 && noted->rolled[i] != window->spent)
            return err_set(audit->err, ERR_STORE,
                           KEY_BUDGET "%.*s: the sums of usage are not its %s", STR_ARG(name),
                           period_name((enum period)i));
    }
    return 0;
}

static int
budgets_audit(struct audit *audit)
{
    MAP_FOREACH (slot, &audit->budgets) {
        int r = budget_audit(audit, slot->key, slot->value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- usage ----------------------------------------------------------------------------------- */

static int
rolled_add(const struct sum *rolled, void *user)
{
    budget_rolled(user, rolled);
    return total_add(user, "rolled/", rolled->name.wallet, rolled->charge);
}

static int
page_audit(struct audit *audit, const struct store_row *row)
{
    int r = sum_page_read(row, rolled_add, audit);
    return r == -ERR_STORE ? err_set(audit->err, ERR_STORE, "%.*s is damaged", STR_ARG(row->key))
                           : ledger_fail(audit->err, r);
}

/* The other way round nothing can differ: what the sums have and nobody spent would be more. */
static int
wallet_rolled(struct audit *audit, const struct store_row *row)
{
    char key[STORE_KEY_BYTES_MAX + 1];
    struct str wallet = str_skip(row->key, sizeof KEY_SPENT - 1);
    (void)snprintf(key, sizeof key, "rolled/%.*s", STR_ARG(wallet));
    const struct total *rolled = map_get(&audit->sums, str_from(key));
    (void)snprintf(key, sizeof key, "spent/%.*s", STR_ARG(wallet));
    const struct total *spent = map_get(&audit->sums, str_from(key));
    if ((rolled ? rolled->nano : 0) == (spent ? spent->nano : 0))
        return 0;
    return err_set(audit->err, ERR_STORE, "wallet %.*s: the sums of usage are not what it spent",
                   STR_ARG(wallet));
}

/* Every charge in the sums of the hours, once. */
static int
rollup_audit(struct audit *audit)
{
    int r = rows_each(audit, STR(KEY_ROLLUP), page_audit);
    if (r == 0)
        r = rows_each(audit, STR(KEY_SPENT), wallet_rolled);
    return r < 0 ? r : budgets_audit(audit);
}

static int
head_audit(struct audit *audit)
{
    CLEANUP(draft_fini) struct draft draft;
    struct draft_row *row;
    draft_init(&draft, audit->ledger, audit->err);
    int r = draft_row(&draft, &row, KEY_HEAD);
    if (r < 0)
        return r;
    if (row->value.len == 0 && audit->result.transactions == 0)
        return 0;
    char text[160];
    (void)snprintf(text, sizeof text, "{\"seq\":\"%llu\",\"hash\":\"%s\"}",
                   (unsigned long long)audit->result.transactions, audit->hash);
    if (!str_eq(row->value, str_from(text)))
        return different(audit, audit->result.transactions,
                         "the head names another last transaction");
    return 0;
}

static int
sums_audit(struct audit *audit)
{
    int r = rows_each(audit, STR(KEY_BALANCE), balance_audit);
    if (r == 0)
        r = rows_each(audit, STR(KEY_SPENT), balance_audit);
    if (r < 0)
        return r;
    MAP_FOREACH (slot, &audit->sums) {
        const struct total *sum = slot->value;
        if (!sum->seen && sum->nano != 0)
            return err_set(audit->err, ERR_STORE, "ledger/%.*s is missing", STR_ARG(slot->key));
    }
    r = rows_each(audit, STR(KEY_LEASE), lease_audit);
    if (r < 0)
        return r;
    MAP_FOREACH (slot, &audit->sums) {
        const struct total *sum = slot->value;
        if (str_starts(slot->key, STR("balance/")) && str_ends(slot->key, STR("/holds")) &&
            sum->nano != 0)
            return err_set(audit->err, ERR_STORE, "ledger/%.*s is not the sum of its leases",
                           STR_ARG(slot->key));
    }
    return 0;
}

int
ledger_audit(struct ledger *ledger, struct ledger_audit *ret_audit, struct err *err)
{
    struct audit audit = {.ledger = ledger, .err = err};
    arena_init(&audit.arena, AUDIT_ARENA_BYTES_MAX);
    map_init(&audit.sums);
    map_init(&audit.budgets);
    memset(audit.hash, '0', LEDGER_HASH_CHARS);
    int r = 0;
    for (bool more = true; r == 0 && more;)
        r = usage_rollup_step(ledger, &more, err);
    if (r == 0)
        r = rows_each(&audit, STR(KEY_TX), transaction_audit);
    if (r == 0)
        r = head_audit(&audit);
    if (r == 0)
        r = rows_each(&audit, STR(KEY_BUDGET), budget_note);
    if (r == 0)
        r = sums_audit(&audit);
    if (r == 0)
        r = rollup_audit(&audit);
    *ret_audit = audit.result;
    map_fini(&audit.sums);
    map_fini(&audit.budgets);
    arena_fini(&audit.arena);
    return r;
}
