/* SPDX-License-Identifier: MIT
 * snapshot.h - the config document of the data planes (api/plane.md "Config document"): a pure
 *              function of the objects, the provider keys and the settings.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: nothing; inputs live in the caller's arena, the text in the caller's buf.
 * Invariant: the same input gives the same bytes; every reference in the document resolves within
 *            it (what dangles is left out and listed as a problem); snapshot_test.c. */
#ifndef BERTH_CONTROLPLANE_SNAPSHOT_SNAPSHOT_H
#define BERTH_CONTROLPLANE_SNAPSHOT_SNAPSHOT_H

#include "controlplane/object/object.h"
#include "controlplane/snapshot/scopes.h"
#include "controlplane/token/token.h"
#include "lib/base/digest.h"
#include "lib/base/map.h"

#define SNAPSHOT_BYTES_MAX (15u * 1024u * 1024u)

struct snapshot_settings {
    uint32_t markup_bps;
    uint64_t body_bytes_max;
    uint32_t ttft_timeout_ms;
    uint32_t stall_timeout_ms;
    uint32_t request_timeout_ms;
    bool container_tags; /* the token of a proved container may say anything: it is recorded */
    const struct scopes *scopes; /* borrowed; NULL = no container has a list */
    struct tokens *tokens;       /* borrowed; NULL = service accounts get no access token */
};
#define SNAPSHOT_SETTINGS_DEFAULT                            \
    ((struct snapshot_settings){.markup_bps = 500,           \
                                .body_bytes_max = 10u << 20, \
                                .ttft_timeout_ms = 60000,    \
                                .stall_timeout_ms = 30000,   \
                                .request_timeout_ms = 600000})

/* keys[i] is the secret of providers[i]; ptr NULL: it needs one and has none (the provider is left
 * out and problems[i] says why, else problems[i] is ""). Objects are sorted by name. */
struct snapshot_input {
    struct snapshot_settings settings;
    const struct object *providers;
    const struct str *keys;
    size_t provider_count;
    const struct object *models;
    size_t model_count;
    const struct object *routes;
    size_t route_count;
    const struct object *api_keys;
    size_t api_key_count;
    const struct object *wallets;
    size_t wallet_count;
    const char *const *problems;
    const bool *bearers;        /* keys[i] is an access token: a bearer, whatever the dialect */
    const struct str *listings; /* rows of SNAPSHOT_SEEN_PREFIX of providers[i], or empty */
};
/* What each provider has listed so far: catalog/seen.h. */
#define SNAPSHOT_SEEN_PREFIX "discovery/"
/* snapshot_load - read the store and the provider keys (environment, files, secrets). */
int snapshot_load(struct store *store, const struct snapshot_settings *settings,
                  struct arena *arena, struct snapshot_input *ret_input, struct err *err) MUST_USE;
/* snapshot_put - append the document. -ERR_TOO_LARGE, -ERR_NOMEM. */
int snapshot_put(const struct snapshot_input *input, struct buf *out) MUST_USE;

/* A document that is in force. The text holds provider keys: wiped when replaced. */
struct snapshot {
    uint64_t revision; /* of the commit that recorded these bytes' hash; 0 = none yet */
    char hash[2 * SHA256_BYTES + 1];
    struct buf text;
    struct map offered; /* ids of its models, in `text` */
};
void snapshot_init(struct snapshot *snapshot);
void snapshot_fini(struct snapshot *snapshot);
/* snapshot_rebuild - from the store. *ret_changed: the bytes differ from before, and revision is
 * new. On failure the old document stays. */
int snapshot_rebuild(struct snapshot *snapshot, struct store *store,
                     const struct snapshot_settings *settings, bool *ret_changed,
                     struct err *err) MUST_USE;

/* snapshot_offers - can this id be called: is it among the models of the document? */
bool snapshot_offers(const struct snapshot *snapshot, struct str id);

#endif
