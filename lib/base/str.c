/* SPDX-License-Identifier: MIT
 * str.c - comparing, searching and cutting byte ranges.
 * Floor: lib/base; any thread.
 * Owns: nothing.
 * Invariant: never reads outside [ptr, ptr + len); proved in str_test.c under the address
 * sanitizer. */
#include "lib/base/str.h"

#include <stdlib.h>

#define DISTANCE_BYTES_MAX 64u

static unsigned char
ascii_lower(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20u) : byte;
}

/* Eight bytes at once; bytes above 0x7f stay as they are. */
static uint64_t
ascii_lower8(uint64_t bytes)
{
    const uint64_t ones = UINT64_MAX / 0xff;
    uint64_t low = bytes & ones * 0x7f;
    uint64_t from_a = low + ones * (0x80 - 'A'); /* the top bit: >= 'A' */
    uint64_t above_z = low + ones * (0x7f - 'Z');
    uint64_t capital = (from_a & ~above_z & ~bytes) & ones * 0x80;
    return bytes | capital >> 2;
}

static uint64_t
load_lower8(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return ascii_lower8(bytes);
}

static uint64_t
load_lower4(const char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return ascii_lower8(bytes);
}

bool
str_eq_nocase(struct str a, struct str b)
{
    size_t len = a.len;
    if (len != b.len)
        return false;
    /* The last step takes some of the bytes of the one before again. */
    if (len >= 8) {
        for (size_t i = 0; i + 8 < len; i += 8) {
            if (load_lower8(a.ptr + i) != load_lower8(b.ptr + i))
                return false;
        }
        return load_lower8(a.ptr + len - 8) == load_lower8(b.ptr + len - 8);
    }
    if (len >= 4)
        return load_lower4(a.ptr) == load_lower4(b.ptr) &&
               load_lower4(a.ptr + len - 4) == load_lower4(b.ptr + len - 4);
    for (size_t i = 0; i < len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}

int
str_cmp(struct str a, struct str b)
{
    size_t common = MIN(a.len, b.len);
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t
str_find(struct str s, struct str needle)
{
    if (needle.len == 0)
        return 0;
    if (needle.len > s.len)
        return SIZE_MAX;
    const char *at = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return at == NULL ? SIZE_MAX : (size_t)(at - s.ptr);
}

size_t
str_find_byte(struct str s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);
    return at == NULL ? SIZE_MAX : (size_t)(at - s.ptr);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool
str_cut(struct str s, char c, struct str *ret_head, struct str *ret_rest)
{
    size_t at = str_find_byte(s, c);
    if (at == SIZE_MAX) {
        *ret_head = s;
        *ret_rest = STR_EMPTY;
        return false;
    }
    *ret_head = str_make(s.ptr, at);
    *ret_rest = str_skip(s, at + 1);
    return true;
}

char *
str_dup(struct str s)
{
    size_t size;
    if (ADD_OVERFLOW(s.len, 1u, &size))
        return NULL;
    char *copy = malloc(size);
    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

bool
str_copy(char *dst, size_t size, struct str s)
{
    if (size == 0)
        return false;
    if (s.len >= size) {
        dst[0] = '\0';
        return false;
    }
    if (s.len > 0)
        memcpy(dst, s.ptr, s.len);
    dst[s.len] = '\0';
    return true;
}

unsigned
str_near_max(struct str s)
{
    return s.len < 2 ? 0 : (unsigned)MIN((s.len - 1) / 2, (size_t)3);
}

unsigned
str_distance(struct str a, struct str b)
{
    unsigned row[DISTANCE_BYTES_MAX + 1]; /* the row above, overwritten from the left */

    a.len = MIN(a.len, (size_t)DISTANCE_BYTES_MAX);
    b.len = MIN(b.len, (size_t)DISTANCE_BYTES_MAX);
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned replaced = diagonal + (a.ptr[i - 1] == b.ptr[j - 1] ? 0u : 1u);
            diagonal = row[j];
            unsigned moved = MIN(row[j], row[j - 1]) + 1u; /* inserted or deleted */
            row[j] = MIN(replaced, moved);
        }
    }
    return row[b.len];
}
