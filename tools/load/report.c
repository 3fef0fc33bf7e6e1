/* SPDX-License-Identifier: MIT
 * report.c - what a run has counted, for people or as JSON.
 * Floor: tools/load; main thread.
 * Owns: nothing.
 * Invariant: a JSON report is one object on one line. */
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/text/json.h"
#include "tools/load/load.h"

static const struct {
    const char *name;
    uint32_t per_100k;
} quantiles[] = {{"p50", 50000}, {"p90", 90000}, {"p99", 99000}, {"p99.9", 99900}, {"max", 100000}};

static uint64_t
elapsed_ms(const struct load *load)
{
    return (clock_mono_ns() - load->started_ns) / 1000000u;
}

void
report_progress(const struct load *load)
{
    const struct load_counts *counts = &load->counts;
    (void)printf(
        load->options->json
            ? "{\"ms\":%llu,\"opened\":%llu,\"alive\":%llu,\"events\":%llu,\"failed\":%llu,"
              "\"bad\":%llu}\n"
            : "%6llu ms: %llu opened, %llu alive, %llu events, %llu failed, %llu bad\n",
        (unsigned long long)elapsed_ms(load), (unsigned long long)load->opened,
        (unsigned long long)counts->alive, (unsigned long long)counts->events,
        (unsigned long long)counts->failed, (unsigned long long)counts->bad);
    (void)fflush(stdout);
}

static uint64_t
counted_ms(const struct load *load)
{
    uint64_t end_ns = load->stop_ns;
    return end_ns > load->count_from_ns ? (end_ns - load->count_from_ns) / 1000000u : 0;
}

static void
report_json(const struct load *load, uint64_t per_second)
{
    static const char *const modes[] = {"rate", "closed", "streams"};
    const struct load_counts *counts = &load->counts;
    struct buf out;
    struct json_writer json;
    buf_init(&out, 65536);
    json_writer_init(&json, &out);
    json_open_object(&json);
    json_member_str(&json, "mode", str_from(modes[load->options->mode]));
    json_member_u64(&json, "counted_ms", counted_ms(load));
    json_member_u64(&json, "begun", counts->begun);
    json_member_u64(&json, "answered", counts->answered);
    json_member_u64(&json, "bad", counts->bad);
    json_member_u64(&json, "failed", counts->failed);
    json_member_u64(&json, "unfinished", counts->unfinished);
    json_member_u64(&json, "late", counts->late);
    json_member_u64(&json, "bytes", counts->bytes);
    json_member_u64(&json, "events", counts->events);
    json_member_u64(&json, "per_second", per_second);
    json_key(&json, "latency_ns");
    json_open_object(&json);
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        json_member_u64(&json, quantiles[i].name,
                        histogram_quantile(&load->latency, quantiles[i].per_100k));
    json_member_u64(&json, "mean", histogram_mean(&load->latency));
    json_close_object(&json);
    json_close_object(&json);
    (void)printf("%s\n", buf_cstr(&out));
    buf_fini(&out);
}

void
report_result(const struct load *load)
{
    const struct load_counts *counts = &load->counts;
    uint64_t ms = counted_ms(load);
    uint64_t total = load->options->mode == LOAD_STREAMS ? counts->events : counts->answered;
    uint64_t per_second = ms == 0 ? 0 : total * 1000u / ms;
    if (load->options->json) {
        report_json(load, per_second);
    } else {
        (void)printf(
            "%llu %s in %llu.%03llu s, %llu a second; %llu bad, %llu failed, %llu unfinished, "
            "%llu late\n",
            (unsigned long long)total, load->options->mode == LOAD_STREAMS ? "events" : "answers",
            (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
            (unsigned long long)per_second, (unsigned long long)counts->bad,
            (unsigned long long)counts->failed, (unsigned long long)counts->unfinished,
            (unsigned long long)counts->late);
        for (size_t i = 0; i < ARRAY_LEN(quantiles) && load->latency.count > 0; i++) {
            uint64_t ns = histogram_quantile(&load->latency, quantiles[i].per_100k);
            (void)printf("  %-6s %8llu.%llu us\n", quantiles[i].name,
                         (unsigned long long)(ns / 1000), (unsigned long long)(ns % 1000 / 100));
        }
    }
    if (counts->bad > 0)
        (void)fprintf(stderr, "berth-load: %llu bad answers, the first with status %u\n",
                      (unsigned long long)counts->bad, load->bad_status);
    if (counts->failed > 0)
        (void)fprintf(stderr, "berth-load: %llu requests failed, the first: %s %s\n",
                      (unsigned long long)counts->failed, err_name(load->failure_code),
                      load->failure);
}
