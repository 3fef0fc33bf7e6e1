/* SPDX-License-Identifier: MIT
 * agent.h - the agent of a host: what its parts share.
 * Floor: agent/daemon; loop thread.
 * Owns: everything below.
 * Invariant: connections are accepted only while the data plane can take them (agent_gate). */
#ifndef BERTH_AGENT_DAEMON_AGENT_H
#define BERTH_AGENT_DAEMON_AGENT_H

#include "agent/daemon/agent_options.h"
#include "agent/kernel/attest.h"
#include "agent/kernel/netns.h"
#include "lib/net/loop.h"

struct bridge;
struct control;
struct holder;
struct hook_server;
struct plane;
struct watch;

struct agent {
    const struct agent_options *options;
    struct loop *loop;
    struct netns *netns;
    struct cgroup_tree cgroups;
    struct list instances;
    struct list sandboxes;
    struct list diags; /* sandboxes with an open sock_diag socket */
    size_t diag_count;
    struct control *control;
    struct plane *plane;
    struct holder *holder; /* NULL with --no-holder */
    struct hook_server *hooks;
    struct watch *watch;
    struct bridge *bridge; /* NULL unless attestor ip+nft is on */
    char host[129];
    char boot[64];
    bool plane_ready; /* the data plane is connected and takes more */
    bool fds_short;   /* no connection can be accepted for want of descriptors; a timer ends this */
    bool hooks_short; /* nor hook: it has a descriptor in reserve, so connections do not block it */
    bool letting_go;  /* ending, while the holder keeps the listeners open */
    bool stopping;    /* waiting for the last revocations before the end */
    struct timer again;
    struct timer last_call;
    struct loop_io signals;
};

/* agent_run - until SIGTERM or SIGINT. ready_fd: one JSON line is written there once hooks are
 * answered; -1 = nobody wants it. 0, or -ERR_ with a sentence for the operator. */
int agent_run(const struct agent_options *options, int ready_fd, struct err *err) MUST_USE;
/* agent_is_accepting - the data plane can take connections. */
bool agent_is_accepting(const struct agent *agent);
/* agent_gate - start or stop accepting on all listeners, as plane_ready and fds_short say; hooks
 * are heard without a data plane, too, but while hooks_short. */
void agent_gate(struct agent *agent);
/* agent_out_of_fds - stop accepting connections, or hooks, for a moment. */
void agent_out_of_fds(struct agent *agent, bool hooks);
/* agent_instance_ended - one has left the list of the living. */
void agent_instance_ended(struct agent *agent);

#endif
