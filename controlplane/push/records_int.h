/* SPDX-License-Identifier: MIT
 * records_int.h - the files of the records that come up, to each other.
 * Floor: controlplane/push; engine thread.
 * Owns: nothing.
 * Invariant: see records.c. */
#ifndef BERTH_CONTROLPLANE_PUSH_RECORDS_INT_H
#define BERTH_CONTROLPLANE_PUSH_RECORDS_INT_H

#include "controlplane/push/push_int.h"

/* One record being handled. */
struct incoming {
    struct node *node;
    const struct json_doc *doc;
    struct arena *arena;
    struct err *err;
    struct str list; /* of a usage record: what stands between the brackets; NULL: it is in doc */
};
typedef int (*record_fn)(struct incoming *in);

/* incoming_text - a member that is a string of at most `max` bytes. incoming_digits - a number, as
 * digits or as it is. -ERR_INVALID naming `key`. */
int incoming_text(const struct incoming *in, const char *key, size_t max, struct str *ret) MUST_USE;
int incoming_digits(const struct incoming *in, const char *key, uint64_t max,
                    uint64_t *ret) MUST_USE;

/* ---- records_agent.c ---- */
int record_on_bind(struct incoming *in) MUST_USE;
int record_on_rename(struct incoming *in) MUST_USE;
int record_on_unbind(struct incoming *in) MUST_USE;
int record_on_hosting(struct incoming *in) MUST_USE;
int record_on_paused(struct incoming *in) MUST_USE;

#endif
