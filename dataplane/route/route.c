/* SPDX-License-Identifier: MIT
 * route.c - names of models and routes.
 * Floor: dataplane/route; any worker.
 * Owns: nothing.
 * Invariant: an unknown name is refused with the nearest known ids. route_test.c. */
#include "dataplane/route/route.h"

#define ECHO_BYTES_MAX 128u
#define NEAR_COUNT 3u

static int
route_unknown(const struct config *config, struct str name, struct err *err)
{
    char shown[ECHO_BYTES_MAX + 1];
    size_t count = MIN(name.len, (size_t)ECHO_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        char c = name.ptr[i];
        bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
        shown[i] = (char)(plain ? c : '?');
    }
    shown[count] = '\0';
    struct str near[NEAR_COUNT];
    size_t near_count = config_near(config, str_make(shown, count), near, NEAR_COUNT);
    if (near_count == 0)
        return err_set(err, ERR_NOT_FOUND, "Berth knows no model '%s'. GET /v1/models lists them.",
                       shown);
    if (near_count == 1)
        return err_set(err, ERR_NOT_FOUND, "Berth knows no model '%s'. Did you mean %.*s?", shown,
                       STR_ARG(near[0]));
    return err_set(err, ERR_NOT_FOUND, "Berth knows no model '%s'. Did you mean %.*s or %.*s?",
                   shown, STR_ARG(near[0]), STR_ARG(near[1]));
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

int
route_resolve(const struct config *config, struct str name, enum config_kind kind,
              struct route_targets *ret_targets, struct err *err)
{
    struct route_targets targets = {.count = 0};
    const struct config_model *model = map_get(&config->model_by_id, name);
    const struct config_route *route = NULL;
    if (model == NULL)
        route = route_find(config, name);
    if (model == NULL && route == NULL)
        model = map_get(&config->model_by_bare, name);
    if (route != NULL) {
        targets.route = route;
        targets.on_leave = route->on_leave;
        for (uint32_t i = 0; i < route->target_count; i++) {
            if (route->targets[i]->kind == kind)
                targets.model[targets.count++] = route->targets[i];
        }
    } else if (model != NULL && model->kind == kind) {
        targets.model[targets.count++] = model;
    }
    if (targets.count == 0 && (model != NULL || route != NULL))
        return err_set(err, ERR_NOT_FOUND, "This model does not answer %s requests.",
                       kind == CONFIG_CHAT ? "chat" : "embedding");
    if (targets.count == 0)
        return route_unknown(config, name, err);
    *ret_targets = targets;
    return 0;
}
