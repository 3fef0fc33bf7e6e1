/* SPDX-License-Identifier: MIT
 * live.c - bindings in force and the tombstones of revoked ones.
 * Floor: dataplane/view; see live.h for threads.
 * Owns: bindings (counted) and tombstones.
 * Invariant: once revoked, an incarnation never comes back. live_test.c. */
#include "dataplane/view/live.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/secret.h"

int
live_init(struct live *live, uint32_t worker_count, struct funds *funds)
{
    if (worker_count == 0 || worker_count > LIVE_WORKERS_MAX)
        return -ERR_RANGE;
    memset(live, 0, sizeof(*live));
    pthread_mutex_init(&live->lock, NULL);
    map_init(&live->by_incarnation);
    live->worker_count = worker_count;
    live->funds = funds;
    return 0;
}

void
live_fini(struct live *live)
{
    MAP_FOREACH (slot, &live->by_incarnation) {
        struct live_binding *binding = slot->value;
        live_release(&binding);
    }
    map_fini(&live->by_incarnation);
    pthread_mutex_destroy(&live->lock);
}

static struct str
incarnation_key(const struct live_binding *binding)
{
    return str_make((const char *)binding->binding.incarnation, INCARNATION_BYTES);
}

static struct live_binding *
binding_new(const struct live *live)
{
    struct live_binding *binding =
        calloc(1, sizeof(*binding) + live->worker_count * sizeof(struct list));
    if (binding == NULL)
        return NULL;
    arena_init(&binding->arena, 16384);
    for (uint32_t i = 0; i < live->worker_count; i++)
        list_init(&binding->callers[i]);
    atomic_store(&binding->refs, 1u);
    return binding;
}

void
live_release(struct live_binding **binding)
{
    struct live_binding *gone = TAKE(*binding);
    while (gone != NULL && atomic_fetch_sub(&gone->refs, 1u) == 1u) {
        struct live_binding *before = gone->before;
        arena_fini(&gone->arena);
        free(gone);
        gone = before;
    }
}

/* The spans of a parsed binding point into the record: copy what we keep. */
static int
binding_own(struct live_binding *binding, struct funds *funds)
{
    struct binding *b = &binding->binding;
    struct str *texts[] = {&b->server, &b->host,   &b->boot,      &b->runtime,
                           &b->name,   &b->wallet, &b->attestors, &b->container_id};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str copy;
        if (arena_dup(&binding->arena, *texts[i], &copy) != 0)
            return -ERR_NOMEM;
        *texts[i] = copy;
    }
    char hex[2 * INCARNATION_BYTES + 1];
    hex_encode(b->incarnation, INCARNATION_BYTES, hex);
    binding->fund = funds_get(funds, b->wallet);
    if (binding->fund == NULL || fund_record(binding->fund, "container", b->name, str_from(hex),
                                             &binding->arena, &binding->record_json) != 0)
        return -ERR_NOMEM;
    binding->number_text[num_write_u64(binding->number_text, b->number)] = '\0';
    return 0;
}

static bool
is_signed(const struct live *live, const struct binding *binding)
{
    for (size_t i = 0; i < live->server_key_count; i++) {
        if (binding_verify(binding, live->server_keys[i]) == 0)
            return true;
    }
    return false;
}

static bool
same_evidence(const struct binding *a, const struct binding *b)
{
    return a->netns_cookie == b->netns_cookie && a->cgroup_id == b->cgroup_id &&
           str_eq(a->host, b->host) && str_eq(a->boot, b->boot) &&
           str_eq(a->container_id, b->container_id);
}

static bool
same_rights(const struct binding *a, const struct binding *b)
{
    return a->number == b->number && str_eq(a->name, b->name) && str_eq(a->wallet, b->wallet);
}

