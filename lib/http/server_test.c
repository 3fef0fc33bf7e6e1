/* SPDX-License-Identifier: MIT
 * server_test.c - life of connections and streams: limits, drain, backpressure, aborts, memory.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: kit_close checks that closed() came exactly once a request. */
#include "lib/http/server_testkit.h"

#include <fcntl.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void
test_adopt_and_limit(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, &(struct http_server_conf){.conn_count_max = 3});
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(http_server_adopt(kit.server, pair[0], &kit), 0);
    struct buf got;
    buf_init(&got, 1u << 16);
    assert_true(kit_send(&kit, pair[1], STR(GET("/hang"))));
    KIT_UNTIL(&kit, kit.stream != NULL);
    assert_ptr_equal(http_conn_user(http_stream_conn(kit.stream)), &kit);
    assert_false(http_conn_is_h2(http_stream_conn(kit.stream)));
    int first = kit_connect(&kit);
    int second = kit_connect(&kit);
    assert_int_equal(http_server_conn_count(kit.server), 3);
    int third = kit_connect(&kit); /* waits in the kernel's queue */
    assert_true(kit_send(&kit, third, STR(GET("/"))));
    assert_int_equal(http_server_conn_count(kit.server), 3);
    int extra[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, extra), 0);
    assert_int_equal(http_server_adopt(kit.server, extra[0], NULL), -ERR_OVERLOADED);
    (void)close(first);
    assert_false(kit_read(&kit, third, &got, SIZE_MAX, "hello"));
    (void)close(second);
    (void)close(third);
    (void)close(extra[1]);
    (void)close(pair[1]);
    buf_fini(&got);
    kit_close(&kit);
    assert_int_equal(kit.conn_closed_count, 4);
}

static void
drained(void *user)
{
    *(bool *)user = true;
}

static void
test_drain(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    struct buf got;
    buf_init(&got, 1u << 16);
    int idle = kit_connect(&kit);
    int busy = kit_connect(&kit);
    assert_true(kit_send(&kit, idle, STR(GET("/"))));
    assert_false(kit_read(&kit, idle, &got, SIZE_MAX, "hello"));
    assert_true(kit_send(&kit, busy, STR(GET("/stream"))));
    KIT_UNTIL(&kit, kit.complete_count == 2);
    bool done = false;
    http_server_drain(kit.server, drained, &done);
    assert_true(kit_read(&kit, idle, &got, SIZE_MAX, NULL));
    assert_false(done);
    http_stream_answer(kit.stream, 200, NULL, 0, STR("last"));
    got.len = 0;
    assert_true(kit_read(&kit, busy, &got, SIZE_MAX, NULL));
    assert_true(str_find(buf_str(&got), STR("connection: close")) != SIZE_MAX);
    assert_true(str_ends(buf_str(&got), STR("last")));
    KIT_UNTIL(&kit, done);
    (void)close(idle);
    (void)close(busy);
    buf_fini(&got);
    kit_close(&kit);
}

/* A request that lies in the socket of a connection that rested is answered, not reset. */
static void
test_drain_of_who_just_asked(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    int fd = kit_connect(&kit);
    struct buf got;
    buf_init(&got, 1u << 16);
    assert_true(kit_send(&kit, fd, STR(GET("/"))));
    assert_false(kit_read(&kit, fd, &got, SIZE_MAX, "hello"));
    got.len = 0;
    assert_true(kit_send(&kit, fd, STR(GET("/"))));
    bool done = false;
    http_server_drain(kit.server, drained, &done);
    assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
    assert_true(str_find(buf_str(&got), STR("connection: close")) != SIZE_MAX);
    assert_true(str_ends(buf_str(&got), STR("hello")));
    KIT_UNTIL(&kit, done);
    (void)close(fd);
    buf_fini(&got);
    kit_close(&kit);
}

/* Who is connected when a drain begins, be it in the kernel's queue, is answered once; who then
 * says nothing is not waited for. More of them than are accepted in one turn, on two listeners. */
static void
test_drain_of_who_waits(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    kit_stop_time();
    struct kit second = {.addr = kit.addr};
    struct err err = {0};
    second.addr.u.in4.sin_port = 0;
    assert_int_equal(sock_listen(&second.addr, 64, false, 0, &second.listen_fd, &err), 0);
    assert_int_equal(getsockname(second.listen_fd, &second.addr.u.any, &second.addr.len), 0);
    assert_int_equal(http_server_listen(kit.server, second.listen_fd), 0);
    int fds[24];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        const struct sock_addr *addr = i % 2 == 0 ? &kit.addr : &second.addr;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], &addr->u.any, addr->len), 0);
        assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
    }
    assert_true(kit_send(&kit, fds[0], STR(GET("/"))));
    bool done = false;
    http_server_drain(kit.server, drained, &done);
    (void)close(second.listen_fd);
    (void)close(kit.listen_fd);
    struct buf got;
    buf_init(&got, 1u << 16);
    for (size_t i = 0; i < ARRAY_LEN(fds) - 1; i++) {
        got.len = 0;
        assert_true(i == 0 || kit_send(&kit, fds[i], STR(GET("/"))));
        assert_true(kit_read(&kit, fds[i], &got, SIZE_MAX, NULL));
        assert_true(str_find(buf_str(&got), STR("connection: close")) != SIZE_MAX);
        assert_true(str_ends(buf_str(&got), STR("hello")));
    }
    assert_false(done);
    kit_jump(&kit, 1100);
    KIT_UNTIL(&kit, done);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
    buf_fini(&got);
    kit.listen_fd = -1;
    kit_close(&kit);
}

