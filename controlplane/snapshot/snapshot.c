/* SPDX-License-Identifier: MIT
 * snapshot.c - reading what the document is made of, and keeping the document that is in force.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: the text of a snapshot.
 * Invariant: see snapshot.h. */
#include "controlplane/snapshot/snapshot.h"

#include <stdlib.h>

#include "controlplane/token/service_account.h"
#include "lib/base/secret.h"
#include "lib/http/message.h"

#define ARENA_BYTES_MAX (128u * 1024u * 1024u)
#define HASH_KEY "config/hash"

/* ---- keys of providers ----------------------------------------------------------------------- */

static int
key_from_file(const char *path, struct arena *arena, struct str *ret_key, const char **ret_problem)
{
    CLEANUP(secret_free) struct secret *secret = NULL;
    struct err err = {0};
    if (secret_read_file(path, &secret, &err) < 0) {
        struct str text = arena_printf(arena, "%s", err.text);
        *ret_problem = text.ptr ? text.ptr : "the key file cannot be read";
        return 0;
    }
    return arena_dup(arena, secret_str(secret), ret_key);
}

/* *ret_key stays {NULL, 0} and *ret_problem is set when the key should be there and is not. */
static int
find_key(struct store *store, const struct object *provider, struct arena *arena,
         struct str *ret_key, const char **ret_problem)
{
    struct str env = schema_text(provider->spec, "key.env", STR_EMPTY);
    struct str file = schema_text(provider->spec, "key.file", STR_EMPTY);
    struct str name;
    *ret_problem = "";
    if (arena_dup(arena, env.len > 0 ? env : file, &name) < 0)
        return -ERR_NOMEM;
    if (env.len > 0) {
        const char *value = getenv(name.ptr);
        if (value && value[0])
            return arena_dup(arena, str_from(value), ret_key);
        struct str text = arena_printf(arena, "the environment variable %s is not set", name.ptr);
        *ret_problem = text.ptr ? text.ptr : "the environment variable of the key is not set";
        return 0;
    }
    if (file.len > 0)
        return key_from_file(name.ptr, arena, ret_key, ret_problem);
    if (schema_get(provider->spec, "key.value")) {
        if (object_secret(store, provider, arena, ret_key) < 0)
            *ret_problem = "the stored key is missing";
        return 0;
    }
    *ret_key = STR_EMPTY;
    return 0;
}

/* A service account's key file never leaves this process: nodes get the access token of the hour.
 * */
static int
exchange_key(struct tokens *tokens, const struct object *provider, struct arena *arena,
             struct str *key, const char **ret_problem)
{
    struct str file = *key;
    *key = (struct str){NULL, 0};
    if (!tokens) {
        *ret_problem = "service accounts are not served here";
        return 0;
    }
    return tokens_get(tokens, file, schema_true(provider->spec, "allowPrivate"), arena, key,
                      ret_problem);
}

/* One key that cannot stand in a header must cost its own provider only, not the whole document. */
static int
provider_key(struct store *store, struct tokens *tokens, const struct object *provider,
             struct arena *arena, struct str *ret_key, bool *ret_bearer, const char **ret_problem)
{
    struct str url = schema_text(provider->spec, "baseUrl", STR_EMPTY);
    int code = find_key(store, provider, arena, ret_key, ret_problem);
    if (code == 0 && ret_key->ptr && !str_starts(url, STR("https://")) &&
        !schema_true(provider->spec, "allowPrivate")) {
        *ret_key = (struct str){NULL, 0};
        *ret_problem = "its baseUrl is not https, so keys and prompts would travel in clear; "
                       "spec.allowPrivate: true (for one from the environment: BERTH_ALLOW_HOSTS) "
                       "allows that for a host of your own";
    }
    if (code == 0 && ret_key->ptr && service_account_is(*ret_key)) {
        *ret_bearer = true;
        code = exchange_key(tokens, provider, arena, ret_key, ret_problem);
    }
    if (code == 0 && ret_key->ptr && !http_valid_value(*ret_key)) {
        *ret_key = (struct str){NULL, 0};
        *ret_problem = "the key holds line ends, blanks at an edge or control characters";
    }
    return code;
}

static int
find_listing(struct store *store, struct str provider, struct arena *arena, struct str *ret_text)
{
    struct store_row row;
    struct str key = arena_printf(arena, SNAPSHOT_SEEN_PREFIX "%.*s", STR_ARG(provider));
    int code = key.ptr ? store_get(store, key, arena, &row) : -ERR_NOMEM;
    *ret_text = code == 0 ? row.value : STR_EMPTY;
    return code == -ERR_NOT_FOUND ? 0 : code;
}

