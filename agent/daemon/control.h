/* SPDX-License-Identifier: MIT
 * control.h - the control plane as the agent sees it: bind, unbind, hosting, paused (api/plane.md).
 * Floor: agent/daemon; loop thread.
 * Owns: the link.
 * Invariant: a `bound` is believed only if it is signed and says what was asked; after every
 *            reconnect the agent states which incarnations live. agent_test.c. */
#ifndef BERTH_AGENT_DAEMON_CONTROL_H
#define BERTH_AGENT_DAEMON_CONTROL_H

#include "agent/daemon/instance.h"

struct control;
int control_new(struct agent *agent, struct control **ret_control, struct err *err) MUST_USE;
void control_free(struct control **control);
/* control_is_up - welcomed. */
bool control_is_up(const struct control *control);
/* control_is_down - not up, and not for the first moments of a reconnect either: do not wait for
 * it. */
bool control_is_down(const struct control *control);
/* control_bind - ask now, or as soon as it is up. EVENT_bound or EVENT_refused follows. */
void control_bind(struct control *control, struct instance *instance);
/* control_rename - a living instance shall be called instance->wanted: asked now, or when it is up
 * again. The old name holds until the new one is granted. */
void control_rename(struct control *control, struct instance *instance);
/* control_paused - say which containers are paused, all of them; nothing while it is down, as it is
 * said after each reconnect, too. */
void control_paused(struct control *control);
/* control_lease_is_over - nothing was heard for so long that data planes refuse, too. */
bool control_lease_is_over(const struct control *control);
void control_unbind(struct control *control, const struct instance *instance, const char *reason);

#endif
