/* SPDX-License-Identifier: MIT
 * histogram_test.c - quantiles against a sorted array.
 * Floor: tools/load, test.
 * Owns: nothing.
 * Invariant: histogram.h. */
#include "tools/load/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/rand.h"

#define COUNT 20000u

static int
compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void
test_quantiles(void **state)
{
    static const uint64_t scales[] = {200, 300, 100000, 50000000, 900000000000};
    static const uint32_t quantiles[] = {0, 1, 50000, 90000, 99000, 99900, 100000};
    static struct histogram histogram;
    static uint64_t values[COUNT];
    (void)state;
    rand_seed(7);
    for (size_t s = 0; s < ARRAY_LEN(scales); s++) {
        histogram = (struct histogram){0};
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = rand_below(scales[s]) + 1;
            histogram_add(&histogram, values[i]);
        }
        qsort(values, COUNT, sizeof(values[0]), compare);
        for (size_t q = 0; q < ARRAY_LEN(quantiles); q++) {
            size_t rank = ((size_t)quantiles[q] * COUNT + 99999) / 100000;
            uint64_t want = values[rank > 0 ? rank - 1 : 0];
            uint64_t got = histogram_quantile(&histogram, quantiles[q]);
            assert_true(got >= want);
            assert_true(got <= want + want / 127 + 1);
        }
        assert_int_equal(histogram_quantile(&histogram, 100000), values[COUNT - 1]);
    }
    rand_seed(0);
}

static void
test_edges(void **state)
{
    static struct histogram histogram;
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 50000), 0);
    assert_int_equal(histogram_mean(&histogram), 0);
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram_quantile(&histogram, 50000), UINT64_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
