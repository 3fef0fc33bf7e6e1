/* SPDX-License-Identifier: MIT
 * server_h2_test.c - the server over HTTP/2, frame by frame (HARDENING 3.2: conformance rows).
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: kit_close checks that closed() came exactly once a request. */
#include "lib/http/server_h2_testkit.h"

static void
test_get_and_echo(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_get(&peer, 1, "/");
    peer_headers(&peer, 3, 0, "POST", "/echo", "content-length\n10");
    peer_frame(&peer, F_DATA, 0, 3, STR("hello"));
    peer_frame(&peer, F_DATA, END_STREAM, 3, STR("world"));
    peer_send(&peer);
    assert_true(peer_until(&peer, F_DATA, 1));
    assert_true(str_eq(peer.payload, STR("hello")) && peer.flags == END_STREAM);
    assert_true(peer_until(&peer, F_DATA, 3));
    assert_true(str_eq(peer.payload, STR("helloworld")));
    KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 2);
    peer_get(&peer, 5, "/hang");
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.stream != NULL);
    assert_true(http_conn_is_h2(http_stream_conn(kit.stream)));
    peer_close(&peer);
    KIT_UNTIL(&kit, kit.reasons[HTTP_PEER_GONE] == 1);
    kit_close(&kit);
}

struct head_row {
    const char *name;
    const char *method;
    const char *path;
    const char *fields;
    const char *status; /* NULL: RST_STREAM(PROTOCOL_ERROR), never seen by the handler */
};

static const struct head_row head_rows[] = {
    {"plain", "GET", "/", NULL, "200"},
    {"upper case", "GET", "/", "X-Test\n1", NULL},
    {"space in a name", "GET", "/", "x test\n1", NULL},
    {"CR in a name", "GET", "/", "x\rtest\n1", NULL},
    {"colon in a name", "GET", "/", "x:test\n1", NULL},
    {"CR in a value", "GET", "/", "x-test\na\rb", NULL},
    {"blank before a value", "GET", "/", "x-test\n a", NULL},
    {"blank after a value", "GET", "/", "x-test\na ", NULL},
    {"connection", "GET", "/", "connection\nclose", NULL},
    {"transfer-encoding", "GET", "/", "transfer-encoding\nchunked", NULL},
    {"upgrade", "GET", "/", "upgrade\nwebsocket", NULL},
    {"te: gzip", "GET", "/", "te\ngzip", NULL},
    {"te: trailers", "GET", "/", "te\ntrailers", "200"},
    {"length without data", "GET", "/", "content-length\n5", NULL},
    {"two lengths", "GET", "/", "content-length\n0\ncontent-length\n0", NULL},
    {"pseudo after a field", "GET", "/", "x-test\n1\n:path\n/", NULL},
    {"pseudo twice", "GET", "/", ":path\n/", NULL},
    {"unknown pseudo", "GET", "/", ":what\n1", NULL},
    {"status in a request", "GET", "/", ":status\n200", NULL},
    {"empty path", "GET", "", NULL, NULL},
    {"path without slash", "GET", "x", NULL, NULL},
    {"space in the path", "GET", "/a b", NULL, NULL},
    {"space in the method", "GE T", "/", NULL, NULL},
    {"host agrees", "GET", "/", "host\na", "200"},
    {"host differs", "GET", "/", "host\nb", "400"},
    {"two credentials", "GET", "/", "authorization\nBearer a\nauthorization\nBearer b", "400"},
    {"trace", "TRACE", "/", NULL, "405"},
    {"expect other", "GET", "/", "expect\nx", "417"},
    {"underscore is dropped", "GET", "/", "x_test\n1\nx-test\n2", "200"},
};

/* The status of a HEADERS frame: some are in the static table, others literals of index 8, until
 * they came twice. */
