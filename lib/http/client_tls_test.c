/* SPDX-License-Identifier: MIT
 * client_tls_test.c - the client over TLS: trust, truncation, and the deadline of a handshake.
 * Floor: lib/http, test.
 * Owns: a temporary folder with a small PKI.
 * Invariant: a body without a length that ends without close_notify never looks complete. */
#include "lib/http/client_test_rig.h"

#include "lib/net/tls.h"

#define OK_HI "HTTP/1.1 200 OK\r\nx-test: yes\r\ncontent-length: 2\r\n\r\nhi"

struct tls_row {
    const char *name;
    bool trusted;
    bool shut_down; /* close_notify at the end */
    struct str reply;
    int want;
};

static void
tls_exchange(struct rig *rig, struct tls_context *server, const struct tls_row *row,
             struct watch *watch)
{
    struct channel peer;
    struct err err = {0};
    char text[4096] = "";
    size_t len = 0;
    int fd = rig_accept(rig);
    assert_int_equal(channel_init(&peer, fd, server, true, NULL, &err), 0);
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    int rc = -ERR_AGAIN;
    while (rc == -ERR_AGAIN && !watch_ended(watch)) {
        assert_true(clock_mono_ms() < end);
        rc = channel_handshake(&peer, &err);
        loop_step(rig->loop, 1);
    }
    while (rc == 0 && strstr(text, "\r\n\r\n") == NULL && !watch_ended(watch)) {
        size_t got = 0;
        assert_true(clock_mono_ms() < end);
        if (channel_read(&peer, text + len, sizeof(text) - 1 - len, &got) == 0)
            len += got;
        text[len] = '\0';
        loop_step(rig->loop, 1);
    }
    struct iovec iov = {(void *)(uintptr_t)row->reply.ptr, row->reply.len};
    size_t put = 0;
    if (rc == 0 && !watch_ended(watch))
        assert_int_equal(channel_writev(&peer, &iov, 1, &put), 0);
    if (row->shut_down)
        channel_shutdown(&peer);
    else
        shutdown(fd, SHUT_WR);
    rig_wait(rig, watch_ended, watch);
    channel_fini(&peer);
}

static void
test_tls(void **state)
{
    static const struct tls_row rows[] = {
        {"length", true, true, STR(OK_HI), 0},
        {"length, no close_notify", true, false, STR(OK_HI), 0},
        {"until close", true, true, STR("HTTP/1.1 200 OK\r\n\r\nhi"), 0},
        {"until close, cut", true, false, STR("HTTP/1.1 200 OK\r\n\r\nhi"), -ERR_IO},
        {"unknown authority", false, true, STR(OK_HI), -ERR_TLS},
    };
    (void)state;
    char dir[] = "/tmp/berth-client-tls-XXXXXX";
    char ca[64];
    char cert[64];
    char key[64];
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tls_pki_init(dir, &err), 0);
    assert_int_equal(tls_pki_issue(dir, "test", "node", true, 1, &err), 0);
    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
    (void)snprintf(cert, sizeof(cert), "%s/node.crt", dir);
    (void)snprintf(key, sizeof(key), "%s/node.key", dir);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        static struct watch watch;
        struct tls_context *server = NULL;
        struct tls_context *client = NULL;
        const struct tls_server_conf server_conf = {.cert_file = cert, .key_file = key};
        const struct tls_client_conf client_conf = {.ca_file = rows[i].trusted ? ca : NULL};
        print_message("  %s\n", rows[i].name);
        assert_int_equal(tls_server_new(&server_conf, &server, &err), 0);
        assert_int_equal(tls_client_new(&client_conf, &client, &err), 0);
        struct http_origin_conf conf = {.tls = client};
        rig_open(&rig, &conf);
        rig_start(&rig, &watch, NULL);
        tls_exchange(&rig, server, &rows[i], &watch);
        assert_int_equal(watch.code, rows[i].want);
        if (rows[i].trusted)
            assert_string_equal(watch.body, "hi");
        rig_close(&rig);
        tls_context_free(&server);
        tls_context_free(&client);
    }
    const char *const files[] = {"ca.crt", "ca.key", "node.crt", "node.key"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[96];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

/* A server that accepts and says nothing: the deadline covers the handshake. */
static void
test_connect_timeout(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    struct tls_context *client = NULL;
    struct err err = {0};
    const struct tls_client_conf client_conf = {0};
    assert_int_equal(tls_client_new(&client_conf, &client, &err), 0);
    struct http_origin_conf conf = {.tls = client, .connect_timeout_ms = 30};
    rig_open(&rig, &conf);
    rig_start(&rig, &watch, NULL);
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.code, -ERR_TIMEOUT);
    assert_int_equal(watch.phase, HTTP_CONNECTING);
    rig_close(&rig);
    tls_context_free(&client);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_connect_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
