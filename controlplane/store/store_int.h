/* SPDX-License-Identifier: MIT
 * store_int.h - what a backend of the store implements.
 * Floor: controlplane/store, private; the engine thread.
 * Owns: nothing.
 * Invariant: store.c has checked keys, sizes and distinctness before a backend is called. */
#ifndef BERTH_CONTROLPLANE_STORE_STORE_INT_H
#define BERTH_CONTROLPLANE_STORE_STORE_INT_H

#include "controlplane/store/store.h"

/* Where a backend stands after open. */
struct store_state {
    uint64_t revision;
    uint64_t floor; /* events of revisions <= floor are no longer kept */
};

struct store_range {
    struct str prefix;
    struct str after_key;
    size_t limit; /* > 0 */
};

/* rest: what stands behind "scheme:" in the url. Errors as in store.h. */
struct store_backend {
    int (*open)(struct str rest, void **ret_self, struct store_state *ret_state, struct err *err);
    void (*close)(void *self);
    int (*get)(void *self, struct str key, struct arena *arena, struct store_row *ret_row);
    int (*list)(void *self, const struct store_range *range, struct arena *arena,
                struct store_row **ret_rows, size_t *ret_count);
    /* commit - as revision `revision`; *ret_events: how many events that made. */
    int (*commit)(void *self, uint64_t revision, const struct store_cond *conds, size_t cond_count,
                  const struct store_op *ops, size_t op_count, size_t *ret_events);
    /* history - the events with prefix of the first commits behind `after`: whole commits until
     * there are >= limit events or no more. */
    int (*history)(void *self, uint64_t after, struct str prefix, size_t limit, struct arena *arena,
                   struct store_event **ret_events, size_t *ret_count);
    /* trim - forget whole commits, oldest first, none above `upto`, while at least keep events
     * stay. *ret_floor: the new floor; untouched when nothing was forgotten. */
    int (*trim)(void *self, size_t keep, uint64_t upto, uint64_t *ret_floor);
};

#define STORE_ROW(name, scheme, text) extern const struct store_backend store_backend_##name;
#include "controlplane/store/stores.def"
#undef STORE_ROW

/* store_grow - room for one more item in an arena array that doubles; *cap starts at 0.
 * -ERR_NOMEM. */
int store_grow(struct arena *arena, void **items, size_t count, size_t *cap,
               size_t item_bytes) MUST_USE;

/* for tests: cap the file of a sqlite store at `pages` (0 = lift), as a full disk would. */
void store_sqlite_page_max(struct store *store, unsigned pages);

#endif
