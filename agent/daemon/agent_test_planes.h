/* SPDX-License-Identifier: MIT
 * agent_test_planes.h - for tests of the agent: a control plane and a data plane, as an agent
 *                       sees them.
 * Floor: agent/daemon, tests only; one thread, everything under rig.lock.
 * Owns: what the two have heard and said.
 * Invariant: they decide as the real ones do: facts first, then the token. */
#ifndef BERTH_AGENT_DAEMON_AGENT_TEST_PLANES_H
#define BERTH_AGENT_DAEMON_AGENT_TEST_PLANES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/handoff.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/log.h"
#include "lib/http/server.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/keeper.h"
#include "agent/kernel/kernel_test_rig.h"

#define RIG_PORT 4180
#define RIG_ROWS 4096
#define RIG_DEADLINE_MS 8000u
#define RIG_SAMPLES 4096

struct rig_row {
    char name[128];
    char id[160];
    uint64_t number;
    uint8_t incarnation[INCARNATION_BYTES];
    uint64_t cookie;
    uint64_t cgroup;
    bool revoked; /* the data plane was told */
    bool unbound; /* the control plane was told */
    uint64_t revoked_ns;
    struct binding binding; /* its strings are static ones */
};
struct rig {
    char folder[64];
    char cgroup[PATH_MAX]; /* ours, in the v2 hierarchy; "" = none */
    pid_t agent;
    const char *kernel_without;
    const char *podman_socket; /* NULL = not followed */
    const char *agent_program; /* NULL = this very program */
    const char *agent_args[8];
    /* the doubles' thread; everything below under lock */
    pthread_t thread;
    pthread_mutex_t lock;
    struct loop *loop;
    struct ed25519_key *key;
    struct tls_context *tls;
    struct http_server *server;
    struct http_stream *stream;
    struct buf line;
    int control_fd;
    uint16_t port;
    struct loop_io plane_listener;
    struct loop_io plane;
    struct rig_row rows[RIG_ROWS];
    size_t row_count;
    const char *refuse; /* answer binds with this reason */
    bool silent;        /* do not answer binds */
    bool mute;          /* the data plane does not answer revocations */
    int lease_ms;
    bool tickless; /* the control plane says nothing any more */
    uint64_t tick_ms;
    int renames;
    int welcomes;
    int hosting;
    char hosting_text[8192];
    char paused_text[8192];
    int conns;
    uint64_t conn_ns;
    uint64_t attest_ns; /* of the connection before the last one */
};
static struct rig rig;

/* What the doubles' thread reads or writes, from a test: never without the lock. The expression
 * must not fail the test, which would leave the lock held. */
#define RIG_GET(expr)                    \
    ({                                   \
        pthread_mutex_lock(&rig.lock);   \
        __auto_type value_ = (expr);     \
        pthread_mutex_unlock(&rig.lock); \
        value_;                          \
    })
#define RIG_SET(place, value) ((void)RIG_GET((place) = (value)))

