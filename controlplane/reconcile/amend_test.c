/* SPDX-License-Identifier: MIT
 * amend_test.c - what happens to an identity between its beginning and its end (IDENTITY 7).
 * Floor: controlplane/reconcile tests.
 * Owns: nothing.
 * Invariant: see amend.h. */
#include "controlplane/reconcile/amend.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/reconcile/bind_test_rig.h"

#define FIRST STR("01010101010101010101010101010101")

static void
restart(struct fixture *f)
{
    engine_free(&f->engine);
    start(f);
}

static struct str
condition_of(struct fixture *f, const char *name, const char *field)
{
    struct object object;
    if (object_get(f->store, kind_at(KIND_CONTAINER), str_from(name), &f->arena, &object, &f->err) <
        0)
        return STR("(no object)");
    const struct tree *list = tree_get(object.status, STR("conditions"));
    return list && list->first ? schema_text(list->first, field, STR_EMPTY) : STR("(none)");
}

/* Off takes it from the data planes at once, on signs it anew; the container never restarts. */
static void
test_ai_switch(void **state)
{
    struct fixture *f = *state;
    uint8_t first[ED25519_SIGNATURE_BYTES];
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    struct binding_row *row = f->row;
    memcpy(first, row->binding.signature, sizeof first);
    settle(f);
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {ai: false}\n");
    settle(f);
    assert_int_equal(f->suspended, 1);
    assert_int_equal(f->revoked, 0);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("suspended")));
    assert_true(str_eq(condition_of(f, "dev", "status"), STR("False")));
    assert_true(str_eq(condition_of(f, "dev", "reason"), STR("AISwitchedOff")));
    restart(f); /* also over a restart of the control plane */
    row = bindings_find(&f->engine->bindings, FIRST);
    assert_int_equal(row->suspended, SUSPENDED_AI_OFF);
    settle(f);
    unsigned bound = f->bound;
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {ai: true}\n");
    settle(f);
    assert_int_equal(f->bound, bound + 1);
    assert_int_equal(row->suspended, 0);
    assert_int_equal(binding_verify(&row->binding, f->engine->public_key), 0);
    assert_true(memcmp(first, row->binding.signature, sizeof first) != 0 ||
                row->binding.issued_ms > 0);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("active")));
    assert_true(str_eq(condition_of(f, "dev", "reason"), STR("Bound")));
}

static void
test_wallet(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {wallet: team}\n");
    settle(f);
    assert_true(str_eq(f->row->binding.wallet, STR("team")));
    assert_int_equal(binding_verify(&f->row->binding, f->engine->public_key), 0);
    assert_int_equal(f->bound, 2);
    assert_int_equal(f->revoked + f->suspended, 0);
}

/* Two reasons: in force again when the last of them went. */
static void
test_agent_away(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_int_equal(amend_agent_away(f->engine, STR("another"), true, &f->err), 0);
    assert_int_equal(f->suspended, 0);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), true, &f->err), 0);
    assert_int_equal(f->suspended, 1);
    assert_true(str_eq(condition_of(f, "dev", "reason"), STR("AgentAway")));
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {ai: false}\n");
    settle(f);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), false, &f->err), 0);
    assert_int_equal(f->bound, 1);
    assert_int_equal(f->suspended, 1);
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {ai: true}\n");
    settle(f);
    assert_int_equal(f->bound, 2);
    /* over a restart of the control plane, too: only the agent's own word ends it */
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), true, &f->err), 0);
    restart(f);
    f->row = bindings_find(&f->engine->bindings, FIRST);
    assert_int_equal(f->row->suspended, SUSPENDED_AGENT_AWAY);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), false, &f->err), 0);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("active")));
    /* a store that fails leaves it as it was */
    store_fail_commit(f->store, 1, false);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), true, &f->err), -ERR_STORE);
    assert_int_equal(f->row->suspended, 0);
    assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
    assert_true(str_eq(condition_of(f, "dev", "reason"), STR("Ended")));
}

static int
rename_to(struct fixture *f, struct binding_row *row, const char *name)
{
    f->code = "";
    f->err = (struct err){0};
    return amend_rename(f->engine, row, str_from(name), &f->code, &f->err);
}

/* A pause is told, and takes nothing away; a suspension says more. */
static void
test_paused(void **state)
{
    struct fixture *f = *state;
    struct str all[] = {FIRST, STR("02020202020202020202020202020202"), STR("nobody's")};
    static const struct {
        size_t first;
        size_t count;
        const char *dev;
        const char *other;
    } lists[] = {
        {0, 0, "active", "active"}, {0, 1, "paused", "active"}, {0, 3, "paused", "paused"},
        {0, 3, "paused", "paused"}, {1, 2, "active", "paused"}, {2, 1, "active", "active"},
    };
    assert_int_equal(bind(f, "h", "b", "c2", 2, "other"), 0);
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    settle(f);
    uint64_t revision = f->row->revision;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct str *list = all + lists[i].first;
        assert_int_equal(amend_paused(f->engine, STR("agent"), list, lists[i].count, &f->err), 0);
        assert_true(str_eq(status_of(f, "dev", "state"), str_from(lists[i].dev)));
        assert_true(str_eq(status_of(f, "other", "state"), str_from(lists[i].other)));
        assert_true(str_eq(condition_of(f, "dev", "status"), STR("True")));
    }
    assert_int_equal(f->bound, 2); /* no data plane hears of it */
    assert_int_equal(f->suspended + f->revoked, 0);
    assert_true(f->row->revision == revision);
    assert_int_equal(amend_paused(f->engine, STR("another"), all, 2, &f->err), 0);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("active"))); /* not that agent's */
    assert_int_equal(amend_paused(f->engine, STR("agent"), all, 1, &f->err), 0);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), true, &f->err), 0);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("suspended")));
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), false, &f->err), 0);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("paused")));
    assert_int_equal(rename_to(f, f->row, "iced"), 0);
    assert_true(str_eq(status_of(f, "iced", "state"), STR("paused")));
    restart(f);
    assert_true(bindings_find(&f->engine->bindings, FIRST)->paused);
    store_fail_commit(f->store, 1, false);
    assert_int_equal(amend_paused(f->engine, STR("agent"), NULL, 0, &f->err), -ERR_STORE);
    assert_int_equal(amend_paused(f->engine, STR("agent"), NULL, 0, &f->err), 0);
    assert_true(str_eq(status_of(f, "iced", "state"), STR("active")));
}

