/* SPDX-License-Identifier: MIT
 * json_get.c - reading a scanned document: members, elements, strings, integers.
 * Floor: lib/text; any thread.
 * Owns: nothing; unescaped strings go into the caller's arena.
 * Invariant: keys and strings are compared unescaped and case-sensitively, without allocation. */
#include "lib/text/json.h"

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/text/json_int.h"
#include "lib/text/utf8.h"

static uint32_t
hex4(const char *at)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)at[i];
        value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

size_t
json_unescape_one(struct str *s, char out[4])
{
    ASSERT(s->len >= 2 && s->ptr[0] == '\\');
    char c = s->ptr[1];
    size_t used = 2;
    size_t made = 1;
    switch (c) {
    case 'n':
        out[0] = '\n';
        break;
    case 't':
        out[0] = '\t';
        break;
    case 'r':
        out[0] = '\r';
        break;
    case 'b':
        out[0] = '\b';
        break;
    case 'f':
        out[0] = '\f';
        break;
    case 'u': {
        uint32_t code = hex4(s->ptr + 2);
        used = 6;
        if ((code & 0xfc00) == 0xd800) {
            code = 0x10000 + ((code & 0x3ff) << 10) + (hex4(s->ptr + 8) & 0x3ff);
            used = 12;
        }
        made = utf8_encode(out, code);
        break;
    }
    default: /* '"', '\\' and '/' stand for themselves */
        out[0] = c;
        break;
    }
    ASSERT(used <= s->len);
    *s = str_make(s->ptr + used, s->len - used);
    return made;
}

/* Take the run before the next backslash from the front of *s. */
static struct str
take_run(struct str *s)
{
    const char *slash = s->len > 0 ? memchr(s->ptr, '\\', s->len) : NULL;
    size_t size = slash != NULL ? (size_t)(slash - s->ptr) : s->len;
    struct str run = str_make(s->ptr, size);
    *s = str_make(s->ptr + size, s->len - size);
    return run;
}

size_t
json_unescape(struct str content, char *out)
{
    size_t made = 0;
    while (content.len > 0) {
        struct str run = take_run(&content);
        memcpy(out + made, run.ptr, run.len);
        made += run.len;
        if (content.len > 0) {
            char one[4];
            size_t size = json_unescape_one(&content, one);
            memcpy(out + made, one, size);
            made += size;
        }
    }
    return made;
}

/* Step over `part` at the front of *s, or say that it is not there. */
static bool
take_equal(struct str *s, struct str part)
{
    if (!str_starts(*s, part)) {
        return false;
    }
    *s = str_skip(*s, part.len); /* either may be empty, and nowhere */
    return true;
}

static bool
content_eq(const struct json_doc *doc, uint32_t node, struct str s)
{
    struct str content = json_content(doc->text.ptr, &doc->nodes[node]);
    if (LIKELY(!doc->nodes[node].escaped)) {
        return content.len == s.len && json_name_eq(content.ptr, s.ptr, s.len);
    }
    while (content.len > 0) {
        if (!take_equal(&s, take_run(&content))) {
            return false;
        }
        if (content.len > 0) {
            char one[4];
            size_t size = json_unescape_one(&content, one);
            if (!take_equal(&s, str_make(one, size))) {
                return false;
            }
        }
    }
    return s.len == 0;
}

uint32_t
json_get(const struct json_doc *doc, uint32_t object, struct str key)
{
    if (!json_is(doc, object, JSON_OBJECT)) {
        return JSON_NONE;
    }
    const struct json_node *nodes = doc->nodes;
    uint32_t end = nodes[object].next;
    for (uint32_t at = object + 1; at < end; at = nodes[at + 1].next) {
        const struct json_node *node = &nodes[at];
        if (UNLIKELY(node->escaped)) {
            if (content_eq(doc, at, key)) {
                return at + 1;
            }
            continue;
        }
        /* the length tells most keys apart */
        if (node->end - node->start - 2 == key.len &&
            json_name_eq(doc->text.ptr + node->start + 1, key.ptr, key.len)) {
            return at + 1;
        }
    }
    return JSON_NONE;
}

size_t
json_pick_escaped(const struct json_doc *doc, uint32_t key, const struct str *names, size_t count)
{
    size_t i = 0;
    while (i < count && !content_eq(doc, key, names[i])) {
        i++;
    }
    return i;
}

