/* SPDX-License-Identifier: MIT
 * agent_life_test.c - what happens to a container while it lives: names, orders by hand, silence of
 *                     the control plane, upgrades and reboots.
 * Floor: agent/daemon, test; root, else skipped (77).
 * Owns: see agent_test_rig.h.
 * Invariant: an identity changes only as its table says, and never without its evidence. */
#include "agent/daemon/agent_test_box.h"

#include <sys/syscall.h>

static char text[512];

static const struct rig_row *
last_row(void)
{
    return &rig.rows[rig.row_count - 1];
}

/* Connect as this user. */
static int
dial_as(uid_t uid, const char *path)
{
    int fd = -1;
    assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0); /* of this thread alone */
    int code = sock_seqpacket_connect(path, &fd, NULL);
    assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
    assert_int_equal(code, 0);
    return fd;
}

/* One message to the agent, its answer. */
static const char *
say_as(uid_t uid, const char *path, const char *message)
{
    static char answer[512];
    size_t bytes = 0;
    size_t fds = 0;
    int fd = dial_as(uid, path);
    assert_int_equal(sock_send_fds(fd, message, strlen(message), NULL, 0), 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 3000), 1);
    assert_int_equal(sock_recv_fds(fd, answer, sizeof(answer) - 1, &bytes, NULL, 0, &fds), 0);
    answer[bytes] = '\0';
    close(fd);
    return answer;
}

/* One order of `berth container`, as the socket takes it; the answer. */
static const char *PRINTF(1, 2) order(const char *format, ...)
{
    char json[512];
    char path[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(json, sizeof(json), format, args);
    va_end(args);
    (void)snprintf(path, sizeof(path), "%s/hook.sock", rig.folder);
    return say_as(0, path, json);
}

static void
test_register_pid(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, "by-hand", NULL, true);
    assert_string_equal(order("{\"op\":\"register\",\"name\":\"hand\",\"pid\":%d}\n", box.pid),
                        "ok");
    assert_int_equal(box_do(&box, BOX_GET, "container-hand"), 200);
    assert_string_equal(order("{\"op\":\"register\",\"name\":\"other\",\"pid\":%d}", box.pid),
                        rig.cgroup[0] != '\0'
                            ? "no the cgroup of this container is that of container hand"
                            : "no this container shares its network namespace and has no cgroup "
                              "v2 of its own, so nothing tells it apart");
    assert_int_equal(box_do(&box, BOX_GET, "container-hand"), 200);
    assert_string_equal(order("{\"op\":\"release\",\"name\":\"hand\"}"), "ok");
    assert_true(RIG_GET(last_row()->revoked)); /* release is answered when it is over */
    assert_int_equal(box_do(&box, BOX_GET, "container-hand"), 0);
    assert_string_equal(order("{\"op\":\"release\",\"name\":\"hand\"}"),
                        "no no container of this host was registered as hand");
    assert_int_equal(box_create(&box, "", text), 0);
    assert_string_equal(order("{\"op\":\"release\",\"name\":\"by-hand\"}"),
                        "no container by-hand belongs to runc: remove it there");
    box_end(&box);
    RIG_WAIT(last_row()->unbound);
}

