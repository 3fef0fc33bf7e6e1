/* SPDX-License-Identifier: MIT
 * transition.h - the log of a container's states: logs/Container/NAME, the last TRANSITIONS_MAX.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: an entry is in the commit that changes status.state, and goes with its Container
 *            (object_delete); a Container that was made anew begins with an empty log.
 *            transition_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_TRANSITION_H
#define BERTH_CONTROLPLANE_RECONCILE_TRANSITION_H

#include "controlplane/object/object.h"

#define TRANSITIONS_MAX 100u

enum trigger {
#define TRIGGER_ROW(name, agent, text) TRIGGER_##name,
#include "controlplane/reconcile/triggers.def"
#undef TRIGGER_ROW
    TRIGGER_COUNT
};
const char *trigger_name(enum trigger trigger);
/* trigger_of_agent - a word that came from an agent; TRIGGER_agent for one that it may not say. */
enum trigger trigger_of_agent(struct str word);

/* from: "" = there was no state yet. Texts are borrowed for the call. */
struct transition {
    struct str from;
    struct str to;
    struct str incarnation;
    enum trigger by;
};
/* transition_op - the condition and the operation that add it to the log of this Container, which
 * is written in the same commit. A log that cannot be read begins anew. 0; -ERR_STORE, -ERR_NOMEM.
 */
int transition_op(struct store *store, const struct object *container,
                  const struct transition *transition, struct arena *arena,
                  struct store_cond *ret_cond, struct store_op *ret_op) MUST_USE;
/* transition_list - items[count] as JSON objects in the arena, oldest first. Spec:
 * api/openapi/admin.yaml, Transition. 0, also when there are none; -ERR_STORE, -ERR_NOMEM. */
int transition_list(struct store *store, const struct object *container, struct arena *arena,
                    struct str **ret_items, size_t *ret_count) MUST_USE;

#endif
