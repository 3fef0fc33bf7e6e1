/* SPDX-License-Identifier: MIT
 * fund_test.c - leased money is never overspent, at any concurrency.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see fund.h. */
#include "dataplane/view/fund.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/err.h"

static void
holds_and_captures(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("default"));
    assert_ptr_equal(fund, funds_get(&funds, STR("default")));
    assert_int_equal(fund_hold(fund, 1), -ERR_OVERDRAWN);
    assert_true(fund_should_ask(fund));
    assert_false(fund_should_ask(fund)); /* asked already */
    fund_grant(fund, 1000, FUND_OK);
    assert_int_equal(fund_hold(fund, 600), 0);
    assert_int_equal(fund_hold(fund, 600), -ERR_OVERDRAWN);
    fund_capture(fund, 600, 250);
    assert_int_equal(atomic_load(&fund->available), 750);
    assert_int_equal(atomic_load(&fund->spent), 250);
    assert_int_equal(fund_hold(fund, 750), 0);
    fund_capture(fund, 750, 0);
    fund_grant(fund, 900, FUND_OK); /* an old word: granted never shrinks */
    assert_int_equal(atomic_load(&fund->available), 750);
    fund_grant(fund, 1500, FUND_FROZEN);
    assert_int_equal(fund_hold(fund, 1), -ERR_PERMISSION);
    funds_fini(&funds);
}

/* A cap that was lowered: nothing is held, however much is here, and all of it goes back; whoever
 * wants something asks. */
static void
over_its_cap(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get_budget(&funds, "key", STR("ci"));
    assert_string_equal(fund->wallet, "key/ci");
    assert_true(fund_is_budget(fund));
    assert_false(fund_is_budget(funds_get(&funds, STR("key"))));
    fund_grant(fund, 1000, FUND_OK);
    assert_int_equal(fund_hold(fund, 300), 0);
    struct fund_word word = {.granted = 1000, .status = FUND_OVER, .free = 5000};
    fund_hear(fund, &word);
    assert_false(fund_should_ask(fund)); /* nobody wants anything */
    assert_int_equal(fund_hold(fund, 10), -ERR_OVERDRAWN);
    assert_true(fund_should_ask(fund));
    assert_false(fund_covers(fund, 10));
    assert_int_equal(fund_tick(fund), 700);
    fund_capture(fund, 300, 100);
    assert_int_equal(fund_tick(fund), 200);
    word.returned = 900;
    word.status = FUND_OK;
    fund_hear(fund, &word);
    assert_true(fund_covers(fund, 10));
    assert_int_equal(fund_hold(fund, 10), -ERR_OVERDRAWN);
    funds_fini(&funds);
}

