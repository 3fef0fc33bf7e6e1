/* SPDX-License-Identifier: MIT
 * exchange.c - one answer on its way out: pacing, faults, backpressure.
 * Floor: tools/sim; its loop's thread.
 * Owns: nothing beyond the exchange.
 * Invariant: at most one timer or one `writable` moves an exchange on; nothing is written after
 *            its end. sim_test.c. */
#include <stdio.h>

#include "lib/base/num.h"
#include "tools/sim/sim.h"

static void
exchange_later(struct exchange *exchange, uint64_t wait_ms)
{
    struct loop *loop = exchange->thread->loop;
    timer_arm(loop_timers(loop), &exchange->timer, loop_now_ms(loop) + wait_ms);
}

static uint64_t
given(const struct exchange *exchange, enum directive_id id, uint64_t fallback)
{
    return directive_value(&exchange->directives, id, fallback);
}

static void
exchange_respond(struct exchange *exchange, uint64_t length)
{
    struct http_field fields[6];
    size_t count = 0;
    char id[40];
    char retry[20];
    bool anthropic = exchange->dialect == &sim_anthropic;
    int id_len = snprintf(id, sizeof(id), "req_sim%llu",
                          (unsigned long long)atomic_fetch_add_explicit(
                              &exchange->thread->sim->next_id, 1, memory_order_relaxed));
    fields[count++] = (struct http_field){STR("content-type"), str_from(exchange->content_type)};
    fields[count++] = (struct http_field){anthropic ? STR("request-id") : STR("x-request-id"),
                                          str_make(id, (size_t)id_len)};
    if (exchange->streamed)
        fields[count++] = (struct http_field){STR("cache-control"), STR("no-cache")};
    if (directive_given(&exchange->directives, DIRECTIVE_RETRY_AFTER)) {
        size_t digits = num_write_u64(retry, given(exchange, DIRECTIVE_RETRY_AFTER, 0));
        fields[count++] = (struct http_field){STR("retry-after"), str_make(retry, digits)};
    }
    exchange->entry.status = (uint16_t)exchange->status;
    http_stream_respond(exchange->stream, exchange->status, fields, count, length);
}

/* Body bytes, up to where the connection is to be cut. false: stop here for now, or for ever. */
static bool
exchange_write(struct exchange *exchange, struct str bytes)
{
    uint64_t cut = given(exchange, DIRECTIVE_CUT_AFTER_BYTES, UINT64_MAX);
    if (bytes.len < cut - exchange->body_written) {
        exchange->body_written += bytes.len;
        return http_stream_write(exchange->stream, bytes);
    }
    bytes.len = (size_t)(cut - exchange->body_written);
    exchange->body_written = cut;
    exchange->phase = EXCHANGE_ENDED;
    if (bytes.len > 0)
        (void)http_stream_write_now(exchange->stream, bytes);
    /* Cut when the kernel has it: see exchange_cut. */
    exchange_later(exchange, 0);
    return false;
}

/* The connection is dropped once everything before the cut has left. */
static void
exchange_cut(struct exchange *exchange)
{
    if (http_stream_queued(exchange->stream) > 0)
        exchange_later(exchange, 1);
    else
        http_conn_abort(http_stream_conn(exchange->stream));
}

static void
exchange_end(struct exchange *exchange, bool well)
{
    exchange->phase = EXCHANGE_ENDED;
    exchange->ended_well = well;
    http_stream_end(exchange->stream);
}

/* ---- a body that is known as a whole --------------------------------------------------------- */

static void
exchange_send_pieces(struct exchange *exchange)
{
    size_t split = (size_t)given(exchange, DIRECTIVE_SPLIT, 0);
    while (exchange->body_at < exchange->body.len) {
        struct str rest = str_skip(buf_str(&exchange->body), exchange->body_at);
        if (split > 0 && rest.len > split)
            rest.len = split;
        exchange->body_at += rest.len;
        bool more = exchange_write(exchange, rest);
        if (exchange->phase == EXCHANGE_ENDED)
            return;
        if (exchange->body_at == exchange->body.len)
            break;
        if (split > 0) {
            exchange_later(exchange, given(exchange, DIRECTIVE_CHUNK_MS, 0));
            return;
        }
        if (!more)
            return;
    }
    exchange_end(exchange, true);
}

void
exchange_answer_now(struct exchange *exchange, unsigned status, const char *content_type)
{
    exchange->status = status;
    exchange->content_type = content_type;
    exchange->entry.status = (uint16_t)status;
    exchange_respond(exchange, exchange->body.len);
    exchange->phase = EXCHANGE_ENDED;
    exchange->ended_well = true;
    (void)http_stream_write(exchange->stream, buf_str(&exchange->body));
    http_stream_end(exchange->stream);
}

