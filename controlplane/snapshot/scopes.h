/* SPDX-License-Identifier: MIT
 * scopes.h - containers whose owner listed the models that they may use, or capped what they may
 *            spend: those few of maybe thousands that the config document has to name.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: its rows.
 * Invariant: sorted by name; equal to spec.models and spec.cap of the stored Containers once their
 *            reconciler has run. snapshot_test.c. */
#ifndef BERTH_CONTROLPLANE_SNAPSHOT_SCOPES_H
#define BERTH_CONTROLPLANE_SNAPSHOT_SCOPES_H

#include "controlplane/object/object.h"

struct scopes_row {
    char *name;
    char *models; /* a JSON array of names with '*'; NULL: all of them */
    bool capped;
};
struct scopes {
    struct scopes_row *rows;
    size_t count;
    size_t cap;
};

void scopes_init(struct scopes *scopes);
void scopes_fini(struct scopes *scopes);
/* scopes_set - what spec.models and spec.cap of the Container say; spec NULL: it is gone.
 * *ret_changed: the document differs now. 0 or -ERR_NOMEM. */
int scopes_set(struct scopes *scopes, struct str name, const struct tree *spec,
               bool *ret_changed) MUST_USE;
/* scopes_load - of all stored Containers. */
int scopes_load(struct scopes *scopes, struct store *store, struct err *err) MUST_USE;

#endif
