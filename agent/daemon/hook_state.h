/* SPDX-License-Identifier: MIT
 * hook_state.h - what a hook says: a stage and the OCI state of a container (runtime-spec,
 *                "State").
 * Floor: agent/daemon; loop thread.
 * Owns: nothing; a value.
 * Invariant: ids and names are plain ASCII of bounded length; whatever else comes is refused.
 *            hook_state_test.c, hook_state_fuzz.c. */
#ifndef BERTH_AGENT_DAEMON_HOOK_STATE_H
#define BERTH_AGENT_DAEMON_HOOK_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

#define HOOK_ID_BYTES 129u
#define HOOK_NAME_BYTES 101u
#define HOOK_REQUEST_BYTES_MAX (64u * 1024u + 256u)

#define HOOK_REGISTERED "registered" /* runtime of what was registered by hand */

enum hook_stage { HOOK_CREATE_RUNTIME, HOOK_POSTSTOP, HOOK_REGISTER, HOOK_RELEASE };

struct hook_state {
    enum hook_stage stage;
    char runtime[33]; /* "podman" when libpod made the container, else what the hook was told */
    char id[HOOK_ID_BYTES];
    char name[HOOK_NAME_BYTES]; /* annotation io.berth.name, or "" */
    char bundle[PATH_MAX];
    char cgroup
        [PATH_MAX];     /* REGISTER: the container is whatever lives in it; "" = pid is its init */
    pid_t pid;          /* 0: none */
    uid_t owner;        /* not of the text: who asks; 0 = root */
    bool is_name_loose; /* name is the runtime's and follows its renames; else it is fixed */
    bool ai_off;        /* annotation io.berth.ai=false */
    bool infra;         /* the sandbox of a pod: holds namespaces, runs nothing */
};

/* hook_state_parse - request: "STAGE RUNTIME\n" and the state's JSON, or one object with "op"
 * (hook_server.h).
 * 0; -ERR_PARSE, -ERR_INVALID, -ERR_TOO_LARGE, ... with a sentence for the operator. */
int hook_state_parse(struct str request, struct hook_state *ret_state, struct err *err) MUST_USE;

#endif
