/* SPDX-License-Identifier: MIT
 * attempt.c - the upstream side of an exchange: build the call, watch the clock, choose what comes
 * next. Floor: dataplane/pipeline; the worker's thread. Owns: see attempt.h. Invariant: at most one
 * call runs an exchange; another target is tried only before anything was committed to the client.
 */
#include "dataplane/pipeline/carried.h"
#include "dataplane/pipeline/coded.h"
#include "dataplane/pipeline/poll.h"
#include "dataplane/pipeline/reply.h"
#include "dataplane/pipeline/runs.h"
#include "dataplane/pipeline/upload.h"

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "dataplane/view/scope.h"

#define DROPPED_BYTES_MAX 1024u
#define WHOLE_BYTES_MAX ((size_t)64u * 1024u * 1024u)
#define CALL_FIELDS_MAX ATTEMPT_FIELDS_MAX
#define CODED_TEXT "The provider's reply has a content-encoding that cannot be undone."
#define SPARE_BYTES_MAX ((size_t)16u * 1024u)

static void on_head(struct http_call *call, const struct http_head *head);
static void on_body(struct http_call *call, struct str bytes, bool last);
static void on_done(struct http_call *call);
static void on_failed(struct http_call *call, int code, enum http_phase phase, const char *text);
static void on_writable(struct http_call *call);

static const struct http_call_ops call_ops = {.head = on_head,
                                              .body = on_body,
                                              .done = on_done,
                                              .failed = on_failed,
                                              .writable = on_writable};

/* A reply's block serves the next reply of this worker. */
static void
attempt_spare(struct worker *worker, struct buf *reply)
{
    if (worker->spare.ptr == NULL && reply->cap <= SPARE_BYTES_MAX) {
        worker->spare = *reply;
        worker->spare.len = 0;
        worker->spare.failed = false;
        *reply = (struct buf){.max = reply->max};
    }
    buf_fini(reply);
}

