/* SPDX-License-Identifier: MIT
 * bind_test.c - the race table of identities that the control plane decides (IDENTITY 7).
 * Floor: controlplane/reconcile tests.
 * Owns: nothing.
 * Invariant: see bind.h. */
#include "controlplane/reconcile/bind_test_rig.h"

static void
test_bind_signs_and_records(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev-env"), 0);
    assert_int_equal(binding_verify(&f->row->binding, f->engine->public_key), 0);
    assert_true(str_eq(f->row->binding.wallet, STR("default")));
    assert_true(f->row->binding.number == 1);
    assert_true(f->row->binding.issued_ms > 0);
    assert_true(str_eq(status_of(f, "dev-env", "state"), STR("active")));
    assert_true(str_eq(status_of(f, "dev-env", "number"), STR("1")));
    assert_true(str_eq(status_of(f, "dev-env", "attestor"), STR("netns+cgroup")));
    assert_int_equal(f->bound, 1);
    settle(f);
    assert_int_equal(f->revoked, 0);
    assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
    assert_true(str_eq(status_of(f, "dev-env", "state"), STR("gone")));
    assert_true(str_eq(status_of(f, "dev-env", "reason"), STR("unbound")));
    assert_null(bindings_find(&f->engine->bindings, STR("01010101010101010101010101010101")));
    /* data planes refuse it for ever: a late repeat must not look like a success */
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev-env"), -ERR_REVOKED);
    assert_string_equal(f->code, "revoked");
}

/* The number sticks to the name, grows, and is never given to another name. */
static void
test_numbers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "a"), 0);
    assert_int_equal(bind(f, "h", "b", "c2", 2, "b"), 0);
    assert_true(f->row->binding.number == 2);
    struct binding_row *first =
        bindings_find(&f->engine->bindings, STR("01010101010101010101010101010101"));
    assert_int_equal(bind_revoke(f->engine, first, "gone", &f->err), 0);
    assert_int_equal(bind(f, "h", "b", "c3", 3, "c"), 0);
    assert_true(f->row->binding.number == 3);
    assert_int_equal(bind(f, "h", "b", "c4", 4, "a"), 0);
    assert_true(f->row->binding.number == 1);
    /* the object's deletion does not free the number either */
    assert_int_equal(object_delete(f->store, kind_at(KIND_CONTAINER), STR("b"), 0, &f->err), 0);
    settle(f);
    assert_int_equal(bind(f, "h", "b", "c5", 5, "b"), 0);
    assert_true(f->row->binding.number == 2);
}

static void
test_unnamed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "a"), 0);
    assert_int_equal(bind(f, "h", "b", "c2", 2, ""), 0);
    assert_true(str_eq(f->row->binding.name, STR("2")) && f->row->binding.number == 2);
    /* the same container again: the same number, the old life ends */
    assert_int_equal(bind(f, "h", "b", "c2", 3, ""), 0);
    assert_true(str_eq(f->row->binding.name, STR("2")));
    assert_int_equal(f->revoked, 1);
    assert_int_equal(bind(f, "h", "b", "c3", 4, "2"), -ERR_INVALID);
    assert_string_equal(f->code, "invalid_name");
}

static void
test_refusals(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a.b", "a b", "17", "a/b", "container\n"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(bind(f, "h", "b", "c", 1, names[i]), -ERR_INVALID);
        assert_string_equal(f->code, "invalid_name");
    }
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_int_equal(bind(f, "h", "b", "c2", 2, "dev"), -ERR_EXISTS);
    assert_string_equal(f->code, "name_in_use");
    /* somebody else's incarnation */
    assert_int_equal(bind(f, "h", "b", "c2", 1, "x"), -ERR_EXISTS);
    assert_string_equal(f->code, "conflict");
    assert_int_equal(f->revoked, 0);
}

/* What may replace: the same container, another boot; what may coexist: another host. */
static void
test_replacing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    struct binding_row *row = f->row;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0); /* repeated request */
    assert_ptr_equal(row, f->row);
    assert_int_equal(f->bound, 1);
    assert_int_equal(bind(f, "h", "b", "c1", 2, "dev"), 0); /* restarted container */
    assert_int_equal(f->revoked, 1);
    assert_int_equal(bind(f, "other", "b2", "c9", 3, "dev"), 0);
    assert_int_equal(f->revoked, 1);
    assert_int_equal(bind(f, "h", "b-after-reboot", "c7", 4, "dev"), 0);
    assert_int_equal(f->revoked, 2);
    assert_int_equal(f->engine->bindings.by_hex.count, 2);
}

