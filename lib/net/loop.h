/* SPDX-License-Identifier: MIT
 * loop.h - one epoll loop a thread: readiness, timers, tasks from other threads, and the phases at
 * the end of a turn. Floor: lib/net. A loop belongs to the thread that runs it; only loop_post and
 * loop_stop are for other threads. Owns: the epoll fd, an eventfd, the timer wheel. Invariant: in a
 * turn: ready callbacks, timers, posted tasks; then the hooks of phase COMMIT, then FLUSH, then
 * FREE. What must be durable before bytes leave is written in COMMIT; sockets are written in FLUSH;
 * objects that died are freed in FREE. A wait that brings several events is followed by another one
 * in the same turn, so that under load more leaves in one write. */
#ifndef BERTH_LIB_NET_LOOP_H
#define BERTH_LIB_NET_LOOP_H

#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/list.h"
#include "lib/base/timers.h"

struct loop;

/* Lives inside its owner. Readiness is edge-triggered for IN | OUT | RDHUP: `ready` must read until
 * -ERR_AGAIN (or remember that it did not). events: EPOLL* bits. A callback may remove and free any
 * other loop_io only through the FREE phase. */
struct loop_io;
typedef void (*loop_ready_fn)(struct loop_io *io, uint32_t events);
struct loop_io {
    int fd;
    loop_ready_fn ready;
    bool added;
    /* A plain socket, of which little is expected, and `ready` will read it whatever happens
     * meanwhile: under load its first bytes are read before, together with those of others. Its
     * memory goes in the FREE phase only. */
    bool ahead;
    struct loop_ahead *read; /* then: the bytes, for `ready` to take (channel_read does) */
};

/* What a read brought, in a block of the loop's. */
#define LOOP_AHEAD_BYTES 2048u
struct loop_ahead {
    ssize_t count; /* as recv(2) returned it */
    int error;     /* and errno */
    char bytes[LOOP_AHEAD_BYTES];
};

/* A unit of work for the loop's thread; lives inside its owner until `run` has been called. */
struct loop_task;
typedef void (*loop_task_fn)(struct loop_task *task);
struct loop_task {
    struct list node;
    loop_task_fn run;
};

enum loop_phase { LOOP_COMMIT, LOOP_FLUSH, LOOP_FREE, LOOP_PHASE_COUNT };
/* Called once at the end of the turn in which it was requested; may be requested again, also from
 * inside a hook (a later phase still runs in this turn, an earlier or equal one in the next, which
 * then does not block). */
struct loop_hook;
typedef void (*loop_hook_fn)(struct loop_hook *hook);
struct loop_hook {
    struct list node; /* list_init before first use: loop_hook_init */
    loop_hook_fn run;
};

int loop_new(struct loop **ret_loop, struct err *err) MUST_USE;
void loop_free(struct loop **loop);
/* loop_run - until loop_stop. */
void loop_run(struct loop *loop);
/* loop_step - one turn, waiting at most timeout_ms (0 = poll, -1 = as long as it takes). For tests.
 */
void loop_step(struct loop *loop, int timeout_ms);
void loop_stop(struct loop *loop); /* any thread */

/* loop_add - watch io->fd (non-blocking); level: true = level-triggered IN only, for listeners. */
int loop_add(struct loop *loop, struct loop_io *io, bool level) MUST_USE;
void loop_remove(struct loop *loop,
                 struct loop_io *io); /* harmless when not added; before close(2) */

struct timers *loop_timers(struct loop *loop);
/* loop_now_ms - monotonic time of this turn, ms (read once a wait). */
uint64_t loop_now_ms(const struct loop *loop);
/* loop_now_ns - the same reading in ns: for times of events, where a turn is exact enough. */
uint64_t loop_now_ns(const struct loop *loop);
static inline void
loop_hook_init(struct loop_hook *hook, loop_hook_fn run)
{
    list_init(&hook->node);
    hook->run = run;
}
void loop_at_end(struct loop *loop, struct loop_hook *hook, enum loop_phase phase);
void loop_post(struct loop *loop, struct loop_task *task); /* any thread */

#endif
