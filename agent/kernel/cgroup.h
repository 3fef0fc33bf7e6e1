/* SPDX-License-Identifier: MIT
 * cgroup.h - ids of cgroups in the v2 hierarchy: whose, below what, and fit to tell containers
 *            apart?
 * Floor: agent/kernel; one thread (it keeps a cache).
 * Owns: a descriptor of the hierarchy's mount.
 * Invariant: ids are those that the kernel puts on sockets (INET_DIAG_CGROUP_ID); the root, our
 *            own cgroup and its ancestors never identify a container. kernel_test.c. */
#ifndef BERTH_AGENT_KERNEL_CGROUP_H
#define BERTH_AGENT_KERNEL_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

#define CGROUP_ROOT_ID 1u /* of the hierarchy; also what a host without one reports for everybody */
#define CGROUP_CACHE 256u

struct cgroup_tree {
    int mount_fd; /* -1: this host has no v2 hierarchy */
    uint64_t own_id;
    /* answers of cgroup_within; ids are not reused while the host is up */
    struct {
        uint64_t id;
        uint64_t ancestor;
        bool within;
    } cache[CGROUP_CACHE];
};

/* cgroup_open - find the mount; without one the tree is still usable, but identifies nobody. */
void cgroup_open(struct cgroup_tree *ret_tree);
void cgroup_close(struct cgroup_tree *tree);
/* cgroup_of_pid - through /proc/PID/cgroup: the caller makes sure that the pid is still the one
 * meant. 0; -ERR_UNSUPPORTED, -ERR_NOT_FOUND, -ERR_SYSTEM. */
int cgroup_of_pid(struct cgroup_tree *tree, pid_t pid, uint64_t *ret_id, struct err *err) MUST_USE;
/* cgroup_of_path - path: absolute, as the host sees it or below the hierarchy's mount; no "..".
 * 0; -ERR_UNSUPPORTED, -ERR_NOT_FOUND. */
int cgroup_of_path(struct cgroup_tree *tree, const char *path, uint64_t *ret_id,
                   struct err *err) MUST_USE;
/* cgroup_path_has - the path of the process's cgroup has `part` in it, in any hierarchy: runtimes
 * put the container's id there. The caller makes sure that the pid is the one meant. */
bool cgroup_path_has(pid_t pid, struct str part);
/* cgroup_processes - up to count processes that live in it or one level below; how many there are.
 */
size_t cgroup_processes(const struct cgroup_tree *tree, uint64_t id, pid_t *pids, size_t count);
/* cgroup_identifies - may this id stand for a container? Not 0, the root, our own or above our
 * own. */
bool cgroup_identifies(struct cgroup_tree *tree, uint64_t id);
/* cgroup_within - id is ancestor, or lies below it. false also when id is gone. */
bool cgroup_within(struct cgroup_tree *tree, uint64_t id, uint64_t ancestor);

#endif
