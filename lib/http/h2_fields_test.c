/* SPDX-License-Identifier: MIT
 * h2_fields_test.c - heads out of header blocks: what is taken, joined, dropped, refused, bounded.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: server_h2_test.c shows the same rules on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/http/h2_fields.h"

static const struct {
    const char *name;
    const char *fields; /* lines "name=value" */
    unsigned want;
    const char *authority;
    uint32_t field_count;
} rows[] = {
    {"simple", ":method=GET\n:scheme=http\n:authority=a\n:path=/\nx-a=1", 0, "a", 1},
    {"host only", ":method=GET\n:scheme=http\n:path=/\nhost=h:80", 0, "h:80", 0},
    {"host in other case", ":method=GET\n:scheme=http\n:authority=A\n:path=/\nhost=a", 0, "A", 0},
    {"host differs", ":method=GET\n:scheme=http\n:authority=a\n:path=/\nhost=b", 400, "", 0},
    {"two hosts", ":method=GET\n:scheme=http\n:path=/\nhost=b\nhost=b", H2_FIELDS_RESET, "", 0},
    {"userinfo", ":method=GET\n:scheme=http\n:authority=u@a\n:path=/", 400, "", 0},
    {"no authority", ":method=GET\n:scheme=http\n:path=/", 400, "", 0},
    {"options *", ":method=OPTIONS\n:scheme=http\n:authority=a\n:path=*", 0, "a", 0},
    {"get *", ":method=GET\n:scheme=http\n:authority=a\n:path=*", H2_FIELDS_RESET, "", 0},
    {"fragment", ":method=GET\n:scheme=http\n:authority=a\n:path=/#x", H2_FIELDS_RESET, "", 0},
    {"scheme with ://", ":method=GET\n:scheme=http://x\n:authority=a\n:path=/", H2_FIELDS_RESET, "",
     0},
    {"method with parens", ":method=G(T\n:scheme=http\n:authority=a\n:path=/", H2_FIELDS_RESET, "",
     0},
    {"protocol", ":method=GET\n:scheme=http\n:authority=a\n:path=/\n:protocol=websocket",
     H2_FIELDS_RESET, "", 0},
    {"connect", ":method=CONNECT\n:authority=a", 405, "", 0},
    {"cookies", ":method=GET\n:scheme=http\n:authority=a\n:path=/\ncookie=a\nx-b=2\ncookie=b", 0,
     "a", 2},
    {"dropped", ":method=GET\n:scheme=http\n:authority=a\n:path=/\nx_y=1\nproxy-x=1\nte=trailers",
     0, "a", 0},
    {"length", ":method=PUT\n:scheme=http\n:authority=a\n:path=/\ncontent-length=12", 0, "a", 0},
    {"length 012", ":method=PUT\n:scheme=http\n:authority=a\n:path=/\ncontent-length=012", 400, "",
     0},
};

static unsigned
parse(struct h2_fields *fields, const char *text, struct http_head *head)
{
    struct str rest = str_from(text);
    while (rest.len > 0) {
        struct str line;
        struct str name;
        struct str value;
        (void)str_cut(rest, '\n', &line, &rest);
        (void)str_cut(line, '=', &name, &value);
        h2_fields_add(fields, name, value);
    }
    return h2_fields_request(fields, head);
}

static void
test_rows(void **state)
{
    (void)state;
    struct list spare;
    list_init(&spare);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct h2_fields *fields = h2_fields_get(&spare);
        struct http_head head = {0};
        unsigned got = parse(fields, rows[i].fields, &head);
        if (got != rows[i].want || head.field_count != rows[i].field_count ||
            !str_eq(head.authority, str_from(rows[i].authority)))
            fail_msg("%s: %u, %u fields", rows[i].name, got, head.field_count);
        if (strcmp(rows[i].name, "cookies") == 0)
            assert_true(str_eq(http_field_get(&head, STR("cookie")), STR("a; b")));
        if (strcmp(rows[i].name, "length") == 0)
            assert_int_equal(head.content_length, 12);
        h2_fields_put(&spare, fields);
    }
    h2_fields_free_all(&spare);
}

/* Long values are judged byte by byte, short ones in blocks: the verdict is the same. */
static void
test_every_byte_in_every_length(void **state)
{
    (void)state;
    struct list spare;
    list_init(&spare);
    static const char *const names[] = {":method", ":scheme", ":authority", ":path"};
    static const char *const usual[] = {"GET", "http", "a", "/"};
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        for (unsigned c = 0; c < 256; c++) {
            unsigned want = 0;
            for (size_t len = 40; len >= 2; len--) {
                struct h2_fields *fields = h2_fields_get(&spare);
                struct http_head head = {0};
                char value[40];
                memset(value, 'a', sizeof value);
                value[0] = n == 3 ? '/' : 'a';
                value[1 + (len * 7 + c) % (len - 1)] = (char)c;
                for (size_t i = 0; i < ARRAY_LEN(names); i++)
                    h2_fields_add(fields, str_from(names[i]),
                                  i == n ? str_make(value, len) : str_from(usual[i]));
                unsigned got = h2_fields_request(fields, &head);
                want = len == 40 ? got : want;
                if (got != want)
                    fail_msg("%s, byte %u, length %zu: %u, not %u", names[n], c, len, got, want);
                h2_fields_put(&spare, fields);
            }
        }
    }
    h2_fields_free_all(&spare);
}

