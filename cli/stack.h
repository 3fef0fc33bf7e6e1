/* SPDX-License-Identifier: MIT
 * stack.h - the daemons of one host: where their files, ports and programs are, what each is told.
 * Floor: cli; main thread.
 * Owns: the children; strings live in the arena of struct cli.
 * Invariant: only the control plane sees the environment with provider keys. stack_test.c. */
#ifndef BERTH_CLI_STACK_H
#define BERTH_CLI_STACK_H

#include "cli/child.h"
#include "cli/cli.h"

#define STACK_PORT_DEFAULT 4180u

/* In the order of starting. */
enum stack_part { STACK_SIM, STACK_CONTROLPLANE, STACK_DATAPLANE, STACK_AGENT, STACK_COUNT };
/* Offsets to the first port. */
enum stack_port {
    STACK_PORT_CONTAINERS = 0,
    STACK_PORT_KEYS = 1,
    STACK_PORT_HEALTH = 2,
    STACK_PORT_NODES = 3,
    STACK_PORT_ADMIN = 4,
    STACK_PORT_SIM = 10
};

struct stack {
    struct cli *cli;
    uint16_t port;      /* the first */
    const char *listen; /* host of the listener for API keys */
    bool offline;       /* the simulator stands in for providers */
    bool no_agent;
    bool release; /* identities end with the agent */
    bool log_stderr;
    bool wanted[STACK_COUNT];
    struct child children[STACK_COUNT];
};

/* stack_port_parse - value of --port (NULL = default). Returns an exit code. */
int stack_port_parse(const struct cli *cli, const char *text, uint16_t *ret_port);
/* stack_open - make the data directory and its folders; cli->data becomes absolute. */
int stack_open(struct stack *stack, struct err *err) MUST_USE;
/* stack_plan - words and environment of one child; again after `offline` changed. */
int stack_plan(struct stack *stack, enum stack_part part, struct err *err) MUST_USE;
uint16_t stack_port(const struct stack *stack, enum stack_port port);
/* stack_program - path of berth-NAME beside this program, or in PATH; NULL when it is nowhere. */
const char *stack_program(struct cli *cli, const char *name);
/* stack_plain_env - our environment without anything that may be a secret. */
const char *const *stack_plain_env(struct cli *cli);
/* stack_may_attest - root with CAP_SYS_ADMIN and CAP_NET_ADMIN? ret_root: root at all? */
bool stack_may_attest(bool *ret_root);

#endif
