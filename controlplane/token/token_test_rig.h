/* SPDX-License-Identifier: MIT
 * token_test_rig.h - keys, key files and the check of a signature, for the tests of this room.
 * Floor: controlplane/token, tests only.
 * Owns: nothing; texts are for free().
 * Invariant: keys are made by the test that uses them. */
#ifndef BERTH_CONTROLPLANE_TOKEN_TOKEN_TEST_RIG_H
#define BERTH_CONTROLPLANE_TOKEN_TOKEN_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "controlplane/token/service_account.h"
#include "lib/base/buf.h"
#include "lib/text/base64.h"
#include "lib/text/json.h"

static UNUSED char *
rig_pem(EVP_PKEY *key)
{
    char *text = NULL;
    char *bytes = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(key != NULL && bio != NULL);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long size = BIO_get_mem_data(bio, &bytes);
    text = strndup(bytes, (size_t)size);
    assert_non_null(text);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return text;
}

static UNUSED char *
rig_rsa_key(unsigned bits)
{
    return rig_pem(EVP_RSA_gen(bits));
}

static UNUSED char *
rig_curve_key(void)
{
    return rig_pem(EVP_EC_gen("P-256"));
}

static UNUSED char *
rig_key_file(const char *pem, const char *token_url)
{
    struct buf out;
    struct json_writer writer;
    buf_init(&out, 65536);
    json_writer_init(&writer, &out);
    json_open_object(&writer);
    json_member_str(&writer, "type", STR("service_account"));
    json_member_str(&writer, "project_id", STR("p"));
    json_member_str(&writer, "private_key_id", STR("kid-1"));
    json_member_str(&writer, "private_key", str_from(pem));
    json_member_str(&writer, "client_email", STR("berth@p.example"));
    json_member_str(&writer, "token_uri", str_from(token_url));
    json_close_object(&writer);
    assert_false(out.failed);
    char *text = strndup(out.ptr, out.len);
    buf_fini(&out);
    assert_non_null(text);
    return text;
}

static UNUSED void
rig_want_decoded(struct str part, const char *want)
{
    struct buf out;
    buf_init(&out, 65536);
    assert_int_equal(base64_decode(&out, part, true), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_fini(&out);
}

static UNUSED bool
rig_verifies(const char *pem, struct str text, struct str signature)
{
    struct buf bytes;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    buf_init(&bytes, 4096);
    assert_int_equal(base64_decode(&bytes, signature, true), 0);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    bool good = EVP_DigestVerify(context, (const unsigned char *)bytes.ptr, bytes.len,
                                 (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    buf_fini(&bytes);
    return good;
}

#endif
