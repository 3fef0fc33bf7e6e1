/* SPDX-License-Identifier: MIT
 * server_tls_test.c - the server behind TLS: both protocols by ALPN, and how ends are told apart.
 * Floor: lib/http, tests.
 * Owns: a directory for keys, removed at the end.
 * Invariant: without close_notify nothing counts as a clean end (HARDENING 3.3, SS-07). */
#include "lib/http/server_testkit.h"
#include "lib/net/tls.h"

static char dir[64];
static struct tls_context *server_tls;
static struct tls_context *client_h1;
static struct tls_context *client_h2;

static char *
path_of(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", dir, name);
    return out;
}

static int
setup(void **state)
{
    (void)state;
    struct err err = {0};
    char cert[128];
    char key[128];
    char ca[128];
    (void)snprintf(dir, sizeof dir, "/tmp/berth-server-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tls_pki_init(dir, &err), 0);
    assert_int_equal(tls_pki_issue(dir, "node", "n1", true, 7, &err), 0);
    struct tls_server_conf conf = {
        .cert_file = path_of(cert, "n1.crt"),
        .key_file = path_of(key, "n1.key"),
        .client_ca_file = path_of(ca, "ca.crt"),
        .alpn_h2 = true,
    };
    assert_int_equal(tls_server_new(&conf, &server_tls, &err), 0);
    struct tls_client_conf client = {.ca_file = ca, .cert_file = cert, .key_file = key};
    assert_int_equal(tls_client_new(&client, &client_h1, &err), 0);
    client.alpn_h2 = true;
    assert_int_equal(tls_client_new(&client, &client_h2, &err), 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"n1.crt", "n1.key", "ca.crt", "ca.key", "ca.srl"};
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlink(path_of(path, names[i]));
    (void)rmdir(dir);
    tls_context_free(&server_tls);
    tls_context_free(&client_h1);
    tls_context_free(&client_h2);
    return 0;
}

static void
connect_tls(struct kit *kit, struct channel *channel, struct tls_context *tls)
{
    struct err err = {0};
    int fd = kit_connect(kit);
    assert_int_equal(channel_init(channel, fd, tls, false, "127.0.0.1", &err), 0);
    int r = -ERR_AGAIN;
    for (int i = 0; i < 500 && r == -ERR_AGAIN; i++) {
        r = channel_handshake(channel, &err);
        kit_step(kit);
    }
    if (r < 0)
        fail_msg("handshake: %s", err.text);
}

static void
put(struct channel *channel, struct str bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    size_t count = 0;
    assert_int_equal(channel_writev(channel, &iov, 1, &count), 0);
    assert_int_equal(count, bytes.len);
}

static int
get(struct kit *kit, struct channel *channel, struct buf *got, const char *until)
{
    for (int i = 0; i < 1000; i++) {
        char bytes[32768];
        size_t count = 0;
        int r = channel_read(channel, bytes, sizeof bytes, &count);
        if (r < 0 && r != -ERR_AGAIN)
            return r;
        if (r == 0)
            buf_put(got, bytes, count);
        if (until != NULL && str_find(buf_str(got), str_from(until)) != SIZE_MAX)
            return 0;
        kit_step(kit);
    }
    return -ERR_TIMEOUT;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void
test_alpn(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, &(struct http_server_conf){.tls = server_tls});
    struct channel channel;
    struct buf got;
    buf_init(&got, 4u << 20);
    connect_tls(&kit, &channel, client_h1);
    put(&channel, STR(GET("/") GET("/big")));
    assert_int_equal(get(&kit, &channel, &got, "hello"), 0);
    while (got.len < 1u << 20) {
        assert_int_equal(get(&kit, &channel, &got, "bbbb"), 0);
        kit_step(&kit);
    }
    put(&channel, STR(GET("/hang")));
    KIT_UNTIL(&kit, kit.request_count == 3);
    char uri[64];
    http_conn_peer_uri(http_stream_conn(kit.stream), uri, sizeof uri);
    assert_string_equal(uri, "spiffe://berth/node/n1");
    channel_fini(&channel);
    KIT_UNTIL(&kit, kit.reasons[HTTP_PEER_GONE] == 1);

    connect_tls(&kit, &channel, client_h2);
    assert_true(str_eq(channel_alpn(&channel), STR("h2")));
    put(&channel, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x4\0\0\0\0\0"
                      "\0\0\x6\x1\x5\0\0\0\x1\x82\x86\x84\x41\1a"));
    assert_int_equal(get(&kit, &channel, &got, "hello"), 0);
    KIT_UNTIL(&kit, kit.reasons[HTTP_DONE] == 3);
    channel_fini(&channel);
    buf_fini(&got);
    kit_close(&kit);
}

/* An aborted answer: the client sees no close_notify, so it is cut, not complete. */
static void
test_abort_is_truncation(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, &(struct http_server_conf){.tls = server_tls});
    struct channel channel;
    struct buf got;
    buf_init(&got, 1u << 20);
    connect_tls(&kit, &channel, client_h1);
    put(&channel, STR("GET /stream HTTP/1.0\r\nHost: a\r\n\r\n"));
    KIT_UNTIL(&kit, kit.complete_count == 1);
    http_stream_respond(kit.stream, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
    (void)http_stream_write(kit.stream, STR("half"));
    http_stream_abort(kit.stream);
    assert_int_equal(get(&kit, &channel, &got, NULL), -ERR_IO);
    channel_fini(&channel);

    connect_tls(&kit, &channel, client_h1);
    put(&channel, STR("GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
    assert_int_equal(get(&kit, &channel, &got, NULL), -ERR_CLOSED);
    assert_true(str_ends(buf_str(&got), STR("hello")));
    channel_fini(&channel);
    buf_fini(&got);
    kit_close(&kit);
}

/* Somebody who does not speak TLS, and somebody who says nothing. */
static void
test_no_handshake(void **state)
{
    (void)state;
    struct kit kit;
    kit_open(&kit, &(struct http_server_conf){.tls = server_tls});
    int fd = kit_connect(&kit);
    int silent = kit_connect(&kit);
    assert_true(kit_send(&kit, fd, STR(GET("/"))));
    KIT_UNTIL(&kit, http_server_conn_count(kit.server) == 1);
    kit_jump(&kit, 10100);
    KIT_UNTIL(&kit, http_server_conn_count(kit.server) == 0);
    (void)close(fd);
    (void)close(silent);
    kit_close(&kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_abort_is_truncation),
        cmocka_unit_test(test_no_handshake),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
