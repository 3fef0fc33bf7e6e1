/* SPDX-License-Identifier: MIT
 * caps.h - spec.cap of a Container or an ApiKey becomes its budget; a Container without one has
 *          spec.containerCap of its wallet.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing; budgets are the ledger's.
 * Invariant: settled again before every lease of a budget, so that none is lent by caps of before.
 *            push_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_CAPS_H
#define BERTH_CONTROLPLANE_RECONCILE_CAPS_H

#include "controlplane/ledger/budget.h"
#include "controlplane/reconcile/engine.h"

/* caps_budget_name - of the budget: "container/NAME", "key/NAME"; in the arena. ptr NULL: out of
 * memory, or objects of this kind have none. */
struct str caps_budget_name(const struct kind *kind, struct str name, struct arena *arena);
/* caps_owner - whose caps hold for it: the object itself, or a Wallet's object, in the arena (its
 * containerCap holds), *ret_owner NULL: nobody's. 0, and errors of object_get. */
int caps_owner(struct store *store, const struct object *object, struct arena *arena,
               const struct object **ret_owner, struct err *err) MUST_USE;
/* caps_settle - the object as stored; one that is gone has no caps. Errors as of budget_set. */
int caps_settle(struct engine *engine, const struct kind *kind, struct str name,
                struct err *err) MUST_USE;
/* caps_settle_budget - the same, by the budget's name. -ERR_INVALID: it is none. */
int caps_settle_budget(struct engine *engine, struct str budget, struct err *err) MUST_USE;

#endif
