/* SPDX-License-Identifier: MIT
 * version.c - berth version: of this program and of the running stack.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: a stack that does not run is no failure. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"

int
command_version(struct cli *cli)
{
    const struct tree *reply = NULL;
    struct err err = {0};
    long status = 0;
    if (!cli_begin(cli, NULL, 0, 0, 0))
        return cli->exit;
    const struct client_call call = {
        .method = "GET", .path = "/version", .body = STR_EMPTY, .timeout_ms = 2000};
    bool runs = client_try(cli, &call, &status, &reply, &err) == 0 && status == 200;
    struct str server = runs ? cli_text(reply, "version") : STR_EMPTY;
    if (cli->output == CLI_TABLE) {
        (void)printf("berth %s\n", CLI_VERSION);
        (void)printf("control plane %.*s\n", STR_ARG(server.len > 0 ? server : STR("not running")));
        return CLI_DONE;
    }
    struct tree *root = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
    struct tree *mine = tree_new(&cli->arena, TREE_STRING, STR(CLI_VERSION));
    struct tree *its = tree_new(&cli->arena, server.len > 0 ? TREE_STRING : TREE_NULL, server);
    if (root == NULL || mine == NULL || its == NULL)
        return cli_fail("out of memory");
    tree_append(root, STR("version"), mine);
    tree_append(root, STR("controlplane"), its);
    return cli_print(cli, root);
}
