/* SPDX-License-Identifier: MIT
 * sandbox.c - listeners in containers: accept, ask the kernel who it is, hand over.
 * Floor: agent/daemon; loop thread.
 * Owns: see sandbox.h.
 * Invariant: a connection leaves with the evidence of exactly one ACTIVE instance or with none
 *            (all zero), which the data plane answers with its one 401. agent_test.c. */
#include "agent/daemon/sandbox.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/plane.h"
#include "agent/kernel/sockdiag.h"

#define ACCEPTS_A_TURN 64

/* ---- accepting ------------------------------------------------------------------------------ */

static const struct instance *
attest(const struct sandbox *sandbox, int fd)
{
    struct attest_candidate candidates[SANDBOX_INSTANCES_MAX] UNINIT;
    const struct instance *instances[SANDBOX_INSTANCES_MAX] UNINIT;
    struct attest_scene scene = {
        .tree = &sandbox->agent->cgroups, .host = sandbox->host, .candidates = candidates};
    LIST_FOREACH (node, &sandbox->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, in_sandbox);
        if (instance->state != INSTANCE_ACTIVE)
            continue;
        candidates[scene.candidate_count] = (struct attest_candidate){
            .cgroup_id = instance->cgroup_id, .attestors = instance->attestors};
        instances[scene.candidate_count++] = instance;
    }
    if (sockdiag_peer_cgroup(sandbox->diag_fd, fd, &scene.peer_cgroup) < 0)
        scene.peer_cgroup = 0;
    size_t index = 0;
    return attest_select(&scene, &index) == 0 ? instances[index] : NULL;
}

static void
listener_ready(struct loop_io *io, uint32_t events)
{
    struct sandbox *sandbox = CONTAINER_OF(io, struct sandbox_listener, io)->sandbox;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && io->added; i++) {
        int fd = -1;
        int code = sock_accept(io->fd, &fd, NULL);
        if (code == -ERR_NO_SPACE)
            agent_out_of_fds(sandbox->agent);
        if (code == -ERR_AGAIN || code == -ERR_NO_SPACE)
            return;
        if (code < 0)
            continue;
        const struct instance *instance = attest(sandbox, fd);
        struct handoff message = {
            .magic = HANDOFF_MAGIC, .kind = HANDOFF_CONN, .netns_cookie = sandbox->cookie};
        if (instance != NULL) {
            memcpy(message.incarnation, instance->incarnation, INCARNATION_BYTES);
            message.cgroup_id = instance->cgroup_id;
        }
        plane_give(sandbox->agent->plane, &message, fd);
    }
}

void
sandbox_watch(struct sandbox *sandbox, bool accepting)
{
    struct loop *loop = sandbox->agent->loop;
    for (size_t i = 0; i < ARRAY_LEN(sandbox->listeners); i++) {
        struct loop_io *io = &sandbox->listeners[i].io;
        if (io->fd < 0 || io->added == (accepting && sandbox->open))
            continue;
        if (io->added)
            loop_remove(loop, io);
        else if (loop_add(loop, io, true) < 0)
            LOG_ERROR("cannot watch a container's listener", LOG_U("netns", sandbox->cookie));
    }
}

/* ---- making and ending ---------------------------------------------------------------------- */

static void
sandbox_reap(struct loop_hook *hook)
{
    struct sandbox *sandbox = CONTAINER_OF(hook, struct sandbox, reap);
    free(sandbox);
}

/* The descriptors go now (the namespace must not outlive its containers), the memory later. */
static void
sandbox_close(struct sandbox *sandbox)
{
    ASSERT(sandbox->instance_count == 0 && list_empty(&sandbox->instances));
    for (size_t i = 0; i < ARRAY_LEN(sandbox->listeners); i++) {
        struct loop_io *io = &sandbox->listeners[i].io;
        loop_remove(sandbox->agent->loop, io);
        if (io->fd < 0)
            continue;
        /* The holder has a copy for a moment longer: stop listening on all of them. */
        if (!sandbox->agent->letting_go)
            (void)shutdown(io->fd, SHUT_RDWR);
        (void)close(io->fd);
        io->fd = -1;
    }
    if (sandbox->diag_fd >= 0)
        (void)close(sandbox->diag_fd);
    list_remove(&sandbox->node);
    loop_at_end(sandbox->agent->loop, &sandbox->reap, LOOP_FREE);
}

