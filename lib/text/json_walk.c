/* SPDX-License-Identifier: MIT
 * json_walk.c - the scan with marks: the loop of json.c for texts that are fine, which knows from
 *               json_marks.h where strings begin and end. Whatever stops it is nobody's verdict:
 *               json.c starts over.
 * Floor: lib/text; any thread, one document at a time per object.
 * Owns: nothing beyond a call.
 * Invariant: the text begins with a bracket, so that something is open wherever a step closes it,
 *            and ends with one, which no string, number or space reaches over: steps look one byte
 *            ahead without asking for the end. Proved by json_same_test.c and json_same_fuzz.c. */
#include "lib/text/json_int.h"
#include "lib/text/json_marks.h"

#if defined(__x86_64__)

#include "lib/base/check.h"

#define DEPTH_MAX 128u
#define STEP static INLINE
#define KIND ((uint64_t)1 << 32)
#define ESCAPED ((uint64_t)1 << 40)
#define DEEPER ((uint64_t)1 << 48)
#define ROOM 4u /* more nodes than one turn of the loop takes */

_Static_assert(sizeof(struct json_node) == 16 && offsetof(struct json_node, start) == 0 &&
                   offsetof(struct json_node, end) == 4 && offsetof(struct json_node, next) == 8 &&
                   offsetof(struct json_node, kind) == 12 &&
                   offsetof(struct json_node, escaped) == 13 &&
                   offsetof(struct json_node, depth) == 14,
               "a node is written as two words");

/* What is around a container. */
struct frame {
    uint64_t filter;
    uint32_t open;
    uint32_t kind;
};

/* Where the walk stands: a local whose address goes to inline steps only, so that all of it stays
 * in registers. Places are offsets. */
struct walk {
    const char *text;
    size_t at;              /* what comes next */
    const uint32_t *mark;   /* the next pair, or JSON_MARK_NONE behind the last one */
    struct json_node *node; /* the next one */
    struct json_node *node_limit;
    uint64_t rest;       /* the second half of `node` when that is a string without escapes */
    uint64_t filter;     /* a bit for each key of `open`; all of them: two may be equal */
    struct frame *frame; /* the next free one */
    uint32_t open;       /* innermost open container */
    enum json_kind kind; /* what it is; JSON_NULL around the root */
};

/* What is not in registers. */
struct beside {
    struct json_marks marks;
    struct frame frames[DEPTH_MAX + 1];
};

/* How many nodes there are. */
STEP uint32_t
node_count(const struct walk *w)
{
    return (uint32_t)w->rest - 1;
}

STEP void
put_node(struct walk *w, uint64_t start_end, uint64_t rest)
{
    uint64_t words[2] = {start_end, rest};
    memcpy(w->node++, words, sizeof(words));
    w->rest++;
}

STEP void
put_value(struct walk *w, size_t start, size_t end, enum json_kind kind)
{
    put_node(w, start | (uint64_t)end << 32, w->rest + KIND * (uint64_t)kind - KIND * JSON_STRING);
}

/* Makes room for ROOM nodes behind count. s->rc is set: if true to JSON_AGAIN, which is what most
 * steps that fail say. */
static __attribute__((noinline)) bool
make_room(struct json_scan *s, uint32_t count)
{
    struct json_doc *doc = s->doc;
    if (doc->node_cap < count + ROOM && !json_nodes_grow(s, doc->node_cap, s->base)) {
        return false;
    }
    s->rc = JSON_AGAIN;
    return s->node_count_max >= count + ROOM;
}

STEP bool
take_nodes(struct walk *w, struct json_scan *s)
{
    uint32_t count = node_count(w);
    if (!make_room(s, count)) {
        return false;
    }
    w->node = s->doc->nodes + count;
    w->node_limit = s->doc->nodes + MIN(s->doc->node_cap, s->node_count_max) - ROOM;
    return true;
}

STEP void
skip_space(struct walk *w, const struct json_scan *s)
{
    if (UNLIKELY((unsigned char)w->text[w->at] <= ' ')) {
        w->at = (size_t)(json_space_end(w->text + w->at, s->end) - w->text);
    }
}

/* The steps below take what stands at w->at and go behind it. false: s->rc says why the walk ends,
 * mostly JSON_AGAIN. */

