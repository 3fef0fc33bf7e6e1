/* SPDX-License-Identifier: MIT
 * sock.h - sockets: addresses, listening, connecting, passing descriptors.
 * Floor: lib/net; any thread.
 * Owns: nothing; descriptors are the caller's. All are CLOEXEC and non-blocking.
 * Invariant: TCP sockets have TCP_NODELAY; listeners SO_REUSEADDR, never SO_REUSEPORT unless asked.
 */
#ifndef BERTH_LIB_NET_SOCK_H
#define BERTH_LIB_NET_SOCK_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

struct sock_addr {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
};

/* sock_addr_parse - "127.0.0.1:8080", "[::1]:8080", ":8080" (any), "unix:/path". No names. */
int sock_addr_parse(struct str text, struct sock_addr *ret_addr, struct err *err) MUST_USE;
/* sock_addr_format - the same form, NUL-terminated, into out[128]. */
void sock_addr_format(const struct sock_addr *addr, char out[128]);
bool sock_addr_is_loopback(const struct sock_addr *addr);

/* sock_listen - bind and listen. For unix: removes a stale socket file that nobody answers on, and
 * sets `unix_mode` on the new one. -ERR_IN_USE says who and what to do. */
int sock_listen(const struct sock_addr *addr, int backlog, bool reuse_port, unsigned unix_mode,
                int *ret_fd, struct err *err) MUST_USE;
/* sock_accept - 0, -ERR_AGAIN, -ERR_NO_SPACE (EMFILE/ENFILE), -ERR_IO. ret_peer may be NULL. */
int sock_accept(int listen_fd, int *ret_fd, struct sock_addr *ret_peer) MUST_USE;
/* sock_connect - start; 0 when connected at once or under way (wait for OUT, then sock_error). */
int sock_connect(const struct sock_addr *addr, int *ret_fd, struct err *err) MUST_USE;
/* sock_error - SO_ERROR as a -ERR_ code with message; 0 when connected. */
int sock_error(int fd, struct err *err) MUST_USE;

/* Unix SOCK_SEQPACKET with descriptors: one message, up to 32 fds (253 for sock_send_fds). */
int sock_seqpacket_listen(const char *path, unsigned mode, int *ret_fd, struct err *err) MUST_USE;
int sock_seqpacket_connect(const char *path, int *ret_fd, struct err *err) MUST_USE;
/* 0, -ERR_AGAIN, -ERR_CLOSED, -ERR_IO. */
int sock_send_fds(int fd, const void *bytes, size_t count, const int *fds,
                  size_t fd_count) MUST_USE;
/* sock_recv_fds - ret_count bytes read (0 = closed: -ERR_CLOSED). Received fds are CLOEXEC; those
 * past fds_max are closed and the call fails with -ERR_TOO_LARGE. */
int sock_recv_fds(int fd, void *bytes, size_t size, size_t *ret_count, int *fds, size_t fds_max,
                  size_t *ret_fd_count) MUST_USE;

/* sock_recv, sock_send - recv(2) and send(2), the latter without SIGPIPE, and both without what
 * glibc wraps around them for pthread_cancel: two locked instructions each. Nobody is cancelled
 * here. */
static inline ssize_t
sock_recv(int fd, void *bytes, size_t size)
{
    return syscall(SYS_recvfrom, fd, bytes, size, 0L, NULL, NULL);
}
static inline ssize_t
sock_send(int fd, const void *bytes, size_t size)
{
    return syscall(SYS_sendto, fd, bytes, size, MSG_NOSIGNAL, NULL, 0L);
}

#endif
