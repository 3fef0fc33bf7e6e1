/* SPDX-License-Identifier: MIT
 * config.c - from the config document to tables that a request can use.
 * Floor: dataplane/view; sync thread builds, any thread releases.
 * Owns: the config under construction.
 * Invariant: parse whole or not at all; the path of a bad record is in the message. config_test.c.
 */
#include "dataplane/view/config.h"

#include <stdlib.h>

#include "dataplane/media/maker.h"
#include "dataplane/view/config_int.h"
#include "dataplane/view/scope.h"
#include "dataplane/view/unasked.h"

#include "lib/base/check.h"
#include "lib/base/num.h"

#define CONFIG_ARENA_BYTES ((size_t)256u * 1024u * 1024u)
#define CONFIG_VERSION 1u
#define TIMEOUT_MS_MAX 86400000u
#define BODY_BYTES_CAP ((size_t)100u * 1024u * 1024u)

static const char *const kind_names[] = {"chat",          "embedding",  "image", "speech",
                                         "transcription", "moderation", "rerank"};
_Static_assert(ARRAY_LEN(kind_names) == CONFIG_KIND_COUNT, "a name a kind");

enum chat_endpoint
config_kind_endpoint(enum config_kind kind)
{
    static const enum chat_endpoint endpoints[CONFIG_KIND_COUNT] = {
        [CONFIG_CHAT] = CHAT_ENDPOINT_CHAT,
        [CONFIG_EMBEDDING] = CHAT_ENDPOINT_EMBEDDINGS,
        [CONFIG_IMAGE] = CHAT_ENDPOINT_IMAGES,
        [CONFIG_SPEECH] = CHAT_ENDPOINT_SPEECH,
        [CONFIG_TRANSCRIPTION] = CHAT_ENDPOINT_TRANSCRIPTIONS,
        [CONFIG_MODERATION] = CHAT_ENDPOINT_MODERATIONS,
        [CONFIG_RERANK] = CHAT_ENDPOINT_RERANK,
    };
    return endpoints[kind];
}

const char *
config_kind_name(enum config_kind kind)
{
    return kind_names[kind];
}

int
config_bad(struct parser *p, enum err_code code, const char *field, const char *why)
{
    return err_set(p->err, code, "%s[%u].%s: %s", p->list, p->index, field, why);
}

/* Text member; empty when absent and not required. Copied into the config's arena. */
static int
get_text(struct parser *p, uint32_t object, const char *field, bool required, struct str *ret_text)
{
    uint32_t node = json_get(p->doc, object, str_from(field));
    if (node == JSON_NONE || json_is(p->doc, node, JSON_NULL)) {
        if (required)
            return config_bad(p, ERR_INVALID, field, "is missing");
        *ret_text = STR_EMPTY;
        return 0;
    }
    struct str text;
    if (json_string(p->doc, node, &p->config->arena, &text) != 0)
        return config_bad(p, ERR_INVALID, field, "must be a string");
    if (required && text.len == 0)
        return config_bad(p, ERR_INVALID, field, "must not be empty");
    if (memchr(text.ptr, '\0', text.len) != NULL)
        return config_bad(p, ERR_INVALID, field, "must not hold a NUL");
    return arena_dup(&p->config->arena, text, ret_text) == 0
               ? 0
               : config_bad(p, ERR_NOMEM, field, "memory");
}

static int
get_number(struct parser *p, uint32_t object, const char *field, uint64_t max, uint64_t fallback,
           uint64_t *ret_value)
{
    uint32_t node = json_get(p->doc, object, str_from(field));
    *ret_value = fallback;
    if (node == JSON_NONE || json_is(p->doc, node, JSON_NULL))
        return 0;
    if (json_u64(p->doc, node, max, ret_value) != 0)
        return config_bad(p, ERR_RANGE, field, "must be an integer in range");
    return 0;
}

