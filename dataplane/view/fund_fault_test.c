/* SPDX-License-Identifier: MIT
 * fund_fault_test.c - money on a node when allocations fail, when threads meet on one fund, and at
 *            the edges of its numbers.
 * Floor: dataplane/view tests.
 * Owns: malloc, for this program; threads for the time of a test.
 * Invariant: see fund.h. */
#include "dataplane/view/fund.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/alloc_test_rig.h"
#include "lib/base/err.h"

static bool can_fail_malloc;

static void
test_allocations(void **state)
{
    struct funds funds;
    struct fund *fund = NULL;
    struct str members = STR_EMPTY;
    struct arena arena;
    unsigned failed = 0;
    (void)state;
    if (!can_fail_malloc)
        skip();
    funds_init(&funds);
    for (unsigned nth = 1; fund == NULL; nth++) {
        alloc_rig_arm(nth, false);
        fund = funds_get(&funds, STR("default"));
        failed += alloc_rig.happened;
        assert_true(alloc_rig.happened == (fund == NULL));
    }
    assert_true(failed >= 2);
    arena_init(&arena, 4096);
    for (unsigned nth = 1, code = 1; code != 0; nth++) {
        alloc_rig_arm(nth, false);
        int rc = fund_record(fund, "container", STR("dev"), STR("01"), &arena, &members);
        code = (unsigned)alloc_rig.happened;
        assert_int_equal(rc, alloc_rig.happened ? -ERR_NOMEM : 0);
    }
    alloc_rig_arm(0, false);
    assert_true(str_eq(members, STR(",\"wallet\":\"default\",\"subject\":\"container/dev\","
                                    "\"incarnation\":\"01\"")));
    assert_int_equal(fund_record(fund, "key", STR("k"), STR_EMPTY, &arena, &members), 0);
    assert_true(str_eq(members, STR(",\"wallet\":\"default\",\"subject\":\"key/k\"")));
    arena_fini(&arena);
    funds_fini(&funds);
}

/* Holders, and one that takes back whatever is free and lends anew: nothing gets lost. */
enum { HOLDERS = 4, HOLDS = 2000000 };
static struct {
    struct fund *fund;
    _Atomic int64_t captured;
    _Atomic unsigned running;
} meet;

static void *
holder(void *arg)
{
    int64_t amount = (int64_t)(intptr_t)arg;
    for (unsigned i = 0; i < HOLDS; i++) {
        if (fund_hold(meet.fund, amount + i % 64) != 0)
            continue;
        fund_capture(meet.fund, amount + i % 64, amount / 3);
        atomic_fetch_add(&meet.captured, amount / 3);
    }
    atomic_fetch_sub(&meet.running, 1u);
    return NULL;
}

static void
test_threads(void **state)
{
    struct funds funds;
    (void)state;
    for (int taking = 0; taking < 2; taking++) {
        pthread_t threads[HOLDERS];
        int64_t taken = 0;
        funds_init(&funds);
        meet.fund = funds_get(&funds, STR("w"));
        atomic_store(&meet.captured, 0);
        atomic_store(&meet.running, HOLDERS);
        fund_grant(meet.fund, taking ? 1000 : 1000000000, FUND_OK);
        for (intptr_t i = 0; i < HOLDERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, holder, (void *)(30 * (i + 1))), 0);
        while (taking && atomic_load(&meet.running) > 0) {
            taken += fund_take_all(meet.fund);
            fund_grant(meet.fund, atomic_load(&meet.fund->granted) + 500, FUND_OK);
        }
        for (size_t i = 0; i < HOLDERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(atomic_load(&meet.fund->held), 0);
        assert_true(atomic_load(&meet.fund->available) >= 0);
        assert_true(atomic_load(&meet.fund->granted) ==
                    taken + atomic_load(&meet.captured) + atomic_load(&meet.fund->available));
        assert_true(atomic_load(&meet.fund->spent) == atomic_load(&meet.captured));
        funds_fini(&funds);
    }
}

static void
test_edges(void **state)
{
    struct funds funds;
    int64_t want;
    int64_t need;
    (void)state;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("w"));
    /* empty, and nobody needs anything: not asked for; somebody needs more: asked for */
    fund_grant(fund, FUND_LEASE_NANO / 100, FUND_EMPTY);
    assert_int_equal(fund_hold(fund, FUND_LEASE_NANO / 100), 0);
    assert_false(fund_should_ask(fund));
    assert_int_equal(fund_hold(fund, FUND_LEASE_NANO), -ERR_OVERDRAWN);
    assert_int_equal(fund_hold(fund, 1), -ERR_OVERDRAWN); /* the greater need stays */
    assert_true(fund_should_ask(fund));
    /* what is wanted is there */
    fund_grant(fund, 100 * FUND_LEASE_NANO, FUND_OK);
    fund_capture(fund, FUND_LEASE_NANO / 100, 0);
    fund_ask(fund, &want, &need);
    assert_true(want == 0 && need == 0);
    /* sums that no number holds are all there is */
    fund_grant(fund, INT64_MAX, FUND_OK);
    assert_int_equal(fund_hold(fund, INT64_MAX / 2 + 1), 0);
    fund_ask(fund, &want, &need);
    assert_int_equal(want, INT64_MAX - atomic_load(&fund->available));
    fund_capture(fund, INT64_MAX / 2 + 1, INT64_MAX / 4);
    assert_int_equal(fund_tick(fund), 0);
    fund_ask(fund, &want, &need);
    assert_true(want > 0 && need == 0);
    /* a request that waits is no idleness */
    fund_wait(fund, 5);
    for (unsigned i = 0; i < 2 * FUND_IDLE_S; i++)
        (void)fund_tick(fund);
    assert_true(atomic_load(&fund->available) > 0);
    fund_wait_end(fund, 5);
    int64_t back = 0;
    for (unsigned i = 0; i < 2 * FUND_IDLE_S; i++)
        back += fund_tick(fund);
    assert_true(back > 0 && atomic_load(&fund->available) == 0);
    funds_fini(&funds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocations),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_edges)};
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
