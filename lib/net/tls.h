/* SPDX-License-Identifier: MIT
 * tls.h - TLS contexts (OpenSSL 3) with Berth's defaults, and the small PKI of a Berth
 * installation. Floor: lib/net; a context is read-only after creation and shared by threads. Owns:
 * SSL_CTX objects, counted. Invariant: TLS 1.2 with ECDHE+AEAD at least, 1.3 where `internal`; no
 * renegotiation, compression or early data; verification of a server cannot be switched off.
 * HARDENING 3.3. */
#ifndef BERTH_LIB_NET_TLS_H
#define BERTH_LIB_NET_TLS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

struct tls_context;

/* cert_file, key_file: PEM; client_ca_file: NULL, or require and verify client certificates.
 * alpn_h2: offer "h2" before "http/1.1"; an unknown ALPN offer is refused, none means http/1.1.
 * The key file must not be readable by group or others (-ERR_PERMISSION names the chmod). */
struct tls_server_conf {
    const char *cert_file;
    const char *key_file;
    const char *client_ca_file;
    bool alpn_h2;
    bool internal;
};
int tls_server_new(const struct tls_server_conf *conf, struct tls_context **ret,
                   struct err *err) MUST_USE;
/* ca_file: NULL = the system's roots; else in addition to none of them. cert/key: client
 * certificate or NULL. */
struct tls_client_conf {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    bool alpn_h2;
    bool internal;
};
int tls_client_new(const struct tls_client_conf *conf, struct tls_context **ret,
                   struct err *err) MUST_USE;
void tls_context_free(struct tls_context **context);

/* tls_pki_init - first start: make `dir` (0700) with ca.crt/ca.key (P-256, 10 years) unless
 * present. */
int tls_pki_init(const char *dir, struct err *err) MUST_USE;
/* tls_pki_issue - dir/NAME.crt and dir/NAME.key (0600) signed by the CA: SAN URI
 * "spiffe://berth/ROLE/NAME", plus `dns` names and loopback addresses when it is a server's; valid
 * `days`. Replaces an older pair when it is missing, expired or within a third of its end. */
int tls_pki_issue(const char *dir, const char *role, const char *name, bool server, unsigned days,
                  struct err *err) MUST_USE;

#endif
