/* SPDX-License-Identifier: MIT
 * kill_story_test_rig.h - a story of steps that a process dies in at every call that writes: what
 *            was answered is there, a step is done or not, and who goes on from there ends where a
 *            story without a death ends.
 * Floor: tests of any room; Linux only (kill_test_rig.h).
 * Owns: memory that a child shares.
 * Invariant: none of its own. */
#ifndef BERTH_LIB_BASE_KILL_STORY_TEST_RIG_H
#define BERTH_LIB_BASE_KILL_STORY_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/kill_test_rig.h"

enum { KILL_STORY_STEPS_MAX = 48, KILL_STORY_STATE_BYTES = 2048 };

struct kill_story {
    /* Each may be asked for again; 0 or a negative code. Beyond the last: how many there are. */
    int (*step)(uint32_t number);
    void (*state)(char out[KILL_STORY_STATE_BYTES]); /* what the books say, as text */
    kill_rig_step_fn *begin;                         /* nothing is there */
    kill_rig_step_fn *open;
    kill_rig_step_fn *close;
    kill_rig_step_fn *audit; /* or NULL */
    const struct err *err;   /* of the last step */
};

/* Survives the child. */
struct kill_story_kept {
    uint32_t done;
    bool between; /* in a step of several commits, which is said again until it is done */
    char states[KILL_STORY_STEPS_MAX + 1][KILL_STORY_STATE_BYTES]; /* undisturbed, after each */
};
/* A step function is `uint32_t at = 0;`, a row of these, `return (int)at;`. */
#define STEP(call)          \
    do {                    \
        if (at++ == number) \
            return call;    \
    } while (0)

static const struct kill_story *story;
static uint32_t story_steps;
static struct kill_story_kept *story_kept;

/* story_folder_empty - nothing of a SQLite store is left in it. */
static inline void
story_folder_empty(const char *folder)
{
    static const char *const names[] = {"a.db", "a.db-wal", "a.db-shm", "a.db-journal"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
}

static inline void
story_go_on(bool note)
{
    for (uint32_t at = story_kept->done; at < story_steps; at++) {
        int code = story->step(at);
        if (code != 0)
            fail_msg("step %u: %s %s", at, err_name(code), story->err->text);
        story_kept->done = at + 1;
        if (note)
            story->state(story_kept->states[at + 1]);
    }
}

static inline void
story_audit(void)
{
    if (story->audit != NULL)
        story->audit();
}

static inline void
story_begin(void)
{
    story->begin();
    story_kept->done = 0;
    story_kept->between = false;
}

static inline void
story_work(void)
{
    story->open();
    story_go_on(false);
    story->close();
}

static inline void
story_check(uint64_t nth)
{
    char state[KILL_STORY_STATE_BYTES];
    story->open();
    story_audit();
    uint32_t done = story_kept->done;
    bool last = done == story_steps;
    story->state(state);
    if (!story_kept->between && strcmp(state, story_kept->states[done]) != 0 &&
        (last || strcmp(state, story_kept->states[done + 1]) != 0))
        fail_msg("point %llu, %u steps answered:\n%s\nnot\n%s", (unsigned long long)nth, done,
                 state, story_kept->states[done]);
    story_go_on(false);
    story->state(state);
    if (strcmp(state, story_kept->states[story_steps]) != 0)
        fail_msg("point %llu, then to the end:\n%s\nnot\n%s", (unsigned long long)nth, state,
                 story_kept->states[story_steps]);
    story_audit();
    story->close();
}

/* story_tell - the whole test; sample: how many points without BERTH_KILLS=full. */
static inline void
story_tell(const struct kill_story *told, uint64_t sample)
{
    uint64_t calls = 0;
    story = told;
    story_kept = kill_rig_shared(sizeof *story_kept);
    story_steps = (uint32_t)told->step(UINT32_MAX);
    assert_true(story_kept != NULL && story_steps <= KILL_STORY_STEPS_MAX);
    story_begin();
    story->open();
    story->state(story_kept->states[0]);
    story_go_on(true);
    story_audit();
    story->close();
    int killed = kill_rig_each(sample, story_begin, story_work, story_check, &calls);
    story_begin();
    if (killed == 0)
        skip();
    assert_true(killed > 0);
    print_message("%u steps, %d of %llu points\n", story_steps, killed, (unsigned long long)calls);
}

#endif
