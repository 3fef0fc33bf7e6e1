/* SPDX-License-Identifier: MIT
 * tls_int.h - what tls.c shares with channel.c and tls_pki.c.
 * Floor: lib/net; any thread.
 * Owns: nothing.
 * Invariant: as tls.h. */
#ifndef BERTH_LIB_NET_TLS_INT_H
#define BERTH_LIB_NET_TLS_INT_H

#include <openssl/ssl.h>

#include "lib/net/tls.h"

/* tls_session_new - an SSL over fd, which stays the caller's. server_name: see channel_init. */
int tls_session_new(struct tls_context *context, int fd, bool server, const char *server_name,
                    SSL **ret_ssl, struct err *err) MUST_USE;
/* tls_fail - -code with `what` and the first reason in OpenSSL's queue, which is emptied. */
int tls_fail(struct err *err, enum err_code code, const char *what);
/* tls_load_key / tls_load_cert - one PEM object of a file; the caller frees it. */
int tls_load_key(const char *path, EVP_PKEY **ret_key, struct err *err) MUST_USE;
int tls_load_cert(const char *path, X509 **ret_cert, struct err *err) MUST_USE;
/* tls_cert_uri - the first URI of its subject alternative names, NUL-terminated, or "" when there
 * is none, it does not fit or has a NUL inside. cert may be NULL. */
void tls_cert_uri(const X509 *cert, char *out, size_t size);

static inline void
tls_free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
static inline void
tls_free_cert(X509 **cert)
{
    X509_free(*cert);
}
static inline void
tls_free_bio(BIO **bio)
{
    (void)BIO_free(*bio);
}

#endif
