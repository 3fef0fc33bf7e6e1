/* SPDX-License-Identifier: MIT
 * client.h - calls to the admin API: over the data directory's socket, or a URL with the token.
 * Floor: cli; main thread.
 * Owns: nothing; replies live in the arena of struct cli.
 * Invariant: the token comes from a file that only its owner can read, never from an argument.
 *            Spec: api/openapi/admin.yaml. Proved in e2e/up.sh. */
#ifndef BERTH_CLI_CLIENT_H
#define BERTH_CLI_CLIENT_H

#include "cli/cli.h"

struct client_call {
    const char *method;
    const char *path; /* with query, encoded */
    const char *type; /* of the body, or NULL */
    struct str body;
    uint32_t timeout_ms; /* 0 = 30000 */
};
/* client_try - ret_status: HTTP status; ret_reply: the parsed document, NULL when the body is empty
 * or no JSON. 0 when there was an answer, whatever it said; else a code of fetch_run, with one
 * sentence in err. */
int client_try(struct cli *cli, const struct client_call *call, long *ret_status,
               const struct tree **ret_reply, struct err *err) MUST_USE;
/* client_bytes - the same; what comes is appended to reply, whatever it is. */
int client_bytes(struct cli *cli, const struct client_call *call, long *ret_status,
                 struct buf *reply, struct err *err) MUST_USE;
/* client_run - the same; prints what went wrong. CLI_DONE and *ret_reply (never NULL), or
 * CLI_FAILED. */
int client_run(struct cli *cli, const struct client_call *call,
               const struct tree **ret_reply) MUST_USE;
/* client_get - client_run of a GET. */
int client_get(struct cli *cli, const char *path, const struct tree **ret_reply) MUST_USE;
/* client_path_put - append `text` to a path or query, percent-encoded; '/' stays when `path`. */
void client_path_put(struct buf *out, struct str text, bool path);

/* client_dataplane_url - base URL of the running stack's data plane, as `berth up` left it; without
 * a stack its default on this host. In the arena or static; never NULL. */
const char *client_dataplane_url(struct cli *cli);
/* client_dataplane_get - GET url + path of a data plane with this token as bearer; else as
 * client_try. */
int client_dataplane_get(struct cli *cli, const char *url, const char *path, struct str token,
                         long *ret_status, const struct tree **ret_reply, struct err *err) MUST_USE;

#endif
