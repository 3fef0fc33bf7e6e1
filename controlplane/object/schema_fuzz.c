/* SPDX-License-Identifier: MIT
 * schema_fuzz.c - any YAML as a resource; what is accepted is accepted again as it was printed.
 * Floor: controlplane/object tests.
 * Owns: nothing.
 * Invariant: see schema.h. */
#include "controlplane/object/schema.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct tree *list = NULL;
    struct err err = {0};
    arena_init(&arena, 4u << 20);
    if (tree_from_yaml(str_make((const char *)data, size), &arena, &list, &err) == 0) {
        for (const struct tree *doc = list->first; doc; doc = doc->next) {
            struct manifest manifest;
            if (schema_check(doc, &arena, &manifest, &err) < 0) {
                ASSERT(err.code != 0 && err.text[0]);
                continue;
            }
            ASSERT(schema_valid_name(manifest.kind, manifest.name));
            struct tree root = {.kind = TREE_MAP};
            struct tree *version = tree_new(&arena, TREE_STRING, STR(API_VERSION));
            struct tree *kind = tree_new(&arena, TREE_STRING, str_from(manifest.kind->name));
            struct tree *metadata = tree_new(&arena, TREE_MAP, STR_EMPTY);
            struct tree *name = tree_new(&arena, TREE_STRING, manifest.name);
            if (!version || !kind || !metadata || !name)
                break;
            tree_append(metadata, STR("name"), name);
            tree_append(&root, STR("apiVersion"), version);
            tree_append(&root, STR("kind"), kind);
            tree_append(&root, STR("metadata"), metadata);
            tree_append(&root, STR("spec"), manifest.spec);
            int code = schema_check(&root, &arena, &manifest, &err);
            ASSERT(code == 0 || code == -ERR_NOMEM);
        }
    }
    arena_fini(&arena);
    return 0;
}
