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
#include "lib/text/skip_block.h"
#include "lib/text/utf8.h"

#define DEPTH_DEFAULT 128u
#define NODES_DEFAULT 200000u
#define BYTES_DEFAULT ((size_t)64 << 20)
#define NODES_FIRST 128u

_Static_assert(sizeof(struct json_node) == 16, "nodes are meant to be four to a cache line");

struct scan {
    const char *base;
    const char *end;
    struct json_doc *doc;
    bool unique;
    uint32_t depth_max;
    uint32_t node_count_max;
    skip_string_fn skip_string;
    struct err *err;
    int rc; /* set where a step returns NULL */
};

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
#define STEP static inline __attribute__((always_inline))

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

/* Cold: set the message with byte offset, line and column. */
static __attribute__((noinline)) const char *
scan_fail(struct scan *s, enum err_code code, const char *at, const char *what)
{
    uint32_t line = 1;
    const char *line_start = s->base;
    for (const char *lf; (lf = memchr(line_start, '\n', (size_t)(at - line_start))) != NULL;) {
        line_start = lf + 1;
        line++;
    }
    size_t column = utf8_count(str_make(line_start, (size_t)(at - line_start))) + 1;
    s->rc = err_set_at(s->err, code, line, (uint32_t)column, "%s at byte %zu", what,
                       (size_t)(at - s->base));
    return NULL;
}

