/* SPDX-License-Identifier: MIT
 * metrics_render.c - prints a registry in the Prometheus text exposition format 0.0.4.
 * Floor: lib/base; one thread; takes the registry's mutex.
 * Owns: nothing.
 * Invariant: bucket counts never decrease within a line group and +Inf equals _count, while others
 *            count on; proved in metrics_test.c. */
#include "lib/base/metrics.h"

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/metrics_int.h"

#define NS_PER_S 1000000000u

static const char *
kind_name(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

/* quoted: inside a label value, where '"' is escaped as well. */
static void
put_escaped(struct buf *out, struct str s, bool quoted)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\n')
            buf_put_str(out, STR("\\n"));
        else if (c == '\\' || (quoted && c == '"'))
            buf_printf(out, "\\%c", c);
        else
            buf_put_byte(out, c);
    }
}

/* Nanoseconds as decimal seconds without trailing zeros: "0.0002", "100". */
static void
put_seconds(struct buf *out, uint64_t ns)
{
    buf_put_u64(out, ns / NS_PER_S);
    uint64_t rest = ns % NS_PER_S;
    if (rest == 0)
        return;
    int width = 9;
    for (; rest % 10u == 0; rest /= 10u)
        width--;
    buf_printf(out, ".%0*llu", width, (unsigned long long)rest);
}

/* {a="x",le="0.1"}; le_ns: NULL = no le label, UINT64_MAX = +Inf. */
static void
put_labels(struct buf *out, const struct metric_family *family, const struct metric_series *series,
           const uint64_t *le_ns)
{
    if (family->label_count == 0 && le_ns == NULL)
        return;
    struct str rest = str_skip(buf_str(&series->key), sizeof(size_t));
    const char *comma = "{";
    for (size_t i = 0; i < family->label_count; i++) {
        struct str value;
        ASSERT(str_cut(rest, '\0', &value, &rest));
        buf_printf(out, "%s%s=\"", comma, family->def->labels[i]);
        put_escaped(out, value, true);
        buf_put_byte(out, '"');
        comma = ",";
    }
    if (le_ns != NULL) {
        buf_printf(out, "%sle=\"", comma);
        if (*le_ns == UINT64_MAX)
            buf_put_str(out, STR("+Inf"));
        else
            put_seconds(out, *le_ns);
        buf_put_byte(out, '"');
    }
    buf_put_byte(out, '}');
}

static void
put_histogram(struct buf *out, const struct metric_family *family,
              const struct metric_series *series)
{
    const char *name = family->def->name;
    uint64_t total = 0;
    for (size_t i = 0; i <= METRIC_BOUNDS; i++) {
        uint64_t bound = i < METRIC_BOUNDS ? metric_bounds_ns[i] : UINT64_MAX;
        total += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket", name);
        put_labels(out, family, series, &bound);
        buf_printf(out, " %llu\n", (unsigned long long)total);
    }
    buf_printf(out, "%s_sum", name);
    put_labels(out, family, series, NULL);
    buf_put_byte(out, ' ');
    put_seconds(out, (uint64_t)metric_value(series));
    buf_printf(out, "\n%s_count", name);
    put_labels(out, family, series, NULL);
    buf_printf(out, " %llu\n", (unsigned long long)total);
}

int
metrics_render(struct metrics *metrics, struct buf *out)
{
    ASSERT(pthread_mutex_lock(&metrics->lock) == 0);
    for (size_t i = 0; i < metrics->family_count; i++) {
        const struct metric_family *family = &metrics->families[i];
        if (family->first == NULL)
            continue;
        buf_printf(out, "# HELP %s ", family->def->name);
        put_escaped(out, str_from(family->def->help), false);
        buf_printf(out, "\n# TYPE %s %s\n", family->def->name, kind_name(family->def->kind));
        for (const struct metric_series *series = family->first; series; series = series->next) {
            if (series->histogram) {
                put_histogram(out, family, series);
                continue;
            }
            buf_put_str(out, str_from(family->def->name));
            put_labels(out, family, series, NULL);
            buf_printf(out, " %lld\n", (long long)metric_value(series));
        }
    }
    ASSERT(pthread_mutex_unlock(&metrics->lock) == 0);
    if (!out->failed)
        return 0;
    return out->len >= out->max ? -ERR_TOO_LARGE : -ERR_NOMEM;
}
