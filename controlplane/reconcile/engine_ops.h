/* SPDX-License-Identifier: MIT
 * engine_ops.h - what the engine tells whoever shows its changes to nodes and people.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: nothing.
 * Invariant: called behind the commit that made it true. bind_test.c, amend_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_ENGINE_OPS_H
#define BERTH_CONTROLPLANE_RECONCILE_ENGINE_OPS_H

#include "controlplane/reconcile/bindings.h"

/* What the push room (or a test) wants to hear. All may be NULL. */
struct engine_ops {
    void (*config_changed)(void *user);
    /* a row came into force, or was written anew */
    void (*bound)(const struct binding_row *row, void *user);
    /* it stays, but no data plane may know it until `bound` says so again */
    void (*suspended)(const struct binding_row *row, uint64_t revision, void *user);
    /* row is gone from the mirror after the call; revision: of the commit that removed it */
    void (*revoked)(const struct binding_row *row, uint64_t revision, void *user);
    /* public_key or accepted keys are others */
    void (*keys_changed)(void *user);
    /* balance, status or existence of a wallet, or of a budget, may have changed */
    void (*funds_changed)(struct str wallet, void *user);
    /* a reconciler failed and will be tried again */
    void (*failed)(const char *reconciler, struct str name, unsigned attempts,
                   const struct err *err, void *user);
};

#endif
