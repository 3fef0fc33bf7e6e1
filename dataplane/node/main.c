/* SPDX-License-Identifier: MIT
 * main.c - berth-dataplane: start, serve, drain.
 * Floor: dataplane/node; main thread.
 * Owns: the node.
 * Invariant: ready means listening; every failure to start is one sentence and exit 1 (78: unsafe).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/node/node.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"

#define SERIES_MAX 2000u
#define DRAIN_MS 10000u
#define LEAVE_MS 3000u
#define EXIT_CONFIG 78

static struct node node;
static struct loop_io signal_io;
static uint64_t started_ns;

static int
make_dirs(struct err *err)
{
    static char path[4096];
    if (mkdir(node.options.data, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", node.options.data);
    (void)snprintf(path, sizeof(path), "%s/journal", node.options.data);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, errno, "cannot make %s", path);
    (void)snprintf(path, sizeof(path), "%s/config.json", node.options.data);
    node.last_good = path;
    return 0;
}

static int
listen_all(const char *const *addresses, uint32_t count, int **ret_fds, uint32_t *ret_count,
           struct err *err)
{
    int *fds = calloc(count + 1u, sizeof(*fds));
    if (fds == NULL)
        return err_set(err, ERR_NOMEM, "no memory for listeners");
    *ret_fds = fds;
    for (uint32_t i = 0; i < count; i++) {
        struct sock_addr addr;
        int rc = sock_addr_parse(str_from(addresses[i]), &addr, err);
        if (rc == 0)
            rc = sock_listen(&addr, 4096, false, 0660, &fds[i], err);
        if (rc != 0)
            return rc;
        *ret_count = i + 1;
    }
    return 0;
}

static void
read_boot(void)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL)
        return;
    if (fgets(node.boot, (int)sizeof(node.boot), file) != NULL)
        node.boot[strcspn(node.boot, "\n")] = '\0';
    (void)fclose(file);
}

static void
on_signal(struct loop_io *io, uint32_t events)
{
    struct signalfd_siginfo info;
    (void)events;
    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        LOG_INFO("stopping", LOG_U("signal", info.ssi_signo));
        loop_stop(node.loop);
    }
}

/* Before any thread: they inherit the mask. */
static int
signals_start(struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    signal_io =
        (struct loop_io){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal};
    if (signal_io.fd < 0 || loop_add(node.loop, &signal_io, true) != 0)
        return err_set(err, ERR_SYSTEM, "cannot watch signals");
    return 0;
}

static void
raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct rlimit core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &core);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

static int
start(struct err *err)
{
    const struct options *o = &node.options;
    node.worker_count = o->workers;
    rand_bytes(&node.epoch, sizeof(node.epoch));
    node.epoch >>= 1; /* fits a signed 64-bit everywhere */
    list_init(&node.uploads);
    funds_init(&node.funds);
    trust_init(&node.trust);
    read_boot();
    raise_limits();
    int rc = make_dirs(err);
    if (rc == 0)
        rc = live_init(&node.live, node.worker_count, &node.funds);
    if (rc == 0)
        rc = metrics_new(worker_metric_defs, DATAPLANE_METRIC_COUNT, SERIES_MAX, &node.metrics);
    if (rc == 0)
        rc = loop_new(&node.loop, err);
    if (rc == 0)
        rc = signals_start(err);
    if (rc == 0)
        rc = listen_all(o->listen, o->listen_count, &node.listen_fds, &node.listen_count, err);
    if (rc == 0)
        rc = listen_all(o->listen_tls, o->listen_tls_count, &node.tls_fds, &node.tls_count, err);
    if (rc == 0 && o->listen_tls_count > 0) {
        struct tls_server_conf conf = {
            .cert_file = o->tls_cert, .key_file = o->tls_key, .alpn_h2 = true};
        rc = tls_server_new(&conf, &node.tls, err);
    }
    if (rc == 0)
        rc = node_admin_start(&node, err);
    node.workers = rc == 0 ? calloc(node.worker_count, sizeof(*node.workers)) : NULL;
    if (rc == 0 && node.workers == NULL)
        rc = err_set(err, ERR_NOMEM, "no memory for workers");
    if (rc == 0)
        rc = node_workers_start(&node, err);
    if (rc == 0)
        rc = node_sync_start(&node, err);
    if (rc == 0)
        rc = node_handoff_start(&node, err);
    return rc;
}

static void
stop(void)
{
    node_handoff_stop(&node);
    node_workers_drain(&node, DRAIN_MS);
    node_upload_leave(&node, LEAVE_MS);
    node_sync_stop(&node);
    node_workers_join(&node);
    node_admin_stop(&node);
    loop_remove(node.loop, &signal_io);
    (void)close(signal_io.fd);
    free(node.listen_fds);
    free(node.tls_fds);
    free(node.workers);
    tls_context_free(&node.tls);
    live_fini(&node.live);
    funds_fini(&node.funds);
    trust_fini(&node.trust);
    metrics_free(&node.metrics);
    loop_free(&node.loop);
}

int
main(int argc, char **argv)
{
    struct err err = {0};
    started_ns = clock_mono_ns();
    log_setup("dataplane", -1, LOG_INFO);
    if (options_parse(argc, argv, &node.options, &err) != 0) {
        (void)fprintf(stderr, "berth-dataplane: %s\n", err.text);
        return 1;
    }
    if (node.options.help) {
        (void)fputs(options_help, stdout);
        return 0;
    }
    int rc = start(&err);
    if (rc != 0) {
        (void)fprintf(stderr, "berth-dataplane: %s\n", err.text);
        return rc == -ERR_PERMISSION ? EXIT_CONFIG : 1;
    }
    (void)printf("{\"ready\":true,\"program\":\"berth-dataplane\",\"start_ms\":%llu}\n",
                 (unsigned long long)((clock_mono_ns() - started_ns) / 1000000u));
    (void)fflush(stdout);
    loop_run(node.loop);
    stop();
    return 0;
}
