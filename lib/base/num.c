/* SPDX-License-Identifier: MIT
 * num.c - strict numbers from text.
 * Floor: lib/base; any thread.
 * Owns: nothing.
 * Invariant: *ret_x changes on 0 only; no wrap-around; proved in num_test.c at every edge. */
#include "lib/base/num.h"

#include "lib/base/err.h"

#define NUM_SAFE_DIGITS 19 /* as many nines fit into 64 bits */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int
num_u64(struct str s, uint64_t max, uint64_t *ret_value)
{
    if (s.len == 0 || (s.len > 1 && s.ptr[0] == '0'))
        return -ERR_PARSE;
    uint64_t value = 0;
    bool wrapped = false;
    size_t i = 0;
    for (; i < MIN(s.len, (size_t)NUM_SAFE_DIGITS); i++) {
        if (!is_digit(s.ptr[i]))
            return -ERR_PARSE;
        value = value * 10u + (uint64_t)(s.ptr[i] - '0');
    }
    for (; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return -ERR_PARSE;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        /* Goes on after a wrap: "malformed" is the better answer for a long string of letters. */
        wrapped = wrapped || MUL_OVERFLOW(value, 10u, &value) || ADD_OVERFLOW(value, digit, &value);
    }
    if (wrapped || value > max)
        return -ERR_RANGE;
    *ret_value = value;
    return 0;
}

int
num_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1u : 0u);
    uint64_t size;
    int r = num_u64(negative ? str_skip(s, 1) : s, limit, &size);
    if (r < 0)
        return r;
    if (negative && size == 0)
        return -ERR_PARSE;
    /* -(size - 1) - 1 reaches INT64_MIN without leaving the type. */
    int64_t value = negative ? -(int64_t)(size - 1) - 1 : (int64_t)size;
    if (value < min || value > max)
        return -ERR_RANGE;
    *ret_value = value;
    return 0;
}

int
num_hex_u64(struct str s, uint64_t *ret_value)
{
    if (s.len == 0 || s.len > 16)
        return -ERR_PARSE;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        unsigned digit;
        if (is_digit(c))
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10u;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10u;
        else
            return -ERR_PARSE;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return 0;
}

struct unit {
    struct str name;
    uint64_t factor;
};

static int
num_with_unit(struct str s, const struct unit *units, size_t count, uint64_t max,
              uint64_t *ret_value)
{
    size_t digits = 0;
    while (digits < s.len && is_digit(s.ptr[digits]))
        digits++;
    struct str name = str_skip(s, digits);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(name, units[i].name))
            continue;
        uint64_t value;
        int r = num_u64(str_make(s.ptr, digits), UINT64_MAX, &value);
        if (r < 0)
            return r;
        if (MUL_OVERFLOW(value, units[i].factor, &value) || value > max)
            return -ERR_RANGE;
        *ret_value = value;
        return 0;
    }
    return -ERR_PARSE;
}

int
num_duration_ms(struct str s, uint64_t max_ms, uint64_t *ret_ms)
{
    static const struct unit units[] = {
        {{"", 0}, 1000u},   {{"ms", 2}, 1u},      {{"s", 1}, 1000u},
        {{"m", 1}, 60000u}, {{"h", 1}, 3600000u}, {{"d", 1}, 86400000u},
    };
    return num_with_unit(s, units, ARRAY_LEN(units), max_ms, ret_ms);
}

int
num_size_bytes(struct str s, uint64_t max, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {{"", 0}, 1u},          {{"K", 1}, 1u << 10},   {{"M", 1}, 1u << 20},
        {{"G", 1}, 1u << 30},   {{"KiB", 3}, 1u << 10}, {{"MiB", 3}, 1u << 20},
        {{"GiB", 3}, 1u << 30},
    };
    return num_with_unit(s, units, ARRAY_LEN(units), max, ret_bytes);
}

/* Decimal digits of value, at least 1. */
static unsigned
count_digits(uint64_t value)
{
    static const uint64_t powers[20] = {
        0,
        10u,
        100u,
        1000u,
        10000u,
        100000u,
        1000000u,
        10000000u,
        100000000u,
        1000000000u,
        10000000000u,
        100000000000u,
        1000000000000u,
        10000000000000u,
        100000000000000u,
        1000000000000000u,
        10000000000000000u,
        100000000000000000u,
        1000000000000000000u,
        10000000000000000000u,
    };
    /* bits * log10(2), rounded down: right, or one too few. */
    unsigned guess = (64u - LEADING_ZEROS64(value | 1u)) * 1233u >> 12;
    return guess + (value >= powers[guess] ? 1u : 0u);
}

size_t
num_write_u64(char out[20], uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    if (value < 10u) {
        out[0] = (char)('0' + value);
        return 1;
    }
    size_t count = count_digits(value);
    char *at = out + count;
    for (; value >= 100u; value /= 100u)
        memcpy(at -= 2, pairs + value % 100u * 2, 2);
    if (value >= 10u)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return count;
}
