/* SPDX-License-Identifier: MIT
 * document.c - the config document as text: providers, their models, routes, keys.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: nothing that outlives a call.
 * Invariant: models are sorted by id and unique; a Model object wins over the catalogue. */
#include <stdlib.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/snapshot/model_price.h"
#include "controlplane/snapshot/snapshot.h"
#include "lib/base/map.h"
#include "lib/base/num.h"

#define ALIAS_BYTES_MAX (16u * 1024u * 1024u)
#define PRICE_BYTES_MAX 65536u

/* A model of the document; object: the owner's, or NULL: the catalogue's. */
struct offer {
    struct catalog_model model;
    const struct object *object;
    struct str alias_of;           /* id of the model that this is another name of, or empty */
    const struct seen_model *live; /* what its provider lists of it, or NULL */
};
struct builder {
    const struct snapshot_input *input;
    struct arena arena; /* ids that stand nowhere else */
    struct json_writer writer;
    struct offer *offers;
    size_t count;
    size_t cap;
    struct map by_id;  /* id -> anything */
    struct seen *seen; /* of input->providers, as many */
};

/* ---- what is offered ------------------------------------------------------------------------- */

static bool
is_offered(const struct snapshot_input *input, size_t index)
{
    return input->keys[index].ptr && !schema_true(input->providers[index].spec, "disabled");
}

static const struct object *
find_offered(const struct snapshot_input *input, struct str name)
{
    for (size_t i = 0; i < input->provider_count; i++) {
        if (str_eq(input->providers[i].name, name))
            return is_offered(input, i) ? &input->providers[i] : NULL;
    }
    return NULL;
}

static int
add_model(struct builder *builder, const struct catalog_model *model, const struct object *object)
{
    if (builder->count == builder->cap) {
        size_t cap = builder->cap ? builder->cap * 2 : 256;
        struct offer *offers = realloc(builder->offers, cap * sizeof *offers);
        if (!offers)
            return -ERR_NOMEM;
        builder->offers = offers;
        builder->cap = cap;
    }
    builder->offers[builder->count++] = (struct offer){.model = *model, .object = object};
    /* the key is the id's bytes, not our array: it may move */
    return map_put(&builder->by_id, model->id, builder, NULL);
}

static int
add_live(struct builder *builder, const struct catalog_model *model, const struct seen_model *live)
{
    int code = add_model(builder, model, NULL);
    if (code == 0)
        builder->offers[builder->count - 1].live = live;
    return code;
}

static bool
is_listed(const struct tree *list, struct str upstream_name)
{
    if (!list || list->count == 0)
        return true;
    for (const struct tree *item = list->first; item; item = item->next) {
        if (str_eq(item->text, upstream_name))
            return true;
    }
    return false;
}

/* What the catalogue calls a kind, and the word for what we can do with it; empty: nothing yet. */
static struct str
served_kind(struct str kind)
{
    static const struct {
        const char *name;
        const char *served;
    } rows[] = {
        {"chat", "chat"},
        {"embedding", "embedding"},
        {"image_generation", "image"},
        {"image_edit", "image"},
        {"audio_speech", "speech"},
        {"audio_transcription", "transcription"},
        {"moderation", "moderation"},
        {"rerank", "rerank"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(kind, str_from(rows[i].name)))
            return str_from(rows[i].served);
    }
    return STR_EMPTY;
}

/* OpenAI's two endpoints lie beside each other below /v1 (Azure's, too). */
static bool
speaks_responses(const struct object *provider)
{
    struct str base = schema_text(provider->spec, "baseUrl", STR_EMPTY);
    return str_eq(schema_text(provider->spec, "dialect", STR_EMPTY), STR("openai")) &&
           (str_ends(base, STR("/v1")) || str_ends(base, STR("/v1/")));
}

/* What the provider lists of a model of the catalogue, by any of the two names it may have there.
 * */
static const struct seen_model *
find_live(const struct seen *seen, const struct catalog_model *model, struct str bare)
{
    const struct seen_model *live = seen_find(seen, model->upstream);
    return live ? live : seen_find(seen, bare);
}

