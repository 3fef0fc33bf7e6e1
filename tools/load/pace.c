/* SPDX-License-Identifier: MIT
 * pace.c - when calls begin: at a rate, when another has ended, or once each.
 * Floor: tools/load; one loop, one thread.
 * Owns: the timerfd of the open loop.
 * Invariant: in the open loop a call's due time follows from the rate alone, never from an
 *   answer. */
#include <errno.h>
#include <math.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/rand.h"
#include "tools/load/load.h"

#define SECOND_NS 1000000000u
#define TICK_MS 10u

/* ---- open loop ------------------------------------------------------------------------------- */

static uint64_t
next_gap_ns(const struct load *load)
{
    uint64_t rate = load->options->rate;
    if (!load->options->poisson)
        return SECOND_NS / rate;
    /* uniform in (0, 1] with 53 bits */
    double uniform = (double)((rand_u64() >> 11) + 1) * 0x1p-53;
    return (uint64_t)(-log(uniform) * (double)SECOND_NS / (double)rate);
}

/* The loop's own timers have ticks of 1 ms: too coarse to send 3 requests in. */
static void
arm_pace(struct load *load)
{
    const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(load->next_due_ns / SECOND_NS),
                                                 .tv_nsec = (long)(load->next_due_ns % SECOND_NS)}};
    (void)timerfd_settime(load->pace.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void
on_pace(struct loop_io *io, uint32_t events)
{
    struct load *load = CONTAINER_OF(io, struct load, pace);
    uint64_t expirations;
    (void)events;
    if (read(io->fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
        return;
    uint64_t now_ns = clock_mono_ns();
    while (load->next_due_ns <= now_ns && load->next_due_ns < load->stop_ns) {
        if (!load_begin(load, load->next_due_ns))
            load->counts.late++;
        load->next_due_ns += next_gap_ns(load);
    }
    if (load->next_due_ns < load->stop_ns)
        arm_pace(load);
}

static int
start_rate(struct load *load, struct err *err)
{
    load->pace = (struct loop_io){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                                  .ready = on_pace};
    if (load->pace.fd < 0 || loop_add(load->loop, &load->pace, true) != 0)
        return err_set(err, ERR_SYSTEM, "cannot make a timer");
    load->next_due_ns = load->started_ns + next_gap_ns(load);
    arm_pace(load);
    return 0;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void
on_tick(struct timer *timer)
{
    struct load *load = CONTAINER_OF(timer, struct load, tick);
    uint64_t age_ms = (clock_mono_ns() - load->started_ns) / 1000000u;
    uint64_t due = age_ms * load->options->open_rate / 1000u;
    while (load->opened < load->slot_count && load->opened < due) {
        (void)load_begin(load, clock_mono_ns());
        load->opened++;
    }
    if (age_ms / 1000u > load->reported_s) {
        load->reported_s = age_ms / 1000u;
        report_progress(load);
    }
    timer_arm(loop_timers(load->loop), timer, loop_now_ms(load->loop) + TICK_MS);
}

/* ---- all ------------------------------------------------------------------------------------- */

int
pace_start(struct load *load, struct err *err)
{
    load->pace.fd = -1;
    timer_init(&load->tick, on_tick);
    switch (load->options->mode) {
    case LOAD_RATE:
        return start_rate(load, err);
    case LOAD_CLOSED:
        pace_again(load);
        return 0;
    case LOAD_STREAMS:
        timer_arm(loop_timers(load->loop), &load->tick, loop_now_ms(load->loop) + 1);
        return 0;
    }
    return 0;
}

void
pace_again(struct load *load)
{
    if (load->options->mode != LOAD_CLOSED || load->stopping)
        return;
    uint64_t failed = load->counts.failed;
    /* a server that is away would keep us here for ever */
    while (load->counts.failed < failed + 1 && load_begin(load, clock_mono_ns()))
        ;
}

void
pace_stop(struct load *load)
{
    timer_cancel(loop_timers(load->loop), &load->tick);
    if (load->pace.fd < 0)
        return;
    loop_remove(load->loop, &load->pace);
    (void)close(load->pace.fd);
    load->pace.fd = -1;
}
