/* SPDX-License-Identifier: MIT
 * models.c - the models and routes that this caller may use, as a list or one of them.
 * Floor: dataplane/front; the worker's thread.
 * Owns: nothing.
 * Invariant: see models.h. */
#include "dataplane/front/models.h"

#include "lib/base/clock.h"

#define LIST_BYTES_MAX ((size_t)16u * 1024u * 1024u)
#define CREATED_UNKNOWN 0u
#define PATH_BYTES_MAX 8192u

/* model: whose facts these are; of a route NULL, its targets' own differ. */
struct entry {
    struct str id;
    struct str owner;
    const struct config_model *model;
    uint64_t context_tokens;
    uint64_t max_output_tokens;
    enum config_kind kind;
};
struct listing {
    struct json_writer writer;
    const struct dialect *dialect;
    bool mistral; /* OpenAI's shape with his members */
    struct arena *arena;
    int64_t now_s;
    struct str first;
    struct str last;
};

/* pico a token = micro-dollars a million tokens. */
static void
put_price(struct json_writer *w, const char *key, int64_t pico_per_token)
{
    char text[32];
    money_format((struct money){pico_per_token * 1000}, text);
    json_member_str(w, key, str_from(text));
}

/* Dollars for what is no token; of images that of the usual one. */
static void
put_pieces(struct json_writer *w, const struct config_model *model, const int64_t *pico)
{
    char text[32];
    bool any = false;
    for (size_t i = 0; i < USAGE_CLASS_COUNT && !model->free; i++) {
        enum usage_class class_ = (enum usage_class)i;
        int64_t price = pico[i];
        if (class_ == USAGE_image && model->tariff.picture_count > 0)
            price = tariff_image(&model->tariff, STR_EMPTY, STR_EMPTY);
        if (usage_is_tokens(class_) || price == 0)
            continue;
        if (!any)
            json_key_object(w, "pricing_per_piece");
        any = true;
        money_format((struct money){price / 1000}, text);
        json_member_str(w, usage_class_name(class_), str_from(text));
    }
    if (any)
        json_close_object(w);
}

/* What every shape has beyond its vendor's members; prices of a short call, now, served as usual.
 * */
static void
put_extras(struct listing *list, const struct config_model *model)
{
    struct json_writer *w = &list->writer;
    if (model->input_modalities.len > 0)
        json_member_raw(w, "input_modalities", model->input_modalities);
    if (model->output_modalities.len > 0)
        json_member_raw(w, "output_modalities", model->output_modalities);
    if (model->capabilities.len > 0 && !list->mistral) /* an object there */
        json_member_raw(w, "capabilities", model->capabilities);
    if (model->alias_of.len > 0)
        json_member_str(w, "alias_of", model->alias_of);
    if (model->tariff.count == 0)
        return;
    const int64_t *pico =
        tariff_pick(&model->tariff, list->now_s, &(struct usage){.evidence = EVIDENCE_NONE})
            ->price.pico;
    json_key(w, "pricing_per_million");
    json_open_object(w);
    put_price(w, "input", model->free ? 0 : pico[USAGE_input]);
    put_price(w, "output", model->free ? 0 : pico[USAGE_output]);
    put_price(w, "cached", model->free ? 0 : pico[USAGE_cached]);
    json_close_object(w);
    put_pieces(w, model, pico);
}

static void
put_openai(struct json_writer *w, const struct entry *entry)
{
    json_member_str(w, "id", entry->id);
    json_member_str(w, "object", STR("model"));
    json_member_u64(w, "created", CREATED_UNKNOWN);
    json_member_str(w, "owned_by", entry->owner);
    if (entry->context_tokens != 0)
        json_member_u64(w, "context_length", entry->context_tokens);
    if (entry->max_output_tokens != 0)
        json_member_u64(w, "max_output_tokens", entry->max_output_tokens);
}

