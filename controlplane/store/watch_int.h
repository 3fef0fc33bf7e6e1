/* SPDX-License-Identifier: MIT
 * watch_int.h - the store's own fields, and what store.c tells watch.c.
 * Floor: controlplane/store, private; the engine thread.
 * Owns: nothing.
 * Invariant: seen <= revision for every watch; a watch that is not dirty has seen the revision. */
#ifndef BERTH_CONTROLPLANE_STORE_WATCH_INT_H
#define BERTH_CONTROLPLANE_STORE_WATCH_INT_H

#include "controlplane/store/store_int.h"
#include "lib/net/loop.h"

struct store {
    const struct seal *seal; /* see store_seal */
    const struct store_backend *backend;
    void *self;
    uint64_t revision;
    uint64_t floor; /* events up to here are forgotten */
    size_t untrimmed;
    unsigned fail_nth; /* store_fail_commit */
    bool fail_done;
    unsigned call_nth; /* store_fail_call, store_hook_call */
    int call_code;
    store_hook_fn *call_fn;
    void *call_user;
    struct loop *loop;
    struct list watches;
    struct loop_hook hook;
    struct timer retry;
    bool delivering;
};

void store_watches_init(struct store *store, struct loop *loop);
void store_watches_fini(struct store *store);
/* store_watches_committed - these ops are now revision store->revision. */
void store_watches_committed(struct store *store, const struct store_op *ops, size_t op_count);
/* store_watches_seen - up to here every watch has seen everything. */
uint64_t store_watches_seen(const struct store *store);

#endif
