/* SPDX-License-Identifier: MIT
 * pipeline.c - the one loop that runs the layers, and the one place that ends an exchange.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: the exchange's life: born in pipeline_start, freed in pipeline_closed.
 * Invariant: settle runs exactly once, before the last byte of an answer may leave. */
#include <stdlib.h>

#include "dataplane/pipeline/reply.h"
#include "dataplane/pipeline/runs.h"
#include "dataplane/pipeline/upload.h"
#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/base/secret.h"
#include "lib/text/multipart.h"
#include "lib/text/uri.h"

#define FORWARDED_NAMES_MAX 16u

const struct layer *const layer_table[] = {
#define LAYER_ROW(name, text) &layer_##name,
#include "dataplane/pipeline/layers.def"
#undef LAYER_ROW
    NULL};

enum layer_verdict
exchange_fail(struct exchange *exchange, enum http_error refusal, struct str text)
{
    exchange->refusal = refusal;
    exchange->refusal_text = text;
    return LAYER_FAIL;
}

const struct config_model *
exchange_model(const struct exchange *exchange)
{
    ASSERT(exchange->target_at < exchange->targets.count);
    return exchange->targets.model[exchange->target_at];
}

const struct dialect *
exchange_dialect_at(const struct exchange *exchange, const struct config_model *model)
{
    const struct worker *worker = exchange->worker;
    if (LIKELY(exchange->attempt.dialect != NULL && model == exchange_model(exchange)))
        return exchange->attempt.dialect;
    bool learned = exchange->facts.has_tools && exchange->config == worker->config &&
                   worker->series != NULL && worker->series[model->index].tools_by_responses;
    if (UNLIKELY(exchange->by_responses || learned || model->responses_only) &&
        model->provider->dialect == &dialect_openai)
        return &dialect_responses;
    return model->provider->dialect;
}

const struct dialect *
exchange_dialect(const struct exchange *exchange)
{
    return exchange_dialect_at(exchange, exchange_model(exchange));
}

const struct stream_reader_class *
exchange_reader(const struct exchange *exchange)
{
    return exchange->media != NULL ? &media_reader : exchange_dialect(exchange)->reader;
}

static bool
answers_in_tokens(const struct exchange *x)
{
    if (x->media != NULL)
        return x->media->text_answer || x->media->answer_tokens_max > 0;
    return x->endpoint->kind == CHAT_ENDPOINT_CHAT ||
           x->endpoint->kind == CHAT_ENDPOINT_COMPLETIONS;
}

struct price_call
exchange_price_call(const struct exchange *x, const struct config_model *model,
                    struct price_runs *runs)
{
    const struct media_facts *media = x->media;
    bool talks = media == NULL || media->text_answer; /* the model's window and limit hold */
    return (struct price_call){
        .tariff = &model->tariff,
        .free = model->free || x->endpoint->kind == CHAT_ENDPOINT_TOKENS,
        .chat = answers_in_tokens(x),
        .tools = x->facts.has_tools,
        .choices = x->facts.choices,
        .markup_bps = x->config->settings.markup_bps,
        .prompt_bytes = x->facts.prompt_bytes,
        .asked = x->facts.max_output,
        .context_tokens = talks ? model->context_tokens : 0,
        .answer_tokens_max = talks ? model->max_output_tokens : 0,
        .seen_bytes = x->attempt.look.total_bytes,
        .most = media != NULL ? media->most : NULL,
        .image_pico = media != NULL ? tariff_image(&model->tariff, media->quality, media->size) : 0,
        .runs = runs_price(x, model, runs),
        .made_s = x->made_s};
}

