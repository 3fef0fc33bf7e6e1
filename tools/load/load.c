/* SPDX-License-Identifier: MIT
 * load.c - calls and what becomes of them.
 * Floor: tools/load; one loop, one thread.
 * Owns: the slots.
 * Invariant: see load.h. */
#include "tools/load/load.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"

#define RATE_SLOTS 20000u
#define DRAIN_MS 5000u

static void
slot_free(struct load_slot *slot)
{
    struct load *load = slot->load;
    slot->call = NULL;
    if (slot->alive)
        load->counts.alive--;
    slot->alive = false;
    list_push_back(&load->free, &slot->node);
    load->in_flight--;
    if (!load->stopping)
        pace_again(load);
    else if (load->in_flight == 0)
        loop_stop(load->loop);
}

static void
on_head(struct http_call *call, const struct http_head *head)
{
    struct load_slot *slot = http_call_user(call);
    slot->status = head->status;
}

/* Events of a stream end in an empty line; the simulators and gateways here write LF. */
static void
count_events(struct load_slot *slot, struct str bytes)
{
    uint64_t events = 0;
    bool newline = slot->newline;
    for (size_t i = 0; i < bytes.len; i++) {
        bool is_newline = bytes.ptr[i] == '\n';
        events += newline && is_newline ? 1 : 0;
        newline = is_newline;
    }
    slot->newline = newline;
    slot->load->counts.events += events;
    if (events > 0 && !slot->alive) {
        slot->alive = true;
        slot->load->counts.alive++;
    }
}

static void
on_body(struct http_call *call, struct str bytes, bool last)
{
    struct load_slot *slot = http_call_user(call);
    (void)last;
    slot->load->counts.bytes += bytes.len;
    if (slot->load->options->mode == LOAD_STREAMS && slot->status == 200)
        count_events(slot, bytes);
}

static void
on_done(struct http_call *call)
{
    struct load_slot *slot = http_call_user(call);
    struct load *load = slot->load;
    uint64_t now_ns = clock_mono_ns();
    if (slot->status < 200 || slot->status > 299) {
        if (load->counts.bad++ == 0)
            load->bad_status = slot->status;
    } else if (slot->due_ns >= load->count_from_ns && slot->due_ns < load->stop_ns) {
        load->counts.answered++;
        histogram_add(&load->latency, now_ns - slot->due_ns);
    }
    slot_free(slot);
}

static void
on_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    struct load_slot *slot = http_call_user(call);
    struct load *load = slot->load;
    (void)phase;
    if (load->counts.failed++ == 0) {
        load->failure_code = code;
        (void)snprintf(load->failure, sizeof(load->failure), "%s", text);
    }
    slot_free(slot);
}

static const struct http_call_ops call_ops = {
    .head = on_head,
    .body = on_body,
    .done = on_done,
    .failed = on_failed,
};

bool
load_begin(struct load *load, uint64_t due_ns)
{
    const struct options *options = load->options;
    struct list *node = list_pop_front(&load->free);
    if (node == NULL)
        return false;
    struct load_slot *slot = LIST_ENTRY(node, struct load_slot, node);
    const struct http_call_conf conf = {
        .ops = &call_ops,
        .user = slot,
        .method = options->method,
        .target = options->target,
        .fields = options->fields,
        .field_count = options->field_count,
        .segments = &options->body,
        .segment_count = options->body.len > 0 ? 1 : 0,
    };
    slot->due_ns = due_ns;
    slot->status = 0;
    slot->newline = false;
    load->counts.begun++;
    int rc = http_call_start(load->origin, &conf, &slot->call);
    if (rc != 0) {
        if (load->counts.failed++ == 0)
            load->failure_code = rc;
        list_push_back(&load->free, &slot->node);
        return true;
    }
    load->in_flight++;
    return true;
}

static void
cut_all(struct load *load)
{
    for (size_t i = 0; i < load->slot_count; i++) {
        struct load_slot *slot = &load->slots[i];
        if (slot->call == NULL)
            continue;
        http_call_cancel(&slot->call);
        load->in_flight--;
        if (load->options->mode != LOAD_STREAMS)
            load->counts.unfinished++;
    }
    loop_stop(load->loop);
}

static void
on_deadline(struct timer *timer)
{
    struct load *load = CONTAINER_OF(timer, struct load, deadline);
    if (load->stopping)
        cut_all(load);
    else
        load_stop(load);
}

void
load_stop(struct load *load)
{
    if (load->stopping)
        return;
    load->stopping = true;
    load->stop_ns = MIN(load->stop_ns, clock_mono_ns());
    pace_stop(load);
    if (load->in_flight == 0 || load->options->mode == LOAD_STREAMS)
        cut_all(load);
    else
        timer_arm(loop_timers(load->loop), &load->deadline, loop_now_ms(load->loop) + DRAIN_MS);
}

static int
open_origin(struct load *load, struct err *err)
{
    const struct options *options = load->options;
    const uint32_t per_conn =
        (uint32_t)((load->slot_count + options->connections - 1) / options->connections);
    const struct http_origin_conf conf = {
        .host = options->uri.host,
        .port = options->uri.port,
        .protocol = options->h2 ? HTTP_2 : HTTP_1_1,
        .conn_count_max = (uint32_t)options->connections,
        .h2_streams_max = options->mode == LOAD_RATE ? 100 : per_conn,
        .idle_timeout_ms = 600000,
        .connect_timeout_ms = 20000,
        .queue_max = 1000000,
    };
    int rc = http_client_new(load->loop, &load->client, err);
    return rc == 0 ? http_origin_acquire(load->client, &conf, &load->origin, err) : rc;
}

int
load_run(struct load *load, const struct options *options, struct loop *loop, struct err *err)
{
    load->options = options;
    load->loop = loop;
    list_init(&load->free);
    timer_init(&load->deadline, on_deadline);
    load->slot_count = options->mode == LOAD_RATE ? RATE_SLOTS : options->concurrency;
    load->slots = calloc(load->slot_count, sizeof(*load->slots));
    if (load->slots == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < load->slot_count; i++) {
        load->slots[i].load = load;
        list_push_back(&load->free, &load->slots[i].node);
    }
    int rc = open_origin(load, err);
    if (rc != 0)
        return rc;
    load->started_ns = clock_mono_ns();
    load->count_from_ns = load->started_ns + options->warmup * 1000000000u;
    load->stop_ns = UINT64_MAX;
    if (options->seconds > 0) {
        load->stop_ns = load->count_from_ns + options->seconds * 1000000000u;
        timer_arm(loop_timers(loop), &load->deadline, load->stop_ns / 1000000u + 1);
    }
    rc = pace_start(load, err);
    if (rc != 0)
        return rc;
    loop_run(loop);
    ASSERT(load->in_flight == 0);
    return 0;
}

void
load_fini(struct load *load)
{
    if (load->loop != NULL)
        timer_cancel(loop_timers(load->loop), &load->deadline);
    http_origin_release(&load->origin);
    http_client_free(&load->client);
    free(load->slots);
    load->slots = NULL;
}
