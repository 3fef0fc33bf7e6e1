/* SPDX-License-Identifier: MIT
 * providers.c - the providers of the catalogue and the environment variables that configure them.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing.
 * Invariant: only variables that hold one secret count as keys; addresses, regions and identifiers
 *            do not. catalog_test.c. */
#include "controlplane/catalog/catalog.h"

#include "controlplane/catalog/embed_int.h"

/* Which of a provider's variables hold its key: GITHUB_TOKEN yes, AWS_REGION no, and no tokens that
 * want another header than the dialect's (ANTHROPIC_AUTH_TOKEN). */
static bool
is_key_variable(struct str name)
{
    static const char *const ends[] = {"_API_KEY", "_KEY", "_TOKEN", "_API_TOKEN"};
    if (str_eq(name, STR("AWS_BEARER_TOKEN_BEDROCK")))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (str_ends(name, str_from(ends[i])))
            return !str_starts(name, STR("AWS_")) && !str_ends(name, STR("_AUTH_TOKEN"));
    }
    return false;
}

static int
read_env(const struct json_doc *doc, uint32_t list, struct arena *arena,
         struct catalog_provider *provider)
{
    if (!json_is(doc, list, JSON_ARRAY))
        return 0;
    for (uint32_t node = json_first(doc, list); node != JSON_NONE;
         node = json_sibling(doc, list, node)) {
        struct str name;
        struct str copy;
        int code = json_string(doc, node, arena, &name);
        if (code < 0)
            return code;
        if (arena_dup(arena, name, &copy) < 0)
            return -ERR_NOMEM;
        if (is_key_variable(copy) && provider->env_count < CATALOG_ENV_MAX)
            provider->env[provider->env_count++] = copy;
        else if (str_ends(copy, STR("_BASE_URL")) || str_ends(copy, STR("_API_BASE")))
            provider->env_base = copy;
    }
    return 0;
}

static int
copy_text(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena,
          struct str *ret)
{
    struct str text;
    uint32_t node = json_get(doc, object, str_from(key));
    if (!json_is(doc, node, JSON_STRING)) {
        *ret = STR_EMPTY;
        return 0;
    }
    int code = json_string(doc, node, arena, &text);
    return code < 0 ? code : arena_dup(arena, text, ret);
}

static int
read_provider(const struct json_doc *doc, uint32_t node, struct arena *arena,
              struct catalog_provider *ret_provider)
{
    struct catalog_provider provider = {.env_base = STR_EMPTY};
    int code = copy_text(doc, node, "id", arena, &provider.id);
    if (code == 0)
        code = copy_text(doc, node, "name", arena, &provider.name);
    if (code == 0)
        code = copy_text(doc, node, "dialect", arena, &provider.dialect);
    if (code == 0)
        code = copy_text(doc, node, "base_url", arena, &provider.base_url);
    uint32_t list = json_get(doc, node, STR("list_models"));
    if (code == 0)
        code = copy_text(doc, list, "path", arena, &provider.list_path);
    if (code == 0)
        code = copy_text(doc, list, "shape", arena, &provider.list_shape);
    if (code == 0)
        code = read_env(doc, json_get(doc, node, STR("env")), arena, &provider);
    if (code == 0)
        *ret_provider = provider;
    return code;
}

int
catalog_providers(struct arena *arena, struct catalog_provider **ret_providers, size_t *ret_count)
{
    struct json_doc doc;
    json_init(&doc);
    int code = json_scan(&doc, embed_providers(), NULL, NULL);
    uint32_t list = code == 0 ? json_get(&doc, 0, STR("providers")) : JSON_NONE;
    size_t count = code == 0 ? json_count(&doc, list) : 0;
    struct catalog_provider *providers = arena_array(arena, count + 1, sizeof *providers);
    if (code == 0 && !providers)
        code = -ERR_NOMEM;
    size_t at = 0;
    for (uint32_t node = code == 0 ? json_first(&doc, list) : JSON_NONE;
         node != JSON_NONE && code == 0; node = json_sibling(&doc, list, node))
        code = read_provider(&doc, node, arena, &providers[at++]);
    if (code == 0) {
        *ret_providers = providers;
        *ret_count = count;
    }
    json_fini(&doc);
    return code;
}
