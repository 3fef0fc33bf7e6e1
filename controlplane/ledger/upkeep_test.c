/* SPDX-License-Identifier: MIT
 * upkeep_test.c - posted usage is added up, and old records go, without anybody asking.
 * Floor: controlplane/ledger tests.
 * Owns: nothing.
 * Invariant: see upkeep.h. */
#include "controlplane/ledger/upkeep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "controlplane/ledger/budget.h"
#include "lib/base/alloc_test_rig.h"
#include "lib/base/clock.h"
#include "lib/net/loop.h"

#define DEADLINE_MS 20000u

static struct loop *loop;
static struct store *store;
static struct ledger *ledger;
static unsigned failures;
static bool can_fail_malloc;

static void
on_failed(const char *what, const struct err *err, void *user)
{
    (void)user;
    assert_non_null(what);
    assert_true(err->text[0] != '\0');
    failures++;
}

static bool
stored(const char *key)
{
    struct arena arena;
    struct store_row row;
    arena_init(&arena, 1u << 20);
    int r = store_get(store, str_from(key), &arena, &row);
    arena_fini(&arena);
    return r == 0;
}

static void
step_until(const char *key, bool there)
{
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (stored(key) != there) {
        assert_true(clock_mono_ms() < deadline);
        loop_step(loop, 20);
    }
}

