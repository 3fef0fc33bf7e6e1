/* SPDX-License-Identifier: MIT
 * origins.c - pools by the facts that a connection depends on.
 * Floor: dataplane/upstream; the worker's thread.
 * Owns: see origins.h.
 * Invariant: the key of a pool is everything that a connection to it depends on. */
#include "dataplane/upstream/origins.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/net/guard.h"

#define KEY_BYTES_MAX 1024u

struct pool {
    char *key;
    struct http_origin *origin;
    bool wanted;
};
struct origins {
    struct loop *loop;
    struct http_client *client;
    struct trust *trust;
    struct map pools;              /* key: pool.key */
    const struct config *applied;  /* compared, never followed */
    struct http_origin **by_index; /* of the applied config's providers */
};

int
origins_new(struct loop *loop, struct trust *trust, struct origins **ret_origins, struct err *err)
{
    struct origins *origins = calloc(1, sizeof(*origins));
    if (origins == NULL)
        return err_set(err, ERR_NOMEM, "no memory for upstream pools");
    origins->loop = loop;
    origins->trust = trust;
    map_init(&origins->pools);
    int rc = http_client_new(loop, &origins->client, err);
    if (rc != 0) {
        origins_free(&origins);
        return rc;
    }
    *ret_origins = origins;
    return 0;
}

static void
pool_free(struct pool *pool)
{
    http_origin_release(&pool->origin);
    free(pool->key);
    free(pool);
}

void
origins_free(struct origins **origins)
{
    struct origins *gone = TAKE(*origins);
    if (gone == NULL)
        return;
    MAP_FOREACH (slot, &gone->pools) {
        pool_free(slot->value);
    }
    map_fini(&gone->pools);
    free(gone->by_index);
    http_client_free(&gone->client);
    free(gone);
}

static struct str
pool_key(const struct config_provider *provider, char out[KEY_BYTES_MAX])
{
    int bytes =
        snprintf(out, KEY_BYTES_MAX, "%d%d|%.*s|%u|%d|%.*s|%.*s", provider->base.https,
                 provider->allow_private, STR_ARG(provider->base.host), provider->base.port,
                 (int)provider->protocol, STR_ARG(provider->ca_file), STR_ARG(provider->name));
    ASSERT(bytes > 0);
    return str_make(out, MIN((size_t)bytes, (size_t)KEY_BYTES_MAX - 1));
}

int
origins_visit(struct origins *origins, const struct config_provider *provider, struct str host,
              struct http_origin **ret_origin, struct err *err)
{
    static bool yes = true; /* an origin may outlive its pool, and the config */
    struct tls_context *tls = NULL;
    int rc = 0;
    if (provider->base.https)
        rc =
            trust_get(origins->trust, provider->ca_file, provider->protocol != HTTP_1_1, &tls, err);
    struct http_origin_conf conf = {.host = host,
                                    .port = provider->base.port,
                                    .tls = tls,
                                    .protocol = provider->protocol,
                                    .conn_count_max = provider->protocol == HTTP_2 ? 4u : 16384u,
                                    .queue_max = 8192u,
                                    .allow = guard_allow,
                                    .allow_user = provider->allow_private ? &yes : NULL};
    if (rc == 0)
        rc = http_origin_acquire(origins->client, &conf, ret_origin, err);
    return rc;
}

static int
pool_new(struct origins *origins, const struct config_provider *provider, struct str key,
         struct pool **ret_pool, struct err *err)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || (pool->key = str_dup(key)) == NULL) {
        free(pool);
        return err_set(err, ERR_NOMEM, "no memory for provider %.*s", STR_ARG(provider->name));
    }
    int rc = origins_visit(origins, provider, provider->base.host, &pool->origin, err);
    if (rc != 0) {
        pool_free(pool);
        return rc;
    }
    *ret_pool = pool;
    return 0;
}

static int
pools_add(struct origins *origins, struct pool *pool, struct err *err)
{
    ASSERT(pool != NULL && pool->key != NULL);
    if (map_put(&origins->pools, str_from(pool->key), pool, NULL) == 0)
        return 0;
    pool_free(pool);
    return err_set(err, ERR_NOMEM, "no memory for upstream pools");
}

int
origins_apply(struct origins *origins, const struct config *config, struct err *err)
{
    MAP_FOREACH (slot, &origins->pools) {
        struct pool *pool = slot->value;
        pool->wanted = false;
    }
    struct http_origin **by_index = calloc(
        config->provider_count + 1u,
        sizeof(struct http_origin *)); /* NOLINT(bugprone-sizeof-expression) an array of pointers */
    if (by_index == NULL)
        return err_set(err, ERR_NOMEM, "no memory for upstream pools");
    for (uint32_t i = 0; i < config->provider_count; i++) {
        char text[KEY_BYTES_MAX];
        struct str key = pool_key(&config->providers[i], text);
        struct pool *pool = map_get(&origins->pools, key);
        int rc = 0;
        if (pool == NULL) {
            rc = pool_new(origins, &config->providers[i], key, &pool, err);
            if (rc == 0)
                rc = pools_add(origins, pool, err);
        }
        if (rc != 0) {
            free(by_index);
            return rc;
        }
        pool->wanted = true;
        by_index[i] = pool->origin;
    }
    free(origins->by_index);
    origins->by_index = by_index;
    origins->applied = config;
    MAP_FOREACH (slot, &origins->pools) {
        struct pool *pool = slot->value;
        if (pool->wanted)
            continue;
        map_remove(&origins->pools, slot->key);
        pool_free(pool);
    }
    return 0;
}

struct http_origin *
origins_get(const struct origins *origins, const struct config *config,
            const struct config_provider *provider)
{
    if (LIKELY(origins->applied == config))
        return origins->by_index[provider->index];
    char text[KEY_BYTES_MAX];
    const struct pool *pool = map_get(&origins->pools, pool_key(provider, text));
    return pool != NULL ? pool->origin : NULL;
}
