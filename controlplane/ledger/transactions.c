/* SPDX-License-Identifier: MIT
 * transactions.c - the ledger's pages, newest first.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: a page names where the next one starts, also when its search stopped at the cap.
 *            Proved in ledger_test.c. */
#include "controlplane/ledger/ledger_int.h"

#define PAGE_TRANSACTIONS_MAX 100u
#define SEARCH_ROWS_MAX 10000u /* read for one page of one wallet */

static int
head_seq(struct ledger *ledger, uint64_t *ret_seq, struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    struct draft_row *row;
    struct draft_field seq = {"seq", 0};
    draft_init(&draft, ledger, err);
    int r = draft_row(&draft, &row, KEY_HEAD);
    if (r == 0 && row->value.len > 0)
        r = fields_read(ledger, row, &seq, 1, err);
    if (r == 0)
        *ret_seq = (uint64_t)seq.value;
    return r;
}

/* 1: it is there and of this wallet; 0: of another. */
static int
transaction_read(struct ledger *ledger, uint64_t id, struct str wallet, struct arena *arena,
                 struct ledger_transaction *ret_transaction, struct err *err)
{
    CLEANUP(arena_fini) struct arena scratch;
    arena_init(&scratch, LEDGER_ARENA_BYTES_MAX);
    struct str key = arena_printf(&scratch, KEY_TX "%020llu", (unsigned long long)id);
    struct store_row row;
    int r = key.ptr ? store_get(ledger->store, key, &scratch, &row) : -ERR_NOMEM;
    if (r == 0)
        r = json_scan(&ledger->doc, row.value, NULL, NULL);
    if (r == 0 && wallet.len > 0 &&
        !json_string_eq(&ledger->doc, json_get(&ledger->doc, 0, STR("wallet")), wallet))
        return 0;
    if (r == 0)
        r = arena_dup(arena, row.value, &ret_transaction->text);
    if (r == -ERR_NOMEM)
        return ledger_fail(err, r);
    if (r < 0)
        return err_set(err, ERR_STORE, "transaction %llu is missing or damaged",
                       (unsigned long long)id);
    ret_transaction->id = id;
    return 1;
}

int
ledger_transactions(struct ledger *ledger, struct str wallet, uint64_t before, size_t limit,
                    struct arena *arena, struct ledger_transaction **ret_transactions,
                    size_t *ret_count, uint64_t *ret_next, struct err *err)
{
    if (limit == 0 || limit > PAGE_TRANSACTIONS_MAX)
        return err_set(err, ERR_INVALID, "a page has 1 to %u transactions", PAGE_TRANSACTIONS_MAX);
    uint64_t newest = 0;
    int r = head_seq(ledger, &newest, err);
    if (r < 0)
        return r;
    struct ledger_transaction *found = arena_array(arena, limit, sizeof *found);
    if (found == NULL)
        return ledger_fail(err, -ERR_NOMEM);
    uint64_t id = before == 0 || before > newest ? newest : before - 1;
    size_t count = 0;
    for (size_t read = 0; id > 0 && count < limit && read < SEARCH_ROWS_MAX; id--, read++) {
        r = transaction_read(ledger, id, wallet, arena, &found[count], err);
        if (r < 0)
            return r;
        count += (size_t)r;
    }
    *ret_transactions = found;
    *ret_count = count;
    *ret_next = id == 0 ? 0 : id + 1;
    return 0;
}
