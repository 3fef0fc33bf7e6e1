/* SPDX-License-Identifier: MIT
 * mask_fuzz.c - streams of a provider that holds our key, in pieces that it chooses.
 * Floor: dataplane/view; fuzz target.
 * Owns: nothing.
 * Invariant: lengths stay; only bytes become '*'; no piece that leaves holds the key. */
#include "dataplane/view/mask.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size);
    struct mask mask;
    struct mask_run run = {0};
    struct arena arena;
    struct buf out;
    arena_init(&arena, 1u << 20);
    buf_init(&out, 1u << 20);
    ASSERT(mask_init(&mask, STR("sk-abcabcabcabcabcabcabcabcabcabcabc/+"), &arena) == 0);
    struct str piece;
    for (bool more = true; more;) {
        more = str_cut(rest, '\n', &piece, &rest);
        struct str have = mask_stream(&mask, &run, piece, piece.len % 3 != 0, &out);
        ASSERT(have.len == piece.len && !mask_holds(&mask, have));
        for (size_t i = 0; i < have.len; i++)
            ASSERT(have.ptr[i] == piece.ptr[i] || have.ptr[i] == '*');
    }
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
