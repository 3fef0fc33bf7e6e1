/* SPDX-License-Identifier: MIT
 * main.c - what the JSON scanner makes of documents: one line each, for the comparison with other
 *          parsers (differ.py). Floor: tools; one thread.
 * Owns: the document that was read last.
 * Invariant: a line is "ok " and the document written anew from the scanner's nodes (members in
 *            order, strings decoded and encoded again, numbers as they stand), or "no " and why. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/text/json.h"

#define DOCUMENT_BYTES_MAX (1u << 24)
#define OUT_BYTES_MAX ((size_t)1 << 28)
#define DEPTH_MAX 128u

static void
put_scalar(const struct json_doc *doc, uint32_t node, struct buf *out)
{
    struct arena arena;
    struct str text = STR_EMPTY;
    if (!json_is(doc, node, JSON_STRING)) {
        buf_put_str(out, json_raw(doc, node));
        return;
    }
    arena_init(&arena, OUT_BYTES_MAX);
    ASSERT(json_string(doc, node, &arena, &text) == 0);
    json_put_string(out, text);
    arena_fini(&arena);
}

/* Nodes are in the order of the text: what ends before a node is closed first. */
static void
put_document(const struct json_doc *doc, struct buf *out)
{
    uint32_t open[DEPTH_MAX];
    uint32_t depth = 0;
    bool first = true; /* in its container */
    bool value = true; /* this node is one, not a key */
    for (uint32_t node = 0; node <= doc->node_count; node++) {
        for (; depth > 0 && doc->nodes[open[depth - 1]].next <= node; depth--) {
            buf_put_byte(out, json_is(doc, open[depth - 1], JSON_OBJECT) ? '}' : ']');
            first = false;
            value = true;
        }
        if (node == doc->node_count)
            break;
        bool inside = depth > 0;
        bool in_object = inside && json_is(doc, open[depth - 1], JSON_OBJECT);
        bool key = in_object && value;
        if (inside && !first && (key || !in_object))
            buf_put_byte(out, ',');
        first = false;
        if (json_is(doc, node, JSON_OBJECT) || json_is(doc, node, JSON_ARRAY)) {
            buf_put_byte(out, json_is(doc, node, JSON_OBJECT) ? '{' : '[');
            ASSERT(depth < DEPTH_MAX);
            open[depth++] = node;
            first = true;
            value = true;
            continue;
        }
        put_scalar(doc, node, out);
        if (key)
            buf_put_byte(out, ':');
        value = !key;
    }
}

/* The next document: four bytes of length, the highest first, and that many bytes. */
static bool
read_document(struct buf *text)
{
    unsigned char head[4];
    if (fread(head, 1, sizeof(head), stdin) != sizeof(head))
        return false;
    size_t size =
        (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | (size_t)head[3];
    text->len = 0;
    if (size > DOCUMENT_BYTES_MAX || buf_reserve(text, size + 1) != 0)
        return false;
    text->len = fread(text->ptr, 1, size, stdin);
    return text->len == size;
}

int
main(void)
{
    struct json_doc doc;
    struct buf text;
    struct buf out;
    json_init(&doc);
    buf_init(&text, DOCUMENT_BYTES_MAX + 1u);
    buf_init(&out, OUT_BYTES_MAX);
    while (read_document(&text)) {
        struct err err = {0};
        /* exactly as long as the document, so that the sanitizer sees a step beyond it */
        char *copy = malloc(text.len > 0 ? text.len : 1);
        ASSERT(copy != NULL);
        memcpy(copy, text.ptr, text.len);
        out.len = 0;
        int rc = json_scan(&doc, str_make(copy, text.len), NULL, &err);
        if (rc == 0)
            put_document(&doc, &out);
        else
            buf_printf(&out, "%s", err_name(rc));
        ASSERT(!out.failed);
        (void)printf("%s %s\n", rc == 0 ? "ok" : "no", buf_cstr(&out));
        free(copy);
    }
    json_fini(&doc);
    buf_fini(&text);
    buf_fini(&out);
    return ferror(stdin) || fflush(stdout) != 0;
}
