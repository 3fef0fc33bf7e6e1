/* SPDX-License-Identifier: MIT
 * timers_test.c - the wheel against an array, under random operations.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: never early, never twice, never forgotten; the seed is printed. */
#include "lib/base/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "lib/base/num.h"
#include "lib/base/rand.h"

#define COUNT 200u
#define OPERATIONS 200000u

/* batch: was due when the run began and has not been fired, cancelled or armed anew since. */
struct entry {
    struct timer timer;
    uint64_t due_ms;
    bool armed;
    bool batch;
};
static struct timers wheel;
static struct entry entries[COUNT];
static uint64_t now_ms;
static bool running;

static uint64_t
random_due(void)
{
    uint64_t scale = rand_below(40);
    uint64_t distance = rand_below((uint64_t)2 << scale);
    if (rand_below(50) == 0)
        return UINT64_MAX - rand_below(3);
    if (rand_below(10) == 0)
        return now_ms - MIN(distance, now_ms);
    return now_ms + distance;
}

static void
random_operation(void)
{
    struct entry *entry = &entries[rand_below(COUNT)];
    if (rand_below(3) > 0) {
        entry->due_ms = random_due();
        entry->armed = true;
        timer_arm(&wheel, &entry->timer, entry->due_ms);
    } else {
        entry->armed = false;
        timer_cancel(&wheel, &entry->timer);
    }
    entry->batch = false;
}

static void
on_fire(struct timer *timer)
{
    struct entry *entry = CONTAINER_OF(timer, struct entry, timer);
    assert_true(running);
    assert_true(entry->armed && entry->batch && entry->due_ms <= now_ms);
    assert_false(timer_armed(timer));
    entry->armed = entry->batch = false;
    for (uint64_t i = rand_below(4); i > 0; i--)
        random_operation();
}

static void
check_state(void)
{
    size_t armed = 0;
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(timer_armed(&entries[i].timer), entries[i].armed);
        if (!entries[i].armed)
            continue;
        armed++;
        uint64_t wait = entries[i].due_ms <= now_ms ? 0 : entries[i].due_ms - now_ms;
        next = MIN(next, wait);
    }
    assert_int_equal(wheel.count, armed);
    assert_true(timers_next(&wheel) <= next);
    assert_int_equal(timers_next(&wheel) == UINT64_MAX, armed == 0);
}

static void
random_run(void)
{
    size_t due = 0;
    uint64_t step = rand_below((uint64_t)2 << rand_below(36));
    /* Half of the time exactly as a loop would sleep. */
    if (rand_below(2) == 0 && timers_next(&wheel) < (uint64_t)1 << 36)
        step = timers_next(&wheel);
    now_ms += rand_below(10) == 0 ? 0 : step;
    for (size_t i = 0; i < COUNT; i++) {
        entries[i].batch = entries[i].armed && entries[i].due_ms <= now_ms;
        due += entries[i].batch ? 1 : 0;
    }
    running = true;
    assert_true(timers_run(&wheel, now_ms) <= due);
    running = false;
    for (size_t i = 0; i < COUNT; i++)
        assert_false(entries[i].batch);
}

static void
test_against_model(void **state)
{
    (void)state;
    uint64_t seed = rand_u64() | 1u;
    const char *wanted = getenv("BERTH_SEED");
    if (wanted != NULL)
        assert_int_equal(num_u64(str_from(wanted), UINT64_MAX, &seed), 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    now_ms = rand_below((uint64_t)1 << 40);
    timers_init(&wheel, now_ms);
    for (size_t i = 0; i < COUNT; i++)
        timer_init(&entries[i].timer, on_fire);
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (rand_below(4) > 0)
            random_operation();
        else
            random_run();
        if (i % 8 == 0)
            check_state();
    }
    for (size_t i = 0; i < COUNT; i++)
        timer_cancel(&wheel, &entries[i].timer);
    assert_int_equal(wheel.count, 0);
    assert_int_equal(timers_next(&wheel), UINT64_MAX);
    rand_seed(0);
}

static size_t fired_count;

static void
count_fire(struct timer *timer)
{
    (void)timer;
    fired_count++;
}

/* A loop that sleeps timers_next each time fires on the millisecond, after few wake-ups. */
static void
test_on_time_in_few_steps(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 262143, (1u << 30) - 1, 1u << 30};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        for (unsigned bit = 0; bit < 30; bit++) {
            struct timers timers;
            struct timer timer;
            uint64_t now = starts[i];
            uint64_t due = now + ((uint64_t)1 << bit) - (bit % 2);
            timers_init(&timers, now);
            timer_init(&timer, count_fire);
            timer_arm(&timers, &timer, due);
            fired_count = 0;
            int steps = 0;
            for (; fired_count == 0; steps++) {
                uint64_t wait = timers_next(&timers);
                assert_true(wait <= due - now);
                now += wait;
                assert_int_equal(timers_run(&timers, now), now == due ? 1 : 0);
            }
            assert_int_equal(now, due);
            assert_true(steps <= TIMER_LEVELS);
        }
    }
}

static void
rearm_in_the_past(struct timer *timer)
{
    fired_count++;
    timer_arm(&wheel, timer, 0);
}

static void
test_past_waits_for_the_next_run(void **state)
{
    (void)state;
    struct timer timer;
    timers_init(&wheel, 1000);
    timer_init(&timer, rearm_in_the_past);
    timer_arm(&wheel, &timer, 5);
    fired_count = 0;
    for (size_t run = 1; run <= 3; run++) {
        assert_int_equal(timers_next(&wheel), 0);
        assert_int_equal(timers_run(&wheel, 1000), 1);
        assert_int_equal(fired_count, run);
    }
    assert_int_equal(timers_run(&wheel, 500), 1); /* a clock that steps back does no harm */
    timer_cancel(&wheel, &timer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_on_time_in_few_steps),
        cmocka_unit_test(test_past_waits_for_the_next_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
