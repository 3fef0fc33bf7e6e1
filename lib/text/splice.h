/* SPDX-License-Identifier: MIT
 * splice.h - edit a text by spans without copying the rest: the edited document is a list of
 * segments. Floor: lib/text; one thread at a time. Owns: nothing: edits and segments live in the
 * arena, the text and the replacements are borrowed. Invariant: edits do not overlap; bytes outside
 * them are the very bytes of the text, in place. Proved by splice_test.c and splice_fuzz.c. */
#ifndef BERTH_LIB_TEXT_SPLICE_H
#define BERTH_LIB_TEXT_SPLICE_H

#include "lib/text/json.h"

/* Replace bytes [start, end) of the text by lead, with and, if `comma`, a comma; start == end
 * inserts. Edits of whole members know their object and key: which comma a removal takes, and
 * whether an insertion needs one, depends on the members that are left, so later edits of an object
 * move them. */
struct splice_edit {
    uint32_t start;
    uint32_t end;
    struct str lead; /* `"key":` of an inserted member */
    struct str with;
    bool comma;
    uint32_t object; /* JSON_NONE for edits of bytes and values */
    uint32_t key;    /* removed member's key node; JSON_NONE for an inserted one */
    uint32_t call;   /* which call made it, so that a failing one can be undone */
};
struct splice {
    struct arena *arena;
    struct splice_edit *edits; /* sorted by start */
    uint32_t count;
    uint32_t cap;
    uint32_t calls;
};

void splice_init(struct splice *splice, struct arena *arena);
/* splice_replace - 0; -ERR_CONFLICT when it overlaps an earlier edit; -ERR_NOMEM. Insertions at one
 * place stand in the order in which they were made. */
int splice_replace(struct splice *splice, uint32_t start, uint32_t end, struct str with) MUST_USE;
/* On failure of any call below nothing has changed. One splice edits one document: the same doc is
 * given to all calls.
 * splice_node - replace a whole value by raw JSON text. -ERR_INVALID for JSON_NONE. */
int splice_node(struct splice *splice, const struct json_doc *doc, uint32_t node,
                struct str raw_json) MUST_USE;
/* splice_member_set - set object member `key` to raw JSON text: replaces the value, or inserts the
 * member as the object's first. -ERR_INVALID when `object` is none; -ERR_CONFLICT when this member
 * was set or removed before. Where the document repeats the key, the repetitions go. */
int splice_member_set(struct splice *splice, const struct json_doc *doc, uint32_t object,
                      struct str key, struct str raw_json) MUST_USE;
/* splice_member_remove - remove member `key` with the comma that belongs to it; 0 when absent,
 * removed before, or `object` is no object. Neighbouring removals and insertions in one object are
 * fine. -ERR_CONFLICT when the member or a part of it was edited before. */
int splice_member_remove(struct splice *splice, const struct json_doc *doc, uint32_t object,
                         struct str key) MUST_USE;
/* splice_segments - the edited text as segments[*ret_count] (no empty ones, in the arena, pointing
 * into the text and the replacements) and its length in bytes. text: what the edits were made for.
 */
int splice_segments(const struct splice *splice, struct str text, struct str **ret_segments,
                    size_t *ret_count, size_t *ret_bytes) MUST_USE;

#endif
