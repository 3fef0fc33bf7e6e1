/* SPDX-License-Identifier: MIT
 * server_h1_test.c - the server over HTTP/1.1, as a client sees it (HARDENING 3.1).
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: after each row the server has closed every stream that it announced. */
#include "lib/http/server_testkit.h"

struct row {
    const char *name;
    const char *input;
    const char *want;  /* first line of the answer, prefix; "" = closed without an answer */
    unsigned requests; /* that the handler saw */
    bool closes;
};

#define H "Host: a\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define BAD "HTTP/1.1 400 Bad Request\r\n"

static const struct row rows[] = {
    {"simple get", "GET / HTTP/1.1\r\n" H "\r\n", OK, 1, false},
    {"http/1.0 closes", "GET / HTTP/1.0\r\n" H "\r\n", OK, 1, true},
    {"connection: close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", OK, 1, true},
    {"length and chunked",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     BAD, 0, true},
    {"two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", BAD,
     0, true},
    {"length +5", "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\naaaaa", BAD, 0, true},
    {"length of 20 digits", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n",
     BAD, 0, true},
    {"chunked on 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD,
     0, true},
    {"bare CR in a value", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", BAD, 0, true},
    {"bare LF ends", "GET / HTTP/1.1\nHost: a\n\n", BAD, 0, true},
    {"high bytes in a name", "GET / HTTP/1.1\r\n" H "X\x85: a\r\n\r\n", BAD, 0, true},
    {"no host", "GET / HTTP/1.1\r\n\r\n", BAD, 0, true},
    {"two hosts", "GET / HTTP/1.1\r\n" H H "\r\n", BAD, 0, true},
    {"connect", "CONNECT a:1 HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 405 ", 0, true},
    {"trace", "TRACE / HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 405 ", 0, true},
    {"bad method", "GE T / HTTP/1.1\r\n" H "\r\n", BAD, 0, true},
    {"http/2.0 in text", "GET / HTTP/2.0\r\n" H "\r\n", "HTTP/1.1 505 ", 0, true},
    {"expect other", "POST / HTTP/1.1\r\n" H "Expect: x\r\nContent-Length: 1\r\n\r\n",
     "HTTP/1.1 417 ", 0, true},
    {"expect, good",
     "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
     "HTTP/1.1 100 Continue\r\n\r\n", 1, false},
    {"expect, refused early",
     "POST /early HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
     "HTTP/1.1 401 Unauthorized\r\n", 1, true},
    {"early answer, body under way",
     "POST /early HTTP/1.1\r\n" H "Content-Length: 44\r\n\r\nGET / ",
     "HTTP/1.1 401 Unauthorized\r\n", 1, true},
    {"upgrade is ignored",
     "GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
     OK, 1, false},
    {"length above the server's limit",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 10000000000\r\n\r\n", "HTTP/1.1 413 ", 0, true},
    {"length above the handler's limit", "POST /small HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\n",
     "HTTP/1.1 413 ", 1, true},
    {"chunks above the handler's limit",
     "POST /small HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n",
     "HTTP/1.1 413 ", 1, true},
    {"a bad chunk", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5x\r\nhello",
     BAD, 1, true},
    {"a broken preface", "INVALID CONNECTION PREFACE\r\n\r\n", "", 0, true},
};

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct kit kit;
        kit_open(&kit, NULL);
        int fd = kit_connect(&kit);
        struct buf got;
        buf_init(&got, 1u << 20);
        assert_true(kit_send(&kit, fd, str_from(row->input)));
        if (row->closes) {
            assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
        } else {
            assert_false(kit_read(&kit, fd, &got, SIZE_MAX, "\r\n\r\n"));
        }
        if (!str_starts(buf_str(&got), str_from(row->want)) || (row->want[0] == '\0') != !got.len ||
            kit.request_count != row->requests)
            fail_msg("%s: %u requests, got %s", row->name, kit.request_count, buf_cstr(&got));
        bool says_close = str_find(buf_str(&got), STR("connection: close")) != SIZE_MAX;
        if (got.len > 0 && says_close != row->closes)
            fail_msg("%s: connection: close %d", row->name, says_close);
        (void)close(fd);
        buf_fini(&got);
        kit_close(&kit);
    }
}