void
exchange_error(struct exchange *exchange, unsigned status, struct str message)
{
    exchange->body.len = 0;
    exchange->streamed = false;
    exchange->dialect->error(status, message, &exchange->body);
    exchange->entry.prompt = 0;
    exchange->entry.cached = 0;
    exchange->answer = (struct sim_answer){0};
    exchange_answer_now(exchange, status, "application/json");
}

/* ---- a stream -------------------------------------------------------------------------------- */

static void
exchange_begin_stream(struct exchange *exchange)
{
    struct buf *out = &exchange->body;
    exchange->phase = EXCHANGE_CHUNKS;
    out->len = 0;
    exchange->dialect->begin(&exchange->answer, out);
    (void)exchange_write(exchange, buf_str(out));
}

/* The last content chunk is out. */
static void
exchange_end_stream(struct exchange *exchange)
{
    bool well = given(exchange, DIRECTIVE_CLOSE_WITHOUT_DONE, 0) == 0;
    struct buf *out = &exchange->body;
    out->len = 0;
    exchange->dialect->end(&exchange->answer, well, out);
    (void)exchange_write(exchange, buf_str(out));
    if (exchange->phase != EXCHANGE_ENDED)
        exchange_end(exchange, well);
}

static void
exchange_send_chunks(struct exchange *exchange)
{
    uint64_t wait_ms = given(exchange, DIRECTIVE_CHUNK_MS, 0);
    struct buf *out = &exchange->body;
    for (;;) {
        if (exchange->chunk == given(exchange, DIRECTIVE_ERROR_EVENT_AFTER, UINT64_MAX)) {
            out->len = 0;
            exchange->dialect->error_event(out);
            (void)exchange_write(exchange, buf_str(out));
            if (exchange->phase != EXCHANGE_ENDED)
                exchange_end(exchange, false);
            return;
        }
        if (exchange->chunk == given(exchange, DIRECTIVE_STALL_AFTER, UINT64_MAX)) {
            exchange->phase = EXCHANGE_STALLED;
            return;
        }
        if (exchange->chunk == exchange->answer.chunk_count) {
            exchange_end_stream(exchange);
            return;
        }
        out->len = 0;
        exchange->dialect->chunk(&exchange->answer, exchange->chunk, out);
        bool more = exchange_write(exchange, buf_str(out));
        if (exchange->phase == EXCHANGE_ENDED)
            return;
        exchange->chunk++;
        if (wait_ms > 0) {
            exchange_later(exchange, wait_ms);
            return;
        }
        if (!more)
            return;
    }
}

/* A stream that is cut into pieces is written as a whole first. */
static void
exchange_render_stream(struct exchange *exchange)
{
    struct buf *out = &exchange->body;
    const struct sim_answer *answer = &exchange->answer;
    exchange->dialect->begin(answer, out);
    for (uint64_t i = 0; i < answer->chunk_count; i++)
        exchange->dialect->chunk(answer, i, out);
    exchange->dialect->end(answer, given(exchange, DIRECTIVE_CLOSE_WITHOUT_DONE, 0) == 0, out);
    exchange->chunk = answer->chunk_count;
}

static void
exchange_head(struct exchange *exchange)
{
    bool pieces = !exchange->streamed || directive_given(&exchange->directives, DIRECTIVE_SPLIT);
    if (exchange->streamed && pieces && exchange->body.len == 0)
        exchange_render_stream(exchange);
    bool replay = exchange->streamed && exchange->body.len > 0;
    exchange_respond(exchange, exchange->streamed ? HTTP_LENGTH_UNKNOWN : exchange->body.len);
    exchange->phase = pieces || replay ? EXCHANGE_SPLIT : EXCHANGE_BEGIN;
}

void
exchange_step(struct exchange *exchange)
{
    if (exchange->phase == EXCHANGE_ENDED) {
        if (directive_given(&exchange->directives, DIRECTIVE_CUT_AFTER_BYTES) &&
            !exchange->ended_well)
            exchange_cut(exchange);
        return;
    }
    if (exchange->phase == EXCHANGE_HEAD)
        exchange_head(exchange);
    if (exchange->phase == EXCHANGE_BEGIN) {
        exchange_begin_stream(exchange);
        uint64_t wait_ms = given(exchange, DIRECTIVE_TTFT_MS, 0);
        if (wait_ms > 0 && exchange->phase == EXCHANGE_CHUNKS) {
            exchange_later(exchange, wait_ms);
            return;
        }
    }
    if (exchange->phase == EXCHANGE_CHUNKS)
        exchange_send_chunks(exchange);
    else if (exchange->phase == EXCHANGE_SPLIT)
        exchange_send_pieces(exchange);
}

void
exchange_start(struct exchange *exchange)
{
    uint64_t wait_ms = given(exchange, DIRECTIVE_DELAY_MS, 0);
    exchange->phase = EXCHANGE_HEAD;
    if (!exchange->streamed)
        wait_ms += given(exchange, DIRECTIVE_TTFT_MS, 0);
    if (wait_ms > 0)
        exchange_later(exchange, wait_ms);
    else
        exchange_step(exchange);
}