/* Does a string begin here, perhaps behind the last mark of a window? */
STEP bool
at_string(struct walk *w, struct json_marks *marks)
{
    if (LIKELY(*w->mark == w->at)) {
        return true;
    }
    if (w->text[w->at] != '"' || *w->mark != JSON_MARK_NONE || !json_marks_more(marks)) {
        return false;
    }
    w->mark = marks->list;
    return *w->mark == w->at;
}

/* The string of the next marks; returns whether it has an escape. */
STEP bool
take_string(struct walk *w)
{
    uint64_t pair;
    memcpy(&pair, w->mark, sizeof(pair));
    w->mark += 2;
    uint64_t plain = pair & ~((uint64_t)JSON_MARK_ESCAPED << 32);
    put_node(w, plain + ((uint64_t)1 << 32), w->rest + (pair >> 63) * ESCAPED);
    w->at = (plain >> 32) + 1;
    return pair >> 63 != 0;
}

/* Key and colon. */
STEP bool
take_key(struct walk *w, const struct json_scan *s, struct json_marks *marks)
{
    if (UNLIKELY(*w->mark != w->at)) {
        skip_space(w, s);
        if (UNLIKELY(!at_string(w, marks))) {
            return false;
        }
    }
    const char *key = w->text + w->at;
    bool escaped = take_string(w);
    const char *behind = w->text + w->at;
    /* length, first and last byte, as in json_key_tag: equal keys have the same bit */
    size_t hash =
        (unsigned char)key[1] + (size_t)(behind - key) * 4 + (size_t)(unsigned char)behind[-2] * 8;
    uint64_t bit = (uint64_t)1 << hash % 64;
    if (UNLIKELY(escaped || (w->filter & bit) != 0)) {
        w->filter = UINT64_MAX;
    }
    w->filter |= bit;
    if (UNLIKELY(*behind != ':')) {
        skip_space(w, s);
        if (w->text[w->at] != ':') {
            return false;
        }
    }
    w->at++;
    return true;
}

/* behind: NULL when there is no value here. */
STEP bool
take_scalar(struct walk *w, const char *behind, enum json_kind kind)
{
    if (UNLIKELY(behind == NULL)) {
        return false;
    }
    size_t start = w->at;
    w->at = (size_t)(behind - w->text);
    put_value(w, start, w->at, kind);
    return true;
}

STEP void
open_container(struct walk *w, enum json_kind kind)
{
    *w->frame++ = (struct frame){.filter = w->filter, .open = w->open, .kind = w->kind};
    w->filter = 0;
    w->open = node_count(w);
    w->kind = kind;
    put_value(w, w->at, w->at, kind);
    w->rest += DEEPER;
    w->at++;
}

/* The keys of `object`, of which two may be equal. false: s->rc is set. */
static __attribute__((noinline)) bool
check_keys(struct json_scan *s, uint32_t object)
{
    uint32_t key;
    int rc = s->unique ? json_unique_check(s->doc, object, &key) : 0;
    if (rc != 0) {
        s->rc = rc == -ERR_DUPLICATE ? JSON_AGAIN : rc;
    }
    return rc == 0;
}

/* The bracket that closes `open`. */
STEP bool
end_container(struct walk *w, struct json_scan *s)
{
    struct json_node *node = &s->doc->nodes[w->open];
    w->at++;
    node->end = (uint32_t)w->at;
    node->next = node_count(w);
    /* an array has no keys, so that its filter is empty */
    return LIKELY(w->filter != UINT64_MAX) || check_keys(s, w->open);
}

/* Does "},{\"" stand here, between two objects of an array? */
STEP bool
at_next_object(const struct walk *w, size_t last)
{
    const char *c = w->text + w->at;
    return c[0] == '}' && w->at != last && c[1] == ',' && c[2] == '{' && c[3] == '"' &&
           w->kind == JSON_OBJECT && w->frame[-1].kind == JSON_ARRAY;
}

/* It, in one step. */
STEP bool
take_next_object(struct walk *w, struct json_scan *s)
{
    if (UNLIKELY(!end_container(w, s))) {
        return false;
    }
    w->at++;
    w->filter = 0;
    w->open = node_count(w);
    w->rest -= DEEPER;
    put_value(w, w->at, w->at, JSON_OBJECT);
    w->rest += DEEPER;
    w->at++;
    return true;
}

