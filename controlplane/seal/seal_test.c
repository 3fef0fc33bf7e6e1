/* SPDX-License-Identifier: MIT
 * seal_test.c - what opens, and what must not.
 * Floor: controlplane/seal; test.
 * Owns: a temporary folder.
 * Invariant: every changed byte, another row and another key are refused; files have mode 0600. */
#include "controlplane/seal/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/secret.h"

static void
test_round_trip_and_damage(void **state)
{
    const uint8_t key[SEAL_KEY_BYTES] = {7};
    const uint8_t other_key[SEAL_KEY_BYTES] = {8};
    struct seal *seal = NULL;
    struct seal *other = NULL;
    struct arena arena;
    struct str sealed;
    struct str again;
    struct str text;
    (void)state;
    arena_init(&arena, 1u << 22);
    assert_int_equal(seal_from_key(key, &seal), 0);
    assert_int_equal(seal_from_key(other_key, &other), 0);
    assert_int_equal(seal_close(seal, STR("secrets/a"), STR("sk-key"), &arena, &sealed), 0);
    assert_int_equal(seal_close(seal, STR("secrets/a"), STR("sk-key"), &arena, &again), 0);
    assert_false(str_eq(sealed, again));
    assert_true(seal_is_sealed(sealed) && !seal_is_sealed(STR("sk-key")));
    assert_true(str_find(sealed, STR("sk-key")) == SIZE_MAX);
    assert_int_equal(seal_open(seal, STR("secrets/a"), sealed, &arena, &text), 0);
    assert_true(str_eq(text, STR("sk-key")));
    assert_int_equal(seal_open(seal, STR("secrets/b"), sealed, &arena, &text), -ERR_SIGNATURE);
    assert_int_equal(seal_open(other, STR("secrets/a"), sealed, &arena, &text), -ERR_SIGNATURE);
    assert_int_equal(seal_open(seal, STR("secrets/a"), STR("sk-key"), &arena, &text), -ERR_PARSE);
    char *bytes = arena_alloc(&arena, sealed.len);
    assert_non_null(bytes);
    for (size_t i = 0; i < sealed.len; i++) {
        memcpy(bytes, sealed.ptr, sealed.len);
        bytes[i] = bytes[i] == 'A' ? 'B' : 'A';
        assert_true(seal_open(seal, STR("secrets/a"), str_make(bytes, sealed.len), &arena, &text) <
                    0);
        assert_true(seal_open(seal, STR("secrets/a"), str_make(sealed.ptr, i), &arena, &text) < 0);
    }
    arena_fini(&arena);
    seal_free(&seal);
    seal_free(&other);
}

static void
test_files(void **state)
{
    char folder[] = "/tmp/berth-seal.XXXXXX";
    char key[64];
    char phrase[64];
    char salt[64];
    struct stat info;
    struct err err = {0};
    struct arena arena;
    struct str sealed;
    struct str text;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(key, sizeof key, "%s/key", folder);
    (void)snprintf(phrase, sizeof phrase, "%s/phrase", folder);
    (void)snprintf(salt, sizeof salt, "%s/salt", folder);
    assert_int_equal(secret_write_file(phrase, STR("correct horse battery"), &err), 0);
    arena_init(&arena, 1u << 20);
    for (int by_phrase = 0; by_phrase < 2; by_phrase++) {
        struct seal *first = NULL;
        struct seal *second = NULL;
        assert_int_equal(by_phrase ? seal_from_passphrase(phrase, salt, &first, &err)
                                   : seal_from_file(key, &first, &err),
                         0);
        assert_int_equal(by_phrase ? seal_from_passphrase(phrase, salt, &second, &err)
                                   : seal_from_file(key, &second, &err),
                         0);
        assert_int_equal(seal_close(first, STR("n"), STR("t"), &arena, &sealed), 0);
        assert_int_equal(seal_open(second, STR("n"), sealed, &arena, &text), 0);
        seal_free(&first);
        seal_free(&second);
    }
    struct seal *seal = NULL;
    assert_int_equal(stat(key, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(chmod(key, 0640), 0);
    assert_int_equal(seal_from_file(key, &seal, &err), -ERR_PERMISSION);
    assert_int_equal(secret_write_file(key, STR("beef"), &err), 0);
    assert_int_equal(seal_from_file(key, &seal, &err), -ERR_PARSE);
    assert_int_equal(secret_write_file(phrase, STR("short"), &err), 0);
    assert_int_equal(seal_from_passphrase(phrase, salt, &seal, &err), -ERR_INVALID);
    assert_null(strstr(err.text, "short\""));
    arena_fini(&arena);
    assert_int_equal(unlink(key) | unlink(phrase) | unlink(salt) | rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip_and_damage),
                                       cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
