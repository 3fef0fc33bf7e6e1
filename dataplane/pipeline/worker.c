/* SPDX-License-Identifier: MIT
 * worker.c - one loop's share of the data plane.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: see worker.h.
 * Invariant: what was appended to the journal in a turn is written in its COMMIT phase. */
#include "dataplane/pipeline/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/pipeline/poll.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"

#define OPEN_REQUESTS_MAX 20000u
#define TARGET_BYTES_MAX 2048u
#define FORM_BYTES_MAX ((uint64_t)128u * 1024u * 1024u)
#define SPOOL_BYTES_MAX ((uint64_t)1024u * 1024u * 1024u)

const struct metric_def worker_metric_defs[DATAPLANE_METRIC_COUNT] = {
#define METRIC_ROW(id, prometheus, text, kind_, ...) \
    [METRIC_##                                       \
        id] = {.name = (prometheus), .help = (text), .kind = (kind_), .labels = {__VA_ARGS__}},
#include "dataplane/pipeline/metrics.def"
#undef METRIC_ROW
};

static void
worker_commit(struct loop_hook *hook)
{
    struct worker *worker = CONTAINER_OF(hook, struct worker, commit);
    journal_commit(worker->journal);
    if (worker->journal_written != NULL)
        loop_at_end(worker->loop, &worker->tell, LOOP_FREE);
}

static void
worker_tell(struct loop_hook *hook)
{
    struct worker *worker = CONTAINER_OF(hook, struct worker, tell);
    worker->journal_written(worker);
}

int
worker_init(struct worker *worker, uint32_t index, struct loop *loop, struct live *live,
            struct funds *funds, struct metrics *metrics, struct trust *trust, struct err *err)
{
    memset(worker, 0, sizeof(*worker));
    worker->index = index;
    worker->loop = loop;
    worker->live = live;
    worker->funds = funds;
    worker->metrics = metrics;
    worker->open_max = OPEN_REQUESTS_MAX;
    worker->form_bytes_max = FORM_BYTES_MAX;
    worker->spool.bytes_max = SPOOL_BYTES_MAX;
    worker->request_salt = rand_u64();
    list_init(&worker->exchanges);
    list_init(&worker->waiting);
    list_init(&worker->goodbyes);
    loop_hook_init(&worker->commit, worker_commit);
    loop_hook_init(&worker->tell, worker_tell);
    json_init(&worker->doc);
    json_init(&worker->frame_doc);
    buf_init(&worker->target, TARGET_BYTES_MAX);
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", index);
    struct str label = str_from(text);
    worker->series_open = metrics_series(metrics, METRIC_open, &label);
    return origins_new(loop, trust, &worker->origins, err);
}

void
worker_fini(struct worker *worker)
{
    worker_abandon(worker);
    ASSERT(list_empty(&worker->exchanges));
    poll_forget(worker);
    origins_free(&worker->origins);
    journal_close(&worker->journal);
    config_release(&worker->config);
    free(worker->series);
    json_fini(&worker->doc);
    json_fini(&worker->frame_doc);
    buf_fini(&worker->target);
    buf_fini(&worker->spare);
}

static struct worker_series *
series_make(struct worker *worker, const struct config *config)
{
    struct worker_series *all = calloc(config->model_count + 1u, sizeof(*all));
    for (uint32_t i = 0; all != NULL && i < config->model_count; i++) {
        const struct config_model *model = &config->models[i];
        struct str labels[] = {model->id, model->provider->name,
                               str_from(usage_outcome_name(OUTCOME_completed)), STR("2xx")};
        struct str provider = model->provider->name;
        all[i] = (struct worker_series){
            .completed = metrics_series(worker->metrics, METRIC_requests, labels),
            .charge = metrics_series(worker->metrics, METRIC_charge, &model->id),
            .duration = metrics_series(worker->metrics, METRIC_duration, &provider),
            .ttft = metrics_series(worker->metrics, METRIC_ttft, &provider)};
    }
    return all;
}

int
worker_set_config(struct worker *worker, struct config *config, struct err *err)
{
    struct worker_series *series = series_make(worker, config);
    int rc = series == NULL ? err_set(err, ERR_NOMEM, "no memory for metrics")
                            : origins_apply(worker->origins, config, err);
    if (rc != 0) {
        free(series);
        config_release(&config);
        return rc;
    }
    free(worker->series);
    worker->series = series;
    config_release(&worker->config);
    worker->config = config;
    worker->config_generation++;
    LIST_FOREACH (node, &worker->exchanges)
        exchange_capped(LIST_ENTRY(node, struct exchange, node));
    return 0;
}

void
worker_funds_changed(struct worker *worker)
{
    struct list ready;
    list_init(&ready);
    while (!list_empty(&worker->waiting))
        list_push_back(&ready, list_pop_front(&worker->waiting));
    struct list *node;
    while ((node = list_pop_front(&ready)) != NULL)
        pipeline_resume(LIST_ENTRY(node, struct exchange, wait_node));
}

void
worker_abandon(struct worker *worker)
{
    LIST_FOREACH_SAFE (node, &worker->exchanges)
        pipeline_abandon(LIST_ENTRY(node, struct exchange, node));
}

size_t
worker_revoke(struct worker *worker, struct live_binding *binding)
{
    size_t count = 0;
    LIST_FOREACH_SAFE (node, &worker->exchanges) {
        struct exchange *exchange = LIST_ENTRY(node, struct exchange, node);
        if (exchange->binding != binding)
            continue;
        pipeline_revoke(exchange);
        count++;
    }
    return count;
}

const struct record_clock *
worker_clock(struct worker *worker)
{
    struct record_clock *clock = &worker->record_clock;
    uint64_t tick = loop_now_ms(worker->loop);
    if (clock->bytes == 0 || clock->tick_ms != tick) {
        clock->tick_ms = tick;
        clock->wall_ms = clock_wall_ns() / 1000000;
        clock->bytes = num_write_u64(clock->text, (uint64_t)clock->wall_ms);
    }
    return clock;
}

void
worker_touch_journal(struct worker *worker)
{
    loop_at_end(worker->loop, &worker->commit, LOOP_COMMIT);
}