static bool
is_status(const struct h2_peer *peer, const char *status)
{
    uint8_t first = (uint8_t)peer->payload.ptr[0];
    if (strcmp(status, "200") == 0)
        return first == 0x88;
    if (strcmp(status, "400") == 0)
        return first == 0x8c;
    return (first & 0xbf) == 8 && peer->payload.ptr[1] == 3 &&
           str_starts(str_skip(peer->payload, 2), str_from(status));
}

/* H2-16 to H2-21. The connection lives through all of them. */
static void
test_head_rows(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    uint32_t id = 1;
    for (size_t i = 0; i < ARRAY_LEN(head_rows); i++, id += 2) {
        const struct head_row *row = &head_rows[i];
        unsigned before = kit.request_count;
        peer_headers(&peer, id, END_STREAM, row->method, row->path, row->fields);
        peer_send(&peer);
        bool ok = row->status == NULL
                      ? peer_until(&peer, F_RST, id) && peer_code(&peer) == 1
                      : peer_until(&peer, F_HEADERS, id) && is_status(&peer, row->status);
        bool seen = row->status != NULL && strcmp(row->status, "200") == 0;
        if (!ok || kit.request_count != before + seen)
            fail_msg("%s: frame %u code %02x, %u requests", row->name, peer.type,
                     (uint8_t)peer.payload.ptr[0], kit.request_count - before);
        if (strcmp(row->name, "underscore is dropped") == 0)
            assert_string_equal(kit.field, "2");
    }
    peer_finish(&peer, &kit);
}

/* H2-18: more DATA than announced; H2-21: cookie crumbs; 413; 431 with a living connection. */
static void
test_bodies_and_sizes(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_headers(&peer, 1, 0, "POST", "/echo", "content-length\n3");
    peer_frame(&peer, F_DATA, END_STREAM, 1, STR("hello"));
    peer_send(&peer);
    assert_true(peer_until(&peer, F_RST, 1));
    assert_int_equal(peer_code(&peer), 1);
    KIT_UNTIL(&kit, kit.reasons[HTTP_REFUSED] == 1);
    assert_int_equal(kit.complete_count, 0);

    peer_headers(&peer, 3, END_STREAM, "GET", "/", "cookie\na=1\ncookie\nb=2\ncookie\nc=3");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_DATA, 3));
    assert_string_equal(kit.field, "a=1; b=2; c=3");

    peer_headers(&peer, 5, 0, "POST", "/small", NULL);
    peer_frame(&peer, F_DATA, 0, 5, STR("123456789"));
    peer_send(&peer);
    assert_true(peer_until(&peer, F_HEADERS, 5));
    assert_true(is_status(&peer, "413"));
    assert_true(peer_until(&peer, F_RST, 5)); /* stop uploading */
    assert_int_equal(peer_code(&peer), 0);
    KIT_UNTIL(&kit, kit.reasons[HTTP_REFUSED] == 2);

    /* Answered early, the rest of the request is still judged. */
    peer_headers(&peer, 51, 0, "POST", "/small", "content-length\n900");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_DATA, 51));
    peer_frame(&peer, F_DATA, END_STREAM, 51, STR("short"));
    peer_send(&peer);
    assert_true(peer_until(&peer, F_RST, 51));
    assert_int_equal(peer_code(&peer), 1);
    KIT_UNTIL(&kit, kit.reasons[HTTP_REFUSED] == 3);

    struct buf block;
    buf_init(&block, 1u << 20);
    hpack_put(&block, STR(":method"), STR("GET"));
    hpack_put(&block, STR(":scheme"), STR("http"));
    hpack_put(&block, STR(":authority"), STR("a"));
    hpack_put(&block, STR(":path"), STR("/"));
    static char value[4000];
    memset(value, 'v', sizeof value);
    /* Into the dynamic table once, then referred to 16,000 times: 64 MB from 20 kB (H2-06). */
    size_t from = block.len;
    hpack_put(&block, STR("x-big"), str_make(value, sizeof value));
    block.ptr[from] = 0x40;
    for (size_t i = 0; i < 11000; i++)
        buf_put_byte(&block, (char)(uint8_t)0xbe);
    peer_frame(&peer, F_HEADERS, END_STREAM | END_HEADERS, 57, buf_str(&block));
    peer_get(&peer, 59, "/");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_HEADERS, 57));
    assert_true(is_status(&peer, "431"));
    assert_true(peer_until(&peer, F_DATA, 59));
    buf_fini(&block);
    peer_finish(&peer, &kit);
}