uint32_t
json_path(const struct json_doc *doc, uint32_t object, const char *dotted)
{
    struct str rest = str_from(dotted);
    struct str part;
    bool more;
    do {
        more = str_cut(rest, '.', &part, &rest);
        object = json_get(doc, object, part);
    } while (more && object != JSON_NONE);
    return object;
}

static bool
is_container(const struct json_doc *doc, uint32_t node)
{
    return json_is(doc, node, JSON_ARRAY) || json_is(doc, node, JSON_OBJECT);
}

uint32_t
json_first(const struct json_doc *doc, uint32_t parent)
{
    bool any = is_container(doc, parent) && doc->nodes[parent].next > parent + 1;
    return any ? parent + 1 : JSON_NONE;
}

uint32_t
json_sibling(const struct json_doc *doc, uint32_t parent, uint32_t node)
{
    ASSERT(is_container(doc, parent) && node > parent && node < doc->nodes[parent].next);
    uint32_t value = doc->nodes[parent].kind == JSON_OBJECT ? node + 1 : node;
    uint32_t next = doc->nodes[value].next;
    return next < doc->nodes[parent].next ? next : JSON_NONE;
}

uint32_t
json_count(const struct json_doc *doc, uint32_t parent)
{
    uint32_t count = 0;
    for (uint32_t node = json_first(doc, parent); node != JSON_NONE;
         node = json_sibling(doc, parent, node)) {
        count++;
    }
    return count;
}

struct str
json_raw(const struct json_doc *doc, uint32_t node)
{
    if (node >= doc->node_count) {
        return STR_EMPTY;
    }
    const struct json_node *n = &doc->nodes[node];
    return str_make(doc->text.ptr + n->start, n->end - n->start);
}

int
json_string(const struct json_doc *doc, uint32_t node, struct arena *arena, struct str *ret_text)
{
    if (!json_is(doc, node, JSON_STRING)) {
        return -ERR_INVALID;
    }
    struct str content = json_content(doc->text.ptr, &doc->nodes[node]);
    if (doc->nodes[node].escaped) {
        char *out = arena_alloc(arena, content.len);
        if (out == NULL) {
            return -ERR_NOMEM;
        }
        content = str_make(out, json_unescape(content, out));
    }
    *ret_text = content;
    return 0;
}

bool
json_string_eq(const struct json_doc *doc, uint32_t node, struct str s)
{
    return json_is(doc, node, JSON_STRING) && content_eq(doc, node, s);
}

/* What num_* call malformed is here a number with fraction or exponent. */
static int
number_error(int rc)
{
    return rc == 0 ? 0 : -ERR_RANGE;
}

static struct str
number_text(const struct json_doc *doc, uint32_t node)
{
    struct str raw = json_raw(doc, node);
    return str_eq(raw, STR("-0")) ? STR("0") : raw;
}

int
json_i64(const struct json_doc *doc, uint32_t node, int64_t min, int64_t max, int64_t *ret_value)
{
    if (!json_is(doc, node, JSON_NUMBER)) {
        return -ERR_INVALID;
    }
    return number_error(num_i64(number_text(doc, node), min, max, ret_value));
}

int
json_u64(const struct json_doc *doc, uint32_t node, uint64_t max, uint64_t *ret_value)
{
    if (!json_is(doc, node, JSON_NUMBER)) {
        return -ERR_INVALID;
    }
    /* The scanner has seen the form of it: a few digits need no second look. */
    struct str raw = json_raw(doc, node);
    uint64_t value = 0;
    size_t i = 0;
    for (; i < raw.len && i < 18 && (unsigned)(raw.ptr[i] - '0') <= 9; i++) {
        value = value * 10 + (unsigned)(raw.ptr[i] - '0');
    }
    if (LIKELY(i == raw.len && value <= max)) {
        *ret_value = value;
        return 0;
    }
    return number_error(num_u64(number_text(doc, node), max, ret_value));
}

int
json_bool(const struct json_doc *doc, uint32_t node, bool *ret_value)
{
    if (!json_is(doc, node, JSON_TRUE) && !json_is(doc, node, JSON_FALSE)) {
        return -ERR_INVALID;
    }
    *ret_value = doc->nodes[node].kind == JSON_TRUE;
    return 0;
}
