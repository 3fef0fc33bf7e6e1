/* SPDX-License-Identifier: MIT
 * front.c - from an HTTP stream to an exchange and back.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing; the exchange is the stream's user.
 * Invariant: closed() frees what request() began, and nothing else does. */
#include "dataplane/front/front.h"

#include "dataplane/front/address.h"
#include "dataplane/front/models.h"
#include "dataplane/pipeline/upload.h"
#include "lib/base/check.h"
#include "lib/text/uri.h"

static void
refuse(struct http_stream *stream, const struct dialect *dialect, enum http_error refusal,
       struct str allow)
{
    struct buf body;
    buf_init(&body, (size_t)16u * 1024u);
    struct chat_error error = chat_error_ours(refusal, STR_EMPTY, STR_EMPTY);
    char id[REQUEST_ID_BYTES + 1];
    pipeline_request_id(http_server_user(http_conn_server(http_stream_conn(stream))), id);
    error.request_id = str_make(id, REQUEST_ID_BYTES);
    uint16_t status = http_error_row(refusal)->status;
    if (dialect->error_out(&error, &body, &status) != 0)
        body.len = 0;
    const struct http_field fields[] = {{STR("content-type"), STR("application/json")},
                                        {STR("x-request-id"), error.request_id},
                                        {STR("allow"), allow}}; /* RFC 9110 15.5.6 */
    size_t count = allow.len > 0 ? 3 : 2;
    http_stream_answer(stream, status, fields, count, buf_str(&body));
    buf_fini(&body);
}

static const struct dialect *
dialect_of(const struct http_head *head, struct str path)
{
    bool anthropic = http_field_get(head, STR("anthropic-version")).len > 0 ||
                     str_find(path, STR("/messages")) != SIZE_MAX;
    bool gemini = str_starts(path, STR("/v1beta")) && !str_starts(path, STR("/v1beta/openai/"));
    if (gemini || http_field_get(head, STR("x-goog-api-key")).len > 0)
        return &dialect_gemini;
    return anthropic ? &dialect_anthropic : &dialect_openai;
}

/* What the path says of the request; a stream without alt=sse is one JSON array. */
static void
take_path(struct exchange *x, struct str model, struct str query)
{
    struct str alt = STR_EMPTY;
    struct str name = STR_EMPTY;
    if (model.len == 0)
        return;
    x->facts.stream = x->endpoint->stream;
    x->array =
        x->endpoint->stream && !(uri_query_get(query, STR("alt"), &alt) && str_eq(alt, STR("sse")));
    if (uri_decode(model, &x->arena, &name) != 0 || arena_dup(&x->arena, name, &name) != 0)
        name = x->endpoint->list_models ? model : STR_EMPTY; /* unknown; the body's model */
    x->facts.model = name;
}

/* Ours is no page of a browser's: no origin is allowed, but whoever asks what there is is told. */
static bool
answer_options(struct http_stream *stream, const struct http_head *head,
               const struct address *address)
{
    const struct http_field allow = {STR("allow"), address->allow};
    if (address->allow.len == 0 || !str_eq(head->method, STR("OPTIONS")))
        return false;
    http_stream_answer(stream, 204, &allow, 1, STR_EMPTY);
    return true;
}

/* false: the request is answered already. */
static bool
front_address(struct http_stream *stream, const struct http_head *head, struct address *ret_address)
{
    if (address_read(head->method, head->target, ret_address) != 0) {
        refuse(stream, dialect_of(head, head->target), HTTP_ERROR_bad_request, STR_EMPTY);
        return false;
    }
    if (ret_address->endpoint != NULL)
        return true;
    if (str_eq(ret_address->path, STR("/")) &&
        (str_eq(head->method, STR("HEAD")) || str_eq(head->method, STR("GET")))) {
        http_stream_answer(stream, 200, NULL, 0, STR_EMPTY); /* agents look whether we are there */
        return false;
    }
    if (!answer_options(stream, head, ret_address))
        refuse(stream, dialect_of(head, ret_address->path),
               ret_address->allow.len > 0 ? HTTP_ERROR_method : HTTP_ERROR_not_found,
               ret_address->allow);
    return false;
}

/* Mistral's SDKs speak OpenAI's chat, but want a list of their own. */
static void
list_models(struct exchange *exchange, const struct http_head *head, struct str path)
{
    const struct dialect *dialect = exchange->endpoint->dialect;
    struct str agent = http_field_get(head, STR("user-agent"));
    if (dialect == &dialect_openai)
        dialect = dialect_of(head, path);
    models_answer(exchange, dialect,
                  dialect == &dialect_openai && str_find(agent, STR("mistral")) != SIZE_MAX);
}

static void
front_request(struct http_stream *stream, const struct http_head *head)
{
    struct worker *worker = http_server_user(http_conn_server(http_stream_conn(stream)));
    struct address address;
    if (!front_address(stream, head, &address))
        return;
    struct exchange *exchange = pipeline_start(worker, stream, head, address.endpoint);
    if (exchange == NULL || exchange->settled)
        return;
    take_path(exchange, address.model, address.query);
    if (address.endpoint->list_models) /* the newest Gemini SDK says /v1, too */
        list_models(exchange, head, address.path);
}

static void
front_complete(struct http_stream *stream)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange != NULL && UNLIKELY(exchange->upload != NULL))
        upload_complete(exchange);
    else if (exchange != NULL && !exchange->endpoint->list_models)
        pipeline_body(exchange);
}

/* Bodies that are not collected: forms, and those of refused requests. */
static void
front_body(struct http_stream *stream, struct str bytes)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange != NULL && exchange->upload != NULL)
        upload_bytes(exchange, bytes);
}

static void
front_refused(struct http_stream *stream, unsigned status)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange != NULL)
        pipeline_body_refused(exchange, status);
}

/* Whoever asks us about an answer has something to name. */
static size_t
front_refusal_id(struct http_server *server, char out[HTTP_ID_BYTES])
{
    _Static_assert(HTTP_ID_BYTES > REQUEST_ID_BYTES, "an id fits");
    pipeline_request_id(http_server_user(server), out);
    return REQUEST_ID_BYTES;
}

static void
front_writable(struct http_stream *stream)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange != NULL)
        attempt_writable(exchange);
}

static void
front_closed(struct http_stream *stream, enum http_close_reason reason)
{
    struct exchange *exchange = http_stream_user(stream);
    http_stream_set_user(stream, NULL);
    if (exchange != NULL)
        pipeline_closed(exchange, reason);
}

static void
front_conn_closed(struct http_conn *conn)
{
    struct caller *caller = http_conn_user(conn);
    http_conn_set_user(conn, NULL);
    caller_free(&caller);
}

const struct http_handler front_handler = {.request = front_request,
                                           .body = front_body,
                                           .complete = front_complete,
                                           .writable = front_writable,
                                           .closed = front_closed,
                                           .conn_closed = front_conn_closed,
                                           .refused = front_refused,
                                           .refusal_id = front_refusal_id};
