/* SPDX-License-Identifier: MIT
 * tree.h - a document as a tree with places: what YAML and JSON resources become before they are
 *          validated. For configuration and API documents, not for the hot path.
 * Floor: lib/text; one thread at a time.
 * Owns: nothing; all nodes and texts live in the arena that was given.
 * Invariant: maps have unique keys; every node knows its line and column (1-based) in its source;
 *            numbers stay text. YAML: 256 KiB, depth 32, no aliases, anchors, tags, merge keys or
 *            multiple root values in one document. Proved by tree_test.c and tree_fuzz.c. */
#ifndef BERTH_LIB_TEXT_TREE_H
#define BERTH_LIB_TEXT_TREE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define TREE_DEPTH_MAX 128u

enum tree_kind { TREE_NULL, TREE_BOOL, TREE_NUMBER, TREE_STRING, TREE_LIST, TREE_MAP };

struct tree {
    enum tree_kind kind;
    struct str key;  /* in its map; empty otherwise */
    struct str text; /* BOOL "true"/"false"; NUMBER as written; STRING unescaped */
    uint32_t line;   /* of the key for members of a map, else of the value; 0 when made by us */
    uint32_t column; /* in characters */
    uint32_t count;  /* children */
    struct tree *first;
    struct tree *last;
    struct tree *next;
};

/* tree_from_yaml - all documents of a YAML stream as one TREE_LIST of roots (empty documents are
 * skipped). Plain scalars follow the JSON schema of YAML 1.2: null/~, true/false, numbers, else
 * strings; quoted ones are strings. 0; -ERR_PARSE, -ERR_DUPLICATE, -ERR_DEPTH, -ERR_TOO_LARGE,
 * -ERR_UNSUPPORTED (aliases, tags), -ERR_NOMEM, all with line and column. */
int tree_from_yaml(struct str text, struct arena *arena, struct tree **ret_list,
                   struct err *err) MUST_USE;
/* tree_from_json - one JSON value, through the strict scanner: 16 MiB, depth 128. */
int tree_from_json(struct str text, struct arena *arena, struct tree **ret_root,
                   struct err *err) MUST_USE;
/* Writers append. tree_to_json: compact, or two-space indented. tree_to_yaml: block style, strings
 * quoted when they would read back as something else (by YAML 1.1 readers too), several lines as a
 * literal block where that is exact. 0, -ERR_DEPTH beyond TREE_DEPTH_MAX, -ERR_TOO_LARGE,
 * -ERR_NOMEM. */
int tree_to_json(const struct tree *root, bool indent, struct buf *out) MUST_USE;
int tree_to_yaml(const struct tree *root, struct buf *out) MUST_USE;

/* tree_get - child of a map, or NULL (also when map is NULL or not a map). */
const struct tree *tree_get(const struct tree *map, struct str key);
/* Builders for documents that we make; NULL on no memory. The text is copied into the arena. A
 * NUMBER's text is a JSON number. tree_append: parent is a list (key empty) or a map; the key is
 * borrowed for the life of the tree, and unique in its map by the caller's care. */
struct tree *tree_new(struct arena *arena, enum tree_kind kind, struct str text) MUST_USE;
void tree_append(struct tree *parent, struct str key, struct tree *child);

#endif
