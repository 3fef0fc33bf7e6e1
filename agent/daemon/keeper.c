/* SPDX-License-Identifier: MIT
 * keeper.c - the holder process.
 * Floor: agent/daemon; its own process, one loop.
 * Owns: see keeper.h.
 * Invariant: see keeper.h; small and boring, so that it never needs a restart.
 */
#include "agent/daemon/keeper.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/net/loop.h"
#include "lib/net/sock.h"

#define ENTRIES_MAX 20000u
#define SEND_WAIT_MS 1000

struct keeper_entry {
    struct list node;
    struct keeper *keeper;
    struct loop_io pidfd;
    int fds[KEEPER_FDS_MAX - 1];
    size_t fd_count;
    uint8_t key[INCARNATION_BYTES];
    struct loop_hook reap;
    size_t len;
    char text[];
};
struct keeper {
    struct loop *loop;
    struct loop_io listener;
    struct loop_io agent; /* fd -1: nobody is there; a new agent replaces the old one */
    struct list entries;
    size_t count;
};
struct message {
    struct keeper_head head;
    char text[KEEPER_TEXT_BYTES_MAX];
};

static void
entry_reap(struct loop_hook *hook)
{
    free(CONTAINER_OF(hook, struct keeper_entry, reap));
}

static void
stop_if_idle(struct keeper *keeper)
{
    if (keeper->count == 0 && keeper->agent.fd < 0)
        loop_stop(keeper->loop);
}

static void
entry_drop(struct keeper_entry *entry)
{
    struct keeper *keeper = entry->keeper;
    loop_remove(keeper->loop, &entry->pidfd);
    (void)close(entry->pidfd.fd);
    for (size_t i = 0; i < entry->fd_count; i++)
        (void)close(entry->fds[i]);
    list_remove(&entry->node);
    keeper->count--;
    loop_at_end(keeper->loop, &entry->reap, LOOP_FREE);
    stop_if_idle(keeper);
}

static void
entry_exited(struct loop_io *io, uint32_t events)
{
    (void)events;
    entry_drop(CONTAINER_OF(io, struct keeper_entry, pidfd));
}

static void
entry_drop_key(struct keeper *keeper, const uint8_t key[INCARNATION_BYTES])
{
    LIST_FOREACH_SAFE (node, &keeper->entries) {
        struct keeper_entry *entry = LIST_ENTRY(node, struct keeper_entry, node);
        if (memcmp(entry->key, key, INCARNATION_BYTES) == 0)
            entry_drop(entry);
    }
}

/* Owns fds[fd_count] from now on. */
static bool
entry_put(struct keeper *keeper, const struct message *message, size_t len, const int *fds,
          size_t fd_count)
{
    struct keeper_entry *entry = NULL;
    if (fd_count >= 2 && keeper->count < ENTRIES_MAX)
        entry = calloc(1, sizeof(*entry) + len);
    if (entry == NULL) {
        for (size_t i = 0; i < fd_count; i++)
            (void)close(fds[i]);
        return false;
    }
    entry->keeper = keeper;
    entry->pidfd = (struct loop_io){.fd = fds[0], .ready = entry_exited};
    entry->fd_count = fd_count - 1;
    memcpy(entry->fds, fds + 1, entry->fd_count * sizeof(int));
    memcpy(entry->key, message->head.key, INCARNATION_BYTES);
    entry->len = len;
    memcpy(entry->text, message->text, len);
    loop_hook_init(&entry->reap, entry_reap);
    list_push_back(&keeper->entries, &entry->node);
    keeper->count++;
    if (loop_add(keeper->loop, &entry->pidfd, false) < 0)
        entry_drop(entry);
    return true;
}

/* The agent reads at once, or it is not worth waiting for. */
static bool
tell(struct keeper *keeper, const void *bytes, size_t len, const int *fds, size_t fd_count)
{
    for (;;) {
        int code = sock_send_fds(keeper->agent.fd, bytes, len, fds, fd_count);
        struct pollfd poll_fd = {.fd = keeper->agent.fd, .events = POLLOUT};
        if (code != -ERR_AGAIN)
            return code == 0;
        if (poll(&poll_fd, 1, SEND_WAIT_MS) != 1)
            return false;
    }
}

