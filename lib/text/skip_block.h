/* SPDX-License-Identifier: MIT
 * skip_block.h - one block of 16 bytes, inline: most strings and numbers end inside their first.
 * Floor: lib/text, private; any thread.
 * Owns: nothing.
 * Invariant: exactly [at, at + 16) is read. Proved by skip_test.c (through skip.h) and json_test.c.
 */
#ifndef BERTH_LIB_TEXT_SKIP_BLOCK_H
#define BERTH_LIB_TEXT_SKIP_BLOCK_H

#include <stddef.h>

#include "lib/base/cc.h"

#if defined(__x86_64__)

#include <emmintrin.h>

/* A bit for each byte that a JSON string cannot hold as it is: '"', '\\', below 0x20. */
static inline unsigned
skip_block_stops(const char *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control));
}

/* A bit for each byte that is not ASCII. */
static inline unsigned
skip_block_high(const char *at)
{
    return (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
}

/* A bit for each byte that is no decimal digit. */
static inline unsigned
skip_block_not_digits(const char *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    __m128i is = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    return (unsigned)_mm_movemask_epi8(is) ^ 0xffffu;
}

#else

static inline unsigned
skip_block_stops(const char *at)
{
    unsigned stops = 0;
    for (unsigned i = 0; i < 16; i++) {
        stops |= (unsigned)(at[i] == '"' || at[i] == '\\' || (unsigned char)at[i] < 0x20) << i;
    }
    return stops;
}

static inline unsigned
skip_block_high(const char *at)
{
    unsigned high = 0;
    for (unsigned i = 0; i < 16; i++) {
        high |= (unsigned)((unsigned char)at[i] >= 0x80) << i;
    }
    return high;
}

static inline unsigned
skip_block_not_digits(const char *at)
{
    unsigned stops = 0;
    for (unsigned i = 0; i < 16; i++) {
        stops |= (unsigned)((unsigned)at[i] - '0' > 9) << i;
    }
    return stops;
}

#endif

/* Bytes before the first set bit, 16 when none is. */
static inline size_t
skip_block_run(unsigned stops)
{
    return (size_t)__builtin_ctz(stops | 0x10000u);
}

#endif
