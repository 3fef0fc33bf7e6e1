/* SPDX-License-Identifier: MIT
 * command.h - the table of commands: one row and one file a command.
 * Floor: cli; main thread.
 * Owns: nothing; static rows from commands.def.
 * Invariant: each row has help with an example: cli_test.c. */
#ifndef BERTH_CLI_COMMAND_H
#define BERTH_CLI_COMMAND_H

#include <stdio.h>

#include "cli/cli.h"

typedef int (*command_fn)(struct cli *cli);

struct command {
    const char *name;
    const char *usage;   /* words behind the name */
    const char *summary; /* one line */
    const char *help;    /* options and examples */
    command_fn run;      /* returns an exit code */
};

/* command_at - row `index`, or NULL behind the last. */
const struct command *command_at(size_t index);
/* command_find - by name; NULL and the nearest name (or NULL) when there is none. */
const struct command *command_find(const char *name, const char **ret_nearest);
/* command_verb - the verbs in a command's usage, one a call: *at starts at command->usage;
 * STR_EMPTY behind the last. */
struct str command_verb(const char **at);
void command_print_help(const struct command *command, FILE *out);
void command_print_all(FILE *out);

/* One function a row, in cli/NAME.c. */
#define COMMAND_ROW(name_, usage_, summary_, help_) int command_##name_(struct cli *cli) MUST_USE;
#include "cli/commands.def"
#undef COMMAND_ROW

#endif
