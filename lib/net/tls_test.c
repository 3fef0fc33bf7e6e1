/* SPDX-License-Identifier: MIT
 * tls_test.c - what contexts refuse to load, and the life of an installation's certificates.
 * Floor: tests of lib/net.
 * Owns: a temporary folder.
 * Invariant: HARDENING TL-11; keys are 0600; a good pair stays, any other is replaced. */
#include "lib/net/tls.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"

static char dir[64];

static const char *
file(const char *name)
{
    static char paths[4][128];
    static size_t next;
    char *path = paths[next++ % 4];
    assert_true(snprintf(path, sizeof(paths[0]), "%s/%s", dir, name) > 0);
    return path;
}

static int64_t shift_ns;
static uint64_t
test_mono(void *user)
{
    (void)user;
    return 0;
}
static int64_t
test_wall(void *user)
{
    struct timespec now;
    (void)user;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + shift_ns;
}
static const struct clock_source shifted = {test_mono, test_wall, NULL};

static int
setup(void **state)
{
    (void)state;
    shift_ns = 0;
    clock_replace(&shifted);
    memcpy(dir, "/tmp/tls_test.XXXXXX", 21);
    return mkdtemp(dir) == NULL || tls_pki_init(dir, NULL) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
    static const char *const names[] = {"ca.crt", "ca.key", "a.crt", "a.key",
                                        "b.crt",  "b.key",  ".lock"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(file(names[i]));
    clock_replace(NULL);
    return rmdir(dir);
}

static void
slurp(const char *name, char out[4096])
{
    FILE *stream = fopen(file(name), "re");
    assert_non_null(stream);
    size_t count = fread(out, 1, 4095, stream);
    assert_true(count > 0);
    out[count] = '\0';
    (void)fclose(stream);
}

static unsigned
mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(file(name), &st), 0);
    return st.st_mode & 07777u;
}

static void
issue(const char *role, const char *name, bool server)
{
    struct err err = {.text = ""};
    if (tls_pki_issue(dir, role, name, server, 90, &err) < 0)
        fail_msg("%s", err.text);
}

static void
test_life(void **state)
{
    (void)state;
    char ca[4096];
    char first[4096];
    char now[4096];
    slurp("ca.crt", ca);
    assert_int_equal(mode_of("ca.key"), 0600);
    assert_int_equal(tls_pki_init(dir, NULL), 0);
    slurp("ca.crt", now);
    assert_string_equal(ca, now); /* the second start keeps the CA */

    issue("controlplane", "a", true);
    assert_int_equal(mode_of("a.key"), 0600);
    slurp("a.crt", first);
    issue("controlplane", "a", true);
    slurp("a.crt", now);
    assert_string_equal(first, now);
    shift_ns = (int64_t)59 * 86400 * 1000000000; /* 31 of 90 days left */
    issue("controlplane", "a", true);
    slurp("a.crt", now);
    assert_string_equal(first, now);
    shift_ns = (int64_t)61 * 86400 * 1000000000; /* 29 days left: less than a third */
    issue("controlplane", "a", true);
    slurp("a.crt", now);
    assert_string_not_equal(first, now);

    memcpy(first, now, sizeof(first));
    issue("dataplane", "a", true); /* another role */
    slurp("a.crt", now);
    assert_string_not_equal(first, now);
    memcpy(first, now, sizeof(first));
    issue("dataplane", "a", false); /* another purpose */
    slurp("a.crt", now);
    assert_string_not_equal(first, now);

    memcpy(first, now, sizeof(first));
    issue("dataplane", "b", false);
    assert_int_equal(rename(file("b.key"), file("a.key")), 0); /* a foreign key */
    issue("dataplane", "a", false);
    slurp("a.crt", now);
    assert_string_not_equal(first, now);

    /* a new CA makes old certificates worthless */
    memcpy(first, now, sizeof(first));
    assert_int_equal(unlink(file("ca.crt")), 0);
    assert_int_equal(tls_pki_init(dir, NULL), 0);
    issue("dataplane", "a", false);
    slurp("a.crt", now);
    assert_string_not_equal(first, now);

    struct err err;
    assert_int_equal(unlink(file("ca.key")), 0);
    assert_int_equal(tls_pki_init(dir, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "ca.key"));
}