/* The new name is taken in the commit that gives up the old one; numbers belong to names. */
static void
test_rename(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c2", 2, "other"), 0);
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    struct binding_row *row = f->row;
    static const struct {
        const char *name;
        int want;
        const char *code;
    } refused[] = {
        {"", -ERR_INVALID, "invalid_name"},
        {"17", -ERR_INVALID, "invalid_name"},
        {"a b", -ERR_INVALID, "invalid_name"},
        {"other", -ERR_EXISTS, "name_in_use"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_int_equal(rename_to(f, row, refused[i].name), refused[i].want);
        assert_string_equal(f->code, refused[i].code);
        assert_true(str_eq(row->binding.name, STR("dev")));
    }
    assert_int_equal(rename_to(f, row, "dev"), 0);
    assert_int_equal(f->bound, 2);
    assert_int_equal(rename_to(f, row, "prod"), 0);
    assert_true(str_eq(row->binding.name, STR("prod")));
    assert_true(row->binding.number == 3);
    assert_int_equal(binding_verify(&row->binding, f->engine->public_key), 0);
    assert_int_equal(f->bound, 3);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("gone")));
    assert_true(str_eq(status_of(f, "dev", "reason"), STR("renamed")));
    assert_true(str_eq(status_of(f, "prod", "state"), STR("active")));
    /* the old name is free, and keeps its number */
    assert_int_equal(bind(f, "h", "b", "c3", 3, "dev"), 0);
    assert_true(f->row->binding.number == 2);
    assert_int_equal(rename_to(f, row, "dev"), -ERR_EXISTS);
    store_fail_commit(f->store, 1, false);
    assert_int_equal(rename_to(f, row, "third"), -ERR_STORE);
    assert_true(str_eq(row->binding.name, STR("prod")));
    restart(f);
    row = bindings_find(&f->engine->bindings, FIRST);
    assert_true(str_eq(row->binding.name, STR("prod")));
}

static void
test_rename_into_ai_off(void **state)
{
    struct fixture *f = *state;
    apply(f, HEAD "kind: Container\nmetadata: {name: quiet}\nspec: {ai: false}\n");
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_int_equal(rename_to(f, f->row, "quiet"), 0);
    assert_int_equal(f->suspended, 1);
    assert_int_equal(rename_to(f, f->row, "loud"), 0);
    assert_int_equal(f->row->suspended, 0);
    assert_int_equal(f->bound, 2);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* More rows than fit one commit; interrupted by a store that fails, and by a restart. */
static void
test_rotate(void **state)
{
    struct fixture *f = *state;
    struct keyring keyring;
    char dir[] = "/tmp/berth-amend-test-XXXXXX";
    char id[8];
    size_t count = 0;
    char server[33];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(amend_rotate(f->engine, &count, &f->err), -ERR_UNSUPPORTED);
    assert_int_equal(keyring_open(&keyring, dir, &f->err), 0);
    f->keyring = &keyring;
    restart(f);
    memcpy(server, f->engine->server, sizeof server);
    for (uint8_t i = 1; i <= 220; i++) {
        (void)snprintf(id, sizeof id, "n%u", i);
        assert_int_equal(bind(f, "h", "b", id, i, id), 0);
    }
    assert_int_equal(amend_rotate(f->engine, &count, &f->err), 0);
    assert_int_equal(count, 220);
    assert_int_equal(f->keys_changed, 1);
    assert_int_equal(f->engine->accepted_count, 2);
    store_fail_commit(f->store, 2, false);
    assert_int_equal(amend_rotate(f->engine, &count, &f->err), -ERR_STORE);
    assert_true(f->engine->resign_owed);
    assert_int_equal(amend_retire(f->engine, &f->err), 0);
    assert_int_equal(f->engine->accepted_count, 3); /* rows still wait */
    keyring_close(&keyring);
    assert_int_equal(keyring_open(&keyring, dir, &f->err), 0);
    restart(f);
    assert_false(f->engine->resign_owed);
    LIST_FOREACH (at, &f->engine->bindings.all) {
        const struct binding_row *row = LIST_ENTRY(at, struct binding_row, node_in_all);
        assert_int_equal(binding_verify(&row->binding, f->engine->public_key), 0);
        assert_true(str_eq(row->binding.server, str_from(server))); /* the id stays */
    }
    assert_int_equal(amend_retire(f->engine, &f->err), 0);
    assert_int_equal(f->engine->accepted_count, 1);
    engine_free(&f->engine);
    keyring_close(&keyring);
    char path[64];
    (void)snprintf(path, sizeof path, "%s/server.key", dir);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/server.pub", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ai_switch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wallet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_agent_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename_into_ai_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
