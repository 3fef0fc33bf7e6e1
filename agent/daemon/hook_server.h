/* SPDX-License-Identifier: MIT
 * hook_server.h - the socket that berth-hook speaks to.
 * Floor: agent/daemon; loop thread.
 * Owns: the listening socket and its calls.
 * Invariant: root is believed; users named by --rootless are, about processes in user namespaces of
 *            theirs, nobody else is; a call is answered once; a hook that goes away while its
 *            container is being bound takes the binding with it. agent_test.c.
 * Protocol, one SOCK_SEQPACKET message each way: "STAGE RUNTIME\n" and the OCI state's JSON from a
 * hook, or from `berth container` one JSON object (a newline behind it is fine):
 *   {"op":"register","name":"NAME","pid":123}            or "cgroup":"/path" in place of "pid";
 *                                                        "id" may be given, else it is the name
 *   {"op":"release","name":"NAME"}                       a registered one; its name or id
 * answered by "ok", "ok TEXT" (allowed, with a warning for the user) or "no TEXT" (veto, refused)
 * within 2 s. register is answered when the token works, release when it is revoked. */
#ifndef BERTH_AGENT_DAEMON_HOOK_SERVER_H
#define BERTH_AGENT_DAEMON_HOOK_SERVER_H

#include "agent/daemon/instance.h"

struct hook_call; /* one hook that waits for its answer */
enum hook_answer { HOOK_ALLOW, HOOK_REFUSE };

struct hook_server;
/* One descriptor is kept free, so that a hook hears why its container cannot start when there is
 * none left. */
/* hook_server_new - listens on RUN_DIR/hook.sock, mode 0600, and with --rootless on that one's
 * socket, mode 0666. 0; -ERR_IN_USE: another agent runs. */
int hook_server_new(struct agent *agent, struct hook_server **ret_server, struct err *err) MUST_USE;
void hook_server_free(struct hook_server **server);
/* hook_server_watch - accept hooks, or stop accepting. server: NULL = there is none yet. */
void hook_server_watch(struct hook_server *server, bool accepting);
/* hook_server_wake - some incarnation is over: poststop hooks may be answered. */
void hook_server_wake(struct hook_server *server);

/* hook_call_wait - the call belongs to this instance until it is answered. */
void hook_call_wait(struct hook_call *call, struct instance *instance);
/* hook_call_answer - call: NULL = nobody asked. reason: one sentence for REFUSE; with policy
 * allow-untokened the veto of a start becomes a warning. */
void hook_call_answer(struct hook_call *call, enum hook_answer answer, const char *reason);

#endif
