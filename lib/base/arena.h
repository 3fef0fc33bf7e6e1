/* SPDX-License-Identifier: MIT
 * arena.h - bump allocator: many small allocations with one life, freed at once.
 * Floor: lib/base; one thread at a time.
 * Owns: its blocks. Blocks come from and return to a per-thread free list (2.25 KiB each; larger
 *       allocations get a block of their own).
 * Invariant: total bytes handed out <= max; an idle arena holds no block. */
#ifndef BERTH_LIB_BASE_ARENA_H
#define BERTH_LIB_BASE_ARENA_H

#include "lib/base/str.h"

struct arena_block;
struct arena {
    struct arena_block *blocks;
    char *at;
    char *end;
    size_t used;
    size_t max;
};

/* arena_init - nothing allocated yet; max: cap on the sum of all allocations, bytes. */
void arena_init(struct arena *arena, size_t max);
/* arena_fini - free everything; usable again after arena_init. NULL and zeroed are fine. */
void arena_fini(struct arena *arena);
/* arena_alloc - `size` bytes, aligned to 16, not zeroed; NULL when over the cap or no memory. What
 * alignment wastes counts towards the cap. */
void *arena_alloc(struct arena *arena, size_t size) MUST_USE;
/* arena_zalloc - the same, zeroed. */
void *arena_zalloc(struct arena *arena, size_t size) MUST_USE;
/* arena_array - count * size with overflow check, zeroed. */
void *arena_array(struct arena *arena, size_t count, size_t size) MUST_USE;
/* arena_dup - copy of s with a NUL behind it; *ret_str.ptr is NULL on failure: returns 0 or
 * -ERR_NOMEM. */
int arena_dup(struct arena *arena, struct str s, struct str *ret_copy) MUST_USE;
/* arena_printf - formatted, NUL-terminated; empty string with ptr NULL on failure. */
struct str arena_printf(struct arena *arena, const char *format, ...) PRINTF(2, 3);

#define ARENA_NEW(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))

#endif
