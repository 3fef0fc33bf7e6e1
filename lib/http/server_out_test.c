/* SPDX-License-Identifier: MIT
 * server_out_test.c - block queues against a plain buffer, under random operations.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: the same bytes in the same order; an empty queue holds no block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/rand.h"
#include "lib/http/server_out.h"

static struct str
queue_bytes(const struct out_queue *queue, char *out)
{
    size_t len = 0;
    for (struct out_block *block = queue->head; block != NULL; block = block->next) {
        assert_true(block->end > block->start && block->end <= block->size);
        memcpy(out + len, block->bytes + block->start, block->end - block->start);
        len += block->end - block->start;
    }
    assert_int_equal(len, queue->bytes);
    return str_make(out, len);
}

static void
test_model(void **state)
{
    (void)state;
    static char input[40000];
    static char flat[8u << 20];
    struct out_pool pool = {0};
    struct out_queue queues[2] = {{0}};
    struct buf models[2];
    buf_init(&models[0], 8u << 20);
    buf_init(&models[1], 8u << 20);
    rand_seed(4711);
    for (unsigned step = 0; step < 20000; step++) {
        size_t q = rand_below(2);
        uint64_t what = rand_below(4);
        if (what == 0 && queues[q].bytes < 1u << 20) {
            size_t count = rand_below(8) == 0 ? rand_below(sizeof input) : rand_below(700);
            for (size_t i = 0; i < count; i++)
                input[i] = (char)(step + i);
            assert_int_equal(out_put(&pool, &queues[q], str_make(input, count)), 0);
            buf_put(&models[q], input, count);
        } else if (what == 1) {
            size_t count = rand_below(queues[q].bytes + 1);
            out_take(&pool, &queues[q], count);
            buf_consume(&models[q], count);
        } else if (what == 2 && queues[1 - q].bytes < 2u << 20) {
            size_t count = rand_below(queues[q].bytes + 1);
            assert_int_equal(out_move(&pool, &queues[1 - q], &queues[q], count), 0);
            buf_put(&models[1 - q], models[q].ptr, count);
            buf_consume(&models[q], count);
        } else if (rand_below(50) == 0) {
            out_clear(&pool, &queues[q]);
            models[q].len = 0;
        }
        if (step % 16 == 0)
            assert_true(str_eq(queue_bytes(&queues[q], flat), buf_str(&models[q])));
        assert_true((queues[q].head == NULL) == (queues[q].bytes == 0));
    }
    for (size_t q = 0; q < 2; q++) {
        assert_false(models[q].failed);
        assert_true(str_eq(queue_bytes(&queues[q], flat), buf_str(&models[q])));
        out_clear(&pool, &queues[q]);
        buf_fini(&models[q]);
    }
    out_pool_fini(&pool);
    rand_seed(0);
}

/* Large blocks come back, have room for what was asked, and what is kept has a limit. */
static void
test_huge(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        OUT_LARGE_BYTES + 1, 2 * OUT_LARGE_BYTES, 2 * OUT_LARGE_BYTES + 1, 102400,
        OUT_HUGE_BYTES_MAX,
    };
    struct out_pool pool = {0};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct out_block *block = out_block_get(&pool, sizes[i]);
        assert_true(block->size >= sizes[i] && block->size < 2 * sizes[i]);
        out_block_put(&pool, block);
        block->end = 7;
        assert_ptr_equal(out_block_get(&pool, sizes[i]), block);
        assert_int_equal(block->end, 0);
        assert_int_equal(pool.huge_bytes, 0);
        out_block_put(&pool, block);
        assert_int_equal(pool.huge_bytes, block->size);
        out_pool_fini(&pool);
    }
    struct out_block *over = out_block_get(&pool, OUT_HUGE_BYTES_MAX + 1);
    out_block_put(&pool, over);
    assert_int_equal(pool.huge_bytes, 0);
    struct out_block *blocks[2 * OUT_FREE_HUGE_BYTES / OUT_HUGE_BYTES_MAX];
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        blocks[i] = out_block_get(&pool, OUT_HUGE_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        out_block_put(&pool, blocks[i]);
    assert_int_equal(pool.huge_bytes, OUT_FREE_HUGE_BYTES);
    out_pool_fini(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model), cmocka_unit_test(test_huge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
