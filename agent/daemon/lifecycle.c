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
#include "agent/daemon/bridge.h"
#include "agent/daemon/control.h"
#include "agent/daemon/holder.h"
#include "agent/daemon/hook_server.h"
#include "agent/daemon/naming.h"
#include "agent/daemon/plane.h"
#include "agent/daemon/sandbox.h"
#include "agent/daemon/watch.h"
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
    uint64_t cgroup = instance->cgroup_id; /* registered by its cgroup */
    int code = instance->is_cgroup
                   ? 0
                   : pidfd_cgroup(instance->pidfd.fd, instance->pid, &agent->cgroups, &cgroup, err);
    if (code == -ERR_UNSUPPORTED)
        cgroup = 0;
    else if (code < 0)
        return code;
    struct attest_facts facts = {
        .tree = &agent->cgroups,
        .host = instance->sandbox->host,
        .is_pinned = instance->is_pinned,
        .alone = instance->sandbox->instance_count == 1,
        .has_unix = instance->sandbox->listeners[SANDBOX_UNIX].io.fd >= 0,
        .cgroup_id = cgroup,
        .runtime_cgroup = cgroup_of_runtime(agent, runtime_pid),
    };
    uint32_t able = attest_suffices(&facts);
    instance->attestors = able & agent->options->attestors;
    instance->cgroup_id = CGROUP_ROOT_ID;
    if ((instance->attestors & ATTESTORS_BY_CGROUP) != 0)
        instance->cgroup_id = cgroup;
    if (instance->is_cgroup && (instance->attestors & ATTESTORS_BY_CGROUP) == 0)
        return err_set(err, ERR_INVALID, "this cgroup cannot stand for a container");
    if (instance->attestors == 0 && able != 0) {
        char names[128];
        attest_names(able, names);
        return err_set(err, ERR_UNAVAILABLE,
                       "only %s can tell this container apart, which --attestors does not name",
                       names);
    }
    if (instance->attestors == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "this container shares its network namespace and has no cgroup v2 of its "
                       "own, so nothing tells it apart");
    LIST_FOREACH (node, &instance->sandbox->instances) {
        const struct instance *other = LIST_ENTRY(node, struct instance, in_sandbox);
        if (other == instance || pidfd_exited(other->pidfd.fd))
            continue;
        if (other->cgroup_id == instance->cgroup_id && other->cgroup_id != CGROUP_ROOT_ID)
            return err_set(err, ERR_EXISTS, "the cgroup of this container is that of container %s",
                           other->name);
        if ((other->attestors & 1u << ATTESTOR_netns) != 0)
            return err_set(err, ERR_UNAVAILABLE,
                           "a container in the same network namespace is known by that alone");
    }
    return 0;
}

static int
first_process(struct cgroup_tree *tree, const char *path, uint64_t *ret_id, pid_t *ret_pid,
              struct err *err)
{
    int code = cgroup_of_path(tree, path, ret_id, err);
    if (code == 0 && !cgroup_identifies(tree, *ret_id))
        code = err_set(err, ERR_INVALID, "this cgroup cannot stand for a container");
    if (code == 0 && cgroup_processes(tree, *ret_id, ret_pid, 1) == 0)
        code = err_set(err, ERR_NOT_FOUND, "no process lives in cgroup %s", path);
    return code;
}

/* A user speaks for what lives in user namespaces of his alone. */
static int
check_owner(int pidfd, pid_t pid, uid_t owner, struct err *err)
{
    uid_t seen = 0;
    if (owner == 0)
        return 0;
    int code = pidfd_owner(pidfd, pid, &seen, err);
    if (code == 0 && seen != owner)
        code = err_set(err, ERR_PERMISSION, "process %d is in no user namespace of user %u",
                       (int)pid, (unsigned)owner);
    return code;
}

