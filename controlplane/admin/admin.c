/* SPDX-License-Identifier: MIT
 * admin.c - listeners, authentication, routing.
 * Floor: controlplane/admin; engine thread.
 * Owns: calls, from `request` to `closed`.
 * Invariant: nothing but an open endpoint is reached without the token or a trusted listener. */
#include "controlplane/admin/admin.h"

#include <stdlib.h>

#include "controlplane/admin/admin_int.h"
#include "controlplane/billing/payment.h"
#include "lib/base/check.h"
#include "lib/text/uri.h"

static const struct endpoint endpoints[] = {
#define ENDPOINT_ROW(handler, method_, path_, open_, text) \
    {.handle = endpoint_##handler, .method = method_, .path = path_, .open = open_},
#include "controlplane/admin/endpoints.def"
#undef ENDPOINT_ROW
};

bool
admin_endpoint(size_t index, const char **ret_method, const char **ret_path)
{
    if (index >= ARRAY_LEN(endpoints))
        return false;
    *ret_method = endpoints[index].method;
    *ret_path = endpoints[index].path;
    return true;
}

/* ---- routing --------------------------------------------------------------------------------- */

/* Does `path` fit the pattern? Raw parameters go to ret_params. */
static bool
path_fits(const char *pattern, struct str path, struct str ret_params[CALL_PARAMS_MAX])
{
    struct str left = str_skip(str_from(pattern), 1);
    struct str right = str_skip(path, 1);
    size_t params = 0;
    while (left.len > 0) {
        struct str want;
        struct str have;
        bool last = !str_cut(left, '/', &want, &left);
        if (str_eq(want, STR("{name}"))) {
            have = right;
            right = STR_EMPTY;
        } else {
            str_cut(right, '/', &have, &right);
        }
        if (want.ptr[0] == '{') {
            if (have.len == 0)
                return false;
            ret_params[params++] = have;
        } else if (!str_eq(want, have)) {
            return false;
        }
        if (last)
            break;
    }
    return right.len == 0;
}

static const struct endpoint *
route(struct str method, struct str path, struct str ret_params[CALL_PARAMS_MAX],
      bool *ret_path_known)
{
    *ret_path_known = false;
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!path_fits(endpoints[i].path, path, ret_params))
            continue;
        *ret_path_known = true;
        if (str_eq(method, str_from(endpoints[i].method)))
            return &endpoints[i];
    }
    return NULL;
}

static bool
is_authentic(const struct admin_listener *listener, const struct http_head *head)
{
    struct str value = http_field_get(head, STR("authorization"));
    if (listener->trusted)
        return true;
    if (value.len < 7 || !str_eq_nocase(str_make(value.ptr, 7), STR("bearer ")))
        return false;
    return secret_eq(str_skip(value, 7), secret_str(listener->admin->conf.token));
}

/* ---- one call -------------------------------------------------------------------------------- */

static bool
decode_params(struct call *call, const struct str *raw)
{
    for (size_t i = 0; i < CALL_PARAMS_MAX; i++) {
        if (raw[i].len > 0 && uri_decode(raw[i], &call->arena, &call->params[i]) < 0)
            return false;
    }
    return true;
}

static void
begin(struct call *call, const struct admin_listener *listener, const struct http_head *head)
{
    struct str raw[CALL_PARAMS_MAX] = {STR_EMPTY, STR_EMPTY};
    struct str path;
    bool path_known;
    if (!uri_split_target(head->target, &path, &call->query)) {
        reply_error(call, 400, "BAD_REQUEST", "the request target is malformed");
        return;
    }
    const struct endpoint *endpoint = route(head->method, path, raw, &path_known);
    if (!(endpoint && endpoint->open) && !is_authentic(listener, head)) {
        reply_error(call, 401, "UNAUTHENTICATED",
                    "the admin API needs the admin token: Authorization: Bearer ...");
        return;
    }
    if (!endpoint) {
        reply_error(call, path_known ? 405 : 404, path_known ? "METHOD_NOT_ALLOWED" : "NOT_FOUND",
                    path_known ? "this endpoint does not take that method"
                               : "the admin API has no such endpoint; see /openapi.yaml");
        return;
    }
    if (!decode_params(call, raw)) {
        reply_error(call, 400, "BAD_REQUEST", "the path is malformed");
        return;
    }
    struct str type = http_field_get(head, STR("content-type"));
    struct str media = STR_EMPTY;
    struct str rest;
    str_cut(type.ptr ? type : STR_EMPTY, ';', &media, &rest);
    media = str_trim(media);
    call->yaml_in = str_eq_nocase(media, STR("application/yaml")) ||
                    str_eq_nocase(media, STR("application/x-yaml")) ||
                    str_eq_nocase(media, STR("text/yaml"));
    bool json_in = str_eq_nocase(media, STR("application/json"));
    if (head->has_body && head->content_length != 0 && !call->yaml_in && !json_in) {
        reply_error(call, 415, "UNSUPPORTED_MEDIA_TYPE",
                    "the body must be application/json or application/yaml");
        return;
    }
    if (endpoint->handle == endpoint_webhook)
        webhook_head(call, head);
    call->endpoint = endpoint;
}

