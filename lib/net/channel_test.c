/* SPDX-License-Identifier: MIT
 * channel_test.c - bytes through clear and TLS channels, who is let in, and how a stream ends.
 * Floor: tests of lib/net.
 * Owns: a temporary PKI.
 * Invariant: HARDENING 3.3 as far as two ends of a socket pair can show it. */
#include "lib/net/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATHS 12
static char dir[64];
static char other_dir[64];
static char paths[PATHS][128];

static const char *
file(const char *folder, const char *name)
{
    static size_t next;
    char *path = paths[next++ % PATHS];
    assert_true(snprintf(path, sizeof(paths[0]), "%s/%s", folder, name) > 0);
    return path;
}

static void
make_pki(char folder[64])
{
    struct err err = {.text = ""};
    memcpy(folder, "/tmp/channel_test.XXXXXX", 25);
    assert_non_null(mkdtemp(folder));
    if (tls_pki_init(folder, &err) < 0 ||
        tls_pki_issue(folder, "controlplane", "server1", true, 90, &err) < 0 ||
        tls_pki_issue(folder, "dataplane", "node1", false, 90, &err) < 0)
        fail_msg("%s", err.text);
}

static void
remove_pki(const char *folder)
{
    static const char *const names[] = {"ca.crt",    "ca.key",    "server1.crt", "server1.key",
                                        "node1.crt", "node1.key", ".lock"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(file(folder, names[i]));
    assert_int_equal(rmdir(folder), 0);
}

static int
setup(void **state)
{
    (void)state;
    make_pki(dir);
    make_pki(other_dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    remove_pki(dir);
    remove_pki(other_dir);
    return 0;
}

static struct tls_context *
server_context(const char *client_ca, bool alpn_h2, bool internal)
{
    struct err err = {.text = ""};
    struct tls_context *context = NULL;
    struct tls_server_conf conf = {.cert_file = file(dir, "server1.crt"),
                                   .key_file = file(dir, "server1.key"),
                                   .client_ca_file = client_ca,
                                   .alpn_h2 = alpn_h2,
                                   .internal = internal};
    if (tls_server_new(&conf, &context, &err) < 0)
        fail_msg("%s", err.text);
    return context;
}

static struct tls_context *
client_context(const char *ca_folder, const char *cert_folder, bool alpn_h2)
{
    struct err err = {.text = ""};
    struct tls_context *context = NULL;
    struct tls_client_conf conf = {.ca_file = file(ca_folder, "ca.crt"), .alpn_h2 = alpn_h2};
    if (cert_folder != NULL) {
        conf.cert_file = file(cert_folder, "node1.crt");
        conf.key_file = file(cert_folder, "node1.key");
    }
    if (tls_client_new(&conf, &context, &err) < 0)
        fail_msg("%s", err.text);
    return context;
}

struct ends {
    struct channel client;
    struct channel server;
    int client_result;
    int server_result;
    struct err client_err;
    struct err server_err;
};

static void
make_fds(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* Both ends, until neither has anything to do. Contexts are freed: sessions keep what they need. */
static void
connect_ends(struct ends *ends, struct tls_context *client, struct tls_context *server,
             const char *name)
{
    int fds[2];
    make_fds(fds);
    memset(ends, 0, sizeof(*ends));
    assert_int_equal(channel_init(&ends->client, fds[0], client, false, name, &ends->client_err),
                     0);
    assert_int_equal(channel_init(&ends->server, fds[1], server, true, NULL, &ends->server_err), 0);
    ends->client_result = ends->server_result = -ERR_AGAIN;
    for (int turn = 0; turn < 20; turn++) {
        if (ends->client_result == -ERR_AGAIN)
            ends->client_result = channel_handshake(&ends->client, &ends->client_err);
        if (ends->server_result == -ERR_AGAIN)
            ends->server_result = channel_handshake(&ends->server, &ends->server_err);
    }
}

static void
close_ends(struct ends *ends)
{
    channel_fini(&ends->client);
    channel_fini(&ends->server);
}

/* A megabyte one way through a reader that is slower than the writer, in pieces of odd sizes. */
static void
pump(struct channel *from, struct channel *to)
{
    enum { TOTAL = 1 << 20 };
    char *sent = malloc(TOTAL);
    char *got = malloc(TOTAL + 1);
    assert_true(sent != NULL && got != NULL);
    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (char)(i * 7 + i / 251);
    size_t out = 0;
    size_t in = 0;
    bool was_full = false;
    while (in < TOTAL) {
        size_t count = 0;
        size_t left = TOTAL - out;
        size_t a = MIN(left, (size_t)100);
        size_t b = MIN(left - a, (size_t)20000);
        struct iovec iov[3] = {{sent + out, a}, {sent + out + a, 0}, {sent + out + a, b}};
        int r = left == 0 ? -ERR_AGAIN : channel_writev(from, iov, 3, &count);
        assert_true(r == 0 ? count > 0 && count <= a + b : r == -ERR_AGAIN);
        was_full |= r == -ERR_AGAIN && left > 0;
        out += r == 0 ? count : 0;
        if (r == 0)
            continue;
        count = 0;
        size_t room = MIN(TOTAL + 1 - in, (size_t)30001);
        struct iovec into[2] = {{got + in, MIN(room, (size_t)11)}, {got + in + 11, room - 11}};
        r = room > 11 ? channel_readv(to, into, 2, &count)
                      : channel_read(to, got + in, room, &count);
        assert_int_equal(r, 0);
        in += count;
    }
    size_t none = 0;
    assert_true(was_full);
    assert_int_equal(in, TOTAL);
    assert_memory_equal(sent, got, TOTAL);
    assert_int_equal(channel_read(to, got, 1, &none), -ERR_AGAIN);
    free(sent);
    free(got);
}

static void
test_clear(void **state)
{
    (void)state;
    struct ends ends;
    char byte;
    size_t count;
    connect_ends(&ends, NULL, NULL, NULL);
    assert_int_equal(ends.client_result, 0);
    assert_int_equal(channel_alpn(&ends.client).len, 0);
    pump(&ends.client, &ends.server);
    pump(&ends.server, &ends.client);
    channel_shutdown(&ends.client);
    assert_int_equal(channel_read(&ends.server, &byte, 1, &count), -ERR_CLOSED);
    assert_true(ends.server.end_seen);
    channel_fini(&ends.client);
    struct iovec iov = {&byte, 1};
    assert_int_equal(channel_writev(&ends.server, &iov, 1, &count), -ERR_CLOSED); /* no SIGPIPE */
    channel_fini(&ends.server);
}

static void
test_tls(void **state)
{
    (void)state;
    struct ends ends;
    char byte;
    char uri[64];
    size_t count;
    struct tls_context *server = server_context(file(dir, "ca.crt"), true, true);
    struct tls_context *client = client_context(dir, dir, true);
    connect_ends(&ends, client, server, "127.0.0.1");
    assert_int_equal(ends.client_result, 0);
    assert_int_equal(ends.server_result, 0);
    assert_true(str_eq(channel_alpn(&ends.server), STR("h2")));
    channel_peer_uri(&ends.server, uri, sizeof(uri));
    assert_string_equal(uri, "spiffe://berth/dataplane/node1");
    channel_peer_uri(&ends.client, uri, sizeof(uri));
    assert_string_equal(uri, "spiffe://berth/controlplane/server1");
    channel_peer_uri(&ends.server, uri, 10); /* does not fit: not a shorter name */
    assert_string_equal(uri, "");
    pump(&ends.client, &ends.server);
    pump(&ends.server, &ends.client);
    channel_shutdown(&ends.client);
    assert_int_equal(channel_read(&ends.server, &byte, 1, &count), -ERR_CLOSED);
    assert_int_equal(channel_read(&ends.server, &byte, 1, &count), -ERR_CLOSED);
    close_ends(&ends);

    /* SS-07: an end without close_notify is not an end */
    connect_ends(&ends, client, server, "127.0.0.1");
    struct iovec iov = {(char[]){"abc"}, 3};
    assert_int_equal(channel_writev(&ends.client, &iov, 1, &count), 0);
    channel_fini(&ends.client);
    char text[8];
    assert_int_equal(channel_read(&ends.server, text, sizeof(text), &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(channel_read(&ends.server, text, sizeof(text), &count), -ERR_IO);
    int r = channel_writev(&ends.server, &iov, 1, &count); /* no SIGPIPE */
    assert_true(r == -ERR_CLOSED || r == -ERR_IO);
    channel_fini(&ends.server);
    tls_context_free(&server);
    tls_context_free(&client);
}

static const struct {
    const char *name;
    const char *server_name;
    bool trusts_other; /* the client's CA is another installation's */
    bool cert_other;   /* its certificate is from there */
    bool no_cert;
    bool ok;
    const char *why; /* part of the reason on the side that refuses */
} peer_rows[] = {
    {"by address", "127.0.0.1", false, false, false, true, NULL},
    {"by v6 address", "::1", false, false, false, true, NULL},
    {"by name", "localhost", false, false, false, true, NULL},
    {"by own name", "server1", false, false, false, true, NULL},
    {"TL-09 wrong host", "server2", false, false, false, false, "hostname mismatch"},
    {"TL-09 wrong address", "127.0.0.2", false, false, false, false, "IP address mismatch"},
    {"TL-08 wrong CA of the server", "localhost", true, false, false, false, "unable to get local"},
    {"TL-07 no client certificate", "localhost", false, false, true, false, "peer did not return"},
    {"TL-07 wrong CA of the client", "localhost", false, true, false, false, "certificate"},
};

static void
test_peers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(peer_rows) / sizeof(peer_rows[0]); i++) {
        struct ends ends;
        struct tls_context *server = server_context(file(dir, "ca.crt"), false, true);
        struct tls_context *client = client_context(
            peer_rows[i].trusts_other ? other_dir : dir,
            peer_rows[i].no_cert ? NULL : (peer_rows[i].cert_other ? other_dir : dir), false);
        connect_ends(&ends, client, server, peer_rows[i].server_name);
        bool ok = ends.client_result == 0 && ends.server_result == 0;
        if (ok != peer_rows[i].ok)
            fail_msg("%s: client %s, server %s", peer_rows[i].name, ends.client_err.text,
                     ends.server_err.text);
        const char *text =
            ends.server_result < 0 && ends.server_err.code == ERR_TLS && ends.client_result == 0
                ? ends.server_err.text
                : ends.client_err.text;
        if (!ok && strstr(text, peer_rows[i].why) == NULL)
            fail_msg("%s: %s", peer_rows[i].name, text);
        close_ends(&ends);
        tls_context_free(&client);
        tls_context_free(&server);
    }
    struct channel channel;
    struct tls_context *client = client_context(dir, NULL, false);
    int fds[2];
    make_fds(fds);
    assert_int_equal(channel_init(&channel, fds[0], client, false, NULL, NULL), -ERR_INVALID);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* closed by channel_init */
    (void)close(fds[1]);
    tls_context_free(&client);
}

static const struct {
    const char *name;
    const char *ciphers;
    const char *alpn; /* wire form, or NULL */
    const char *want;
    int version; /* the client's only one; 0 = its default */
    bool server_h2;
    bool internal;
    bool ok;
} offer_rows[] = {
    {"TL-03 h2", NULL, "\x02h2", "h2", 0, true, false, true},
    {"TL-03 http/1.1", NULL, "\x08http/1.1", "http/1.1", 0, true, false, true},
    {"TL-03 both, h1 first", NULL, "\x08http/1.1\x02h2", "h2", 0, true, false, true},
    {"TL-03 none", NULL, NULL, "", 0, true, false, true},
    {"TL-03 unknown", NULL, "\x04spdy", NULL, 0, true, false, false},
    {"h2 where only h1 is", NULL, "\x02h2", NULL, 0, false, false, false},
    {"TLS 1.3", NULL, NULL, "", TLS1_3_VERSION, true, false, true},
    {"TLS 1.2", NULL, NULL, "", TLS1_2_VERSION, true, false, true},
    {"TLS 1.2 within", NULL, NULL, NULL, TLS1_2_VERSION, true, true, false},
    {"TL-01 TLS 1.1", "ALL:@SECLEVEL=0", NULL, NULL, TLS1_1_VERSION, true, false, false},
    {"TL-01 TLS 1.0", "ALL:@SECLEVEL=0", NULL, NULL, TLS1_VERSION, true, false, false},
    {"TL-01 CBC", "ECDHE-ECDSA-AES128-SHA", NULL, NULL, TLS1_2_VERSION, true, false, false},
    {"TL-01 no forward secrecy", "AES128-GCM-SHA256", NULL, NULL, TLS1_2_VERSION, true, false,
     false},
    {"TL-01 anonymous", "aNULL:@SECLEVEL=0", NULL, NULL, TLS1_2_VERSION, true, false, false},
};

/* A foreign client, straight on OpenSSL. */
static void
test_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(offer_rows) / sizeof(offer_rows[0]); i++) {
        int fds[2];
        struct channel channel;
        struct err err = {.text = ""};
        make_fds(fds);
        struct tls_context *server =
            server_context(NULL, offer_rows[i].server_h2, offer_rows[i].internal);
        assert_int_equal(channel_init(&channel, fds[1], server, true, NULL, &err), 0);
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL *ssl = SSL_new(context);
        assert_non_null(ssl);
        if (offer_rows[i].version != 0) {
            (void)SSL_set_min_proto_version(ssl, offer_rows[i].version);
            (void)SSL_set_max_proto_version(ssl, offer_rows[i].version);
        }
        if (offer_rows[i].ciphers != NULL)
            assert_int_equal(SSL_set_cipher_list(ssl, offer_rows[i].ciphers), 1);
        if (offer_rows[i].alpn != NULL)
            assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)offer_rows[i].alpn,
                                                 (unsigned)strlen(offer_rows[i].alpn)),
                             0);
        assert_int_equal(SSL_set_fd(ssl, fds[0]), 1);
        int r = -ERR_AGAIN;
        for (int turn = 0; turn < 10 && r == -ERR_AGAIN; turn++) {
            (void)SSL_connect(ssl);
            r = channel_handshake(&channel, &err);
        }
        if ((r == 0) != offer_rows[i].ok)
            fail_msg("%s: %d %s", offer_rows[i].name, r, err.text);
        if (r == 0)
            assert_true(str_eq(channel_alpn(&channel), str_from(offer_rows[i].want)));
        else
            assert_int_equal(r, -ERR_TLS);
        SSL_free(ssl);
        SSL_CTX_free(context);
        (void)close(fds[0]);
        channel_fini(&channel);
        tls_context_free(&server);
    }
}