/* Takes over diag_fd and fds[2], also on failure. */
static struct sandbox *
sandbox_new(struct agent *agent, uint64_t cookie, bool host, int diag_fd, const int fds[2])
{
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (sandbox == NULL) {
        (void)close(diag_fd);
        for (int i = 0; i < 2; i++) {
            if (fds[i] >= 0)
                (void)close(fds[i]);
        }
        return NULL;
    }
    sandbox->agent = agent;
    sandbox->cookie = cookie;
    sandbox->host = host;
    sandbox->diag_fd = diag_fd;
    list_init(&sandbox->instances);
    loop_hook_init(&sandbox->reap, sandbox_reap);
    for (int i = 0; i < 2; i++) {
        sandbox->listeners[i] = (struct sandbox_listener){
            .io = {.fd = fds[i], .ready = listener_ready}, .sandbox = sandbox};
    }
    list_push_back(&agent->sandboxes, &sandbox->node);
    return sandbox;
}

struct sandbox *
sandbox_find(struct agent *agent, uint64_t cookie)
{
    LIST_FOREACH (node, &agent->sandboxes) {
        struct sandbox *sandbox = LIST_ENTRY(node, struct sandbox, node);
        if (sandbox->cookie == cookie)
            return sandbox;
    }
    return NULL;
}

static int
enter(struct sandbox *sandbox, struct instance *instance, struct err *err)
{
    if (sandbox->instance_count == SANDBOX_INSTANCES_MAX)
        return err_set(err, ERR_OVERLOADED, "more than %u containers share a network namespace",
                       SANDBOX_INSTANCES_MAX);
    instance->sandbox = sandbox;
    list_push_back(&sandbox->instances, &instance->in_sandbox);
    sandbox->instance_count++;
    return 0;
}

int
sandbox_join(struct instance *instance, int ns_fd, struct err *err)
{
    struct agent *agent = instance->agent;
    uint64_t cookie = 0;
    int diag_fd = -1;
    int fds[2] = {-1, -1};
    int code = netns_diag(agent->netns, ns_fd, &diag_fd, &cookie, err);
    if (code < 0)
        return code;
    struct sandbox *sandbox = sandbox_find(agent, cookie);
    if (sandbox != NULL) {
        (void)close(diag_fd);
        return enter(sandbox, instance, err);
    }
    code = netns_listen(agent->netns, ns_fd, agent->options->port, fds, err);
    if (code < 0) {
        if (code == -ERR_IN_USE)
            LOG_ERROR("ALARM: a process holds Berth's port in a container that has not started",
                      LOG_C("container", instance->container_id),
                      LOG_U("port", agent->options->port));
        (void)close(diag_fd);
        return code;
    }
    sandbox = sandbox_new(agent, cookie, netns_is_home(agent->netns, ns_fd), diag_fd, fds);
    if (sandbox == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a sandbox");
    return enter(sandbox, instance, err);
}

int
sandbox_adopt(struct instance *instance, bool host, uint64_t cookie, int fds[2], struct err *err)
{
    struct agent *agent = instance->agent;
    struct sandbox *sandbox = sandbox_find(agent, cookie);
    uint64_t seen = 0;
    int ns_fd = -1;
    int diag_fd = -1;
    int code = sandbox == NULL ? netns_of_socket(fds[0], &ns_fd) : 0;
    if (code == 0 && sandbox == NULL)
        code = netns_diag(agent->netns, ns_fd, &diag_fd, &seen, err);
    if (ns_fd >= 0)
        (void)close(ns_fd);
    if (code == 0 && sandbox == NULL && seen != cookie) {
        (void)close(diag_fd);
        code = err_set(err, ERR_CONFLICT, "its listener is in another network namespace");
    }
    if (code < 0 || sandbox != NULL) {
        for (int i = 0; i < 2; i++) {
            if (fds[i] >= 0)
                (void)close(fds[i]);
        }
        return code < 0 ? code : enter(sandbox, instance, err);
    }
    sandbox = sandbox_new(agent, cookie, host, diag_fd, fds);
    if (sandbox == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a sandbox");
    return enter(sandbox, instance, err);
}

void
sandbox_leave(struct instance *instance)
{
    struct sandbox *sandbox = TAKE(instance->sandbox);
    if (sandbox == NULL)
        return;
    ASSERT(sandbox->instance_count > 0);
    list_remove(&instance->in_sandbox);
    if (--sandbox->instance_count == 0)
        sandbox_close(sandbox);
}
