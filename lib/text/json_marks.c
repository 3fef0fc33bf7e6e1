/* SPDX-License-Identifier: MIT
 * json_marks.c - where strings begin and end, in one loop over the blocks of a window: vectors to
 *                bits, bits to places. What few blocks need (escapes \u, control characters,
 *                UTF-8) is put off and looked at behind it.
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
    ASSERT(text.len < JSON_MARKS_BYTES_MAX);
    marks->base = text.ptr;
    marks->end = text.ptr + text.len;
    marks->at = text.ptr;
    marks->unicode_end = text.ptr;
    marks->escaped = 0;
    marks->seen = 0;
    marks->odd = 0;
    marks->opening = JSON_MARK_NONE;
    marks->list[0] = JSON_MARK_NONE;
}

#if defined(__x86_64__)

/* Ice Lake, Zen 4 and later. */
#define WIDE TARGET("avx2,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,pclmul,bmi,bmi2,popcnt")
#define GROUP 4u /* blocks */

/* A block that needs another look. */
struct look {
    const char *at;
    const uint32_t *out; /* an odd one of marks->list: it begins within a string */
    uint64_t escaped;    /* bytes behind a backslash */
    uint64_t wrong;      /* those of them that must be the u of a \u */
};

/* Where the loop over the blocks stands: a local, in registers. */
struct pass {
    const char *at;
    uint64_t escaped; /* these three as in struct json_marks */
    uint64_t seen;
    uint64_t odd;
    uint32_t *out;     /* the next mark */
    struct look *look; /* the next one */
    __m512i places;    /* sixteen times the place of `at` in the text */
};

static INLINE bool
within_string(const uint32_t *out)
{
    return (uintptr_t)out % (2 * sizeof(*out)) != 0;
}

/* A register of its own, not read twice from that of the mask. */
static INLINE uint64_t
word_of(__mmask64 mask)
{
    uint64_t word = mask;
    __asm__("" : "+r"(word));
    return word;
}

/* Which bytes stand behind an odd run of backslashes; *carry: whether the first byte of this
 * block, then of the next one, does. The subtraction lets each run that starts on an even bit
 * borrow up to its end ("Parsing gigabytes of JSON per second", arXiv 1902.08318, as its authors
 * do it now). */
static INLINE uint64_t
escaped_bytes(uint64_t slashes, uint64_t *carry)
{
    const uint64_t odd = 0xaaaaaaaaaaaaaaaau;
    uint64_t first = slashes & ~*carry;
    uint64_t ends = ((first << 1 | odd) - first) ^ odd; /* escaping ones, and behind an odd run */
    uint64_t escaped = ends ^ (slashes | *carry);
    *carry = (ends & slashes) >> 63;
    return escaped;
}

/* What may stand behind a backslash, by its low six bits; a quote, which shares them with b, and \u
 * apart. Elsewhere a byte with other low bits. */
static const unsigned char shorts_of[64] ALIGNED(64) = {
    ['\0'] = 1,         ['b' & 0x3f] = 'b', ['\\' & 0x3f] = '\\', ['/'] = '/',
    ['f' & 0x3f] = 'f', ['n' & 0x3f] = 'n', ['r' & 0x3f] = 'r',   ['t' & 0x3f] = 't',
};
static const unsigned char places_of[64] ALIGNED(64) = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

WIDE static INLINE __mmask64
find_quotes(__m512i v)
{
    return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"'));
}

/* Below 0x20, or not ASCII. */
WIDE static INLINE __mmask64
find_odd(__m512i v)
{
    return _mm512_cmplt_epi8_mask(v, _mm512_set1_epi8(' '));
}

/* Bytes that cannot stand behind a backslash, or behind a u only. */
WIDE static INLINE uint64_t
find_long(__m512i v, uint64_t quotes)
{
    __m512i one = _mm512_permutexvar_epi8(v, _mm512_load_si512(shorts_of));
    return ~(quotes | (uint64_t)_mm512_cmpeq_epi8_mask(v, one));
}

/* Written always, counted when there is something: no branch. */
static INLINE void
put_look(struct pass *pass, uint64_t escaped, uint64_t wrong, uint64_t odd)
{
    struct look *look = pass->look;
    *look = (struct look){.at = pass->at, .out = pass->out, .escaped = escaped, .wrong = wrong};
    pass->look = (wrong | odd) != 0 ? look + 1 : look;
}

