/* SPDX-License-Identifier: MIT
 * json_fuzz.c - any text: a tree whose spans nest, whose strings survive writing and scanning
 * again. Floor: lib/text; one thread. Owns: nothing. Invariant: proves json.h. */
#include "lib/text/json.h"

#include "lib/base/check.h"
#include "lib/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Write the string, scan it, and find the same content. */
static void
check_string(const struct json_doc *doc, uint32_t node)
{
    struct arena arena;
    struct buf out;
    struct str text = STR_EMPTY;
    struct json_doc again;
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 22);
    json_init(&again);
    int rc = json_string(doc, node, &arena, &text);
    ASSERT(rc == 0 && utf8_valid(text) && json_string_eq(doc, node, text));
    rc = json_put_string(&out, text);
    ASSERT(rc == 0);
    rc = json_scan(&again, buf_str(&out), NULL, NULL);
    ASSERT(rc == 0 && json_string_eq(&again, 0, text));
    json_fini(&again);
    buf_fini(&out);
    arena_fini(&arena);
}

static void
check_node(const struct json_doc *doc, uint32_t at)
{
    const struct json_node *node = &doc->nodes[at];
    ASSERT(node->start < node->end && node->end <= doc->text.len);
    ASSERT(node->next > at && node->next <= doc->node_count);
    uint32_t end = node->start;
    for (uint32_t child = json_first(doc, at); child != JSON_NONE;
         child = json_sibling(doc, at, child)) {
        uint32_t last = json_is(doc, at, JSON_OBJECT) ? child + 1 : child;
        ASSERT(doc->nodes[child].start > end && doc->nodes[last].end < node->end);
        ASSERT(doc->nodes[child].depth == node->depth + 1);
        end = doc->nodes[last].end;
    }
    if (node->kind == JSON_STRING) {
        check_string(doc, at);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits small = {.depth_max = 8, .node_count_max = 64};
    struct str text = str_make((const char *)data, size);
    struct json_doc doc;
    struct err err = {0};
    json_init(&doc);
    if (json_scan(&doc, text, &small, &err) != 0) {
        ASSERT(doc.node_count == 0 && err.code != 0 && err.text[0] != '\0');
    }
    if (json_scan(&doc, text, NULL, &err) == 0) {
        ASSERT(doc.nodes[0].next == doc.node_count && utf8_valid(text));
        for (uint32_t i = 0; i < doc.node_count; i++) {
            check_node(&doc, i);
        }
        int64_t number;
        (void)!json_i64(&doc, doc.node_count - 1, INT64_MIN, INT64_MAX, &number);
    }
    json_fini(&doc);
    return 0;
}
