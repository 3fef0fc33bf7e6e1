/* SPDX-License-Identifier: MIT
 * utf8.c - UTF-8 validation: three table lookups a byte pair ("Validating UTF-8 in less than one
 *          instruction per byte", arXiv 2010.03090) on AVX2; a plain loop elsewhere and to find the
 * place. Floor: lib/text; any thread. Owns: nothing. Invariant: the vector half only says yes or
 * no; the place of an error always comes from the loop.
 */
#include "lib/text/utf8.h"

#include "lib/base/check.h"

#include "lib/text/utf8_block.h"

size_t
utf8_decode(struct str s, uint32_t *ret_code)
{
    ASSERT(s.len > 0);
    const unsigned char *p = (const unsigned char *)s.ptr;
    uint32_t code = p[0];
    size_t size;
    uint32_t low = 0x80;
    uint32_t high = 0xbf;
    if (code < 0x80) {
        *ret_code = code;
        return 1;
    }
    if (code >= 0xc2 && code <= 0xdf) {
        size = 2;
        code &= 0x1f;
    } else if (code >= 0xe0 && code <= 0xef) {
        size = 3;
        low = code == 0xe0 ? 0xa0 : 0x80;  /* no overlong form */
        high = code == 0xed ? 0x9f : 0xbf; /* no surrogate */
        code &= 0x0f;
    } else if (code >= 0xf0 && code <= 0xf4) {
        size = 4;
        low = code == 0xf0 ? 0x90 : 0x80;
        high = code == 0xf4 ? 0x8f : 0xbf; /* <= U+10FFFF */
        code &= 0x07;
    } else {
        return 0;
    }
    if (s.len < size || p[1] < low || p[1] > high) {
        return 0;
    }
    code = code << 6 | (p[1] & 0x3fu);
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3fu);
    }
    *ret_code = code;
    return size;
}

size_t
utf8_valid_bytes_portable(struct str s)
{
    size_t at = 0;
    while (at < s.len) {
        uint64_t word;
        if (s.len - at >= sizeof(word)) {
            memcpy(&word, s.ptr + at, sizeof(word));
            if ((word & 0x8080808080808080u) == 0) {
                at += sizeof(word);
                continue;
            }
        }
        uint32_t code;
        size_t size = utf8_decode(str_make(s.ptr + at, s.len - at), &code);
        if (size == 0) {
            break;
        }
        at += size;
    }
    return at;
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

/* Room for the three bytes before a block. */
struct staged {
    char bytes[3 + 64];
};

/* The block at `at` of s, with zeroes before and behind s. */
static const char *
stage(struct staged *staged, struct str s, size_t at)
{
    size_t before = MIN(at, (size_t)3);
    memset(staged, 0, sizeof(*staged));
    memcpy(staged->bytes + 3 - before, s.ptr + at - before, before + MIN(s.len - at, (size_t)64));
    return staged->bytes + 3;
}

AVX2 static bool
valid_wide(struct str s)
{
    struct staged staged;
    int high = 0; /* in the block before: a character may run on */
    size_t at = 64;
    if (!utf8_block_good(stage(&staged, s, 0))) {
        return false;
    }
    for (high = 1; s.len - at >= 64; at += 64) {
        const char *block = s.ptr + at;
        int now = _mm256_movemask_epi8(
            _mm256_or_si256(utf8_block_load(block), utf8_block_load(block + 32)));
        if ((high | now) != 0 && !utf8_block_good(block)) {
            return false;
        }
        high = now;
    }
    /* at most 63 bytes, and at least the zero that ends a cut character */
    return utf8_block_good(stage(&staged, s, at));
}

static inline __m128i
load_16(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* s.len when s is ASCII; else some place before the first byte that is not. */
static size_t
ascii_bytes(struct str s)
{
    size_t at = 0;
    for (; s.len - at >= 64; at += 64) {
        const char *block = s.ptr + at;
        __m128i low = _mm_or_si128(load_16(block), load_16(block + 16));
        __m128i high = _mm_or_si128(load_16(block + 32), load_16(block + 48));
        if (_mm_movemask_epi8(_mm_or_si128(low, high)) != 0) {
            return at;
        }
    }
    for (; s.len - at >= 16; at += 16) {
        if (_mm_movemask_epi8(load_16(s.ptr + at)) != 0) {
            return at;
        }
    }
    if (at > 0 && at < s.len) {
        /* the last 16 bytes, some of them seen already */
        return _mm_movemask_epi8(load_16(s.ptr + s.len - 16)) == 0 ? s.len : at;
    }
    return at;
}

/* ASCII in whole blocks of 128, from the start. */
AVX2 static size_t
ascii_wide(struct str s)
{
    size_t at = 0;
    for (; s.len - at >= 128; at += 128) {
        const __m256i *block = (const __m256i *)(const void *)(s.ptr + at);
        __m256i low = _mm256_or_si256(_mm256_loadu_si256(block), _mm256_loadu_si256(block + 1));
        __m256i high =
            _mm256_or_si256(_mm256_loadu_si256(block + 2), _mm256_loadu_si256(block + 3));
        if (_mm256_movemask_epi8(_mm256_or_si256(low, high)) != 0) {
            return at;
        }
    }
    return at;
}

size_t
utf8_valid_bytes(struct str s)
{
    /* Most text is ASCII, or begins with much of it. */
    bool wide = s.len >= 64 && __builtin_cpu_supports("avx2");
    size_t ascii = wide ? ascii_wide(s) : 0;
    ascii += ascii_bytes(str_skip(s, ascii));
    struct str rest = str_skip(s, ascii);
    if (rest.len >= 64 && wide && valid_wide(rest)) {
        return s.len;
    }
    return ascii + utf8_valid_bytes_portable(rest);
}

#else

size_t
utf8_valid_bytes(struct str s)
{
    return utf8_valid_bytes_portable(s);
}

#endif

bool
utf8_valid(struct str s)
{
    return utf8_valid_bytes(s) == s.len;
}

size_t
utf8_encode(char out[4], uint32_t code)
{
    ASSERT(code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t
utf8_count(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}
