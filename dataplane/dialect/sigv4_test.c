/* SPDX-License-Identifier: MIT
 * sigv4_test.c - the vendor's examples of signed requests.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: the vendor's signature, and another one for any other byte. */
#include "dataplane/dialect/test_int.h"

#include "dataplane/dialect/sigv4.h"

static void
test_example(void **state)
{
    (void)state;
    /* "post-vanilla" of the vendor's test suite */
    struct sigv4_call call = {
        .key = STR("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        .service = STR("service"),
        .region = STR("us-east-1"),
        .host = STR("example.amazonaws.com"),
        .path = STR("/"),
        .body = STR_EMPTY,
        .now_s = 1440938160,
    };
    struct sigv4_fields fields;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    assert_int_equal(sigv4_sign(&call, &arena, &fields), 0);
    assert_str(fields.date, STR("20150830T123600Z"));
    assert_str(fields.authorization,
               STR("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                   "aws4_request, SignedHeaders=host;x-amz-date, Signature="
                   "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
    assert_int_equal(fields.token.len, 0);
    struct str before = fields.authorization;
    call.body = STR("{}");
    assert_int_equal(sigv4_sign(&call, &arena, &fields), 0);
    assert_false(str_eq(before, fields.authorization));
    call.key = STR("A:b:session");
    assert_int_equal(sigv4_sign(&call, &arena, &fields), 0);
    assert_str(fields.token, STR("session"));
    assert_true(str_find(fields.authorization, STR(";x-amz-security-token,")) != SIZE_MAX);
    call.key = STR("api-key");
    assert_int_equal(sigv4_sign(&call, &arena, &fields), -ERR_INVALID);
    arena_fini(&arena);
}

static void
test_names(void **state)
{
    (void)state;
    assert_true(sigv4_is_key(STR("A:b")) && sigv4_is_key(STR("A:b:c")));
    assert_false(sigv4_is_key(STR("abc")) || sigv4_is_key(STR(":b")) || sigv4_is_key(STR("a:")));
    assert_str(sigv4_region(STR("bedrock-runtime.eu-west-3.amazonaws.com")), STR("eu-west-3"));
    assert_str(sigv4_region(STR("127.0.0.1")), STR("us-east-1"));
    assert_str(sigv4_region(STR("localhost")), STR("us-east-1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_example),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