void
pipeline_request_id(struct worker *worker, char out[REQUEST_ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    memcpy(out, "req_", 4);
    /* Unique by the counter, unguessable in order by the salt; not a secret. */
    uint64_t high = worker->request_salt ^ (++worker->request_count * 0x9e3779b97f4a7c15u);
    uint64_t low = worker->request_salt * 0xda942042e4dd58b5u + worker->request_count;
    for (size_t i = 4; i < 15; i++, high >>= 5)
        out[i] = digits[high & 31u];
    for (size_t i = 15; i < REQUEST_ID_BYTES; i++, low >>= 5)
        out[i] = digits[low & 31u];
    out[REQUEST_ID_BYTES] = '\0';
}

static void
exchange_free(struct exchange *x)
{
    ASSERT(x->settled && x->stream == NULL);
    timer_cancel(loop_timers(x->worker->loop), &x->timer);
    list_remove(&x->node);
    list_remove(&x->wait_node);
    x->worker->open_count--;
    metric_add(x->worker->series_open, -1);
    if (x->left && x->binding != NULL)
        live_release(&x->binding);
    config_release(&x->config);
    upload_end(x);
    struct arena arena = x->arena; /* it holds x, too */
    arena_fini(&arena);
}

static void
exchange_timer(struct timer *timer)
{
    struct exchange *x = CONTAINER_OF(timer, struct exchange, timer);
    if (x->left && x->settled)
        exchange_free(x);
    else if (x->parked)
        pipeline_resume(x);
    else
        attempt_timer(x);
}

static bool
is_json(struct str content_type)
{
    struct str type;
    struct str parameters;
    if (str_eq(content_type, STR("application/json")))
        return true;
    (void)str_cut(content_type, ';', &type, &parameters);
    struct str charset = str_trim(parameters);
    return str_eq_nocase(str_trim(type), STR("application/json")) &&
           (charset.len == 0 || str_eq_nocase(charset, STR("charset=utf-8")));
}

/* A form's type names its boundary; the provider needs it as it is. */
static void
note_type(struct exchange *x, struct str content_type)
{
    struct str boundary;
    x->json_content = is_json(content_type);
    x->form_type = STR_EMPTY;
    if (media_is_form(x->endpoint->kind) && multipart_boundary(content_type, &boundary) &&
        arena_dup(&x->arena, content_type, &x->form_type) != 0)
        x->form_type = STR_EMPTY;
}

static struct str
bearer_of(struct str said)
{
    bool bearer = str_starts(said, STR("Bearer ")) ||
                  (said.len > 7 && str_eq_nocase(str_make(said.ptr, 7), STR("bearer ")));
    return bearer ? str_trim(str_skip(said, 7)) : STR("?");
}

/* Some SDKs put one key into two fields. The same field twice, or two keys, is nobody. */
static void
note_credential(struct exchange *x, struct str said, uint32_t field, uint32_t *seen)
{
    if ((*seen & field) != 0 || (*seen != 0 && !secret_eq(said, x->credential)))
        x->many_credentials = true;
    *seen |= field;
    x->credential = said;
}

/* One pass over the fields: credentials, what the body is, what smells. The length of a name says
 * which it can be. */
static void
note_field(struct exchange *x, const struct http_field *field, uint32_t *credentials)
{
    struct str name = field->name;
    switch (name.len) {
    case 13:
        if (str_eq(name, STR("authorization")))
            note_credential(x, bearer_of(field->value), 1, credentials);
        break;
    case 7:
    case 9:
    case 14:
        if (str_eq(name, STR("x-api-key")) || str_eq(name, STR("api-key")) ||
            str_eq(name, STR("x-goog-api-key")))
            note_credential(x, field->value.len > 0 ? field->value : STR("?"), 1u << (name.len - 6),
                            credentials);
        break;
    case 12:
        if (str_eq(name, STR("content-type")))
            note_type(x, field->value);
        break;
    case 16:
        if (str_eq(name, STR("content-encoding")))
            x->coding = x->coding == CODING_IDENTITY ? coding_kind(field->value) : CODING_UNKNOWN;
        break;
    default:
        break;
    }
    if (str_starts(name, STR("x-forwarded-")) || str_eq(name, STR("forwarded")) ||
        str_eq(name, STR("via")) || str_eq(name, STR("origin")))
        x->deputy = true;
}

/* Google's own examples say "?key=..."; a key has nothing to escape. */
static void
note_query(struct exchange *x, struct str target)
{
    struct str path;
    struct str query = STR_EMPTY;
    if (!uri_split_target(target, &path, &query) ||
        !uri_query_get(query, STR("key"), &x->credential))
        x->credential = STR_EMPTY;
}

static int
note_forwarded(struct exchange *x, const struct http_head *head)
{
    const char *const *names = x->endpoint->dialect->forward_fields;
    if (names == NULL || names[0] == NULL)
        return 0;
    struct str known[FORWARDED_NAMES_MAX] UNINIT;
    size_t known_count = 0;
    for (; known_count < ARRAY_LEN(known) && names[known_count] != NULL; known_count++)
        known[known_count] = str_from(names[known_count]);
    ASSERT(known_count == ARRAY_LEN(known) || names[known_count] == NULL);
    for (uint32_t i = 0; i < head->field_count; i++) {
        for (size_t n = 0; n < known_count; n++) {
            if (!str_eq(head->fields[i].name, known[n]))
                continue;
            if (x->forwarded == NULL)
                x->forwarded = arena_array(&x->arena, head->field_count, sizeof(*x->forwarded));
            if (x->forwarded == NULL)
                return -ERR_NOMEM;
            struct http_field *copy = &x->forwarded[x->forwarded_count];
            copy->name = known[n];
            if (arena_dup(&x->arena, head->fields[i].value, &copy->value) != 0)
                return -ERR_NOMEM;
            x->forwarded_count++;
        }
    }
    return 0;
}

static bool
authority_is_local(struct str authority)
{
    static const struct str usual = {"127.0.0.1:", 10};
    struct str host = authority;
    uint64_t port;
    if (str_starts(authority, usual) && num_u64(str_skip(authority, usual.len), 65535, &port) == 0)
        return true;
    size_t bracket = str_find_byte(host, ']');
    if (bracket != SIZE_MAX)
        host.len = bracket + 1;
    else
        (void)str_cut(authority, ':', &host, &(struct str){0});
    static const struct str local[] = {
        {"127.0.0.1", 9}, {"localhost", 9}, {"[::1]", 5}, {"berth", 5}};
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        if (str_eq_nocase(host, local[i]))
            return true;
    }
    /* a link-local address, as the agent may give to lo: no name resolves to being this literal */
    bool literal = str_starts(host, STR("169.254.")) && host.len <= 15;
    for (size_t i = 0; literal && i < host.len; i++)
        literal = host.ptr[i] == '.' || (host.ptr[i] >= '0' && host.ptr[i] <= '9');
    return literal;
}

