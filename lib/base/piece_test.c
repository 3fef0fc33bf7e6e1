/* SPDX-License-Identifier: MIT
 * piece_test.c - pieces do not overlap, keep their bytes when they grow, and are given back.
 * Floor: lib/base, tests.
 * Owns: nothing.
 * Invariant: what piece.h promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cc.h"
#include "lib/base/piece.h"

#define SLOTS 512u

struct slot {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static void
check_slot(const struct slot *slot, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(slot->at[i], slot->mark);
}

static void
test_random_life(void **state)
{
    (void)state;
    static struct slot slots[SLOTS];
    uint32_t seed = 1;
    for (unsigned step = 0; step < 200000; step++) {
        seed = seed * 1664525u + 1013904223u;
        struct slot *slot = &slots[(seed >> 8) % SLOTS];
        size_t size = (seed >> 17) % ((seed & 64) != 0 ? 9000u : 300u) + 1;
        size_t kept = 0;
        if (slot->at == NULL) {
            slot->at = (seed & 16) != 0 ? piece_calloc(1, size) : piece_alloc(size);
            slot->mark = 0;
            if ((seed & 16) != 0)
                check_slot(slot, size);
        } else if ((seed & 32) != 0) {
            check_slot(slot, slot->size);
            kept = MIN(size, slot->size);
            slot->at = piece_realloc(slot->at, size);
        } else {
            check_slot(slot, slot->size);
            piece_free(slot->at);
            slot->at = NULL;
            continue;
        }
        assert_non_null(slot->at);
        assert_int_equal((uintptr_t)slot->at % 16, 0);
        check_slot(slot, kept);
        slot->mark = (unsigned char)(step | 1u);
        slot->size = size;
        memset(slot->at, slot->mark, size);
    }
    for (size_t i = 0; i < SLOTS; i++)
        piece_free(slots[i].at);
}

static void
test_edges(void **state)
{
    (void)state;
    piece_free(NULL);
    assert_null(piece_alloc(SIZE_MAX));
    assert_null(piece_alloc(SIZE_MAX - 20));
    assert_null(piece_calloc(SIZE_MAX / 2, 3));
    unsigned char *grown = piece_realloc(NULL, 1);
    for (size_t size = 2; size < 100000; size = size * 3 / 2 + 1) {
        memset(grown, 7, size / 2);
        grown = piece_realloc(grown, size);
        assert_non_null(grown);
        assert_int_equal(grown[size / 2 - 1], 7);
    }
    grown = piece_realloc(grown, 1); /* back among the small */
    assert_int_equal(grown[0], 7);
    piece_free(grown);
    void *none = piece_alloc(0);
    assert_non_null(none);
    piece_free(none);
    static void *many[4000];
    for (size_t i = 0; i < ARRAY_LEN(many); i++) /* more than is kept */
        assert_non_null(many[i] = piece_alloc(1000));
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        piece_free(many[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_life),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
