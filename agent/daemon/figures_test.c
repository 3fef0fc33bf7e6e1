/* SPDX-License-Identifier: MIT
 * figures_test.c - how long things take: hooks, attestation, revocation; and nothing leaks at 300
 *                  containers.
 * Floor: agent/daemon, test; root, else skipped (77).
 * Owns: see agent_test_rig.h.
 * Invariant: the printed figures stay below generous bounds, so that a regression of kind is a
 *            failure. */
#include <dirent.h>

#include "agent/daemon/agent_test_box.h"

#define ROUNDS 300u

static char text[512];
static uint64_t samples[ROUNDS];

static int
compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void
print_figure(const char *what, size_t count, uint64_t p99_max_ns)
{
    qsort(samples, count, sizeof(samples[0]), compare_u64);
    print_message("%-44s p50 %7.3f ms  p99 %7.3f ms  max %7.3f ms  (n=%zu)\n", what,
                  (double)samples[count / 2] / 1e6, (double)samples[count * 99 / 100] / 1e6,
                  (double)samples[count - 1] / 1e6, count);
    assert_true(samples[count * 99 / 100] <= p99_max_ns);
}

static size_t
agent_fds(void)
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)rig.agent);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void
test_hooks_and_revocation(void **state)
{
    (void)state;
    static uint64_t revoked[ROUNDS];
    static uint64_t poststop[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        struct box box;
        box_start(&box, "timed", NULL, true);
        uint64_t start = clock_mono_ns();
        assert_int_equal(box_create(&box, "", text), 0);
        samples[i] = clock_mono_ns() - start;
        start = clock_mono_ns();
        (void)kill(box.pid, SIGKILL);
        RIG_WAIT(rig.rows[rig.row_count - 1].revoked);
        revoked[i] = rig.rows[rig.row_count - 1].revoked_ns - start;
        start = clock_mono_ns();
        assert_int_equal(box_poststop(&box, text), 0);
        poststop[i] = clock_mono_ns() - start;
        box_end(&box);
    }
    print_figure("createRuntime hook, exec to exit", ROUNDS, 1000000000);
    memcpy(samples, poststop, sizeof(samples));
    print_figure("poststop hook, exec to exit", ROUNDS, 1000000000);
    memcpy(samples, revoked, sizeof(samples));
    print_figure("kill of init to revoked in the data plane", ROUNDS, 500000000);
}

static void
test_attestation(void **state)
{
    (void)state;
    static struct box box;
    /* In the host's namespace, so that we ourselves can connect and read the clock. */
    box_start(&box, "attested", &box, true);
    assert_int_equal(box_create(&box, "", text), 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        int conns = rig.conns;
        uint64_t start = clock_mono_ns();
        assert_int_equal(box_get("container-attested", BOX_GET), 401);
        RIG_WAIT(rig.conns > conns);
        samples[i] = rig.conn_ns - start;
    }
    print_figure("connect to hand-over at the data plane", ROUNDS, 500000000);
    box_end(&box);
}

/* Everything is given back. */
static void
test_many(void **state)
{
    (void)state;
    static struct box boxes[ROUNDS];
    static char names[ROUNDS][24];
    size_t rows = rig.row_count;
    RIG_WAIT(rig.rows[rows - 1].unbound); /* the test before is really over */
    size_t fds = agent_fds();
    for (size_t i = 0; i < ROUNDS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "many-%zu", i);
        box_start(&boxes[i], names[i], NULL, true);
        assert_int_equal(box_create(&boxes[i], "", text), 0);
    }
    print_message("%u containers: %.1f descriptors each\n", ROUNDS,
                  (double)(agent_fds() - fds) / ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++) {
        char token[64];
        (void)snprintf(token, sizeof(token), "container-many-%zu", i);
        assert_int_equal(box_do(&boxes[i], BOX_GET, token), 200);
    }
    for (size_t i = 0; i < ROUNDS; i++)
        (void)kill(boxes[i].pid, SIGKILL);
    for (size_t i = 0; i < ROUNDS; i++)
        RIG_WAIT(rig.rows[rows + i].revoked && rig.rows[rows + i].unbound);
    for (size_t i = 0; i < ROUNDS; i++)
        box_end(&boxes[i]);
    uint64_t end = clock_mono_ms() + 5000;
    while (agent_fds() != fds && clock_mono_ms() < end)
        (void)poll(NULL, 0, 1);
    assert_int_equal(agent_fds(), fds);
}

static int
setup(void **state)
{
    (void)state;
    if (rig_open() != 0)
        return -1;
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    rig_close();
    return 0;
}

int
main(int argc, char **argv)
{
    int code = rig_main(argc, argv);
    if (code >= 0)
        return code;
    if (geteuid() != 0 || box_hook_path() == NULL) {
        (void)printf("skipped: needs root and bin/berth-hook beside the test\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hooks_and_revocation),
        cmocka_unit_test(test_attestation),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
