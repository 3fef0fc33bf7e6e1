/* SPDX-License-Identifier: MIT
 * origins.h - one worker's connection pools, one a provider, kept across configurations.
 * Floor: dataplane/upstream; the worker's thread.
 * Owns: the HTTP client and its origins.
 * Invariant: a provider whose address, TLS and protocol did not change keeps its connections when
 * the configuration is swapped. origins_test.c. */
#ifndef BERTH_DATAPLANE_UPSTREAM_ORIGINS_H
#define BERTH_DATAPLANE_UPSTREAM_ORIGINS_H

#include "dataplane/upstream/trust.h"
#include "dataplane/view/config.h"
#include "lib/http/client.h"

struct origins;

/* trust: borrowed, outlives the origins. */
int origins_new(struct loop *loop, struct trust *trust, struct origins **ret_origins,
                struct err *err) MUST_USE;
void origins_free(struct origins **origins);
/* origins_apply - make ready for `config`; providers that are gone lose their pool when their last
 * call ends. 0, or -ERR_TLS / -ERR_NOMEM / ... naming the provider: then nothing has changed. */
int origins_apply(struct origins *origins, const struct config *config, struct err *err) MUST_USE;
/* origins_get - the pool for a provider of `config`, or NULL when there is none (the request's
 * config is older than the applied one and its provider has gone since). */
struct http_origin *origins_get(const struct origins *origins, const struct config *config,
                                const struct config_provider *provider);

/* origins_visit - a counted origin of the same provider at another of his hosts, under the same
 * rules; release it. 0; -ERR_TLS, -ERR_NOMEM, -ERR_INVALID. */
int origins_visit(struct origins *origins, const struct config_provider *provider, struct str host,
                  struct http_origin **ret_origin, struct err *err) MUST_USE;

#endif
