/* SPDX-License-Identifier: MIT
 * figures_test.c - how long things take: hooks, attestation, revocation; and nothing leaks at 300
 *                  containers.
 * Floor: agent/daemon, test; root, else skipped (77).
 * Owns: see agent_test_rig.h.
 * Invariant: the printed figures stay below generous bounds, so that a regression of kind is a
 *            failure. */
#include "agent/daemon/agent_test_box.h"

#define ROUNDS 300u

static char text[512];
static uint64_t samples[ROUNDS];

static void
print_figure(const char *what, size_t count, double p99_max_ms)
{
    struct samples_ms have = samples_sum_up(samples, count);
    print_message("%-44s p50 %7.3f ms  p99 %7.3f ms  max %7.3f ms  (n=%zu)\n", what, have.p50,
                  have.p99, have.max, count);
    assert_true(have.p99 <= p99_max_ms);
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
        revoked[i] = RIG_GET(rig.rows[rig.row_count - 1].revoked_ns) - start;
        start = clock_mono_ns();
        assert_int_equal(box_poststop(&box, text), 0);
        poststop[i] = clock_mono_ns() - start;
        box_end(&box);
    }
    print_figure("createRuntime hook, exec to exit", ROUNDS, 1000);
    memcpy(samples, poststop, sizeof(samples));
    print_figure("poststop hook, exec to exit", ROUNDS, 1000);
    memcpy(samples, revoked, sizeof(samples));
    print_figure("kill of init to revoked in the data plane", ROUNDS, 500);
}

static void
test_attestation(void **state)
{
    (void)state;
    static struct box box;
    static uint64_t attested[ROUNDS + 1];
    /* In the host's namespace, so that we ourselves can connect and read the clock. */
    box_start(&box, "attested", &box, true);
    assert_int_equal(box_create(&box, "", text), 0);
    for (size_t i = 0; i <= ROUNDS; i++) {
        int conns = RIG_GET(rig.conns);
        uint64_t start = clock_mono_ns();
        assert_int_equal(box_get("container-attested", BOX_GET), 401);
        RIG_WAIT(rig.conns > conns);
        attested[i] = RIG_GET(rig.attest_ns); /* the one before */
        if (i > 0)
            samples[i - 1] = RIG_GET(rig.conn_ns) - start;
    }
    print_figure("connect to hand-over at the data plane", ROUNDS, 500);
    for (size_t i = 0; i < ROUNDS; i++)
        assert_true(attested[i + 1] > 0);
    memcpy(samples, attested + 1, sizeof(samples));
    print_figure("attestation, from accept to hand-over", ROUNDS, 500);
    box_end(&box);
}

/* Everything is given back. */
static void
test_many(void **state)
{
    (void)state;
    static struct box boxes[ROUNDS];
    static char names[ROUNDS][24];
    size_t rows = RIG_GET(rig.row_count);
    RIG_WAIT(rig.rows[rows - 1].unbound); /* the test before is really over */
    size_t fds = rig_fds((size_t)rig.agent);
    for (size_t i = 0; i < ROUNDS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "many-%zu", i);
        box_start(&boxes[i], names[i], NULL, true);
        assert_int_equal(box_create(&boxes[i], "", text), 0);
    }
    print_message("%u containers: %.1f descriptors each\n", ROUNDS,
                  (double)(rig_fds((size_t)rig.agent) - fds) / ROUNDS);
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
    while (rig_fds((size_t)rig.agent) != fds && clock_mono_ms() < end)
        (void)poll(NULL, 0, 1);
    assert_int_equal(rig_fds((size_t)rig.agent), fds);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hooks_and_revocation),
        cmocka_unit_test(test_attestation),
        cmocka_unit_test(test_many),
    };
    return box_main(argc, argv, NULL, tests, ARRAY_LEN(tests), box_setup, box_teardown);
}
