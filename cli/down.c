/* SPDX-License-Identifier: MIT
 * down.c - berth down: stop the running stack of a data directory.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: signals only the process that holds the data directory's lock. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/preflight.h"

#define STOP_MS 15000

int
command_down(struct cli *cli)
{
    struct err err = {0};
    int lock = -1;
    int pid = 0;
    if (!cli_begin(cli, NULL, 0, 0, 0))
        return cli->exit;
    if (access(cli_path(cli, "run/up.lock"), F_OK) != 0)
        return cli_fail("Berth does not run with the data directory %s", cli->data);
    if (preflight_lock(cli, false, &lock, &pid, &err) != 0)
        return cli_fail("%s", err.text);
    if (lock >= 0) {
        (void)close(lock);
        return cli_fail("Berth does not run with the data directory %s", cli->data);
    }
    if (pid <= 1)
        return cli_fail("Berth is just starting or stopping; try again");
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    /* asked again behind the pidfd: the number still means the holder of the lock */
    int again = 0;
    bool held = process >= 0 && preflight_lock(cli, false, &lock, &again, &err) == 0 && lock < 0 &&
                again == pid;
    if (lock >= 0)
        (void)close(lock);
    if (!held) {
        if (process >= 0)
            (void)close(process);
        return cli_fail("Berth stopped meanwhile");
    }
    if (kill(pid, SIGTERM) != 0) {
        (void)close(process);
        return cli_fail("cannot stop process %d: %s", pid, strerror(errno));
    }
    struct pollfd wait = {.fd = process, .events = POLLIN};
    int ended = poll(&wait, 1, STOP_MS);
    (void)close(process);
    if (ended != 1)
        return cli_fail("process %d still runs after %d s; see berth logs", pid, STOP_MS / 1000);
    if (cli->output == CLI_TABLE)
        (void)printf("Berth stopped\n");
    return CLI_DONE;
}
