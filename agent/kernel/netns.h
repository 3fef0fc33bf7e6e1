/* SPDX-License-Identifier: MIT
 * netns.h - sockets inside other network namespaces: listeners, and a door to sock_diag.
 * Floor: agent/kernel; one caller thread; the namespaces are entered by a thread of its own, so
 *        that no other code ever runs in a foreign one.
 * Owns: that thread and a descriptor of our own namespace.
 * Invariant: the thread is back home before a call returns, or the process aborts; namespaces
 *            stay pinned only by the sockets that were asked for. kernel_test.c. */
#ifndef BERTH_AGENT_KERNEL_NETNS_H
#define BERTH_AGENT_KERNEL_NETNS_H

#include <stdbool.h>

#include "lib/base/err.h"

/* Address of the listener without a path or a port: @berth, abstract, seen in its network
 * namespace alone. */
#define NETNS_UNIX_NAME "berth"

struct netns;
/* What to make in a namespace. */
struct netns_wish {
    uint16_t port;       /* host order, > 0 */
    uint32_t link_local; /* network order; an address for lo (/32, host scope); 0 = none */
    bool with_unix;
};
struct netns_sockets {
    uint64_t cookie; /* of the namespace: never reused while the host is up */
    int tcp_fd;
    int unix_fd; /* -1: not wished */
};

int netns_new(struct netns **ret_netns, struct err *err) MUST_USE;
void netns_free(struct netns **netns);
/* netns_is_home - ns_fd is the namespace in which we run. */
bool netns_is_home(const struct netns *netns, int ns_fd);
/* netns_diag - a NETLINK_SOCK_DIAG socket in that namespace and the namespace's cookie.
 * 0; -ERR_NO_SPACE (no descriptor is left), -ERR_PERMISSION, -ERR_SYSTEM. */
int netns_diag(struct netns *netns, int ns_fd, int *ret_diag_fd, uint64_t *ret_cookie,
               struct err *err) MUST_USE;
/* netns_listen - bring lo up and listen, non-blocking. The one TCP listener takes IPv4 and IPv6 for
 * every address of the namespace that is reached over lo (127.0.0.1, ::1, the link-local one, its
 * own), and nothing from any other device; in a namespace without IPv6 it is IPv4 alone.
 * 0; -ERR_IN_USE (somebody holds the port: an alarm, unless it is we: ret_sockets->cookie is set in
 * this case too, the descriptors are -1), -ERR_PERMISSION, -ERR_SYSTEM. */
int netns_listen(struct netns *netns, int ns_fd, const struct netns_wish *wish,
                 struct netns_sockets *ret_sockets, struct err *err) MUST_USE;
/* netns_port - the first interface of that namespace that has an IPv4 address and is one end of a
 * pair whose other end is somewhere else. 0; -ERR_NOT_FOUND, -ERR_SYSTEM. */
struct netns_port {
    uint32_t address;    /* network order */
    uint8_t hardware[6]; /* its MAC address */
    uint32_t peer;       /* interface index of the other end, there */
};
int netns_port(struct netns *netns, int ns_fd, struct netns_port *ret_port,
               struct err *err) MUST_USE;
/* netns_of_socket - a descriptor of the namespace of any socket (SIOCGSKNS). 0; -ERR_NO_SPACE,
 * -ERR_SYSTEM. */
int netns_of_socket(int fd, int *ret_ns_fd) MUST_USE;

#endif
