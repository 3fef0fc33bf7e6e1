/* SPDX-License-Identifier: MIT
 * lifecycle.h - what happens on the edges of states.def, and who may start them (IDENTITY 7).
 * Floor: agent/daemon; loop thread.
 * Owns: nothing.
 * Invariant: a start is answered exactly once; whatever was made for a start that fails is undone
 *            before the answer; a revocation tells the data plane first. agent_test.c. */
#ifndef BERTH_AGENT_DAEMON_LIFECYCLE_H
#define BERTH_AGENT_DAEMON_LIFECYCLE_H

#include "agent/daemon/instance.h"

/* lifecycle_create - a createRuntime hook asks; the call is answered now or later. runtime_pid:
 * the process that runs the hook. */
void lifecycle_create(struct agent *agent, struct hook_call *call, struct hook_state *state,
                      pid_t runtime_pid);
/* lifecycle_poststop - revoke the dead incarnations of this container; true: some are not over
 * yet. */
bool lifecycle_poststop(struct agent *agent, const char *container_id);
/* lifecycle_is_revoking - incarnations of this container are in REVOKING. */
bool lifecycle_is_revoking(const struct agent *agent, const char *container_id);
/* lifecycle_late_reason - what the deadline of its state means. */
const char *lifecycle_late_reason(const struct instance *instance);

/* Actions of states.def; called by instance_step alone. */
void lifecycle_bind(struct instance *instance, const char *reason);
void lifecycle_activate(struct instance *instance, const char *reason);
void lifecycle_resume(struct instance *instance, const char *reason);
void lifecycle_undo(struct instance *instance, const char *reason);
void lifecycle_revoke(struct instance *instance, const char *reason);
void lifecycle_finish(struct instance *instance, const char *reason);

#endif
