/* SPDX-License-Identifier: MIT
 * server_slow_test.c - peers that hardly take what waits for them, on either protocol; and those
 *                      that are slow for a good reason (CVE-2019-9517, HARDENING 3.2).
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: minutes pass by a clock that jumps; what the peer gets is what the test asserts. */
#include "lib/http/server_h2_testkit.h"

#define STEP_MS 10100u
#define SLOW_STREAMS_MAX 100u

/* Answers `count` streams with `bytes` each, which wait for windows. */
static void
open_answers(struct kit *kit, struct h2_peer *peer, uint32_t count, size_t bytes)
{
    static char block[65536];
    for (uint32_t i = 0; i < count; i++) {
        peer_get(peer, 1 + 2 * i, "/stream");
        peer_send(peer);
        KIT_UNTIL(kit, kit->complete_count == i + 1);
        http_stream_respond(kit->stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        for (size_t left = bytes; left > 0; left -= MIN(left, sizeof block))
            (void)http_stream_write(kit->stream, str_make(block, MIN(left, sizeof block)));
        kit_step(kit);
    }
}

/* Takes what there is; the number of RST_STREAM(CANCEL). */
static unsigned
take_all(struct h2_peer *peer, size_t *ret_bytes)
{
    unsigned cancels = 0;
    while (peer_next(peer, 2)) {
        if (peer->type == F_RST)
            cancels += peer_code(peer) == 8;
        if (peer->type == F_DATA)
            *ret_bytes += peer->payload.len;
        if (peer->type == F_GOAWAY)
            fail_msg("GOAWAY %u", peer_code(peer));
    }
    buf_consume(&peer->in, peer->at);
    peer->at = 0;
    return cancels;
}

struct slow_row {
    const char *name;
    uint32_t streams;
    uint32_t settings;    /* INITIAL_WINDOW_SIZE */
    uint32_t stream_step; /* window that each stream gets every 10 s */
    uint32_t conn_step;   /* and the connection */
    bool lives;
};

/* Ten minutes, and never more than two for what cannot live. */
static void
test_windows(void **state)
{
    static const struct slow_row rows[] = {
        {"window 0 for ever", 1, 0, 0, 0, false},
        {"a byte every ten seconds", 1, 0, 1, 0, false},
        {"drips on 100 streams", SLOW_STREAMS_MAX, 0, 1, 0, false},
        {"400 bytes a second", 1, 0, 4000, 4000, false},
        {"a connection's window that drips", 2, 1 << 20, 0, 1, false},
        {"1,000 bytes a second", 1, 0, 10000, 10000, true},
        {"1,000 bytes a second each", 5, 0, 10000, 50000, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct slow_row *row = &rows[i];
        struct kit kit;
        struct h2_peer peer;
        unsigned cancels = 0;
        size_t bytes = 0;
        unsigned steps = row->lives ? 50 : 12; /* of a connection that is idle then */
        const char window[6] = {0,
                                4,
                                (char)(row->settings >> 24),
                                (char)(row->settings >> 16),
                                (char)(row->settings >> 8),
                                (char)row->settings};
        print_message("  %s\n", row->name);
        kit_open(&kit, NULL);
        peer_open(&peer, &kit);
        peer_frame(&peer, F_SETTINGS, 0, 0, str_make(window, sizeof window));
        open_answers(&kit, &peer, row->streams, 600000);
        for (unsigned step = 0; step < steps; step++) {
            for (uint32_t k = 0; k < row->streams && row->stream_step > 0; k++)
                peer_u32(&peer, F_WINDOW, 0, 1 + 2 * k, row->stream_step);
            if (row->conn_step > 0)
                peer_u32(&peer, F_WINDOW, 0, 0, row->conn_step);
            peer_send(&peer);
            cancels += take_all(&peer, &bytes);
            kit_jump(&kit, STEP_MS);
        }
        cancels += take_all(&peer, &bytes);
        if (cancels != (row->lives ? 0 : row->streams) || kit.reasons[HTTP_PEER_GONE] != cancels ||
            http_server_conn_count(kit.server) != 1)
            fail_msg("%s: %u canceled, %u closed, %zu bytes", row->name, cancels,
                     kit.reasons[HTTP_PEER_GONE], bytes);
        assert_true(!row->lives || bytes > 10000 * (steps - 1) * row->streams);
        peer_close(&peer);
        kit_close(&kit);
    }
}

/* A provider that says little or nothing for minutes, to a peer that opens its window for just what
 * it got, and late: something waits at any moment of the talk. */
static void
test_slow_provider(void **state)
{
    (void)state;
    struct kit kit;
    struct h2_peer peer;
    char event[100];
    size_t bytes = 0;
    memset(event, 'e', sizeof event);
    peer_begin(&peer, &kit);
    peer_frame(&peer, F_SETTINGS, 0, 0, STR("\0\4\0\0\0\0"));
    open_answers(&kit, &peer, 1, 0);
    for (int talk = 0; talk < 2; talk++) {
        (void)http_stream_write(kit.stream, str_make(event, sizeof event));
        for (int i = 0; i < 60; i++) {
            (void)http_stream_write(kit.stream, str_make(event, sizeof event));
            peer_u32(&peer, F_WINDOW, 0, 1, sizeof event);
            peer_send(&peer);
            kit_jump(&kit, 5000);
            assert_int_equal(take_all(&peer, &bytes), 0);
            assert_int_equal(http_stream_queued(kit.stream), sizeof event);
        }
        peer_u32(&peer, F_WINDOW, 0, 1, sizeof event);
        peer_send(&peer);
        for (int silence = 0; silence < 30; silence++)
            kit_jump(&kit, STEP_MS);
        assert_int_equal(take_all(&peer, &bytes), 0);
        assert_int_equal(bytes, (size_t)(talk + 1) * 61 * sizeof event);
    }
    http_stream_end(kit.stream);
    KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 1);
    peer_finish(&peer, &kit);
}

struct socket_row {
    const char *name;
    bool h2;
    size_t step; /* bytes that are read every ten seconds */
    bool lives;
};

/* A client that asks for /stream; .fd is its socket, whatever it speaks. */
static struct h2_peer
socket_ask(struct kit *kit, bool h2)
{
    struct h2_peer peer = {.fd = -1};
    if (h2) {
        peer_open(&peer, kit);
        peer_frame(&peer, F_SETTINGS, 0, 0, STR("\0\4\x7f\xff\xff\xff"));
        peer_u32(&peer, F_WINDOW, 0, 0, 1 << 30);
        peer_get(&peer, 1, "/stream");
        peer_send(&peer);
    } else {
        peer.fd = kit_connect(kit);
        assert_true(kit_send(kit, peer.fd, STR("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")));
    }
    return peer;
}

static void
socket_read(struct kit *kit, int fd, char *chunk, size_t size, size_t left)
{
    while (left > 0) {
        ssize_t got = recv(fd, chunk, MIN(left, size), 0);
        if (got < 0 && errno == EAGAIN)
            kit_step(kit); /* the kernel holds less than that */
        else
            assert_true(got > 0);
        left -= (size_t)MAX(got, 0);
    }
}

/* The same through a socket that is full. */
static void
test_sockets(void **state)
{
    static const struct socket_row rows[] = {
        {"HTTP/1.1, no byte", false, 0, false},    {"HTTP/1.1, 100 bytes", false, 100, false},
        {"HTTP/1.1, 100 kB", false, 100000, true}, {"HTTP/2, no byte", true, 0, false},
        {"HTTP/2, 100 bytes", true, 100, false},   {"HTTP/2, 100 kB", true, 100000, true},
    };
    static char chunk[100000];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct socket_row *row = &rows[i];
        struct kit kit;
        kit_open(&kit, NULL);
        struct h2_peer peer = socket_ask(&kit, row->h2);
        KIT_UNTIL(&kit, kit.complete_count == 1);
        http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
        for (int steps = 0; steps < 50 && kit.closed_count == 0; steps++) {
            while (http_stream_write(kit.stream, str_make(chunk, sizeof chunk)))
                kit_step(&kit);
            socket_read(&kit, peer.fd, chunk, sizeof chunk, row->step);
            kit_jump(&kit, STEP_MS);
            if (steps == 20)
                assert_int_equal(kit.closed_count, row->lives ? 0 : 1);
        }
        if (kit.reasons[HTTP_TIMED_OUT] != (row->lives ? 0 : 1))
            fail_msg("%s: %u", row->name, kit.reasons[HTTP_TIMED_OUT]);
        if (row->h2)
            peer_close(&peer);
        else
            (void)close(peer.fd);
        kit_close(&kit);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_slow_provider),
        cmocka_unit_test(test_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
