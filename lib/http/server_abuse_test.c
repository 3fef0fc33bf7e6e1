/* SPDX-License-Identifier: MIT
 * server_abuse_test.c - HTTP/2 floods end in ENHANCE_YOUR_CALM; honest heavy users never do
 *                       (HARDENING 3.2, F3).
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: each flood is sent whole; how much of it was acted on is what the test asserts. */
#include "lib/http/server_h2_testkit.h"

#define CALM 11u

typedef void (*flood_fn)(struct h2_peer *peer, uint32_t i);

static void
rapid_reset(struct h2_peer *peer, uint32_t i)
{
    peer_get(peer, 3 + 2 * i, "/hang");
    peer_u32(peer, F_RST, 0, 3 + 2 * i, 8);
}
/* The six primitives of MadeYouReset. */
static void
made_window_0(struct h2_peer *peer, uint32_t i)
{
    peer_get(peer, 3 + 2 * i, "/hang");
    peer_u32(peer, F_WINDOW, 0, 3 + 2 * i, 0);
}
static void
made_window_overflow(struct h2_peer *peer, uint32_t i)
{
    peer_get(peer, 3 + 2 * i, "/hang");
    peer_u32(peer, F_WINDOW, 0, 3 + 2 * i, 0x7fffffff);
}
static void
made_data_after_end(struct h2_peer *peer, uint32_t i)
{
    peer_get(peer, 3 + 2 * i, "/hang");
    peer_frame(peer, F_DATA, 0, 3 + 2 * i, STR("x"));
}
static void
made_headers_after_end(struct h2_peer *peer, uint32_t i)
{
    peer_get(peer, 3 + 2 * i, "/hang");
    peer_frame(peer, F_HEADERS, END_STREAM | END_HEADERS, 3 + 2 * i, STR("\x82"));
}
static void
made_priority_length(struct h2_peer *peer, uint32_t i)
{
    peer_get(peer, 3 + 2 * i, "/hang");
    peer_frame(peer, F_PRIORITY, 0, 3 + 2 * i, STR("\0\0\0\0"));
}
static void
made_self_dependency(struct h2_peer *peer, uint32_t i)
{
    uint32_t id = 3 + 2 * i;
    char bytes[5] = {(char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id, 1};
    peer_get(peer, id, "/hang");
    peer_frame(peer, F_PRIORITY, 0, id, str_make(bytes, 5));
}
static void
ping(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, F_PING, 0, 0, STR("12345678"));
}
static void
ping_ack(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, F_PING, ACK, 0, STR("12345678"));
}
static void
settings(struct h2_peer *peer, uint32_t i)
{
    /* INITIAL_WINDOW_SIZE 0 and 2^31-1 in turn (H2-13) */
    peer_frame(peer, F_SETTINGS, 0, 0, i % 2 ? STR("\0\4\0\0\0\0") : STR("\0\4\x7f\xff\xff\xff"));
}
static void
empty_data(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, F_DATA, 0, 1, STR_EMPTY);
}
static void
padding_only(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, F_DATA, 8, 1, STR("\3\0\0\0"));
}
static void
priority(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, F_PRIORITY, 0, 1, STR("\0\0\0\0\1"));
}
static void
priority_update(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, 0x10, 0, 0, STR("\0\0\0\1u=1"));
}
static void
unknown(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, 0xbe, 0, 0, STR_EMPTY);
}
static void
window_1(struct h2_peer *peer, uint32_t i)
{
    peer_u32(peer, F_WINDOW, 0, i % 2, 1);
}
static void
empty_field(struct h2_peer *peer, uint32_t i)
{
    /* CVE-2019-9516: fields with neither name nor value */
    peer_frame(peer, F_HEADERS, END_STREAM | END_HEADERS, 3 + 2 * i, STR("\0\0\0\0\0\0\0\0\0"));
}
static void
refused_head(struct h2_peer *peer, uint32_t i)
{
    peer_headers(peer, 3 + 2 * i, END_STREAM, "TRACE", "/", NULL);
}
static void
goaway(struct h2_peer *peer, uint32_t i)
{
    (void)i;
    peer_frame(peer, F_GOAWAY, 0, 0, STR("\0\0\0\0\0\0\0\0"));
}

