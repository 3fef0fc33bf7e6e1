/* SPDX-License-Identifier: MIT
 * reply_stream.c - streamed replies: look, hold back until the first token, pass on or translate.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: the clean end of a stream is written only after the request is settled; without the
 *            provider's clean end the caller gets the dialect's error event. HARDENING 3.5. */
#include "dataplane/pipeline/reply.h"

#include "dataplane/pipeline/cost.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#define OUT_BYTES_MAX ((size_t)8u * 1024u * 1024u)

/* Bytes of the stream; where the caller wants one JSON array, the events as its elements. */
static bool
stream_write(struct exchange *x, struct str bytes, bool last)
{
    struct attempt *a = &x->attempt;
    if (LIKELY(!x->array))
        return http_stream_write(x->stream, bytes);
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    (void)frames_array(&out, bytes, &a->array_open);
    if (last)
        (void)frames_array_end(&out, &a->array_open);
    bool more = http_stream_write(x->stream, buf_str(&out));
    buf_fini(&out);
    return more;
}

/* Send the head, and what was held back. From here on no other target can be tried. */
static void
stream_commit(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct http_field fields[REPLY_FIELDS_MAX];
    struct str type = STR("text/event-stream; charset=utf-8");
    if (x->array)
        type = STR("application/json; charset=UTF-8");
    else if (x->endpoint->dialect->framing != STREAM_SSE)
        type = frames_type(x->endpoint->dialect->framing);
    uint32_t count = reply_head_fields(x, fields, type, false);
    a->committed = true;
    x->status = 200;
    x->first_token_ns = loop_now_ns(x->worker->loop);
    http_stream_respond(x->stream, 200, fields, count, HTTP_LENGTH_UNKNOWN);
    if (a->reply.len > 0)
        (void)stream_write(x, buf_str(&a->reply), false);
    buf_fini(&a->reply);
    /* No other target can want the request any more: an open stream should cost little memory. */
    if (a->call != NULL && http_call_timings(a->call)->sent_ns != 0)
        http_stream_release_body(x->stream);
    timer_arm(loop_timers(x->worker->loop), &x->timer,
              loop_now_ms(x->worker->loop) + exchange_stall_ms(x));
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
    if (!stream_write(x, bytes, false) && a->call != NULL)
        http_call_pause(a->call, true);
}

static void
stream_put_with_cost(struct exchange *x, struct str bytes)
{
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    stream_put(x, cost_in_events(x, bytes, &out));
    buf_fini(&out);
}

static int
translation_open(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    const struct stream_reader_class *reader = exchange_dialect(x)->reader;
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
                                            .old_calls = x->facts.old_calls,
                                            .include_usage =
                                                x->facts.include_usage || x->wants_cost};
    writer->init(writer_state, &options);
    a->translation = (struct translation){reader_state, writer_state};
    return 0;
}

/* A provider that reports no usage leaves the caller our own estimate, before the end. */
static int
event_write(struct exchange *x, const struct chat_event *event, struct buf *out)
{
    struct attempt *a = &x->attempt;
    const struct stream_writer_class *writer = x->endpoint->dialect->writer;
    if (event->kind == CHAT_EVENT_END && a->look.usage.evidence == EVIDENCE_NONE) {
        const struct chat_event usage = {.kind = CHAT_EVENT_USAGE, .usage = reply_estimated(x)};
        int rc = writer->write(a->translation.writer, &usage, out);
        if (rc != 0)
            return rc;
    }
    return writer->write(a->translation.writer, event, out);
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
    int rc = exchange_dialect(x)->reader->read(a->translation.reader, frame, &x->worker->frame_doc,
                                               &arena, &events, &err);
    for (; rc == 0 && events != NULL; events = events->next) {
        if (events->kind != CHAT_EVENT_ERROR)
            rc = event_write(x, events, out);
    }
    arena_fini(&arena);
    return rc;
}

/* An error event inside a 200: before the first token another target may do better. */
static void
stream_error_event(struct exchange *x, struct str raw, const struct stream_frame *frame)
{
    struct attempt *a = &x->attempt;
    bool passes =
        a->committed && !a->translated && !mask_holds(&exchange_model(x)->provider->mask, raw);
    if (!passes) {
        reply_error_event(x, frame->data);
        return;
    }
    reply_delivered(x);
    pipeline_settle(x, OUTCOME_upstream_error_event);
    (void)stream_write(x, raw, true);
    cost_end(x);
    attempt_stop(x);
}

