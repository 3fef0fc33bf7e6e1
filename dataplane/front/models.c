/* SPDX-License-Identifier: MIT
 * models.c - the list of models that this caller may use.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing.
 * Invariant: see models.h. */
#include "dataplane/front/models.h"

#include "lib/base/clock.h"

#define LIST_BYTES_MAX ((size_t)16u * 1024u * 1024u)
#define CREATED_UNKNOWN 0u

/* pico a token = micro-dollars a million tokens. */
static void
put_price(struct json_writer *w, const char *key, int64_t pico_per_token)
{
    char text[32];
    money_format((struct money){pico_per_token * 1000}, text);
    json_member_str(w, key, str_from(text));
}

static void
put_openai(struct json_writer *w, const struct config_model *model, int64_t now_s)
{
    json_open_object(w);
    json_member_str(w, "id", model->id);
    json_member_str(w, "object", STR("model"));
    json_member_u64(w, "created", CREATED_UNKNOWN);
    json_member_str(w, "owned_by", model->provider->name);
    if (model->context_tokens != 0)
        json_member_u64(w, "context_length", model->context_tokens);
    if (model->max_output_tokens != 0)
        json_member_u64(w, "max_output_tokens", model->max_output_tokens);
    if (model->input_modalities.len > 0)
        json_member_raw(w, "input_modalities", model->input_modalities);
    if (model->output_modalities.len > 0)
        json_member_raw(w, "output_modalities", model->output_modalities);
    if (model->tariff.count > 0) { /* of a short call, now, served as usual */
        const int64_t *pico =
            tariff_pick(&model->tariff, now_s, &(struct usage){.evidence = EVIDENCE_NONE})
                ->price.pico;
        json_key(w, "pricing_per_million");
        json_open_object(w);
        put_price(w, "input", model->free ? 0 : pico[USAGE_input]);
        put_price(w, "output", model->free ? 0 : pico[USAGE_output]);
        put_price(w, "cached", model->free ? 0 : pico[USAGE_cached]);
        json_close_object(w);
    }
    json_close_object(w);
}

static void
put_anthropic(struct json_writer *w, const struct config_model *model)
{
    json_open_object(w);
    json_member_str(w, "type", STR("model"));
    json_member_str(w, "id", model->id);
    json_member_str(w, "display_name", model->id);
    json_member_str(w, "created_at", STR("1970-01-01T00:00:00Z"));
    json_close_object(w);
}

/* An id may have a '/': the vendor's SDK takes what stands behind "models/" as it is. */
static void
put_gemini(struct json_writer *w, const struct config_model *model, struct arena *arena)
{
    struct str name = arena_printf(arena, "models/%.*s", STR_ARG(model->id));
    json_open_object(w);
    json_member_str(w, "name", name.ptr != NULL ? name : model->id);
    json_member_str(w, "baseModelId", model->id);
    json_member_str(w, "displayName", model->id);
    json_member_u64(w, "inputTokenLimit", model->context_tokens);
    json_member_u64(w, "outputTokenLimit", model->max_output_tokens);
    json_member_raw(w, "supportedGenerationMethods",
                    model->kind == CONFIG_CHAT ? STR("[\"generateContent\",\"countTokens\"]")
                                               : STR("[]"));
    json_close_object(w);
}

/* Without a price, and without the owner's word that there is none, a call is refused. */
static bool
is_callable(const struct config_model *model)
{
    return model->tariff.count > 0 || model->free;
}

void
models_answer(struct exchange *x, const struct dialect *dialect)
{
    bool anthropic = dialect == &dialect_anthropic;
    bool gemini = dialect == &dialect_gemini;
    const struct config *config = x->config;
    struct buf out;
    struct json_writer w;
    int64_t now_s = clock_wall_ns() / 1000000000;
    buf_init(&out, LIST_BYTES_MAX);
    json_writer_init(&w, &out);
    json_open_object(&w);
    if (!anthropic && !gemini)
        json_member_str(&w, "object", STR("list"));
    json_key(&w, gemini ? "models" : "data");
    json_open_array(&w);
    const struct config_model *first = NULL;
    const struct config_model *last = NULL;
    for (uint32_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &config->models[i];
        if (!is_callable(model))
            continue;
        first = first != NULL ? first : model;
        last = model;
        if (gemini)
            put_gemini(&w, model, &x->arena);
        else if (anthropic)
            put_anthropic(&w, model);
        else
            put_openai(&w, model, now_s);
    }
    json_close_array(&w);
    if (anthropic) {
        json_member_bool(&w, "has_more", false);
        if (first != NULL) {
            json_member_str(&w, "first_id", first->id);
            json_member_str(&w, "last_id", last->id);
        }
    }
    json_close_object(&w);
    x->status = 200;
    pipeline_settle(x, OUTCOME_completed);
    const struct http_field fields[] = {{STR("content-type"), STR("application/json")},
                                        {STR("x-request-id"), str_make(x->id, REQUEST_ID_BYTES)}};
    http_stream_answer(x->stream, out.failed ? 500 : 200, fields, ARRAY_LEN(fields), buf_str(&out));
    buf_fini(&out);
}
