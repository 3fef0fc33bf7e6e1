/* SPDX-License-Identifier: MIT
 * allowance.c - AI money between a wallet and one that it feeds.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: the two balances that were read are conditions of the commit, so that the wallet has
 *            what was asked for right after it, or less when the money is not there. Proved in
 *            allowance_test.c. */
#include "controlplane/ledger/ledger_int.h"
#include "lib/base/check.h"

/* The row by which ledger_movements finds it; the id makes it unique. */
static int
movement_append(struct draft *draft, struct str wallet, const struct draft_account *ai,
                const struct draft_account *general, int64_t nano, uint64_t id)
{
    struct str key = arena_printf(&draft->arena, KEY_ALLOWANCE "%.*s/%020llu", STR_ARG(wallet),
                                  (unsigned long long)id);
    struct str value = arena_printf(
        &draft->arena,
        "{\"gross\":\"%lld\",\"fee\":\"0\",\"net\":\"%lld\",\"general\":\"%lld\",\"ai\":\"%lld\","
        "\"transaction\":\"%llu\",\"purse\":\"%d\"}",
        (long long)nano, (long long)nano, (long long)general->nano, (long long)ai->nano,
        (unsigned long long)id, (int)LEDGER_AI);
    return draft_append(draft, key, value);
}

struct pair {
    struct draft_account *from_ai;
    struct draft_account *from_general;
    struct draft_account *ai;
    struct draft_account *general;
    struct draft_account *holds;
};

static int
pair_load(struct draft *draft, struct str from, struct str wallet, struct pair *pair)
{
    int r = draft_wallet(draft, from, WALLET_AI, &pair->from_ai);
    if (r == 0)
        r = draft_wallet(draft, from, WALLET_GENERAL, &pair->from_general);
    if (r == 0)
        r = draft_wallet(draft, wallet, WALLET_AI, &pair->ai);
    if (r == 0)
        r = draft_wallet(draft, wallet, WALLET_GENERAL, &pair->general);
    return r == 0 ? draft_wallet(draft, wallet, WALLET_HOLDS, &pair->holds) : r;
}

int
ledger_allow(struct ledger *ledger, struct str from, struct str wallet, struct money target,
             struct money *ret_moved, bool *ret_short, struct err *err)
{
    struct pair pair;
    uint64_t id;
    int64_t remaining;
    int64_t nano;
    int r = ledger_name_check(from, "wallet", err);
    if (r == 0)
        r = ledger_name_check(wallet, "wallet", err);
    if (r < 0)
        return r;
    if (target.nano < 0 || str_eq(from, wallet))
        return err_set(err, ERR_INVALID, "an allowance is 0 or more, from another wallet");
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    r = pair_load(&draft, from, wallet, &pair);
    if (r < 0)
        return r;
    if (ADD_OVERFLOW(pair.ai->nano, pair.holds->nano, &remaining) ||
        SUB_OVERFLOW(target.nano, remaining, &nano))
        return err_set(err, ERR_RANGE, "the balances leave the range of money");
    int64_t there = MAX(pair.ai->nano, (int64_t)0);
    if (nano > 0)
        r = draft_lendable(&draft, from, &there);
    if (r < 0)
        return r;
    int64_t moved = nano > 0 ? MIN(nano, there) : MAX(nano, -there);
    if (moved != 0) {
        struct draft_tx tx = {.kind = "allowance", .wallet = wallet, .reference = from};
        draft_entry(&tx, pair.from_ai, -moved);
        draft_entry(&tx, pair.ai, moved);
        r = draft_post(&draft, &tx, &id);
        if (r == 0)
            r = movement_append(&draft, wallet, pair.ai, pair.general, moved, id);
        if (r == 0)
            r = movement_append(&draft, from, pair.from_ai, pair.from_general, -moved, id);
        if (r == 0)
            r = draft_commit(&draft);
        if (r < 0)
            return r;
    }
    ret_moved->nano = moved;
    *ret_short = moved != nano;
    return 0;
}