static void
test_bad_orders(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        const char *want;
    } rows[] = {
        {"{\"op\":\"register\",\"name\":\"x\"}", "no register needs a pid or a cgroup"},
        {"{\"op\":\"register\",\"name\":\"x\",\"pid\":1,\"cgroup\":\"/x\"}",
         "no register needs a pid or a cgroup"},
        {"{\"op\":\"register\",\"pid\":1}", "no an order needs a usable name or id"},
        {"{\"op\":\"register\",\"name\":\"a b\",\"id\":\"x\",\"pid\":1}",
         "no a name is 1 to 100 of A-Z a-z 0-9 - _ and not all digits"},
        {"{\"op\":\"register\",\"name\":\"12\",\"pid\":1}",
         "no a name is 1 to 100 of A-Z a-z 0-9 - _ and not all digits"},
        {"{\"op\":\"register\",\"name\":\"x\",\"pid\":\"1\"}", "no \"pid\" is no process id"},
        {"{\"op\":\"register\",\"name\":\"x\",\"cgroup\":\"/a/../b\"}",
         "no \"cgroup\" is no absolute path"},
        {"{\"op\":\"register\",\"name\":\"x\",\"pid\":2147483647}",
         "no the container's process 2147483647 has exited"},
        {"{\"op\":\"steal\",\"name\":\"x\"}", "no \"op\" is neither register nor release"},
        {"{\"op\":\"release\",\"name\":\"x\",\"force\":true}",
         "no an order has op, name, id, pid and cgroup only"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(order("%s", rows[i].order), rows[i].want);
}

/* Whatever lives in a cgroup: the first process may go, the last one ends it. */
static void
test_register_cgroup(void **state)
{
    (void)state;
    struct box first;
    struct box second;
    char cgroup[PATH_MAX];
    if (rig.cgroup[0] == '\0')
        skip();
    box_start(&first, "grouped", NULL, true);
    box_start(&second, "grouped", &first, true); /* the same cgroup, the same namespace */
    (void)snprintf(cgroup, sizeof(cgroup), "%s", first.cgroup);
    assert_string_equal(order("{\"op\":\"register\",\"name\":\"grp\",\"cgroup\":\"%s\"}", cgroup),
                        "ok");
    assert_int_equal(box_do(&first, BOX_GET, "container-grp"), 200);
    box_end(&first);
    assert_int_equal(box_do(&second, BOX_GET, "container-grp"), 200);
    assert_false(RIG_GET(last_row()->revoked));
    rig_agent_stop(SIGKILL); /* the holder knows whom it follows now */
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_int_equal(box_do(&second, BOX_GET, "container-grp"), 200);
    box_end(&second);
    RIG_WAIT(last_row()->revoked && last_row()->unbound);
    assert_string_equal(order("{\"op\":\"register\",\"name\":\"grp\",\"cgroup\":\"/not/there\"}"),
                        "no there is no cgroup /not/there in the v2 hierarchy");
    assert_string_equal(order("{\"op\":\"register\",\"name\":\"grp\",\"cgroup\":\"/\"}"),
                        "no this cgroup cannot stand for a container");
}

/* Nothing from the control plane: served until the lease is over, then not; and again after. */
static void
test_silence(void **state)
{
    (void)state;
    struct box box;
    rig_agent_stop(SIGTERM);
    RIG_SET(rig.lease_ms, 1500);
    int welcomes = RIG_GET(rig.welcomes);
    rig_agent_start();
    RIG_WAIT(rig.welcomes > welcomes && rig.plane.fd >= 0);
    box_start(&box, "silent", NULL, true);
    assert_int_equal(box_create(&box, "", text), 0);
    assert_int_equal(box_do(&box, BOX_GET, "container-silent"), 200);
    pthread_mutex_lock(&rig.lock);
    rig.tickless = true;
    uint64_t last_ms = rig.tick_ms;
    pthread_mutex_unlock(&rig.lock);
    int status = 200;
    while (status == 200 && clock_mono_ms() - last_ms < 5000)
        status = box_do(&box, BOX_GET, "container-silent");
    uint64_t served_ms = clock_mono_ms() - last_ms;
    assert_int_equal(status, 401);
    if (served_ms < 1500 || served_ms > 3500)
        fail_msg("served for %u ms", (unsigned)served_ms);
    RIG_SET(rig.tickless, false);
    uint64_t end = clock_mono_ms() + 3000;
    while (box_do(&box, BOX_GET, "container-silent") != 200 && clock_mono_ms() < end)
        continue;
    assert_int_equal(box_do(&box, BOX_GET, "container-silent"), 200);
    box_end(&box);
    RIG_WAIT(last_row()->unbound);
    RIG_SET(rig.lease_ms, 15000);
    rig_agent_stop(SIGTERM);
    rig_agent_start();
}

/* A new binary in another place: ports and identities stay. */
static void
test_upgrade(void **state)
{
    (void)state;
    struct box box;
    char path[128];
    RIG_WAIT(rig.plane.fd >= 0);
    box_start(&box, "upgraded", NULL, true);
    assert_int_equal(box_create(&box, "", text), 0);
    (void)snprintf(path, sizeof(path), "%s/agent-2", rig.folder);
    rig_copy_self(path);
    rig_agent_stop(SIGTERM);
    assert_int_equal(box_do(&box, BOX_SQUAT, ""), EADDRINUSE);
    rig.agent_program = path;
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_int_equal(box_do(&box, BOX_GET, "container-upgraded"), 200);
    rig.agent_program = NULL;
    box_end(&box);
    RIG_WAIT(last_row()->revoked && last_row()->unbound);
}

/* What a holder keeps from another boot is nobody's. (A real reboot leaves no holder; a machine
 * that was saved and restored does.) */
static void
test_reboot(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, "rebooted", NULL, true);
    assert_int_equal(box_create(&box, "", text), 0);
    rig_agent_stop(SIGKILL);
    rig.agent_args[0] = "--boot-id";
    rig.agent_args[1] = "11111111-2222-3333-4444-555555555555";
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting && last_row()->revoked);
    assert_int_equal(box_do(&box, BOX_GET, "container-rebooted"), 0);
    rig_agent_stop(SIGTERM);
    memset(rig.agent_args, 0, sizeof(rig.agent_args));
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    box_end(&box);
}

