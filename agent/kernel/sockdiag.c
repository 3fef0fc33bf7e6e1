/* SPDX-License-Identifier: MIT
 * sockdiag.c - one inet_diag question, one answer (linux/inet_diag.h).
 * Floor: agent/kernel; any thread.
 * Owns: nothing.
 * Invariant: an answer to another question (sequence number) is never used. kernel_test.c. */
#include "agent/kernel/sockdiag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/err.h"

#ifndef INET_DIAG_CGROUP_ID
#define INET_DIAG_CGROUP_ID 21
#endif

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};
union address {
    struct sockaddr any;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
};

/* The peer's socket seen from itself: its source is our peer, its destination is us. */
static int
ask(int conn_fd, struct question *question)
{
    union address ours = {0};
    union address theirs = {0};
    socklen_t ours_len = sizeof(ours);
    socklen_t theirs_len = sizeof(theirs);
    if (getsockname(conn_fd, &ours.any, &ours_len) != 0 ||
        getpeername(conn_fd, &theirs.any, &theirs_len) != 0)
        return -ERR_NOT_FOUND;
    struct inet_diag_sockid *id = &question->body.id;
    id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (ours.any.sa_family == AF_INET) {
        id->idiag_sport = theirs.in4.sin_port;
        id->idiag_dport = ours.in4.sin_port;
        id->idiag_src[0] = theirs.in4.sin_addr.s_addr;
        id->idiag_dst[0] = ours.in4.sin_addr.s_addr;
    } else if (ours.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&ours.in6.sin6_addr)) {
        /* IPv4 to a listener for both: the peer's socket is an IPv4 one, or looks like it */
        id->idiag_sport = theirs.in6.sin6_port;
        id->idiag_dport = ours.in6.sin6_port;
        memcpy(id->idiag_src, &theirs.in6.sin6_addr.s6_addr[12], 4);
        memcpy(id->idiag_dst, &ours.in6.sin6_addr.s6_addr[12], 4);
        ours.any.sa_family = AF_INET;
    } else if (ours.any.sa_family == AF_INET6) {
        id->idiag_sport = theirs.in6.sin6_port;
        id->idiag_dport = ours.in6.sin6_port;
        memcpy(id->idiag_src, &theirs.in6.sin6_addr, sizeof(id->idiag_src));
        memcpy(id->idiag_dst, &ours.in6.sin6_addr, sizeof(id->idiag_dst));
    } else {
        return -ERR_UNSUPPORTED;
    }
    question->body.sdiag_family = (uint8_t)ours.any.sa_family;
    question->body.sdiag_protocol = IPPROTO_TCP;
    question->body.idiag_states = UINT32_MAX;
    return 0;
}

static int
read_cgroup(const char *bytes, size_t count, uint64_t *ret_id)
{
    struct nlmsghdr head;
    size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct inet_diag_msg));
    memcpy(&head, bytes, sizeof(head));
    if (head.nlmsg_type == NLMSG_ERROR)
        return -ERR_NOT_FOUND;
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || head.nlmsg_len > count)
        return -ERR_IO;
    while (at + sizeof(struct rtattr) <= head.nlmsg_len) {
        struct rtattr attribute;
        memcpy(&attribute, bytes + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > head.nlmsg_len - at)
            return -ERR_IO;
        uint64_t id = 0;
        if (attribute.rta_type == INET_DIAG_CGROUP_ID &&
            attribute.rta_len == RTA_LENGTH(sizeof(id))) {
            memcpy(&id, bytes + at + RTA_LENGTH(0), sizeof(id));
            if (id == 0)
                return -ERR_NOT_FOUND;
            *ret_id = id;
            return 0;
        }
        at += RTA_ALIGN((size_t)attribute.rta_len);
    }
    return -ERR_UNSUPPORTED;
}

int
sockdiag_peer_cgroup(int diag_fd, int conn_fd, uint64_t *ret_id)
{
    static _Thread_local uint32_t sequence;
    struct question question = {
        .head = {.nlmsg_len = sizeof(question),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST,
                 .nlmsg_seq = ++sequence},
    };
    int code = ask(conn_fd, &question);
    if (code < 0)
        return code;
    if (send(diag_fd, &question, sizeof(question), 0) != (ssize_t)sizeof(question))
        return -ERR_IO;
    /* An older question's answer can lie before ours only if its reader failed: skip it. */
    for (int tries = 0; tries < 16; tries++) {
        _Alignas(struct nlmsghdr) char bytes[2048];
        ssize_t got = recv(diag_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        struct nlmsghdr head;
        if (got < (ssize_t)sizeof(head))
            return -ERR_IO;
        memcpy(&head, bytes, sizeof(head));
        if (head.nlmsg_seq == question.head.nlmsg_seq)
            return read_cgroup(bytes, (size_t)got, ret_id);
    }
    return -ERR_IO;
}
