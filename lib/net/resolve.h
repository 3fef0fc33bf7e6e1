/* SPDX-License-Identifier: MIT
 * resolve.h - names to addresses without blocking the loop: one resolver thread per process around
 *             getaddrinfo, with a small cache.
 * Floor: lib/net; calls and callbacks on the caller's loop.
 * Owns: the thread (started on first use) and the cache (30 s positive, 5 s negative, 1,024 names).
 * Invariant: a canceled query never calls back; addresses are checked by the caller at connect
 * time. */
#ifndef BERTH_LIB_NET_RESOLVE_H
#define BERTH_LIB_NET_RESOLVE_H

#include "lib/net/loop.h"
#include "lib/net/sock.h"

#define RESOLVE_ADDRS_MAX 8
struct resolve_query;
/* code: 0 or -ERR_RESOLVE / -ERR_TIMEOUT; addrs[count] have the port filled in; borrowed for the
 * call. */
typedef void (*resolve_fn)(struct resolve_query *query, int code, const struct sock_addr *addrs,
                           size_t count);
struct resolve_query {
    struct loop *loop;
    resolve_fn done;
    void *job; /* private */
};
/* resolve_start - literals (v4, v6; also in brackets), cache hits, names that cannot be one and a
 * full queue (1,024) call `done` before returning. host: <= 253 bytes. */
void resolve_start(struct resolve_query *query, struct loop *loop, struct str host, uint16_t port,
                   resolve_fn done);
/* resolve_cancel - on the query's loop; harmless before resolve_start (zeroed) and after `done`. */
void resolve_cancel(struct resolve_query *query);

#endif
