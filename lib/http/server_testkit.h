/* SPDX-License-Identifier: MIT
 * server_testkit.h - for the server's tests: the real server on a real loop, raw loopback sockets,
 *                    and a clock that can jump.
 * Floor: lib/http, tests only; one thread: the test steps the loop.
 * Owns: struct kit and what it opened.
 * Invariant: nothing sleeps: everything waits by stepping the loop until a condition or a
 *   deadline. */
#ifndef BERTH_LIB_HTTP_SERVER_TESTKIT_H
#define BERTH_LIB_HTTP_SERVER_TESTKIT_H

#include <errno.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/http/server.h"

#define KIT_STREAMS_MAX 512u
#define KIT_WAIT_MS 4000

struct kit {
    struct loop *loop;
    struct http_server *server;
    int listen_fd;
    struct sock_addr addr;
    struct http_handler handler;
    struct http_server_conf conf;
    /* what the handler saw */
    unsigned request_count;
    unsigned complete_count;
    unsigned closed_count;
    unsigned conn_closed_count;
    unsigned writable_count;
    unsigned reasons[8];
    uint64_t body_bytes;
    struct http_stream *stream; /* the last that is open, or NULL */
    char target[128];
    char authority[128];
    char field[256]; /* value of x-test, or of cookie */
    uint32_t field_count;
};

static uint64_t kit_jump_ms;
static uint64_t kit_still_ns; /* not 0: time stands there, but for kit_jump */

/* For what a test waits for. */
static inline uint64_t
kit_real_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t
kit_real_ms(void)
{
    return kit_real_ns() / 1000000u;
}

static uint64_t
kit_mono_ns(void *user)
{
    (void)user;
    return (kit_still_ns != 0 ? kit_still_ns : kit_real_ns()) + kit_jump_ms * 1000000u;
}

static int64_t
kit_wall_ns(void *user)
{
    (void)user;
    return 784111777000000000; /* Sun, 06 Nov 1994 08:49:37 GMT */
}

static inline struct kit *
kit_of(const struct http_stream *stream)
{
    return http_server_user(http_conn_server(http_stream_conn(stream)));
}

static void
kit_keep(char *out, size_t size, struct str value)
{
    if (!str_copy(out, size, value))
        out[0] = '\0';
}

/* Behaviour by path: /early answers in `request`; /echo collects; /small collects <= 8 bytes;
 * /stream, /hang and /pause answer nothing on their own; /big sends 1 MiB; anything else
 * "hello". */
static void
kit_request(struct http_stream *stream, const struct http_head *head)
{
    struct kit *kit = kit_of(stream);
    kit->request_count++;
    kit->stream = stream;
    kit->field_count = head->field_count;
    kit_keep(kit->target, sizeof kit->target, head->target);
    kit_keep(kit->authority, sizeof kit->authority, head->authority);
    struct str value = http_field_get(head, STR("x-test"));
    kit_keep(kit->field, sizeof kit->field,
             value.ptr != NULL ? value : http_field_get(head, STR("cookie")));
    if (str_eq(head->target, STR("/early")))
        http_stream_answer(stream, 401, NULL, 0, STR("who are you"));
    else if (str_eq(head->target, STR("/echo")))
        http_stream_collect(stream, 1u << 20);
    else if (str_eq(head->target, STR("/small")))
        http_stream_collect(stream, 8);
    else if (str_eq(head->target, STR("/pause")))
        http_stream_pause(stream, true);
    enum coding_kind coding = coding_kind(http_field_get(head, STR("content-encoding")));
    if (coding != CODING_IDENTITY && coding != CODING_UNKNOWN)
        assert_int_equal(http_stream_decode(stream, coding), 0);
}

static void
kit_body(struct http_stream *stream, struct str bytes)
{
    kit_of(stream)->body_bytes += bytes.len;
}

static void
kit_complete(struct http_stream *stream)
{
    static char big[1u << 20];
    struct kit *kit = kit_of(stream);
    kit->complete_count++;
    struct str target = http_stream_target(stream);
    if (str_eq(target, STR("/stream")) || str_eq(target, STR("/hang")))
        return;
    struct http_field type = {STR("content-type"), STR("text/plain")};
    if (str_eq(target, STR("/big"))) {
        memset(big, 'b', sizeof big);
        http_stream_respond(stream, 200, &type, 1, sizeof big);
        (void)http_stream_write_now(stream, str_make(big, sizeof big));
        http_stream_end(stream);
        return;
    }
    bool echo = str_eq(target, STR("/echo")) || str_eq(target, STR("/small"));
    http_stream_answer(stream, 200, &type, 1, echo ? http_stream_body(stream) : STR("hello"));
}

static void
kit_writable(struct http_stream *stream)
{
    kit_of(stream)->writable_count++;
}

