/* SPDX-License-Identifier: MIT
 * histogram.c - see histogram.h.
 * Floor: tools/load; one thread.
 * Owns: nothing.
 * Invariant: see histogram.h. */
#include "tools/load/histogram.h"

#include "lib/base/check.h"

#define SUB_COUNT (1u << HISTOGRAM_SUB_BITS)
#define SUB_HALF (SUB_COUNT / 2)

/* Below 256: the value itself. Above: the top 8 bits, whose first is always 1, and the shift. */
static size_t
bucket_of(uint64_t ns)
{
    if (ns < SUB_COUNT)
        return (size_t)ns;
    unsigned shift = 64u - LEADING_ZEROS64(ns) - HISTOGRAM_SUB_BITS;
    size_t bucket = (size_t)shift * SUB_HALF + (size_t)(ns >> shift);
    return MIN(bucket, (size_t)HISTOGRAM_BUCKETS - 1);
}

static uint64_t
bucket_last(size_t bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (unsigned)(bucket / SUB_HALF) - 1;
    uint64_t top = bucket % SUB_HALF + SUB_HALF;
    return ((top + 1) << shift) - 1;
}

void
histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->sum += ns;
    histogram->max = MAX(histogram->max, ns);
    histogram->buckets[bucket_of(ns)]++;
}

uint64_t
histogram_quantile(const struct histogram *histogram, uint32_t per_100k)
{
    ASSERT(per_100k <= 100000);
    if (histogram->count == 0)
        return 0;
    uint64_t want = (histogram->count * per_100k + 99999) / 100000;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && seen >= want)
            return i + 1 == HISTOGRAM_BUCKETS ? histogram->max
                                              : MIN(bucket_last(i), histogram->max);
    }
    return histogram->max;
}

uint64_t
histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0 : histogram->sum / histogram->count;
}
