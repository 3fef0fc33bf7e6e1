/* SPDX-License-Identifier: MIT
 * models_changes.c - berth models changes and ack: what scans of providers found to be different.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: nothing is forgotten that was not asked for. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/models_int.h"
#include "cli/table.h"

/* PATH?provider=P&model=M, as far as they are said. */
static bool
put_path(struct buf *out, const char *path, const char *provider, struct str model)
{
    buf_put_str(out, str_from(path));
    if (provider != NULL) {
        buf_put_str(out, STR("?provider="));
        client_path_put(out, str_from(provider), false);
    }
    if (model.len > 0) {
        buf_put_str(out, provider != NULL ? STR("&model=") : STR("?model="));
        client_path_put(out, model, false);
    }
    buf_put_byte(out, '\0');
    return !out->failed;
}

int
models_changes(struct cli *cli, const char *provider)
{
    static const char *const members[] = {"at", "provider", "model", "code"};
    static const char *const titles[] = {"AT", "PROVIDER", "MODEL", "CHANGE"};
    const struct tree *reply = NULL;
    struct table table;
    struct buf path;
    buf_init(&path, 4096);
    int code = put_path(&path, "/api/v1/discovery/changes", provider, STR_EMPTY)
                   ? client_get(cli, path.ptr, &reply)
                   : cli_fail("out of memory");
    buf_fini(&path);
    if (code != CLI_DONE)
        return code;
    if (cli->output == CLI_JSON || cli->output == CLI_YAML)
        return cli_print(cli, reply);
    const struct tree *list = cli_member(reply, "changes");
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    for (size_t i = 0; i < ARRAY_LEN(titles); i++)
        table_column(&table, titles[i], false);
    for (const struct tree *row = list != NULL ? list->first : NULL; row; row = row->next) {
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
            table_cell(&table, cli_text(row, members[i]));
    }
    return table_print(&table);
}

int
models_ack(struct cli *cli, const char *provider, struct str model)
{
    const struct tree *reply = NULL;
    struct buf path;
    buf_init(&path, 4096);
    bool fits = put_path(&path, "/api/v1/discovery/changes/ack", provider, model);
    const struct client_call call = {.method = "POST", .path = path.ptr, .body = STR_EMPTY};
    int code = fits ? client_run(cli, &call, &reply) : cli_fail("out of memory");
    buf_fini(&path);
    if (code != CLI_DONE)
        return code;
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    (void)printf("%.*s acknowledged\n", STR_ARG(cli_text(reply, "acknowledged")));
    return CLI_DONE;
}
