/* SPDX-License-Identifier: MIT
 * usage_rollup.h - posted usage, added up by the hour: what is asked for is never searched for
 *                  among the records.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: rows under ledger/rollup/ and ledger/rolled/.
 * Invariant: the sums of a record are in the same commit as its stream's mark, so that every posted
 *            record is in them once; a wallet's charges add up to what it has spent. Proved in
 *            usage_rollup_test.c and by ledger_audit. docs/internals/money.md */
#ifndef BERTH_CONTROLPLANE_LEDGER_USAGE_ROLLUP_H
#define BERTH_CONTROLPLANE_LEDGER_USAGE_ROLLUP_H

#include "api/usage.h"
#include "controlplane/ledger/ledger.h"

/* What rows are kept apart by. Without CONTAINER, KEY or SUBJECT callers are added together. */
enum usage_by {
    USAGE_HOUR = 1u << 0, /* of UTC; with DAY: DAY */
    USAGE_DAY = 1u << 1,
    USAGE_WALLET = 1u << 2,
    USAGE_CONTAINER = 1u << 3, /* what keys used is one row, with an empty name */
    USAGE_KEY = 1u << 4,       /* likewise of containers */
    USAGE_SUBJECT = 1u << 5,   /* "container/NAME" and "key/NAME" */
    USAGE_MODEL = 1u << 6,
    USAGE_PROVIDER = 1u << 7,
};
struct usage_query {
    int64_t since_s;   /* wall clock, seconds; counted from the hour that it lies in */
    int64_t until_s;   /* to the end of the hour of the second before; 0: no end */
    unsigned by;       /* enum usage_by, any of them; 0: one row */
    struct str wallet; /* those that are not empty must be met */
    struct str subject;
    struct str model;
    struct str provider;
};
/* Texts live in the arena; those that `by` does not name are empty. */
struct usage_row {
    int64_t start_s; /* of its hour or day; 0 without them */
    struct str wallet;
    struct str subject; /* of SUBJECT */
    struct str container;
    struct str key;
    struct str model;
    struct str provider;
    uint64_t requests;
    uint64_t count[USAGE_CLASS_COUNT]; /* saturates */
    struct money charge;
    struct money cost;
};
/* usage_query - rows[count] by time, then descending charge, then names. Everything posted so far
 * is in them, unless *ret_behind: what an upgrade or a long outage left is still being added up.
 * Returns 0; -ERR_INVALID (until before since), -ERR_RANGE (sums beyond money), -ERR_STORE,
 * -ERR_NOMEM. */
int usage_query(struct ledger *ledger, const struct usage_query *query, struct arena *arena,
                struct usage_row **ret_rows, size_t *ret_count, bool *ret_behind,
                struct err *err) MUST_USE;

/* usage_rollup_step - add records up that were posted since, at most one commit; *ret_more: there
 * are others. Nothing to do is no commit. */
int usage_rollup_step(struct ledger *ledger, bool *ret_more, struct err *err) MUST_USE;
/* usage_rollup_prune - delete records of before cutoff_ms that are in the sums, at most one commit;
 * *ret_more: there are others. Sums stay. What an invoice must still list must be younger. */
int usage_rollup_prune(struct ledger *ledger, int64_t cutoff_ms, bool *ret_more,
                       struct err *err) MUST_USE;

#endif
