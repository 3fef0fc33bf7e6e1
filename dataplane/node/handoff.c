/* SPDX-License-Identifier: MIT
 * handoff.c - the unix socket on which the local agent hands over containers' connections.
 * Floor: dataplane/node; sync thread.
 * Owns: the listening socket and the agents' sockets.
 * Invariant: only root or our own uid may connect; a connection is served only when its facts equal
 * the evidence in a binding that the server signed. api/handoff.h. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/node/node.h"
#include "lib/base/check.h"
#include "lib/base/log.h"

#define AGENTS_MAX 4u

struct handoff_peer {
    struct loop_io io;
    struct node *node;
    struct handoff_server *server;
};
struct handoff_server {
    struct loop_io io;
    struct node *node;
    struct metric_series *attest;
    struct handoff_peer peers[AGENTS_MAX];
};

static void
peer_close(struct handoff_peer *peer)
{
    loop_remove(peer->node->loop, &peer->io);
    (void)close(peer->io.fd);
    peer->io.fd = -1;
}

static void
peer_answer(const struct handoff_peer *peer, const struct handoff *message, uint32_t kind)
{
    struct handoff answer = *message;
    answer.kind = kind;
    if (sock_send_fds(peer->io.fd, &answer, sizeof(answer), NULL, 0) != 0)
        LOG_WARN("the agent does not take answers, ignoring");
}

static struct live_binding *
binding_proved(struct node *node, const struct handoff *message)
{
    struct live_binding *binding = live_find(&node->live, message->incarnation);
    if (binding == NULL)
        return NULL;
    const struct binding *b = &binding->binding;
    if (b->netns_cookie == message->netns_cookie && b->cgroup_id == message->cgroup_id)
        return binding;
    LOG_WARN("a connection's facts differ from its binding; refused", LOG_S("container", b->name));
    live_release(&binding);
    return NULL;
}

static void
peer_message(struct handoff_peer *peer, const struct handoff *message, int fd)
{
    switch (message->kind) {
    case HANDOFF_CONN:
        if (message->token > 0)
            metric_observe(peer->server->attest, message->token);
        if (fd >= 0)
            node_adopt(peer->node, fd, binding_proved(peer->node, message));
        return;
    case HANDOFF_REVOKE:
        node_revoke(peer->node, message->incarnation);
        peer_answer(peer, message, HANDOFF_REVOKED);
        break;
    case HANDOFF_PING:
        peer_answer(peer, message, HANDOFF_PONG);
        break;
    default:
        LOG_WARN("unknown message from the agent, ignoring", LOG_U("kind", message->kind));
        break;
    }
    if (fd >= 0)
        (void)close(fd);
}

static void
peer_ready(struct loop_io *io, uint32_t events)
{
    struct handoff_peer *peer = CONTAINER_OF(io, struct handoff_peer, io);
    (void)events;
    for (;;) {
        struct handoff message;
        size_t bytes = 0;
        size_t fds = 0;
        int fd = -1;
        int rc = sock_recv_fds(io->fd, &message, sizeof(message), &bytes, &fd, 1, &fds);
        if (rc == -ERR_AGAIN)
            return;
        if (rc != 0 || bytes != sizeof(message) || message.magic != HANDOFF_MAGIC) {
            if (fds > 0)
                (void)close(fd);
            if (rc != -ERR_CLOSED)
                LOG_WARN("malformed message from the agent; closed");
            peer_close(peer);
            return;
        }
        peer_message(peer, &message, fds > 0 ? fd : -1);
    }
}

static bool
peer_allowed(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return false;
    return cred.uid == 0 || cred.uid == geteuid();
}

static void
server_ready(struct loop_io *io, uint32_t events)
{
    struct handoff_server *server = CONTAINER_OF(io, struct handoff_server, io);
    (void)events;
    int fd = -1;
    while (sock_accept(io->fd, &fd, NULL) == 0) {
        struct handoff_peer *peer = NULL;
        for (size_t i = 0; i < AGENTS_MAX && peer == NULL; i++) {
            if (server->peers[i].io.fd < 0)
                peer = &server->peers[i];
        }
        if (peer == NULL || !peer_allowed(fd)) {
            LOG_WARN("refused a connection to the hand-over socket");
            (void)close(fd);
            continue;
        }
        peer->io = (struct loop_io){.fd = fd, .ready = peer_ready};
        if (loop_add(server->node->loop, &peer->io, false) != 0) {
            (void)close(fd);
            peer->io.fd = -1;
            continue;
        }
        LOG_INFO("the agent is here");
        peer_ready(&peer->io, 0);
    }
}

int
node_handoff_start(struct node *node, struct err *err)
{
    if (node->options.handoff == NULL)
        return 0;
    struct handoff_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the hand-over socket");
    server->node = node;
    server->attest = metrics_series(node->metrics, METRIC_attest, NULL);
    for (size_t i = 0; i < AGENTS_MAX; i++)
        server->peers[i] = (struct handoff_peer){.io = {.fd = -1}, .node = node, .server = server};
    server->io = (struct loop_io){.fd = -1, .ready = server_ready};
    node->handoff = server;
    int rc = sock_seqpacket_listen(node->options.handoff, 0600, &server->io.fd, err);
    if (rc == 0 && node->listening)
        node_handoff_listen(node);
    return rc;
}

void
node_handoff_listen(struct node *node)
{
    if (node->handoff != NULL && loop_add(node->loop, &node->handoff->io, true) != 0)
        LOG_ERROR("cannot watch the hand-over socket: no container is served");
}

void
node_handoff_stop(struct node *node)
{
    struct handoff_server *server = TAKE(node->handoff);
    if (server == NULL)
        return;
    for (size_t i = 0; i < AGENTS_MAX; i++) {
        if (server->peers[i].io.fd >= 0)
            peer_close(&server->peers[i]);
    }
    loop_remove(node->loop, &server->io);
    if (server->io.fd >= 0)
        (void)close(server->io.fd);
    (void)unlink(node->options.handoff);
    free(server);
}
