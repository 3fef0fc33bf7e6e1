/* SPDX-License-Identifier: MIT
 * message_int.h - character classes that the codec and the field checks share.
 * Floor: lib/http; any thread.
 * Owns: nothing.
 * Invariant: one table and one scan decide for both directions. */
#ifndef BERTH_LIB_HTTP_MESSAGE_INT_H
#define BERTH_LIB_HTTP_MESSAGE_INT_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <string.h>

#include "lib/http/message.h"

extern const uint8_t http_token_lower[256];

static inline bool
http_value_byte(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

#ifdef __SSE2__
/* http_between - a bit for each of the 16 bytes that is first <= byte <= last, both below 0x7f. */
static inline unsigned
http_between(__m128i block, char first, char last)
{
    /* Signed compares: bytes >= 0x80 are negative, so below any `first`. */
    __m128i above = _mm_cmpgt_epi8(block, _mm_set1_epi8((char)(first - 1)));
    __m128i beyond = _mm_cmpgt_epi8(block, _mm_set1_epi8(last));
    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(beyond, above));
}
#endif

#ifdef __SSE2__
/* http_load - 16 bytes that hold every byte of at[0..len), 1 <= len <= 16, and no others: some come
 * twice, so that a check of all lanes is a check of the string. */
static inline __m128i
http_load(const char *at, size_t len)
{
    if (len >= 8) {
        __m128i head = _mm_loadl_epi64((const __m128i *)(const void *)at);
        __m128i tail = _mm_loadl_epi64((const __m128i *)(const void *)(at + len - 8));
        return _mm_unpacklo_epi64(head, tail);
    }
    if (len >= 4) {
        int32_t head = 0;
        int32_t tail = 0;
        memcpy(&head, at, sizeof head);
        memcpy(&tail, at + len - sizeof tail, sizeof tail);
        return _mm_set_epi32(head, tail, head, tail);
    }
    __m128i ends = _mm_unpacklo_epi8(_mm_set1_epi8(at[0]), _mm_set1_epi8(at[len - 1]));
    return _mm_unpacklo_epi8(ends, _mm_set1_epi8(at[len / 2]));
}
#endif

/* http_value_end - the first byte in [at, end) that a field value cannot have (a CTL but HTAB), or
 * end. RFC 9110 5.5. */
static inline const char *
http_value_end(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    while (end - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(block, space), space); /* unsigned <= 0x1f */
        control = _mm_andnot_si128(_mm_cmpeq_epi8(block, tab), control);
        control = _mm_or_si128(control, _mm_cmpeq_epi8(block, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(control);
        if (mask != 0)
            return at + TRAILING_ZEROS64(mask);
        at += 16;
    }
#endif
    while (at < end && http_value_byte((uint8_t)*at))
        at++;
    return at;
}

#endif