static void
test_certificate(void **state)
{
    (void)state;
    issue("controlplane", "a", true);
    FILE *stream = fopen(file("a.crt"), "re");
    assert_non_null(stream);
    X509 *cert = PEM_read_X509(stream, NULL, NULL, NULL);
    (void)fclose(stream);
    assert_non_null(cert);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "a", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "b", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.2", 0), 0);
    assert_int_equal(X509_check_ca(cert), 0);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(cert)), -1);
    assert_int_equal(X509_get_version(cert), X509_VERSION_3);
    X509_free(cert);
}

static void
test_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "..",   ".hidden", "a/b", "a,DNS:evil",
                                      "a b", "a\nb", "\xe4",    "-a",  "ca"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(tls_pki_issue(dir, "role", bad[i], true, 90, NULL), -ERR_INVALID);
    assert_int_equal(tls_pki_issue(dir, "a,b", "a", true, 90, NULL), -ERR_INVALID);
    assert_int_equal(tls_pki_issue(dir, "role", "a", true, 0, NULL), -ERR_INVALID);
}

static int
load(const char *cert, const char *key, const char *ca, struct err *err)
{
    struct tls_context *context = NULL;
    struct tls_server_conf conf = {.cert_file = file(cert),
                                   .key_file = file(key),
                                   .client_ca_file = ca == NULL ? NULL : file(ca)};
    int r = tls_server_new(&conf, &context, err);
    assert_true((r == 0) == (context != NULL));
    tls_context_free(&context);
    return r;
}

static void
test_loading(void **state)
{
    (void)state;
    struct err err;
    issue("role", "a", true);
    issue("role", "b", true);
    assert_int_equal(load("a.crt", "a.key", "ca.crt", &err), 0);
    assert_int_equal(load("a.crt", "b.key", NULL, &err), -ERR_TLS);
    assert_non_null(strstr(err.text, "b.key"));
    assert_int_equal(load("a.crt", "missing", NULL, &err), -ERR_NOT_FOUND);
    assert_int_equal(load("missing", "a.key", NULL, &err), -ERR_TLS);
    assert_int_equal(load("a.crt", "a.crt", NULL, &err), -ERR_TLS);
    assert_int_equal(load("a.key", "a.key", NULL, &err), -ERR_TLS);
    assert_int_equal(load("a.crt", "a.key", "a.key", &err), -ERR_TLS);
    assert_int_equal(load("a.crt", "a.key", "missing", &err), -ERR_TLS);
    /* TL-11 */
    assert_int_equal(chmod(file("a.key"), 0644), 0);
    assert_int_equal(load("a.crt", "a.key", NULL, &err), -ERR_PERMISSION);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(chmod(file("a.key"), 0640), 0);
    assert_int_equal(load("a.crt", "a.key", NULL, &err), -ERR_PERMISSION);
    assert_int_equal(chmod(file("a.key"), 0600), 0);
    if (geteuid() == 0 && chown(file("a.key"), 12345, 12345) == 0) {
        assert_int_equal(load("a.crt", "a.key", NULL, &err), -ERR_PERMISSION);
        assert_non_null(strstr(err.text, "chown"));
    }
    struct tls_context *context = NULL;
    struct tls_client_conf half = {.ca_file = file("ca.crt"), .cert_file = file("b.crt")};
    assert_int_equal(tls_client_new(&half, &context, &err), -ERR_INVALID);
    struct tls_client_conf system = {.ca_file = NULL};
    assert_int_equal(tls_client_new(&system, &context, &err), 0);
    tls_context_free(&context);
}

/* A key under a pass phrase must not make a daemon ask a terminal. */
static void
test_passphrase(void **state)
{
    (void)state;
    struct err err;
    issue("role", "a", true);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    int fd = open(file("a.key"), O_WRONLY | O_TRUNC | O_CLOEXEC);
    FILE *stream = fdopen(fd, "we");
    assert_non_null(stream);
    assert_int_equal(PEM_write_PrivateKey(stream, key, EVP_aes_256_cbc(),
                                          (const unsigned char *)"secret", 6, NULL, NULL),
                     1);
    (void)fclose(stream);
    EVP_PKEY_free(key);
    assert_int_equal(load("a.crt", "a.key", NULL, &err), -ERR_TLS);
    assert_non_null(strstr(err.text, "pass phrase"));
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_life), T(test_certificate), T(test_names), T(test_loading), T(test_passphrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
