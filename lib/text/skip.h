/* SPDX-License-Identifier: MIT
 * skip.h - vector loops that run over bytes of no interest: string content, line content.
 * Floor: lib/text; any thread.
 * Owns: nothing.
 * Invariant: every variant stops at the same byte and reads nothing outside [at, end).
 *            Proved by skip_test.c against one-byte loops. */
#ifndef BERTH_LIB_TEXT_SKIP_H
#define BERTH_LIB_TEXT_SKIP_H

#include <stdbool.h>

#include "lib/base/cc.h"

/* skip_plain - first byte of [at, end) that a JSON string cannot hold as it is: '"', '\\', below
 * 0x20; end when there is none. at may equal end, here and below. */
const char *skip_plain(const char *at, const char *end);
/* skip_line - first CR or LF, or end. */
const char *skip_line(const char *at, const char *end);

/* skip_string_fn - over JSON string content with its two-byte escapes: the closing quote, a byte
 * below 0x20, the backslash of any other escape (\u, unknown ones, one that `end` cuts), or end.
 * Sets *ret_escaped when an escape was passed, else leaves it. Bytes >= 0x80 are passed over: UTF-8
 * is judged by utf8.h. */
typedef const char *(*skip_string_fn)(const char *at, const char *end, bool *ret_escaped);
/* skip_string_best - the variant for this CPU. */
skip_string_fn skip_string_best(void);

/* The variants, for the test that compares them. skip_string_wide needs AVX2 (skip_have_wide) and
 * is the narrow one where it was not compiled. */
const char *skip_string_narrow(const char *at, const char *end, bool *ret_escaped);
const char *skip_string_wide(const char *at, const char *end, bool *ret_escaped);
bool skip_have_wide(void);

#endif
