/* SPDX-License-Identifier: MIT
 * runtime_events_test.c - what podman's event stream does for identities: names that change,
 *                         pauses, containers whose hook never ran.
 * Floor: agent/daemon, test; root, podman, busybox; else skipped (77).
 * Owns: a `podman system service` beside what agent_test_runtime.h owns.
 * Invariant: an identity follows its container's name, and never its name alone. */
#include "agent/daemon/agent_test_runtime.h"

static pid_t service;

static void
service_start(void)
{
    static char address[160];
    static char socket_path[128];
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    (void)snprintf(socket_path, sizeof(socket_path), "%s/podman.sock", rig.folder);
    (void)snprintf(address, sizeof(address), "unix://%s", socket_path);
    service = fork();
    if (service == 0) {
        const char *const argv[] = {PODMAN, "system", "service", "--time", "0", address, NULL};
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)close_range(3, ~0u, 0);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    while (access(socket_path, F_OK) != 0 && clock_mono_ms() < end)
        (void)poll(NULL, 0, 5);
    rig.podman_socket = socket_path;
}

static void
service_stop(void)
{
    if (service <= 0)
        return;
    (void)kill(service, SIGTERM);
    (void)waitpid(service, NULL, 0);
    service = 0;
}

/* The token works inside within the deadline; 0 = it never did. */
static uint64_t
wait_status(const char *who, const char *token, int want)
{
    uint64_t start = clock_mono_ms();
    while (clock_mono_ms() < start + RIG_DEADLINE_MS) {
        if (podman_ask(who, token) == want)
            return clock_mono_ms() - start + 1;
    }
    return 0;
}

static bool
named(const char *name)
{
    for (size_t i = 0; i < rig.row_count; i++) {
        if (strcmp(rig.rows[i].name, name) == 0 && !rig.rows[i].revoked)
            return true;
    }
    return false;
}

static void
test_rename(void **state)
{
    (void)state;
    RUN_OK(PODMAN, "run", "-d", "--name", "e-old", "--network", "none", SLEEPER);
    assert_int_equal(podman_ask("e-old", "container-e-old"), 200);
    size_t rows = RIG_GET(rig.row_count);
    uint64_t start = clock_mono_ms();
    RUN_OK(PODMAN, "rename", "e-old", "e-new");
    RIG_WAIT(named("e-new"));
    print_message("podman rename to new token: %u ms\n", (unsigned)(clock_mono_ms() - start));
    assert_int_equal(podman_ask("e-new", "container-e-new"), 200);
    assert_int_equal(podman_ask("e-new", "container-e-old"), 401);
    assert_int_equal(RIG_GET(rig.row_count), rows); /* the same incarnation */
    /* the old name is free for another one */
    RUN_OK(PODMAN, "run", "-d", "--name", "e-old", "--network", "none", SLEEPER);
    assert_int_equal(podman_ask("e-old", "container-e-old"), 200);
    assert_int_equal(podman_ask("e-old", "container-e-new"), 401);
    RUN_OK(PODMAN, "rm", "-f", "-t", "0", "e-old");
    /* refused: the old name holds */
    int renames = RIG_GET(rig.renames);
    RIG_SET(rig.refuse, "a running container of this host has this name");
    RUN_OK(PODMAN, "rename", "e-new", "e-taken");
    RIG_WAIT(rig.renames > renames);
    assert_int_equal(podman_ask("e-taken", "container-e-taken"), 401);
    assert_int_equal(podman_ask("e-taken", "container-e-new"), 200);
    RIG_SET(rig.refuse, NULL);
    /* the next list asks again: every half minute, and at once when the agent starts */
    rig_agent_stop(SIGKILL);
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    RIG_WAIT(named("e-taken"));
    assert_int_equal(podman_ask("e-taken", "container-e-taken"), 200);
    RUN_OK(PODMAN, "rm", "-f", "-t", "0", "e-taken");
    RIG_WAIT(all_over());
}

