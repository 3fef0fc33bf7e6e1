/* SPDX-License-Identifier: MIT
 * h1_chunked_test.c - chunked bodies: whole, byte by byte, and refused.
 * Floor: tests of lib/http.
 * Owns: nothing.
 * Invariant: HARDENING H1-06 to H1-11; how the bytes are split changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/http/h1.h"

#define ZEROS_16 "0000000000000000"

static const struct {
    const char *name;
    struct str input;
    struct str body;
    size_t rest; /* bytes left behind the body */
    int want;    /* -ERR_AGAIN: more is needed */
} rows[] = {
    {"one chunk", STR("5\r\nhello\r\n0\r\n\r\n"), STR("hello"), 0, 0},
    {"two chunks", STR("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), STR("hello!"), 0, 0},
    {"hex", STR("00000A\r\n0123456789\r\n0\r\n\r\n"), STR("0123456789"), 0, 0},
    {"CR and LF inside", STR("4\r\n\r\n\r\n\r\n0\r\n\r\n"), STR("\r\n\r\n"), 0, 0},
    {"empty", STR("0\r\n\r\n"), STR(""), 0, 0},
    {"many zeros end it", STR("000\r\n\r\n"), STR(""), 0, 0},
    {"next request stays", STR("0\r\n\r\nGET /"), STR(""), 5, 0},
    {"H1-09 extension", STR("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n"), STR("hello"), 0, 0},
    {"H1-10 trailers", STR("1\r\na\r\n0\r\nContent-Length: 5\r\nHost: x\r\n\r\n"), STR("a"), 0, 0},
    {"cut in a size", STR("5"), STR(""), 0, -ERR_AGAIN},
    {"cut in a chunk", STR("5\r\nhel"), STR("hel"), 0, -ERR_AGAIN},
    {"cut before the end", STR("5\r\nhello\r\n0\r\n"), STR("hello"), 0, -ERR_AGAIN},
    {"H1-06 no size", STR("\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 plus", STR("+5\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 minus", STR("-1\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 0x", STR("0x5\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 underscore", STR("1_0\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 space before", STR(" 5\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 space after", STR("5 \r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 2^63", STR("8000000000000000\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 2^64+5", STR("10000000000000005\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-06 17 digits", STR(ZEROS_16 "5\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-07 bare LF after size", STR("5\nhello\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-07 bare CR after size", STR("5\rhello\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-08 no CRLF after data", STR("5\r\nhelloworld"), STR("hello"), 0, -ERR_PROTOCOL},
    {"H1-08 LF after data", STR("5\r\nhello\n0\r\n\r\n"), STR("hello"), 0, -ERR_PROTOCOL},
    {"H1-08 CR X after data", STR("5\r\nhello\rX"), STR("hello"), 0, -ERR_PROTOCOL},
    {"H1-09 CR in extension", STR("5;a\rb\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-09 LF in extension", STR("5;a\nb\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-09 NUL in extension", STR("5;\0\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-10 bare LF in trailers", STR("0\r\nA: b\n\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-10 LF ends trailers", STR("0\r\n\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-10 folded trailer", STR("0\r\nA: b\r\n c\r\n\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-10 space in a name", STR("0\r\nA b: c\r\n\r\n"), STR(""), 0, -ERR_PROTOCOL},
    {"H1-10 CR X after trailers", STR("0\r\n\rX"), STR(""), 0, -ERR_PROTOCOL},
};

/* Feed in pieces of `step` bytes. */
static int
decode(struct str input, size_t step, struct buf *body, size_t *ret_rest)
{
    struct h1_chunked chunked = {0};
    struct str piece = STR_EMPTY;
    size_t fed = 0;
    for (;;) {
        struct str data;
        int r = h1_chunked_next(&chunked, &piece, &data);
        (void)buf_put_str(body, data);
        if (r == 0 && !chunked.done)
            assert_true(data.len > 0);
        if (chunked.done || r == -ERR_PROTOCOL) {
            *ret_rest = piece.len + input.len - fed;
            return r;
        }
        if (r == 0)
            continue;
        assert_int_equal(piece.len, 0);
        if (fed == input.len)
            return r;
        piece = str_make(input.ptr + fed, step < input.len - fed ? step : input.len - fed);
        fed += piece.len;
    }
}

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= rows[i].input.len; step++) {
            struct buf body;
            size_t rest = 0;
            buf_init(&body, 4096);
            int r = decode(rows[i].input, step, &body, &rest);
            if (r != rows[i].want || !str_eq(buf_str(&body), rows[i].body) ||
                (r == 0 && rest != rows[i].rest))
                fail_msg("%s by %zu: %d, want %d; body %s, rest %zu", rows[i].name, step, r,
                         rows[i].want, buf_cstr(&body), rest);
            buf_fini(&body);
        }
    }
}

static int
decode_repeated(const char *start, const char *unit, size_t count, const char *end)
{
    struct buf input;
    struct buf body;
    size_t rest;
    buf_init(&input, 1u << 20);
    buf_init(&body, 1u << 20);
    buf_put_str(&input, str_from(start));
    for (size_t i = 0; i < count; i++)
        buf_put_str(&input, str_from(unit));
    buf_put_str(&input, str_from(end));
    int r = decode(buf_str(&input), 1000, &body, &rest);
    buf_fini(&input);
    buf_fini(&body);
    return r;
}

static void
test_limits(void **state)
{
    (void)state;
    assert_int_equal(decode_repeated("1;", "x", 1024, "\r\na\r\n0\r\n\r\n"), 0);
    assert_int_equal(decode_repeated("1;", "x", 1025, "\r\na\r\n0\r\n\r\n"), -ERR_PROTOCOL);
    /* the cap is for the body, not for each chunk */
    assert_int_equal(decode_repeated("", "1;xxxxxxxxx\r\na\r\n", 200, "0\r\n\r\n"), -ERR_PROTOCOL);
    assert_int_equal(decode_repeated("0\r\n", "A: b\r\n", 1365, "\r\n"), 0);
    assert_int_equal(decode_repeated("0\r\n", "A: b\r\n", 1366, "\r\n"), -ERR_PROTOCOL);
}

static void
test_chunk_size(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        const char *want;
    } sizes[] = {{0, "0\r\n"},
                 {1, "1\r\n"},
                 {15, "f\r\n"},
                 {16, "10\r\n"},
                 {255, "ff\r\n"},
                 {65536, "10000\r\n"},
                 {SIZE_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char out[18];
        size_t len = h1_chunk_size(out, sizes[i].count);
        assert_int_equal(len, strlen(sizes[i].want));
        assert_memory_equal(out, sizes[i].want, len);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_chunk_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
