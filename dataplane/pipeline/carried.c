/* SPDX-License-Identifier: MIT
 * carried.c - guest and carrier, one behind the other: the caller's words, OpenAI's, the vendor's.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: see carried.h. */
#include "dataplane/pipeline/carried.h"

#include "dataplane/pipeline/poll.h"
#include "dataplane/pipeline/reply.h"
#include "dataplane/pipeline/upload.h"
#include "lib/base/clock.h"

#define REQUEST_BYTES_MAX ((size_t)64u * 1024u * 1024u)
#define ANSWER_BYTES_MAX ((size_t)80u * 1024u * 1024u)

void
carried_choose(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    const struct dialect *caller = x->endpoint->dialect;
    struct str base = exchange_model(x)->provider->base.path;
    enum chat_endpoint kind = x->endpoint->kind;
    bool other = !carry_same(a->dialect, caller, kind, base);
    a->guest = other ? guest_find(caller, kind) : NULL;
    a->carrier = other ? carrier_find(a->dialect, carried_endpoint(x), base) : NULL;
    a->translated = other;
    if (x->media != NULL) /* what is not carried passes as it is, to whoever has the address */
        a->translated = a->carrier != NULL;
}

/* Also when it is the turn of others before them: what flowed to those is forgotten. */
bool
carried_waits(const struct exchange *x)
{
    for (uint32_t i = x->target_at; i < x->targets.count; i++) {
        const struct config_provider *provider = x->targets.model[i]->provider;
        const struct carrier *carrier =
            carrier_find(provider->dialect, x->endpoint->kind, provider->base.path);
        if (carrier != NULL && carrier->draft != NULL)
            return true;
    }
    return false;
}

/* A guest's letter is understood by who speaks OpenAI's, else it takes a carrier. */
bool
carried_is(const struct exchange *x)
{
    const struct attempt *a = &x->attempt;
    return a->carrier != NULL || (a->guest != NULL && dialect_same(a->dialect, &dialect_openai));
}

enum chat_endpoint
carried_endpoint(const struct exchange *x)
{
    return x->attempt.guest != NULL ? CHAT_ENDPOINT_EMBEDDINGS : x->endpoint->kind;
}

/* ---- the request ----------------------------------------------------------------------------- */

static int
join_dropped(struct exchange *x, struct str first)
{
    struct str *dropped = &x->attempt.wish.dropped;
    if (first.len > 0 && dropped->len > 0)
        *dropped = arena_printf(&x->arena, "%.*s,%.*s", STR_ARG(first), STR_ARG(*dropped));
    else if (first.len > 0)
        *dropped = first;
    return dropped->ptr != NULL || dropped->len == 0 ? 0 : -ERR_NOMEM;
}

/* The guest's letter, which the scanner keeps pointing into, goes to the arena. */
static int
build_letter(struct exchange *x, struct err *err)
{
    struct attempt *a = &x->attempt;
    struct str letter;
    struct str model = exchange_model(x)->upstream;
    int rc = a->guest->request(&x->worker->doc, model, a->carrier != NULL, &x->arena, &a->body,
                               &a->wish, err);
    if (rc != 0 || a->carrier == NULL)
        return rc;
    struct str dropped = a->wish.dropped;
    if (arena_dup(&x->arena, buf_str(&a->body), &letter) != 0)
        return err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    a->body.len = 0;
    rc = json_scan(&x->worker->doc, letter, NULL, err);
    if (rc == 0)
        rc = a->carrier->request(&x->worker->doc, model, &x->arena, &a->body, &a->wish, err);
    return rc == 0 ? join_dropped(x, dropped) : rc;
}

int
carried_build(struct exchange *x, struct err *err)
{
    struct attempt *a = &x->attempt;
    struct json_doc *doc = &x->worker->doc;
    struct str model = exchange_model(x)->upstream;
    int rc = 0;
    if (x->upload == NULL)
        buf_init(&a->body, REQUEST_BYTES_MAX);
    if (x->upload != NULL)
        rc = upload_draft(x, err);
    else if (a->guest != NULL)
        rc = build_letter(x, err);
    else
        rc = a->carrier->request(doc, model, &x->arena, &a->body, &a->wish, err);
    a->wish.model = x->facts.model;
    a->wish.id = str_make(x->id, REQUEST_ID_BYTES);
    a->wish.created_s = (uint64_t)(clock_wall_ns() / 1000000000);
    a->dropped = a->wish.dropped;
    return rc;
}

/* ---- the reply ------------------------------------------------------------------------------- */

/* The answer in the caller's words; what the vendor said is in doc. */
static int
translate(struct exchange *x, struct buf *out, struct usage *ret_usage)
{
    struct attempt *a = &x->attempt;
    struct json_doc *doc = &x->worker->doc;
    static const struct json_limits limits = {.allow_duplicates = true};
    struct buf between;
    if (a->guest == NULL)
        return a->carrier->answer(doc, &a->wish, out, ret_usage);
    if (a->carrier == NULL) {
        (void)carry_report(doc, ret_usage);
        return a->guest->answer(doc, &a->wish, out);
    }
    buf_init(&between, ANSWER_BYTES_MAX);
    int rc = a->carrier->answer(doc, &a->wish, &between, ret_usage);
    if (rc == 0)
        rc = json_scan(doc, buf_str(&between), &limits, NULL);
    if (rc == 0)
        rc = a->guest->answer(doc, &a->wish, out);
    buf_fini(&between);
    return rc;
}

static void
answer(struct exchange *x, struct str body, const struct usage *used)
{
    x->usage = *used;
    if (x->media != NULL)
        media_usage(x->media, &exchange_model(x)->tariff, used, &x->usage);
    else if (used->evidence == EVIDENCE_NONE)
        reply_estimate(x);
    reply_settle_whole(x);
    reply_answer(x, 200, body, STR("application/json"));
    attempt_stop(x);
}

void
carried_reply(struct exchange *x)
{
    struct json_doc *doc;
    struct buf out;
    struct usage used = {.evidence = EVIDENCE_NONE};
    if (!reply_scan(x, buf_str(&x->attempt.reply), &doc))
        return;
    buf_init(&out, ANSWER_BYTES_MAX);
    int rc = translate(x, &out, &used);
    if (rc != -ERR_TIMEOUT)
        poll_done(x);
    if (rc == -ERR_TIMEOUT && x->attempt.carrier->ticket != NULL)
        poll_begin(x);
    else if (rc == -ERR_TIMEOUT)
        attempt_failed(x, HTTP_ERROR_upstream_timeout, STR("The provider did not finish in time."));
    else if (rc == -ERR_NOT_FOUND)
        attempt_failed(x, HTTP_ERROR_upstream_failed,
                       STR("The provider made nothing of this: it refused, or answered in words."));
    else if (rc != 0 || mask_holds(&exchange_model(x)->provider->mask, buf_str(&out)))
        attempt_failed(x, HTTP_ERROR_upstream_protocol,
                       STR("The provider's answer cannot be read."));
    else
        answer(x, buf_str(&out), &used);
    buf_fini(&out);
}
