/* SPDX-License-Identifier: MIT
 * server_out.h - byte queues made of pooled blocks: what waits for a socket, and collected bodies.
 * Floor: lib/http, private to the server; its loop's thread.
 * Owns: blocks. A block belongs to one queue, one body or the pool.
 * Invariant: an empty queue holds no block, so an idle stream holds none; server_out_test.c. */
#ifndef BERTH_LIB_HTTP_SERVER_OUT_H
#define BERTH_LIB_HTTP_SERVER_OUT_H

#include <sys/uio.h>

#include "lib/base/str.h"

/* Two pooled sizes: most answers and SSE events fit the first, an h2 DATA frame is the second.
 * The small one is not a power of two: blocks side by side then use different cache sets. */
#define OUT_SMALL_BYTES 1096u
#define OUT_LARGE_BYTES 16384u
/* Collected bodies: doubling sizes above the large one, kept warm up to OUT_FREE_HUGE_BYTES a
 * pool. */
#define OUT_HUGE_SIZES 7u
#define OUT_HUGE_BYTES_MAX (OUT_LARGE_BYTES << OUT_HUGE_SIZES)
#define OUT_FREE_HUGE_BYTES (32u << 20)

/* bytes[start..end) are used, of size. */
struct out_block {
    struct out_block *next;
    size_t start;
    size_t end;
    size_t size;
    char bytes[];
};
struct out_pool {
    struct out_block *small;
    struct out_block *large;
    struct out_block *huge[OUT_HUGE_SIZES]; /* of OUT_LARGE_BYTES << (i + 1) */
    size_t huge_bytes;                      /* sum of sizes in them */
    uint32_t small_count;
    uint32_t large_count;
};
struct out_queue {
    struct out_block *head;
    struct out_block *tail;
    size_t bytes;
};

void out_pool_fini(struct out_pool *pool);
/* out_block_get - an empty block with room for at least size bytes; NULL on no memory. */
struct out_block *out_block_get(struct out_pool *pool, size_t size) MUST_USE;
void out_block_put(struct out_pool *pool, struct out_block *block);

/* out_put - append a copy. 0 or -ERR_NOMEM (then a part may have been appended). */
int out_put(struct out_pool *pool, struct out_queue *queue, struct str bytes) MUST_USE;
/* out_move - append the first count <= from->bytes bytes of `from`; whole blocks change hands,
 * small pieces are copied. 0 or -ERR_NOMEM. */
int out_move(struct out_pool *pool, struct out_queue *queue, struct out_queue *from,
             size_t count) MUST_USE;
/* out_iov - describe the front of the queue in iov[max]; returns the count used. */
int out_iov(const struct out_queue *queue, struct iovec *iov, int max);
/* out_take - drop count <= bytes from the front. */
void out_take(struct out_pool *pool, struct out_queue *queue, size_t count);
void out_clear(struct out_pool *pool, struct out_queue *queue);

#endif
