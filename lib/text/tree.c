/* SPDX-License-Identifier: MIT
 * tree.c - building and reading the tree.
 * Floor: lib/text; one thread at a time.
 * Owns: nothing; nodes live in the caller's arena.
 * Invariant: a parent's count is the length of its child list. */
#include "lib/text/tree.h"

#include "lib/base/check.h"

struct tree *
tree_new(struct arena *arena, enum tree_kind kind, struct str text)
{
    struct tree *tree = ARENA_NEW(arena, struct tree);
    if (tree == NULL) {
        return NULL;
    }
    tree->kind = kind;
    tree->key = STR_EMPTY;
    tree->text = STR_EMPTY;
    if (text.len > 0 && arena_dup(arena, text, &tree->text) != 0) {
        return NULL;
    }
    return tree;
}

void
tree_append(struct tree *parent, struct str key, struct tree *child)
{
    ASSERT(parent->kind == TREE_MAP || (parent->kind == TREE_LIST && key.len == 0));
    ASSERT(child->next == NULL && child != parent);
    child->key = key;
    if (parent->last != NULL) {
        parent->last->next = child;
    } else {
        parent->first = child;
    }
    parent->last = child;
    parent->count++;
}

const struct tree *
tree_get(const struct tree *map, struct str key)
{
    if (map == NULL || map->kind != TREE_MAP) {
        return NULL;
    }
    for (const struct tree *child = map->first; child != NULL; child = child->next) {
        if (str_eq(child->key, key)) {
            return child;
        }
    }
    return NULL;
}
