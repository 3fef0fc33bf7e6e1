/* SPDX-License-Identifier: MIT
 * seal.c - see seal.h.
 * Floor: controlplane/seal; any thread.
 * Owns: see seal.h.
 * Invariant: see seal.h. A nonce is 96 random bits: 2^32 texts under one key stay far from a
 * repeat. */
#include "controlplane/seal/seal.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/digest.h"
#include "lib/base/rand.h"
#include "lib/base/secret.h"
#include "lib/text/base64.h"

#define NONCE_BYTES 12u
#define TAG_BYTES 16u
#define SALT_BYTES 16u
#define PASSPHRASE_BYTES_MIN 12u
#define ARGON_KIB 65536u
#define ARGON_PASSES 3u
#define ARGON_LANES 1u

struct seal {
    struct secret *key;
};

static void
cipher_free(EVP_CIPHER_CTX **cipher)
{
    EVP_CIPHER_CTX_free(*cipher);
}

int
seal_from_key(const uint8_t key[SEAL_KEY_BYTES], struct seal **ret_seal)
{
    struct seal *seal = calloc(1, sizeof *seal);
    if (!seal)
        return -ERR_NOMEM;
    seal->key = secret_new(str_make((const char *)key, SEAL_KEY_BYTES));
    if (!seal->key) {
        free(seal);
        return -ERR_NOMEM;
    }
    *ret_seal = seal;
    return 0;
}

void
seal_free(struct seal **seal)
{
    struct seal *gone = TAKE(*seal);
    if (!gone)
        return;
    secret_free(&gone->key);
    free(gone);
}

/* Random bytes in hex in a file of our own: read, or made when there is none. */
static int
read_or_make(const char *path, uint8_t *out, size_t count, struct err *err)
{
    CLEANUP(secret_free) struct secret *text = NULL;
    int code = 0;
    ASSERT(count <= SEAL_KEY_BYTES);
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        char hex[2 * SEAL_KEY_BYTES + 1];
        rand_bytes(out, count);
        hex_encode(out, count, hex);
        code = secret_write_file(path, str_make(hex, 2 * count), err);
        secret_wipe(hex, sizeof hex);
    }
    if (code == 0)
        code = secret_read_file(path, &text, err);
    if (code < 0)
        return code;
    if (secret_str(text).len != 2 * count || hex_decode(secret_str(text), out, count) < 0)
        return err_set(err, ERR_PARSE, "%s does not hold %zu hex digits", path, 2 * count);
    return 0;
}

int
seal_from_file(const char *path, struct seal **ret_seal, struct err *err)
{
    uint8_t key[SEAL_KEY_BYTES];
    int code = read_or_make(path, key, sizeof key, err);
    if (code == 0 && seal_from_key(key, ret_seal) < 0)
        code = err_set(err, ERR_NOMEM, "no memory for the master key");
    secret_wipe(key, sizeof key);
    return code;
}

int
seal_from_passphrase(const char *passphrase_file, const char *salt_file, struct seal **ret_seal,
                     struct err *err)
{
    CLEANUP(secret_free) struct secret *passphrase = NULL;
    uint8_t salt[SALT_BYTES];
    uint8_t key[SEAL_KEY_BYTES];
    int code = secret_read_file(passphrase_file, &passphrase, err);
    if (code == 0 && secret_str(passphrase).len < PASSPHRASE_BYTES_MIN)
        code = err_set(err, ERR_INVALID, "the passphrase in %s is shorter than %u bytes",
                       passphrase_file, PASSPHRASE_BYTES_MIN);
    if (code == 0)
        code = read_or_make(salt_file, salt, sizeof salt, err);
    if (code < 0)
        return code;
    struct str text = secret_str(passphrase);
    int failed = argon2id_hash_raw(ARGON_PASSES, ARGON_KIB, ARGON_LANES, text.ptr, text.len, salt,
                                   sizeof salt, key, sizeof key);
    if (failed != ARGON2_OK || seal_from_key(key, ret_seal) < 0)
        code = err_set(err, ERR_NOMEM, "no master key from the passphrase: %s",
                       argon2_error_message(failed));
    secret_wipe(key, sizeof key);
    return code;
}

