/* SPDX-License-Identifier: MIT
 * secret_test.c - secrets in memory and on disk.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: a file that others may read is refused with the command that repairs it. */
#include "lib/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/berth-secret-XXXXXX";
static char path[64];

static int
setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    return snprintf(path, sizeof(path), "%s/key", folder) > 0 ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* fails when a temporary file was left behind */
}

static void
test_memory(void **state)
{
    (void)state;
    struct secret *secret = secret_new(STR("sk-test"));
    assert_non_null(secret);
    assert_true(str_eq(secret_str(secret), STR("sk-test")));
    assert_string_equal(secret_str(secret).ptr, "sk-test");
    secret_free(&secret);
    assert_null(secret);
    secret_free(&secret);
    secret_free(NULL);
    secret = secret_new(STR_EMPTY);
    assert_int_equal(secret_str(secret).len, 0);
    secret_free(&secret);
    assert_null(secret_new(str_make("x", SIZE_MAX)));

    assert_true(secret_eq(STR("abc"), STR("abc")));
    assert_true(secret_eq(STR_EMPTY, str_make(NULL, 0)));
    assert_false(secret_eq(STR("abc"), STR("abd")));
    assert_false(secret_eq(STR("abc"), STR("ab")));
    char bytes[4] = "abc";
    secret_wipe(bytes, sizeof(bytes));
    assert_memory_equal(bytes, "\0\0\0\0", 4);
    secret_wipe(NULL, 0);
}

static void
test_write_then_read(void **state)
{
    (void)state;
    static const struct {
        struct str in, want;
    } rows[] = {
        {{"key", 3}, {"key", 3}},       {{"key\n", 4}, {"key", 3}},   {{"key\r\n", 5}, {"key", 3}},
        {{"key\n\n", 5}, {"key\n", 4}}, {{"", 0}, {"", 0}},           {{"\n", 1}, {"", 0}},
        {{"a\0b", 3}, {"a\0b", 3}},     {{"key\r", 4}, {"key\r", 4}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        struct secret *secret = NULL;
        assert_int_equal(secret_write_file(path, rows[i].in, &err), 0);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777u, 0600);
        assert_int_equal(secret_read_file(path, &secret, &err), 0);
        assert_true(str_eq(secret_str(secret), rows[i].want));
        secret_free(&secret);
    }
}

static void
test_refusals(void **state)
{
    (void)state;
    static char big[65537];
    struct err err = {0};
    struct secret *secret = NULL;
    (void)unlink(path);
    assert_int_equal(secret_read_file(path, &secret, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(secret_read_file(folder, &secret, &err), -ERR_INVALID);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(secret_read_file(path, &secret, &err), -ERR_INVALID);
    (void)unlink(path);
    static const struct {
        mode_t mode;
        int want;
    } rows[] = {{0600, 0},
                {0400, 0},
                {0644, -ERR_PERMISSION},
                {0640, -ERR_PERMISSION},
                {0602, -ERR_PERMISSION}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(secret_write_file(path, STR("key"), &err), 0);
        assert_int_equal(chmod(path, rows[i].mode), 0);
        assert_int_equal(secret_read_file(path, &secret, &err), rows[i].want);
        assert_int_equal(secret != NULL, rows[i].want == 0);
        secret_free(&secret);
    }
    assert_non_null(strstr(err.text, "0602"));
    assert_non_null(strstr(err.text, "chmod 600 /tmp/"));
    assert_int_equal(secret_write_file(path, str_make(big, 65536), &err), 0);
    assert_int_equal(secret_read_file(path, &secret, &err), 0);
    secret_free(&secret);
    assert_int_equal(secret_write_file(path, str_make(big, 65537), &err), 0);
    assert_int_equal(secret_read_file(path, &secret, &err), -ERR_TOO_LARGE);
    assert_int_equal(secret_write_file("/nowhere/at/all", STR("key"), &err), -ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_write_then_read),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