static void
kit_closed(struct http_stream *stream, enum http_close_reason reason)
{
    struct kit *kit = kit_of(stream);
    kit->closed_count++;
    kit->reasons[reason]++;
    if (kit->stream == stream)
        kit->stream = NULL;
}

static void
kit_conn_closed(struct http_conn *conn)
{
    struct kit *kit = http_server_user(http_conn_server(conn));
    kit->conn_closed_count++;
}

static inline void
kit_open(struct kit *kit, const struct http_server_conf *conf)
{
    static const struct clock_source source = {kit_mono_ns, kit_wall_ns, NULL};
    clock_replace(&source);
    memset(kit, 0, sizeof *kit);
    kit->handler = (struct http_handler){kit_request, kit_body,        kit_complete, kit_writable,
                                         kit_closed,  kit_conn_closed, NULL,         NULL};
    if (conf != NULL)
        kit->conf = *conf;
    struct err err = {0};
    assert_int_equal(loop_new(&kit->loop, &err), 0);
    kit->conf.loop = kit->loop;
    kit->conf.handler = &kit->handler;
    kit->conf.user = kit;
    assert_int_equal(http_server_new(&kit->conf, &kit->server, &err), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &kit->addr, &err), 0);
    assert_int_equal(sock_listen(&kit->addr, 64, false, 0, &kit->listen_fd, &err), 0);
    kit->addr.len = sizeof kit->addr.u;
    assert_int_equal(getsockname(kit->listen_fd, &kit->addr.u.any, &kit->addr.len), 0);
    assert_int_equal(http_server_listen(kit->server, kit->listen_fd), 0);
}

/* Every stream that was announced was closed, once. */
static inline void
kit_close(struct kit *kit)
{
    http_server_free(&kit->server);
    assert_int_equal(kit->closed_count, kit->request_count);
    (void)close(kit->listen_fd);
    loop_free(&kit->loop);
    clock_replace(NULL);
    kit_jump_ms = 0;
    kit_still_ns = 0;
}

static inline void
kit_step(struct kit *kit)
{
    loop_step(kit->loop, 1);
}

/* From now on time passes for the server by kit_jump alone, however slow this machine is. */
static inline void
kit_stop_time(void)
{
    kit_still_ns = kit_real_ns();
}

/* The server has read all that was sent to it: its kernel had it, and it has looked since. */
static inline void
kit_taken(struct kit *kit, int fd)
{
    int left = 1;
    for (int i = 0; i < 100000 && left > 0; i++) {
        kit_step(kit);
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
    }
    assert_int_equal(left, 0);
    for (int i = 0; i < 3; i++)
        kit_step(kit);
}

/* Let time pass for the server. */
static inline void
kit_jump(struct kit *kit, uint64_t ms)
{
    kit_jump_ms += ms;
    kit_step(kit);
    kit_step(kit);
}

static inline int
kit_connect(struct kit *kit)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)connect(fd, &kit->addr.u.any, kit->addr.len);
    uint32_t before = http_server_conn_count(kit->server);
    for (int i = 0; i < 200 && http_server_conn_count(kit->server) == before; i++)
        kit_step(kit);
    return fd;
}

/* Send everything, stepping the server when the pipe is full. false: they closed on us. */
static inline bool
kit_send(struct kit *kit, int fd, struct str bytes)
{
    for (int i = 0; bytes.len > 0 && i < 100000; i++) {
        ssize_t count = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (count > 0)
            bytes = str_skip(bytes, (size_t)count);
        else if (count < 0 && errno != EAGAIN)
            return false;
        else
            kit_step(kit);
    }
    return bytes.len == 0;
}

/* Read into got until `count` bytes are there, `until` occurs in what is new since `from`, or the
 * end. count SIZE_MAX and until NULL: until the end. Returns true at the end of the connection. */
static inline bool
kit_read(struct kit *kit, int fd, struct buf *got, size_t count, const char *until)
{
    uint64_t deadline = kit_real_ms() + KIT_WAIT_MS;
    char bytes[65536];
    while (kit_real_ms() < deadline) {
        if (got->len >= count ||
            (until != NULL && str_find(buf_str(got), str_from(until)) != SIZE_MAX))
            return false;
        kit_step(kit);
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true;
        if (n > 0)
            assert_int_equal(buf_put(got, bytes, (size_t)n), 0);
    }
    print_message("gave up waiting; have %zu bytes: %.*s\n", got->len,
                  (int)MIN(got->len, (size_t)300), buf_cstr(got));
    fail();
    return false;
}

/* Step until the condition; a test asserts it afterwards. */
#define KIT_UNTIL(kit, cond)                             \
    do {                                                 \
        uint64_t kit_end_ = kit_real_ms() + KIT_WAIT_MS; \
        while (!(cond) && kit_real_ms() < kit_end_)      \
            kit_step(kit);                               \
        assert_true(cond);                               \
    } while (0)

#endif
