/* SPDX-License-Identifier: MIT
 * watch.c - watches: who wants which prefix, and what they have seen.
 * Floor: controlplane/store; the engine thread.
 * Owns: its watches.
 * Invariant: events come from the kept history, never from the commit's own memory, so a watch that
 *            replays and one that is live take the same path. Proved in store_test.c. */
#include <stdlib.h>

#include "controlplane/store/watch_int.h"
#include "lib/base/check.h"

#define DELIVER_EVENTS 256u
#define DELIVER_ARENA_BYTES_MAX (1u << 30) /* DELIVER_EVENTS values of the largest size, and room */
#define RETRY_MS 100u

struct store_watch {
    struct list node;
    struct store *store;
    char *prefix_owned;
    struct str prefix;
    store_watch_fn fn;
    void *user;
    uint64_t seen;
    bool dirty; /* there is something behind `seen` */
    bool dead;  /* unwatched during a delivery; freed at its end */
};

static void
watch_free(struct store_watch *watch)
{
    list_remove(&watch->node);
    free(watch->prefix_owned);
    free(watch);
}

/* Up to what the store is at now; what the callbacks commit waits for the next turn. */
static int
watch_deliver(struct store_watch *watch, uint64_t target)
{
    struct store *store = watch->store;
    while (watch->dirty && !watch->dead && watch->seen < target) {
        CLEANUP(arena_fini) struct arena arena;
        arena_init(&arena, DELIVER_ARENA_BYTES_MAX);
        struct store_event *events;
        size_t count;
        int r = store->backend->history(store->self, watch->seen, watch->prefix, DELIVER_EVENTS,
                                        &arena, &events, &count);
        if (r < 0)
            return r;
        /* Fewer than asked for: what is left made no event of this prefix. */
        uint64_t upto = count < DELIVER_EVENTS ? store->revision : events[count - 1].revision;
        ASSERT(upto > watch->seen && upto <= store->revision);
        watch->seen = upto;
        watch->dirty = upto < store->revision;
        if (count > 0)
            watch->fn(watch, events, count, upto, watch->user);
    }
    return 0;
}

static void
watches_deliver(struct store *store)
{
    uint64_t target = store->revision;
    bool failed = false;
    bool more = false;
    store->delivering = true;
    LIST_FOREACH (node, &store->watches) {
        struct store_watch *watch = LIST_ENTRY(node, struct store_watch, node);
        failed = watch_deliver(watch, target) < 0 || failed;
    }
    store->delivering = false;
    LIST_FOREACH_SAFE (node, &store->watches) {
        struct store_watch *watch = LIST_ENTRY(node, struct store_watch, node);
        if (watch->dead)
            watch_free(watch);
        else
            more = more || watch->dirty;
    }
    if (failed)
        timer_arm(loop_timers(store->loop), &store->retry, loop_now_ms(store->loop) + RETRY_MS);
    else if (more)
        loop_at_end(store->loop, &store->hook, LOOP_COMMIT);
}

static void
watches_hook(struct loop_hook *hook)
{
    watches_deliver(CONTAINER_OF(hook, struct store, hook));
}

static void
watches_retry(struct timer *timer)
{
    watches_deliver(CONTAINER_OF(timer, struct store, retry));
}

void
store_watches_init(struct store *store, struct loop *loop)
{
    store->loop = loop;
    list_init(&store->watches);
    loop_hook_init(&store->hook, watches_hook);
    timer_init(&store->retry, watches_retry);
}

void
store_watches_fini(struct store *store)
{
    ASSERT(!store->delivering);
    LIST_FOREACH_SAFE (node, &store->watches)
        watch_free(LIST_ENTRY(node, struct store_watch, node));
    list_remove(&store->hook.node);
    if (store->loop != NULL)
        timer_cancel(loop_timers(store->loop), &store->retry);
}

void
store_watches_committed(struct store *store, const struct store_op *ops, size_t op_count)
{
    bool any = false;
    LIST_FOREACH (node, &store->watches) {
        struct store_watch *watch = LIST_ENTRY(node, struct store_watch, node);
        for (size_t i = 0; i < op_count && !watch->dirty; i++)
            watch->dirty = !ops[i].quiet && str_starts(ops[i].key, watch->prefix);
        if (!watch->dirty)
            watch->seen = store->revision;
        any = any || watch->dirty;
    }
    if (any)
        loop_at_end(store->loop, &store->hook, LOOP_COMMIT);
}

uint64_t
store_watches_seen(const struct store *store)
{
    uint64_t seen = store->revision;
    LIST_FOREACH (node, &store->watches) {
        const struct store_watch *watch = LIST_ENTRY(node, struct store_watch, node);
        if (!watch->dead)
            seen = MIN(seen, watch->seen);
    }
    return seen;
}

int
store_watch(struct store *store, struct str prefix, uint64_t from_revision, store_watch_fn fn,
            void *user, struct store_watch **ret_watch)
{
    ASSERT(store->loop != NULL && fn != NULL);
    if (from_revision > store->revision)
        return -ERR_INVALID;
    if (from_revision < store->floor)
        return -ERR_COMPACTED;
    struct store_watch *watch = calloc(1, sizeof *watch);
    char *copy = str_dup(prefix);
    if (watch == NULL || copy == NULL) {
        free(watch);
        free(copy);
        return -ERR_NOMEM;
    }
    watch->store = store;
    watch->prefix_owned = copy;
    watch->prefix = str_make(copy, prefix.len);
    watch->fn = fn;
    watch->user = user;
    watch->seen = from_revision;
    watch->dirty = from_revision < store->revision;
    list_push_back(&store->watches, &watch->node);
    if (watch->dirty)
        loop_at_end(store->loop, &store->hook, LOOP_COMMIT);
    *ret_watch = watch;
    return 0;
}

void
store_unwatch(struct store_watch **watch)
{
    if (watch == NULL || *watch == NULL)
        return;
    if ((*watch)->store->delivering)
        (*watch)->dead = true;
    else
        watch_free(*watch);
    *watch = NULL;
}
