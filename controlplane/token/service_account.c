/* SPDX-License-Identifier: MIT
 * service_account.c - see service_account.h.
 * Floor: controlplane/token; any thread.
 * Owns: OpenSSL's key for the time of one signature.
 * Invariant: see service_account.h. */
#include "controlplane/token/service_account.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/base/check.h"
#include "lib/text/base64.h"
#include "lib/text/json.h"

#define CLAIM_BYTES_MAX 16384u
#define SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define RSA_BITS_MIN 2048

bool
service_account_is(struct str key)
{
    struct str text = str_trim(key);
    return text.len > 0 && text.ptr[0] == '{';
}

static int
read_member(const struct json_doc *doc, const char *name, bool wanted, struct arena *arena,
            struct str *ret_text, struct err *err)
{
    struct str text = STR_EMPTY;
    uint32_t node = json_get(doc, 0, str_from(name));
    *ret_text = STR_EMPTY;
    if (node == JSON_NONE && !wanted)
        return 0;
    int code = json_string(doc, node, arena, &text);
    if (code == 0)
        code = arena_dup(arena, text, ret_text);
    if (code == -ERR_NOMEM)
        return err_set(err, ERR_NOMEM, "no memory for a service account");
    if (code < 0 || (wanted && text.len == 0))
        return err_set(err, ERR_INVALID, "the service account's key file has no text \"%s\"", name);
    return 0;
}

int
service_account_read(struct str text, struct arena *arena, struct service_account *ret_account,
                     struct err *err)
{
    struct service_account account = {.email = STR_EMPTY};
    struct str type = STR_EMPTY;
    struct json_doc doc;
    json_init(&doc);
    int code = 0;
    if (json_scan(&doc, str_trim(text), NULL, NULL) < 0)
        code = err_set(err, ERR_PARSE, "the service account's key file is not JSON");
    if (code == 0)
        code = read_member(&doc, "type", true, arena, &type, err);
    if (code == 0 && !str_eq(type, STR("service_account")))
        code = err_set(err, ERR_INVALID, "the key file is no service account's");
    if (code == 0)
        code = read_member(&doc, "client_email", true, arena, &account.email, err);
    if (code == 0)
        code = read_member(&doc, "private_key", true, arena, &account.private_key, err);
    if (code == 0)
        code = read_member(&doc, "token_uri", true, arena, &account.token_url, err);
    if (code == 0)
        code = read_member(&doc, "private_key_id", false, arena, &account.key_id, err);
    json_fini(&doc);
    if (code == 0)
        *ret_account = account;
    return code;
}

/* "header.claims" */
static int
put_unsigned(const struct service_account *account, uint64_t now_s, struct buf *out)
{
    struct buf part;
    struct json_writer writer;
    buf_init(&part, CLAIM_BYTES_MAX);
    json_writer_init(&writer, &part);
    json_open_object(&writer);
    json_member_str(&writer, "alg", STR("RS256"));
    json_member_str(&writer, "typ", STR("JWT"));
    if (account->key_id.len > 0)
        json_member_str(&writer, "kid", account->key_id);
    json_close_object(&writer);
    int code = base64_put(out, buf_str(&part), true);
    part.len = 0;
    json_writer_init(&writer, &part);
    json_open_object(&writer);
    json_member_str(&writer, "iss", account->email);
    json_member_str(&writer, "scope", STR(SCOPE));
    json_member_str(&writer, "aud", account->token_url);
    json_member_u64(&writer, "iat", now_s);
    json_member_u64(&writer, "exp", now_s + SERVICE_ACCOUNT_CLAIM_S);
    json_close_object(&writer);
    buf_put_byte(out, '.');
    if (code == 0)
        code = base64_put(out, buf_str(&part), true);
    bool failed = part.failed || out->failed;
    buf_fini(&part);
    return failed ? -ERR_TOO_LARGE : code;
}

/* A key that is encrypted is not ours: nobody is there to be asked for its passphrase. */
static int
no_passphrase(char *text, int size, int writing, void *user)
{
    (void)text, (void)size, (void)writing, (void)user;
    return -1;
}

static EVP_PKEY *
read_key(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (key && (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < RSA_BITS_MIN)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static int
put_signature(struct str pem, struct buf *out)
{
    unsigned char signature[1024]; /* of a key of 8192 bits */
    size_t size = sizeof signature;
    EVP_PKEY *key = read_key(pem);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        key && context && (size_t)EVP_PKEY_get_size(key) <= sizeof signature &&
        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, signature, &size, (const unsigned char *)out->ptr, out->len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (!good)
        return -ERR_INVALID;
    buf_put_byte(out, '.');
    return base64_put(out, str_make((const char *)signature, size), true);
}

int
service_account_claim(const struct service_account *account, uint64_t now_s, struct arena *arena,
                      struct str *ret_claim, struct err *err)
{
    struct buf out;
    buf_init(&out, CLAIM_BYTES_MAX);
    int code = put_unsigned(account, now_s, &out);
    if (code == 0)
        code = put_signature(account->private_key, &out);
    if (code == 0)
        code = arena_dup(arena, buf_str(&out), ret_claim);
    buf_fini(&out);
    if (code == -ERR_INVALID)
        return err_set(err, ERR_INVALID,
                       "the service account's private_key is no RSA key of %d bits or more in PEM",
                       RSA_BITS_MIN);
    return code < 0 ? err_set(err, (enum err_code) - code, "%s", err_text(code)) : 0;
}
