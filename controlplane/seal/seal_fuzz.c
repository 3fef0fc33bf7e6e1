/* SPDX-License-Identifier: MIT
 * seal_fuzz.c - texts of a store that somebody else wrote.
 * Floor: controlplane/seal; fuzz target.
 * Owns: nothing.
 * Invariant: nothing opens that was not closed with this key; what was closed opens. */
#include "controlplane/seal/seal.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3};
    static struct seal *seal;
    struct str input = str_make((const char *)data, size);
    struct str text = STR_EMPTY;
    struct str sealed;
    struct arena arena;
    if (!seal)
        ASSERT(seal_from_key(key, &seal) == 0);
    arena_init(&arena, 1u << 22);
    ASSERT(seal_open(seal, STR("a"), input, &arena, &text) < 0);
    if (seal_close(seal, STR("a"), input, &arena, &sealed) == 0) {
        ASSERT(seal_open(seal, STR("a"), sealed, &arena, &text) == 0 && str_eq(text, input));
        ASSERT(seal_open(seal, STR("b"), sealed, &arena, &text) == -ERR_SIGNATURE);
    }
    arena_fini(&arena);
    return 0;
}
