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

static const char *const pseudo[] = {":method", ":scheme", ":authority", ":path"};

/* The verdict on a head whose field `n` has the byte `c` in a value of `len` bytes. */
static unsigned
verdict(struct list *spare, size_t n, unsigned c, size_t len)
{
    static const char *const usual[] = {"GET", "http", "a", "/"};
    struct h2_fields *fields = h2_fields_get(spare);
    struct http_head head = {0};
    char value[40];
    memset(value, 'a', sizeof value);
    value[0] = n == 3 ? '/' : 'a';
    value[1 + (len * 7 + c) % (len - 1)] = (char)c;
    for (size_t i = 0; i < ARRAY_LEN(pseudo); i++)
        h2_fields_add(fields, str_from(pseudo[i]),
                      i == n ? str_make(value, len) : str_from(usual[i]));
    unsigned got = h2_fields_request(fields, &head);
    h2_fields_put(spare, fields);
    return got;
}

/* Long values are judged byte by byte, short ones in blocks: the verdict is the same. */
static void
test_every_byte_in_every_length(void **state)
{
    (void)state;
    struct list spare;
    list_init(&spare);
    for (size_t n = 0; n < ARRAY_LEN(pseudo); n++) {
        for (unsigned c = 0; c < 256; c++) {
            unsigned want = 0;
            for (size_t len = 40; len >= 2; len--) {
                unsigned got = verdict(&spare, n, c, len);
                want = len == 40 ? got : want;
                if (got != want)
                    fail_msg("%s, byte %u, length %zu: %u, not %u", pseudo[n], c, len, got, want);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_every_byte_in_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
