/* SPDX-License-Identifier: MIT
 * buf_test.c - growth, caps and the sticky failure.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: a failed append leaves every byte as it was. */
#include "lib/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/err.h"

static void
test_appends(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    assert_string_equal(buf_cstr(&buf), "");
    assert_int_equal(buf_str(&buf).len, 0);
    assert_int_equal(buf_put_str(&buf, STR("a")), 0);
    assert_int_equal(buf_put_byte(&buf, 'b'), 0);
    assert_int_equal(buf_put_u64(&buf, UINT64_MAX), 0);
    assert_int_equal(buf_put_i64(&buf, INT64_MIN), 0);
    assert_int_equal(buf_put_i64(&buf, 0), 0);
    assert_int_equal(buf_printf(&buf, "<%s %d>", "x", 5), 0);
    assert_int_equal(buf_printf(&buf, "%s", ""), 0);
    assert_int_equal(buf_put(&buf, NULL, 0), 0);
    assert_string_equal(buf_cstr(&buf), "ab18446744073709551615-92233720368547758080<x 5>");
    assert_false(buf.failed);
    buf_consume(&buf, 2);
    assert_true(str_starts(buf_str(&buf), STR("1844")));
    buf_consume(&buf, buf.len);
    assert_string_equal(buf_cstr(&buf), "");
    buf_fini(&buf);
    buf_fini(&buf);
    buf_fini(NULL);
}

static void
test_cap(void **state)
{
    (void)state;
    static const struct {
        size_t max, first, more;
        int want;
    } rows[] = {
        {1, 1, 0, 0},
        {1, 1, 1, -ERR_TOO_LARGE},
        {1, 0, 2, -ERR_TOO_LARGE},
        {64, 64, 0, 0},
        {65, 64, 1, 0},
        {65, 64, 2, -ERR_TOO_LARGE},
        {100, 99, 1, 0},
        {100, 100, 1, -ERR_TOO_LARGE},
        {8, 4, SIZE_MAX, -ERR_TOO_LARGE},
    };
    static const char bytes[128];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf buf;
        buf_init(&buf, rows[i].max);
        assert_int_equal(buf_put(&buf, bytes, rows[i].first), 0);
        assert_int_equal(buf_reserve(&buf, rows[i].more), rows[i].want);
        assert_int_equal(buf.failed, rows[i].want != 0);
        assert_int_equal(buf.len, rows[i].first);
        assert_true(buf.cap <= buf.max);
        buf_fini(&buf);
    }
}

static void
test_failure_is_sticky_and_changes_nothing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 4);
    assert_int_equal(buf_put_str(&buf, STR("abc")), 0);
    assert_int_equal(buf_put_str(&buf, STR("de")), -ERR_TOO_LARGE);
    assert_int_equal(buf_printf(&buf, "%d", 12), -ERR_TOO_LARGE);
    assert_true(buf.failed);
    assert_string_equal(buf_cstr(&buf), "abc");
    assert_int_equal(buf_put_byte(&buf, 'd'), 0);
    assert_true(buf.failed);
    assert_string_equal(buf_cstr(&buf), "abcd");
    buf_fini(&buf);
    assert_false(buf.failed);
}

static void
test_printf_grows_over_every_boundary(void **state)
{
    (void)state;
    for (int width = 1; width < 300; width++) {
        struct buf buf;
        buf_init(&buf, 512);
        assert_int_equal(buf_put_str(&buf, STR("0123456789")), 0);
        assert_int_equal(buf_printf(&buf, "%*d", width, 7), 0);
        assert_int_equal(buf.len, (size_t)width + 10);
        assert_int_equal(buf_cstr(&buf)[width + 9], '7');
        buf_fini(&buf);
    }
}

static void
test_wipe(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    buf_wipe(&buf);
    assert_int_equal(buf_put_str(&buf, STR("secret")), 0);
    buf_wipe(&buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.len, 0);
    buf_wipe(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_failure_is_sticky_and_changes_nothing),
        cmocka_unit_test(test_printf_grows_over_every_boundary),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
