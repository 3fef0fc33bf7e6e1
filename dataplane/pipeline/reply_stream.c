/* SPDX-License-Identifier: MIT
 * reply_stream.c - streamed replies: look, hold back until the first token, pass on or translate.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: the clean end of a stream is written only after the request is settled; without the
 *            provider's clean end the caller gets the dialect's error event. HARDENING 3.5. */
#include "dataplane/pipeline/reply.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#define OUT_BYTES_MAX ((size_t)8u * 1024u * 1024u)

/* Send the head, and what was held back. From here on no other target can be tried. */
static void
stream_commit(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct http_field fields[REPLY_FIELDS_MAX];
    uint32_t count = reply_head_fields(x, fields, STR("text/event-stream; charset=utf-8"), false);
    a->committed = true;
    x->status = 200;
    x->first_token_ns = clock_mono_ns();
    http_stream_respond(x->stream, 200, fields, count, HTTP_LENGTH_UNKNOWN);
    if (a->reply.len > 0)
        (void)http_stream_write(x->stream, buf_str(&a->reply));
    buf_fini(&a->reply);
    /* No other target can want the request any more: an open stream should cost little memory. */
    if (a->call != NULL && http_call_timings(a->call)->sent_ns != 0)
        http_stream_release_body(x->stream);
    timer_arm(loop_timers(x->worker->loop), &x->timer,
              loop_now_ms(x->worker->loop) + x->config->settings.stall_timeout_ms);
}

static void
stream_put(struct exchange *x, struct str bytes)
{
    struct attempt *a = &x->attempt;
    if (bytes.len == 0)
        return;
    if (!a->committed) {
        if (buf_put_str(&a->reply, bytes) != 0)
            stream_commit(x); /* a provider that only talks in comments: let it through */
        else
            return;
    }
    if (!http_stream_write(x->stream, bytes) && a->call != NULL)
        http_call_pause(a->call, true);
}

static void
usage_take(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (a->look.usage.evidence == EVIDENCE_NONE)
        reply_estimate(x);
    else
        x->usage = a->look.usage;
}

static int
translation_open(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    const struct stream_reader_class *reader = exchange_model(x)->provider->dialect->reader;
    const struct stream_writer_class *writer = x->endpoint->dialect->writer;
    void *reader_state = arena_zalloc(&x->arena, reader->size);
    void *writer_state = arena_zalloc(&x->arena, writer->size);
    if (reader_state == NULL || writer_state == NULL)
        return -ERR_NOMEM;
    struct str model;
    if (arena_dup(&x->arena, x->facts.model, &model) != 0) /* it outlives the request body */
        return -ERR_NOMEM;
    reader->init(reader_state);
    struct stream_writer_options options = {.id = STR_EMPTY,
                                            .model = model,
                                            .created = (uint64_t)(clock_wall_ns() / 1000000000),
                                            .prompt_estimate = x->facts.prompt_bytes / 4u,
                                            .include_usage = x->facts.include_usage};
    writer->init(writer_state, &options);
    a->translation = (struct translation){reader_state, writer_state};
    return 0;
}

/* One frame through the canonical model; `events` and their texts die with the scratch arena. */
static int
frame_translate(struct exchange *x, const struct stream_frame *frame, struct buf *out)
{
    struct attempt *a = &x->attempt;
    if (a->translation.reader == NULL && translation_open(x) != 0)
        return -ERR_NOMEM;
    struct arena arena;
    arena_init(&arena, OUT_BYTES_MAX);
    struct chat_event *events = NULL;
    struct err err = {0};
    int rc = exchange_model(x)->provider->dialect->reader->read(
        a->translation.reader, frame, &x->worker->frame_doc, &arena, &events, &err);
    for (; rc == 0 && events != NULL; events = events->next) {
        if (events->kind != CHAT_EVENT_ERROR)
            rc = x->endpoint->dialect->writer->write(a->translation.writer, events, out);
    }
    arena_fini(&arena);
    return rc;
}

/* An error event inside a 200: before the first token another target may do better. */
static void
stream_error_event(struct exchange *x, struct str raw, const struct stream_frame *frame)
{
    struct attempt *a = &x->attempt;
    if (!a->committed) {
        struct chat_error error = {0};
        int rc = exchange_model(x)->provider->dialect->error_in(0, frame->data, &x->arena, &error);
        enum http_error row = rc == 0 && error.class_ == CHAT_ERROR_OVERLOADED
                                  ? HTTP_ERROR_overloaded
                                  : HTTP_ERROR_upstream_failed;
        attempt_failed(x, row, STR("The provider failed before its first token."));
        return;
    }
    if (a->translated || str_find(raw, exchange_model(x)->provider->key) != SIZE_MAX) {
        reply_stream_cut(x, OUTCOME_upstream_error_event, HTTP_ERROR_upstream_failed,
                         STR("The provider reported an error in the middle of its answer."));
        return;
    }
    usage_take(x);
    pipeline_settle(x, OUTCOME_upstream_error_event);
    (void)http_stream_write(x->stream, raw);
    http_stream_end(x->stream);
    attempt_stop(x);
}

