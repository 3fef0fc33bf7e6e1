/* SPDX-License-Identifier: MIT
 * coding.h - content codings of bodies, undone as they arrive (RFC 9110 8.4, RFC 8878, RFC 7932).
 * Floor: lib/http; one thread at a time.
 * Owns: a decoder object, with at most the window that its coding may ask for.
 * Invariant: whole and split input decode alike; an input that is cut short is never complete, one
 *            that goes on behind its end is refused, and none yields more than CODING_RATIO_MAX
 *            times its size once it yielded CODING_FREE_BYTES; coding_test.c, coding_fuzz.c. */
#ifndef BERTH_LIB_HTTP_CODING_H
#define BERTH_LIB_HTTP_CODING_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/* What a request is told when its coding is none of ours: the value of accept-encoding. */
#define CODING_LIST "gzip, deflate, br, zstd"
#define CODING_RATIO_MAX 200u
#define CODING_FREE_BYTES (1u << 20)

enum coding_kind {
    CODING_IDENTITY,
    CODING_GZIP,    /* RFC 1952, one member or several */
    CODING_DEFLATE, /* RFC 1950: deflate inside zlib's frame */
    CODING_BR,      /* RFC 7932 */
    CODING_ZSTD,    /* RFC 8878, one frame or several; window <= 8 MiB (RFC 9659) */
    CODING_UNKNOWN  /* another one, or more than one */
};

/* coding_kind - of a content-encoding field's value. Names in any case; "x-gzip" is gzip; nothing
 * at all is identity. */
enum coding_kind coding_kind(struct str value);

struct coding;
/* coding_new - a decoder of a kind between IDENTITY and UNKNOWN. 0, -ERR_NOMEM. */
int coding_new(enum coding_kind kind, struct coding **ret_coding) MUST_USE;
void coding_free(struct coding **coding);

/* coding_next - decode into out[0..size), size > 0; *input moves past what was used.
 * *ret_count  bytes written; fewer than size: all of the input is used up
 * Returns 0; -ERR_PARSE: malformed, or bytes behind the end; -ERR_TOO_LARGE: the ratio;
 * -ERR_NOMEM. A decoder that failed goes on failing. */
int coding_next(struct coding *coding, struct str *input, char *out, size_t size,
                size_t *ret_count) MUST_USE;
/* coding_complete - the input so far is a whole body. */
bool coding_complete(const struct coding *coding);

#endif
