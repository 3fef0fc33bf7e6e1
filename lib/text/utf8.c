/* SPDX-License-Identifier: MIT
 * utf8.c - UTF-8 validation: three table lookups a byte pair ("Validating UTF-8 in less than one
 *          instruction per byte", arXiv 2010.03090) on AVX2; a plain loop elsewhere and to find the
 * place. Floor: lib/text; any thread. Owns: nothing. Invariant: the vector half only says yes or
 * no; the place of an error always comes from the loop.
 */
#include "lib/text/utf8.h"

#include "lib/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* What a pair of neighbouring bytes can be guilty of; a bit that survives all three tables is an
 * error. TWO_CONTS is wanted, not an error, behind the lead byte of three or four bytes. */
enum {
    TOO_SHORT = 1 << 0,
    TOO_LONG = 1 << 1,
    OVERLONG_3 = 1 << 2,
    TOO_LARGE = 1 << 3,
    SURROGATE = 1 << 4,
    OVERLONG_2 = 1 << 5,
    TOO_LARGE_1000 = 1 << 6,
    OVERLONG_4 = 1 << 6,
    TWO_CONTS = 1 << 7,
    CARRY = TOO_SHORT | TOO_LONG | TWO_CONTS
};

static const uint8_t first_high[16] = {
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TWO_CONTS,
    TWO_CONTS,
    TWO_CONTS,
    TWO_CONTS,
    TOO_SHORT | OVERLONG_2,
    TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
};
static const uint8_t first_low[16] = {
    CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4,
    CARRY | OVERLONG_2,
    CARRY,
    CARRY,
    CARRY | TOO_LARGE,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000 | SURROGATE,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
};
static const uint8_t second_high[16] = {
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
    TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
};

#define AVX2 __attribute__((target("avx2")))

struct checker {
    __m256i error;
    __m256i previous;
    __m256i incomplete; /* a character runs over the end of `previous` */
};

AVX2 static inline __m256i
load_table(const uint8_t table[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

/* The block moved back by `count` bytes, with the end of the previous block in front. */
#define SHIFTED(block, previous, count) \
    _mm256_alignr_epi8((block), _mm256_permute2x128_si256((previous), (block), 0x21), 16 - (count))

AVX2 static inline void
check_block(struct checker *checker, __m256i block)
{
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    __m256i prev1 = SHIFTED(block, checker->previous, 1);
    __m256i prev2 = SHIFTED(block, checker->previous, 2);
    __m256i prev3 = SHIFTED(block, checker->previous, 3);
    __m256i high1 = _mm256_and_si256(_mm256_srli_epi16(prev1, 4), nibble);
    __m256i high2 = _mm256_and_si256(_mm256_srli_epi16(block, 4), nibble);
    __m256i guilt =
        _mm256_and_si256(_mm256_and_si256(_mm256_shuffle_epi8(load_table(first_high), high1),
                                          _mm256_shuffle_epi8(load_table(first_low),
                                                              _mm256_and_si256(prev1, nibble))),
                         _mm256_shuffle_epi8(load_table(second_high), high2));
    /* Where the byte two back leads three or more, or the byte three back leads four, a second
     * continuation byte must stand, and nowhere else. */
    __m256i third = _mm256_subs_epu8(prev2, _mm256_set1_epi8((char)(0xe0 - 0x80)));
    __m256i fourth = _mm256_subs_epu8(prev3, _mm256_set1_epi8((char)(0xf0 - 0x80)));
    __m256i wanted = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    checker->error = _mm256_or_si256(checker->error, _mm256_xor_si256(wanted, guilt));
    const __m256i lead_max = _mm256_setr_epi8(
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, (char)(0xf0 - 1), (char)(0xe0 - 1), (char)(0xc0 - 1));
    checker->incomplete = _mm256_subs_epu8(block, lead_max);
    checker->previous = block;
}

AVX2 static inline void
check_pair(struct checker *checker, const char *at)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));
    if (_mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0) {
        checker->error = _mm256_or_si256(checker->error, checker->incomplete);
        checker->incomplete = _mm256_setzero_si256();
        checker->previous = _mm256_setzero_si256();
        return;
    }
    check_block(checker, low);
    check_block(checker, high);
}

AVX2 static bool
valid_wide(struct str s)
{
    struct checker checker = {_mm256_setzero_si256(), _mm256_setzero_si256(),
                              _mm256_setzero_si256()};
    size_t at = 0;
    for (; s.len - at >= 64; at += 64) {
        check_pair(&checker, s.ptr + at);
    }
    if (at < s.len) {
        char tail[64] = {0};
        memcpy(tail, s.ptr + at, s.len - at);
        check_pair(&checker, tail);
    }
    __m256i error = _mm256_or_si256(checker.error, checker.incomplete);
    return _mm256_testz_si256(error, error) != 0;
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
