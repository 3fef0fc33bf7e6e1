/* SPDX-License-Identifier: MIT
 * loop_test.c - the order inside a turn, posts from other threads, removal inside a batch.
 * Floor: tests of lib/net.
 * Owns: nothing.
 * Invariant: what loop.h promises about phases and tasks, seen from outside. */
#include "lib/net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"

static char trace[64];

static void
mark(char c)
{
    size_t len = strlen(trace);
    assert_true(len + 1 < sizeof(trace));
    trace[len] = c;
    trace[len + 1] = '\0';
}

static int
setup(void **state)
{
    struct loop *loop = NULL;
    struct err err;
    memset(trace, 0, sizeof(trace));
    if (loop_new(&loop, &err) < 0)
        return -1;
    *state = loop;
    return 0;
}

static int
teardown(void **state)
{
    struct loop *loop = *state;
    loop_free(&loop);
    return 0;
}

static struct loop *the_loop;
static struct loop_hook commit_hook;
static struct loop_hook flush_hook;
static struct loop_hook free_hook;
static int flush_again;

static void
on_commit(struct loop_hook *hook)
{
    (void)hook;
    mark('C');
    loop_at_end(the_loop, &flush_hook, LOOP_FLUSH);
}

static void
on_flush(struct loop_hook *hook)
{
    mark('F');
    loop_at_end(the_loop, &free_hook, LOOP_FREE);
    loop_at_end(the_loop, &free_hook, LOOP_FREE); /* twice is once */
    if (flush_again-- > 0) {
        loop_at_end(the_loop, hook, LOOP_FLUSH);          /* same phase: next turn */
        loop_at_end(the_loop, &commit_hook, LOOP_COMMIT); /* earlier phase: next turn */
    }
}

static void
on_free(struct loop_hook *hook)
{
    (void)hook;
    mark('X');
}

static struct loop_task task;
static void
on_task(struct loop_task *self)
{
    (void)self;
    mark('P');
}

static struct timer timer;
static void
on_timer(struct timer *self)
{
    (void)self;
    mark('T');
}

static void
on_ready(struct loop_io *io, uint32_t events)
{
    char byte;
    if ((events & (uint32_t)EPOLLIN) == 0 || read(io->fd, &byte, 1) != 1)
        return;
    mark('R');
    loop_at_end(the_loop, &commit_hook, LOOP_COMMIT);
}

static void
make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void
test_turn_order(void **state)
{
    struct loop *loop = the_loop = *state;
    int fds[2];
    make_pair(fds);
    loop_hook_init(&commit_hook, on_commit);
    loop_hook_init(&flush_hook, on_flush);
    loop_hook_init(&free_hook, on_free);
    timer_init(&timer, on_timer);
    struct loop_io io = {.fd = fds[0], .ready = on_ready};
    assert_int_equal(loop_add(loop, &io, false), 0);
    loop_step(loop, 0); /* the first OUT edge */
    assert_string_equal(trace, "");

    timer_arm(loop_timers(loop), &timer, 0);
    task.run = on_task;
    loop_post(loop, &task);
    assert_int_equal(write(fds[1], "x", 1), 1);
    flush_again = 1;
    loop_step(loop, -1);
    assert_string_equal(trace, "RTPCFX");
    loop_step(loop, -1); /* does not block: hooks wait */
    assert_string_equal(trace, "RTPCFXCFX");
    loop_step(loop, 0);
    assert_string_equal(trace, "RTPCFXCFX");
    loop_remove(loop, &io);
    loop_remove(loop, &io);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static int late_fd;
static void
on_busy(struct loop_io *io, uint32_t events)
{
    on_ready(io, events);
    if (late_fd >= 0 && (events & (uint32_t)EPOLLIN) != 0)
        assert_int_equal(write(late_fd, "x", 1), 1);
    late_fd = -1;
}

static void
on_late(struct loop_io *io, uint32_t events)
{
    (void)io;
    if ((events & (uint32_t)EPOLLIN) != 0)
        mark('L');
}

/* What comes while a busy turn's callbacks run is that turn's; a quiet turn ends first. */
static void
test_busy_turn_goes_on(void **state)
{
    static const struct {
        size_t ready;
        const char *first;
        const char *second;
    } rows[] = {{3, "RRRCFX", "L"}, {4, "RRRRLCFX", ""}};
    the_loop = *state;
    loop_hook_init(&commit_hook, on_commit);
    loop_hook_init(&flush_hook, on_flush);
    loop_hook_init(&free_hook, on_free);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct loop_io ios[5];
        int fds[5][2];
        flush_again = 0;
        late_fd = -1;
        for (size_t i = 0; i < 5; i++) {
            make_pair(fds[i]);
            ios[i] = (struct loop_io){.fd = fds[i][0], .ready = i == 4 ? on_late : on_busy};
            assert_int_equal(loop_add(the_loop, &ios[i], false), 0);
        }
        loop_step(the_loop, 0); /* all of them can be written to */
        memset(trace, 0, sizeof trace);
        late_fd = fds[4][1];
        for (size_t i = 0; i < rows[row].ready; i++)
            assert_int_equal(write(fds[i][1], "x", 1), 1);
        loop_step(the_loop, 0);
        assert_string_equal(trace, rows[row].first);
        memset(trace, 0, sizeof trace);
        loop_step(the_loop, 0);
        assert_string_equal(trace, rows[row].second);
        for (size_t i = 0; i < 5; i++) {
            loop_remove(the_loop, &ios[i]);
            (void)close(fds[i][0]);
            (void)close(fds[i][1]);
        }
    }
}

