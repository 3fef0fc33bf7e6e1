/* SPDX-License-Identifier: MIT
 * json.c - the scanner: one loop over values, no recursion; the stack of open containers is
 * threaded through the `next` of their own nodes. Floor: lib/text; any thread, one document at a
 * time per object. Owns: the node array of its doc. Invariant: while a container is open its `next`
 * is the index of its parent (or JSON_NONE); once closed it is the end of its subtree. Proved by
 * json_test.c and json_fuzz.c.
 *
 * This loop is the law: it says what is JSON and what is wrong with what is not. json_walk.c is
 * faster, for texts that are fine on CPUs that have what it takes: whatever stops it, this one
 * starts over. json_same_test.c and json_same_fuzz.c hold one against the other. */
#include "lib/text/json.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/text/json_int.h"
#include "lib/text/json_marks.h"
#include "lib/text/skip_block.h"
#include "lib/text/utf8.h"

#define DEPTH_DEFAULT 128u
#define NODES_DEFAULT 200000u
#define BYTES_DEFAULT ((size_t)64 << 20)
#define NODES_FIRST 128u
#define MARKED_BYTES_MIN 96u /* a shorter text is not worth the marks */

_Static_assert(sizeof(struct json_node) == 16, "nodes are meant to be four to a cache line");

/* Where the scan stands: a local of scan_document, whose address goes to inline steps only, so that
 * all of it stays in registers. */
struct spot {
    const char *base;
    const char *end;
    const char *blocks_end;  /* below it 16 bytes and one more can be read */
    struct json_node *nodes; /* doc's */
    uint32_t count;
    uint32_t count_limit; /* what the array holds now, never above node_count_max */
    uint32_t open;        /* innermost open container, or JSON_NONE */
    uint32_t depth;       /* of the value that comes next */
    char closer;          /* bracket that closes `open` */
};
#define STEP static INLINE

/* The steps below take the place they start at and return the place behind what they took, or
 * NULL. */

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

__attribute__((noinline)) bool
json_nodes_grow(struct json_scan *s, uint32_t count, const char *at)
{
    struct json_doc *doc = s->doc;
    if (count >= s->node_count_max) {
        (void)json_scan_fail(s, ERR_TOO_LARGE, at, "too many JSON values");
        return false;
    }
    uint32_t cap = doc->node_cap < NODES_FIRST ? NODES_FIRST : doc->node_cap;
    if (cap == doc->node_cap) {
        cap = cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
    }
    struct json_node *nodes = realloc(doc->nodes, (size_t)cap * sizeof(*nodes));
    if (nodes == NULL) {
        s->rc = err_set(s->err, ERR_NOMEM, "no memory for %u JSON values", cap);
        return false;
    }
    doc->nodes = nodes;
    doc->node_cap = cap;
    return true;
}

/* The array may be larger than the limit: an earlier scan had another one. */
STEP void
spot_nodes(struct spot *spot, const struct json_scan *s)
{
    spot->nodes = s->doc->nodes;
    spot->count_limit = MIN(s->doc->node_cap, s->node_count_max);
}

/* Is there a place for the node of what stands at `at`? */
STEP bool
node_room(struct spot *spot, struct json_scan *s, const char *at)
{
    if (LIKELY(spot->count < spot->count_limit)) {
        return true;
    }
    if (!json_nodes_grow(s, spot->count, at)) {
        return false;
    }
    spot_nodes(spot, s);
    return true;
}

/* The next node, which has no children (yet); there is room. */
STEP void
node_put(struct spot *spot, const char *at, const char *end, uint32_t next, enum json_kind kind,
         bool escaped)
{
    spot->nodes[spot->count++] = (struct json_node){
        .start = (uint32_t)(at - spot->base),
        .end = (uint32_t)(end - spot->base),
        .next = next,
        .kind = (uint8_t)kind,
        .escaped = escaped,
        .depth = (uint16_t)spot->depth,
    };
}

/* at: the opening quote. */
STEP const char *
scan_string(struct spot *spot, struct json_scan *s, const char *at)
{
    if (UNLIKELY(!node_room(spot, s, at))) {
        return NULL;
    }
    const char *close = at + 1;
    if (LIKELY(close < spot->blocks_end)) {
        unsigned stops = skip_block_stops(close);
        close += stops != 0 ? (size_t)(unsigned)__builtin_ctz(stops) : 16;
        if (LIKELY(stops != 0 && *close == '"')) {
            node_put(spot, at, close + 1, spot->count + 1, JSON_STRING, false);
            return close + 1;
        }
    }
    bool escaped = false;
    close = json_string_rest(s, at, close, &escaped);
    if (UNLIKELY(close == NULL)) {
        return NULL;
    }
    node_put(spot, at, close + 1, spot->count + 1, JSON_STRING, escaped);
    return close + 1;
}

