/* SPDX-License-Identifier: MIT
 * lease.c - money that a node may spend: lent from AI to holds, given back, closed; and of budgets,
 *           which lend no money but the right to spend it.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: a wallet's holds are the sum of the rests of its leases, and never more than the AI
 *            purse had; `lent` of a budget likewise. Proved by ledger_model_test.c and
 *            budget_model_test.c. */
#include "controlplane/ledger/budget_int.h"

#include "lib/base/check.h"
#include "lib/base/num.h"

#define PAGE_ROWS 200u

/* "orphaned" is not in every row. */
int
lease_read(struct ledger *ledger, const struct draft_row *row, struct lease *ret_lease,
           struct err *err)
{
    struct draft_field fields[] = {{"granted", 0}, {"used", 0}, {"returned", 0}};
    struct lease lease = {0};
    int r = fields_read(ledger, row, fields, ARRAY_LEN(fields), err);
    if (r < 0)
        return r;
    (void)!member_i64(&ledger->doc, 0, "orphaned", &lease.orphaned);
    lease.granted = fields[0].value;
    lease.used = fields[1].value;
    lease.returned = fields[2].value;
    *ret_lease = lease;
    return 0;
}

int
lease_load(struct draft *draft, struct str node, uint64_t epoch, struct str wallet,
           struct lease *ret_lease)
{
    struct draft_row *row;
    struct lease lease = {0};
    int r = draft_row(draft, &row, KEY_LEASE "%.*s/%llu/%.*s", STR_ARG(node),
                      (unsigned long long)epoch, STR_ARG(wallet));
    if (r == 0 && row->value.len > 0)
        r = lease_read(draft->ledger, row, &lease, draft->err);
    if (r < 0)
        return r;
    lease.row = row;
    ASSERT(lease_rest(&lease) >= 0);
    *ret_lease = lease;
    return 0;
}

int
lease_store(struct draft *draft, const struct lease *lease)
{
    ASSERT(lease_rest(lease) >= 0);
    const struct draft_field fields[] = {{"granted", lease->granted},
                                         {"used", lease->used},
                                         {"returned", lease->returned},
                                         {"orphaned", lease->orphaned}};
    return fields_write(draft, lease->row, fields, ARRAY_LEN(fields) - (lease->orphaned == 0));
}

static int
names_check(struct str node, struct str wallet, struct err *err)
{
    int r = ledger_name_check(node, "node", err);
    return r < 0 || budget_name_valid(wallet) ? r : ledger_name_check(wallet, "wallet", err);
}

static int
lendable_of(struct draft *draft, struct str wallet, int64_t *ret_nano)
{
    struct budget budget;
    if (!budget_name_valid(wallet))
        return draft_lendable(draft, wallet, ret_nano);
    int r = budget_load(draft, wallet, &budget);
    if (r == 0)
        *ret_nano = budget_lendable(&budget);
    return r;
}

static int
budget_move(struct draft *draft, struct str name, int64_t nano)
{
    struct budget budget;
    int r = budget_load(draft, name, &budget);
    if (r == 0)
        r = budget_lend(draft, &budget, nano);
    if (r == 0)
        r = budget_store(draft, &budget, true);
    return r < 0 ? r : draft_commit(draft);
}

/* Move `nano` from AI to holds (back when negative), chain it, commit. */
static int
lease_move(struct draft *draft, const char *kind, struct str node, uint64_t epoch,
           struct str wallet, int64_t nano)
{
    struct draft_account *ai;
    struct draft_account *holds;
    if (budget_name_valid(wallet))
        return budget_move(draft, wallet, nano);
    int r = draft_wallet(draft, wallet, WALLET_AI, &ai);
    if (r == 0)
        r = draft_wallet(draft, wallet, WALLET_HOLDS, &holds);
    if (r != 0)
        return r;
    struct draft_tx tx = {.kind = kind, .wallet = wallet};
    tx.reference =
        arena_printf(&draft->arena, "%.*s/%llu", STR_ARG(node), (unsigned long long)epoch);
    if (tx.reference.ptr == NULL)
        return ledger_fail(draft->err, -ERR_NOMEM);
    draft_entry(&tx, ai, -nano);
    draft_entry(&tx, holds, nano);
    r = draft_post(draft, &tx, NULL);
    return r < 0 ? r : draft_commit(draft);
}

static int
closed_row(struct draft *draft, struct str node, uint64_t epoch, struct draft_row **ret_row)
{
    return draft_row(draft, ret_row, "ledger/closed/%.*s/%llu", STR_ARG(node),
                     (unsigned long long)epoch);
}

