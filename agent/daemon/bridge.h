/* SPDX-License-Identifier: MIT
 * bridge.h - attestor ip+nft: a listener on a bridge's address, callers known by theirs.
 * Floor: agent/daemon; loop thread.
 * Owns: that listener and the nft table (agent/kernel/pin.h).
 * Invariant: weak, and off unless --attestors names ip+nft and --bridge-address is given; an
 *            address counts only while it is pinned and its container alone in its namespace.
 *            bridge_test.c. */
#ifndef BERTH_AGENT_DAEMON_BRIDGE_H
#define BERTH_AGENT_DAEMON_BRIDGE_H

#include "agent/daemon/instance.h"

struct bridge;
/* bridge_new - *ret_bridge stays NULL when it is off. -ERR_UNSUPPORTED: no nft here. */
int bridge_new(struct agent *agent, struct bridge **ret_bridge, struct err *err) MUST_USE;
void bridge_free(struct bridge **bridge);
/* bridge_pin - pin the address of a container in namespace ns_fd; nothing when that is off or
 * cannot be. The first one opens the listener. bridge may be NULL. */
void bridge_pin(struct bridge *bridge, struct instance *instance, int ns_fd);
void bridge_unpin(struct instance *instance);
/* bridge_watch - accept, or stop accepting. bridge may be NULL. */
void bridge_watch(struct bridge *bridge, bool accepting);

#endif
