/* SPDX-License-Identifier: MIT
 * check.c - berth check: what would stop `berth up`, one line each.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: changes nothing. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/preflight.h"

static const char *const levels[] = {"ok", "note", "STOP"};

static int
print_document(struct cli *cli, const struct preflight *preflight)
{
    struct tree *list = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    for (size_t i = 0; i < preflight->count && list != NULL; i++) {
        const struct preflight_finding *finding = &preflight->findings[i];
        struct tree *row = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
        struct tree *what = tree_new(&cli->arena, TREE_STRING, str_from(finding->what));
        struct tree *level = tree_new(&cli->arena, TREE_STRING, str_from(levels[finding->level]));
        struct tree *text = tree_new(&cli->arena, TREE_STRING, str_from(finding->text));
        if (row == NULL || what == NULL || level == NULL || text == NULL)
            return cli_fail("out of memory");
        tree_append(row, STR("what"), what);
        tree_append(row, STR("level"), level);
        tree_append(row, STR("message"), text);
        tree_append(list, STR_EMPTY, row);
    }
    return list != NULL ? cli_print(cli, list) : cli_fail("out of memory");
}

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
    if (cli->output != CLI_TABLE && print_document(cli, &preflight) != CLI_DONE)
        return CLI_FAILED;
    for (size_t i = 0; i < preflight.count && cli->output == CLI_TABLE; i++)
        (void)printf("%-5s %-11s %s\n", levels[preflight.findings[i].level],
                     preflight.findings[i].what, preflight.findings[i].text);
    return preflight_first_stop(&preflight) == NULL ? CLI_DONE : CLI_FAILED;
}
