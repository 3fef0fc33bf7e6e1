/* SPDX-License-Identifier: MIT
 * coded.c - a decoder between a provider's bytes and their reader.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: see coded.h.
 * Invariant: see coded.h. */
#include "dataplane/pipeline/coded.h"

#include "lib/http/coding.h"

#define PIECE_BYTES ((size_t)16u * 1024u)

int
coded_head(struct attempt *attempt, const struct http_head *head)
{
    enum coding_kind kind = CODING_IDENTITY;
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (str_eq(head->fields[i].name, STR("content-encoding")))
            kind = kind == CODING_IDENTITY ? coding_kind(head->fields[i].value) : CODING_UNKNOWN;
    }
    if (LIKELY(kind == CODING_IDENTITY))
        return 0;
    return kind == CODING_UNKNOWN ? -ERR_UNSUPPORTED : coding_new(kind, &attempt->coding);
}

int
coded_body(struct http_call *call, struct str bytes,
           void (*take)(struct http_call *call, struct str bytes))
{
    struct exchange *x = http_call_user(call);
    char piece[PIECE_BYTES];
    size_t count = sizeof(piece);
    while (count == sizeof(piece)) {
        count = 0;
        int rc = coding_next(x->attempt.coding, &bytes, piece, sizeof(piece), &count);
        if (count > 0)
            take(call, str_make(piece, count));
        if (x->attempt.call != call || x->attempt.coding == NULL)
            return 0; /* the attempt has ended meanwhile */
        if (rc != 0)
            return rc;
    }
    return 0;
}

bool
coded_whole(const struct attempt *attempt)
{
    return attempt->coding == NULL || coding_complete(attempt->coding);
}

void
coded_end(struct attempt *attempt)
{
    if (attempt->coding != NULL)
        coding_free(&attempt->coding);
}