static int
parse_settings(struct parser *p, uint32_t root)
{
    struct config_settings *s = &p->config->settings;
    uint32_t object = json_get(p->doc, root, STR("settings"));
    uint64_t markup = 0;
    uint64_t body = 0;
    uint64_t ttft = 0;
    uint64_t stall = 0;
    uint64_t whole = 0;
    struct str tokens = STR_EMPTY;
    p->list = "settings";
    p->index = 0;
    int rc = get_number(p, object, "markup_bps", BPS_ONE - 1, 500, &markup);
    if (rc == 0)
        rc = get_number(p, object, "body_bytes_max", BODY_BYTES_CAP, 10u << 20, &body);
    if (rc == 0)
        rc = get_number(p, object, "ttft_timeout_ms", TIMEOUT_MS_MAX, 60000, &ttft);
    if (rc == 0)
        rc = get_number(p, object, "stall_timeout_ms", TIMEOUT_MS_MAX, 30000, &stall);
    if (rc == 0)
        rc = get_number(p, object, "request_timeout_ms", TIMEOUT_MS_MAX, 600000, &whole);
    if (rc == 0)
        rc = get_text(p, object, "container_tokens", false, &tokens);
    if (rc != 0)
        return rc;
    if (tokens.len > 0 && !str_eq(tokens, STR("tag")) && !str_eq(tokens, STR("strict")))
        return config_bad(p, ERR_INVALID, "container_tokens", "must be strict or tag");
    *s = (struct config_settings){.markup_bps = (uint32_t)markup,
                                  .body_bytes_max = body,
                                  .ttft_timeout_ms = (uint32_t)ttft,
                                  .stall_timeout_ms = (uint32_t)stall,
                                  .request_timeout_ms = (uint32_t)whole,
                                  .container_tags = str_eq(tokens, STR("tag"))};
    return 0;
}

static int
parse_provider(struct parser *p, uint32_t node)
{
    struct config *config = p->config;
    struct config_provider *provider = &config->providers[p->index];
    struct str dialect = STR_EMPTY;
    struct str base = STR_EMPTY;
    struct str protocol = STR_EMPTY;
    int rc = get_text(p, node, "name", true, &provider->name);
    if (rc == 0)
        rc = get_text(p, node, "dialect", true, &dialect);
    if (rc == 0)
        rc = get_text(p, node, "base_url", true, &base);
    if (rc == 0)
        rc = get_text(p, node, "key", false, &provider->key);
    if (rc == 0)
        rc = get_text(p, node, "ca_file", false, &provider->ca_file);
    if (rc == 0)
        rc = get_text(p, node, "protocol", false, &protocol);
    if (rc != 0)
        return rc;
    provider->index = p->index;
    provider->allow_private =
        json_is(p->doc, json_get(p->doc, node, STR("allow_private")), JSON_TRUE);
    provider->dialect = dialect_find(dialect);
    if (provider->dialect == NULL)
        provider->dialect = maker_find(dialect);
    if (provider->dialect == NULL)
        return config_bad(p, ERR_UNSUPPORTED, "dialect", "is not one of this data plane's");
    if (uri_parse(base, &provider->base, NULL) != 0)
        return config_bad(p, ERR_INVALID, "base_url", "is not an http(s) URL");
    while (provider->base.path.len > 0 &&
           provider->base.path.ptr[provider->base.path.len - 1] == '/')
        provider->base.path.len--;
    if (!http_valid_value(provider->key))
        return config_bad(p, ERR_INVALID, "key", "cannot stand in a header");
    bool bearer = json_is(p->doc, json_get(p->doc, node, STR("bearer")), JSON_TRUE);
    provider->auth_field = bearer ? "authorization" : provider->dialect->auth_field;
    provider->auth_value =
        arena_printf(&p->config->arena, "%s%.*s",
                     bearer ? "Bearer " : provider->dialect->auth_prefix, STR_ARG(provider->key));
    if (provider->auth_value.ptr == NULL ||
        mask_init(&provider->mask, provider->key, &p->config->arena) != 0)
        return config_bad(p, ERR_NOMEM, "key", "no memory");
    if (protocol.len == 0 || str_eq(protocol, STR("auto")))
        provider->protocol = HTTP_AUTO;
    else if (str_eq(protocol, STR("http1")))
        provider->protocol = HTTP_1_1;
    else if (str_eq(protocol, STR("http2")))
        provider->protocol = HTTP_2;
    else
        return config_bad(p, ERR_INVALID, "protocol", "must be auto, http1 or http2");
    return 0;
}

