/* SPDX-License-Identifier: MIT
 * journal_kill_test.c - kill -9 in front of every call that writes in a life of a journal: nothing
 *            answered is lost, nothing is charged twice, and the sequence has no holes.
 * Floor: dataplane/meter tests.
 * Owns: nothing but its rig.
 * Invariant: see journal.h. BERTH_KILLS=full: every point; else a sample. */
#include "dataplane/meter/journal_test_rig.h"

static void
begin(void)
{
    life_folder_empty();
    memset(life, 0, sizeof *life);
}

static void
check(uint64_t nth)
{
    (void)nth;
    life_check();
}

static void
test_every_point(void **state)
{
    (void)state;
    uint64_t calls = 0;
    int killed = kill_rig_each(50, begin, life_work, check, &calls);
    if (killed == 0)
        skip();
    assert_true(killed > 0 && calls > 100);
    print_message("%d of %llu points\n", killed, (unsigned long long)calls);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_point)};
    (void)snprintf(life_dir, sizeof life_dir, "/tmp/berth-journal-kill-XXXXXX");
    life = kill_rig_shared(sizeof *life);
    if (life == NULL || mkdtemp(life_dir) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    life_folder_empty();
    return rmdir(life_dir) == 0 ? failed : 1;
}