/* His SDKs refuse a list without these. */
static void
put_mistral(struct json_writer *w, const struct entry *entry)
{
    struct str can = entry->model != NULL ? entry->model->capabilities : STR_EMPTY;
    json_member_str(w, "type", STR("base"));
    if (entry->context_tokens != 0)
        json_member_u64(w, "max_context_length", entry->context_tokens);
    json_key_object(w, "capabilities");
    json_member_bool(w, "completion_chat", entry->kind == CONFIG_CHAT);
    json_member_bool(w, "completion_fim", false);
    json_member_bool(w, "function_calling", str_find(can, STR("\"tools\"")) != SIZE_MAX);
    json_member_bool(w, "fine_tuning", false);
    json_member_bool(w, "vision", str_find(can, STR("\"vision\"")) != SIZE_MAX);
    json_member_bool(w, "classification", entry->kind == CONFIG_MODERATION);
    json_close_object(w);
}

static void
put_anthropic(struct json_writer *w, const struct entry *entry)
{
    json_member_str(w, "type", STR("model"));
    json_member_str(w, "id", entry->id);
    json_member_str(w, "display_name", entry->id);
    json_member_str(w, "created_at", STR("1970-01-01T00:00:00Z"));
    if (entry->context_tokens != 0)
        json_member_u64(w, "max_input_tokens", entry->context_tokens);
    if (entry->max_output_tokens != 0)
        json_member_u64(w, "max_tokens", entry->max_output_tokens);
}

/* An id may have a '/': the vendor's SDK takes what stands behind "models/" as it is. */
static void
put_gemini(struct json_writer *w, const struct entry *entry, struct arena *arena)
{
    struct str name = arena_printf(arena, "models/%.*s", STR_ARG(entry->id));
    json_member_str(w, "name", name.ptr != NULL ? name : entry->id);
    json_member_str(w, "baseModelId", entry->id);
    json_member_str(w, "displayName", entry->id);
    json_member_u64(w, "inputTokenLimit", entry->context_tokens);
    json_member_u64(w, "outputTokenLimit", entry->max_output_tokens);
    json_member_raw(w, "supportedGenerationMethods",
                    entry->kind == CONFIG_CHAT ? STR("[\"generateContent\",\"countTokens\"]")
                    : entry->kind == CONFIG_EMBEDDING
                        ? STR("[\"embedContent\",\"batchEmbedContents\"]")
                        : STR("[]"));
}

/* For clients that look what they could run: nothing is known of files that are none. */
static void
put_ollama(struct json_writer *w, const struct entry *entry)
{
    json_member_str(w, "name", entry->id);
    json_member_str(w, "model", entry->id);
    json_member_str(w, "modified_at", STR("1970-01-01T00:00:00Z"));
    json_member_u64(w, "size", 0);
    json_member_str(w, "digest", STR_EMPTY);
    json_member_raw(w, "details",
                    STR("{\"format\":\"\",\"family\":\"\",\"families\":[],\"parameter_size\":\"\","
                        "\"quantization_level\":\"\"}"));
    if (entry->context_tokens != 0)
        json_member_u64(w, "context_length", entry->context_tokens);
}

static void
put_entry(struct listing *list, const struct entry *entry)
{
    struct json_writer *w = &list->writer;
    json_open_object(w);
    if (list->dialect == &dialect_gemini)
        put_gemini(w, entry, list->arena);
    else if (list->dialect == &dialect_anthropic)
        put_anthropic(w, entry);
    else if (list->dialect == &dialect_ollama)
        put_ollama(w, entry);
    else
        put_openai(w, entry);
    if (list->mistral)
        put_mistral(w, entry);
    if (entry->model != NULL)
        put_extras(list, entry->model);
    json_close_object(w);
    list->first = list->first.len == 0 ? entry->id : list->first;
    list->last = entry->id;
}

/* Without a price, and without the owner's word that there is none, a call is refused; and nobody
 * can be called at an address that his dialect does not have. */
static bool
is_callable(const struct config_model *model)
{
    const struct config_provider *provider = model->provider;
    struct buf path;
    if (model->tariff.count == 0 && !model->free)
        return false;
    buf_init(&path, PATH_BYTES_MAX);
    buf_put_str(&path, provider->base.path);
    bool found = provider->dialect->path(config_kind_endpoint(model->kind), model->upstream, false,
                                         &path) == 0;
    buf_fini(&path);
    return found;
}

static struct entry
model_entry(const struct config_model *model)
{
    return (struct entry){.id = model->id,
                          .owner = model->provider->name,
                          .model = model,
                          .context_tokens = model->context_tokens,
                          .max_output_tokens = model->max_output_tokens,
                          .kind = model->kind};
}

