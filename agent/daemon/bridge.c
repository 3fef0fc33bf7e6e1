/* SPDX-License-Identifier: MIT
 * bridge.c - listen on the bridge, pin addresses, ask who has the caller's.
 * Floor: agent/daemon; loop thread; pinning waits for nft, some milliseconds.
 * Owns: see bridge.h.
 * Invariant: see bridge.h.
 */
#include "agent/daemon/bridge.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/control.h"
#include "agent/daemon/plane.h"
#include "agent/daemon/sandbox.h"
#include "agent/kernel/pin.h"

#define ACCEPTS_A_TURN 64
#define BACKLOG 512

struct bridge {
    struct agent *agent;
    struct loop_io io; /* fd -1: the bridge is not there yet */
};

static const struct instance *
attest(const struct bridge *bridge, uint32_t address)
{
    struct attest_candidate candidates[2];
    const struct instance *instances[2];
    struct attest_scene scene = {.tree = &bridge->agent->cgroups,
                                 .way = ATTEST_ADDRESS,
                                 .peer_address = address,
                                 .candidates = candidates};
    size_t index = 0;
    if (control_lease_is_over(bridge->agent->control))
        return NULL;
    LIST_FOREACH (node, &bridge->agent->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (!instance_lives(instance) || !instance->is_pinned ||
            instance->port.address != address || instance->sandbox->instance_count != 1)
            continue;
        if (scene.candidate_count == ARRAY_LEN(candidates))
            return NULL;
        instances[scene.candidate_count] = instance;
        candidates[scene.candidate_count++] =
            (struct attest_candidate){.cgroup_id = instance->cgroup_id,
                                      .attestors = instance->attestors,
                                      .address = instance->port.address};
    }
    return attest_select(&scene, &index) == 0 ? instances[index] : NULL;
}

static void
bridge_ready(struct loop_io *io, uint32_t events)
{
    const struct bridge *bridge = CONTAINER_OF(io, struct bridge, io);
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && io->added; i++) {
        struct sock_addr peer;
        int fd = -1;
        int code = sock_accept(io->fd, &fd, &peer);
        if (code == -ERR_NO_SPACE)
            agent_out_of_fds(bridge->agent, false);
        if (code == -ERR_AGAIN || code == -ERR_NO_SPACE)
            return;
        if (code < 0)
            continue;
        const uint64_t accepted_ns = clock_mono_ns();
        const struct instance *instance = attest(bridge, peer.u.in4.sin_addr.s_addr);
        struct handoff message = {.magic = HANDOFF_MAGIC, .kind = HANDOFF_CONN};
        if (instance != NULL) {
            memcpy(message.incarnation, instance->incarnation, INCARNATION_BYTES);
            message.netns_cookie = instance->sandbox->cookie;
            message.cgroup_id = instance->cgroup_id;
        }
        plane_give(bridge->agent->plane, &message, fd, accepted_ns);
    }
}

void
bridge_watch(struct bridge *bridge, bool accepting)
{
    if (bridge == NULL || bridge->io.fd < 0 || bridge->io.added == accepting)
        return;
    if (bridge->io.added)
        loop_remove(bridge->agent->loop, &bridge->io);
    else if (loop_add(bridge->agent->loop, &bridge->io, true) < 0)
        LOG_ERROR("cannot watch the listener on the bridge");
}

/* Only what comes over the interface that has the address. */
static int
bind_device(int fd, uint32_t address, struct err *err)
{
    struct ifaddrs *list = NULL;
    int code = err_set(NULL, ERR_NOT_FOUND, "absent");
    if (getifaddrs(&list) != 0)
        return err_set(err, ERR_SYSTEM, "cannot list interfaces");
    for (const struct ifaddrs *at = list; at != NULL && code < 0; at = at->ifa_next) {
        struct sockaddr_in addr;
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET)
            continue;
        memcpy(&addr, at->ifa_addr, sizeof(addr));
        if (addr.sin_addr.s_addr == address &&
            setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, at->ifa_name,
                       (socklen_t)strlen(at->ifa_name) + 1) == 0)
            code = 0;
    }
    freeifaddrs(list);
    return code == 0 ? 0 : err_set(err, ERR_NOT_FOUND, "no interface has --bridge-address");
}

static int
open_listener(struct bridge *bridge, struct err *err)
{
    const struct agent_options *options = bridge->agent->options;
    struct sock_addr addr = {.len = sizeof(struct sockaddr_in)};
    addr.u.in4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(options->port)};
    addr.u.in4.sin_addr.s_addr = options->bridge_address;
    int code = sock_listen(&addr, BACKLOG, false, 0, &bridge->io.fd, err);
    if (code < 0)
        return code;
    code = bind_device(bridge->io.fd, options->bridge_address, err);
    if (code < 0) {
        (void)close(bridge->io.fd);
        bridge->io.fd = -1;
        return code;
    }
    bridge_watch(bridge, agent_is_accepting(bridge->agent));
    return 0;
}

void
bridge_pin(struct bridge *bridge, struct instance *instance, int ns_fd)
{
    struct err err = {0};
    if (bridge == NULL || instance->sandbox->host || instance->sandbox->instance_count != 1)
        return;
    int code = netns_port(bridge->agent->netns, ns_fd, &instance->port, &err);
    if (code == 0)
        code = pin_set(&instance->port, &err);
    instance->is_pinned = code == 0;
    if (code == 0 && bridge->io.fd < 0)
        code = open_listener(bridge, &err);
    if (code < 0)
        LOG_INFO("a container is not known by its address",
                 LOG_C("container", instance->container_id), LOG_E(&err));
}

void
bridge_unpin(struct instance *instance)
{
    if (instance->is_pinned)
        pin_clear(&instance->port);
    instance->is_pinned = false;
}

int
bridge_new(struct agent *agent, struct bridge **ret_bridge, struct err *err)
{
    const struct agent_options *options = agent->options;
    if (options->bridge_address == 0 || (options->attestors & 1u << ATTESTOR_ip_nft) == 0)
        return 0;
    int code = pin_open(err);
    if (code < 0)
        return code;
    CLEANUP(bridge_free) struct bridge *bridge = calloc(1, sizeof(*bridge));
    if (bridge == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    bridge->agent = agent;
    bridge->io = (struct loop_io){.fd = -1, .ready = bridge_ready};
    LOG_WARN("attestor ip+nft is on: callers on the bridge are believed by their address");
    *ret_bridge = TAKE(bridge);
    return 0;
}

void
bridge_free(struct bridge **ref)
{
    struct bridge *bridge = TAKE(*ref);
    if (bridge == NULL)
        return;
    loop_remove(bridge->agent->loop, &bridge->io);
    if (bridge->io.fd >= 0)
        (void)close(bridge->io.fd);
    pin_close();
    free(bridge);
}
