/* SPDX-License-Identifier: MIT
 * digest.c - SHA-256, HMAC, CRC-32C and hex.
 * Floor: lib/base; any thread.
 * Owns: the fetched SHA-256 of the process; per thread one digest context, freed when it ends.
 * Invariant: results equal the published vectors (FIPS 180-4, RFC 4231, RFC 3720 B.4); proved in
 *            digest_test.c. Ed25519 is in ed25519.c. */
#include "lib/base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "lib/base/check.h"
#include "lib/base/secret.h"

#define SHA256_BLOCK_BYTES 64u

/* Fetched once: a fetch by name costs more than the hash of a token. */
static EVP_MD *sha256;
static pthread_key_t context_key;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_MD_CTX *context;

static void
context_free(void *user)
{
    EVP_MD_CTX_free(user);
    context = NULL;
}

static void
sha256_setup(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    ASSERT(sha256 != NULL);
    ASSERT(pthread_key_create(&context_key, context_free) == 0);
}

static EVP_MD_CTX *
sha256_begin(void)
{
    if (UNLIKELY(context == NULL)) {
        pthread_once(&sha256_once, sha256_setup);
        context = EVP_MD_CTX_new();
        ASSERT(context != NULL && pthread_setspecific(context_key, context) == 0);
        ASSERT(EVP_DigestInit_ex2(context, sha256, NULL) == 1);
    }
    ASSERT(EVP_DigestInit_ex2(context, NULL, NULL) == 1);
    return context;
}

/* The digest of head followed by tail. */
static void
sha256_pair(struct str head, struct str tail, uint8_t ret_digest[SHA256_BYTES])
{
    EVP_MD_CTX *ctx = sha256_begin();
    unsigned size = 0;
    ASSERT(EVP_DigestUpdate(ctx, head.ptr, head.len) == 1);
    ASSERT(EVP_DigestUpdate(ctx, tail.ptr, tail.len) == 1);
    ASSERT(EVP_DigestFinal_ex(ctx, ret_digest, &size) == 1 && size == SHA256_BYTES);
}

void
digest_sha256(struct str bytes, uint8_t ret_digest[SHA256_BYTES])
{
    sha256_pair(STR_EMPTY, bytes, ret_digest);
}

/* A context of its own: others take the thread's between two pieces. */
struct digest_run *
digest_begin(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    pthread_once(&sha256_once, sha256_setup);
    if (ctx != NULL)
        ASSERT(EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
    return (struct digest_run *)ctx;
}

void
digest_more(struct digest_run *run, struct str bytes)
{
    ASSERT(EVP_DigestUpdate((EVP_MD_CTX *)run, bytes.ptr, bytes.len) == 1);
}

void
digest_end(struct digest_run **run, uint8_t ret_digest[SHA256_BYTES])
{
    EVP_MD_CTX *ctx = (EVP_MD_CTX *)TAKE(*run);
    unsigned size = 0;
    if (ctx == NULL)
        return;
    ASSERT(EVP_DigestFinal_ex(ctx, ret_digest, &size) == 1 && size == SHA256_BYTES);
    EVP_MD_CTX_free(ctx);
}

/* RFC 2104 over sha256_pair: EVP_MAC would fetch and allocate on every call. */
void
digest_hmac_sha256(struct str key, struct str bytes, uint8_t ret_mac[SHA256_BYTES])
{
    uint8_t pad[SHA256_BLOCK_BYTES] = {0};
    uint8_t inner[SHA256_BYTES];
    struct str pad_str = str_make((const char *)pad, sizeof(pad));

    if (key.len > sizeof(pad))
        digest_sha256(key, pad);
    else if (key.len > 0)
        memcpy(pad, key.ptr, key.len);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36u;
    sha256_pair(pad_str, bytes, inner);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36u ^ 0x5cu;
    sha256_pair(pad_str, str_make((const char *)inner, sizeof(inner)), ret_mac);
    secret_wipe(pad, sizeof(pad));
    secret_wipe(inner, sizeof(inner));
}

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */
static uint32_t crc32c_table[256];
static pthread_once_t crc32c_once = PTHREAD_ONCE_INIT;

static void
crc32c_setup(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1u) != 0 ? CRC32C_POLYNOMIAL : 0u);
        crc32c_table[byte] = crc;
    }
}

static uint32_t
crc32c_portable(uint32_t crc, const uint8_t *bytes, size_t count)
{
    pthread_once(&crc32c_once, crc32c_setup);
    for (size_t i = 0; i < count; i++)
        crc = crc >> 8 ^ crc32c_table[(crc ^ bytes[i]) & 0xffu];
    return crc;
}

#if defined(__x86_64__)
static uint32_t TARGET("sse4.2") crc32c_sse42(uint32_t crc, const uint8_t *bytes, size_t count)
{
    uint64_t wide = crc;
    for (; count >= 4 * sizeof(uint64_t); count -= 4 * sizeof(uint64_t)) {
        uint64_t words[4];
        memcpy(words, bytes, sizeof(words));
        wide = _mm_crc32_u64(wide, words[0]);
        wide = _mm_crc32_u64(wide, words[1]);
        wide = _mm_crc32_u64(wide, words[2]);
        wide = _mm_crc32_u64(wide, words[3]);
        bytes += sizeof(words);
    }
    for (; count >= sizeof(uint64_t); count -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
        bytes += sizeof(word);
    }
    crc = (uint32_t)wide;
    for (; count > 0; count--)
        crc = _mm_crc32_u8(crc, *bytes++);
    return crc;
}
#endif

uint32_t
digest_crc32c(uint32_t crc, const void *bytes, size_t count)
{
#if defined(__x86_64__)
    if (LIKELY(CPU_HAS("sse4.2")))
        return ~crc32c_sse42(~crc, bytes, count);
#endif
    return ~crc32c_portable(~crc, bytes, count);
}

uint32_t
digest_crc32c_portable(uint32_t crc, const void *bytes, size_t count)
{
    return ~crc32c_portable(~crc, bytes, count);
}

void
hex_encode(const void *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = bytes;
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 15u];
    }
    *out = '\0';
}

/* 0..15, or 16 for what is no hex digit. */
static unsigned
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10u;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10u;
    return 16u;
}

int
hex_decode(struct str hex, void *out, size_t count)
{
    if (hex.len % 2 != 0 || hex.len / 2 != count)
        return -ERR_PARSE;
    for (size_t i = 0; i < hex.len; i++) {
        if (hex_digit(hex.ptr[i]) > 15u)
            return -ERR_PARSE;
    }
    uint8_t *to = out;
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)(hex_digit(hex.ptr[2 * i]) << 4 | hex_digit(hex.ptr[2 * i + 1]));
    return 0;
}
