/* SPDX-License-Identifier: MIT
 * holder.c - start the holder, hand it descriptors, take them back.
 * Floor: agent/daemon; loop thread.
 * Owns: see holder.h.
 * Invariant: see holder.h.
 * The listening socket is made here and inherited by the holder, so it can be connected to at
 * once. */
#include "agent/daemon/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/bridge.h"
#include "agent/daemon/keeper.h"
#include "agent/daemon/sandbox.h"
#include "agent/kernel/pidfd.h"

#define RECOVER_MS 2000u
#define KEPT_FD 3
#define SEND_BYTES (4 << 20)

struct holder {
    struct agent *agent;
    struct loop_io io; /* the connection; in the loop after holder_recover */
    bool complained;
};
struct message {
    struct keeper_head head;
    char text[KEEPER_TEXT_BYTES_MAX];
};

/* ---- starting it ---------------------------------------------------------------------------- */

/* In the grandchild: only async-signal-safe calls, then exec. */
static void
become_holder(int listen_fd)
{
    static char name[] = "berth-agent";
    static char option[] = "--holder-fd";
    static char value[] = "3";
    char *const argv[] = {name, option, value, NULL};
    char *const environment[] = {NULL};
    if (listen_fd == KEPT_FD)
        (void)fcntl(listen_fd, F_SETFD, 0);
    else if (dup2(listen_fd, KEPT_FD) < 0)
        _exit(1);
    (void)close_range(KEPT_FD + 1, ~0u, 0);
    (void)!chdir("/");
    execve("/proc/self/exe", argv, environment);
    _exit(1);
}

static int
start_holder(const char *path, struct err *err)
{
    int listen_fd = -1;
    int code = sock_seqpacket_listen(path, 0600, &listen_fd, err);
    if (code < 0)
        return code;
    pid_t pid = fork();
    if (pid == 0) {
        /* Not our child: it stays when we go. */
        (void)setsid();
        if (fork() == 0)
            become_holder(listen_fd);
        _exit(0);
    }
    int number = errno;
    (void)close(listen_fd);
    if (pid < 0)
        return err_set_errno(err, number, "cannot start the holder");
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return 0;
}

static int
connect_holder(struct holder *holder, struct err *err)
{
    char path[PATH_MAX];
    int size = SEND_BYTES;
    int fd = -1;
    (void)snprintf(path, sizeof(path), "%s/holder.sock", holder->agent->options->run_dir);
    if (sock_seqpacket_connect(path, &fd, NULL) < 0) {
        int code = start_holder(path, err);
        if (code == 0)
            code = sock_seqpacket_connect(path, &fd, err);
        if (code < 0)
            return code;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    holder->io.fd = fd;
    return 0;
}

/* It never speaks unasked: readiness is its end. Another one gets everything anew. */
static void
holder_lost(struct loop_io *io, uint32_t events)
{
    struct holder *holder = CONTAINER_OF(io, struct holder, io);
    struct agent *agent = holder->agent;
    struct err err = {0};
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP | EPOLLERR)) == 0)
        return;
    loop_remove(agent->loop, io);
    (void)close(io->fd);
    io->fd = -1;
    holder->complained = false;
    if (connect_holder(holder, &err) < 0 || loop_add(agent->loop, io, false) < 0) {
        LOG_ERROR("the holder is gone: listeners will not survive a restart", LOG_E(&err));
        return;
    }
    LOG_WARN("the holder was gone; another one keeps the listeners now");
    LIST_FOREACH (node, &agent->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (instance_lives(instance))
            holder_put(holder, instance);
    }
}

