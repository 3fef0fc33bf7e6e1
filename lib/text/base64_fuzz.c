/* SPDX-License-Identifier: MIT
 * base64_fuzz.c - what decodes encodes back to the same text.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves base64.h. */
#include "lib/text/base64.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    for (int url = 0; url < 2; url++) {
        struct buf bytes;
        struct buf again;
        buf_init(&bytes, 1 << 20);
        buf_init(&again, 1 << 20);
        if (base64_decode(&bytes, text, url != 0) == 0) {
            int rc = base64_put(&again, buf_str(&bytes), url != 0);
            ASSERT(rc == 0 && str_eq(buf_str(&again), text));
        }
        buf_fini(&bytes);
        buf_fini(&again);
    }
    return 0;
}
