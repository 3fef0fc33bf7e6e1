/* SPDX-License-Identifier: MIT
 * sock.c - addresses as text, listening, accepting and connecting.
 * Floor: lib/net; any thread.
 * Owns: nothing; descriptors are the caller's.
 * Invariant: a unix socket file is never more open than unix_mode, not even for a moment, and is
 *            removed only when nobody answers on it: proved in sock_test.c. */
#include "lib/net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/net/sock_int.h"

#define UNIX_PREFIX STR("unix:")

static void
fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int
fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

int
sock_addr_unix(struct str path, struct sock_addr *ret_addr, struct err *err)
{
    struct sock_addr addr = {.u.un.sun_family = AF_UNIX};
    if (path.len == 0 || path.len >= sizeof(addr.u.un.sun_path) ||
        memchr(path.ptr, '\0', path.len) != NULL)
        return err_set(err, ERR_INVALID, "a unix socket path must have 1 to %zu bytes, no NUL",
                       sizeof(addr.u.un.sun_path) - 1);
    memcpy(addr.u.un.sun_path, path.ptr, path.len);
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *ret_addr = addr;
    return 0;
}

int
sock_addr_literal(struct str host, uint16_t port, struct sock_addr *ret_addr)
{
    char text[INET6_ADDRSTRLEN];
    struct sock_addr addr = {.len = 0};
    if (!str_copy(text, sizeof(text), host) || strlen(text) != host.len)
        return -ERR_PARSE;
    if (inet_pton(AF_INET, text, &addr.u.in4.sin_addr) == 1) {
        addr.u.in4.sin_family = AF_INET;
        addr.u.in4.sin_port = htons(port);
        addr.len = sizeof(addr.u.in4);
    } else if (inet_pton(AF_INET6, text, &addr.u.in6.sin6_addr) == 1) {
        addr.u.in6.sin6_family = AF_INET6;
        addr.u.in6.sin6_port = htons(port);
        addr.len = sizeof(addr.u.in6);
    } else {
        return -ERR_PARSE;
    }
    *ret_addr = addr;
    return 0;
}

int
sock_addr_parse(struct str text, struct sock_addr *ret_addr, struct err *err)
{
    if (str_starts(text, UNIX_PREFIX))
        return sock_addr_unix(str_skip(text, UNIX_PREFIX.len), ret_addr, err);

    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    uint64_t port = 0;
    struct str host = str_make(text.ptr, colon > 0 ? colon - 1 : 0);
    bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (colon == 0 || num_u64(str_skip(text, colon), UINT16_MAX, &port) < 0)
        return err_set(err, ERR_PARSE, "\"%.*s\" does not end in a port, as in 127.0.0.1:8080",
                       (int)MIN(text.len, 64u), text.ptr);
    if (bracketed)
        host = str_make(host.ptr + 1, host.len - 2);
    else if (host.len == 0)
        host = STR("::");
    bool is_v6 = str_find_byte(host, ':') != SIZE_MAX;
    if ((colon == 1 || is_v6 == bracketed) &&
        sock_addr_literal(host, (uint16_t)port, ret_addr) == 0)
        return 0;
    return err_set(err, ERR_PARSE,
                   "\"%.*s\" is not an address; write 127.0.0.1:8080, [::1]:8080, :8080 or "
                   "unix:/path",
                   (int)MIN(text.len, 64u), text.ptr);
}

void
sock_addr_format(const struct sock_addr *addr, char out[128])
{
    char text[INET6_ADDRSTRLEN];
    sa_family_t family = addr->len == 0 ? AF_UNSPEC : addr->u.any.sa_family;
    bool is_v6 = family == AF_INET6;
    int count;
    if (family == AF_UNIX) {
        bool has_path = addr->len > offsetof(struct sockaddr_un, sun_path);
        count = snprintf(out, 128, "unix:%s", has_path ? addr->u.un.sun_path : "");
    } else if ((is_v6 && inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, text, sizeof(text))) ||
               (family == AF_INET &&
                inet_ntop(AF_INET, &addr->u.in4.sin_addr, text, sizeof(text)))) {
        /* the port is at the same place in both */
        count = snprintf(out, 128, is_v6 ? "[%s]:%u" : "%s:%u", text,
                         (unsigned)ntohs(addr->u.in4.sin_port));
    } else {
        count = snprintf(out, 128, "unknown");
    }
    if (count < 0)
        out[0] = '\0';
}

