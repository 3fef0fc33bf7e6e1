/* SPDX-License-Identifier: MIT
 * main.c - berth-controlplane: flags in, exit code out.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing.
 * Invariant: exit 0 after a signal, 1 with one sentence on stderr, 2 for wrong usage, 78
 *            (EX_CONFIG) for an unsafe configuration. */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/print.h"
#include "lib/base/log.h"
#include "lib/base/thread.h"

/* Keys live in this process: no core files, no new privileges. */
static void
harden(void)
{
    const struct rlimit none = {0, 0};
    umask(077);
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        LOG_WARN("hardening of the process is incomplete");
}

int
main(int argc, char **argv)
{
    struct flags options = {0};
    struct err err = {0};
    log_setup("berth-controlplane", -1, LOG_INFO);
    /* Posting usage is bulk work: on a shared core it must not keep the data path waiting. */
    thread_share(getpriority(PRIO_PROCESS, 0), 100);
    if (flags_parse(argc, argv, &options, &err) < 0) {
        (void)fprintf(stderr, "berth-controlplane: %s\n", err.text);
        return 2;
    }
    if (options.help) {
        (void)fputs(flags_help, stdout);
        return 0;
    }
    if (options.print_catalogue) {
        if (print_catalogue(&err) == 0)
            return 0;
        (void)fprintf(stderr, "berth-controlplane: %s\n", err.text);
        return 1;
    }
    harden();
    int code = daemon_run(&options, &err);
    if (code == 0)
        return 0;
    (void)fprintf(stderr, "berth-controlplane: %s\n", err.text);
    return code == -ERR_PERMISSION ? EX_CONFIG : 1;
}
