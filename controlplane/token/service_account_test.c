/* SPDX-License-Identifier: MIT
 * service_account_test.c - key files that are read or refused, and a claim that the public half of
 *                          the key verifies. Floor: controlplane/token, tests.
 * Owns: nothing.
 * Invariant: no message quotes the file. */
#include "controlplane/token/token_test_rig.h"

#include <string.h>

static void
files_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *want;
        int code;
    } rows[] = {
        {"no JSON", "{\"type\"", "not JSON", -ERR_PARSE},
        {"a user's credentials", "{\"type\":\"authorized_user\",\"client_id\":\"x\"}",
         "no service account's", -ERR_INVALID},
        {"no e-mail", "{\"type\":\"service_account\",\"private_key\":\"k\",\"token_uri\":\"u\"}",
         "client_email", -ERR_INVALID},
        {"no key", "{\"type\":\"service_account\",\"client_email\":\"e\",\"token_uri\":\"u\"}",
         "private_key", -ERR_INVALID},
        {"an empty key",
         "{\"type\":\"service_account\",\"client_email\":\"e\",\"private_key\":\"\"}",
         "private_key", -ERR_INVALID},
        {"a number for an address",
         "{\"type\":\"service_account\",\"client_email\":\"e\",\"private_key\":\"k\","
         "\"token_uri\":1}",
         "token_uri", -ERR_INVALID},
        {"the type twice", "{\"type\":\"service_account\",\"type\":\"x\"}", "not JSON", -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct service_account account;
        struct arena arena;
        struct err err = {0};
        arena_init(&arena, 65536);
        int code = service_account_read(str_from(rows[i].text), &arena, &account, &err);
        if (code != rows[i].code || strstr(err.text, rows[i].want) == NULL)
            fail_msg("%s: %d %s", rows[i].name, code, err.text);
        arena_fini(&arena);
    }
    assert_true(service_account_is(STR(" {\"type\":\"service_account\"}")));
    assert_false(service_account_is(STR("AIzaSyExample")));
    assert_false(service_account_is(STR("")));
}

static void
keys_that_do_not_sign(void **state)
{
    (void)state;
    char *small = rig_rsa_key(1024);
    char *curve = rig_curve_key();
    const char *const keys[] = {"no PEM", small, curve};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct service_account account = {.email = STR("e"),
                                                .token_url = STR("https://t.example/token"),
                                                .private_key = str_from(keys[i])};
        struct arena arena;
        struct str claim;
        struct err err = {0};
        arena_init(&arena, 65536);
        assert_int_equal(service_account_claim(&account, 1, &arena, &claim, &err), -ERR_INVALID);
        assert_non_null(strstr(err.text, "2048 bits"));
        arena_fini(&arena);
    }
    free(small);
    free(curve);
}

static void
claim_verifies(void **state)
{
    (void)state;
    struct service_account account;
    struct arena arena;
    struct str claim;
    struct str head;
    struct str claims;
    struct str signature;
    struct err err = {0};
    char *pem = rig_rsa_key(2048);
    char *file = rig_key_file(pem, "https://t.example/token");
    arena_init(&arena, 65536);
    assert_int_equal(service_account_read(str_from(file), &arena, &account, &err), 0);
    assert_int_equal(service_account_claim(&account, 1700000000, &arena, &claim, &err), 0);
    assert_true(str_cut(claim, '.', &head, &claims));
    assert_true(str_cut(claims, '.', &claims, &signature));
    rig_want_decoded(head, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid-1\"}");
    rig_want_decoded(claims, "{\"iss\":\"berth@p.example\",\"scope\":"
                             "\"https://www.googleapis.com/auth/cloud-platform\",\"aud\":"
                             "\"https://t.example/token\",\"iat\":1700000000,\"exp\":1700003600}");
    assert_true(rig_verifies(pem, str_make(claim.ptr, head.len + 1 + claims.len), signature));
    assert_false(rig_verifies(pem, str_make(claim.ptr, head.len + claims.len), signature));
    arena_fini(&arena);
    free(pem);
    free(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_that_are_none),
                                       cmocka_unit_test(keys_that_do_not_sign),
                                       cmocka_unit_test(claim_verifies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
