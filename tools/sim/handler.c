/* SPDX-License-Identifier: MIT
 * handler.c - requests in, exchanges made and billed.
 * Floor: tools/sim; its loop's thread.
 * Owns: exchanges.
 * Invariant: every provider request gets one bill entry, when it is closed: sim_test.c. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/secret.h"
#include "lib/text/uri.h"
#include "tools/sim/redraw.h"
#include "tools/sim/sim.h"

/* ---- a request comes ------------------------------------------------------------------------- */

/* path: the whole of it, or its end behind a model's or a deployment's name. */
struct route {
    struct str method;
    struct str path;
    enum sim_endpoint endpoint;
    const struct sim_dialect *dialect;
    bool tail;
    bool stream;
};

static const struct route routes[] = {
    {STR("POST"), STR("/v1/chat/completions"), SIM_CHAT, &sim_openai, false, false},
    {STR("POST"), STR("/v1/embeddings"), SIM_EMBEDDINGS, &sim_openai, false, false},
    {STR("POST"), STR("/v1/messages"), SIM_MESSAGES, &sim_anthropic, false, false},
    {STR("POST"), STR("/v1/messages/count_tokens"), SIM_COUNT_TOKENS, &sim_anthropic, false, false},
    {STR("POST"), STR("/v1/responses"), SIM_RESPONSES, &sim_responses, false, false},
    {STR("POST"), STR("/v1/completions"), SIM_COMPLETIONS, &sim_completions, false, false},
    {STR("POST"), STR("/api/embeddings"), SIM_EMBED_OLLAMA_1, &sim_ollama, false, false},
    {STR("POST"), STR("/api/chat"), SIM_OLLAMA, &sim_ollama, false, false},
    {STR("POST"), STR("/v2/chat"), SIM_COHERE, &sim_cohere, false, false},
    {STR("POST"), STR(":generateContent"), SIM_GEMINI, &sim_gemini, true, false},
    {STR("POST"), STR(":streamGenerateContent"), SIM_GEMINI, &sim_gemini, true, true},
    {STR("POST"), STR("/converse"), SIM_CONVERSE, &sim_converse, true, false},
    {STR("POST"), STR("/converse-stream"), SIM_CONVERSE, &sim_converse, true, true},
    {STR("POST"), STR(":countTokens"), SIM_GEMINI_COUNT, &sim_gemini, true, false},
    {STR("POST"), STR("/chat/completions"), SIM_CHAT, &sim_openai, true, false}, /* Azure */
    {STR("POST"), STR("/embeddings"), SIM_EMBEDDINGS, &sim_openai, true, false},
    {STR("POST"), STR("/images/generations"), SIM_IMAGES, &sim_openai, true, false},
    {STR("POST"), STR("/images/edits"), SIM_IMAGES, &sim_openai, true, false},
    {STR("POST"), STR("/images/variations"), SIM_IMAGES, &sim_openai, true, false},
    {STR("POST"), STR("/audio/speech"), SIM_SPEECH, &sim_openai, true, false},
    {STR("POST"), STR("/audio/transcriptions"), SIM_TRANSCRIPTIONS, &sim_openai, true, false},
    {STR("POST"), STR("/audio/translations"), SIM_TRANSCRIPTIONS, &sim_openai, true, false},
    {STR("POST"), STR("/moderations"), SIM_MODERATIONS, &sim_openai, true, false},
    {STR("POST"), STR(":batchEmbedContents"), SIM_EMBED_GEMINI, &sim_gemini, true, false},
    {STR("POST"), STR(":embedContent"), SIM_EMBED_GEMINI_1, &sim_gemini, true, false},
    {STR("POST"), STR("/invoke"), SIM_EMBED_BEDROCK, &sim_converse, true, false},
    {STR("POST"), STR(":predict"), SIM_IMAGEN, &sim_gemini, true, false},
    {STR("POST"), STR("/predictions"), SIM_REPLICATE, &sim_openai, true, false},
    {STR("POST"), STR("/v2beta/stable-image/generate/core"), SIM_STABILITY, &sim_openai, false,
     false},
    {STR("POST"), STR("/v2/embed"), SIM_EMBED_COHERE, &sim_cohere, false, false},
    {STR("POST"), STR("/api/embed"), SIM_EMBED_OLLAMA, &sim_ollama, false, false},
    {STR("POST"), STR("/v2beta/stable-image/generate/ultra"), SIM_STABILITY, &sim_openai, false,
     false},
    {STR("POST"), STR("/v2beta/stable-image/generate/sd3"), SIM_STABILITY, &sim_openai, false,
     false},
    {STR("POST"), STR("/v2beta/stable-image/edit/inpaint"), SIM_STABILITY, &sim_openai, false,
     false},
    {STR("POST"), STR("/v1/flux-dev"), SIM_BFL, &sim_openai, false, false},
    {STR("POST"), STR("/v1/flux-kontext-pro"), SIM_BFL, &sim_openai, false, false},
    {STR("POST"), STR("/v2/rerank"), SIM_RERANK, &sim_cohere, false, false},
    {STR("POST"), STR("/rerank"), SIM_RERANK, &sim_openai, true, false},
};

