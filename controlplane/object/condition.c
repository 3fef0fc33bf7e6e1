/* SPDX-License-Identifier: MIT
 * condition.c - keeping one entry of status.conditions.
 * Floor: controlplane/object; engine thread.
 * Owns: nothing.
 * Invariant: see condition.h. */
#include "controlplane/object/condition.h"

#include "lib/base/clock.h"

static struct tree *
list_of(struct object *object, struct arena *arena)
{
    for (struct tree *child = object->status->first; child; child = child->next) {
        if (str_eq(child->key, STR("conditions")) && child->kind == TREE_LIST)
            return child;
    }
    object_unset(object->status, "conditions");
    struct tree *list = tree_new(arena, TREE_LIST, STR_EMPTY);
    if (list)
        tree_append(object->status, STR("conditions"), list);
    return list;
}

static struct tree *
entry_of(struct tree *list, struct arena *arena, const char *type)
{
    for (struct tree *child = list->first; child; child = child->next) {
        if (str_eq(schema_text(child, "type", STR_EMPTY), str_from(type)))
            return child;
    }
    struct tree *entry = tree_new(arena, TREE_MAP, STR_EMPTY);
    if (!entry || object_set(arena, entry, "type", TREE_STRING, str_from(type)) < 0)
        return NULL;
    tree_append(list, STR_EMPTY, entry);
    return entry;
}

int
condition_set(struct object *object, struct arena *arena, const char *type, bool holds,
              const char *reason, const char *message, bool *ret_changed)
{
    struct str status = holds ? STR("True") : STR("False");
    struct tree *list = list_of(object, arena);
    struct tree *entry = list ? entry_of(list, arena, type) : NULL;
    if (!entry)
        return -ERR_NOMEM;
    bool same_status = str_eq(schema_text(entry, "status", STR_EMPTY), status);
    *ret_changed = !same_status ||
                   !str_eq(schema_text(entry, "reason", STR_EMPTY), str_from(reason)) ||
                   !str_eq(schema_text(entry, "message", STR_EMPTY), str_from(message));
    if (!*ret_changed)
        return 0;
    char since[32];
    clock_format_rfc3339(clock_wall_ns(), since);
    int code = object_set(arena, entry, "status", TREE_STRING, status);
    code |= object_set(arena, entry, "reason", TREE_STRING, str_from(reason));
    code |= object_set(arena, entry, "message", TREE_STRING, str_from(message));
    if (!same_status)
        code |= object_set(arena, entry, "since", TREE_STRING, str_from(since));
    return code ? -ERR_NOMEM : 0;
}

int
condition_write(struct store *store, const struct object *object, const char *type, bool holds,
                const char *reason, const char *message)
{
    struct arena arena;
    struct object now;
    struct store_cond cond;
    struct store_op op;
    bool changed = false;
    arena_init(&arena, 4u * OBJECT_BYTES_MAX);
    int code = object_get(store, object->kind, object->name, &arena, &now, NULL);
    if (code == 0)
        code = condition_set(&now, &arena, type, holds, reason, message, &changed);
    if (code == 0 && changed)
        code = object_op(&now, &arena, &cond, &op);
    if (code == 0 && changed)
        code = store_commit(store, &cond, 1, &op, 1, NULL);
    arena_fini(&arena);
    return code;
}
