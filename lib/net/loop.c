/* SPDX-License-Identifier: MIT
 * loop.c - the turn of an epoll loop: wait, ready callbacks, timers, posted tasks, hooks.
 * Floor: lib/net; its own thread, except loop_post and loop_stop.
 * Owns: the epoll fd, the wake eventfd, the timer wheel.
 * Invariant: a turn allocates nothing and reads the clock once a wait; a task posted by any thread
 *            runs in this turn or the next, which does not sleep: proved in loop_test.c. */
#include "lib/net/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/net/sock.h"

#define LOOP_BATCH 256
#define LOOP_GROUP 16
/* A wait that brings so many is followed by another, until a turn has LOOP_GATHERED. */
#define LOOP_BUSY 4
#define LOOP_GATHERED 64
#define NS_PER_MS 1000000u
/* An end to every sleep, so that the wheel's lower bounds and int milliseconds always agree. */
#define LOOP_SLEEP_MS_MAX 60000u

struct loop {
    int epoll_fd;
    int wake_fd;
    uint64_t now_ns; /* both of one reading */
    uint64_t now_ms;
    struct list hooks[LOOP_PHASE_COUNT];
    /* A stack linked by node.next, pushed by any thread and taken whole by ours. */
    _Atomic(struct list *) posted;
    atomic_bool sleeping; /* a poster must write wake_fd */
    atomic_bool stopping;
    struct loop_io wake_io;
    struct timers timers;
    struct epoll_event events[LOOP_BATCH];
    struct loop_ahead ahead[LOOP_GROUP];
};

static void
loop_woken(struct loop_io *io, uint32_t events)
{
    /* Edge-triggered, so the count need not be read: each write is an edge. It would take 2^64
     * wakes to fill it. */
    (void)io;
    (void)events;
}

static void
loop_read_clock(struct loop *loop)
{
    loop->now_ns = clock_mono_ns();
    loop->now_ms = loop->now_ns / NS_PER_MS;
}

int
loop_new(struct loop **ret_loop, struct err *err)
{
    CLEANUP(loop_free) struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return err_set(err, ERR_NOMEM, "no memory for an event loop");
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return err_set_errno(err, errno, "cannot create an epoll descriptor");
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return err_set_errno(err, errno, "cannot create an eventfd");
    loop_read_clock(loop);
    timers_init(&loop->timers, loop->now_ms);
    for (size_t phase = 0; phase < LOOP_PHASE_COUNT; phase++)
        list_init(&loop->hooks[phase]);
    loop->wake_io = (struct loop_io){.fd = loop->wake_fd, .ready = loop_woken};
    int r = loop_add(loop, &loop->wake_io, false);
    if (r < 0)
        return err_set(err, (enum err_code) - r, "cannot watch an eventfd");
    *ret_loop = TAKE(loop);
    return 0;
}

void
loop_free(struct loop **loop)
{
    if (loop == NULL || *loop == NULL)
        return;
    if ((*loop)->wake_fd >= 0)
        (void)close((*loop)->wake_fd);
    if ((*loop)->epoll_fd >= 0)
        (void)close((*loop)->epoll_fd);
    free(*loop);
    *loop = NULL;
}

int
loop_add(struct loop *loop, struct loop_io *io, bool level)
{
    ASSERT(!io->added && io->fd >= 0 && io->ready != NULL);
    /* EXCLUSIVE: of several loops that watch one listener the kernel wakes one, not all. */
    struct epoll_event event = {
        .events = level ? (uint32_t)EPOLLIN | (uint32_t)EPOLLEXCLUSIVE
                        : (uint32_t)EPOLLIN | (uint32_t)EPOLLOUT | (uint32_t)EPOLLRDHUP |
                              (uint32_t)EPOLLET,
        .data.ptr = io,
    };
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, io->fd, &event) < 0) {
        ASSERT(errno != EBADF && errno != EEXIST);
        return errno == ENOMEM ? -ERR_NOMEM : errno == ENOSPC ? -ERR_NO_SPACE : -ERR_SYSTEM;
    }
    io->added = true;
    return 0;
}

void
loop_remove(struct loop *loop, struct loop_io *io)
{
    if (!io->added)
        return;
    io->added = false; /* events of it that wait in this turn's batch are skipped */
    ASSERT(epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL) == 0);
}

struct timers *
loop_timers(struct loop *loop)
{
    return &loop->timers;
}

uint64_t
loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t
loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

void
loop_at_end(struct loop *loop, struct loop_hook *hook, enum loop_phase phase)
{
    ASSERT(phase < LOOP_PHASE_COUNT && hook->run != NULL);
    if (list_empty(&hook->node))
        list_push_back(&loop->hooks[phase], &hook->node);
}

static void
loop_wake(struct loop *loop)
{
    /* Sequentially consistent on both sides: either we see `sleeping`, or the loop, which sets it
     * before it looks, sees what we published. */
    if (!atomic_exchange(&loop->sleeping, false))
        return;
    uint64_t one = 1;
    while (write(loop->wake_fd, &one, sizeof(one)) < 0)
        ASSERT(errno == EINTR);
}

void
loop_post(struct loop *loop, struct loop_task *task)
{
    struct list *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        task->node.next = head;
    while (!atomic_compare_exchange_weak(&loop->posted, &head, &task->node));
    loop_wake(loop);
}

