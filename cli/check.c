/* SPDX-License-Identifier: MIT
 * check.c - berth check: what would stop `berth up`, one line each.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: changes nothing. */
#include "cli/command.h"
#include "cli/preflight.h"

int
command_check(struct cli *cli)
{
    static struct stack stack;
    static struct preflight preflight;
    const char *port = NULL;
    bool root = false;
    const struct cli_option options[] = {{"--port", &port, NULL},
                                         {"--offline", NULL, &stack.offline},
                                         {"--no-agent", NULL, &stack.no_agent}};
    stack.cli = cli;
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 0))
        return cli->exit;
    if (stack_port_parse(cli, port, &stack.port) != CLI_DONE)
        return CLI_USAGE;
    stack.wanted[STACK_AGENT] = stack_may_attest(&root) && !stack.no_agent;
    preflight_run(&stack, &preflight);
    return preflight_print(cli, &preflight, "STOP");
}
