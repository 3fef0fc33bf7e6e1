/* SPDX-License-Identifier: MIT
 * store.c - the face of the store: checks, caps, the revision; backends do the rest.
 * Floor: controlplane/store; the engine thread.
 * Owns: the backend's object and the list of watches.
 * Invariant: a backend sees only well-formed commits; see store.h. */
#include "controlplane/store/store.h"

#include <stdlib.h>

#include "controlplane/store/store_int.h"
#include "controlplane/store/watch_int.h"
#include "lib/base/check.h"

#define TRIM_EVERY_EVENTS 1000u

static const struct {
    const char *scheme;
    const struct store_backend *backend;
} backends[] = {
#define STORE_ROW(name, scheme, text) {scheme, &store_backend_##name},
#include "controlplane/store/stores.def"
#undef STORE_ROW
};

int
store_open(const char *url, struct loop *loop, struct store **ret_store, struct err *err)
{
    struct str scheme;
    struct str rest;
    if (!str_cut(str_from(url), ':', &scheme, &rest))
        return err_set(err, ERR_INVALID, "store \"%s\" is not memory: or sqlite:/path", url);
    const struct store_backend *backend = NULL;
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        if (str_eq(scheme, str_from(backends[i].scheme)))
            backend = backends[i].backend;
    }
    if (backend == NULL)
        return err_set(err, ERR_INVALID, "there is no store \"%.*s\"", STR_ARG(scheme));
    CLEANUP(store_close) struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the store");
    store->backend = backend;
    store_watches_init(store, loop);
    struct store_state state;
    int r = backend->open(rest, &store->self, &state, err);
    if (r < 0)
        return r;
    store->revision = state.revision;
    store->floor = state.floor;
    *ret_store = TAKE(store);
    return 0;
}

void
store_close(struct store **store)
{
    if (store == NULL || *store == NULL)
        return;
    store_watches_fini(*store);
    if ((*store)->self != NULL)
        (*store)->backend->close((*store)->self);
    free(*store);
    *store = NULL;
}

void
store_set_seal(struct store *store, const struct seal *seal)
{
    store->seal = seal;
}

const struct seal *
store_seal(const struct store *store)
{
    return store->seal;
}

uint64_t
store_revision(const struct store *store)
{
    return store->revision;
}

void
store_fail_commit(struct store *store, unsigned nth, bool done)
{
    store->fail_nth = nth;
    store->fail_done = done;
}

void
store_fail_call(struct store *store, unsigned nth, int code)
{
    store->call_nth = nth;
    store->call_code = code;
    store->call_fn = NULL;
}

void
store_hook_call(struct store *store, unsigned nth, store_hook_fn *fn, void *user)
{
    store->call_nth = nth;
    store->call_code = 0;
    store->call_fn = fn;
    store->call_user = user;
}

bool
store_failed_call(const struct store *store)
{
    return store->call_nth == 0;
}

/* 0, or the code that a test wants here. */
static int
call_fails(struct store *store)
{
    if (store->call_nth == 0 || --store->call_nth > 0)
        return 0;
    if (store->call_fn != NULL)
        store->call_fn(store->call_user);
    return store->call_code;
}

int
store_grow(struct arena *arena, void **items, size_t count, size_t *cap, size_t item_bytes)
{
    if (count < *cap)
        return 0;
    size_t more = *cap ? *cap * 2 : 16;
    void *grown = arena_array(arena, more, item_bytes);
    if (grown == NULL)
        return -ERR_NOMEM;
    if (count > 0)
        memcpy(grown, *items, count * item_bytes);
    *items = grown;
    *cap = more;
    return 0;
}

static bool
key_valid(struct str key)
{
    if (key.len == 0 || key.len > STORE_KEY_BYTES_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    }
    return true;
}

int
store_get(struct store *store, struct str key, struct arena *arena, struct store_row *ret_row)
{
    int r = call_fails(store);
    if (r < 0)
        return r;
    if (!key_valid(key))
        return -ERR_NOT_FOUND;
    return store->backend->get(store->self, key, arena, ret_row);
}

int
store_list(struct store *store, struct str prefix, struct str after_key, size_t limit,
           struct arena *arena, struct store_row **ret_rows, size_t *ret_count,
           uint64_t *ret_revision)
{
    struct store_range range = {
        .prefix = prefix,
        .after_key = after_key,
        .limit = limit ? limit : SIZE_MAX,
    };
    int r = call_fails(store);
    if (r == 0)
        r = store->backend->list(store->self, &range, arena, ret_rows, ret_count);
    if (r == 0 && ret_revision != NULL)
        *ret_revision = store->revision;
    return r;
}

static int
commit_check(const struct store_cond *conds, size_t cond_count, const struct store_op *ops,
             size_t op_count)
{
    if (op_count == 0)
        return -ERR_INVALID;
    if (op_count > STORE_COMMIT_OPS_MAX || cond_count > STORE_COMMIT_OPS_MAX)
        return -ERR_TOO_LARGE;
    for (size_t i = 0; i < cond_count; i++) {
        if (!key_valid(conds[i].key))
            return -ERR_INVALID;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < op_count; i++) {
        if (!key_valid(ops[i].key))
            return -ERR_INVALID;
        if (ops[i].delete_)
            continue;
        if (ops[i].value.len > STORE_VALUE_BYTES_MAX)
            return -ERR_TOO_LARGE;
        bytes += ops[i].key.len + ops[i].value.len;
    }
    for (size_t i = 0; i < op_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (str_eq(ops[i].key, ops[j].key))
                return -ERR_INVALID;
        }
    }
    return bytes > STORE_COMMIT_BYTES_MAX ? -ERR_TOO_LARGE : 0;
}

static void
history_trim(struct store *store, size_t event_count)
{
    store->untrimmed += event_count;
    if (store->untrimmed < TRIM_EVERY_EVENTS)
        return;
    /* A failed trim costs space, not truth: the next one makes up for it. */
    if (store->backend->trim(store->self, STORE_HISTORY_EVENTS, store_watches_seen(store),
                             &store->floor) == 0)
        store->untrimmed = 0;
}

int
store_commit(struct store *store, const struct store_cond *conds, size_t cond_count,
             const struct store_op *ops, size_t op_count, uint64_t *ret_revision)
{
    int r = commit_check(conds, cond_count, ops, op_count);
    if (r == 0)
        r = call_fails(store);
    if (r < 0)
        return r;
    bool failing = store->fail_nth > 0 && --store->fail_nth == 0;
    if (failing && !store->fail_done)
        return -ERR_STORE;
    uint64_t revision = store->revision + 1;
    size_t event_count = 0;
    r = store->backend->commit(store->self, revision, conds, cond_count, ops, op_count,
                               &event_count);
    if (r < 0)
        return r;
    store->revision = revision;
    store_watches_committed(store, ops, op_count);
    history_trim(store, event_count);
    if (failing)
        return -ERR_STORE;
    if (ret_revision != NULL)
        *ret_revision = revision;
    return 0;
}
