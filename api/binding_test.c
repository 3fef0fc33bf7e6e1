/* SPDX-License-Identifier: MIT
 * binding_test.c - bindings survive the wire, and a changed byte does not verify.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see binding.h. */
#include "api/binding.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct binding
sample(void)
{
    struct binding binding = {
        .server = STR("0123456789abcdef0123456789abcdef"),
        .host = STR("host-1"),
        .boot = STR("b-1"),
        .runtime = STR("podman"),
        .container_id = STR("c0ffee"),
        .name = STR("dev-env"),
        .number = 18446744073709551615u,
        .wallet = STR("default"),
        .attestors = STR("netns+cgroup,netns"),
        .netns_cookie = 9007199254740993u,
        .cgroup_id = 77,
        .issued_ms = 1790000000000,
    };
    memset(binding.incarnation, 0xab, sizeof binding.incarnation);
    return binding;
}

static void
test_sign_and_parse_back(void **state)
{
    (void)state;
    struct ed25519_key *key = NULL;
    uint8_t public_key[ED25519_KEY_BYTES];
    assert_int_equal(ed25519_generate(&key), 0);
    ed25519_public(key, public_key);
    struct binding binding = sample();
    assert_int_equal(binding_sign(&binding, key), 0);
    struct buf text;
    buf_init(&text, 8192);
    assert_int_equal(binding_put_json(&binding, true, &text), 0);
    struct json_doc doc;
    json_init(&doc);
    struct err err = {0};
    assert_int_equal(json_scan(&doc, buf_str(&text), NULL, &err), 0);
    struct arena arena;
    arena_init(&arena, 65536);
    struct binding back;
    assert_int_equal(binding_parse(&doc, 0, &arena, &back, &err), 0);
    assert_int_equal(binding_verify(&back, public_key), 0);
    assert_true(back.netns_cookie == 9007199254740993u);
    assert_true(str_eq(back.name, STR("dev-env")));
    struct binding forged = back;
    forged.name = STR("dev-envy");
    assert_int_equal(binding_verify(&forged, public_key), -ERR_SIGNATURE);
    forged = back;
    forged.number = 1;
    assert_int_equal(binding_verify(&forged, public_key), -ERR_SIGNATURE);
    forged = back;
    forged.incarnation[3] ^= 1;
    assert_int_equal(binding_verify(&forged, public_key), -ERR_SIGNATURE);
    public_key[0] ^= 1;
    assert_int_equal(binding_verify(&back, public_key), -ERR_SIGNATURE);
    arena_fini(&arena);
    json_fini(&doc);
    buf_fini(&text);
    ed25519_free(&key);
}

static void
test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"[]", "object"},
        {"{}", "missing"},
        {"{\"host\":1}", "host"},
        {"{\"host\":\"a\\u0007\"}", "host"},
        {"{\"number\":\"-1\"}", "number"},
        {"{\"number\":5}", "number"},
        {"{\"incarnation\":\"00\"}", "incarnation"},
        {"{\"hots\":\"x\"}", "hots"},
        {"{\"issued_ms\":-4}", "issued_ms"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct err err = {0};
        struct binding binding;
        json_init(&doc);
        arena_init(&arena, 65536);
        assert_int_equal(json_scan(&doc, str_from(rows[i].text), NULL, &err), 0);
        assert_true(binding_parse(&doc, 0, &arena, &binding, &err) < 0);
        assert_non_null(strstr(err.text, rows[i].want));
        arena_fini(&arena);
        json_fini(&doc);
    }
}

static void
test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool want;
    } rows[] = {{"dev-env", true}, {"a", true},   {"A_9", true},  {"7up", true},
                {"", false},       {"17", false}, {"a.b", false}, {"a b", false},
                {"a/b", false},    {"é", false},  {"-", true},    {"a\n", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(binding_valid_name(str_from(rows[i].name)), rows[i].want);
    char name[101];
    memset(name, 'x', sizeof name);
    assert_true(binding_valid_name(str_make(name, 100)));
    assert_false(binding_valid_name(str_make(name, 101)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_and_parse_back),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
