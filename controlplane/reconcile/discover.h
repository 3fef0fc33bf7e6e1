/* SPDX-License-Identifier: MIT
 * discover.h - asking providers what they serve: by schedule, when one appears, and by hand; what
 *              they list, return, drop and reprice becomes part of the config document.
 * Floor: controlplane/reconcile; engine thread (lists are fetched beside it: lister.h).
 * Owns: its scans, timers and the lister.
 * Invariant: what the owner declared is never touched; a model is taken away only by scheduled
 *            scans, and only after three layers of proof: three tries of every fetch, two
 *            confirming fetches, two scans in a row (catalog/seen.h). discover_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_DISCOVER_H
#define BERTH_CONTROLPLANE_RECONCILE_DISCOVER_H

#include "controlplane/catalog/seen.h"
#include "controlplane/reconcile/engine.h"

#define DISCOVER_INTERVAL_MS (6u * 3600u * 1000u)
#define DISCOVER_CONFIRMS 2u

struct discover;
/* interval_ms 0: by hand only. Zero means the default in brackets. */
struct discover_conf {
    struct engine *engine;
    uint64_t interval_ms;
    uint32_t retry_ms;                      /* [1000] before the second try of a fetch */
    uint32_t confirm_ms[DISCOVER_CONFIRMS]; /* [15000, 45000] before it is fetched again */
    uint32_t fresh_ms;  /* [300000] a scan so young is not repeated at a start */
    uint32_t strike_ms; /* [1800000] between two strikes: longer, and it counts from one again */
    uint32_t probe_ms;  /* [300000] between two probes of a model */
};
enum discover_trigger { DISCOVER_SCHEDULE, DISCOVER_CREATED, DISCOVER_HAND };

/* discover_new - engine->discover is set; scans that are due begin from the loop. discover_free
 * comes before engine_free. */
int discover_new(const struct discover_conf *conf, struct discover **ret_discover,
                 struct err *err) MUST_USE;
void discover_free(struct discover **discover);
/* discover_start - scan this provider, or all (empty). *ret_count: how many began or were under
 * way. 0; -ERR_NOT_FOUND: there is no such Provider; -ERR_UNSUPPORTED: its list cannot be read,
 * or its key is missing; -ERR_STORE, -ERR_NOMEM. */
int discover_start(struct discover *discover, struct str provider, enum discover_trigger trigger,
                   size_t *ret_count, struct err *err) MUST_USE;
/* discover_strike - a provider answered real traffic that it has no such model (its name of it).
 * Three of these, and it is asked itself; when it says so again the model is taken away, with a
 * change "retired", until a scan lists it. See strike.c. */
void discover_strike(struct discover *discover, struct str provider, struct str model);
/* discover_count - scans since this process began, and what they found. */
struct discover_count {
    uint64_t done;
    uint64_t failed;
    uint64_t news[SEEN_NEWS];
    uint64_t retired; /* by traffic and a probe */
};
struct discover_count discover_count(const struct discover *discover);
/* discover_put - a JSON array: what each provider's last scan found, and whether one is under
 * way. */
void discover_put(struct discover *discover, struct json_writer *writer);

#endif