#define RIG_WAIT(cond)                                     \
    do {                                                   \
        uint64_t end_ = clock_mono_ms() + RIG_DEADLINE_MS; \
        for (;;) {                                         \
            bool met_ = RIG_GET(cond);                     \
            if (met_)                                      \
                break;                                     \
            if (clock_mono_ms() > end_)                    \
                fail_msg("%s: never came true", #cond);    \
            (void)poll(NULL, 0, 1);                        \
        }                                                  \
    } while (0)

/* ---- the control plane ---------------------------------------------------------------------- */

static void
rig_say(const char *text)
{
    if (rig.stream != NULL) {
        (void)http_stream_write(rig.stream, str_from(text));
        (void)http_stream_write(rig.stream, STR("\n"));
    }
}

static void
rig_welcome(void)
{
    char key[2 * ED25519_KEY_BYTES + 1];
    char text[512];
    uint8_t public[ED25519_KEY_BYTES];
    ed25519_public(rig.key, public);
    hex_encode(public, sizeof(public), key);
    (void)snprintf(text, sizeof(text),
                   "{\"type\":\"welcome\",\"server\":\"00112233445566778899aabbccddeeff\","
                   "\"server_key\":\"%s\",\"now_ms\":1,\"lease_ms\":%d,\"node\":\"n\"}",
                   key, rig.lease_ms);
    rig.welcomes++;
    rig_say(text);
}

static void
rig_bind(const struct json_doc *doc, struct arena *arena)
{
    struct binding binding;
    struct err err = {0};
    uint64_t id = 0;
    struct buf text;
    char number[32];
    assert_int_equal(json_u64(doc, json_get(doc, 0, STR("id")), UINT64_MAX, &id), 0);
    if (binding_parse_request(doc, json_get(doc, 0, STR("binding")), arena, &binding, &err) < 0)
        fail_msg("bind: %s", err.text);
    if (rig.silent)
        return;
    buf_init(&text, 65536);
    if (rig.refuse != NULL) {
        buf_printf(&text, "{\"type\":\"refused\",\"id\":%llu,\"code\":\"store\",\"reason\":\"%s\"}",
                   (unsigned long long)id, rig.refuse);
    } else {
        assert_true(rig.row_count < RIG_ROWS);
        struct rig_row *row = &rig.rows[rig.row_count++];
        *row = (struct rig_row){
            .number = rig.row_count, .cookie = binding.netns_cookie, .cgroup = binding.cgroup_id};
        binding.server = STR("00112233445566778899aabbccddeeff");
        binding.number = row->number;
        binding.wallet = STR("default");
        binding.issued_ms = 1;
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)row->number);
        if (binding.name.len == 0)
            binding.name = str_from(number);
        assert_int_equal(binding_sign(&binding, rig.key), 0);
        (void)snprintf(row->name, sizeof(row->name), "%.*s", STR_ARG(binding.name));
        (void)snprintf(row->id, sizeof(row->id), "%.*s", STR_ARG(binding.container_id));
        memcpy(row->incarnation, binding.incarnation, INCARNATION_BYTES);
        buf_printf(&text, "{\"type\":\"bound\",\"id\":%llu,\"binding\":", (unsigned long long)id);
        assert_int_equal(binding_put_json(&binding, true, &text), 0);
        buf_put_byte(&text, '}');
        row->binding = binding;
        row->binding.host = row->binding.boot = row->binding.runtime = STR("x");
        row->binding.attestors = STR("netns");
    }
    rig_say(buf_cstr(&text));
    buf_fini(&text);
}

static struct rig_row *
rig_row_of(const uint8_t incarnation[INCARNATION_BYTES])
{
    for (size_t i = 0; i < rig.row_count; i++) {
        if (memcmp(rig.rows[i].incarnation, incarnation, INCARNATION_BYTES) == 0)
            return &rig.rows[i];
    }
    return NULL;
}

static void
rig_rename(const struct json_doc *doc, struct arena *arena)
{
    uint8_t key[INCARNATION_BYTES];
    struct str hex = STR_EMPTY;
    struct str name = STR_EMPTY;
    uint64_t id = 0;
    struct buf text;
    assert_int_equal(json_u64(doc, json_get(doc, 0, STR("id")), UINT64_MAX, &id), 0);
    assert_int_equal(json_string(doc, json_get(doc, 0, STR("incarnation")), arena, &hex), 0);
    assert_int_equal(json_string(doc, json_get(doc, 0, STR("name")), arena, &name), 0);
    assert_int_equal(hex_decode(hex, key, sizeof(key)), 0);
    struct rig_row *row = rig_row_of(key);
    assert_non_null(row);
    buf_init(&text, 65536);
    if (rig.refuse != NULL) {
        buf_printf(&text, "{\"type\":\"refused\",\"id\":%llu,\"code\":\"x\",\"reason\":\"%s\"}",
                   (unsigned long long)id, rig.refuse);
    } else {
        struct binding binding = row->binding;
        (void)snprintf(row->name, sizeof(row->name), "%.*s", STR_ARG(name));
        binding.name = str_from(row->name);
        binding.container_id = str_from(row->id);
        assert_int_equal(binding_sign(&binding, rig.key), 0);
        buf_printf(&text, "{\"type\":\"bound\",\"id\":%llu,\"binding\":", (unsigned long long)id);
        assert_int_equal(binding_put_json(&binding, true, &text), 0);
        buf_put_byte(&text, '}');
    }
    rig.renames++;
    rig_say(buf_cstr(&text));
    buf_fini(&text);
}

