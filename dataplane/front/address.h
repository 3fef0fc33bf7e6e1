/* SPDX-License-Identifier: MIT
 * address.h - which endpoint a request's address means, and the model that stands in it.
 * Floor: dataplane/front; any thread.
 * Owns: nothing; results are spans of the target.
 * Invariant: only whole segments are passed over, so no address reaches another row than the one
 *            that it spells. Proved by front_address_test.c. */
#ifndef BERTH_DATAPLANE_FRONT_ADDRESS_H
#define BERTH_DATAPLANE_FRONT_ADDRESS_H

#include "dataplane/pipeline/endpoint.h"

struct address {
    const struct endpoint *endpoint; /* NULL: no such path, or not with this method */
    struct str path;                 /* without the query, and without a slash at its end */
    struct str query;
    struct str model; /* as the path has it, percent-encoded; empty: it has none */
    struct str allow; /* what the path takes, for an allow field; empty: nobody knows the path */
};

/* address_read - method and target of a request head. HEAD is taken as GET. 0; -ERR_PARSE: a target
 * that must not be guessed at (an empty, "." or ".." segment, an encoded slash or control byte). */
int address_read(struct str method, struct str target, struct address *ret_address) MUST_USE;

#endif
