/* SPDX-License-Identifier: MIT
 * uri_test.c - URLs, authorities, targets and queries: what is taken apart, what is refused.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves uri.h. */
#include "lib/text/uri.h"

#include "lib/text/test_int.h"

#define LABEL63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

static const struct {
    const char *text;
    const char *want; /* scheme host port path query; NULL: refused */
} url_rows[] = {
    {"http://a", "http a 80 / "},
    {"https://api.openai.com/v1", "https api.openai.com 443 /v1 "},
    {"HTTPS://Api.Example:8443/a/b?x=1&y=%20", "https Api.Example 8443 /a/b x=1&y=%20"},
    {"http://127.0.0.1:80", "http 127.0.0.1 80 / "},
    {"http://[::1]:8080/x", "http ::1 8080 /x "},
    {"http://[::ffff:127.0.0.1]", "http ::ffff:127.0.0.1 80 / "},
    {"http://a_b-c.d:65535?q", "http a_b-c.d 65535 / q"},
    {"http://a/?q?r/s", "http a 80 / q?r/s"},
    {"http://" LABEL63 ".x", "http " LABEL63 ".x 80 / "},
    {"", NULL},
    {"http:", NULL},
    {"http://", NULL},
    {"http:///x", NULL},
    {"ftp://a", NULL},
    {"//a/b", NULL},
    {"a/b", NULL},
    {" http://a", NULL},
    {"http://a ", NULL},
    {"http://a/b c", NULL},
    {"http://a/\x01", NULL},
    {"http://a/\xc3\xa9", NULL},
    {"http://a/x#y", NULL},
    {"http://a#y", NULL},
    {"http://u@a", NULL},
    {"http://u:p@a", NULL},
    {"http://a:0", NULL},
    {"http://a:", NULL},
    {"http://a:65536", NULL},
    {"http://a:080", NULL},
    {"http://a:+80", NULL},
    {"http://a:8 0", NULL},
    {"http://a:80:80", NULL},
    {"http://127.1", NULL},
    {"http://127.0.0.01", NULL},
    {"http://256.0.0.1", NULL},
    {"http://1.2.3.4.5", NULL},
    {"http://2130706433", NULL},
    {"http://0x7f.1", NULL},
    {"http://0x7f000001", NULL},
    {"http://a.0x10", NULL},
    {"http://::1", NULL},
    {"http://[::1", NULL},
    {"http://[::1]80", NULL},
    {"http://[::1]x:80", NULL},
    {"http://[fe80::1%25eth0]", NULL},
    {"http://[127.0.0.1]", NULL},
    {"http://[]", NULL},
    {"http://a..b", NULL},
    {"http://.a", NULL},
    {"http://a.", NULL},
    {"http://-a", NULL},
    {"http://a-.b", NULL},
    {"http://a%41", NULL},
    {"http://a\\b", NULL},
    {"http://a/%", NULL},
    {"http://a/%4", NULL},
    {"http://a/%zz", NULL},
    {"http://a/\\", NULL},
    {"http://a/<x>", NULL},
    {"http://" LABEL63 "d.x", NULL},
};

static void
urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(url_rows); i++) {
        struct uri uri;
        struct err err = {0};
        int rc = uri_parse(str_from(url_rows[i].text), &uri, &err);
        TEST_CODE_EQ(url_rows[i].text, rc, url_rows[i].want != NULL ? 0 : -ERR_PARSE);
        if (rc != 0) {
            assert_true(err.text[0] != '\0');
            continue;
        }
        char got[256];
        (void)snprintf(got, sizeof(got), "%s %.*s %u %.*s %.*s", uri.https ? "https" : "http",
                       STR_ARG(uri.host), uri.port, STR_ARG(uri.path), STR_ARG(uri.query));
        assert_string_equal(got, url_rows[i].want);
    }
    char big[2049];
    memset(big, '/', sizeof(big));
    for (size_t i = 0; i < 8; i++) {
        big[i] = "http://a"[i];
    }
    struct uri uri;
    assert_int_equal(uri_parse(str_make(big, 2048), &uri, NULL), 0);
    assert_int_equal(uri_parse(str_make(big, 2049), &uri, NULL), -ERR_TOO_LARGE);
    assert_int_equal(uri_parse(STR("http://a\0b"), &uri, NULL), -ERR_PARSE);
    assert_int_equal(uri_parse(STR("http://a/\0b"), &uri, NULL), -ERR_PARSE);
}