struct conn_row {
    const char *name;
    const char *bytes;
    size_t count;
    uint32_t code; /* of GOAWAY */
};
#define ROW(name, bytes, code)               \
    {                                        \
        name, bytes, sizeof(bytes) - 1, code \
    }

#define SETTING_ "\0\6\0\1\0\0"
#define SETTINGS_11                                                                           \
    SETTING_ SETTING_ SETTING_ SETTING_ SETTING_ SETTING_ SETTING_ SETTING_ SETTING_ SETTING_ \
        SETTING_

/* Sent after a request on stream 5 that is being answered. */
static const struct conn_row conn_rows[] = {
    ROW("even id", "\0\0\1\1\5\0\0\0\2\x82", 1),
    ROW("hpack index 0", "\0\0\1\1\5\0\0\0\7\x80", 9),
    ROW("hpack index out of range", "\0\0\2\1\5\0\0\0\7\xff\x7f", 9),
    ROW("hpack table size over the setting", "\0\0\4\1\5\0\0\0\7\x3f\xff\xff\x03", 9),
    ROW("push promise", "\0\0\4\5\4\0\0\0\5\0\0\0\2", 1),
    ROW("enable push 2", "\0\0\6\4\0\0\0\0\0\0\2\0\0\0\2", 1),
    ROW("frame of 16,385 bytes", "\0\x40\1\0\0\0\0\0\5", 6),
    ROW("33 settings", "\0\0\xc6\4\0\0\0\0\0" SETTINGS_11 SETTINGS_11 SETTINGS_11, 11),
    ROW("window sum over 2^31-1", "\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff", 3),
    ROW("window update 0", "\0\0\4\x8\0\0\0\0\0\0\0\0\0", 1),
    ROW("data on an idle stream", "\0\0\1\0\0\0\0\0\x9z", 1),
    ROW("skipped id is opened late", "\0\0\1\1\5\0\0\0\3\x82", 1),
    ROW("ping of 7 bytes",
        "\0\0\7\6\0\0\0\0\0"
        "1234567",
        6),
};

/* H2-07, H2-22, H2-25, H2-28. */
static void
test_conn_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conn_rows); i++) {
        const struct conn_row *row = &conn_rows[i];
        struct kit kit;
        struct h2_peer peer;
        kit_open(&kit, NULL);
        peer_open(&peer, &kit);
        peer_get(&peer, 5, "/hang");
        buf_put(&peer.out, row->bytes, row->count);
        static char pad[17000];
        if (row->code == 6)
            buf_put(&peer.out, pad, sizeof pad);
        peer_send(&peer);
        if (!peer_until(&peer, F_GOAWAY, 0) || peer_code(&peer) != row->code)
            fail_msg("%s: type %u code %u", row->name, peer.type, peer_code(&peer));
        KIT_UNTIL(&kit, kit.closed_count == 1);
        /* H2-24: whatever comes now is read away, never parsed: malformed ALTSVC and
         * PRIORITY_UPDATE */
        buf_put_str(&peer.out, STR("\0\0\2\xa\0\0\0\0\1\xff\xff\0\0\3\x10\0\0\0\0\0\0\0\0"));
        peer_get(&peer, 11, "/");
        peer_send(&peer);
        while (peer_next(&peer, 300))
            assert_true(peer.type != F_HEADERS);
        assert_true(peer.ended);
        assert_int_equal(kit.request_count, 1);
        peer_close(&peer);
        kit_close(&kit);
    }
}

