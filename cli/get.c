/* SPDX-License-Identifier: MIT
 * get.c - berth get: list objects, or read one.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: none of its own. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/kind.h"

int
command_get(struct cli *cli)
{
    const struct tree *reply = NULL;
    if (!cli_begin(cli, NULL, 0, 1, 2))
        return cli->exit;
    const struct kind *kind = kind_find(cli, cli->names[0]);
    if (kind == NULL)
        return CLI_USAGE;
    const char *name = cli->name_count > 1 ? cli->names[1] : NULL;
    int code = client_get(cli, kind_path(cli, kind, name), &reply);
    if (code != CLI_DONE)
        return code;
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    struct tree single = {.kind = TREE_LIST, .count = 1};
    struct tree only = *reply;
    only.next = NULL;
    single.first = &only;
    return kind_print_list(kind, name != NULL ? &single : tree_get(reply, STR("items")));
}