static const struct route *
route_find(struct str method, struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        bool same = routes[i].tail ? str_ends(path, routes[i].path) : str_eq(routes[i].path, path);
        if (same && str_eq(routes[i].method, method))
            return &routes[i];
    }
    return NULL;
}

/* What stands before the route's tail, behind the last '/'. */
static struct str
route_model(const struct route *route, struct str path)
{
    size_t from = path.len - route->path.len;
    while (from > 0 && path.ptr[from - 1] != '/')
        from--;
    return str_make(path.ptr + from, path.len - route->path.len - from);
}

static bool
credential_ok(const struct sim *sim, const struct http_head *head)
{
    if (sim->key == NULL)
        return true;
    struct str bearer = http_field_get(head, STR("authorization"));
    struct str key = http_field_get(head, STR("x-api-key"));
    if (str_starts(bearer, STR("Bearer ")))
        key = str_skip(bearer, 7);
    if (key.len == 0)
        key = http_field_get(head, STR("x-goog-api-key"));
    if (key.len == 0)
        key = http_field_get(head, STR("api-key"));
    return secret_eq(key, str_from(sim->key));
}

static void
exchange_timer(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, timer);
    if (exchange->phase == EXCHANGE_READING)
        http_stream_pause(exchange->stream, false);
    else
        exchange_step(exchange);
}

static void
read_head(struct exchange *exchange, const struct http_head *head, struct str path)
{
    struct sim *sim = exchange->thread->sim;
    struct str id = http_field_get(head, STR("x-request-id"));
    if (id.len == 0)
        id = http_field_get(head, STR("x-client-request-id"));
    id.len = MIN(id.len, sizeof(exchange->entry.request_id) - 1);
    (void)!str_copy(exchange->entry.request_id, sizeof(exchange->entry.request_id), id);
    const struct route *route = route_find(STR("POST"), path);
    bool anthropic = str_starts(path, STR("/v1/messages")) ||
                     http_field_get(head, STR("anthropic-version")).len > 0;
    exchange->dialect = anthropic ? &sim_anthropic : &sim_openai;
    if (route != NULL)
        exchange->dialect = route->dialect;
    exchange->entry.dialect = exchange->dialect->name;
    exchange->denied = !credential_ok(sim, head);
    if (arena_dup(&exchange->arena, http_field_get(head, STR("content-type")),
                  &exchange->form_type) != 0)
        exchange->form_type = STR_EMPTY;
    if (arena_dup(&exchange->arena, head->authority, &exchange->authority) != 0)
        exchange->authority = STR_EMPTY;
    struct err err = {0};
    exchange->bad_header =
        directives_parse(&exchange->header, http_field_get(head, STR("x-sim")), &err) != 0;
    uint64_t wait_ms = directive_value(&exchange->header, DIRECTIVE_SLOW_READ, 0);
    if (wait_ms > 0) {
        struct loop *loop = exchange->thread->loop;
        http_stream_pause(exchange->stream, true);
        timer_arm(loop_timers(loop), &exchange->timer, loop_now_ms(loop) + wait_ms);
    }
}

static void
sim_on_request(struct http_stream *stream, const struct http_head *head)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    struct str path;
    struct str query;
    if (exchange == NULL) {
        http_stream_abort(stream);
        return;
    }
    exchange->thread = http_server_user(http_conn_server(http_stream_conn(stream)));
    exchange->stream = stream;
    arena_init(&exchange->arena, SIM_BODY_BYTES_MAX + (4u << 20));
    buf_init(&exchange->body, 256u << 20);
    timer_init(&exchange->timer, exchange_timer);
    http_stream_set_user(stream, exchange);
    if (!uri_split_target(head->target, &path, &query))
        path = STR("/");
    exchange->control = str_starts(path, STR("/sim/")) || str_eq(path, STR("/token"));
    read_head(exchange, head, path);
    http_stream_collect(stream, SIM_BODY_BYTES_MAX);
}

/* ---- it is complete -------------------------------------------------------------------------- */

/* The words of directive faults: status, and what the answer will be. */
static bool
answer_fault(struct exchange *exchange)
{
    char text[96];
    unsigned status = (unsigned)directive_value(&exchange->directives, DIRECTIVE_STATUS, 200);
    if (status == 200)
        return false;
    int length = snprintf(text, sizeof(text), "simulated error %u", status);
    exchange->body.len = 0;
    exchange->streamed = false;
    exchange->dialect->error(status, str_make(text, (size_t)length), &exchange->body);
    exchange->status = status;
    exchange->content_type = "application/json";
    exchange->answer = (struct sim_answer){0};
    exchange_start(exchange);
    return true;
}