/* Sixteen of them. */
WIDE static INLINE void
put_sixteen(const struct pass *pass, size_t index, __m128i bytes, uint64_t flags)
{
    const __m512i escaped = _mm512_set1_epi32((int)JSON_MARK_ESCAPED);
    __m512i words = _mm512_add_epi32(pass->places, _mm512_cvtepu8_epi32(bytes));
    words = _mm512_mask_or_epi32(words, (__mmask16)flags, words, escaped);
    _mm512_storeu_si512(pass->out + index, words);
}

/* flags: of those that have a backslash between the quote before and themselves. */
WIDE static INLINE void
put_marks(struct pass *pass, uint64_t quotes, uint64_t flags)
{
    __m512i bytes = _mm512_maskz_compress_epi8(quotes, _mm512_load_si512(places_of));
    size_t count = (size_t)__builtin_popcountll(quotes);
    flags = _pext_u64(flags, quotes);
    put_sixteen(pass, 0, _mm512_castsi512_si128(bytes), flags);
    if (UNLIKELY(count > 16)) {
        put_sixteen(pass, 16, _mm512_extracti32x4_epi32(bytes, 1), flags >> 16);
        put_sixteen(pass, 32, _mm512_extracti32x4_epi32(bytes, 2), flags >> 32);
        put_sixteen(pass, 48, _mm512_extracti32x4_epi32(bytes, 3), flags >> 48);
    }
    pass->out += count;
}

/* A block, whatever it holds. */
WIDE static INLINE void
take_block(struct pass *pass, __m512i v)
{
    uint64_t slashes = word_of(_mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\')));
    uint64_t quotes = word_of(find_quotes(v));
    uint64_t odd = word_of(find_odd(v));
    uint64_t escaped = escaped_bytes(slashes, &pass->escaped);
    uint64_t wrong = escaped & find_long(v, quotes);
    put_look(pass, escaped, wrong, odd | pass->odd);
    pass->odd = odd >> 61; /* a character has four bytes at most */
    /* a backslash, as part of the run of ones in front of the next quote, carries to it */
    uint64_t runs UNINIT;
    quotes &= ~escaped;
    pass->seen = ADD_OVERFLOW(~quotes, slashes | pass->seen, &runs);
    put_marks(pass, quotes, runs & quotes);
    pass->at += 64;
    pass->places = _mm512_add_epi32(pass->places, _mm512_set1_epi32(64));
}

/* GROUP blocks within one string: no quote in them, and nothing odd. */
WIDE static INLINE bool
take_group(struct pass *pass)
{
    const __m512i slash = _mm512_set1_epi8('\\');
    __m512i v[GROUP];
    __mmask64 other = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < GROUP; i++) {
        v[i] = _mm512_loadu_si512(pass->at + i * 64u);
        other = _kor_mask64(other, _kor_mask64(find_quotes(v[i]), find_odd(v[i])));
    }
    if (!_kortestz_mask64_u8(other, other) || !within_string(pass->out) || pass->odd != 0) {
        return false;
    }
    uint64_t any = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < GROUP; i++) {
        uint64_t slashes = _mm512_cmpeq_epi8_mask(v[i], slash);
        uint64_t escaped = escaped_bytes(slashes, &pass->escaped);
        put_look(pass, escaped, escaped & find_long(v[i], 0), 0);
        any |= slashes;
        pass->at += 64;
    }
    pass->places = _mm512_add_epi32(pass->places, _mm512_set1_epi32(64 * GROUP));
    pass->seen |= any != 0;
    return true;
}

WIDE static INLINE void
take_window(struct pass *pass, const char *end)
{
    while (end - pass->at >= (ptrdiff_t)(64 * GROUP)) {
        const uint32_t *out = pass->out;
#pragma GCC unroll 4
        for (unsigned i = 0; i < GROUP; i++) {
            take_block(pass, _mm512_loadu_si512(pass->at));
        }
        if (pass->out != out) { /* most likely what follows has quotes, too */
            continue;
        }
        while (end - pass->at >= (ptrdiff_t)(64 * GROUP) && take_group(pass)) {
        }
    }
    while (end - pass->at >= 64) {
        take_block(pass, _mm512_loadu_si512(pass->at));
    }
    if (pass->at < end) {
        uint64_t some = ((uint64_t)1 << (end - pass->at)) - 1;
        take_block(pass, _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), some, pass->at));
    }
}

/* ---- what was put off ------------------------------------------------------------------------ */

/* wrong: bytes of a block behind a backslash that must be a \u. */
static INLINE bool
escapes_good(struct json_marks *marks, const char *at, uint64_t wrong)
{
    for (; wrong != 0; wrong &= wrong - 1) {
        const char *slash = at + TRAILING_ZEROS64(wrong) - 1;
        if (slash < marks->unicode_end) { /* the second of a pair */
            continue;
        }
        marks->unicode_end = json_unicode_end(slash, marks->end);
        if (marks->unicode_end == NULL) {
            return false;
        }
    }
    return true;
}

