/* SPDX-License-Identifier: MIT
 * sandbox.c - listeners in containers: accept, ask the kernel who it is, hand over.
 * Floor: agent/daemon; loop thread.
 * Owns: see sandbox.h.
 * Invariant: a connection leaves with the evidence of exactly one ACTIVE instance or with none
 *            (all zero), which the data plane answers with its one 401. agent_test.c. */
#include "agent/daemon/sandbox.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/bridge.h"
#include "agent/daemon/control.h"
#include "agent/daemon/plane.h"
#include "agent/kernel/pidfd.h"
#include "agent/kernel/sockdiag.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define ACCEPTS_A_TURN 64
/* The peer's pidfd and its file in /proc; or a cgroup, to see what it lies in. */
#define ATTEST_FDS 2u

/* ---- sock_diag ------------------------------------------------------------------------------ */

static void
diag_close(struct sandbox *sandbox)
{
    if (sandbox->diag_fd < 0)
        return;
    (void)close(sandbox->diag_fd);
    sandbox->diag_fd = -1;
    list_remove(&sandbox->in_diags);
    sandbox->agent->diag_count--;
}

/* Another one's, for whoever needs a descriptor more. false: there is none to give up. */
static bool
diag_close_oldest(struct sandbox *sandbox)
{
    const struct agent *agent = sandbox->agent;
    if (list_empty(&agent->diags) || agent->diags.next == &sandbox->in_diags)
        return false;
    diag_close(LIST_ENTRY(agent->diags.next, struct sandbox, in_diags));
    return true;
}

static int
diag_open(struct sandbox *sandbox, int listen_fd)
{
    struct agent *agent = sandbox->agent;
    uint64_t cookie = 0;
    int ns_fd = -1;
    int code = netns_of_socket(listen_fd, &ns_fd);
    if (code < 0)
        return code;
    code = netns_diag(agent->netns, ns_fd, &sandbox->diag_fd, &cookie, NULL);
    (void)close(ns_fd);
    if (code < 0)
        return code;
    ASSERT(cookie == sandbox->cookie);
    list_push_back(&agent->diags, &sandbox->in_diags);
    if (++agent->diag_count > SANDBOX_DIAGS_MAX)
        (void)diag_close_oldest(sandbox);
    return 0;
}

/* The sock_diag socket of the listener's namespace. -ERR_NO_SPACE: not now; other errors: never,
 * and then nobody is attested by it. */
static int
diag_need(struct sandbox *sandbox, int listen_fd)
{
    int code = 0;
    if (sandbox->diag_fd >= 0) {
        list_remove(&sandbox->in_diags);
        list_push_back(&sandbox->agent->diags, &sandbox->in_diags);
        return 0;
    }
    do
        code = diag_open(sandbox, listen_fd);
    while (code == -ERR_NO_SPACE && diag_close_oldest(sandbox));
    return code;
}

/* ---- accepting ------------------------------------------------------------------------------ */

static void
look_at_peer(struct sandbox *sandbox, const struct loop_io *io, int fd, struct attest_scene *scene)
{
    bool sure = true;
    int code = -ERR_NOT_FOUND;
    if (io == &sandbox->listeners[SANDBOX_UNIX].io) {
        scene->way = ATTEST_UNIX;
        code = pidfd_peer_cgroup(fd, scene->tree, &scene->peer_cgroup, &sure);
        scene->peer_unsure = !sure;
    } else {
        scene->way = sandbox->host ? ATTEST_HOST : ATTEST_LOOPBACK;
        if (sandbox->diag_fd >= 0)
            code = sockdiag_peer_cgroup(sandbox->diag_fd, fd, &scene->peer_cgroup);
    }
    if (code < 0)
        scene->peer_cgroup = 0;
}