static void
answer_replay(struct exchange *exchange, struct str name)
{
    struct err err = {0};
    const char *dir = exchange->thread->sim->replay_dir;
    const char *type = NULL;
    if (dir == NULL || replay_load(dir, name, &exchange->body, &type, &err) != 0) {
        exchange_error(exchange, 404, dir == NULL ? STR("no --replay folder") : str_from(err.text));
        return;
    }
    exchange->answer = (struct sim_answer){0}; /* what it cost is in the recording */
    exchange->content_type = type;
    exchange->streamed = str_eq(str_from(type), STR("text/event-stream"));
    exchange_start(exchange);
}

static void
fill_entry(struct exchange *exchange)
{
    struct bill_entry *entry = &exchange->entry;
    struct str model = exchange->answer.model;
    model.len = MIN(model.len, sizeof(entry->model) - 1);
    (void)!str_copy(entry->model, sizeof(entry->model), model);
}

static void
answer_request(struct exchange *exchange, const struct sim_request *request)
{
    const struct sim_answer *answer = &exchange->answer;
    exchange->status = 200;
    exchange->streamed = request->stream && request->endpoint != SIM_EMBEDDINGS &&
                         request->endpoint != SIM_COUNT_TOKENS &&
                         request->endpoint != SIM_GEMINI_COUNT;
    fill_entry(exchange);
    if (answer_fault(exchange))
        return;
    if (str_starts(request->model, STR("replay/"))) {
        answer_replay(exchange, str_skip(request->model, 7));
        return;
    }
    exchange->content_type = !exchange->streamed ? "application/json"
                             : exchange->dialect->stream_type != NULL
                                 ? exchange->dialect->stream_type
                                 : "text/event-stream";
    if (request->endpoint == SIM_EMBEDDINGS)
        embeddings_write(request, answer, &exchange->body);
    else if (request->endpoint == SIM_COUNT_TOKENS)
        buf_printf(&exchange->body, "{\"input_tokens\":%llu}", (unsigned long long)answer->prompt);
    else if (request->endpoint == SIM_GEMINI_COUNT)
        buf_printf(&exchange->body, "{\"totalTokens\":%llu}", (unsigned long long)answer->prompt);
    else if (!exchange->streamed)
        exchange->dialect->whole(answer, &exchange->body);
    exchange_start(exchange);
}

/* Of an address that says it in its last word, or not at all (Stable Diffusion 3: in the form). */
static struct str
maker_model(struct exchange *exchange, struct str path)
{
    struct str word = path;
    for (size_t at = str_find_byte(word, '/'); at != SIZE_MAX; at = str_find_byte(word, '/'))
        word = str_skip(word, at + 1);
    bool service = str_eq(word, STR("core")) || str_eq(word, STR("ultra"));
    return service ? arena_printf(&exchange->arena, "stable-image-%.*s", STR_ARG(word)) : word;
}

/* Images, sound and the like: one answer, known as a whole. */
static void
take_media(struct exchange *exchange, const struct route *route, enum sim_endpoint endpoint,
           struct str path)
{
    struct sim_thread *thread = exchange->thread;
    struct directives in_text = {0};
    struct sim_media media = {.model = STR_EMPTY};
    struct err err = {0};
    struct str body = http_stream_body(exchange->stream);
    if (endpoint == SIM_STABILITY || endpoint == SIM_BFL)
        media.model = maker_model(exchange, path);
    else if (media_is_named(endpoint))
        media.model = route_model(route, path);
    int rc = redraw_is(endpoint, media.model)
                 ? redraw_parse(body, exchange->form_type, endpoint, &thread->doc, &exchange->arena,
                                &media, &err)
                 : media_parse(body, exchange->form_type, endpoint, &thread->doc, &exchange->arena,
                               &media, &err);
    if (rc != 0) {
        exchange_error(exchange, 400, str_from(err.text));
        return;
    }
    script_apply(thread->sim->script, route->path, media.model, &exchange->directives);
    directives_merge(&exchange->directives, &exchange->header);
    if (directives_parse(&in_text, directives_in_text(media.text), &err) != 0) {
        exchange_error(exchange, 400, str_from(err.text));
        return;
    }
    directives_merge(&exchange->directives, &in_text);
    exchange->answer.lie =
        (enum directive_lie)directive_value(&exchange->directives, DIRECTIVE_LIE_USAGE, LIE_NONE);
    exchange->content_type = media_write(&media, &exchange->answer, &exchange->body);
    exchange->status = 200;
    if (later_ticket(exchange, &media)) {
        exchange_answer_now(exchange, 200, "application/json");
        return;
    }
    exchange->streamed = str_eq(str_from(exchange->content_type), STR("text/event-stream"));
    fill_entry(exchange);
    if (!answer_fault(exchange))
        exchange_start(exchange);
}