/* Vertex sells models of others at addresses and in dialects that are not Gemini's. */
static bool
is_reachable(const struct object *provider, struct str bare)
{
    struct str url = schema_text(provider->spec, "baseUrl", STR_EMPTY);
    return !str_eq(schema_text(provider->spec, "dialect", STR_EMPTY), STR("gemini")) ||
           str_find(url, STR("/projects/")) == SIZE_MAX || str_starts(bare, STR("gemini"));
}

static int
collect_catalogue(struct builder *builder, size_t index)
{
    const struct object *provider = &builder->input->providers[index];
    const struct tree *only = schema_get(provider->spec, "models");
    struct catalog_model model;
    size_t cursor = 0;
    while (catalog_next(provider->name, &cursor, &model) == 0) {
        struct str bare = str_skip(model.id, provider->name.len + 1);
        model.kind = str_eq(model.kind, STR("responses")) && speaks_responses(provider)
                         ? model.kind
                         : served_kind(model.kind);
        if (model.kind.len == 0 || str_ends(model.id, STR("*")) || !is_listed(only, bare) ||
            !is_reachable(provider, bare) || map_get(&builder->by_id, model.id))
            continue;
        const struct seen_model *live = find_live(&builder->seen[index], &model, bare);
        if (live && live->gone)
            continue;
        int code = add_live(builder, &model, live);
        if (code < 0)
            return code;
    }
    return 0;
}

/* What a provider lists and the catalogue lacks. It costs what the list says, or what the catalogue
 * says of anything that runs there (hardware of one's own: nothing), or nobody knows. */
static int
collect_listed(struct builder *builder, size_t index)
{
    const struct seen *seen = &builder->seen[index];
    const struct object *provider = &builder->input->providers[index];
    const struct tree *only = schema_get(provider->spec, "models");
    struct catalog_model any = {.pricing = STR_EMPTY};
    struct str star = arena_printf(&builder->arena, "%.*s/*", STR_ARG(provider->name));
    if (!star.ptr)
        return -ERR_NOMEM;
    if (catalog_find(star, &any) < 0)
        any = (struct catalog_model){.pricing = STR_EMPTY};
    for (size_t i = 0; i < seen->count; i++) {
        const struct seen_model *live = &seen->models[i];
        struct catalog_model model = {.provider = provider->name,
                                      .upstream = live->as.name,
                                      .kind = live->as.kind,
                                      .context = live->as.context,
                                      .max_output = live->as.max_output,
                                      .pricing = any.pricing};
        model.id = arena_printf(&builder->arena, "%.*s/%.*s", STR_ARG(provider->name),
                                STR_ARG(live->as.name));
        if (!model.id.ptr)
            return -ERR_NOMEM;
        if (live->gone || live->as.kind.len == 0 || !is_listed(only, live->as.name) ||
            map_get(&builder->by_id, model.id))
            continue;
        int code = add_live(builder, &model, live);
        if (code < 0)
            return code;
    }
    return 0;
}

/* PROVIDER/NAME as another id of the same model, unless something has that id already. */
static int
add_alias(struct builder *builder, const struct catalog_model *model, struct str name)
{
    struct catalog_model alias = *model;
    alias.id = arena_printf(&builder->arena, "%.*s/%.*s", STR_ARG(model->provider), STR_ARG(name));
    if (!alias.id.ptr)
        return -ERR_NOMEM;
    if (map_get(&builder->by_id, alias.id))
        return 0;
    int code = add_model(builder, &alias, NULL);
    if (code == 0)
        builder->offers[builder->count - 1].alias_of = model->id;
    return code;
}

/* What the provider itself calls a model works too: clients send "claude-sonnet-4-5-20250929" as
 * the vendor's documents have it, and the catalogue says "claude-sonnet-4.5". */
static int
add_aliases(struct builder *builder, size_t index)
{
    const struct catalog_model model = builder->offers[index].model;
    struct json_doc doc;
    int code = add_alias(builder, &model, model.upstream);
    if (code < 0 || model.aliases.len == 0)
        return code;
    json_init(&doc);
    code = json_scan(&doc, model.aliases, NULL, NULL);
    for (uint32_t node = code == 0 ? json_first(&doc, 0) : JSON_NONE;
         node != JSON_NONE && code == 0; node = json_sibling(&doc, 0, node)) {
        struct str name;
        code = json_string(&doc, node, &builder->arena, &name);
        if (code == 0)
            code = add_alias(builder, &model, name);
    }
    json_fini(&doc);
    return code;
}

