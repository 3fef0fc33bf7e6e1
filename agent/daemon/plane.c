/* SPDX-License-Identifier: MIT
 * plane.c - the agent's end of the hand-over socket.
 * Floor: agent/daemon; loop thread.
 * Owns: see plane.h.
 * Invariant: see plane.h.
 * A lost connection is tried again every RETRY_MS: it is a local path. */
#include "agent/daemon/plane.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"

#define RETRY_MS 50u
#define SEND_BYTES (1 << 20)

struct plane {
    struct agent *agent;
    struct loop_io io;
    struct timer retry;
    struct handoff kept; /* with kept_fd >= 0: goes first when the socket takes more */
    int kept_fd;
    uint64_t took_ns; /* the last connection, from its accept; told with the next; 0 = none */
    bool complained;
};

static void
set_ready(struct plane *plane, bool ready)
{
    plane->agent->plane_ready = ready;
    agent_gate(plane->agent);
}

static void
plane_lost(struct plane *plane)
{
    struct agent *agent = plane->agent;
    loop_remove(agent->loop, &plane->io);
    (void)close(plane->io.fd);
    plane->io.fd = -1;
    if (plane->kept_fd >= 0)
        (void)close(plane->kept_fd);
    plane->kept_fd = -1;
    set_ready(plane, false);
    LOG_WARN("the data plane is gone; trying again", LOG_C("path", agent->options->dataplane));
    timer_arm(loop_timers(agent->loop), &plane->retry, loop_now_ms(agent->loop) + RETRY_MS);
    LIST_FOREACH_SAFE (node, &agent->instances) {
        (void)instance_step(LIST_ENTRY(node, struct instance, node), EVENT_revoked,
                            "the data plane is gone");
    }
}

static void
send_revoke(struct plane *plane, struct instance *instance)
{
    struct handoff message = {.magic = HANDOFF_MAGIC, .kind = HANDOFF_REVOKE};
    memcpy(message.incarnation, instance->incarnation, INCARNATION_BYTES);
    instance->revoke_unsent =
        sock_send_fds(plane->io.fd, &message, sizeof(message), NULL, 0) == -ERR_AGAIN;
}

static void
take_answer(struct plane *plane, const struct handoff *message)
{
    if (message->kind != HANDOFF_REVOKED)
        return;
    LIST_FOREACH_SAFE (node, &plane->agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (memcmp(instance->incarnation, message->incarnation, INCARNATION_BYTES) == 0)
            (void)instance_step(instance, EVENT_revoked, "the data plane refuses it");
    }
}

static void
send_pending(struct plane *plane)
{
    struct agent *agent = plane->agent;
    LIST_FOREACH (node, &agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (instance->revoke_unsent)
            send_revoke(plane, instance);
        if (instance->revoke_unsent)
            return;
    }
    if (plane->kept_fd >= 0) {
        if (sock_send_fds(plane->io.fd, &plane->kept, sizeof(plane->kept), &plane->kept_fd, 1) ==
            -ERR_AGAIN)
            return;
        (void)close(plane->kept_fd);
        plane->kept_fd = -1;
    }
    if (!agent->plane_ready)
        set_ready(plane, true);
}

static void
plane_ready(struct loop_io *io, uint32_t events)
{
    struct plane *plane = CONTAINER_OF(io, struct plane, io);
    for (;;) {
        struct handoff message;
        size_t bytes = 0;
        size_t fds = 0;
        int fd = -1;
        int code = sock_recv_fds(io->fd, &message, sizeof(message), &bytes, &fd, 1, &fds);
        if (code == -ERR_AGAIN)
            break;
        if (fds > 0)
            (void)close(fd);
        if (code < 0 || bytes != sizeof(message) || message.magic != HANDOFF_MAGIC) {
            plane_lost(plane);
            return;
        }
        take_answer(plane, &message);
    }
    if ((events & EPOLLOUT) != 0)
        send_pending(plane);
}

static void
plane_dial(struct timer *timer)
{
    struct plane *plane = CONTAINER_OF(timer, struct plane, retry);
    struct agent *agent = plane->agent;
    struct err err = {0};
    int size = SEND_BYTES;
    int fd = -1;
    int code = sock_seqpacket_connect(agent->options->dataplane, &fd, &err);
    if (code == 0) {
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        plane->io = (struct loop_io){.fd = fd, .ready = plane_ready};
        code = loop_add(agent->loop, &plane->io, false);
        if (code < 0)
            (void)close(fd);
    }
    if (code < 0) {
        plane->io.fd = -1;
        if (!plane->complained)
            LOG_WARN("the data plane is not there yet", LOG_E(&err));
        plane->complained = true;
        timer_arm(loop_timers(agent->loop), &plane->retry, loop_now_ms(agent->loop) + RETRY_MS);
        return;
    }
    plane->complained = false;
    LOG_INFO("connected to the data plane");
    send_pending(plane);
}

int
plane_new(struct agent *agent, struct plane **ret_plane)
{
    struct plane *plane = calloc(1, sizeof(*plane));
    if (plane == NULL)
        return -ERR_NOMEM;
    plane->agent = agent;
    plane->io.fd = plane->kept_fd = -1;
    timer_init(&plane->retry, plane_dial);
    *ret_plane = plane;
    plane_dial(&plane->retry);
    return 0;
}

void
plane_free(struct plane **ref)
{
    struct plane *plane = TAKE(*ref);
    if (plane == NULL)
        return;
    timer_cancel(loop_timers(plane->agent->loop), &plane->retry);
    if (plane->io.fd >= 0) {
        loop_remove(plane->agent->loop, &plane->io);
        (void)close(plane->io.fd);
    }
    if (plane->kept_fd >= 0)
        (void)close(plane->kept_fd);
    free(plane);
}

bool
plane_connected(const struct plane *plane)
{
    return plane->io.fd >= 0;
}

void
plane_give(struct plane *plane, struct handoff *message, int fd, uint64_t accepted_ns)
{
    int code = -ERR_CLOSED;
    message->token = plane->took_ns;
    if (plane->io.fd >= 0 && plane->kept_fd < 0)
        code = sock_send_fds(plane->io.fd, message, sizeof(*message), &fd, 1);
    if (code == -ERR_AGAIN) {
        plane->kept = *message;
        plane->kept_fd = fd;
        set_ready(plane, false);
        return;
    }
    (void)close(fd);
    plane->took_ns = code == 0 ? clock_mono_ns() - accepted_ns : 0;
}

void
plane_revoke(struct plane *plane, struct instance *instance)
{
    instance->revoke_unsent = true;
    if (plane_connected(plane))
        send_revoke(plane, instance);
}