static int64_t
share_of(int64_t lendable, const struct ledger_ask *ask)
{
    int64_t share = MAX(lendable / LEASE_SHARE, (int64_t)LEASE_FLOOR_NANO);
    int64_t grant = ask->all ? ask->want.nano : MIN(ask->want.nano, share);
    if (ask->need.nano > grant && ask->need.nano <= lendable)
        grant = ask->need.nano;
    return MIN(grant, lendable);
}

static int
lease_grant(struct draft *draft, const struct ledger_ask *ask, struct lease *lease)
{
    struct draft_row *closed;
    int64_t lendable;
    int r = closed_row(draft, ask->node, ask->epoch, &closed);
    if (r != 0)
        return r;
    if (closed->value.len > 0)
        return err_set(draft->err, ERR_REVOKED, "the leases of this epoch are closed");
    if (ask->granted.nano > lease->granted)
        return err_set(draft->err, ERR_CONFLICT, "the node knows of more than was ever granted");
    r = lendable_of(draft, ask->wallet, &lendable);
    if (r != 0)
        return r;
    int64_t grant = share_of(lendable, ask);
    /* Behind: this is a repeat of a question that has been answered. */
    if (ask->granted.nano < lease->granted || grant == 0)
        return 0;
    if (ADD_OVERFLOW(lease->granted, grant, &lease->granted))
        return err_set(draft->err, ERR_RANGE, "the lease would leave the range of money");
    r = lease_store(draft, lease);
    return r < 0 ? r : lease_move(draft, "lease", ask->node, ask->epoch, ask->wallet, grant);
}

static int
lease_answer(struct draft *draft, const struct lease *lease, struct str wallet,
             struct ledger_lease *ret_lease)
{
    int64_t lendable;
    int r = lendable_of(draft, wallet, &lendable);
    if (r != 0)
        return r;
    *ret_lease = (struct ledger_lease){.granted = {lease->granted},
                                       .returned = {lease->returned},
                                       .rest = {lease_rest(lease)},
                                       .empty = lendable == 0};
    return 0;
}

int
lease_ask(struct ledger *ledger, const struct ledger_ask *ask, struct ledger_lease *ret_lease,
          struct err *err)
{
    int r = names_check(ask->node, ask->wallet, err);
    if (r < 0)
        return r;
    if (ask->granted.nano < 0 || ask->want.nano < 0 || ask->need.nano < 0)
        return err_set(err, ERR_INVALID, "a lease cannot be negative");
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct lease lease;
    r = lease_load(&draft, ask->node, ask->epoch, ask->wallet, &lease);
    if (r == 0)
        r = lease_grant(&draft, ask, &lease);
    return r < 0 ? r : lease_answer(&draft, &lease, ask->wallet, ret_lease);
}

int
lease_want(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
           struct money granted, struct money want, struct ledger_lease *ret_lease, struct err *err)
{
    const struct ledger_ask ask = {.node = node,
                                   .epoch = epoch,
                                   .wallet = wallet,
                                   .granted = granted,
                                   .want = want,
                                   .all = true};
    return lease_ask(ledger, &ask, ret_lease, err);
}

int
lease_get(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
          struct ledger_lease *ret_lease, struct err *err)
{
    int r = names_check(node, wallet, err);
    if (r != 0)
        return r;
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct lease lease;
    r = lease_load(&draft, node, epoch, wallet, &lease);
    if (r == 0 && lease.row->value.len == 0)
        return err_set(err, ERR_NOT_FOUND, "the node has no lease of this wallet");
    return r < 0 ? r : lease_answer(&draft, &lease, wallet, ret_lease);
}

/* row's key behind KEY_LEASE: node/epoch/wallet */
static int
lease_row_read(struct ledger *ledger, const struct store_row *row, struct ledger_lease_row *ret_row,
               struct err *err)
{
    struct lease found;
    struct draft_row read = {.key = row->key, .value = row->value};
    struct ledger_lease_row lease = {0};
    struct str rest = str_skip(row->key, sizeof KEY_LEASE - 1);
    struct str epoch;
    if (!str_cut(rest, '/', &lease.node, &rest) || !str_cut(rest, '/', &epoch, &lease.wallet) ||
        num_u64(epoch, UINT64_MAX, &lease.epoch) < 0)
        return err_set(err, ERR_STORE, "%.*s is no lease", STR_ARG(row->key));
    int r = lease_read(ledger, &read, &found, err);
    if (r < 0)
        return r;
    lease.granted.nano = found.granted;
    lease.rest.nano = lease_rest(&found);
    lease.orphaned.nano = found.orphaned;
    *ret_row = lease;
    return 0;
}