/* As it stands; what is no array is as if it were not there. */
static int
get_array(struct parser *p, uint32_t object, const char *field, struct str *ret_json)
{
    uint32_t node = json_get(p->doc, object, str_from(field));
    *ret_json = STR_EMPTY;
    if (!json_is(p->doc, node, JSON_ARRAY))
        return 0;
    return arena_dup(&p->config->arena, json_raw(p->doc, node), ret_json);
}

static const struct config_provider *
provider_named(const struct config *config, struct str name)
{
    for (uint32_t i = 0; i < config->provider_count; i++) {
        if (str_eq(config->providers[i].name, name))
            return &config->providers[i];
    }
    return NULL;
}

static int
parse_model(struct parser *p, uint32_t node)
{
    struct config *config = p->config;
    struct config_model *model = &config->models[p->index];
    struct str provider = STR_EMPTY;
    struct str kind = STR_EMPTY;
    int rc = get_text(p, node, "id", true, &model->id);
    if (rc == 0)
        rc = get_text(p, node, "provider", true, &provider);
    if (rc == 0)
        rc = get_text(p, node, "upstream", true, &model->upstream);
    if (rc == 0)
        rc = get_text(p, node, "kind", false, &kind);
    if (rc == 0)
        rc = get_number(p, node, "context", UINT32_MAX, 0, &model->context_tokens);
    if (rc == 0)
        rc = get_number(p, node, "max_output", UINT32_MAX, 0, &model->max_output_tokens);
    if (rc == 0)
        rc = get_array(p, node, "input_modalities", &model->input_modalities);
    if (rc == 0)
        rc = get_array(p, node, "output_modalities", &model->output_modalities);
    if (rc == 0)
        rc = get_array(p, node, "capabilities", &model->capabilities);
    if (rc == 0)
        rc = get_text(p, node, "alias_of", false, &model->alias_of);
    if (rc == 0)
        rc = config_price(p, node, &model->tariff);
    if (rc == 0)
        rc = config_free_tools(p, node, &model->free_tools);
    if (rc != 0)
        return rc;
    model->provider = provider_named(config, provider);
    if (model->provider == NULL)
        return config_bad(p, ERR_NOT_FOUND, "provider", "names no provider of this document");
    model->kind = CONFIG_CHAT;
    model->responses_only = str_eq(kind, STR("responses"));
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (str_eq(kind, str_from(kind_names[i])))
            model->kind = (enum config_kind)i;
    }
    model->free = json_is(p->doc, json_get(p->doc, node, STR("free")), JSON_TRUE);
    model->unasked = unasked_find(model->upstream);
    model->index = p->index;
    struct buf record;
    buf_init(&record, 8192);
    (void)buf_put_str(&record, STR(",\"model\":"));
    (void)json_put_string(&record, model->id);
    (void)buf_put_str(&record, STR(",\"provider\":"));
    (void)json_put_string(&record, model->provider->name);
    (void)buf_put_str(&record, STR(",\"price_version\":"));
    (void)buf_put_u64(&record, model->tariff.count > 0 ? model->tariff.rows[0].price.version : 0);
    rc = record.failed ? -ERR_NOMEM
                       : arena_dup(&config->arena, buf_str(&record), &model->record_json);
    buf_fini(&record);
    void *old = NULL;
    if (rc == 0)
        rc = map_put(&config->model_by_id, model->id, model, &old);
    struct str bare = str_skip(model->id, str_find_byte(model->id, '/') + 1);
    if (rc == 0 && bare.len > 0 && map_get(&config->model_by_bare, bare) == NULL)
        rc = map_put(&config->model_by_bare, bare, model, NULL);
    if (rc != 0)
        return config_bad(p, ERR_NOMEM, "id", "no memory");
    return old == NULL ? 0 : config_bad(p, ERR_DUPLICATE, "id", "is there twice");
}

