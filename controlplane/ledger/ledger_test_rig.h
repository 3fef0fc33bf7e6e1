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

static inline int
setup(void **state)
{
    struct ledger_config config = {0};
    (void)state;
    arena_init(&arena, 256u << 20);
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    return 0;
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

#endif
