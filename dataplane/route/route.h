/* SPDX-License-Identifier: MIT
 * route.h - from the name that a caller says to the models that may answer, in order.
 * Floor: dataplane/route; any worker.
 * Owns: nothing; results point into the config.
 * Invariant: a name is resolved exactly or not at all; nothing is guessed. Grammar: an id of
 * /v1/models; route/NAME, group/NAME, hotel/NAME; a route's bare name; a model's bare name.
 * route_test.c. */
#ifndef BERTH_DATAPLANE_ROUTE_ROUTE_H
#define BERTH_DATAPLANE_ROUTE_ROUTE_H

#include "dataplane/view/config.h"

struct route_targets {
    const struct config_model *model[CONFIG_TARGETS_MAX];
    uint32_t count;
    const struct config_route *route; /* NULL: a model was named */
    enum config_leave on_leave;
};

/* route_resolve - models of `kind` only. 0; -ERR_NOT_FOUND with a message fit for the caller: what
 * is not known and up to three near ids (the name is shortened to 128 bytes and escaped). */
int route_resolve(const struct config *config, struct str name, enum config_kind kind,
                  struct route_targets *ret_targets, struct err *err) MUST_USE;

#endif
