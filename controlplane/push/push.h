/* SPDX-License-Identifier: MIT
 * push.h - the nodes' end of the control plane: POST /planes/v1/stream over mTLS HTTP/2;
 *          configuration, bindings and funds go down, usage and requests come up. Records:
 *          api/plane.md.
 * Floor: controlplane/push; engine thread.
 * Owns: the HTTP server, its node connections, binds that wait for acks.
 * Invariant: an agent hears `bound` only when the data planes that serve its host have acked the
 *            binding; a revocation goes ahead of everything queued; push_test.c. */
#ifndef BERTH_CONTROLPLANE_PUSH_PUSH_H
#define BERTH_CONTROLPLANE_PUSH_PUSH_H

#include "controlplane/ledger/ledger.h"
#include "controlplane/reconcile/engine.h"
#include "lib/net/tls.h"

#define PUSH_LEASE_MS 15000u
#define PUSH_ORPHAN_MS (60u * 60u * 1000u)
#define PUSH_TICK_MS 3000u
#define PUSH_BIND_DEADLINE_MS 1500u
#define PUSH_RECORD_BYTES_MAX (16u * 1024u * 1024u)
#define PUSH_QUEUE_BYTES_MAX (8u * 1024u * 1024u)

struct push;
struct push_conf {
    struct loop *loop;
    struct tls_context *tls; /* server, with client_ca_file; borrowed */
    struct ledger *ledger;   /* borrowed */
    uint32_t lease_ms;       /* 0 = PUSH_LEASE_MS; ticks go out at a fifth of it */
    uint64_t orphan_ms;      /* a data plane is lost after this; 0 = PUSH_ORPHAN_MS */
};
int push_new(const struct push_conf *conf, struct push **ret_push, struct err *err) MUST_USE;
/* What an engine's conf.ops and conf.user must be, so that changes reach the nodes. */
extern const struct engine_ops push_engine_ops;
/* push_start - serve listen_fd (borrowed) for this engine (borrowed; freed after the push). */
int push_start(struct push *push, struct engine *engine, int listen_fd, struct err *err) MUST_USE;
void push_free(struct push **push);

/* push_put_nodes - a JSON array: role, name, boot, since, sent and acked revisions, last nack. */
void push_put_nodes(const struct push *push, struct json_writer *writer);
/* push_node_count - connected nodes past their hello, by role ("" = all). */
size_t push_node_count(const struct push *push, const char *role);

#endif
