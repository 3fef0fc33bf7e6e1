/* SPDX-License-Identifier: MIT
 * instance.h - one life of one container: its evidence and its state.
 * Floor: agent/daemon; loop thread.
 * Owns: the pidfd, the deadline; unlinks itself from the agent and its sandbox.
 * Invariant: the state changes in instance_step alone, along the rows of states.def; the key is the
 *            incarnation, never a name or an id. instance_test.c. */
#ifndef BERTH_AGENT_DAEMON_INSTANCE_H
#define BERTH_AGENT_DAEMON_INSTANCE_H

#include "agent/daemon/hook_state.h"
#include "agent/kernel/netns.h"
#include "api/binding.h"
#include "lib/net/loop.h"

struct agent;
struct hook_call;
struct sandbox;

enum instance_state {
#define STATE_ROW(name, text) INSTANCE_##name,
#include "agent/daemon/states.def"
#undef STATE_ROW
    INSTANCE_STATE_COUNT
};
enum instance_event {
#define EVENT_ROW(name, word, text) EVENT_##name,
#include "agent/daemon/states.def"
#undef EVENT_ROW
    INSTANCE_EVENT_COUNT
};

struct instance {
    struct list node; /* agent->instances */
    struct list in_sandbox;
    struct agent *agent;
    struct sandbox *sandbox;  /* NULL before BINDING and after it left */
    struct hook_call *waiter; /* createRuntime that waits for us, or NULL */
    enum instance_state state;
    char runtime[33];
    char container_id[HOOK_ID_BYTES];
    char name[HOOK_NAME_BYTES];   /* "" = by number only */
    char wanted[HOOK_NAME_BYTES]; /* the name that the runtime gave it since; "" = no other one */
    bool is_name_fixed;           /* by annotation: the runtime's renames do not count */
    uint64_t number;
    uint8_t incarnation[INCARNATION_BYTES];
    char hex[2 * INCARNATION_BYTES + 1];
    uint64_t cgroup_id; /* evidence; CGROUP_ROOT_ID when its cgroup tells nothing */
    uint32_t attestors;
    struct netns_port port; /* its address on a bridge, while is_pinned */
    bool is_pinned;
    bool is_cgroup; /* it lives as long as anything in its cgroup does */
    pid_t pid;
    struct loop_io pidfd;
    const char *by;     /* what was heard of it last, for the control plane's log; static */
    uint64_t bind_id;   /* of the last request to the control plane; 0 = not asked yet */
    bool revoke_unsent; /* the data plane's socket was full */
    struct timer deadline;
    struct loop_hook reap;
};

/* instance_new - DECLARED, with a fresh random incarnation; linked into the agent. NULL: no
 * memory. */
struct instance *instance_new(struct agent *agent) MUST_USE;
/* instance_set_incarnation - a recovered one keeps its key. */
void instance_set_incarnation(struct instance *instance, const uint8_t bytes[INCARNATION_BYTES]);
/* instance_step - follow the row (state, event): set the state, then run the action. reason: for
 * people; borrowed for the call. false: no such row, nothing happened. */
bool instance_step(struct instance *instance, enum instance_event event, const char *reason);
/* instance_next - where (state, event) leads; false: nowhere. */
bool instance_next(enum instance_state state, enum instance_event event,
                   enum instance_state *ret_next);
/* instance_lives - its token works: ACTIVE or FROZEN. */
static inline bool
instance_lives(const struct instance *instance)
{
    return instance->state == INSTANCE_ACTIVE || instance->state == INSTANCE_FROZEN;
}
/* instance_watch - tell us when the process behind pidfd (owned from now on) ends. */
int instance_watch(struct instance *instance, int pidfd) MUST_USE;
void instance_unwatch(struct instance *instance);
/* instance_retire - free at the end of this turn. */
void instance_retire(struct instance *instance);
const char *instance_state_name(enum instance_state state);

#endif
