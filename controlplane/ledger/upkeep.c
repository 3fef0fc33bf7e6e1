/* SPDX-License-Identifier: MIT
 * upkeep.c - see upkeep.h.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: see upkeep.h.
 * Invariant: see upkeep.h. */
#include "controlplane/ledger/upkeep.h"

#include <stdlib.h>

#include "controlplane/ledger/budget.h"
#include "controlplane/ledger/usage_rollup.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/net/loop.h"

/* Often enough that little is left to add up when somebody asks; seldom enough that the page of
 * the hour is not written all the time. */
#define ROLL_MS 5000u
#define PRUNE_MS (10u * 60u * 1000u)
#define MORE_MS 100u /* between steps, so that nodes do not wait */
#define RETRY_MS 10000u
/* What a wrong clock takes for old is not deleted: only after the clock has gone on like time
 * itself for so long. */
#define STEP_MS_MIN 60000
#define SETTLED_MS (24ll * 3600 * 1000)

struct upkeep {
    struct upkeep_conf conf;
    struct timer roll;
    struct timer prune;
    int64_t offset_ms;  /* of the wall clock from the monotonic one */
    int64_t stepped_ms; /* when it was set, by the monotonic one */
    bool stepped;       /* since the start */
};

static void
arm(struct upkeep *upkeep, struct timer *timer, uint64_t in_ms)
{
    timer_arm(loop_timers(upkeep->conf.loop), timer, loop_now_ms(upkeep->conf.loop) + in_ms);
}

static void
failed(struct upkeep *upkeep, struct timer *timer, const char *what, const struct err *err)
{
    if (upkeep->conf.failed)
        upkeep->conf.failed(what, err, upkeep->conf.user);
    arm(upkeep, timer, RETRY_MS);
}

/* Has the wall clock been set since the last look? */
static void
clock_look(struct upkeep *upkeep)
{
    int64_t mono_ms = (int64_t)clock_mono_ms();
    int64_t offset_ms = clock_wall_ns() / 1000000 - mono_ms;
    int64_t step_ms = offset_ms - upkeep->offset_ms;
    upkeep->offset_ms = offset_ms;
    if (step_ms < STEP_MS_MIN && step_ms > -STEP_MS_MIN)
        return;
    upkeep->stepped = true;
    upkeep->stepped_ms = mono_ms;
    if (upkeep->conf.stepped)
        upkeep->conf.stepped(step_ms, upkeep->conf.user);
}

static void
roll(struct timer *timer)
{
    struct upkeep *upkeep = CONTAINER_OF(timer, struct upkeep, roll);
    struct err err = {0};
    bool more = false;
    size_t count;
    clock_look(upkeep);
    if (usage_rollup_step(upkeep->conf.ledger, &more, &err) < 0) {
        failed(upkeep, timer, "usage could not be added up", &err);
        return;
    }
    /* not while usage is behind: it could not tell what was spent */
    if (!more && budgets_rewind(upkeep->conf.ledger, &count, &err) < 0) {
        failed(upkeep, timer, "caps could not be put on the time at hand", &err);
        return;
    }
    arm(upkeep, timer, more ? MORE_MS : ROLL_MS);
}

static void
prune(struct timer *timer)
{
    struct upkeep *upkeep = CONTAINER_OF(timer, struct upkeep, prune);
    struct err err = {0};
    bool more = false;
    clock_look(upkeep);
    if (upkeep->stepped && (int64_t)clock_mono_ms() - upkeep->stepped_ms < SETTLED_MS) {
        arm(upkeep, timer, PRUNE_MS);
        return;
    }
    int64_t cutoff_ms = clock_wall_ns() / 1000000 - upkeep->conf.retention_ms;
    if (usage_rollup_prune(upkeep->conf.ledger, cutoff_ms, &more, &err) < 0)
        failed(upkeep, timer, "old usage records could not be deleted", &err);
    else
        arm(upkeep, timer, more ? MORE_MS : PRUNE_MS);
}

int
upkeep_new(const struct upkeep_conf *conf, struct upkeep **ret_upkeep, struct err *err)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (!upkeep)
        return err_set(err, ERR_NOMEM, "out of memory");
    upkeep->conf = *conf;
    if (upkeep->conf.retention_ms == 0)
        upkeep->conf.retention_ms = UPKEEP_RETENTION_MS;
    upkeep->offset_ms = clock_wall_ns() / 1000000 - (int64_t)clock_mono_ms();
    timer_init(&upkeep->roll, roll);
    timer_init(&upkeep->prune, prune);
    arm(upkeep, &upkeep->roll, MORE_MS);
    if (upkeep->conf.retention_ms > 0)
        arm(upkeep, &upkeep->prune, MORE_MS);
    *ret_upkeep = upkeep;
    return 0;
}

void
upkeep_free(struct upkeep **upkeep)
{
    if (!upkeep || !*upkeep)
        return;
    timer_cancel(loop_timers((*upkeep)->conf.loop), &(*upkeep)->roll);
    timer_cancel(loop_timers((*upkeep)->conf.loop), &(*upkeep)->prune);
    free(*upkeep);
    *upkeep = NULL;
}
