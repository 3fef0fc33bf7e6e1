/* SPDX-License-Identifier: MIT
 * route.c - the one scan of the body, and the models that may answer it.
 * Floor: dataplane/pipeline/layers; the worker's thread.
 * Owns: nothing.
 * Invariant: behind this layer the body is strict JSON and the facts in the exchange are from it.
 */
#include "dataplane/pipeline/exchange.h"

static enum layer_verdict
route_fail(struct exchange *x, enum http_error refusal, const struct err *err)
{
    struct str text = STR_EMPTY;
    if (arena_dup(&x->arena, str_from(err->text), &text) != 0)
        text = STR_EMPTY;
    return exchange_fail(x, refusal, text);
}

static enum layer_verdict
route_request(struct exchange *x)
{
    struct worker *worker = x->worker;
    struct err err = {0};
    int rc = json_scan(&worker->doc, http_stream_body(x->stream), NULL, &err);
    if (rc == 0)
        rc = x->endpoint->dialect->facts(&worker->doc, x->endpoint->kind, &x->arena, &x->facts,
                                         &err);
    if (rc != 0)
        return route_fail(x, chat_error_row(rc), &err);
    enum config_kind kind =
        x->endpoint->kind == CHAT_ENDPOINT_EMBEDDINGS ? CONFIG_EMBEDDING : CONFIG_CHAT;
    rc = route_resolve(x->config, x->facts.model, kind, &x->targets, &err);
    if (rc != 0)
        return route_fail(x, HTTP_ERROR_model_not_found, &err);
    return LAYER_NEXT;
}

const struct layer layer_route = {.name = "route", .stage = LAYER_BODY, .request = route_request};
