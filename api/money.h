/* SPDX-License-Identifier: MIT
 * money.h - money is integer nano-US-dollars; prices are integer pico-dollars a unit.
 * Floor: api; any thread.
 * Owns: nothing; values.
 * Invariant: no floating point, no silent wrap; one rounding (half up) a charge. money_test.c. */
#ifndef BERTH_API_MONEY_H
#define BERTH_API_MONEY_H

#include "api/usage.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define MONEY_NANO_PER_USD 1000000000ll
#define BPS_ONE 10000u /* 100 % in basis points */
/* A thousand dollars a unit: more is no price. */
#define PRICE_PICO_MAX 1000000000000000ll

struct money {
    int64_t nano;
};

/* money_add / money_sub - 0, or -ERR_RANGE with *ret untouched. */
int money_add(struct money a, struct money b, struct money *ret_sum) MUST_USE;
int money_sub(struct money a, struct money b, struct money *ret_difference) MUST_USE;
/* money_parse - decimal US dollars: digits, optional '.', 1..decimals_max (<= 9) decimals; no
 * sign, no exponent, no leading zeros ("0.5" is fine), > 0 allowed and 0 too. -ERR_PARSE,
 * -ERR_RANGE. */
int money_parse(struct str text, unsigned decimals_max, struct money *ret_money) MUST_USE;
/* money_put - decimal dollars, at least two decimals, trailing zeros beyond those cut:
 * "12.50", "-0.000000031". */
int money_put(struct buf *out, struct money money);
/* money_format - the same into out[32], NUL-terminated. */
void money_format(struct money money, char out[32]);

/* Price of each usage class, pico-USD a unit (>= 0), and where it came from. */
struct price {
    int64_t pico[USAGE_CLASS_COUNT];
    uint32_t version; /* catalogue version that the charge row will name */
    bool known;       /* false: paid use is refused */
};
struct charge {
    struct money total;  /* what the wallet pays: cost and markup, rounded once, half up */
    struct money cost;   /* what the provider bills us, rounded half up */
    struct money markup; /* total - cost */
};
/* price_charge - sum over classes of price * count * (10000 + markup_bps) / 10000, in 128 bits.
 * 0; -ERR_RANGE when the result leaves int64 (count and price are capped so that it cannot for
 * honest input). markup_bps <= 9999. */
int price_charge(const struct price *price, const struct usage *usage, uint32_t markup_bps,
                 struct charge *ret_charge) MUST_USE;

#endif
