/* SPDX-License-Identifier: MIT
 * agent.c - puts the agent together, runs it, takes it apart.
 * Floor: agent/daemon; loop thread.
 * Owns: struct agent.
 * Invariant: recovery comes before the first connection is accepted and before the control plane
 *            hears which incarnations live. agent_test.c. */
#include "agent/daemon/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/base/thread.h"

#include "agent/daemon/bridge.h"
#include "agent/daemon/control.h"
#include "agent/daemon/holder.h"
#include "agent/daemon/hook_server.h"
#include "agent/daemon/plane.h"
#include "agent/daemon/sandbox.h"
#include "agent/daemon/watch.h"

#define FDS_PAUSE_MS 100u
#define LAST_CALL_MS 1500u
#define AGENT_NICE (-10)
#define AGENT_SLICE_US 100u

/* ---- the gate ------------------------------------------------------------------------------- */

bool
agent_is_accepting(const struct agent *agent)
{
    return agent->plane_ready && !agent->fds_short;
}

void
agent_gate(struct agent *agent)
{
    LIST_FOREACH (node, &agent->sandboxes) {
        sandbox_watch(LIST_ENTRY(node, struct sandbox, node), agent_is_accepting(agent));
    }
    bridge_watch(agent->bridge, agent_is_accepting(agent));
    hook_server_watch(agent->hooks, !agent->hooks_short);
}

static void
again_fire(struct timer *timer)
{
    struct agent *agent = CONTAINER_OF(timer, struct agent, again);
    agent->fds_short = false;
    agent->hooks_short = false;
    agent_gate(agent);
}

void
agent_out_of_fds(struct agent *agent, bool hooks)
{
    if (hooks)
        LOG_ERROR("out of descriptors: no hooks are heard for a moment (raise LimitNOFILE)");
    else
        LOG_ERROR("out of descriptors: no connections are accepted for a moment (raise "
                  "LimitNOFILE)");
    if (hooks)
        agent->hooks_short = true;
    else
        agent->fds_short = true;
    agent_gate(agent);
    timer_arm(loop_timers(agent->loop), &agent->again, loop_now_ms(agent->loop) + FDS_PAUSE_MS);
}

/* ---- the end -------------------------------------------------------------------------------- */

void
agent_instance_ended(struct agent *agent)
{
    if (!agent->stopping)
        return;
    LIST_FOREACH (node, &agent->instances) {
        enum instance_state state = LIST_ENTRY(node, struct instance, node)->state;
        if (state != INSTANCE_GONE && state != INSTANCE_FAILED)
            return;
    }
    /* One more turn, so that the last records leave. */
    timer_arm(loop_timers(agent->loop), &agent->last_call, loop_now_ms(agent->loop) + 20);
}

static void
last_call_fire(struct timer *timer)
{
    loop_stop(CONTAINER_OF(timer, struct agent, last_call)->loop);
}

static void
signals_ready(struct loop_io *io, uint32_t events)
{
    struct agent *agent = CONTAINER_OF(io, struct agent, signals);
    struct signalfd_siginfo info;
    (void)events;
    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        continue;
    if (!agent->options->release_on_exit || agent->stopping) {
        loop_stop(agent->loop);
        return;
    }
    agent->stopping = true;
    timer_arm(loop_timers(agent->loop), &agent->last_call, loop_now_ms(agent->loop) + LAST_CALL_MS);
    LIST_FOREACH_SAFE (node, &agent->instances) {
        (void)instance_step(LIST_ENTRY(node, struct instance, node), EVENT_ordered,
                            "the agent ends");
    }
    agent_instance_ended(agent);
}

static int
watch_signals(struct agent *agent, struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return err_set_errno(err, errno, "cannot block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot watch signals");
    agent->signals = (struct loop_io){.fd = fd, .ready = signals_ready};
    return loop_add(agent->loop, &agent->signals, false);
}

/* ---- the beginning -------------------------------------------------------------------------- */