static void
read_model_object(const struct object *object, struct catalog_model *ret_model)
{
    const struct tree *spec = object->spec;
    uint64_t context = 0;
    uint64_t max_output = 0;
    struct catalog_model known;
    bool in_catalogue = catalog_find(object->name, &known) == 0;
    if (num_u64(schema_text(spec, "context", STR_EMPTY), UINT32_MAX, &context) < 0)
        context = in_catalogue ? known.context : 0;
    if (num_u64(schema_text(spec, "maxOutput", STR_EMPTY), UINT32_MAX, &max_output) < 0)
        max_output = in_catalogue ? known.max_output : 0;
    *ret_model = (struct catalog_model){
        .id = object->name,
        .provider = schema_text(spec, "provider", STR_EMPTY),
        .upstream = schema_text(spec, "upstream", STR_EMPTY),
        .kind = schema_text(spec, "kind", STR("chat")),
        .context = (uint32_t)context,
        .max_output = (uint32_t)max_output,
        .input_modalities = in_catalogue ? known.input_modalities : STR_EMPTY,
        .output_modalities = in_catalogue ? known.output_modalities : STR_EMPTY,
        .capabilities = in_catalogue ? known.capabilities : STR_EMPTY,
    };
}

static int
compare_offers(const void *a, const void *b)
{
    const struct offer *offer_a = a;
    const struct offer *offer_b = b;
    return str_cmp(offer_a->model.id, offer_b->model.id);
}

