/* SPDX-License-Identifier: MIT
 * sock_int.h - what sock.c shares with sock_fds.c and resolve.c.
 * Floor: lib/net; any thread.
 * Owns: nothing.
 * Invariant: as sock.h. */
#ifndef BERTH_LIB_NET_SOCK_INT_H
#define BERTH_LIB_NET_SOCK_INT_H

#include "lib/net/sock.h"

/* sock_addr_unix - a path of 1..107 bytes. */
int sock_addr_unix(struct str path, struct sock_addr *ret_addr, struct err *err) MUST_USE;
/* sock_addr_literal - "127.0.0.1" or "::1" (no brackets, no zone); -ERR_PARSE. */
int sock_addr_literal(struct str host, uint16_t port, struct sock_addr *ret_addr) MUST_USE;
/* type: SOCK_STREAM or SOCK_SEQPACKET. */
int sock_listen_type(const struct sock_addr *addr, int type, int backlog, bool reuse_port,
                     unsigned unix_mode, int *ret_fd, struct err *err) MUST_USE;
int sock_connect_type(const struct sock_addr *addr, int type, int *ret_fd,
                      struct err *err) MUST_USE;

#endif
