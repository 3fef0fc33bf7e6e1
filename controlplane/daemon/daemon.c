/* SPDX-License-Identifier: MIT
 * daemon.c - see daemon.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: see struct daemon.
 * Invariant: see daemon.h. */
#include "controlplane/daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "controlplane/admin/admin.h"
#include "controlplane/daemon/bootstrap.h"
#include "controlplane/daemon/datadir.h"
#include "controlplane/push/push.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sock.h"

#define BACKLOG 128

struct daemon {
    const struct flags *options;
    uint64_t started_ms;
    struct datadir datadir;
    struct loop *loop;
    struct store *store;
    struct ledger *ledger;
    struct tls_context *tls;
    struct push *push;
    struct engine *engine;
    struct admin *admin;
    size_t providers;
    int planes_fd;
    int admin_fd; /* -1: none */
    int socket_fd;
    struct loop_io signals;
};

/* ---- signals --------------------------------------------------------------------------------- */

static void
on_signal(struct loop_io *io, uint32_t events)
{
    struct daemon *daemon = CONTAINER_OF(io, struct daemon, signals);
    struct signalfd_siginfo info;
    (void)events;
    while (read(io->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        LOG_INFO("stopping", LOG_U("signal", info.ssi_signo));
        loop_stop(daemon->loop);
    }
}

static int
watch_signals(struct daemon *daemon, struct err *err)
{
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
        return err_set_errno(err, errno, "cannot set up signals");
    daemon->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    daemon->signals.ready = on_signal;
    if (daemon->signals.fd < 0 || loop_add(daemon->loop, &daemon->signals, false) < 0)
        return err_set(err, ERR_SYSTEM, "cannot set up signals");
    return 0;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static int
listen_on(const char *text, int *ret_fd, bool loopback_only, struct err *err)
{
    struct sock_addr addr;
    int code = sock_addr_parse(str_from(text), &addr, err);
    if (code == 0 && loopback_only && !sock_addr_is_loopback(&addr))
        code = err_set(err, ERR_PERMISSION,
                       "the admin API speaks no TLS and may only listen on a loopback address, not "
                       "on %s",
                       text);
    if (code == 0)
        code = sock_listen(&addr, BACKLOG, false, 0600, ret_fd, err);
    return code;
}

static int
open_listeners(struct daemon *daemon, struct err *err)
{
    struct sock_addr addr = {0};
    const struct flags *options = daemon->options;
    int code = listen_on(options->listen_planes, &daemon->planes_fd, false, err);
    if (code == 0 && !str_eq(str_from(options->listen_admin), STR("none")))
        code = listen_on(options->listen_admin, &daemon->admin_fd, true, err);
    if (code < 0)
        return code;
    char text[DATADIR_PATH_BYTES + 8];
    int count = snprintf(text, sizeof text, "unix:%s", daemon->datadir.admin_socket);
    if (count < 0 || (size_t)count >= sizeof addr.u.un.sun_path + 5)
        return err_set(err, ERR_INVALID, "the path %s is too long for a socket",
                       daemon->datadir.admin_socket);
    return listen_on(text, &daemon->socket_fd, false, err);
}

static void
bound_address(int fd, char out[128])
{
    struct sock_addr addr = {.len = sizeof addr.u};
    memcpy(out, "none", sizeof "none");
    if (fd >= 0 && getsockname(fd, &addr.u.any, &addr.len) == 0)
        sock_addr_format(&addr, out);
}

/* ---- wiring ---------------------------------------------------------------------------------- */

static int
open_store(struct daemon *daemon, struct err *err)
{
    const struct ledger_config config = {.fee_bps = 0};
    int code = loop_new(&daemon->loop, err);
    if (code == 0)
        code = store_open(daemon->datadir.store, daemon->loop, &daemon->store, err);
    if (code == 0)
        code = ledger_new(daemon->store, &config, &daemon->ledger, err);
    if (code == 0)
        code = bootstrap(daemon->store, daemon->options->offline_sim, &daemon->providers, err);
    return code;
}

static int
open_tls(struct daemon *daemon, struct err *err)
{
    char cert[DATADIR_PATH_BYTES + 256];
    char key[DATADIR_PATH_BYTES + 256];
    char ca[DATADIR_PATH_BYTES + 256];
    const char *pki = daemon->datadir.pki;
    snprintf(cert, sizeof cert, "%s/%s.crt", pki, daemon->options->server_name);
    snprintf(key, sizeof key, "%s/%s.key", pki, daemon->options->server_name);
    snprintf(ca, sizeof ca, "%s/ca.crt", pki);
    const struct tls_server_conf conf = {
        .cert_file = cert,
        .key_file = key,
        .client_ca_file = ca,
        .alpn_h2 = true,
        .internal = true,
    };
    return tls_server_new(&conf, &daemon->tls, err);
}

static void
put_nodes(void *user, struct json_writer *writer)
{
    struct daemon *daemon = user;
    push_put_nodes(daemon->push, writer);
}

static size_t
count_nodes(void *user, const char *role)
{
    struct daemon *daemon = user;
    return push_node_count(daemon->push, role);
}

static int
wire(struct daemon *daemon, struct err *err)
{
    const struct push_conf push_conf = {
        .loop = daemon->loop, .tls = daemon->tls, .ledger = daemon->ledger};
    int code = push_new(&push_conf, &daemon->push, err);
    if (code < 0)
        return code;
    const struct engine_conf engine_conf = {
        .loop = daemon->loop,
        .store = daemon->store,
        .ledger = daemon->ledger,
        .key = daemon->datadir.server_key,
        .settings = SNAPSHOT_SETTINGS_DEFAULT,
        .ops = &push_engine_ops,
        .user = daemon->push,
    };
    code = engine_new(&engine_conf, &daemon->engine, err);
    if (code == 0)
        code = push_start(daemon->push, daemon->engine, daemon->planes_fd, err);
    if (code < 0)
        return code;
    const struct admin_conf admin_conf = {
        .loop = daemon->loop,
        .engine = daemon->engine,
        .ledger = daemon->ledger,
        .token = daemon->datadir.admin_token,
        .version = BERTH_VERSION,
        .put_nodes = put_nodes,
        .count_nodes = count_nodes,
        .user = daemon,
    };
    code = admin_new(&admin_conf, &daemon->admin, err);
    if (code == 0)
        code = admin_listen(daemon->admin, daemon->socket_fd, true, err);
    if (code == 0 && daemon->admin_fd >= 0)
        code = admin_listen(daemon->admin, daemon->admin_fd, false, err);
    return code;
}

static int
print_ready(const struct daemon *daemon, struct err *err)
{
    struct buf out;
    struct json_writer writer;
    char address[128];
    buf_init(&out, 65536);
    json_writer_init(&writer, &out);
    json_open_object(&writer);
    json_member_bool(&writer, "ready", true);
    json_member_str(&writer, "program", STR("berth-controlplane"));
    json_member_str(&writer, "version", STR(BERTH_VERSION));
    bound_address(daemon->planes_fd, address);
    json_member_str(&writer, "planes", str_from(address));
    bound_address(daemon->admin_fd, address);
    json_member_str(&writer, "admin", str_from(address));
    json_member_str(&writer, "admin_socket", str_from(daemon->datadir.admin_socket));
    json_member_str(&writer, "pki", str_from(daemon->datadir.pki));
    json_member_str(&writer, "server", str_from(daemon->engine->server));
    json_member_u64(&writer, "providers", daemon->providers);
    json_member_u64(&writer, "pid", (uint64_t)getpid());
    json_member_u64(&writer, "start_ms", clock_mono_ms() - daemon->started_ms);
    json_close_object(&writer);
    buf_put_byte(&out, '\n');
    bool written = !out.failed && write(STDOUT_FILENO, out.ptr, out.len) == (ssize_t)out.len;
    buf_fini(&out);
    return written ? 0 : err_set(err, ERR_IO, "the ready line could not be written to stdout");
}

static void
close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void
shut(struct daemon *daemon)
{
    admin_free(&daemon->admin);
    push_free(&daemon->push);
    engine_free(&daemon->engine);
    ledger_free(&daemon->ledger);
    store_close(&daemon->store);
    tls_context_free(&daemon->tls);
    if (daemon->loop && daemon->signals.added)
        loop_remove(daemon->loop, &daemon->signals);
    close_fd(daemon->signals.fd);
    close_fd(daemon->planes_fd);
    close_fd(daemon->admin_fd);
    if (daemon->socket_fd >= 0) {
        close(daemon->socket_fd);
        unlink(daemon->datadir.admin_socket);
    }
    loop_free(&daemon->loop);
    datadir_close(&daemon->datadir);
}

int
daemon_run(const struct flags *options, struct err *err)
{
    struct daemon daemon = {
        .options = options,
        .started_ms = clock_mono_ms(),
        .planes_fd = -1,
        .admin_fd = -1,
        .socket_fd = -1,
        .signals = {.fd = -1},
    };
    int code = datadir_open(options, &daemon.datadir, err);
    if (code == 0)
        code = open_store(&daemon, err);
    if (code == 0)
        code = open_tls(&daemon, err);
    if (code == 0)
        code = open_listeners(&daemon, err);
    if (code == 0)
        code = watch_signals(&daemon, err);
    if (code == 0)
        code = wire(&daemon, err);
    if (code == 0)
        code = print_ready(&daemon, err);
    if (code == 0)
        loop_run(daemon.loop);
    shut(&daemon);
    return code;
}
