/* SPDX-License-Identifier: MIT
 * nodes.c - berth nodes: connected data planes and agents.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: none of its own. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

int
command_nodes(struct cli *cli)
{
    static const char *const fields[] = {"name",           "role",        "in_sync", "acked.config",
                                         "acked.bindings", "acked.funds", "nack"};
    static const char *const headers[] = {"NODE",     "ROLE",  "IN SYNC",  "CONFIG",
                                          "BINDINGS", "FUNDS", "LAST NACK"};
    const struct tree *reply = NULL;
    struct table table;
    if (!cli_begin(cli, NULL, 0, 0, 0))
        return cli->exit;
    int code = client_get(cli, "/api/v1/nodes", &reply);
    if (code != CLI_DONE)
        return code;
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    table_init(&table);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        table_column(&table, headers[i], i >= 3 && i <= 5);
    const struct tree *nodes = tree_get(reply, STR("nodes"));
    for (const struct tree *node = nodes != NULL ? nodes->first : NULL; node; node = node->next) {
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            table_cell(&table, cli_text(node, fields[i]));
    }
    return table_print(&table);
}
