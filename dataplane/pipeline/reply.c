/* SPDX-License-Identifier: MIT
 * reply.c - whole replies and error replies: account, translate where needed, answer.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: no byte of a provider's reply that holds our key reaches a caller; a reply that passes
 * is the provider's bytes unchanged. */
#include "dataplane/pipeline/reply.h"

#include "dataplane/pipeline/cost.h"
#include "dataplane/pipeline/poll.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define ANSWER_BYTES_MAX ((size_t)80u * 1024u * 1024u)
#define MESSAGE_BYTES_MAX 512u
#define ACCOUNT_BYTES_MIN 8u /* of a name behind "org-": shorter ones are words */
/* Where nothing was reported: text averages four bytes a token. */
#define BYTES_PER_TOKEN 4u

uint32_t
reply_head_fields(struct exchange *x, struct http_field *fields, struct str content_type,
                  bool with_cost)
{
    uint32_t count = 0;
    fields[count++] = (struct http_field){STR("content-type"), content_type};
    fields[count++] = (struct http_field){STR("x-request-id"), str_make(x->id, REQUEST_ID_BYTES)};
    if (x->endpoint->dialect->id_field != NULL)
        fields[count++] = (struct http_field){str_from(x->endpoint->dialect->id_field),
                                              str_make(x->id, REQUEST_ID_BYTES)};
    fields[count++] = (struct http_field){STR("x-provider"), exchange_model(x)->provider->name};
    if (UNLIKELY(x->attempt.dropped.len > 0))
        fields[count++] = (struct http_field){STR("x-berth-dropped"), x->attempt.dropped};
    char *attempts = arena_alloc(&x->arena, 64);
    if (attempts == NULL)
        return count;
    fields[count++] = (struct http_field){STR("x-berth-attempts"),
                                          str_make(attempts, num_write_u64(attempts, x->attempts))};
    if (with_cost) {
        money_format(x->charge.total, attempts + 24);
        fields[count++] = (struct http_field){STR("x-berth-cost"), str_from(attempts + 24)};
    } else {
        fields[count++] = (struct http_field){STR("cache-control"), STR("no-cache")};
        fields[count++] = (struct http_field){STR("x-accel-buffering"), STR("no")};
        if (UNLIKELY(http_stream_trailers(x->stream)))
            fields[count++] = COST_TRAILER;
    }
    ASSERT(count <= REPLY_FIELDS_MAX);
    return count;
}

static uint64_t
tokens_of(uint64_t bytes)
{
    uint64_t tokens = (bytes + BYTES_PER_TOKEN - 1u) / BYTES_PER_TOKEN;
    return MIN(tokens, USAGE_COUNT_MAX);
}

struct usage
reply_estimated(const struct exchange *x)
{
    struct usage usage = {.evidence = EVIDENCE_ESTIMATE};
    usage.count[USAGE_input] = tokens_of(x->facts.prompt_bytes + 1u);
    usage.count[USAGE_output] = tokens_of(x->attempt.look.total_bytes);
    return usage;
}

void
reply_estimate(struct exchange *x)
{
    x->usage = reply_estimated(x);
    for (enum usage_class i = 0; i < USAGE_CLASS_COUNT; i++) { /* what was seen to be run */
        if (!usage_is_tokens(i))
            x->usage.count[i] = x->attempt.look.usage.count[i];
    }
}

void
reply_delivered(struct exchange *x)
{
    if (x->media != NULL) {
        reply_media_delivered(x);
        return;
    }
    const struct stream_look *look = &x->attempt.look;
    bool estimate = x->stream == NULL && x->targets.on_leave == CONFIG_LEAVE_ESTIMATE;
    bool reported = look->usage.evidence != EVIDENCE_NONE;
    if (reported && (look->seen & STREAM_FINISH) != 0 && !estimate) {
        x->usage = look->usage;
        return;
    }
    reply_estimate(x);
    if (estimate)
        return;
    uint64_t counted = x->usage.count[USAGE_output];
    if (reported) {
        x->usage = look->usage;
        x->usage.count[USAGE_output] += counted - MIN(counted, usage_answer_tokens(&look->usage));
    }
    x->usage.evidence = EVIDENCE_COUNTED;
}

