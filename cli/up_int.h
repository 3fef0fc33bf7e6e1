/* SPDX-License-Identifier: MIT
 * up_int.h - what the files of `berth up` share.
 * Floor: cli; main thread.
 * Owns: struct up, for the life of the command.
 * Invariant: none of its own. */
#ifndef BERTH_CLI_UP_INT_H
#define BERTH_CLI_UP_INT_H

#include "cli/stack.h"

struct up {
    struct stack stack;
    struct cli *cli;
    int stop_fd;  /* SIGINT, SIGTERM, SIGHUP */
    int child_fd; /* SIGCHLD */
    int lock_fd;
    int detach_fd; /* tells the process in the terminal that we are ready; -1 = none */
    bool detach;
    bool json;
    bool demo;   /* this start booked the demo deposit */
    bool no_key; /* the host's key exists, its file is gone */
    bool announced[STACK_COUNT];
    uint64_t started_ns;
    const struct tree *balances;
    struct str providers; /* "anthropic, openai" */
    size_t provider_count;
};

/* up_providers - ask the control plane which providers there are. Returns an exit code. */
int up_providers(struct up *up) MUST_USE;
/* up_seed - first start: the host's key, with the simulator also demo money; reads the balances.
 * Returns an exit code. */
int up_seed(struct up *up) MUST_USE;
/* up_wait_serving - until the data plane has a configuration. 0, -ERR_TIMEOUT, -ERR_CANCELED. */
int up_wait_serving(struct up *up, struct err *err) MUST_USE;

void up_say_ready(const struct up *up);
/* up_say - something happened to one daemon: "ended", "ready", "stopping". text: for people. */
void up_say(const struct up *up, const char *event, const char *name, const char *text);

#endif
