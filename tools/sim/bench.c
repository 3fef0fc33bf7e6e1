/* SPDX-License-Identifier: MIT
 * bench.c - canned answers for benchmarks: nothing is read of a request but its framing.
 * Floor: tools/sim; its loop's thread.
 * Owns: nothing; the bodies live as long as the process.
 * Invariant: the simulator stays far faster than what is measured through it. */
#include "tools/sim/sim.h"

#define SERVED_BATCH 64u

static const struct http_field bench_fields[] = {
    {STR("content-type"), STR("application/json")},
};

static struct sim_thread *
bench_thread(struct http_stream *stream)
{
    return http_server_user(http_conn_server(http_stream_conn(stream)));
}

static void
bench_on_request(struct http_stream *stream, const struct http_head *head)
{
    (void)stream;
    (void)head;
}

static void
bench_on_body(struct http_stream *stream, struct str bytes)
{
    (void)stream;
    (void)bytes;
}

static void
bench_on_complete(struct http_stream *stream)
{
    struct sim_thread *thread = bench_thread(stream);
    struct sim *sim = thread->sim;
    struct str target = http_stream_target(stream);
    if (UNLIKELY(str_starts(target, STR("/sim/")))) {
        struct buf out;
        buf_init(&out, 64);
        buf_printf(&out, "{\"served\":%llu}",
                   (unsigned long long)(atomic_load_explicit(&sim->served, memory_order_relaxed) +
                                        thread->served));
        http_stream_answer(stream, 200, bench_fields, 1, buf_str(&out));
        buf_fini(&out);
        return;
    }
    if (++thread->served == SERVED_BATCH) {
        atomic_fetch_add_explicit(&sim->served, SERVED_BATCH, memory_order_relaxed);
        thread->served = 0;
    }
    size_t dialect = str_starts(target, STR("/v1/messages")) ? 1 : 0;
    http_stream_answer(stream, 200, bench_fields, ARRAY_LEN(bench_fields),
                       sim->bench_body[dialect]);
}

static void
bench_on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)stream;
    (void)reason;
}

const struct http_handler sim_bench_handler = {
    .request = bench_on_request,
    .body = bench_on_body,
    .complete = bench_on_complete,
    .closed = bench_on_closed,
};

int
bench_bodies(struct sim *sim, size_t bytes)
{
    static const char *const shapes[2][2] = {
        {"{\"id\":\"chatcmpl-sim\",\"object\":\"chat.completion\",\"created\":1700000000,"
         "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
         "\"content\":\"",
         "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":"
         "10,"
         "\"total_tokens\":30}}"},
        {"{\"id\":\"msg_sim\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
         "\"claude-haiku-4-5\",\"content\":[{\"type\":\"text\",\"text\":\"",
         "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,"
         "\"output_tokens\":10}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct buf body;
        buf_init(&body, bytes + 1024);
        buf_put_str(&body, str_from(shapes[i][0]));
        while (body.len + strlen(shapes[i][1]) < bytes && !body.failed)
            buf_put_byte(&body, 'x');
        buf_put_str(&body, str_from(shapes[i][1]));
        if (body.failed) {
            buf_fini(&body);
            return -ERR_NOMEM;
        }
        sim->bench_body[i] = buf_str(&body);
    }
    return 0;
}
