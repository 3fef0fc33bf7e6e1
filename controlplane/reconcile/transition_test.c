/* SPDX-License-Identifier: MIT
 * transition_test.c - the log of a container's states, as bind and amend write it.
 * Floor: controlplane/reconcile tests.
 * Owns: nothing.
 * Invariant: see transition.h. */
#include "controlplane/reconcile/transition.h"

#include "controlplane/reconcile/amend.h"
#include "controlplane/reconcile/bind_test_rig.h"
#include "lib/base/clock.h"

#define FIRST STR("01010101010101010101010101010101")
#define SPEC(spec) HEAD "kind: Container\nmetadata: {name: dev}\nspec: {" spec "}\n"

static int64_t now_ms;

static int64_t
wall_ns(void *user)
{
    (void)user;
    return now_ms * 1000000;
}
static uint64_t
mono_ns(void *user)
{
    (void)user;
    return (uint64_t)now_ms * 1000000u;
}

static void
assert_log(struct fixture *f, const char *name, const char *want)
{
    struct str seen = log_of(f, name);
    if (!str_eq(seen, str_from(want)))
        fail_msg("%s: \"%.*s\", not \"%s\"", name, STR_ARG(seen), want);
}

/* Whatever changes a state is in the log, with who did it. */
static void
test_who_did_it(void **state)
{
    struct fixture *f = *state;
    struct str paused[] = {FIRST};
    size_t count;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_log(f, "dev", "none>active hook");
    apply(f, SPEC("ai: false"));
    settle(f);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), true, &f->err), 0);
    apply(f, SPEC("ai: true"));
    settle(f);
    assert_int_equal(amend_agent_away(f->engine, STR("agent"), false, &f->err), 0);
    assert_int_equal(amend_paused(f->engine, STR("agent"), paused, 1, &f->err), 0);
    assert_int_equal(amend_paused(f->engine, STR("agent"), NULL, 0, &f->err), 0);
    apply(f, SPEC("wallet: team"));
    settle(f);
    assert_log(f, "dev",
               "none>active hook, active>suspended ai, suspended>suspended agent, "
               "suspended>suspended ai, suspended>active agent, active>paused events, "
               "paused>active events, active>active wallet");
    assert_int_equal(amend_rename(f->engine, f->row, STR("new"), &f->code, &f->err), 0);
    assert_log(f, "new", "none>active rename");
    assert_int_equal(bind_unbind(f->engine, f->row, trigger_of_agent(STR("register")), &f->err), 0);
    assert_log(f, "new", "none>active rename, active>gone register");
    assert_int_equal(bind(f, "h", "b", "c2", 2, "new"), 0);
    assert_int_equal(bind(f, "h", "b", "c2", 3, "new"), 0);
    assert_int_equal(bind_revoke_name(f->engine, STR("new"), "revoked", &count, &f->err), 0);
    assert_int_equal(bind(f, "h", "b", "c2", 4, "new"), 0);
    assert_int_equal(bind_hosting(f->engine, STR("agent"), STR("b2"), NULL, 0, &f->err), 0);
    assert_log(f, "new",
               "none>active rename, active>gone register, gone>active hook, active>gone restart, "
               "gone>active hook, active>gone admin, gone>active hook, active>gone boot");
}

/* Time, duration and incarnation of an entry; a clock that is set back is no negative time. */
static void
test_entry(void **state)
{
    struct fixture *f = *state;
    static const struct clock_source source = {.mono_ns = mono_ns, .wall_ns = wall_ns};
    struct object object;
    struct str *items = NULL;
    size_t count = 0;
    now_ms = INT64_C(1769860800123);
    clock_replace(&source);
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    now_ms += 90061;
    assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
    now_ms -= 1000;
    assert_int_equal(bind(f, "h", "b", "c1", 2, "dev"), 0);
    clock_replace(NULL);
    assert_int_equal(
        object_get(f->store, kind_at(KIND_CONTAINER), STR("dev"), &f->arena, &object, &f->err), 0);
    assert_int_equal(transition_list(f->store, &object, &f->arena, &items, &count), 0);
    static const char *const want[] = {
        "{\"from_status\":\"none\",\"to_status\":\"active\",\"transition_time\":"
        "\"2026-01-31T12:00:00.123Z\",\"duration_ms\":0,\"triggered_by\":\"hook\","
        "\"incarnation\":\"01010101010101010101010101010101\"}",
        "{\"from_status\":\"active\",\"to_status\":\"gone\",\"transition_time\":"
        "\"2026-01-31T12:01:30.184Z\",\"duration_ms\":90061,\"triggered_by\":\"exit\","
        "\"incarnation\":\"01010101010101010101010101010101\"}",
        "{\"from_status\":\"gone\",\"to_status\":\"active\",\"transition_time\":"
        "\"2026-01-31T12:01:29.184Z\",\"duration_ms\":0,\"triggered_by\":\"hook\","
        "\"incarnation\":\"02020202020202020202020202020202\"}",
    };
    assert_int_equal(count, ARRAY_LEN(want));
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(items[i], str_from(want[i])))
            fail_msg("%zu: %.*s", i, STR_ARG(items[i]));
    }
}

