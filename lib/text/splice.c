/* SPDX-License-Identifier: MIT
 * splice.c - the list of edits, the commas of members that come and go, and the list of segments.
 * Floor: lib/text; one thread at a time.
 * Owns: nothing: all is in the arena.
 * Invariant: edits are sorted by start and do not overlap; a call that fails leaves them as they
 * were. Proved by splice_test.c and splice_fuzz.c. */
#include "lib/text/splice.h"

#include "lib/base/check.h"
#include "lib/text/json_int.h"

void
splice_init(struct splice *splice, struct arena *arena)
{
    *splice = (struct splice){.arena = arena};
}

static int
edits_reserve(struct splice *splice, uint32_t more)
{
    if (splice->cap - splice->count >= more) {
        return 0;
    }
    ASSERT(more <= 8);
    uint32_t cap = MAX(splice->cap * 2, 2u); /* mostly it is the model's name alone */
    cap = MAX(cap, splice->count + more);
    struct splice_edit *edits = arena_alloc(splice->arena, cap * sizeof(*edits));
    if (edits == NULL) {
        return -ERR_NOMEM;
    }
    if (splice->count > 0) {
        memcpy(edits, splice->edits, splice->count * sizeof(*edits));
    }
    splice->edits = edits;
    splice->cap = cap;
    return 0;
}

/* Two edits cannot both stand: they share bytes, or one inserts inside the other. */
static bool
overlap(const struct splice_edit *a, const struct splice_edit *b)
{
    if (a->start == a->end) {
        return b->start < a->start && a->start < b->end;
    }
    if (b->start == b->end) {
        return a->start < b->start && b->start < a->end;
    }
    return a->start < b->end && b->start < a->end;
}

/* Behind what starts before it and behind insertions at its own start. */
static uint32_t
edit_place(const struct splice *splice, const struct splice_edit *edit)
{
    uint32_t at = splice->count;
    while (at > 0) {
        const struct splice_edit *before = &splice->edits[at - 1];
        bool insertion = before->start == before->end;
        if (before->start < edit->start || (before->start == edit->start && insertion)) {
            break;
        }
        at--;
    }
    return at;
}

static int
edit_add(struct splice *splice, struct splice_edit edit)
{
    for (uint32_t i = 0; i < splice->count; i++) {
        if (overlap(&splice->edits[i], &edit)) {
            return -ERR_CONFLICT;
        }
    }
    int rc = edits_reserve(splice, 1);
    if (rc != 0) {
        return rc;
    }
    edit.call = splice->calls;
    uint32_t at = edit_place(splice, &edit);
    memmove(&splice->edits[at + 1], &splice->edits[at],
            (splice->count - at) * sizeof(*splice->edits));
    splice->edits[at] = edit;
    splice->count++;
    return 0;
}

static int
replace(struct splice *splice, uint32_t start, uint32_t end, struct str with)
{
    ASSERT(start <= end);
    return edit_add(splice, (struct splice_edit){
                                .start = start,
                                .end = end,
                                .with = with,
                                .object = JSON_NONE,
                                .key = JSON_NONE,
                            });
}

int
splice_replace(struct splice *splice, uint32_t start, uint32_t end, struct str with)
{
    splice->calls++;
    return replace(splice, start, end, with);
}

int
splice_node(struct splice *splice, const struct json_doc *doc, uint32_t node, struct str raw_json)
{
    if (node >= doc->node_count) {
        return -ERR_INVALID;
    }
    return splice_replace(splice, doc->nodes[node].start, doc->nodes[node].end, raw_json);
}

/* ---- members --------------------------------------------------------------------------------- */

static struct splice_edit *
find_removal(const struct splice *splice, uint32_t object, uint32_t key)
{
    for (uint32_t i = 0; i < splice->count; i++) {
        if (splice->edits[i].object == object && splice->edits[i].key == key) {
            return &splice->edits[i];
        }
    }
    return NULL;
}

/* Give every removal of this object the comma that belongs to it: the one before it when a member
 * that stays stands before it, else the one behind it. */
static uint32_t
layout_removals(struct splice *splice, const struct json_doc *doc, uint32_t object)
{
    uint32_t survivors = 0;
    uint32_t before = JSON_NONE;        /* value of the member before */
    struct splice_edit *pending = NULL; /* a removal that has no survivor before it */
    for (uint32_t key = json_first(doc, object); key != JSON_NONE;
         key = json_sibling(doc, object, key)) {
        struct splice_edit *edit = find_removal(splice, object, key);
        if (pending != NULL) {
            pending->end = doc->nodes[key].start;
            pending = NULL;
        }
        if (edit == NULL) {
            survivors++;
        } else {
            edit->start = survivors > 0 ? doc->nodes[before].end : doc->nodes[key].start;
            edit->end = doc->nodes[key + 1].end;
            pending = survivors > 0 ? NULL : edit;
        }
        before = key + 1;
    }
    return survivors;
}

/* Removals and insertions of one object, after the set of either has changed. -ERR_CONFLICT when a
 * removal now runs into an edit of bytes between the members. */
static int
layout_object(struct splice *splice, const struct json_doc *doc, uint32_t object)
{
    bool follows = layout_removals(splice, doc, object) > 0;
    for (uint32_t i = splice->count; i-- > 0;) {
        struct splice_edit *edit = &splice->edits[i];
        if (edit->object == object && edit->key == JSON_NONE) {
            edit->comma = follows;
            follows = true;
        }
    }
    for (uint32_t i = 1; i < splice->count; i++) {
        if (overlap(&splice->edits[i - 1], &splice->edits[i])) {
            return -ERR_CONFLICT;
        }
    }
    return 0;
}

