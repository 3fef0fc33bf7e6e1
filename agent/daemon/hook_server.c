/* SPDX-License-Identifier: MIT
 * hook_server.c - calls of berth-hook: read one message, answer one message.
 * Floor: agent/daemon; loop thread.
 * Owns: see hook_server.h.
 * Invariant: see hook_server.h; a call lives at most CALL_DEADLINE_MS.
 */
#include "agent/daemon/hook_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/lifecycle.h"

#define CALL_DEADLINE_MS 1900u

struct hook_call {
    struct list node;
    struct hook_server *server;
    struct loop_io io;
    struct timer deadline;
    struct loop_hook reap;
    struct instance *instance;    /* createRuntime: whose answer it waits for */
    char poststop[HOOK_ID_BYTES]; /* poststop, release: whose revocation it waits for */
    bool is_order;                /* by hand: a refusal is one, whatever the policy says */
    bool closed;
};
struct hook_server {
    struct agent *agent;
    struct loop_io io;
    struct list calls;
    char path[PATH_MAX];
    char request[HOOK_REQUEST_BYTES_MAX];
};

static void
call_reap(struct loop_hook *hook)
{
    free(CONTAINER_OF(hook, struct hook_call, reap));
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
    bool allow =
        kind == HOOK_ALLOW || (call->server->agent->options->allow_untokened && !call->is_order);
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

static void
call_take(struct hook_call *call, struct str request)
{
    struct agent *agent = call->server->agent;
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    struct hook_state state;
    struct err err = {0};
    if (getsockopt(call->io.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.uid != 0) {
        hook_call_answer(call, HOOK_REFUSE, "only root may speak for a container");
        return;
    }
    if (hook_state_parse(request, &state, &err) < 0) {
        hook_call_answer(call, HOOK_REFUSE, err.text);
        return;
    }
    call->is_order = state.stage == HOOK_REGISTER || state.stage == HOOK_RELEASE;
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

static void
server_ready(struct loop_io *io, uint32_t events)
{
    struct hook_server *server = CONTAINER_OF(io, struct hook_server, io);
    struct loop *loop = server->agent->loop;
    int fd = -1;
    (void)events;
    while (sock_accept(io->fd, &fd, NULL) == 0) {
        struct hook_call *call = calloc(1, sizeof(*call));
        if (call == NULL) {
            (void)close(fd);
            return;
        }
        call->server = server;
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

int
hook_server_new(struct agent *agent, struct hook_server **ret_server, struct err *err)
{
    CLEANUP(hook_server_free) struct hook_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    server->agent = agent;
    server->io = (struct loop_io){.fd = -1, .ready = server_ready};
    list_init(&server->calls);
    (void)snprintf(server->path, sizeof(server->path), "%s/hook.sock", agent->options->run_dir);
    int code = sock_seqpacket_listen(server->path, 0600, &server->io.fd, err);
    if (code < 0)
        return code;
    if (loop_add(agent->loop, &server->io, true) < 0)
        return err_set(err, ERR_SYSTEM, "cannot watch the hook socket");
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
    if (server->io.fd >= 0) {
        loop_remove(server->agent->loop, &server->io);
        (void)close(server->io.fd);
        (void)unlink(server->path);
    }
    free(server);
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