/* Every other way in, with the newer calls and without. */
static void
try_ways(const char *without)
{
    struct box boxes[3];
    const size_t count = rig.cgroup[0] != '\0' ? 3 : 1;
    rig_agent_stop(SIGTERM);
    rig.kernel_without = without;
    rig.agent_args[0] = "--unix";
    rig.agent_args[1] = "--link-local";
    rig.agent_args[2] = "169.254.77.77";
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    box_start(&boxes[0], "way-a", NULL, true);
    assert_int_equal(box_create(&boxes[0], "", text), 0);
    assert_int_equal(box_do(&boxes[0], BOX_GET_LINK, "container-way-a"), 200);
    assert_int_equal(box_do(&boxes[0], BOX_GET_LINK, "container-way-b"), 401);
    if (count > 1) {
        assert_int_equal(box_do(&boxes[0], BOX_GET_UNIX, "container-way-a"), 200);
        assert_int_equal(box_do(&boxes[0], BOX_GET_UNIX, "container-way-b"), 401);
        box_start(&boxes[1], "way-b", &boxes[0], true);
        box_start(&boxes[2], "way-stranger", &boxes[0], true); /* a debug container */
        assert_int_equal(box_create(&boxes[1], "", text), 0);
        /* where a pid may be reused, neighbours cannot be told apart by it */
        int own = without == NULL ? 200 : 401;
        assert_int_equal(box_do(&boxes[1], BOX_GET_UNIX, "container-way-b"), own);
        assert_int_equal(box_do(&boxes[0], BOX_GET_UNIX, "container-way-a"), own);
        assert_int_equal(box_do(&boxes[1], BOX_GET_UNIX, "container-way-a"), 401);
        assert_int_equal(box_do(&boxes[2], BOX_GET_UNIX, "container-way-a"), 401);
        assert_int_equal(box_do(&boxes[1], BOX_GET_LINK, "container-way-b"), 200);
    }
    assert_int_equal(box_do(&boxes[0], BOX_SQUAT, ""), EADDRINUSE);
    rig_agent_stop(SIGKILL);
    int hosting = RIG_GET(rig.hosting);
    rig_agent_start();
    RIG_WAIT(rig.hosting > hosting);
    assert_int_equal(box_do(&boxes[0], BOX_GET_LINK, "container-way-a"), 200);
    for (size_t i = 0; i < count; i++)
        box_end(&boxes[i]);
    RIG_WAIT(last_row()->revoked && last_row()->unbound);
    rig.kernel_without = NULL;
    memset(rig.agent_args, 0, sizeof(rig.agent_args));
    rig_agent_stop(SIGTERM);
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
}

static void
test_ways_in(void **state)
{
    (void)state;
    try_ways(NULL);
    try_ways("peerpidfd,pidfd_info,pidfd_netns");
}

static void
test_policy(void **state)
{
    (void)state;
    struct box box;
    if (rig.cgroup[0] == '\0')
        skip();
    rig_agent_stop(SIGTERM);
    rig.agent_args[0] = "--attestors";
    rig.agent_args[1] = "netns,hostnet+cgroup";
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    box_start(&box, "weighed", NULL, true);
    assert_int_equal(box_create(&box, "", text), 1);
    assert_string_equal(text, "berth: only netns+cgroup can tell this container apart, which "
                              "--attestors does not name\n");
    box_end(&box);
    rig_agent_stop(SIGTERM);
    memset(rig.agent_args, 0, sizeof(rig.agent_args));
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
}

