/* SPDX-License-Identifier: MIT
 * lifecycle.c - from a hook's question to an identity, and from a dead process to none.
 * Floor: agent/daemon; loop thread.
 * Owns: nothing; instances own their parts.
 * Invariant: see lifecycle.h. The pidfd is taken first; every later look goes through it.
 */
#include "agent/daemon/lifecycle.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/log.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/control.h"
#include "agent/daemon/holder.h"
#include "agent/daemon/hook_server.h"
#include "agent/daemon/naming.h"
#include "agent/daemon/plane.h"
#include "agent/daemon/sandbox.h"
#include "agent/kernel/pidfd.h"

/* Below the hook's own 2 s, so that it gets our reason. */
#define START_DEADLINE_MS 1700u
#define REVOKE_DEADLINE_MS 1500u
/* A data plane that is away: time to come back and be told. A dead one has no streams to cut, and
 * the control plane tells the next one. */
#define RECONNECT_DEADLINE_MS 300u

/* ---- evidence ------------------------------------------------------------------------------- */

static uint64_t
cgroup_of_runtime(struct agent *agent, pid_t pid)
{
    uint64_t id = 0;
    return pid > 0 && cgroup_of_pid(&agent->cgroups, pid, &id, NULL) == 0 ? id : 0;
}

/* Which attestors can tell it apart, once it has joined its sandbox. */
static int
weigh(struct instance *instance, pid_t runtime_pid, struct err *err)
{
    struct agent *agent = instance->agent;
    uint64_t cgroup = 0;
    int code = pidfd_cgroup(instance->pidfd.fd, instance->pid, &agent->cgroups, &cgroup, err);
    if (code == -ERR_UNSUPPORTED)
        cgroup = 0;
    else if (code < 0)
        return code;
    struct attest_facts facts = {
        .tree = &agent->cgroups,
        .host = instance->sandbox->host,
        .alone = instance->sandbox->instance_count == 1,
        .cgroup_id = cgroup,
        .runtime_cgroup = cgroup_of_runtime(agent, runtime_pid),
    };
    instance->attestors = attest_suffices(&facts);
    instance->cgroup_id = CGROUP_ROOT_ID;
    if ((instance->attestors & (1u << ATTESTOR_netns_cgroup | 1u << ATTESTOR_hostnet_cgroup)) != 0)
        instance->cgroup_id = cgroup;
    if (instance->attestors == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "this container shares its network namespace and has no cgroup v2 of its "
                       "own, so nothing tells it apart");
    LIST_FOREACH (node, &instance->sandbox->instances) {
        const struct instance *other = LIST_ENTRY(node, struct instance, in_sandbox);
        if (other != instance && (other->attestors & 1u << ATTESTOR_netns) != 0)
            return err_set(err, ERR_UNAVAILABLE,
                           "a container in the same network namespace is known by that alone");
    }
    return 0;
}

static int
gather(struct instance *instance, const struct hook_state *state, pid_t runtime_pid,
       struct err *err)
{
    int pidfd = -1;
    int ns_fd = -1;
    instance->pid = state->pid;
    int code = pidfd_acquire(state->pid, &pidfd, err);
    if (code < 0)
        return code;
    if (instance_watch(instance, pidfd) < 0)
        return err_set(err, ERR_SYSTEM, "cannot watch the container's process");
    code = pidfd_netns(pidfd, state->pid, &ns_fd, err);
    if (code < 0)
        return code;
    code = sandbox_join(instance, ns_fd, err);
    (void)close(ns_fd);
    return code < 0 ? code : weigh(instance, runtime_pid, err);
}

/* ---- createRuntime -------------------------------------------------------------------------- */

/* The same container's earlier lives whose process has ended: revoked before the new one begins. */
static void
end_earlier(struct agent *agent, const char *container_id, const char *reason)
{
    LIST_FOREACH_SAFE (node, &agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (strcmp(instance->container_id, container_id) == 0 && instance->pidfd.fd >= 0 &&
            pidfd_exited(instance->pidfd.fd))
            (void)instance_step(instance, EVENT_stopped, reason);
    }
}

/* Hooks that are installed twice ask twice; the second answer is the first one's. */
static bool
is_served(const struct agent *agent, const struct hook_state *state)
{
    LIST_FOREACH (node, &agent->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (instance->state == INSTANCE_ACTIVE && instance->pid == state->pid &&
            strcmp(instance->container_id, state->id) == 0)
            return true;
    }
    return false;
}

