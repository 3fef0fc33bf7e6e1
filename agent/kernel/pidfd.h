/* SPDX-License-Identifier: MIT
 * pidfd.h - a container's init process, held by a descriptor: its network namespace, its cgroup,
 *           its end.
 * Floor: agent/kernel; any thread.
 * Owns: nothing; descriptors are the caller's.
 * Invariant: what is read through a pidfd belongs to that process even if its pid is reused:
 *            newer kernels answer from the pidfd itself, older ones are asked through /proc and
 *            believed only if the process was still alive afterwards. kernel_test.c;
 *            features.h forces the older ways. */
#ifndef BERTH_AGENT_KERNEL_PIDFD_H
#define BERTH_AGENT_KERNEL_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/kernel/cgroup.h"

/* pidfd_acquire - CLOEXEC descriptor of process `pid` > 0. 0; -ERR_NOT_FOUND, -ERR_SYSTEM. */
int pidfd_acquire(pid_t pid, int *ret_fd, struct err *err) MUST_USE;
/* pidfd_netns - descriptor of its network namespace; close it soon, it pins the namespace.
 * 0; -ERR_NOT_FOUND (it has exited), -ERR_PERMISSION, -ERR_SYSTEM. */
int pidfd_netns(int pidfd, pid_t pid, int *ret_ns_fd, struct err *err) MUST_USE;
/* pidfd_cgroup - id of its cgroup in the v2 hierarchy. 0; -ERR_NOT_FOUND, -ERR_UNSUPPORTED. */
int pidfd_cgroup(int pidfd, pid_t pid, struct cgroup_tree *tree, uint64_t *ret_id,
                 struct err *err) MUST_USE;
/* pidfd_peer_cgroup - of the process that connected to this unix socket. A process that has exited
 * is known only to kernels with SO_PEERPIDFD and PIDFD_GET_INFO. *ret_sure: false on kernels
 * without SO_PEERPIDFD, where the peer may have passed its connection on and died, and its pid be
 * another process by now. 0; -ERR_NOT_FOUND, -ERR_UNSUPPORTED. */
int pidfd_peer_cgroup(int unix_fd, struct cgroup_tree *tree, uint64_t *ret_id,
                      bool *ret_sure) MUST_USE;
/* pidfd_owner - the user who made its user namespace; 0 in the host's own. 0; -ERR_NOT_FOUND,
 * -ERR_SYSTEM. */
int pidfd_owner(int pidfd, pid_t pid, uid_t *ret_uid, struct err *err) MUST_USE;
/* pidfd_exited - the process has ended (it may not be reaped yet). */
bool pidfd_exited(int pidfd);

#endif
