/* SPDX-License-Identifier: MIT
 * metrics_int.h - what the registry (metrics.c) and the printer (metrics_render.c) share.
 * Floor: lib/base, private to the folder.
 * Owns: see metrics.c.
 * Invariant: a series is linked in its family and in by_key from its making to metrics_free. */
#ifndef BERTH_LIB_BASE_METRICS_INT_H
#define BERTH_LIB_BASE_METRICS_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/map.h"
#include "lib/base/metrics.h"

#define METRIC_LABELS ((size_t)4)
#define METRIC_VALUE_BYTES_MAX ((size_t)128)
#define METRIC_BOUNDS 22u
/* A cache line each: cores that count different things do not disturb each other. */
#define METRIC_ALIGN 64u

extern const uint64_t metric_bounds_ns[METRIC_BOUNDS];

/* value: counter or gauge, or a histogram's sum in ns. buckets[METRIC_BOUNDS + 1], not cumulative,
 * the last one beyond all bounds; histograms only. */
struct metric_series {
    struct metric_series *next;
    struct buf key;
    bool histogram;
    _Atomic int64_t value;
    _Atomic uint64_t buckets[];
};

struct metric_family {
    const struct metric_def *def;
    size_t label_count;
    size_t series_count;
    struct metric_series *first;
    struct metric_series **last;
};

struct metrics {
    pthread_mutex_t lock;
    struct map by_key;
    struct metric_family *families;
    size_t family_count;
    size_t series_max;
};

#endif
