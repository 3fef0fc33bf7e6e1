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
/* http_between - 0xff for each of the 16 bytes that is first <= byte <= last. */
static inline __m128i
http_between(__m128i block, char first, char last)
{
    __m128i from_first = _mm_sub_epi8(block, _mm_set1_epi8(first));
    __m128i width = _mm_set1_epi8((char)(last - first));
    return _mm_cmpeq_epi8(_mm_min_epu8(from_first, width), from_first);
}

/* http_run - how many bytes at the start of a block have 0xff in `good`. */
static inline unsigned
http_run(__m128i good)
{
    return TRAILING_ZEROS64(~(uint64_t)(unsigned)_mm_movemask_epi8(good)); /* 16 at most */
}

static inline __m128i
http_block(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* http_plain - letters of either case, digits, '-', '.', '/'. */
static inline __m128i
http_plain(__m128i block)
{
    __m128i lowered = _mm_or_si128(block, _mm_set1_epi8(0x20));
    return _mm_or_si128(http_between(lowered, 'a', 'z'), http_between(block, '-', '9'));
}
#endif

/* http_skip_plain - past the longest run of letters, digits, '-', '.' and '/' in whole blocks of
 * [at, end): a loop over bytes goes on from there. */
static inline const char *
http_skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    while (end - at >= 16) {
        unsigned run = http_run(http_plain(http_block(at)));
        at += run;
        if (run < 16)
            break;
    }
#else
    (void)end;
#endif
    return at;
}

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

/* http_te_trailers - is "trailers" in this TE field (RFC 9110 10.1.4)? */
COLD bool http_te_trailers(struct str value);
/* http_is_word - visible ASCII without spaces, at least one byte. */
static inline bool
http_is_word(struct str s)
{
    if (s.len == 0)
        return false;
#ifdef __SSE2__
    __m128i good =
        http_between(s.len <= 16 ? http_load(s.ptr, s.len) : http_block(s.ptr), '!', '~');
    for (size_t i = 16; i < s.len; i += 16) /* the last block may overlap the one before */
        good = _mm_and_si128(good, http_between(http_block(s.ptr + MIN(i, s.len - 16)), '!', '~'));
    return _mm_movemask_epi8(good) == 0xffff;
#else
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
            return false;
    }
    return true;
#endif
}

/* http_put - s at `at`; returns behind it. The usual lengths without a call: the head and the tail,
 * overlapping. */
static INLINE char *
http_put(char *at, struct str s)
{
    char head16[16] UNINIT;
    char tail16[16] UNINIT;
    uint64_t head8;
    uint64_t tail8;
    uint32_t head4;
    uint32_t tail4;
    if (s.len > 32) {
        memcpy(at, s.ptr, s.len);
    } else if (s.len >= 16) {
        memcpy(head16, s.ptr, 16);
        memcpy(tail16, s.ptr + s.len - 16, 16);
        memcpy(at, head16, 16);
        memcpy(at + s.len - 16, tail16, 16);
    } else if (s.len >= 8) {
        memcpy(&head8, s.ptr, 8);
        memcpy(&tail8, s.ptr + s.len - 8, 8);
        memcpy(at, &head8, 8);
        memcpy(at + s.len - 8, &tail8, 8);
    } else if (s.len >= 4) {
        memcpy(&head4, s.ptr, 4);
        memcpy(&tail4, s.ptr + s.len - 4, 4);
        memcpy(at, &head4, 4);
        memcpy(at + s.len - 4, &tail4, 4);
    } else if (s.len > 0) {
        char middle = s.ptr[s.len / 2];
        char last = s.ptr[s.len - 1];
        at[0] = s.ptr[0];
        at[s.len / 2] = middle;
        at[s.len - 1] = last;
    }
    return at + s.len;
}

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

#ifdef __SSE2__
/* Nothing but a-z, 0-9 and '-', as nearly all names. */
static inline bool
http_name_plain(__m128i block)
{
    __m128i dash = _mm_cmpeq_epi8(block, _mm_set1_epi8('-'));
    __m128i plain = _mm_or_si128(http_between(block, 'a', 'z'), http_between(block, '0', '9'));
    return _mm_movemask_epi8(_mm_or_si128(plain, dash)) == 0xffff;
}

static inline bool
http_value_plain(__m128i block)
{
    const __m128i space = _mm_set1_epi8(0x1f);
    __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(block, space), space); /* unsigned <= 0x1f */
    control = _mm_andnot_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\t')), control);
    control = _mm_or_si128(control, _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f)));
    return _mm_movemask_epi8(control) == 0;
}
#endif

/* http_name_ok / value_ok - http_valid_name and http_valid_value where they are called often. */
static INLINE bool
http_name_ok(struct str name)
{
#ifdef __SSE2__
    /* Head and tail, overlapping: longer names are for the loop. */
    if (name.len > 0 && name.len <= 16 && http_name_plain(http_load(name.ptr, name.len)))
        return true;
    if (name.len > 16 && name.len <= 32 && http_name_plain(http_load(name.ptr, 16)) &&
        http_name_plain(http_load(name.ptr + name.len - 16, 16)))
        return true;
#endif
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = (uint8_t)name.ptr[i];
        if (http_token_lower[c] != c || c == 0)
            return false;
    }
    return name.len > 0;
}

static INLINE bool
http_value_ok(struct str value)
{
    if (value.len == 0)
        return true;
    char first = value.ptr[0];
    char last = value.ptr[value.len - 1];
    if (first == ' ' || first == '\t' || last == ' ' || last == '\t')
        return false;
#ifdef __SSE2__
    if (value.len <= 16)
        return http_value_plain(http_load(value.ptr, value.len));
    if (value.len <= 32)
        return http_value_plain(http_load(value.ptr, 16)) &&
               http_value_plain(http_load(value.ptr + value.len - 16, 16));
#endif
    const char *end = value.ptr + value.len;
    return http_value_end(value.ptr, end) == end;
}

#endif
