/* SPDX-License-Identifier: MIT
 * caller.h - who is on a connection: a container that the kernel proved, or whoever shows a key.
 * Floor: dataplane/pipeline; the worker's thread. One a connection (http_conn_user).
 * Owns: a reference to the binding.
 * Invariant: a bound connection only ever acts for its own binding; a `container-*` bearer on any
 * other connection is refused without a lookup. */
#ifndef BERTH_DATAPLANE_PIPELINE_CALLER_H
#define BERTH_DATAPLANE_PIPELINE_CALLER_H

#include "dataplane/pipeline/worker.h"

struct caller {
    struct live_binding *binding; /* counted; NULL on listeners for keys */
    struct list node;             /* in binding->callers[worker]: so that revocation finds us */
    struct http_conn *conn;       /* set by the first request; NULL before */
    bool unproved; /* from a container that no binding is known of: it may be in a moment */
    /* the last key that was accepted here: the same bytes under the same config need no new hash */
    uint64_t key_generation; /* worker->config_generation; addresses come back, numbers do not */
    const struct config_key *key;
    char bearer[128];
    uint32_t bearer_bytes;
};

/* caller_new - binding: reference taken over, or NULL. On failure it is released. */
struct caller *caller_new(struct worker *worker, struct live_binding *binding) MUST_USE;
void caller_free(struct caller **caller);

#endif
