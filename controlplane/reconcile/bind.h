/* SPDX-License-Identifier: MIT
 * bind.h - making and ending identities: a container of a host becomes NAME and NUMBER (IDENTITY
 *          7).
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: one commit makes the binding, the number and the Container's status, one commit ends
 *            them; a number belongs to one name for ever; a name has one live incarnation a host,
 *            unless the older one belongs to the same container or another boot (then it is revoked
 *            first). bind_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_BIND_H
#define BERTH_CONTROLPLANE_RECONCILE_BIND_H

#include "controlplane/reconcile/engine.h"
#include "controlplane/reconcile/transition.h"

/* bind_container - wanted: from binding_parse_request; name may be empty: then the container is
 * called by its number. node: the agent that asks. by: what it heard of the container by.
 * *ret_row   the new row, already signed and committed; borrowed until it is revoked
 * *ret_code  for the agent when refused: "invalid_name", "name_in_use", "conflict", "revoked",
 *            "store"
 * A Container with ai: false is bound, but suspended (amend.h): it starts without AI.
 * 0; -ERR_INVALID, -ERR_EXISTS, -ERR_REVOKED, -ERR_CONFLICT, -ERR_STORE. Repeating a request (same
 * incarnation, container, boot and node) returns the row that is there. */
int bind_container(struct engine *engine, const struct binding *wanted, struct str node,
                   enum trigger by, struct binding_row **ret_row, const char **ret_code,
                   struct err *err) MUST_USE;
/* bind_revoke - end one incarnation. reason: of the rows of bind.c, for status and log. */
int bind_revoke(struct engine *engine, struct binding_row *row, const char *reason,
                struct err *err) MUST_USE;
/* bind_unbind - the same, because its agent said so; by: what the agent heard of it by. */
int bind_unbind(struct engine *engine, struct binding_row *row, enum trigger by,
                struct err *err) MUST_USE;
/* bind_revoke_name - all live incarnations of a name; *ret_count: how many there were. */
int bind_revoke_name(struct engine *engine, struct str name, const char *reason, size_t *ret_count,
                     struct err *err) MUST_USE;
/* bind_hosting - the agent's truth: rows of `node` with another boot id, or not among alive[count]
 * (32 hex each), are revoked. */
int bind_hosting(struct engine *engine, struct str node, struct str boot, const struct str *alive,
                 size_t count, struct err *err) MUST_USE;

#endif