/* What it asks for follows what is used, held and waited for; what is not needed goes back. */
static void
asks_for_what_it_needs(void **state)
{
    (void)state;
    struct funds funds;
    int64_t want;
    int64_t need;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("w"));
    struct fund_word word = {.status = FUND_OK, .free = 100 * FUND_LEASE_NANO};
    fund_ask(fund, &want, &need);
    assert_true(want == FUND_LEASE_NANO && need == 0);
    assert_int_equal(fund_hold(fund, 3 * FUND_LEASE_NANO), -ERR_OVERDRAWN);
    fund_wait(fund, 3 * FUND_LEASE_NANO);
    fund_wait(fund, 4 * FUND_LEASE_NANO);
    fund_ask(fund, &want, &need);
    assert_true(want == 7 * FUND_LEASE_NANO && need == 3 * FUND_LEASE_NANO);
    fund_wait_end(fund, 4 * FUND_LEASE_NANO);
    fund_wait_end(fund, 3 * FUND_LEASE_NANO);
    word.granted = 7 * FUND_LEASE_NANO;
    fund_hear(fund, &word);
    assert_false(fund_should_ask(fund));
    assert_int_equal(fund_hold(fund, 3 * FUND_LEASE_NANO), 0);
    fund_ask(fund, &want, &need);
    assert_true(want == 2 * FUND_LEASE_NANO && need == 0); /* as much again as is held */
    fund_capture(fund, 3 * FUND_LEASE_NANO, 2 * FUND_LEASE_NANO);
    assert_int_equal(fund_tick(fund), 0);
    fund_ask(fund, &want, &need);
    assert_true(want == 15 * FUND_LEASE_NANO); /* ten seconds of this, less what is there */
    /* a little use is no reason to keep much */
    int64_t back = 0;
    for (unsigned i = 0; i < 50 && back == 0; i++) {
        assert_int_equal(fund_hold(fund, 1), 0);
        fund_capture(fund, 1, 1);
        back = fund_tick(fund);
    }
    assert_true(back > 3 * FUND_LEASE_NANO && fund->returned == back);
    assert_true(atomic_load(&fund->available) >= FUND_LEASE_NANO);
    /* and a minute without any is a reason to keep nothing */
    unsigned idle = 0;
    while ((back = fund_tick(fund)) == 0 && idle < 2 * FUND_IDLE_S)
        idle++;
    assert_true(back > 0 && idle >= FUND_IDLE_S - 1 && idle <= FUND_IDLE_S + 1);
    assert_int_equal(atomic_load(&fund->available), 0);
    assert_int_equal(fund_tick(fund), 0);
    funds_fini(&funds);
}

static void
gives_back(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("w"));
    struct fund_word word = {.status = FUND_OK, .free = 0, .granted = 1000};
    fund_hear(fund, &word);
    assert_int_equal(fund_hold(fund, 300), 0);
    assert_true(fund_covers(fund, 700) && !fund_covers(fund, 701));
    word.free = 50;
    fund_hear(fund, &word);
    assert_true(fund_covers(fund, 750) && !fund_covers(fund, 751));
    /* it was lost for a while: the control plane took 600 back */
    word.returned = 600;
    fund_hear(fund, &word);
    fund_hear(fund, &word);
    assert_int_equal(atomic_load(&fund->available), 100);
    /* empty elsewhere: what idles here goes back soon, what is held does not */
    word.status = FUND_EMPTY;
    fund_hear(fund, &word);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(fund_tick(fund), 0);
    fund_capture(fund, 300, 200);
    assert_int_equal(fund_tick(fund), 0);
    assert_int_equal(fund_tick(fund), 0);
    assert_int_equal(fund_tick(fund), 200);
    assert_int_equal(fund->returned, 800);
    /* frozen: at once */
    word.status = FUND_FROZEN;
    word.granted = 1100;
    fund_hear(fund, &word);
    assert_int_equal(fund_tick(fund), 100);
    word.granted = 1200;
    fund_hear(fund, &word);
    assert_int_equal(fund_take_all(fund), 100);
    assert_int_equal(fund_take_all(fund), 0);
    assert_int_equal(fund->returned, 1000);
    funds_fini(&funds);
}

/* Less than was wanted: half of it is used before it asks again. */
static void
does_not_draw_a_wallet_empty(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("w"));
    struct fund_word word = {.status = FUND_OK, .free = 1000, .granted = 100};
    fund_hear(fund, &word);
    assert_false(fund_should_ask(fund));
    assert_int_equal(fund_tick(fund), 0);
    assert_int_equal(fund_hold(fund, 50), 0);
    assert_false(fund_should_ask(fund));
    assert_int_equal(fund_hold(fund, 1), 0);
    assert_true(fund_should_ask(fund));
    assert_false(fund_should_ask(fund));
    funds_fini(&funds);
}

#define THREADS 4
#define ROUNDS 50000

static void *
spend(void *arg)
{
    struct fund *fund = arg;
    int64_t spent = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (fund_hold(fund, 10) != 0)
            continue;
        fund_capture(fund, 10, 7);
        spent += 7;
    }
    return (void *)(intptr_t)spent; /* NOLINT(performance-no-int-to-ptr) */
}