static void
test_upkeep(void **state)
{
    (void)state;
    struct err err = {0};
    const struct ledger_config config = {0};
    const struct ledger_stream stream = {STR("n"), 1, STR("0")};
    const struct str record = STR("{\"seq\":\"1\",\"at_ms\":1,\"wallet\":\"a\",\"provider\":\"p\","
                                  "\"charge\":\"1\",\"cost\":\"1\"}");
    struct ledger_applied applied;
    struct upkeep *upkeep = NULL;
    assert_int_equal(loop_new(&loop, &err), 0);
    assert_int_equal(store_open("memory:", loop, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    assert_int_equal(usage_apply(ledger, &stream, 1, &record, 1, &applied, &err), 0);
    struct upkeep_conf conf = {
        .loop = loop, .ledger = ledger, .retention_ms = -1, .failed = on_failed};
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    step_until("ledger/rolled/n/1/0", true);
    upkeep_free(&upkeep);
    assert_true(stored("usage/n/1/0/00000000000000000001"));
    conf.retention_ms = 0;
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    store_fail_commit(store, 1, false);
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (failures == 0 && clock_mono_ms() < deadline)
        loop_step(loop, 20);
    assert_int_equal(failures, 1);
    upkeep_free(&upkeep);
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    step_until("usage/n/1/0/00000000000000000001", false);
    assert_int_equal(failures, 1);
    upkeep_free(&upkeep);
    upkeep_free(&upkeep);
    upkeep_free(NULL);
    ledger_free(&ledger);
    store_close(&store);
    loop_free(&loop);
}

/* Of all epochs; the key has the epoch where %llu is. */
static void
all_until(const char *format, bool there)
{
    for (uint64_t epoch = 1; epoch <= 100; epoch++) {
        char key[64];
        struct str head;
        struct str rest;
        assert_true(str_cut(str_from(format), '%', &head, &rest));
        (void)snprintf(key, sizeof key, "%.*s%llu%s", STR_ARG(head), (unsigned long long)epoch,
                       rest.ptr + 3);
        step_until(key, there);
    }
}

/* More than one step's worth: the next one comes soon. Failures need nobody who listens. */
static void
test_much(void **state)
{
    (void)state;
    struct err err = {0};
    const struct ledger_config config = {0};
    const struct str record = STR("{\"seq\":\"1\",\"at_ms\":1,\"wallet\":\"a\",\"provider\":\"p\","
                                  "\"charge\":\"1\",\"cost\":\"1\"}");
    struct upkeep *upkeep = NULL;
    assert_int_equal(loop_new(&loop, &err), 0);
    assert_int_equal(store_open("memory:", loop, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
    for (uint64_t epoch = 1; epoch <= 100; epoch++) {
        const struct ledger_stream stream = {STR("n"), epoch, STR("0")};
        struct ledger_applied applied;
        assert_int_equal(usage_apply(ledger, &stream, 1, &record, 1, &applied, &err), 0);
    }
    struct upkeep_conf conf = {.loop = loop, .ledger = ledger, .retention_ms = -1};
    if (can_fail_malloc) {
        alloc_rig_arm(1, false);
        assert_int_equal(upkeep_new(&conf, &upkeep, &err), -ERR_NOMEM);
    }
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    store_fail_call(store, 1, -ERR_STORE); /* the first step: tried again after a while */
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (!store_failed_call(store) && clock_mono_ms() < deadline)
        loop_step(loop, 20);
    assert_true(store_failed_call(store));
    upkeep_free(&upkeep);
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    all_until("ledger/rolled/n/%llu/0", true);
    upkeep_free(&upkeep);
    conf.retention_ms = 0;
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    all_until("usage/n/%llu/0/00000000000000000001", false);
    upkeep_free(&upkeep);
    ledger_free(&ledger);
    store_close(&store);
    loop_free(&loop);
}

#define DECEMBER_MS 1764547200000 /* the first, of 2025 */

static int64_t mono_ms;
static int64_t wall_ms;
static unsigned steps;

static uint64_t
test_mono(void *user)
{
    (void)user;
    return (uint64_t)mono_ms * 1000000u;
}

static int64_t
test_wall(void *user)
{
    (void)user;
    return wall_ms * 1000000;
}

static void
on_stepped(int64_t step_ms, void *user)
{
    (void)user;
    assert_true(step_ms > 0);
    steps++;
}

/* Both clocks go on, in steps that no timer minds. */
static void
time_goes_on(int64_t ms)
{
    for (int64_t done = 0; done < ms; done += 60000) {
        mono_ms += 60000;
        wall_ms += 60000;
        loop_step(loop, 0);
    }
}

/* By both clocks of this test, whose wall clock is so far ahead. */
static void
begin_ahead(int64_t ahead_ms)
{
    static const struct clock_source source = {test_mono, test_wall, NULL};
    const struct ledger_config config = {0};
    struct err err = {0};
    mono_ms = 1000000;
    wall_ms = DECEMBER_MS + ahead_ms;
    clock_replace(&source);
    assert_int_equal(loop_new(&loop, &err), 0);
    assert_int_equal(store_open("memory:", loop, &store, &err), 0);
    assert_int_equal(ledger_new(store, &config, &ledger, &err), 0);
}

static void
end(struct upkeep *upkeep)
{
    upkeep_free(&upkeep);
    ledger_free(&ledger);
    store_close(&store);
    loop_free(&loop);
    clock_replace(NULL);
}

/* An hour's cap of a clock that is 40 days ahead. */
static void
begin_capped(void)
{
    const struct budget_caps caps = {.capped = {true}, .amount = {{100}}};
    struct err err = {0};
    begin_ahead(40 * 24 * 3600000ll);
    assert_int_equal(budget_set(ledger, STR("key/ci"), &caps, &err), 0);
}

static void
want_hour_at_hand(void)
{
    struct budget_state budget;
    struct err err = {0};
    assert_int_equal(budget_get(ledger, STR("key/ci"), &budget, &err), 0);
    assert_int_equal(budget.begins_ms[PERIOD_HOUR], DECEMBER_MS);
}

/* A clock that jumps ahead makes no record old: it is believed when it has gone on for a day. */
static void
test_clock(void **state)
{
    (void)state;
    struct err err = {0};
    const struct ledger_stream stream = {STR("n"), 1, STR("0")};
    const struct str record = STR("{\"seq\":\"1\",\"at_ms\":1764547200000,\"wallet\":\"a\","
                                  "\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}");
    static const char *const key = "usage/n/1/0/00000000000000000001";
    struct ledger_applied applied;
    struct upkeep *upkeep = NULL;
    steps = 0;
    begin_ahead(0);
    assert_int_equal(usage_apply(ledger, &stream, 1, &record, 1, &applied, &err), 0);
    const struct upkeep_conf conf = {.loop = loop, .ledger = ledger, .stepped = on_stepped};
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    time_goes_on(3600000);
    assert_true(stored("ledger/rolled/n/1/0"));
    wall_ms += 2 * UPKEEP_RETENTION_MS;
    time_goes_on(23 * 3600000ll);
    assert_int_equal(steps, 1);
    assert_true(stored(key));
    time_goes_on(2 * 3600000ll);
    assert_false(stored(key));
    end(upkeep);
}

/* Caps of a clock that was ahead wait for usage to be added up, and do not slow that down. */
static void
test_caps_behind(void **state)
{
    (void)state;
    struct err err = {0};
    const struct str record = STR("{\"seq\":\"1\",\"at_ms\":1764547200000,\"wallet\":\"a\","
                                  "\"provider\":\"p\",\"charge\":\"1\",\"cost\":\"1\"}");
    enum { EPOCHS = 800 }; /* more than a step and a question add up */
    struct upkeep *upkeep = NULL;
    failures = 0;
    begin_capped();
    wall_ms = DECEMBER_MS;
    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        const struct ledger_stream stream = {STR("n"), epoch, STR("0")};
        struct ledger_applied applied;
        assert_int_equal(usage_apply(ledger, &stream, 1, &record, 1, &applied, &err), 0);
    }
    const struct upkeep_conf conf = {.loop = loop, .ledger = ledger, .failed = on_failed};
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    for (unsigned i = 0; i < EPOCHS; i++) { /* in less than the while after a failure */
        mono_ms += 10;
        wall_ms += 10;
        loop_step(loop, 0);
    }
    assert_int_equal(failures, 0);
    want_hour_at_hand();
    end(upkeep);
}

static const char *failed_at;

static void
note_failed(const char *what, const struct err *why, void *user)
{
    (void)user;
    assert_string_not_equal(why->text, "");
    failed_at = what;
}

/* Set back, heard by nobody, and the store fails at each step: said, and done later. */
static void
test_caps_fail(void **state)
{
    (void)state;
    struct err err = {0};
    struct upkeep *upkeep = NULL;
    failed_at = "";
    begin_capped();
    const struct upkeep_conf conf = {.loop = loop, .ledger = ledger, .failed = note_failed};
    assert_int_equal(upkeep_new(&conf, &upkeep, &err), 0);
    wall_ms = DECEMBER_MS;
    for (unsigned nth = 1; strstr(failed_at, "caps") == NULL; nth++) {
        assert_true(nth < 20);
        store_fail_call(store, nth, -ERR_STORE);
        time_goes_on(60000);
    }
    store_fail_call(store, 0, 0);
    time_goes_on(120000);
    want_hour_at_hand();
    end(upkeep);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upkeep), cmocka_unit_test(test_much), cmocka_unit_test(test_clock),
        cmocka_unit_test(test_caps_behind), cmocka_unit_test(test_caps_fail)};
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