/* Under the lock. *binding: taken over when it goes into the table. */
static int
table_put(struct live *live, struct live_binding **binding, struct live_binding **ret_old)
{
    struct str key = incarnation_key(*binding);
    struct live_binding *known = map_get(&live->by_incarnation, key);
    if (known == NULL) {
        int rc = map_put(&live->by_incarnation, key, *binding, NULL);
        if (rc == 0)
            *binding = NULL;
        return rc;
    }
    if (atomic_load(&known->revoked))
        return -ERR_REVOKED;
    if (!same_evidence(&known->binding, &(*binding)->binding))
        return -ERR_CONFLICT;
    if (same_rights(&known->binding, &(*binding)->binding))
        return 0;
    ASSERT(map_remove(&live->by_incarnation, key) == known);
    int rc = map_put(&live->by_incarnation, key, *binding, NULL);
    ASSERT(rc == 0); /* there was room for it a moment ago */
    atomic_fetch_add(&known->refs, 1u);
    (*binding)->before = known; /* the table's reference */
    *ret_old = known;
    return 0;
}

int
live_put(struct live *live, const struct json_doc *doc, uint32_t object,
         struct live_binding **ret_old, struct live_binding **ret_new, struct err *err)
{
    struct live_binding *binding = binding_new(live);
    *ret_old = *ret_new = NULL;
    if (binding == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a binding");
    int rc = binding_parse(doc, object, &binding->arena, &binding->binding, err);
    if (rc == 0 && !is_signed(live, &binding->binding))
        rc = err_set(err, ERR_SIGNATURE, "the binding of %.*s is not signed by this server",
                     STR_ARG(binding->binding.name));
    if (rc == 0)
        rc = binding_own(binding, live->funds);
    if (rc != 0) {
        live_release(&binding);
        return rc;
    }
    struct live_binding *put = binding;
    pthread_mutex_lock(&live->lock);
    rc = table_put(live, &put, ret_old);
    if (*ret_old != NULL) {
        atomic_fetch_add(&binding->refs, 1u);
        *ret_new = binding;
        put = NULL;
    }
    pthread_mutex_unlock(&live->lock);
    live_release(&put);
    if (rc == -ERR_CONFLICT)
        (void)err_set(err, ERR_CONFLICT, "an incarnation came with other evidence");
    return rc;
}

static bool
has_ended(const struct live *live, const uint8_t incarnation[INCARNATION_BYTES])
{
    size_t count = MIN(live->ended_count, (size_t)LIVE_ENDED_MAX);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(live->ended[i], incarnation, INCARNATION_BYTES) == 0)
            return true;
    }
    return false;
}

struct live_binding *
live_revoke(struct live *live, const uint8_t incarnation[INCARNATION_BYTES])
{
    struct str key = str_make((const char *)incarnation, INCARNATION_BYTES);
    pthread_mutex_lock(&live->lock);
    struct live_binding *binding = map_get(&live->by_incarnation, key);
    if (binding == NULL && has_ended(live, incarnation)) {
        /* the control plane was first, and it never comes back */
    } else if (binding == NULL) {
        /* Revoked before it was known: leave a tombstone, so that a late row cannot revive it. */
        struct live_binding *tomb = binding_new(live);
        if (tomb != NULL) {
            memcpy(tomb->binding.incarnation, incarnation, INCARNATION_BYTES);
            atomic_store(&tomb->revoked, true);
            if (map_put(&live->by_incarnation, incarnation_key(tomb), tomb, NULL) != 0)
                live_release(&tomb);
        }
    } else {
        atomic_store(&binding->revoked, true);
        atomic_fetch_add(&binding->refs, 1u);
    }
    pthread_mutex_unlock(&live->lock);
    return binding;
}

struct live_binding *
live_find(struct live *live, const uint8_t incarnation[INCARNATION_BYTES])
{
    struct str key = str_make((const char *)incarnation, INCARNATION_BYTES);
    pthread_mutex_lock(&live->lock);
    struct live_binding *binding = map_get(&live->by_incarnation, key);
    if (binding != NULL && atomic_load(&binding->revoked))
        binding = NULL;
    if (binding != NULL)
        atomic_fetch_add(&binding->refs, 1u);
    pthread_mutex_unlock(&live->lock);
    return binding;
}

