/* SPDX-License-Identifier: MIT
 * main.c - berth: find the command, run it.
 * Floor: cli; main thread.
 * Owns: struct cli.
 * Invariant: what was printed reached its reader, or the exit code is not 0. */
#include <stdio.h>

#include "cli/command.h"

static int
unknown(const struct cli *cli, const char *word, const char *nearest)
{
    return cli_usage(cli, "unknown command '%s'%s%s", word,
                     nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
}

static int
run(struct cli *cli, int argc, char **argv)
{
    const char *nearest = NULL;
    if (argc < 2) {
        command_print_all(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        cli->command = argc > 2 ? command_find(argv[2], &nearest) : NULL;
        if (argc > 2 && cli->command == NULL)
            return unknown(cli, argv[2], nearest);
        if (cli->command != NULL)
            command_print_help(cli->command, stdout);
        else
            command_print_all(stdout);
        return CLI_DONE;
    }
    cli->command = command_find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1], &nearest);
    if (cli->command == NULL && argv[1][0] == '-')
        return cli_usage(cli, "options stand behind the command, as in berth get wallets -o json");
    if (cli->command == NULL)
        return unknown(cli, argv[1], nearest);
    cli->argc = argc - 2;
    cli->argv = argv + 2;
    return cli->command->run(cli);
}

int
main(int argc, char **argv)
{
    static struct cli cli;
    cli_init(&cli);
    int exit_code = run(&cli, argc, argv);
    cli_fini(&cli);
    if (fflush(stdout) != 0 && exit_code == CLI_DONE)
        exit_code = cli_fail("the output could not be written");
    return exit_code;
}
