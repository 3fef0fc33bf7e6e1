/* SPDX-License-Identifier: MIT
 * models.c - berth models: what can be called now, or what the catalogue knows, with prices.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: the key is read from a 0600 file. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/models_int.h"
#include "cli/table.h"
#include "lib/base/secret.h"

static int
fetch_models(struct cli *cli, const char *url, const char *key_file, const struct tree **ret_reply)
{
    CLEANUP(secret_free) struct secret *key = NULL;
    struct err err = {0};
    const struct tree *root = NULL;
    long status = 0;
    if (secret_read_file(key_file, &key, &err) != 0)
        return cli_fail("%s (--shipped asks no server)", err.text);
    if (client_dataplane_get(cli, url, "/v1/models", secret_str(key), &status, &root, &err) != 0)
        return cli_fail("%s does not list models: %s (--shipped asks no server)", url, err.text);
    if (status != 200)
        return cli_fail("%s: %.*s", url, STR_ARG(cli_text(root, "error.message")));
    if (root == NULL)
        return cli_fail("%s does not list models: its answer is no JSON", url);
    *ret_reply = tree_get(root, STR("data"));
    return CLI_DONE;
}

static int
show(struct cli *cli, const struct tree *data, struct str id)
{
    struct str near = STR_EMPTY;
    unsigned best = 1u + (unsigned)id.len / 3u;
    for (const struct tree *model = data != NULL ? data->first : NULL; model; model = model->next) {
        struct str known = cli_text(model, "id");
        if (str_eq(known, id))
            return cli_print(cli, model);
        unsigned far = str_distance(known, id);
        if (far <= best) {
            best = far;
            near = known;
        }
    }
    if (near.len > 0)
        return cli_fail("there is no model %.*s; did you mean %.*s?", STR_ARG(id), STR_ARG(near));
    return cli_fail("there is no model %.*s; berth models search TEXT finds some", STR_ARG(id));
}

static int
print_models(struct cli *cli, const struct tree *models)
{
    struct table table;
    if (cli->output == CLI_JSON || cli->output == CLI_YAML)
        return cli_print(cli, models);
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
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

/* The words behind `models`, as options say them. */
struct words {
    const char *url;
    const char *key_file;
    const char *file;
    bool shipped;
    bool dry_run;
    bool status;
    struct models_filter filter;
};

/* What the catalogue holds, for every verb that reads. */
static int
read_models(struct cli *cli, const struct words *words, const struct tree **ret_data)
{
    if (!words->shipped)
        return fetch_models(
            cli, words->url != NULL ? words->url : client_dataplane_url(cli),
            words->key_file != NULL ? words->key_file : cli_path(cli, "keys/host.key"), ret_data);
    *ret_data = models_shipped(cli);
    return *ret_data != NULL ? CLI_DONE : CLI_FAILED;
}

static int
run_verb(struct cli *cli, struct words *words)
{
    struct str verb = cli->name_count > 0 ? str_from(cli_verb(cli)) : STR("list");
    struct str wanted = cli->name_count > 1 ? str_from(cli->names[1]) : STR_EMPTY;
    bool shows = str_eq(verb, STR("show"));
    bool searches = str_eq(verb, STR("search"));
    bool acks = str_eq(verb, STR("ack"));
    bool changes = str_eq(verb, STR("changes"));
    bool bare =
        str_eq(verb, STR("list")) || str_eq(verb, STR("update")) || str_eq(verb, STR("discover"));
    const struct tree *data = NULL;
    if (cli->name_count == 2 && !shows && !searches && !acks)
        return cli_usage(cli, "berth models list, search TEXT, show MODEL, update, discover, "
                              "changes, ack [MODEL], or TEXT alone");
    if (cli->name_count == 1 && (shows || searches))
        return cli_usage(cli, "berth models %.*s wants %s", STR_ARG(verb),
                         shows ? "a model" : "a text");
    if (!str_eq(verb, STR("update")) && (words->file != NULL || words->dry_run))
        return cli_usage(cli, "--file and --dry-run are of berth models update");
    if (str_eq(verb, STR("update")))
        return models_update(cli, words->file, words->shipped, words->dry_run);
    if (str_eq(verb, STR("discover")))
        return models_discover(cli, words->filter.provider, words->status);
    if (changes)
        return models_changes(cli, words->filter.provider);
    if (acks)
        return models_ack(cli, words->filter.provider, wanted);
    if (cli->name_count == 1 && !bare)
        wanted = verb;
    int code = read_models(cli, words, &data);
    if (code != CLI_DONE)
        return code;
    if (shows)
        return show(cli, data, wanted);
    words->filter.text = wanted;
    const struct tree *kept = models_keep(cli, data, &words->filter, &code);
    return kept != NULL ? print_models(cli, kept) : code;
}

int
command_models(struct cli *cli)
{
    struct words words = {.filter = {.text = STR_EMPTY}};
    const struct cli_option options[] = {
        {"--url", &words.url, NULL},
        {"--key-file", &words.key_file, NULL},
        {"--provider", &words.filter.provider, NULL},
        {"--capability", &words.filter.capabilities, NULL},
        {"--max-input", &words.filter.input_max, NULL},
        {"--max-output", &words.filter.output_max, NULL},
        {"--shipped", NULL, &words.shipped},
        {"--file", &words.file, NULL},
        {"-f", &words.file, NULL},
        {"--dry-run", NULL, &words.dry_run},
        {"--status", NULL, &words.status},
    };
    cli->csv_fine = true;
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 2))
        return cli->exit;
    return run_verb(cli, &words);
}