/* Does the list of paused ones that the control plane has name this one, and none else? */
static bool
told_paused(const char *hex)
{
    char want[128];
    (void)snprintf(want, sizeof(want), "\"rows\":[%s%s%s]", hex[0] ? "\"" : "", hex,
                   hex[0] ? "\"" : "");
    return strstr(rig.paused_text, want) != NULL;
}

static void
test_pause(void **state)
{
    (void)state;
    char hex[2 * INCARNATION_BYTES + 1];
    RUN_OK(PODMAN, "run", "-d", "--name", "e-ice", "--network", "none", SLEEPER);
    pthread_mutex_lock(&rig.lock);
    hex_encode(rig.rows[rig.row_count - 1].incarnation, INCARNATION_BYTES, hex);
    pthread_mutex_unlock(&rig.lock);
    RUN_OK(PODMAN, "pause", "e-ice");
    RIG_WAIT(told_paused(hex));
    assert_false(RIG_GET(rig.rows[rig.row_count - 1].revoked));
    RUN_OK(PODMAN, "unpause", "e-ice");
    RIG_WAIT(told_paused(""));
    assert_int_equal(podman_ask("e-ice", "container-e-ice"), 200);
    RUN_OK(PODMAN, "pause", "e-ice");
    RIG_WAIT(told_paused(hex));
    /* the next agent says it again */
    rig_agent_stop(SIGKILL);
    RIG_SET(rig.paused_text[0], '\0');
    rig_agent_start();
    RIG_WAIT(told_paused(hex));
    RUN_OK(PODMAN, "rm", "-f", "-t", "0", "e-ice"); /* straight out of the ice */
    RIG_WAIT(all_over());
}

/* No hook ran: found by its start, and by the list of an agent that comes later. */
static void
test_without_hook(void **state)
{
    (void)state;
    RUN_OK(PODMAN_BARE, "run", "-d", "--name", "e-bare", "--network", "none", SLEEPER);
    uint64_t took = wait_status("e-bare", "container-e-bare", 200);
    assert_true(took > 0);
    print_message("a start without a hook has its token after %u ms\n", (unsigned)took);
    RUN_OK(PODMAN_BARE, "run", "-d", "--name", "e-off", "--network", "none", "--annotation",
           "io.berth.ai=false", SLEEPER);
    RUN_OK(PODMAN_BARE, "run", "-d", "--name", "e-off-too", "--network", "none", "--label",
           "io.berth.ai=false", SLEEPER);
    RUN_OK(PODMAN_BARE, "run", "-d", "--name", "e-called", "--network", "none", "--label",
           "io.berth.name=e-label", SLEEPER);
    assert_true(wait_status("e-called", "container-e-label", 200) > 0);
    assert_int_equal(podman_ask("e-off", "container-e-off"), 0);
    assert_int_equal(podman_ask("e-off-too", "container-e-off-too"), 0);
    rig_agent_stop(SIGTERM);
    RUN_OK(PODMAN_BARE, "run", "-d", "--name", "e-before", "--network", "none", SLEEPER);
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_true(wait_status("e-before", "container-e-before", 200) > 0);
    assert_int_equal(podman_ask("e-called", "container-e-label"), 200);
    assert_int_equal(podman_ask("e-off", "container-e-off"), 0); /* a list alone does not say */
    RUN_OK(PODMAN, "rm", "-f", "-a", "-t", "0");
    RIG_WAIT(all_over());
}

static int
setup(void **state)
{
    if (runtime_setup(state) != 0)
        return -1;
    podman_prepare();
    service_start();
    rig_agent_stop(SIGTERM);
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    return 0;
}

static int
teardown(void **state)
{
    int code = 0;
    service_stop();
    code = runtime_teardown(state);
    return code;
}

int
main(int argc, char **argv)
{
    bool can = have("/usr/sbin/runc") && have("/usr/bin/podman") && have("/bin/busybox");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_without_hook),
    };
    return box_main(argc, argv, can ? NULL : "runc, podman, busybox", tests, ARRAY_LEN(tests),
                    setup, teardown);
}
