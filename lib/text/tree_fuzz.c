/* SPDX-License-Identifier: MIT
 * tree_fuzz.c - any text as YAML and as JSON: what was read survives both writers.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves tree.h. */
#include "lib/text/tree.h"

#include "lib/base/check.h"
#include "lib/text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX ((size_t)64 << 20)

/* tree -> YAML -> tree -> JSON is tree -> JSON, and that JSON reads back as itself. */
static void
round_trip(const struct tree *root, struct arena *arena)
{
    struct buf text;
    struct buf want;
    struct buf got;
    struct tree *list = NULL;
    struct tree *again = NULL;
    buf_init(&text, OUT_MAX);
    buf_init(&want, OUT_MAX);
    buf_init(&got, OUT_MAX);
    int rc = tree_to_json(root, false, &want);
    ASSERT(rc == 0);
    rc = tree_to_yaml(root, &text);
    ASSERT(rc == 0);
    rc = tree_from_yaml(buf_str(&text), arena, &list, NULL);
    ASSERT(rc == 0 || rc == -ERR_TOO_LARGE || rc == -ERR_NOMEM || rc == -ERR_DEPTH);
    if (rc == 0) {
        ASSERT(list->count == 1);
        rc = tree_to_json(list->first, false, &got);
        ASSERT(rc == 0 && str_eq(buf_str(&got), buf_str(&want)));
        got.len = 0;
    }
    rc = tree_from_json(buf_str(&want), arena, &again, NULL);
    ASSERT(rc == 0 || rc == -ERR_NOMEM);
    if (rc == 0) {
        rc = tree_to_json(again, true, &got);
        ASSERT(rc == 0);
    }
    buf_fini(&text);
    buf_fini(&want);
    buf_fini(&got);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = size > 0 ? str_make((const char *)data, size) : STR_EMPTY;
    struct arena arena;
    struct tree *tree = NULL;
    struct err err = {0};
    arena_init(&arena, (size_t)32 << 20);
    if (tree_from_yaml(text, &arena, &tree, &err) == 0) {
        for (const struct tree *root = tree->first; root != NULL; root = root->next) {
            round_trip(root, &arena);
        }
    } else {
        ASSERT(err.text[0] != '\0');
    }
    if (tree_from_json(text, &arena, &tree, NULL) == 0) {
        round_trip(tree, &arena);
    }
    arena_fini(&arena);
    return 0;
}