int
holder_new(struct agent *agent, struct holder **ret_holder, struct err *err)
{
    CLEANUP(holder_free) struct holder *holder = calloc(1, sizeof(*holder));
    if (holder == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    holder->agent = agent;
    holder->io = (struct loop_io){.fd = -1, .ready = holder_lost};
    int code = connect_holder(holder, err);
    if (code < 0)
        return code;
    *ret_holder = TAKE(holder);
    return 0;
}

void
holder_free(struct holder **ref)
{
    struct holder *holder = TAKE(*ref);
    if (holder == NULL)
        return;
    if (holder->io.fd >= 0) {
        loop_remove(holder->agent->loop, &holder->io);
        (void)close(holder->io.fd);
    }
    free(holder);
}

/* ---- giving --------------------------------------------------------------------------------- */

static void
tell(struct holder *holder, const struct message *message, size_t text_len, const int *fds,
     size_t fd_count)
{
    if (holder->io.fd < 0)
        return;
    int code =
        sock_send_fds(holder->io.fd, message, sizeof(message->head) + text_len, fds, fd_count);
    if (code == 0 || holder->complained)
        return;
    holder->complained = true;
    LOG_ERROR("the holder does not listen: listeners will not survive a restart",
              LOG_C("error", err_text(code)));
}

/* {"pid":N,"host_network":B,"name_fixed":B,"cgroup":B,"attestors":N,"binding":{...}} */
static int
describe(const struct instance *instance, struct buf *out)
{
    const struct agent *agent = instance->agent;
    struct binding binding = {
        .host = str_from(agent->host),
        .boot = str_from(agent->boot),
        .runtime = str_from(instance->runtime),
        .container_id = str_from(instance->container_id),
        .name = str_from(instance->name),
        .number = instance->number,
        .netns_cookie = instance->sandbox->cookie,
        .cgroup_id = instance->cgroup_id,
    };
    char attestors[128];
    attest_names(instance->attestors, attestors);
    binding.attestors = str_from(attestors);
    memcpy(binding.incarnation, instance->incarnation, INCARNATION_BYTES);
    buf_printf(out,
               "{\"pid\":%d,\"host_network\":%s,\"name_fixed\":%s,\"cgroup\":%s,\"attestors\":%u,"
               "\"binding\":",
               (int)instance->pid, instance->sandbox->host ? "true" : "false",
               instance->is_name_fixed ? "true" : "false", instance->is_cgroup ? "true" : "false",
               instance->attestors);
    int code = binding_put_json(&binding, false, out);
    buf_put_byte(out, '}');
    return code < 0 ? code : out->failed ? -ERR_TOO_LARGE : 0;
}

void
holder_put(struct holder *holder, const struct instance *instance)
{
    struct message message = {.head = {.magic = KEEPER_MAGIC, .kind = KEEPER_PUT}};
    int fds[1 + SANDBOX_DOORS] = {instance->pidfd.fd};
    size_t fd_count = 1 + sandbox_fds(instance->sandbox, fds + 1);
    struct buf text;
    _Static_assert(1 + SANDBOX_DOORS <= KEEPER_FDS_MAX, "all of them ride one message");
    buf_init(&text, KEEPER_TEXT_BYTES_MAX);
    if (describe(instance, &text) == 0) {
        memcpy(message.head.key, instance->incarnation, INCARNATION_BYTES);
        memcpy(message.text, text.ptr, text.len);
        tell(holder, &message, text.len, fds, fd_count);
    }
    buf_fini(&text);
}

void
holder_drop(struct holder *holder, const uint8_t incarnation[INCARNATION_BYTES])
{
    struct message message = {.head = {.magic = KEEPER_MAGIC, .kind = KEEPER_DROP}};
    memcpy(message.head.key, incarnation, INCARNATION_BYTES);
    tell(holder, &message, 0, NULL, 0);
}

/* ---- taking back ---------------------------------------------------------------------------- */

struct kept {
    struct binding binding;
    int64_t pid;
    uint64_t attestors;
    bool host;
    bool is_name_fixed; /* these two: absent in what older agents gave */
    bool is_cgroup;
};

static int
read_kept(struct str text, struct json_doc *doc, struct arena *arena, struct kept *ret_kept)
{
    struct kept kept = {.pid = 0};
    int code = json_scan(doc, text, NULL, NULL);
    if (code == 0)
        code = json_i64(doc, json_get(doc, 0, STR("pid")), 1, INT32_MAX, &kept.pid);
    if (code == 0)
        code = json_bool(doc, json_get(doc, 0, STR("host_network")), &kept.host);
    (void)!json_bool(doc, json_get(doc, 0, STR("name_fixed")), &kept.is_name_fixed);
    (void)!json_bool(doc, json_get(doc, 0, STR("cgroup")), &kept.is_cgroup);
    if (code == 0)
        code = json_u64(doc, json_get(doc, 0, STR("attestors")), (1u << ATTESTOR_COUNT) - 1,
                        &kept.attestors);
    if (code == 0)
        code = binding_parse_request(doc, json_get(doc, 0, STR("binding")), arena, &kept.binding,
                                     NULL);
    if (code == 0)
        *ret_kept = kept;
    return code;
}

/* The table of pins was emptied with the last agent's end. */
static void
repin(struct instance *instance)
{
    int fds[SANDBOX_DOORS];
    int ns_fd = -1;
    if ((instance->attestors & 1u << ATTESTOR_ip_nft) != 0 &&
        sandbox_fds(instance->sandbox, fds) > 0 && netns_of_socket(fds[0], &ns_fd) == 0) {
        bridge_pin(instance->agent->bridge, instance, ns_fd);
        (void)close(ns_fd);
    }
}

/* NULL: it is what it was. Owns fds[fd_count] from now on. */
static const char *
compare(struct instance *instance, const struct kept *kept, const int *fds, size_t fd_count)
{
    struct agent *agent = instance->agent;
    uint64_t cgroup = CGROUP_ROOT_ID;
    struct err err = {0};
    if (sandbox_adopt(instance, kept->host, kept->binding.netns_cookie, fds, fd_count, &err) < 0)
        return "its network namespace is another one";
    repin(instance);
    if (!str_eq(kept->binding.boot, str_from(agent->boot)))
        return "the host was rebooted";
    if (pidfd_exited(instance->pidfd.fd))
        return "its init has ended";
    if ((instance->attestors & ATTESTORS_BY_CGROUP) != 0 &&
        pidfd_cgroup(instance->pidfd.fd, instance->pid, &agent->cgroups, &cgroup, &err) < 0)
        return "its cgroup cannot be read";
    bool same =
        cgroup == kept->binding.cgroup_id ||
        (kept->is_cgroup && cgroup_within(&agent->cgroups, cgroup, kept->binding.cgroup_id));
    if (!same)
        return "its cgroup is another one";
    return instance->attestors == 1u << ATTESTOR_ip_nft && !instance->is_pinned
               ? "its address cannot be pinned"
               : NULL;
}

/* Owns fds[fd_count] from now on. */
static void
take_back(struct agent *agent, const struct kept *kept, const int *fds, size_t fd_count)
{
    struct instance *instance = instance_new(agent);
    if (instance == NULL) {
        for (size_t i = 0; i < fd_count; i++)
            (void)close(fds[i]);
        return;
    }
    instance->state = INSTANCE_RECOVERING; /* born there; every other state is reached by a step */
    instance_set_incarnation(instance, kept->binding.incarnation);
    instance->pid = (pid_t)kept->pid;
    instance->number = kept->binding.number;
    instance->cgroup_id = kept->binding.cgroup_id;
    instance->attestors = (uint32_t)kept->attestors & agent->options->attestors;
    instance->is_name_fixed = kept->is_name_fixed;
    instance->is_cgroup = kept->is_cgroup;
    const char *problem = NULL;
    if (instance->attestors == 0)
        problem = "--attestors does not name what could tell it apart";
    if (!str_copy(instance->container_id, sizeof(instance->container_id),
                  kept->binding.container_id) ||
        !str_copy(instance->runtime, sizeof(instance->runtime), kept->binding.runtime) ||
        !str_copy(instance->name, sizeof(instance->name), kept->binding.name))
        problem = "its record is damaged";
    if (instance_watch(instance, fds[0]) < 0)
        problem = "its process cannot be watched";
    const char *difference = compare(instance, kept, fds + 1, fd_count - 1);
    problem = problem != NULL ? problem : difference;
    (void)instance_step(instance, problem == NULL ? EVENT_matched : EVENT_differed,
                        problem == NULL ? "same evidence" : problem);
}

static void
take_entry(struct agent *agent, struct str text, const int *fds, size_t fd_count)
{
    struct json_doc doc;
    struct arena arena;
    struct kept kept;
    json_init(&doc);
    arena_init(&arena, 64u * 1024u);
    if (fd_count >= 2 && read_kept(text, &doc, &arena, &kept) == 0) {
        take_back(agent, &kept, fds, fd_count);
    } else {
        LOG_ERROR("the holder keeps a damaged entry, ignoring");
        for (size_t i = 0; i < fd_count; i++)
            (void)close(fds[i]);
    }
    arena_fini(&arena);
    json_fini(&doc);
}

int
holder_recover(struct holder *holder, struct err *err)
{
    struct message message = {.head = {.magic = KEEPER_MAGIC, .kind = KEEPER_LIST}};
    uint64_t deadline = clock_mono_ms() + RECOVER_MS;
    tell(holder, &message, 0, NULL, 0);
    for (;;) {
        int fds[KEEPER_FDS_MAX];
        size_t bytes = 0;
        size_t fd_count = 0;
        int code = sock_recv_fds(holder->io.fd, &message, sizeof(message), &bytes, fds,
                                 KEEPER_FDS_MAX, &fd_count);
        if (code == -ERR_AGAIN) {
            struct pollfd poll_fd = {.fd = holder->io.fd, .events = POLLIN};
            uint64_t now = clock_mono_ms();
            if (now >= deadline)
                return err_set(err, ERR_TIMEOUT, "the holder does not answer");
            (void)poll(&poll_fd, 1, (int)(deadline - now));
            continue;
        }
        if (code < 0 || bytes < sizeof(message.head) || message.head.magic != KEEPER_MAGIC)
            return err_set(err, ERR_PROTOCOL, "the holder speaks another language");
        if (message.head.kind == KEEPER_END)
            return loop_add(holder->agent->loop, &holder->io, false);
        take_entry(holder->agent, str_make(message.text, bytes - sizeof(message.head)), fds,
                   fd_count);
    }
}