STEP const char *
scan_number(struct spot *spot, struct json_scan *s, const char *at)
{
    if (UNLIKELY(!node_room(spot, s, at))) {
        return NULL;
    }
    const char *behind = json_number_quick(s, at);
    if (UNLIKELY(behind == NULL)) {
        return NULL;
    }
    node_put(spot, at, behind, spot->count + 1, JSON_NUMBER, false);
    return behind;
}

/* Key and colon of the next member. */
STEP const char *
scan_key(struct spot *spot, struct json_scan *s, const char *at)
{
    at = json_skip_space(at, spot->end);
    if (UNLIKELY(at == spot->end || *at != '"')) {
        return json_scan_fail(s, ERR_PARSE, at, "expected a quoted key");
    }
    at = scan_string(spot, s, at);
    if (UNLIKELY(at == NULL)) {
        return NULL;
    }
    if (UNLIKELY(at == spot->end || *at != ':')) {
        at = json_skip_space(at, spot->end);
        if (at == spot->end || *at != ':') {
            return json_scan_fail(s, ERR_PARSE, at, "expected ':'");
        }
    }
    return at + 1;
}

STEP const char *
container_open(struct spot *spot, struct json_scan *s, const char *at, enum json_kind kind)
{
    if (UNLIKELY(spot->depth >= s->depth_max)) {
        return json_scan_fail(s, ERR_DEPTH, at, "nested too deeply");
    }
    if (UNLIKELY(!node_room(spot, s, at))) {
        return NULL;
    }
    uint32_t index = spot->count;
    node_put(spot, at, at, spot->open, kind, false);
    spot->open = index;
    spot->closer = kind == JSON_OBJECT ? '}' : ']';
    spot->depth++;
    return at + 1;
}

static __attribute__((noinline)) void
fail_duplicate(struct json_scan *s, uint32_t parent, uint32_t object, uint32_t key)
{
    struct buf path;
    uint32_t start = s->doc->nodes[key].start;
    buf_init(&path, 4096);
    json_key_path(s->doc, parent, object, key, &path);
    (void)json_scan_fail(s, ERR_DUPLICATE, s->base + start, "duplicate key");
    if (s->err != NULL && !path.failed) {
        uint32_t line = s->err->line;
        uint32_t column = s->err->column;
        s->rc = err_set_at(s->err, ERR_DUPLICATE, line, column, "duplicate key `%.*s` at byte %u",
                           STR_ARG(buf_str(&path)), start);
    }
    buf_fini(&path);
}

/* The keys of `object`, whose children are complete. false: s->rc is set. */
static __attribute__((noinline)) bool
check_keys(struct json_scan *s, uint32_t parent, uint32_t object)
{
    uint32_t key = JSON_NONE;
    int rc = json_unique_check(s->doc, object, &key);
    if (rc == -ERR_DUPLICATE) {
        fail_duplicate(s, parent, object, key);
    } else if (rc != 0) {
        s->rc = err_set(s->err, ERR_NOMEM, "no memory to compare the keys of a JSON object");
    }
    return rc == 0;
}

/* at: behind the closing bracket of spot->open. */
STEP const char *
container_close(struct spot *spot, struct json_scan *s, const char *at)
{
    struct json_node *node = &spot->nodes[spot->open];
    uint32_t parent = node->next;
    node->end = (uint32_t)(at - spot->base);
    node->next = spot->count;
    if (spot->closer == '}' && s->unique &&
        UNLIKELY(!json_keys_differ(spot->base, spot->nodes, spot->open)) &&
        !check_keys(s, parent, spot->open)) {
        return NULL;
    }
    spot->open = parent;
    spot->closer = parent != JSON_NONE && spot->nodes[parent].kind == JSON_OBJECT ? '}' : ']';
    spot->depth--;
    return at;
}

/* One value. *ret_inside: an array or object has begun and is not empty; an empty one is left to
 * scan_behind, which closes it. */
