/* SPDX-License-Identifier: MIT
 * digest.h - SHA-256, HMAC-SHA-256, Ed25519, hex: thin over OpenSSL's EVP.
 * Floor: lib/base; any thread.
 * Owns: key objects.
 * Invariant: private keys live in secrets and are wiped. */
#ifndef BERTH_LIB_BASE_DIGEST_H
#define BERTH_LIB_BASE_DIGEST_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#define SHA256_BYTES 32u
#define ED25519_SIGNATURE_BYTES 64u
#define ED25519_KEY_BYTES 32u

void digest_sha256(struct str bytes, uint8_t ret_digest[SHA256_BYTES]);
/* digest_begin - SHA-256 of bytes that come in pieces; NULL: no memory. digest_end - also of none;
 * frees it. One thread at a time. */
struct digest_run;
struct digest_run *digest_begin(void);
void digest_more(struct digest_run *run, struct str bytes);
void digest_end(struct digest_run **run, uint8_t ret_digest[SHA256_BYTES]);
void digest_hmac_sha256(struct str key, struct str bytes, uint8_t ret_mac[SHA256_BYTES]);
/* crc32c - Castagnoli; pass 0 to start, the previous value to go on. */
uint32_t digest_crc32c(uint32_t crc, const void *bytes, size_t count);
/* digest_crc32c_portable - the same without the processor's instruction (SSE4.2), to compare with.
 */
uint32_t digest_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
/* hex_encode - 2 * count lower-case digits and a NUL into out. */
void hex_encode(const void *bytes, size_t count, char *out);
/* hex_decode - exactly 2 * count digits, either case. 0 or -ERR_PARSE. */
int hex_decode(struct str hex, void *out, size_t count) MUST_USE;

struct ed25519_key; /* private and public half */
int ed25519_generate(struct ed25519_key **ret_key) MUST_USE;
int ed25519_from_private(const uint8_t bytes[ED25519_KEY_BYTES],
                         struct ed25519_key **ret_key) MUST_USE;
void ed25519_free(struct ed25519_key **key);
void ed25519_private(const struct ed25519_key *key, uint8_t ret_bytes[ED25519_KEY_BYTES]);
void ed25519_public(const struct ed25519_key *key, uint8_t ret_bytes[ED25519_KEY_BYTES]);
int ed25519_sign(const struct ed25519_key *key, struct str message,
                 uint8_t ret_signature[ED25519_SIGNATURE_BYTES]) MUST_USE;
/* ed25519_verify - 0, or -ERR_SIGNATURE. */
int ed25519_verify(const uint8_t public_key[ED25519_KEY_BYTES], struct str message,
                   const uint8_t signature[ED25519_SIGNATURE_BYTES]) MUST_USE;

#endif
