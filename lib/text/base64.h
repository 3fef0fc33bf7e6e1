/* SPDX-License-Identifier: MIT
 * base64.h - RFC 4648 base64 and base64url, strict.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: decode(encode(x)) == x; non-canonical input (white space, wrong padding, stray bits)
 * is refused. Proved by base64_test.c. */
#ifndef BERTH_LIB_TEXT_BASE64_H
#define BERTH_LIB_TEXT_BASE64_H

#include "lib/base/buf.h"

/* url: '-' and '_' and no padding. */
int base64_put(struct buf *out, struct str bytes, bool url) MUST_USE;
/* base64_decode - appends; padding required unless url. 0, -ERR_PARSE, -ERR_NOMEM, -ERR_TOO_LARGE.
 */
int base64_decode(struct buf *out, struct str text, bool url) MUST_USE;

#endif
