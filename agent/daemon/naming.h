/* SPDX-License-Identifier: MIT
 * naming.h - what a container is called: an annotation, podman's own list, or its id.
 * Floor: agent/daemon; loop thread.
 * Owns: nothing.
 * Invariant: podman is never called (it deadlocks inside a hook): its containers.json is read. A
 *            name that Berth cannot use is no name: the container is then known by its number.
 *            naming_test.c, naming_fuzz.c. */
#ifndef BERTH_AGENT_DAEMON_NAMING_H
#define BERTH_AGENT_DAEMON_NAMING_H

#include "agent/daemon/hook_state.h"

/* naming_of - fills name[101] (maybe "") and may set state->infra for podman's pod sandboxes. */
void naming_of(struct hook_state *state, char name[HOOK_NAME_BYTES]);
/* naming_find - names[0] of the row `id` in the text of a containers.json, as it stands there
 * (also when it is no Berth name) into raw[size]. 0; -ERR_NOT_FOUND, -ERR_PARSE, ... */
int naming_find(struct str json, struct str id, char *raw, size_t size) MUST_USE;

#endif