static int
collect(struct builder *builder)
{
    const struct snapshot_input *input = builder->input;
    int code = 0;
    for (size_t i = 0; i < input->model_count && code == 0; i++) {
        struct catalog_model model;
        read_model_object(&input->models[i], &model);
        if (find_offered(input, model.provider))
            code = add_model(builder, &model, &input->models[i]);
    }
    size_t first = builder->count;
    for (size_t i = 0; i < input->provider_count && code == 0; i++) {
        if (is_offered(input, i))
            code = collect_catalogue(builder, i);
    }
    /* after all real ids, which win; objects of the owner have only the name they were given */
    for (size_t i = first, count = builder->count; i < count && code == 0; i++)
        code = add_aliases(builder, i);
    for (size_t i = 0; i < input->provider_count && code == 0; i++) {
        if (is_offered(input, i))
            code = collect_listed(builder, i);
    }
    if (builder->count > 1)
        qsort(builder->offers, builder->count, sizeof *builder->offers, compare_offers);
    return code;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void
member_or_null(struct json_writer *writer, const char *key, struct str text)
{
    if (text.len > 0) {
        json_member_str(writer, key, text);
    } else {
        json_key(writer, key);
        json_value_null(writer);
    }
}

static void
put_settings(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    const struct snapshot_settings *settings = &builder->input->settings;
    json_key(writer, "settings");
    json_open_object(writer);
    json_member_u64(writer, "markup_bps", settings->markup_bps);
    json_member_u64(writer, "body_bytes_max", settings->body_bytes_max);
    json_member_u64(writer, "ttft_timeout_ms", settings->ttft_timeout_ms);
    json_member_u64(writer, "stall_timeout_ms", settings->stall_timeout_ms);
    json_member_u64(writer, "request_timeout_ms", settings->request_timeout_ms);
    if (settings->container_tags)
        json_member_str(writer, "container_tokens", STR("tag"));
    json_close_object(writer);
}

static void
put_providers(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    const struct snapshot_input *input = builder->input;
    json_key(writer, "providers");
    json_open_array(writer);
    for (size_t i = 0; i < input->provider_count; i++) {
        const struct tree *spec = input->providers[i].spec;
        if (!is_offered(input, i))
            continue;
        json_open_object(writer);
        json_member_str(writer, "name", input->providers[i].name);
        json_member_str(writer, "dialect", schema_text(spec, "dialect", STR_EMPTY));
        json_member_str(writer, "base_url", schema_text(spec, "baseUrl", STR_EMPTY));
        member_or_null(writer, "key", input->keys[i]);
        if (input->bearers != NULL && input->bearers[i])
            json_member_bool(writer, "bearer", true);
        json_member_str(writer, "protocol", schema_text(spec, "protocol", STR("auto")));
        member_or_null(writer, "ca_file", schema_text(spec, "caFile", STR_EMPTY));
        if (schema_true(spec, "allowPrivate"))
            json_member_bool(writer, "allow_private", true);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static int
put_price(struct json_writer *writer, const struct offer *offer)
{
    struct tariff_row rows[TARIFF_ROWS_MAX];
    struct tariff tariff = {.rows = rows};
    int code = 0;
    if (offer->object)
        model_price(offer->object, rows, &tariff);
    else
        code = catalog_tariff(offer->model.pricing, rows, &tariff);
    if (code == 0 && !offer->object && offer->live)
        model_price_listed(offer->live, rows, &tariff);
    if (code < 0 || tariff.count == 0)
        return code;
    struct tariff_picture pictures[TARIFF_PICTURES_MAX];
    struct catalog_model known = offer->model;
    if (!offer->object || (!schema_get(offer->object->spec, "price") &&
                           catalog_find(offer->object->name, &known) == 0))
        tariff.picture_count = (uint32_t)catalog_pictures(known.pricing, pictures);
    tariff.pictures = pictures;
    struct buf price;
    buf_init(&price, PRICE_BYTES_MAX);
    code = catalog_price_put(&tariff, &price);
    json_member_raw(writer, "price", buf_str(&price));
    buf_fini(&price);
    return code;
}

static void
put_names(struct json_writer *writer, const char *key, const struct tree *names)
{
    if (!names)
        return;
    json_key(writer, key);
    json_open_array(writer);
    for (const struct tree *item = names->first; item; item = item->next)
        json_value_str(writer, item->text);
    json_close_array(writer);
}

static int
put_models(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    int code = 0;
    json_key(writer, "models");
    json_open_array(writer);
    for (size_t i = 0; i < builder->count && code == 0; i++) {
        const struct catalog_model *model = &builder->offers[i].model;
        const struct object *object = builder->offers[i].object;
        json_open_object(writer);
        json_member_str(writer, "id", model->id);
        json_member_str(writer, "provider", model->provider);
        json_member_str(writer, "upstream", model->upstream);
        json_member_str(writer, "kind", model->kind);
        json_member_u64(writer, "context", model->context);
        json_member_u64(writer, "max_output", model->max_output);
        if (model->input_modalities.len > 0)
            json_member_raw(writer, "input_modalities", model->input_modalities);
        if (model->output_modalities.len > 0)
            json_member_raw(writer, "output_modalities", model->output_modalities);
        if (model->capabilities.len > 0)
            json_member_raw(writer, "capabilities", model->capabilities);
        if (builder->offers[i].alias_of.len > 0)
            json_member_str(writer, "alias_of", builder->offers[i].alias_of);
        if (object && schema_true(object->spec, "free"))
            json_member_bool(writer, "free", true);
        if (object)
            put_names(writer, "free_tools", schema_get(object->spec, "freeTools"));
        code = put_price(writer, &builder->offers[i]);
        json_close_object(writer);
    }
    json_close_array(writer);
    return code;
}

static void
put_timeout(struct json_writer *writer, const char *key, const struct tree *spec, const char *path)
{
    uint64_t ms = 0;
    if (num_u64(schema_text(spec, path, STR_EMPTY), UINT32_MAX, &ms) == 0)
        json_member_u64(writer, key, ms);
}

static void
put_routes(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    const struct snapshot_input *input = builder->input;
    json_key(writer, "routes");
    json_open_array(writer);
    for (size_t i = 0; i < input->route_count; i++) {
        const struct tree *targets = schema_get(input->routes[i].spec, "targets");
        size_t found = 0;
        for (const struct tree *item = targets ? targets->first : NULL; item; item = item->next)
            found += map_get(&builder->by_id, item->text) ? 1 : 0;
        if (found == 0)
            continue;
        json_open_object(writer);
        json_member_str(writer, "name", input->routes[i].name);
        struct str leave = schema_text(input->routes[i].spec, "onLeave", STR("cancel"));
        if (!str_eq(leave, STR("cancel")))
            json_member_str(writer, "on_leave", leave);
        put_timeout(writer, "ttft_timeout_ms", input->routes[i].spec, "firstTokenTimeoutMs");
        put_timeout(writer, "stall_timeout_ms", input->routes[i].spec, "stallTimeoutMs");
        json_key(writer, "targets");
        json_open_array(writer);
        for (const struct tree *item = targets->first; item; item = item->next) {
            if (map_get(&builder->by_id, item->text))
                json_value_str(writer, item->text);
        }
        json_close_array(writer);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void
put_keys(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    const struct snapshot_input *input = builder->input;
    json_key(writer, "keys");
    json_open_array(writer);
    for (size_t i = 0; i < input->api_key_count; i++) {
        const struct object *key = &input->api_keys[i];
        struct str hash = schema_text(key->status, "hash", STR_EMPTY);
        if (hash.len != (size_t)2 * SHA256_BYTES || schema_true(key->spec, "disabled"))
            continue;
        json_open_object(writer);
        json_member_str(writer, "name", key->name);
        json_member_str(writer, "hash", hash);
        json_member_str(writer, "wallet", schema_text(key->spec, "wallet", STR("default")));
        put_names(writer, "models", schema_get(key->spec, "models"));
        if (schema_get(key->spec, "cap"))
            json_member_bool(writer, "capped", true);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void
put_containers(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    const struct scopes *scopes = builder->input->settings.scopes;
    if (!scopes || scopes->count == 0)
        return;
    json_key(writer, "containers");
    json_open_array(writer);
    for (size_t i = 0; i < scopes->count; i++) {
        json_open_object(writer);
        json_member_str(writer, "name", str_from(scopes->rows[i].name));
        if (scopes->rows[i].models)
            json_member_raw(writer, "models", str_from(scopes->rows[i].models));
        if (scopes->rows[i].capped)
            json_member_bool(writer, "capped", true);
        json_close_object(writer);
    }
    json_close_array(writer);
}

/* Of most wallets there is nothing to say. */
static void
put_capped_wallets(struct builder *builder)
{
    struct json_writer *writer = &builder->writer;
    const struct snapshot_input *input = builder->input;
    bool any = false;
    for (size_t i = 0; i < input->wallet_count; i++) {
        if (!schema_get(input->wallets[i].spec, "containerCap"))
            continue;
        if (!any) {
            json_key(writer, "capped_wallets");
            json_open_array(writer);
        }
        any = true;
        json_value_str(writer, input->wallets[i].name);
    }
    if (any)
        json_close_array(writer);
}

/* A row that cannot be read is as if the provider had never been asked. */
static int
load_seen(struct builder *builder)
{
    const struct snapshot_input *input = builder->input;
    builder->seen = calloc(input->provider_count + 1, sizeof *builder->seen);
    for (size_t i = 0; builder->seen && i < input->provider_count; i++) {
        seen_init(&builder->seen[i]);
        if (input->listings && input->listings[i].len > 0 &&
            seen_read(&builder->seen[i], input->listings[i]) < 0)
            builder->seen[i].count = 0;
    }
    return builder->seen ? 0 : -ERR_NOMEM;
}

int
snapshot_put(const struct snapshot_input *input, struct buf *out)
{
    struct builder builder = {.input = input};
    json_writer_init(&builder.writer, out);
    map_init(&builder.by_id);
    arena_init(&builder.arena, ALIAS_BYTES_MAX);
    int code = load_seen(&builder);
    if (code == 0)
        code = collect(&builder);
    if (code == 0) {
        json_open_object(&builder.writer);
        json_member_u64(&builder.writer, "version", 1);
        put_settings(&builder);
        put_providers(&builder);
        code = put_models(&builder);
        put_routes(&builder);
        put_keys(&builder);
        put_containers(&builder);
        put_capped_wallets(&builder);
        json_close_object(&builder.writer);
    }
    map_fini(&builder.by_id);
    arena_fini(&builder.arena);
    free(builder.offers);
    for (size_t i = 0; builder.seen && i < input->provider_count; i++)
        seen_fini(&builder.seen[i]);
    free(builder.seen);
    if (code == 0 && out->failed)
        code = -ERR_TOO_LARGE;
    return code;
}