STEP const char *
scan_value(struct spot *spot, struct json_scan *s, const char *at, bool *ret_inside)
{
    *ret_inside = false;
    at = json_skip_space(at, spot->end);
    if (UNLIKELY(at == spot->end)) {
        return json_scan_fail(s, ERR_PARSE, at, "expected a value, found the end");
    }
    char c = *at;
    if (c == '"') {
        return scan_string(spot, s, at);
    }
    if (c == '{' || c == '[') {
        at = container_open(spot, s, at, c == '{' ? JSON_OBJECT : JSON_ARRAY);
        if (UNLIKELY(at == NULL)) {
            return NULL;
        }
        at = json_skip_space(at, spot->end);
        *ret_inside = at == spot->end || *at != spot->closer;
        return at;
    }
    if ((unsigned)(c - '0') <= 9 || c == '-') {
        return scan_number(spot, s, at);
    }
    enum json_kind kind = JSON_NULL;
    const char *behind = json_literal_end(s, at, &kind);
    if (UNLIKELY(behind == NULL || !node_room(spot, s, at))) {
        return NULL;
    }
    node_put(spot, at, behind, spot->count + 1, kind, false);
    return behind;
}

/* Behind a complete value: close what closes here. *ret_more: a comma was taken and another value
 * follows; otherwise the root is complete. */
STEP const char *
scan_behind(struct spot *spot, struct json_scan *s, const char *at, bool *ret_more)
{
    *ret_more = false;
    while (spot->open != JSON_NONE) {
        at = json_skip_space(at, spot->end);
        char c = '\0';
        if (LIKELY(at < spot->end)) {
            c = *at;
        }
        if (c == ',') {
            *ret_more = true;
            return at + 1;
        }
        if (UNLIKELY(c != spot->closer)) {
            return json_scan_fail(s, ERR_PARSE, at,
                                  spot->closer == '}' ? "expected ',' or '}'"
                                                      : "expected ',' or ']'");
        }
        at = container_close(spot, s, at + 1);
        if (UNLIKELY(at == NULL)) {
            return NULL;
        }
    }
    return at;
}

static int
scan_document(struct json_scan *s, uint32_t *ret_count)
{
    struct spot spot = {.base = s->base, .end = s->end, .open = JSON_NONE};
    spot.blocks_end = s->end - MIN((size_t)(s->end - s->base), (size_t)16);
    const char *at = s->base;
    spot_nodes(&spot, s);
    for (;;) {
        bool more = true;
        bool inside;
        at = scan_value(&spot, s, at, &inside);
        if (UNLIKELY(at == NULL)) {
            return s->rc;
        }
        if (!inside) {
            at = scan_behind(&spot, s, at, &more);
            if (UNLIKELY(at == NULL)) {
                return s->rc;
            }
        }
        if (!more) {
            break;
        }
        if (spot.closer == '}') {
            at = scan_key(&spot, s, at);
            if (UNLIKELY(at == NULL)) {
                return s->rc;
            }
        }
    }
    at = json_skip_space(at, spot.end);
    if (at != spot.end) {
        (void)json_scan_fail(s, ERR_PARSE, at, "text behind the JSON value");
        return s->rc;
    }
    *ret_count = spot.count;
    return 0;
}

static __attribute__((noinline)) int
scan_plain(struct json_scan *s, uint32_t *ret_count)
{
    size_t valid = utf8_valid_bytes(s->doc->text);
    if (valid != s->doc->text.len) {
        (void)json_scan_fail(s, ERR_ENCODING, s->base + valid, "not valid UTF-8");
        return s->rc;
    }
    return scan_document(s, ret_count);
}

static int
scan(struct json_doc *doc, struct str text, const struct json_limits *limits, bool marked,
     struct err *err)
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
    struct json_scan s = {
        .base = text.ptr,
        .end = text.ptr + text.len,
        .doc = doc,
        .skip_string = skip_string_best(),
        .depth_max = limits->depth_max != 0 ? MIN(limits->depth_max, 65535u) : DEPTH_DEFAULT,
        .node_count_max = limits->node_count_max != 0 ? limits->node_count_max : NODES_DEFAULT,
        .unique = !limits->allow_duplicates,
        .err = err,
    };
    int rc = marked ? json_walk(&s, &doc->node_count) : JSON_AGAIN;
    if (rc == JSON_AGAIN) {
        rc = scan_plain(&s, &doc->node_count);
    }
    if (rc != 0) {
        doc->text = STR_EMPTY;
        return rc;
    }
    ASSERT(doc->node_count > 0 && doc->nodes[0].next == doc->node_count);
    return 0;
}

int
json_scan(struct json_doc *doc, struct str text, const struct json_limits *limits, struct err *err)
{
    return scan(doc, text, limits,
                text.len >= MARKED_BYTES_MIN && text.len < JSON_MARKS_BYTES_MAX &&
                    json_marks_usable(),
                err);
}

int
json_scan_plain(struct json_doc *doc, struct str text, const struct json_limits *limits,
                struct err *err)
{
    return scan(doc, text, limits, false, err);
}
