/* SPDX-License-Identifier: MIT
 * json.c - the scanner: one loop over values, no recursion; the stack of open containers is
 * threaded through the `next` of their own nodes. Floor: lib/text; any thread, one document at a
 * time per object. Owns: the node array of its doc. Invariant: while a container is open its `next`
 * is the index of its parent (or JSON_NONE); once closed it is the end of its subtree. Proved by
 * json_test.c and json_fuzz.c. */
#include "lib/text/json.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/text/json_int.h"
#include "lib/text/skip.h"
#include "lib/text/utf8.h"

#define DEPTH_DEFAULT 128u
#define NODES_DEFAULT 200000u
#define BYTES_DEFAULT ((size_t)64 << 20)
#define NODES_FIRST 128u

_Static_assert(sizeof(struct json_node) == 16, "nodes are meant to be four to a cache line");

struct scan {
    const char *base;
    const char *at;
    const char *end;
    struct json_doc *doc;
    skip_string_fn skip_string;
    uint32_t open;  /* innermost open container, or JSON_NONE */
    uint32_t depth; /* of the value that comes next */
    uint32_t depth_max;
    uint32_t node_count_max;
    bool unique;
    struct err *err;
};

void
json_init(struct json_doc *doc)
{
    *doc = (struct json_doc){.text = STR_EMPTY};
}

void
json_fini(struct json_doc *doc)
{
    if (doc == NULL) {
        return;
    }
    free(doc->nodes);
    json_init(doc);
}

/* Cold: set the message with byte offset, line and column. */
static __attribute__((noinline, cold)) int
scan_fail(const struct scan *s, enum err_code code, const char *at, const char *what)
{
    uint32_t line = 1;
    const char *line_start = s->base;
    for (const char *lf; (lf = memchr(line_start, '\n', (size_t)(at - line_start))) != NULL;) {
        line_start = lf + 1;
        line++;
    }
    size_t column = utf8_count(str_make(line_start, (size_t)(at - line_start))) + 1;
    return err_set_at(s->err, code, line, (uint32_t)column, "%s at byte %zu", what,
                      (size_t)(at - s->base));
}

static __attribute__((noinline, cold)) int
nodes_grow(struct scan *s)
{
    struct json_doc *doc = s->doc;
    if (doc->node_count >= s->node_count_max) {
        return scan_fail(s, ERR_TOO_LARGE, s->at, "too many JSON values");
    }
    uint32_t cap = doc->node_cap < NODES_FIRST ? NODES_FIRST : doc->node_cap;
    if (cap == doc->node_cap) {
        cap = cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
    }
    struct json_node *nodes = realloc(doc->nodes, (size_t)cap * sizeof(*nodes));
    if (nodes == NULL) {
        return err_set(s->err, ERR_NOMEM, "no memory for %u JSON values", cap);
    }
    doc->nodes = nodes;
    doc->node_cap = cap;
    return 0;
}

/* Append a node that starts at s->at. The array may be larger than the limit: an earlier scan had
 * another one. */
static inline int
node_add(struct scan *s, enum json_kind kind)
{
    struct json_doc *doc = s->doc;
    if (UNLIKELY(doc->node_count >= doc->node_cap || doc->node_count >= s->node_count_max)) {
        int rc = nodes_grow(s);
        if (rc != 0) {
            return rc;
        }
    }
    uint32_t node = doc->node_count++;
    doc->nodes[node] = (struct json_node){
        .start = (uint32_t)(s->at - s->base),
        .next = node + 1,
        .kind = (uint8_t)kind,
        .depth = (uint16_t)s->depth,
    };
    return 0;
}

static inline void
node_end(struct scan *s)
{
    s->doc->nodes[s->doc->node_count - 1].end = (uint32_t)(s->at - s->base);
}

