/* SPDX-License-Identifier: MIT
 * sigv4.h - AWS Signature Version 4 of a POST (docs.aws.amazon.com, "Create a signed AWS API
 *           request").
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing; results live in the arena.
 * Invariant: the vendor's own example gives the vendor's signature (sigv4_test.c). */
#ifndef BERTH_DATAPLANE_DIALECT_SIGV4_H
#define BERTH_DATAPLANE_DIALECT_SIGV4_H

#include "lib/base/arena.h"

/* digest: SHA-256 of the body, or NULL: `body` is it.
 * key: "ACCESS:SECRET" or "ACCESS:SECRET:SESSION". path: as on the wire, without a query. host: as
 * in the Host field. now_s: seconds since 1970. */
struct sigv4_call {
    struct str key;
    struct str service; /* "bedrock" */
    struct str region;
    struct str host;
    struct str path;
    struct str body;
    const uint8_t *digest; /* [SHA256_BYTES] */
    uint64_t now_s;
};
struct sigv4_fields {
    struct str date;          /* x-amz-date */
    struct str token;         /* x-amz-security-token; empty: leave it out */
    struct str authorization; /* authorization */
};

/* sigv4_is_key - the key is a pair, not an API key that is sent as a bearer. */
bool sigv4_is_key(struct str key);
/* sigv4_region - of "bedrock-runtime.REGION.amazonaws.com", else "us-east-1". */
struct str sigv4_region(struct str host);
/* sigv4_sign - 0, -ERR_INVALID (no pair), -ERR_NOMEM. */
int sigv4_sign(const struct sigv4_call *call, struct arena *arena,
               struct sigv4_fields *ret_fields) MUST_USE;

#endif