/* TL-02: a client that asks for a second handshake does not get one. */
static void
test_renegotiation(void **state)
{
    (void)state;
    int fds[2];
    struct channel channel;
    struct err err = {.text = ""};
    char text[16];
    size_t count = 0;
    make_fds(fds);
    struct tls_context *server = server_context(NULL, false, false);
    assert_int_equal(channel_init(&channel, fds[1], server, true, NULL, &err), 0);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_max_proto_version(ssl, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_set_fd(ssl, fds[0]), 1);
    int r = -ERR_AGAIN;
    for (int turn = 0; turn < 10 && (r == -ERR_AGAIN || SSL_in_init(ssl)); turn++) {
        (void)SSL_connect(ssl);
        r = channel_handshake(&channel, &err);
    }
    assert_int_equal(r, 0);
    assert_int_equal(SSL_get_max_early_data(channel.tls), 0);
    assert_int_equal(SSL_renegotiate(ssl), 1);
    for (int turn = 0; turn < 4; turn++) {
        (void)SSL_do_handshake(ssl);
        assert_true(channel_read(&channel, text, sizeof(text), &count) < 0);
    }
    assert_int_equal(SSL_total_renegotiations(channel.tls), 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fds[0]);
    channel_fini(&channel);
    tls_context_free(&server);
}

static void
test_not_tls(void **state)
{
    (void)state;
    int fds[2];
    struct channel channel;
    struct err err = {.text = ""};
    make_fds(fds);
    struct tls_context *server = server_context(NULL, true, false);
    assert_int_equal(channel_init(&channel, fds[1], server, true, NULL, &err), 0);
    assert_int_equal(channel_handshake(&channel, &err), -ERR_AGAIN);
    assert_int_equal(write(fds[0], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_int_equal(channel_handshake(&channel, &err), -ERR_TLS);
    assert_non_null(strstr(err.text, "http request"));
    channel_fini(&channel);
    (void)close(fds[0]);

    make_fds(fds);
    assert_int_equal(channel_init(&channel, fds[1], server, true, NULL, &err), 0);
    (void)close(fds[0]);
    assert_int_equal(channel_handshake(&channel, &err), -ERR_CLOSED);
    channel_fini(&channel);
    tls_context_free(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clear),   cmocka_unit_test(test_tls),
        cmocka_unit_test(test_peers),   cmocka_unit_test(test_offers),
        cmocka_unit_test(test_not_tls), cmocka_unit_test(test_renegotiation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
