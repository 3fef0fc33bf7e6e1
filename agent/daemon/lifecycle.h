/* SPDX-License-Identifier: MIT
 * lifecycle.h - what happens on the edges of states.def, and who may start them (IDENTITY 7).
 * Floor: agent/daemon; loop thread.
 * Owns: nothing.
 * Invariant: a start is answered exactly once; whatever was made for a start that fails is undone
 *            before the answer; a revocation tells the data plane first. agent_test.c. */
#ifndef BERTH_AGENT_DAEMON_LIFECYCLE_H
#define BERTH_AGENT_DAEMON_LIFECYCLE_H

#include "agent/daemon/instance.h"

/* lifecycle_create - a createRuntime hook or `register` asks; the call is answered now or later;
 * NULL: a runtime's event stream found a container that runs without an identity. runtime_pid: the
 * process that runs the hook, or 0. */
void lifecycle_create(struct agent *agent, struct hook_call *call, struct hook_state *state,
                      pid_t runtime_pid);
/* lifecycle_poststop - revoke the dead incarnations of this container; true: some are not over
 * yet. */
bool lifecycle_poststop(struct agent *agent, const char *container_id);
/* lifecycle_release - end what was registered by hand as state->name or state->id, and leave its id
 * in state->id. 0; -ERR_NOT_FOUND, -ERR_CONFLICT (it belongs to a runtime). */
int lifecycle_release(struct agent *agent, struct hook_state *state, struct err *err) MUST_USE;
/* lifecycle_exited - its process has ended: the end, or on to another process of its cgroup. */
void lifecycle_exited(struct instance *instance);
/* lifecycle_is_revoking - incarnations of this container are in REVOKING. */
bool lifecycle_is_revoking(const struct agent *agent, const char *container_id);
/* lifecycle_rename - the runtime calls it `name` now: claimed at the control plane, and until it is
 * granted the old name holds. Nothing happens for a name that it has, or that Berth cannot use. */
void lifecycle_rename(struct instance *instance, struct str name);
/* lifecycle_renamed - the answer is there; problem: NULL = granted. */
void lifecycle_renamed(struct instance *instance, const char *problem);
/* lifecycle_late_reason - what the deadline of its state means. */
const char *lifecycle_late_reason(const struct instance *instance);

/* Actions of states.def; called by instance_step alone. */
void lifecycle_bind(struct instance *instance, const char *reason);
void lifecycle_activate(struct instance *instance, const char *reason);
void lifecycle_resume(struct instance *instance, const char *reason);
void lifecycle_freeze(struct instance *instance, const char *reason);
void lifecycle_thaw(struct instance *instance, const char *reason);
void lifecycle_undo(struct instance *instance, const char *reason);
void lifecycle_revoke(struct instance *instance, const char *reason);
void lifecycle_finish(struct instance *instance, const char *reason);

#endif
