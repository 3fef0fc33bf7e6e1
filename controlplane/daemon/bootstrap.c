/* SPDX-License-Identifier: MIT
 * bootstrap.c - see bootstrap.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing.
 * Invariant: see bootstrap.h. */
#include "controlplane/daemon/bootstrap.h"

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/catalog/catalog.h"
#include "lib/base/log.h"
#include "lib/text/json.h"
#include "lib/text/uri.h"

#define ARENA_BYTES_MAX (16u * 1024u * 1024u)
#define BY_ENV "env"
#define BY_SIM "sim"

/* Applies YAML that we wrote; `managed_by` as in object_apply. */
static int
apply(struct store *store, struct str yaml, const char *managed_by, struct arena *arena,
      struct err *err)
{
    struct tree *list = NULL;
    struct manifest manifest;
    struct object object;
    enum object_change change;
    char key[API_KEY_BYTES + 1];
    if (!yaml.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    int code = tree_from_yaml(yaml, arena, &list, err);
    if (code == 0)
        code = schema_check(list->first, arena, &manifest, err);
    if (code == 0)
        code = object_apply(store, &manifest, managed_by, arena, &object, &change, key, err);
    return code;
}

/* May we write Provider `name`: it is absent, or kept by `managed_by` already. */
static bool
is_ours(struct store *store, struct str name, const char *managed_by, struct arena *arena)
{
    struct object object;
    if (object_get(store, kind_at(KIND_PROVIDER), name, arena, &object, NULL) < 0)
        return true;
    return str_eq(schema_text(object.status, "managedBy", STR_EMPTY), str_from(managed_by));
}

static int
default_wallet(struct store *store, struct arena *arena, struct err *err)
{
    struct object object;
    struct err missing = {0};
    int code = object_get(store, kind_at(KIND_WALLET), STR("default"), arena, &object, &missing);
    if (code == 0)
        return 0;
    if (code != -ERR_NOT_FOUND)
        return err_set(err, (enum err_code) - code, "%s", missing.text);
    return apply(store,
                 STR("apiVersion: " API_VERSION "\nkind: Wallet\nmetadata: {name: default}\n"), "",
                 arena, err);
}

/* ---- providers ------------------------------------------------------------------------------- */

static const char *
variable(struct str name)
{
    /* names of the catalogue have a NUL behind them: arena_dup */
    const char *value = name.len > 0 ? getenv(name.ptr) : NULL;
    return value && value[0] ? value : NULL;
}

static struct str
key_variable(const struct catalog_provider *provider)
{
    for (uint32_t i = 0; i < provider->env_count; i++) {
        if (variable(provider->env[i]))
            return provider->env[i];
    }
    return STR_EMPTY;
}

static bool
is_spoken(struct str dialect)
{
    static const char *const dialects[] = {"openai",       "anthropic",        "openai-responses",
                                           "gemini",       "ollama-native",    "cohere-v2",
                                           "azure-openai", "bedrock-converse", "stability",
                                           "replicate",    "black-forest-labs"};
    bool spoken = false;
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++)
        spoken = spoken || str_eq(dialect, str_from(dialects[i]));
    return spoken;
}

/* What stands for {NAME} in an address of the catalogue; NULL: nobody said. */
static const char *
blank_value(struct str name)
{
    static const struct {
        const char *name;
        const char *variables[3];
        const char *otherwise;
    } rows[] = {
        {"resource", {"AZURE_RESOURCE_NAME"}, NULL},
        {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}, NULL},
        {"account_id", {"CLOUDFLARE_ACCOUNT_ID"}, NULL},
        {"project", {"GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT", "VERTEXAI_PROJECT"}, NULL},
        {"location",
         {"GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_LOCATION", "VERTEXAI_LOCATION"},
         "global"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!str_eq(name, str_from(rows[i].name)))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(rows[i].variables) && rows[i].variables[k]; k++) {
            const char *value = variable(str_from(rows[i].variables[k]));
            if (value)
                return value;
        }
        return rows[i].otherwise;
    }
    return NULL;
}

