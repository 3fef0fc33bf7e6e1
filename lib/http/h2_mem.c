/* SPDX-License-Identifier: MIT
 * h2_mem.c - piece.h in nghttp2's shape.
 * Floor: lib/http, private; any thread.
 * Owns: nothing.
 * Invariant: see h2_mem.h; every HTTP/2 test runs over it. */
#include "lib/http/h2_mem.h"

#include "lib/base/piece.h"

static void *
mem_alloc(size_t size, void *user)
{
    (void)user;
    return piece_alloc(size);
}

static void
mem_free(void *at, void *user)
{
    (void)user;
    piece_free(at);
}

static void *
mem_calloc(size_t count, size_t size, void *user)
{
    (void)user;
    return piece_calloc(count, size);
}

static void *
mem_realloc(void *at, size_t size, void *user)
{
    (void)user;
    return piece_realloc(at, size);
}

nghttp2_mem *
h2_mem(void)
{
    static nghttp2_mem mem = {NULL, mem_alloc, mem_free, mem_calloc, mem_realloc};
    return &mem;
}
