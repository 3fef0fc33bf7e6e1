/* SPDX-License-Identifier: MIT
 * describe.c - berth describe: one object with what belongs to it.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: none of its own. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/kind.h"
#include "lib/base/check.h"

/* Path of what belongs to it, or NULL. */
static const char *
related_path(struct cli *cli, const struct kind *kind, const char *name)
{
    struct buf path;
    struct str copy = {NULL, 0};
    buf_init(&path, 4096);
    if (kind->id == KIND_WALLET)
        buf_put_str(&path, STR("/api/v1/wallet/balances?wallet="));
    else if (kind->id == KIND_CONTAINER)
        buf_put_str(&path, STR("/api/v1/usage?group=model&subject=container%2F"));
    else if (kind->id == KIND_API_KEY)
        buf_put_str(&path, STR("/api/v1/usage?group=model&subject=key%2F"));
    if (path.len > 0) {
        client_path_put(&path, str_from(name), false);
        ASSERT(arena_dup(&cli->arena, buf_str(&path), &copy) == 0);
    }
    buf_fini(&path);
    return copy.ptr;
}

int
command_describe(struct cli *cli)
{
    const struct tree *object = NULL;
    const struct tree *related = NULL;
    if (!cli_begin(cli, NULL, 0, 2, 2))
        return cli->exit;
    const struct kind *kind = kind_find(cli, cli->names[0]);
    if (kind == NULL)
        return CLI_USAGE;
    int code = client_get(cli, kind_path(cli, kind, cli->names[1]), &object);
    const char *path = related_path(cli, kind, cli->names[1]);
    if (code == CLI_DONE && path != NULL)
        code = client_get(cli, path, &related);
    if (code != CLI_DONE)
        return code;
    struct tree *both = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
    struct tree *first = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
    struct tree *second = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
    if (both == NULL || first == NULL || second == NULL)
        return cli_fail("out of memory");
    *first = *object;
    tree_append(both, STR("object"), first);
    if (related != NULL) {
        *second = *related;
        tree_append(both, kind->id == KIND_WALLET ? STR("balances") : STR("usage"), second);
    }
    return cli_print(cli, both);
}
