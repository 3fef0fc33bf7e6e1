/* SPDX-License-Identifier: MIT
 * watch.h - what Docker and Podman say about containers, brought together with what the kernel
 *           says.
 * Floor: agent/daemon; loop thread.
 * Owns: a source a runtime; names of containers that have not started yet.
 * Invariant: a runtime's word never keeps an identity alive and never makes one without the
 *            kernel's evidence: it gives names, pauses, and points at processes. watch_test.c. */
#ifndef BERTH_AGENT_DAEMON_WATCH_H
#define BERTH_AGENT_DAEMON_WATCH_H

#include "agent/daemon/hook_state.h"
#include "agent/source/source.h"

struct agent;
struct watch;
/* watch_new - the sources of options->docker_socket and podman_socket; NULL = none of it. */
int watch_new(struct agent *agent, struct watch **ret_watch, struct err *err) MUST_USE;
void watch_free(struct watch **watch);
/* watch_seen - one sighting, as the sources bring it. Public for tests. */
void watch_seen(struct watch *watch, const struct facts *facts, enum source_kind kind);
/* watch_prepare - what was seen of a container before its hook came: its name (when the hook's
 * state has none), ai off, infra. watch may be NULL. */
void watch_prepare(const struct watch *watch, struct hook_state *state, char *name, size_t size);

#endif
