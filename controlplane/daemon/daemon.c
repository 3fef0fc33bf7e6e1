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
#include "controlplane/daemon/payments.h"
#include "controlplane/ledger/upkeep.h"
#include "controlplane/push/push.h"
#include "controlplane/reconcile/discover.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/net/sock.h"

#define BACKLOG 128
#define LEASE_MS_MIN 1000u
#define DISCOVERY_MS_MIN 60000u
#define LEASE_MS_MAX 3600000u

struct daemon {
    const struct flags *options;
    uint64_t started_ms;
    struct datadir datadir;
    struct loop *loop;
    struct store *store;
    struct payments payments;
    struct ledger *ledger;
    struct upkeep *upkeep;
    struct billing *billing;
    struct tls_context *tls;
    struct push *push;
    struct engine *engine;
    struct discover *discover;
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
    if (code == 0 && loopback_only && !sock_addr_is_loopback(&addr)) {
        code = err_set(err, ERR_PERMISSION,
                       "the admin API speaks no TLS and may only listen on a loopback address, not "
                       "on %s",
                       text);
    }
    if (code == 0)
        code = sock_listen(&addr, BACKLOG, false, 0600, ret_fd, err);
    return code;
}

static int
open_listeners(struct daemon *daemon, struct err *err)
{
    struct sock_addr addr; /* for its size */
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

static void
upkeep_failed(const char *what, const struct err *err, void *user)
{
    (void)user;
    LOG_ERROR("the ledger's upkeep failed and will try again", LOG_C("what", what), LOG_E(err));
}

static void
clock_stepped(int64_t step_ms, void *user)
{
    (void)user;
    LOG_WARN("the wall clock was set; no usage record is deleted for a day",
             LOG_I("by_ms", step_ms));
}

static int
new_upkeep(struct daemon *daemon, struct err *err)
{
    const char *text = daemon->options->usage_retention;
    uint64_t kept_ms = UPKEEP_RETENTION_MS;
    struct upkeep_conf conf = {.loop = daemon->loop,
                               .ledger = daemon->ledger,
                               .failed = upkeep_failed,
                               .stepped = clock_stepped};
    if (text && str_eq(str_from(text), STR("forever")))
        conf.retention_ms = -1;
    else if (text && (num_duration_ms(str_from(text), INT64_MAX, &kept_ms) < 0 ||
                      kept_ms < UPKEEP_RETENTION_MS_MIN))
        return err_set(err, ERR_INVALID,
                       "--usage-retention wants at least 35d, or \"forever\", not '%s'", text);
    else
        conf.retention_ms = (int64_t)kept_ms;
    return upkeep_new(&conf, &daemon->upkeep, err);
}

static int
seal_secrets(struct daemon *daemon, struct err *err)
{
    size_t count = 0;
    store_set_seal(daemon->store, daemon->datadir.seal);
    int code = object_seal_all(daemon->store, &count, err);
    if (code == 0 && count > 0)
        LOG_INFO("secrets that were stored in plain are sealed now", LOG_U("count", count));
    return code;
}

static int
open_store(struct daemon *daemon, struct err *err)
{
    int code = payments_open(daemon->options, &daemon->payments, err);
    const struct ledger_config config = {.fee_bps = daemon->payments.fee_bps};
    if (code == 0)
        code = loop_new(&daemon->loop, err);
    if (code == 0)
        code = store_open(daemon->datadir.store, daemon->loop, &daemon->store, err);
    if (code == 0)
        code = seal_secrets(daemon, err);
    if (code == 0)
        code = ledger_new(daemon->store, &config, &daemon->ledger, err);
    if (code == 0)
        code = bootstrap(daemon->store, daemon->options->offline_sim, &daemon->providers, err);
    if (code == 0)
        code = new_upkeep(daemon, err);
    return code;
}

static int
open_tls(struct daemon *daemon, struct err *err)
{
    char cert[DATADIR_PATH_BYTES + 256];
    char key[DATADIR_PATH_BYTES + 256];
    char ca[DATADIR_PATH_BYTES + 256];
    const char *pki = daemon->datadir.pki;
    (void)snprintf(cert, sizeof cert, "%s/%s.crt", pki, daemon->options->server_name);
    (void)snprintf(key, sizeof key, "%s/%s.key", pki, daemon->options->server_name);
    (void)snprintf(ca, sizeof ca, "%s/ca.crt", pki);
    const struct tls_server_conf conf = {
        .cert_file = cert,
        .key_file = key,
        .client_ca_file = ca,
        .alpn_h2 = true,
        .internal = true,
    };
    return tls_server_new(&conf, &daemon->tls, err);
}

static bool
price_of(void *user, struct str model, int64_t ret_pico[USAGE_CLASS_COUNT])
{
    const struct daemon *daemon = user;
    return payments_price(daemon->engine, model, ret_pico);
}

static void
invoice_failed(void *user, struct str wallet, const struct err *err)
{
    (void)user;
    LOG_ERROR("no invoice or allowance was made", LOG_S("wallet", wallet), LOG_E(err));
}

static int
new_billing(struct daemon *daemon, struct err *err)
{
    struct billing_conf conf = {
        .store = daemon->store,
        .ledger = daemon->ledger,
        .server = daemon->engine->server,
        .markup_bps = daemon->payments.markup_bps,
        .fee_bps = daemon->payments.fee_bps,
        .loop = daemon->loop,
        .price = price_of,
        .failed = invoice_failed,
        .user = daemon,
    };
    for (size_t i = 0; i < WEBHOOK_COUNT; i++)
        conf.secrets[i] = daemon->payments.secrets[i];
    int code = billing_new(&conf, &daemon->billing, err);
    return code == 0 ? billing_start(daemon->billing, err) : code;
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
new_push(struct daemon *daemon, struct err *err)
{
    struct push_conf conf = {.loop = daemon->loop, .tls = daemon->tls, .ledger = daemon->ledger};
    const char *lease = daemon->options->validity_lease;
    uint64_t lease_ms = PUSH_LEASE_MS;
    if (lease &&
        (num_duration_ms(str_from(lease), LEASE_MS_MAX, &lease_ms) < 0 || lease_ms < LEASE_MS_MIN))
        return err_set(err, ERR_INVALID, "--validity-lease wants 1s to 1h, not '%s'", lease);
    conf.lease_ms = (uint32_t)lease_ms;
    const char *orphan = daemon->options->orphan_lease;
    if (orphan && (num_duration_ms(str_from(orphan), INT64_MAX, &conf.orphan_ms) < 0 ||
                   conf.orphan_ms < 2 * lease_ms))
        return err_set(err, ERR_INVALID,
                       "--orphan-lease wants at least two validity leases (%llu ms), not '%s'",
                       2 * (unsigned long long)lease_ms, orphan);
    return push_new(&conf, &daemon->push, err);
}

/* The simulator's models are the catalogue's: it is only asked when somebody says so. */
static int
new_discover(struct daemon *daemon, struct err *err)
{
    const char *text = daemon->options->discovery_interval;
    struct discover_conf conf = {.engine = daemon->engine,
                                 .interval_ms =
                                     daemon->options->offline_sim ? 0 : DISCOVER_INTERVAL_MS};
    if (text && str_eq(str_from(text), STR("off")))
        conf.interval_ms = 0;
    else if (text && (num_duration_ms(str_from(text), INT64_MAX, &conf.interval_ms) < 0 ||
                      conf.interval_ms < DISCOVERY_MS_MIN))
        return err_set(err, ERR_INVALID,
                       "--discovery-interval wants at least 1m, or \"off\", not '%s'", text);
    return discover_new(&conf, &daemon->discover, err);
}

static int
read_tokens(const char *text, bool *ret_tags, struct err *err)
{
    *ret_tags = text && str_eq(str_from(text), STR("tag"));
    if (text && !*ret_tags && !str_eq(str_from(text), STR("strict")))
        return err_set(err, ERR_INVALID, "--container-tokens wants strict or tag, not '%s'", text);
    return 0;
}

static int
wire(struct daemon *daemon, struct err *err)
{
    struct snapshot_settings settings = SNAPSHOT_SETTINGS_DEFAULT;
    settings.markup_bps = daemon->payments.markup_bps;
    int code = read_tokens(daemon->options->container_tokens, &settings.container_tags, err);
    if (code == 0)
        code = new_push(daemon, err);
    if (code < 0)
        return code;
    const struct engine_conf engine_conf = {
        .loop = daemon->loop,
        .store = daemon->store,
        .ledger = daemon->ledger,
        .keyring = &daemon->datadir.keyring,
        .settings = settings,
        .ops = &push_engine_ops,
        .user = daemon->push,
    };
    code = engine_new(&engine_conf, &daemon->engine, err);
    if (code == 0)
        code = new_discover(daemon, err);
    if (code == 0)
        code = new_billing(daemon, err);
    if (code == 0)
        code = push_start(daemon->push, daemon->engine, daemon->planes_fd, err);
    if (code < 0)
        return code;
    const struct admin_conf admin_conf = {
        .loop = daemon->loop,
        .engine = daemon->engine,
        .ledger = daemon->ledger,
        .billing = daemon->billing,
        .token = daemon->datadir.admin_token,
        .version = BERTH_VERSION,
        .backup_file = daemon->datadir.backup,
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
    billing_free(&daemon->billing);
    push_free(&daemon->push);
    discover_free(&daemon->discover);
    engine_free(&daemon->engine);
    upkeep_free(&daemon->upkeep);
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
    payments_close(&daemon->payments);
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