static int
gather(struct instance *instance, const struct hook_state *state, pid_t runtime_pid,
       struct err *err)
{
    int pidfd = -1;
    int ns_fd = -1;
    instance->pid = state->pid;
    instance->is_cgroup = state->cgroup[0] != '\0';
    int code = instance->is_cgroup ? first_process(&instance->agent->cgroups, state->cgroup,
                                                   &instance->cgroup_id, &instance->pid, err)
                                   : 0;
    if (code == 0)
        code = pidfd_acquire(instance->pid, &pidfd, err);
    if (code < 0)
        return code;
    if (instance_watch(instance, pidfd) < 0)
        return err_set(err, ERR_SYSTEM, "cannot watch the container's process");
    /* Nobody blocks its start, so by now the pid may be another's. */
    if (instance->waiter == NULL &&
        (!cgroup_path_has(instance->pid, str_from(state->id)) || pidfd_exited(pidfd)))
        return err_set(err, ERR_NOT_FOUND, "process %d is not of this container",
                       (int)instance->pid);
    code = check_owner(pidfd, instance->pid, state->owner, err);
    if (code == 0)
        code = pidfd_netns(pidfd, instance->pid, &ns_fd, err);
    if (code < 0)
        return code;
    code = sandbox_join(instance, ns_fd, err);
    if (code == 0)
        bridge_pin(instance->agent->bridge, instance, ns_fd);
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

/* The container of this id whose token works now, or NULL. */
static const struct instance *
find_served(const struct agent *agent, const char *container_id)
{
    LIST_FOREACH (node, &agent->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (instance_lives(instance) && strcmp(instance->container_id, container_id) == 0)
            return instance;
    }
    return NULL;
}

void
lifecycle_create(struct agent *agent, struct hook_call *call, struct hook_state *state,
                 pid_t runtime_pid)
{
    char name[HOOK_NAME_BYTES];
    struct err err = {0};
    naming_of(state, name);
    watch_prepare(agent->watch, state, name, sizeof(name));
    end_earlier(agent, state->id, "started again");
    if (state->ai_off || state->infra) {
        LOG_INFO("container starts without a token", LOG_C("container", state->id),
                 LOG_C("reason", state->infra ? "infrastructure" : "io.berth.ai=false"));
        hook_call_answer(call, HOOK_ALLOW, NULL);
        return;
    }
    const struct instance *served = find_served(agent, state->id);
    if (served != NULL && (served->pid == state->pid || state->owner != 0)) {
        /* Hooks that are installed twice ask twice; the second answer is the first one's. An id
         * of somebody else's container is not a user's to take. */
        hook_call_answer(call, served->pid == state->pid ? HOOK_ALLOW : HOOK_REFUSE,
                         "a container with this id runs");
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
    instance->is_name_fixed = state->name[0] != '\0' && !state->is_name_loose;
    instance->by = state->stage == HOOK_REGISTER ? "register" : call != NULL ? "hook" : "events";
    instance->waiter = call;
    if (call != NULL)
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
    sandbox_watch(instance->sandbox, agent_is_accepting(instance->agent));
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

/* ---- names ---------------------------------------------------------------------------------- */

void
lifecycle_rename(struct instance *instance, struct str name)
{
    if (!instance_lives(instance) || instance->is_name_fixed ||
        str_eq(name, str_from(instance->name)) || str_eq(name, str_from(instance->wanted)))
        return;
    if (!binding_valid_name(name) || !str_copy(instance->wanted, sizeof(instance->wanted), name)) {
        LOG_DEBUG("a container was given a name that cannot be a token; it keeps the old one",
                  LOG_C("container", instance->container_id), LOG_C("name", instance->name));
        return;
    }
    control_rename(instance->agent->control, instance);
}

void
lifecycle_renamed(struct instance *instance, const char *problem)
{
    instance->wanted[0] = '\0';
    if (problem != NULL) {
        LOG_WARN("a container's new name is not granted; it keeps the old one",
                 LOG_C("container", instance->container_id), LOG_C("name", instance->name),
                 LOG_C("reason", problem));
        return;
    }
    if (instance->agent->holder != NULL)
        holder_put(instance->agent->holder, instance);
    LOG_INFO("container has a new name", LOG_C("container", instance->container_id),
             LOG_C("name", instance->name), LOG_U("number", instance->number));
}

/* ---- pause ---------------------------------------------------------------------------------- */

void
lifecycle_freeze(struct instance *instance, const char *reason)
{
    LOG_INFO("container is paused; it keeps its token", LOG_C("container", instance->container_id),
             LOG_C("name", instance->name), LOG_C("reason", reason));
    control_paused(instance->agent->control);
}

void
lifecycle_thaw(struct instance *instance, const char *reason)
{
    LOG_INFO("container goes on", LOG_C("container", instance->container_id),
             LOG_C("name", instance->name), LOG_C("reason", reason));
    control_paused(instance->agent->control);
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

int
lifecycle_release(struct agent *agent, struct hook_state *state, struct err *err)
{
    LIST_FOREACH_SAFE (node, &agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (!instance_lives(instance) || (strcmp(instance->name, state->id) != 0 &&
                                          strcmp(instance->container_id, state->id) != 0))
            continue;
        if (strcmp(instance->runtime, HOOK_REGISTERED) != 0)
            return err_set(err, ERR_CONFLICT, "container %s belongs to %s: remove it there",
                           state->id, instance->runtime);
        memcpy(state->id, instance->container_id, sizeof(state->id));
        (void)instance_step(instance, EVENT_released, "released");
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "no container of this host was registered as %s", state->id);
}

/* Another process of the same cgroup and network namespace, watched from now on. */
static bool
follow(struct instance *instance)
{
    struct agent *agent = instance->agent;
    pid_t pids[8];
    size_t count = cgroup_processes(&agent->cgroups, instance->cgroup_id, pids, ARRAY_LEN(pids));
    for (size_t i = 0; i < count; i++) {
        int pidfd = -1;
        int ns_fd = -1;
        if (pidfd_acquire(pids[i], &pidfd, NULL) < 0)
            continue;
        bool same = !pidfd_exited(pidfd) && pidfd_netns(pidfd, pids[i], &ns_fd, NULL) == 0 &&
                    sandbox_is_in(instance->sandbox, ns_fd);
        if (ns_fd >= 0)
            (void)close(ns_fd);
        if (!same) {
            (void)close(pidfd);
            continue;
        }
        instance_unwatch(instance);
        instance->pid = pids[i];
        if (instance_watch(instance, pidfd) < 0)
            return false;
        if (agent->holder != NULL)
            holder_put(agent->holder, instance);
        return true;
    }
    return false;
}

void
lifecycle_exited(struct instance *instance)
{
    if (instance->is_cgroup && instance_lives(instance) && follow(instance))
        return;
    (void)instance_step(instance, EVENT_exited, "its init has ended");
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