void
live_drop(struct live *live, const uint8_t incarnation[INCARNATION_BYTES], bool ended)
{
    struct str key = str_make((const char *)incarnation, INCARNATION_BYTES);
    pthread_mutex_lock(&live->lock);
    struct live_binding *binding = map_get(&live->by_incarnation, key);
    ASSERT(binding == NULL || atomic_load(&binding->revoked));
    if (binding != NULL)
        (void)map_remove(&live->by_incarnation, key);
    if (ended && !has_ended(live, incarnation))
        memcpy(live->ended[live->ended_count++ % LIVE_ENDED_MAX], incarnation, INCARNATION_BYTES);
    pthread_mutex_unlock(&live->lock);
    live_release(&binding);
}

/* ---- full resync ----------------------------------------------------------------------------- */

void
live_mark_begin(struct live *live)
{
    live->mark++;
}

void
live_mark(struct live *live, const uint8_t incarnation[INCARNATION_BYTES])
{
    pthread_mutex_lock(&live->lock);
    struct live_binding *binding =
        map_get(&live->by_incarnation, str_make((const char *)incarnation, INCARNATION_BYTES));
    if (binding != NULL)
        binding->marked = live->mark;
    pthread_mutex_unlock(&live->lock);
}

size_t
live_unmarked(struct live *live, uint8_t (*ret_incarnations)[INCARNATION_BYTES], size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&live->lock);
    MAP_FOREACH (slot, &live->by_incarnation) {
        const struct live_binding *binding = slot->value;
        if (count < max && binding->marked != live->mark && !atomic_load(&binding->revoked))
            memcpy(ret_incarnations[count++], binding->binding.incarnation, INCARNATION_BYTES);
    }
    pthread_mutex_unlock(&live->lock);
    return count;
}

void
live_forget_unmarked(struct live *live)
{
    pthread_mutex_lock(&live->lock);
    MAP_FOREACH (slot, &live->by_incarnation) {
        struct live_binding *binding = slot->value;
        if (binding->marked == live->mark || !atomic_load(&binding->revoked))
            continue;
        map_remove(&live->by_incarnation, slot->key);
        live_release(&binding);
    }
    pthread_mutex_unlock(&live->lock);
}

size_t
live_count(struct live *live)
{
    size_t count = 0;
    pthread_mutex_lock(&live->lock);
    MAP_FOREACH (slot, &live->by_incarnation) {
        const struct live_binding *binding = slot->value;
        count += atomic_load(&binding->revoked) ? 0u : 1u;
    }
    pthread_mutex_unlock(&live->lock);
    return count;
}

struct fund *
live_budget(struct live *live, struct live_binding *binding)
{
    struct fund *budget = atomic_load_explicit(&binding->budget, memory_order_acquire);
    if (LIKELY(budget != NULL))
        return budget;
    budget = funds_get_budget(live->funds, "container", binding->binding.name);
    if (budget != NULL) {
        atomic_store(&budget->payer, binding->fund);
        atomic_store_explicit(&binding->budget, budget, memory_order_release);
    }
    return budget;
}

bool
live_valid(const struct live *live, uint64_t now_ms)
{
    return now_ms < atomic_load_explicit(&live->valid_until_ms, memory_order_relaxed);
}

#define SHORT_ID_BYTES 12u

bool
live_matches(const struct live_binding *binding, struct str bearer)
{
    if (!str_starts(bearer, STR("container-")))
        return false;
    struct str said = str_skip(bearer, STR("container-").len);
    const struct binding *b = &binding->binding;
    bool same = secret_eq(said, b->name);
    same |= secret_eq(said, str_from(binding->number_text));
    same |= secret_eq(said, b->container_id);
    if (b->container_id.len > SHORT_ID_BYTES)
        same |= secret_eq(said, str_make(b->container_id.ptr, SHORT_ID_BYTES));
    return same;
}
