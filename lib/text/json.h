/* SPDX-License-Identifier: MIT
 * json.h - strict one-pass JSON scanner: text in, a flat array of spans out (RFC 8259, narrowed).
 * Floor: lib/text; any thread, one document at a time per object.
 * Owns: the node array (reused between scans). The text is borrowed and must outlive the nodes.
 * Invariant: accepts only valid UTF-8, no duplicate keys (compared after unescaping), no text after
 *            the value, no lone surrogate escapes; depth and node count are capped; never recurses.
 *            Proved by json_test.c and json_fuzz.c. */
#ifndef BERTH_LIB_TEXT_JSON_H
#define BERTH_LIB_TEXT_JSON_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* One value or one object key, in document order. An object's children alternate key, value.
 * start, end: byte range of the raw text, quotes and brackets included, end exclusive.
 * next: index of the first node behind this one's subtree. */
struct json_node {
    uint32_t start;
    uint32_t end;
    uint32_t next;
    uint8_t kind;    /* enum json_kind */
    uint8_t escaped; /* string with at least one backslash */
    uint16_t depth;  /* 0 for the root */
};

/* Zero means the default in brackets. */
struct json_limits {
    uint32_t depth_max;      /* [128], at most 65535; 1 allows arrays and objects of scalars only */
    uint32_t node_count_max; /* [200000] keys and values */
    size_t text_bytes_max;   /* [64 MiB], never above UINT32_MAX - 1 */
    bool allow_duplicates;   /* false; true only for what providers send us: the first one wins */
};

struct json_doc {
    struct str text;
    struct json_node *nodes;
    uint32_t node_count;
    uint32_t node_cap;
};

void json_init(struct json_doc *doc);
void json_fini(struct json_doc *doc);

/* json_scan - scan the whole text; nodes[0] is the root. limits may be NULL.
 * Returns 0; -ERR_PARSE, -ERR_DUPLICATE, -ERR_DEPTH, -ERR_TOO_LARGE, -ERR_ENCODING (bytes that are
 * not UTF-8, lone surrogate escapes), -ERR_NOMEM with a message that says what and where (byte
 * offset; for DUPLICATE the path, as in `messages[2].role`); err->line and err->column are set too
 * (column in characters). On failure doc is empty. */
int json_scan(struct json_doc *doc, struct str text, const struct json_limits *limits,
              struct err *err) MUST_USE;

#define JSON_NONE UINT32_MAX
/* json_get - value node of member `key` (exact, case-sensitive, compared unescaped) of object node
 * `object`; JSON_NONE when absent or when `object` is JSON_NONE or not an object. */
uint32_t json_get(const struct json_doc *doc, uint32_t object, struct str key);
/* A row of a table of names for json_pick. */
#define JSON_NAME(literal)                   \
    {                                        \
        ("" literal), sizeof("" literal) - 1 \
    }
/* json_path - json_get along "a.b.c" (object members only). */
uint32_t json_path(const struct json_doc *doc, uint32_t object, const char *dotted);
/* Iterate: first child of an array or object (a key node for objects), or JSON_NONE; the next
 * sibling, or JSON_NONE. For objects `node` is a key and so is the result; step key -> value with
 * node + 1. */
uint32_t json_first(const struct json_doc *doc, uint32_t parent);
uint32_t json_sibling(const struct json_doc *doc, uint32_t parent, uint32_t node);
uint32_t json_count(const struct json_doc *doc, uint32_t parent); /* elements or members */
static inline enum json_kind
json_kind(const struct json_doc *doc, uint32_t node)
{
    return (enum json_kind)doc->nodes[node].kind;
}
/* json_is - node exists and has this kind. */
static inline bool
json_is(const struct json_doc *doc, uint32_t node, enum json_kind kind)
{
    return node < doc->node_count && doc->nodes[node].kind == kind;
}
/* json_pick_escaped - which of names[count] a key with escapes is; count when none. */
size_t json_pick_escaped(const struct json_doc *doc, uint32_t key, const struct str *names,
                         size_t count);
/* json_pick - json_get for names[count] in one walk: ret_values[i] for names[i]. Inline, so that
 * names in a static const table of at most 16 are compared as constants. */
