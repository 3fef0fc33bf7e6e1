/* SPDX-License-Identifier: MIT
 * amend.h - changing an identity that is in force: kept from the data planes for a while, signed
 *           anew, renamed, paid by another wallet. The incarnation stays.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: a suspended row is on no data plane; what comes back is signed anew; a rename holds
 *            the new name in the commit that gives up the old one. amend_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_AMEND_H
#define BERTH_CONTROLPLANE_RECONCILE_AMEND_H

#include "controlplane/reconcile/engine.h"

/* amend_suspend - set or clear one reason of a row. Calls ops->suspended, or ops->bound when the
 * last reason went. 0 (also when nothing changed); -ERR_CONFLICT (try again), -ERR_STORE. */
int amend_suspend(struct engine *engine, struct binding_row *row, enum suspension why, bool on,
                  struct err *err) MUST_USE;
/* amend_agent_away - the same for all rows of an agent. */
int amend_agent_away(struct engine *engine, struct str node, bool away, struct err *err) MUST_USE;
/* amend_paused - these incarnations (hex) of an agent, and no others, are frozen by their runtime.
 * Only the status changes. Errors as above. */
int amend_paused(struct engine *engine, struct str node, const struct str *paused, size_t count,
                 struct err *err) MUST_USE;
/* amend_container - a Container's spec holds for its live rows: ai and wallet. */
int amend_container(struct engine *engine, const struct object *container,
                    struct err *err) MUST_USE;
/* amend_load - after the rows were loaded: suspend those whose Container says ai: false or whose
 * agent was away, and know which are paused. */
int amend_load(struct engine *engine, struct err *err) MUST_USE;
/* amend_rename - *ret_code as for bind_container. The number becomes that of the new name. */
int amend_rename(struct engine *engine, struct binding_row *row, struct str name,
                 const char **ret_code, struct err *err) MUST_USE;
/* amend_resign - every row that the current key did not sign is signed anew. *ret_count: how many.
 * engine->resigned: revision of the last one. */
int amend_resign(struct engine *engine, size_t *ret_count, struct err *err) MUST_USE;

/* amend_rotate - a new server key: nodes hear of it, then everything is signed anew. When a row
 * could not be stored it is tried again every ENGINE_RESYNC_MS. -ERR_UNSUPPORTED without a keyring.
 */
int amend_rotate(struct engine *engine, size_t *ret_count, struct err *err) MUST_USE;
/* amend_retire - every node holds what the new key signed: the older keys are done. Nothing when
 * rows still wait. */
int amend_retire(struct engine *engine, struct err *err) MUST_USE;

#endif