bool
sock_addr_is_loopback(const struct sock_addr *addr)
{
    if (addr->len == 0)
        return false;
    if (addr->u.any.sa_family == AF_INET)
        return ntohl(addr->u.in4.sin_addr.s_addr) >> 24 == 127;
    if (addr->u.any.sa_family != AF_INET6)
        return false;
    const struct in6_addr *in6 = &addr->u.in6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

/* A v4 peer on a dual-stack listener: one address, one form. */
static void
sock_addr_unmap(struct sock_addr *addr)
{
    if (addr->u.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr))
        return;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = addr->u.in6.sin6_port};
    memcpy(&in4.sin_addr, &addr->u.in6.sin6_addr.s6_addr[12], sizeof(in4.sin_addr));
    addr->u.in4 = in4;
    addr->len = sizeof(in4);
}

static int
sock_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

/* On loopback there is no path to probe: where the host's congestion control estimates bandwidth
 * and paces (bbr), that is timers and samples a packet for nothing. Reno is always allowed;
 * accepted sockets inherit it. */
static void
sock_tune_loopback(int fd, const struct sock_addr *addr)
{
    const struct sockaddr_in *in4 = &addr->u.in4;
    if (addr->u.any.sa_family == AF_INET
            ? ntohl(in4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET
            : IN6_IS_ADDR_LOOPBACK(&addr->u.in6.sin6_addr))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* Does anybody accept on this path? Only a refusal says no. */
static bool
unix_path_is_stale(const struct sock_addr *addr, int type)
{
    struct stat st;
    if (lstat(addr->u.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    CLEANUP(fd_close) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, &addr->u.any, addr->len) < 0 && errno == ECONNREFUSED;
}

static int
sock_bind_unix(int fd, const struct sock_addr *addr, int type, unsigned mode, struct err *err)
{
    /* The mode of the open socket is the one its file is born with (less the umask); chmod then
     * gives back what the umask took. */
    if (fchmod(fd, (mode_t)mode) < 0)
        return err_set_errno(err, errno, "cannot set the mode of a socket");
    int r = bind(fd, &addr->u.any, addr->len);
    if (r < 0 && errno == EADDRINUSE && unix_path_is_stale(addr, type)) {
        (void)unlink(addr->u.un.sun_path);
        r = bind(fd, &addr->u.any, addr->len);
    }
    if (r < 0 && errno == EADDRINUSE) {
        return err_set(err, ERR_IN_USE,
                       "another process listens on unix:%s (or a file has that name); stop it or "
                       "choose another path",
                       addr->u.un.sun_path);
    }
    if (r < 0)
        return err_set_errno(err, errno, "cannot listen on unix:%s", addr->u.un.sun_path);
    if (chmod(addr->u.un.sun_path, (mode_t)mode) < 0)
        return err_set_errno(err, errno, "cannot set the mode of %s", addr->u.un.sun_path);
    return 0;
}

static int
sock_bind_inet(int fd, const struct sock_addr *addr, bool reuse_port, struct err *err)
{
    char text[128];
    sock_addr_format(addr, text);
    /* NODELAY is inherited by the sockets that are accepted: no system call for each. */
    if (sock_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        sock_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
        (reuse_port && sock_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0))
        return err_set_errno(err, errno, "cannot set the options of a listener on %s", text);
    if (addr->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr))
        (void)sock_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    sock_tune_loopback(fd, addr);
    if (bind(fd, &addr->u.any, addr->len) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return err_set_errno(err, errno, "cannot listen on %s", text);
    return err_set(err, ERR_IN_USE,
                   "another process listens on %s; see which with: ss -ltnp 'sport = :%u', then "
                   "stop it or choose another port",
                   text, (unsigned)ntohs(addr->u.in4.sin_port));
}

int
sock_listen_type(const struct sock_addr *addr, int type, int backlog, bool reuse_port,
                 unsigned unix_mode, int *ret_fd, struct err *err)
{
    struct sock_addr v4_any = {.len = sizeof(v4_any.u.in4), .u.in4.sin_family = AF_INET};
    CLEANUP(fd_close)
    int fd = socket(addr->u.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && addr->u.any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr)) {
        /* A kernel without IPv6: "any" still has a meaning. */
        v4_any.u.in4.sin_port = addr->u.in6.sin6_port;
        addr = &v4_any;
        fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0)
        return err_set_errno(err, errno, "cannot create a socket");
    int r = addr->u.any.sa_family == AF_UNIX ? sock_bind_unix(fd, addr, type, unix_mode, err)
                                             : sock_bind_inet(fd, addr, reuse_port, err);
    if (r < 0)
        return r;
    if (listen(fd, backlog) < 0) {
        char text[128];
        sock_addr_format(addr, text);
        return errno == EADDRINUSE ? err_set(err, ERR_IN_USE, "another process listens on %s", text)
                                   : err_set_errno(err, errno, "cannot listen on %s", text);
    }
    *ret_fd = fd_take(&fd);
    return 0;
}

int
sock_listen(const struct sock_addr *addr, int backlog, bool reuse_port, unsigned unix_mode,
            int *ret_fd, struct err *err)
{
    return sock_listen_type(addr, SOCK_STREAM, backlog, reuse_port, unix_mode, ret_fd, err);
}

int
sock_accept(int listen_fd, int *ret_fd, struct sock_addr *ret_peer)
{
    for (;;) {
        struct sock_addr peer = {.len = sizeof(peer.u)};
        int fd = accept4(listen_fd, ret_peer == NULL ? NULL : &peer.u.any,
                         ret_peer == NULL ? NULL : &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            if (ret_peer != NULL) {
                sock_addr_unmap(&peer);
                *ret_peer = peer;
            }
            *ret_fd = fd;
            return 0;
        }
        switch (errno) {
        case EAGAIN:
            return -ERR_AGAIN;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return -ERR_NO_SPACE;
        case EBADF:
        case EFAULT:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
            return -ERR_IO;
        default: /* EINTR, ECONNABORTED and other ends of one peer only: the next one */
            continue;
        }
    }
}

static int
sock_connect_error(int number, const char *to, struct err *err)
{
    enum err_code code = ERR_IO;
    switch (number) {
    case ECONNREFUSED:
    case ENOENT:
    case EAGAIN: /* unix: its backlog is full */
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
        code = ERR_REFUSED;
        break;
    case ETIMEDOUT:
        code = ERR_TIMEOUT;
        break;
    case ECONNRESET:
    case EPIPE:
        code = ERR_CLOSED;
        break;
    case EMFILE:
    case ENFILE:
        code = ERR_NO_SPACE;
        break;
    case EACCES:
    case EPERM:
        code = ERR_PERMISSION;
        break;
    default:
        break;
    }
    (void)err_set_errno(err, number, "cannot connect%s%s", to[0] == '\0' ? "" : " to ", to);
    if (err != NULL)
        err->code = (int)code;
    return -(int)code;
}

int
sock_connect_type(const struct sock_addr *addr, int type, int *ret_fd, struct err *err)
{
    char text[128];
    sock_addr_format(addr, text);
    CLEANUP(fd_close)
    int fd = socket(addr->u.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sock_connect_error(errno, text, err);
    if (addr->u.any.sa_family != AF_UNIX && sock_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
        return sock_connect_error(errno, text, err);
    if (addr->u.any.sa_family != AF_UNIX)
        sock_tune_loopback(fd, addr);
    /* After EINTR a non-blocking connect goes on by itself, as with EINPROGRESS. */
    if (connect(fd, &addr->u.any, addr->len) < 0 && errno != EINPROGRESS && errno != EINTR)
        return sock_connect_error(errno, text, err);
    *ret_fd = fd_take(&fd);
    return 0;
}

int
sock_connect(const struct sock_addr *addr, int *ret_fd, struct err *err)
{
    return sock_connect_type(addr, SOCK_STREAM, ret_fd, err);
}

int
sock_error(int fd, struct err *err)
{
    int number = 0;
    socklen_t size = sizeof(number);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
        number = errno;
    return number == 0 ? 0 : sock_connect_error(number, "", err);
}