/* H2-25: a truncated frame, then FIN. */
static void
test_truncated_frame(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    buf_put_str(&peer.out, STR("\0\0\x64\0\0\0"));
    peer_send(&peer);
    assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    KIT_UNTIL(&kit, http_server_conn_count(kit.server) == 0);
    peer_finish(&peer, &kit);
}

static uint32_t
peer_last_id(const struct h2_peer *peer)
{
    const uint8_t *at = (const uint8_t *)peer->payload.ptr;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void
peer_pong(struct h2_peer *peer)
{
    if (peer->type != F_PING || (peer->flags & ACK) != 0)
        return;
    peer_frame(peer, F_PING, ACK, 0, peer->payload);
    peer_send(peer);
}

/* The first GOAWAY, the PING behind it, and, when that is answered, the last one. */
static void
peer_told(struct h2_peer *peer, uint32_t last_id)
{
    assert_true(peer_until(peer, F_GOAWAY, 0));
    assert_int_equal(peer_code(peer), 0);
    assert_int_equal(peer_last_id(peer), 0x7fffffff);
    assert_true(peer_until(peer, F_PING, 0));
    peer_pong(peer);
    assert_true(peer_until(peer, F_GOAWAY, 0));
    assert_int_equal(peer_code(peer), 0);
    assert_int_equal(peer_last_id(peer), last_id);
}

/* RFC 9113 6.8: what was on its way when the drain began is served; a PING of another's does not
 * end that, and who never answers ours is told the last id after a second all the same. */
static void
test_drain_serves_what_is_on_its_way(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    kit_stop_time();
    http_server_drain(kit.server, NULL, NULL);
    peer_frame(&peer, F_PING, ACK, 0, STR("somebody"));
    peer_get(&peer, 1, "/");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_GOAWAY, 0));
    assert_int_equal(peer_last_id(&peer), 0x7fffffff);
    assert_true(peer_until(&peer, F_DATA, 1));
    assert_true(str_eq(peer.payload, STR("hello")));
    assert_int_equal(http_server_conn_count(kit.server), 1);
    kit_jump(&kit, 1100);
    assert_true(peer_until(&peer, F_GOAWAY, 0));
    assert_int_equal(peer_last_id(&peer), 1);
    while (peer_next(&peer, 3000))
        ;
    assert_true(peer.ended);
    assert_int_equal(kit.reasons[HTTP_DONE], 1);
    peer_finish(&peer, &kit);
}

/* H2-29: GOAWAY while 50 streams run: all finish, new ids are not served, then the connection
 * ends. */
static void
test_drain(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    struct http_stream *streams[50];
    for (uint32_t i = 0; i < 50; i++) {
        peer_get(&peer, 1 + 2 * i, "/stream");
        peer_send(&peer);
        KIT_UNTIL(&kit, kit.complete_count == i + 1);
        streams[i] = kit.stream;
    }
    http_server_drain(kit.server, NULL, NULL);
    peer_told(&peer, 99);
    peer_get(&peer, 101, "/");
    peer_send(&peer);
    for (size_t i = 0; i < 50; i++)
        http_stream_answer(streams[i], 200, NULL, 0, STR("done"));
    unsigned answers = 0;
    while (peer_next(&peer, 300))
        answers += peer.type == F_DATA && peer.flags == END_STREAM;
    assert_int_equal(answers, 50);
    assert_true(peer.ended);
    assert_int_equal(kit.request_count, 50);
    assert_int_equal(kit.reasons[HTTP_DONE], 50);
    peer_finish(&peer, &kit);
}

