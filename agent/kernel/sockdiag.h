/* SPDX-License-Identifier: MIT
 * sockdiag.h - who made the socket at the other end of a local TCP connection: its cgroup.
 * Floor: agent/kernel; any thread, one at a time a descriptor.
 * Owns: nothing.
 * Invariant: asked in the network namespace of the connection, with both ends' addresses and
 *            ports, so the answer is about that very socket; a socket that is already gone has no
 *            owner. kernel_test.c. */
#ifndef BERTH_AGENT_KERNEL_SOCKDIAG_H
#define BERTH_AGENT_KERNEL_SOCKDIAG_H

#include "lib/base/cc.h"

/* sockdiag_peer_cgroup - diag_fd: NETLINK_SOCK_DIAG socket of that namespace (netns_diag);
 * conn_fd: an accepted TCP connection over loopback. Two system calls, no wait: the kernel
 * answers within send. 0 and *ret_id > 0; -ERR_NOT_FOUND (peer gone), -ERR_UNSUPPORTED (kernel
 * without cgroup ids on sockets), -ERR_IO. */
int sockdiag_peer_cgroup(int diag_fd, int conn_fd, uint64_t *ret_id) MUST_USE;

#endif