static void
continuation(struct h2_peer *peer, uint32_t i)
{
    peer_frame(peer, i == 0 ? F_HEADERS : F_CONTINUATION, 0, 3, i == 0 ? STR("\x82") : STR_EMPTY);
}
/* Heads of a stream that we reset: ignored, not free. */
static void
reset_heads(struct h2_peer *peer, uint32_t i)
{
    if (i == 0)
        peer_headers(peer, 3, 0, "POST", "/hang", "connection\nclose");
    peer_frame(peer, F_HEADERS, END_HEADERS, 3, STR("\x82"));
}

/* paced: each is sent and answered before the next one, so that no other limit stops it. */
static const struct {
    const char *name;
    flood_fn one;
    unsigned count;
    unsigned requests_max;
    bool paced;
} floods[] = {
    {"rapid reset", rapid_reset, 2000, 200, false},
    {"window update 0", made_window_0, 1000, 201, false},
    {"window overflow", made_window_overflow, 1000, 201, false},
    {"data after the end", made_data_after_end, 1000, 201, false},
    {"headers after the end", made_headers_after_end, 1000, 201, false},
    {"priority of 4 bytes", made_priority_length, 1000, 201, false},
    {"self dependency", made_self_dependency, 1000, 201, false},
    {"rapid reset, paced", rapid_reset, 300, 102, true},
    {"window overflow, paced", made_window_overflow, 300, 102, true},
    {"continuation", continuation, 1000, 1, false},
    {"ping", ping, 20000, 1, false},
    {"ping ack", ping_ack, 20000, 1, false},
    {"settings", settings, 10000, 1, false},
    {"empty data", empty_data, 100000, 1, false},
    {"padding only", padding_only, 50000, 1, false},
    {"priority", priority, 50000, 1, false},
    {"priority update", priority_update, 50000, 1, false},
    {"unknown type", unknown, 50000, 1, false},
    {"window update of 1", window_1, 100000, 1, false},
    {"empty fields", empty_field, 5000, 1, false},
    {"refused heads", refused_head, 5000, 1, false},
    {"goaway", goaway, 5000, 1, false},
    {"heads of a reset stream", reset_heads, 500, 1, true},
};

/* H2-02, 03, 05, 11, 12, 13 and F3. Some primitives are errors of the whole connection in nghttp2
 * (PROTOCOL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR): that ends them at once, which is as good. */
static void
test_floods(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        struct kit kit;
        struct h2_peer peer;
        kit_open(&kit, NULL);
        peer_open(&peer, &kit);
        peer_headers(&peer, 1, 0, "POST", "/hang", NULL);
        peer_send(&peer);
        clock_t cpu = clock();
        for (uint32_t k = 0; k < floods[i].count && !peer.ended; k++) {
            floods[i].one(&peer, k);
            if (floods[i].paced || peer.out.len > 60000 || k + 1 == floods[i].count)
                peer_send(&peer);
            if (floods[i].paced)
                kit_step(&kit);
        }
        peer.ended = false; /* what they sent before they closed is still to be read */
        bool gone = peer_until(&peer, F_GOAWAY, 0);
        uint32_t code = gone ? peer_code(&peer) : 0;
        bool stopped = floods[i].paced
                           ? code == CALM
                           : (code == CALM || code == 1 || code == 3 || code == 5 || code == 6);
        double cpu_s = (double)(clock() - cpu) / CLOCKS_PER_SEC;
        KIT_UNTIL(&kit, kit.closed_count == kit.request_count);
        /* A reset may overtake the GOAWAY when the flood was cut off; the limits hold all the
         * same. */
        if ((gone && !stopped) || (floods[i].paced && !gone) ||
            kit.request_count > floods[i].requests_max || cpu_s > 5)
            fail_msg("%s: goaway %d code %u, %u requests, %.2f s", floods[i].name, gone, code,
                     kit.request_count, cpu_s);
        KIT_UNTIL(&kit, http_server_conn_count(kit.server) == 0 || (kit_jump(&kit, 500), false));
        peer_close(&peer);
        kit_close(&kit);
    }
}

/* A client that reads in small steps: two window updates and a ping for every DATA frame;
 * thousands of requests, some canceled after their answer. None of it costs anything. */
