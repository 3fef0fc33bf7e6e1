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

#include "controlplane/reconcile/bindings.h"
#include "controlplane/reconcile/queue.h"
#include "controlplane/snapshot/snapshot.h"

/* Key files and what else has no events is looked at again this often. */
#define ENGINE_RESYNC_MS 30000u

struct ledger;
struct engine;

enum reconciler {
#define RECONCILER_ROW(name, text) RECONCILER_##name,
#include "controlplane/reconcile/reconcilers.def"
#undef RECONCILER_ROW
    RECONCILER_COUNT
};

/* What the push room (or a test) wants to hear. All may be NULL. */
struct engine_ops {
    void (*config_changed)(void *user);
    void (*bound)(const struct binding_row *row, void *user);
    /* row is gone from the mirror after the call; revision: of the commit that removed it */
    void (*revoked)(const struct binding_row *row, uint64_t revision, void *user);
    /* balance, status or existence of a wallet may have changed */
    void (*funds_changed)(struct str wallet, void *user);
    /* a reconciler failed and will be tried again */
    void (*failed)(const char *reconciler, struct str name, unsigned attempts,
                   const struct err *err, void *user);
};
struct engine_conf {
    struct loop *loop;
    struct store *store;
    struct ledger *ledger; /* may be NULL in tests that move no money */
    const struct ed25519_key *key;
    struct snapshot_settings settings;
    const struct engine_ops *ops;
    void *user;
};
struct engine {
    struct engine_conf conf;
    char server[33]; /* id: the first 16 bytes of SHA-256 of the public key, hex */
    uint8_t public_key[ED25519_KEY_BYTES];
    struct bindings bindings;
    struct snapshot snapshot;
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
const char *reconciler_name(enum reconciler which);
/* engine_wallet_usable - "ok" or "frozen": the object's word, the balance not considered. */
bool engine_wallet_frozen(struct engine *engine, struct str wallet);

/* Private to the folder: the rows of reconcilers.def. */
#define RECONCILER_ROW(name, text) \
    int reconcile_##name(struct engine *engine, struct str subject, struct err *err) MUST_USE;
#include "controlplane/reconcile/reconcilers.def"
#undef RECONCILER_ROW

#endif