static const struct instance *
attest(struct sandbox *sandbox, const struct loop_io *io, int fd)
{
    struct attest_candidate candidates[SANDBOX_INSTANCES_MAX] UNINIT;
    const struct instance *instances[SANDBOX_INSTANCES_MAX] UNINIT;
    struct attest_scene scene = {.tree = &sandbox->agent->cgroups, .candidates = candidates};
    if (control_lease_is_over(sandbox->agent->control))
        return NULL; /* what was revoked meanwhile, nobody could tell us */
    LIST_FOREACH (node, &sandbox->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, in_sandbox);
        if (!instance_lives(instance))
            continue;
        candidates[scene.candidate_count] = (struct attest_candidate){
            .cgroup_id = instance->cgroup_id, .attestors = instance->attestors};
        instances[scene.candidate_count++] = instance;
    }
    look_at_peer(sandbox, io, fd, &scene);
    size_t index = 0;
    return attest_select(&scene, &index) == 0 ? instances[index] : NULL;
}

static void
close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
}

/* Whom we could not ask for now stays in the queue, and gets no wrong answer: what attest will
 * open is made sure of before anybody is accepted. */
static int
accept_one(struct sandbox *sandbox, const struct loop_io *io, int *ret_fd)
{
    int spare[ATTEST_FDS];
    size_t count = 0;
    bool tcp = io != &sandbox->listeners[SANDBOX_UNIX].io;
    int code = 0;
    if (tcp && diag_need(sandbox, io->fd) == -ERR_NO_SPACE)
        return -ERR_NO_SPACE;
    for (; count < ATTEST_FDS && code == 0; count++) {
        spare[count] = fcntl(io->fd, F_DUPFD_CLOEXEC, 0);
        code = spare[count] < 0 ? -ERR_NO_SPACE : 0;
    }
    if (code == 0)
        code = sock_accept(io->fd, ret_fd, NULL);
    close_all(spare, count);
    return code;
}

static void
listener_ready(struct loop_io *io, uint32_t events)
{
    struct sandbox *sandbox = CONTAINER_OF(io, struct sandbox_listener, io)->sandbox;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && io->added; i++) {
        int fd = -1;
        int code = accept_one(sandbox, io, &fd);
        if (code == -ERR_NO_SPACE && diag_close_oldest(sandbox))
            continue;
        if (code == -ERR_NO_SPACE)
            agent_out_of_fds(sandbox->agent, false);
        if (code == -ERR_AGAIN || code == -ERR_NO_SPACE)
            return;
        if (code < 0)
            continue;
        const uint64_t accepted_ns = clock_mono_ns();
        const struct instance *instance = attest(sandbox, io, fd);
        struct handoff message = {
            .magic = HANDOFF_MAGIC, .kind = HANDOFF_CONN, .netns_cookie = sandbox->cookie};
        if (instance != NULL) {
            memcpy(message.incarnation, instance->incarnation, INCARNATION_BYTES);
            message.cgroup_id = instance->cgroup_id;
        }
        plane_give(sandbox->agent->plane, &message, fd, accepted_ns);
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
    diag_close(sandbox);
    list_remove(&sandbox->node);
    loop_at_end(sandbox->agent->loop, &sandbox->reap, LOOP_FREE);
}

static enum sandbox_door
door_of(const struct sandbox *sandbox, int fd)
{
    int family = 0;
    socklen_t len = sizeof(family);
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
    if (family == AF_UNIX)
        return SANDBOX_UNIX;
    return sandbox->listeners[SANDBOX_TCP].io.fd < 0 ? SANDBOX_TCP : SANDBOX_TCP6;
}

/* Owns fds[count] from now on, also on failure; those that are -1 do not count. */
static struct sandbox *
sandbox_new(struct agent *agent, uint64_t cookie, bool host, const int *fds, size_t count)
{
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (sandbox == NULL) {
        close_all(fds, count);
        return NULL;
    }
    sandbox->agent = agent;
    sandbox->cookie = cookie;
    sandbox->host = host;
    sandbox->diag_fd = -1;
    list_init(&sandbox->instances);
    list_init(&sandbox->in_diags);
    loop_hook_init(&sandbox->reap, sandbox_reap);
    for (size_t i = 0; i < SANDBOX_DOORS; i++) {
        sandbox->listeners[i] = (struct sandbox_listener){.io = {.fd = -1, .ready = listener_ready},
                                                          .sandbox = sandbox};
    }
    for (size_t i = 0; i < count; i++) {
        struct loop_io *io = fds[i] >= 0 ? &sandbox->listeners[door_of(sandbox, fds[i])].io : NULL;
        if (io != NULL && io->fd < 0)
            io->fd = fds[i];
        else if (io != NULL)
            (void)close(fds[i]); /* a second one of its kind */
    }
    list_push_back(&agent->sandboxes, &sandbox->node);
    return sandbox;
}

