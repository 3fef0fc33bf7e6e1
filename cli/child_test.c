/* SPDX-License-Identifier: MIT
 * child_test.c - a child that becomes ready, one that fails, one that will not stop.
 * Floor: cli; main thread.
 * Owns: a folder for logs.
 * Invariant: see child.h. */
#include "cli/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"

static char folder[] = "/tmp/berth-child-test-XXXXXX";
static char log_file[64];

static void
start(struct child *child, const char *script)
{
    struct err err = {0};
    child_init(child, "tester");
    child->log = log_file;
    child_arg(child, "/bin/sh");
    child_arg(child, "-c");
    child_arg(child, script);
    if (child_start(child, &err) != 0)
        fail_msg("%s", err.text);
}

static void
test_ready(void **state)
{
    struct child child;
    struct err err = {0};
    (void)state;
    start(&child, "echo hello; echo '{\"ready\":true}'; exec sleep 100");
    assert_int_equal(child_wait_ready(&child, -1, 5000, &err), 0);
    assert_true(child_stop(&child, clock_mono_ms() + 5000));
    assert_int_equal(child.pid, 0);
    assert_int_equal(child.out_fd, -1);
}

static void
test_failure_is_its_own_sentence(void **state)
{
    struct child child;
    struct err err = {0};
    (void)state;
    start(&child, "echo old >&2; echo 'berth-tester: the disk is on fire' >&2; exit 3");
    assert_int_equal(child_wait_ready(&child, -1, 5000, &err), -ERR_UNAVAILABLE);
    assert_string_equal(err.text, "tester did not start: the disk is on fire");
    start(&child, "exit 4");
    assert_int_equal(child_wait_ready(&child, -1, 5000, &err), -ERR_UNAVAILABLE);
    assert_string_equal(err.text, "tester did not start: exit code 4");
}

static void
test_no_program(void **state)
{
    struct child child;
    struct err err = {0};
    (void)state;
    child_init(&child, "tester");
    child.log = log_file;
    child_arg(&child, "/nowhere/berth-tester");
    assert_int_equal(child_start(&child, &err), 0);
    assert_int_equal(child_wait_ready(&child, -1, 5000, &err), -ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "cannot run /nowhere/berth-tester: No such file"));
}

static void
test_stop_kills_at_the_deadline(void **state)
{
    struct child child;
    struct err err = {0};
    (void)state;
    start(&child, "trap '' TERM; echo '{\"ready\":true}'; while :; do sleep 0.05; done");
    assert_int_equal(child_wait_ready(&child, -1, 5000, &err), 0);
    assert_false(child_stop(&child, clock_mono_ms() + 50));
    assert_int_equal(child.pid, 0);
}

static void
test_death_is_seen(void **state)
{
    struct child child;
    struct err err = {0};
    char why[64];
    (void)state;
    start(&child, "echo '{\"ready\":true}'; exec sleep 100");
    assert_int_equal(child_wait_ready(&child, -1, 5000, &err), 0);
    assert_false(child_reap(&child, why));
    (void)kill(child.pid, SIGKILL);
    while (!child_reap(&child, why))
        (void)usleep(1000);
    assert_string_equal(why, "signal 9");
    assert_int_equal(child.pid, 0);
    assert_true(child_stop(&child, 0));
    child_read(&child);
}

static int
make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(log_file, sizeof(log_file), "%s/log", folder);
    return 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    (void)unlink(log_file);
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready),         cmocka_unit_test(test_failure_is_its_own_sentence),
        cmocka_unit_test(test_no_program),    cmocka_unit_test(test_stop_kills_at_the_deadline),
        cmocka_unit_test(test_death_is_seen),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
