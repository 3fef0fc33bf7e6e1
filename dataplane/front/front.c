/* SPDX-License-Identifier: MIT
 * front.c - from an HTTP stream to an exchange and back.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing; the exchange is the stream's user.
 * Invariant: closed() frees what request() began, and nothing else does. */
#include "dataplane/front/front.h"

#include "dataplane/front/models.h"
#include "dataplane/pipeline/upload.h"
#include "lib/base/check.h"
#include "lib/text/uri.h"

static const struct endpoint endpoints[] = {
#define ENDPOINT_ROW(method_, version_, path_, speaks, kind_, list_, stream_) \
    {.method = {method_, sizeof(method_) - 1},                                \
     .version = {version_, sizeof(version_) - 1},                             \
     .path = {path_, sizeof(path_) - 1},                                      \
     .dialect = &dialect_##speaks,                                            \
     .kind = (kind_),                                                         \
     .list_models = (list_),                                                  \
     .stream = (stream_)},
#include "dataplane/front/endpoints.def"
#undef ENDPOINT_ROW
};

/* "/v1/x", "/api/v1/x", "/v1/v1/x" (a base URL that was doubled) and plain "/x" all mean "/x". */
static struct str
below_version(struct str path, struct str *ret_version)
{
    static const struct str beta[] = {{"/v1beta1/", 9}, {"/v1beta/", 8}, {"/v1alpha/", 9}};
    static const struct str ollama[] = {/* which has no versions */
                                        {"/api/chat", 9},
                                        {"/api/tags", 9},
                                        {"/api/embed", 10},
                                        {"/api/embeddings", 15}};
    *ret_version = STR("/v1");
    for (size_t i = 0; i < ARRAY_LEN(ollama); i++) {
        if (str_eq(path, ollama[i]))
            *ret_version = STR("/api");
    }
    if (str_starts(path, STR("/api/")))
        path = str_skip(path, 4);
    while (str_starts(path, STR("/v1/")))
        path = str_skip(path, 3);
    if (str_starts(path, STR("/v2/"))) {
        path = str_skip(path, 3);
        *ret_version = STR("/v2");
    }
    for (size_t i = 0; i < ARRAY_LEN(beta); i++) {
        if (!str_starts(path, beta[i]))
            continue;
        path = str_skip(path, beta[i].len - 1);
        *ret_version = STR("/v1beta");
    }
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* The path is the row's; *ret_model is what stands where the row says "{model}". Before a verb,
 * some clients leave out "models/" when the name has a slash itself. */
static bool
endpoint_matches(const struct endpoint *row, struct str version, struct str path,
                 struct str *ret_model)
{
    static const struct str name = {"{model}", 7};
    size_t at = str_find(row->path, name);
    *ret_model = STR_EMPTY;
    if (at == SIZE_MAX)
        return str_eq(path, row->path) && str_eq(version, row->version);
    struct str suffix = str_skip(row->path, at + name.len);
    if (!str_starts(path, str_make(row->path.ptr, at))) {
        if (suffix.len == 0)
            return false;
        at = 1;
    }
    if (!str_ends(path, suffix) || path.len <= at + suffix.len)
        return false;
    *ret_model = str_make(path.ptr + at, path.len - at - suffix.len);
    return true;
}

/* The address as the documentation has it: nothing in it needs a second look. */
static const struct endpoint *
endpoint_exact(struct str method, struct str target)
{
    if (!str_starts(target, STR("/v1/")))
        return NULL;
    struct str below = str_skip(target, 3);
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (str_eq(below, endpoints[i].path) && str_eq(method, endpoints[i].method) &&
            str_eq(endpoints[i].version, STR("/v1")))
            return &endpoints[i];
    }
    return NULL;
}

static const struct endpoint *
endpoint_find(struct str method, struct str path, bool *ret_known_path, struct str *ret_model)
{
    struct str version;
    struct str below = below_version(path, &version);
    *ret_known_path = false;
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!endpoint_matches(&endpoints[i], version, below, ret_model))
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
    if (str_starts(path, STR("/v1beta")) || http_field_get(head, STR("x-goog-api-key")).len > 0)
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

/* Behind "/models/" stands a name, not a path: vendors' SDKs write its slashes as %2F. */
static bool
path_is_plain(struct str path)
{
    static const struct str models = {"/models/", 8};
    size_t at = str_find(path, models);
    if (at != SIZE_MAX && at + models.len < path.len)
        path.len = at + models.len - 1;
    return uri_path_is_plain(path);
}

/* NULL: the request is answered already. */
static const struct endpoint *
front_endpoint(struct http_stream *stream, const struct http_head *head, struct str *ret_path,
               struct str *ret_query, struct str *ret_model)
{
    *ret_path = head->target;
    const struct endpoint *endpoint = endpoint_exact(head->method, head->target);
    if (endpoint != NULL)
        return endpoint;
    if (!uri_split_target(head->target, ret_path, ret_query) || !path_is_plain(*ret_path)) {
        refuse(stream, dialect_of(head, head->target), HTTP_ERROR_bad_request);
        return NULL;
    }
    if (str_eq(*ret_path, STR("/")) &&
        (str_eq(head->method, STR("HEAD")) || str_eq(head->method, STR("GET")))) {
        http_stream_answer(stream, 200, NULL, 0, STR_EMPTY); /* agents look whether we are there */
        return NULL;
    }
    bool known_path = false;
    endpoint = endpoint_find(head->method, *ret_path, &known_path, ret_model);
    if (endpoint == NULL)
        refuse(stream, dialect_of(head, *ret_path),
               known_path ? HTTP_ERROR_method : HTTP_ERROR_not_found);
    return endpoint;
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
    struct str path;
    struct str query = STR_EMPTY;
    struct str model = STR_EMPTY;
    const struct endpoint *endpoint = front_endpoint(stream, head, &path, &query, &model);
    if (endpoint == NULL)
        return;
    struct exchange *exchange = pipeline_start(worker, stream, head, endpoint);
    if (exchange == NULL || exchange->settled)
        return;
    take_path(exchange, model, query);
    if (endpoint->list_models) /* the newest Gemini SDK says /v1, too */
        list_models(exchange, head, path);
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
                                           .refused = front_refused};
