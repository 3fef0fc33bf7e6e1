/* SPDX-License-Identifier: MIT
 * ledger_test_rig.h - a ledger over a store in memory, for one test.
 * Floor: controlplane/ledger tests.
 * Owns: store, ledger and arena of the test that runs.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_LEDGER_LEDGER_TEST_RIG_H
#define BERTH_CONTROLPLANE_LEDGER_LEDGER_TEST_RIG_H

#include "controlplane/ledger/usage_rollup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct store *store;
static struct ledger *ledger;
static struct arena arena;
static struct err err;

/* As after a restart: nothing is known but what is stored. */
static inline void
reopen_with(uint32_t fee_bps)
{
    struct ledger_config config = {.fee_bps = fee_bps};
    ledger_free(&ledger);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
}

static inline int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 256u << 20);
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    reopen_with(0);
    return 0;
}

static inline void
check_audit(void)
{
    struct ledger_audit found;
    if (ledger_audit(ledger, &found, &err) < 0)
        fail_msg("%s", err.text);
}

static inline int
teardown(void **state)
{
    (void)state;
    ledger_free(&ledger);
    store_close(&store);
    arena_fini(&arena);
    return 0;
}

static inline int
audited_teardown(void **state)
{
    check_audit();
    return teardown(state);
}

#endif
