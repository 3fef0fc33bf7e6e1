/* SPDX-License-Identifier: MIT
 * rand_test.c - kernel bytes, seeds, bounds, and fork.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: parent, child and threads never share a byte stream. */
#include "lib/base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_bytes_differ(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 8, 31, 32, 255, 256, 257, 5000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t first[5001];
        uint8_t second[5001];
        memset(first, 0xa5, sizeof(first));
        memset(second, 0xa5, sizeof(second));
        rand_bytes(first, sizes[i]);
        rand_bytes(second, sizes[i]);
        assert_int_equal(first[sizes[i]], 0xa5);
        if (sizes[i] >= 8)
            assert_memory_not_equal(first, second, sizes[i]);
    }
}

static void
test_seeded_stream_repeats(void **state)
{
    (void)state;
    uint8_t first[100];
    uint8_t second[100];
    rand_seed(42);
    rand_bytes(first, sizeof(first));
    rand_seed(42);
    rand_bytes(second, sizeof(second));
    assert_memory_equal(first, second, sizeof(first));
    rand_seed(43);
    rand_bytes(second, sizeof(second));
    assert_memory_not_equal(first, second, sizeof(first));
    rand_seed(0);
    rand_bytes(first, sizeof(first));
    rand_seed(43);
    rand_bytes(second, sizeof(second));
    rand_seed(0);
    assert_memory_not_equal(first, second, sizeof(first));
}

static void
test_below(void **state)
{
    (void)state;
    static const uint64_t limits[] = {1, 2, 3, 10, 1000, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        for (int j = 0; j < 1000; j++)
            assert_true(rand_below(limits[i]) < limits[i]);
    }
    unsigned seen[6] = {0};
    rand_seed(7);
    for (int i = 0; i < 60000; i++)
        seen[rand_below(6)]++;
    rand_seed(0);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_in_range(seen[i], 9500, 10500);
}

static void
test_fork_shares_nothing(void **state)
{
    (void)state;
    int ends[2];
    uint64_t ours;
    uint64_t theirs = 0;
    (void)rand_u64(); /* the pool is full */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    ours = rand_u64();
    if (child == 0)
        _exit(write(ends[1], &ours, sizeof(ours)) == (ssize_t)sizeof(ours) ? 0 : 1);
    assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_true(ours != theirs);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void *
draw(void *user)
{
    rand_bytes(user, 32);
    return NULL;
}

static void
test_threads_share_nothing(void **state)
{
    (void)state;
    uint8_t bytes[4][32];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, bytes[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 1; i < 4; i++)
        assert_memory_not_equal(bytes[0], bytes[i], 32);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_differ),
        cmocka_unit_test(test_seeded_stream_repeats),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_fork_shares_nothing),
        cmocka_unit_test(test_threads_share_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