/* Where the owner says it is, else where the catalogue does. ptr NULL: not known. A program on this
 * host that nobody named is none of ours. */
static struct str
base_url(const struct catalog_provider *provider, struct arena *arena)
{
    const char *base = variable(provider->env_base);
    if (base)
        return str_from(base);
    if (!str_starts(provider->base_url, STR("https://")))
        return (struct str){NULL, 0};
    struct str url = provider->base_url;
    for (struct str head, name, tail; url.ptr && str_cut(url, '{', &head, &tail);) {
        const char *value = str_cut(tail, '}', &name, &tail) ? blank_value(name) : NULL;
        if (!value || strchr(value, '{'))
            return (struct str){NULL, 0};
        /* Vertex' location of no place has no place in the host's name */
        if (str_eq(name, STR("location")) && str_eq(str_from(value), STR("global")) &&
            str_starts(tail, STR("-")))
            url = arena_printf(arena, "%.*s%.*s", STR_ARG(head), STR_ARG(str_skip(tail, 1)));
        else
            url = arena_printf(arena, "%.*s%s%.*s", STR_ARG(head), value, STR_ARG(tail));
    }
    return url;
}

/* BERTH_ALLOW_HOSTS: hosts, or host:port, that may be private and in clear, with commas between. */
static bool
is_allowed_host(struct str url)
{
    const char *list = variable(STR("BERTH_ALLOW_HOSTS"));
    struct uri uri;
    char port[32];
    if (!list || uri_parse(url, &uri, NULL) < 0)
        return false;
    (void)snprintf(port, sizeof port, ":%u", uri.port);
    for (struct str rest = str_from(list), item; rest.len > 0;) {
        (void)str_cut(rest, ',', &item, &rest);
        item = str_trim(item);
        if (str_starts(item, uri.host) &&
            (item.len == uri.host.len || str_eq(str_skip(item, uri.host.len), str_from(port))))
            return true;
    }
    return false;
}

static struct str
quoted(struct arena *arena, const char *text)
{
    struct buf out;
    struct str copy = {NULL, 0};
    buf_init(&out, 16384);
    if (json_put_string(&out, str_from(text)) == 0 && arena_dup(arena, buf_str(&out), &copy) < 0)
        copy = (struct str){NULL, 0};
    buf_fini(&out);
    return copy;
}

/* "{env: NAME}"; AWS has two or three halves of a key, which are stored, sealed; Vertex a file, and
 * no list to ask for. */
static struct str
key_text(const struct catalog_provider *provider, struct arena *arena)
{
    struct str env = key_variable(provider);
    const char *id = variable(STR("AWS_ACCESS_KEY_ID"));
    const char *secret = variable(STR("AWS_SECRET_ACCESS_KEY"));
    const char *session = variable(STR("AWS_SESSION_TOKEN"));
    const char *file = variable(STR("GOOGLE_APPLICATION_CREDENTIALS"));
    if (env.len > 0)
        return arena_printf(arena, ", key: {env: %.*s}", STR_ARG(env));
    if (str_eq(provider->id, STR("vertex")) && file) {
        struct str path = quoted(arena, file);
        return path.ptr ? arena_printf(arena, ", discover: false, key: {file: %.*s}", STR_ARG(path))
                        : path;
    }
    if (str_eq(provider->dialect, STR("bedrock-converse")) && id && secret) {
        struct str pair = arena_printf(arena, "%s:%s%s%s", id, secret, session ? ":" : "",
                                       session ? session : "");
        struct str text = pair.ptr ? quoted(arena, pair.ptr) : pair;
        return text.ptr ? arena_printf(arena, ", key: {value: %.*s}", STR_ARG(text)) : text;
    }
    return STR_EMPTY;
}

