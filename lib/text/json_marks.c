/* SPDX-License-Identifier: MIT
 * json_marks.c - where strings end, in short loops over a window of the text: vectors to bits,
 *                bits to strings, then what few blocks need (escapes \u, UTF-8), then places.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: no byte outside the text is read. What is wrong outside strings is not seen here:
 *            there the walk over the text stands still before it takes another mark. */
#include "lib/text/json_marks.h"

#include "lib/base/check.h"
#include "lib/text/json_int.h"
#include "lib/text/utf8_block.h"

void
json_marks_init(struct json_marks *marks, struct str text)
{
    marks->base = text.ptr;
    marks->end = text.ptr + text.len;
    marks->at = text.ptr;
    marks->from = text.ptr;
    marks->unicode_end = text.ptr;
    marks->inside = 0;
    marks->escaped = 0;
    marks->seen = 0;
    marks->odd = 0;
}

#if defined(__x86_64__)

/* Ice Lake, Zen 4 and later. */
#define WIDE TARGET("avx2,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,pclmul,bmi,bmi2,popcnt")
#define BLOCKS (JSON_MARKS_WINDOW / 64)
#define GROUP 8u /* blocks */
_Static_assert(JSON_MARKS_WINDOW <= JSON_MARK_ESCAPED, "an offset and a flag in 16 bits");
_Static_assert(BLOCKS % GROUP == 0 && BLOCKS <= UINT8_MAX, "whole groups, a byte counts blocks");

/* A bit for each byte of a window, a word for each block of 64. */
struct bits {
    uint64_t quotes[BLOCKS];
    uint64_t slashes[BLOCKS];
    uint64_t shorts[BLOCKS]; /* may stand behind a backslash: " \ / b f n r t */
    uint64_t odd[BLOCKS];    /* below 0x20, or not ASCII */
};

/* What of them needs another look: a word for some of the blocks, and which they are. */
struct some {
    uint64_t bits[BLOCKS];
    uint8_t block[BLOCKS];
    unsigned count;
};

struct found {
    struct bits bits;
    struct some escapes;    /* bytes behind a backslash that are no short escapes */
    struct some odd;        /* what stands in strings, of blocks with odd bytes or behind one */
    struct some closing;    /* closing quotes */
    uint64_t flags[BLOCKS]; /* of `closing`: those whose string has an escape */
};

/* Written always, counted when there is something: no branch. */
static INLINE void
some_add(struct some *some, unsigned *count, uint64_t bits, unsigned block, bool any)
{
    some->bits[*count] = bits;
    some->block[*count] = (uint8_t)block;
    *count += any;
}

/* Which bytes stand behind an odd run of backslashes; *carry: whether the first byte of this
 * block, then of the next one, does. The addition lets each run that starts on an odd bit carry
 * to its end. */
static INLINE uint64_t
escaped_bytes(uint64_t slashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555u;
    bool last = slashes >> 63 != 0;
    slashes &= ~*carry;
    uint64_t follows = slashes << 1 | *carry;
    uint64_t odd_starts = slashes & ~even & ~follows;
    uint64_t runs;
    bool over = ADD_OVERFLOW(odd_starts, slashes, &runs);
    *carry = 0;
    if (UNLIKELY(last)) {
        /* a branch, and no conditional move, so that the next block need not wait for this sum */
        *carry = over;
        __asm__("" : "+r"(*carry));
    }
    return (even ^ runs << 1) & follows;
}

/* GROUP blocks within one string: no quote in them, and nothing odd. */
static INLINE bool
find_in_string(struct json_marks *marks, struct found *found, unsigned first, unsigned *escapes)
{
    const struct bits *bits = &found->bits;
    uint64_t other = ~marks->inside | marks->odd;
    uint64_t slashes = 0;
#pragma GCC unroll 8
    for (unsigned i = first; i < first + GROUP; i++) {
        other |= bits->quotes[i] | bits->odd[i];
    }
    if (other != 0) {
        return false;
    }
    for (unsigned i = first; i < first + GROUP; i++) {
        uint64_t escaped = escaped_bytes(bits->slashes[i], &marks->escaped);
        uint64_t wrong = escaped & ~bits->shorts[i];
        some_add(&found->escapes, escapes, wrong, i, wrong != 0);
        slashes |= bits->slashes[i];
    }
    marks->seen |= slashes != 0;
    return true;
}

