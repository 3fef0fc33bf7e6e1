/* SPDX-License-Identifier: MIT
 * h1_test.c - heads: what is accepted, as what, and what is refused with which status.
 * Floor: tests of lib/http.
 * Owns: nothing.
 * Invariant: HARDENING 3.1, parser rows; each row also arrives split at every byte (H1-23). */
#include "lib/http/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/num.h"

#define H "Host: a\r\n"

/* As a server does: collect byte groups until the head is there, then parse it. 0 or the status. */
static unsigned
parse_split(struct str input, size_t first, struct h1_head *head, char *copy)
{
    memcpy(copy, input.ptr, input.len);
    size_t end = h1_head_end(copy, first, 0);
    if (end == 0)
        end = h1_head_end(copy, input.len, first);
    if (end == 0)
        return 1; /* incomplete */
    unsigned status = 0;
    struct err err;
    int r = h1_parse_request(copy, end, head, &status, &err);
    assert_true(r == 0 || (r == -ERR_PROTOCOL && status >= 400 && err.text[0] != '\0'));
    return status;
}

static const struct {
    const char *name;
    struct str input;
    unsigned want; /* 0 accepted, 1 incomplete */
} request_rows[] = {
    {"plain", STR("GET / HTTP/1.1\r\n" H "\r\n"), 0},
    {"one empty line before", STR("\r\nGET / HTTP/1.1\r\n" H "\r\n"), 0},
    {"two empty lines before", STR("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), 400},
    {"incomplete", STR("GET / HTTP/1.1\r\n" H "\r"), 1},
    {"incomplete at once", STR("GET"), 1},
    {"H1-01 CL and TE",
     STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"H1-01 TE and CL",
     STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400},
    {"H1-02 two equal",
     STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
    {"H1-02 two unequal",
     STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400},
    {"H1-02 list", STR("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n"), 400},
    {"H1-03 plus", STR("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n"), 400},
    {"H1-03 minus", STR("POST / HTTP/1.1\r\n" H "Content-Length: -48\r\n\r\n"), 400},
    {"H1-03 hex", STR("POST / HTTP/1.1\r\n" H "Content-Length: 0x10\r\n\r\n"), 400},
    {"H1-03 octal", STR("POST / HTTP/1.1\r\n" H "Content-Length: 010\r\n\r\n"), 400},
    {"H1-03 underscore", STR("POST / HTTP/1.1\r\n" H "Content-Length: 1_0\r\n\r\n"), 400},
    {"H1-03 letter", STR("POST / HTTP/1.1\r\n" H "Content-Length: 1Z\r\n\r\n"), 400},
    {"H1-03 empty", STR("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"), 400},
    {"H1-03 20 digits", STR("POST / HTTP/1.1\r\n" H "Content-Length: 10000000000000000000\r\n\r\n"),
     400},
    {"H1-03 2^63", STR("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n"), 400},
    {"H1-03 2^64", STR("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n"),
     400},
    {"H1-03 2^64+5", STR("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\n"),
     400},
    {"H1-04 TE gzip", STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n"), 501},
    {"H1-04 TE xchunked", STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"), 501},
    {"H1-04 TE gzip, chunked",
     STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400},
    {"H1-04 TE chunked twice",
     STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400},
    {"H1-04 TE two fields",
     STR("POST / HTTP/1.1\r\n" H
         "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {"H1-04 TE vertical tab", STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n"),
     400},
    {"H1-04 TE parameter", STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n"),
     400},
    {"H1-04 TE empty", STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n"), 400},
    {"H1-04 TE upper case", STR("POST / HTTP/1.1\r\n" H "TRANSFER-ENCODING: CHUNKED\r\n\r\n"), 0},
    {"H1-05 TE in 1.0", STR("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), 400},
    {"H1-11 bare LF after the line", STR("GET / HTTP/1.1\n"), 400},
    {"H1-11 bare LF after a field", STR("GET / HTTP/1.1\r\n" H "A: b\n"), 400},
    {"H1-11 LF LF",
     STR("GET / HTTP/1.1\n"
         "Host: a\n\n"),
     400},
    {"H1-11 CRLF LF", STR("GET / HTTP/1.1\r\n" H "\n"), 400},
    {"H1-11 LF first", STR("\nGET / HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-12 bare CR in a value", STR("GET / HTTP/1.1\r\n" H "A: b\rc\r\n\r\n"), 400},
    {"H1-12 CR ends a value", STR("GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n"), 400},
    {"H1-12 CR CR LF", STR("GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n"), 400},
    {"H1-12 CRLF CR X", STR("GET / HTTP/1.1\r\n" H "\rX: y\r\n\r\n"), 400},
    {"H1-13 fold by space", STR("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n"), 400},
    {"H1-13 fold by tab", STR("GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n"), 400},
    {"H1-13 fold at once", STR("GET / HTTP/1.1\r\n " H "\r\n"), 400},
    {"H1-14 space before colon", STR("GET / HTTP/1.1\r\n" H "A : b\r\n\r\n"), 400},
    {"H1-14 tab before colon", STR("POST / HTTP/1.1\r\n" H "Content-Length\t: 5\r\n\r\n"), 400},
    {"H1-14 no colon", STR("GET / HTTP/1.1\r\n" H "A\r\n\r\n"), 400},
    {"H1-14 empty name", STR("GET / HTTP/1.1\r\n" H ": b\r\n\r\n"), 400},
    {"H1-15 high byte in a name", STR("GET / HTTP/1.1\r\n" H "A\x80: b\r\n\r\n"), 400},
    {"H1-15 0x85 before a name",
     STR("GET / HTTP/1.1\r\n" H "\x85"
         "A: b\r\n\r\n"),
     400},
    {"H1-15 0xa0 after a name",
     STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding\xa0: chunked\r\n\r\n"), 400},
    {"H1-15 delimiter in a name", STR("GET / HTTP/1.1\r\n" H "A(b): c\r\n\r\n"), 400},
    {"H1-15 NUL in a name", STR("GET / HTTP/1.1\r\n" H "A\0b: c\r\n\r\n"), 400},
    {"H1-16 obs-text in a value",
     STR("GET / HTTP/1.1\r\n" H "A: \xa0"
         "b\x85\r\n\r\n"),
     0},
    {"NUL in a value", STR("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n"), 400},
    {"DEL in a value", STR("GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n"), 400},
    {"control far in a long value",
     STR("GET / HTTP/1.1\r\n" H "A: 0123456789abcdef0123456789ab\x01"
         "def\r\n\r\n"),
     400},
    {"tab in a value", STR("GET / HTTP/1.1\r\n" H "A: b\tc\r\n\r\n"), 0},
    {"H1-18 no Host", STR("GET / HTTP/1.1\r\n\r\n"), 400},
    {"H1-18 two Hosts", STR("GET / HTTP/1.1\r\n" H H "\r\n"), 400},
    {"H1-18 userinfo", STR("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400},
    {"H1-18 path", STR("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
    {"H1-18 space", STR("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {"H1-18 empty", STR("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400},
    {"H1-18 comma", STR("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400},
    {"H1-18 open literal", STR("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400},
    {"H1-18 port of letters", STR("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"), 400},
    {"H1-18 port 65536", STR("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), 400},
    {"H1-18 port only", STR("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), 400},
    {"H1-18 v6 and port", STR("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"), 0},
    {"no Host in 1.0", STR("GET / HTTP/1.0\r\n\r\n"), 0},
    {"H1-19 absolute form", STR("GET http://a/ HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 authority form", STR("GET a:80 HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 asterisk of GET", STR("GET * HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 asterisk of OPTIONS", STR("OPTIONS * HTTP/1.1\r\n" H "\r\n"), 0},
    {"H1-19 fragment", STR("GET /#a HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 backslash", STR("GET /a\\b HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 high byte", STR("GET /\xe4 HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 NUL", STR("GET /\0 HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 tab for space", STR("GET\t/ HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 two spaces", STR("GET  / HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-19 two spaces before version", STR("GET /  HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-20 CONNECT", STR("CONNECT a:443 HTTP/1.1\r\n" H "\r\n"), 405},
    {"H1-20 TRACE", STR("TRACE / HTTP/1.1\r\n" H "\r\n"), 405},
    {"H1-20 unknown", STR("BREW / HTTP/1.1\r\n" H "\r\n"), 405},
    {"H1-20 lower case", STR("get / HTTP/1.1\r\n" H "\r\n"), 405},
    {"H1-20 no token", STR("G(T / HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-20 quotes", STR("\"GET\" / HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-20 long", STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H "\r\n"), 400},
    {"H1-21 0.9", STR("GET /\r\n\r\n"), 400},
    {"H1-21 0.9 named", STR("GET / HTTP/0.9\r\n\r\n"), 505},
    {"H1-21 1.32", STR("GET / HTTP/1.32\r\n" H "\r\n"), 400},
    {"H1-21 huge", STR("GET / HTTP/4294967295.255\r\n" H "\r\n"), 400},
    {"H1-21 2.0", STR("GET / HTTP/2.0\r\n" H "\r\n"), 505},
    {"H1-21 1.2", STR("GET / HTTP/1.2\r\n" H "\r\n"), 505},
    {"H1-21 lower case", STR("GET / http/1.1\r\n" H "\r\n"), 400},
    {"H1-21 space after", STR("GET / HTTP/1.1 \r\n" H "\r\n"), 400},
    {"H1-26 expect x", STR("POST / HTTP/1.1\r\n" H "Expect: x\r\nContent-Length: 1\r\n\r\n"), 417},
    {"H1-26 expect",
     STR("POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"), 0},
    {"H1-29 upgrade",
     STR("GET / HTTP/1.1\r\n" H
         "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"),
     0},
    {"connection is no list", STR("GET / HTTP/1.1\r\n" H "Connection: a b\r\n\r\n"), 400},
    {"connection of commas",
     STR("GET / HTTP/1.1\r\n" H "Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n\r\n"),
     400},
    {"TLS hello", STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"), 400},
};

static void
test_requests(void **state)
{
    (void)state;
    struct h1_head head;
    for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
        struct str input = request_rows[i].input;
        char *copy = malloc(input.len); /* exactly: a sanitizer sees an over-read */
        assert_non_null(copy);
        for (size_t cut = 0; cut <= input.len; cut++) {
            unsigned got = parse_split(input, cut, &head, copy);
            if (got != request_rows[i].want)
                fail_msg("%s, cut at %zu: %u, want %u", request_rows[i].name, cut, got,
                         request_rows[i].want);
        }
        free(copy);
    }
}

static const struct {
    const char *name;
    struct str input;
    uint64_t length;
    enum h1_body body;
    bool keep_alive;
    bool expect;
    const char *fields; /* "name=value;" of what is left */
} accepted_rows[] = {
    {"GET", STR("GET /a?b=%20 HTTP/1.1\r\n" H "X-A:  b c \t\r\nY:\r\n\r\n"), 0, H1_BODY_NONE, true,
     false, "x-a=b c;y=;"},
    {"length", STR("POST / HTTP/1.1\r\n" H "Content-Length: 12\r\nA: b\r\n\r\n"), 12,
     H1_BODY_LENGTH, true, false, "a=b;"},
    {"length 0", STR("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"), 0, H1_BODY_NONE, true,
     false, ""},
    {"largest length", STR("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n"),
     INT64_MAX, H1_BODY_LENGTH, true, false, ""},
    {"chunked",
     STR("POST / HTTP/1.1\r\n" H
         "Transfer-Encoding: Chunked\r\nTE: trailers\r\nTrailer: a\r\n\r\n"),
     HTTP_LENGTH_UNKNOWN, H1_BODY_CHUNKED, true, false, ""},
    {"close", STR("GET / HTTP/1.1\r\n" H "Connection: a, Close\r\nA: b\r\nC: d\r\n\r\n"), 0,
     H1_BODY_NONE, false, false, "c=d;"},
    {"1.0", STR("GET / HTTP/1.0\r\n" H "\r\n"), 0, H1_BODY_NONE, false, false, ""},
    {"1.0 keep-alive",
     STR("GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\nKeep-Alive: 5\r\n\r\n"), 0, H1_BODY_NONE,
     true, false, ""},
    {"1.0 both", STR("GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\nConnection: close\r\n\r\n"),
     0, H1_BODY_NONE, false, false, ""},
    {"expect", STR("POST / HTTP/1.1\r\n" H "expect: 100-continue\r\ncontent-length: 3\r\n\r\n"), 3,
     H1_BODY_LENGTH, true, true, ""},
    {"H1-17 underscores",
     STR("POST / HTTP/1.1\r\n" H
         "Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Container: y\r\nA: b\r\n\r\n"),
     0, H1_BODY_NONE, true, false, "a=b;"},
    {"H1-29 upgrade",
     STR("GET / HTTP/1.1\r\n" H
         "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
         "AA\r\nProxy-Authorization: x\r\nProxy-Connection: y\r\n\r\n"),
     0, H1_BODY_NONE, true, false, ""},
    {"H1-16 obs-text",
     STR("GET / HTTP/1.1\r\n" H "A: \xa0"
         "b\x85\r\n\r\n"),
     0, H1_BODY_NONE, true, false,
     "a=\xa0"
     "b\x85;"},
    {"same name twice", STR("GET / HTTP/1.1\r\n" H "A: b\r\nA: c\r\n\r\n"), 0, H1_BODY_NONE, true,
     false, "a=b;a=c;"},
};

static void
fields_text(const struct http_head *head, char *out, size_t size)
{
    struct buf buf;
    buf_init(&buf, size);
    for (uint32_t i = 0; i < head->field_count; i++)
        (void)buf_printf(&buf, "%.*s=%.*s;", STR_ARG(head->fields[i].name),
                         STR_ARG(head->fields[i].value));
    assert_true(str_copy(out, size, buf_str(&buf)));
    buf_fini(&buf);
}

static void
test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted_rows) / sizeof(accepted_rows[0]); i++) {
        struct str input = accepted_rows[i].input;
        char copy[512];
        char fields[512];
        struct h1_head head;
        memset(&head, 0xa5, sizeof(head)); /* nothing may be left to chance */
        assert_int_equal(parse_split(input, 0, &head, copy), 0);
        fields_text(&head.http, fields, sizeof(fields));
        if (head.body != accepted_rows[i].body ||
            head.http.content_length != accepted_rows[i].length ||
            head.keep_alive != accepted_rows[i].keep_alive ||
            head.expect_continue != accepted_rows[i].expect ||
            head.http.has_body != (head.body != H1_BODY_NONE) ||
            strcmp(fields, accepted_rows[i].fields) != 0)
            fail_msg("%s: body %d length %llu fields %s", accepted_rows[i].name, (int)head.body,
                     (unsigned long long)head.http.content_length, fields);
    }
}

static void
test_request_parts(void **state)
{
    (void)state;
    char bytes[] = "POST /v1/a?b HTTP/1.1\r\nHost: h:1\r\nA: 1\r\na: 2\r\n\r\n";
    struct h1_head head;
    unsigned status;
    assert_int_equal(h1_parse_request(bytes, sizeof(bytes) - 1, &head, &status, NULL), 0);
    assert_true(str_eq(head.http.method, STR("POST")));
    assert_true(str_eq(head.http.target, STR("/v1/a?b")));
    assert_true(str_eq(head.http.authority, STR("h:1")));
    assert_true(str_eq(http_field_get(&head.http, STR("a")), STR("1")));
    assert_int_equal(http_field_count(&head.http, STR("a")), 2);
    assert_null(http_field_get(&head.http, STR("b")).ptr);
}

/* prefix, then `unit` until the head has `count` of it, then the end. */
static unsigned
parse_repeated(const char *prefix, const char *unit, size_t count, const char *suffix)
{
    struct buf buf;
    struct h1_head head;
    unsigned status = 0;
    buf_init(&buf, 1u << 20);
    buf_put_str(&buf, str_from(prefix));
    for (size_t i = 0; i < count; i++)
        buf_put_str(&buf, str_from(unit));
    buf_put_str(&buf, str_from(suffix));
    assert_false(buf.failed);
    assert_int_equal(h1_head_end(buf.ptr, buf.len, 0), buf.len);
    (void)!h1_parse_request(buf.ptr, buf.len, &head, &status, NULL);
    buf_fini(&buf);
    return status;
}

static void
test_limits(void **state)
{
    (void)state;
    const char *start = "GET / HTTP/1.1\r\n" H;
    assert_int_equal(parse_repeated(start, "A: b\r\n", HTTP_FIELDS_MAX, "\r\n"), 0);
    assert_int_equal(parse_repeated(start, "A: b\r\n", HTTP_FIELDS_MAX + 1, "\r\n"), 431);
    assert_int_equal(parse_repeated(start, "A: b\r\n", 20000, "\r\n"), 431);
    assert_int_equal(parse_repeated("GET / HTTP/1.1\r\n" H "A: ", "b", 65000, "\r\n\r\n"), 0);
    assert_int_equal(parse_repeated("GET / HTTP/1.1\r\n" H "A: ", "b", 66000, "\r\n\r\n"), 431);
    assert_int_equal(parse_repeated("GET /", "b", 8191, " HTTP/1.1\r\n" H "\r\n"), 0);
    assert_int_equal(parse_repeated("GET /", "b", 8192, " HTTP/1.1\r\n" H "\r\n"), 414);
}

static const struct {
    const char *name;
    struct str input;
    uint64_t length;
    int want;
    unsigned status;
    enum h1_body body;
    bool head_request;
    bool keep_alive;
} response_rows[] = {
    {"length", STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 5, 0, 200, H1_BODY_LENGTH,
     false, true},
    {"no reason", STR("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), 0, 0, 200, H1_BODY_NONE, false,
     true},
    {"empty reason", STR("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), 0, 0, 200, H1_BODY_NONE,
     false, true},
    {"chunked", STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_LENGTH_UNKNOWN,
     0, 200, H1_BODY_CHUNKED, false, true},
    {"until close", STR("HTTP/1.1 200 OK\r\n\r\n"), HTTP_LENGTH_UNKNOWN, 0, 200,
     H1_BODY_UNTIL_CLOSE, false, false},
    {"1.0", STR("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), 5, 0, 200, H1_BODY_LENGTH, false,
     false},
    {"close", STR("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"), 5, 0, 200,
     H1_BODY_LENGTH, false, false},
    {"of HEAD", STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 5, 0, 200, H1_BODY_NONE, true,
     true},
    {"of HEAD without length", STR("HTTP/1.1 200 OK\r\n\r\n"), HTTP_LENGTH_UNKNOWN, 0, 200,
     H1_BODY_NONE, true, true},
    {"204", STR("HTTP/1.1 204 No Content\r\n\r\n"), 0, 0, 204, H1_BODY_NONE, false, true},
    {"304 with length", STR("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), 0, 0, 304,
     H1_BODY_NONE, false, true},
    {"100", STR("HTTP/1.1 100 Continue\r\n\r\n"), 0, 0, 100, H1_BODY_NONE, false, true},
    {"101", STR("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), 0, 0, 101, H1_BODY_NONE, false,
     true},
    {"odd reason", STR("HTTP/1.1 500 \xfc\t!\r\nContent-Length: 1\r\n\r\n"), 1, 0, 500,
     H1_BODY_LENGTH, false, true},
    {"SS-18 CL and TE",
     STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 0,
     -ERR_PROTOCOL, 0, 0, false, false},
    {"SS-18 two CL", STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), 0,
     -ERR_PROTOCOL, 0, 0, false, false},
    {"SS-18 gzip", STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), 0, -ERR_PROTOCOL, 0,
     0, false, false},
    {"SS-18 TE in 1.0", STR("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), 0,
     -ERR_PROTOCOL, 0, 0, false, false},
    {"SS-18 bare LF", STR("HTTP/1.1 200 OK\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"SS-18 bare LF later", STR("HTTP/1.1 200 OK\r\nA: b\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"SS-18 NUL", STR("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"SS-18 fold", STR("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false,
     false},
    {"SS-19 CR in a value", STR("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0,
     false, false},
    {"CR in the reason", STR("HTTP/1.1 200 O\rK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"four digits", STR("HTTP/1.1 2000 OK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"two digits", STR("HTTP/1.1 20 OK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"cut status", STR("HTTP/1.1 2\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"no status", STR("HTTP/1.1 \r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"099", STR("HTTP/1.1 099 OK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"600", STR("HTTP/1.1 600 OK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"version 2", STR("HTTP/2.0 200 OK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"no version", STR("ICY 200 OK\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
    {"empty lines", STR("\r\n\r\n"), 0, -ERR_PROTOCOL, 0, 0, false, false},
};

static void
test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(response_rows) / sizeof(response_rows[0]); i++) {
        struct h1_head head;
        struct str input = response_rows[i].input;
        char *copy = malloc(input.len);
        assert_non_null(copy);
        memcpy(copy, input.ptr, input.len);
        size_t end = h1_head_end(copy, input.len, 0);
        assert_true(end > 0 && end <= input.len);
        int r = h1_parse_response(copy, end, response_rows[i].head_request, &head, NULL);
        if (r != response_rows[i].want)
            fail_msg("%s: %d, want %d", response_rows[i].name, r, response_rows[i].want);
        if (r == 0 &&
            (head.http.status != response_rows[i].status || head.body != response_rows[i].body ||
             head.http.content_length != response_rows[i].length ||
             head.keep_alive != response_rows[i].keep_alive))
            fail_msg("%s: status %u body %d length %llu", response_rows[i].name, head.http.status,
                     (int)head.body, (unsigned long long)head.http.content_length);
        free(copy);
    }
}

static void
test_pipelined(void **state)
{
    (void)state;
    const char two[] = "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n";
    size_t half = (sizeof(two) - 1) / 2;
    assert_int_equal(h1_head_end(two, sizeof(two) - 1, 0), half);
    assert_int_equal(h1_head_end(two + half, half, 0), half);
}

/* H1-35: what could bend a head is refused, and the rest reads back as it was. */
static void
test_writers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct http_field field;
        int want;
    } rows[] = {
        {"plain", {STR("x-a"), STR("b c")}, 0},
        {"empty value", {STR("x-a"), STR("")}, 0},
        {"CR", {STR("x-a"), STR("b\rc")}, -ERR_INVALID},
        {"LF", {STR("x-a"), STR("b\nX: y")}, -ERR_INVALID},
        {"CRLF far", {STR("x-a"), STR("0123456789abcdef0\r\n")}, -ERR_INVALID},
        {"NUL", {STR("x-a"), STR("\0")}, -ERR_INVALID},
        {"edge blank", {STR("x-a"), STR("b ")}, -ERR_INVALID},
        {"upper case", {STR("X-a"), STR("b")}, -ERR_INVALID},
        {"colon", {STR("x:a"), STR("b")}, -ERR_INVALID},
        {"no name", {STR(""), STR("b")}, -ERR_INVALID},
    };
    struct buf out;
    struct h1_head head;
    unsigned status;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_init(&out, 1024);
        int r =
            h1_put_request(&out, STR("POST"), STR("/p"), STR("h:1"), &rows[i].field, 1, 77, false);
        assert_int_equal(r, rows[i].want);
        assert_int_equal(h1_put_response(&out, 200, &rows[i].field, 1, 0, true, false), r);
        assert_true(r == 0 || out.len == 0);
        size_t end = r == 0 ? h1_head_end(out.ptr, out.len, 0) : 0;
        if (r == 0) {
            assert_int_equal(h1_parse_request(out.ptr, end, &head, &status, NULL), 0);
            assert_int_equal(head.http.content_length, 77);
            assert_true(str_eq(http_field_get(&head.http, STR("x-a")), rows[i].field.value));
            assert_int_equal(h1_parse_response(out.ptr + end, out.len - end, false, &head, NULL),
                             0);
            assert_true(str_eq(http_field_get(&head.http, STR("x-a")), rows[i].field.value));
        }
        buf_fini(&out);
    }
    buf_init(&out, 1024);
    assert_int_equal(h1_put_request(&out, STR("GET"), STR("/a b"), STR("h"), NULL, 0, 0, true),
                     -ERR_INVALID);
    assert_int_equal(h1_put_request(&out, STR("GET"), STR("/"), STR("h\r\n"), NULL, 0, 0, true),
                     -ERR_INVALID);
    assert_int_equal(h1_put_response(&out, 404, NULL, 0, HTTP_LENGTH_UNKNOWN, false, true), 0);
    assert_string_equal(buf_cstr(&out), "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n"
                                        "connection: close\r\n\r\n");
    buf_fini(&out);
}

/* Every byte at every place of short and long fields: the wide checks agree with the plain
 * rules. */
static void
test_valid_bytes(void **state)
{
    (void)state;
    char text[50];
    for (size_t len = 1; len <= sizeof text; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned c = 0; c < 256; c++) {
                bool upper = c >= 'A' && c <= 'Z';
                bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
                bool mark = c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL;
                bool blank = c == ' ' || c == '\t';
                bool edge = at == 0 || at + 1 == len;
                bool value = c >= 0x20 && c != 0x7f && !blank;
                memset(text, 'm', len);
                text[at] = (char)(uint8_t)c;
                struct str field = str_make(text, len);
                if (http_valid_name(field) != ((alnum || mark) && !upper) ||
                    http_valid_value(field) != (value || (blank && !edge)))
                    fail_msg("byte %02x at %zu of %zu", c, at, len);
            }
        }
    }
}

/* The rule of h1_head_end without its blocks. */
static size_t
naive_head_end(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != '\n')
            continue;
        if (i == 0 || bytes[i - 1] != '\r')
            return i + 1;
        if (i >= 3 && memcmp(bytes + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    }
    return 0;
}

static void
test_head_end(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (unsigned round = 0; round < 100000; round++) {
        char bytes[72];
        size_t count = round % (sizeof bytes + 1);
        for (size_t i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            unsigned pick = seed >> 24;
            bool line = i > 0 && bytes[i - 1] == '\r' && pick < 250;
            bytes[i] = line ? '\n' : pick < 30 ? '\r' : pick == 255 ? '\n' : 'a';
        }
        size_t want = naive_head_end(bytes, count);
        assert_int_equal(h1_head_end(bytes, count, 0), want);
        size_t first = seed % (count + 1);
        if (h1_head_end(bytes, first, 0) == 0)
            assert_int_equal(h1_head_end(bytes, count, first), want);
    }
}

/* Each byte at each place of names and hosts, with blocks before, over and behind it. */
static void
test_bytes_in_heads(void **state)
{
    (void)state;
    static struct h1_head head;
    for (size_t len = 1; len <= 40; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                char name[48];
                char text[256];
                memset(name, 'N', len);
                name[at] = (char)byte;
                int size =
                    snprintf(text, sizeof text, "GET /p HTTP/1.1\r\nHost: a\r\n%.*s: Va\r\n\r\n",
                             (int)len, name);
                if (byte == 0)
                    continue;
                unsigned status = 0;
                bool tchar = (byte >= '0' && byte <= '9') ||
                             ((byte | 32) >= 'a' && (byte | 32) <= 'z') ||
                             strchr("!#$%&'*+-.^_`|~", (int)byte) != NULL;
                bool colon = byte == ':' && at > 0;
                int r = h1_parse_request(text, (size_t)size, &head, &status, NULL);
                if (byte >= 128)
                    tchar = false;
                assert_int_equal(r, tchar || colon ? 0 : -ERR_PROTOCOL);
                if (!tchar || byte == '_')
                    continue;
                assert_int_equal(head.http.field_count, 1);
                for (size_t i = 0; i < len; i++) {
                    assert_int_equal(head.http.fields[0].name.ptr[i],
                                     i == at && (byte < 'A' || byte > 'Z') ? byte
                                     : i == at                             ? byte | 32
                                                                           : 'n');
                }
                assert_true(str_eq(head.http.fields[0].value, STR("Va")));
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_bytes), cmocka_unit_test(test_requests),
        cmocka_unit_test(test_accepted),    cmocka_unit_test(test_request_parts),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_responses),
        cmocka_unit_test(test_pipelined),   cmocka_unit_test(test_writers),
        cmocka_unit_test(test_head_end),    cmocka_unit_test(test_bytes_in_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
