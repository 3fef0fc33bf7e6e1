/* SPDX-License-Identifier: MIT
 * trust.h - the TLS contexts towards providers, made once a process and shared by all workers:
 *           reading the system's roots costs tens of milliseconds.
 * Floor: dataplane/upstream; any thread.
 * Owns: the contexts, until trust_fini.
 * Invariant: one context a (CA file, ALPN) pair; verification is always on. */
#ifndef BERTH_DATAPLANE_UPSTREAM_TRUST_H
#define BERTH_DATAPLANE_UPSTREAM_TRUST_H

#include <pthread.h>

#include "lib/base/map.h"
#include "lib/net/tls.h"

struct trust {
    pthread_mutex_t lock;
    struct map contexts; /* key: "h2|FILE" or "h1|FILE" */
};

void trust_init(struct trust *trust);
/* trust_fini - no connection may be open. */
void trust_fini(struct trust *trust);
/* trust_get - ca_file: empty = the system's roots. The context lives as long as `trust`. 0, or what
 * tls_client_new returns. */
int trust_get(struct trust *trust, struct str ca_file, bool alpn_h2, struct tls_context **ret_tls,
              struct err *err) MUST_USE;

#endif
