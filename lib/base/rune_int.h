/* SPDX-License-Identifier: MIT
 * rune_int.h - one UTF-8 character after the other, for the two printers of this folder.
 * Floor: lib/base, private to the folder; any thread. (lib/text has the full UTF-8 tools.)
 * Owns: nothing.
 * Invariant: always advances; overlong forms, surrogates and > U+10FFFF are RUNE_BAD; proved in
 *            log_test.c and metrics_test.c. */
#ifndef BERTH_LIB_BASE_RUNE_INT_H
#define BERTH_LIB_BASE_RUNE_INT_H

#include "lib/base/str.h"

#define RUNE_BAD UINT32_MAX

/* rune_next - the character at s.ptr[*at], *at < s.len; *at moves behind it. A byte that starts no
 * valid character gives RUNE_BAD and moves by one. */
uint32_t rune_next(struct str s, size_t *at);
/* rune_hostile - true for what must not reach a terminal raw: C0, DEL, C1, line separators, BIDI
 * controls, zero-width marks and RUNE_BAD. */
bool rune_hostile(uint32_t rune);

#endif
