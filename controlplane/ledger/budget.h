/* SPDX-License-Identifier: MIT
 * budget.h - what a container or a key may spend by hour, day and month, whichever wallet pays.
 * Floor: controlplane/ledger; the engine thread. Every changing call is one store commit.
 * Owns: rows ledger/budget/KIND/NAME.
 * Invariant: nodes borrow leases of a budget as of a wallet (lease_ask with its name); at every
 *            grant spent + lent <= cap in each period at hand, so that no period's calls cost more
 *            than its cap, on however many nodes. Proved by budget_model_test.c and ledger_audit.
 *            docs/adr/0015-budgets.md */
#ifndef BERTH_CONTROLPLANE_LEDGER_BUDGET_H
#define BERTH_CONTROLPLANE_LEDGER_BUDGET_H

#include "controlplane/ledger/ledger.h"
#include "controlplane/ledger/period.h"

/* The name of a budget is its caller's, as usage records have it: "container/NAME", "key/NAME". No
 * wallet has a '/' in its name. */
#define BUDGET_NAME_BYTES_MAX 120u
bool budget_name_valid(struct str name);

struct budget_caps {
    bool capped[PERIOD_COUNT];
    struct money amount[PERIOD_COUNT]; /* >= 0 */
};
/* budget_set - the caps that hold from now on; none at all: it is forgotten when nothing of it is
 * lent any more. What was spent in the periods at hand before it had a cap counts. Nothing moves
 * when they are what they were. 0; -ERR_INVALID (name), -ERR_UNAVAILABLE (usage is still being
 * added up: retry), and errors of the ledger. */
int budget_set(struct ledger *ledger, struct str name, const struct budget_caps *caps,
               struct err *err) MUST_USE;

struct budget_state {
    struct budget_caps caps;
    struct money spent[PERIOD_COUNT]; /* posted, of calls that ended in the period at hand */
    int64_t begins_ms[PERIOD_COUNT];  /* the period at hand; milliseconds since 1970 */
    int64_t resets_ms[PERIOD_COUNT];
    struct money lent; /* to nodes */
    struct money free; /* could be lent now, by all caps; >= 0 */
    bool over;         /* more is lent than the caps leave: they were lowered */
    bool capped;       /* there is a cap */
    enum period tight; /* the one that leaves least; capped only */
};
/* budget_get - -ERR_NOT_FOUND: it has no cap, and nothing of it is lent. Nothing moves. */
int budget_get(struct ledger *ledger, struct str name, struct budget_state *ret_state,
               struct err *err) MUST_USE;

/* A clock may go back so far without a period's beginning anew. */
#define BUDGET_AHEAD_MS 60000
/* budgets_rewind - from time to time; cheap while there is nothing to do. A period that begins
 * later than now was begun by a clock that was ahead, and would last until that is caught up with:
 * instead it is the one at hand, and what was spent since its begin counts, by the hourly sums.
 * *ret_count: how many budgets had such a one. 0; -ERR_UNAVAILABLE (usage is still being added up:
 * retry), errors of the ledger. */
int budgets_rewind(struct ledger *ledger, size_t *ret_count, struct err *err) MUST_USE;

#endif