/* write says stop above 256 KiB, writable comes when the peer has read, and every byte arrives;
 * both ways of writing, mixed. */
static void
test_backpressure(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    static char chunk[100000];
    struct buf got;
    struct buf sent;
    buf_init(&got, 64u << 20);
    buf_init(&sent, 64u << 20);
    int fd = kit_connect(&kit);
    assert_true(kit_send(&kit, fd, STR(GET("/stream"))));
    KIT_UNTIL(&kit, kit.complete_count == 1);
    const uint64_t length = 200u * sizeof chunk;
    http_stream_respond(kit.stream, 200, NULL, 0, length);
    unsigned refusals = 0;
    for (unsigned i = 0; i < 200; i++) {
        memset(chunk, (int)('a' + i % 26), sizeof chunk);
        bool more = i % 3 == 0 ? http_stream_write(kit.stream, str_make(chunk, sizeof chunk))
                               : http_stream_write_now(kit.stream, str_make(chunk, sizeof chunk));
        assert_int_equal(buf_put(&sent, chunk, sizeof chunk), 0);
        kit_step(&kit);
        if (more)
            continue;
        refusals++;
        unsigned before = kit.writable_count;
        while (kit.writable_count == before)
            assert_false(kit_read(&kit, fd, &got, got.len + 1, NULL));
        assert_true(http_stream_queued(kit.stream) < 256u << 10);
    }
    assert_true(refusals > 0);
    http_stream_end(kit.stream);
    assert_false(kit_read(&kit, fd, &got, length + 1, NULL));
    KIT_UNTIL(&kit, kit.closed_count == 1);
    size_t head = str_find(buf_str(&got), STR("\r\n\r\n")) + 4;
    assert_false(kit_read(&kit, fd, &got, length + head, NULL));
    assert_true(str_eq(str_skip(buf_str(&got), head), buf_str(&sent)));
    assert_int_equal(kit.reasons[HTTP_DONE], 1);
    (void)close(fd);
    buf_fini(&sent);
    buf_fini(&got);
    kit_close(&kit);
}

/* Chunks through write_now, with a peer that reads late: the framing stays whole. */
static void
test_write_now_chunked(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    static char chunk[50000];
    struct buf got;
    buf_init(&got, 64u << 20);
    int fd = kit_connect(&kit);
    assert_true(kit_send(&kit, fd, STR(GET("/stream"))));
    KIT_UNTIL(&kit, kit.complete_count == 1);
    http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
    memset(chunk, 'c', sizeof chunk);
    for (unsigned i = 0; i < 100; i++)
        (void)http_stream_write_now(kit.stream, str_make(chunk, sizeof chunk));
    http_stream_end(kit.stream);
    assert_false(kit_read(&kit, fd, &got, SIZE_MAX, "\r\n0\r\n\r\n"));
    struct str rest = buf_str(&got);
    rest = str_skip(rest, str_find(rest, STR("\r\n\r\n")) + 4);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(str_starts(rest, STR("c350\r\nccc")));
        assert_true(str_starts(str_skip(rest, 6 + sizeof chunk), STR("\r\n")));
        rest = str_skip(rest, 8 + sizeof chunk);
    }
    assert_true(str_eq(rest, STR("0\r\n\r\n")));
    (void)close(fd);
    buf_fini(&got);
    kit_close(&kit);
}