/* false: none of its targets can be called by this caller. Its window is that of its smallest. */
static bool
route_entry(struct exchange *x, const struct config_route *route, struct entry *ret_entry)
{
    struct entry entry = {.owner = STR("berth")};
    bool all = scope_allows_route(x->scope, route);
    bool any = false;
    for (uint32_t i = 0; i < route->target_count; i++) {
        const struct config_model *model = route->targets[i];
        if (!is_callable(model) || !(all || scope_allows(x->scope, model)))
            continue;
        if (!any || model->context_tokens < entry.context_tokens) {
            entry.context_tokens = model->context_tokens;
            entry.max_output_tokens = model->max_output_tokens;
        }
        if (!any)
            entry.kind = model->kind;
        any = true;
    }
    entry.id = arena_printf(&x->arena, "route/%.*s", STR_ARG(route->name));
    *ret_entry = entry;
    return any && entry.id.ptr != NULL;
}

static void
put_all(struct exchange *x, struct listing *list)
{
    const struct config *config = x->config;
    struct json_writer *w = &list->writer;
    struct entry entry;
    bool anthropic = list->dialect == &dialect_anthropic;
    bool models = list->dialect == &dialect_gemini || list->dialect == &dialect_ollama;
    json_open_object(w);
    if (!anthropic && !models)
        json_member_str(w, "object", STR("list"));
    json_key(w, models ? "models" : "data");
    json_open_array(w);
    for (uint32_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &config->models[i];
        if (!is_callable(model) || !scope_allows(x->scope, model))
            continue;
        entry = model_entry(model);
        put_entry(list, &entry);
    }
    for (uint32_t i = 0; i < config->route_count; i++) {
        if (route_entry(x, &config->routes[i], &entry))
            put_entry(list, &entry);
    }
    json_close_array(w);
    if (anthropic) {
        json_member_bool(w, "has_more", false);
        if (list->first.len > 0) {
            json_member_str(w, "first_id", list->first);
            json_member_str(w, "last_id", list->last);
        }
    }
    json_close_object(w);
}

/* *ret_status 200, or that of the refusal that was written in its place. */
static void
put_one(struct exchange *x, struct listing *list, struct str name, uint16_t *ret_status)
{
    const struct config_model *model;
    const struct config_route *route;
    struct entry entry;
    struct err err = {0};
    int rc = route_show(x->config, x->scope, name, &model, &route, &err);
    if (rc == 0 && route != NULL && !route_entry(x, route, &entry))
        rc = err_set(&err, ERR_NOT_FOUND, "No model of this route can be called now.");
    if (rc == 0) {
        if (model != NULL)
            entry = model_entry(model);
        put_entry(list, &entry);
        return;
    }
    struct chat_error error = chat_error_ours(rc == -ERR_PERMISSION ? HTTP_ERROR_model_not_allowed
                                                                    : HTTP_ERROR_model_not_found,
                                              str_from(err.text), STR_EMPTY);
    error.request_id = str_make(x->id, REQUEST_ID_BYTES);
    *ret_status = rc == -ERR_PERMISSION ? 403 : 404;
    if (list->dialect->error_out(&error, list->writer.out, ret_status) != 0)
        list->writer.out->failed = true;
}

void
models_answer(struct exchange *x, const struct dialect *dialect, bool mistral)
{
    struct buf out;
    struct listing list = {.dialect = dialect,
                           .mistral = mistral,
                           .arena = &x->arena,
                           .now_s = clock_wall_ns() / 1000000000,
                           .first = STR_EMPTY,
                           .last = STR_EMPTY};
    uint16_t status = 200;
    buf_init(&out, LIST_BYTES_MAX);
    json_writer_init(&list.writer, &out);
    if (x->facts.model.len > 0)
        put_one(x, &list, x->facts.model, &status);
    else
        put_all(x, &list);
    status = out.failed ? 500 : status;
    x->status = status;
    pipeline_settle(x, status == 200 ? OUTCOME_completed : OUTCOME_refused);
    const struct http_field fields[] = {{STR("content-type"), STR("application/json")},
                                        {STR("x-request-id"), str_make(x->id, REQUEST_ID_BYTES)}};
    http_stream_answer(x->stream, status, fields, ARRAY_LEN(fields), buf_str(&out));
    buf_fini(&out);
}