/* The last hundred are kept, whatever a container does. */
static void
test_bound(void **state)
{
    struct fixture *f = *state;
    struct str paused[] = {FIRST};
    struct object object;
    struct str *items = NULL;
    size_t count = 0;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    /* of 108 in all the first 8 go: what is left begins with the end of the fourth pause */
    for (size_t i = 0; i < TRANSITIONS_MAX + 7; i++)
        assert_int_equal(amend_paused(f->engine, STR("agent"), paused, i % 2 == 0, &f->err), 0);
    assert_int_equal(
        object_get(f->store, kind_at(KIND_CONTAINER), STR("dev"), &f->arena, &object, &f->err), 0);
    assert_int_equal(transition_list(f->store, &object, &f->arena, &items, &count), 0);
    assert_int_equal(count, TRANSITIONS_MAX);
    assert_true(str_find(items[0], STR("\"from_status\":\"paused\"")) != SIZE_MAX);
    assert_true(str_find(items[count - 1], STR("\"to_status\":\"paused\"")) != SIZE_MAX);
}

/* It goes with its Container; one that is made anew begins with an empty log, also where a row of
 * an older life was left. */
static void
test_deleted(void **state)
{
    struct fixture *f = *state;
    const struct kind *kind = kind_at(KIND_CONTAINER);
    struct str key = object_log_key(kind, STR("dev"), &f->arena);
    struct store_row row;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_int_equal(store_get(f->store, key, &f->arena, &row), 0);
    assert_int_equal(object_delete(f->store, kind, STR("dev"), 0, &f->err), 0);
    settle(f);
    assert_int_equal(f->revoked, 1);
    struct store_row left;
    assert_int_equal(store_get(f->store, key, &f->arena, &left), -ERR_NOT_FOUND);
    const struct store_op old = {.key = key, .value = row.value};
    assert_int_equal(store_commit(f->store, NULL, 0, &old, 1, NULL), 0);
    assert_int_equal(bind(f, "h", "b", "c1", 2, "dev"), 0);
    assert_log(f, "dev", "none>active hook");
}

/* A row that nobody can read stops no container; a commit that fails logs nothing. */
static void
test_faults(void **state)
{
    struct fixture *f = *state;
    struct str key = object_log_key(kind_at(KIND_CONTAINER), STR("dev"), &f->arena);
    const struct store_op odd = {.key = key, .value = STR("{\"uid\":\"")};
    assert_int_equal(store_commit(f->store, NULL, 0, &odd, 1, NULL), 0);
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_log(f, "dev", "none>active hook");
    store_fail_commit(f->store, 1, false);
    assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), -ERR_STORE);
    assert_log(f, "dev", "none>active hook");
}

static void
test_words_of_agents(void **state)
{
    static const struct {
        const char *word;
        enum trigger want;
    } rows[] = {
        {"hook", TRIGGER_hook},    {"events", TRIGGER_events}, {"register", TRIGGER_register},
        {"exit", TRIGGER_exit},    {"agent", TRIGGER_agent},   {"admin", TRIGGER_agent},
        {"wallet", TRIGGER_agent}, {"", TRIGGER_agent},        {"hook ", TRIGGER_agent},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(trigger_of_agent(str_from(rows[i].word)), rows[i].want);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_did_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test(test_words_of_agents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
