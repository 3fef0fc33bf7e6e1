/* SPDX-License-Identifier: MIT
 * tls_pki.c - the certificates of one Berth installation: a CA and what it signs, as files.
 * Floor: lib/net; any thread, also several processes at once (a lock file in the folder).
 * Owns: nothing that outlives a call.
 * Invariant: a key is never readable by others; a pair on disk is used only when key, certificate
 * and CA fit together, else it is made anew: proved in tls_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/rand.h"
#include "lib/base/secret.h"
#include "lib/net/tls_int.h"

#define CA_DAYS 3653u
/* Clocks of other hosts; and our own may be set back when it was ahead at our first start. */
#define BACKDATE_S (31 * 86400)
#define PATH_BYTES 1024
#define SAN_BYTES 1024

struct pair {
    X509 *cert;
    EVP_PKEY *key;
};

static void
pair_fini(struct pair *pair)
{
    X509_free(pair->cert);
    EVP_PKEY_free(pair->key);
    *pair = (struct pair){NULL, NULL};
}

static void
lock_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int
path_of(char out[PATH_BYTES], const char *dir, const char *name, const char *suffix,
        struct err *err)
{
    int count = snprintf(out, PATH_BYTES, "%s/%s%s", dir, name, suffix);
    if (count < 0 || count >= PATH_BYTES)
        return err_set(err, ERR_TOO_LARGE, "the path of the certificate folder is too long");
    return 0;
}

static int
dir_lock(const char *dir, int *ret_fd, struct err *err)
{
    char path[PATH_BYTES];
    int r = path_of(path, dir, ".lock", "", err);
    if (r < 0)
        return r;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open %s", path);
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        r = err_set_errno(err, errno, "cannot lock %s", path);
        (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int
write_bio(const char *path, BIO *bio, struct err *err)
{
    char *bytes = NULL;
    long count = BIO_get_mem_data(bio, &bytes);
    ASSERT(count > 0);
    int r = secret_write_file(path, str_make(bytes, (size_t)count), err);
    OPENSSL_cleanse(bytes, (size_t)count);
    return r;
}

static int
write_pair(const char *dir, const char *name, const struct pair *pair, struct err *err)
{
    char path[PATH_BYTES];
    CLEANUP(tls_free_bio) BIO *key = BIO_new(BIO_s_mem());
    CLEANUP(tls_free_bio) BIO *cert = BIO_new(BIO_s_mem());
    if (key == NULL || cert == NULL ||
        PEM_write_bio_PrivateKey(key, pair->key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(cert, pair->cert) != 1)
        return tls_fail(err, ERR_TLS, "cannot encode a key and its certificate");
    int r = path_of(path, dir, name, ".key", err);
    if (r == 0)
        r = write_bio(path, key, err);
    if (r == 0)
        r = path_of(path, dir, name, ".crt", err);
    /* The certificate comes last: without it a key means nothing and is made anew. */
    if (r == 0)
        r = write_bio(path, cert, err);
    return r;
}

static int
read_pair(const char *dir, const char *name, struct pair *pair, struct err *err)
{
    char path[PATH_BYTES];
    int r = path_of(path, dir, name, ".key", err);
    if (r == 0)
        r = tls_load_key(path, &pair->key, err);
    if (r == 0)
        r = path_of(path, dir, name, ".crt", err);
    if (r == 0)
        r = tls_load_cert(path, &pair->cert, err);
    if (r == 0 && X509_check_private_key(pair->cert, pair->key) != 1) {
        ERR_clear_error();
        r = err_set(err, ERR_TLS, "%s/%s.key and %s.crt do not belong together", dir, name, name);
    }
    return r;
}

static bool
add_extension(X509 *cert, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* Everything but names, extensions and signature. */
static bool
cert_begin(X509 *cert, EVP_PKEY *key, const char *common_name, unsigned days)
{
    uint8_t serial[16];
    rand_bytes(serial, sizeof(serial));
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and always 16 bytes */
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    X509_NAME *name = X509_get_subject_name(cert);
    time_t now = (time_t)(clock_wall_ns() / 1000000000);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL &&
              X509_set_version(cert, X509_VERSION_3) == 1 &&
              X509_time_adj_ex(X509_getm_notBefore(cert), 0, -BACKDATE_S, &now) != NULL &&
              X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, &now) != NULL &&
              X509_set_pubkey(cert, key) == 1 &&
              X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"berth",
                                         -1, -1, 0) == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                         (const unsigned char *)common_name, -1, -1, 0) == 1;
    BN_free(number);
    return ok;
}

static int
make_ca(struct pair *pair, struct err *err)
{
    pair->key = EVP_EC_gen("P-256");
    pair->cert = X509_new();
    if (pair->key == NULL || pair->cert == NULL ||
        !cert_begin(pair->cert, pair->key, "Berth installation CA", CA_DAYS) ||
        X509_set_issuer_name(pair->cert, X509_get_subject_name(pair->cert)) != 1 ||
        !add_extension(pair->cert, pair->cert, NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(pair->cert, pair->cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(pair->cert, pair->cert, NID_subject_key_identifier, "hash") ||
        X509_sign(pair->cert, pair->key, EVP_sha256()) == 0)
        return tls_fail(err, ERR_TLS, "cannot make the CA of this installation");
    return 0;
}

int
tls_pki_init(const char *dir, struct err *err)
{
    char cert_path[PATH_BYTES];
    char key_path[PATH_BYTES];
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", dir);
    CLEANUP(lock_close) int lock = -1;
    int r = dir_lock(dir, &lock, err);
    if (r == 0)
        r = path_of(cert_path, dir, "ca", ".crt", err);
    if (r == 0)
        r = path_of(key_path, dir, "ca", ".key", err);
    if (r < 0)
        return r;
    CLEANUP(pair_fini) struct pair pair = {NULL, NULL};
    if (file_exists(cert_path)) {
        if (file_exists(key_path))
            return read_pair(dir, "ca", &pair, err);
        return err_set(err, ERR_NOT_FOUND,
                       "%s is there but %s is not: bring the key back, or remove the certificate "
                       "to start a new CA",
                       cert_path, key_path);
    }
    r = make_ca(&pair, err);
    return r < 0 ? r : write_pair(dir, "ca", &pair, err);
}

/* Names end up in paths, URIs and OpenSSL's little language of extensions. */
static bool
is_plain_name(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
        if (!alnum && (i == 0 || (c != '-' && c != '.' && c != '_')))
            return false;
    }
    return len > 0 && len <= 63;
}

static bool
san_text(char out[SAN_BYTES], const char *role, const char *name, bool server)
{
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) < 0 || !is_plain_name(host))
        host[0] = '\0';
    int count =
        snprintf(out, SAN_BYTES, "URI:spiffe://berth/%s/%s%s%s%s%s", role, name,
                 server ? ",DNS:localhost,IP:127.0.0.1,IP:::1,DNS:" : "", server ? name : "",
                 server && host[0] != '\0' ? ",DNS:" : "", server ? host : "");
    return count > 0 && count < SAN_BYTES;
}

