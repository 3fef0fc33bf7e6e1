/* SPDX-License-Identifier: MIT
 * movements_test.c - what people moved, told apart from what models cost.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see movements.c. */
#include "controlplane/ledger/ledger_test_rig.h"

#define USD MONEY_NANO_PER_USD

static int
begin(void **state)
{
    (void)setup(state);
    reopen_with(250);
    return 0;
}

static void
deposit(const char *wallet, int64_t usd, const char *key)
{
    struct ledger_receipt receipt;
    assert_int_equal(ledger_deposit(ledger, str_from(wallet), LEDGER_GENERAL,
                                    (struct money){usd * USD}, str_from(key), &receipt, &err),
                     0);
}

/* "kind gross fee reference;" of each, in dollars. */
static const char *
told(const char *wallet, uint64_t after)
{
    struct ledger_movement *rows;
    size_t count;
    struct str text = STR_EMPTY;
    assert_int_equal(ledger_movements(ledger, str_from(wallet), after, &arena, &rows, &count, &err),
                     0);
    for (size_t i = 0; i < count; i++) {
        char gross[32];
        char fee[32];
        money_format(rows[i].gross, gross);
        money_format(rows[i].fee, fee);
        assert_true(rows[i].at_ms > 0);
        text = arena_printf(&arena, "%.*s%s %s %s %.*s%.*s;", STR_ARG(text),
                            ledger_movement_name(rows[i].kind), gross, fee,
                            STR_ARG(rows[i].reference), STR_ARG(rows[i].reason));
    }
    return text.ptr;
}

static void
test_movements(void **state)
{
    (void)state;
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    struct store_cond before;
    struct store_cond after;
    uint64_t id = 7;
    assert_string_equal(told("a", 0), "");
    assert_int_equal(ledger_head(ledger, &before, &id, &err), 0);
    assert_int_equal(id, 0);
    deposit("a", 20, "wire 1");
    deposit("b", 5, "wire 2");
    assert_int_equal(ledger_transfer(ledger, STR("a"), (struct money){10 * USD}, STR("t"),
                                     LEDGER_ANY_FEE, &receipt, &err),
                     0);
    assert_int_equal(lease_want(ledger, STR("n"), 1, STR("a"), (struct money){0},
                                (struct money){USD}, &lease, &err),
                     0);
    assert_int_equal(ledger_adjust(ledger, STR("a"), LEDGER_GENERAL, (struct money){-USD}, STR("r"),
                                   STR(" refund"), &receipt, &err),
                     0);
    deposit("a", 20, "wire 1");
    assert_string_equal(told("a", 0), "deposit 20.00 0.00 wire 1;transfer 10.00 0.25 t;"
                                      "adjustment -1.00 0.00 r refund;");
    assert_string_equal(told("a", 1), "transfer 10.00 0.25 t;adjustment -1.00 0.00 r refund;");
    assert_string_equal(told("a", receipt.transaction), "");
    assert_string_equal(told("b", 0), "deposit 5.00 0.00 wire 2;");
    assert_int_equal(ledger_head(ledger, &after, &id, &err), 0);
    assert_int_equal(id, receipt.transaction);
    const struct store_op op = {.key = STR("x"), .value = STR("1")};
    assert_int_equal(store_commit(store, &before, 1, &op, 1, NULL), -ERR_CONFLICT);
    assert_int_equal(store_commit(store, &after, 1, &op, 1, NULL), 0);
    assert_int_equal(ledger_movements(ledger, STR("a/b"), 0, &arena, NULL, NULL, &err),
                     -ERR_INVALID);
}

/* More than a page of keys, which lie in the order of their hashes. */
static void
test_many(void **state)
{
    (void)state;
    struct ledger_movement *rows;
    size_t count;
    for (unsigned i = 0; i < 1201; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        deposit("a", 1 + i, key);
    }
    assert_int_equal(ledger_movements(ledger, STR("a"), 0, &arena, &rows, &count, &err), 0);
    assert_int_equal(count, 1201);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rows[i].gross.nano, (int64_t)(1 + i) * USD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_movements, begin, teardown),
        cmocka_unit_test_setup_teardown(test_many, begin, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