static void
tell_all(struct keeper *keeper)
{
    struct message message = {.head = {.magic = KEEPER_MAGIC, .kind = KEEPER_ENTRY}};
    LIST_FOREACH (node, &keeper->entries) {
        const struct keeper_entry *entry = LIST_ENTRY(node, struct keeper_entry, node);
        int fds[KEEPER_FDS_MAX] = {entry->pidfd.fd};
        memcpy(fds + 1, entry->fds, entry->fd_count * sizeof(int));
        memcpy(message.head.key, entry->key, INCARNATION_BYTES);
        memcpy(message.text, entry->text, entry->len);
        if (!tell(keeper, &message, sizeof(message.head) + entry->len, fds, 1 + entry->fd_count))
            return;
    }
    message.head.kind = KEEPER_END;
    (void)tell(keeper, &message.head, sizeof(message.head), NULL, 0);
}

static void
agent_gone(struct keeper *keeper)
{
    loop_remove(keeper->loop, &keeper->agent);
    (void)close(keeper->agent.fd);
    keeper->agent.fd = -1;
    stop_if_idle(keeper);
}

static void
agent_ready(struct loop_io *io, uint32_t events)
{
    struct keeper *keeper = CONTAINER_OF(io, struct keeper, agent);
    (void)events;
    for (;;) {
        struct message message;
        int fds[KEEPER_FDS_MAX];
        size_t bytes = 0;
        size_t fd_count = 0;
        int code = sock_recv_fds(io->fd, &message, sizeof(message), &bytes, fds, KEEPER_FDS_MAX,
                                 &fd_count);
        if (code == -ERR_AGAIN)
            return;
        bool sound =
            code == 0 && bytes >= sizeof(message.head) && message.head.magic == KEEPER_MAGIC;
        if (sound && message.head.kind == KEEPER_PUT) {
            entry_drop_key(keeper, message.head.key);
            (void)entry_put(keeper, &message, bytes - sizeof(message.head), fds, fd_count);
            continue;
        }
        for (size_t i = 0; code == 0 && i < fd_count; i++)
            (void)close(fds[i]);
        if (!sound) {
            agent_gone(keeper);
            return;
        }
        if (message.head.kind == KEEPER_DROP)
            entry_drop_key(keeper, message.head.key);
        else if (message.head.kind == KEEPER_LIST)
            tell_all(keeper);
    }
}

static void
listener_ready(struct loop_io *io, uint32_t events)
{
    struct keeper *keeper = CONTAINER_OF(io, struct keeper, listener);
    int fd = -1;
    (void)events;
    while (sock_accept(io->fd, &fd, NULL) == 0) {
        struct ucred peer = {.uid = UINT32_MAX};
        socklen_t len = sizeof(peer);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.uid != geteuid()) {
            (void)close(fd);
            continue;
        }
        if (keeper->agent.fd >= 0) /* its last words first: it may have died on them */
            agent_ready(&keeper->agent, 0);
        if (keeper->agent.fd >= 0) {
            loop_remove(keeper->loop, &keeper->agent);
            (void)close(keeper->agent.fd);
        }
        keeper->agent = (struct loop_io){.fd = fd, .ready = agent_ready};
        if (loop_add(keeper->loop, &keeper->agent, false) < 0)
            agent_gone(keeper);
    }
}

int
keeper_run(int listen_fd)
{
    struct keeper keeper = {.listener = {.fd = listen_fd, .ready = listener_ready},
                            .agent = {.fd = -1}};
    list_init(&keeper.entries);
    if (loop_new(&keeper.loop, NULL) < 0 || loop_add(keeper.loop, &keeper.listener, true) < 0)
        return 1;
    do
        loop_run(keeper.loop);
    while (keeper.count > 0 || keeper.agent.fd >= 0); /* somebody came in the last turn */
    ASSERT(keeper.count == 0);
    /* While we still listen, nobody can have put another socket in this place. */
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(path);
    if (getsockname(listen_fd, (struct sockaddr *)&path, &len) == 0 && path.sun_path[0] == '/')
        (void)unlink(path.sun_path);
    loop_remove(keeper.loop, &keeper.listener);
    (void)close(listen_fd);
    loop_free(&keeper.loop);
    return 0;
}
