/* SPDX-License-Identifier: MIT
 * keyring_test.c - the server's keys on disk: first start, rotation, crashes between two files.
 * Floor: controlplane/reconcile tests.
 * Owns: nothing.
 * Invariant: see keyring.h. */
#include "controlplane/reconcile/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/check.h"
#include "lib/base/secret.h"

struct fixture {
    char dir[64];
    char key_path[96];
    char pub_path[96];
    struct keyring keyring;
    struct err err;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){.dir = "/tmp/berth-keyring-test-XXXXXX"};
    *state = f;
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->key_path, sizeof f->key_path, "%.63s/server.key", f->dir);
    (void)snprintf(f->pub_path, sizeof f->pub_path, "%.63s/server.pub", f->dir);
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    keyring_close(&f->keyring);
    (void)unlink(f->key_path);
    (void)unlink(f->pub_path);
    return rmdir(f->dir);
}

static void
reopen(struct fixture *f)
{
    keyring_close(&f->keyring);
    if (keyring_open(&f->keyring, f->dir, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static void
test_first_start(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    uint8_t first[ED25519_KEY_BYTES];
    uint8_t public[ED25519_KEY_BYTES];
    reopen(f);
    assert_int_equal(f->keyring.count, 1);
    ed25519_public(f->keyring.key, public);
    assert_memory_equal(f->keyring.accepted[0], public, sizeof public);
    assert_int_equal(stat(f->key_path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    memcpy(first, f->keyring.accepted[0], sizeof first);
    reopen(f);
    assert_memory_equal(f->keyring.accepted[0], first, sizeof first);
    assert_int_equal(unlink(f->pub_path), 0); /* it can be made again */
    reopen(f);
    assert_memory_equal(f->keyring.accepted[0], first, sizeof first);
    assert_int_equal(access(f->pub_path, F_OK), 0);
    assert_int_equal(chmod(f->key_path, 0644), 0);
    keyring_close(&f->keyring);
    assert_int_equal(keyring_open(&f->keyring, f->dir, &f->err), -ERR_PERMISSION);
}

static void
test_rotate(void **state)
{
    struct fixture *f = *state;
    uint8_t first[ED25519_KEY_BYTES];
    uint8_t second[ED25519_KEY_BYTES];
    reopen(f);
    memcpy(first, f->keyring.accepted[0], sizeof first);
    assert_int_equal(keyring_rotate(&f->keyring, &f->err), 0);
    assert_int_equal(f->keyring.count, 2);
    memcpy(second, f->keyring.accepted[0], sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_equal(f->keyring.accepted[1], first, sizeof first);
    reopen(f);
    assert_int_equal(f->keyring.count, 2);
    assert_memory_equal(f->keyring.accepted[0], second, sizeof second);
    assert_memory_equal(f->keyring.accepted[1], first, sizeof first);
    assert_int_equal(keyring_rotate(&f->keyring, &f->err), 0);
    assert_int_equal(keyring_rotate(&f->keyring, &f->err), 0);
    assert_int_equal(keyring_rotate(&f->keyring, &f->err), -ERR_CONFLICT);
    assert_int_equal(f->keyring.count, KEYRING_KEYS_MAX);
    assert_memory_equal(f->keyring.accepted[3], first, sizeof first);
    assert_int_equal(keyring_retire(&f->keyring, &f->err), 0);
    reopen(f);
    assert_int_equal(f->keyring.count, 1);
}

/* The process died after server.pub was written and before server.key was: the key that nobody has
 * is accepted beside the one that signs, and goes with the next retirement. */
static void
test_crash_between(void **state)
{
    struct fixture *f = *state;
    CLEANUP(secret_free) struct secret *before = NULL;
    uint8_t first[ED25519_KEY_BYTES];
    reopen(f);
    memcpy(first, f->keyring.accepted[0], sizeof first);
    assert_int_equal(secret_read_file(f->key_path, &before, &f->err), 0);
    assert_int_equal(keyring_rotate(&f->keyring, &f->err), 0);
    assert_int_equal(secret_write_file(f->key_path, secret_str(before), &f->err), 0);
    reopen(f);
    assert_memory_equal(f->keyring.accepted[0], first, sizeof first);
    assert_int_equal(f->keyring.count, 2);
}

static void
test_bad_files(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "x", "00", "zz\n", "0011\n22"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(secret_write_file(f->key_path, str_from(bad[i]), &f->err), 0);
        assert_int_equal(keyring_open(&f->keyring, f->dir, &f->err), -ERR_PARSE);
        assert_null(f->keyring.key);
    }
    assert_int_equal(unlink(f->key_path), 0);
    assert_int_equal(secret_write_file(f->pub_path, STR("nonsense\n"), &f->err), 0);
    assert_int_equal(keyring_open(&f->keyring, f->dir, &f->err), -ERR_PARSE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
