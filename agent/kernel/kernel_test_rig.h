/* SPDX-License-Identifier: MIT
 * kernel_test_rig.h - for tests of the agent: times taken, and what half and 99 in 100 of them are.
 * Floor: agent/kernel, tests only.
 * Owns: nothing.
 * Invariant: none. */
#ifndef BERTH_AGENT_KERNEL_KERNEL_TEST_RIG_H
#define BERTH_AGENT_KERNEL_KERNEL_TEST_RIG_H

#include <stdlib.h>

#include "lib/base/cc.h"

struct samples_ms {
    double p50;
    double p99;
    double max;
};

static int
samples_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* samples_sum_up - times_ns[count], count > 0, is sorted. */
static inline struct samples_ms
samples_sum_up(uint64_t *times_ns, size_t count)
{
    qsort(times_ns, count, sizeof(*times_ns), samples_compare);
    size_t middle = count / 2;
    size_t late = count * 99 / 100;
    return (struct samples_ms){.p50 = (double)times_ns[middle] / 1e6,
                               .p99 = (double)times_ns[late] / 1e6,
                               .max = (double)times_ns[count - 1] / 1e6};
}

#endif
