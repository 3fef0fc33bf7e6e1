/* SPDX-License-Identifier: MIT
 * netns.c - a thread that enters a namespace, makes sockets, and comes home.
 * Floor: agent/kernel; see netns.h.
 * Owns: the thread; one job at a time.
 * Invariant: setns back home never fails quietly. kernel_test.c. */
#include "agent/kernel/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define BACKLOG 512

enum job_kind { JOB_NONE, JOB_DIAG, JOB_LISTEN, JOB_EXIT };
struct job {
    enum job_kind kind;
    int ns_fd;
    uint16_t port;
    int fds[2];
    uint64_t cookie;
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
open_diag(struct job *job)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return err_set_errno(&job->err, errno, "cannot open sock_diag");
    socklen_t len = sizeof(job->cookie);
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &job->cookie, &len) != 0) {
        int number = errno;
        (void)close(fd);
        return err_set_errno(&job->err, number, "no SO_NETNS_COOKIE (Linux 5.14 is needed)");
    }
    job->fds[0] = fd;
    return 0;
}

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

/* SO_REUSEADDR so that TIME_WAIT does not stop us; never SO_REUSEPORT, so that nobody can join. */
static int
bind_loopback(int fd, int family, uint16_t port)
{
    int on = 1;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const void *addr = family == AF_INET ? (const void *)&in4 : (const void *)&in6;
    socklen_t len = family == AF_INET ? sizeof(in4) : sizeof(in6);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, addr, len) != 0 || listen(fd, BACKLOG) != 0)
        return errno;
    return 0;
}

static int
listen_one(struct job *job, int family, int *ret_fd)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && family == AF_INET6 && errno == EAFNOSUPPORT)
        return 0;
    if (fd < 0)
        return err_set_errno(&job->err, errno, "cannot make a socket in the container");
    int code = family == AF_INET ? bring_lo_up(fd, &job->err) : 0;
    int number = code == 0 ? bind_loopback(fd, family, job->port) : 0;
    if (code == 0 && number == 0) {
        *ret_fd = fd;
        return 0;
    }
    (void)close(fd);
    if (code < 0)
        return code;
    if (family == AF_INET6 && number == EADDRNOTAVAIL) /* IPv6 is switched off on lo */
        return 0;
    if (number == EADDRINUSE)
        return err_set(&job->err, ERR_IN_USE,
                       "port %u is already taken inside the container's network namespace",
                       job->port);
    return err_set_errno(&job->err, number, "cannot listen inside the container");
}

static int
open_listeners(struct job *job)
{
    int code = listen_one(job, AF_INET, &job->fds[0]);
    if (code == 0)
        code = listen_one(job, AF_INET6, &job->fds[1]);
    if (code < 0 && job->fds[0] >= 0) {
        (void)close(job->fds[0]);
        job->fds[0] = -1;
    }
    return code;
}

static void
run_job(const struct netns *netns, struct job *job)
{
    if (setns(job->ns_fd, CLONE_NEWNET) != 0) {
        job->code = err_set_errno(&job->err, errno, "cannot enter a network namespace");
        return;
    }
    job->code = job->kind == JOB_DIAG ? open_diag(job) : open_listeners(job);
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

static void
do_job(struct netns *netns, struct job *job)
{
    job->fds[0] = job->fds[1] = -1;
    pthread_mutex_lock(&netns->lock);
    ASSERT(netns->job == NULL);
    netns->job = job;
    pthread_cond_broadcast(&netns->changed);
    while (netns->job != NULL)
        pthread_cond_wait(&netns->changed, &netns->lock);
    pthread_mutex_unlock(&netns->lock);
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
        do_job(netns, &job);
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
    do_job(netns, &job);
    if (job.code < 0) {
        if (err != NULL)
            *err = job.err;
        return job.code;
    }
    *ret_diag_fd = job.fds[0];
    *ret_cookie = job.cookie;
    return 0;
}

int
netns_listen(struct netns *netns, int ns_fd, uint16_t port, int ret_fds[2], struct err *err)
{
    ASSERT(port > 0);
    struct job job = {.kind = JOB_LISTEN, .ns_fd = ns_fd, .port = port};
    do_job(netns, &job);
    if (job.code < 0) {
        if (err != NULL)
            *err = job.err;
        return job.code;
    }
    ret_fds[0] = job.fds[0];
    ret_fds[1] = job.fds[1];
    return 0;
}

int
netns_of_socket(int fd, int *ret_ns_fd)
{
    int ns_fd = ioctl(fd, SIOCGSKNS);
    if (ns_fd < 0)
        return -ERR_SYSTEM;
    *ret_ns_fd = ns_fd;
    return 0;
}
