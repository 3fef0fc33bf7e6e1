/* SPDX-License-Identifier: MIT
 * timers.c - the hierarchical wheel: level 0 has 64 slots of 1 ms, each next level 64 times wider.
 * Floor: lib/base; one thread (its loop's).
 * Owns: nothing; struct timer lives inside its owner.
 * Invariant: below the top level a timer lies in a slot not before now's, so the first slot in use
 * of a level is its earliest; proved in timers_test.c against a naive model. */
#include "lib/base/timers.h"

#include "lib/base/check.h"

#define SLOT_BITS 6u
#define SLOT_MASK ((uint64_t)TIMER_SLOTS - 1)
#define TOP ((unsigned)TIMER_LEVELS - 1)
/* Farther than this a timer waits in the farthest top slot and is placed again from there. */
#define REACH_MS (SLOT_MASK << (SLOT_BITS * TOP))
_Static_assert(TIMER_SLOTS == 1 << SLOT_BITS, "a slot index is 6 bits of the time");

void
timers_init(struct timers *timers, uint64_t now_ms)
{
    *timers = (struct timers){.now_ms = now_ms};
    for (size_t level = 0; level < TIMER_LEVELS; level++) {
        for (size_t slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&timers->slots[level][slot]);
    }
}

void
timer_init(struct timer *timer, timer_fn fire)
{
    *timer = (struct timer){.fire = fire};
    list_init(&timer->node);
}

bool
timer_armed(const struct timer *timer)
{
    return !list_empty(&timer->node);
}

static void
timers_place(struct timers *timers, struct timer *timer)
{
    uint64_t now = timers->now_ms;
    uint64_t due = MAX(timer->due_ms, now);
    if (due - now > REACH_MS)
        due = now + REACH_MS;
    /* The level is that of the highest 6-bit group in which now and due differ. */
    uint64_t differ = (due ^ now) | 1u;
    unsigned level = (63u - LEADING_ZEROS64(differ)) / SLOT_BITS;
    level = MIN(level, TOP);
    size_t slot = (size_t)(due >> (SLOT_BITS * level) & SLOT_MASK);
    list_push_back(&timers->slots[level][slot], &timer->node);
    timers->occupied[level] |= (uint64_t)1 << slot;
}

void
timer_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer_armed(timer))
        return;
    struct list *head = timer->node.next;
    list_remove(&timer->node);
    ASSERT(timers->count > 0);
    timers->count--;
    if (!list_empty(head))
        return;
    /* It was alone: `head` is a slot, or the list of those about to fire in timers_run. */
    uintptr_t offset = (uintptr_t)head - (uintptr_t)&timers->slots[0][0];
    if (offset >= sizeof(timers->slots))
        return;
    size_t index = (size_t)offset / sizeof(struct list);
    timers->occupied[index / TIMER_SLOTS] &= ~((uint64_t)1 << index % TIMER_SLOTS);
}

void
timer_arm(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
    timer_cancel(timers, timer);
    timer->due_ms = due_ms;
    timers_place(timers, timer);
    timers->count++;
}

/* The slot in use that begins first, wider slots before narrower ones that begin with them.
 * *ret_start_ms is its first millisecond, perhaps before now. false when nothing is armed. */
static bool
timers_first_slot(const struct timers *timers, unsigned *ret_level, size_t *ret_slot,
                  uint64_t *ret_start_ms)
{
    bool found = false;
    for (unsigned level = TOP + 1; level-- > 0;) {
        uint64_t occupied = timers->occupied[level];
        if (occupied == 0)
            continue;
        unsigned shift = SLOT_BITS * level;
        unsigned here = (unsigned)(timers->now_ms >> shift & SLOT_MASK);
        uint64_t turned = occupied >> here | (here == 0 ? 0 : occupied << (TIMER_SLOTS - here));
        uint64_t ahead = TRAILING_ZEROS64(turned);
        uint64_t start = ((timers->now_ms >> shift) + ahead) << shift;
        if (found && start >= *ret_start_ms)
            continue;
        found = true;
        *ret_level = level;
        *ret_slot = (size_t)((here + ahead) & SLOT_MASK);
        *ret_start_ms = start;
    }
    return found;
}

/* All of `from` to the end of `to`. */
static void
list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

size_t
timers_run(struct timers *timers, uint64_t now_ms)
{
    struct list due;
    list_init(&due);
    unsigned level = 0;
    size_t slot = 0;
    uint64_t start = 0;

    now_ms = MAX(now_ms, timers->now_ms);
    while (timers_first_slot(timers, &level, &slot, &start) && start <= now_ms) {
        struct list moved;
        list_init(&moved);
        list_splice(&moved, &timers->slots[level][slot]);
        timers->occupied[level] &= ~((uint64_t)1 << slot);
        timers->now_ms = MAX(timers->now_ms, start);
        if (level == 0) {
            list_splice(&due, &moved);
            continue;
        }
        for (struct list *node; (node = list_pop_front(&moved)) != NULL;)
            timers_place(timers, LIST_ENTRY(node, struct timer, node));
    }
    timers->now_ms = now_ms;

    /* Fired only now: what a callback arms, even in the past, waits for the next run, so that a run
     * ends; what it cancels or frees leaves `due` by itself. */
    size_t fired = 0;
    for (struct list *node; (node = list_pop_front(&due)) != NULL; fired++) {
        struct timer *timer = LIST_ENTRY(node, struct timer, node);
        ASSERT(timers->count > 0 && timer->due_ms <= now_ms);
        timers->count--;
        timer->fire(timer);
    }
    return fired;
}

uint64_t
timers_next(const struct timers *timers)
{
    unsigned level;
    size_t slot;
    uint64_t start;
    if (!timers_first_slot(timers, &level, &slot, &start))
        return UINT64_MAX;
    return start <= timers->now_ms ? 0 : start - timers->now_ms;
}