int
lease_list(struct ledger *ledger, struct str node, uint64_t epoch, struct arena *arena,
           struct ledger_lease_row **ret_rows, size_t *ret_count, struct err *err)
{
    struct str prefix = STR(KEY_LEASE);
    int r = node.len > 0 ? ledger_name_check(node, "node", err) : 0;
    if (r < 0)
        return r;
    if (node.len > 0)
        prefix =
            arena_printf(arena, KEY_LEASE "%.*s/%llu/", STR_ARG(node), (unsigned long long)epoch);
    struct store_row *rows = NULL;
    size_t count = 0;
    r = prefix.ptr ? store_list(ledger->store, prefix, STR_EMPTY, 0, arena, &rows, &count, NULL)
                   : -ERR_NOMEM;
    struct ledger_lease_row *leases = r == 0 ? arena_array(arena, count, sizeof *leases) : NULL;
    if (r == 0 && leases == NULL)
        r = -ERR_NOMEM;
    if (r < 0)
        return ledger_fail(err, r);
    for (size_t i = 0; i < count && r == 0; i++)
        r = lease_row_read(ledger, &rows[i], &leases[i], err);
    if (r < 0)
        return r;
    *ret_rows = leases;
    *ret_count = count;
    return 0;
}

int
lease_return(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
             struct money returned, struct err *err)
{
    int r = names_check(node, wallet, err);
    if (r < 0)
        return r;
    if (returned.nano < 0)
        return err_set(err, ERR_INVALID, "what is returned cannot be negative");
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct lease lease;
    struct draft_row *closed;
    r = lease_load(&draft, node, epoch, wallet, &lease);
    if (r == 0)
        r = closed_row(&draft, node, epoch, &closed);
    if (r < 0 || returned.nano <= lease.returned || closed->value.len > 0)
        return r;
    int64_t amount = returned.nano - lease.returned;
    /* Calls of a caller who had no cap for a while were held of nothing, and taken out of this. */
    if (budget_name_valid(wallet))
        amount = MIN(amount, lease_rest(&lease));
    if (amount > lease_rest(&lease))
        return err_set(err, ERR_RANGE, "more than is left of the lease");
    lease.returned += amount;
    r = lease_store(&draft, &lease);
    return r < 0 ? r : lease_move(&draft, "lease_return", node, epoch, wallet, -amount);
}

int
lease_orphan(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
             struct err *err)
{
    int r = names_check(node, wallet, err);
    if (r < 0)
        return r;
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct lease lease;
    r = lease_load(&draft, node, epoch, wallet, &lease);
    int64_t rest = r == 0 ? lease_rest(&lease) : 0;
    if (rest == 0)
        return r;
    lease.returned += rest;
    lease.orphaned += rest;
    r = lease_store(&draft, &lease);
    return r < 0 ? r : lease_move(&draft, "lease_orphan", node, epoch, wallet, -rest);
}

/* Its row goes: epochs are many. Usage that comes later is not covered by it, as by none. */
static int
lease_close_one(struct ledger *ledger, struct str node, uint64_t epoch, struct str wallet,
                struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct lease lease;
    int r = lease_load(&draft, node, epoch, wallet, &lease);
    if (r < 0)
        return r;
    int64_t rest = lease_rest(&lease);
    draft_delete(lease.row);
    return rest > 0 ? lease_move(&draft, "lease_close", node, epoch, wallet, -rest)
                    : draft_commit(&draft);
}

/* After this no lease of the epoch grows, so that closing them one by one misses none. */
static int
epoch_close(struct ledger *ledger, struct str node, uint64_t epoch, struct err *err)
{
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct draft_row *closed;
    int r = closed_row(&draft, node, epoch, &closed);
    if (r < 0 || closed->value.len > 0)
        return r;
    draft_set(closed, STR("{}"));
    return draft_commit(&draft);
}

int
lease_close(struct ledger *ledger, struct str node, uint64_t epoch, struct err *err)
{
    int r = ledger_name_check(node, "node", err);
    if (r == 0)
        r = epoch_close(ledger, node, epoch, err);
    char after_text[STORE_KEY_BYTES_MAX + 1] = "";
    for (size_t count = PAGE_ROWS; r == 0 && count == PAGE_ROWS;) {
        CLEANUP(arena_fini) struct arena arena;
        arena_init(&arena, LEDGER_ARENA_BYTES_MAX);
        struct str prefix =
            arena_printf(&arena, KEY_LEASE "%.*s/%llu/", STR_ARG(node), (unsigned long long)epoch);
        struct store_row *rows = NULL;
        r = prefix.ptr ? store_list(ledger->store, prefix, str_from(after_text), PAGE_ROWS, &arena,
                                    &rows, &count, NULL)
                       : -ERR_NOMEM;
        if (r != 0)
            return ledger_fail(err, r);
        for (size_t i = 0; i < count && r == 0; i++)
            r = lease_close_one(ledger, node, epoch, str_skip(rows[i].key, prefix.len), err);
        if (count > 0)
            ASSERT(str_copy(after_text, sizeof after_text, rows[count - 1].key));
    }
    return r;
}
