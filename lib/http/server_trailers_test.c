/* SPDX-License-Identifier: MIT
 * server_trailers_test.c - trailer fields go to those that ask for them, and nobody else gets
 *                          another byte.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: kit_close checks that closed() came exactly once a request. */
#include <nghttp2/nghttp2.h>

#include "lib/http/server_h2_testkit.h"

#define H "Host: a\r\n"
#define TE "TE: trailers\r\n"
#define END "5\r\nhello\r\n0\r\n\r\n"
#define END_WITH "5\r\nhello\r\n0\r\nx-cost: 0.25\r\nx-none: \r\n\r\n"

static const struct http_field two[] = {{STR("x-cost"), STR("0.25")}, {STR("x-none"), STR_EMPTY}};

static const struct row {
    const char *name;
    const char *input;
    const char *want; /* behind the head */
} rows[] = {
    {"not asked", "GET /stream HTTP/1.1\r\n" H "\r\n", END},
    {"asked", "GET /stream HTTP/1.1\r\n" H TE "\r\n", END_WITH},
    {"asked as RFC 9110 wants it", "GET /stream HTTP/1.1\r\n" H TE "Connection: TE\r\n\r\n",
     END_WITH},
    {"in a list", "GET /stream HTTP/1.1\r\n" H "te: gzip;q=0.5 ,, Trailers\r\n\r\n", END_WITH},
    {"two fields", "GET /stream HTTP/1.1\r\n" H TE "TE: gzip\r\n\r\n", END_WITH},
    {"something else", "GET /stream HTTP/1.1\r\n" H "TE: trailers2, xtrailers\r\n\r\n", END},
    {"empty", "GET /stream HTTP/1.1\r\n" H "TE:\r\n\r\n", END},
    {"another field", "GET /stream HTTP/1.1\r\n" H "TX: trailers\r\n\r\n", END},
    {"HTTP/1.0 has no chunks", "GET /stream HTTP/1.0\r\n" H TE "\r\n", "hello"},
    {"no body", "HEAD /stream HTTP/1.1\r\n" H TE "\r\n", ""},
};

static void
answer(struct kit *kit, uint64_t length, const struct http_field *trailers, size_t count)
{
    KIT_UNTIL(kit, kit->stream != NULL);
    struct http_stream *stream = kit->stream;
    http_stream_respond(stream, 200, NULL, 0, length);
    (void)http_stream_write(stream, STR("hello"));
    http_stream_end_with(stream, trailers, count);
}

static void
test_h1(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kit kit;
        struct buf got;
        kit_open(&kit, NULL);
        buf_init(&got, 1u << 16);
        int fd = kit_connect(&kit);
        assert_true(kit_send(&kit, fd, str_from(rows[i].input)));
        answer(&kit, HTTP_LENGTH_UNKNOWN, two, ARRAY_LEN(two));
        KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 1);
        (void)shutdown(fd, SHUT_WR);
        assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
        size_t head = str_find(buf_str(&got), STR("\r\n\r\n"));
        if (head == SIZE_MAX || !str_eq(str_skip(buf_str(&got), head + 4), str_from(rows[i].want)))
            fail_msg("%s: got %s", rows[i].name, buf_cstr(&got));
        (void)close(fd);
        buf_fini(&got);
        kit_close(&kit);
    }
}

/* Asked for, but: a length was announced; there are none; one would bend the message. The next
 * request on the connection is answered as ever. */
static void
test_h1_without(void **state)
{
    static const struct http_field bad[] = {{STR("x-cost"), STR("0\r\nx: y")}};
    static const struct http_field worse[] = {{STR("X Cost"), STR("0")}};
    static const struct {
        uint64_t length;
        const struct http_field *trailers;
        size_t count;
        const char *want; /* NULL: the connection is cut */
    } cases[] = {
        {5, two, 2, "hello"},
        {HTTP_LENGTH_UNKNOWN, NULL, 0, END},
        {HTTP_LENGTH_UNKNOWN, bad, 1, NULL},
        {HTTP_LENGTH_UNKNOWN, worse, 1, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kit kit;
        struct buf got;
        kit_open(&kit, NULL);
        buf_init(&got, 1u << 16);
        int fd = kit_connect(&kit);
        assert_true(kit_send(&kit, fd, STR("GET /stream HTTP/1.1\r\n" H TE "\r\n")));
        answer(&kit, cases[i].length, cases[i].trailers, cases[i].count);
        if (cases[i].want == NULL) {
            assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
            assert_true(str_find(buf_str(&got), STR("0\r\n\r\n")) == SIZE_MAX);
            assert_int_equal(kit.reasons[HTTP_ABORTED], 1);
        } else {
            assert_false(kit_read(&kit, fd, &got, SIZE_MAX, cases[i].want));
            assert_true(str_find(buf_str(&got), STR("x-cost")) == SIZE_MAX);
            assert_true(kit_send(&kit, fd, STR("GET /next HTTP/1.1\r\n" H "\r\n")));
            KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 2);
        }
        (void)close(fd);
        buf_fini(&got);
        kit_close(&kit);
    }
}

