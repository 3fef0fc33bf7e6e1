/* SPDX-License-Identifier: MIT
 * metrics_test.c - the exposition as a scraper sees it.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: no value of a label can break the text or the bound on series. */
#include "lib/base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "lib/base/err.h"

enum { REQUESTS, OPEN, LATENCY };
static const struct metric_def defs[] = {
    [REQUESTS] = {"berth_requests_total", "Requests by\nmodel.", METRIC_COUNTER, {"model", "code"}},
    [OPEN] = {"berth_open", "Open \\ now.", METRIC_GAUGE, {NULL}},
    [LATENCY] = {"berth_latency_seconds", "Latency.", METRIC_HISTOGRAM, {"route"}},
};

static char text[65536];

static void
render(struct metrics *metrics)
{
    struct buf out;
    buf_init(&out, sizeof(text) - 1);
    assert_int_equal(metrics_render(metrics, &out), 0);
    memcpy(text, buf_cstr(&out), out.len + 1);
    buf_fini(&out);
}

static void
assert_line(const char *want)
{
    const char *at = strstr(text, want);
    if (at == NULL || (at != text && at[-1] != '\n') || at[strlen(want)] != '\n')
        fail_msg("no line \"%s\" in:\n%s", want, text);
}

static void
test_exposition(void **state)
{
    (void)state;
    CLEANUP(metrics_free) struct metrics *metrics = NULL;
    assert_int_equal(metrics_new(defs, ARRAY_LEN(defs), 100, &metrics), 0);
    render(metrics);
    assert_string_equal(text, "");

    const struct str plain[] = {STR("gpt"), STR("200")};
    const struct str nasty[] = {STR("a\"b\\c\nd\xff"
                                    "\0e"),
                                STR("")};
    struct metric_series *series = metrics_series(metrics, REQUESTS, plain);
    metric_add(series, 2);
    metric_add(metrics_series(metrics, REQUESTS, plain), 3);
    assert_int_equal(metric_value(series), 5);
    metric_add(metrics_series(metrics, REQUESTS, nasty), 1);
    struct metric_series *open_now = metrics_series(metrics, OPEN, NULL);
    metric_set(open_now, 7);
    metric_add(open_now, -9);
    struct metric_series *latency = metrics_series(metrics, LATENCY, &plain[0]);
    static const uint64_t values_ns[] = {0, 100000, 100001, 1500000000, 100000000001};
    for (size_t i = 0; i < ARRAY_LEN(values_ns); i++)
        metric_observe(latency, values_ns[i]);

    render(metrics);
    assert_line("# HELP berth_requests_total Requests by\\nmodel.");
    assert_line("# TYPE berth_requests_total counter");
    assert_line("berth_requests_total{model=\"gpt\",code=\"200\"} 5");
    assert_line("berth_requests_total{model=\"a\\\"b\\\\c\\nd??e\",code=\"\"} 1");
    assert_line("# HELP berth_open Open \\\\ now.");
    assert_line("# TYPE berth_open gauge");
    assert_line("berth_open -2");
    assert_line("# TYPE berth_latency_seconds histogram");
    assert_line("berth_latency_seconds_bucket{route=\"gpt\",le=\"0.0001\"} 2");
    assert_line("berth_latency_seconds_bucket{route=\"gpt\",le=\"0.0002\"} 3");
    assert_line("berth_latency_seconds_bucket{route=\"gpt\",le=\"1\"} 3");
    assert_line("berth_latency_seconds_bucket{route=\"gpt\",le=\"2\"} 4");
    assert_line("berth_latency_seconds_bucket{route=\"gpt\",le=\"100\"} 4");
    assert_line("berth_latency_seconds_bucket{route=\"gpt\",le=\"+Inf\"} 5");
    assert_line("berth_latency_seconds_sum{route=\"gpt\"} 101.500200002");
    assert_line("berth_latency_seconds_count{route=\"gpt\"} 5");
}

static void
test_series_are_bounded(void **state)
{
    (void)state;
    CLEANUP(metrics_free) struct metrics *metrics = NULL;
    assert_int_equal(metrics_new(defs, ARRAY_LEN(defs), 3, &metrics), 0);
    for (int i = 0; i < 1000; i++) {
        char model[24];
        (void)snprintf(model, sizeof(model), "model-%d", i);
        const struct str labels[] = {str_from(model), STR("200")};
        metric_add(metrics_series(metrics, REQUESTS, labels), 1);
    }
    metric_add(metrics_series(metrics, OPEN, NULL), 1);
    render(metrics);
    assert_line("berth_requests_total{model=\"model-0\",code=\"200\"} 1");
    assert_line("berth_requests_total{model=\"model-1\",code=\"200\"} 1");
    assert_line("berth_requests_total{model=\"other\",code=\"other\"} 998");
    assert_line("berth_open 1");
    assert_null(strstr(text, "model-2"));
}

static void
test_long_values_are_cut(void **state)
{
    (void)state;
    CLEANUP(metrics_free) struct metrics *metrics = NULL;
    assert_int_equal(metrics_new(defs, ARRAY_LEN(defs), 3, &metrics), 0);
    static char value[10000];
    memset(value, 'x', sizeof(value));
    const struct str label = str_make(value, sizeof(value));
    metric_observe(metrics_series(metrics, LATENCY, &label), 1);
    render(metrics);
    assert_true(strlen(text) < 8192);

    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(metrics_render(metrics, &out), -ERR_TOO_LARGE);
    buf_fini(&out);
}

static void *
count_up(void *user)
{
    struct metrics *metrics = user;
    const struct str labels[] = {STR("gpt"), STR("200")};
    struct metric_series *series = metrics_series(metrics, REQUESTS, labels);
    for (int i = 0; i < 10000; i++)
        metric_add(series, 1);
    return NULL;
}

static void
test_threads(void **state)
{
    (void)state;
    CLEANUP(metrics_free) struct metrics *metrics = NULL;
    assert_int_equal(metrics_new(defs, ARRAY_LEN(defs), 3, &metrics), 0);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, metrics), 0);
    render(metrics);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    render(metrics);
    assert_line("berth_requests_total{model=\"gpt\",code=\"200\"} 40000");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exposition),
        cmocka_unit_test(test_series_are_bounded),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
