/* SPDX-License-Identifier: MIT
 * num_fuzz.c - any bytes into every parser of numbers and hex; what is accepted reads back alike.
 * Floor: lib/base, fuzz.
 * Owns: nothing.
 * Invariant: an accepted number written again is the same text: there is one spelling of each. */
#include "lib/base/num.h"

#include "lib/base/check.h"
#include "lib/base/digest.h"
#include "lib/base/rune_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_make((const char *)data, size);
    uint64_t value = 0;
    int64_t number = 0;
    char text[20];
    uint8_t bytes[64];

    if (num_u64(s, UINT64_MAX, &value) == 0)
        ASSERT(str_eq(s, str_make(text, num_write_u64(text, value))));
    if (num_i64(s, INT64_MIN, INT64_MAX, &number) == 0 && number >= 0)
        ASSERT(num_u64(s, INT64_MAX, &value) == 0 && value == (uint64_t)number);
    if (num_duration_ms(s, 1000000, &value) == 0)
        ASSERT(value <= 1000000);
    if (num_size_bytes(s, 1000000, &value) == 0)
        ASSERT(value <= 1000000);
    if (num_hex_u64(s, &value) == 0)
        ASSERT(size >= 1 && size <= 16);
    if (size / 2 <= sizeof(bytes) && hex_decode(s, bytes, size / 2) == 0) {
        char hex[2 * sizeof(bytes) + 1];
        hex_encode(bytes, size / 2, hex);
        ASSERT(str_eq_nocase(s, str_from(hex)));
    }
    size_t at = 0;
    while (at < size) {
        size_t before = at;
        (void)rune_hostile(rune_next(s, &at));
        ASSERT(at > before && at <= size);
    }
    return 0;
}
