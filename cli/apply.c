/* SPDX-License-Identifier: MIT
 * apply.c - berth apply: create or update objects from YAML or JSON.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: a new key's secret goes to a 0600 file, never to the terminal. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/keyfile.h"

/* A document that starts with '{' or '[' is JSON. */
static const char *
type_of(struct str text)
{
    struct str start = str_trim(text);
    bool json = start.len > 0 && (start.ptr[0] == '{' || start.ptr[0] == '[');
    return json ? "application/json" : "application/yaml";
}

/* Keys of new ApiKeys into files; the rest of the line for everybody. */
static int
say_item(struct cli *cli, const struct tree *item, const char *key_dir)
{
    struct str name = cli_text(item, "name");
    struct str key = cli_text(item, "key");
    if (cli->output == CLI_TABLE)
        (void)printf("%.*s %.*s %.*s\n", STR_ARG(cli_text(item, "kind")), STR_ARG(name),
                     STR_ARG(cli_text(item, "change")));
    if (key.len == 0)
        return CLI_DONE;
    return keyfile_write(cli, key_dir, name, key);
}

/* The reply without secrets, in the wanted format. */
static int
print_items(struct cli *cli, const struct tree *reply)
{
    struct tree *items = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    const struct tree *list = tree_get(reply, STR("items"));
    for (const struct tree *item = list != NULL ? list->first : NULL; item && items;
         item = item->next) {
        struct tree *copy = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
        for (const struct tree *field = item->first; field && copy; field = field->next) {
            struct tree *value = tree_new(&cli->arena, field->kind, field->text);
            if (value != NULL && !str_eq(field->key, STR("key")))
                tree_append(copy, field->key, value);
        }
        if (copy != NULL)
            tree_append(items, STR_EMPTY, copy);
    }
    return items != NULL ? cli_print(cli, items) : cli_fail("out of memory");
}

int
command_apply(struct cli *cli)
{
    const char *file = NULL;
    const char *key_dir = NULL;
    bool dry_run = false;
    const struct tree *reply = NULL;
    struct str text = STR_EMPTY;
    const struct cli_option options[] = {{"-f", &file, NULL},
                                         {"--filename", &file, NULL},
                                         {"--key-dir", &key_dir, NULL},
                                         {"--dry-run", NULL, &dry_run}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 0))
        return cli->exit;
    if (file == NULL)
        return cli_usage(cli, "-f FILE is missing");
    if (!cli_read_file(cli, file, &text))
        return CLI_FAILED;
    struct err err = {0};
    long status = 0;
    const struct client_call call = {
        .method = "POST",
        .path = dry_run ? "/apis/berth.dev/v1alpha1/apply?dryRun=true"
                        : "/apis/berth.dev/v1alpha1/apply",
        .type = type_of(text),
        .body = text,
    };
    if (client_try(cli, &call, &status, &reply, &err) != 0)
        return cli_fail("%s", err.text);
    /* a stream that failed half way says what was stored, keys included */
    int result = CLI_DONE;
    const struct tree *items = tree_get(reply, STR("items"));
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        int code = say_item(cli, item, key_dir);
        result = code != CLI_DONE ? code : result;
    }
    if (items != NULL && cli->output != CLI_TABLE && print_items(cli, reply) != CLI_DONE)
        result = CLI_FAILED;
    if (status != 200) {
        struct str message = cli_text(reply, "message");
        return cli_fail("%s: %.*s", strcmp(file, "-") == 0 ? "standard input" : file,
                        STR_ARG(message.len > 0 ? message : STR("refused without a reason")));
    }
    return result;
}
