/* SPDX-License-Identifier: MIT
 * queue_test.c - names once, again while running, retries with growing pauses.
 * Floor: controlplane/reconcile tests.
 * Owns: nothing.
 * Invariant: see queue.h. */
#include "controlplane/reconcile/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/base/clock.h"

struct fixture {
    struct loop *loop;
    struct queue *queue;
    unsigned runs;
    unsigned failures;
    unsigned fail_first; /* this many runs fail */
    bool add_while_running;
    char seen[64];
};
static uint64_t fake_ns;

static uint64_t
mono(void *user)
{
    (void)user;
    return fake_ns;
}
static int64_t
wall(void *user)
{
    (void)user;
    return 0;
}

static int
run(void *user, unsigned which, struct str name, struct err *err)
{
    struct fixture *f = user;
    size_t len = strlen(f->seen);
    (void)snprintf(f->seen + len, sizeof f->seen - len, "%u%.*s ", which, STR_ARG(name));
    f->runs++;
    if (f->add_while_running) {
        f->add_while_running = false;
        assert_int_equal(queue_add(f->queue, which, name), 0);
        assert_int_equal(queue_add(f->queue, which, name), 0);
    }
    return f->runs <= f->fail_first ? err_set(err, ERR_STORE, "no") : 0;
}

static void
failed(void *user, unsigned which, struct str name, unsigned attempts, const struct err *err)
{
    struct fixture *f = user;
    (void)which;
    (void)name;
    assert_string_equal(err->text, "no");
    f->failures = attempts;
}

static void
steps(struct fixture *f, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        fake_ns += 1000000;
        loop_step(f->loop, 0);
    }
}

static int
setup(void **state)
{
    static struct fixture fixture;
    static const struct clock_source source = {.mono_ns = mono, .wall_ns = wall};
    struct err err;
    fixture = (struct fixture){0};
    fake_ns = 1000000000;
    clock_replace(&source);
    *state = &fixture;
    if (loop_new(&fixture.loop, &err) < 0)
        return -1;
    return queue_new(fixture.loop, run, failed, &fixture, &fixture.queue);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    queue_free(&f->queue);
    loop_free(&f->loop);
    clock_replace(NULL);
    return 0;
}

static void
test_dedupe_and_order(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"b", "a", "b", "", "a", ""};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(queue_add(f->queue, 1, str_from(names[i])), 0);
    assert_int_equal(queue_add(f->queue, 2, STR("a")), 0);
    assert_int_equal(queue_depth(f->queue), 4);
    assert_int_equal(f->runs, 0);
    steps(f, 5);
    assert_string_equal(f->seen, "1b 1a 1 2a ");
    assert_int_equal(queue_depth(f->queue), 0);
}

static void
test_added_while_running(void **state)
{
    struct fixture *f = *state;
    f->add_while_running = true;
    assert_int_equal(queue_add(f->queue, 0, STR("x")), 0);
    steps(f, 5);
    assert_int_equal(f->runs, 2);
    assert_int_equal(queue_depth(f->queue), 0);
}

static void
test_retry_pauses(void **state)
{
    struct fixture *f = *state;
    f->fail_first = 3;
    assert_int_equal(queue_add(f->queue, 0, STR("x")), 0);
    steps(f, 5);
    assert_int_equal(f->runs, 1);
    steps(f, 40);
    assert_int_equal(f->runs, 1);
    steps(f, 15);
    assert_int_equal(f->runs, 2);
    steps(f, 80);
    assert_int_equal(f->runs, 2);
    steps(f, 30);
    assert_int_equal(f->runs, 3);
    assert_int_equal(f->failures, 3);
    steps(f, 210);
    assert_int_equal(f->runs, 4);
    assert_int_equal(queue_depth(f->queue), 0);
}

/* News about a name that waits for its retry: do not sit out the pause. */
static void
test_news_cut_the_pause(void **state)
{
    struct fixture *f = *state;
    f->fail_first = 1;
    assert_int_equal(queue_add(f->queue, 0, STR("x")), 0);
    steps(f, 3);
    assert_int_equal(f->runs, 1);
    assert_int_equal(queue_add(f->queue, 0, STR("x")), 0);
    steps(f, 3);
    assert_int_equal(f->runs, 2);
    assert_int_equal(queue_depth(f->queue), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dedupe_and_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_added_while_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retry_pauses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_cut_the_pause, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