/* Who speaks first when the drain has begun is answered, and told to go. */
static void
test_drain_of_who_is_new(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    struct h2_peer peer = {.kit = &kit, .fd = kit_connect(&kit)};
    buf_init(&peer.out, 64u << 20);
    buf_init(&peer.in, 64u << 20);
    kit_stop_time();
    http_server_drain(kit.server, NULL, NULL);
    buf_put_str(&peer.out, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    peer_frame(&peer, F_SETTINGS, 0, 0, STR_EMPTY);
    peer_get(&peer, 1, "/");
    peer_send(&peer);
    bool answered = false, told = false;
    while (peer_next(&peer, 3000)) {
        answered = answered || (peer.type == F_DATA && peer.flags == END_STREAM && peer.id == 1);
        told = told || peer.type == F_GOAWAY;
        peer_pong(&peer);
    }
    assert_true(answered && told && peer.ended);
    assert_int_equal(kit.reasons[HTTP_DONE], 1);
    peer_finish(&peer, &kit);
}

/* The peer's windows hold the answer back, writable comes when it moves; abort resets. */
static void
test_flow_and_abort(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_get(&peer, 1, "/stream");
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.complete_count == 1);
    static char chunk[100000];
    http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
    unsigned chunks = 1;
    while (http_stream_write(kit.stream, str_make(chunk, sizeof chunk)))
        chunks++;
    size_t got = 0;
    while (peer_next(&peer, 20))
        got += peer.type == F_DATA ? peer.payload.len : 0;
    assert_int_equal(got, 65535);
    assert_int_equal(http_stream_queued(kit.stream), chunks * sizeof chunk - 65535);
    assert_int_equal(kit.writable_count, 0);
    peer_u32(&peer, F_WINDOW, 0, 0, 10000000);
    peer_u32(&peer, F_WINDOW, 0, 1, 10000000);
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.writable_count == 1);
    while (got < chunks * sizeof chunk && peer_next(&peer, 300))
        got += peer.type == F_DATA ? peer.payload.len : 0;
    assert_int_equal(got, chunks * sizeof chunk);
    http_stream_abort(kit.stream);
    assert_true(peer_until(&peer, F_RST, 1));
    assert_int_equal(peer_code(&peer), 2);
    assert_int_equal(kit.reasons[HTTP_ABORTED], 1);
    peer_finish(&peer, &kit);
}

/* A paused upload is held by its window, the other streams go on. */
static void
test_pause(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    static char chunk[16000];
    peer_headers(&peer, 1, 0, "POST", "/pause", NULL);
    for (int i = 0; i < 4; i++)
        peer_frame(&peer, F_DATA, 0, 1, str_make(chunk, sizeof chunk));
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.stream != NULL);
    struct http_stream *paused = kit.stream;
    peer_get(&peer, 3, "/");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_DATA, 3));
    assert_int_equal(kit.body_bytes, 0);
    assert_int_equal(kit.complete_count, 1);
    while (peer_next(&peer, 10))
        assert_true(peer.type != F_WINDOW || peer.id == 0);
    http_stream_pause(paused, false);
    assert_true(peer_until(&peer, F_WINDOW, 1));
    assert_int_equal(kit.body_bytes, 4 * sizeof chunk);
    peer_frame(&peer, F_DATA, END_STREAM, 1, STR("end"));
    peer_send(&peer);
    assert_true(peer_until(&peer, F_HEADERS, 1));
    KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 2);
    peer_finish(&peer, &kit);
}

/* After GOAWAY a request of the peer's is ignored, whatever frames it has: the others go on. */
static void
test_drain_ignores_whole_requests(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_get(&peer, 1, "/stream");
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.complete_count == 1);
    http_server_drain(kit.server, NULL, NULL);
    peer_told(&peer, 1);
    peer_headers(&peer, 3, 0, "POST", "/echo", NULL);
    peer_frame(&peer, F_DATA, 0, 3, STR("hello"));
    peer_frame(&peer, F_HEADERS, END_STREAM | END_HEADERS, 3, STR("\0\3x-y\0011")); /* trailers */
    peer_u32(&peer, F_WINDOW, 0, 3, 10);
    peer_u32(&peer, F_RST, 0, 3, 8);
    peer_send(&peer);
    for (int i = 0; i < 10; i++)
        kit_step(&kit);
    http_stream_answer(kit.stream, 200, NULL, 0, STR("done"));
    assert_true(peer_until(&peer, F_DATA, 1));
    assert_true(str_eq(peer.payload, STR("done")) && peer.flags == END_STREAM);
    KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 1);
    peer_finish(&peer, &kit);
}

