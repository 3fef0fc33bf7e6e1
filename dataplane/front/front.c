/* SPDX-License-Identifier: MIT
 * front.c - from an HTTP stream to an exchange and back.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing; the exchange is the stream's user.
 * Invariant: closed() frees what request() began, and nothing else does. */
#include "dataplane/front/front.h"

#include "dataplane/front/models.h"
#include "dataplane/pipeline/exchange.h"
#include "lib/base/check.h"
#include "lib/text/uri.h"

static const struct endpoint endpoints[] = {
#define ENDPOINT_ROW(method_, path_, speaks, kind_, list_) \
    {.method = {method_, sizeof(method_) - 1},             \
     .path = {path_, sizeof(path_) - 1},                   \
     .dialect = &dialect_##speaks,                         \
     .kind = (kind_),                                      \
     .list_models = (list_)},
#include "dataplane/front/endpoints.def"
#undef ENDPOINT_ROW
};

/* "/v1/x", "/api/v1/x", "/v1/v1/x" (a base URL that was doubled) and plain "/x" all mean "/x". */
static struct str
below_version(struct str path)
{
    if (str_starts(path, STR("/api/")))
        path = str_skip(path, 4);
    while (str_starts(path, STR("/v1/")))
        path = str_skip(path, 3);
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

static const struct endpoint *
endpoint_find(struct str method, struct str path, bool *ret_known_path)
{
    struct str below = below_version(path);
    *ret_known_path = false;
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!str_eq(below, endpoints[i].path))
            continue;
        *ret_known_path = true;
        if (str_eq(method, endpoints[i].method))
            return &endpoints[i];
    }
    return NULL;
}

static void
refuse(struct http_stream *stream, const struct dialect *dialect, enum http_error refusal)
{
    struct buf body;
    buf_init(&body, (size_t)16u * 1024u);
    struct chat_error error = chat_error_ours(refusal, STR_EMPTY, STR_EMPTY);
    uint16_t status = http_error_row(refusal)->status;
    if (dialect->error_out(&error, &body, &status) != 0)
        body.len = 0;
    const struct http_field fields[] = {{STR("content-type"), STR("application/json")}};
    http_stream_answer(stream, status, fields, ARRAY_LEN(fields), buf_str(&body));
    buf_fini(&body);
}

static const struct dialect *
dialect_of(const struct http_head *head, struct str path)
{
    bool anthropic = http_field_get(head, STR("anthropic-version")).len > 0 ||
                     str_find(path, STR("/messages")) != SIZE_MAX;
    return anthropic ? &dialect_anthropic : &dialect_openai;
}

static void
front_request(struct http_stream *stream, const struct http_head *head)
{
    struct worker *worker = http_server_user(http_conn_server(http_stream_conn(stream)));
    struct str path;
    struct str query;
    if (!uri_split_target(head->target, &path, &query) || !uri_path_is_plain(path)) {
        refuse(stream, dialect_of(head, head->target), HTTP_ERROR_bad_request);
        return;
    }
    if (str_eq(path, STR("/")) &&
        (str_eq(head->method, STR("HEAD")) || str_eq(head->method, STR("GET")))) {
        http_stream_answer(stream, 200, NULL, 0, STR_EMPTY); /* agents look whether we are there */
        return;
    }
    bool known_path = false;
    const struct endpoint *endpoint = endpoint_find(head->method, path, &known_path);
    if (endpoint == NULL) {
        refuse(stream, dialect_of(head, path),
               known_path ? HTTP_ERROR_method : HTTP_ERROR_not_found);
        return;
    }
    struct exchange *exchange = pipeline_start(worker, stream, head, endpoint);
    if (exchange != NULL && endpoint->list_models && !exchange->settled)
        models_answer(exchange, http_field_get(head, STR("anthropic-version")).len > 0);
}

static void
front_complete(struct http_stream *stream)
{
    struct exchange *exchange = http_stream_user(stream);
    if (exchange != NULL && !exchange->endpoint->list_models)
        pipeline_body(exchange);
}

/* Bodies that nobody collects: of refused requests. */
static void
front_body(struct http_stream *stream, struct str bytes)
{
    (void)stream;
    (void)bytes;
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
                                           .conn_closed = front_conn_closed};
