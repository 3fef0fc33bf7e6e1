/* SPDX-License-Identifier: MIT
 * json_token.c - strings, numbers and words of a JSON text, as far as the loop of json.c does
 * not take them in its stride; and what is said about a wrong one. Floor: lib/text; any thread.
 * Owns: nothing. Invariant: see json_int.h. Proved by json_test.c and json_fuzz.c. */
#include "lib/text/json_int.h"
#include "lib/text/utf8.h"

const char *
json_scan_fail(struct json_scan *s, enum err_code code, const char *at, const char *what)
{
    if (s->hasty) {
        s->rc = JSON_AGAIN;
        return NULL;
    }
    uint32_t line = 1;
    const char *line_start = s->base;
    for (const char *lf; (lf = memchr(line_start, '\n', (size_t)(at - line_start))) != NULL;) {
        line_start = lf + 1;
        line++;
    }
    size_t column = utf8_count(str_make(line_start, (size_t)(at - line_start))) + 1;
    s->rc = err_set_at(s->err, code, line, (uint32_t)column, "%s at byte %zu", what,
                       (size_t)(at - s->base));
    return NULL;
}

#define HEX 0x10u
/* The digit, and HEX; 0 for other bytes. */
static const unsigned char hex_of[256] = {
    ['0'] = HEX | 0,  ['1'] = HEX | 1,  ['2'] = HEX | 2,  ['3'] = HEX | 3,  ['4'] = HEX | 4,
    ['5'] = HEX | 5,  ['6'] = HEX | 6,  ['7'] = HEX | 7,  ['8'] = HEX | 8,  ['9'] = HEX | 9,
    ['a'] = HEX | 10, ['b'] = HEX | 11, ['c'] = HEX | 12, ['d'] = HEX | 13, ['e'] = HEX | 14,
    ['f'] = HEX | 15, ['A'] = HEX | 10, ['B'] = HEX | 11, ['C'] = HEX | 12, ['D'] = HEX | 13,
    ['E'] = HEX | 14, ['F'] = HEX | 15,
};

/* Four hex digits; UINT32_MAX when they are not. */
static inline uint32_t
hex4(const char *at)
{
    uint32_t a = hex_of[(unsigned char)at[0]];
    uint32_t b = hex_of[(unsigned char)at[1]];
    uint32_t c = hex_of[(unsigned char)at[2]];
    uint32_t d = hex_of[(unsigned char)at[3]];
    if (UNLIKELY((a & b & c & d & HEX) == 0)) {
        return UINT32_MAX;
    }
    return (a & 15) << 12 | (b & 15) << 8 | (c & 15) << 4 | (d & 15);
}

const char *
json_unicode_end(const char *at, const char *end)
{
    uint32_t code = end - at >= 6 && at[1] == 'u' ? hex4(at + 2) : UINT32_MAX;
    if (code == UINT32_MAX) {
        return NULL;
    }
    if ((code & 0xf800) != 0xd800) {
        return at + 6;
    }
    bool paired = code < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u' &&
                  (hex4(at + 8) & 0xfffffc00u) == 0xdc00;
    return paired ? at + 12 : NULL;
}

static const char *
scan_unicode_escape(struct json_scan *s, const char *at)
{
    const char *behind = json_unicode_end(at, s->end);
    if (LIKELY(behind != NULL)) {
        return behind;
    }
    if (s->end - at < 6 || hex4(at + 2) == UINT32_MAX) {
        return json_scan_fail(s, ERR_PARSE, at, "\\u without four hex digits");
    }
    return json_scan_fail(s, ERR_ENCODING, at, "lone surrogate escape");
}

static COLD const char *
fail_string(struct json_scan *s, const char *quote, const char *at)
{
    if (at == s->end) {
        return json_scan_fail(s, ERR_PARSE, quote, "unterminated string");
    }
    return json_scan_fail(s, ERR_PARSE, at,
                          *at == '\\' ? "unknown escape" : "control character in string");
}

const char *
json_string_rest(struct json_scan *s, const char *quote, const char *at, bool *ret_escaped)
{
    for (;;) {
        at = s->skip_string(at, s->end, ret_escaped);
        if (LIKELY(at < s->end && *at == '"')) {
            return at;
        }
        if (s->end - at < 2 || at[0] != '\\' || at[1] != 'u') {
            return fail_string(s, quote, at);
        }
        /* they come in rows: some clients escape all that is not ASCII */
        for (*ret_escaped = true; s->end - at >= 2 && at[0] == '\\' && at[1] == 'u';) {
            at = scan_unicode_escape(s, at);
            if (at == NULL) {
                return NULL;
            }
        }
    }
}

const char *
json_space_end(const char *at, const char *end)
{
    while (at < end && json_is_space(*at)) {
        /* the indentation of pretty-printed documents */
        at += end - at >= 8 && memcmp(at, "        ", 8) == 0 ? 8 : 1;
    }
    return at;
}

static inline const char *
skip_digits(const char *at, const char *end)
{
    while (at < end && (unsigned)(*at - '0') <= 9) {
        at++;
    }
    return at;
}

const char *
json_number_end(struct json_scan *s, const char *start)
{
    const char *at = start + (*start == '-');
    const char *digits = at;
    at = skip_digits(at, s->end);
    if (at == digits) {
        return json_scan_fail(s, ERR_PARSE, start, "number without digits");
    }
    if (*digits == '0' && at - digits > 1) {
        return json_scan_fail(s, ERR_PARSE, start, "number with a leading zero");
    }
    if (at < s->end && *at == '.') {
        digits = at + 1;
        at = skip_digits(digits, s->end);
        if (at == digits) {
            return json_scan_fail(s, ERR_PARSE, at, "no digit behind the decimal point");
        }
    }
    if (at < s->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < s->end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(digits, s->end);
        if (at == digits) {
            return json_scan_fail(s, ERR_PARSE, at, "no digit in the exponent");
        }
    }
    return at;
}

const char *
json_literal_end(struct json_scan *s, const char *at, enum json_kind *ret_kind)
{
    struct str rest = str_make(at, (size_t)(s->end - at));
    if (str_starts(rest, STR("true"))) {
        *ret_kind = JSON_TRUE;
        return at + 4;
    }
    if (str_starts(rest, STR("false"))) {
        *ret_kind = JSON_FALSE;
        return at + 5;
    }
    if (str_starts(rest, STR("null"))) {
        *ret_kind = JSON_NULL;
        return at + 4;
    }
    return json_scan_fail(s, ERR_PARSE, at, "expected a value");
}
