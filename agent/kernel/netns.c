/* SPDX-License-Identifier: MIT
 * netns.c - a thread that enters a namespace, makes sockets, and comes home.
 * Floor: agent/kernel; see netns.h.
 * Owns: the thread; one job at a time.
 * Invariant: setns back home never fails quietly. kernel_test.c. */
#include "agent/kernel/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/check.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define BACKLOG 512

enum job_kind { JOB_NONE, JOB_DIAG, JOB_LISTEN, JOB_PORT, JOB_EXIT };
struct job {
    enum job_kind kind;
    int ns_fd;
    const struct netns_wish *wish;
    struct netns_sockets made;
    int diag_fd;
    struct netns_port port;
    int code;
    struct err err;
};
struct netns {
    int home_fd;
    struct stat home;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *job; /* set by the caller, cleared by the thread when done */
};

static int
read_cookie(int fd, uint64_t *ret_cookie, struct err *err)
{
    socklen_t len = sizeof(*ret_cookie);
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &len) != 0)
        return err_set_errno(err, errno, "no SO_NETNS_COOKIE (Linux 5.14 is needed)");
    return 0;
}

static int
open_diag(struct job *job)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return err_set(&job->err, ERR_NO_SPACE, "no descriptor is left for sock_diag");
    if (fd < 0)
        return err_set_errno(&job->err, errno, "cannot open sock_diag");
    int code = read_cookie(fd, &job->made.cookie, &job->err);
    if (code < 0) {
        (void)close(fd);
        return code;
    }
    job->diag_fd = fd;
    return 0;
}

/* ---- lo ------------------------------------------------------------------------------------- */

static int
bring_lo_up(int fd, struct err *err)
{
    struct ifreq request = {.ifr_name = "lo"};
    if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
        return err_set_errno(err, errno, "cannot read the flags of lo");
    if ((request.ifr_flags & IFF_UP) != 0)
        return 0;
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        return err_set_errno(err, errno, "cannot bring lo up");
    return 0;
}

/* RTM_NEWADDR, host scope: never chosen as the source of what leaves the container. */
struct address_request {
    struct nlmsghdr head;
    struct ifaddrmsg body;
    struct rtattr attribute;
    uint32_t address;
};
struct address_reply {
    struct nlmsghdr head;
    struct nlmsgerr body;
};

static int
give_lo(uint32_t address, struct err *err)
{
    struct address_request request = {
        .head = {.nlmsg_len = sizeof(request),
                 .nlmsg_type = RTM_NEWADDR,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                 .nlmsg_seq = 1},
        .body = {.ifa_family = AF_INET,
                 .ifa_prefixlen = 32,
                 .ifa_scope = RT_SCOPE_HOST,
                 .ifa_index = if_nametoindex("lo")},
        .attribute = {.rta_len = RTA_LENGTH(sizeof(address)), .rta_type = IFA_LOCAL},
        .address = address,
    };
    struct address_reply reply = {.body = {.error = -EIO}};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot open rtnetlink");
    ssize_t got = -1;
    if (send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
        got = recv(fd, &reply, sizeof(reply), 0);
    (void)close(fd);
    if (got < (ssize_t)sizeof(reply) || reply.head.nlmsg_type != NLMSG_ERROR)
        return err_set(err, ERR_SYSTEM, "rtnetlink does not answer");
    if (reply.body.error != 0)
        return err_set_errno(err, -reply.body.error, "cannot give lo the link-local address");
    return 0;
}

/* ---- listeners ------------------------------------------------------------------------------ */

/* SO_REUSEADDR so that TIME_WAIT does not stop us; never SO_REUSEPORT, so that nobody can join.
 * The device is what keeps neighbours out, whatever the address. 0 or an errno value. */
static int
bind_lo(int fd, int family, uint16_t port)
{
    int on = 1;
    int off = 0;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const void *addr = family == AF_INET ? (const void *)&in4 : (const void *)&in6;
    socklen_t len = family == AF_INET ? sizeof(in4) : sizeof(in6);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
        bind(fd, addr, len) != 0 || listen(fd, BACKLOG) != 0)
        return errno;
    return 0;
}

static int
listen_tcp(struct job *job)
{
    int family = AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        family = AF_INET;
        fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0)
        return err_set_errno(&job->err, errno, "cannot make a socket in the container");
    int code = read_cookie(fd, &job->made.cookie, &job->err);
    if (code == 0)
        code = bring_lo_up(fd, &job->err);
    int number = code == 0 ? bind_lo(fd, family, job->wish->port) : 0;
    if (code == 0 && number == 0) {
        job->made.tcp_fd = fd;
        return 0;
    }
    (void)close(fd);
    if (code < 0)
        return code;
    if (number == EADDRINUSE)
        return err_set(&job->err, ERR_IN_USE,
                       "port %u is already taken inside the container's network namespace",
                       job->wish->port);
    return err_set_errno(&job->err, number, "cannot listen inside the container");
}

