/* SPDX-License-Identifier: MIT
 * utf8_block.h - UTF-8 validation of a block of 64 bytes, inline, on AVX2: three table lookups a
 * byte pair ("Validating UTF-8 in less than one instruction per byte", arXiv 2010.03090). Floor:
 * lib/text, private; any thread. Owns: nothing. Invariant: exactly [at - 3, at + 64) is read.
 * Proved by utf8_test.c (through utf8.h) and json_same_fuzz.c. */
#ifndef BERTH_LIB_TEXT_UTF8_BLOCK_H
#define BERTH_LIB_TEXT_UTF8_BLOCK_H

#if defined(__x86_64__)

#include <stdbool.h>

#include <immintrin.h>

#include "lib/base/cc.h"

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

static const uint8_t utf8_first_high[16] = {
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
static const uint8_t utf8_first_low[16] = {
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
static const uint8_t utf8_second_high[16] = {
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

TARGET("avx2")
static INLINE __m256i
utf8_block_load(const char *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

TARGET("avx2")
static INLINE __m256i
utf8_block_lookup(const uint8_t table[16], __m256i nibbles)
{
    __m128i row = _mm_loadu_si128((const __m128i *)(const void *)table);
    __m256i low = _mm256_and_si256(nibbles, _mm256_set1_epi8(0x0f));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(row), low);
}

/* Non-zero where a byte of [at, at + 32) does not go with the three before it. */
TARGET("avx2")
static INLINE __m256i
utf8_block_half_wrong(const char *at)
{
    __m256i block = utf8_block_load(at);
    __m256i before = utf8_block_load(at - 1);
    __m256i guilt = _mm256_and_si256(
        _mm256_and_si256(utf8_block_lookup(utf8_first_high, _mm256_srli_epi16(before, 4)),
                         utf8_block_lookup(utf8_first_low, before)),
        utf8_block_lookup(utf8_second_high, _mm256_srli_epi16(block, 4)));
    /* Where the byte two back leads three or more, or the byte three back leads four, a second
     * continuation byte must stand, and nowhere else. */
    __m256i third =
        _mm256_subs_epu8(utf8_block_load(at - 2), _mm256_set1_epi8((char)(0xe0 - 0x80)));
    __m256i fourth =
        _mm256_subs_epu8(utf8_block_load(at - 3), _mm256_set1_epi8((char)(0xf0 - 0x80)));
    __m256i wanted = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(wanted, guilt);
}

/* utf8_block_good - every byte of [at, at + 64) goes with those before it. A character that the
 * end of the block cuts is judged with the next block. */
TARGET("avx2")
static INLINE bool
utf8_block_good(const char *at)
{
    __m256i wrong = _mm256_or_si256(utf8_block_half_wrong(at), utf8_block_half_wrong(at + 32));
    return _mm256_testz_si256(wrong, wrong) != 0;
}

#define UTF8_BLOCK_WIDE TARGET("avx2,avx512f,avx512bw,avx512vl")

UTF8_BLOCK_WIDE
static INLINE __m512i
utf8_block_wide_lookup(const uint8_t table[16], __m512i nibbles)
{
    __m128i row = _mm_loadu_si128((const __m128i *)(const void *)table);
    __m512i low = _mm512_and_si512(nibbles, _mm512_set1_epi8(0x0f));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(row), low);
}

/* utf8_block_good_wide - the same in one step, where AVX-512 BW is there. */
UTF8_BLOCK_WIDE
static INLINE bool
utf8_block_good_wide(const char *at)
{
    __m512i block = _mm512_loadu_si512(at);
    __m512i before = _mm512_loadu_si512(at - 1);
    __m512i guilt = _mm512_and_si512(
        _mm512_and_si512(utf8_block_wide_lookup(utf8_first_high, _mm512_srli_epi16(before, 4)),
                         utf8_block_wide_lookup(utf8_first_low, before)),
        utf8_block_wide_lookup(utf8_second_high, _mm512_srli_epi16(block, 4)));
    __m512i third =
        _mm512_subs_epu8(_mm512_loadu_si512(at - 2), _mm512_set1_epi8((char)(0xe0 - 0x80)));
    __m512i fourth =
        _mm512_subs_epu8(_mm512_loadu_si512(at - 3), _mm512_set1_epi8((char)(0xf0 - 0x80)));
    __m512i wanted = _mm512_and_si512(_mm512_or_si512(third, fourth), _mm512_set1_epi8((char)0x80));
    return _mm512_cmpneq_epi8_mask(wanted, guilt) == 0;
}

#endif

#endif
