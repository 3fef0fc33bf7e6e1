/* SPDX-License-Identifier: MIT
 * guard.h - which addresses a URL of a configuration may lead to: the SSRF guard.
 * Floor: lib/net; any thread.
 * Owns: nothing.
 * Invariant: it judges the address that is connected to, not the name: whatever a name, a redirect
 *            or a second lookup says. HARDENING 3.7; guard_test.c. */
#ifndef BERTH_LIB_NET_GUARD_H
#define BERTH_LIB_NET_GUARD_H

#include "lib/net/sock.h"

/* PUBLIC: the internet. PRIVATE: loopback, 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7,
 * fec0::/10, NAT64 (64:ff9b::/96) towards one of ours or anywhere; for the owner to allow. NEVER:
 * unspecified, link-local, the metadata services of clouds, multicast, broadcast, reserved,
 * documentation and tunnels (6to4, Teredo): no owner runs a provider there. IPv4 inside IPv6
 * (mapped, compatible) is judged as IPv4. Unix sockets are PRIVATE. */
enum guard_class { GUARD_PUBLIC, GUARD_PRIVATE, GUARD_NEVER };
enum guard_class guard_class(const struct sock_addr *addr);
/* guard_allow - may be connected to; the filter of http_origin_conf and of fetch_run. user: const
 * bool *, true: private addresses are allowed; NULL: they are not. */
bool guard_allow(const struct sock_addr *addr, void *user);

#endif
