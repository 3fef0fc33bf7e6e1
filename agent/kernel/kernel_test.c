/* SPDX-License-Identifier: MIT
 * kernel_test.c - namespaces, pidfds, cgroups and sock_diag as this kernel has them, and with the
 *                 newer calls switched off.
 * Floor: agent/kernel, test; root, else skipped (77).
 * Owns: child processes.
 * Invariant: what is read about a child is what the child itself sees. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kernel/kernel_test_rig.h"
#include "agent/kernel/netns.h"
#include "agent/kernel/pidfd.h"
#include "agent/kernel/sockdiag.h"
#include "lib/base/clock.h"
#include "lib/net/sock.h"

static struct netns *netns;
static struct cgroup_tree tree;

/* A process in a namespace of its own; ends when told through its pidfd. */
static pid_t
start_child(void)
{
    int ready[2];
    char go = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) == 0 && write(ready[1], &go, 1) == 1)
            (void)pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &go, 1), 1);
    close(ready[0]);
    return pid;
}

static void
look_at_child(void)
{
    struct err err = {0};
    struct stat seen;
    struct stat real;
    char path[64];
    int pidfd = -1;
    int ns_fd = -1;
    uint64_t by_pidfd = 0;
    uint64_t by_proc = 0;
    pid_t pid = start_child();
    assert_int_equal(pidfd_acquire(pid, &pidfd, &err), 0);
    assert_int_equal(pidfd_netns(pidfd, pid, &ns_fd, &err), 0);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    assert_int_equal(stat(path, &real), 0);
    assert_int_equal(fstat(ns_fd, &seen), 0);
    assert_int_equal(seen.st_ino, real.st_ino);
    assert_false(netns_is_home(netns, ns_fd));
    if (cgroup_of_pid(&tree, pid, &by_proc, &err) == 0) {
        assert_int_equal(pidfd_cgroup(pidfd, pid, &tree, &by_pidfd, &err), 0);
        assert_int_equal(by_pidfd, by_proc);
    }
    close(ns_fd);
    assert_false(pidfd_exited(pidfd));
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_true(pidfd_exited(pidfd));
    assert_true(pidfd_netns(pidfd, pid, &ns_fd, &err) < 0);
    assert_int_equal(pidfd_acquire(pid, &ns_fd, &err), -ERR_NOT_FOUND);
    close(pidfd);
}

static void
test_child(void **state)
{
    (void)state;
    look_at_child();
    assert_int_equal(setenv("BERTH_KERNEL_WITHOUT", "pidfd_info,pidfd_netns", 1), 0);
    look_at_child();
    (void)unsetenv("BERTH_KERNEL_WITHOUT");
}

static void
test_listen(void **state)
{
    (void)state;
    struct err err = {0};
    const struct netns_wish wish = {
        .port = 4180, .link_local = htonl(0xa9fe4d4d), .with_unix = true};
    struct netns_sockets made = {0};
    struct netns_sockets again = {0};
    int pidfd = -1;
    int ns_fd = -1;
    int diag = -1;
    int other = -1;
    uint64_t cookie = 0;
    uint64_t same = 0;
    pid_t pid = start_child();
    assert_int_equal(pidfd_acquire(pid, &pidfd, &err), 0);
    assert_int_equal(pidfd_netns(pidfd, pid, &ns_fd, &err), 0);
    assert_int_equal(netns_listen(netns, ns_fd, &wish, &made, &err), 0);
    assert_true(made.tcp_fd >= 0 && made.unix_fd >= 0);
    assert_int_equal(netns_listen(netns, ns_fd, &wish, &again, &err), -ERR_IN_USE);
    assert_string_equal(err.text,
                        "port 4180 is already taken inside the container's network namespace");
    assert_true(again.cookie == made.cookie && again.tcp_fd == -1 && again.unix_fd == -1);
    assert_int_equal(netns_diag(netns, ns_fd, &diag, &cookie, &err), 0);
    close(ns_fd);
    assert_int_equal(netns_of_socket(made.tcp_fd, &ns_fd), 0);
    assert_int_equal(netns_diag(netns, ns_fd, &other, &same, &err), 0);
    assert_true(cookie != 0 && cookie == same && cookie == made.cookie);
    /* we are at home all the time */
    int self = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(netns_is_home(netns, self));
    close(made.tcp_fd);
    close(made.unix_fd);
    close(self);
    close(ns_fd);
    close(diag);
    close(other);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    close(pidfd);
}

/* Whose a user namespace is: root's here, a user's when he made it. */
static void
test_owner(void **state)
{
    (void)state;
    struct err err = {0};
    int pidfd = -1;
    int ready[2];
    char made = 'n';
    uid_t uid = 1;
    assert_int_equal(pidfd_acquire(getpid(), &pidfd, &err), 0);
    assert_int_equal(pidfd_owner(pidfd, getpid(), &uid, &err), 0);
    assert_int_equal(uid, 0);
    close(pidfd);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        made = setresuid(31001, 31001, 31001) == 0 && unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &made, 1);
        (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &made, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(pidfd_acquire(pid, &pidfd, &err), 0);
    assert_int_equal(pidfd_owner(pidfd, pid, &uid, &err), 0);
    assert_int_equal(uid, made == 'y' ? 31001 : 0); /* some hosts let users make none */
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_int_equal(pidfd_owner(pidfd, pid, &uid, &err), -ERR_NOT_FOUND);
    close(pidfd);
}