int
snapshot_load(struct store *store, const struct snapshot_settings *settings, struct arena *arena,
              struct snapshot_input *ret_input, struct err *err)
{
    struct object *lists[KIND_COUNT] = {NULL};
    size_t counts[KIND_COUNT] = {0};
    static const enum kind_id wanted[] = {KIND_PROVIDER, KIND_MODEL, KIND_ROUTE, KIND_API_KEY,
                                          KIND_WALLET};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        int code = object_list(store, kind_at(wanted[i]), STR_EMPTY, 0, arena, &lists[wanted[i]],
                               &counts[wanted[i]], err);
        if (code < 0)
            return code;
    }
    size_t count = counts[KIND_PROVIDER];
    struct str *keys = arena_array(arena, count + 1, sizeof *keys);
    const char **problems = arena_array(arena, count + 1, sizeof *problems);
    bool *bearers = arena_array(arena, count + 1, sizeof *bearers);
    if (!keys || !problems || !bearers)
        return err_set(err, ERR_NOMEM, "too many providers");
    struct str *listings = arena_array(arena, count + 1, sizeof *listings);
    if (!listings)
        return err_set(err, ERR_NOMEM, "too many providers");
    for (size_t i = 0; i < count; i++) {
        if (provider_key(store, settings->tokens, &lists[KIND_PROVIDER][i], arena, &keys[i],
                         &bearers[i], &problems[i]) < 0 ||
            find_listing(store, lists[KIND_PROVIDER][i].name, arena, &listings[i]) < 0)
            return err_set(err, ERR_NOMEM, "out of memory");
    }
    *ret_input = (struct snapshot_input){
        .settings = *settings,
        .providers = lists[KIND_PROVIDER],
        .keys = keys,
        .problems = problems,
        .bearers = bearers,
        .listings = listings,
        .provider_count = count,
        .models = lists[KIND_MODEL],
        .model_count = counts[KIND_MODEL],
        .routes = lists[KIND_ROUTE],
        .route_count = counts[KIND_ROUTE],
        .api_keys = lists[KIND_API_KEY],
        .api_key_count = counts[KIND_API_KEY],
        .wallets = lists[KIND_WALLET],
        .wallet_count = counts[KIND_WALLET],
    };
    return 0;
}

/* ---- the document in force ------------------------------------------------------------------- */

void
snapshot_init(struct snapshot *snapshot)
{
    *snapshot = (struct snapshot){0};
    buf_init(&snapshot->text, SNAPSHOT_BYTES_MAX);
    map_init(&snapshot->offered);
}

void
snapshot_fini(struct snapshot *snapshot)
{
    buf_wipe(&snapshot->text);
    map_fini(&snapshot->offered);
}

/* Ids need no escapes, and document.c writes them so: {"id":"ID","provider": */
static int
find_offered(struct str text, struct map *offered)
{
    static const char head[] = "{\"id\":\"";
    int code = 0;
    while (code == 0 && text.len > 0) {
        const char *found = memmem(text.ptr, text.len, head, sizeof head - 1);
        if (!found)
            break;
        text = str_skip(text, (size_t)(found - text.ptr) + sizeof head - 1);
        const char *end = memchr(text.ptr, '"', text.len);
        if (!end)
            break;
        struct str id = str_make(text.ptr, (size_t)(end - text.ptr));
        text = str_skip(text, id.len);
        if (str_starts(text, STR("\",\"provider\":")))
            code = map_put(offered, id, offered, NULL);
    }
    return code;
}

/* The revision that belongs to these bytes. The hash is kept in the store, so that other bytes (a
 * key from the environment is no store change) always have another, greater revision, also after a
 * restart. */
static int
find_revision(struct store *store, const char *hash, uint64_t *ret_revision)
{
    struct arena arena;
    struct store_row row = {0};
    arena_init(&arena, 65536);
    int code = store_get(store, STR(HASH_KEY), &arena, &row);
    if (code == 0 && str_eq(row.value, str_from(hash))) {
        *ret_revision = row.mod_rev;
    } else if (code == 0 || code == -ERR_NOT_FOUND) {
        const struct store_op op = {.key = STR(HASH_KEY), .value = str_from(hash)};
        code = store_commit(store, NULL, 0, &op, 1, ret_revision);
    }
    arena_fini(&arena);
    return code;
}

int
snapshot_rebuild(struct snapshot *snapshot, struct store *store,
                 const struct snapshot_settings *settings, bool *ret_changed, struct err *err)
{
    struct arena arena;
    struct snapshot_input input;
    struct buf text;
    arena_init(&arena, ARENA_BYTES_MAX);
    buf_init(&text, SNAPSHOT_BYTES_MAX);
    int code = snapshot_load(store, settings, &arena, &input, err);
    if (code == 0) {
        code = snapshot_put(&input, &text);
        if (code < 0)
            err_set(err, (enum err_code) - code, "building the config document: %s",
                    err_text(code));
    }
    arena_fini(&arena);
    if (code < 0) {
        buf_wipe(&text);
        return code;
    }
    uint8_t digest[SHA256_BYTES];
    char hash[2 * SHA256_BYTES + 1];
    uint64_t revision = 0;
    digest_sha256(buf_str(&text), digest);
    hex_encode(digest, sizeof digest, hash);
    *ret_changed = memcmp(hash, snapshot->hash, sizeof hash) != 0;
    struct map offered;
    map_init(&offered);
    if (*ret_changed)
        code = find_offered(buf_str(&text), &offered);
    if (*ret_changed && code == 0)
        code = find_revision(store, hash, &revision);
    if (code < 0 || !*ret_changed) {
        buf_wipe(&text);
        map_fini(&offered);
        return code < 0 ? err_set(err, (enum err_code) - code, "storing the document's hash: %s",
                                  err_text(code))
                        : 0;
    }
    buf_wipe(&snapshot->text);
    map_fini(&snapshot->offered);
    snapshot->text = text;
    snapshot->offered = offered;
    snapshot->revision = revision;
    memcpy(snapshot->hash, hash, sizeof hash);
    return 0;
}

bool
snapshot_offers(const struct snapshot *snapshot, struct str id)
{
    return map_get(&snapshot->offered, id) != NULL;
}
