/* SPDX-License-Identifier: MIT
 * budget_test_rig.h - the ledger's rig with a clock that the test moves.
 * Floor: controlplane/ledger tests.
 * Owns: the clock of the process, from begin to end.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_LEDGER_BUDGET_TEST_RIG_H
#define BERTH_CONTROLPLANE_LEDGER_BUDGET_TEST_RIG_H

#include "controlplane/ledger/budget.h"
#include "controlplane/ledger/ledger_test_rig.h"

#include "lib/base/clock.h"

#define CENT (MONEY_NANO_PER_USD / 100)
#define HOUR_MS 3600000ll
#define DAY_MS (24 * HOUR_MS)
#define DECEMBER_MS 1764547200000ll /* 2025-12-01T00:00:00Z */

static int64_t time_ms;

static inline uint64_t
rig_mono(void *user)
{
    (void)user;
    return (uint64_t)time_ms * 1000000u;
}

static inline int64_t
rig_wall(void *user)
{
    (void)user;
    return time_ms * 1000000;
}

static inline int
begin(void **state)
{
    static const struct clock_source source = {rig_mono, rig_wall, NULL};
    time_ms = DECEMBER_MS;
    clock_replace(&source);
    return setup(state);
}

static inline int
end(void **state)
{
    clock_replace(NULL);
    return teardown(state);
}

#endif
