/* SPDX-License-Identifier: MIT
 * lister.h - fetching providers' lists of models, page by page, beside the engine thread.
 * Floor: controlplane/reconcile; called on the engine thread, works on threads of its own.
 * Owns: its threads and the jobs that were started.
 * Invariant: a job is called back once, on the loop, unless the lister is freed before; keys are
 *            wiped with the job. discover_test.c. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_LISTER_H
#define BERTH_CONTROLPLANE_RECONCILE_LISTER_H

#include "controlplane/catalog/listing.h"
#include "lib/net/loop.h"

#define LISTER_THREADS 4u
#define LISTER_TRIES 3u

struct lister;
struct lister_job;
/* code 0: listing is sealed; else err says why. Both belong to the call. */
typedef void (*lister_done_fn)(void *user, int code, const struct listing *listing,
                               const struct err *err);

/* status: HTTP, 0 = there was none. text: what it said, as far as it was read. */
typedef void (*lister_told_fn)(void *user, long status, struct str text);

/* Texts are copied. key: empty = none. header_name and prefix: how the dialect shows a key. */
struct lister_request {
    struct str base_url;
    struct str path;
    const struct listing_shape *shape;
    struct str key;
    const char *header; /* "Authorization: Bearer " or the like */
    const char *more;   /* one more field, or NULL */
    struct str ca_file; /* or empty */
    bool allow_private;
    lister_done_fn done;
    /* not empty: this is posted, once, and `told` hears the answer instead of `done` */
    struct str body;
    lister_told_fn told;
    void *user;
};
/* lister_new - retry_ms: wait before the second try; the third waits twice as long. */
int lister_new(struct loop *loop, uint32_t retry_ms, struct lister **ret_lister) MUST_USE;
void lister_free(struct lister **lister);
/* lister_start - 0 or -ERR_NOMEM. */
int lister_start(struct lister *lister, const struct lister_request *request,
                 struct lister_job **ret_job) MUST_USE;
/* lister_cancel - it is not called back. */
void lister_cancel(struct lister_job *job);

#endif
