/* SPDX-License-Identifier: MIT
 * netns.h - sockets inside other network namespaces: listeners on loopback, and a door to
 *           sock_diag.
 * Floor: agent/kernel; one caller thread; the namespaces are entered by a thread of its own, so
 * that no
 *        other code ever runs in a foreign one.
 * Owns: that thread and a descriptor of our own namespace.
 * Invariant: the thread is back home before a call returns, or the process aborts; namespaces
 *            stay pinned only by the sockets that were asked for. kernel_test.c. */
#ifndef BERTH_AGENT_KERNEL_NETNS_H
#define BERTH_AGENT_KERNEL_NETNS_H

#include <stdbool.h>

#include "lib/base/err.h"

struct netns;
int netns_new(struct netns **ret_netns, struct err *err) MUST_USE;
void netns_free(struct netns **netns);
/* netns_is_home - ns_fd is the namespace in which we run. */
bool netns_is_home(const struct netns *netns, int ns_fd);
/* netns_diag - a NETLINK_SOCK_DIAG socket in that namespace and the namespace's cookie, which is
 * never reused while the host is up. 0; -ERR_PERMISSION, -ERR_SYSTEM. */
int netns_diag(struct netns *netns, int ns_fd, int *ret_diag_fd, uint64_t *ret_cookie,
               struct err *err) MUST_USE;
/* netns_listen - non-blocking listeners on 127.0.0.1:port and [::1]:port, bound to the device lo,
 * which is brought up. ret_fds[1] is -1 in a namespace without IPv6. port: host order, > 0.
 * 0; -ERR_IN_USE (somebody holds the port: an alarm), -ERR_PERMISSION, -ERR_SYSTEM. */
int netns_listen(struct netns *netns, int ns_fd, uint16_t port, int ret_fds[2],
                 struct err *err) MUST_USE;
/* netns_of_socket - a descriptor of the namespace of any socket (SIOCGSKNS). 0 or -ERR_SYSTEM. */
int netns_of_socket(int fd, int *ret_ns_fd) MUST_USE;

#endif