static int
listen_unix(struct job *job)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(NETNS_UNIX_NAME));
    memcpy(address.sun_path + 1, NETNS_UNIX_NAME, sizeof(NETNS_UNIX_NAME) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_errno(&job->err, errno, "cannot make a socket in the container");
    if (bind(fd, (const struct sockaddr *)&address, len) == 0 && listen(fd, BACKLOG) == 0) {
        job->made.unix_fd = fd;
        return 0;
    }
    int number = errno;
    (void)close(fd);
    if (number == EADDRINUSE)
        return err_set(&job->err, ERR_IN_USE,
                       "the unix name @" NETNS_UNIX_NAME
                       " is already taken inside the container's network namespace");
    return err_set_errno(&job->err, number, "cannot listen on @" NETNS_UNIX_NAME);
}

static int
open_listeners(struct job *job)
{
    int code = listen_tcp(job);
    if (code == 0 && job->wish->link_local != 0)
        code = give_lo(job->wish->link_local, &job->err);
    if (code == 0 && job->wish->with_unix)
        code = listen_unix(job);
    if (code < 0 && job->made.tcp_fd >= 0) {
        (void)close(job->made.tcp_fd);
        job->made.tcp_fd = -1;
    }
    return code;
}

/* ---- the way out ---------------------------------------------------------------------------- */

struct link_request {
    struct nlmsghdr head;
    struct ifinfomsg body;
};

/* IFLA_LINK of an interface: the index of its other end. 0: it has none. */
static uint32_t
other_end(int fd, unsigned index)
{
    struct link_request request = {.head = {.nlmsg_len = sizeof(request),
                                            .nlmsg_type = RTM_GETLINK,
                                            .nlmsg_flags = NLM_F_REQUEST,
                                            .nlmsg_seq = index},
                                   .body = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index}};
    _Alignas(struct nlmsghdr) char bytes[16384];
    struct nlmsghdr head;
    uint32_t peer = 0;
    if (send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
        return 0;
    ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    if (got < (ssize_t)sizeof(head))
        return 0;
    memcpy(&head, bytes, sizeof(head));
    if (head.nlmsg_type != RTM_NEWLINK || head.nlmsg_len > (size_t)got)
        return 0;
    size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct ifinfomsg));
    while (at + sizeof(struct rtattr) <= head.nlmsg_len) {
        struct rtattr attribute;
        memcpy(&attribute, bytes + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > head.nlmsg_len - at)
            return 0;
        if (attribute.rta_type == IFLA_LINK && attribute.rta_len == RTA_LENGTH(sizeof(peer)))
            memcpy(&peer, bytes + at + RTA_LENGTH(0), sizeof(peer));
        at += RTA_ALIGN((size_t)attribute.rta_len);
    }
    return peer;
}

static bool
find_hardware(const struct ifaddrs *list, const char *name, uint8_t hardware[6])
{
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        struct sockaddr_ll link;
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_PACKET ||
            strcmp(at->ifa_name, name) != 0)
            continue;
        memcpy(&link, at->ifa_addr, sizeof(link));
        memcpy(hardware, link.sll_addr, 6);
        return link.sll_halen == 6;
    }
    return false;
}