static int
parse_route(struct parser *p, uint32_t node)
{
    struct config *config = p->config;
    struct config_route *route = &config->routes[p->index];
    struct str leave = STR_EMPTY;
    int rc = get_text(p, node, "name", true, &route->name);
    if (rc == 0)
        rc = get_text(p, node, "on_leave", false, &leave);
    if (rc != 0)
        return rc;
    if (str_eq(leave, STR("drain")))
        route->on_leave = CONFIG_LEAVE_DRAIN;
    else if (str_eq(leave, STR("estimate")))
        route->on_leave = CONFIG_LEAVE_ESTIMATE;
    else if (leave.len > 0 && !str_eq(leave, STR("cancel")))
        return config_bad(p, ERR_INVALID, "on_leave", "must be cancel, drain or estimate");
    uint64_t ttft = 0;
    uint64_t stall = 0;
    rc = get_number(p, node, "ttft_timeout_ms", TIMEOUT_MS_MAX, 0, &ttft);
    if (rc == 0)
        rc = get_number(p, node, "stall_timeout_ms", TIMEOUT_MS_MAX, 0, &stall);
    if (rc != 0)
        return rc;
    route->ttft_timeout_ms = (uint32_t)ttft;
    route->stall_timeout_ms = (uint32_t)stall;
    uint32_t targets = json_get(p->doc, node, STR("targets"));
    if (!json_is(p->doc, targets, JSON_ARRAY) || json_count(p->doc, targets) == 0 ||
        json_count(p->doc, targets) > CONFIG_TARGETS_MAX)
        return config_bad(p, ERR_RANGE, "targets", "must be a list of 1 to 8 model ids");
    for (uint32_t at = json_first(p->doc, targets); at != JSON_NONE;
         at = json_sibling(p->doc, targets, at)) {
        struct str id;
        if (json_string(p->doc, at, &config->arena, &id) != 0)
            return config_bad(p, ERR_INVALID, "targets", "must be strings");
        const struct config_model *model = map_get(&config->model_by_id, id);
        if (model == NULL)
            return config_bad(p, ERR_NOT_FOUND, "targets", "names no model of this document");
        route->targets[route->target_count++] = model;
    }
    void *old = NULL;
    if (map_put(&config->route_by_name, route->name, route, &old) != 0)
        return config_bad(p, ERR_NOMEM, "name", "no memory");
    return old == NULL ? 0 : config_bad(p, ERR_DUPLICATE, "name", "is there twice");
}

static int
get_budget(struct parser *p, uint32_t node, const char *kind, struct str name,
           struct fund **ret_budget)
{
    bool capped = false;
    uint32_t member = json_get(p->doc, node, STR("capped"));
    if (member != JSON_NONE && json_bool(p->doc, member, &capped) != 0)
        return config_bad(p, ERR_INVALID, "capped", "must be true or false");
    *ret_budget = capped ? funds_get_budget(p->funds, kind, name) : NULL;
    return capped && *ret_budget == NULL ? config_bad(p, ERR_NOMEM, "capped", "no memory") : 0;
}

static int
parse_key(struct parser *p, uint32_t node)
{
    struct config *config = p->config;
    struct config_key *key = &config->keys[p->index];
    struct str hash = STR_EMPTY;
    struct str wallet = STR_EMPTY;
    int rc = get_text(p, node, "name", true, &key->name);
    if (rc == 0)
        rc = get_text(p, node, "hash", true, &hash);
    if (rc == 0)
        rc = get_text(p, node, "wallet", true, &wallet);
    if (rc == 0)
        rc = config_scope(p, node, &key->scope);
    if (rc != 0)
        return rc;
    if (hex_decode(hash, key->hash, SHA256_BYTES) != 0)
        return config_bad(p, ERR_INVALID, "hash", "must be 64 hex digits");
    rc = get_budget(p, node, "key", key->name, &key->budget);
    if (rc != 0)
        return rc;
    key->fund = funds_get(p->funds, wallet);
    if (key->fund == NULL ||
        fund_record(key->fund, "key", key->name, STR_EMPTY, &config->arena, &key->record_json) != 0)
        return config_bad(p, ERR_NOMEM, "wallet", "no memory");
    void *old = NULL;
    if (map_put(&config->key_by_hash, str_make((const char *)key->hash, SHA256_BYTES), key, &old) !=
        0)
        return config_bad(p, ERR_NOMEM, "hash", "no memory");
    return old == NULL ? 0 : config_bad(p, ERR_DUPLICATE, "hash", "is there twice");
}

