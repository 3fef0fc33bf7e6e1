/* SPDX-License-Identifier: MIT
 * models.c - berth models: what can be called now, with prices.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: the key is read from a 0600 file. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/base/secret.h"
#include "lib/http/fetch.h"

static int
fetch_models(struct cli *cli, const char *url, const char *key_file, const struct tree **ret_reply)
{
    CLEANUP(secret_free) struct secret *key = NULL;
    struct err err = {0};
    char address[2048];
    char authorization[512];
    const char *fields[] = {authorization, NULL};
    struct buf reply;
    struct str text = STR_EMPTY;
    struct tree *root = NULL;
    long status = 0;
    if (secret_read_file(key_file, &key, &err) != 0)
        return cli_fail("%s", err.text);
    (void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %.*s",
                   STR_ARG(secret_str(key)));
    (void)snprintf(address, sizeof(address), "%s/v1/models", url);
    const struct fetch fetch = {
        .method = "GET", .url = address, .fields = fields, .body = STR_EMPTY};
    buf_init(&reply, CLI_REPLY_BYTES_MAX);
    int rc = fetch_run(&fetch, &status, &reply, &err);
    secret_wipe(authorization, sizeof(authorization));
    if (rc == 0)
        rc = arena_dup(&cli->arena, buf_str(&reply), &text);
    if (rc == 0)
        rc = tree_from_json(text, &cli->arena, &root, &err);
    buf_fini(&reply);
    if (rc != 0)
        return cli_fail("%s does not list models: %s", url, err.text);
    if (status != 200)
        return cli_fail("%s: %.*s", url, STR_ARG(cli_text(root, "error.message")));
    *ret_reply = root;
    return CLI_DONE;
}

/* The entries whose id has `wanted` in it, in any case of letters. */
static struct tree *
matching(struct cli *cli, const struct tree *data, struct str wanted)
{
    struct tree *kept = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    for (const struct tree *model = data != NULL ? data->first : NULL; model != NULL && kept;
         model = model->next) {
        struct str id = cli_text(model, "id");
        struct tree *copy = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
        bool found = wanted.len == 0;
        for (size_t at = 0; !found && at + wanted.len <= id.len; at++)
            found = str_eq_nocase(str_make(id.ptr + at, wanted.len), wanted);
        if (copy == NULL || !found)
            continue;
        *copy = *model;
        copy->next = NULL;
        tree_append(kept, STR_EMPTY, copy);
    }
    return kept;
}

static int
show(struct cli *cli, const struct tree *data, struct str id)
{
    struct str near = STR_EMPTY;
    unsigned best = 1u + (unsigned)id.len / 3u;
    for (const struct tree *model = data != NULL ? data->first : NULL; model; model = model->next) {
        struct str known = cli_text(model, "id");
        if (str_eq(known, id)) {
            return cli_print(cli, model);
        }
        unsigned far = str_distance(known, id);
        if (far <= best) {
            best = far;
            near = known;
        }
    }
    if (near.len > 0)
        return cli_fail("no model %.*s can be called; did you mean %.*s?", STR_ARG(id),
                        STR_ARG(near));
    return cli_fail("no model %.*s can be called; berth models search TEXT finds some",
                    STR_ARG(id));
}

static int
print_models(struct cli *cli, const struct tree *models)
{
    struct table table;
    if (models == NULL)
        return cli_fail("out of memory");
    if (cli->output != CLI_TABLE)
        return cli_print(cli, models);
    table_init(&table);
    table_column(&table, "MODEL", false);
    table_column(&table, "CONTEXT", true);
    table_column(&table, "INPUT USD/M", true);
    table_column(&table, "OUTPUT USD/M", true);
    for (const struct tree *model = models->first; model != NULL; model = model->next) {
        table_cell(&table, cli_text(model, "id"));
        table_cell(&table, cli_text(model, "context_length"));
        table_cell(&table, cli_text(model, "pricing_per_million.input"));
        table_cell(&table, cli_text(model, "pricing_per_million.output"));
    }
    return table_print(&table);
}

int
command_models(struct cli *cli)
{
    const char *url = NULL;
    const char *key_file = NULL;
    const struct tree *reply = NULL;
    const struct cli_option options[] = {{"--url", &url, NULL}, {"--key-file", &key_file, NULL}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 2))
        return cli->exit;
    struct str verb = cli->name_count > 0 ? str_from(cli->names[0]) : STR("list");
    struct str wanted = cli->name_count > 1 ? str_from(cli->names[1]) : STR_EMPTY;
    bool shows = str_eq(verb, STR("show"));
    bool searches = str_eq(verb, STR("search"));
    if (cli->name_count == 2 && !shows && !searches)
        return cli_usage(cli, "berth models list, search TEXT, show MODEL, or TEXT alone");
    if (cli->name_count == 1 && (shows || searches))
        return cli_usage(cli, "berth models %s wants %s", cli->names[0],
                         shows ? "a model" : "a text");
    if (cli->name_count == 1 && !str_eq(verb, STR("list")))
        wanted = verb;
    int code = fetch_models(cli, url != NULL ? url : client_dataplane_url(cli),
                            key_file != NULL ? key_file : cli_path(cli, "keys/host.key"), &reply);
    if (code != CLI_DONE)
        return code;
    const struct tree *data = tree_get(reply, STR("data"));
    return shows ? show(cli, data, wanted) : print_models(cli, matching(cli, data, wanted));
}
