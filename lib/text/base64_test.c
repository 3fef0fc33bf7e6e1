/* SPDX-License-Identifier: MIT
 * base64_test.c - RFC 4648 section 10 vectors, and what strict decoding refuses.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves base64.h. */
#include "lib/text/base64.h"

#include "lib/text/test_int.h"

struct row {
    const char *text;
    const char *bytes; /* NULL: refused */
    bool url;
};

static const struct row rows[] = {
    {"", "", false},
    {"Zg==", "f", false},
    {"Zm8=", "fo", false},
    {"Zm9v", "foo", false},
    {"Zm9vYg==", "foob", false},
    {"Zm9vYmE=", "fooba", false},
    {"Zm9vYmFy", "foobar", false},
    {"Zg", "f", true},
    {"Zm8", "fo", true},
    {"Zm9vYg", "foob", true},
    {"-_-_", "\xfb\xff\xbf", true},
    {"+/+/", "\xfb\xff\xbf", false},
    {"Zg", NULL, false},
    {"Zg=", NULL, false},
    {"Zg===", NULL, false},
    {"Z===", NULL, false},
    {"====", NULL, false},
    {"Zh==", NULL, false}, /* stray bits */
    {"Zm9=", NULL, false},
    {"Zh", NULL, true},
    {"Z", NULL, true},
    {"Zg==", NULL, true},
    {"Zm9v\n", NULL, false},
    {"Zm 9v", NULL, false},
    {"-_-_", NULL, false},
    {"+/+/", NULL, true},
    {"Zg==Zg==", NULL, false},
};

static void
vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 64);
        buf_put_str(&out, STR("x"));
        int rc = base64_decode(&out, str_from(rows[i].text), rows[i].url);
        TEST_CODE_EQ(rows[i].text, rc, rows[i].bytes != NULL ? 0 : -ERR_PARSE);
        TEST_STR_EQ(str_skip(buf_str(&out), 1), str_from(rows[i].bytes ? rows[i].bytes : ""));
        if (rows[i].bytes != NULL) {
            out.len = 0;
            assert_int_equal(base64_put(&out, str_from(rows[i].bytes), rows[i].url), 0);
            TEST_STR_EQ(buf_str(&out), str_from(rows[i].text));
        }
        buf_fini(&out);
    }
}

static void
cap_is_exact(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 5);
    assert_int_equal(base64_decode(&out, STR("Zm9vYmE="), false), 0);
    assert_int_equal(base64_decode(&out, STR("Zg=="), false), -ERR_TOO_LARGE);
    assert_int_equal(out.len, 5);
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(cap_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
