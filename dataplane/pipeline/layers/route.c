/* SPDX-License-Identifier: MIT
 * route.c - the one scan of the body, and the models that may answer it.
 * Floor: dataplane/pipeline/layers; the worker's thread.
 * Owns: nothing.
 * Invariant: behind this layer the body is strict JSON and the facts in the exchange are from it.
 */
#include "dataplane/pipeline/cost.h"

static enum layer_verdict
route_fail(struct exchange *x, enum http_error refusal, const struct err *err)
{
    struct str text = STR_EMPTY;
    if (arena_dup(&x->arena, str_from(err->text), &text) != 0)
        text = STR_EMPTY;
    return exchange_fail(x, refusal, text);
}

static struct route_memo *
route_memo(struct worker *worker, struct str name)
{
    uint32_t mix = (uint32_t)name.len;
    for (size_t i = 0; i < sizeof(mix) && i < name.len; i++)
        mix = mix * 31u + (unsigned char)name.ptr[name.len - 1 - i];
    return &worker->route_memos[(mix * 0x9e3779b1u) >> (32 - ROUTE_MEMO_BITS)];
}

/* Most requests say one of a few names, and what it means changes with the configuration alone. */
static int
route_look(struct exchange *x, enum config_kind kind, struct err *err)
{
    struct worker *worker = x->worker;
    struct str name = x->facts.model;
    bool current = x->config == worker->config && name.len <= ROUTE_MEMO_BYTES;
    struct route_memo *memo = route_memo(worker, name);
    if (current && memo->config_generation == worker->config_generation && memo->kind == kind &&
        str_eq(str_make(memo->name, memo->bytes), name)) {
        x->targets = memo->targets;
        return 0;
    }
    int rc = route_resolve(x->config, name, kind, &x->targets, err);
    if (rc == 0 && current) {
        memo->config_generation = worker->config_generation;
        memo->kind = kind;
        memo->bytes = (uint32_t)name.len;
        memcpy(memo->name, name.ptr, name.len);
        memo->targets = x->targets;
    }
    return rc;
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
    x->wants_cost = cost_wanted(&worker->doc);
    enum config_kind kind =
        x->endpoint->kind == CHAT_ENDPOINT_EMBEDDINGS ? CONFIG_EMBEDDING : CONFIG_CHAT;
    rc = route_look(x, kind, &err);
    if (rc != 0)
        return route_fail(x, HTTP_ERROR_model_not_found, &err);
    return LAYER_NEXT;
}

const struct layer layer_route = {.name = "route", .stage = LAYER_BODY, .request = route_request};
