/* SPDX-License-Identifier: MIT
 * timers.h - many deadlines, cheap to arm, re-arm and cancel: a hierarchical wheel of 1 ms ticks.
 * Floor: lib/base; one thread (its loop's).
 * Owns: nothing; struct timer lives inside its owner.
 * Invariant: arm, cancel and tick are O(1); a timer never fires early, and fires at most once an
 * arm. A callback may arm, cancel or free any timer, itself included. */
#ifndef BERTH_LIB_BASE_TIMERS_H
#define BERTH_LIB_BASE_TIMERS_H

#include <stdbool.h>

#include "lib/base/list.h"

struct timer;
typedef void (*timer_fn)(struct timer *timer);

/* fire: called from timers_run; the owner is found with CONTAINER_OF. due_ms is on the clock that
 * is handed to timers_run. */
struct timer {
    struct list node;
    uint64_t due_ms;
    timer_fn fire;
};

#define TIMER_LEVELS 5
#define TIMER_SLOTS 64
struct timers {
    uint64_t now_ms;
    size_t count;
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
    uint64_t occupied[TIMER_LEVELS];
};

void timers_init(struct timers *timers, uint64_t now_ms);
/* timer_init - not armed. */
void timer_init(struct timer *timer, timer_fn fire);
/* timer_arm - (re)arm for due_ms; in the past = at the next run. */
void timer_arm(struct timers *timers, struct timer *timer, uint64_t due_ms);
/* timer_cancel - harmless when not armed. */
void timer_cancel(struct timers *timers, struct timer *timer);
bool timer_armed(const struct timer *timer);
/* timers_run - fire everything due at or before now_ms; returns how many fired. */
size_t timers_run(struct timers *timers, uint64_t now_ms);
/* timers_next - milliseconds until something may be due (a lower bound), or UINT64_MAX if empty. */
uint64_t timers_next(const struct timers *timers);

#endif