void
attempt_stop(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (a->call != NULL)
        http_call_cancel(&a->call);
    coded_end(a);
    if (UNLIKELY(a->poll.origin != NULL || a->poll.cancel.len > 0))
        poll_end(x);
    const struct dialect *target = x->targets.count > 0 ? exchange_dialect(x) : NULL;
    if (a->translation.reader != NULL && target != NULL)
        target->reader->fini(a->translation.reader);
    if (a->translation.writer != NULL)
        x->endpoint->dialect->writer->fini(a->translation.writer);
    a->translation = (struct translation){NULL, NULL};
    if (a->frames_open)
        frames_fini(&a->frames);
    a->frames_open = false;
    if (a->reply.ptr != NULL)
        attempt_spare(x->worker, &a->reply);
    if (a->body.ptr != NULL)
        buf_fini(&a->body);
    timer_cancel(loop_timers(x->worker->loop), &x->timer);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* Same dialect: the caller's bytes with the model's name (and the wish for usage) spliced in. */
static int
build_forward(struct exchange *x, struct str **ret_segments, size_t *ret_count, struct err *err)
{
    const struct config_model *model = exchange_model(x);
    struct str body = http_stream_body(x->stream);
    struct json_doc *doc = &x->worker->doc;
    struct splice splice;
    struct str text = STR_EMPTY;
    splice_init(&splice, &x->arena);
    if (UNLIKELY(x->facts.runs != NULL)) {
        if (runs_judge(x, model, &text) < 0) /* its dialect is another than it was when held */
            return err_set(err, ERR_UNSUPPORTED, "%.*s", STR_ARG(text));
        if (runs_leave_out(x, model, &x->attempt.dropped) < 0)
            return err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    }
    int rc = x->media != NULL
                 ? media_edit(x->media, doc, model->upstream, &splice)
                 : x->endpoint->dialect->forward_edits(doc, x->endpoint->kind, &x->facts,
                                                       model->upstream, x->facts.stream, &splice);
    size_t bytes = 0;
    if (rc == 0 && x->wants_cost)
        rc = splice_member_remove(&splice, doc, 0, STR("usage"));
    if (rc == 0)
        rc = splice_segments(&splice, body, ret_segments, ret_count, &bytes);
    return rc == 0 ? 0 : err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
}

static void
drop_field(struct chat_field **list, struct str name)
{
    while (*list != NULL && !str_eq((*list)->name, name))
        list = &(*list)->next;
    if (*list != NULL)
        *list = (*list)->next;
}

static int
one_segment(struct exchange *x, struct str **ret_segments, size_t *ret_count, struct err *err)
{
    struct str *segment = ARENA_NEW(&x->arena, struct str);
    if (segment == NULL)
        return err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    *segment = buf_str(&x->attempt.body);
    *ret_segments = segment;
    *ret_count = 1;
    return 0;
}

/* Another dialect: rebuilt from the canonical request. */
static int
build_translated(struct exchange *x, struct str **ret_segments, size_t *ret_count, struct err *err)
{
    const struct config_model *model = exchange_model(x);
    struct attempt *a = &x->attempt;
    struct chat_request request = {0};
    int rc = x->endpoint->dialect->request_in(&x->worker->doc, &x->arena, &request, err);
    request.stream = x->facts.stream; /* the URL may have said it */
    if (x->wants_cost)
        drop_field(&request.others, STR("usage"));
    struct buf dropped;
    buf_init(&dropped, DROPPED_BYTES_MAX);
    const struct dialect_target target = {
        .model = model->upstream,
        .max_output = model->max_output_tokens,
        .searches = model->free || tariff_has(&model->tariff, USAGE_web_search) ||
                    scope_names(model->free_tools, STR("web_search")),
        .dropped = &dropped};
    buf_init(&a->body, WHOLE_BYTES_MAX);
    if (rc == 0)
        rc = exchange_dialect(x)->request_out(&request, &target, &x->arena, &a->body, err);
    if (rc == 0)
        rc = arena_dup(&x->arena, buf_str(&dropped), &a->dropped);
    buf_fini(&dropped);
    return rc == 0 ? one_segment(x, ret_segments, ret_count, err) : rc;
}

static int
put_target(struct exchange *x, struct str *ret_target)
{
    const struct config_model *model = exchange_model(x);
    struct buf *target = &x->worker->target;
    target->len = 0;
    target->failed = false;
    (void)buf_put_str(target, model->provider->base.path);
    int rc =
        exchange_dialect(x)->path(carried_endpoint(x), model->upstream, x->facts.stream, target);
    return rc == 0 ? arena_dup(&x->arena, buf_str(target), ret_target) : rc;
}

static int
sign(struct exchange *x, struct str target, const struct str *segments, struct http_field *fields,
     size_t *count)
{
    uint8_t digest[SHA256_BYTES];
    int rc = 0;
    if (x->upload != NULL)
        rc = upload_digest(x, digest);
    else
        digest_sha256(*segments, digest);
    return rc == 0 ? attempt_sign(x, target, digest, fields, count) : rc;
}

static int
attempt_call(struct exchange *x, struct err *err)
{
    const struct config_model *model = exchange_model(x);
    struct attempt *a = &x->attempt;
    a->dialect = exchange_dialect(x);
    carried_choose(x);
    bool talks = x->endpoint->kind == CHAT_ENDPOINT_CHAT && a->dialect->request_out != NULL;
    if (a->translated && !carried_is(x) && !talks)
        return err_set(err, ERR_UNSUPPORTED, "Provider %.*s has no such endpoint.",
                       STR_ARG(model->provider->name));
    struct http_origin *origin = origins_get(x->worker->origins, x->config, model->provider);
    if (origin == NULL)
        return err_set(err, ERR_UNAVAILABLE, "Provider %.*s was removed meanwhile.",
                       STR_ARG(model->provider->name));
    struct str *segments = NULL;
    size_t segment_count = 0;
    int rc = 0;
    if (carried_is(x)) {
        rc = carried_build(x, err);
        if (rc == 0 && x->upload == NULL)
            rc = one_segment(x, &segments, &segment_count, err);
    } else if (x->upload == NULL) {
        rc = a->translated ? build_translated(x, &segments, &segment_count, err)
                           : build_forward(x, &segments, &segment_count, err);
    } else if (attempt_is_signed(x)) { /* over bytes that are not here yet */
        rc = err_set(err, ERR_UNSUPPORTED, "Provider %.*s takes no forms.",
                     STR_ARG(model->provider->name));
    }
    struct str target = STR_EMPTY;
    if (rc == 0 && put_target(x, &target) != 0)
        rc = err_set(err, ERR_UNSUPPORTED, "Provider %.*s has no such endpoint.",
                     STR_ARG(model->provider->name));
    if (rc != 0)
        return rc;
    struct http_field fields[CALL_FIELDS_MAX] UNINIT;
    size_t field_count = attempt_fields(x, fields);
    if (attempt_is_signed(x) && sign(x, target, segments, fields, &field_count) != 0)
        return err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    struct http_call_conf conf = {.ops = &call_ops,
                                  .user = x,
                                  .method = STR("POST"),
                                  .target = target,
                                  .fields = fields,
                                  .field_count = field_count,
                                  .segments = segments,
                                  .segment_count = segment_count,
                                  .retry_stale = true};
    if (x->upload != NULL && upload_call(x, &conf) != 0)
        return err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    rc = http_call_start(origin, &conf, &a->call);
    if (rc != 0)
        return err_set(err, ERR_OVERLOADED, "Too many requests wait for provider %.*s.",
                       STR_ARG(model->provider->name));
    return 0;
}

void
attempt_arm(struct exchange *x, uint32_t after_ms)
{
    if (after_ms == 0)
        return;
    timer_arm(loop_timers(x->worker->loop), &x->timer, loop_now_ms(x->worker->loop) + after_ms);
}

int
attempt_ask(struct exchange *x, struct http_origin *origin, struct str target)
{
    struct http_field fields[CALL_FIELDS_MAX] UNINIT;
    const struct http_call_conf conf = {.ops = &call_ops,
                                        .user = x,
                                        .method = STR("GET"),
                                        .target = target,
                                        .fields = fields,
                                        .field_count = attempt_fields(x, fields),
                                        .retry_stale = true};
    int rc = http_call_start(origin, &conf, &x->attempt.call);
    if (rc == 0)
        attempt_arm(x, exchange_ttft_ms(x));
    return rc;
}

void
attempt_reset(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    ASSERT(a->call == NULL && !a->committed && !a->frames_open);
    coded_end(a);
    if (a->reply.ptr != NULL)
        attempt_spare(x->worker, &a->reply);
    a->mode = REPLY_NONE;
    a->retry_after_s = 0;
}

/* The scratch document may hold another request by now: a parked one comes back later, and so does
 * one that tries its next target. */
static int
attempt_scan(struct exchange *x, struct err *err)
{
    struct json_doc *doc = &x->worker->doc;
    struct str body = http_stream_body(x->stream);
    if (x->upload != NULL)
        return 0;
    if (doc->text.ptr == body.ptr && doc->text.len == body.len && x->attempts == 0)
        return 0;
    return json_scan(doc, body, NULL, err);
}

void
attempt_start(struct exchange *x)
{
    struct err err UNINIT;
    err.text[0] = '\0';
    if (x->endpoint->kind == CHAT_ENDPOINT_TOKENS &&
        !dialect_same(exchange_dialect(x), x->endpoint->dialect)) {
        reply_tokens(x);
        return;
    }
    if (upload_put_off(x))
        return;
    for (;;) {
        if (x->attempted) /* else it is as clear as the exchange was made */
            memset(&x->attempt, 0, sizeof(x->attempt));
        x->attempted = true;
        int rc = attempt_scan(x, &err);
        if (rc == 0)
            rc = attempt_call(x, &err);
        if (rc == 0) {
            x->attempts++;
            attempt_arm(x, exchange_ttft_ms(x));
            if (UNLIKELY(x->upload != NULL))
                upload_started(x);
            return;
        }
        attempt_stop(x);
        bool ours = rc == -ERR_OVERLOADED || rc == -ERR_UNAVAILABLE || rc == -ERR_NOMEM;
        if (ours && x->target_at + 1 < x->targets.count) {
            x->target_at++;
            x->by_responses = false;
            continue;
        }
        struct str text = STR_EMPTY;
        (void)!arena_dup(&x->arena, str_from(err.text), &text);
        /* The request cannot be carried to this target: say so, naming the field. */
        enum http_error row =
            rc == -ERR_UNSUPPORTED ? HTTP_ERROR_unsupported_field : chat_error_row(rc);
        (void)exchange_fail(x, ours ? HTTP_ERROR_overloaded : row, text);
        pipeline_refuse(x);
        return;
    }
}

void
attempt_failed(struct exchange *x, enum http_error refusal, struct str text)
{
    ASSERT(!x->attempt.committed);
    attempt_stop(x);
    x->usage = (struct usage){.evidence = EVIDENCE_NONE};
    if (x->stream != NULL && x->target_at + 1 < x->targets.count && upload_again(x)) {
        x->target_at++;
        x->by_responses = false;
        attempt_start(x);
        return;
    }
    (void)exchange_fail(x, refusal, text);
    pipeline_refuse(x);
}

/* ---- the reply ---------------------------------------------------------------------------------
 */

static void
note_retry_after(struct attempt *a, const struct http_head *head)
{
    uint64_t seconds = 0;
    struct str value = http_field_get(head, STR("retry-after"));
    struct str ms = http_field_get(head, STR("retry-after-ms")); /* Azure's word */
    if (value.len == 0 && ms.len > 0 && num_u64(ms, UINT32_MAX, &seconds) == 0)
        a->retry_after_s = (uint32_t)MIN((seconds + 999u) / 1000u, (uint64_t)RETRY_AFTER_S_MAX);
    else if (value.len > 0 && num_u64(value, UINT32_MAX, &seconds) == 0)
        a->retry_after_s = (uint32_t)MIN(seconds, (uint64_t)RETRY_AFTER_S_MAX);
}

static void
on_head(struct http_call *call, const struct http_head *head)
{
    struct exchange *x = http_call_user(call);
    struct attempt *a = &x->attempt;
    struct str type = http_field_get(head, STR("content-type"));
    enum stream_framing framing = x->media != NULL ? STREAM_SSE : exchange_dialect(x)->framing;
    a->status = head->status;
    a->json = str_starts(type, STR("application/json"));
    a->last_bytes_ms = loop_now_ms(x->worker->loop);
    note_retry_after(a, head);
    size_t max = WHOLE_BYTES_MAX;
    if (head->status < 200 || head->status >= 300) {
        a->mode = REPLY_ERROR;
        max = (size_t)1024u * 1024u;
    } else if (x->facts.stream && str_starts(type, frames_type(framing))) {
        a->mode = REPLY_STREAM;
        frames_init(&a->frames, framing, x->media != NULL ? MEDIA_EVENT_BYTES_MAX : 0);
        a->frames_open = true;
        max = x->media != NULL ? MEDIA_EVENT_BYTES_MAX : SSE_EVENT_BYTES_MAX;
    } else if (reply_media_head(x, type)) {
        a->mode = REPLY_BYTES;
        max = REPLY_MEDIA_HEAD_BYTES;
    } else {
        a->mode = REPLY_WHOLE;
    }
    buf_init(&a->reply, max);
    if (x->worker->spare.ptr != NULL) {
        a->reply = x->worker->spare;
        a->reply.max = max;
        x->worker->spare.ptr = NULL;
    }
    if (a->body.ptr != NULL)
        buf_fini(&a->body); /* the request has been sent */
    if (coded_head(a, head) != 0)
        attempt_failed(x, HTTP_ERROR_upstream_protocol, STR(CODED_TEXT));
    else if (a->mode == REPLY_WHOLE && head->content_length != HTTP_LENGTH_UNKNOWN &&
             head->content_length > max)
        attempt_failed(x, HTTP_ERROR_upstream_protocol, STR("The provider's reply is too large."));
}

/* A part of the body as it was meant. */
static void
take_body(struct http_call *call, struct str bytes)
{
    struct exchange *x = http_call_user(call);
    struct attempt *a = &x->attempt;
    if (a->mode == REPLY_STREAM) {
        reply_stream_bytes(x, bytes);
        return;
    }
    if (a->mode == REPLY_BYTES) {
        reply_media_bytes(x, bytes);
        return;
    }
    if (buf_put_str(&a->reply, bytes) != 0)
        attempt_failed(x, HTTP_ERROR_upstream_protocol, STR("The provider's reply is too large."));
}

/* Before anything went out: the next target; behind it: a cut. */
static void
reply_broke(struct exchange *x, struct str text)
{
    if (x->attempt.committed)
        reply_stream_cut(x, OUTCOME_upstream_cut, HTTP_ERROR_upstream_protocol, text);
    else
        attempt_failed(x, HTTP_ERROR_upstream_protocol, text);
}

static void
on_body(struct http_call *call, struct str bytes, bool last)
{
    struct exchange *x = http_call_user(call);
    struct attempt *a = &x->attempt;
    (void)last;
    a->last_bytes_ms = loop_now_ms(x->worker->loop);
    if (LIKELY(a->coding == NULL))
        take_body(call, bytes);
    else if (!a->ended && !x->settled && coded_body(call, bytes, take_body) != 0)
        reply_broke(x, STR(CODED_TEXT));
}

static void
on_done(struct http_call *call)
{
    struct exchange *x = http_call_user(call);
    x->attempt.call = NULL;
    if (UNLIKELY(!coded_whole(&x->attempt)) && !x->attempt.ended && !x->settled) {
        reply_broke(x, STR(CODED_TEXT));
        return;
    }
    switch (x->attempt.mode) {
    case REPLY_STREAM:
        reply_stream_done(x);
        return;
    case REPLY_ERROR:
        reply_error(x);
        return;
    case REPLY_BYTES:
        reply_media_done(x);
        return;
    case REPLY_WHOLE:
        if (carried_is(x))
            carried_reply(x);
        else if (x->media != NULL)
            reply_media_whole(x);
        else
            reply_whole(x);
        return;
    case REPLY_NONE:
        break;
    }
    check_failed(__FILE__, __LINE__, "a reply without a head");
}

static enum http_error
failure_row(int code)
{
    switch (-code) {
    case ERR_TIMEOUT:
        return HTTP_ERROR_upstream_timeout;
    case ERR_TLS:
        return HTTP_ERROR_upstream_tls;
    case ERR_PROTOCOL:
    case ERR_TOO_LARGE:
        return HTTP_ERROR_upstream_protocol;
    case ERR_OVERLOADED:
        return HTTP_ERROR_overloaded;
    default:
        return HTTP_ERROR_upstream_failed;
    }
}

static void
on_failed(struct http_call *call, int code, enum http_phase phase, const char *text)
{
    struct exchange *x = http_call_user(call);
    struct attempt *a = &x->attempt;
    (void)text; /* addresses and TLS detail are for the log, not for a caller */
    a->call = NULL;
    const struct config_model *model = exchange_model(x);
    struct str why = arena_printf(&x->arena, "Provider %.*s: %s.", STR_ARG(model->provider->name),
                                  err_text(code));
    if (why.ptr == NULL)
        why = STR_EMPTY;
    if (poll_again(x) || (code == -ERR_CLOSED && phase == HTTP_QUEUED && upload_refused(x)))
        return;
    if (a->committed)
        reply_stream_cut(x, code == -ERR_TIMEOUT ? OUTCOME_timed_out : OUTCOME_upstream_cut,
                         failure_row(code), why);
    else
        attempt_failed(x, failure_row(code), why);
}

static void
on_writable(struct http_call *call)
{
    upload_writable(http_call_user(call));
}

/* ---- time --------------------------------------------------------------------------------------
 */

void
attempt_timer(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (x->settled || poll_timer(x) || a->call == NULL || upload_timer(x))
        return;
    const struct config_settings *settings = &x->config->settings;
    uint64_t now = loop_now_ms(x->worker->loop);
    uint64_t age_ms = (loop_now_ns(x->worker->loop) - upload_sent_ns(x)) / 1000000u;
    bool too_long = settings->request_timeout_ms != 0 && age_ms >= settings->request_timeout_ms;
    struct str text = STR("The provider did not answer in time.");
    if (!a->committed) {
        bool whole = a->mode == REPLY_WHOLE || !x->facts.stream;
        /* A whole answer may take the whole time; a stream must show its first token. */
        if (whole && !too_long) {
            uint64_t left = settings->request_timeout_ms - age_ms;
            left = left == 0 ? 1 : left;
            attempt_arm(x, (uint32_t)MIN(left, (uint64_t)UINT32_MAX));
            return;
        }
        attempt_failed(x, HTTP_ERROR_upstream_timeout, text);
        return;
    }
    if (http_call_paused(a->call)) /* it is the client who keeps it waiting: lib/http judges that */
        a->last_bytes_ms = now;
    uint64_t silent = now - a->last_bytes_ms;
    if (too_long || silent >= exchange_stall_ms(x)) {
        reply_stream_cut(x, OUTCOME_timed_out, HTTP_ERROR_upstream_timeout,
                         STR("The provider stopped in the middle of its answer."));
        return;
    }
    attempt_arm(x, (uint32_t)(exchange_stall_ms(x) - silent));
}

void
attempt_writable(struct exchange *x)
{
    if (x->attempt.call == NULL)
        return;
    x->attempt.last_bytes_ms = loop_now_ms(x->worker->loop);
    http_call_pause(x->attempt.call, false);
}
