/* SPDX-License-Identifier: MIT
 * bridge_test.c - attestor ip+nft: containers on a bridge, one of which takes the other's address.
 * Floor: agent/daemon, test; root, ip, nft with the bridge family; else skipped (77).
 * Owns: a bridge in the rig's own namespace.
 * Invariant: with the pins a stolen address is no identity; without them it is one (so this test
 *            can fail). */
#include "agent/daemon/agent_test_box.h"

static char text[512];

/* A shell line in the namespace of a process (0 = ours). */
static int PRINTF(2, 3) shell(pid_t pid, const char *format, ...)
{
    char line[512];
    char target[32];
    int status = -1;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)snprintf(target, sizeof(target), "%d", (int)(pid != 0 ? pid : getpid()));
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        execlp("nsenter", "nsenter", "-n", "-t", target, "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define SHELL_OK(...) assert_int_equal(shell(__VA_ARGS__), 0)

/* eth0 with 10.9.0.LAST on the bridge. */
static void
plug(const struct box *box, int last)
{
    SHELL_OK(0,
             "ip link add ve%d type veth peer name eth0 netns %d && ip link set ve%d master br9 up",
             last, (int)box->pid, last);
    SHELL_OK(box->pid, "ip addr add 10.9.0.%d/24 dev eth0 && ip link set eth0 up", last);
}

/* As the first container, until it is answered so. */
static int
spoof(struct box *box, int want)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    int status = -2;
    while (status != want && clock_mono_ms() < end)
        status = box_do(box, BOX_GET_SPOOF, "container-br-a");
    return status;
}

static void
test_bridge(void **state)
{
    (void)state;
    struct box first;
    struct box second;
    box_start(&first, "br-a", NULL, true);
    box_start(&second, "br-b", NULL, true);
    plug(&first, 2);
    plug(&second, 3);
    assert_int_equal(box_create(&first, "", text), 0);
    assert_int_equal(box_create(&second, "", text), 0);
    assert_int_equal(box_do(&first, BOX_GET_BRIDGE, "container-br-a"), 200);
    assert_int_equal(box_do(&first, BOX_GET_BRIDGE, "container-br-b"), 401);
    assert_int_equal(box_do(&second, BOX_GET_BRIDGE, "container-br-b"), 200);
    assert_int_equal(box_do(&first, BOX_GET, "container-br-a"), 200); /* the better way, too */
    /* the agent comes again: so do the pins */
    rig_agent_stop(SIGTERM);
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_int_equal(box_do(&first, BOX_GET_BRIDGE, "container-br-a"), 200);
    /* b takes a's address */
    SHELL_OK(second.pid, "ip addr add 10.9.0.2/24 dev eth0");
    assert_int_not_equal(box_do(&second, BOX_GET_SPOOF, "container-br-a"), 200);
    SHELL_OK(second.pid,
             "ip link set eth0 down && ip link set eth0 address %s && ip link set eth0 up",
             "02:00:00:00:00:77");
    assert_int_not_equal(box_do(&second, BOX_GET_SPOOF, "container-br-a"), 200);
    assert_int_equal(box_do(&first, BOX_GET_BRIDGE, "container-br-a"), 200);
    SHELL_OK(0, "nft flush chain bridge berth prerouting");
    SHELL_OK(0, "ip neigh flush dev br9");
    SHELL_OK(first.pid, "ip link set eth0 down"); /* the owner is silent */
    assert_int_equal(spoof(&second, 200), 200);   /* neighbours need a moment to believe it */
    /* the owner ends: its address is nobody's */
    box_end(&first);
    RIG_WAIT(rig.rows[0].revoked && rig.rows[0].unbound);
    assert_int_equal(spoof(&second, 401), 401);
    box_end(&second);
    RIG_WAIT(rig.rows[1].revoked && rig.rows[1].unbound);
}

static int
setup(void **state)
{
    if (rig_open() != 0)
        return -1;
    SHELL_OK(0, "ip link add br9 type bridge && ip addr add 10.9.0.1/24 dev br9 && "
                "ip link set br9 up");
    rig.agent_args[0] = "--attestors";
    rig.agent_args[1] = "netns+cgroup,netns,ip+nft";
    rig.agent_args[2] = "--bridge-address";
    rig.agent_args[3] = "10.9.0.1";
    return box_setup(state);
}

int
main(int argc, char **argv)
{
    static const char *const probe =
        "test -x /usr/sbin/nft && unshare -n sh -c 'ip link add br8 type bridge && "
        "nft add table bridge x'";
    const char *missing = argc == 1 && shell(0, probe) != 0 ? "ip, nft and bridges" : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bridge)};
    return box_main(argc, argv, missing, tests, ARRAY_LEN(tests), setup, box_teardown);
}
