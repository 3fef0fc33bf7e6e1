/* SPDX-License-Identifier: MIT
 * scope.c - see scope.h.
 * Floor: dataplane/view; any thread.
 * Owns: nothing.
 * Invariant: see scope.h. */
#include "dataplane/view/scope.h"

#include "dataplane/view/config_int.h"

#define PATTERNS_MAX 100u
#define ROUTE_PREFIX "route/"

/* The usual walk with one place to come back to: linear but for what '*' gives back. */
static bool
glob(struct str pattern, struct str text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX;
    size_t back = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            back = t;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool
scope_matches(struct str pattern, struct str id)
{
    if (glob(pattern, id))
        return true;
    size_t slash = str_find_byte(id, '/');
    return slash != SIZE_MAX && str_find_byte(pattern, '/') == SIZE_MAX &&
           glob(pattern, str_skip(id, slash + 1));
}

bool
scope_allows(const struct scope *scope, const struct config_model *model)
{
    if (scope == NULL)
        return true;
    for (uint32_t i = 0; i < scope->count; i++) {
        if (scope_matches(scope->patterns[i], model->id) ||
            (model->alias_of.len > 0 && scope_matches(scope->patterns[i], model->alias_of)))
            return true;
    }
    return false;
}

bool
scope_allows_route(const struct scope *scope, const struct config_route *route)
{
    if (scope == NULL)
        return true;
    for (uint32_t i = 0; i < scope->count; i++) {
        struct str pattern = scope->patterns[i];
        if (str_starts(pattern, STR(ROUTE_PREFIX)) &&
            glob(str_skip(pattern, sizeof(ROUTE_PREFIX) - 1), route->name))
            return true;
    }
    return false;
}

/* Who names an alias means the model. */
static struct str
canonical(const struct config *config, struct str pattern)
{
    const struct config_model *model = map_get(&config->model_by_id, pattern);
    if (model == NULL)
        model = map_get(&config->model_by_bare, pattern);
    return model != NULL && model->alias_of.len > 0 ? model->alias_of : pattern;
}

static int
read_names(struct parser *p, uint32_t node, const char *field, bool models,
           const struct scope **ret_scope)
{
    struct arena *arena = &p->config->arena;
    uint32_t list = json_get(p->doc, node, str_from(field));
    *ret_scope = NULL;
    if (list == JSON_NONE)
        return 0;
    uint32_t count = json_count(p->doc, list);
    if (!json_is(p->doc, list, JSON_ARRAY) || count == 0 || count > PATTERNS_MAX)
        return config_bad(p, ERR_RANGE, field, "must be a list of 1 to 100 names");
    struct scope *scope = arena_array(arena, 1, sizeof(*scope));
    struct str *patterns = arena_array(arena, count, sizeof(*patterns));
    if (scope == NULL || patterns == NULL)
        return config_bad(p, ERR_NOMEM, field, "no memory");
    uint32_t at = 0;
    for (uint32_t item = json_first(p->doc, list); item != JSON_NONE;
         item = json_sibling(p->doc, list, item)) {
        struct str text;
        if (json_string(p->doc, item, arena, &text) != 0 || text.len == 0)
            return config_bad(p, ERR_INVALID, field, "must be names");
        if (arena_dup(arena, text, &text) != 0)
            return config_bad(p, ERR_NOMEM, field, "no memory");
        patterns[at++] = models ? canonical(p->config, text) : text;
    }
    *scope = (struct scope){.patterns = patterns, .count = count};
    *ret_scope = scope;
    return 0;
}

int
config_scope(struct parser *p, uint32_t node, const struct scope **ret_scope)
{
    return read_names(p, node, "models", true, ret_scope);
}

int
config_free_tools(struct parser *p, uint32_t node, const struct scope **ret_tools)
{
    return read_names(p, node, "free_tools", false, ret_tools);
}

bool
scope_names(const struct scope *scope, struct str name)
{
    for (uint32_t i = 0; scope != NULL && i < scope->count; i++) {
        if (scope_matches(scope->patterns[i], name))
            return true;
    }
    return false;
}
