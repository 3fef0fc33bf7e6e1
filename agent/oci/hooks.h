/* SPDX-License-Identifier: MIT
 * hooks.h - berth-hook in the words of OCI runtimes: one hook, and a config.json that has both.
 * Floor: agent/oci; any thread.
 * Owns: nothing.
 * Invariant: an edited config.json is byte for byte the old one but for the hooks; hooks that are
 *            there already are not added again; what is not understood is refused. hooks_test.c,
 *            hooks_fuzz.c. Spec: OCI runtime-spec, config.md "POSIX-platform Hooks". */
#ifndef BERTH_AGENT_OCI_HOOKS_H
#define BERTH_AGENT_OCI_HOOKS_H

#include "lib/text/json.h"

#define HOOKS_CONFIG_BYTES_MAX (16u * 1024u * 1024u)

struct hooks {
    const char *path;      /* of berth-hook, absolute */
    const char *socket;    /* of the agent */
    const char *runtime;   /* its name in bindings */
    const char *when_down; /* "deny" or "allow" */
    const char *rootless;  /* the agent's socket for users' containers; NULL = the usual one */
};
/* The stages that call us. */
#define HOOKS_STAGES 2
extern const char *const hooks_stages[HOOKS_STAGES]; /* createRuntime, poststop */

/* hooks_put - {"path":...,"args":[...],"timeout":10} of one stage, as the writer's next value. */
void hooks_put(struct json_writer *writer, const struct hooks *hooks, const char *stage);
/* hooks_add - config.json with our hooks appended to out; *ret_changed: false when it had them
 * (then nothing is appended). 0; -ERR_PARSE and others of json_scan, -ERR_INVALID. */
int hooks_add(const struct hooks *hooks, struct str config, struct buf *out, bool *ret_changed,
              struct err *err) MUST_USE;
/* hooks_beside - DIR/berth-hook, DIR being the folder of this program, or `given` (absolute) when
 * not NULL; it must be there and executable. */
int hooks_beside(const char *given, char *path, size_t size, struct err *err) MUST_USE;

#endif