static __attribute__((noinline)) bool
nodes_grow(struct scan *s, uint32_t count, const char *at)
{
    struct json_doc *doc = s->doc;
    if (count >= s->node_count_max) {
        (void)scan_fail(s, ERR_TOO_LARGE, at, "too many JSON values");
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
spot_nodes(struct spot *spot, const struct scan *s)
{
    spot->nodes = s->doc->nodes;
    spot->count_limit = MIN(s->doc->node_cap, s->node_count_max);
}

/* Is there a place for the node of what stands at `at`? */
STEP bool
node_room(struct spot *spot, struct scan *s, const char *at)
{
    if (LIKELY(spot->count < spot->count_limit)) {
        return true;
    }
    if (!nodes_grow(s, spot->count, at)) {
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

static const char *
skip_space_rest(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at <= 0x20) {
        if (*at == ' ') {
            /* the indentation of pretty-printed documents */
            if (end - at >= 8 && memcmp(at, "        ", 8) == 0) {
                at += 8;
                continue;
            }
        } else if (*at != '\n' && *at != '\r' && *at != '\t') {
            break;
        }
        at++;
    }
    return at;
}

STEP const char *
skip_space(const char *at, const char *end)
{
    return LIKELY(at < end && (unsigned char)*at > 0x20) ? at : skip_space_rest(at, end);
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

/* Behind the \\u escape, or the pair of them, at `at`. */
static const char *
scan_unicode_escape(struct scan *s, const char *at)
{
    uint32_t code = s->end - at >= 6 ? hex4(at + 2) : UINT32_MAX;
    if (code == UINT32_MAX) {
        return scan_fail(s, ERR_PARSE, at, "\\u without four hex digits");
    }
    if ((code & 0xf800) != 0xd800) {
        return at + 6;
    }
    bool paired = code < 0xdc00 && s->end - at >= 12 && at[6] == '\\' && at[7] == 'u' &&
                  (hex4(at + 8) & 0xfffffc00u) == 0xdc00;
    return paired ? at + 12 : scan_fail(s, ERR_ENCODING, at, "lone surrogate escape");
}

static __attribute__((noinline)) const char *
fail_string(struct scan *s, const char *quote, const char *at)
{
    if (at == s->end) {
        return scan_fail(s, ERR_PARSE, quote, "unterminated string");
    }
    return scan_fail(s, ERR_PARSE, at,
                     *at == '\\' ? "unknown escape" : "control character in string");
}

/* The closing quote of the string that opens at `quote` and is plain up to `at`. */
static __attribute__((noinline)) const char *
string_rest(struct scan *s, const char *quote, const char *at, bool *ret_escaped)
{
    for (;;) {
        at = s->skip_string(at, s->end, ret_escaped);
        if (LIKELY(at < s->end && *at == '"')) {
            return at;
        }
        if (s->end - at < 2 || at[0] != '\\' || at[1] != 'u') {
            return fail_string(s, quote, at);
        }
        /* they come in rows: some clients escape all that is not ASCII */
        for (*ret_escaped = true; s->end - at >= 2 && at[0] == '\\' && at[1] == 'u';) {
            at = scan_unicode_escape(s, at);
            if (at == NULL) {
                return NULL;
            }
        }
    }
}

/* at: the opening quote. */
STEP const char *
scan_string(struct spot *spot, struct scan *s, const char *at)
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
    close = string_rest(s, at, close, &escaped);
    if (UNLIKELY(close == NULL)) {
        return NULL;
    }
    node_put(spot, at, close + 1, spot->count + 1, JSON_STRING, escaped);
    return close + 1;
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
static __attribute__((noinline)) const char *
any_number(struct scan *s, const char *start)
{
    const char *at = start + (*start == '-');
    const char *digits = at;
    at = skip_digits(at, s->end);
    if (at == digits) {
        return scan_fail(s, ERR_PARSE, start, "number without digits");
    }
    if (*digits == '0' && at - digits > 1) {
        return scan_fail(s, ERR_PARSE, start, "number with a leading zero");
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
    return at;
}

STEP const char *
scan_number(struct spot *spot, struct scan *s, const char *at)
{
    if (UNLIKELY(!node_room(spot, s, at))) {
        return NULL;
    }
    /* a count: up to 16 digits and nothing of a fraction behind them */
    size_t digits = at < spot->blocks_end ? skip_block_run(skip_block_not_digits(at)) : 0;
    const char *behind = at + digits;
    bool count = digits == 1 || (digits > 1 && digits < 16 && *at != '0');
    if (!count || *behind == '.' || (*behind | 0x20) == 'e') {
        behind = any_number(s, at);
        if (UNLIKELY(behind == NULL)) {
            return NULL;
        }
    }
    node_put(spot, at, behind, spot->count + 1, JSON_NUMBER, false);
    return behind;
}

/* Behind the word that a literal is, or NULL. */
static __attribute__((noinline)) const char *
literal_end(struct scan *s, const char *at, enum json_kind *ret_kind)
{
    struct str rest = str_make(at, (size_t)(s->end - at));
    if (str_starts(rest, STR("true"))) {
        *ret_kind = JSON_TRUE;
        return at + 4;
    }
    if (str_starts(rest, STR("false"))) {
        *ret_kind = JSON_FALSE;
        return at + 5;
    }
    if (str_starts(rest, STR("null"))) {
        *ret_kind = JSON_NULL;
        return at + 4;
    }
    return scan_fail(s, ERR_PARSE, at, "expected a value");
}

/* Key and colon of the next member. */
STEP const char *
scan_key(struct spot *spot, struct scan *s, const char *at)
{
    at = skip_space(at, spot->end);
    if (UNLIKELY(at == spot->end || *at != '"')) {
        return scan_fail(s, ERR_PARSE, at, "expected a quoted key");
    }
    at = scan_string(spot, s, at);
    if (UNLIKELY(at == NULL)) {
        return NULL;
    }
    if (UNLIKELY(at == spot->end || *at != ':')) {
        at = skip_space(at, spot->end);
        if (at == spot->end || *at != ':') {
            return scan_fail(s, ERR_PARSE, at, "expected ':'");
        }
    }
    return at + 1;
}

STEP const char *
container_open(struct spot *spot, struct scan *s, const char *at, enum json_kind kind)
{
    if (UNLIKELY(spot->depth >= s->depth_max)) {
        return scan_fail(s, ERR_DEPTH, at, "nested too deeply");
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
fail_duplicate(struct scan *s, uint32_t parent, uint32_t object, uint32_t key)
{
    struct buf path;
    uint32_t start = s->doc->nodes[key].start;
    buf_init(&path, 4096);
    json_key_path(s->doc, parent, object, key, &path);
    (void)scan_fail(s, ERR_DUPLICATE, s->base + start, "duplicate key");
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
check_keys(struct scan *s, uint32_t parent, uint32_t object)
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
container_close(struct spot *spot, struct scan *s, const char *at)
{
    struct json_node *node = &spot->nodes[spot->open];
    uint32_t parent = node->next;
    node->end = (uint32_t)(at - spot->base);
    node->next = spot->count;
    if (spot->closer == '}' && s->unique &&
        !json_keys_differ(spot->base, spot->nodes, spot->open) &&
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
scan_value(struct spot *spot, struct scan *s, const char *at, bool *ret_inside)
{
    *ret_inside = false;
    at = skip_space(at, spot->end);
    if (UNLIKELY(at == spot->end)) {
        return scan_fail(s, ERR_PARSE, at, "expected a value, found the end");
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
        at = skip_space(at, spot->end);
        *ret_inside = at == spot->end || *at != spot->closer;
        return at;
    }
    if ((unsigned)(c - '0') <= 9 || c == '-') {
        return scan_number(spot, s, at);
    }
    enum json_kind kind = JSON_NULL;
    const char *behind = literal_end(s, at, &kind);
    if (UNLIKELY(behind == NULL || !node_room(spot, s, at))) {
        return NULL;
    }
    node_put(spot, at, behind, spot->count + 1, kind, false);
    return behind;
}

/* Behind a complete value: close what closes here. *ret_more: a comma was taken and another value
 * follows; otherwise the root is complete. */
STEP const char *
scan_behind(struct spot *spot, struct scan *s, const char *at, bool *ret_more)
{
    *ret_more = false;
    while (spot->open != JSON_NONE) {
        at = skip_space(at, spot->end);
        char c = '\0';
        if (LIKELY(at < spot->end)) {
            c = *at;
        }
        if (c == ',') {
            *ret_more = true;
            return at + 1;
        }
        if (UNLIKELY(c != spot->closer)) {
            return scan_fail(s, ERR_PARSE, at,
                             spot->closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        at = container_close(spot, s, at + 1);
        if (UNLIKELY(at == NULL)) {
            return NULL;
        }
    }
    return at;
}

static __attribute__((noinline)) int
scan_document(struct scan *s, uint32_t *ret_count)
{
    size_t valid = utf8_valid_bytes(s->doc->text);
    struct spot spot = {.base = s->base, .end = s->end, .open = JSON_NONE};
    spot.blocks_end = s->end - MIN((size_t)(s->end - s->base), (size_t)16);
    const char *at = s->base;
    if (valid != s->doc->text.len) {
        (void)scan_fail(s, ERR_ENCODING, at + valid, "not valid UTF-8");
        return s->rc;
    }
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
    at = skip_space(at, spot.end);
    if (at != spot.end) {
        (void)scan_fail(s, ERR_PARSE, at, "text behind the JSON value");
        return s->rc;
    }
    *ret_count = spot.count;
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
        .end = text.ptr + text.len,
        .doc = doc,
        .skip_string = skip_string_best(),
        .depth_max = limits->depth_max != 0 ? MIN(limits->depth_max, 65535u) : DEPTH_DEFAULT,
        .node_count_max = limits->node_count_max != 0 ? limits->node_count_max : NODES_DEFAULT,
        .unique = !limits->allow_duplicates,
        .err = err,
    };
    int rc = scan_document(&s, &doc->node_count);
    if (rc != 0) {
        doc->text = STR_EMPTY;
        return rc;
    }
    ASSERT(doc->node_count > 0 && doc->nodes[0].next == doc->node_count);
    return 0;
}
