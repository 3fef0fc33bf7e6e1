/* SPDX-License-Identifier: MIT
 * fund_test.c - leased money is never overspent, at any concurrency.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see fund.h. */
#include "dataplane/view/fund.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/err.h"

static void
holds_and_captures(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("default"));
    assert_ptr_equal(fund, funds_get(&funds, STR("default")));
    assert_int_equal(fund_hold(fund, 1), -ERR_OVERDRAWN);
    assert_true(fund_should_ask(fund));
    assert_false(fund_should_ask(fund)); /* asked already */
    fund_grant(fund, 1000, FUND_OK);
    assert_int_equal(fund_hold(fund, 600), 0);
    assert_int_equal(fund_hold(fund, 600), -ERR_OVERDRAWN);
    fund_capture(fund, 600, 250);
    assert_int_equal(atomic_load(&fund->available), 750);
    assert_int_equal(atomic_load(&fund->spent), 250);
    assert_int_equal(fund_hold(fund, 750), 0);
    fund_capture(fund, 750, 0);
    fund_grant(fund, 900, FUND_OK); /* an old word: granted never shrinks */
    assert_int_equal(atomic_load(&fund->available), 750);
    fund_grant(fund, 1500, FUND_FROZEN);
    assert_int_equal(fund_hold(fund, 1), -ERR_PERMISSION);
    funds_fini(&funds);
}

#define THREADS 4
#define ROUNDS 50000

static void *
spend(void *arg)
{
    struct fund *fund = arg;
    int64_t spent = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (fund_hold(fund, 10) != 0)
            continue;
        fund_capture(fund, 10, 7);
        spent += 7;
    }
    return (void *)(intptr_t)spent; /* NOLINT(performance-no-int-to-ptr) */
}

static void
many_threads_cannot_overspend(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("w"));
    fund_grant(fund, 1000000, FUND_OK);
    pthread_t threads[THREADS];
    int64_t total = 0;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend, fund), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        total += (int64_t)(intptr_t)result;
    }
    assert_true(total <= 1000000);
    assert_true(total > 1000000 - 10); /* and nothing got lost on the way */
    assert_int_equal(atomic_load(&fund->available), 1000000 - total);
    assert_int_equal(atomic_load(&fund->held), 0);
    funds_fini(&funds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_and_captures),
        cmocka_unit_test(many_threads_cannot_overspend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