/* What is no string, or does not stand where it is looked for first. *ret_inside: an array or
 * object has begun and is not empty. */
STEP bool
take_other(struct walk *w, struct json_scan *s, struct beside *beside, bool *ret_inside)
{
    skip_space(w, s);
    char c = w->text[w->at];
    if (c == '{' || c == '[') {
        if (UNLIKELY(w->frame == beside->frames + s->depth_max)) {
            return false;
        }
        open_container(w, c == '{' ? JSON_OBJECT : JSON_ARRAY);
        skip_space(w, s);
        *ret_inside = w->text[w->at] != (c == '{' ? '}' : ']');
        return true;
    }
    if (c == '"') {
        if (UNLIKELY(!at_string(w, &beside->marks))) {
            return false;
        }
        (void)take_string(w);
        return true;
    }
    const char *at = w->text + w->at;
    if ((unsigned)(c - '0') <= 9 || c == '-') {
        return take_scalar(w, json_number_quick(s, at), JSON_NUMBER);
    }
    enum json_kind kind = JSON_NULL;
    const char *behind = json_literal_end(s, at, &kind);
    return take_scalar(w, behind, kind);
}

/* Behind a value: closes what closes here, and takes the comma. The end of the root is the end of
 * the walk, too, with 0 in s->rc. */
STEP bool
take_behind(struct walk *w, struct json_scan *s, const struct beside *beside, size_t last)
{
    while (w->text[w->at] != ',') {
        skip_space(w, s);
        char c = w->text[w->at];
        if (c == ',') {
            break;
        }
        if (UNLIKELY(c != (w->kind == JSON_OBJECT ? '}' : ']')) || UNLIKELY(!end_container(w, s))) {
            return false;
        }
        w->frame--;
        w->filter = w->frame->filter;
        w->open = w->frame->open;
        w->kind = w->frame->kind;
        w->rest -= DEEPER;
        if (w->at > last || w->frame == beside->frames) {
            s->rc = w->at > last && w->frame == beside->frames ? 0 : JSON_AGAIN;
            return false;
        }
    }
    w->at++;
    return true;
}

static __attribute__((noinline)) int
walk_document(struct json_scan *s, struct beside *beside, size_t last, uint32_t *ret_count)
{
    struct walk walk = {
        .text = s->base,
        .mark = beside->marks.list,
        .rest = KIND * JSON_STRING + 1,
        .kind = JSON_NULL,
        .frame = beside->frames,
    };
    struct walk *w = &walk;
    if (!take_nodes(w, s)) {
        return s->rc;
    }
    for (;;) {
        bool inside = false;
        if (UNLIKELY(w->node > w->node_limit) && !take_nodes(w, s)) {
            break;
        }
        if (w->kind == JSON_OBJECT && UNLIKELY(!take_key(w, s, &beside->marks))) {
            break;
        }
        if (LIKELY(*w->mark == w->at)) {
            (void)take_string(w);
        } else if (UNLIKELY(!take_other(w, s, beside, &inside))) {
            break;
        } else if (inside) {
            continue;
        }
        if (w->text[w->at] == ',') {
            w->at++;
        } else if (at_next_object(w, last)) {
            if (UNLIKELY(!take_next_object(w, s))) {
                break;
            }
        } else if (UNLIKELY(!take_behind(w, s, beside, last))) {
            break;
        }
    }
    if (s->rc == 0) {
        *ret_count = node_count(w);
    }
    return s->rc;
}

int
json_walk(struct json_scan *s, uint32_t *ret_count)
{
    struct beside beside UNINIT;
    struct json_scan hasty = *s;
    size_t last = s->doc->text.len - 1;
    const char *first = json_skip_space(s->base, s->end);
    while (last > 0 && json_is_space(s->base[last])) {
        last--;
    }
    if (first == s->end || (*first != '{' && *first != '[') ||
        (s->base[last] != '}' && s->base[last] != ']')) {
        return JSON_AGAIN;
    }
    json_marks_init(&beside.marks, s->doc->text);
    hasty.hasty = true;
    hasty.depth_max = MIN(s->depth_max, DEPTH_MAX);
    return walk_document(&hasty, &beside, last, ret_count);
}

#else

int
json_walk(struct json_scan *s, uint32_t *ret_count)
{
    (void)s;
    (void)ret_count;
    return JSON_AGAIN;
}

#endif