/* From quotes and backslashes to strings. */
WIDE static INLINE void
find_strings(struct json_marks *marks, struct found *found, unsigned blocks)
{
    const struct bits *bits = &found->bits;
    const __m128i ones = _mm_set1_epi8((char)0xff);
    unsigned closing = 0;
    unsigned escapes = 0;
    unsigned odd = 0;
    for (unsigned i = 0; i < blocks;) {
        if (blocks - i >= GROUP && find_in_string(marks, found, i, &escapes)) {
            i += GROUP;
            continue;
        }
        uint64_t before = marks->inside;
        uint64_t carry = marks->escaped;
        uint64_t seen = marks->seen;
        uint64_t odd_before = marks->odd;
        for (unsigned stop = MIN(i + GROUP, blocks); i < stop; i++) {
            uint64_t slashes = bits->slashes[i];
            uint64_t escaped = escaped_bytes(slashes, &carry);
            uint64_t quotes = bits->quotes[i] & ~escaped;
            uint64_t wrong = escaped & ~bits->shorts[i];
            some_add(&found->escapes, &escapes, wrong, i, wrong != 0);
            /* bit n of the product: is the number of quotes up to n odd? */
            __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)quotes), ones, 0);
            uint64_t inside = (uint64_t)_mm_cvtsi128_si64(product) ^ before;
            before = (uint64_t)0 - (inside >> 63);
            some_add(&found->odd, &odd, inside, i, (bits->odd[i] | odd_before) != 0);
            odd_before = bits->odd[i];
            /* a string with a backslash, as a run of ones, carries to its closing quote */
            uint64_t runs;
            seen = ADD_OVERFLOW(inside, (slashes & inside) | seen, &runs);
            quotes &= ~inside;
            found->flags[closing] = runs & quotes;
            some_add(&found->closing, &closing, quotes, i, quotes != 0);
        }
        marks->inside = before;
        marks->escaped = carry;
        marks->seen = seen;
        marks->odd = odd_before;
    }
    found->closing.count = closing;
    found->escapes.count = escapes;
    found->odd.count = odd;
}

static bool
escapes_good(struct json_marks *marks, const struct some *some)
{
    const char *done = marks->unicode_end;
    for (unsigned i = 0; i < some->count; i++) {
        for (uint64_t left = some->bits[i]; left != 0; left &= left - 1) {
            const char *slash = marks->at + some->block[i] * 64u + TRAILING_ZEROS64(left) - 1;
            if (slash < done) { /* the second of a pair */
                continue;
            }
            done = json_unicode_end(slash, marks->end);
            if (done == NULL) {
                return false;
            }
        }
    }
    marks->unicode_end = done;
    return true;
}

