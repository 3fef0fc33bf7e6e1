/* SPDX-License-Identifier: MIT
 * holder.h - the agent's end of the holder (keeper.h): give, drop, take back after a restart.
 * Floor: agent/daemon; loop thread.
 * Owns: the connection.
 * Invariant: an instance is taken back as ACTIVE only if boot id, namespace cookie and cgroup are
 *            what they were and its init still lives; else it is revoked. agent_test.c. */
#ifndef BERTH_AGENT_DAEMON_HOLDER_H
#define BERTH_AGENT_DAEMON_HOLDER_H

#include "agent/daemon/instance.h"

struct holder;
/* holder_new - connect to the holder of RUN_DIR, starting one when there is none. */
int holder_new(struct agent *agent, struct holder **ret_holder, struct err *err) MUST_USE;
void holder_free(struct holder **holder);
/* holder_recover - take back what it keeps; blocks, at most 2 s. Before connections are
 * accepted. */
int holder_recover(struct holder *holder, struct err *err) MUST_USE;
void holder_put(struct holder *holder, const struct instance *instance);
void holder_drop(struct holder *holder, const uint8_t incarnation[INCARNATION_BYTES]);

#endif
