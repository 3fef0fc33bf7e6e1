/* SPDX-License-Identifier: MIT
 * fund_figures_test.c - what a hold and its capture cost a request, in process.
 * Floor: dataplane/view tests.
 * Owns: nothing.
 * Invariant: half of them within a microsecond (BERTH_FIGURES=full; else ten: slow machines). */
#include "dataplane/view/fund.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/clock.h"

enum { TIMES = 20000, EACH = 16 };

static int
by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void
test_hold_and_capture(void **state)
{
    static uint64_t ns[TIMES];
    struct funds funds;
    (void)state;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("default"));
    fund_grant(fund, INT64_MAX / 4, FUND_OK);
    for (size_t i = 0; i < TIMES; i++) {
        uint64_t began = clock_mono_ns();
        for (size_t k = 0; k < EACH; k++) {
            assert_int_equal(fund_hold(fund, 12345), 0);
            fund_capture(fund, 12345, 678);
        }
        ns[i] = (clock_mono_ns() - began) / EACH;
    }
    assert_true(atomic_load(&fund->spent) == (int64_t)TIMES * EACH * 678);
    qsort(ns, TIMES, sizeof ns[0], by_size);
    print_message("| hold + capture | p50 %llu ns | p99 %llu ns |\n",
                  (unsigned long long)ns[TIMES / 2], (unsigned long long)ns[TIMES / 100 * 99]);
    assert_true(ns[TIMES / 2] <= (getenv("BERTH_FIGURES") != NULL ? 1000 : 10000));
    funds_fini(&funds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hold_and_capture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