static inline void
skip_space(struct scan *s)
{
    const char *at = s->at;
    while (at < s->end && (unsigned char)*at <= 0x20) {
        if (*at == ' ') {
            /* the indentation of pretty-printed documents */
            if (s->end - at >= 8 && memcmp(at, "        ", 8) == 0) {
                at += 8;
                continue;
            }
        } else if (*at != '\n' && *at != '\r' && *at != '\t') {
            break;
        }
        at++;
    }
    s->at = at;
}

/* Four hex digits; UINT32_MAX when they are not. */
static uint32_t
hex4(const char *at)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned c = (unsigned char)at[i];
        unsigned letter = (c | 0x20) - 'a';
        unsigned digit = c - '0';
        if (digit > 9 && letter > 5) {
            return UINT32_MAX;
        }
        value = value << 4 | (digit <= 9 ? digit : letter + 10);
    }
    return value;
}

static int
scan_unicode_escape(struct scan *s, const char *at, const char **ret_at)
{
    uint32_t code = s->end - at >= 6 ? hex4(at + 2) : UINT32_MAX;
    if (code == UINT32_MAX) {
        return scan_fail(s, ERR_PARSE, at, "\\u without four hex digits");
    }
    *ret_at = at + 6;
    if ((code & 0xf800) != 0xd800) {
        return 0;
    }
    bool paired = code < 0xdc00 && s->end - at >= 12 && at[6] == '\\' && at[7] == 'u' &&
                  (hex4(at + 8) & 0xfffffc00u) == 0xdc00;
    if (!paired) {
        return scan_fail(s, ERR_ENCODING, at, "lone surrogate escape");
    }
    *ret_at = at + 12;
    return 0;
}

static __attribute__((noinline, cold)) int
fail_string(const struct scan *s, const char *at)
{
    if (at == s->end) {
        return scan_fail(s, ERR_PARSE, s->at, "unterminated string");
    }
    return scan_fail(s, ERR_PARSE, at,
                     *at == '\\' ? "unknown escape" : "control character in string");
}

/* s->at is the opening quote; the string's node was just added. */
static inline int
scan_string(struct scan *s)
{
    const char *at = s->at + 1;
    bool escaped = false;
    for (;;) {
        at = s->skip_string(at, s->end, &escaped);
        if (LIKELY(at < s->end && *at == '"')) {
            break;
        }
        if (s->end - at < 2 || at[0] != '\\' || at[1] != 'u') {
            return fail_string(s, at);
        }
        /* they come in rows: some clients escape all that is not ASCII */
        for (escaped = true; s->end - at >= 2 && at[0] == '\\' && at[1] == 'u';) {
            int rc = scan_unicode_escape(s, at, &at);
            if (rc != 0) {
                return rc;
            }
        }
    }
    s->at = at + 1;
    struct json_node *node = &s->doc->nodes[s->doc->node_count - 1];
    node->end = (uint32_t)(s->at - s->base);
    node->escaped = escaped;
    return 0;
}

static inline const char *
skip_digits(const char *at, const char *end)
{
    while (at < end && (unsigned)(*at - '0') <= 9) {
        at++;
    }
    return at;
}

/* RFC 8259 section 6; what stands behind the number is judged by the caller. */
static int
scan_number(struct scan *s)
{
    const char *at = s->at + (*s->at == '-');
    const char *digits = at;
    at = skip_digits(at, s->end);
    if (at == digits) {
        return scan_fail(s, ERR_PARSE, s->at, "number without digits");
    }
    if (*digits == '0' && at - digits > 1) {
        return scan_fail(s, ERR_PARSE, s->at, "number with a leading zero");
    }
    if (at < s->end && *at == '.') {
        digits = at + 1;
        at = skip_digits(digits, s->end);
        if (at == digits) {
            return scan_fail(s, ERR_PARSE, at, "no digit behind the decimal point");
        }
    }
    if (at < s->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < s->end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(digits, s->end);
        if (at == digits) {
            return scan_fail(s, ERR_PARSE, at, "no digit in the exponent");
        }
    }
    s->at = at;
    node_end(s);
    return 0;
}

