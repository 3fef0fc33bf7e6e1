/* SPDX-License-Identifier: MIT
 * delete.c - berth delete: delete objects.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: the first failure stops it, and says so. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/keyfile.h"
#include "cli/kind.h"

int
command_delete(struct cli *cli)
{
    if (!cli_begin(cli, NULL, 0, 2, CLI_NAMES_MAX))
        return cli->exit;
    const struct kind *kind = kind_find(cli, cli->names[0]);
    if (kind == NULL)
        return CLI_USAGE;
    for (size_t i = 1; i < cli->name_count; i++) {
        const struct tree *reply = NULL;
        const struct client_call call = {
            .method = "DELETE", .path = kind_path(cli, kind, cli->names[i]), .body = STR_EMPTY};
        int code = client_run(cli, &call, &reply);
        if (code != CLI_DONE)
            return code;
        if (kind->id == KIND_API_KEY)
            keyfile_remove(cli, str_from(cli->names[i]));
        if (cli->output == CLI_TABLE)
            (void)printf("%s %s deleted\n", kind->name, cli->names[i]);
        else if (cli_print(cli, reply) != CLI_DONE)
            return CLI_FAILED;
    }
    return CLI_DONE;
}
