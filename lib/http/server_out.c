/* SPDX-License-Identifier: MIT
 * server_out.c - queues of pooled blocks.
 * Floor: lib/http, private to the server; its loop's thread.
 * Owns: the blocks of the pool's free lists, at most OUT_FREE_* each.
 * Invariant: queue->bytes is the sum of (end - start) over its blocks, none of which is empty;
 *            server_out_test.c. */
#include "lib/http/server_out.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/err.h"

#define OUT_FREE_SMALL 1024u
#define OUT_FREE_LARGE 128u
/* Below this, copying is cheaper than one more iovec. */
#define OUT_MOVE_BYTES 1024u

static void
out_list_free(struct out_block **list)
{
    while (*list != NULL) {
        struct out_block *block = *list;
        *list = block->next;
        free(block);
    }
}

void
out_pool_fini(struct out_pool *pool)
{
    out_list_free(&pool->small);
    out_list_free(&pool->large);
    for (size_t i = 0; i < OUT_HUGE_SIZES; i++)
        out_list_free(&pool->huge[i]);
    *pool = (struct out_pool){0};
}

/* The list for blocks of at least `size` bytes, OUT_LARGE_BYTES < size <= OUT_HUGE_BYTES_MAX. */
static size_t
out_huge_index(size_t size)
{
    size_t index = 63u - LEADING_ZEROS64((uint64_t)(size - 1) / OUT_LARGE_BYTES);
    ASSERT(index < OUT_HUGE_SIZES);
    return index;
}

struct out_block *
out_block_get(struct out_pool *pool, size_t size)
{
    struct out_block *block = NULL;
    if (size <= OUT_SMALL_BYTES) {
        size = OUT_SMALL_BYTES;
        if (pool->small != NULL) {
            block = pool->small;
            pool->small = block->next;
            pool->small_count--;
        }
    } else if (size <= OUT_LARGE_BYTES) {
        size = OUT_LARGE_BYTES;
        if (pool->large != NULL) {
            block = pool->large;
            pool->large = block->next;
            pool->large_count--;
        }
    } else if (size <= OUT_HUGE_BYTES_MAX) {
        size_t index = out_huge_index(size);
        size = (size_t)OUT_LARGE_BYTES << (index + 1);
        block = pool->huge[index];
        if (block != NULL) {
            pool->huge[index] = block->next;
            pool->huge_bytes -= block->size;
        }
    }
    if (block == NULL) {
        size_t total = 0;
        if (ADD_OVERFLOW(sizeof *block, size, &total))
            return NULL;
        block = malloc(total);
        if (block == NULL)
            return NULL;
        block->size = size;
    }
    block->next = NULL;
    block->start = 0;
    block->end = 0;
    ASSERT(block->size >= size);
    return block;
}

void
out_block_put(struct out_pool *pool, struct out_block *block)
{
    if (block == NULL)
        return;
    if (block->size == OUT_SMALL_BYTES && pool->small_count < OUT_FREE_SMALL) {
        block->next = pool->small;
        pool->small = block;
        pool->small_count++;
    } else if (block->size == OUT_LARGE_BYTES && pool->large_count < OUT_FREE_LARGE) {
        block->next = pool->large;
        pool->large = block;
        pool->large_count++;
    } else if (block->size > OUT_LARGE_BYTES && block->size <= OUT_HUGE_BYTES_MAX &&
               pool->huge_bytes + block->size <= OUT_FREE_HUGE_BYTES) {
        size_t index = out_huge_index(block->size);
        block->next = pool->huge[index];
        pool->huge[index] = block;
        pool->huge_bytes += block->size;
    } else {
        free(block);
    }
}

static void
out_link(struct out_queue *queue, struct out_block *block)
{
    block->next = NULL;
    if (queue->tail == NULL)
        queue->head = block;
    else
        queue->tail->next = block;
    queue->tail = block;
}

int
out_put(struct out_pool *pool, struct out_queue *queue, struct str bytes)
{
    while (bytes.len > 0) {
        struct out_block *tail = queue->tail;
        if (tail == NULL || tail->end == tail->size) {
            tail = out_block_get(pool, MIN(bytes.len, (size_t)OUT_LARGE_BYTES));
            if (tail == NULL)
                return -ERR_NOMEM;
            out_link(queue, tail);
        }
        size_t count = MIN(bytes.len, tail->size - tail->end);
        memcpy(tail->bytes + tail->end, bytes.ptr, count);
        tail->end += count;
        queue->bytes += count;
        bytes = str_skip(bytes, count);
    }
    return 0;
}

int
out_move(struct out_pool *pool, struct out_queue *queue, struct out_queue *from, size_t count)
{
    ASSERT(count <= from->bytes);
    while (count > 0) {
        struct out_block *block = from->head;
        ASSERT(block != NULL);
        size_t have = block->end - block->start;
        if (have <= count && have >= OUT_MOVE_BYTES) {
            from->head = block->next;
            if (from->head == NULL)
                from->tail = NULL;
            from->bytes -= have;
            out_link(queue, block);
            queue->bytes += have;
            count -= have;
            continue;
        }
        size_t part = MIN(have, count);
        int r = out_put(pool, queue, str_make(block->bytes + block->start, part));
        if (r < 0)
            return r;
        out_take(pool, from, part);
        count -= part;
    }
    return 0;
}

int
out_iov(const struct out_queue *queue, struct iovec *iov, int max)
{
    int count = 0;
    for (struct out_block *block = queue->head; block != NULL && count < max; block = block->next) {
        iov[count++] = (struct iovec){block->bytes + block->start, block->end - block->start};
    }
    return count;
}

void
out_take(struct out_pool *pool, struct out_queue *queue, size_t count)
{
    ASSERT(count <= queue->bytes);
    queue->bytes -= count;
    while (count > 0) {
        struct out_block *block = queue->head;
        ASSERT(block != NULL);
        size_t have = block->end - block->start;
        if (have > count) {
            block->start += count;
            return;
        }
        count -= have;
        queue->head = block->next;
        if (queue->head == NULL)
            queue->tail = NULL;
        out_block_put(pool, block);
    }
}

void
out_clear(struct out_pool *pool, struct out_queue *queue)
{
    out_take(pool, queue, queue->bytes);
    ASSERT(queue->head == NULL && queue->tail == NULL);
}