static void
test_honest(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t id = 1 + 2 * i;
        peer_get(&peer, id, i % 100 ? "/" : "/big");
        peer_send(&peer);
        size_t got = 0;
        size_t want = i % 100 ? 5 : 1u << 20;
        while (got < want) {
            assert_true(peer_until(&peer, F_DATA, id));
            got += peer.payload.len;
            uint32_t count = (uint32_t)peer.payload.len;
            peer_u32(&peer, F_WINDOW, 0, 0, count);
            if ((peer.flags & END_STREAM) == 0)
                peer_u32(&peer, F_WINDOW, 0, id, count);
            peer_frame(&peer, F_PING, 0, 0, STR("12345678"));
            peer_send(&peer);
            buf_consume(&peer.in, peer.at);
            peer.at = 0;
        }
        if (i % 2)
            peer_u32(&peer, F_RST, 0, id, 8); /* late: the answer is complete */
    }
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 3000);
    assert_int_equal(http_server_conn_count(kit.server), 1);
    peer_finish(&peer, &kit);
}

/* A browser's PRIORITY_UPDATE for every request; a provider that breaks off every answer: neither
 * is the peer's fault. */
static void
test_cuts_are_ours(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    for (uint32_t id = 1; id < 600; id += 2) {
        peer_frame(&peer, 0x10, 0, 0, STR("\0\0\0\1u=1"));
        peer_get(&peer, id, "/stream");
        peer_send(&peer);
        KIT_UNTIL(&kit, kit.stream != NULL);
        http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        (void)http_stream_write(kit.stream, STR("so far"));
        http_stream_cut(kit.stream);
        assert_true(peer_until(&peer, F_RST, id));
        KIT_UNTIL(&kit, kit.stream == NULL);
    }
    assert_int_equal(http_server_conn_count(kit.server), 1);
    assert_int_equal(kit.reasons[HTTP_ABORTED], 300);
    peer_finish(&peer, &kit);
}

/* 90 streams canceled at once by somebody who closes a tab, and the bucket fills again. */
static void
test_burst_is_allowed(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    uint32_t id = 1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 90; i++, id += 2)
            peer_get(&peer, id, "/hang");
        peer_send(&peer);
        KIT_UNTIL(&kit, kit.request_count == (id - 1) / 2);
        for (uint32_t k = id - 180; k < id; k += 2)
            peer_u32(&peer, F_RST, 0, k, 8);
        peer_send(&peer);
        KIT_UNTIL(&kit, kit.closed_count == kit.request_count);
        kit_jump(&kit, 9000);
    }
    assert_int_equal(http_server_conn_count(kit.server), 1);
    assert_int_equal(kit.reasons[HTTP_PEER_GONE], 270);
    peer_finish(&peer, &kit);
}

/* Never more than h2_streams_max at work, however fast slots seem to become free. */
static void
test_slots(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    kit_open(&kit, &(struct http_server_conf){.h2_streams_max = 10});
    peer_open(&peer, &kit);
    for (uint32_t i = 0; i < 12; i++)
        peer_get(&peer, 1 + 2 * i, "/hang");
    peer_send(&peer);
    assert_true(peer_until(&peer, F_GOAWAY, 0)); /* they had acknowledged the limit */
    assert_int_equal(peer_code(&peer), 1);
    assert_int_equal(kit.request_count, 10);
    peer_finish(&peer, &kit);
}

/* A header block that does not end, and a body that trickles. */
static void
test_slow(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    peer_begin(&peer, &kit);
    peer_frame(&peer, F_HEADERS, END_STREAM, 1, STR("\x82"));
    peer_send(&peer);
    for (int i = 0; i < 10; i++)
        kit_step(&kit);
    for (int i = 0; i < 3; i++)
        kit_jump(&kit, 10100);
    KIT_UNTIL(&kit, http_server_conn_count(kit.server) == 0);
    peer_close(&peer);

    peer_open(&peer, &kit);
    peer_headers(&peer, 1, 0, "POST", "/echo", NULL);
    peer_frame(&peer, F_DATA, 0, 1, STR("abc"));
    peer_send(&peer);
    KIT_UNTIL(&kit, kit.request_count == 1);
    for (int i = 0; i < 6; i++)
        kit_jump(&kit, 10100);
    assert_true(peer_until(&peer, F_HEADERS, 1));
    KIT_UNTIL(&kit, kit.reasons[HTTP_TIMED_OUT] == 1);
    peer_finish(&peer, &kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),        cmocka_unit_test(test_honest),
        cmocka_unit_test(test_cuts_are_ours), cmocka_unit_test(test_burst_is_allowed),
        cmocka_unit_test(test_slots),         cmocka_unit_test(test_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
