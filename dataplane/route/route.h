/* SPDX-License-Identifier: MIT
 * route.h - from the name that a caller says to the models that may answer, in order.
 * Floor: dataplane/route; any worker.
 * Owns: nothing; results point into the config.
 * Invariant: a name is resolved exactly or not at all; nothing is guessed. Grammar: an id of
 * /v1/models; route/NAME, group/NAME, hotel/NAME; a route's bare name; a model's bare name.
 * route_test.c. */
#ifndef BERTH_DATAPLANE_ROUTE_ROUTE_H
#define BERTH_DATAPLANE_ROUTE_ROUTE_H

#include "dataplane/view/scope.h"

struct route_targets {
    const struct config_model *model[CONFIG_TARGETS_MAX];
    uint32_t count;
    const struct config_route *route; /* NULL: a model was named */
    enum config_leave on_leave;
};

/* route_resolve - models of `kind` that `scope` (NULL: everything) allows. 0; -ERR_NOT_FOUND with a
 * message fit for the caller: what is not known and up to two near ids (the name is shortened to
 * 128 bytes and escaped); -ERR_PERMISSION: the scope leaves nothing of it. */
int route_resolve(const struct config *config, const struct scope *scope, struct str name,
                  enum config_kind kind, struct route_targets *ret_targets,
                  struct err *err) MUST_USE;
/* route_show - the model or route of that name, of any kind, as a list would name it: *ret_route is
 * NULL for a model and the reverse. Errors as above. */
int route_show(const struct config *config, const struct scope *scope, struct str name,
               const struct config_model **ret_model, const struct config_route **ret_route,
               struct err *err) MUST_USE;

#endif
