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

struct live_binding {
    struct arena arena;
    struct binding binding;
    struct fund *fund;
    struct str record_json; /* members of its journal records: wallet, subject, incarnation */
    char number_text[24];   /* decimal */
    _Atomic bool revoked;
    _Atomic uint32_t refs;
    struct list callers[]; /* one list a worker; nodes are the connections' */
};

struct live {
    pthread_mutex_t lock;
    struct map by_incarnation; /* key: 16 raw bytes */
    uint32_t worker_count;
    struct funds *funds;
    uint8_t server_key[ED25519_KEY_BYTES];
    bool has_server_key;
    _Atomic uint64_t valid_until_ms; /* monotonic; 0 = nothing is valid */
};

int live_init(struct live *live, uint32_t worker_count, struct funds *funds) MUST_USE;
void live_fini(struct live *live);
/* live_put - verify the signature and insert; a known incarnation is left as it is. 0;
 * -ERR_SIGNATURE; -ERR_INVALID; -ERR_REVOKED when it was revoked before; -ERR_NOMEM. */
int live_put(struct live *live, const struct json_doc *doc, uint32_t object,
             struct err *err) MUST_USE;
/* live_revoke - mark and take out; returns the counted binding so that workers can cut its callers,
 * or NULL when unknown. An incarnation that is revoked before it is known stays refused
 * (tombstone). */
struct live_binding *live_revoke(struct live *live, const uint8_t incarnation[INCARNATION_BYTES]);
/* live_find - counted, or NULL. Any thread. */
struct live_binding *live_find(struct live *live, const uint8_t incarnation[INCARNATION_BYTES]);
void live_release(struct live_binding **binding);
/* live_forget_revoked - after a full resync: drop tombstones and revoked rows (the control plane no
 * longer names them). */
void live_forget_revoked(struct live *live);
size_t live_count(struct live *live);
/* live_each - call fn for every binding under the lock (sync thread: full resync). */
void live_each(struct live *live, void (*fn)(struct live_binding *binding, void *user), void *user);
/* live_valid - the validity lease has not run out. */
bool live_valid(const struct live *live, uint64_t now_ms);
/* live_matches - constant-time comparison of a bearer "container-X" with the binding's own name,
 * number and container id (also the id's first 12 digits). */
bool live_matches(const struct live_binding *binding, struct str bearer);

#endif
