/* SPDX-License-Identifier: MIT
 * token.h - short-lived access tokens for providers whose key is a service account: fetched beside
 *           the engine thread, kept, and fetched again before they expire.
 * Floor: controlplane/token; called on the engine thread; each fetch has a thread of its own.
 * Owns: the tokens; copies of keys for as long as a fetch runs.
 * Invariant: a private key goes nowhere but into a signature; neither it nor a token is in a
 *            message or a log; only what the guard allows is connected to. token_test.c. */
#ifndef BERTH_CONTROLPLANE_TOKEN_TOKEN_H
#define BERTH_CONTROLPLANE_TOKEN_TOKEN_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/net/loop.h"

#define TOKENS_MAX 32u
#define TOKEN_RETRY_MS 10000u   /* after a fetch that failed */
#define TOKEN_MARGIN_MS 600000u /* a new one is fetched when this, or half its life, is left */

struct tokens;
struct tokens_conf {
    struct loop *loop;
    const char *ca_file;         /* for https, or NULL = the system's */
    void (*changed)(void *user); /* on the loop: a fetch ended; ask again */
    void *user;
};
int tokens_new(const struct tokens_conf *conf, struct tokens **ret_tokens,
               struct err *err) MUST_USE;
void tokens_free(struct tokens **tokens);
/* tokens_get - the access token of the service account `key` (its key file's text). allow_private:
 * its token endpoint may be a private address, and in clear. *ret_token stays {NULL, 0} and
 * *ret_problem (in the arena) says why when there is none now; a fetch then runs, unless one failed
 * less than TOKEN_RETRY_MS ago. 0, -ERR_NOMEM. */
int tokens_get(struct tokens *tokens, struct str key, bool allow_private, struct arena *arena,
               struct str *ret_token, const char **ret_problem) MUST_USE;

#endif