static int
scan_literal(struct scan *s, struct str word, enum json_kind kind)
{
    if (!str_starts(str_make(s->at, (size_t)(s->end - s->at)), word)) {
        return scan_fail(s, ERR_PARSE, s->at, "expected a value");
    }
    int rc = node_add(s, kind);
    if (rc != 0) {
        return rc;
    }
    s->at += word.len;
    node_end(s);
    return 0;
}

/* Key and colon of the next member; s->at ends at the first byte behind the colon. */
static inline int
scan_key(struct scan *s)
{
    skip_space(s);
    if (UNLIKELY(s->at == s->end || *s->at != '"')) {
        return scan_fail(s, ERR_PARSE, s->at, "expected a quoted key");
    }
    int rc = node_add(s, JSON_STRING);
    if (rc == 0) {
        rc = scan_string(s);
    }
    if (rc != 0) {
        return rc;
    }
    skip_space(s);
    if (UNLIKELY(s->at == s->end || *s->at != ':')) {
        return scan_fail(s, ERR_PARSE, s->at, "expected ':'");
    }
    s->at++;
    return 0;
}

static int
container_open(struct scan *s, enum json_kind kind)
{
    if (s->depth >= s->depth_max) {
        return scan_fail(s, ERR_DEPTH, s->at, "nested too deeply");
    }
    int rc = node_add(s, kind);
    if (rc != 0) {
        return rc;
    }
    uint32_t node = s->doc->node_count - 1;
    s->doc->nodes[node].next = s->open;
    s->open = node;
    s->depth++;
    s->at++;
    return 0;
}

static __attribute__((noinline, cold)) int
fail_duplicate(const struct scan *s, uint32_t parent, uint32_t key)
{
    struct buf path;
    buf_init(&path, 4096);
    json_key_path(s->doc, parent, s->open, key, &path);
    int rc = scan_fail(s, ERR_DUPLICATE, s->base + s->doc->nodes[key].start, "duplicate key");
    if (s->err != NULL && !path.failed) {
        uint32_t line = s->err->line;
        uint32_t column = s->err->column;
        rc = err_set_at(s->err, ERR_DUPLICATE, line, column, "duplicate key `%.*s` at byte %u",
                        STR_ARG(buf_str(&path)), s->doc->nodes[key].start);
    }
    buf_fini(&path);
    return rc;
}

/* s->at is the closing bracket of s->open. */
static int
container_close(struct scan *s)
{
    struct json_node *node = &s->doc->nodes[s->open];
    uint32_t parent = node->next;
    s->at++;
    node->end = (uint32_t)(s->at - s->base);
    node->next = s->doc->node_count;
    if (node->kind == JSON_OBJECT && s->unique) {
        uint32_t key = JSON_NONE;
        int rc = json_unique_check(s->doc, s->open, &key);
        if (rc == -ERR_DUPLICATE) {
            return fail_duplicate(s, parent, key);
        }
        if (rc != 0) {
            return err_set(s->err, ERR_NOMEM, "no memory to compare the keys of a JSON object");
        }
    }
    s->open = parent;
    s->depth--;
    return 0;
}

/* One value. For an array or object that is not empty, *ret_inside becomes true and s->at stands
 * where the first element begins (behind the first key's colon). */