/* H1-23: every cut of a request with a body, and byte by byte. */
static void
test_splits(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n"
        "X: y\r\n\r\n",
    };
    struct kit kit;
    kit_open(&kit, NULL);
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct str text = str_from(texts[t]);
        int fd = kit_connect(&kit);
        for (size_t cut = 0; cut <= text.len; cut++) {
            struct buf got;
            buf_init(&got, 1u << 16);
            assert_true(kit_send(&kit, fd, str_make(text.ptr, cut)));
            kit_step(&kit);
            if (cut == text.len) { /* and once byte by byte */
                kit_read(&kit, fd, &got, SIZE_MAX, "\r\n\r\nhello");
                got.len = 0;
                for (size_t i = 0; i < text.len; i++) {
                    assert_true(kit_send(&kit, fd, str_make(text.ptr + i, 1)));
                    kit_step(&kit);
                }
            }
            assert_true(kit_send(&kit, fd, str_skip(text, cut)));
            assert_false(kit_read(&kit, fd, &got, SIZE_MAX, "\r\n\r\nhello"));
            assert_true(str_starts(buf_str(&got), STR(OK)));
            buf_fini(&got);
        }
        (void)close(fd);
    }
    kit_close(&kit);
}

/* H1-24, H1-25: answers in order, one at a time, then the garbage. */
static void
test_pipelining(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    int fd = kit_connect(&kit);
    struct buf input;
    struct buf got;
    buf_init(&input, 1u << 20);
    buf_init(&got, 1u << 20);
    for (unsigned i = 0; i < 100; i++)
        buf_printf(&input, "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\n<%02u>", i);
    buf_printf(&input, "garbage /\r\n\r\n");
    assert_true(kit_send(&kit, fd, buf_str(&input)));
    assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
    struct str rest = buf_str(&got);
    for (unsigned i = 0; i < 100; i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "\r\n\r\n<%02u>", i);
        size_t at = str_find(rest, str_from(want));
        assert_int_equal(str_find(rest, STR("\r\n\r\n<")), at);
        rest = str_skip(rest, at + 8);
    }
    assert_true(str_starts(rest, STR(BAD)));
    assert_int_equal(kit.request_count, 100);
    (void)close(fd);
    buf_fini(&got);
    buf_fini(&input);
    kit_close(&kit);
}

/* H1-24: while one request is answered, at most about 64 KiB of the next are read. */
static void
test_pipelining_is_bounded(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    int fd = kit_connect(&kit);
    assert_true(kit_send(&kit, fd, STR("GET /hang HTTP/1.1\r\n" H "\r\n")));
    KIT_UNTIL(&kit, kit.complete_count == 1);
    static char junk[65536];
    memset(junk, 'a', sizeof junk);
    size_t sent = 0;
    for (int idle = 0; idle < 50;) {
        ssize_t n = send(fd, junk, sizeof junk, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        kit_step(&kit);
        assert_true(sent < 32u << 20); /* the kernel's buffers fill up: the server does not read */
    }
    assert_int_equal(kit.request_count, 1);
    /* A FIN would wait behind the junk; a reset does not. */
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    (void)close(fd);
    KIT_UNTIL(&kit, kit.closed_count == 1);
    assert_int_equal(kit.reasons[HTTP_PEER_GONE], 1);
    kit_close(&kit);
}

/* H1-32, H1-33: 408 for a slow head at 10 s and a slow body below 500 B/s over 20 s. */
static void
test_slow(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        uint64_t wait_ms;
        const char *want;
        unsigned reason_count;
    } slow[] = {
        {"GET / HTT", 10100, "HTTP/1.1 408 ", 0},
        {"POST /echo HTTP/1.1\r\n" H "Content-Length: 20000\r\n\r\nabc", 20100, "HTTP/1.1 408 ", 1},
        {"", 10100, "", 0},
        {"GET / HTTP/1.1\r\n" H "\r\n", 60100, OK, 0}, /* idle after an answer: closed silently */
    };
    for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
        struct kit kit;
        kit_open(&kit, NULL);
        kit_stop_time();
        int fd = kit_connect(&kit);
        struct buf got;
        buf_init(&got, 1u << 16);
        assert_true(kit_send(&kit, fd, str_from(slow[i].input)));
        kit_taken(&kit, fd);
        kit_jump(&kit, slow[i].wait_ms - 300);
        assert_int_equal(http_server_conn_count(kit.server), 1);
        kit_jump(&kit, 400);
        assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
        assert_true(str_starts(buf_str(&got), str_from(slow[i].want)));
        assert_int_equal(kit.reasons[HTTP_TIMED_OUT], slow[i].reason_count);
        (void)close(fd);
        buf_fini(&got);
        kit_close(&kit);
    }
}

