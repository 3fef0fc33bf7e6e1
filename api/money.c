/* SPDX-License-Identifier: MIT
 * money.c - adding, reading, writing and multiplying money.
 * Floor: api; any thread.
 * Owns: nothing.
 * Invariant: every intermediate is exact (128 bits); one rounding a charge. money_test.c. */
#include "api/money.h"

#include <string.h>

#include "lib/base/check.h"
#include "lib/base/num.h"

#define DECIMALS 9u
#define PICO_PER_NANO 1000

int
money_add(struct money a, struct money b, struct money *ret_sum)
{
    int64_t sum;
    if (ADD_OVERFLOW(a.nano, b.nano, &sum))
        return -ERR_RANGE;
    ret_sum->nano = sum;
    return 0;
}

int
money_sub(struct money a, struct money b, struct money *ret_difference)
{
    int64_t difference;
    if (SUB_OVERFLOW(a.nano, b.nano, &difference))
        return -ERR_RANGE;
    ret_difference->nano = difference;
    return 0;
}

static int
parse_decimals(struct str text, unsigned decimals_max, uint64_t *ret_nano)
{
    if (text.len == 0 || text.len > decimals_max)
        return -ERR_PARSE;
    uint64_t nano = 0;
    for (size_t i = 0; i < DECIMALS; i++) {
        if (i < text.len && (text.ptr[i] < '0' || text.ptr[i] > '9'))
            return -ERR_PARSE;
        nano = nano * 10 + (i < text.len ? (uint64_t)(text.ptr[i] - '0') : 0);
    }
    *ret_nano = nano;
    return 0;
}

int
money_parse(struct str text, unsigned decimals_max, struct money *ret_money)
{
    ASSERT(decimals_max <= DECIMALS);
    struct str whole;
    struct str decimals;
    uint64_t nano = 0;
    if (str_cut(text, '.', &whole, &decimals)) {
        int r = parse_decimals(decimals, decimals_max, &nano);
        if (r < 0)
            return r;
    }
    uint64_t dollars;
    int r = num_u64(whole, INT64_MAX, &dollars);
    if (r < 0)
        return r;
    uint64_t total;
    if (MUL_OVERFLOW(dollars, (uint64_t)MONEY_NANO_PER_USD, &total) ||
        ADD_OVERFLOW(total, nano, &total) || total > INT64_MAX)
        return -ERR_RANGE;
    ret_money->nano = (int64_t)total;
    return 0;
}

void
money_format(struct money money, char out[32])
{
    uint64_t rest = money.nano < 0 ? 0 - (uint64_t)money.nano : (uint64_t)money.nano;
    char *at = out;
    if (money.nano < 0)
        *at++ = '-';
    at += num_write_u64(at, rest / (uint64_t)MONEY_NANO_PER_USD);
    /* Nine decimals: a 1 in front keeps their zeros, and then makes room for the point. */
    char *point = at;
    at += num_write_u64(at, (uint64_t)MONEY_NANO_PER_USD + rest % (uint64_t)MONEY_NANO_PER_USD);
    *point = '.';
    while (at[-1] == '0' && at > point + 3)
        at--;
    *at = '\0';
}

int
money_put(struct buf *out, struct money money)
{
    char text[32];
    money_format(money, text);
    return buf_put_str(out, str_from(text));
}

/* value / divisor rounded half up, for value >= 0; -ERR_RANGE when it leaves int64. */
static int
divide_half_up(uint128_t value, uint64_t divisor, int64_t *ret_result)
{
    value += divisor / 2;
    uint128_t result = value <= UINT64_MAX ? (uint64_t)value / divisor : value / divisor;
    if (result > INT64_MAX)
        return -ERR_RANGE;
    *ret_result = (int64_t)result;
    return 0;
}

int
price_charge(const struct price *price, const struct usage *usage, uint32_t markup_bps,
             struct charge *ret_charge)
{
    if (markup_bps >= BPS_ONE)
        return -ERR_RANGE;
    /* At most 32 * 2^63 * 10^9 < 2^98: neither the sum nor its product with 2 * BPS_ONE wraps. */
    _Static_assert(USAGE_CLASS_COUNT <= 32, "the sum fits");
    /* Of many classes a call has few. */
    int64_t signs = 0;
    uint128_t pico = 0;
#pragma GCC unroll 32
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        uint64_t count = usage->count[i];
        signs |= price->pico[i];
        if (LIKELY(count == 0))
            continue;
        if (count > USAGE_COUNT_MAX)
            return -ERR_RANGE;
        pico += (uint128_t)(uint64_t)price->pico[i] * count;
    }
    if (signs < 0)
        return -ERR_RANGE;
    struct charge charge;
    int r = divide_half_up(pico * (BPS_ONE + markup_bps), (uint64_t)BPS_ONE * PICO_PER_NANO,
                           &charge.total.nano);
    if (r < 0)
        return r;
    ASSERT(divide_half_up(pico, PICO_PER_NANO, &charge.cost.nano) == 0); /* less than the total */
    ASSERT(charge.cost.nano <= charge.total.nano);
    charge.markup.nano = charge.total.nano - charge.cost.nano;
    *ret_charge = charge;
    return 0;
}
