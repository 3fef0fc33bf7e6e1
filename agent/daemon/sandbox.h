/* SPDX-License-Identifier: MIT
 * sandbox.h - a network namespace with our listeners in it and the containers that live there.
 * Floor: agent/daemon; loop thread.
 * Owns: the listeners and, for a namespace that was asked for lately, a sock_diag socket; nothing
 *       else pins the namespace.
 * Invariant: one sandbox a namespace cookie; it is closed with its last instance, so a namespace
 *            ends when its containers do. agent_test.c. */
#ifndef BERTH_AGENT_DAEMON_SANDBOX_H
#define BERTH_AGENT_DAEMON_SANDBOX_H

#include "agent/daemon/instance.h"

#define SANDBOX_INSTANCES_MAX 512u
/* sock_diag sockets that are kept open, the lately used ones: with thousands of containers, one
 * each would be a third of all descriptors. */
#define SANDBOX_DIAGS_MAX 64u

enum sandbox_door {
    SANDBOX_TCP,
    SANDBOX_TCP6, /* only when taken over from an agent that had a listener a family */
    SANDBOX_UNIX, /* only with --unix */
    SANDBOX_DOORS
};
struct sandbox_listener {
    struct loop_io io; /* fd -1: none */
    struct sandbox *sandbox;
};
struct sandbox {
    struct list node;     /* agent->sandboxes */
    struct list in_diags; /* agent->diags, the last used one last; alone while diag_fd is -1 */
    struct agent *agent;
    uint64_t cookie;
    bool host;
    bool open; /* at least one instance was activated: serve */
    int diag_fd;
    struct sandbox_listener listeners[SANDBOX_DOORS];
    struct list instances;
    size_t instance_count;
    struct loop_hook reap;
};

/* sandbox_join - put `instance` into the sandbox of namespace ns_fd (borrowed), made if there is
 * none. 0; -ERR_IN_USE (the port is taken), -ERR_OVERLOADED (too many containers), -ERR_... */
int sandbox_join(struct instance *instance, int ns_fd, struct err *err) MUST_USE;
/* sandbox_adopt - the same for a recovered instance: fds[fd_count], fd_count > 0, come from the
 * holder and are owned from now on, also on failure. */
int sandbox_adopt(struct instance *instance, bool host, uint64_t cookie, const int *fds,
                  size_t fd_count, struct err *err) MUST_USE;
/* sandbox_find - by cookie, or NULL. */
struct sandbox *sandbox_find(struct agent *agent, uint64_t cookie);
/* sandbox_leave - the instance is not served any more; closes the sandbox behind the last one. */
void sandbox_leave(struct instance *instance);
/* sandbox_fds - its listeners into fds[SANDBOX_DOORS]; their count. */
size_t sandbox_fds(const struct sandbox *sandbox, int fds[SANDBOX_DOORS]);
/* sandbox_is_in - ns_fd is its namespace. */
bool sandbox_is_in(const struct sandbox *sandbox, int ns_fd);
/* sandbox_watch - accept, or stop accepting. */
void sandbox_watch(struct sandbox *sandbox, bool accepting);

#endif
