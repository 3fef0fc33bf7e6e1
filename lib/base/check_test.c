/* SPDX-License-Identifier: MIT
 * check_test.c - a failed assertion says where, and kills.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: the message is on stderr before the abort. */
#include "lib/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_failure_prints_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        ASSERT(1 + 1 == 3);
        _exit(0);
    }
    (void)close(ends[1]);
    char text[1024] = "";
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0;)
        len += (size_t)got;
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "check_test.c:"));
    assert_non_null(strstr(text, "assertion failed: 1 + 1 == 3\n"));
}

static void
test_success_is_silent(void **state)
{
    (void)state;
    int calls = 0;
    ASSERT(++calls == 1);
    assert_int_equal(calls, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure_prints_and_aborts),
        cmocka_unit_test(test_success_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
