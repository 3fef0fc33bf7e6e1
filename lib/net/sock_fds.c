/* SPDX-License-Identifier: MIT
 * sock_fds.c - unix SOCK_SEQPACKET: whole messages, with descriptors beside them.
 * Floor: lib/net; any thread.
 * Owns: nothing; descriptors that are not handed out are closed.
 * Invariant: whatever a peer sends, no descriptor is left open unseen: proved in sock_test.c. */
#include <errno.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/net/sock_int.h"

#define FDS_MAX 253u /* the kernel's own (SCM_MAX_FD) */

union fds_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int
sock_seqpacket_listen(const char *path, unsigned mode, int *ret_fd, struct err *err)
{
    struct sock_addr addr;
    int r = sock_addr_unix(str_from(path), &addr, err);
    if (r < 0)
        return r;
    return sock_listen_type(&addr, SOCK_SEQPACKET, 128, false, mode, ret_fd, err);
}

int
sock_seqpacket_connect(const char *path, int *ret_fd, struct err *err)
{
    struct sock_addr addr;
    int r = sock_addr_unix(str_from(path), &addr, err);
    if (r < 0)
        return r;
    return sock_connect_type(&addr, SOCK_SEQPACKET, ret_fd, err);
}

int
sock_send_fds(int fd, const void *bytes, size_t count, const int *fds, size_t fd_count)
{
    ASSERT(count > 0 && fd_count <= FDS_MAX); /* an empty message would read as an end */
    union fds_control control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count}; /* only read */
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (size_t)sent == count ? 0 : -ERR_IO;
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
        return -ERR_AGAIN;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return -ERR_CLOSED;
    default:
        return -ERR_IO;
    }
}

/* Hand out the first fds_max, close the rest; how many there were. */
static size_t
take_fds(struct msghdr *message, int *fds, size_t fds_max)
{
    size_t total = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++, total++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (total < fds_max)
                fds[total] = fd;
            else
                (void)close(fd);
        }
    }
    return total;
}

int
sock_recv_fds(int fd, void *bytes, size_t size, size_t *ret_count, int *fds, size_t fds_max,
              size_t *ret_fd_count)
{
    union fds_control control;
    struct iovec iov = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? -ERR_AGAIN : errno == ECONNRESET ? -ERR_CLOSED : -ERR_IO;

    size_t total = take_fds(&message, fds, fds_max);
    bool cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || total > fds_max;
    if (cut || got == 0) {
        for (size_t i = 0; i < MIN(total, fds_max); i++)
            (void)close(fds[i]);
        return cut ? -ERR_TOO_LARGE : -ERR_CLOSED;
    }
    *ret_count = (size_t)got;
    *ret_fd_count = total;
    return 0;
}
