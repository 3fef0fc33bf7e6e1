/* SPDX-License-Identifier: MIT
 * letter.h - a whole form of OpenAI's with pictures in it, for a vendor who takes no such form: its
 *            fields as a JSON object, and where its pictures stand.
 * Floor: dataplane/media; one thread, no I/O.
 * Owns: nothing; texts live in the arena.
 * Invariant: a field is there once; a picture is what its first bytes say, whatever its caller
 *            called it. retouch_test.c, retouch_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_LETTER_H
#define BERTH_DATAPLANE_MEDIA_LETTER_H

#include "dataplane/media/draft.h"
#include "dataplane/media/form.h"

#define LETTER_BYTES_MAX ((size_t)256u * 1024u) /* of all fields */

/* bytes of the form, from start on. type: "png", "jpeg", "webp" or "gif". */
struct letter_picture {
    uint64_t start;
    uint64_t bytes;
    const char *type;
};
/* json: every field as a string, but `n` as a number. boundary: the caller's own; it begins no line
 * of a field or a picture, or the form would not be whole. */
struct letter {
    struct str json;
    struct str boundary;
    struct letter_picture pictures[DRAFT_FILES_MAX];
    uint32_t picture_count; /* at least one */
};

/* letter_read - form: whole. source: its bytes. 0; -ERR_INVALID, -ERR_UNSUPPORTED, -ERR_TOO_LARGE
 * naming the field; -ERR_IO, -ERR_NOMEM. */
int letter_read(const struct form *form, const struct draft_source *source, struct arena *arena,
                struct letter *ret_letter, struct err *err) MUST_USE;

#endif