static bool
holds_key(const struct exchange *x, struct str body)
{
    return mask_holds(&exchange_model(x)->provider->mask, body);
}

void
reply_answer(struct exchange *x, unsigned status, struct str body, struct str content_type)
{
    struct http_field fields[REPLY_FIELDS_MAX + 1] UNINIT;
    x->status = (uint16_t)status;
    uint32_t count = reply_head_fields(x, fields, content_type, true);
    char retry[24];
    if (status >= 400 && x->attempt.retry_after_s > 0)
        fields[count++] = (struct http_field){
            STR("retry-after"), str_make(retry, num_write_u64(retry, x->attempt.retry_after_s))};
    struct buf with_cost;
    buf_init(&with_cost, ANSWER_BYTES_MAX);
    if (UNLIKELY(x->wants_cost) && status < 300)
        body = cost_in_answer(x, body, &with_cost);
    http_stream_answer(x->stream, status, fields, count, body);
    buf_fini(&with_cost);
}

static void
answer_translated(struct exchange *x)
{
    struct chat_answer whole = {0};
    struct err err = {0};
    struct buf out;
    buf_init(&out, ANSWER_BYTES_MAX);
    int rc = exchange_dialect(x)->answer_in(&x->worker->doc, &x->arena, &whole, &err);
    if (whole.created == 0)
        whole.created = (uint64_t)(clock_wall_ns() / 1000000000);
    whole.old_calls = x->facts.old_calls;
    if (whole.usage.evidence == EVIDENCE_NONE)
        whole.usage = x->usage; /* what it is charged as */
    if (rc == 0)
        rc = x->endpoint->dialect->answer_out(&whole, &x->arena, &out);
    if (rc == 0)
        reply_answer(x, 200, buf_str(&out), STR("application/json"));
    buf_fini(&out);
    if (rc != 0) {
        (void)exchange_fail(x, HTTP_ERROR_upstream_protocol,
                            STR("The provider's answer cannot be read."));
        pipeline_refuse(x);
    }
}

/* Nobody to ask who speaks this dialect: the estimate that streams without usage are billed by. */
void
reply_tokens(struct exchange *x)
{
    struct buf out;
    bool gemini = x->endpoint->dialect == &dialect_gemini;
    buf_init(&out, 256);
    buf_printf(&out, "{\"%s\":%llu}", gemini ? "totalTokens" : "input_tokens",
               (unsigned long long)x->facts.prompt_bytes / BYTES_PER_TOKEN + 1u);
    x->status = 200;
    pipeline_settle(x, OUTCOME_completed);
    reply_answer(x, 200, buf_str(&out), STR("application/json"));
    buf_fini(&out);
}

void
reply_whole(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct worker *worker = x->worker;
    static const struct json_limits limits = {.allow_duplicates = true};
    struct str body = buf_str(&a->reply);
    if (json_scan(&worker->doc, body, &limits, NULL) != 0 ||
        !json_is(&worker->doc, 0, JSON_OBJECT)) {
        attempt_failed(x, HTTP_ERROR_upstream_protocol, STR("The provider's answer is not JSON."));
        return;
    }
    struct stream_look look = {0};
    exchange_dialect(x)->answer_look(&worker->doc, &look);
    if ((look.flags & STREAM_ERROR) != 0) { /* an error inside a 200 */
        reply_error_event(x, body);
        return;
    }
    a->look = look;
    x->first_token_ns = loop_now_ns(x->worker->loop);
    x->ended_ns = x->first_token_ns; /* all of it came at once */
    x->usage = look.usage;
    bool embeds = x->endpoint->kind == CHAT_ENDPOINT_EMBEDDINGS ||
                  x->endpoint->kind == CHAT_ENDPOINT_EMBED_ONE;
    if (embeds && x->usage.evidence == EVIDENCE_NONE)
        (void)carry_report(&worker->doc, &x->usage);
    if (x->usage.evidence == EVIDENCE_NONE && x->endpoint->kind != CHAT_ENDPOINT_TOKENS) {
        if (a->look.total_bytes == 0 && !embeds)
            a->look.total_bytes = body.len;
        reply_estimate(x);
    }
    if (holds_key(x, body)) {
        attempt_failed(x, HTTP_ERROR_upstream_protocol,
                       STR("The provider's answer held Berth's own key."));
        return;
    }
    a->committed = true;
    x->status = 200;
    pipeline_settle(x, OUTCOME_completed);
    if (a->translated)
        answer_translated(x);
    else
        reply_answer(x, a->status, body, STR("application/json"));
    attempt_stop(x);
}

