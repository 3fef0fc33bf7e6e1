/* SPDX-License-Identifier: MIT
 * route.c - names of models and routes.
 * Floor: dataplane/route; any worker.
 * Owns: nothing.
 * Invariant: an unknown name is refused with the nearest known ids. route_test.c. */
#include "dataplane/route/route.h"

#define ECHO_BYTES_MAX 128u
#define NEAR_COUNT 3u

/* What a caller said, fit to be said back. */
static struct str
shown_name(struct str name, char shown[ECHO_BYTES_MAX + 1])
{
    size_t count = MIN(name.len, (size_t)ECHO_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        char c = name.ptr[i];
        bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
        shown[i] = (char)(plain ? c : '?');
    }
    shown[count] = '\0';
    return str_make(shown, count);
}

static int
route_unknown(const struct config *config, const struct scope *scope, struct str name,
              struct err *err)
{
    char text[ECHO_BYTES_MAX + 1];
    struct str shown = shown_name(name, text);
    struct str near[NEAR_COUNT];
    size_t near_count = config_near(config, scope, shown, near, NEAR_COUNT);
    if (near_count == 0)
        return err_set(err, ERR_NOT_FOUND, "Berth knows no model '%s'. GET /v1/models lists them.",
                       text);
    if (near_count == 1)
        return err_set(err, ERR_NOT_FOUND, "Berth knows no model '%s'. Did you mean %.*s?", text,
                       STR_ARG(near[0]));
    return err_set(err, ERR_NOT_FOUND, "Berth knows no model '%s'. Did you mean %.*s or %.*s?",
                   text, STR_ARG(near[0]), STR_ARG(near[1]));
}

static int
route_outside(struct str name, struct err *err)
{
    char text[ECHO_BYTES_MAX + 1];
    (void)shown_name(name, text);
    return err_set(err, ERR_PERMISSION,
                   "Berth's owner does not let this caller use '%s'. GET /v1/models lists what it "
                   "may use.",
                   text);
}

static const struct config_route *
route_find(const struct config *config, struct str name)
{
    static const struct {
        const char *prefix;
    } prefixes[] = {{"route/"}, {"group/"}, {"hotel/"}};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        struct str prefix = str_from(prefixes[i].prefix);
        if (str_starts(name, prefix))
            return map_get(&config->route_by_name, str_skip(name, prefix.len));
    }
    return map_get(&config->route_by_name, name);
}

/* By the grammar of route.h; false: there is none. */
static bool
find(const struct config *config, struct str name, const struct config_model **ret_model,
     const struct config_route **ret_route)
{
    *ret_route = NULL;
    *ret_model = map_get(&config->model_by_id, name);
    if (*ret_model == NULL)
        *ret_route = route_find(config, name);
    if (*ret_model == NULL && *ret_route == NULL)
        *ret_model = map_get(&config->model_by_bare, name);
    return *ret_model != NULL || *ret_route != NULL;
}

/* May any of it be used? */
static bool
is_reachable(const struct scope *scope, const struct config_model *model,
             const struct config_route *route)
{
    if (model != NULL)
        return scope_allows(scope, model);
    bool any = scope_allows_route(scope, route);
    for (uint32_t i = 0; i < route->target_count && !any; i++)
        any = scope_allows(scope, route->targets[i]);
    return any;
}

int
route_show(const struct config *config, const struct scope *scope, struct str name,
           const struct config_model **ret_model, const struct config_route **ret_route,
           struct err *err)
{
    if (!find(config, name, ret_model, ret_route))
        return route_unknown(config, scope, name, err);
    return is_reachable(scope, *ret_model, *ret_route) ? 0 : route_outside(name, err);
}

int
route_resolve(const struct config *config, const struct scope *scope, struct str name,
              enum config_kind kind, struct route_targets *ret_targets, struct err *err)
{
    struct route_targets targets = {.count = 0};
    const struct config_model *model;
    const struct config_route *route;
    int rc = route_show(config, scope, name, &model, &route, err);
    if (rc != 0)
        return rc;
    if (route != NULL) {
        bool all = scope_allows_route(scope, route);
        targets.route = route;
        targets.on_leave = route->on_leave;
        for (uint32_t i = 0; i < route->target_count; i++) {
            if (route->targets[i]->kind == kind && (all || scope_allows(scope, route->targets[i])))
                targets.model[targets.count++] = route->targets[i];
        }
    } else if (model->kind == kind) {
        targets.model[targets.count++] = model;
    }
    if (targets.count == 0)
        return err_set(err, ERR_NOT_FOUND, "This model does not answer %s requests.",
                       config_kind_name(kind));
    *ret_targets = targets;
    return 0;
}