/* Blocks with bytes below 0x20 or beyond ASCII, and those behind them. */
WIDE static INLINE bool
odd_good(const struct json_marks *marks, const struct some *some)
{
    for (unsigned i = 0; i < some->count; i++) {
        const char *at = marks->at + some->block[i] * 64u;
        char staged[3 + 64];
        if (UNLIKELY(at == marks->base || marks->end - at < 64)) {
            size_t head = MIN((size_t)(at - marks->base), (size_t)3);
            memset(staged, ' ', sizeof(staged));
            memcpy(staged + 3 - head, at - head, head + MIN((size_t)(marks->end - at), (size_t)64));
            at = staged + 3;
        }
        __m256i last = _mm256_set1_epi8(0x1f);
        __m256i low = utf8_block_load(at);
        __m256i high = utf8_block_load(at + 32);
        low = _mm256_cmpeq_epi8(_mm256_min_epu8(low, last), low);
        high = _mm256_cmpeq_epi8(_mm256_min_epu8(high, last), high);
        uint64_t controls = (uint32_t)_mm256_movemask_epi8(low) |
                            (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
        if ((controls & some->bits[i]) != 0 || !utf8_block_good(at)) {
            return false;
        }
    }
    return true;
}

/* Sixteen of them. */
WIDE static INLINE void
put_places(uint16_t *out, unsigned base, __m128i places, uint64_t flags)
{
    const __m256i escaped = _mm256_set1_epi16((short)JSON_MARK_ESCAPED);
    __m256i words = _mm256_add_epi16(_mm256_set1_epi16((short)base), _mm256_cvtepu8_epi16(places));
    words = _mm256_mask_add_epi16(words, (__mmask16)flags, words, escaped);
    _mm256_storeu_si256((__m256i *)(void *)out, words);
}

/* Places of closing quotes. */
WIDE static INLINE uint16_t *
put_marks(const struct found *found, uint16_t *out)
{
    static const unsigned char places[64] ALIGNED(64) = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i all = _mm512_load_si512(places);
    for (unsigned i = 0; i < found->closing.count; i++) {
        uint64_t quotes = found->closing.bits[i];
        uint64_t flags = _pext_u64(found->flags[i], quotes);
        unsigned base = found->closing.block[i] * 64u;
        unsigned count = (unsigned)__builtin_popcountll(quotes);
        __m512i bytes = _mm512_maskz_compress_epi8(quotes, all);
        put_places(out, base, _mm512_castsi512_si128(bytes), flags);
        if (UNLIKELY(count > 16)) {
            put_places(out + 16, base, _mm512_extracti32x4_epi32(bytes, 1), flags >> 16);
        }
        out += count;
    }
    return out;
}

/* Which ASCII bytes may: a byte more than all of them, or nothing. */
static const unsigned char shorts_of[128] ALIGNED(64) = {
    ['"'] = 0x80, ['\\'] = 0x80, ['/'] = 0x80, ['b'] = 0x80,
    ['f'] = 0x80, ['n'] = 0x80,  ['r'] = 0x80, ['t'] = 0x80,
};

/* Vectors to bits. */
WIDE static INLINE void
find_bits(const char *at, size_t size, struct bits *bits)
{
    const __m512i quote = _mm512_set1_epi8('"');
    const __m512i slash = _mm512_set1_epi8('\\');
    const __m512i space = _mm512_set1_epi8(' ');
    const __m512i low = _mm512_load_si512(shorts_of);
    const __m512i high = _mm512_load_si512(shorts_of + 64);
    for (size_t done = 0, i = 0; done < size; done += 64, i++) {
        __m512i v;
        if (LIKELY(size - done >= 64)) {
            v = _mm512_loadu_si512(at + done);
        } else {
            v = _mm512_mask_loadu_epi8(space, ((uint64_t)1 << (size - done)) - 1, at + done);
        }
        bits->quotes[i] = _mm512_cmpeq_epi8_mask(v, quote);
        bits->slashes[i] = _mm512_cmpeq_epi8_mask(v, slash);
        /* the lookup goes by the low seven bits; a byte beyond ASCII is below nothing */
        bits->shorts[i] = _mm512_cmplt_epu8_mask(v, _mm512_permutex2var_epi8(low, v, high));
        bits->odd[i] = _mm512_cmplt_epi8_mask(v, space);
    }
}

/* The end of the marks of the next window, or NULL. */
WIDE static uint16_t *
next_window(struct json_marks *marks)
{
    struct found found UNINIT;
    size_t size = MIN((size_t)(marks->end - marks->at), (size_t)JSON_MARKS_WINDOW);
    find_bits(marks->at, size, &found.bits);
    find_strings(marks, &found, (unsigned)((size + 63) / 64));
    if (!escapes_good(marks, &found.escapes) || !odd_good(marks, &found.odd)) {
        return NULL;
    }
    marks->from = marks->at;
    marks->at += size;
    return put_marks(&found, marks->list);
}

bool
json_marks_usable(void)
{
    return CPU_HAS("avx512vbmi2") && CPU_HAS("avx512vbmi") && CPU_HAS("avx512bw") &&
           CPU_HAS("avx512vl") && CPU_HAS("pclmul") && CPU_HAS("bmi2");
}

#else

static uint16_t *
next_window(struct json_marks *marks)
{
    (void)marks;
    return NULL;
}

bool
json_marks_usable(void)
{
    return false;
}

#endif

const uint16_t *
json_marks_more(struct json_marks *marks)
{
    const uint16_t *end = marks->list;
    ASSERT(marks->at <= marks->end);
    while (end == marks->list) {
        end = marks->at < marks->end ? next_window(marks) : NULL;
    }
    return end;
}
