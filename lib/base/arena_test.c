/* SPDX-License-Identifier: MIT
 * arena_test.c - alignment, caps, large blocks and reuse.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: every piece keeps the bytes that were written to it. */
#include "lib/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "lib/base/err.h"
#include "lib/base/rand.h"

static void
test_pieces_do_not_overlap(void **state)
{
    (void)state;
    struct {
        unsigned char *at;
        size_t size;
        unsigned char mark;
    } pieces[500];
    rand_seed(20240601);
    for (int round = 0; round < 20; round++) {
        struct arena arena;
        arena_init(&arena, 8u << 20);
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
            pieces[i].size = (size_t)rand_below(i % 10 == 0 ? 10000 : 200);
            pieces[i].mark = (unsigned char)rand_u64();
            pieces[i].at = arena_alloc(&arena, pieces[i].size);
            assert_non_null(pieces[i].at);
            assert_int_equal((uintptr_t)pieces[i].at % 16, 0);
            memset(pieces[i].at, pieces[i].mark, pieces[i].size);
        }
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
            for (size_t j = 0; j < pieces[i].size; j++)
                assert_int_equal(pieces[i].at[j], pieces[i].mark);
        }
        arena_fini(&arena);
        assert_null(arena.blocks);
    }
    rand_seed(0);
}

static void
test_cap(void **state)
{
    (void)state;
    static const struct {
        size_t max, first, second;
        bool first_fits, second_fits;
    } rows[] = {
        {0, 1, 0, false, true},
        {100, 100, 1, true, false},
        {100, 101, 100, false, true},
        {64, 32, 32, true, true},
        {64, 32, 33, true, false},
        {5000, 3000, 3000, true, false},
        {6016, 3000, 3000, true, true},
        {SIZE_MAX, SIZE_MAX, 1, false, true},
        {SIZE_MAX, SIZE_MAX - 10, 1, false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        arena_init(&arena, rows[i].max);
        assert_int_equal(arena_alloc(&arena, rows[i].first) != NULL, rows[i].first_fits);
        assert_int_equal(arena_alloc(&arena, rows[i].second) != NULL, rows[i].second_fits);
        assert_true(arena.used <= arena.max);
        arena_fini(&arena);
    }
}

static void
test_padding_counts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1600);
    size_t count = 0;
    while (arena_alloc(&arena, 1) != NULL)
        count++;
    assert_int_equal(count, 100);
    arena_fini(&arena);
}

static void
test_helpers(void **state)
{
    (void)state;
    struct arena arena;
    struct str copy = STR("untouched");
    arena_init(&arena, 10000);
    assert_int_equal(arena_dup(&arena, STR("hello"), &copy), 0);
    assert_string_equal(copy.ptr, "hello");
    assert_int_equal(copy.len, 5);
    assert_int_equal(arena_dup(&arena, str_make("x", SIZE_MAX), &copy), -ERR_NOMEM);
    assert_string_equal(copy.ptr, "hello");
    const unsigned char *zeros = arena_array(&arena, 50, 8);
    assert_non_null(zeros);
    for (size_t i = 0; i < 400; i++)
        assert_int_equal(zeros[i], 0);
    assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    /* Over the end of a block, at every distance from it. */
    for (int width = 1; width < 120; width++) {
        struct str text = arena_printf(&arena, "%*d", width, 7);
        if (text.ptr == NULL)
            break;
        assert_int_equal(text.len, width);
        assert_int_equal(strlen(text.ptr), width);
        assert_int_equal(text.ptr[width - 1], '7');
    }
    arena_fini(&arena);
    arena_init(&arena, 16);
    assert_null(arena_printf(&arena, "%020d", 1).ptr);
    assert_string_equal(arena_printf(&arena, "%015d", 1).ptr, "000000000000001");
    arena_fini(&arena);
    arena_fini(NULL);
}

static void *
use_many_blocks(void *user)
{
    struct arena arena;
    arena_init(&arena, 4u << 20);
    bool *done = user;
    *done = true;
    for (size_t i = 0; i < 1000; i++)
        *done = *done && arena_alloc(&arena, 2000) != NULL;
    arena_fini(&arena);
    return NULL;
}

static void
test_a_thread_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        bool done = false;
        assert_int_equal(pthread_create(&thread, NULL, use_many_blocks, &done), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(done);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_do_not_overlap),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_padding_counts),
        cmocka_unit_test(test_helpers),
        cmocka_unit_test(test_a_thread_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