static int
parse_container(struct parser *p, uint32_t node)
{
    struct config_container *container = &p->config->containers[p->index];
    int rc = get_text(p, node, "name", true, &container->name);
    if (rc == 0)
        rc = config_scope(p, node, &container->scope);
    if (rc == 0)
        rc = get_budget(p, node, "container", container->name, &container->budget);
    if (rc != 0)
        return rc;
    void *old = NULL;
    if (map_put(&p->config->container_by_name, container->name, container, &old) != 0)
        return config_bad(p, ERR_NOMEM, "name", "no memory");
    return old == NULL ? 0 : config_bad(p, ERR_DUPLICATE, "name", "is there twice");
}

typedef int (*parse_record_fn)(struct parser *p, uint32_t node);

static int
parse_list(struct parser *p, uint32_t root, const char *name, size_t record_bytes, void *ret_array,
           uint32_t *ret_count, parse_record_fn parse)
{
    uint32_t list = json_get(p->doc, root, str_from(name));
    p->list = name;
    p->index = 0;
    *ret_count = 0;
    if (list == JSON_NONE)
        return 0;
    if (!json_is(p->doc, list, JSON_ARRAY))
        return err_set(p->err, ERR_INVALID, "%s: must be a list", name);
    uint32_t count = json_count(p->doc, list);
    void *array = arena_array(&p->config->arena, count, record_bytes);
    if (array == NULL && count > 0)
        return err_set(p->err, ERR_NOMEM, "%s: no memory", name);
    memcpy(ret_array, &array, sizeof(array));
    *ret_count = count;
    for (uint32_t at = json_first(p->doc, list); at != JSON_NONE;
         at = json_sibling(p->doc, list, at)) {
        if (!json_is(p->doc, at, JSON_OBJECT))
            return err_set(p->err, ERR_INVALID, "%s[%u]: must be an object", name, p->index);
        int rc = parse(p, at);
        if (rc != 0)
            return rc;
        p->index++;
    }
    return 0;
}

static int
parse_capped_wallets(struct parser *p, uint32_t root)
{
    uint32_t list = json_get(p->doc, root, STR("capped_wallets"));
    if (list == JSON_NONE)
        return 0;
    if (!json_is(p->doc, list, JSON_ARRAY))
        return err_set(p->err, ERR_INVALID, "capped_wallets: must be a list");
    for (uint32_t at = json_first(p->doc, list); at != JSON_NONE;
         at = json_sibling(p->doc, list, at)) {
        struct str name;
        if (json_string(p->doc, at, &p->config->arena, &name) != 0)
            return err_set(p->err, ERR_INVALID, "capped_wallets: must be names");
        /* the document goes, the configuration stays */
        if (arena_dup(&p->config->arena, name, &name) != 0 ||
            map_put(&p->config->capped_wallets, name, p->config, NULL) != 0)
            return err_set(p->err, ERR_NOMEM, "capped_wallets: no memory");
    }
    return 0;
}

bool
config_caps_wallet(const struct config *config, struct str wallet)
{
    return config->capped_wallets.count > 0 && map_get(&config->capped_wallets, wallet) != NULL;
}

static void
config_free(struct config *config)
{
    map_fini(&config->model_by_id);
    map_fini(&config->model_by_bare);
    map_fini(&config->route_by_name);
    map_fini(&config->key_by_hash);
    map_fini(&config->container_by_name);
    map_fini(&config->capped_wallets);
    arena_fini(&config->arena);
    free(config);
}

