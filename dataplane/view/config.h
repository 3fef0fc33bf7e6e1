/* SPDX-License-Identifier: MIT
 * config.h - the immutable configuration that a data plane serves: providers, models, routes, keys.
 * Floor: dataplane/view; built by the sync thread, read by every worker.
 * Owns: its arena and tables; counted, freed by whoever drops the last reference.
 * Invariant: a config is never changed after config_parse; it either parses whole or not at all,
 * and a refusal names the path of the bad record. config_test.c, config_fuzz.c. */
#ifndef BERTH_DATAPLANE_VIEW_CONFIG_H
#define BERTH_DATAPLANE_VIEW_CONFIG_H

#include <stdatomic.h>

#include "api/tariff.h"
#include "dataplane/dialect/dialect.h"
#include "dataplane/view/fund.h"
#include "dataplane/view/mask.h"
#include "lib/base/digest.h"
#include "lib/base/map.h"
#include "lib/http/client.h"
#include "lib/text/uri.h"

struct scope;
struct unasked;

struct config_provider {
    struct str name;
    const struct dialect *dialect;
    struct uri base;        /* spans in the config's arena; path without a trailing '/' */
    struct str key;         /* the provider's secret; never printed */
    struct mask mask;       /* of the key */
    const char *auth_field; /* the dialect's, or for an access token "authorization" */
    struct str auth_value;  /* prefix and key, as they stand in the header */
    struct str ca_file;
    enum http_protocol protocol;
    bool allow_private; /* the owner says that it stands at a private address */
    uint32_t index;     /* position in config.providers */
};

/* Which endpoints a model answers. */
enum config_kind {
    CONFIG_CHAT,
    CONFIG_EMBEDDING,
    CONFIG_IMAGE,
    CONFIG_SPEECH,
    CONFIG_TRANSCRIPTION,
    CONFIG_MODERATION,
    CONFIG_RERANK,
    CONFIG_KIND_COUNT
};

struct config_model {
    struct str id;          /* what callers say */
    struct str upstream;    /* what the provider is told */
    struct str record_json; /* members of its journal records: model, provider, price_version */
    uint32_t index;         /* position in config.models */
    const struct config_provider *provider;
    struct tariff tariff;           /* count 0: no price is known */
    bool free;                      /* the owner wants no money for it */
    const struct unasked *unasked;  /* what its provider runs for every call; NULL: nothing */
    const struct scope *free_tools; /* run by the provider at no cost but tokens; NULL: none said */
    bool responses_only; /* a chat model that its provider has at its Responses endpoint alone */
    enum config_kind kind;
    uint64_t context_tokens;     /* 0 = not known */
    uint64_t max_output_tokens;  /* 0 = not known */
    struct str input_modalities; /* JSON arrays for lists of models; empty = not known */
    struct str output_modalities;
    struct str capabilities; /* likewise */
    struct str alias_of;     /* id of the model that this is another name of; empty = none */
};

#define CONFIG_TARGETS_MAX 8u
/* A caller leaves in mid-stream. CANCEL: stop the provider, charge what it has reported, else what
 * was forwarded. DRAIN: read on to its own report. ESTIMATE: stop it, charge what was forwarded. */
enum config_leave { CONFIG_LEAVE_CANCEL, CONFIG_LEAVE_DRAIN, CONFIG_LEAVE_ESTIMATE };
struct config_route {
    struct str name;
    enum config_leave on_leave;
    uint32_t ttft_timeout_ms; /* 0 = as in settings */
    uint32_t stall_timeout_ms;
    const struct config_model *targets[CONFIG_TARGETS_MAX];
    uint32_t target_count; /* >= 1 */
};

struct config_key {
    uint8_t hash[SHA256_BYTES];
    struct str name;
    struct str record_json; /* members of its journal records: wallet, subject */
    struct fund *fund;
    struct fund *budget;       /* NULL: nothing but the wallet caps it */
    const struct scope *scope; /* NULL: it may use every model */
};

/* What a container may use and spend, when its owner said so. */
struct config_container {
    struct str name;
    const struct scope *scope; /* as of a key */
    struct fund *budget;
};

struct config_settings {
    uint32_t markup_bps;
    uint64_t body_bytes_max;
    uint32_t ttft_timeout_ms;
    uint32_t stall_timeout_ms;
    uint32_t request_timeout_ms;
    bool container_tags; /* what a proved container's token says is recorded, and decides nothing */
};

struct config {
    struct arena arena;
    uint64_t revision;
    char hash[2 * SHA256_BYTES + 1];
    struct config_settings settings;
    struct config_provider *providers;
    uint32_t provider_count;
    struct config_model *models;
    uint32_t model_count;
    struct config_route *routes;
    uint32_t route_count;
    struct config_key *keys;
    uint32_t key_count;
    struct config_container *containers;
    uint32_t container_count;
    struct map model_by_id;
    struct map model_by_bare; /* the part behind the first '/': the first model that has it */
    struct map route_by_name;
    struct map key_by_hash; /* key: the 32 raw bytes */
    struct map container_by_name;
    struct map capped_wallets; /* what each of their containers may spend is capped; keys only */
    _Atomic uint32_t refs;
};

/* config_parse - from the object node `object` of a scanned config document (api/plane.md). funds:
 * where wallets are looked up (they are created empty when new). 0 and one reference; -ERR_INVALID,
 * -ERR_RANGE, -ERR_NOT_FOUND (dangling reference), -ERR_DUPLICATE, -ERR_NOMEM; err->text begins
 * with the path of the record, as in "models[3].provider: ...". */
int config_parse(const struct json_doc *doc, uint32_t object, uint64_t revision,
                 struct funds *funds, struct config **ret_config, struct err *err) MUST_USE;
struct config *config_acquire(struct config *config);
void config_release(struct config **config);
/* config_kind_endpoint - the one that models of this kind are for, or the first of several. */
enum chat_endpoint config_kind_endpoint(enum config_kind kind);
/* config_kind_name - as in documents: "chat", "embedding", ...; static. */
const char *config_kind_name(enum config_kind kind);
/* config_near - up to `max` ids of models and names of routes in `scope` that look like `id`,
 * nearest first; returns how many. */
size_t config_near(const struct config *config, const struct scope *scope, struct str id,
                   struct str *ret_ids, size_t max);
/* config_container - what the container of that name may use and spend; NULL: nobody said. */
const struct config_container *config_container(const struct config *config, struct str name);
/* config_caps_wallet - does the wallet cap what each of its containers may spend? */
bool config_caps_wallet(const struct config *config, struct str wallet);

#endif