static struct loop_io twins[2];
static void
on_twin(struct loop_io *io, uint32_t events)
{
    (void)events;
    mark('R');
    loop_remove(the_loop, io == &twins[0] ? &twins[1] : &twins[0]);
}

static void
test_removed_in_batch(void **state)
{
    struct loop *loop = the_loop = *state;
    int a[2];
    int b[2];
    make_pair(a);
    make_pair(b);
    twins[0] = (struct loop_io){.fd = a[0], .ready = on_twin};
    twins[1] = (struct loop_io){.fd = b[0], .ready = on_twin};
    assert_int_equal(loop_add(loop, &twins[0], false), 0);
    assert_int_equal(loop_add(loop, &twins[1], false), 0);
    loop_step(loop, -1); /* both are ready; the first takes the second out */
    assert_string_equal(trace, "R");
    loop_remove(loop, &twins[0]);
    loop_remove(loop, &twins[1]);
    for (size_t i = 0; i < 2; i++) {
        (void)close(a[i]);
        (void)close(b[i]);
    }
}

static void
test_timer_ends_sleep(void **state)
{
    struct loop *loop = *state;
    timer_init(&timer, on_timer);
    uint64_t start = clock_mono_ms();
    timer_arm(loop_timers(loop), &timer, loop_now_ms(loop) + 20);
    while (trace[0] == '\0' && clock_mono_ms() < start + 5000)
        loop_step(loop, -1);
    assert_string_equal(trace, "T");
    assert_true(loop_now_ms(loop) >= start + 19);
}

#define POSTERS 4
#define POSTS 5000
struct posted {
    struct loop_task task;
    unsigned poster;
    unsigned number;
};
static unsigned next_number[POSTERS];
static unsigned seen_count;

static void
on_posted(struct loop_task *self)
{
    struct posted *posted = LIST_ENTRY(self, struct posted, task);
    assert_int_equal(posted->number, next_number[posted->poster]++); /* in order, each once */
    free(posted);
    if (++seen_count == POSTERS * POSTS)
        loop_stop(the_loop);
}

static void *
poster_main(void *arg)
{
    unsigned poster = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < POSTS; i++) {
        struct posted *posted = calloc(1, sizeof(*posted));
        if (posted == NULL)
            abort();
        posted->task.run = on_posted;
        posted->poster = poster;
        posted->number = i;
        loop_post(the_loop, &posted->task);
        if (i % 64 == 0)
            (void)sched_yield(); /* let the loop fall asleep now and then */
    }
    return NULL;
}

static void
test_posts_from_threads(void **state)
{
    struct loop *loop = the_loop = *state;
    pthread_t threads[POSTERS];
    memset(next_number, 0, sizeof(next_number));
    seen_count = 0;
    for (uintptr_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poster_main, (void *)i), 0);
    loop_run(loop); /* a lost wake-up would hang here until the test times out */
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(seen_count, POSTERS * POSTS);
}

static void *
stopper_main(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void
test_stop(void **state)
{
    struct loop *loop = *state;
    pthread_t thread;
    loop_stop(loop);
    loop_run(loop); /* stopped before: returns at once */
    assert_int_equal(pthread_create(&thread, NULL, stopper_main, loop), 0);
    loop_run(loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_turn_order),       T(test_busy_turn_goes_on),  T(test_removed_in_batch),
        T(test_timer_ends_sleep), T(test_posts_from_threads), T(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