static void
stream_end(struct exchange *x, struct str last_bytes)
{
    struct attempt *a = &x->attempt;
    a->ended = true;
    if (!a->committed)
        stream_commit(x); /* an empty answer is an answer */
    reply_delivered(x);
    pipeline_settle(x, OUTCOME_completed);
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    if (x->wants_cost)
        last_bytes = cost_in_events(x, last_bytes, &out);
    (void)stream_write(x, last_bytes, true);
    buf_fini(&out);
    cost_end(x);
    timer_cancel(loop_timers(x->worker->loop), &x->timer);
}

/* Bytes for the caller, without our key. */
static struct str
stream_masked(struct exchange *x, struct str bytes, bool token, struct buf *out)
{
    return mask_stream(&exchange_model(x)->provider->mask, &x->attempt.mask_run, bytes, token, out);
}

/* Returns false when the exchange needs no further frames. */
static bool
stream_frame(struct exchange *x, const struct sse_event *event, struct buf *out)
{
    struct attempt *a = &x->attempt;
    struct stream_frame frame = {.name = event->name, .data = event->data};
    if (!event->has_data) { /* comments: pass, but they are not progress */
        if (!a->translated && !x->left)
            stream_put(x, stream_masked(x, event->raw, false, out));
        return true;
    }
    exchange_reader(x)->look(&a->look, &frame, &x->worker->frame_doc);
    uint32_t flags = a->look.flags;
    if (x->left) { /* nobody listens: only the provider's report counts */
        if ((flags & (STREAM_ERROR | STREAM_END)) != 0)
            reply_stream_cut(x, OUTCOME_client_gone, HTTP_ERROR_internal, STR_EMPTY);
        return (flags & (STREAM_ERROR | STREAM_END)) == 0;
    }
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
    } else if ((flags & STREAM_USAGE_ONLY) != 0 && !x->facts.include_usage && !x->wants_cost) {
        return true;
    }
    bytes = stream_masked(x, bytes, (flags & STREAM_TOKEN) != 0, out);
    if ((flags & STREAM_END) != 0) {
        stream_end(x, bytes);
        return false;
    }
    if ((flags & STREAM_TOKEN) != 0 && !a->committed)
        stream_commit(x);
    if (x->wants_cost && (flags & STREAM_USAGE) != 0 && (a->look.seen & STREAM_FINISH) != 0)
        stream_put_with_cost(x, bytes);
    else
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
    frames_feed(&a->frames, bytes);
    struct sse_event event;
    int rc;
    bool more = true;
    while (more && (rc = frames_next(&a->frames, &event)) == 0)
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

/* Where the end of the connection ends the stream: complete, when every choice finished. */
static bool
stream_close(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    const struct stream_reader_class *reader = exchange_reader(x);
    struct chat_event *events = NULL;
    struct arena arena;
    struct buf out;
    if (reader->close == NULL || x->left || (a->look.seen & STREAM_FINISH) == 0)
        return false;
    if (!a->translated) {
        stream_end(x, STR_EMPTY);
        return true;
    }
    bool ended = false;
    arena_init(&arena, OUT_BYTES_MAX);
    buf_init(&out, OUT_BYTES_MAX);
    int rc = a->translation.reader == NULL ? -ERR_INVALID
                                           : reader->close(a->translation.reader, &arena, &events);
    for (; rc == 0 && events != NULL; events = events->next) {
        ended = ended || events->kind == CHAT_EVENT_END;
        rc = event_write(x, events, &out);
    }
    if (rc == 0 && ended)
        stream_end(x, buf_str(&out));
    buf_fini(&out);
    arena_fini(&arena);
    return rc == 0 && ended;
}

void
reply_stream_done(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (!a->ended && !x->settled && stream_close(x)) {
        attempt_stop(x);
        return;
    }
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
    reply_delivered(x);
    attempt_stop(x);
    pipeline_settle(x, outcome);
    if (x->left)
        pipeline_leave_end(x);
    if (x->stream != NULL) {
        if (x->attempt.mode == REPLY_BYTES) { /* sound has no words for it */
            http_stream_abort(x->stream);
        } else {
            if (x->endpoint->dialect->writer->error(&error, &out) == 0)
                (void)stream_write(x, buf_str(&out), true);
            http_stream_cut(x->stream);
        }
    }
    buf_fini(&out);
}
