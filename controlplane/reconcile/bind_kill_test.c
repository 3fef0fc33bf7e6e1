/* SPDX-License-Identifier: MIT
 * bind_kill_test.c - kill -9 in front of every call that writes while containers come and go: each
 *            is bound or not, whole; what was answered is there; who goes on from there ends where
 *            a life without a death ends.
 * Floor: controlplane/reconcile tests.
 * Owns: a folder under /tmp; memory that a child shares.
 * Invariant: see bind.h. BERTH_KILLS=full: every point; else a sample. */
#include "controlplane/reconcile/bind_test_rig.h"

#include <stdio.h>

#include "lib/base/kill_story_test_rig.h"

static struct fixture rig;
static char folder[64];

static void
open_all(void)
{
    char url[96];
    struct fixture *f = &rig;
    (void)snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    arena_init(&f->arena, 16u << 20);
    assert_int_equal(loop_new(&f->loop, &f->err), 0);
    if (store_open(url, f->loop, &f->store, &f->err) < 0)
        fail_msg("%s", f->err.text);
    start(f);
}

static void
close_all(void)
{
    engine_free(&rig.engine);
    store_close(&rig.store);
    loop_free(&rig.loop);
    arena_fini(&rig.arena);
}

static int
unbind(uint8_t incarnation, const char *reason)
{
    char hex[2 * INCARNATION_BYTES + 1];
    for (size_t i = 0; i < INCARNATION_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", incarnation);
    struct binding_row *row = bindings_find(&rig.engine->bindings, str_from(hex));
    return row ? bind_revoke(rig.engine, row, reason, &rig.err) : 0;
}

/* A name that is used by nobody any more. */
static int
unbind_name(const char *name)
{
    size_t count;
    return bind_revoke_name(rig.engine, str_from(name), "revoked", &count, &rig.err);
}

static int
switch_off(const char *yaml)
{
    apply(&rig, yaml);
    return 0;
}

/* The host came up again: all of its old life is over. */
static int
reboot(void)
{
    story_kept->between = true;
    int code = bind_hosting(rig.engine, STR("agent"), STR("b2"), NULL, 0, &rig.err);
    story_kept->between = false;
    return code;
}

#define OFF(name, ai) HEAD "kind: Container\nmetadata: {name: " name "}\nspec: {ai: " ai "}\n"
static int
step(uint32_t number)
{
    uint32_t at = 0;
    STEP(bind(&rig, "h", "b", "c1", 1, "dev"));
    STEP(bind(&rig, "h", "b", "c1", 1, "dev"));
    STEP(bind(&rig, "h", "b", "c2", 2, "web"));
    STEP(unbind(1, "unbound"));
    STEP(bind(&rig, "h", "b", "c3", 3, ""));
    STEP(switch_off(OFF("job", "false")));
    STEP(bind(&rig, "h", "b", "c4", 4, "job"));
    STEP(bind(&rig, "h", "b", "c1", 5, "dev"));
    STEP(unbind(3, "unbound"));
    STEP(reboot());
    STEP(bind(&rig, "h", "b2", "c1", 6, "dev"));
    STEP(bind(&rig, "h2", "b9", "c9", 7, "far"));
    STEP(unbind_name("far"));
    return (int)at;
}

static void
state_put(char out[KILL_STORY_STATE_BYTES])
{
    struct object *objects;
    struct store_row *rows;
    size_t count;
    size_t at = 0;
    memset(out, 0, KILL_STORY_STATE_BYTES);
    assert_int_equal(object_list(rig.store, kind_at(KIND_CONTAINER), STR_EMPTY, 0, &rig.arena,
                                 &objects, &count, &rig.err),
                     0);
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(out + at, KILL_STORY_STATE_BYTES - at, "%.*s %.*s %.*s: %.*s\n",
                               STR_ARG(objects[i].name),
                               STR_ARG(schema_text(objects[i].status, "state", STR("-"))),
                               STR_ARG(schema_text(objects[i].status, "number", STR("-"))),
                               STR_ARG(log_of(&rig, objects[i].name.ptr)));
    }
    assert_int_equal(
        store_list(rig.store, STR(BINDINGS_PREFIX), STR_EMPTY, 0, &rig.arena, &rows, &count, NULL),
        0);
    for (size_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(out + at, KILL_STORY_STATE_BYTES - at, "%.*s\n", STR_ARG(rows[i].key));
    assert_true(at < KILL_STORY_STATE_BYTES);
}

static void
begin(void)
{
    story_folder_empty(folder);
}

static void
test_every_point(void **state)
{
    const struct kill_story lives = {.step = step,
                                     .state = state_put,
                                     .begin = begin,
                                     .open = open_all,
                                     .close = close_all,
                                     .err = &rig.err};
    (void)state;
    story_tell(&lives, 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_point)};
    (void)snprintf(folder, sizeof folder, "/tmp/berth-bind-kill-XXXXXX");
    if (mkdtemp(folder) == NULL || ed25519_generate(&rig.key) < 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    begin();
    ed25519_free(&rig.key);
    return rmdir(folder) == 0 ? failed : 1;
}
