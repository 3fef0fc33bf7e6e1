/* SPDX-License-Identifier: MIT
 * tree_json.c - JSON text to a tree and back.
 * Floor: lib/text; one thread at a time.
 * Owns: nothing; nodes and texts live in the caller's arena.
 * Invariant: what the strict scanner refuses never becomes a tree; no recursion either way. */
#include "lib/text/tree.h"

#include "lib/base/check.h"
#include "lib/text/json.h"
#include "lib/text/utf8.h"

/* Where we are in the text; nodes come in document order, so it only goes forward. */
struct place {
    size_t at;
    uint32_t line;
    uint32_t column;
};

static void
place_advance(struct place *place, struct str text, size_t to)
{
    struct str step = str_make(text.ptr + place->at, to - place->at);
    for (const char *lf; step.len > 0 && (lf = memchr(step.ptr, '\n', step.len)) != NULL;) {
        step = str_skip(step, (size_t)(lf - step.ptr) + 1);
        place->line++;
        place->column = 1;
    }
    place->column += (uint32_t)utf8_count(step);
    place->at = to;
}

static enum tree_kind
tree_kind_of(enum json_kind kind)
{
    switch (kind) {
    case JSON_NULL:
        return TREE_NULL;
    case JSON_FALSE:
    case JSON_TRUE:
        return TREE_BOOL;
    case JSON_NUMBER:
        return TREE_NUMBER;
    case JSON_STRING:
        return TREE_STRING;
    case JSON_ARRAY:
        return TREE_LIST;
    case JSON_OBJECT:
        return TREE_MAP;
    }
    ASSERT(false);
    return TREE_NULL;
}

/* A string's unescaped text in the arena; json_string alone would point into the borrowed source.
 */
static int
dup_string(const struct json_doc *doc, uint32_t node, struct arena *arena, struct str *ret_text)
{
    struct str text;
    int rc = json_string(doc, node, arena, &text);
    if (rc != 0 || doc->nodes[node].escaped) {
        *ret_text = rc == 0 ? text : STR_EMPTY;
        return rc;
    }
    return arena_dup(arena, text, ret_text);
}

static struct tree *
make_node(const struct json_doc *doc, uint32_t node, struct arena *arena)
{
    enum tree_kind kind = tree_kind_of(json_kind(doc, node));
    bool raw = kind == TREE_BOOL || kind == TREE_NUMBER;
    struct tree *tree = tree_new(arena, kind, raw ? json_raw(doc, node) : STR_EMPTY);
    if (tree != NULL && kind == TREE_STRING && dup_string(doc, node, arena, &tree->text) != 0) {
        return NULL;
    }
    return tree;
}

static int
build(const struct json_doc *doc, struct arena *arena, struct tree **ret_root)
{
    struct tree *open[TREE_DEPTH_MAX + 1] = {NULL}; /* the latest node of each depth */
    struct place place = {.line = 1, .column = 1};
    for (uint32_t node = 0; node < doc->node_count; node++) {
        uint16_t depth = doc->nodes[node].depth;
        ASSERT(depth <= TREE_DEPTH_MAX);
        struct tree *parent = depth > 0 ? open[depth - 1] : NULL;
        struct str key = STR_EMPTY;
        place_advance(&place, doc->text, doc->nodes[node].start);
        struct place start = place;
        if (parent != NULL && parent->kind == TREE_MAP) {
            if (dup_string(doc, node, arena, &key) != 0) {
                return -ERR_NOMEM;
            }
            node++;
        }
        struct tree *tree = make_node(doc, node, arena);
        if (tree == NULL) {
            return -ERR_NOMEM;
        }
        tree->line = start.line;
        tree->column = start.column;
        if (parent != NULL) {
            tree_append(parent, key, tree);
        }
        open[depth] = tree;
    }
    *ret_root = open[0];
    return 0;
}

int
tree_from_json(struct str text, struct arena *arena, struct tree **ret_root, struct err *err)
{
    static const struct json_limits limits = {
        .depth_max = TREE_DEPTH_MAX,
        .node_count_max = 2000000,
        .text_bytes_max = (size_t)16 << 20,
    };
    struct json_doc doc;
    json_init(&doc);
    int rc = json_scan(&doc, text, &limits, err);
    if (rc == 0) {
        rc = build(&doc, arena, ret_root);
        if (rc != 0) {
            rc = err_set(err, ERR_NOMEM, "no memory for a document of %zu bytes", text.len);
        }
    }
    json_fini(&doc);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_line(struct buf *out, bool indent, uint32_t depth)
{
    if (indent) {
        buf_put_byte(out, '\n');
        for (uint32_t i = 0; i < depth; i++) {
            buf_put(out, "  ", 2);
        }
    }
}

static void
put_scalar(struct buf *out, const struct tree *tree)
{
    switch (tree->kind) {
    case TREE_NULL:
        buf_put_str(out, STR("null"));
        break;
    case TREE_BOOL:
    case TREE_NUMBER:
        ASSERT(tree->text.len > 0);
        buf_put_str(out, tree->text);
        break;
    case TREE_STRING:
        json_put_string(out, tree->text);
        break;
    case TREE_LIST:
        buf_put_str(out, STR("[]"));
        break;
    case TREE_MAP:
        buf_put_str(out, STR("{}"));
        break;
    }
}

int
tree_to_json(const struct tree *root, bool indent, struct buf *out)
{
    const struct tree *open[TREE_DEPTH_MAX];
    uint32_t depth = 0;
    for (const struct tree *at = root; at != NULL;) {
        if (at != root && open[depth - 1]->kind == TREE_MAP) {
            json_put_string(out, at->key);
            buf_put(out, ": ", indent ? 2 : 1);
        }
        if (at->first != NULL) {
            if (depth == TREE_DEPTH_MAX) {
                return -ERR_DEPTH;
            }
            buf_put_byte(out, at->kind == TREE_MAP ? '{' : '[');
            open[depth++] = at;
            at = at->first;
            put_line(out, indent, depth);
            continue;
        }
        put_scalar(out, at);
        while (at != root && at->next == NULL) {
            at = open[--depth];
            put_line(out, indent, depth);
            buf_put_byte(out, at->kind == TREE_MAP ? '}' : ']');
        }
        if (at == root) {
            break;
        }
        at = at->next;
        buf_put_byte(out, ',');
        put_line(out, indent, depth);
    }
    return out->failed ? -ERR_TOO_LARGE : 0;
}
