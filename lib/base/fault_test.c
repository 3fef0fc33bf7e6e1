/* SPDX-License-Identifier: MIT
 * fault_test.c - the nth allocation fails, n = 1 until none is left to fail, for each part of the
 * room. Floor: lib/base, test. Skipped under the sanitizers, which bring their own malloc. Owns:
 * malloc and its kin in this program. Invariant: a failure is -ERR_NOMEM, leaks nothing, and leaves
 * what was there before as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/metrics.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__) && \
    !defined(__clang__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);

static long fail_in; /* the how-manyth allocation from now on fails; 0 = none */
static long live;    /* allocated and not freed */

static bool
fails_now(void)
{
    return fail_in > 0 && --fail_in == 0;
}

void *
malloc(size_t size)
{
    void *result = fails_now() ? NULL : __libc_malloc(size);
    live += result != NULL ? 1 : 0;
    return result;
}

void *
calloc(size_t count, size_t size)
{
    void *result = fails_now() ? NULL : __libc_calloc(count, size);
    live += result != NULL ? 1 : 0;
    return result;
}

void *
realloc(void *ptr, size_t size)
{
    void *result = fails_now() ? NULL : __libc_realloc(ptr, size);
    live += ptr == NULL && result != NULL ? 1 : 0;
    return result;
}

void
free(void *ptr)
{
    live -= ptr != NULL ? 1 : 0;
    __libc_free(ptr);
}

static int
use_buf(void)
{
    static const char bytes[100];
    struct buf buf;
    int r = 0;
    buf_init(&buf, 10000);
    for (int i = 0; r == 0 && i < 50; i++) {
        size_t before = buf.len;
        r = buf_put(&buf, bytes, sizeof(bytes));
        assert_int_equal(buf.len, r == 0 ? before + sizeof(bytes) : before);
        assert_int_equal(buf.failed, r != 0);
    }
    buf_fini(&buf);
    return r;
}

static int
use_map(void)
{
    static const char names[] = "abcdefghijklmnopqrstuvwxyz";
    struct map map;
    int r = 0;
    map_init(&map);
    for (size_t i = 0; r == 0 && i < 26; i++) {
        void *old = &map;
        size_t before = map.count;
        r = map_put(&map, str_make(names + i, 1), &map, &old);
        assert_ptr_equal(old, r == 0 ? NULL : (void *)&map);
        assert_int_equal(map.count, r == 0 ? before + 1 : before);
        for (size_t j = 0; j < map.count; j++)
            assert_non_null(map_get(&map, str_make(names + j, 1)));
    }
    map_fini(&map);
    return r;
}

static int
use_arena(void)
{
    struct arena arena;
    int r = 0;
    arena_init(&arena, 1u << 20);
    for (int i = 0; r == 0 && i < 5; i++) {
        size_t before = arena.used;
        if (arena_alloc(&arena, 5000) == NULL)
            r = -ERR_NOMEM;
        assert_int_equal(arena.used, r == 0 ? before + 5008 : before);
    }
    arena_fini(&arena);
    return r;
}

static int
use_str(void)
{
    char *copy = str_dup(STR("copy"));
    int r = copy == NULL ? -ERR_NOMEM : 0;
    free(copy);
    return r;
}

static int
use_metrics(void)
{
    static const struct metric_def defs[] = {{"a_total", "A.", METRIC_COUNTER, {"b"}}};
    struct metrics *metrics = NULL;
    int r = metrics_new(defs, 1, 10, &metrics);
    assert_int_equal(metrics == NULL, r != 0);
    metrics_free(&metrics);
    return r;
}

static int
use_ed25519(void)
{
    struct ed25519_key *key = NULL;
    uint8_t signature[ED25519_SIGNATURE_BYTES];
    int r = ed25519_generate(&key);
    assert_int_equal(key == NULL, r != 0);
    if (r == 0)
        r = ed25519_sign(key, STR("message"), signature);
    ed25519_free(&key);
    return r;
}

static void
test_each_allocation_fails_once(void **state)
{
    (void)state;
    static const struct {
        int (*use)(void);
        bool counted; /* OpenSSL keeps an error queue of its own */
    } rows[] = {{use_buf, true}, {use_map, true},     {use_arena, true},
                {use_str, true}, {use_metrics, true}, {use_ed25519, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(rows[i].use(), 0); /* what is made once is made now */
        long nth = 1;
        for (int r = -1; r != 0; nth++) {
            long before = live;
            fail_in = nth;
            r = rows[i].use();
            bool reached = fail_in == 0;
            fail_in = 0;
            assert_true(!rows[i].counted || live == before);
            /* OpenSSL may do without an allocation; our own code may not. */
            assert_true(r == -ERR_NOMEM || (r == 0 && (!reached || !rows[i].counted)));
            if (r == 0 && reached)
                r = -1;
        }
        assert_true(nth > 2);
    }
}
#else
static void
test_each_allocation_fails_once(void **state)
{
    (void)state;
    skip();
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
