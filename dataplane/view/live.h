/* SPDX-License-Identifier: MIT
 * live.h - bindings in force: which incarnations may call, and who is calling for them right now.
 * Floor: dataplane/view; table by the sync thread; `state` and `valid_until` read by every worker;
 *        the caller list of worker w by worker w only.
 * Owns: the bindings; counted.
 * Invariant: a caller registers first and checks second (live_enter), so a revocation either is
 * seen by the check or finds the caller in the list. Nothing is looked up by name. live_test.c. */
#ifndef BERTH_DATAPLANE_VIEW_LIVE_H
#define BERTH_DATAPLANE_VIEW_LIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/binding.h"
#include "dataplane/view/fund.h"
#include "lib/base/list.h"
#include "lib/base/map.h"

#define LIVE_WORKERS_MAX 64u
#define LIVE_KEYS_MAX 8u
#define LIVE_ENDED_MAX 256u

/* before: what it replaced (a rename), kept because exchanges that began there point into it. */
struct live_binding {
    struct arena arena;
    struct binding binding;
    struct fund *fund;
    _Atomic(struct fund *) budget; /* NULL until live_budget */
    struct str record_json; /* members of its journal records: wallet, subject, incarnation */
    char number_text[24];   /* decimal */
    struct live_binding *before;
    uint64_t marked;
    _Atomic bool revoked;
    _Atomic uint32_t refs;
    struct list callers[]; /* one list a worker; nodes are the connections' */
};

struct live {
    pthread_mutex_t lock;
    struct map by_incarnation; /* key: 16 raw bytes */
    uint32_t worker_count;
    struct funds *funds;
    uint8_t server_keys[LIVE_KEYS_MAX][ED25519_KEY_BYTES]; /* accepted; sync thread */
    size_t server_key_count;
    uint64_t mark; /* of the full resync under way */
    uint8_t ended[LIVE_ENDED_MAX]
                 [INCARNATION_BYTES]; /* a ring: gone for good, no tombstone needed */
    size_t ended_count;
    _Atomic uint64_t valid_until_ms; /* monotonic; 0 = nothing is valid */
};

int live_init(struct live *live, uint32_t worker_count, struct funds *funds) MUST_USE;
void live_fini(struct live *live);
/* live_put - verify the signature and insert. A known incarnation that is signed anew is left as it
 * is; with another name, number or wallet it is replaced, and *ret_old is the counted binding whose
 * callers have to move to *ret_new (counted). Both are NULL otherwise. 0; -ERR_SIGNATURE;
 * -ERR_INVALID; -ERR_CONFLICT (other evidence); -ERR_REVOKED when it was revoked before;
 * -ERR_NOMEM. */
int live_put(struct live *live, const struct json_doc *doc, uint32_t object,
             struct live_binding **ret_old, struct live_binding **ret_new,
             struct err *err) MUST_USE;
/* live_revoke - mark and take out; returns the counted binding so that workers can cut its callers,
 * or NULL when unknown. An incarnation that is revoked before it is known stays refused
 * (tombstone). */
struct live_binding *live_revoke(struct live *live, const uint8_t incarnation[INCARNATION_BYTES]);
/* live_find - counted, or NULL. Any thread. */
struct live_binding *live_find(struct live *live, const uint8_t incarnation[INCARNATION_BYTES]);
void live_release(struct live_binding **binding);
/* live_budget - what the container may spend, when its wallet caps all of its containers. NULL on
 * no memory. Any thread. */
struct fund *live_budget(struct live *live, struct live_binding *binding);
/* live_acquire - one more reference, by whoever has one. */
static inline struct live_binding *
live_acquire(struct live_binding *binding)
{
    atomic_fetch_add_explicit(&binding->refs, 1u, memory_order_relaxed);
    return binding;
}
/* live_drop - take a revoked binding out without a tombstone: `suspended`, or ended for good. */
void live_drop(struct live *live, const uint8_t incarnation[INCARNATION_BYTES], bool ended);
/* Full resync: live_mark_begin, live_mark for each row that is named, then live_unmarked tells the
 * others in force (at most max), and live_forget_unmarked drops revoked ones that the control plane
 * no longer names. */
void live_mark_begin(struct live *live);
void live_mark(struct live *live, const uint8_t incarnation[INCARNATION_BYTES]);
size_t live_unmarked(struct live *live, uint8_t (*ret_incarnations)[INCARNATION_BYTES], size_t max);
void live_forget_unmarked(struct live *live);
size_t live_count(struct live *live);
/* live_valid - the validity lease has not run out. */
bool live_valid(const struct live *live, uint64_t now_ms);
/* live_matches - constant-time comparison of a bearer "container-X" with the binding's own name,
 * number and container id (also the id's first 12 digits). */
bool live_matches(const struct live_binding *binding, struct str bearer);

#endif
