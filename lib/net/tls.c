/* SPDX-License-Identifier: MIT
 * tls.c - TLS contexts and sessions with Berth's defaults.
 * Floor: lib/net; contexts are shared by threads, a session belongs to its channel.
 * Owns: SSL_CTX objects; one BIO method for the process.
 * Invariant: every client session verifies a name or an address; no write raises SIGPIPE: proved in
 *            channel_test.c. */
#include "lib/net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/secret.h"
#include "lib/net/tls_int.h"

#define CHAIN_DEPTH_MAX 4
#define PEER_CHAIN_BYTES_MAX 32768L

struct tls_context {
    SSL_CTX *ssl;
    bool server;
    uint8_t alpn_len;
    uint8_t alpn[16];
};

int
tls_fail(struct err *err, enum err_code code, const char *what)
{
    unsigned long number = ERR_peek_error();
    const char *reason = ERR_reason_error_string(number);
    int r = err_set(err, code, "%s: %s", what, reason == NULL ? "no reason given" : reason);
    ERR_clear_error();
    return r;
}

/* A socket BIO like OpenSSL's own, but with MSG_NOSIGNAL. The fd is the channel's. */
static int
bio_read(BIO *bio, char *bytes, size_t size, size_t *ret_count)
{
    int fd = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got;
    do
        got = recv(fd, bytes, size, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    if (got == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    *ret_count = got > 0 ? (size_t)got : 0;
    return got > 0;
}

static int
bio_write(BIO *bio, const char *bytes, size_t count, size_t *ret_count)
{
    int fd = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t put;
    do
        put = send(fd, bytes, count, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    *ret_count = put > 0 ? (size_t)put : 0;
    return put > 0;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void
bio_method_init(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "berth socket");
    if (method != NULL && BIO_meth_set_read_ex(method, bio_read) == 1 &&
        BIO_meth_set_write_ex(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_ctrl) == 1)
        bio_method = method;
}

/* Never ask a terminal for a pass phrase. */
static int
no_password(char *out, int size, int writing, void *user)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

int
tls_load_key(const char *path, EVP_PKEY **ret_key, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, ERR_PERMISSION, "%s belongs to another user; run: chown %u %s", path,
                       (unsigned)geteuid(), path);
    CLEANUP(secret_free) struct secret *pem = NULL;
    int r = secret_read_file(path, &pem, err);
    if (r < 0)
        return r;
    struct str text = secret_str(pem);
    CLEANUP(tls_free_bio) BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (key == NULL) {
        ERR_clear_error();
        return err_set(err, ERR_TLS, "%s holds no private key in PEM without a pass phrase", path);
    }
    *ret_key = key;
    return 0;
}

int
tls_load_cert(const char *path, X509 **ret_cert, struct err *err)
{
    CLEANUP(tls_free_bio) BIO *bio = BIO_new_file(path, "re");
    if (bio == NULL) {
        ERR_clear_error();
        return err_set_errno(err, errno == 0 ? EIO : errno, "cannot open %s", path);
    }
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (cert == NULL) {
        ERR_clear_error();
        return err_set(err, ERR_TLS, "%s holds no certificate in PEM", path);
    }
    *ret_cert = cert;
    return 0;
}

void
tls_cert_uri(const X509 *cert, char *out, size_t size)
{
    out[0] = '\0';
    GENERAL_NAMES *names =
        cert == NULL ? NULL : X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        struct str text =
            str_make((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
        /* A NUL inside would let a long name pass for a shorter one. */
        if (str_find_byte(text, '\0') != SIZE_MAX || !str_copy(out, size, text))
            out[0] = '\0';
        break;
    }
    GENERAL_NAMES_free(names);
}

static int
use_pair(SSL_CTX *ssl, const char *cert_file, const char *key_file, struct err *err)
{
    if (cert_file == NULL || key_file == NULL)
        return err_set(err, ERR_INVALID, "a certificate and its key must be given together");
    CLEANUP(tls_free_key) EVP_PKEY *key = NULL;
    int r = tls_load_key(key_file, &key, err);
    if (r < 0)
        return r;
    char what[ERR_TEXT_BYTES_MAX];
    (void)snprintf(what, sizeof(what), "cannot use the certificate in %s", cert_file);
    if (SSL_CTX_use_certificate_chain_file(ssl, cert_file) != 1)
        return tls_fail(err, ERR_TLS, what);
    (void)snprintf(what, sizeof(what), "the key in %s does not fit the certificate in %s", key_file,
                   cert_file);
    if (SSL_CTX_use_PrivateKey(ssl, key) != 1 || SSL_CTX_check_private_key(ssl) != 1)
        return tls_fail(err, ERR_TLS, what);
    return 0;
}

static int
choose_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
            const unsigned char *offer, unsigned offer_len, void *user)
{
    const struct tls_context *context = user;
    unsigned char *chosen = NULL;
    (void)ssl;
    /* Ours first: h2 when both sides can. What nobody here speaks is refused, not guessed. */
    if (SSL_select_next_proto(&chosen, ret_len, context->alpn, context->alpn_len, offer,
                              offer_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* NULL and err on failure, which is always OpenSSL's or for want of memory. */
static struct tls_context *
context_new(bool server, bool alpn_h2, bool internal, struct err *err)
{
    static const uint8_t names[] = "\x02h2\x08http/1.1";
    static const unsigned char session_context[] = "berth";
    char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macros cast const away */
    CLEANUP(tls_context_free) struct tls_context *context = calloc(1, sizeof(*context));
    if (context == NULL) {
        (void)err_set(err, ERR_TLS, "no memory for a TLS context");
        return NULL;
    }
    context->server = server;
    const uint8_t *from = alpn_h2 ? names : names + 3;
    context->alpn_len = (uint8_t)(sizeof(names) - 1 - (size_t)(from - names));
    memcpy(context->alpn, from, context->alpn_len);

    SSL_CTX *ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    context->ssl = ssl;
    if (ssl == NULL ||
        SSL_CTX_set_min_proto_version(ssl, internal ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK") != 1 ||
        SSL_CTX_set1_groups_list(ssl, groups) != 1 ||
        SSL_CTX_set_session_id_context(ssl, session_context, sizeof(session_context) - 1) != 1 ||
        (internal && SSL_CTX_set_num_tickets(ssl, 0) != 1)) {
        (void)tls_fail(err, ERR_TLS, "cannot set up a TLS context");
        return NULL;
    }
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY |
                                    SSL_MODE_NO_AUTO_CHAIN);
    /* One recv(2) for a record instead of one for its header and one for the rest. */
    SSL_CTX_set_read_ahead(ssl, 1);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_max_early_data(ssl, 0);
    SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH_MAX);
    if (internal) /* each connection proves itself anew: a revoked certificate has no tickets */
        (void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    return TAKE(context);
}

int
tls_server_new(const struct tls_server_conf *conf, struct tls_context **ret, struct err *err)
{
    CLEANUP(tls_context_free)
    struct tls_context *context = context_new(true, conf->alpn_h2, conf->internal, err);
    if (context == NULL)
        return -ERR_TLS;
    int r = use_pair(context->ssl, conf->cert_file, conf->key_file, err);
    if (r < 0)
        return r;
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_alpn, context);
    if (conf->client_ca_file != NULL) {
        char what[ERR_TEXT_BYTES_MAX];
        (void)snprintf(what, sizeof(what), "cannot use the CA in %s", conf->client_ca_file);
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(conf->client_ca_file);
        if (names == NULL || SSL_CTX_load_verify_file(context->ssl, conf->client_ca_file) != 1) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return tls_fail(err, ERR_TLS, what);
        }
        SSL_CTX_set_client_CA_list(context->ssl, names);
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_max_cert_list(context->ssl, PEER_CHAIN_BYTES_MAX);
        (void)SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
        if (SSL_CTX_set_num_tickets(context->ssl, 0) != 1)
            return tls_fail(err, ERR_TLS, what);
    }
    *ret = TAKE(context);
    return 0;
}

int
tls_client_new(const struct tls_client_conf *conf, struct tls_context **ret, struct err *err)
{
    CLEANUP(tls_context_free)
    struct tls_context *context = context_new(false, conf->alpn_h2, conf->internal, err);
    if (context == NULL)
        return -ERR_TLS;
    int r = 0;
    if (conf->cert_file != NULL || conf->key_file != NULL)
        r = use_pair(context->ssl, conf->cert_file, conf->key_file, err);
    if (r < 0)
        return r;
    char what[ERR_TEXT_BYTES_MAX];
    (void)snprintf(what, sizeof(what), "cannot use the CA in %s",
                   conf->ca_file == NULL ? "the system's store" : conf->ca_file);
    if ((conf->ca_file == NULL ? SSL_CTX_set_default_verify_paths(context->ssl)
                               : SSL_CTX_load_verify_file(context->ssl, conf->ca_file)) != 1)
        return tls_fail(err, ERR_TLS, what);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_alpn_protos(context->ssl, context->alpn, context->alpn_len) != 0)
        return tls_fail(err, ERR_TLS, "cannot set up a TLS context");
    *ret = TAKE(context);
    return 0;
}

void
tls_context_free(struct tls_context **context)
{
    if (context == NULL || *context == NULL)
        return;
    SSL_CTX_free((*context)->ssl);
    free(*context);
    *context = NULL;
}

/* The one name that the server's certificate must carry in a SAN; its CN does not count. */
static int
session_expect(SSL *ssl, const char *server_name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char binary[sizeof(struct in6_addr)];
    char name[TLSEXT_MAXLEN_host_name + 1];
    if (!str_copy(name, sizeof(name), str_from(server_name)))
        return 0;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

int
tls_session_new(struct tls_context *context, int fd, bool server, const char *server_name,
                SSL **ret_ssl, struct err *err)
{
    ASSERT(server == context->server);
    if (!server && (server_name == NULL || server_name[0] == '\0'))
        return err_set(err, ERR_INVALID, "a TLS server without a name cannot be verified");
    ASSERT(pthread_once(&bio_once, bio_method_init) == 0);
    ERR_clear_error();
    SSL *ssl = bio_method == NULL ? NULL : SSL_new(context->ssl);
    BIO *bio = ssl == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL || (!server && session_expect(ssl, server_name) != 1)) {
        (void)BIO_free(bio);
        SSL_free(ssl);
        return tls_fail(err, ERR_TLS, "cannot set up a TLS session");
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    *ret_ssl = ssl;
    return 0;
}
