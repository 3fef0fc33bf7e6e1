/* SPDX-License-Identifier: MIT
 * command.c - see command.h.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see command.h. */
#include "cli/command.h"

static const struct command commands[] = {
#define COMMAND_ROW(name_, usage_, summary_, help_) \
    {.name = #name_, .usage = usage_, .summary = summary_, .help = help_, .run = command_##name_},
#define COMMAND_ROW_AS(name_, word_, usage_, summary_, help_) \
    {.name = word_, .usage = usage_, .summary = summary_, .help = help_, .run = command_##name_},
#include "cli/commands.def"
#undef COMMAND_ROW
};

static const char common[] =
    "\nFor every command\n"
    "  -o table|json|yaml   output (default table)\n"
    "  --data DIR           data directory of the stack: BERTH_DATA, /var/lib/berth for root,\n"
    "                       ~/.local/share/berth otherwise; its socket is asked by default\n"
    "  --server URL         ask this admin API instead (BERTH_SERVER)\n"
    "  --token-file FILE    with the admin token of this file (BERTH_TOKEN_FILE; default\n"
    "                       DATA/controlplane/admin.token)\n"
    "Exit code: 0 done, 1 failed, 2 wrong usage.\n";

const struct command *
command_at(size_t index)
{
    return index < ARRAY_LEN(commands) ? &commands[index] : NULL;
}

const struct command *
command_find(const char *name, const char **ret_nearest)
{
    static const char *const others[][2] = {{"ls", "get"},        {"list", "get"}, {"ps", "nodes"},
                                            {"rm", "delete"},     {"start", "up"}, {"stop", "down"},
                                            {"doctor", "status"}, {"log", "logs"}};
    unsigned best = str_near_max(str_from(name)) + 1u;
    *ret_nearest = NULL;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
        unsigned distance = str_distance(str_from(name), str_from(commands[i].name));
        if (distance < best) {
            best = distance;
            *ret_nearest = commands[i].name;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(name, others[i][0]) == 0)
            *ret_nearest = others[i][1];
    }
    return NULL;
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Of "show|deposit|... [WALLET]": words in small letters that are no option. */
struct str
command_verb(const char **at)
{
    const char *from = *at;
    while (*from != '\0') {
        size_t length = 0;
        while (is_lower(from[length]) ||
               (length > 0 && from[length] == '-' && is_lower(from[length + 1])))
            length++;
        if (from[0] == '-' || strncmp(from, "options", 7) == 0) {
            from += strcspn(from, " ]|");
            from += *from != '\0';
            continue;
        }
        *at = from + (length > 0 ? length : 1);
        if (length > 0)
            return str_make(from, length);
        from = *at;
    }
    *at = from;
    return STR_EMPTY;
}

void
command_print_help(const struct command *command, FILE *out)
{
    (void)fprintf(out, "berth %s - %s\n\nUsage: berth %s %s\n\n%s%s", command->name,
                  command->summary, command->name, command->usage, command->help, common);
}

void
command_print_all(FILE *out)
{
    (void)fputs("berth - a gateway to every model; containers call it without holding a key\n\n"
                "Usage: berth COMMAND ... (berth COMMAND --help shows options and examples)\n\n",
                out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        (void)fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].summary);
    (void)fputs("\nStart: berth up            (BERTH_LOG=debug shows more)\n"
                "Then:  berth get containers, berth models, berth wallet show, berth usage\n"
                "Exit code: 0 done, 1 failed, 2 wrong usage.\n",
                out);
}