/* Fields of the frame that was taken, "name: value" a line. The one of the first answer's head is
 * decoded as well: the table is the connection's. */
static const char *
fields_of(nghttp2_hd_inflater *inflater, const struct h2_peer *peer)
{
    static char text[512];
    const uint8_t *in = (const uint8_t *)peer->payload.ptr;
    size_t left = peer->payload.len;
    int flags = 0;
    text[0] = '\0';
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv nv;
        size_t at = strlen(text);
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);
        assert_true(used >= 0);
        in += used;
        left -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            (void)snprintf(text + at, sizeof text - at, "%s: %s\n", (const char *)nv.name,
                           (const char *)nv.value);
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
    return text;
}

static void
test_h2(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    nghttp2_hd_inflater *inflater = NULL;
    peer_begin(&peer, &kit);
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    for (uint32_t id = 1; id <= 9; id += 2) {
        bool asked = id % 4 == 1;
        peer_headers(&peer, id, END_STREAM, "GET", "/stream", asked ? "te\ntrailers" : NULL);
        peer_send(&peer);
        answer(&kit, HTTP_LENGTH_UNKNOWN, two, ARRAY_LEN(two));
        assert_true(peer_until(&peer, F_HEADERS, id) && peer.flags == END_HEADERS);
        assert_non_null(strstr(fields_of(inflater, &peer), ":status: 200\n"));
        assert_true(peer_until(&peer, F_DATA, id));
        assert_true(str_eq(peer.payload, STR("hello")));
        assert_int_equal(peer.flags, asked ? 0 : END_STREAM);
        if (asked) {
            assert_true(peer_next(&peer, 3000) && peer.type == F_HEADERS && peer.id == id);
            assert_int_equal(peer.flags, END_HEADERS | END_STREAM);
            assert_string_equal(fields_of(inflater, &peer), "x-cost: 0.25\nx-none: \n");
        }
        KIT_UNTIL(&kit, kit.stream == NULL);
    }
    assert_int_equal(kit.reasons[HTTP_DONE], 5);
    nghttp2_hd_inflate_del(inflater);
    peer_finish(&peer, &kit);
}

/* The body waits for the peer's window; so do the trailers. Or the stream is reset meanwhile, cut,
 * or the connection goes. */
static void
test_h2_behind_the_body(void **state)
{
    static char big[200000];
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct kit kit;
        struct h2_peer peer;
        size_t got = 0;
        kit_open(&kit, NULL);
        peer_open(&peer, &kit);
        peer_headers(&peer, 1, END_STREAM, "GET", "/stream", "te\ntrailers");
        peer_send(&peer);
        KIT_UNTIL(&kit, kit.stream != NULL);
        struct http_stream *stream = kit.stream;
        http_stream_respond(stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        (void)http_stream_write(stream, str_make(big, sizeof big));
        if (way == 2)
            http_stream_cut(stream);
        http_stream_end_with(stream, two, 2);
        assert_true(peer_until(&peer, F_HEADERS, 1));
        while (peer_next(&peer, 50)) {
            assert_int_equal(peer.type, F_DATA);
            got += peer.payload.len;
        }
        assert_int_equal(got, 65535);
        if (way == 1)
            peer_u32(&peer, F_RST, 0, 1, 8);
        peer_u32(&peer, F_WINDOW, 0, 0, 1000000);
        if (way != 1)
            peer_u32(&peer, F_WINDOW, 0, 1, 1000000);
        peer_send(&peer);
        if (way == 3)
            http_conn_abort(http_stream_conn(stream));
        while (way % 2 == 0 && got < sizeof big) {
            assert_true(peer_until(&peer, F_DATA, 1));
            got += peer.payload.len;
        }
        if (way == 0) {
            assert_true(peer_next(&peer, 3000) && peer.type == F_HEADERS);
            assert_int_equal(peer.flags, END_HEADERS | END_STREAM);
        }
        if (way == 2) /* not the end: no trailers, which would say it is */
            assert_true(peer_until(&peer, F_RST, 1));
        KIT_UNTIL(&kit, kit.closed_count == 1);
        assert_int_equal(kit.reasons[HTTP_DONE], way == 0);
        peer_close(&peer);
        kit_close(&kit);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h1),
        cmocka_unit_test(test_h1_without),
        cmocka_unit_test(test_h2),
        cmocka_unit_test(test_h2_behind_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
