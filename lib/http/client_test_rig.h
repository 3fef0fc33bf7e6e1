/* SPDX-License-Identifier: MIT
 * client_test_rig.h - for tests of the client: a loop, a client, and a fake upstream on raw
 * sockets. Floor: lib/http, tests only; one thread: every wait turns the loop, with a deadline.
 * Owns: the loop, the client, the listening socket.
 * Invariant: none of these functions sleeps; each fails the test after RIG_DEADLINE_MS. */
#ifndef BERTH_LIB_HTTP_CLIENT_TEST_RIG_H
#define BERTH_LIB_HTTP_CLIENT_TEST_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/http/client.h"

#define RIG_DEADLINE_MS 5000u

struct rig {
    struct loop *loop;
    struct http_client *client;
    struct http_origin *origin;
    int listen_fd;
    uint16_t port;
};

/* What a caller saw of one call. */
struct watch {
    struct http_call *call;
    unsigned status;
    char body[1 << 16];
    size_t body_len;
    size_t body_total;
    char field[256]; /* value of "x-test" */
    uint32_t field_count;
    int heads;
    int dones;
    int fails;
    int lasts;
    int writables;
    int code;
    enum http_phase phase;
    char text[256];
    bool cancel_on_body;
    bool pause_on_head;
    struct watch *cancel_on_fail; /* another call, canceled when this one fails */
};

static UNUSED void
watch_head(struct http_call *call, const struct http_head *head)
{
    struct watch *watch = http_call_user(call);
    watch->status = head->status;
    watch->field_count = head->field_count;
    struct str field = http_field_get(head, STR("x-test"));
    (void)snprintf(watch->field, sizeof(watch->field), "%.*s", STR_ARG(field));
    watch->heads++;
    if (watch->pause_on_head)
        http_call_pause(call, true);
}

static UNUSED void
watch_body(struct http_call *call, struct str bytes, bool last)
{
    struct watch *watch = http_call_user(call);
    assert_int_equal(watch->heads, 1);
    size_t room = sizeof(watch->body) - 1 - watch->body_len;
    size_t take = bytes.len < room ? bytes.len : room;
    memcpy(watch->body + watch->body_len, bytes.ptr, take);
    watch->body_len += take;
    watch->body[watch->body_len] = '\0';
    watch->body_total += bytes.len;
    watch->lasts += last ? 1 : 0;
    if (watch->cancel_on_body)
        http_call_cancel(&watch->call);
}

static UNUSED void
watch_done(struct http_call *call)
{
    struct watch *watch = http_call_user(call);
    watch->dones++;
    watch->call = NULL;
}

static UNUSED void
watch_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    struct watch *watch = http_call_user(call);
    watch->fails++;
    watch->code = code;
    watch->phase = phase;
    (void)snprintf(watch->text, sizeof(watch->text), "%s", text);
    watch->call = NULL;
    if (watch->cancel_on_fail != NULL)
        http_call_cancel(&watch->cancel_on_fail->call);
}

static UNUSED void
watch_writable(struct http_call *call)
{
    ((struct watch *)http_call_user(call))->writables++;
}

static UNUSED const struct http_call_ops watch_ops = {
    .head = watch_head,
    .body = watch_body,
    .done = watch_done,
    .failed = watch_failed,
    .writable = watch_writable,
};

static UNUSED bool
watch_ended(const void *subject)
{
    const struct watch *watch = subject;
    return watch->dones + watch->fails > 0;
}

/* rig_wait - turn the loop until `ready(subject)`. */
static UNUSED void
rig_wait(struct rig *rig, bool (*ready)(const void *subject), const void *subject)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (!ready(subject)) {
        assert_true(clock_mono_ms() < end);
        loop_step(rig->loop, 5);
    }
}

static UNUSED void
rig_open(struct rig *rig, const struct http_origin_conf *extra)
{
    struct err err = {0};
    struct http_origin_conf conf = extra != NULL ? *extra : (struct http_origin_conf){0};
    struct sock_addr addr;
    *rig = (struct rig){.listen_fd = -1};
    assert_int_equal(loop_new(&rig->loop, &err), 0);
    assert_int_equal(http_client_new(rig->loop, &rig->client, &err), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 64, false, 0, &rig->listen_fd, &err), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(rig->listen_fd, &addr.u.any, &addr.len), 0);
    rig->port = ntohs(addr.u.in4.sin_port);
    if (conf.host.len == 0)
        conf.host = STR("127.0.0.1");
    conf.port = rig->port;
    assert_int_equal(http_origin_acquire(rig->client, &conf, &rig->origin, &err), 0);
}

static UNUSED void
rig_close(struct rig *rig)
{
    http_origin_release(&rig->origin);
    loop_step(rig->loop, 0);
    http_client_free(&rig->client);
    loop_free(&rig->loop);
    if (rig->listen_fd >= 0)
        close(rig->listen_fd);
}

/* rig_accept - the client's next connection, non-blocking. */
static UNUSED int
rig_accept(struct rig *rig)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    int fd = -1;
    while (sock_accept(rig->listen_fd, &fd, NULL) != 0) {
        assert_true(clock_mono_ms() < end);
        loop_step(rig->loop, 1);
    }
    return fd;
}

static UNUSED bool
rig_nobody_connects(struct rig *rig)
{
    int fd = -1;
    for (int i = 0; i < 5; i++)
        loop_step(rig->loop, 1);
    if (sock_accept(rig->listen_fd, &fd, NULL) != 0)
        return true;
    close(fd);
    return false;
}

/* rig_read - turn the loop until what came on fd since `text` was empty contains `until`; text is
 * NUL-terminated. */
static UNUSED void
rig_read(struct rig *rig, int fd, char *text, size_t size, const char *until)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    size_t len = strlen(text);
    while (strstr(text, until) == NULL) {
        assert_true(clock_mono_ms() < end && len + 1 < size);
        loop_step(rig->loop, 1);
        ssize_t got = read(fd, text + len, size - 1 - len);
        if (got > 0)
            len += (size_t)got;
        text[len] = '\0';
    }
}

/* rig_send - all of it, turning the loop while the socket is full; false when the client closed. */
static UNUSED bool
rig_send(struct rig *rig, int fd, struct str bytes)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (bytes.len > 0) {
        assert_true(clock_mono_ms() < end);
        ssize_t put = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN)
            return false;
        if (put > 0)
            bytes = str_skip(bytes, (size_t)put);
        if (bytes.len > 0)
            loop_step(rig->loop, 1);
    }
    return true;
}

/* rig_gone - the client closes fd. */
static UNUSED bool
rig_gone(struct rig *rig, int fd)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    char bytes[4096];
    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
        if (clock_mono_ms() > end)
            return false;
        loop_step(rig->loop, 1);
    }
}

static UNUSED void
rig_start(struct rig *rig, struct watch *watch, const struct http_call_conf *extra)
{
    struct http_call_conf conf = extra != NULL ? *extra : (struct http_call_conf){0};
    memset(watch, 0, offsetof(struct watch, cancel_on_body));
    conf.ops = &watch_ops;
    conf.user = watch;
    if (conf.method.len == 0)
        conf.method = STR("GET");
    if (conf.target.len == 0)
        conf.target = STR("/");
    assert_int_equal(http_call_start(rig->origin, &conf, &watch->call), 0);
}

#endif
