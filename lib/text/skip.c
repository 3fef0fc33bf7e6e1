/* SPDX-License-Identifier: MIT
 * skip.c - vector loops over string and line content: AVX2 where the CPU has it, SSE2, plain bytes.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: blocks are loaded only when they lie wholly inside [at, end). */
#include "lib/text/skip.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "lib/text/skip_block.h"

#if defined(__x86_64__)

static inline unsigned
line_stops(const char *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i lf = _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'));
    __m128i cr = _mm_cmpeq_epi8(v, _mm_set1_epi8('\r'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(lf, cr));
}

/* Over whole blocks of 16 in which stops_of finds nothing; true when it found something. */
#define SKIP_BLOCKS(at, end, stops_of)           \
    for (; (end) - (at) >= 16; (at) += 16) {     \
        unsigned stops_ = stops_of(at);          \
        if (stops_ != 0) {                       \
            return (at) + __builtin_ctz(stops_); \
        }                                        \
    }

#else
#define SKIP_BLOCKS(at, end, stops_of)
#endif

const char *
skip_plain(const char *at, const char *end)
{
    SKIP_BLOCKS(at, end, skip_block_stops)
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        at++;
    }
    return at;
}

const char *
skip_line(const char *at, const char *end)
{
    SKIP_BLOCKS(at, end, line_stops)
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

static bool
is_short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return true;
    default:
        return false;
    }
}

const char *
skip_string_narrow(const char *at, const char *end, bool *ret_escaped)
{
    for (;;) {
        at = skip_plain(at, end);
        if (end - at < 2 || *at != '\\' || !is_short_escape(at[1])) {
            return at;
        }
        *ret_escaped = true;
        at += 2;
    }
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

struct pair {
    __m256i low;
    __m256i high;
};

AVX2 static inline uint64_t
pair_mask(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

AVX2 static inline uint64_t
pair_eq(const struct pair *pair, char c)
{
    __m256i all = _mm256_set1_epi8(c);
    return pair_mask(_mm256_cmpeq_epi8(pair->low, all), _mm256_cmpeq_epi8(pair->high, all));
}

/* Bytes of one half that may stand behind a backslash: a bit for the high nibble, and for each low
 * nibble the set of high ones it goes with ('"' 22 '/' 2f '\' 5c 'b' 62 'f' 66 'n' 6e 'r' 72 't'
 * 74). */
AVX2 static inline __m256i
short_escapes(__m256i v)
{
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i highs = _mm256_setr_epi8(0, 0, 1, 0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                                           0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i lows = _mm256_setr_epi8(0, 0, 1 | 4 | 8, 0, 8, 0, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1, 0,
                                          0, 1 | 4 | 8, 0, 8, 0, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1);
    __m256i high = _mm256_shuffle_epi8(highs, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
    __m256i low = _mm256_shuffle_epi8(lows, _mm256_and_si256(v, nibble));
    __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(high, low), _mm256_setzero_si256());
    return _mm256_xor_si256(none, _mm256_set1_epi8(-1));
}

/* Which bytes stand behind an odd run of backslashes; *carry: whether the first byte of this block,
 * then of the next one, does. The addition lets each run that starts on an odd bit carry to its
 * end. */
static inline uint64_t
escaped_bytes(uint64_t slashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555u;
    slashes &= ~*carry;
    uint64_t follows = slashes << 1 | *carry;
    uint64_t odd_starts = slashes & ~even & ~follows;
    uint64_t runs;
    *carry = __builtin_add_overflow(odd_starts, slashes, &runs);
    return (even ^ runs << 1) & follows;
}

AVX2 static inline __m256i
any_stop(__m256i v)
{
    __m256i quote = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"'));
    __m256i slash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
    return _mm256_or_si256(_mm256_or_si256(quote, slash), control);
}

/* Escapes are resolved 64 bytes at a time without a branch for each: text full of "\n" is common.
 */
AVX2 const char *
skip_string_wide(const char *at, const char *end, bool *ret_escaped)
{
    uint64_t carry = 0;
    for (; end - at >= 64; at += 64) {
        struct pair v = {
            _mm256_loadu_si256((const __m256i *)(const void *)at),
            _mm256_loadu_si256((const __m256i *)(const void *)(at + 32)),
        };
        uint64_t stops = pair_mask(any_stop(v.low), any_stop(v.high));
        if ((stops | carry) == 0) {
            continue;
        }
        uint64_t slashes = pair_eq(&v, '\\');
        uint64_t escaped = 0;
        uint64_t wrong = 0;
        stops &= ~slashes;
        if ((slashes | carry) != 0) {
            escaped = escaped_bytes(slashes, &carry);
            wrong = escaped & ~pair_mask(short_escapes(v.low), short_escapes(v.high));
            stops = (stops & ~escaped) | wrong;
        }
        if (stops == 0) {
            *ret_escaped |= escaped != 0;
            continue;
        }
        unsigned place = (unsigned)__builtin_ctzll(stops);
        uint64_t before = ((uint64_t)1 << place) - 1;
        *ret_escaped |= (escaped & before) != 0;
        return at + place - (wrong >> place & 1);
    }
    return skip_string_narrow(at - carry, end, ret_escaped);
}

bool
skip_have_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

#else

const char *
skip_string_wide(const char *at, const char *end, bool *ret_escaped)
{
    return skip_string_narrow(at, end, ret_escaped);
}

bool
skip_have_wide(void)
{
    return false;
}

#endif

skip_string_fn
skip_string_best(void)
{
    return skip_have_wide() ? skip_string_wide : skip_string_narrow;
}
