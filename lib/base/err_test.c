/* SPDX-License-Identifier: MIT
 * err_test.c - codes, names, texts and the errno table.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: every row of errors.def has a name and a sentence. */
#include "lib/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

static void
test_set(void **state)
{
    (void)state;
    struct err err = {.line = 9, .column = 9};
    assert_int_equal(err_set(&err, ERR_PARSE, "bad %s at %d", "comma", 7), -ERR_PARSE);
    assert_int_equal(err.code, ERR_PARSE);
    assert_int_equal(err.line, 0);
    assert_int_equal(err.column, 0);
    assert_string_equal(err.text, "bad comma at 7");

    assert_int_equal(err_set_at(&err, ERR_RANGE, 3, 14, "too big"), -ERR_RANGE);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 14);

    assert_int_equal(err_set(NULL, ERR_IO, "nobody reads this"), -ERR_IO);
    assert_int_equal(err_set_errno(NULL, ENOENT, "nor this"), -ERR_NOT_FOUND);
}

static void
test_long_text_is_cut(void **state)
{
    (void)state;
    struct err err;
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(err_set(&err, ERR_IO, "%s", text), -ERR_IO);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES_MAX - 1);
    assert_int_equal(err_set_errno(&err, EIO, "%s", text), -ERR_SYSTEM);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES_MAX - 1);
}

static void
test_errno(void **state)
{
    (void)state;
    static const struct {
        int number;
        int want;
    } rows[] = {
        {ENOENT, ERR_NOT_FOUND},     {EACCES, ERR_PERMISSION}, {EPERM, ERR_PERMISSION},
        {EADDRINUSE, ERR_IN_USE},    {ENOSPC, ERR_NO_SPACE},   {EDQUOT, ERR_NO_SPACE},
        {ECONNREFUSED, ERR_REFUSED}, {EEXIST, ERR_EXISTS},     {ENOMEM, ERR_NOMEM},
        {ETIMEDOUT, ERR_TIMEOUT},    {EIO, ERR_SYSTEM},        {100000, ERR_SYSTEM},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err;
        assert_int_equal(err_set_errno(&err, rows[i].number, "open %s", "/x"), -rows[i].want);
        assert_int_equal(err.code, rows[i].want);
        assert_int_equal(strncmp(err.text, "open /x: ", 9), 0);
        assert_true(strlen(err.text) > 9);
    }
}

static void
test_names(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *want;
    } rows[] = {
        {ERR_NOT_FOUND, "NOT_FOUND"}, {-ERR_NOT_FOUND, "NOT_FOUND"}, {ERR_NOMEM, "NOMEM"},
        {ERR_CODE_END, "UNKNOWN"},    {-ERR_CODE_END, "UNKNOWN"},    {0, "NONE"},
        {INT_MAX, "UNKNOWN"},         {INT_MIN, "UNKNOWN"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(err_name(rows[i].code), rows[i].want);
    for (int code = 1; code < ERR_CODE_END; code++) {
        assert_string_not_equal(err_name(code), "UNKNOWN");
        assert_true(strlen(err_text(-code)) > 3);
    }
    assert_string_equal(err_text(INT_MIN), "unknown error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
