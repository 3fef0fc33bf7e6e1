/* SPDX-License-Identifier: MIT
 * link_test.c - the link against the real HTTP server over mTLS: records, order, size, reconnect.
 * Floor: api, test; one loop turns both ends.
 * Owns: a temporary PKI.
 * Invariant: every wait turns the loop and has a deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/link.h"
#include "lib/base/clock.h"
#include "lib/http/server.h"

#define DEADLINE_MS 30000u

struct rig {
    struct loop *loop;
    struct tls_context *tls;
    struct http_server *server;
    struct http_stream *stream;
    struct buf got; /* what the server received */
    char peer[128];
    unsigned status;
    int listen_fd;
    uint16_t port;
    struct link *link;
    int ups;
    int downs;
    char reason[256];
    struct buf seen; /* raw records that the link delivered, a line each */
    size_t last_len;
};
static struct rig rig;
static char folder[] = "/tmp/link-test-XXXXXX";

static void
on_request(struct http_stream *stream, const struct http_head *head)
{
    assert_true(str_eq(head->target, STR("/planes/v1/stream")));
    assert_true(str_eq(head->method, STR("POST")));
    http_conn_peer_uri(http_stream_conn(stream), rig.peer, sizeof(rig.peer));
    rig.stream = stream;
    http_stream_respond(stream, rig.status, NULL, 0, HTTP_LENGTH_UNKNOWN);
}

static void
on_body(struct http_stream *stream, struct str bytes)
{
    (void)stream;
    buf_put_str(&rig.got, bytes);
}

static void
on_complete(struct http_stream *stream)
{
    (void)stream;
}

static void
on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)reason;
    if (rig.stream == stream)
        rig.stream = NULL;
}

static const struct http_handler handler = {
    .request = on_request, .body = on_body, .complete = on_complete, .closed = on_closed};

static void
on_up(struct link *link, void *user)
{
    (void)user;
    rig.ups++;
    assert_true(link_send(link, STR("{\"type\":\"hello\"}")));
}

static void
on_record(struct link *link, struct str type, const struct json_doc *doc, void *user)
{
    (void)user;
    (void)link;
    rig.last_len = doc->text.len;
    if (doc->text.len < 1000)
        buf_printf(&rig.seen, "%.*s|%.*s\n", STR_ARG(type), STR_ARG(doc->text));
}

static void
on_down(struct link *link, const char *reason, void *user)
{
    (void)user;
    assert_false(link_is_up(link));
    rig.downs++;
    (void)snprintf(rig.reason, sizeof(rig.reason), "%s", reason);
}

static const struct link_ops ops = {.up = on_up, .record = on_record, .down = on_down};