/* First line of a small file, without its newline. */
static bool
read_line(const char *path, char *line, size_t size)
{
    char bytes[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
    struct str text = STR_EMPTY;
    struct str rest = STR_EMPTY;
    if (fd >= 0)
        (void)close(fd);
    if (got <= 0)
        return false;
    (void)str_cut(str_make(bytes, (size_t)got), '\n', &text, &rest);
    return text.len > 0 && str_copy(line, size, text);
}

static int
know_host(struct agent *agent, struct err *err)
{
    const char *boot = agent->options->boot_id;
    if (boot != NULL && !str_copy(agent->boot, sizeof(agent->boot), str_from(boot)))
        return err_set(err, ERR_INVALID, "--boot-id is longer than 63 bytes");
    if (boot == NULL &&
        !read_line("/proc/sys/kernel/random/boot_id", agent->boot, sizeof(agent->boot)))
        return err_set(err, ERR_SYSTEM, "cannot read the host's boot id");
    if (agent->options->host_id != NULL) {
        if (!str_copy(agent->host, sizeof(agent->host), str_from(agent->options->host_id)))
            return err_set(err, ERR_INVALID, "--host-id is longer than 128 bytes");
        return 0;
    }
    if (read_line("/etc/machine-id", agent->host, sizeof(agent->host)) ||
        gethostname(agent->host, sizeof(agent->host) - 1) == 0)
        return 0;
    return err_set_errno(err, errno, "this host has no name; use --host-id");
}

static int
make_run_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", path);
    return 0;
}

/* A holder that ends just now (it had nothing to keep) is replaced. */
static int
recover(struct agent *agent, struct err *err)
{
    int code = -ERR_CLOSED;
    for (int tries = 0; tries < 2 && code < 0; tries++) {
        holder_free(&agent->holder);
        code = holder_new(agent, &agent->holder, err);
        if (code == 0)
            code = holder_recover(agent->holder, err);
    }
    return code;
}

static int
start(struct agent *agent, struct err *err)
{
    int code = geteuid() == 0 ? 0
                              : err_set(err, ERR_PERMISSION,
                                        "berth-agent must run as root: it enters the network "
                                        "namespaces of containers");
    if (code == 0)
        code = make_run_dir(agent->options->run_dir, err);
    if (code == 0)
        code = know_host(agent, err);
    if (code == 0)
        code = loop_new(&agent->loop, err);
    if (code == 0)
        code = watch_signals(agent, err);
    if (code == 0)
        code = netns_new(&agent->netns, err);
    /* The hook socket is also what keeps a second agent from taking the holder away. */
    if (code == 0)
        code = hook_server_new(agent, &agent->hooks, err);
    if (code == 0)
        code = control_new(agent, &agent->control, err);
    if (code == 0 && plane_new(agent, &agent->plane) < 0)
        code = err_set(err, ERR_NOMEM, "no memory");
    if (code == 0)
        code = bridge_new(agent, &agent->bridge, err);
    if (code == 0 && !agent->options->no_holder)
        code = recover(agent, err);
    if (code == 0)
        code = watch_new(agent, &agent->watch, err);
    return code;
}

/* What lives in the holder stays alive: instances are let go, not revoked. */
static void
finish(struct agent *agent)
{
    agent->letting_go = true;
    watch_free(&agent->watch);
    hook_server_free(&agent->hooks);
    plane_free(&agent->plane);
    control_free(&agent->control);
    holder_free(&agent->holder);
    LIST_FOREACH_SAFE (node, &agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        sandbox_leave(instance);
        instance_retire(instance);
    }
    bridge_free(&agent->bridge);
    if (agent->loop != NULL) {
        timer_cancel(loop_timers(agent->loop), &agent->again);
        timer_cancel(loop_timers(agent->loop), &agent->last_call);
        loop_step(agent->loop, 0);
        if (agent->signals.fd >= 0) {
            loop_remove(agent->loop, &agent->signals);
            (void)close(agent->signals.fd);
        }
        loop_free(&agent->loop);
    }
    netns_free(&agent->netns);
    cgroup_close(&agent->cgroups);
}

int
agent_run(const struct agent_options *options, int ready_fd, struct err *err)
{
    static const char ready[] = "{\"ready\":true}\n";
    struct agent agent = {.options = options, .signals = {.fd = -1}};
    list_init(&agent.instances);
    list_init(&agent.sandboxes);
    list_init(&agent.diags);
    timer_init(&agent.again, again_fire);
    timer_init(&agent.last_call, last_call_fire);
    cgroup_open(&agent.cgroups);
    int code = start(&agent, err);
    if (code == 0) {
        LOG_INFO("the agent is ready", LOG_C("host", agent.host), LOG_U("port", options->port));
        if (agent.cgroups.mount_fd < 0)
            LOG_WARN("no cgroup v2 hierarchy: containers that share a network namespace, or use "
                     "the host's, get no identity");
        if (ready_fd >= 0 && write(ready_fd, ready, sizeof(ready) - 1) < 0)
            LOG_WARN("nobody reads our ready line, ignoring");
        /* A revocation must not wait behind the work that it ends. */
        thread_share(AGENT_NICE, AGENT_SLICE_US);
        loop_run(agent.loop);
        LOG_INFO("the agent ends");
    }
    finish(&agent);
    return code;
}