static inline int
scan_value(struct scan *s, bool *ret_inside)
{
    skip_space(s);
    if (UNLIKELY(s->at == s->end)) {
        return scan_fail(s, ERR_PARSE, s->at, "expected a value, found the end");
    }
    *ret_inside = false;
    char c = *s->at;
    int rc;
    switch (c) {
    case '"':
        rc = node_add(s, JSON_STRING);
        return rc != 0 ? rc : scan_string(s);
    case '{':
    case '[':
        rc = container_open(s, c == '{' ? JSON_OBJECT : JSON_ARRAY);
        if (rc != 0) {
            return rc;
        }
        skip_space(s);
        if (s->at < s->end && *s->at == (c == '{' ? '}' : ']')) {
            return container_close(s);
        }
        *ret_inside = true;
        return c == '{' ? scan_key(s) : 0;
    case 't':
        return scan_literal(s, STR("true"), JSON_TRUE);
    case 'f':
        return scan_literal(s, STR("false"), JSON_FALSE);
    case 'n':
        return scan_literal(s, STR("null"), JSON_NULL);
    default:
        if (c != '-' && (unsigned)(c - '0') > 9) {
            return scan_fail(s, ERR_PARSE, s->at, "expected a value");
        }
        rc = node_add(s, JSON_NUMBER);
        return rc != 0 ? rc : scan_number(s);
    }
}

/* Behind a complete value: close what closes here. *ret_more: a comma was taken and another value
 * follows; otherwise the root is complete. */
static inline int
scan_behind(struct scan *s, bool *ret_more)
{
    *ret_more = false;
    while (s->open != JSON_NONE) {
        bool object = s->doc->nodes[s->open].kind == JSON_OBJECT;
        skip_space(s);
        char c = '\0';
        if (LIKELY(s->at < s->end)) {
            c = *s->at;
        }
        if (c == ',') {
            s->at++;
            *ret_more = true;
            return object ? scan_key(s) : 0;
        }
        if (c != (object ? '}' : ']')) {
            return scan_fail(s, ERR_PARSE, s->at,
                             object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        int rc = container_close(s);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int
scan_document(struct scan *s)
{
    size_t valid = utf8_valid_bytes(s->doc->text);
    if (valid != s->doc->text.len) {
        return scan_fail(s, ERR_ENCODING, s->base + valid, "not valid UTF-8");
    }
    for (bool more = true; more;) {
        bool inside = false;
        int rc = scan_value(s, &inside);
        if (rc == 0 && !inside) {
            rc = scan_behind(s, &more);
        }
        if (rc != 0) {
            return rc;
        }
    }
    skip_space(s);
    if (s->at != s->end) {
        return scan_fail(s, ERR_PARSE, s->at, "text behind the JSON value");
    }
    return 0;
}

int
json_scan(struct json_doc *doc, struct str text, const struct json_limits *limits, struct err *err)
{
    static const struct json_limits none;
    if (limits == NULL) {
        limits = &none;
    }
    size_t bytes_max = limits->text_bytes_max != 0 ? limits->text_bytes_max : BYTES_DEFAULT;
    bytes_max = MIN(bytes_max, (size_t)UINT32_MAX - 1);
    doc->node_count = 0;
    doc->text = STR_EMPTY;
    if (text.len > bytes_max) {
        return err_set(err, ERR_TOO_LARGE, "JSON text of %zu bytes is larger than %zu", text.len,
                       bytes_max);
    }
    if (text.len == 0) {
        return err_set_at(err, ERR_PARSE, 1, 1, "empty JSON text");
    }
    doc->text = text;
    struct scan s = {
        .base = text.ptr,
        .at = text.ptr,
        .end = text.ptr + text.len,
        .doc = doc,
        .skip_string = skip_string_best(),
        .open = JSON_NONE,
        .depth_max = limits->depth_max != 0 ? MIN(limits->depth_max, 65535u) : DEPTH_DEFAULT,
        .node_count_max = limits->node_count_max != 0 ? limits->node_count_max : NODES_DEFAULT,
        .unique = !limits->allow_duplicates,
        .err = err,
    };
    int rc = scan_document(&s);
    if (rc != 0) {
        doc->node_count = 0;
        doc->text = STR_EMPTY;
        return rc;
    }
    ASSERT(doc->node_count > 0 && doc->nodes[0].next == doc->node_count);
    return 0;
}
