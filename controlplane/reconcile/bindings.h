/* SPDX-License-Identifier: MIT
 * bindings.h - the bindings in force, in memory: a mirror of the store's rows bindings/INCARNATION.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: its rows; a row lives until bindings_end.
 * Invariant: equal to the store after every commit of this process, its only writer. bind_test.c.
 *            */
#ifndef BERTH_CONTROLPLANE_RECONCILE_BINDINGS_H
#define BERTH_CONTROLPLANE_RECONCILE_BINDINGS_H

#include "api/binding.h"
#include "controlplane/store/store.h"
#include "lib/base/list.h"
#include "lib/base/map.h"

#define BINDINGS_PREFIX "bindings/"

/* Why a row is kept from the data planes for a while; the bits of binding_row.suspended. */
enum suspension { SUSPENDED_AI_OFF = 1, SUSPENDED_AGENT_AWAY = 2 };

/* node: the agent that asked. json: the signed binding. revision: of the commit that wrote it.
 * suspended: 0 = in force. paused: frozen by its runtime; data planes know the row as ever, so
 * that its token works the moment it goes on. All strings live in the row's arena. */
struct binding_row {
    struct list node_in_all;
    struct arena arena;
    char hex[2 * INCARNATION_BYTES + 1];
    struct str node;
    struct str json;
    struct binding binding;
    uint64_t revision;
    unsigned suspended;
    bool paused;
};
/* ended: a ring of incarnations that were revoked lately: data planes keep them refused, so they
 * must not be bound again. */
#define BINDINGS_ENDED_MAX 1024u
struct bindings {
    struct list all;
    struct map by_hex;
    uint8_t ended[BINDINGS_ENDED_MAX][INCARNATION_BYTES];
    size_t ended_count;
};
void bindings_init(struct bindings *bindings);
void bindings_fini(struct bindings *bindings);
/* bindings_load - all rows of the store. 0; -ERR_STORE (damaged row), -ERR_NOMEM. */
int bindings_load(struct bindings *bindings, struct store *store, struct err *err) MUST_USE;
/* bindings_add - from the row's value in the store: {"node":...,"binding":{...}}. */
int bindings_add(struct bindings *bindings, struct str value, uint64_t revision,
                 struct binding_row **ret_row, struct err *err) MUST_USE;
/* bindings_update - the row's value was written again: same incarnation, other text. On failure the
 * old text stays. */
int bindings_update(struct binding_row *row, struct str value, uint64_t revision,
                    struct err *err) MUST_USE;
/* bindings_end - it was revoked: take it out and remember its incarnation. */
void bindings_end(struct bindings *bindings, struct binding_row *row);
bool bindings_has_ended(const struct bindings *bindings,
                        const uint8_t incarnation[INCARNATION_BYTES]);
/* bindings_find - by 32 hex digits, or NULL. */
struct binding_row *bindings_find(const struct bindings *bindings, struct str hex);
/* bindings_value - what is stored for a signed binding. */
int bindings_value(const struct binding *binding, struct str node, struct buf *out) MUST_USE;

#endif
