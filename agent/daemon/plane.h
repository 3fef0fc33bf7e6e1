/* SPDX-License-Identifier: MIT
 * plane.h - the local data plane: connections and revocations go there (api/handoff.h).
 * Floor: agent/daemon; loop thread.
 * Owns: the socket; connects again by itself.
 * Invariant: a revocation is sent before anything else of its turn, and again when the socket was
 *            full; a connection is sent or closed, never kept. agent_test.c. */
#ifndef BERTH_AGENT_DAEMON_PLANE_H
#define BERTH_AGENT_DAEMON_PLANE_H

#include "agent/daemon/instance.h"
#include "api/handoff.h"

struct plane;
int plane_new(struct agent *agent, struct plane **ret_plane) MUST_USE;
void plane_free(struct plane **plane);
bool plane_connected(const struct plane *plane);
/* plane_give - hand over fd (owned from now on), which was accepted at accepted_ns of the monotonic
 * clock. message: a HANDOFF_CONN; its token is set here. When the socket is full it is kept as the
 * one that goes first, and accepting stops. */
void plane_give(struct plane *plane, struct handoff *message, int fd, uint64_t accepted_ns);
/* plane_revoke - tell it that this incarnation is dead, now or as soon as it is connected;
 * EVENT_revoked follows with its answer, or when the connection is lost. */
void plane_revoke(struct plane *plane, struct instance *instance);

#endif