static void
stream_end(struct exchange *x, struct str last_bytes)
{
    struct attempt *a = &x->attempt;
    a->ended = true;
    if (!a->committed)
        stream_commit(x); /* an empty answer is an answer */
    usage_take(x);
    pipeline_settle(x, OUTCOME_completed);
    (void)http_stream_write(x->stream, last_bytes);
    http_stream_end(x->stream);
    timer_cancel(loop_timers(x->worker->loop), &x->timer);
}

/* Returns false when the exchange needs no further frames. */
static bool
stream_frame(struct exchange *x, const struct sse_event *event, struct buf *out)
{
    struct attempt *a = &x->attempt;
    const struct dialect *target = exchange_model(x)->provider->dialect;
    struct stream_frame frame = {.name = event->name, .data = event->data};
    if (!event->has_data) { /* comments: pass, but they are not progress */
        if (!a->translated)
            stream_put(x, event->raw);
        return true;
    }
    target->reader->look(&a->look, &frame, &x->worker->frame_doc);
    uint32_t flags = a->look.flags;
    if ((flags & STREAM_ERROR) != 0) {
        stream_error_event(x, event->raw, &frame);
        return false;
    }
    struct str bytes = event->raw;
    if (a->translated) {
        out->len = 0;
        if (frame_translate(x, &frame, out) != 0) {
            if (a->committed)
                reply_stream_cut(x, OUTCOME_upstream_cut, HTTP_ERROR_upstream_protocol,
                                 STR("The provider's stream cannot be read."));
            else
                attempt_failed(x, HTTP_ERROR_upstream_protocol,
                               STR("The provider's stream cannot be read."));
            return false;
        }
        bytes = buf_str(out);
    } else if ((flags & STREAM_USAGE_ONLY) != 0 && !x->facts.include_usage) {
        return true;
    }
    if ((flags & STREAM_END) != 0) {
        stream_end(x, bytes);
        return false;
    }
    if ((flags & STREAM_TOKEN) != 0 && !a->committed)
        stream_commit(x);
    stream_put(x, bytes);
    return true;
}

void
reply_stream_bytes(struct exchange *x, struct str bytes)
{
    struct attempt *a = &x->attempt;
    if (a->ended || x->settled)
        return; /* what follows the clean end is dropped */
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    sse_feed(&a->sse, bytes);
    struct sse_event event;
    int rc;
    bool more = true;
    while (more && (rc = sse_next(&a->sse, &event)) == 0)
        more = stream_frame(x, &event, &out);
    buf_fini(&out);
    if (!more || rc == -ERR_AGAIN)
        return;
    struct str text = STR("The provider sent an event that is too large.");
    if (a->committed)
        reply_stream_cut(x, OUTCOME_upstream_cut, HTTP_ERROR_upstream_protocol, text);
    else
        attempt_failed(x, HTTP_ERROR_upstream_protocol, text);
}

void
reply_stream_done(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (a->ended || x->settled) {
        attempt_stop(x);
        return;
    }
    struct str text = STR("The provider's stream ended without its end.");
    if (a->committed)
        reply_stream_cut(x, OUTCOME_upstream_cut, HTTP_ERROR_upstream_failed, text);
    else
        attempt_failed(x, HTTP_ERROR_upstream_failed, text);
}

void
reply_stream_cut(struct exchange *x, enum usage_outcome outcome, enum http_error refusal,
                 struct str text)
{
    struct buf out;
    buf_init(&out, (size_t)64u * 1024u);
    struct chat_error error = chat_error_ours(refusal, text, STR_EMPTY);
    error.request_id = str_make(x->id, REQUEST_ID_BYTES);
    usage_take(x);
    attempt_stop(x);
    pipeline_settle(x, outcome);
    if (x->stream != NULL) {
        if (x->endpoint->dialect->writer->error(&error, &out) == 0)
            (void)http_stream_write(x->stream, buf_str(&out));
        http_stream_end(x->stream);
    }
    buf_fini(&out);
}