/* A Container that may not use AI starts all the same; deleting its object ends what is live. */
static void
test_ai_off(void **state)
{
    struct fixture *f = *state;
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {ai: false, wallet: team}\n");
    assert_int_equal(bind(f, "h", "b", "c1", 1, "dev"), 0);
    assert_int_equal(f->row->suspended, SUSPENDED_AI_OFF);
    assert_int_equal(f->bound, 0);
    assert_true(str_eq(f->row->binding.wallet, STR("team")));
    assert_true(str_eq(status_of(f, "dev", "state"), STR("suspended")));
    settle(f);
    assert_int_equal(object_delete(f->store, kind_at(KIND_CONTAINER), STR("dev"), 0, &f->err), 0);
    settle(f);
    assert_int_equal(f->revoked, 1);
    assert_true(str_eq(status_of(f, "dev", "state"), STR("(no object)")));
}

static void
test_hosting(void **state)
{
    struct fixture *f = *state;
    const struct str alive[] = {STR("02020202020202020202020202020202")};
    assert_int_equal(bind(f, "h", "b", "c1", 1, "a"), 0);
    assert_int_equal(bind(f, "h", "b", "c2", 2, "b"), 0);
    assert_int_equal(bind_hosting(f->engine, STR("other-agent"), STR("b"), NULL, 0, &f->err), 0);
    assert_int_equal(f->revoked, 0);
    assert_int_equal(bind_hosting(f->engine, STR("agent"), STR("b"), alive, 1, &f->err), 0);
    assert_int_equal(f->revoked, 1);
    assert_true(str_eq(status_of(f, "a", "state"), STR("gone")));
    assert_true(str_eq(status_of(f, "b", "state"), STR("active")));
    assert_int_equal(bind_hosting(f->engine, STR("agent"), STR("b-2"), alive, 1, &f->err), 0);
    assert_int_equal(f->revoked, 2);
    assert_true(str_eq(status_of(f, "b", "reason"), STR("rebooted")));
}

/* A new process has the same bindings; a failed commit has neither row nor number nor status. */
static void
test_restart_and_failure(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bind(f, "h", "b", "c1", 1, "a"), 0);
    store_fail_commit(f->store, 1, false);
    assert_int_equal(bind(f, "h", "b", "c2", 2, "b"), -ERR_STORE);
    assert_string_equal(f->code, "store");
    assert_true(str_eq(status_of(f, "b", "state"), STR("(no object)")));
    engine_free(&f->engine);
    start(f);
    assert_int_equal(f->engine->bindings.by_hex.count, 1);
    struct binding_row *row =
        bindings_find(&f->engine->bindings, STR("01010101010101010101010101010101"));
    assert_non_null(row);
    assert_int_equal(binding_verify(&row->binding, f->engine->public_key), 0);
    assert_true(str_eq(row->node, STR("agent")));
    assert_int_equal(bind(f, "h", "b", "c2", 2, "b"), 0);
    assert_true(f->row->binding.number == 2);
    store_fail_commit(f->store, 1, false);
    assert_int_equal(bind_revoke(f->engine, f->row, "revoked", &f->err), -ERR_STORE);
    assert_int_equal(f->engine->bindings.by_hex.count, 2);
}

/* A runtime's list says again and again what runs: that life stays revoked, the next does not. */
static void
test_revoked_stays_revoked(void **state)
{
    struct fixture *f = *state;
    static const char *const reasons[] = {"revoked", "deleted"};
    uint8_t incarnation = 1;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        assert_int_equal(bind(f, "h", "b", "c1", incarnation++, "a"), 0);
        assert_int_equal(bind_revoke(f->engine, f->row, reasons[i], &f->err), 0);
        assert_int_equal(bind_life(f, "h", "b", "c1", incarnation++, "a", 1, TRIGGER_events),
                         -ERR_REVOKED);
        assert_string_equal(f->code, "revoked");
        engine_free(&f->engine);
        start(f);
        /* by another name neither; another container of that name is another one */
        assert_int_equal(bind_life(f, "h", "b", "c1", incarnation++, "x", 1, TRIGGER_events),
                         -ERR_REVOKED);
        assert_int_equal(bind_life(f, "h", "b", "c2", incarnation++, "a", 2, TRIGGER_events), 0);
        assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
        assert_int_equal(bind_life(f, "h", "b", "c2", incarnation++, "a", 2, TRIGGER_events), 0);
        assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
        /* started again: its network namespace is another, or its hook asks */
        if (i == 0)
            assert_int_equal(bind_life(f, "h", "b", "c1", incarnation++, "a", 3, TRIGGER_events),
                             0);
        else
            assert_int_equal(bind(f, "h", "b", "c1", incarnation++, "a"), 0);
        assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
        assert_int_equal(bind_life(f, "h", "b", "c1", incarnation++, "a", 1, TRIGGER_events), 0);
        assert_int_equal(bind_revoke(f->engine, f->row, "unbound", &f->err), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bind_signs_and_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unnamed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replacing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ai_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_and_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoked_stays_revoked, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
