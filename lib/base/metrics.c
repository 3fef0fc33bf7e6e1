/* SPDX-License-Identifier: MIT
 * metrics.c - the registry of series: made under a mutex, updated with relaxed atomics.
 * Floor: lib/base; updates from any thread, rendering from one.
 * Owns: every series, until metrics_free. Printing is in metrics_render.c.
 * Invariant: at most series_max series a metric, "other" included; proved in metrics_test.c. */
#include "lib/base/metrics.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/metrics_int.h"
#include "lib/base/rune_int.h"

const uint64_t metric_bounds_ns[METRIC_BOUNDS] = {
    10000u,       20000u,       50000u,       100000u,      200000u,     500000u,
    1000000u,     2000000u,     5000000u,     10000000u,    20000000u,   50000000u,
    100000000u,   200000000u,   500000000u,   1000000000u,  2000000000u, 5000000000u,
    10000000000u, 20000000000u, 50000000000u, 100000000000u};

int
metrics_new(const struct metric_def *defs, size_t count, size_t series_max,
            struct metrics **ret_metrics)
{
    ASSERT(series_max > 0);
    CLEANUP(metrics_free) struct metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL)
        return -ERR_NOMEM;
    ASSERT(pthread_mutex_init(&metrics->lock, NULL) == 0);
    map_init(&metrics->by_key);
    metrics->families = calloc(MAX(count, (size_t)1), sizeof(*metrics->families));
    if (metrics->families == NULL)
        return -ERR_NOMEM;
    metrics->family_count = count;
    metrics->series_max = series_max;
    for (size_t i = 0; i < count; i++) {
        struct metric_family *family = &metrics->families[i];
        family->def = &defs[i];
        family->last = &family->first;
        while (family->label_count < METRIC_LABELS && defs[i].labels[family->label_count] != NULL)
            family->label_count++;
    }
    *ret_metrics = TAKE(metrics);
    return 0;
}

void
metrics_free(struct metrics **metrics)
{
    if (metrics == NULL || *metrics == NULL)
        return;
    struct metrics *m = *metrics;
    for (size_t i = 0; i < m->family_count; i++) {
        for (struct metric_series *series = m->families[i].first; series != NULL;) {
            struct metric_series *next = series->next;
            buf_fini(&series->key);
            free(series);
            series = next;
        }
    }
    free(m->families);
    map_fini(&m->by_key);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
    *metrics = NULL;
}

/* key = family index, then each value as it will be printed, NUL after each: so that two values
 * that print alike are one series. */
static void
key_put_value(struct buf *key, struct str value)
{
    size_t start = key->len;
    for (size_t at = 0; at < value.len && key->len - start < METRIC_VALUE_BYTES_MAX;) {
        size_t from = at;
        uint32_t rune = rune_next(value, &at);
        if (rune == RUNE_BAD || rune == 0)
            (void)buf_put_byte(key, '?');
        else
            (void)buf_put(key, value.ptr + from, at - from);
    }
    (void)buf_put_byte(key, '\0');
}

static void
key_make(struct buf *key, size_t index, size_t label_count, const struct str *values)
{
    buf_init(key, sizeof(index) + METRIC_LABELS * (METRIC_VALUE_BYTES_MAX + 8u));
    (void)buf_put(key, &index, sizeof(index));
    for (size_t i = 0; i < label_count; i++)
        key_put_value(key, values == NULL ? STR("other") : values[i]);
    /* Also in a counter of requests there is no way to go on without memory for a name. */
    ASSERT(!key->failed);
}

/* Takes the key. Under the lock. */
static struct metric_series *
series_add(struct metrics *metrics, size_t index, struct buf *key)
{
    struct metric_family *family = &metrics->families[index];
    bool histogram = family->def->kind == METRIC_HISTOGRAM;
    size_t size = sizeof(struct metric_series) +
                  (histogram ? (METRIC_BOUNDS + 1) * sizeof(_Atomic uint64_t) : 0);
    size = (size + METRIC_ALIGN - 1) / METRIC_ALIGN * METRIC_ALIGN;
    struct metric_series *series = aligned_alloc(METRIC_ALIGN, size);
    ASSERT(series != NULL);
    memset(series, 0, size);
    series->key = *key;
    *key = (struct buf){0};
    series->histogram = histogram;
    ASSERT(map_put(&metrics->by_key, buf_str(&series->key), series, NULL) == 0);
    *family->last = series;
    family->last = &series->next;
    family->series_count++;
    return series;
}

struct metric_series *
metrics_series(struct metrics *metrics, size_t index, const struct str *label_values)
{
    ASSERT(index < metrics->family_count);
    struct metric_family *family = &metrics->families[index];
    ASSERT(family->label_count == 0 || label_values != NULL);
    struct buf key;
    key_make(&key, index, family->label_count, label_values);

    ASSERT(pthread_mutex_lock(&metrics->lock) == 0);
    struct metric_series *series = map_get(&metrics->by_key, buf_str(&key));
    if (series == NULL && family->label_count > 0 &&
        family->series_count + 1 >= metrics->series_max) {
        buf_fini(&key);
        key_make(&key, index, family->label_count, NULL);
        series = map_get(&metrics->by_key, buf_str(&key));
    }
    if (series == NULL)
        series = series_add(metrics, index, &key);
    ASSERT(pthread_mutex_unlock(&metrics->lock) == 0);
    buf_fini(&key);
    return series;
}

void
metric_add(struct metric_series *series, int64_t delta)
{
    atomic_fetch_add_explicit(&series->value, delta, memory_order_relaxed);
}

void
metric_set(struct metric_series *series, int64_t value)
{
    atomic_store_explicit(&series->value, value, memory_order_relaxed);
}

void
metric_observe(struct metric_series *series, uint64_t value_ns)
{
    ASSERT(series->histogram);
    size_t bucket = 0;
    while (bucket < METRIC_BOUNDS && value_ns > metric_bounds_ns[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
    /* The sum of a histogram lives in value, in ns: 292 years before it wraps. */
    atomic_fetch_add_explicit(&series->value, (int64_t)MIN(value_ns, (uint64_t)INT64_MAX),
                              memory_order_relaxed);
}

int64_t
metric_value(const struct metric_series *series)
{
    return atomic_load_explicit(&series->value, memory_order_relaxed);
}
