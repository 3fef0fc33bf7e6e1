/* SPDX-License-Identifier: MIT
 * service_account.h - a Google service account's key file, and the signed claim that it makes of
 *                     itself (RFC 7523: a JWT, RS256).
 * Floor: controlplane/token; any thread.
 * Owns: nothing; texts are in the caller's arena.
 * Invariant: the private key stays in the arena it was read into; service_account_test.c. */
#ifndef BERTH_CONTROLPLANE_TOKEN_SERVICE_ACCOUNT_H
#define BERTH_CONTROLPLANE_TOKEN_SERVICE_ACCOUNT_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define SERVICE_ACCOUNT_CLAIM_S 3600u

/* Each has a NUL behind it. key_id may be empty. */
struct service_account {
    struct str email;
    struct str key_id;
    struct str private_key; /* PEM */
    struct str token_url;   /* https, or what the owner allowed */
};

/* service_account_is - does a provider's key look like such a file: a JSON object. */
bool service_account_is(struct str key);
/* service_account_read - -ERR_PARSE, -ERR_INVALID (a member is missing, or of another type), NOMEM;
 * messages never quote the file. */
int service_account_read(struct str text, struct arena *arena, struct service_account *ret_account,
                         struct err *err) MUST_USE;
/* service_account_claim - header.claims.signature, valid from now_s (Unix seconds) for
 * SERVICE_ACCOUNT_CLAIM_S. -ERR_INVALID: no RSA key of 2048 bits or more; -ERR_NOMEM. */
int service_account_claim(const struct service_account *account, uint64_t now_s,
                          struct arena *arena, struct str *ret_claim, struct err *err) MUST_USE;

#endif
