/* SPDX-License-Identifier: MIT
 * reply_media.c - replies of calls that are no conversation: JSON and text as a whole, sound as it
 *                 comes. Their events go through reply_stream.c.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: settled before the end of an answer may leave; a sound that is cut never looks
 *            complete. front_media_test.c. */
#include "dataplane/pipeline/reply.h"

#include "dataplane/pipeline/cost.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

void
reply_media_delivered(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    const struct tariff *tariff = &exchange_model(x)->tariff;
    const struct usage none = {.evidence = EVIDENCE_NONE};
    bool finished = a->mode != REPLY_STREAM || (a->look.seen & STREAM_FINISH) != 0;
    media_note_answer(x->media, NULL, buf_str(&a->reply), a->look.total_bytes);
    media_usage(x->media, tariff, finished ? &a->look.usage : &none, &x->usage);
}

/* ---- sound ----------------------------------------------------------------------------------- */

bool
reply_media_head(struct exchange *x, struct str content_type)
{
    struct attempt *a = &x->attempt;
    if (x->media == NULL)
        return false;
    if (arena_dup(&x->arena, content_type, &a->type) != 0)
        a->type = STR_EMPTY;
    return x->endpoint->kind == CHAT_ENDPOINT_SPEECH && !a->json && a->type.len > 0;
}

static void
bytes_commit(struct exchange *x)
{
    struct http_field fields[REPLY_FIELDS_MAX];
    uint32_t count = reply_head_fields(x, fields, x->attempt.type, false);
    x->attempt.committed = true;
    x->status = 200;
    x->first_token_ns = clock_mono_ns();
    http_stream_respond(x->stream, 200, fields, count, HTTP_LENGTH_UNKNOWN);
    timer_arm(loop_timers(x->worker->loop), &x->timer,
              loop_now_ms(x->worker->loop) + exchange_stall_ms(x));
}

void
reply_media_bytes(struct exchange *x, struct str bytes)
{
    struct attempt *a = &x->attempt;
    if (x->settled || bytes.len == 0)
        return;
    size_t room = REPLY_MEDIA_HEAD_BYTES - a->reply.len;
    (void)buf_put_str(&a->reply, str_make(bytes.ptr, MIN(room, bytes.len)));
    a->look.total_bytes += bytes.len;
    struct buf out;
    buf_init(&out, bytes.len + MASK_RUN);
    bytes = mask_stream(&exchange_model(x)->provider->mask, &a->mask_run, bytes, true, &out);
    if (!a->committed)
        bytes_commit(x);
    if (!http_stream_write(x->stream, bytes) && a->call != NULL)
        http_call_pause(a->call, true);
    buf_fini(&out);
}

void
reply_media_done(struct exchange *x)
{
    if (x->settled)
        return;
    if (!x->attempt.committed) {
        attempt_failed(x, HTTP_ERROR_upstream_protocol, STR("The provider's answer is empty."));
        return;
    }
    x->ended_ns = clock_mono_ns();
    reply_media_delivered(x);
    pipeline_settle(x, OUTCOME_completed);
    cost_end(x);
    attempt_stop(x);
}

/* ---- all else -------------------------------------------------------------------------------- */

bool
reply_scan(struct exchange *x, struct str body, struct json_doc **ret_doc)
{
    static const struct json_limits limits = {.allow_duplicates = true};
    struct json_doc *doc = &x->worker->doc;
    struct stream_look look = {0};
    *ret_doc = NULL;
    if (!x->attempt.json && x->media != NULL && x->media->text_answer)
        return true;
    if (json_scan(doc, body, &limits, NULL) != 0 || !json_is(doc, 0, JSON_OBJECT)) {
        attempt_failed(x, HTTP_ERROR_upstream_protocol, STR("The provider's answer is not JSON."));
        return false;
    }
    if (exchange_dialect(x)->answer_look != NULL)
        exchange_dialect(x)->answer_look(doc, &look);
    if ((look.flags & STREAM_ERROR) != 0) { /* an error inside a 200 */
        x->attempt.status = 502;
        reply_error(x);
        return false;
    }
    *ret_doc = doc;
    return true;
}

void
reply_settle_whole(struct exchange *x)
{
    x->attempt.committed = true;
    x->first_token_ns = clock_mono_ns();
    x->ended_ns = x->first_token_ns;
    x->status = 200;
    pipeline_settle(x, OUTCOME_completed);
}

void
reply_media_whole(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct str body = buf_str(&a->reply);
    struct json_doc *doc;
    if (!reply_scan(x, body, &doc))
        return;
    if (mask_holds(&exchange_model(x)->provider->mask, body)) {
        attempt_failed(x, HTTP_ERROR_upstream_protocol,
                       STR("The provider's answer held Berth's own key."));
        return;
    }
    struct usage reported = {.evidence = EVIDENCE_NONE};
    if (doc != NULL)
        (void)media_report(x->endpoint->kind, doc, 0, &reported);
    media_note_answer(x->media, doc, body, body.len);
    media_usage(x->media, &exchange_model(x)->tariff, &reported, &x->usage);
    a->look.total_bytes = body.len;
    reply_settle_whole(x);
    reply_answer(x, a->status, body, doc != NULL ? STR("application/json") : a->type);
    attempt_stop(x);
}
