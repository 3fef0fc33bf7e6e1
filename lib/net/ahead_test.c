/* SPDX-License-Identifier: MIT
 * ahead_test.c - what a loop reads before its callbacks run, and in which order they run.
 * Floor: tests of lib/net.
 * Owns: nothing.
 * Invariant: a channel whose loop reads ahead gives the same bytes and the same end as any other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/net/channel.h"

#define CONNS 20u /* more than a group of the loop */
#define BYTES_MAX 4096u

struct conn {
    struct channel channel;
    int peer;
    bool was_ahead; /* the loop had read when the callback began */
    unsigned calls;
    int code; /* of the last read */
    size_t count;
    char bytes[BYTES_MAX];
};
static struct conn conns[CONNS];
static struct loop *the_loop;
static char trace[2 * CONNS + 1];
static struct conn *victim; /* taken out by the first callback */

static void
take(struct loop_io *io, uint32_t events)
{
    struct conn *conn = CONTAINER_OF(io, struct conn, channel.io);
    static char bytes[4 * BYTES_MAX];
    size_t count = 0;
    if ((events & (uint32_t)EPOLLIN) == 0)
        return;
    conn->calls++;
    conn->was_ahead = io->read != NULL;
    if (victim != NULL && victim != conn)
        loop_remove(the_loop, &victim->channel.io);
    do {
        conn->code = channel_read(&conn->channel, bytes, sizeof(bytes), &count);
        if (conn->code != 0)
            break;
        assert_true(conn->count + count <= BYTES_MAX);
        memcpy(conn->bytes + conn->count, bytes, count);
        conn->count += count;
    } while ((events & (uint32_t)EPOLLRDHUP) != 0);
}

static void
on_even(struct loop_io *io, uint32_t events)
{
    trace[strlen(trace)] = 'e';
    take(io, events);
}

static void
on_odd(struct loop_io *io, uint32_t events)
{
    trace[strlen(trace)] = 'o';
    take(io, events);
}

static void
open_conns(size_t count, bool two_kinds)
{
    struct err err;
    assert_int_equal(loop_new(&the_loop, &err), 0);
    memset(conns, 0, sizeof(conns));
    for (size_t i = 0; i < count; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        assert_int_equal(channel_init(&conns[i].channel, fds[0], NULL, true, NULL, &err), 0);
        conns[i].peer = fds[1];
        conns[i].channel.io.ready = two_kinds && i % 2 != 0 ? on_odd : on_even;
        assert_int_equal(loop_add(the_loop, &conns[i].channel.io, false), 0);
        conns[i].channel.io.ahead = true;
    }
    loop_step(the_loop, 0); /* all of them can be written to */
    victim = NULL;
    memset(trace, 0, sizeof(trace));
}

static void
close_conns(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        loop_remove(the_loop, &conns[i].channel.io);
        channel_fini(&conns[i].channel);
        if (conns[i].peer >= 0)
            (void)close(conns[i].peer);
    }
    loop_free(&the_loop);
}

static void
test_same_bytes(void **state)
{
    static const struct {
        const char *name;
        size_t ready; /* how many connections */
        size_t bytes;
        bool end;
        bool ahead;
        int code;
    } rows[] = {
        {"one alone is read by itself", 1, 5, false, false, 0},
        {"two", 2, 5, false, true, 0},
        {"more than a group", CONNS, 700, false, true, 0},
        {"one byte less than a block", 2, LOOP_AHEAD_BYTES - 1, false, true, 0},
        {"a block", 2, LOOP_AHEAD_BYTES, false, true, 0},
        {"more than a block", 3, LOOP_AHEAD_BYTES + 1000, false, true, 0},
        {"bytes and the end", 2, 5, true, true, -ERR_CLOSED},
        {"a block and the end", 2, LOOP_AHEAD_BYTES, true, true, -ERR_CLOSED},
        {"the end alone", 2, 0, true, true, -ERR_CLOSED},
    };
    (void)state;
    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        char text[BYTES_MAX];
        open_conns(rows[row].ready, false);
        for (size_t i = 0; i < rows[row].ready; i++) {
            memset(text, 'a' + (int)i, sizeof(text));
            assert_int_equal(write(conns[i].peer, text, rows[row].bytes), rows[row].bytes);
            if (rows[row].end) {
                (void)close(conns[i].peer);
                conns[i].peer = -1;
            }
        }
        loop_step(the_loop, 0);
        for (size_t i = 0; i < rows[row].ready; i++) {
            memset(text, 'a' + (int)i, sizeof(text));
            if (conns[i].calls != 1 || conns[i].count != rows[row].bytes ||
                conns[i].code != rows[row].code || conns[i].was_ahead != rows[row].ahead)
                fail_msg("%s: connection %zu: %u calls, %zu bytes, code %d, ahead %d",
                         rows[row].name, i, conns[i].calls, conns[i].count, conns[i].code,
                         conns[i].was_ahead);
            assert_memory_equal(conns[i].bytes, text, rows[row].bytes);
            assert_null(conns[i].channel.io.read);
        }
        close_conns(rows[row].ready);
    }
}

/* What was read for one that is taken out meanwhile is nobody's. */
static void
test_removed(void **state)
{
    (void)state;
    open_conns(2, false);
    victim = &conns[1];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(write(conns[i].peer, "x", 1), 1);
    loop_step(the_loop, 0);
    assert_int_equal(conns[0].calls, 1);
    assert_int_equal(conns[1].calls, 0);
    assert_null(conns[1].channel.io.read);
    close_conns(2);
}

/* Each kind in one go, and nobody is left out or called twice. */
static void
test_kinds(void **state)
{
    (void)state;
    open_conns(6, true);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(write(conns[i].peer, "x", 1), 1);
    loop_step(the_loop, 0);
    assert_string_equal(trace, "eeeooo");
    close_conns(6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
