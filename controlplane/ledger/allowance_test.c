/* SPDX-License-Identifier: MIT
 * allowance_test.c - AI money between a wallet and one that it feeds, as both see it.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see allowance.c. */
#include "controlplane/ledger/ledger_test_rig.h"

static int
begin(void **state)
{
    struct ledger_receipt receipt;
    (void)setup(state);
    return ledger_deposit(ledger, STR("main"), LEDGER_AI, (struct money){100}, STR("d"), &receipt,
                          &err);
}

/* "moved short main ci", nano. */
static const char *
allow(int64_t target)
{
    struct ledger_balances from;
    struct ledger_balances to;
    struct money moved;
    bool missing;
    int r = ledger_allow(ledger, STR("main"), STR("ci"), (struct money){target}, &moved, &missing,
                         &err);
    if (r < 0)
        return err_name(r);
    assert_int_equal(ledger_balances(ledger, STR("main"), &from, &err), 0);
    assert_int_equal(ledger_balances(ledger, STR("ci"), &to, &err), 0);
    return arena_printf(&arena, "%lld %d %lld %lld", (long long)moved.nano, missing,
                        (long long)from.ai_remaining.nano, (long long)to.ai_remaining.nano)
        .ptr;
}

static void
test_allow(void **state)
{
    (void)state;
    struct ledger_lease lease;
    assert_string_equal(allow(30), "30 0 70 30");
    assert_string_equal(allow(30), "0 0 70 30");
    assert_string_equal(allow(10), "-20 0 90 10");
    assert_string_equal(allow(200), "90 1 0 100");
    assert_int_equal(lease_want(ledger, STR("n"), 1, STR("ci"), (struct money){0},
                                (struct money){60}, &lease, &err),
                     0);
    /* lent money counts as there, and stays */
    assert_string_equal(allow(100), "0 0 0 100");
    assert_string_equal(allow(0), "-40 1 40 60");
    assert_string_equal(allow(-1), "INVALID");
    struct money moved;
    bool missing;
    assert_int_equal(
        ledger_allow(ledger, STR("ci"), STR("ci"), (struct money){1}, &moved, &missing, &err),
        -ERR_INVALID);
    store_fail_commit(store, 1, false);
    assert_string_equal(allow(70), "STORE");
    assert_string_equal(allow(70), "10 0 30 70");
}

static void
test_movements(void **state)
{
    (void)state;
    static const struct {
        const char *wallet;
        const char *want;
    } rows[] = {{"ci", "30 main 30;-20 main 10;"}, {"main", "-30 ci 70;20 ci 90;"}};
    (void)allow(30);
    (void)allow(10);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_movement *found;
        size_t count;
        struct str text = STR_EMPTY;
        assert_int_equal(
            ledger_movements(ledger, str_from(rows[i].wallet), 1, &arena, &found, &count, &err), 0);
        for (size_t j = 0; j < count; j++)
            text = arena_printf(&arena, "%.*s%lld %.*s %lld;", STR_ARG(text),
                                (long long)found[j].gross.nano, STR_ARG(found[j].reference),
                                (long long)found[j].ai.nano);
        assert_string_equal(text.ptr, rows[i].want);
        assert_int_equal(
            ledger_movements(ledger, str_from(rows[i].wallet), 2, &arena, &found, &count, &err), 0);
        assert_int_equal(count, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_allow, begin, audited_teardown),
        cmocka_unit_test_setup_teardown(test_movements, begin, audited_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
