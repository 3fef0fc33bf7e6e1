/* SPDX-License-Identifier: MIT
 * unasked.h - models at which the provider runs tools for every call, asked or not, and bills them
 *             beside tokens: known by their names there.
 * Floor: dataplane/view; any thread.
 * Owns: nothing; static rows.
 * Invariant: a model is looked up once, when its configuration is read. Proved by config_test.c and
 *            front_paid_test.c. */
#ifndef BERTH_DATAPLANE_VIEW_UNASKED_H
#define BERTH_DATAPLANE_VIEW_UNASKED_H

#include "api/usage.h"

struct unasked {
    const char *name; /* of the model at its provider: what it begins with, has in it or ends in */
    enum { UNASKED_BEGINS, UNASKED_HAS, UNASKED_ENDS } where;
    const char *run; /* as refusals and freeTools say it */
    enum usage_class class_;
    enum usage_class unsized; /* of a search whose context the caller leaves open */
    uint32_t most;
};

/* unasked_find - by the upstream's name of the model; NULL: it runs nothing unasked. */
const struct unasked *unasked_find(struct str upstream);

#endif
