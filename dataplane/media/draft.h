/* SPDX-License-Identifier: MIT
 * draft.h - a body that is made of a form's files and of texts between them, read in pieces: a file
 *           goes as it is, or in base64.
 * Floor: dataplane/media; one thread, no I/O: who has the form's bytes is asked for them.
 * Owns: its texts; no file, whatever its size.
 * Invariant: what is read is `bytes` long, in pieces of any size the same. draft_test.c,
 *            retouch_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_DRAFT_H
#define BERTH_DATAPLANE_MEDIA_DRAFT_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

#define DRAFT_FILES_MAX 16u
#define DRAFT_STEP_BYTES ((size_t)12u * 1024u) /* of a file at a time; of three, for base64 */
#define DRAFT_TEXT_BYTES_MAX ((size_t)1024u * 1024u)

/* Who has the form: `size` bytes at most from `at` on, into piece[size] or where they are. 0 and
 * 1..size bytes, until the next call; -ERR_IO. */
struct draft_source {
    int (*read)(void *user, uint64_t at, char *piece, size_t size, struct str *ret_bytes);
    void *user;
};
/* draft_source_fill - exactly `size` bytes, into piece[size]. 0, -ERR_IO. */
int draft_source_fill(const struct draft_source *source, uint64_t at, char *piece,
                      size_t size) MUST_USE;

enum draft_kind { DRAFT_TEXT, DRAFT_RAW, DRAFT_BASE64 };
/* start: in the draft's texts, or in the form. */
struct draft_piece {
    enum draft_kind kind;
    uint64_t start;
    uint64_t bytes;
};
struct draft {
    struct buf text; /* written by buf_put and friends; what is before a file stands before it */
    struct buf coded;
    struct draft_piece pieces[2u * DRAFT_FILES_MAX + 1u];
    uint32_t count;
    size_t cut;     /* of the texts: in a piece already */
    uint64_t bytes; /* in all; after draft_end */
    uint32_t at;    /* the piece that is read, and how far */
    uint64_t done;
};

void draft_init(struct draft *draft);
void draft_fini(struct draft *draft);
/* draft_file - here stand so many bytes of the form, from start on. More than DRAFT_FILES_MAX: the
 * draft is not to be used, draft_end says so. */
void draft_file(struct draft *draft, uint64_t start, uint64_t bytes, bool base64);
/* draft_end - it is written. 0; -ERR_TOO_LARGE, -ERR_NOMEM. */
int draft_end(struct draft *draft) MUST_USE;
/* draft_rewind - read it from its beginning. draft_next - what follows, until the next call; empty:
 * that was all. 0; -ERR_NOMEM, and as the source. */
void draft_rewind(struct draft *draft);
int draft_next(struct draft *draft, const struct draft_source *source,
               struct str *ret_bytes) MUST_USE;

#endif
