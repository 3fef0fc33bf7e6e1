/* SPDX-License-Identifier: MIT
 * completion.c - berth completion: what a shell may offer behind `berth`.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: commands, verbs and options are those of commands.def: nothing is listed twice by
 * hand. e2e/newuser.sh. */
#include <stdio.h>

#include "cli/command.h"
#include "lib/base/check.h"

static const char kinds[] =
#define KIND_ROW(name_, title_, plural_, text_) plural_ " "
#include "api/schema/kinds.def"
#undef KIND_ROW
    ;

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static void
put_verbs(const char *usage)
{
    struct str verb;
    if (strncmp(usage, "KIND", 4) == 0)
        (void)fputs(kinds, stdout);
    while ((verb = command_verb(&usage)).len > 0)
        (void)printf("%.*s ", STR_ARG(verb));
}

/* Each "--wallet" that the help explains; a shell offers one that comes twice once. */
static void
put_options(const char *help)
{
    size_t end = (size_t)(strstr(help, "Examples\n") - help);
    for (size_t at = 0; at < end; at++) {
        size_t length = 2;
        if (strncmp(help + at, "--", 2) != 0 || !is_lower(help[at + 2]))
            continue;
        while (is_lower(help[at + length]) || help[at + length] == '-')
            length++;
        (void)printf("%.*s ", (int)length, help + at);
        at += length;
    }
}

static void
put_words(const struct command *command)
{
    put_verbs(command->usage);
    put_options(command->help);
    (void)fputs("-o --data --server --token-file --help", stdout);
}

static void
put_commands(void)
{
    for (size_t i = 0; command_at(i) != NULL; i++)
        (void)printf("%s ", command_at(i)->name);
}

static void
bash(void)
{
    (void)fputs(
        "_berth() {\n"
        "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words\n"
        "  case $before in\n"
        "  -o | --output) words='table json yaml csv' ;;\n"
        "  -f | --file | --filename | --data | --out | --pdf | --key-file | --token-file) words= "
        ";;\n"
        "  *) case $([[ $COMP_CWORD == 1 ]] || echo \"${COMP_WORDS[1]}\") in\n"
        "    '' | help) words='help ",
        stdout);
    put_commands();
    (void)fputs("' ;;\n", stdout);
    for (size_t i = 0; command_at(i) != NULL; i++) {
        (void)printf("    %s) words='", command_at(i)->name);
        put_words(command_at(i));
        (void)fputs("' ;;\n", stdout);
    }
    (void)fputs("    esac ;;\n"
                "  esac\n"
                "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                "}\n"
                "complete -o default -F _berth berth\n",
                stdout);
}

static void
fish(void)
{
    for (size_t i = 0; command_at(i) != NULL; i++) {
        const struct command *command = command_at(i);
        (void)printf("complete -c berth -n __fish_use_subcommand -a %s\n", command->name);
        (void)printf("complete -c berth -n '__fish_seen_subcommand_from %s' -a '", command->name);
        put_words(command);
        (void)fputs("'\n", stdout);
    }
}

int
command_completion(struct cli *cli)
{
    if (!cli_begin(cli, NULL, 0, 1, 1))
        return cli->exit;
    const char *shell = cli->names[0];
    bool zsh = strcmp(shell, "zsh") == 0;
    if (strcmp(shell, "fish") == 0) {
        fish();
        return CLI_DONE;
    }
    if (!zsh && strcmp(shell, "bash") != 0)
        return cli_usage(cli, "there is no completion for '%s', but for bash, zsh and fish", shell);
    if (zsh)
        (void)fputs("autoload -U +X bashcompinit && bashcompinit\n", stdout);
    bash();
    return CLI_DONE;
}