static void
test_limits(void **state)
{
    (void)state;
    struct list spare;
    list_init(&spare);
    static char value[4096];
    memset(value, 'v', sizeof value);
    static const char *const names[] = {"x-a", "cookie", ":path", "content-length"};
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        for (size_t len = 0; len <= sizeof value; len += sizeof value) {
            struct h2_fields *fields = h2_fields_get(&spare);
            struct http_head head = {0};
            for (unsigned i = 0; i < 20000; i++)
                h2_fields_add(fields, str_from(names[n]), str_make(value, len));
            assert_int_equal(h2_fields_request(fields, &head), 431);
            assert_true(fields->text_bytes <= HTTP_HEAD_BYTES_MAX);
            h2_fields_put(&spare, fields);
        }
    }
    h2_fields_free_all(&spare);
}

static void
test_secrets_are_not_indexed(void **state)
{
    (void)state;
    static const char *const never[] = {
        "authorization", "set-cookie",      "cookie",       "api-key",
        "x-api-key",     "x-goog-api-key",  "x-berth-cost", "proxy-authorization",
        "x-request-id",  "idempotency-key", "tracestate",   "x-client-request-id",
        "traceparent",   "request-id",
    };
    static const char *const always[] = {"accept", "date", "content-type", ":status", "x-other"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_true(h2_fields_nv(str_from(never[i]), STR("x")).flags & NGHTTP2_NV_FLAG_NO_INDEX);
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        assert_false(h2_fields_nv(str_from(always[i]), STR("x")).flags & NGHTTP2_NV_FLAG_NO_INDEX);
}

/* nghttp2 keeps the pointer of a name that it does not copy: it must not be the caller's. */
static void
test_names_that_are_kept_are_static(void **state)
{
    (void)state;
    static const char *const names[] = {
        ":status",    ":method",      ":scheme",        ":path",          ":authority",
        "date",       "accept",       "cookie",         "api-key",        "x-api-key",
        "user-agent", "request-id",   "tracestate",     "set-cookie",     "traceparent",
        "x-other",    "content-type", "x-request-id",   "x-berth-cost",   "authorization",
        "etag",       "retry-after",  "content-length", "x-goog-api-key", "anthropic-version",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char copy[32];
        assert_true(str_copy(copy, sizeof copy, str_from(names[i])));
        nghttp2_nv nv = h2_fields_nv(str_from(copy), STR("x"));
        memset(copy, '#', strlen(names[i]));
        assert_int_equal(nv.namelen, strlen(names[i]));
        if ((nv.flags & NGHTTP2_NV_FLAG_NO_COPY_NAME) != 0)
            assert_memory_equal(nv.name, names[i], nv.namelen);
        else
            assert_ptr_equal(nv.name, copy);
        assert_false(nv.flags & NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    }
}

/* What a peer sees: the name of an id crosses the wire once, a credential enters no table. */
static void
test_seeded_names_are_sent_once(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool shorter;
    } names[] = {
        {"x-request-id", true},
        {"request-id", true},
        {"x-client-request-id", true},
        {"x-berth-cost", true},
        {"authorization", false},
        {"x-api-key", false},
        {"api-key", false},
        {"cookie", false},
        {"set-cookie", false},
        {"x-goog-api-key", false},
        {"traceparent", false},
        {"idempotency-key", false},
        {"proxy-authorization", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        nghttp2_hd_deflater *deflater = NULL;
        ssize_t bytes[3];
        uint8_t out[256];
        assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
        for (size_t block = 0; block < ARRAY_LEN(bytes); block++) {
            nghttp2_nv nv = h2_fields_nv(str_from(names[i].name), STR("req_0123456789abcdefghij"));
            if (block == 1)
                h2_fields_seed(&nv, 1);
            bytes[block] = nghttp2_hd_deflate_hd(deflater, out, sizeof out, &nv, 1);
            assert_true(bytes[block] > 0);
        }
        assert_int_equal(nghttp2_hd_deflate_get_num_table_entries(deflater),
                         names[i].shorter ? 62 : 61);
        if (names[i].shorter)
            assert_true(bytes[2] < bytes[0]);
        else
            assert_int_equal(bytes[2], bytes[0]);
        nghttp2_hd_deflate_del(deflater);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeded_names_are_sent_once),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_every_byte_in_every_length),
        cmocka_unit_test(test_secrets_are_not_indexed),
        cmocka_unit_test(test_names_that_are_kept_are_static),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
