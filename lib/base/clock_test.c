/* SPDX-License-Identifier: MIT
 * clock_test.c - both clocks, the test's clock, and RFC 3339.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: mono never goes back. */
#include "lib/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
test_kernel(void **state)
{
    (void)state;
    uint64_t before = clock_mono_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_ns();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_wall_ns() > INT64_C(1700000000) * 1000000000);
}

static uint64_t
fixed_mono(void *user)
{
    return *(const uint64_t *)user;
}

static int64_t
fixed_wall(void *user)
{
    return (int64_t) * (const uint64_t *)user;
}

static void
test_replaced(void **state)
{
    (void)state;
    uint64_t now = 5000000;
    const struct clock_source source = {fixed_mono, fixed_wall, &now};
    clock_replace(&source);
    assert_int_equal(clock_mono_ns(), 5000000);
    assert_int_equal(clock_mono_ms(), 5);
    assert_int_equal(clock_wall_ns(), 5000000);
    now++;
    assert_int_equal(clock_mono_ns(), 5000001);
    clock_replace(NULL);
    assert_true(clock_wall_ns() > 5000001);
}

static void
test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *want;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999999, "1970-01-01T00:00:00.000Z"},
        {1000000, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000000000, "1969-12-31T23:59:59.000Z"},
        {INT64_C(1769860800123000000), "2026-01-31T12:00:00.123Z"},
        {INT64_C(1709164800000000000), "2024-02-29T00:00:00.000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[32];
        clock_format_rfc3339(rows[i].ns, text);
        assert_string_equal(text, rows[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
