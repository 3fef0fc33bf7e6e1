/* SPDX-License-Identifier: MIT
 * arena.c - the bump allocator over blocks that hold what a usual request needs.
 * Floor: lib/base; one thread at a time; blocks may be freed on another thread than took them.
 * Owns: per thread a list of at most 256 idle blocks, freed when the thread ends.
 * Invariant: used <= max and counts every byte handed out; proved in arena_test.c. */
#include "lib/base/arena.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/err.h"

#define BLOCK_BYTES 2304u
#define ALIGN_BYTES 16u
#define IDLE_BLOCKS_MAX 256u

/* Under the address sanitizer each piece is a block of its own that goes back to malloc at once, so
 * that a byte too far, or a use after the end of a request, is seen. For coverage it is so, too
 * (BERTH_SEPARATE): tests in which the nth allocation fails reach every piece. */
#if defined(__SANITIZE_ADDRESS__) || defined(BERTH_SEPARATE)
#define SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEPARATE 1
#endif
#endif
#ifndef SEPARATE
#define SEPARATE 0
#endif
#define IDLE_BLOCKS_KEPT (SEPARATE ? 0u : IDLE_BLOCKS_MAX)

struct arena_block {
    struct arena_block *next;
    size_t size; /* of the whole block, this header included */
    char bytes[] ALIGNED(ALIGN_BYTES);
};
_Static_assert(sizeof(struct arena_block) == ALIGN_BYTES, "the payload starts aligned");
_Static_assert(BLOCK_BYTES % ALIGN_BYTES == 0, "the payload ends aligned");

#define PAYLOAD_BYTES (BLOCK_BYTES - sizeof(struct arena_block))

struct idle {
    struct arena_block *blocks;
    size_t count;
    bool registered;
};
static _Thread_local struct idle idle;
static pthread_key_t idle_key;
static pthread_once_t idle_once = PTHREAD_ONCE_INIT;

static void
idle_free(void *user)
{
    struct idle *list = user;
    while (list->blocks != NULL) {
        struct arena_block *block = list->blocks;
        list->blocks = block->next;
        free(block);
    }
    list->count = 0;
    list->registered = false;
}

static void
idle_setup(void)
{
    ASSERT(pthread_key_create(&idle_key, idle_free) == 0);
}

static void
idle_put(struct arena_block *block)
{
    if (UNLIKELY(idle.count + 1 > IDLE_BLOCKS_KEPT)) {
        free(block);
        return;
    }
    if (UNLIKELY(!idle.registered)) {
        pthread_once(&idle_once, idle_setup);
        if (pthread_setspecific(idle_key, &idle) != 0) {
            free(block);
            return;
        }
        idle.registered = true;
    }
    block->next = idle.blocks;
    idle.blocks = block;
    idle.count++;
}

static struct arena_block *
block_new(size_t payload)
{
    struct arena_block *block = idle.blocks;
    if (LIKELY(!SEPARATE && payload <= PAYLOAD_BYTES)) {
        if (LIKELY(block != NULL)) {
            idle.blocks = block->next;
            idle.count--;
            return block;
        }
        payload = PAYLOAD_BYTES;
    }
    size_t size;
    if (ADD_OVERFLOW(payload, sizeof(*block), &size))
        return NULL;
    block = malloc(size);
    if (block != NULL)
        block->size = size;
    return block;
}

void
arena_init(struct arena *arena, size_t max)
{
    *arena = (struct arena){.max = max};
}

void
arena_fini(struct arena *arena)
{
    if (arena == NULL)
        return;
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *next = block->next;
        if (LIKELY(block->size == BLOCK_BYTES))
            idle_put(block);
        else
            free(block);
        block = next;
    }
    *arena = (struct arena){.max = arena->max};
}

/* A new block for `size` bytes. A large one goes behind the first, which is bumped on. */
static void *
arena_extend(struct arena *arena, size_t size)
{
    struct arena_block *block = block_new(size);
    if (block == NULL)
        return NULL;
    if (size > PAYLOAD_BYTES && arena->blocks != NULL) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block->bytes;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->at = block->bytes + size;
    arena->end = block->bytes + (block->size - sizeof(*block));
    return block->bytes;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    if (UNLIKELY(size > arena->max - arena->used))
        return NULL;
    size_t whole = (MAX(size, (size_t)1) + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (UNLIKELY(whole < size))
        return NULL;
    void *result = arena->at;
    if (SEPARATE)
        result = arena_extend(arena, MAX(size, (size_t)1));
    else if (LIKELY(whole <= (size_t)(arena->end - arena->at)))
        arena->at += whole;
    else
        result = arena_extend(arena, whole);
    /* The padding counts, or a flood of 1-byte pieces would take 16 times the cap. */
    if (LIKELY(result != NULL))
        arena->used += MIN(whole, arena->max - arena->used);
    return result;
}

void *
arena_zalloc(struct arena *arena, size_t size)
{
    void *result = arena_alloc(arena, size);
    if (result != NULL)
        memset(result, 0, size);
    return result;
}

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (MUL_OVERFLOW(count, size, &total))
        return NULL;
    return arena_zalloc(arena, total);
}

int
arena_dup(struct arena *arena, struct str s, struct str *ret_copy)
{
    char *copy = NULL;
    size_t size;
    if (!ADD_OVERFLOW(s.len, 1u, &size))
        copy = arena_alloc(arena, size);
    if (copy == NULL)
        return -ERR_NOMEM;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    *ret_copy = str_make(copy, s.len);
    return 0;
}

struct str
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    /* Written straight into what is left of the block; a second time only when it did not fit. */
    size_t room = (size_t)(arena->end - arena->at);
    int count = vsnprintf(arena->at, room, format, args);
    char *text = count < 0 ? NULL : arena_alloc(arena, (size_t)count + 1);
    if (text != NULL && (size_t)count >= room)
        count = vsnprintf(text, (size_t)count + 1, format, again);
    va_end(again);
    va_end(args);
    return text == NULL || count < 0 ? str_make(NULL, 0) : str_make(text, (size_t)count);
}