bool
seal_is_sealed(struct str text)
{
    return str_starts(text, STR(SEAL_PREFIX));
}

/* out: nonce, text, tag. */
static bool
encrypt(const struct seal *seal, struct str name, struct str text, uint8_t *out)
{
    CLEANUP(cipher_free) EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    const uint8_t *key = (const uint8_t *)secret_str(seal->key).ptr;
    int count = 0;
    uint8_t *body = out + NONCE_BYTES;
    rand_bytes(out, NONCE_BYTES);
    return cipher && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, out) == 1 &&
           EVP_EncryptUpdate(cipher, NULL, &count, (const uint8_t *)name.ptr, (int)name.len) == 1 &&
           EVP_EncryptUpdate(cipher, body, &count, (const uint8_t *)text.ptr, (int)text.len) == 1 &&
           EVP_EncryptFinal_ex(cipher, body + text.len, &count) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, (int)TAG_BYTES, body + text.len) == 1;
}

int
seal_close(const struct seal *seal, struct str name, struct str text, struct arena *arena,
           struct str *ret_sealed)
{
    if (text.len > SEAL_TEXT_BYTES_MAX || name.len > SEAL_TEXT_BYTES_MAX)
        return -ERR_TOO_LARGE;
    size_t bytes = NONCE_BYTES + text.len + TAG_BYTES;
    uint8_t *raw = arena_alloc(arena, bytes);
    if (!raw)
        return -ERR_NOMEM;
    struct buf out;
    buf_init(&out, 4 * (size_t)SEAL_TEXT_BYTES_MAX);
    int code = encrypt(seal, name, text, raw) ? 0 : -ERR_NOMEM;
    if (code == 0)
        code = buf_put_str(&out, STR(SEAL_PREFIX));
    if (code == 0)
        code = base64_put(&out, str_make((const char *)raw, bytes), false);
    if (code == 0)
        code = arena_dup(arena, buf_str(&out), ret_sealed);
    buf_fini(&out);
    return code;
}

static bool
decrypt(const struct seal *seal, struct str name, struct str raw, uint8_t *out)
{
    CLEANUP(cipher_free) EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    const uint8_t *key = (const uint8_t *)secret_str(seal->key).ptr;
    const uint8_t *nonce = (const uint8_t *)raw.ptr;
    size_t text_bytes = raw.len - NONCE_BYTES - TAG_BYTES;
    uint8_t tag[TAG_BYTES];
    int count = 0;
    memcpy(tag, nonce + NONCE_BYTES + text_bytes, sizeof tag);
    return cipher && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
           EVP_DecryptUpdate(cipher, NULL, &count, (const uint8_t *)name.ptr, (int)name.len) == 1 &&
           EVP_DecryptUpdate(cipher, out, &count, nonce + NONCE_BYTES, (int)text_bytes) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, (int)TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(cipher, out + text_bytes, &count) == 1;
}

int
seal_open(const struct seal *seal, struct str name, struct str sealed, struct arena *arena,
          struct str *ret_text)
{
    if (!seal_is_sealed(sealed) || sealed.len > 4 * (size_t)SEAL_TEXT_BYTES_MAX ||
        name.len > SEAL_TEXT_BYTES_MAX)
        return -ERR_PARSE;
    struct buf raw;
    buf_init(&raw, 4 * (size_t)SEAL_TEXT_BYTES_MAX);
    int code = base64_decode(&raw, str_skip(sealed, sizeof SEAL_PREFIX - 1), false);
    if (code == 0 && raw.len < NONCE_BYTES + TAG_BYTES)
        code = -ERR_PARSE;
    if (code == 0) {
        size_t bytes = raw.len - NONCE_BYTES - TAG_BYTES;
        uint8_t *out = arena_zalloc(arena, bytes + TAG_BYTES);
        if (!out)
            code = -ERR_NOMEM;
        else if (!decrypt(seal, name, buf_str(&raw), out))
            code = -ERR_SIGNATURE;
        if (code == 0)
            *ret_text = str_make((const char *)out, bytes);
        else if (out)
            secret_wipe(out, bytes); /* GCM decrypts first and verifies last */
    }
    buf_fini(&raw);
    return code;
}