static uint64_t
body_bytes_max(const struct endpoint *endpoint)
{
    if (endpoint->open)
        return PAYMENT_BODY_BYTES_MAX;
    return endpoint->handle == endpoint_catalogue_put ? EDITION_BYTES_MAX : ADMIN_BODY_BYTES_MAX;
}

static void
on_request(struct http_stream *stream, const struct http_head *head)
{
    struct admin_listener *listener = http_server_user(http_conn_server(http_stream_conn(stream)));
    struct call *call = calloc(1, sizeof *call);
    http_stream_set_user(stream, call);
    if (!call) {
        http_stream_abort(stream);
        return;
    }
    call->admin = listener->admin;
    call->stream = stream;
    arena_init(&call->arena, CALL_ARENA_BYTES_MAX);
    begin(call, listener, head);
    /* strangers may only bring what a sender of payments would */
    if (call->endpoint)
        http_stream_collect(stream, body_bytes_max(call->endpoint));
}

static void
on_body(struct http_stream *stream, struct str bytes)
{
    (void)stream;
    (void)bytes; /* of a call that is already refused */
}

static void
on_complete(struct http_stream *stream)
{
    struct call *call = http_stream_user(stream);
    if (!call || call->answered)
        return;
    ASSERT(call->endpoint);
    call->endpoint->handle(call);
    ASSERT(call->answered);
}

static void
on_closed(struct http_stream *stream, enum http_close_reason reason)
{
    struct call *call = http_stream_user(stream);
    (void)reason;
    if (!call)
        return;
    arena_fini(&call->arena);
    free(call);
}

static const struct http_handler handler = {
    .request = on_request,
    .body = on_body,
    .complete = on_complete,
    .closed = on_closed,
};

/* ---- life ------------------------------------------------------------------------------------ */

int
admin_new(const struct admin_conf *conf, struct admin **ret_admin, struct err *err)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return err_set(err, ERR_NOMEM, "out of memory");
    admin->conf = *conf;
    copying_init(admin);
    if (admin_metrics_new(&admin->metrics) < 0) {
        free(admin);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *ret_admin = admin;
    return 0;
}

int
admin_listen(struct admin *admin, int listen_fd, bool trusted, struct err *err)
{
    struct admin_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return err_set(err, ERR_NOMEM, "out of memory");
    listener->admin = admin;
    listener->trusted = trusted;
    const struct http_server_conf conf = {
        .loop = admin->conf.loop,
        .handler = &handler,
        .user = listener,
        .body_bytes_max = EDITION_BYTES_MAX,
        .conn_count_max = 256,
    };
    int code = http_server_new(&conf, &listener->server, err);
    if (code < 0) {
        free(listener);
        return code;
    }
    listener->next = admin->listeners;
    admin->listeners = listener;
    if (http_server_listen(listener->server, listen_fd) < 0)
        return err_set(err, ERR_SYSTEM, "the admin listener cannot be watched");
    return 0;
}

void
admin_free(struct admin **admin)
{
    if (!*admin)
        return;
    while ((*admin)->listeners) {
        struct admin_listener *listener = (*admin)->listeners;
        (*admin)->listeners = listener->next;
        http_server_free(&listener->server);
        free(listener);
    }
    copying_fini(*admin);
    metrics_free(&(*admin)->metrics);
    free(TAKE(*admin));
}