static const char *
path_of(const char *name)
{
    static char paths[4][128];
    static size_t next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void
serve(void)
{
    struct err err = {0};
    struct tls_server_conf tls = {.cert_file = path_of("cp.crt"),
                                  .key_file = path_of("cp.key"),
                                  .client_ca_file = path_of("ca.crt"),
                                  .alpn_h2 = true,
                                  .internal = true};
    assert_int_equal(tls_server_new(&tls, &rig.tls, &err), 0);
    struct http_server_conf conf = {.loop = rig.loop,
                                    .tls = rig.tls,
                                    .handler = &handler,
                                    .body_bytes_max = UINT64_MAX / 2,
                                    .body_rate_min = 1};
    assert_int_equal(http_server_new(&conf, &rig.server, &err), 0);
    struct sock_addr addr;
    char text[32];
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", rig.port);
    assert_int_equal(sock_addr_parse(str_from(text), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 16, false, 0, &rig.listen_fd, &err), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(rig.listen_fd, &addr.u.any, &addr.len), 0);
    rig.port = ntohs(addr.u.in4.sin_port);
    assert_int_equal(http_server_listen(rig.server, rig.listen_fd), 0);
}

static void
unserve(void)
{
    http_server_free(&rig.server);
    tls_context_free(&rig.tls);
    if (rig.listen_fd >= 0)
        close(rig.listen_fd);
    rig.listen_fd = -1;
    rig.stream = NULL;
    rig.got.len = 0;
}

static void
rig_open(unsigned status)
{
    struct err err = {0};
    rig = (struct rig){.listen_fd = -1, .status = status};
    buf_init(&rig.got, 64u << 20);
    buf_init(&rig.seen, 1u << 20);
    assert_int_equal(loop_new(&rig.loop, &err), 0);
    serve();
    char ca[128];
    (void)snprintf(ca, sizeof(ca), "%s", path_of("ca.crt"));
    struct link_conf conf = {.loop = rig.loop,
                             .host = "127.0.0.1",
                             .port = rig.port,
                             .ca_file = ca,
                             .cert_file = path_of("node.crt"),
                             .key_file = path_of("node.key"),
                             .ops = &ops};
    assert_int_equal(link_new(&conf, &rig.link, &err), 0);
}

static void
rig_close(void)
{
    link_free(&rig.link);
    loop_step(rig.loop, 0);
    unserve();
    loop_step(rig.loop, 0);
    loop_free(&rig.loop);
    buf_fini(&rig.got);
    buf_fini(&rig.seen);
}

#define WAIT(cond)                                     \
    do {                                               \
        uint64_t end_ = clock_mono_ms() + DEADLINE_MS; \
        while (!(cond)) {                              \
            assert_true(clock_mono_ms() < end_);       \
            loop_step(rig.loop, 5);                    \
        }                                              \
    } while (0)

static void
send_down(const char *text)
{
    (void)http_stream_write(rig.stream, str_from(text));
}

static void
test_records(void **state)
{
    (void)state;
    rig_open(200);
    WAIT(rig.got.len >= 17);
    assert_string_equal(buf_cstr(&rig.got), "{\"type\":\"hello\"}\n");
    assert_string_equal(rig.peer, "spiffe://berth/agent/node");
    assert_true(link_is_up(rig.link));
    send_down("{\"type\":\"welcome\"}\n{\"type\":\"ti");
    WAIT(rig.seen.len > 0);
    send_down("ck\",\"rev\":\"1\"}\n");
    WAIT(str_find(buf_str(&rig.seen), STR("tick")) != SIZE_MAX);
    assert_string_equal(buf_cstr(&rig.seen), "welcome|{\"type\":\"welcome\"}\n"
                                             "tick|{\"type\":\"tick\",\"rev\":\"1\"}\n");
    assert_int_equal(rig.downs, 0);
    rig_close();
}

static void
test_big(void **state)
{
    (void)state;
    rig_open(200);
    WAIT(rig.ups == 1 && rig.stream != NULL);
    const size_t size = 16u << 20;
    char *record = malloc(size);
    assert_non_null(record);
    int head = snprintf(record, size, "{\"type\":\"config\",\"doc\":\"");
    memset(record + head, 'x', size - (size_t)head - 2);
    record[size - 2] = '"';
    record[size - 1] = '}';
    (void)http_stream_write(rig.stream, str_make(record, size));
    send_down("\n");
    WAIT(rig.last_len == size);
    /* up: 12 MiB is more than the mark, yet nothing is lost */
    rig.got.len = 0;
    record[12u << 20] = '}';
    record[(12u << 20) - 1] = '"';
    assert_false(link_send(rig.link, str_make(record, (12u << 20) + 1)));
    (void)link_send(rig.link, STR("{\"type\":\"ack\"}"));
    WAIT(str_ends(buf_str(&rig.got), STR("}\n{\"type\":\"ack\"}\n")));
    assert_true(rig.got.len == (12u << 20) + 2 + 15);
    free(record);
    rig_close();
}

static void
test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *line;
        const char *want;
    } rows[] = {
        {"no json", "nonsense\n", "the control plane sent a line that is not JSON"},
        {"empty line", "\n", "the control plane sent a line that is not JSON"},
        {"no type", "{\"rev\":\"1\"}\n", "the control plane sent a record without a type"},
        {"array", "[1]\n", "the control plane sent a record without a type"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rig_open(200);
        WAIT(rig.ups == 1 && rig.stream != NULL);
        send_down(rows[i].line);
        WAIT(rig.downs == 1);
        assert_string_equal(rig.reason, rows[i].want);
        WAIT(rig.ups == 2); /* and it comes back */
        rig_close();
    }
    rig_open(403);
    WAIT(rig.downs == 2);
    assert_string_equal(rig.reason, "the control plane refuses this node's certificate");
    assert_int_equal(rig.ups, 0);
    rig_close();
}

static void
test_reconnect(void **state)
{
    (void)state;
    rig_open(200);
    for (int round = 1; round <= 3; round++) {
        WAIT(rig.ups == round && rig.stream != NULL);
        send_down("{\"type\":\"welcome\"}\n");
        WAIT(rig.seen.len > 0);
        rig.seen.len = 0;
        if (round == 1)
            http_stream_end(rig.stream); /* a clean end */
        else if (round == 2)
            http_stream_abort(rig.stream);
        else
            unserve(); /* the process is gone; nothing listens */
        WAIT(rig.downs >= round);
        assert_true(link_send(rig.link, STR("{\"type\":\"lost\"}"))); /* dropped silently */
    }
    serve();
    WAIT(rig.ups == 4 && rig.got.len > 0);
    assert_string_equal(buf_cstr(&rig.got), "{\"type\":\"hello\"}\n");
    rig_close();
}

static int
setup(void **state)
{
    (void)state;
    struct err err = {0};
    if (mkdtemp(folder) == NULL || tls_pki_init(folder, &err) < 0 ||
        tls_pki_issue(folder, "controlplane", "cp", true, 90, &err) < 0)
        return -1;
    return tls_pki_issue(folder, "agent", "node", false, 90, &err);
}

static int
teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"ca.crt",   "ca.key",   "cp.crt", "cp.key",
                                        "node.crt", "node.key", ".lock"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlink(path_of(names[i]));
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_big),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_reconnect),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
