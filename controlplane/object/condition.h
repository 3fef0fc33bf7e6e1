/* SPDX-License-Identifier: MIT
 * condition.h - status.conditions: what is true about an object now, and since when.
 * Floor: controlplane/object; engine thread.
 * Owns: nothing.
 * Invariant: at most one condition a type; `since` changes only when the status does. */
#ifndef BERTH_CONTROLPLANE_OBJECT_CONDITION_H
#define BERTH_CONTROLPLANE_OBJECT_CONDITION_H

#include "controlplane/object/object.h"

/* condition_set - type: "Ready"; reason: CamelCase; message: a sentence or "". *ret_changed:
 * something differs from what was there. 0 or -ERR_NOMEM. */
int condition_set(struct object *object, struct arena *arena, const char *type, bool holds,
                  const char *reason, const char *message, bool *ret_changed) MUST_USE;
/* condition_write - set it on the stored object and commit when something changed. 0; -ERR_CONFLICT
 * (try again), -ERR_STORE. */
int condition_write(struct store *store, const struct object *object, const char *type, bool holds,
                    const char *reason, const char *message) MUST_USE;

#endif
