/* SPDX-License-Identifier: MIT
 * main.c - berth-load: read the command line, run, report.
 * Floor: tools/load, program; one thread.
 * Owns: the loop.
 * Invariant: exit 0 only when every answer was whole and 2xx; 2 for a wrong command line. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/load/load.h"

static struct load load;
static struct loop_io signal_io;

static void
on_signal(struct loop_io *io, uint32_t events)
{
    struct signalfd_siginfo info;
    (void)events;
    if (read(io->fd, &info, sizeof(info)) > 0)
        load_stop(&load);
}

static int
watch_signals(struct loop *loop, struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    signal_io =
        (struct loop_io){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal};
    if (signal_io.fd < 0 || loop_add(loop, &signal_io, true) != 0)
        return err_set(err, ERR_SYSTEM, "cannot watch signals");
    return 0;
}

static void
raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int
run(const struct options *options)
{
    struct loop *loop = NULL;
    struct err err = {0};
    raise_limits();
    int rc = loop_new(&loop, &err);
    if (rc == 0)
        rc = watch_signals(loop, &err);
    if (rc == 0)
        rc = load_run(&load, options, loop, &err);
    if (rc == 0)
        report_result(&load);
    else
        (void)fprintf(stderr, "berth-load: %s\n", err.text);
    load_fini(&load);
    if (loop != NULL)
        loop_remove(loop, &signal_io);
    if (signal_io.fd >= 0)
        (void)close(signal_io.fd);
    loop_free(&loop);
    const struct load_counts *counts = &load.counts;
    return rc != 0 || counts->bad + counts->failed + counts->unfinished + counts->late > 0;
}

int
main(int argc, char **argv)
{
    static struct options options;
    struct err err = {0};
    int code = 2;
    signal_io.fd = -1;
    if (options_parse(argc - 1, argv + 1, &options, &err) != 0)
        (void)fprintf(stderr, "berth-load: %s\n", err.text);
    else if (options.help)
        code = fputs(options_help, stdout) < 0;
    else
        code = run(&options);
    options_fini(&options);
    return code;
}
