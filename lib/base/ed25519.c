/* SPDX-License-Identifier: MIT
 * ed25519.c - signatures (RFC 8032) over OpenSSL's EVP.
 * Floor: lib/base; any thread; a key may be used by many at once.
 * Owns: the EVP_PKEY in each key; OpenSSL wipes the private half when it frees it.
 * Invariant: no copy of a private key is left unwiped here; vectors proved in digest_test.c. */
#include "lib/base/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/rand.h"
#include "lib/base/secret.h"

struct ed25519_key {
    EVP_PKEY *pkey;
};

int
ed25519_from_private(const uint8_t bytes[ED25519_KEY_BYTES], struct ed25519_key **ret_key)
{
    CLEANUP(ed25519_free) struct ed25519_key *key = calloc(1, sizeof(*key));
    if (key == NULL)
        return -ERR_NOMEM;
    key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, ED25519_KEY_BYTES);
    if (key->pkey == NULL)
        return -ERR_NOMEM; /* every 32 bytes are a private key */
    *ret_key = TAKE(key);
    return 0;
}

int
ed25519_generate(struct ed25519_key **ret_key)
{
    uint8_t bytes[ED25519_KEY_BYTES];
    rand_bytes(bytes, sizeof(bytes));
    int r = ed25519_from_private(bytes, ret_key);
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

void
ed25519_free(struct ed25519_key **key)
{
    if (key == NULL || *key == NULL)
        return;
    EVP_PKEY_free((*key)->pkey);
    free(*key);
    *key = NULL;
}

void
ed25519_private(const struct ed25519_key *key, uint8_t ret_bytes[ED25519_KEY_BYTES])
{
    size_t size = ED25519_KEY_BYTES;
    ASSERT(EVP_PKEY_get_raw_private_key(key->pkey, ret_bytes, &size) == 1);
    ASSERT(size == ED25519_KEY_BYTES);
}

void
ed25519_public(const struct ed25519_key *key, uint8_t ret_bytes[ED25519_KEY_BYTES])
{
    size_t size = ED25519_KEY_BYTES;
    ASSERT(EVP_PKEY_get_raw_public_key(key->pkey, ret_bytes, &size) == 1);
    ASSERT(size == ED25519_KEY_BYTES);
}

int
ed25519_sign(const struct ed25519_key *key, struct str message,
             uint8_t ret_signature[ED25519_SIGNATURE_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        return -ERR_NOMEM;
    uint8_t signature[ED25519_SIGNATURE_BYTES];
    size_t size = sizeof(signature);
    bool done =
        EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
        EVP_DigestSign(ctx, signature, &size, (const unsigned char *)message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!done)
        return -ERR_NOMEM; /* with a valid key nothing else fails */
    ASSERT(size == ED25519_SIGNATURE_BYTES);
    memcpy(ret_signature, signature, sizeof(signature));
    return 0;
}

int
ed25519_verify(const uint8_t public_key[ED25519_KEY_BYTES], struct str message,
               const uint8_t signature[ED25519_SIGNATURE_BYTES])
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, ED25519_KEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    /* Whatever goes wrong, memory included, the answer is "not verified". */
    bool good = pkey != NULL && ctx != NULL &&
                EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE_BYTES,
                                 (const unsigned char *)message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return good ? 0 : -ERR_SIGNATURE;
}