static int
config_fill(struct parser *p, uint32_t root)
{
    struct config *c = p->config;
    uint64_t version = 0;
    uint32_t node = json_get(p->doc, root, STR("version"));
    if (node == JSON_NONE || json_u64(p->doc, node, UINT32_MAX, &version) != 0 ||
        version != CONFIG_VERSION)
        return err_set(p->err, ERR_UNSUPPORTED, "version: this data plane reads version 1");
    int rc = parse_settings(p, root);
    if (rc == 0)
        rc = parse_list(p, root, "providers", sizeof(*c->providers), &c->providers,
                        &c->provider_count, parse_provider);
    if (rc == 0)
        rc = parse_list(p, root, "models", sizeof(*c->models), &c->models, &c->model_count,
                        parse_model);
    if (rc == 0)
        rc = parse_list(p, root, "routes", sizeof(*c->routes), &c->routes, &c->route_count,
                        parse_route);
    if (rc == 0)
        rc = parse_list(p, root, "keys", sizeof(*c->keys), &c->keys, &c->key_count, parse_key);
    if (rc == 0)
        rc = parse_list(p, root, "containers", sizeof(*c->containers), &c->containers,
                        &c->container_count, parse_container);
    return rc == 0 ? parse_capped_wallets(p, root) : rc;
}

int
config_parse(const struct json_doc *doc, uint32_t object, uint64_t revision, struct funds *funds,
             struct config **ret_config, struct err *err)
{
    if (!json_is(doc, object, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "doc: must be an object");
    struct config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return err_set(err, ERR_NOMEM, "doc: no memory");
    arena_init(&config->arena, CONFIG_ARENA_BYTES);
    map_init(&config->model_by_id);
    map_init(&config->model_by_bare);
    map_init(&config->route_by_name);
    map_init(&config->key_by_hash);
    map_init(&config->container_by_name);
    map_init(&config->capped_wallets);
    config->revision = revision;
    atomic_store(&config->refs, 1u);
    uint8_t digest[SHA256_BYTES];
    digest_sha256(json_raw(doc, object), digest);
    hex_encode(digest, sizeof(digest), config->hash);
    struct parser parser = {.doc = doc, .config = config, .funds = funds, .err = err};
    int rc = config_fill(&parser, object);
    if (rc != 0) {
        config_free(config);
        return rc;
    }
    *ret_config = config;
    return 0;
}

struct config *
config_acquire(struct config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1u, memory_order_relaxed);
    return config;
}

void
config_release(struct config **config)
{
    struct config *gone = TAKE(*config);
    if (gone != NULL && atomic_fetch_sub_explicit(&gone->refs, 1u, memory_order_acq_rel) == 1u)
        config_free(gone);
}

const struct config_container *
config_container(const struct config *config, struct str name)
{
    return config->container_count == 0 ? NULL : map_get(&config->container_by_name, name);
}

/* The nearest so far, nearest first. */
struct near {
    unsigned distances[8];
    struct str *ids;
    size_t count;
    size_t max;
};

static void
near_offer(struct near *near, struct str id, unsigned far)
{
    size_t at = near->count < near->max ? near->count++ : near->max;
    while (at > 0 && near->distances[at - 1] > far) {
        if (at < near->max) {
            near->distances[at] = near->distances[at - 1];
            near->ids[at] = near->ids[at - 1];
        }
        at--;
    }
    if (at < near->max) {
        near->distances[at] = far;
        near->ids[at] = id;
    }
}

size_t
config_near(const struct config *config, const struct scope *scope, struct str id,
            struct str *ret_ids, size_t max)
{
    struct near near = {.ids = ret_ids, .max = MIN(max, ARRAY_LEN(near.distances))};
    unsigned far_max = 2u + (unsigned)MIN(id.len, (size_t)300) / 3u;
    struct str tail = id;
    size_t slash = str_find_byte(id, '/');
    if (slash != SIZE_MAX)
        tail = str_skip(id, slash + 1);
    for (uint32_t i = 0; i < config->route_count; i++) {
        struct str known = config->routes[i].name;
        unsigned far = str_distance(tail, known);
        if (far <= str_near_max(known) && scope_allows_route(scope, &config->routes[i]))
            near_offer(&near, known, far);
    }
    for (uint32_t i = 0; i < config->model_count; i++) {
        struct str known = config->models[i].id;
        size_t known_slash = str_find_byte(known, '/');
        unsigned far = str_distance(id, known);
        if (known_slash != SIZE_MAX)
            far = MIN(far, str_distance(tail, str_skip(known, known_slash + 1)) + 1u);
        if (far <= far_max && scope_allows(scope, &config->models[i]))
            near_offer(&near, known, far);
    }
    return near.count;
}
