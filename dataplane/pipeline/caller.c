/* SPDX-License-Identifier: MIT
 * caller.c - the identity of a connection.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: see caller.h.
 * Invariant: a bound caller is in its binding's list from creation to the end of its connection. */
#include "dataplane/pipeline/caller.h"

#include <stdlib.h>

#include "lib/base/secret.h"

struct caller *
caller_new(struct worker *worker, struct live_binding *binding)
{
    struct caller *caller = calloc(1, sizeof(*caller));
    if (caller == NULL) {
        live_release(&binding);
        return NULL;
    }
    caller->binding = binding;
    list_init(&caller->node);
    if (binding != NULL)
        list_push_back(&binding->callers[worker->index], &caller->node);
    return caller;
}

void
caller_free(struct caller **caller)
{
    struct caller *gone = TAKE(*caller);
    if (gone == NULL)
        return;
    list_remove(&gone->node);
    live_release(&gone->binding);
    secret_wipe(gone->bearer, sizeof(gone->bearer));
    free(gone);
}
