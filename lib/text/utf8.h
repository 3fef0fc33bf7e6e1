/* SPDX-License-Identifier: MIT
 * utf8.h - UTF-8: strict validation at memory speed, one character at a time where that is enough.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: valid means RFC 3629: shortest form, no surrogates, <= U+10FFFF. The vector and the
 *            plain validator agree on every input. Proved by utf8_test.c. */
#ifndef BERTH_LIB_TEXT_UTF8_H
#define BERTH_LIB_TEXT_UTF8_H

#include "lib/base/str.h"

/* utf8_valid_bytes - length of the longest valid prefix, in bytes; s.len when all of s is valid. It
 * never ends inside a character. */
size_t utf8_valid_bytes(struct str s);
/* utf8_valid - all of s is valid. */
bool utf8_valid(struct str s);
/* utf8_encode - write one character into out[4]; returns 1..4. code <= 0x10FFFF and no surrogate
 * (ASSERT). */
size_t utf8_encode(char out[4], uint32_t code);
/* utf8_decode - the first character of s (not empty) and its length 1..4; 0 when it is not valid.
 */
size_t utf8_decode(struct str s, uint32_t *ret_code);
/* utf8_count - characters in valid s; in any other text, bytes that are no continuation bytes. */
size_t utf8_count(struct str s);

/* The one-byte-at-a-time validator, for the test that compares them. */
size_t utf8_valid_bytes_portable(struct str s);

#endif
