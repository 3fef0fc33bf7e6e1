/* SPDX-License-Identifier: MIT
 * histogram.h - counts of durations in buckets of about 0.8 % width, from 1 ns to 18 minutes.
 * Floor: tools/load; one thread.
 * Owns: nothing; a value (72 KiB).
 * Invariant: a quantile is at most one bucket above the true value, never below it; the largest
 *            value is exact. histogram_test.c. */
#ifndef BERTH_TOOLS_LOAD_HISTOGRAM_H
#define BERTH_TOOLS_LOAD_HISTOGRAM_H

#include "lib/base/cc.h"

#define HISTOGRAM_SUB_BITS 8u /* 256 buckets a power of two (128 new ones from the second on) */
#define HISTOGRAM_POWERS 33u
#define HISTOGRAM_BUCKETS ((HISTOGRAM_POWERS + 1u) << (HISTOGRAM_SUB_BITS - 1u))

/* Zeroed is empty. */
struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* histogram_add - one duration, ns; above the range it counts in the last bucket. */
void histogram_add(struct histogram *histogram, uint64_t ns);
/* histogram_quantile - the duration, ns, that `per_100k` of 100,000 do not exceed (50000 = median);
 * 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, uint32_t per_100k);
uint64_t histogram_mean(const struct histogram *histogram);

#endif
