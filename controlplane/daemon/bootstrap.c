/* SPDX-License-Identifier: MIT
 * bootstrap.c - see bootstrap.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing.
 * Invariant: see bootstrap.h. */
#include "controlplane/daemon/bootstrap.h"

#include <stdlib.h>

#include "controlplane/catalog/catalog.h"
#include "lib/text/json.h"

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
is_servable(const struct catalog_provider *provider)
{
    static const char *const dialects[] = {"openai",       "anthropic",       "openai-responses",
                                           "gemini",       "ollama-native",   "cohere-v2",
                                           "azure-openai", "bedrock-converse"};
    bool spoken = false;
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++)
        spoken = spoken || str_eq(provider->dialect, str_from(dialects[i]));
    return spoken && str_find_byte(provider->base_url, '{') == SIZE_MAX;
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

static int
provider_from_env(struct store *store, const struct catalog_provider *provider, struct arena *arena,
                  size_t *count, struct err *err)
{
    struct str env = key_variable(provider);
    if (env.len == 0 || !is_servable(provider))
        return 0;
    if (!is_ours(store, provider->id, BY_ENV, arena))
        return 0;
    const char *base = variable(provider->env_base);
    struct str url = quoted(arena, base ? base : provider->base_url.ptr);
    if (!url.ptr)
        return err_set(err, ERR_NOMEM, "out of memory");
    ++*count;
    return apply(
        store,
        arena_printf(arena,
                     "apiVersion: " API_VERSION "\nkind: Provider\nmetadata: {name: %.*s}\n"
                     "spec: {dialect: %.*s, baseUrl: %.*s, key: {env: %.*s}}\n",
                     STR_ARG(provider->id), STR_ARG(provider->dialect), STR_ARG(url), STR_ARG(env)),
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