size_t
sandbox_fds(const struct sandbox *sandbox, int fds[SANDBOX_DOORS])
{
    size_t count = 0;
    for (size_t i = 0; i < SANDBOX_DOORS; i++) {
        if (sandbox->listeners[i].io.fd >= 0)
            fds[count++] = sandbox->listeners[i].io.fd;
    }
    return count;
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

bool
sandbox_is_in(const struct sandbox *sandbox, int ns_fd)
{
    int fds[SANDBOX_DOORS];
    int own_fd = -1;
    struct stat own;
    struct stat other;
    if (sandbox_fds(sandbox, fds) == 0 || netns_of_socket(fds[0], &own_fd) < 0)
        return false;
    bool same = fstat(own_fd, &own) == 0 && fstat(ns_fd, &other) == 0 &&
                own.st_ino == other.st_ino && own.st_dev == other.st_dev;
    (void)close(own_fd);
    return same;
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
    const struct agent_options *options = agent->options;
    bool host = netns_is_home(agent->netns, ns_fd);
    /* The host's lo is the host's: no address of ours is put there. */
    const struct netns_wish wish = {.port = options->port,
                                    .link_local = host ? 0 : options->link_local,
                                    .with_unix = options->with_unix};
    struct netns_sockets made = {.tcp_fd = -1, .unix_fd = -1};
    int code = netns_listen(agent->netns, ns_fd, &wish, &made, err);
    struct sandbox *sandbox =
        code == 0 || code == -ERR_IN_USE ? sandbox_find(agent, made.cookie) : NULL;
    const int fds[] = {made.tcp_fd, made.unix_fd};
    if (sandbox != NULL) { /* the port is taken by us */
        close_all(fds, ARRAY_LEN(fds));
        return enter(sandbox, instance, err);
    }
    if (code == -ERR_IN_USE)
        LOG_ERROR("ALARM: a process holds Berth's port in a container that has not started",
                  LOG_C("container", instance->container_id), LOG_U("port", options->port));
    if (code < 0)
        return code;
    sandbox = sandbox_new(agent, made.cookie, host, fds, ARRAY_LEN(fds));
    if (sandbox == NULL)
        return err_set(err, ERR_NOMEM, "no memory for a sandbox");
    return enter(sandbox, instance, err);
}

/* The namespace of a listener that came back is the one that it was made in. */
static int
check_cookie(int fd, uint64_t cookie, struct err *err)
{
    uint64_t seen = 0;
    socklen_t len = sizeof(seen);
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &seen, &len) != 0)
        return err_set(err, ERR_SYSTEM, "its listener has no namespace");
    return seen == cookie
               ? 0
               : err_set(err, ERR_CONFLICT, "its listener is in another network namespace");
}

int
sandbox_adopt(struct instance *instance, bool host, uint64_t cookie, const int *fds,
              size_t fd_count, struct err *err)
{
    struct agent *agent = instance->agent;
    struct sandbox *sandbox = sandbox_find(agent, cookie);
    ASSERT(fd_count > 0);
    int code = sandbox == NULL ? check_cookie(fds[0], cookie, err) : 0;
    if (code < 0 || sandbox != NULL) {
        close_all(fds, fd_count);
        return code < 0 ? code : enter(sandbox, instance, err);
    }
    sandbox = sandbox_new(agent, cookie, host, fds, fd_count);
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
    bridge_unpin(instance);
    list_remove(&instance->in_sandbox);
    if (--sandbox->instance_count == 0)
        sandbox_close(sandbox);
}
