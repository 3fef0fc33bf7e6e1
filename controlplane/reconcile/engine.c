/* SPDX-License-Identifier: MIT
 * engine.c - wiring: store events become names in the queue, names become calls of reconcilers.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: see engine.h.
 * Invariant: an event only says where to look; nothing is taken from it but the key. */
#include "controlplane/reconcile/engine.h"

#include <stdlib.h>

#include "controlplane/reconcile/amend.h"
#include "lib/base/check.h"

#define SERVER_ID_KEY "server/id"

/* Which keys concern which reconciler. NAMED: the subject is the key's part behind the prefix, up
 * to its next '/'; REST: all of that part; else the reconciler has one subject, "". */
enum subject { ONE, NAMED, REST };
static const struct {
    const char *prefix;
    enum reconciler which;
    enum subject subject;
} watched[] = {
    {"objects/Provider/", RECONCILER_config, ONE},
    {"objects/Model/", RECONCILER_config, ONE},
    {"objects/Route/", RECONCILER_config, ONE},
    {"objects/ApiKey/", RECONCILER_config, ONE},
    {"secrets/", RECONCILER_config, ONE},
    {KEPT_HEAD_KEY, RECONCILER_config, ONE},
    {SNAPSHOT_SEEN_PREFIX, RECONCILER_config, ONE},
    {"objects/Provider/", RECONCILER_discovery, NAMED},
    {"objects/Container/", RECONCILER_containers, NAMED},
    {"objects/ApiKey/", RECONCILER_keys, NAMED},
    {"objects/Wallet/", RECONCILER_config, ONE},
    {"objects/Wallet/", RECONCILER_defaults, NAMED},
    {"objects/Wallet/", RECONCILER_wallets, NAMED},
    {"ledger/balance/wallet/", RECONCILER_wallets, NAMED},
    {"ledger/budget/", RECONCILER_budgets, REST},
};

static int (*const reconcilers[RECONCILER_COUNT])(struct engine *engine, struct str subject,
                                                  struct err *err) = {
#define RECONCILER_ROW(name, text) [RECONCILER_##name] = reconcile_##name,
#include "controlplane/reconcile/reconcilers.def"
#undef RECONCILER_ROW
};
static const char *const names[RECONCILER_COUNT] = {
#define RECONCILER_ROW(name, text) [RECONCILER_##name] = #name,
#include "controlplane/reconcile/reconcilers.def"
#undef RECONCILER_ROW
};

const char *
reconciler_name(enum reconciler which)
{
    ASSERT(which < RECONCILER_COUNT);
    return names[which];
}

static int
run(void *user, unsigned which, struct str name, struct err *err)
{
    struct engine *engine = user;
    ASSERT(which < RECONCILER_COUNT);
    engine->runs[which]++;
    return reconcilers[which](engine, name, err);
}

static void
failed(void *user, unsigned which, struct str name, unsigned attempts, const struct err *err)
{
    struct engine *engine = user;
    engine->failures[which]++;
    if (engine->conf.ops && engine->conf.ops->failed)
        engine->conf.ops->failed(names[which], name, attempts, err, engine->conf.user);
}

static int
enqueue(struct engine *engine, struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        struct str prefix = str_from(watched[i].prefix);
        if (!str_starts(key, prefix))
            continue;
        struct str subject = STR_EMPTY;
        struct str rest = str_skip(key, prefix.len);
        if (watched[i].subject == NAMED)
            str_cut(rest, '/', &subject, &rest);
        else if (watched[i].subject == REST)
            subject = rest;
        int code = queue_add(engine->queue, watched[i].which, subject);
        if (code < 0)
            return code;
    }
    return 0;
}

static void
on_events(struct store_watch *watch, const struct store_event *events, size_t count,
          uint64_t revision, void *user)
{
    struct engine *engine = user;
    (void)watch;
    (void)revision;
    for (size_t i = 0; i < count; i++) {
        /* a name that does not fit the queue is found again by the next event or restart */
        if (enqueue(engine, events[i].key) < 0)
            engine->failures[RECONCILER_config]++;
    }
}

static int
enqueue_all(struct engine *engine, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(watched) && code == 0; i++) {
        if (watched[i].subject == ONE) {
            code = queue_add(engine->queue, watched[i].which, STR_EMPTY);
            continue;
        }
        struct arena arena;
        struct store_row *rows = NULL;
        size_t count = 0;
        arena_init(&arena, 256u << 20);
        code = store_list(engine->conf.store, str_from(watched[i].prefix), STR_EMPTY, 0, &arena,
                          &rows, &count, NULL);
        for (size_t row = 0; row < count && code == 0; row++)
            code = enqueue(engine, rows[row].key);
        arena_fini(&arena);
    }
    /* rows whose Container was deleted while we were not there */
    LIST_FOREACH (at, &engine->bindings.all) {
        const struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        if (code == 0)
            code = queue_add(engine->queue, RECONCILER_containers, row->binding.name);
    }
    return code < 0 ? err_set(err, (enum err_code) - code, "listing the store: %s", err_text(code))
                    : 0;
}