static int
make_leaf(const struct pair *ca, const char *role, const char *name, bool server, unsigned days,
          struct pair *pair, struct err *err)
{
    char san[SAN_BYTES];
    pair->key = EVP_EC_gen("P-256");
    pair->cert = X509_new();
    if (pair->key == NULL || pair->cert == NULL || !san_text(san, role, name, server) ||
        !cert_begin(pair->cert, pair->key, name, days) ||
        X509_set_issuer_name(pair->cert, X509_get_subject_name(ca->cert)) != 1 ||
        !add_extension(pair->cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(pair->cert, ca->cert, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(pair->cert, ca->cert, NID_ext_key_usage,
                       server ? "serverAuth,clientAuth" : "clientAuth") ||
        !add_extension(pair->cert, ca->cert, NID_subject_alt_name, san) ||
        !add_extension(pair->cert, ca->cert, NID_subject_key_identifier, "hash") ||
        !add_extension(pair->cert, ca->cert, NID_authority_key_identifier, "keyid") ||
        X509_sign(pair->cert, ca->key, EVP_sha256()) == 0)
        return tls_fail(err, ERR_TLS, "cannot issue a certificate");
    return 0;
}

/* The pair on disk fits this CA and these names, and has more than a third of its life ahead. */
static bool
leaf_is_good(const char *dir, const struct pair *ca, const char *role, const char *name,
             bool server)
{
    CLEANUP(pair_fini) struct pair pair = {NULL, NULL};
    char uri[SAN_BYTES];
    char want[SAN_BYTES];
    int days_all = 0;
    int days_left = 0;
    int seconds_all = 0;
    int seconds_left = 0;
    if (read_pair(dir, name, &pair, NULL) < 0 ||
        X509_verify(pair.cert, X509_get0_pubkey(ca->cert)) != 1) {
        ERR_clear_error();
        return false;
    }
    ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)(clock_wall_ns() / 1000000000));
    bool timed = now != NULL &&
                 ASN1_TIME_diff(&days_all, &seconds_all, X509_get0_notBefore(pair.cert),
                                X509_get0_notAfter(pair.cert)) == 1 &&
                 ASN1_TIME_diff(&days_left, &seconds_left, now, X509_get0_notAfter(pair.cert)) == 1;
    ASN1_TIME_free(now);
    int64_t all = (int64_t)days_all * 86400 + seconds_all - BACKDATE_S;
    int64_t left = (int64_t)days_left * 86400 + seconds_left;
    if (!timed || left * 3 <= all)
        return false;

    int count = snprintf(want, sizeof(want), "spiffe://berth/%s/%s", role, name);
    ASSERT(count > 0 && (size_t)count < sizeof(want));
    tls_cert_uri(pair.cert, uri, sizeof(uri));
    uint32_t usage = X509_get_extended_key_usage(pair.cert);
    return strcmp(uri, want) == 0 && ((usage & XKU_SSL_SERVER) != 0) == server;
}

int
tls_pki_issue(const char *dir, const char *role, const char *name, bool server, unsigned days,
              struct err *err)
{
    if (!is_plain_name(role) || !is_plain_name(name) || strcmp(name, "ca") == 0)
        return err_set(err, ERR_INVALID,
                       "a certificate's role and name have 1 to 63 letters, digits, '-', '.', '_', "
                       "and the name is not \"ca\"");
    if (days == 0 || days > CA_DAYS)
        return err_set(err, ERR_INVALID, "a certificate is valid for 1 to %u days", CA_DAYS);
    CLEANUP(lock_close) int lock = -1;
    CLEANUP(pair_fini) struct pair ca = {NULL, NULL};
    CLEANUP(pair_fini) struct pair leaf = {NULL, NULL};
    int r = dir_lock(dir, &lock, err);
    if (r == 0)
        r = read_pair(dir, "ca", &ca, err);
    if (r < 0)
        return r;
    if (leaf_is_good(dir, &ca, role, name, server))
        return 0;
    r = make_leaf(&ca, role, name, server, days, &leaf, err);
    return r < 0 ? r : write_pair(dir, name, &leaf, err);
}