static struct exchange *
exchange_new(struct worker *worker, struct http_stream *stream, const struct http_head *head,
             const struct endpoint *endpoint)
{
    struct arena arena;
    arena_init(&arena, EXCHANGE_ARENA_BYTES);
    struct exchange *x = ARENA_NEW(&arena, struct exchange);
    if (x == NULL)
        return NULL;
    x->arena = arena;
    x->worker = worker;
    x->stream = stream;
    x->endpoint = endpoint;
    x->started_ns = loop_now_ns(worker->loop);
    x->content_length = head->content_length;
    timer_init(&x->timer, exchange_timer);
    list_init(&x->wait_node);
    list_push_back(&worker->exchanges, &x->node);
    worker->open_count++;
    metric_add(worker->series_open, 1);
    pipeline_request_id(worker, x->id);
    uint32_t credentials = 0;
    for (uint32_t i = 0; i < head->field_count; i++)
        note_field(x, &head->fields[i], &credentials);
    if (UNLIKELY(credentials == 0) && endpoint->dialect == &dialect_gemini)
        note_query(x, head->target);
    x->misdirected = !authority_is_local(head->authority);
    return x;
}

/* Runs the layers of a stage; true when all of them said NEXT. */
static bool
pipeline_run(struct exchange *x, enum layer_stage stage)
{
    const struct layer *layer;
    while ((layer = layer_table[x->layer_at]) != NULL && layer->stage == stage) {
        x->layer_entered = (uint8_t)(x->layer_at + 1);
        x->parked = false;
        switch (layer->request(x)) {
        case LAYER_NEXT:
            x->layer_at++;
            continue;
        case LAYER_WAIT:
            x->parked = true;
            return false;
        case LAYER_ANSWER:
            pipeline_settle(x, OUTCOME_completed);
            return false;
        case LAYER_FAIL:
            pipeline_refuse(x);
            return false;
        }
    }
    return true;
}

