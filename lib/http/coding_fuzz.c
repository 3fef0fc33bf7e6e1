/* SPDX-License-Identifier: MIT
 * coding_fuzz.c - arbitrary bytes as a coded body: the first byte chooses the coding, the second
 *                 how the input is cut. Floor: tests of lib/http.
 * Owns: copies of its input, exactly as long.
 * Invariant: whole and cut input give the same bytes and the same verdict; nothing yields more than
 *            its size allows. */
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/check.h"
#include "lib/http/coding.h"

#define OUT_MAX ((size_t)8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0, 1 = cut short, or a code. The input is a copy of each piece: an over-read is seen. */
static int
decode(enum coding_kind kind, const uint8_t *data, size_t size, size_t step, size_t room,
       struct buf *out)
{
    struct coding *coding = NULL;
    char *piece = malloc(room);
    int rc = coding_new(kind, &coding);
    ASSERT(rc == 0 && piece != NULL);
    for (size_t at = 0; at < size && rc == 0;) {
        size_t part = MIN(step, size - at);
        char *copy = malloc(part);
        ASSERT(copy != NULL);
        memcpy(copy, data + at, part);
        struct str input = str_make(copy, part);
        size_t count = 0;
        do {
            rc = coding_next(coding, &input, piece, room, &count);
            if (rc == 0 && buf_put(out, piece, count) != 0)
                rc = -ERR_NO_SPACE;
        } while (rc == 0 && count == room);
        ASSERT(rc != 0 || input.len == 0);
        free(copy);
        at += part;
        /* a piece that was written when the ratio broke is not in `out` */
        ASSERT(out->len <= CODING_FREE_BYTES + room || out->len <= at * CODING_RATIO_MAX + room);
    }
    if (rc == 0 && !coding_complete(coding))
        rc = 1;
    coding_free(&coding);
    free(piece);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum coding_kind kind = (enum coding_kind)(CODING_GZIP + data[0] % 4);
    size_t step = data[1] % 16 + 1u;
    size_t room = data[1] / 16u * 100u + 256u;
    struct buf whole;
    struct buf cut;
    buf_init(&whole, OUT_MAX);
    buf_init(&cut, OUT_MAX);
    data += 2;
    size -= 2;
    int rc_whole = decode(kind, data, size, SIZE_MAX, 16384, &whole);
    int rc_cut = decode(kind, data, size, step, room, &cut);
    bool capped = rc_whole == -ERR_TOO_LARGE || rc_cut == -ERR_TOO_LARGE ||
                  rc_whole == -ERR_NO_SPACE || rc_cut == -ERR_NO_SPACE;
    if (!capped) {
        ASSERT(rc_whole == rc_cut);
        ASSERT(rc_whole < 0 || str_eq(buf_str(&whole), buf_str(&cut)));
    }
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
