/* SPDX-License-Identifier: MIT
 * str.h - borrowed byte ranges: pointer and length, no NUL, no ownership.
 * Floor: lib/base; any thread.
 * Owns: nothing. Whoever made the bytes says how long they live.
 * Invariant: ptr is never NULL when len > 0. */
#ifndef BERTH_LIB_BASE_STR_H
#define BERTH_LIB_BASE_STR_H

#include <stdbool.h>
#include <string.h>

#include "lib/base/cc.h"

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_EMPTY ((struct str){"", 0})
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) ((int)(s).len), (s).ptr

static inline struct str
str_make(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}
static inline struct str
str_from(const char *nul_terminated)
{
    return (struct str){nul_terminated, strlen(nul_terminated)};
}
static INLINE bool
str_eq(struct str a, struct str b)
{
    /* b.len, which the compiler knows of a literal: then this is a few instructions, no call. */
    return a.len == b.len && (b.len == 0 || memcmp(a.ptr, b.ptr, b.len) == 0);
}
static INLINE bool
str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
static inline bool
str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}
static inline struct str
str_skip(struct str s, size_t count)
{
    return count >= s.len ? STR_EMPTY : str_make(s.ptr + count, s.len - count);
}

/* ASCII only; locale never matters. */
bool str_eq_nocase(struct str a, struct str b);
/* <0, 0, >0 as memcmp, shorter first on a common prefix. */
int str_cmp(struct str a, struct str b);
/* Offset of the first `needle` in s, or SIZE_MAX. An empty needle is at 0. */
size_t str_find(struct str s, struct str needle);
/* Offset of the first byte c, or SIZE_MAX. */
size_t str_find_byte(struct str s, char c);
/* Without leading and trailing space, tab, CR, LF. */
struct str str_trim(struct str s);
/* str_cut - split at the first byte c: *ret_head before it, *rest after it. false (and head = all,
 * rest = empty) when c does not occur. `rest` may alias the input variable. */
bool str_cut(struct str s, char c, struct str *ret_head, struct str *ret_rest);
/* str_dup - heap copy with a NUL behind it; NULL on no memory. Caller frees with free(). */
char *str_dup(struct str s) MUST_USE;
/* str_copy - NUL-terminated copy into dst[size]; false, and an empty dst, when it does not fit. */
bool str_copy(char *dst, size_t size, struct str s) MUST_USE;
/* str_distance - Levenshtein distance, for "did you mean"; both cut at 64 bytes. */
unsigned str_distance(struct str a, struct str b);
/* str_near_max - how far a name may be from s to be suggested for it: less than half of s, 3 at
 * most; what is farther is no typo. */
unsigned str_near_max(struct str s);

#endif
