/* SPDX-License-Identifier: MIT
 * metrics.h - counters, gauges and histograms in the Prometheus text format.
 * Floor: lib/base; updates from any thread (relaxed atomics), rendering from one.
 * Owns: a registry object; series are created on first use and bounded.
 * Invariant: at most series_max series a metric; past that, everything goes to label value "other".
 */
#ifndef BERTH_LIB_BASE_METRICS_H
#define BERTH_LIB_BASE_METRICS_H

#include "lib/base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* One row of a component's metrics .def. labels: up to 4 label names, NULL-terminated. Histograms
 * take nanoseconds and are printed in seconds: name them *_seconds. Counters and gauges print as
 * they are. */
struct metric_def {
    const char *name;
    const char *help;
    enum metric_kind kind;
    const char *labels[5];
};

struct metrics;
struct metric_series;

int metrics_new(const struct metric_def *defs, size_t count, size_t series_max,
                struct metrics **ret_metrics) MUST_USE;
void metrics_free(struct metrics **metrics);
/* metrics_series - the series of def `index` with these label values (one per label name). Takes a
 * mutex: look it up once and keep the pointer; it lives as long as the registry. Never NULL.
 * Values are copied, cut at 128 bytes; bytes that are no UTF-8 become '?'. */
struct metric_series *metrics_series(struct metrics *metrics, size_t index,
                                     const struct str *label_values);
void metric_add(struct metric_series *series, int64_t delta);
void metric_set(struct metric_series *series, int64_t value);
/* metric_observe - nanoseconds into a histogram with 1-2-5 buckets from 10 us to 100 s. */
void metric_observe(struct metric_series *series, uint64_t value_ns);
int64_t metric_value(const struct metric_series *series);
/* metrics_render - append the text exposition format 0.0.4. 0, -ERR_TOO_LARGE, -ERR_NOMEM (what was
 * appended until then stays). */
int metrics_render(struct metrics *metrics, struct buf *out) MUST_USE;

#endif