/* A paused upload stops the sender and goes on where it stopped. */
static void
test_pause(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    static char part[65536];
    int fd = kit_connect(&kit);
    assert_true(kit_send(
        &kit, fd, STR("POST /pause HTTP/1.1\r\nHost: a\r\nContent-Length: 6553600\r\n\r\n")));
    KIT_UNTIL(&kit, kit.stream != NULL);
    size_t sent = 0;
    for (int idle = 0; idle < 50;) {
        ssize_t n = send(fd, part, MIN(sizeof part, 6553600 - sent), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        kit_step(&kit);
        if (sent == 6553600)
            break;
    }
    assert_int_equal(kit.body_bytes, 0);
    http_stream_pause(kit.stream, false);
    while (sent < 6553600) {
        ssize_t n = send(fd, part, MIN(sizeof part, 6553600 - sent), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        kit_step(&kit);
    }
    KIT_UNTIL(&kit, kit.closed_count == 1);
    assert_int_equal(kit.body_bytes, 6553600);
    assert_int_equal(kit.reasons[HTTP_DONE], 1);
    (void)close(fd);
    kit_close(&kit);
}

/* The whole upload and their FIN are here before the pause ends: it is complete, not cut, unless
 * they closed for good. */
static void
test_pause_and_half_close(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        bool whole = how > 0;
        bool gone = how == 2;
        struct kit kit;
        kit_open(&kit, NULL);
        struct buf got;
        buf_init(&got, 1u << 16);
        int fd = kit_connect(&kit);
        assert_true(kit_send(
            &kit, fd, STR("POST /pause HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell")));
        KIT_UNTIL(&kit, kit.stream != NULL);
        assert_true(kit_send(&kit, fd, whole ? STR("o") : STR_EMPTY));
        if (gone)
            (void)close(fd);
        else
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        for (int i = 0; i < 10; i++)
            kit_step(&kit);
        if (whole && !gone) {
            http_stream_pause(kit.stream, false);
            assert_true(kit_read(&kit, fd, &got, SIZE_MAX, NULL));
            assert_true(str_ends(buf_str(&got), STR("hello")));
        }
        KIT_UNTIL(&kit, kit.reasons[whole && !gone ? HTTP_DONE : HTTP_PEER_GONE] == 1);
        if (!gone)
            (void)close(fd);
        buf_fini(&got);
        kit_close(&kit);
    }
}

/* A body that is read straight into its block, with the next request right behind it. */
static void
test_direct_body(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    struct buf input;
    struct buf got;
    buf_init(&input, 8u << 20);
    buf_init(&got, 8u << 20);
    const size_t sizes[] = {1, 1095, 1096, 1097, 16384, 16385, 300000, 1048576};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        buf_printf(&input, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                   sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            buf_put_byte(&input, (char)('0' + k % 61));
    }
    assert_false(input.failed);
    int fd = kit_connect(&kit);
    size_t at = 0;
    size_t want = 0;
    while (at < input.len) {
        size_t n = MIN((size_t)7777, input.len - at);
        assert_true(kit_send(&kit, fd, str_make(input.ptr + at, n)));
        kit_step(&kit);
        at += n;
        assert_false(kit_read(&kit, fd, &got, 0, NULL));
        char bytes[65536];
        ssize_t count = recv(fd, bytes, sizeof bytes, 0);
        if (count > 0)
            buf_put(&got, bytes, (size_t)count);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_false(kit_read(&kit, fd, &got, want + 20, NULL));
        size_t head = 0;
        while ((head = str_find(str_skip(buf_str(&got), want), STR("\r\n\r\n"))) == SIZE_MAX)
            assert_false(kit_read(&kit, fd, &got, got.len + 1, NULL));
        want += head + 4;
        assert_false(kit_read(&kit, fd, &got, want + sizes[i], NULL));
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(got.ptr[want + k], '0' + k % 61);
        want += sizes[i];
    }
    assert_int_equal(want, got.len);
    (void)close(fd);
    buf_fini(&input);
    buf_fini(&got);
    kit_close(&kit);
}

/* Whatever is open when the server goes, or when a connection is dropped, is closed once. */
static void
test_free_with_open_streams(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct kit kit;
        kit_open(&kit, NULL);
        int fd = kit_connect(&kit);
        assert_true(kit_send(&kit, fd, STR(GET("/hang"))));
        KIT_UNTIL(&kit, kit.stream != NULL);
        if (how == 1) {
            http_conn_abort(http_stream_conn(kit.stream));
            /* all of these do nothing any more */
            http_stream_respond(kit.stream, 200, NULL, 0, 5);
            assert_true(http_stream_write(kit.stream, STR("hello")));
            http_stream_end(kit.stream);
            http_stream_abort(kit.stream);
            assert_int_equal(kit.closed_count, 0);
            kit_step(&kit);
            assert_int_equal(kit.closed_count, 1);
        }
        (void)close(fd);
        kit_close(&kit);
        assert_int_equal(kit.reasons[HTTP_ABORTED], 1);
    }
}

/* A peer that never reads is cut after the idle timeout, whatever is queued. */
static void
test_stalled_reader(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, NULL);
    int fd = kit_connect(&kit);
    assert_true(kit_send(&kit, fd, STR(GET("/stream"))));
    KIT_UNTIL(&kit, kit.complete_count == 1);
    http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
    static char chunk[100000];
    while (http_stream_write_now(kit.stream, str_make(chunk, sizeof chunk)))
        kit_step(&kit);
    for (int i = 0; i < 4 && kit.closed_count == 0; i++)
        kit_jump(&kit, 60100);
    assert_int_equal(kit.reasons[HTTP_TIMED_OUT], 1);
    (void)close(fd);
    kit_close(&kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adopt_and_limit),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_write_now_chunked),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_and_half_close),
        cmocka_unit_test(test_direct_body),
        cmocka_unit_test(test_free_with_open_streams),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_drain_of_who_waits),
        cmocka_unit_test(test_drain_of_who_just_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