static void
take_request(struct exchange *exchange, const struct route *route, struct str path)
{
    struct sim_thread *thread = exchange->thread;
    struct sim_request request = {.stream = route->stream};
    struct directives in_text = {0};
    struct err err = {0};
    exchange->endpoint = route->endpoint;
    if (route->tail)
        request.model = route_model(route, path);
    if (exchange->bad_header) {
        exchange_error(exchange, 400, STR("x-sim: unknown directive or bad value"));
        return;
    }
    enum sim_endpoint endpoint = redraw_endpoint(route->endpoint, request.model);
    if (media_is(endpoint)) {
        take_media(exchange, route, endpoint, path);
        return;
    }
    if (request_parse(http_stream_body(exchange->stream), route->endpoint, &thread->doc,
                      &exchange->arena, &request, &err) != 0) {
        exchange_error(exchange, 400, str_from(err.text));
        return;
    }
    script_apply(thread->sim->script, route->path, request.model, &exchange->directives);
    directives_merge(&exchange->directives, &exchange->header);
    if (directives_parse(&in_text, directives_in_text(request.last_user), &err) != 0) {
        exchange_error(exchange, 400, str_from(err.text));
        return;
    }
    directives_merge(&exchange->directives, &in_text);
    answer_make(&request, &exchange->directives, &exchange->answer);
    /* The body, where unescaped texts may point, lives as long as the stream. */
    answer_request(exchange, &request);
}

static void
sim_on_complete(struct http_stream *stream)
{
    struct exchange *exchange = http_stream_user(stream);
    struct str path;
    struct str query;
    struct str method = http_stream_method(stream);
    if (exchange == NULL)
        return;
    timer_cancel(loop_timers(exchange->thread->loop), &exchange->timer);
    if (exchange->control) {
        control_handle(exchange);
        return;
    }
    if (!uri_split_target(http_stream_target(stream), &path, &query))
        path = STR("/");
    const struct route *route = route_find(method, path);
    exchange->later = later_is(method, path);
    if (exchange->denied) {
        exchange_error(exchange, 401,
                       exchange->dialect == &sim_anthropic ? STR("invalid x-api-key")
                                                           : STR("Incorrect API key provided."));
    } else if (route != NULL) {
        take_request(exchange, route, path);
    } else if (exchange->later) {
        later_answer(exchange, path, query);
    } else if (listing_is(method, path)) {
        listing_answer(exchange, path, query);
    } else {
        exchange_error(exchange, 404, STR("no such endpoint"));
    }
}

static void
sim_on_writable(struct http_stream *stream)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange != NULL && !timer_armed(&exchange->timer))
        exchange_step(exchange);
}

/* ---- it is over ------------------------------------------------------------------------------ */

/* What was delivered decides what is charged: a whole answer, the chunks that were written, or
 * nothing. */
static void
exchange_bill(struct exchange *exchange, enum http_close_reason reason)
{
    const struct sim_answer *answer = &exchange->answer;
    struct bill_entry *entry = &exchange->entry;
    bool charged = exchange->endpoint != SIM_COUNT_TOKENS &&
                   exchange->endpoint != SIM_GEMINI_COUNT && answer->model.len > 0;
    if (exchange->ended_well && reason == HTTP_DONE) {
        entry->delivered = BILL_COMPLETE;
        entry->completion = answer->completion;
    } else if (exchange->streamed && exchange->chunk > 0) {
        entry->delivered = BILL_PARTIAL;
        entry->completion = answer_delivered(answer, exchange->chunk);
    } else if (answer->units_at_once && exchange->body_written > 0) {
        entry->delivered = BILL_PARTIAL;
    } else {
        charged = false;
    }
    if (exchange->status >= 400)
        entry->delivered = BILL_NONE;
    if (charged && entry->delivered != BILL_NONE) {
        entry->prompt = answer->prompt;
        entry->cached = answer->cached;
        entry->reasoning = MIN(answer->reasoning, entry->completion);
        entry->units = answer->units;
        entry->unit_nano = answer->unit_nano;
    } else {
        entry->completion = 0;
    }
    bill_add(exchange->thread->sim->bill, entry);
}

static void
sim_on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange == NULL)
        return;
    if (!exchange->control)
        exchange_bill(exchange, reason);
    timer_cancel(loop_timers(exchange->thread->loop), &exchange->timer);
    arena_fini(&exchange->arena);
    buf_fini(&exchange->body);
    free(exchange);
}

const struct http_handler sim_handler = {
    .request = sim_on_request,
    .complete = sim_on_complete,
    .writable = sim_on_writable,
    .closed = sim_on_closed,
};