struct exchange *
pipeline_start(struct worker *worker, struct http_stream *stream, const struct http_head *head,
               const struct endpoint *endpoint)
{
    struct exchange *x = exchange_new(worker, stream, head, endpoint);
    if (x == NULL) {
        http_stream_abort(stream);
        return NULL;
    }
    http_stream_set_user(stream, x);
    if (!pipeline_run(x, LAYER_HEAD))
        return x;
    x->credential = STR_EMPTY; /* was borrowed from the head */
    if (note_forwarded(x, head) != 0) {
        (void)exchange_fail(x, HTTP_ERROR_overloaded, STR_EMPTY);
        pipeline_refuse(x);
    }
    return x;
}

void
pipeline_body(struct exchange *x)
{
    if (x->settled)
        return; /* refused at the head */
    x->body_ready = true;
    if (pipeline_run(x, LAYER_BODY))
        attempt_start(x);
}

void
pipeline_resume(struct exchange *x)
{
    if (!x->parked || x->settled)
        return;
    timer_cancel(loop_timers(x->worker->loop), &x->timer);
    if (UNLIKELY(upload_resume(x)))
        return;
    if (pipeline_run(x, LAYER_BODY))
        attempt_start(x);
}

struct str
pipeline_too_large(struct exchange *x, uint64_t max)
{
    return arena_printf(&x->arena, "The request body is larger than the limit here, %llu bytes.",
                        (unsigned long long)max);
}

void
pipeline_body_refused(struct exchange *x, unsigned status)
{
    if (x->settled)
        return;
    enum http_error refusal = HTTP_ERROR_overloaded;
    struct str text = STR_EMPTY;
    if (status == 413) {
        text = pipeline_too_large(x, x->config->settings.body_bytes_max);
        refusal = HTTP_ERROR_too_large;
    } else if (status == 400) {
        refusal = HTTP_ERROR_bad_request;
        text = STR("The body is not what its content-encoding says, or not all of it.");
    }
    (void)exchange_fail(x, refusal, text);
    pipeline_refuse(x);
}

/* A request that ended well under the current configuration: no look-up by label. */
static bool
count_completed(const struct exchange *x)
{
    struct worker *worker = x->worker;
    if (x->outcome != OUTCOME_completed || x->status != 200 || x->config != worker->config)
        return false;
    const struct worker_series *series = &worker->series[exchange_model(x)->index];
    metric_add(series->completed, 1);
    metric_add(series->charge, x->charge.total.nano);
    metric_observe(series->duration, x->ended_ns - x->started_ns);
    if (x->first_token_ns != 0)
        metric_observe(series->ttft, x->first_token_ns - x->started_ns);
    return true;
}