/* poststop of a life that is over comes when the next one of the same container has begun. */
static void
test_late_poststop(void **state)
{
    (void)state;
    struct box first;
    struct box second;
    box_start(&first, "late-1", NULL, true);
    box_start(&second, "late-2", NULL, true);
    first.name = second.name = "late";
    assert_int_equal(box_create(&first, "", text), 0);
    const struct rig_row *old = RIG_GET(last_row());
    (void)kill(first.pid, SIGKILL);
    assert_int_equal(box_create(&second, "", text), 0);
    RIG_WAIT(old->revoked);
    assert_int_equal(box_do(&second, BOX_GET, "container-late"), 200);
    assert_int_equal(box_poststop(&second, text), 0);
    assert_int_equal(box_poststop(&second, text), 0);
    assert_int_equal(box_do(&second, BOX_GET, "container-late"), 200);
    assert_false(RIG_GET(last_row()->revoked));
    box_end(&first);
    box_end(&second);
    RIG_WAIT(last_row()->revoked && last_row()->unbound);
}

/* Users at their socket: what each may say, and that nobody's noise keeps root's containers from
 * starting. */
static void
test_rootless(void **state)
{
    (void)state;
    enum { LISTED = 31001, STRANGER = 31002, NOISE = 100 };
    static const struct {
        uid_t uid;
        const char *message;
        const char *want;
    } rows[] = {
        {STRANGER, "createRuntime podman\n{\"id\":\"x\",\"pid\":1}",
         "ok rootless containers of this user get no token; the container starts without a token"},
        {STRANGER, "{\"op\":\"register\",\"name\":\"mine\",\"pid\":1}",
         "ok rootless containers of this user get no token; the container starts without a token"},
        {LISTED, "{\"op\":\"register\",\"name\":\"mine\",\"pid\":1}",
         "no only root may do this by hand"},
        {LISTED, "{\"op\":\"release\",\"name\":\"root-s\"}", "no only root may do this by hand"},
        {LISTED, "createRuntime podman\n{\"id\":\"root-s\",\"pid\":1}",
         "no a container with this id runs"},
        {LISTED, "poststop podman\n{\"id\":\"root-s\"}", "ok"},
        {LISTED, "nonsense", "no a hook's request has no first line"},
    };
    struct box first;
    struct box second;
    char path[128];
    int noise[NOISE];
    rig_agent_stop(SIGTERM);
    assert_int_equal(chmod(rig.folder, 0711), 0);
    (void)snprintf(path, sizeof(path), "%s/users/rootless.sock", rig.folder);
    rig.agent_args[0] = "--rootless";
    rig.agent_args[1] = "31001";
    rig.agent_args[2] = "--rootless-socket";
    rig.agent_args[3] = path;
    rig_agent_start();
    RIG_WAIT(rig.plane.fd >= 0);
    box_start(&first, "root-s", NULL, true);
    assert_int_equal(box_create(&first, "", text), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(say_as(rows[i].uid, path, rows[i].message), rows[i].want);
    (void)snprintf(text, sizeof(text), "createRuntime podman\n{\"id\":\"x\",\"pid\":%d}",
                   (int)first.pid);
    assert_non_null(strstr(say_as(LISTED, path, text), "is in no user namespace of user 31001"));
    assert_int_equal(box_do(&first, BOX_GET, "container-root-s"), 200);
    for (size_t i = 0; i < NOISE; i++)
        noise[i] = dial_as(STRANGER, path);
    box_start(&second, "root-t", NULL, true);
    assert_int_equal(box_create(&second, "", text), 0);
    for (size_t i = 0; i < NOISE; i++)
        close(noise[i]);
    box_end(&first);
    box_end(&second);
    RIG_WAIT(last_row()->revoked && last_row()->unbound);
    rig_agent_stop(SIGTERM);
    assert_int_equal(access(path, F_OK), -1); /* nobody finds a dead socket */
    memset(rig.agent_args, 0, sizeof(rig.agent_args));
    rig_agent_start();
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register_pid),    cmocka_unit_test(test_bad_orders),
        cmocka_unit_test(test_register_cgroup), cmocka_unit_test(test_silence),
        cmocka_unit_test(test_upgrade),         cmocka_unit_test(test_reboot),
        cmocka_unit_test(test_ways_in),         cmocka_unit_test(test_policy),
        cmocka_unit_test(test_late_poststop),   cmocka_unit_test(test_rootless),
    };
    return box_main(argc, argv, NULL, tests, ARRAY_LEN(tests), box_setup, box_teardown);
}
