/* SPDX-License-Identifier: MIT
 * num_test.c - every edge of the number parsers.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: a failure leaves the output alone. */
#include "lib/base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/err.h"

static void
test_u64(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        uint64_t max, want;
        int want_err;
    } rows[] = {
        {{"0", 1}, UINT64_MAX, 0, 0},
        {{"7", 1}, 7, 7, 0},
        {{"8", 1}, 7, 0, -ERR_RANGE},
        {{"18446744073709551615", 20}, UINT64_MAX, UINT64_MAX, 0},
        {{"18446744073709551616", 20}, UINT64_MAX, 0, -ERR_RANGE},
        {{"99999999999999999999", 20}, UINT64_MAX, 0, -ERR_RANGE},
        {{"100000000000000000000000000000000000000000", 42}, UINT64_MAX, 0, -ERR_RANGE},
        {{"9999999999999999999999x", 23}, UINT64_MAX, 0, -ERR_PARSE},
        {{"", 0}, UINT64_MAX, 0, -ERR_PARSE},
        {{NULL, 0}, UINT64_MAX, 0, -ERR_PARSE},
        {{"00", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{"01", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{"+1", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{"-1", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{" 1", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{"1 ", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{"1\0", 2}, UINT64_MAX, 0, -ERR_PARSE},
        {{"0x1", 3}, UINT64_MAX, 0, -ERR_PARSE},
        {{"1e3", 3}, UINT64_MAX, 0, -ERR_PARSE},
        {{"1.0", 3}, UINT64_MAX, 0, -ERR_PARSE},
        {{"\xd9\xa1", 2}, UINT64_MAX, 0, -ERR_PARSE}, /* an Arabic one */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(num_u64(rows[i].in, rows[i].max, &value), rows[i].want_err);
        assert_int_equal(value, rows[i].want_err == 0 ? rows[i].want : 4711);
    }
}

static void
test_i64(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int64_t min, max, want;
        int want_err;
    } rows[] = {
        {"0", INT64_MIN, INT64_MAX, 0, 0},
        {"-0", INT64_MIN, INT64_MAX, 0, -ERR_PARSE},
        {"-1", INT64_MIN, INT64_MAX, -1, 0},
        {"-1", 0, INT64_MAX, 0, -ERR_RANGE},
        {"6", 0, 5, 0, -ERR_RANGE},
        {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, 0},
        {"9223372036854775808", INT64_MIN, INT64_MAX, 0, -ERR_RANGE},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, 0},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, 0, -ERR_RANGE},
        {"-", INT64_MIN, INT64_MAX, 0, -ERR_PARSE},
        {"--1", INT64_MIN, INT64_MAX, 0, -ERR_PARSE},
        {"-01", INT64_MIN, INT64_MAX, 0, -ERR_PARSE},
        {"", INT64_MIN, INT64_MAX, 0, -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = 4711;
        assert_int_equal(num_i64(str_from(rows[i].in), rows[i].min, rows[i].max, &value),
                         rows[i].want_err);
        assert_int_equal(value, rows[i].want_err == 0 ? rows[i].want : 4711);
    }
}

static void
test_hex(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        uint64_t want;
        int want_err;
    } rows[] = {
        {"0", 0, 0},
        {"00fF", 255, 0},
        {"ffffffffffffffff", UINT64_MAX, 0},
        {"", 0, -ERR_PARSE},
        {"g", 0, -ERR_PARSE},
        {"00000000000000000", 0, -ERR_PARSE},
        {"0x1", 0, -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(num_hex_u64(str_from(rows[i].in), &value), rows[i].want_err);
        assert_int_equal(value, rows[i].want_err == 0 ? rows[i].want : 4711);
    }
}

static void
test_units(void **state)
{
    (void)state;
    typedef int (*parse_fn)(struct str s, uint64_t max, uint64_t * ret_value);
    static const struct {
        parse_fn parse;
        const char *in;
        uint64_t max, want;
        int want_err;
    } rows[] = {
        {num_duration_ms, "250ms", UINT64_MAX, 250, 0},
        {num_duration_ms, "30s", UINT64_MAX, 30000, 0},
        {num_duration_ms, "5m", UINT64_MAX, 300000, 0},
        {num_duration_ms, "2h", UINT64_MAX, 7200000, 0},
        {num_duration_ms, "1d", UINT64_MAX, 86400000, 0},
        {num_duration_ms, "15", UINT64_MAX, 15000, 0},
        {num_duration_ms, "0", UINT64_MAX, 0, 0},
        {num_duration_ms, "1s", 999, 0, -ERR_RANGE},
        {num_duration_ms, "18446744073709551615ms", UINT64_MAX, UINT64_MAX, 0},
        {num_duration_ms, "18446744073709551615s", UINT64_MAX, 0, -ERR_RANGE},
        {num_duration_ms, "1.5s", UINT64_MAX, 0, -ERR_PARSE},
        {num_duration_ms, "1 s", UINT64_MAX, 0, -ERR_PARSE},
        {num_duration_ms, "s", UINT64_MAX, 0, -ERR_PARSE},
        {num_duration_ms, "", UINT64_MAX, 0, -ERR_PARSE},
        {num_duration_ms, "1h30m", UINT64_MAX, 0, -ERR_PARSE},
        {num_duration_ms, "-1s", UINT64_MAX, 0, -ERR_PARSE},
        {num_duration_ms, "1S", UINT64_MAX, 0, -ERR_PARSE},
        {num_size_bytes, "512", UINT64_MAX, 512, 0},
        {num_size_bytes, "64KiB", UINT64_MAX, 65536, 0},
        {num_size_bytes, "10M", UINT64_MAX, 10485760, 0},
        {num_size_bytes, "1GiB", UINT64_MAX, 1073741824, 0},
        {num_size_bytes, "17179869184G", UINT64_MAX, 0, -ERR_RANGE},
        {num_size_bytes, "2K", 2047, 0, -ERR_RANGE},
        {num_size_bytes, "1KB", UINT64_MAX, 0, -ERR_PARSE},
        {num_size_bytes, "1k", UINT64_MAX, 0, -ERR_PARSE},
        {num_size_bytes, "K", UINT64_MAX, 0, -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;
        int r = rows[i].parse(str_from(rows[i].in), rows[i].max, &value);
        assert_int_equal(r, rows[i].want_err);
        assert_int_equal(value, rows[i].want_err == 0 ? rows[i].want : 4711);
    }
}

static void
test_write_and_read_back(void **state)
{
    (void)state;
    uint64_t value = 1;
    for (int i = 0; i < 64; i++, value = value * 3 + (uint64_t)i) {
        char text[20];
        uint64_t back = ~value;
        struct str s = str_make(text, num_write_u64(text, value));
        assert_int_equal(num_u64(s, UINT64_MAX, &back), 0);
        assert_int_equal(back, value);
    }
    char text[20];
    assert_int_equal(num_write_u64(text, 0), 1);
    assert_int_equal(text[0], '0');
    assert_int_equal(num_write_u64(text, UINT64_MAX), 20);
    /* Around each power of ten, where the count of digits changes. */
    for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10) {
        for (uint64_t n = power * 10 - 2; n <= power * 10 + 2; n++) {
            char want[24];
            int len = snprintf(want, sizeof want, "%" PRIu64, n);
            assert_int_equal(num_write_u64(text, n), len);
            assert_memory_equal(text, want, (size_t)len);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_write_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
