/* SPDX-License-Identifier: MIT
 * pricing.h - putting a tariff together from the parts that somebody named: a base price, dated
 *             changes, prices of other services, prices of long prompts.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing; values.
 * Invariant: a price that a part names is used as it stands; only a combination of several parts is
 *            scaled from theirs. catalog_test.c. */
#ifndef BERTH_CONTROLPLANE_CATALOG_PRICING_H
#define BERTH_CONTROLPLANE_CATALOG_PRICING_H

#include "api/tariff.h"

#define PRICING_PARTS_MAX 16u

/* Prices that one part names, pico-dollars a unit. key: of a change the UTC second from which it
 * holds, of a tier the prompt tokens above which it does, of a service enum usage_service. */
struct pricing_part {
    int64_t key;
    bool have[USAGE_CLASS_COUNT];
    int64_t pico[USAGE_CLASS_COUNT];
};
struct pricing_parts {
    struct pricing_part part[PRICING_PARTS_MAX];
    size_t count;
};
struct pricing {
    struct pricing_part base;
    struct pricing_parts changes;
    struct pricing_parts services;
    struct pricing_parts tiers;
};

/* pricing_tariff - a row for every combination. 0; -ERR_TOO_LARGE: more than TARIFF_ROWS_MAX;
 * -ERR_INVALID: two parts with one key. */
int pricing_tariff(const struct pricing *pricing, uint32_t version,
                   struct tariff_row rows[TARIFF_ROWS_MAX], struct tariff *ret_tariff) MUST_USE;

#endif