static void
count_outcome(const struct exchange *x)
{
    static const char *const classes[] = {"0", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct worker *worker = x->worker;
    if (x->outcome == OUTCOME_refused) {
        struct str reason = str_from(http_error_row(x->refusal)->code);
        metric_add(metrics_series(worker->metrics, METRIC_refused, &reason), 1);
    }
    if (x->endpoint->list_models || x->targets.count == 0 || count_completed(x))
        return;
    const struct config_model *model = exchange_model(x);
    struct str labels[] = {model->id, model->provider->name,
                           str_from(usage_outcome_name(x->outcome)),
                           str_from(classes[x->status < 600 ? x->status / 100 : 0])};
    metric_add(metrics_series(worker->metrics, METRIC_requests, labels), 1);
    metric_add(metrics_series(worker->metrics, METRIC_charge, &model->id), x->charge.total.nano);
    metric_observe(metrics_series(worker->metrics, METRIC_duration, &labels[1]),
                   x->ended_ns - x->started_ns);
}

void
pipeline_settle(struct exchange *x, enum usage_outcome outcome)
{
    if (x->settled)
        return;
    x->settled = true;
    x->outcome = x->left && outcome != OUTCOME_revoked ? OUTCOME_client_gone : outcome;
    if (x->ended_ns == 0)
        x->ended_ns = loop_now_ns(x->worker->loop);
    while (x->layer_entered > 0) {
        const struct layer *layer = layer_table[--x->layer_entered];
        if (layer->settle != NULL)
            layer->settle(x);
    }
    count_outcome(x);
}

void
pipeline_refuse(struct exchange *x)
{
    const struct http_error_row *row = http_error_row(x->refusal);
    if (UNLIKELY(x->attempt.committed) && !x->settled) { /* an answer to half of a form */
        reply_stream_cut(x, OUTCOME_upstream_cut, x->refusal, x->refusal_text);
        return;
    }
    x->status = row->status;
    attempt_stop(x);
    pipeline_settle(x, x->attempts > 0 ? OUTCOME_upstream_error : OUTCOME_refused);
    if (x->stream == NULL)
        return;
    struct buf body;
    buf_init(&body, (size_t)64u * 1024u);
    struct chat_error error = chat_error_ours(x->refusal, x->refusal_text, STR_EMPTY);
    error.request_id = str_make(x->id, REQUEST_ID_BYTES);
    error.retry_after_s = x->retry_after_s;
    uint16_t status = row->status;
    if (x->endpoint->dialect->error_out(&error, &body, &status) != 0)
        body.len = 0;
    struct http_field fields[6] = {{STR("content-type"), STR("application/json")},
                                   {STR("x-request-id"), str_make(x->id, REQUEST_ID_BYTES)}};
    uint32_t count = 2;
    char retry[24];
    if (x->endpoint->dialect->id_field != NULL)
        fields[count++] = (struct http_field){str_from(x->endpoint->dialect->id_field),
                                              str_make(x->id, REQUEST_ID_BYTES)};
    if (row->status == 402 || x->attempt.hopeless)
        fields[count++] = (struct http_field){STR("x-should-retry"), STR("false")};
    if (x->refusal == HTTP_ERROR_content_coding)
        fields[count++] = (struct http_field){STR("accept-encoding"), STR(CODING_LIST)};
    if (x->retry_after_s > 0) {
        size_t bytes = num_write_u64(retry, x->retry_after_s);
        fields[count++] = (struct http_field){STR("retry-after"), str_make(retry, bytes)};
    }
    if (row->status == 401)
        fields[count++] = (struct http_field){STR("www-authenticate"), STR("Bearer")};
    x->status = status;
    http_stream_answer(x->stream, status, fields, count, buf_str(&body));
    buf_fini(&body);
}

void
pipeline_revoke(struct exchange *x)
{
    if (x->settled || (x->stream == NULL && !x->left))
        return;
    if (x->attempt.committed) {
        reply_stream_cut(x, OUTCOME_revoked, HTTP_ERROR_unauthenticated, STR_EMPTY);
        return;
    }
    attempt_stop(x);
    x->refusal = HTTP_ERROR_unauthenticated;
    x->status = 401;
    pipeline_settle(x, OUTCOME_revoked);
    http_stream_abort(x->stream);
}

/* The route wants the provider's own report, and there is a stream left to read it from. What the
 * exchange borrowed of the caller's connection is kept alive from here on. */
static bool
leave_reads_on(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    if (x->settled || x->targets.on_leave != CONFIG_LEAVE_DRAIN || !a->committed ||
        a->mode != REPLY_STREAM || a->call == NULL || http_call_timings(a->call)->sent_ns == 0)
        return false;
    x->left = true;
    x->stream = NULL;
    if (x->binding != NULL)
        (void)live_acquire(x->binding);
    http_call_pause(a->call, false); /* the caller may have been slow */
    return true;
}

void
pipeline_leave_end(struct exchange *x)
{
    ASSERT(x->left && x->settled);
    timer_arm(loop_timers(x->worker->loop), &x->timer, loop_now_ms(x->worker->loop));
}

void
pipeline_abandon(struct exchange *x)
{
    if (!x->left)
        return;
    if (!x->settled)
        reply_delivered(x);
    attempt_stop(x);
    pipeline_settle(x, OUTCOME_client_gone);
    exchange_free(x);
}

void
pipeline_closed(struct exchange *x, enum http_close_reason reason)
{
    bool begun = x->attempt.committed;
    if (leave_reads_on(x))
        return;
    x->stream = NULL;
    if (!x->settled && x->attempts > 0 && begun)
        reply_delivered(x);
    attempt_stop(x);
    if (!x->settled)
        pipeline_settle(x, reason == HTTP_REFUSED || reason == HTTP_TIMED_OUT ? OUTCOME_refused
                           : begun                                            ? OUTCOME_client_gone
                                   : OUTCOME_client_gone_early);
    exchange_free(x);
}