/* SS-13, SS-14: a client that closed is noticed without writing an answer; one that only shut its
 * side down gets the whole answer, and the probe in between leaves no trace. */
static void
test_half_close(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        for (int half = 0; half < 2; half++) {
            struct kit kit;
            kit_open(&kit, NULL);
            int fd = kit_connect(&kit);
            struct buf got;
            buf_init(&got, 1u << 16);
            assert_true(kit_send(&kit, fd, STR("GET /stream HTTP/1.1\r\n" H "\r\n")));
            KIT_UNTIL(&kit, kit.complete_count == 1);
            if (answered) {
                http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
                (void)http_stream_write(kit.stream, STR("first"));
                assert_false(kit_read(&kit, fd, &got, SIZE_MAX, "first"));
            }
            if (half)
                assert_int_equal(shutdown(fd, SHUT_WR), 0);
            else
                (void)close(fd);
            if (!half) {
                KIT_UNTIL(&kit, kit.reasons[HTTP_PEER_GONE] == 1);
            } else {
                for (int i = 0; i < 20; i++)
                    kit_step(&kit);
                assert_non_null(kit.stream);
                if (!answered)
                    http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
                (void)http_stream_write(kit.stream, STR("second"));
                http_stream_end(kit.stream);
                assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
                assert_true(str_starts(buf_str(&got), STR(OK)));
                assert_true(str_find(buf_str(&got), STR("6\r\nsecond\r\n0\r\n\r\n")) != SIZE_MAX);
                assert_int_equal(kit.reasons[HTTP_DONE], 1);
                (void)close(fd);
            }
            buf_fini(&got);
            kit_close(&kit);
        }
    }
}

/* A cut answer never looks complete. */
static void
test_truncated(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        uint64_t length;
        bool reset;
    } cuts[] = {
        {"GET /stream HTTP/1.1\r\n" H "\r\n", HTTP_LENGTH_UNKNOWN, false},
        {"GET /stream HTTP/1.1\r\n" H "\r\n", 100, false},
        {"GET /stream HTTP/1.0\r\n" H "\r\n", HTTP_LENGTH_UNKNOWN, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct kit kit;
        kit_open(&kit, NULL);
        int fd = kit_connect(&kit);
        struct buf got;
        buf_init(&got, 1u << 16);
        assert_true(kit_send(&kit, fd, str_from(cuts[i].input)));
        KIT_UNTIL(&kit, kit.complete_count == 1);
        http_stream_respond(kit.stream, 200, NULL, 0, cuts[i].length);
        (void)http_stream_write(kit.stream, STR("half"));
        if (cuts[i].length == 100)
            http_stream_end(kit.stream); /* short: must become an abort */
        else
            http_stream_abort(kit.stream);
        char byte;
        ssize_t n = 0;
        assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
        n = recv(fd, &byte, 1, 0);
        (void)n;
        assert_true(cuts[i].reset || str_find(buf_str(&got), STR("half")) != SIZE_MAX);
        assert_true(str_find(buf_str(&got), STR("\r\n0\r\n")) == SIZE_MAX);
        assert_int_equal(kit.reasons[HTTP_ABORTED], 1);
        (void)close(fd);
        buf_fini(&got);
        kit_close(&kit);
    }
}

static void
test_head_limits(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    struct buf input;
    struct buf got;
    buf_init(&input, 1u << 20);
    buf_init(&got, 1u << 20);
    buf_printf(&input, "GET / HTTP/1.1\r\n" H);
    while (input.len < 70000)
        buf_printf(&input, "X: %0200d\r\n", 1);
    for (int whole = 0; whole < 2; whole++) {
        int fd = kit_connect(&kit);
        if (whole)
            buf_printf(&input, "\r\n");
        got.len = 0;
        (void)kit_send(&kit, fd, buf_str(&input));
        assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
        assert_true(str_starts(buf_str(&got), STR("HTTP/1.1 431 ")));
        (void)close(fd);
    }
    assert_int_equal(kit.request_count, 0);
    buf_fini(&got);
    buf_fini(&input);
    kit_close(&kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_splits),
        cmocka_unit_test(test_pipelining), cmocka_unit_test(test_pipelining_is_bounded),
        cmocka_unit_test(test_slow),       cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_truncated),  cmocka_unit_test(test_head_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
