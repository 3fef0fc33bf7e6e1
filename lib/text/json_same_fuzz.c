/* SPDX-License-Identifier: MIT
 * json_same_fuzz.c - any text: the scan with marks and the one without say the same of it, verdict,
 *                    message, place and nodes. The text stands alone, and in a string, an array and
 *                    nothing behind so much else that it meets blocks and windows at any place.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves json_marks.h where the CPU has what it takes, else nothing. */
#include "lib/text/json_same_test_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct buf out;
    buf_init(&out, 1 << 22);
    json_same(text);
    for (size_t row = 0; row < 3; row++) {
        static const char *const around[3][2] = {{"[\"", "\"]"}, {"[", "]"}, {"", ""}};
        /* the first two bytes say how far from the start of a window */
        size_t far = size < 2 ? 0 : ((size_t)data[0] << 8 | data[1]) % (JSON_MARKS_WINDOW + 99);
        buf_consume(&out, out.len);
        buf_put_str(&out, str_from(around[row][0]));
        for (size_t i = 0; i < far; i++) {
            buf_put_byte(&out, row == 0 ? 'a' : ' ');
        }
        buf_put_str(&out, text);
        buf_put_str(&out, str_from(around[row][1]));
        ASSERT(!out.failed);
        json_same(buf_str(&out));
    }
    buf_fini(&out);
    return 0;
}