/* Our own connection to ourselves: the peer's cgroup is ours. */
static void
test_peer(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};
    static uint64_t times[2000];
    struct err err = {0};
    uint64_t cookie = 0;
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int diag = -1;
    assert_int_equal(netns_diag(netns, home, &diag, &cookie, &err), 0);
    close(home);
    for (size_t i = 0; i < 2; i++) {
        struct sock_addr addr;
        int listen_fd = -1;
        int conn = -1;
        uint64_t id = 0;
        assert_int_equal(sock_addr_parse(str_from(addresses[i]), &addr, &err), 0);
        if (sock_listen(&addr, 8, false, 0, &listen_fd, &err) < 0)
            continue; /* no IPv6 here */
        addr.len = sizeof(addr.u);
        assert_int_equal(getsockname(listen_fd, &addr.u.any, &addr.len), 0);
        int client = socket(addr.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, &addr.u.any, addr.len), 0);
        assert_int_equal(sock_accept(listen_fd, &conn, NULL), 0);
        for (size_t n = 0; n < ARRAY_LEN(times); n++) {
            uint64_t start = clock_mono_ns();
            assert_int_equal(sockdiag_peer_cgroup(diag, conn, &id), 0);
            times[n] = clock_mono_ns() - start;
        }
        assert_int_equal(id, tree.own_id);
        struct samples_ms took = samples_sum_up(times, ARRAY_LEN(times));
        print_message("sock_diag question, %s: p50 %.1f us, p99 %.1f us\n", addresses[i],
                      took.p50 * 1e3, took.p99 * 1e3);
        close(client);
        close(conn);
        close(listen_fd);
    }
    close(diag);
}

/* One listener, both families: the peer is known either way. And by its unix socket. */
static void
test_ways_in(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:4181", "[::1]:4181", "169.254.77.77:4181"};
    const struct netns_wish wish = {
        .port = 4181, .link_local = htonl(0xa9fe4d4d), .with_unix = true};
    struct netns_sockets made = {0};
    struct err err = {0};
    int diag = -1;
    int conn = -1;
    uint64_t cookie = 0;
    uint64_t id = 0;
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_int_equal(netns_listen(netns, own, &wish, &made, &err), 0);
    assert_int_equal(netns_diag(netns, own, &diag, &cookie, &err), 0);
    close(own);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct sock_addr addr;
        assert_int_equal(sock_addr_parse(str_from(addresses[i]), &addr, &err), 0);
        int client = socket(addr.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(client, &addr.u.any, addr.len) != 0)
            fail_msg("%s: %s", addresses[i], strerror(errno));
        assert_int_equal(sock_accept(made.tcp_fd, &conn, NULL), 0);
        assert_int_equal(sockdiag_peer_cgroup(diag, conn, &id), 0);
        assert_int_equal(id, tree.own_id);
        close(client);
        close(conn);
    }
    for (int old = 0; old < 2; old++) {
        struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "\0" NETNS_UNIX_NAME};
        bool sure = false;
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (const struct sockaddr *)&addr,
                                 offsetof(struct sockaddr_un, sun_path) + sizeof(NETNS_UNIX_NAME)),
                         0);
        assert_int_equal(sock_accept(made.unix_fd, &conn, NULL), 0);
        assert_int_equal(pidfd_peer_cgroup(conn, &tree, &id, &sure), 0);
        assert_int_equal(id, tree.own_id);
        assert_int_equal(sure, old == 0);
        close(client);
        close(conn);
        assert_int_equal(setenv("BERTH_KERNEL_WITHOUT", "peerpidfd,pidfd_info", 1), 0);
    }
    (void)unsetenv("BERTH_KERNEL_WITHOUT");
    close(diag);
    close(made.tcp_fd);
    close(made.unix_fd);
}

static void
test_cgroups(void **state)
{
    (void)state;
    assert_false(cgroup_identifies(&tree, 0));
    assert_false(cgroup_identifies(&tree, CGROUP_ROOT_ID));
    assert_false(cgroup_identifies(&tree, tree.own_id));
    assert_false(cgroup_within(&tree, 123456789, 987654321));
    assert_true(cgroup_within(&tree, tree.own_id, tree.own_id));
    assert_true(cgroup_path_has(getpid(), STR(":/")));
    assert_false(cgroup_path_has(getpid(), STR("c9f5c23627472062e485626abe5567b9")));
    assert_false(cgroup_path_has(getpid(), STR_EMPTY));
    if (tree.mount_fd >= 0 && tree.own_id != CGROUP_ROOT_ID)
        assert_true(cgroup_within(&tree, tree.own_id, CGROUP_ROOT_ID));
}

static int
setup(void **state)
{
    (void)state;
    struct err err = {0};
    cgroup_open(&tree);
    return netns_new(&netns, &err);
}

static int
teardown(void **state)
{
    (void)state;
    netns_free(&netns);
    cgroup_close(&tree);
    return 0;
}

int
main(void)
{
    if (geteuid() != 0) {
        (void)printf("skipped: needs root\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner),   cmocka_unit_test(test_child),
        cmocka_unit_test(test_listen),  cmocka_unit_test(test_peer),
        cmocka_unit_test(test_cgroups), cmocka_unit_test(test_ways_in)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