static void
many_threads_cannot_overspend(void **state)
{
    (void)state;
    struct funds funds;
    funds_init(&funds);
    struct fund *fund = funds_get(&funds, STR("w"));
    fund_grant(fund, 1000000, FUND_OK);
    pthread_t threads[THREADS];
    int64_t total = 0;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend, fund), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        total += (int64_t)(intptr_t)result;
    }
    assert_true(total <= 1000000);
    assert_true(total > 1000000 - 10); /* and nothing got lost on the way */
    assert_int_equal(atomic_load(&fund->available), 1000000 - total);
    assert_int_equal(atomic_load(&fund->held), 0);
    funds_fini(&funds);
}

/* A call that runs is held though there is no cover: nothing else is let through before there is,
 * and a lease is asked for that covers it. What was spent above the lease is spent. */
static void
owes_what_runs(void **state)
{
    (void)state;
    struct funds funds;
    int64_t want;
    int64_t need;
    funds_init(&funds);
    struct fund *fund = funds_get_budget(&funds, "key", STR("ci"));
    assert_true(fund_owe(fund, 700));
    assert_false(fund_owe(fund, 300)); /* asked already */
    assert_int_equal(atomic_load(&fund->available), -1000);
    fund_ask(fund, &want, &need);
    assert_int_equal(need, 1000);
    assert_int_equal(want, FUND_LEASE_NANO + 1000);
    fund_grant(fund, 1000, FUND_EMPTY);
    assert_int_equal(fund_hold(fund, 1), -ERR_OVERDRAWN);
    fund_grant(fund, 1400, FUND_OK);
    assert_int_equal(fund_hold(fund, 400), 0);
    assert_true(fund_owe(fund, 1));
    fund_grant(fund, 1402, FUND_OK);
    assert_false(fund_owe(fund, 1)); /* it is covered */
    fund_capture(fund, 1002, 0);
    fund_capture(fund, 400, 2000);
    assert_int_equal(atomic_load(&fund->available), -598);
    fund_ask(fund, &want, &need); /* nothing runs: it is spent, and nobody is owed */
    assert_int_equal(need, 0);
    assert_int_equal(want, FUND_LEASE_NANO);
    assert_int_equal(fund_tick(fund), 0);
    assert_int_equal(fund_tick(fund), 0);
    fund_forgive(fund); /* not idle for long enough */
    assert_int_equal(atomic_load(&fund->available), -598);
    assert_int_equal(fund_tick(fund), 0);
    assert_int_equal(atomic_load(&fund->available), -598); /* who knows whether it is posted */
    assert_true(fund_owe(fund, 2));
    fund_capture(fund, 2, 1); /* came and went since the tick */
    fund_forgive(fund);
    assert_int_equal(atomic_load(&fund->available), -599);
    for (unsigned i = 0; i <= FUND_IDLE_EMPTY_S; i++)
        assert_int_equal(fund_tick(fund), 0);
    fund_forgive(fund);
    assert_int_equal(atomic_load(&fund->available), 0);
    fund_grant(fund, 2000, FUND_OK);
    assert_int_equal(atomic_load(&fund->available), 598);
    assert_true(fund_owe(fund, 599));
    fund_wait(fund, INT64_MAX); /* more than there is */
    fund_ask(fund, &want, &need);
    assert_true(want == INT64_MAX && need == 1);
    fund_wait_end(fund, INT64_MAX);
    fund_capture(fund, 599, 0);
    char name[1200];
    memset(name, 'x', sizeof name);
    assert_null(funds_get_budget(&funds, "key", str_make(name, sizeof name)));
    assert_int_equal(fund_tick(fund), 0);
    funds_fini(&funds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_and_captures),
        cmocka_unit_test(over_its_cap),
        cmocka_unit_test(owes_what_runs),
        cmocka_unit_test(asks_for_what_it_needs),
        cmocka_unit_test(gives_back),
        cmocka_unit_test(does_not_draw_a_wallet_empty),
        cmocka_unit_test(many_threads_cannot_overspend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
