/* SPDX-License-Identifier: MIT
 * bind_test_rig.h - an engine over a store in memory, and containers as an agent would describe
 *                   them.
 * Floor: controlplane/reconcile tests.
 * Owns: the fixture of one test.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_BIND_TEST_RIG_H
#define BERTH_CONTROLPLANE_RECONCILE_BIND_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/reconcile/bind.h"

#define HEAD "apiVersion: berth.dev/v1alpha1\n"

struct fixture {
    struct loop *loop;
    struct store *store;
    struct ed25519_key *key;
    struct engine *engine;
    struct arena arena;
    struct err err;
    const char *code;
    struct binding_row *row;
    unsigned bound;
    unsigned suspended;
    unsigned revoked;
    unsigned keys_changed;
    struct keyring *keyring; /* before `start`, or NULL */
};

static void
on_bound(const struct binding_row *row, void *user)
{
    struct fixture *f = user;
    (void)row;
    f->bound++;
}
static void
on_revoked(const struct binding_row *row, uint64_t revision, void *user)
{
    struct fixture *f = user;
    assert_true(revision > row->revision);
    f->revoked++;
}
static void
on_suspended(const struct binding_row *row, uint64_t revision, void *user)
{
    struct fixture *f = user;
    assert_true(revision >= row->revision && row->suspended != 0);
    f->suspended++;
}
static void
on_keys_changed(void *user)
{
    struct fixture *f = user;
    f->keys_changed++;
}
static const struct engine_ops ops = {.bound = on_bound,
                                      .suspended = on_suspended,
                                      .revoked = on_revoked,
                                      .keys_changed = on_keys_changed};

static void
start(struct fixture *f)
{
    const struct engine_conf conf = {.loop = f->loop,
                                     .store = f->store,
                                     .key = f->key,
                                     .keyring = f->keyring,
                                     .settings = SNAPSHOT_SETTINGS_DEFAULT,
                                     .ops = &ops,
                                     .user = f};
    if (engine_new(&conf, &f->engine, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static inline int
setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    *state = f;
    arena_init(&f->arena, 16u << 20);
    if (loop_new(&f->loop, &f->err) < 0 || store_open("memory:", f->loop, &f->store, &f->err) < 0 ||
        ed25519_generate(&f->key) < 0)
        return -1;
    start(f);
    return 0;
}

static inline int
teardown(void **state)
{
    struct fixture *f = *state;
    engine_free(&f->engine);
    store_close(&f->store);
    loop_free(&f->loop);
    ed25519_free(&f->key);
    arena_fini(&f->arena);
    return 0;
}

/* One container as an agent would describe it; incarnation: one byte repeated. */
static inline int
bind_life(struct fixture *f, const char *host, const char *boot, const char *id,
          uint8_t incarnation, const char *name, uint64_t netns_cookie, enum trigger by)
{
    struct binding wanted = {
        .host = str_from(host),
        .boot = str_from(boot),
        .runtime = STR("podman"),
        .container_id = str_from(id),
        .name = str_from(name),
        .attestors = STR("netns+cgroup"),
        .netns_cookie = netns_cookie,
        .cgroup_id = 2,
        .server = STR_EMPTY,
        .wallet = STR_EMPTY,
    };
    memset(wanted.incarnation, incarnation, INCARNATION_BYTES);
    f->code = "";
    f->err = (struct err){0};
    return bind_container(f->engine, &wanted, STR("agent"), by, &f->row, &f->code, &f->err);
}

static inline int
bind(struct fixture *f, const char *host, const char *boot, const char *id, uint8_t incarnation,
     const char *name)
{
    return bind_life(f, host, boot, id, incarnation, name, 1, TRIGGER_hook);
}

static inline struct str
status_of(struct fixture *f, const char *name, const char *field)
{
    struct object object;
    if (object_get(f->store, kind_at(KIND_CONTAINER), str_from(name), &f->arena, &object, &f->err) <
        0)
        return STR("(no object)");
    return schema_text(object.status, field, STR_EMPTY);
}

/* The log of a Container: "none>active hook, active>gone exit". */
static inline struct str
log_of(struct fixture *f, const char *name)
{
    struct object object;
    struct str *items = NULL;
    struct str text = STR_EMPTY;
    size_t count = 0;
    if (object_get(f->store, kind_at(KIND_CONTAINER), str_from(name), &f->arena, &object, &f->err) <
        0)
        return STR("(no object)");
    assert_int_equal(transition_list(f->store, &object, &f->arena, &items, &count), 0);
    for (size_t i = 0; i < count; i++) {
        struct tree *item = NULL;
        assert_int_equal(tree_from_json(items[i], &f->arena, &item, NULL), 0);
        text = arena_printf(&f->arena, "%.*s%s%.*s>%.*s %.*s", STR_ARG(text), i > 0 ? ", " : "",
                            STR_ARG(schema_text(item, "from_status", STR_EMPTY)),
                            STR_ARG(schema_text(item, "to_status", STR_EMPTY)),
                            STR_ARG(schema_text(item, "triggered_by", STR_EMPTY)));
    }
    return text;
}

static inline void
settle(struct fixture *f)
{
    for (unsigned i = 0; i < 1000 && (i < 10 || queue_depth(f->engine->queue) > 0); i++)
        loop_step(f->loop, 1);
    assert_int_equal(queue_depth(f->engine->queue), 0);
}

static inline void
apply(struct fixture *f, const char *yaml)
{
    struct tree *list = NULL;
    struct manifest manifest;
    struct object object;
    enum object_change change;
    char key[API_KEY_BYTES + 1];
    assert_int_equal(tree_from_yaml(str_from(yaml), &f->arena, &list, &f->err), 0);
    assert_int_equal(schema_check(list->first, &f->arena, &manifest, &f->err), 0);
    assert_int_equal(
        object_apply(f->store, &manifest, "", &f->arena, &object, &change, key, &f->err), 0);
}

#endif
