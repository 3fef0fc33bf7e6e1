/* SPDX-License-Identifier: MIT
 * engine.h - the heart of the control plane: store, ledger, bindings and the config document, kept
 *            converged by level-triggered reconcilers; whoever shows them to nodes and people hangs
 *            on it.
 * Floor: controlplane/reconcile; one thread, the engine thread.
 * Owns: queue, store watch, binding mirror, current snapshot. Store, ledger, key and loop are
 *       borrowed.
 * Invariant: every change goes through a store commit first; listeners hear of it afterwards, from
 *            the loop or from the call that made it. bind_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_ENGINE_H
#define BERTH_CONTROLPLANE_RECONCILE_ENGINE_H

#include "controlplane/reconcile/engine_ops.h"
#include "controlplane/reconcile/keyring.h"
#include "controlplane/reconcile/queue.h"
#include "controlplane/snapshot/kept.h"
#include "controlplane/snapshot/snapshot.h"

/* Key files and what else has no events is looked at again this often. */
#define ENGINE_RESYNC_MS 30000u

struct discover;
struct ledger;
struct engine;

enum reconciler {
#define RECONCILER_ROW(name, text) RECONCILER_##name,
#include "controlplane/reconcile/reconcilers.def"
#undef RECONCILER_ROW
    RECONCILER_COUNT
};

struct engine_conf {
    struct loop *loop;
    struct store *store;
    struct ledger *ledger;         /* may be NULL in tests that move no money */
    const struct ed25519_key *key; /* signs, when there is no keyring (tests) */
    struct keyring *keyring;       /* or NULL */
    struct snapshot_settings settings;
    const struct engine_ops *ops;
    void *user;
};
struct engine {
    struct engine_conf conf;
    char server[33]; /* id: the first 16 bytes of SHA-256 of its first public key, hex */
    uint8_t public_key[ED25519_KEY_BYTES];
    uint8_t accepted[KEYRING_KEYS_MAX][ED25519_KEY_BYTES]; /* [0] is public_key */
    size_t accepted_count;
    uint64_t resigned; /* revision of the last row that a rotation signed anew */
    bool resign_owed;  /* a rotation has rows left */
    struct bindings bindings;
    struct snapshot snapshot;
    struct scopes scopes;
    struct tokens *tokens; /* of service accounts */
    struct kept kept;
    struct discover *discover; /* or NULL: nobody asks providers for their models */
    struct queue *queue;
    struct store_watch *watch;
    struct timer resync;
    uint64_t runs[RECONCILER_COUNT];
    uint64_t failures[RECONCILER_COUNT];
};

/* engine_new - load the mirror, build the first document, watch the store, queue everything once.
 * */
int engine_new(const struct engine_conf *conf, struct engine **ret_engine,
               struct err *err) MUST_USE;
void engine_free(struct engine **engine);
/* engine_key - what signs now; borrowed until the next rotation. */
const struct ed25519_key *engine_key(const struct engine *engine);
/* engine_load_keys - after the keyring changed. */
void engine_load_keys(struct engine *engine);
const char *reconciler_name(enum reconciler which);
/* engine_wallet_usable - "ok" or "frozen": the object's word, the balance not considered. */
bool engine_wallet_frozen(struct engine *engine, struct str wallet);

/* Private to the folder: the rows of reconcilers.def. */
#define RECONCILER_ROW(name, text) \
    int reconcile_##name(struct engine *engine, struct str subject, struct err *err) MUST_USE;
#include "controlplane/reconcile/reconcilers.def"
#undef RECONCILER_ROW

#endif
