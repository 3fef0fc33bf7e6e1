/* SPDX-License-Identifier: MIT
 * draft.c - see draft.h.
 * Floor: dataplane/media; one thread.
 * Owns: see draft.h.
 * Invariant: see draft.h. */
#include "dataplane/media/draft.h"

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/text/base64.h"

_Static_assert(DRAFT_STEP_BYTES % 3 == 0, "no padding within a file");

int
draft_source_fill(const struct draft_source *source, uint64_t at, char *piece, size_t size)
{
    size_t have = 0;
    while (have < size) {
        struct str bytes;
        int rc = source->read(source->user, at + have, piece + have, size - have, &bytes);
        if (rc != 0)
            return rc;
        ASSERT(bytes.len > 0 && bytes.len <= size - have);
        if (bytes.ptr != piece + have)
            memcpy(piece + have, bytes.ptr, bytes.len);
        have += bytes.len;
    }
    return 0;
}

void
draft_init(struct draft *draft)
{
    *draft = (struct draft){.count = 0};
    buf_init(&draft->text, DRAFT_TEXT_BYTES_MAX);
    buf_init(&draft->coded, 2u * DRAFT_STEP_BYTES);
}

void
draft_fini(struct draft *draft)
{
    buf_fini(&draft->text);
    buf_fini(&draft->coded);
    draft->count = 0;
}

static void
add_piece(struct draft *draft, enum draft_kind kind, uint64_t start, uint64_t bytes)
{
    if (draft->count == ARRAY_LEN(draft->pieces))
        draft->text.failed = true;
    else if (bytes > 0)
        draft->pieces[draft->count++] = (struct draft_piece){kind, start, bytes};
}

static void
cut_text(struct draft *draft)
{
    add_piece(draft, DRAFT_TEXT, draft->cut, draft->text.len - draft->cut);
    draft->cut = draft->text.len;
}

void
draft_file(struct draft *draft, uint64_t start, uint64_t bytes, bool base64)
{
    cut_text(draft);
    add_piece(draft, base64 ? DRAFT_BASE64 : DRAFT_RAW, start, bytes);
}

int
draft_end(struct draft *draft)
{
    cut_text(draft);
    draft->bytes = 0;
    for (uint32_t i = 0; i < draft->count; i++) {
        uint64_t bytes = draft->pieces[i].bytes;
        draft->bytes += draft->pieces[i].kind == DRAFT_BASE64 ? (bytes + 2) / 3 * 4 : bytes;
    }
    draft_rewind(draft);
    if (draft->text.failed)
        return draft->count == ARRAY_LEN(draft->pieces) ? -ERR_TOO_LARGE : -ERR_NOMEM;
    return 0;
}

void
draft_rewind(struct draft *draft)
{
    draft->at = 0;
    draft->done = 0;
}

int
draft_next(struct draft *draft, const struct draft_source *source, struct str *ret_bytes)
{
    UNINIT char step[DRAFT_STEP_BYTES];
    *ret_bytes = STR_EMPTY;
    if (draft->at == draft->count)
        return 0;
    const struct draft_piece *piece = &draft->pieces[draft->at];
    size_t size = (size_t)MIN(piece->bytes - draft->done, (uint64_t)DRAFT_STEP_BYTES);
    int rc = 0;
    if (piece->kind == DRAFT_TEXT) {
        size = (size_t)piece->bytes;
        *ret_bytes = str_make(draft->text.ptr + piece->start, size);
    } else {
        rc = draft_source_fill(source, piece->start + draft->done, step, size);
        draft->coded.len = 0;
        if (rc == 0 && piece->kind == DRAFT_BASE64)
            rc = base64_put(&draft->coded, str_make(step, size), false);
        else if (rc == 0)
            rc = buf_put(&draft->coded, step, size);
        *ret_bytes = buf_str(&draft->coded);
    }
    draft->done += size;
    if (draft->done == piece->bytes) {
        draft->at++;
        draft->done = 0;
    }
    return rc;
}
