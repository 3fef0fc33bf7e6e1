/* SPDX-License-Identifier: MIT
 * spool_test.c - bytes come back as they were, from memory and from a file; no room is overdrawn.
 * Floor: test.
 * Owns: a folder below /tmp.
 * Invariant: proves spool.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/pipeline/spool.h"

static char dir[] = "/tmp/berth-spool-XXXXXX";

static int
make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}
static int
remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* fails when a file was left */
}

static char
byte_at(uint64_t at)
{
    return (char)(at * 31 + at / 256);
}

static int
put(struct spool *spool, size_t count)
{
    static char bytes[200000];
    for (size_t i = 0; i < count; i++)
        bytes[i] = byte_at(spool->bytes + i);
    return spool_put(spool, str_make(bytes, count));
}

static void
want_bytes(struct spool *spool, uint64_t at, size_t step)
{
    char room[5000];
    while (at < spool->bytes) {
        struct str piece;
        assert_int_equal(spool_read(spool, at, room, step, &piece), 0);
        assert_true(piece.len > 0 && piece.len <= step);
        for (size_t i = 0; i < piece.len; i++)
            assert_int_equal(piece.ptr[i], byte_at(at + i));
        at += piece.len;
    }
    assert_int_equal(at, spool->bytes);
}

static void
bytes_come_back(void **state)
{
    (void)state;
    for (int file = 0; file < 2; file++) {
        struct spool_room room = {.dir = dir, .bytes_max = 1000000};
        struct spool spool;
        spool_init(&spool, &room, STR("a"));
        assert_int_equal(put(&spool, 70000), 0);
        assert_int_equal(file != 0 ? spool_file(&spool) : 0, 0);
        assert_int_equal(put(&spool, 1), 0);
        assert_int_equal(put(&spool, 200000), 0);
        assert_int_equal(room.bytes, file != 0 ? 270001 : 0);
        want_bytes(&spool, 0, 5000);
        want_bytes(&spool, 69999, 3);
        if (file != 0) {
            assert_int_equal(spool.memory.cap, 0);
        } else {
            spool_drop(&spool, 100000);
            want_bytes(&spool, 100000, 4999);
            spool_drop(&spool, 270000);
            assert_true(spool.memory.cap < 1024); /* and is no longer large */
            assert_int_equal(put(&spool, 10), 0);
            want_bytes(&spool, 270000, 7);
            spool_drop(&spool, spool.bytes);
        }
        spool_fini(&spool);
        assert_int_equal(room.bytes, 0);
    }
}

static void
rooms_are_finite(void **state)
{
    (void)state;
    struct spool_room room = {.dir = dir, .bytes_max = 1000};
    struct spool first;
    struct spool second;
    spool_init(&first, &room, STR("a"));
    spool_init(&second, &room, STR("a"));
    assert_int_equal(put(&first, 600), 0);
    assert_int_equal(put(&second, 600), 0);
    assert_int_equal(spool_file(&first), 0);
    assert_int_equal(spool_file(&second), -ERR_NO_SPACE);
    assert_int_equal(put(&first, 400), 0);
    assert_int_equal(put(&first, 1), -ERR_NO_SPACE);
    spool_fini(&second);
    assert_int_equal(room.bytes, 1000);
    spool_fini(&first);
    assert_int_equal(room.bytes, 0);
    spool_init(&first, &room, STR("a"));
    room.dir = NULL;
    assert_int_equal(spool_file(&first), -ERR_UNAVAILABLE);
    room.dir = "/nowhere at all";
    assert_int_equal(spool_file(&first), -ERR_IO);
    assert_int_equal(put(&first, 200000), 0);
    int rc = 0;
    for (int i = 0; rc == 0 && i < 10; i++) /* memory has its end, too */
        rc = put(&first, 200000);
    assert_int_equal(rc, -ERR_TOO_LARGE);
    spool_fini(&first);
}

/* Who has his share waits for himself, and nobody else does. */
static void
shares_are_finite(void **state)
{
    static const char owner[] =
        "a name that is longer than what is kept of it, which is as much as "
        "anybody may be called, and some more";
    (void)state;
    struct spool_room room = {.dir = dir, .bytes_max = 1000, .share_bytes_max = 400};
    struct spool mine[2];
    struct spool other;
    for (int i = 0; i < 2; i++) {
        spool_init(&mine[i], &room, STR("a"));
        assert_int_equal(put(&mine[i], 200), 0);
        assert_int_equal(spool_file(&mine[i]), 0);
    }
    assert_int_equal(put(&mine[0], 1), -ERR_IN_USE);
    spool_init(&other, &room, str_from(owner));
    assert_int_equal(put(&other, 400), 0);
    assert_int_equal(spool_file(&other), 0);
    assert_int_equal(put(&other, 1), -ERR_IN_USE);
    assert_int_equal(room.bytes, 800);
    spool_fini(&mine[0]);
    assert_int_equal(put(&mine[1], 200), 0);
    assert_int_equal(put(&mine[1], 1), -ERR_IN_USE);
    spool_fini(&other);
    spool_init(&other, &room, STR("a"));
    assert_int_equal(put(&other, 1), 0);
    assert_int_equal(spool_file(&other), -ERR_IN_USE);
    spool_fini(&other);
    spool_fini(&mine[1]);
    assert_int_equal(room.bytes, 0);
    assert_null(room.shares);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(rooms_are_finite),
        cmocka_unit_test(shares_are_finite),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
