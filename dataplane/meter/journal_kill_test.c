/* SPDX-License-Identifier: MIT
 * journal_kill_test.c - kill -9 in front of every call that writes in a life of a journal: nothing
 *            answered is lost, nothing is charged twice, and the sequence has no holes.
 * Floor: dataplane/meter tests.
 * Owns: nothing but its rig.
 * Invariant: see journal.h. BERTH_KILLS=full: every point; else a sample. */
#include "dataplane/meter/journal_test_rig.h"

static void
test_every_point(void **state)
{
    (void)state;
    uint64_t calls = 0;
    uint64_t killed = 0;
    int ended = kill_rig_run(0, life_work, NULL, &calls);
    if (ended == -77)
        skip();
    assert_int_equal(ended, 0);
    life_check();
    assert_true(calls > 100);
    const char *full = getenv("BERTH_KILLS");
    uint64_t step = full != NULL && strcmp(full, "full") == 0 ? 1 : calls / 50;
    for (uint64_t nth = 1; nth <= calls; nth += step) {
        uint64_t made;
        life_folder_empty();
        memset(life, 0, sizeof *life);
        if (kill_rig_run(nth, life_work, NULL, &made) != 1)
            fail_msg("the child of point %llu failed", (unsigned long long)nth);
        life_check();
        killed++;
    }
    print_message("%llu of %llu points\n", (unsigned long long)killed, (unsigned long long)calls);
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
