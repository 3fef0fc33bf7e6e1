/* SPDX-License-Identifier: MIT
 * route.c - the one scan of the body, and the models that may answer it.
 * Floor: dataplane/pipeline/layers; the worker's thread.
 * Owns: nothing.
 * Invariant: behind this layer the body is strict JSON and the facts in the exchange are from it.
 */
#include "dataplane/pipeline/cost.h"
#include "dataplane/pipeline/upload.h"

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
    bool current = x->config == worker->config && x->scope == NULL && name.len <= ROUTE_MEMO_BYTES;
    struct route_memo *memo = route_memo(worker, name);
    if (current && memo->config_generation == worker->config_generation && memo->kind == kind &&
        str_eq(str_make(memo->name, memo->bytes), name)) {
        x->targets = memo->targets;
        return 0;
    }
    int rc = route_resolve(x->config, x->scope, name, kind, &x->targets, err);
    if (rc == 0 && current) {
        memo->config_generation = worker->config_generation;
        memo->kind = kind;
        memo->bytes = (uint32_t)name.len;
        memcpy(memo->name, name.ptr, name.len);
        memo->targets = x->targets;
    }
    return rc;
}

static int
read_chat(struct exchange *x, struct err *err)
{
    struct worker *worker = x->worker;
    int rc = json_scan(&worker->doc, http_stream_body(x->stream), NULL, err);
    if (rc == 0)
        rc =
            x->endpoint->dialect->facts(&worker->doc, x->endpoint->kind, &x->arena, &x->facts, err);
    x->wants_cost = rc == 0 && cost_wanted(&worker->doc);
    return rc;
}

/* What is no conversation: JSON, or (doc NULL) a form. */
static int
take_media(struct exchange *x, const struct json_doc *doc, struct err *err)
{
    const struct form *form = doc == NULL ? upload_form(x) : NULL;
    struct str named = x->facts.model; /* in the address, or when the form was read before */
    struct media_facts *facts = ARENA_NEW(&x->arena, struct media_facts);
    int rc = facts == NULL ? err_set(err, ERR_NOMEM, "Berth has no memory for this request.") : 0;
    if (rc == 0)
        rc = media_facts(x->endpoint->kind, doc, http_stream_body(x->stream), form, named,
                         &x->arena, facts, err);
    if (rc != 0)
        return rc;
    x->media = facts;
    x->facts = (struct chat_facts){.model = named.len > 0 ? named : facts->model,
                                   .model_node = JSON_NONE,
                                   .stream = facts->stream,
                                   .include_usage = true,
                                   .max_output_node = JSON_NONE,
                                   .max_output = facts->answer_tokens_max,
                                   .prompt_bytes = facts->prompt_tokens_max,
                                   .choices = 1};
    return 0;
}

int
exchange_read_form(struct exchange *x, struct err *err)
{
    return take_media(x, NULL, err);
}

static int
read_media(struct exchange *x, struct err *err)
{
    struct json_doc *doc = &x->worker->doc;
    if (x->upload != NULL)
        return exchange_read_form(x, err);
    int rc = json_scan(doc, http_stream_body(x->stream), NULL, err);
    if (rc == 0)
        rc = take_media(x, doc, err);
    x->wants_cost = rc == 0 && cost_wanted(doc);
    return rc;
}

/* The models that answer an endpoint; of those not named: chat. */
static enum config_kind
kind_of(enum chat_endpoint endpoint)
{
    static const enum config_kind kinds[CHAT_ENDPOINT_COUNT] = {
        [CHAT_ENDPOINT_EMBEDDINGS] = CONFIG_EMBEDDING,
        [CHAT_ENDPOINT_EMBED_ONE] = CONFIG_EMBEDDING,
        [CHAT_ENDPOINT_IMAGES] = CONFIG_IMAGE,
        [CHAT_ENDPOINT_IMAGE_EDITS] = CONFIG_IMAGE,
        [CHAT_ENDPOINT_IMAGE_VARIATIONS] = CONFIG_IMAGE,
        [CHAT_ENDPOINT_SPEECH] = CONFIG_SPEECH,
        [CHAT_ENDPOINT_TRANSCRIPTIONS] = CONFIG_TRANSCRIPTION,
        [CHAT_ENDPOINT_TRANSLATIONS] = CONFIG_TRANSCRIPTION,
        [CHAT_ENDPOINT_MODERATIONS] = CONFIG_MODERATION,
        [CHAT_ENDPOINT_RERANK] = CONFIG_RERANK,
    };
    return kinds[endpoint];
}

static enum layer_verdict
route_request(struct exchange *x)
{
    struct err err UNINIT;
    err.text[0] = '\0';
    int rc = media_is(x->endpoint->kind) ? read_media(x, &err) : read_chat(x, &err);
    if (rc != 0)
        return route_fail(x, chat_error_row(rc), &err);
    enum config_kind kind = kind_of(x->endpoint->kind);
    rc = route_look(x, kind, &err);
    if (rc != 0)
        return route_fail(
            x, rc == -ERR_PERMISSION ? HTTP_ERROR_model_not_allowed : HTTP_ERROR_model_not_found,
            &err);
    return LAYER_NEXT;
}

const struct layer layer_route = {.name = "route", .stage = LAYER_BODY, .request = route_request};