/* Which of them ask for a look one by one: what is no \u, has other bytes than four hex digits
 * behind it, is cut by the end of the block, or is perhaps half a pair. No branch: whether a block
 * has a \u is anybody's guess. */
WIDE static INLINE uint64_t
find_doubtful(__m512i v, uint64_t wrong)
{
    __m512i small = _mm512_or_si512(v, _mm512_set1_epi8(0x20));
    __m512i letter = _mm512_sub_epi8(small, _mm512_set1_epi8('a'));
    __m512i digit = _mm512_sub_epi8(v, _mm512_set1_epi8('0'));
    uint64_t hex = _mm512_cmplt_epu8_mask(letter, _mm512_set1_epi8(6));
    hex |= _mm512_cmplt_epu8_mask(digit, _mm512_set1_epi8(10));
    uint64_t pair = _mm512_cmpeq_epi8_mask(small, _mm512_set1_epi8('d'));
    uint64_t first = wrong << 1;
    uint64_t two = first | first << 1;
    return (wrong & ~(uint64_t)_mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('u'))) |
           ((two | two << 2) & ~hex) | (first & pair) | wrong >> 60;
}

/* Bytes of a block that are in strings. Bit n of the product: is the number of quotes up to n
 * odd? */
WIDE static INLINE uint64_t
inside_strings(__m512i v, const struct look *look)
{
    uint64_t quotes = (uint64_t)find_quotes(v) & ~look->escaped;
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)quotes), _mm_set1_epi8((char)0xff), 0);
    return (uint64_t)_mm_cvtsi128_si64(product) ^ (0 - (uint64_t)within_string(look->out));
}

WIDE static INLINE bool
look_good(struct json_marks *marks, const struct look *look)
{
    const char *at = look->at;
    char staged[3 + 64];
    if (UNLIKELY(at == marks->base || marks->end - at < 64)) {
        size_t head = MIN((size_t)(at - marks->base), (size_t)3);
        memset(staged, ' ', sizeof(staged));
        memcpy(staged + 3 - head, at - head, head + MIN((size_t)(marks->end - at), (size_t)64));
        at = staged + 3;
    }
    __m512i v = _mm512_loadu_si512(at);
    uint64_t controls = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(' '));
    return (controls == 0 || (controls & inside_strings(v, look)) == 0) &&
           utf8_block_good_wide(at) &&
           (LIKELY(find_doubtful(v, look->wrong) == 0) ||
            escapes_good(marks, look->at, look->wrong));
}

/* marks->list of the next window; false: something in it is wrong. */
WIDE static bool
next_window(struct json_marks *marks)
{
    struct look looks[JSON_MARKS_WINDOW / 64 + 1] UNINIT;
    size_t size = MIN((size_t)(marks->end - marks->at), (size_t)JSON_MARKS_WINDOW);
    struct pass pass = {
        .at = marks->at,
        .escaped = marks->escaped,
        .seen = marks->seen,
        .odd = marks->odd,
        .out = marks->list + (marks->opening != JSON_MARK_NONE),
        .look = looks,
        .places = _mm512_set1_epi32((int)(marks->at - marks->base)),
    };
    marks->list[0] = marks->opening;
    take_window(&pass, marks->at + size);
    for (const struct look *look = looks; look < pass.look; look++) {
        if (!look_good(marks, look)) {
            return false;
        }
    }
    marks->opening = JSON_MARK_NONE;
    if (within_string(pass.out)) {
        marks->opening = *--pass.out & ~JSON_MARK_ESCAPED;
    }
    *pass.out = JSON_MARK_NONE;
    marks->at += size;
    marks->escaped = pass.escaped;
    marks->seen = pass.seen;
    marks->odd = pass.odd;
    return true;
}

bool
json_marks_usable(void)
{
    return CPU_HAS("avx512vbmi2") && CPU_HAS("avx512vbmi") && CPU_HAS("avx512bw") &&
           CPU_HAS("avx512vl") && CPU_HAS("pclmul") && CPU_HAS("bmi2");
}

#else

static bool
next_window(struct json_marks *marks)
{
    (void)marks;
    return false;
}

bool
json_marks_usable(void)
{
    return false;
}

#endif

bool
json_marks_more(struct json_marks *marks)
{
    ASSERT(marks->at <= marks->end);
    do {
        if (marks->at == marks->end || !next_window(marks)) {
            return false;
        }
    } while (marks->list[0] == JSON_MARK_NONE);
    return true;
}