static int
provider_from_env(struct store *store, const struct catalog_provider *provider, struct arena *arena,
                  size_t *count, struct err *err)
{
    struct str key = key_text(provider, arena);
    struct str url = base_url(provider, arena);
    bool local = !str_starts(provider->base_url, STR("https://"));
    if (!key.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (key.len > 0 && !is_spoken(provider->dialect)) {
        LOG_WARN("a provider's key is there, but its dialect is not supported yet",
                 LOG_S("provider", provider->id), LOG_S("dialect", provider->dialect));
        return 0;
    }
    if (!url.ptr || !is_spoken(provider->dialect) || (key.len == 0 && !local) ||
        !is_ours(store, provider->id, BY_ENV, arena))
        return 0;
    bool allowed = is_allowed_host(url);
    url = arena_printf(arena, "%.*s", STR_ARG(url));
    url = url.ptr ? quoted(arena, url.ptr) : url;
    if (!url.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    ++*count;
    return apply(store,
                 arena_printf(arena,
                              "apiVersion: " API_VERSION
                              "\nkind: Provider\nmetadata: {name: %.*s}\n"
                              "spec: {dialect: %.*s, baseUrl: %.*s%.*s%s}\n",
                              STR_ARG(provider->id), STR_ARG(provider->dialect), STR_ARG(url),
                              STR_ARG(key), allowed ? ", allowPrivate: true" : ""),
                 BY_ENV, arena, err);
}

static int
provider_from_sim(struct store *store, const char *name, const char *dialect, const char *base,
                  const char *path, struct arena *arena, size_t *count, struct err *err)
{
    struct str joined = arena_printf(arena, "%s%s", base, path);
    struct str url = joined.ptr ? quoted(arena, joined.ptr) : joined;
    if (!url.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    ++*count;
    /* in this mode the simulator wins over whatever stands there: nothing may reach a provider */
    return apply(store,
                 arena_printf(arena,
                              "apiVersion: " API_VERSION "\nkind: Provider\nmetadata: {name: %s}\n"
                              "spec: {dialect: %s, baseUrl: %.*s, key: {value: sim}, "
                              "allowPrivate: true}\n",
                              name, dialect, STR_ARG(url)),
                 BY_SIM, arena, err);
}

/* Providers that a simulated run left behind would send real requests to nowhere. */
static int
remove_simulated(struct store *store, struct arena *arena, struct err *err)
{
    struct object *objects;
    size_t count;
    int code =
        object_list(store, kind_at(KIND_PROVIDER), STR_EMPTY, 0, arena, &objects, &count, err);
    for (size_t i = 0; i < count && code == 0; i++) {
        if (str_eq(schema_text(objects[i].status, "managedBy", STR_EMPTY), STR(BY_SIM)))
            code = object_delete(store, kind_at(KIND_PROVIDER), objects[i].name, 0, err);
    }
    return code;
}

static int
providers_from_env(struct store *store, struct arena *arena, size_t *count, struct err *err)
{
    struct catalog_provider *providers;
    size_t provider_count;
    int code = remove_simulated(store, arena, err);
    if (code < 0)
        return code;
    code = catalog_providers(arena, &providers, &provider_count);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "the catalogue of providers cannot be read");
    for (size_t i = 0; i < provider_count && code == 0; i++)
        code = provider_from_env(store, &providers[i], arena, count, err);
    return code;
}

int
bootstrap(struct store *store, const char *offline_sim, size_t *ret_providers, struct err *err)
{
    struct arena arena;
    size_t count = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = default_wallet(store, &arena, err);
    if (code == 0 && offline_sim) {
        static const char *const rows[][3] = {{"openai", "openai", "/v1"},
                                              {"anthropic", "anthropic", ""},
                                              {"google", "gemini", ""},
                                              {"cohere", "cohere-v2", ""},
                                              {"ollama", "ollama-native", ""}};
        for (size_t i = 0; i < ARRAY_LEN(rows) && code == 0; i++)
            code = provider_from_sim(store, rows[i][0], rows[i][1], offline_sim, rows[i][2], &arena,
                                     &count, err);
    } else if (code == 0) {
        code = providers_from_env(store, &arena, &count, err);
    }
    arena_fini(&arena);
    if (code == 0)
        *ret_providers = count;
    return code;
}