/* What an upstream error means for the caller: its own fault (pass on), or ours or the provider's.
 */
static enum http_error
error_row(const struct chat_error *error)
{
    switch (error->class_) {
    case CHAT_ERROR_AUTH:
    case CHAT_ERROR_QUOTA:
        return HTTP_ERROR_upstream_failed;
    case CHAT_ERROR_OVERLOADED:
        return HTTP_ERROR_overloaded;
    case CHAT_ERROR_RATE:
        return HTTP_ERROR_rate_limited;
    case CHAT_ERROR_OTHER:
    case CHAT_ERROR_CONTEXT_LENGTH:
    case CHAT_ERROR_PARAMETER:
    case CHAT_ERROR_MODEL:
    case CHAT_ERROR_TOOLS_NEED_RESPONSES:
        break;
    }
    if (error->status == 408 || error->status == 504)
        return HTTP_ERROR_upstream_timeout;
    return HTTP_ERROR_upstream_failed;
}

static bool
error_is_callers(const struct chat_error *error)
{
    return error->status == 400 || error->status == 413 || error->status == 422 ||
           (error->status == 404 && error->class_ != CHAT_ERROR_MODEL);
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whose account it is, is the owner's affair: "organization org-8fS... on tokens per min". */
static struct str
without_accounts(struct str message, struct arena *arena)
{
    static const struct str kinds[] = {{"org-", 4}, {"proj_", 5}};
    char *out = arena_alloc(arena, message.len + 1);
    size_t made = 0;
    for (size_t i = 0; out != NULL && i < message.len;) {
        struct str rest = str_skip(message, i);
        size_t size = 0;
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            if (str_starts(rest, kinds[k]) && (i == 0 || !is_word(message.ptr[i - 1])))
                size = kinds[k].len;
        size_t name = size;
        while (size > 0 && name < rest.len && is_word(rest.ptr[name]))
            name++;
        bool account = name >= size + ACCOUNT_BYTES_MIN && size > 0;
        size_t keep = account ? size : 1;
        memcpy(out + made, rest.ptr, keep);
        made += keep;
        if (account)
            out[made++] = '*';
        i += account ? name : 1;
    }
    return out == NULL ? STR_EMPTY : str_make(out, made);
}

/* Text of a provider for a caller: bounded, without our key. */
static struct str
error_text(struct exchange *x, const struct chat_error *error)
{
    const struct config_provider *provider = exchange_model(x)->provider;
    if (error->class_ == CHAT_ERROR_AUTH)
        return arena_printf(&x->arena, "Provider %.*s refused the key that Berth holds for it.",
                            STR_ARG(provider->name));
    struct str message = error->message;
    if (holds_key(x, message))
        message = STR("(its message held a secret and was dropped)");
    message.len = MIN(message.len, (size_t)MESSAGE_BYTES_MAX);
    message = without_accounts(message, &x->arena);
    struct str text =
        arena_printf(&x->arena, "Provider %.*s: %.*s", STR_ARG(provider->name), STR_ARG(message));
    return text.ptr != NULL ? text : STR_EMPTY;
}

/* By these words coding agents see that they have to shorten what they send. */
static void
name_context_length(struct exchange *x, struct chat_error *error)
{
    static const struct str words = {"prompt is too long", 18};
    struct str message = error->message;
    error->code = STR("context_length_exceeded");
    if (x->endpoint->dialect != &dialect_anthropic || str_find(message, words) != SIZE_MAX)
        return;
    message = arena_printf(&x->arena, "%.*s: %.*s", STR_ARG(words), STR_ARG(message));
    if (message.ptr != NULL)
        error->message = message;
}

/* The caller's own mistake: the provider's answer, in the caller's dialect. */
static void
answer_error(struct exchange *x, struct chat_error *error)
{
    struct attempt *a = &x->attempt;
    struct str body = buf_str(&a->reply);
    x->usage = (struct usage){.evidence = EVIDENCE_NONE};
    x->status = error->status;
    if (!a->translated && a->json && a->mode != REPLY_STREAM && !holds_key(x, body)) {
        pipeline_settle(x, OUTCOME_upstream_error);
        reply_answer(x, error->status, body, STR("application/json"));
        attempt_stop(x);
        return;
    }
    struct buf out;
    buf_init(&out, 1u << 20);
    uint16_t status = error->status;
    error->message = error_text(x, error);
    if (error->class_ == CHAT_ERROR_CONTEXT_LENGTH)
        name_context_length(x, error);
    error->request_id = str_make(x->id, REQUEST_ID_BYTES); /* as the field says */
    int rc = x->endpoint->dialect->error_out(error, &out, &status);
    pipeline_settle(x, OUTCOME_upstream_error);
    reply_answer(x, status, rc == 0 ? buf_str(&out) : STR("{}"), STR("application/json"));
    buf_fini(&out);
    attempt_stop(x);
}

/* Function tools of newer models are served at /responses only: the same target once more. */
static bool
retry_by_responses(struct exchange *x, const struct chat_error *error)
{
    const struct config_model *model = exchange_model(x);
    if (error->class_ != CHAT_ERROR_TOOLS_NEED_RESPONSES || exchange_dialect(x) != &dialect_openai)
        return false;
    attempt_stop(x);
    if (x->config == x->worker->config)
        x->worker->series[model->index].tools_by_responses = true; /* learned */
    x->by_responses = true;
    attempt_start(x);
    return true;
}

/* What is left to do with it: the caller's own mistake is told, else another target is tried. */
static void
refuse(struct exchange *x, struct chat_error *error)
{
    struct attempt *a = &x->attempt;
    /* only what a conversation is told: the control plane asks again with one */
    if (error->class_ == CHAT_ERROR_MODEL && x->endpoint->kind == CHAT_ENDPOINT_CHAT &&
        x->worker->model_gone != NULL)
        x->worker->model_gone(x->worker, exchange_model(x)->provider->name,
                              exchange_model(x)->upstream);
    if (error_is_callers(error)) {
        answer_error(x, error);
        return;
    }
    if (a->retry_after_s == 0)
        a->retry_after_s = MIN(error->retry_after_s, RETRY_AFTER_S_MAX);
    x->retry_after_s = a->retry_after_s;
    /* of a key or an account that is spent, waiting heals nothing */
    a->hopeless = error->class_ == CHAT_ERROR_AUTH || error->class_ == CHAT_ERROR_QUOTA;
    attempt_failed(x, error_row(error), error_text(x, error));
}

void
reply_error(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct chat_error error = {0};
    uint16_t status = a->status >= 400 ? a->status : 502;
    if (exchange_dialect(x)->error_in(status, buf_str(&a->reply), &x->arena, &error) != 0)
        error = (struct chat_error){.status = status};
    if (retry_by_responses(x, &error))
        return;
    if ((status == 429 || status >= 500) && poll_again(x))
        return;
    refuse(x, &error);
}

void
reply_error_event(struct exchange *x, struct str data)
{
    struct chat_error error = {0};
    if (exchange_dialect(x)->error_in(0, data, &x->arena, &error) != 0)
        error = (struct chat_error){.status = 502};
    if (x->attempt.committed)
        reply_stream_cut(x, OUTCOME_upstream_error_event, error_row(&error), error_text(x, &error));
    else
        refuse(x, &error);
}