static void
rig_record(struct str line)
{
    struct json_doc doc;
    struct arena arena;
    uint8_t key[INCARNATION_BYTES];
    struct str hex = STR_EMPTY;
    json_init(&doc);
    arena_init(&arena, 1 << 20);
    assert_int_equal(json_scan(&doc, line, NULL, NULL), 0);
    uint32_t type = json_get(&doc, 0, STR("type"));
    if (json_string_eq(&doc, type, STR("hello")))
        rig_welcome();
    else if (json_string_eq(&doc, type, STR("bind")))
        rig_bind(&doc, &arena);
    else if (json_string_eq(&doc, type, STR("rename")))
        rig_rename(&doc, &arena);
    else if (json_string_eq(&doc, type, STR("hosting"))) {
        rig.hosting++;
        (void)snprintf(rig.hosting_text, sizeof(rig.hosting_text), "%.*s", STR_ARG(line));
    } else if (json_string_eq(&doc, type, STR("paused"))) {
        (void)snprintf(rig.paused_text, sizeof(rig.paused_text), "%.*s", STR_ARG(line));
    } else if (json_string_eq(&doc, type, STR("unbind")) &&
               json_string(&doc, json_get(&doc, 0, STR("incarnation")), &arena, &hex) == 0 &&
               hex_decode(hex, key, sizeof(key)) == 0 && rig_row_of(key) != NULL)
        rig_row_of(key)->unbound = true;
    arena_fini(&arena);
    json_fini(&doc);
}

static void
rig_on_request(struct http_stream *stream, const struct http_head *head)
{
    (void)head;
    rig.stream = stream;
    rig.line.len = 0;
    http_stream_respond(stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
}
static void
rig_on_body(struct http_stream *stream, struct str bytes)
{
    struct str line = STR_EMPTY;
    (void)stream;
    buf_put_str(&rig.line, bytes);
    struct str rest = buf_str(&rig.line);
    while (str_find_byte(rest, '\n') != SIZE_MAX) {
        (void)str_cut(rest, '\n', &line, &rest);
        rig_record(line);
    }
    buf_consume(&rig.line, rig.line.len - rest.len);
}
static void
rig_on_complete(struct http_stream *stream)
{
    http_stream_end(stream);
}
static void
rig_on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)reason;
    if (rig.stream == stream)
        rig.stream = NULL;
}
static const struct http_handler rig_handler = {.request = rig_on_request,
                                                .body = rig_on_body,
                                                .complete = rig_on_complete,
                                                .closed = rig_on_closed};

/* rig_control - start or stop it; under lock. */
static UNUSED void
rig_control(bool on)
{
    struct err err = {0};
    struct sock_addr addr;
    char text[64];
    if (!on) {
        http_server_free(&rig.server);
        close(rig.control_fd);
        rig.control_fd = -1;
        rig.stream = NULL;
        return;
    }
    struct http_server_conf conf = {.loop = rig.loop,
                                    .tls = rig.tls,
                                    .handler = &rig_handler,
                                    .body_bytes_max = UINT64_MAX / 2,
                                    .body_rate_min = 1};
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", rig.port);
    assert_int_equal(sock_addr_parse(str_from(text), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 16, false, 0, &rig.control_fd, &err), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(rig.control_fd, &addr.u.any, &addr.len), 0);
    rig.port = ntohs(addr.u.in4.sin_port);
    assert_int_equal(http_server_new(&conf, &rig.server, &err), 0);
    assert_int_equal(http_server_listen(rig.server, rig.control_fd), 0);
}

