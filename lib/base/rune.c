/* SPDX-License-Identifier: MIT
 * rune.c - strict UTF-8 decoding, one character at a time.
 * Floor: lib/base, private to the folder; any thread.
 * Owns: nothing.
 * Invariant: never reads outside s; accepts exactly RFC 3629; proved in log_test.c. */
#include "lib/base/rune_int.h"

#include "lib/base/check.h"

uint32_t
rune_next(struct str s, size_t *at)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    ASSERT(*at < s.len);
    unsigned char first = (unsigned char)s.ptr[(*at)++];
    if (first < 0x80)
        return first;
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || s.len - *at < more)
        return RUNE_BAD;
    uint32_t rune = first & (0x3fu >> more);
    for (size_t i = 0; i < more; i++) {
        unsigned char next = (unsigned char)s.ptr[*at + i];
        if ((next & 0xc0u) != 0x80)
            return RUNE_BAD;
        rune = rune << 6 | (next & 0x3fu);
    }
    if (rune < smallest[more] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return RUNE_BAD;
    *at += more;
    return rune;
}

bool
rune_hostile(uint32_t rune)
{
    return rune < 0x20 || (rune >= 0x7f && rune <= 0x9f) || rune == 0x61c ||
           (rune >= 0x200b && rune <= 0x200f) || (rune >= 0x2028 && rune <= 0x202e) ||
           (rune >= 0x2060 && rune <= 0x206f) || rune == 0xfeff || rune == RUNE_BAD;
}