/* A drained connection whose last answers wait for the kernel: they are done when they are out, not
 * when the peer hangs up. */
static void
test_drain_behind_a_full_pipe(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_frame(&peer, F_SETTINGS, 0, 0, STR("\0\4\0\x40\0\0"));
    peer_u32(&peer, F_WINDOW, 0, 0, 64u << 20);
    for (uint32_t id = 1; id < 40; id += 2)
        peer_get(&peer, id, "/big");
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.complete_count == 20);
    http_server_drain(kit.server, NULL, NULL);
    unsigned answers = 0;
    while (peer_next(&peer, 300)) {
        answers += peer.type == F_DATA && (peer.flags & END_STREAM) != 0;
        peer_pong(&peer);
        buf_consume(&peer.in, peer.at);
        peer.at = 0;
    }
    assert_int_equal(answers, 20);
    assert_true(peer.ended);
    peer_close(&peer);
    KIT_UNTIL(&kit, kit.closed_count == 20);
    assert_int_equal(kit.reasons[HTTP_DONE], 20);
    kit_close(&kit);
}

/* A peer that leaves no window gets the end of what is complete all the same (RFC 9113 6.9.1), and
 * does not keep what is not for longer than a connection that stands still is kept. */
static void
test_no_window(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_frame(&peer, F_SETTINGS, 0, 0, STR("\0\4\0\0\0\0"));
    for (uint32_t id = 1; id <= 5; id += 2) {
        peer_headers(&peer, id, END_STREAM, "GET", "/stream", "te\ntrailers");
        peer_send(&peer);
        KIT_UNTIL(&kit, kit.complete_count == (id + 1) / 2);
        http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        static const struct http_field trailer[] = {{STR("x-cost"), STR("1")}};
        if (id == 1)
            http_stream_end(kit.stream);
        else if (id == 3)
            http_stream_end_with(kit.stream, trailer, 1);
        else
            http_stream_cut(kit.stream);
        assert_true(peer_until(&peer, F_HEADERS, id));
        if (id == 3)
            assert_true(peer_until(&peer, F_HEADERS, id));
        else
            assert_true(peer_until(&peer, id == 1 ? F_DATA : F_RST, id));
        if (id != 5)
            assert_true((peer.flags & END_STREAM) != 0);
        KIT_UNTIL(&kit, kit.closed_count == (id + 1) / 2);
    }
    assert_int_equal(kit.reasons[HTTP_DONE], 2);

    peer_get(&peer, 7, "/"); /* "hello", for which there is no room */
    peer_send(&peer);
    assert_true(peer_until(&peer, F_HEADERS, 7));
    for (int i = 0; i < 5; i++)
        kit_jump(&kit, 10100);
    assert_int_equal(kit.closed_count, 3);
    for (int i = 0; i < 3; i++)
        kit_jump(&kit, 10100);
    assert_true(peer_until(&peer, F_RST, 7));
    KIT_UNTIL(&kit, kit.reasons[HTTP_PEER_GONE] == 1);
    peer_frame(&peer, F_SETTINGS, 0, 0, STR("\0\4\0\0\xff\xff"));
    peer_get(&peer, 9, "/");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_DATA, 9));
    peer_finish(&peer, &kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_and_echo),
        cmocka_unit_test(test_head_rows),
        cmocka_unit_test(test_bodies_and_sizes),
        cmocka_unit_test(test_conn_rows),
        cmocka_unit_test(test_truncated_frame),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_flow_and_abort),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_drain_ignores_whole_requests),
        cmocka_unit_test(test_no_window),
        cmocka_unit_test(test_drain_behind_a_full_pipe),
        cmocka_unit_test(test_drain_of_who_is_new),
        cmocka_unit_test(test_drain_serves_what_is_on_its_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