static void
authorities(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a:1", "a.b:65535", "1.2.3.4", "[::1]", "[::1]:80"};
    static const char *const bad[] = {"",    ":80",  "a:",  "a:0",  "a/b",    "u@a",
                                      "a b", "a\tb", "a,b", "a:1x", "[::1]:", "[::1]a"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(uri_valid_authority(str_from(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(uri_valid_authority(str_from(bad[i])));
    }
}

static void
targets(void **state)
{
    (void)state;
    struct str path;
    struct str query;
    assert_true(uri_split_target(STR("/a/b?x=1?2"), &path, &query));
    TEST_STR_EQ(path, STR("/a/b"));
    TEST_STR_EQ(query, STR("x=1?2"));
    assert_true(uri_split_target(STR("/"), &path, &query));
    assert_int_equal(query.len, 0);
    static const struct str bad[] = {{"", 0},      {"a", 1},     {"*", 1},
                                     {"/a b", 4},  {"/\0", 2},   {"/a\r\n", 4},
                                     {"/\x7f", 2}, {"/\x80", 2}, {"http://a/", 9}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(uri_split_target(bad[i], &path, &query));
    }
}

static void
plain_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"/",      "/a",          "/a/b.c", "/a/...",
                                       "/a%20b", "/v1beta/m:x", "/.a"};
    static const char *const bad[] = {"",       "a",       "//",      "/a/",   "/a//b",
                                      "/.",     "/..",     "/a/../b", "/a/.",  "/a%2fb",
                                      "/a%2Fb", "/%2e%2e", "/a%2E",   "/a%00", "/a%5c",
                                      "/a\\b",  "/%",      "/%4",     "/a/%2e"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(uri_path_is_plain(str_from(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (uri_path_is_plain(str_from(bad[i]))) {
            fail_msg("%s is not plain", bad[i]);
        }
    }
}

static void
decoding_and_queries(void **state)
{
    (void)state;
    struct arena arena;
    struct str s;
    arena_init(&arena, 4096);
    assert_int_equal(uri_decode(STR("a%20b+c%C3%a9"), &arena, &s), 0);
    TEST_STR_EQ(s, STR("a b+c\xc3\xa9"));
    struct buf encoded;
    buf_init(&encoded, 64);
    uri_encode(&encoded, str_make("a/Z-_.~ :\xc3%\0", 12), "/");
    TEST_STR_EQ(buf_str(&encoded), STR("a/Z-_.~%20%3A%C3%25%00"));
    buf_fini(&encoded);
    assert_int_equal(uri_decode(STR("%00"), &arena, &s), -ERR_PARSE);
    assert_int_equal(uri_decode(STR("%4"), &arena, &s), -ERR_PARSE);
    assert_int_equal(uri_decode(STR("%"), &arena, &s), -ERR_PARSE);
    assert_int_equal(uri_decode(STR("%g0"), &arena, &s), -ERR_PARSE);
    arena_fini(&arena);
    struct str query = STR("a=1&b&=x&a=2&c=d=e&");
    assert_true(uri_query_get(query, STR("a"), &s));
    TEST_STR_EQ(s, STR("1"));
    assert_true(uri_query_get(query, STR("b"), &s));
    TEST_STR_EQ(s, STR(""));
    assert_true(uri_query_get(query, STR("c"), &s));
    TEST_STR_EQ(s, STR("d=e"));
    assert_false(uri_query_get(query, STR("d"), &s));
    assert_false(uri_query_get(STR(""), STR(""), &s));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(authorities),
        cmocka_unit_test(targets),
        cmocka_unit_test(plain_paths),
        cmocka_unit_test(decoding_and_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