static void
resync(struct timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, resync);
    if (queue_add(engine->queue, RECONCILER_config, STR_EMPTY) < 0)
        engine->failures[RECONCILER_config]++;
    struct err err = {0};
    size_t count;
    if (engine->resign_owed && amend_resign(engine, &count, &err) < 0 && engine->conf.ops &&
        engine->conf.ops->failed)
        engine->conf.ops->failed("keys", STR_EMPTY, 1, &err, engine->conf.user);
    timer_arm(loop_timers(engine->conf.loop), timer,
              loop_now_ms(engine->conf.loop) + ENGINE_RESYNC_MS);
}

/* ---- keys and the server's id ---------------------------------------------------------------- */

const struct ed25519_key *
engine_key(const struct engine *engine)
{
    return engine->conf.keyring ? engine->conf.keyring->key : engine->conf.key;
}

void
engine_load_keys(struct engine *engine)
{
    const struct keyring *keyring = engine->conf.keyring;
    ed25519_public(engine_key(engine), engine->public_key);
    engine->accepted_count = keyring ? keyring->count : 1;
    if (keyring)
        memcpy(engine->accepted, keyring->accepted, sizeof engine->accepted);
    memcpy(engine->accepted[0], engine->public_key, ED25519_KEY_BYTES);
}

/* Made of the first key, and kept when keys are rotated: bindings name it. */
static int
load_server_id(struct engine *engine, struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    struct arena arena;
    struct store_row row;
    arena_init(&arena, STORE_VALUE_BYTES_MAX);
    int code = store_get(engine->conf.store, STR(SERVER_ID_KEY), &arena, &row);
    if (code == -ERR_NOT_FOUND) {
        digest_sha256(str_make((const char *)engine->public_key, ED25519_KEY_BYTES), digest);
        hex_encode(digest, 16, engine->server);
        const struct store_op op = {.key = STR(SERVER_ID_KEY), .value = str_from(engine->server)};
        code = store_commit(engine->conf.store, NULL, 0, &op, 1, NULL);
    } else if (code == 0 && !str_copy(engine->server, sizeof engine->server, row.value)) {
        code = -ERR_STORE;
    }
    arena_fini(&arena);
    return code < 0 ? err_set(err, (enum err_code) - code, "the server's id: %s", err_text(code))
                    : 0;
}

static int
load_bindings(struct engine *engine, struct err *err)
{
    size_t count;
    int code = bindings_load(&engine->bindings, engine->conf.store, err);
    if (code == 0)
        code = amend_load(engine, err);
    /* a rotation that a crash interrupted is finished here */
    if (code == 0 && engine->accepted_count > 1)
        code = amend_resign(engine, &count, err);
    return code;
}

static int
start(struct engine *engine, struct err *err)
{
    const struct engine_conf *conf = &engine->conf;
    bool changed;
    engine_load_keys(engine);
    int code = queue_new(conf->loop, run, failed, engine, &engine->queue);
    if (code < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    code = load_server_id(engine, err);
    uint64_t revision = store_revision(conf->store);
    if (code == 0)
        code = load_bindings(engine, err);
    struct err kept = {0};
    if (code == 0 && kept_load(&engine->kept, conf->store, &kept) < 0)
        failed(engine, RECONCILER_config, STR("catalogue"), 1, &kept); /* the shipped one holds */
    if (code == 0)
        code = scopes_load(&engine->scopes, conf->store, err);
    if (code == 0)
        code = snapshot_rebuild(&engine->snapshot, conf->store, &conf->settings, &changed, err);
    if (code == 0 &&
        store_watch(conf->store, STR_EMPTY, revision, on_events, engine, &engine->watch) < 0)
        code = err_set(err, ERR_STORE, "the store cannot be watched");
    if (code < 0)
        return code;
    timer_arm(loop_timers(conf->loop), &engine->resync, loop_now_ms(conf->loop) + ENGINE_RESYNC_MS);
    return enqueue_all(engine, err);
}

static void
on_tokens(void *user)
{
    struct engine *engine = user;
    struct err err = {.text = "out of memory"};
    if (queue_add(engine->queue, RECONCILER_config, STR_EMPTY) < 0)
        failed(engine, RECONCILER_config, STR("tokens"), 1, &err); /* the resync comes */
}

int
engine_new(const struct engine_conf *conf, struct engine **ret_engine, struct err *err)
{
    CLEANUP(engine_free) struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return err_set(err, ERR_NOMEM, "out of memory");
    engine->conf = *conf;
    bindings_init(&engine->bindings);
    snapshot_init(&engine->snapshot);
    scopes_init(&engine->scopes);
    kept_init(&engine->kept);
    engine->conf.settings.scopes = &engine->scopes;
    const struct tokens_conf tokens = {.loop = conf->loop, .changed = on_tokens, .user = engine};
    timer_init(&engine->resync, resync);
    int code = tokens_new(&tokens, &engine->tokens, err);
    engine->conf.settings.tokens = engine->tokens;
    if (code == 0)
        code = start(engine, err);
    if (code == 0)
        *ret_engine = TAKE(engine);
    return code;
}

void
engine_free(struct engine **engine)
{
    if (!*engine)
        return;
    timer_cancel(loop_timers((*engine)->conf.loop), &(*engine)->resync);
    if ((*engine)->watch)
        store_unwatch(&(*engine)->watch);
    tokens_free(&(*engine)->tokens);
    queue_free(&(*engine)->queue);
    bindings_fini(&(*engine)->bindings);
    snapshot_fini(&(*engine)->snapshot);
    scopes_fini(&(*engine)->scopes);
    kept_fini(&(*engine)->kept);
    free(TAKE(*engine));
}
