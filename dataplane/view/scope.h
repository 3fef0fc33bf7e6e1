/* SPDX-License-Identifier: MIT
 * scope.h - which models a key or a container may use: its list of names with '*'.
 * Floor: dataplane/view; built by the sync thread, read by every worker.
 * Owns: nothing; the patterns live in the config's arena.
 * Invariant: no list allows everything, a list only what it names; an alias is its model.
 *            scope_test.c. */
#ifndef BERTH_DATAPLANE_VIEW_SCOPE_H
#define BERTH_DATAPLANE_VIEW_SCOPE_H

#include "dataplane/view/config.h"

struct scope {
    const struct str *patterns;
    uint32_t count; /* >= 1 */
};

/* scope_matches - '*' stands for any bytes; a pattern without '/' is compared with what stands
 * behind the first '/' of the id too. */
bool scope_matches(struct str pattern, struct str id);
/* scope_names - a pattern matches the name; NULL has none. */
bool scope_names(const struct scope *scope, struct str name);
/* scope_allows - scope NULL: no list. A model may be named by its id or as the model whose alias it
 * is. */
bool scope_allows(const struct scope *scope, const struct config_model *model);
/* scope_allows_route - by "route/NAME": then all its targets may be used. */
bool scope_allows_route(const struct scope *scope, const struct config_route *route);

#endif