/* The end of a call that edits members: lay the object out; on failure take this call's edits back.
 */
static int
finish_call(struct splice *splice, const struct json_doc *doc, uint32_t object, int rc)
{
    if (rc == 0) {
        rc = layout_object(splice, doc, object);
    }
    if (rc != 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < splice->count; i++) {
            if (splice->edits[i].call != splice->calls) {
                splice->edits[kept++] = splice->edits[i];
            }
        }
        splice->count = kept;
        int undone = layout_object(splice, doc, object);
        ASSERT(undone == 0);
    }
    return rc;
}

static int
remove_key(struct splice *splice, const struct json_doc *doc, uint32_t object, uint32_t key)
{
    if (find_removal(splice, object, key) != NULL) {
        return 0;
    }
    return edit_add(splice, (struct splice_edit){
                                .start = doc->nodes[key].start,
                                .end = doc->nodes[key + 1].end,
                                .object = object,
                                .key = key,
                            });
}

/* Remove every member `key` from key node `from` on. */
static int
remove_all(struct splice *splice, const struct json_doc *doc, uint32_t object, uint32_t from,
           struct str key)
{
    int rc = 0;
    for (uint32_t at = from; rc == 0 && at != JSON_NONE; at = json_sibling(doc, object, at)) {
        if (json_string_eq(doc, at, key)) {
            rc = remove_key(splice, doc, object, at);
        }
    }
    return rc;
}

int
splice_member_remove(struct splice *splice, const struct json_doc *doc, uint32_t object,
                     struct str key)
{
    uint32_t value = json_get(doc, object, key);
    if (value == JSON_NONE) {
        return 0;
    }
    splice->calls++;
    int rc = remove_all(splice, doc, object, value - 1, key);
    return finish_call(splice, doc, object, rc);
}

/* `"key":` in the arena. */
static int
make_lead(struct arena *arena, struct str key, struct str *ret_lead)
{
    struct buf text;
    buf_init(&text, key.len * 6 + 16);
    int rc = json_put_string(&text, key);
    if (rc == 0) {
        rc = buf_put_byte(&text, ':');
    }
    if (rc == 0) {
        rc = arena_dup(arena, buf_str(&text), ret_lead);
    }
    buf_fini(&text);
    return rc;
}

static int
insert_member(struct splice *splice, const struct json_doc *doc, uint32_t object, struct str key,
              struct str raw_json)
{
    uint32_t place = doc->nodes[object].start + 1;
    struct splice_edit edit = {
        .start = place,
        .end = place,
        .with = raw_json,
        .object = object,
        .key = JSON_NONE,
    };
    int rc = make_lead(splice->arena, key, &edit.lead);
    for (uint32_t i = 0; rc == 0 && i < splice->count; i++) {
        const struct splice_edit *other = &splice->edits[i];
        if (other->object == object && other->key == JSON_NONE && str_eq(other->lead, edit.lead)) {
            rc = -ERR_CONFLICT;
        }
    }
    return rc != 0 ? rc : edit_add(splice, edit);
}

int
splice_member_set(struct splice *splice, const struct json_doc *doc, uint32_t object,
                  struct str key, struct str raw_json)
{
    if (!json_is(doc, object, JSON_OBJECT)) {
        return -ERR_INVALID;
    }
    splice->calls++;
    int rc;
    uint32_t value = json_get(doc, object, key);
    if (value == JSON_NONE) {
        rc = insert_member(splice, doc, object, key, raw_json);
    } else {
        rc = replace(splice, doc->nodes[value].start, doc->nodes[value].end, raw_json);
        uint32_t rest = json_sibling(doc, object, value - 1);
        if (rc == 0) {
            rc = remove_all(splice, doc, object, rest, key);
        }
    }
    return finish_call(splice, doc, object, rc);
}

/* ---- segments -------------------------------------------------------------------------------- */

struct segments {
    struct str *list;
    size_t count;
    size_t bytes;
};

static void
segment_put(struct segments *segments, struct str part)
{
    if (part.len > 0) {
        segments->list[segments->count++] = part;
        segments->bytes += part.len;
    }
}

int
splice_segments(const struct splice *splice, struct str text, struct str **ret_segments,
                size_t *ret_count, size_t *ret_bytes)
{
    struct segments segments = {0};
    /* at most the text before, lead, value and comma of each edit, and the text behind the last */
    segments.list = arena_array(splice->arena, (size_t)splice->count * 4 + 1, sizeof(struct str));
    if (segments.list == NULL) {
        return -ERR_NOMEM;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < splice->count; i++) {
        const struct splice_edit *edit = &splice->edits[i];
        ASSERT(edit->start >= at && edit->end <= text.len);
        segment_put(&segments, str_make(text.ptr + at, edit->start - at));
        segment_put(&segments, edit->lead);
        segment_put(&segments, edit->with);
        segment_put(&segments, edit->comma ? STR(",") : STR_EMPTY);
        at = edit->end;
    }
    segment_put(&segments, str_skip(text, at));
    *ret_segments = segments.list;
    *ret_count = segments.count;
    *ret_bytes = segments.bytes;
    return 0;
}