void
loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    loop_wake(loop);
}

static void
loop_run_posted(struct loop *loop)
{
    if (LIKELY(atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL))
        return;
    struct list *taken = atomic_exchange(&loop->posted, NULL);
    struct list *first = NULL;
    while (taken != NULL) { /* newest first: turn it round */
        struct list *next = taken->next;
        taken->next = first;
        first = taken;
        taken = next;
    }
    while (first != NULL) {
        struct loop_task *task = LIST_ENTRY(first, struct loop_task, node);
        first = first->next; /* before the task frees itself */
        task->run(task);
    }
}

static void
loop_run_hooks(struct list *hooks)
{
    if (list_empty(hooks))
        return;
    /* Only those requested by now: a hook that asks for its own phase again gets the next turn. */
    struct list due;
    list_init(&due);
    list_add_between(&due, hooks->prev, hooks);
    list_remove(hooks);
    for (struct list *node; (node = list_pop_front(&due)) != NULL;) {
        struct loop_hook *hook = LIST_ENTRY(node, struct loop_hook, node);
        hook->run(hook);
    }
}

static int
loop_sleep_ms(const struct loop *loop, int timeout_ms)
{
    for (size_t phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        if (!list_empty(&loop->hooks[phase]))
            return 0;
    }
    uint64_t sleep_ms = MIN(timers_next(&loop->timers), (uint64_t)LOOP_SLEEP_MS_MAX);
    if (timeout_ms >= 0)
        sleep_ms = MIN(sleep_ms, (uint64_t)timeout_ms);
    return (int)sleep_ms;
}

static void
loop_read_ahead(struct loop_io *io, struct loop_ahead *block)
{
    do
        block->count = sock_recv(io->fd, block->bytes, sizeof(block->bytes));
    while (UNLIKELY(block->count < 0 && errno == EINTR));
    block->error = block->count < 0 ? errno : 0;
    io->read = block;
}

/* A few of one kind: the kernel's code for all, then ours. Neither leaves the other much of the
 * instruction cache. */
static void
loop_run_group(struct loop *loop, const struct epoll_event *events, int count)
{
    bool ahead[LOOP_GROUP] = {false};
    for (int i = 0; i < count && count > 1; i++) {
        struct loop_io *io = events[i].data.ptr;
        ahead[i] = io->added && io->ahead && (events[i].events & (uint32_t)EPOLLIN) != 0;
        if (ahead[i])
            loop_read_ahead(io, &loop->ahead[i]);
    }
    for (int i = 0; i < count; i++) {
        struct loop_io *io = events[i].data.ptr;
        if (LIKELY(io->added))
            io->ready(io, events[i].events);
        if (!ahead[i])
            continue; /* it may be freed already */
        /* Whoever promised to read did, or no longer reads at all. */
        ASSERT(io->read == NULL || !io->added || !io->ahead);
        io->read = NULL;
    }
}

/* Runs those events whose owners have the `ready` of the first one, and moves the others to the
 * front: how many those are. */
static int
loop_run_kind(struct loop *loop, int count)
{
    const struct loop_io *first = loop->events[0].data.ptr;
    loop_ready_fn kind = first->ready;
    UNINIT struct epoll_event group[LOOP_GROUP];
    int grouped = 0;
    int others = 0;
    for (int i = 0; i < count; i++) {
        const struct epoll_event event = loop->events[i];
        const struct loop_io *io = event.data.ptr;
        if (io->ready == kind)
            group[grouped++] = event;
        else
            loop->events[others++] = event;
        if (grouped == LOOP_GROUP || (i + 1 == count && grouped > 0)) {
            loop_run_group(loop, group, grouped);
            grouped = 0;
        }
    }
    return others;
}

/* One wait and its ready callbacks: how many. One kind after the other: the code that one runs
 * through fits the instruction cache, that of requests and replies by turns does not. */
static int
loop_gather(struct loop *loop, int sleep_ms)
{
    int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_BATCH, sleep_ms);
    ASSERT(count >= 0 || errno == EINTR);
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
    loop_read_clock(loop);
    for (int left = count; left > 0;)
        left = loop_run_kind(loop, left);
    return count;
}

void
loop_step(struct loop *loop, int timeout_ms)
{
    int sleep_ms = loop_sleep_ms(loop, timeout_ms);
    if (sleep_ms != 0) {
        atomic_store(&loop->sleeping, true);
        if (atomic_load(&loop->posted) != NULL || atomic_load(&loop->stopping))
            sleep_ms = 0;
    }
    int count = loop_gather(loop, sleep_ms);
    /* Busy: what came meanwhile is this turn's, too, so that more leaves in one write. */
    for (int all = count; count >= LOOP_BUSY && all < LOOP_GATHERED; all += count)
        count = loop_gather(loop, 0);
    (void)timers_run(&loop->timers, loop->now_ms);
    loop_run_posted(loop);
    for (size_t phase = 0; phase < LOOP_PHASE_COUNT; phase++)
        loop_run_hooks(&loop->hooks[phase]);
}

void
loop_run(struct loop *loop)
{
    while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed))
        loop_step(loop, -1);
    atomic_store(&loop->stopping, false); /* it may be run again */
}
