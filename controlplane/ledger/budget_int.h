/* SPDX-License-Identifier: MIT
 * budget_int.h - a budget's row in a draft, for leases, postings and the audit.
 * Floor: controlplane/ledger, private; the engine thread.
 * Owns: nothing.
 * Invariant: see budget.h. */
#ifndef BERTH_CONTROLPLANE_LEDGER_BUDGET_INT_H
#define BERTH_CONTROLPLANE_LEDGER_BUDGET_INT_H

#include "controlplane/ledger/budget.h"
#include "controlplane/ledger/ledger_int.h"

#define BUDGET_NO_CAP (-1)

struct budget_window {
    int64_t cap; /* nano, or BUDGET_NO_CAP */
    int64_t begin_ms;
    int64_t spent;
    int64_t late;   /* lent when it began and not back: calls of before it may still use so much */
    int64_t skewed; /* 1: a node's clock is not ours; `spent` is not what usage of it says */
};
struct budget {
    struct draft_row *row;
    int64_t lent;
    int64_t ahead_ms; /* the latest time that a record said and that had not come */
    struct budget_window windows[PERIOD_COUNT];
};

/* budget_read - as stored; row is not set. -ERR_STORE: damaged. */
int budget_read(struct ledger *ledger, const struct draft_row *row, struct budget *ret_budget,
                struct err *err) MUST_USE;
/* budget_load - with the periods at hand; absent: no caps, nothing lent. */
int budget_load(struct draft *draft, struct str name, struct budget *ret_budget) MUST_USE;
static inline bool
budget_is_there(const struct budget *budget)
{
    return budget->row->value.len > 0 && !budget->row->gone;
}
/* budget_store - told: nodes shall hear of it. */
int budget_store(struct draft *draft, const struct budget *budget, bool told) MUST_USE;
/* budget_lend - nano, at most budget_lendable, on top of what is lent, or back when negative: as
 * much as its lease has. 0; -ERR_STORE: so much is not lent. */
int budget_lend(struct draft *draft, struct budget *budget, int64_t nano) MUST_USE;
/* budget_lendable - >= 0. */
int64_t budget_lendable(const struct budget *budget);
/* budget_charge - a call that ended at at_ms, out of the lease as far as it goes. */
void budget_charge(struct budget *budget, struct lease *lease, int64_t at_ms, int64_t charge);

/* budgets_known - may there be a budget of that name? No: there is none. Cheap when there are no
 * budgets at all. 0; -ERR_NOMEM, -ERR_STORE. */
int budgets_known(struct ledger *ledger, struct str name, bool *ret_known,
                  struct err *err) MUST_USE;
void budgets_fini(struct ledger *ledger);

#endif
