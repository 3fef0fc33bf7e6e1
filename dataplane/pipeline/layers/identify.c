/* SPDX-License-Identifier: MIT
 * identify.c - who calls. On a bound connection the kernel has said it: the bearer, if any, only
 *              has to agree (or, where the owner wants that, is a tag). Elsewhere a key must be
 *              shown; `container-*` is refused without a lookup.
 * Floor: dataplane/pipeline/layers; the worker's thread.
 * Owns: the registration of the caller in its binding.
 * Invariant: register first, check second; every refusal is the same 401. IDENTITY 7. */
#include "dataplane/pipeline/exchange.h"
#include "lib/base/digest.h"
#include "lib/base/secret.h"

static const struct config_key *
key_find(struct exchange *x, struct caller *caller)
{
    const struct config *config = x->worker->config;
    struct str said = x->credential;
    struct str last = str_make(caller->bearer, caller->bearer_bytes);
    if (caller->key_generation == x->worker->config_generation && secret_eq(said, last))
        return caller->key;
    if (said.len == 0 || said.len > sizeof(caller->bearer))
        return NULL;
    uint8_t hash[SHA256_BYTES];
    digest_sha256(said, hash);
    const struct config_key *key =
        map_get(&config->key_by_hash, str_make((const char *)hash, sizeof(hash)));
    if (key != NULL) {
        caller->key_generation = x->worker->config_generation;
        caller->key = key;
        memcpy(caller->bearer, said.ptr, said.len);
        caller->bearer_bytes = (uint32_t)said.len;
    }
    return key;
}

/* The owner may have said that any container-... will do: the kernel has said who it is. */
static bool
tag_taken(struct exchange *x)
{
    const struct config *config = x->worker->config;
    if (config == NULL || !config->settings.container_tags ||
        !str_starts(x->credential, STR("container-")))
        return false;
    struct str tag = str_skip(x->credential, STR("container-").len);
    return binding_valid_tag(tag) && arena_dup(&x->arena, tag, &x->tag) == 0;
}

/* A cap of its own, or the one that its wallet has for all of its containers. */
static int
container_cap(struct exchange *x, const struct config_container *said)
{
    const struct config *config = x->worker->config;
    x->budget = said != NULL ? said->budget : NULL;
    if (x->budget != NULL || config == NULL ||
        !config_caps_wallet(config, x->binding->binding.wallet))
        return 0;
    x->budget = live_budget(x->worker->live, x->binding);
    return x->budget != NULL ? 0 : -ERR_NOMEM;
}

int
exchange_cap(struct exchange *x)
{
    const struct config *config = x->worker->config;
    if (config == NULL || x->budget != NULL)
        return 0;
    if (x->binding != NULL)
        return container_cap(x, config_container(config, x->binding->binding.name));
    const struct config_key *key =
        x->key != NULL
            ? map_get(&config->key_by_hash, str_make((const char *)x->key->hash, SHA256_BYTES))
            : NULL;
    x->budget = key != NULL ? key->budget : NULL;
    return 0;
}

static enum layer_verdict
identify_bound(struct exchange *x, struct caller *caller)
{
    struct live_binding *binding = caller->binding;
    if (atomic_load(&binding->revoked))
        return exchange_fail(x, HTTP_ERROR_unauthenticated, STR_EMPTY);
    if (x->misdirected)
        return exchange_fail(x, HTTP_ERROR_misdirected,
                             STR("Berth answers inside a container as 127.0.0.1, localhost, [::1] "
                                 "and berth; this request is for another host."));
    if (x->deputy)
        return exchange_fail(x, HTTP_ERROR_forbidden,
                             STR("Berth refuses requests with proxy fields or a browser's Origin "
                                 "on a container's own listener."));
    if (x->credential.len > 0 && !live_matches(binding, x->credential) && !tag_taken(x))
        return exchange_fail(x, HTTP_ERROR_unauthenticated, STR_EMPTY);
    if (!live_valid(x->worker->live, loop_now_ms(x->worker->loop)))
        return exchange_fail(x, HTTP_ERROR_unauthenticated, STR_EMPTY);
    x->binding = binding;
    x->fund = binding->fund;
    x->record_json = binding->record_json;
    /* `admit`, the next layer of this turn, takes the same config for this request */
    const struct config_container *said =
        x->worker->config != NULL ? config_container(x->worker->config, binding->binding.name)
                                  : NULL;
    if (said != NULL)
        x->scope = said->scope;
    return container_cap(x, said) == 0 ? LAYER_NEXT
                                       : exchange_fail(x, HTTP_ERROR_overloaded, STR_EMPTY);
}

static enum layer_verdict
identify_request(struct exchange *x)
{
    struct http_conn *conn = http_stream_conn(x->stream);
    struct caller *caller = http_conn_user(conn);
    if (caller == NULL) {
        caller = caller_new(x->worker, NULL);
        if (caller == NULL)
            return exchange_fail(x, HTTP_ERROR_overloaded, STR_EMPTY);
        http_conn_set_user(conn, caller);
    }
    caller->conn = conn;
    /* Its next request comes on a connection that is looked at anew: who keeps this one open would
     * hear 401 for as long as he does. */
    if (caller->unproved)
        http_conn_drain(conn);
    if (x->many_credentials)
        return exchange_fail(x, HTTP_ERROR_unauthenticated, STR_EMPTY);
    if (caller->binding != NULL)
        return identify_bound(x, caller);
    if (x->worker->config == NULL)
        return exchange_fail(x, HTTP_ERROR_not_ready, STR_EMPTY);
    const struct config_key *key = key_find(x, caller);
    /* Not refreshed in time, or just started from the file: what we know of keys may be old, and a
     * 401 would tell clients to give up. */
    if (!live_valid(x->worker->live, loop_now_ms(x->worker->loop))) {
        x->retry_after_s = 1;
        return exchange_fail(
            x, HTTP_ERROR_not_ready,
            STR("Berth's control plane has not confirmed this node's keys lately; try "
                "again shortly."));
    }
    if (key == NULL || caller->unproved)
        return exchange_fail(x, HTTP_ERROR_unauthenticated, STR_EMPTY);
    x->fund = key->fund;
    x->record_json = key->record_json;
    x->scope = key->scope;
    x->key = key;
    x->budget = key->budget;
    return LAYER_NEXT;
}

const struct layer layer_identify = {
    .name = "identify", .stage = LAYER_HEAD, .request = identify_request};