/* ---- the data plane ------------------------------------------------------------------------- */

static bool
rig_token_fits(const struct rig_row *row, const char *token)
{
    char number[64];
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)row->number);
    return strncmp(token, "container-", 10) == 0 &&
           (strcmp(token + 10, row->name) == 0 || strcmp(token + 10, row->id) == 0 ||
            strcmp(token + 10, number) == 0);
}

/* One request, one answer, as the real one decides: facts, then the token. */
static void
rig_serve(const struct handoff *message, int fd)
{
    char bytes[2048] = "";
    char token[512] = "";
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    rig.conns++;
    rig.conn_ns = clock_mono_ns();
    if (poll(&poll_fd, 1, 1000) == 1 && read(fd, bytes, sizeof(bytes) - 1) > 0) {
        const char *at = strstr(bytes, "Bearer ");
        if (at != NULL)
            (void)snprintf(token, sizeof(token), "%.*s", (int)strcspn(at + 7, "\r\n"), at + 7);
    }
    const struct rig_row *row = rig_row_of(message->incarnation);
    bool good = row != NULL && !row->revoked && row->cookie == message->netns_cookie &&
                row->cgroup == message->cgroup_id && rig_token_fits(row, token);
    const char *answer = good ? "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                              : "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    (void)!write(fd, answer, strlen(answer));
    close(fd);
}

static void
rig_plane_ready(struct loop_io *io, uint32_t events)
{
    (void)events;
    for (;;) {
        struct handoff message;
        size_t bytes = 0;
        size_t fds = 0;
        int fd = -1;
        int code = sock_recv_fds(io->fd, &message, sizeof(message), &bytes, &fd, 1, &fds);
        if (code == -ERR_AGAIN)
            return;
        if (code < 0) {
            loop_remove(rig.loop, io);
            close(io->fd);
            io->fd = -1;
            return;
        }
        if (message.kind == HANDOFF_CONN)
            rig.attest_ns = message.token;
        if (message.kind == HANDOFF_CONN && fds == 1)
            rig_serve(&message, fd);
        struct rig_row *row = rig_row_of(message.incarnation);
        if (message.kind == HANDOFF_REVOKE && row != NULL) {
            row->revoked = true;
            row->revoked_ns = clock_mono_ns();
        }
        message.kind = HANDOFF_REVOKED;
        if (row != NULL && row->revoked && !rig.mute && fds == 0)
            (void)!sock_send_fds(io->fd, &message, sizeof(message), NULL, 0);
    }
}

static void
rig_plane_accept(struct loop_io *io, uint32_t events)
{
    int fd = -1;
    (void)events;
    while (sock_accept(io->fd, &fd, NULL) == 0) {
        if (rig.plane.fd >= 0) {
            loop_remove(rig.loop, &rig.plane);
            close(rig.plane.fd);
        }
        rig.plane = (struct loop_io){.fd = fd, .ready = rig_plane_ready};
        assert_int_equal(loop_add(rig.loop, &rig.plane, false), 0);
    }
}

/* rig_dataplane - start or stop it; under lock. */
static UNUSED void
rig_dataplane(bool on)
{
    char path[128];
    struct err err = {0};
    (void)snprintf(path, sizeof(path), "%s/handoff.sock", rig.folder);
    if (on) {
        rig.plane_listener = (struct loop_io){.fd = -1, .ready = rig_plane_accept};
        assert_int_equal(sock_seqpacket_listen(path, 0600, &rig.plane_listener.fd, &err), 0);
        assert_int_equal(loop_add(rig.loop, &rig.plane_listener, true), 0);
        return;
    }
    loop_remove(rig.loop, &rig.plane_listener);
    close(rig.plane_listener.fd);
    (void)unlink(path);
    if (rig.plane.fd >= 0) {
        loop_remove(rig.loop, &rig.plane);
        close(rig.plane.fd);
        rig.plane.fd = -1;
    }
}

#endif