void
lifecycle_create(struct agent *agent, struct hook_call *call, struct hook_state *state,
                 pid_t runtime_pid)
{
    char name[HOOK_NAME_BYTES];
    struct err err = {0};
    naming_of(state, name);
    end_earlier(agent, state->id, "started again");
    if (state->ai_off || state->infra) {
        LOG_INFO("container starts without a token", LOG_C("container", state->id),
                 LOG_C("reason", state->infra ? "infrastructure" : "io.berth.ai=false"));
        hook_call_answer(call, HOOK_ALLOW, NULL);
        return;
    }
    if (is_served(agent, state)) {
        hook_call_answer(call, HOOK_ALLOW, NULL);
        return;
    }
    const char *down = agent->stopping                   ? "the agent is stopping"
                       : !plane_connected(agent->plane)  ? "data plane down"
                       : control_is_down(agent->control) ? "control plane down"
                                                         : NULL;
    struct instance *instance = down == NULL ? instance_new(agent) : NULL;
    if (instance == NULL) {
        hook_call_answer(call, HOOK_REFUSE, down != NULL ? down : "out of memory");
        return;
    }
    memcpy(instance->container_id, state->id, sizeof(instance->container_id));
    memcpy(instance->runtime, state->runtime, sizeof(instance->runtime));
    memcpy(instance->name, name, sizeof(instance->name));
    instance->waiter = call;
    hook_call_wait(call, instance);
    if (gather(instance, state, runtime_pid, &err) < 0)
        (void)instance_step(instance, EVENT_refused, err.text);
    else
        (void)instance_step(instance, EVENT_hook, "createRuntime");
}

void
lifecycle_bind(struct instance *instance, const char *reason)
{
    struct agent *agent = instance->agent;
    (void)reason;
    ASSERT(instance->sandbox != NULL && instance->attestors != 0);
    timer_arm(loop_timers(agent->loop), &instance->deadline,
              loop_now_ms(agent->loop) + START_DEADLINE_MS);
    control_bind(agent->control, instance);
}

const char *
lifecycle_late_reason(const struct instance *instance)
{
    if (instance->state == INSTANCE_REVOKING)
        return "the data plane did not answer";
    return control_is_up(instance->agent->control)
               ? "the data plane did not take the binding in time"
               : "control plane down";
}

static void
answer(struct instance *instance, enum hook_answer kind, const char *reason)
{
    struct hook_call *call = TAKE(instance->waiter);
    if (call != NULL)
        hook_call_answer(call, kind, reason);
}

static void
serve(struct instance *instance)
{
    timer_cancel(loop_timers(instance->agent->loop), &instance->deadline);
    instance->sandbox->open = true;
    agent_gate(instance->agent);
}

void
lifecycle_activate(struct instance *instance, const char *reason)
{
    char attestors[128];
    (void)reason;
    ASSERT(instance->sandbox != NULL && instance->number > 0);
    serve(instance);
    if (instance->agent->holder != NULL)
        holder_put(instance->agent->holder, instance);
    attest_names(instance->attestors, attestors);
    LOG_INFO("container is active", LOG_C("container", instance->container_id),
             LOG_C("name", instance->name), LOG_U("number", instance->number),
             LOG_C("incarnation", instance->hex), LOG_C("attestors", attestors));
    answer(instance, HOOK_ALLOW, NULL);
}

void
lifecycle_resume(struct instance *instance, const char *reason)
{
    (void)reason;
    serve(instance);
    LOG_INFO("container is active again", LOG_C("container", instance->container_id),
             LOG_C("name", instance->name), LOG_C("incarnation", instance->hex));
}

/* ---- the end -------------------------------------------------------------------------------- */

void
lifecycle_undo(struct instance *instance, const char *reason)
{
    struct agent *agent = instance->agent;
    timer_cancel(loop_timers(agent->loop), &instance->deadline);
    sandbox_leave(instance);
    if (instance->bind_id != 0)
        control_unbind(agent->control, instance, reason);
    LOG_WARN("container gets no identity", LOG_C("container", instance->container_id),
             LOG_C("reason", reason));
    answer(instance, HOOK_REFUSE, reason);
    instance_retire(instance);
    agent_instance_ended(agent);
}

void
lifecycle_revoke(struct instance *instance, const char *reason)
{
    struct agent *agent = instance->agent;
    bool connected = plane_connected(agent->plane);
    plane_revoke(agent->plane, instance);
    sandbox_leave(instance);
    if (agent->holder != NULL)
        holder_drop(agent->holder, instance->incarnation);
    control_unbind(agent->control, instance, reason);
    timer_arm(loop_timers(agent->loop), &instance->deadline,
              loop_now_ms(agent->loop) + (connected ? REVOKE_DEADLINE_MS : RECONNECT_DEADLINE_MS));
    LOG_INFO("container is revoked", LOG_C("container", instance->container_id),
             LOG_C("name", instance->name), LOG_C("incarnation", instance->hex),
             LOG_C("reason", reason));
}

void
lifecycle_finish(struct instance *instance, const char *reason)
{
    struct agent *agent = instance->agent;
    (void)reason;
    timer_cancel(loop_timers(agent->loop), &instance->deadline);
    instance->revoke_unsent = false;
    hook_server_wake(agent->hooks);
    instance_retire(instance);
    agent_instance_ended(agent);
}

bool
lifecycle_is_revoking(const struct agent *agent, const char *container_id)
{
    LIST_FOREACH (node, &agent->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (instance->state == INSTANCE_REVOKING &&
            strcmp(instance->container_id, container_id) == 0)
            return true;
    }
    return false;
}

bool
lifecycle_poststop(struct agent *agent, const char *container_id)
{
    end_earlier(agent, container_id, "poststop");
    return lifecycle_is_revoking(agent, container_id);
}
