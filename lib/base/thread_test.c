/* SPDX-License-Identifier: MIT
 * thread_test.c - a thread's share is its own, and a refused hint changes nothing.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see thread.h. */
#include "lib/base/thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static int
own_nice(void)
{
    return getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
}

static void *
share(void *arg)
{
    int *seen = arg;
    thread_share(7, 100);
    seen[0] = own_nice();
    thread_share(9, 0);
    seen[1] = own_nice();
    thread_share(55, 100); /* no such nice value: the kernel clamps or refuses, we go on */
    return NULL;
}

static void
only_the_calling_thread_changes(void **state)
{
    (void)state;
    int before = own_nice();
    int seen[2] = {-1, -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, share, seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen[0], 7);
    assert_int_equal(seen[1], 9);
    assert_int_equal(own_nice(), before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_calling_thread_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
