/* SPDX-License-Identifier: MIT
 * pidfd.c - pidfd ioctls of Linux 6.11 and 6.13, and what older kernels offer instead.
 * Floor: agent/kernel; any thread.
 * Owns: nothing.
 * Invariant: see pidfd.h; kernel_test.c runs every case with and without the newer ioctls. */
#include "agent/kernel/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kernel/features.h"

/* Younger than the headers of our oldest build system. */
#ifndef PIDFD_GET_NET_NAMESPACE
#define PIDFD_GET_NET_NAMESPACE _IO(0xFF, 4)
#endif
#define INFO_CGROUPID (1ull << 2)
struct info {
    uint64_t mask;
    uint64_t cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
_Static_assert(sizeof(struct info) == 64, "first published size of struct pidfd_info");
#define GET_INFO _IOWR(0xFF, 11, struct info)

int
pidfd_acquire(pid_t pid, int *ret_fd, struct err *err)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && errno == ESRCH)
        return err_set(err, ERR_NOT_FOUND, "the container's process %d has exited", (int)pid);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open a pidfd of process %d", (int)pid);
    *ret_fd = (int)fd;
    return 0;
}

bool
pidfd_exited(int pidfd)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

/* /proc/PID/ns/KIND. */
static int
open_namespace(int pidfd, pid_t pid, const char *kind, int *ret_ns_fd, struct err *err)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int number = errno;
    /* Alive after the open: the pid was its own all the time. */
    if (fd >= 0 && pidfd_exited(pidfd)) {
        (void)close(fd);
        fd = -1;
        number = ESRCH;
    }
    if (fd < 0 && (number == ESRCH || number == ENOENT))
        return err_set(err, ERR_NOT_FOUND, "the container's process has exited");
    if (fd < 0)
        return err_set_errno(err, number, "cannot open the container's %s namespace", kind);
    *ret_ns_fd = fd;
    return 0;
}

int
pidfd_netns(int pidfd, pid_t pid, int *ret_ns_fd, struct err *err)
{
    int fd = -1;
    if (!features_without(STR("pidfd_netns")))
        fd = ioctl(pidfd, PIDFD_GET_NET_NAMESPACE, 0);
    if (fd < 0)
        return open_namespace(pidfd, pid, "net", ret_ns_fd, err);
    *ret_ns_fd = fd;
    return 0;
}

int
pidfd_owner(int pidfd, pid_t pid, uid_t *ret_uid, struct err *err)
{
    int fd = -1;
    int code = open_namespace(pidfd, pid, "user", &fd, err);
    if (code < 0)
        return code;
    if (ioctl(fd, NS_GET_OWNER_UID, ret_uid) != 0)
        code = err_set_errno(err, errno, "cannot tell whose the container's user namespace is");
    (void)close(fd);
    return code;
}

int
pidfd_cgroup(int pidfd, pid_t pid, struct cgroup_tree *tree, uint64_t *ret_id, struct err *err)
{
    struct info info = {.mask = INFO_CGROUPID};
    if (!features_without(STR("pidfd_info")) && ioctl(pidfd, GET_INFO, &info) == 0 &&
        (info.mask & INFO_CGROUPID) != 0) {
        *ret_id = info.cgroupid;
        return 0;
    }
    uint64_t id = 0;
    int code = cgroup_of_pid(tree, pid, &id, err);
    if (code < 0)
        return code;
    if (pidfd_exited(pidfd))
        return err_set(err, ERR_NOT_FOUND, "the container's process has exited");
    *ret_id = id;
    return 0;
}

/* Linux 6.5; the header of our oldest build system does not know it. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int
pidfd_peer_cgroup(int unix_fd, struct cgroup_tree *tree, uint64_t *ret_id, bool *ret_sure)
{
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    int fd = -1;
    socklen_t fd_len = sizeof(fd);
    if (getsockopt(unix_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.pid <= 0)
        return -ERR_NOT_FOUND;
    *ret_sure = !features_without(STR("peerpidfd")) &&
                getsockopt(unix_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &fd_len) == 0;
    if (!*ret_sure && pidfd_acquire(peer.pid, &fd, NULL) < 0)
        return -ERR_NOT_FOUND;
    int code = pidfd_cgroup(fd, peer.pid, tree, ret_id, NULL);
    (void)close(fd);
    return code;
}