static INLINE void
json_pick(const struct json_doc *doc, uint32_t object, const struct str *names, size_t count,
          uint32_t *ret_values)
{
#pragma GCC unroll 16
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = JSON_NONE;
    }
    if (!json_is(doc, object, JSON_OBJECT)) {
        return;
    }
    const struct json_node *nodes = doc->nodes;
    uint32_t end = nodes[object].next;
    for (uint32_t at = object + 1; at < end; at = nodes[at + 1].next) {
        const char *key = doc->text.ptr + nodes[at].start + 1;
        size_t size = nodes[at].end - nodes[at].start - 2;
        size_t found = count;
        if (UNLIKELY(nodes[at].escaped)) {
            found = json_pick_escaped(doc, at, names, count);
        } else {
#pragma GCC unroll 16
            for (size_t i = 0; i < count; i++) {
                if (size == names[i].len && memcmp(key, names[i].ptr, names[i].len) == 0) {
                    found = i;
                    break;
                }
            }
        }
        if (found < count && ret_values[found] == JSON_NONE) {
            ret_values[found] = at + 1;
        }
    }
}
/* json_raw - raw text of a node, as it stands in the document. Empty for JSON_NONE. */
struct str json_raw(const struct json_doc *doc, uint32_t node);

/* json_string - unescaped content of a string node; points into the text when it has no escapes,
 * else into the arena. 0; -ERR_INVALID (not a string or JSON_NONE), -ERR_NOMEM. "\u0000" decodes to
 * a NUL byte: callers that want none check for it. */
int json_string(const struct json_doc *doc, uint32_t node, struct arena *arena,
                struct str *ret_text) MUST_USE;
/* json_string_eq - node is a string whose unescaped content is s. No allocation. */
bool json_string_eq(const struct json_doc *doc, uint32_t node, struct str s);
/* json_i64 / json_u64 - integer node without fraction; an exponent, ".0" or a value outside the
 * bounds is -ERR_RANGE, a non-number -ERR_INVALID. "-0" is 0. */
int json_i64(const struct json_doc *doc, uint32_t node, int64_t min, int64_t max,
             int64_t *ret_value) MUST_USE;
int json_u64(const struct json_doc *doc, uint32_t node, uint64_t max, uint64_t *ret_value) MUST_USE;
int json_bool(const struct json_doc *doc, uint32_t node, bool *ret_value) MUST_USE;

/* ---- writing: append to a buf; commas are the caller's through struct json_writer ------------ */

/* json_put_string - quoted and escaped (", \, control; U+2028/9 and all else as is). s must be
 * valid UTF-8, invalid bytes become U+FFFD. */
int json_put_string(struct buf *out, struct str s);

/* A writer that places commas and checks nesting (ASSERT): at most 63 levels, one root value, keys
 * in objects only. Errors are sticky in out->failed. */
struct json_writer {
    struct buf *out;
    uint8_t depth;
    uint64_t has_member; /* bit per depth */
    uint64_t is_object;  /* bit per depth */
    bool after_key;
};
void json_writer_init(struct json_writer *writer, struct buf *out);
void json_open_object(struct json_writer *writer);
void json_close_object(struct json_writer *writer);
void json_open_array(struct json_writer *writer);
void json_close_array(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_key_str(struct json_writer *writer, struct str key);
void json_value_str(struct json_writer *writer, struct str value);
void json_value_i64(struct json_writer *writer, int64_t value);
void json_value_u64(struct json_writer *writer, uint64_t value);
void json_value_bool(struct json_writer *writer, bool value);
void json_value_null(struct json_writer *writer);
/* json_value_raw - a whole JSON value as text, written as it is. */
void json_value_raw(struct json_writer *writer, struct str raw);
/* key and value in one call */
void json_member_str(struct json_writer *writer, const char *key, struct str value);
void json_member_i64(struct json_writer *writer, const char *key, int64_t value);
void json_member_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_member_bool(struct json_writer *writer, const char *key, bool value);
void json_member_raw(struct json_writer *writer, const char *key, struct str raw);
/* a key, and its object or array opened */
void json_key_object(struct json_writer *writer, const char *key);
void json_key_array(struct json_writer *writer, const char *key);

#endif
