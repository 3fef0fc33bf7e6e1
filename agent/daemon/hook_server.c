/* SPDX-License-Identifier: MIT
 * hook_server.c - calls of berth-hook: read one message, answer one message.
 * Floor: agent/daemon; loop thread.
 * Owns: see hook_server.h.
 * Invariant: see hook_server.h; a call lives at most CALL_DEADLINE_MS.
 */
#include "agent/daemon/hook_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/lifecycle.h"

#define CALL_DEADLINE_MS 1900u
#define ROOTLESS_SOCKET "/run/berth/rootless.sock"
#define ROOTLESS_CALLS_MAX 64u /* all users together; root has no limit */

struct hook_call {
    struct list node;
    struct hook_server *server;
    struct loop_io io;
    struct timer deadline;
    struct loop_hook reap;
    struct instance *instance;    /* createRuntime: whose answer it waits for */
    char poststop[HOOK_ID_BYTES]; /* poststop, release: whose revocation it waits for */
    bool is_order;                /* by hand: a refusal is one, whatever the policy says */
    bool is_stranger;             /* of a user who gets no tokens: may start without one */
    struct hook_door *door;
    bool closed;
};
struct hook_door {
    struct loop_io io;
    struct hook_server *server;
    size_t call_count;
    size_t call_max;
    char path[PATH_MAX];
};
enum { DOOR_ROOT, DOOR_ROOTLESS, DOOR_COUNT };
struct hook_server {
    struct agent *agent;
    struct hook_door doors[DOOR_COUNT];
    struct list calls;
    int spare_fd; /* -1: lent to a call */
    char request[HOOK_REQUEST_BYTES_MAX];
};

static void
call_reap(struct loop_hook *hook)
{
    free(CONTAINER_OF(hook, struct hook_call, reap));
}