static int
find_port(struct job *job)
{
    struct ifaddrs *list = NULL;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool found = false;
    if (fd < 0 || getifaddrs(&list) != 0) {
        int number = errno;
        if (fd >= 0)
            (void)close(fd);
        return err_set_errno(&job->err, number, "cannot list the container's interfaces");
    }
    for (const struct ifaddrs *at = list; at != NULL && !found; at = at->ifa_next) {
        struct sockaddr_in addr;
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET ||
            (at->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        memcpy(&addr, at->ifa_addr, sizeof(addr));
        job->port.address = addr.sin_addr.s_addr;
        job->port.peer = other_end(fd, if_nametoindex(at->ifa_name));
        found = job->port.peer != 0 && find_hardware(list, at->ifa_name, job->port.hardware);
    }
    freeifaddrs(list);
    (void)close(fd);
    return found ? 0 : err_set(&job->err, ERR_NOT_FOUND, "the container is on no bridge");
}

static void
run_job(const struct netns *netns, struct job *job)
{
    if (setns(job->ns_fd, CLONE_NEWNET) != 0) {
        job->code = err_set_errno(&job->err, errno, "cannot enter a network namespace");
        return;
    }
    job->code = job->kind == JOB_DIAG     ? open_diag(job)
                : job->kind == JOB_LISTEN ? open_listeners(job)
                                          : find_port(job);
    if (setns(netns->home_fd, CLONE_NEWNET) != 0)
        abort(); /* this thread must never serve from a foreign namespace */
}

static void *
thread_main(void *user)
{
    struct netns *netns = user;
    bool leave = false;
    pthread_mutex_lock(&netns->lock);
    while (!leave) {
        while (netns->job == NULL)
            pthread_cond_wait(&netns->changed, &netns->lock);
        leave = netns->job->kind == JOB_EXIT;
        if (!leave)
            run_job(netns, netns->job);
        netns->job = NULL;
        pthread_cond_broadcast(&netns->changed);
    }
    pthread_mutex_unlock(&netns->lock);
    return NULL;
}

/* job->code; err says why, when it is wanted. */
static int
do_job(struct netns *netns, struct job *job, struct err *err)
{
    job->diag_fd = job->made.tcp_fd = job->made.unix_fd = -1;
    pthread_mutex_lock(&netns->lock);
    ASSERT(netns->job == NULL);
    netns->job = job;
    pthread_cond_broadcast(&netns->changed);
    while (netns->job != NULL)
        pthread_cond_wait(&netns->changed, &netns->lock);
    pthread_mutex_unlock(&netns->lock);
    if (job->code < 0 && err != NULL)
        *err = job->err;
    return job->code;
}

int
netns_new(struct netns **ret_netns, struct err *err)
{
    CLEANUP(netns_free) struct netns *netns = calloc(1, sizeof(*netns));
    if (netns == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    (void)pthread_mutex_init(&netns->lock, NULL);
    (void)pthread_cond_init(&netns->changed, NULL);
    netns->home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (netns->home_fd < 0 || fstat(netns->home_fd, &netns->home) != 0)
        return err_set_errno(err, errno, "cannot open our own network namespace");
    int number = pthread_create(&netns->thread, NULL, thread_main, netns);
    if (number != 0)
        return err_set_errno(err, number, "cannot start a thread");
    netns->started = true;
    *ret_netns = TAKE(netns);
    return 0;
}

void
netns_free(struct netns **ref)
{
    struct netns *netns = TAKE(*ref);
    if (netns == NULL)
        return;
    if (netns->started) {
        struct job job = {.kind = JOB_EXIT, .ns_fd = -1};
        (void)do_job(netns, &job, NULL);
        (void)pthread_join(netns->thread, NULL);
    }
    if (netns->home_fd >= 0)
        (void)close(netns->home_fd);
    (void)pthread_cond_destroy(&netns->changed);
    (void)pthread_mutex_destroy(&netns->lock);
    free(netns);
}

bool
netns_is_home(const struct netns *netns, int ns_fd)
{
    struct stat other;
    return fstat(ns_fd, &other) == 0 && other.st_ino == netns->home.st_ino &&
           other.st_dev == netns->home.st_dev;
}

int
netns_diag(struct netns *netns, int ns_fd, int *ret_diag_fd, uint64_t *ret_cookie, struct err *err)
{
    struct job job = {.kind = JOB_DIAG, .ns_fd = ns_fd};
    int code = do_job(netns, &job, err);
    if (code == 0) {
        *ret_diag_fd = job.diag_fd;
        *ret_cookie = job.made.cookie;
    }
    return code;
}

int
netns_listen(struct netns *netns, int ns_fd, const struct netns_wish *wish,
             struct netns_sockets *ret_sockets, struct err *err)
{
    ASSERT(wish->port > 0);
    struct job job = {.kind = JOB_LISTEN, .ns_fd = ns_fd, .wish = wish};
    int code = do_job(netns, &job, err);
    if (code == 0 || code == -ERR_IN_USE)
        *ret_sockets = job.made;
    return code;
}

int
netns_port(struct netns *netns, int ns_fd, struct netns_port *ret_port, struct err *err)
{
    struct job job = {.kind = JOB_PORT, .ns_fd = ns_fd};
    int code = do_job(netns, &job, err);
    if (code == 0)
        *ret_port = job.port;
    return code;
}

int
netns_of_socket(int fd, int *ret_ns_fd)
{
    int ns_fd = ioctl(fd, SIOCGSKNS);
    if (ns_fd < 0)
        return errno == EMFILE || errno == ENFILE ? -ERR_NO_SPACE : -ERR_SYSTEM;
    *ret_ns_fd = ns_fd;
    return 0;
}