static void
spare_keep(struct hook_server *server)
{
    if (server->spare_fd < 0)
        server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
call_close(struct hook_call *call)
{
    struct loop *loop = call->server->agent->loop;
    if (call->closed)
        return;
    ASSERT(call->instance == NULL);
    call->closed = true;
    timer_cancel(loop_timers(loop), &call->deadline);
    loop_remove(loop, &call->io);
    (void)close(call->io.fd);
    list_remove(&call->node);
    call->door->call_count--;
    spare_keep(call->server);
    loop_at_end(loop, &call->reap, LOOP_FREE);
}

void
hook_call_wait(struct hook_call *call, struct instance *instance)
{
    ASSERT(call->instance == NULL && !call->closed);
    call->instance = instance;
}

void
hook_call_answer(struct hook_call *call, enum hook_answer kind, const char *reason)
{
    char text[480];
    if (call == NULL)
        return;
    bool allow = kind == HOOK_ALLOW || call->is_stranger ||
                 (call->server->agent->options->allow_untokened && !call->is_order);
    call->instance = NULL;
    if (call->closed)
        return;
    if (kind == HOOK_ALLOW)
        (void)snprintf(text, sizeof(text), "ok");
    else
        (void)snprintf(text, sizeof(text), "%s %s%s", allow ? "ok" : "no", reason,
                       allow ? "; the container starts without a token" : "");
    if (sock_send_fds(call->io.fd, text, strlen(text), NULL, 0) < 0)
        LOG_WARN("a hook did not take its answer, ignoring");
    call_close(call);
}

/* The hook is gone or too old. Its container's binding, if it waits for one, is undone. */
static void
call_abandon(struct hook_call *call)
{
    struct instance *instance = TAKE(call->instance);
    if (instance != NULL) {
        instance->waiter = NULL;
        (void)instance_step(instance, EVENT_late, "the hook gave up");
    }
    call_close(call);
}

static void
call_expire(struct timer *timer)
{
    struct hook_call *call = CONTAINER_OF(timer, struct hook_call, deadline);
    if (call->poststop[0] != '\0')
        hook_call_answer(call, HOOK_ALLOW, NULL); /* deletion never hangs */
    else
        call_abandon(call);
}

static bool
is_listed(const struct agent_options *options, uid_t uid)
{
    for (size_t i = 0; i < options->rootless_count; i++) {
        if (options->rootless[i] == uid)
            return true;
    }
    return false;
}

static void
call_take(struct hook_call *call, struct str request)
{
    struct agent *agent = call->server->agent;
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    struct hook_state state;
    struct err err = {0};
    if (getsockopt(call->io.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        peer.uid = UINT32_MAX;
    if (peer.uid != 0 && !is_listed(agent->options, peer.uid)) {
        call->is_stranger = true;
        hook_call_answer(call, HOOK_REFUSE, "rootless containers of this user get no token");
        return;
    }
    if (hook_state_parse(request, &state, &err) < 0) {
        hook_call_answer(call, HOOK_REFUSE, err.text);
        return;
    }
    call->is_order = state.stage == HOOK_REGISTER || state.stage == HOOK_RELEASE;
    state.owner = peer.uid;
    if (call->is_order && peer.uid != 0) {
        hook_call_answer(call, HOOK_REFUSE, "only root may do this by hand");
        return;
    }
    switch (state.stage) {
    case HOOK_CREATE_RUNTIME:
    case HOOK_REGISTER:
        lifecycle_create(agent, call, &state, peer.pid);
        return;
    case HOOK_POSTSTOP:
        if (!lifecycle_poststop(agent, state.id)) {
            hook_call_answer(call, HOOK_ALLOW, NULL);
            return;
        }
        break;
    case HOOK_RELEASE:
        if (lifecycle_release(agent, &state, &err) < 0) {
            hook_call_answer(call, HOOK_REFUSE, err.text);
            return;
        }
        break;
    }
    memcpy(call->poststop, state.id, sizeof(call->poststop));
}

static void
call_ready(struct loop_io *io, uint32_t events)
{
    struct hook_call *call = CONTAINER_OF(io, struct hook_call, io);
    struct hook_server *server = call->server;
    size_t bytes = 0;
    size_t fds = 0;
    bool asked = call->instance != NULL || call->poststop[0] != '\0';
    (void)events;
    int code =
        sock_recv_fds(io->fd, server->request, sizeof(server->request), &bytes, NULL, 0, &fds);
    if (code == -ERR_AGAIN)
        return;
    if (code < 0 || asked)
        call_abandon(call);
    else
        call_take(call, str_make(server->request, bytes));
}

/* -ERR_AGAIN: nobody waits, or nobody can be taken for a moment. */
static int
door_accept(struct hook_door *door, int *ret_fd)
{
    struct hook_server *server = door->server;
    int code = sock_accept(door->io.fd, ret_fd, NULL);
    if (code == -ERR_NO_SPACE && server->spare_fd >= 0) {
        (void)close(server->spare_fd);
        server->spare_fd = -1;
        code = sock_accept(door->io.fd, ret_fd, NULL);
    }
    if (code == -ERR_NO_SPACE) {
        agent_out_of_fds(server->agent, true);
        return -ERR_AGAIN;
    }
    return code;
}

static void
door_ready(struct loop_io *io, uint32_t events)
{
    struct hook_door *door = CONTAINER_OF(io, struct hook_door, io);
    struct hook_server *server = door->server;
    struct loop *loop = server->agent->loop;
    int fd = -1;
    (void)events;
    while (io->added && door_accept(door, &fd) == 0) {
        struct hook_call *call =
            door->call_count < door->call_max ? calloc(1, sizeof(*call)) : NULL;
        if (call == NULL) {
            (void)close(fd);
            return;
        }
        call->server = server;
        call->door = door;
        door->call_count++;
        call->io = (struct loop_io){.fd = fd, .ready = call_ready};
        timer_init(&call->deadline, call_expire);
        loop_hook_init(&call->reap, call_reap);
        list_push_back(&server->calls, &call->node);
        timer_arm(loop_timers(loop), &call->deadline, loop_now_ms(loop) + CALL_DEADLINE_MS);
        if (loop_add(loop, &call->io, false) < 0)
            call_close(call);
        else
            call_ready(&call->io, EPOLLIN); /* it is usually there already */
    }
}

static int
door_open(struct hook_door *door, unsigned mode, size_t call_max, struct err *err)
{
    struct hook_server *server = door->server;
    door->call_max = call_max;
    int code = sock_seqpacket_listen(door->path, mode, &door->io.fd, err);
    if (code == 0 && loop_add(server->agent->loop, &door->io, true) < 0)
        code = err_set(err, ERR_SYSTEM, "cannot watch the hook socket");
    return code;
}

/* For users, who do not see the folder of the other: in one that everybody may enter. */
static int
open_rootless(struct hook_server *server, struct err *err)
{
    const struct agent_options *options = server->agent->options;
    struct hook_door *door = &server->doors[DOOR_ROOTLESS];
    if (options->rootless_count == 0)
        return 0;
    (void)snprintf(door->path, sizeof(door->path), "%s",
                   options->rootless_socket != NULL ? options->rootless_socket : ROOTLESS_SOCKET);
    char *slash = strrchr(door->path, '/');
    if (slash == NULL || slash == door->path)
        return err_set(err, ERR_INVALID, "--rootless-socket must be a path below a folder");
    *slash = '\0';
    if (mkdir(door->path, 0755) == 0)
        (void)chmod(door->path, 0755); /* whatever the umask */
    else if (errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", door->path);
    *slash = '/';
    return door_open(door, 0666, ROOTLESS_CALLS_MAX, err);
}

int
hook_server_new(struct agent *agent, struct hook_server **ret_server, struct err *err)
{
    CLEANUP(hook_server_free) struct hook_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    server->agent = agent;
    server->spare_fd = -1;
    spare_keep(server);
    list_init(&server->calls);
    for (size_t i = 0; i < DOOR_COUNT; i++) {
        server->doors[i].server = server;
        server->doors[i].io = (struct loop_io){.fd = -1, .ready = door_ready};
    }
    struct hook_door *door = &server->doors[DOOR_ROOT];
    (void)snprintf(door->path, sizeof(door->path), "%s/hook.sock", agent->options->run_dir);
    int code = door_open(door, 0600, SIZE_MAX, err);
    if (code == 0)
        code = open_rootless(server, err);
    if (code < 0)
        return code;
    *ret_server = TAKE(server);
    return 0;
}

void
hook_server_free(struct hook_server **ref)
{
    struct hook_server *server = TAKE(*ref);
    if (server == NULL)
        return;
    for (struct list *node; !list_empty(&server->calls);) {
        node = server->calls.next;
        struct hook_call *call = LIST_ENTRY(node, struct hook_call, node);
        if (call->instance != NULL)
            call->instance->waiter = NULL;
        call->instance = NULL;
        call_close(call);
    }
    if (server->spare_fd >= 0)
        (void)close(server->spare_fd);
    for (size_t i = 0; i < DOOR_COUNT; i++) {
        if (server->doors[i].io.fd < 0)
            continue;
        loop_remove(server->agent->loop, &server->doors[i].io);
        (void)close(server->doors[i].io.fd);
        (void)unlink(server->doors[i].path);
    }
    free(server);
}

void
hook_server_watch(struct hook_server *server, bool accepting)
{
    if (server == NULL)
        return;
    spare_keep(server);
    for (size_t i = 0; i < DOOR_COUNT; i++) {
        struct loop_io *io = &server->doors[i].io;
        if (io->fd < 0 || io->added == accepting)
            continue;
        if (!accepting)
            loop_remove(server->agent->loop, io);
        else if (loop_add(server->agent->loop, io, true) < 0)
            LOG_ERROR("cannot watch the hook socket");
    }
}

void
hook_server_wake(struct hook_server *server)
{
    if (server == NULL)
        return;
    LIST_FOREACH_SAFE (node, &server->calls) {
        struct hook_call *call = LIST_ENTRY(node, struct hook_call, node);
        if (call->poststop[0] != '\0' && !lifecycle_is_revoking(server->agent, call->poststop))
            hook_call_answer(call, HOOK_ALLOW, NULL);
    }
}
