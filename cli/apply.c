/* SPDX-License-Identifier: MIT
 * apply.c - berth apply: create or update objects from YAML or JSON.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: a new key's secret goes to a 0600 file, never to the terminal. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* What was done, without secrets, for other formats than a table. */
static bool
keep_items(struct cli *cli, const struct tree *list, struct tree *all)
{
    for (const struct tree *item = list->first; item != NULL; item = item->next) {
        struct tree *copy = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
        for (const struct tree *field = item->first; field && copy; field = field->next) {
            struct tree *value = tree_new(&cli->arena, field->kind, field->text);
            if (value != NULL && !str_eq(field->key, STR("key")))
                tree_append(copy, field->key, value);
        }
        if (copy == NULL)
            return false;
        tree_append(all, STR_EMPTY, copy);
    }
    return true;
}

/* One document of what -f named. */
struct piece {
    const char *file;
    struct str text;
    struct piece *next;
};

struct pieces {
    struct cli *cli;
    struct piece *first;
    struct piece **end;
};

static int
take_file(struct pieces *pieces, const char *file)
{
    struct piece *piece = arena_array(&pieces->cli->arena, 1, sizeof(*piece));
    if (piece == NULL)
        return cli_fail("out of memory");
    *piece = (struct piece){.file = file};
    if (!cli_read_file(pieces->cli, file, &piece->text))
        return CLI_FAILED;
    *pieces->end = piece;
    pieces->end = &piece->next;
    return CLI_DONE;
}

static int
is_manifest(const struct dirent *entry)
{
    struct str name = str_from(entry->d_name);
    return name.ptr[0] != '.' && (str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
                                  str_ends(name, STR(".json")));
}

/* A file, or those of a folder by name. */
static int
take(struct pieces *pieces, const char *path)
{
    struct dirent **entries = NULL;
    struct stat info;
    int code = CLI_DONE;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return take_file(pieces, path);
    int count = scandir(path, &entries, is_manifest, alphasort);
    if (count < 0)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    if (count == 0)
        code = cli_fail("there is no *.yaml, *.yml or *.json in %s", path);
    for (int i = 0; i < count; i++) {
        struct str file = arena_printf(&pieces->cli->arena, "%s/%s", path, entries[i]->d_name);
        if (code == CLI_DONE)
            code = file.ptr != NULL ? take_file(pieces, file.ptr) : cli_fail("out of memory");
        free(entries[i]);
    }
    free(entries);
    return code;
}

static int
send_piece(struct cli *cli, const struct piece *piece, bool dry_run, const struct tree **ret_reply,
           long *ret_status)
{
    struct err err = {0};
    const struct client_call call = {
        .method = "POST",
        .path = dry_run ? "/apis/berth.dev/v1alpha1/apply?dryRun=true"
                        : "/apis/berth.dev/v1alpha1/apply",
        .type = type_of(piece->text),
        .body = piece->text,
    };
    return client_try(cli, &call, ret_status, ret_reply, &err) != 0 ? cli_fail("%s", err.text)
                                                                    : CLI_DONE;
}

static int
refused(const struct piece *piece, const struct tree *reply)
{
    struct str message = cli_text(reply, "message");
    return cli_fail("%s: %.*s", strcmp(piece->file, "-") == 0 ? "standard input" : piece->file,
                    STR_ARG(message.len > 0 ? message : STR("refused without a reason")));
}

/* A stream that failed half way says what was stored, keys included. */
static int
apply(struct cli *cli, const struct piece *piece, bool dry_run, const char *key_dir,
      struct tree *all)
{
    const struct tree *reply = NULL;
    long status = 0;
    int result = send_piece(cli, piece, dry_run, &reply, &status);
    if (result != CLI_DONE)
        return result;
    const struct tree *items = tree_get(reply, STR("items"));
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        int code = say_item(cli, item, key_dir);
        result = code != CLI_DONE ? code : result;
    }
    if (items != NULL && !keep_items(cli, items, all))
        result = cli_fail("out of memory");
    return status == 200 ? result : refused(piece, reply);
}

/* Of several files all are checked before the first is stored. */
static int
check(struct cli *cli, const struct piece *first)
{
    for (const struct piece *piece = first; piece != NULL && first->next; piece = piece->next) {
        const struct tree *reply = NULL;
        long status = 0;
        int code = send_piece(cli, piece, true, &reply, &status);
        if (code != CLI_DONE || status != 200)
            return code != CLI_DONE ? code : refused(piece, reply);
    }
    return CLI_DONE;
}

static bool
is_applied(const struct tree *all, struct str kind, struct str name)
{
    for (const struct tree *item = all->first; item != NULL; item = item->next) {
        if (str_eq(cli_text(item, "kind"), kind) && str_eq(cli_text(item, "name"), name))
            return true;
    }
    return false;
}

/* What an object names and neither the server nor a file of this run has: perhaps a typo. */
static void
say_missing(const struct tree *all)
{
    for (const struct tree *item = all->first; item != NULL; item = item->next) {
        struct str kind;
        struct str name;
        if (str_cut(cli_text(item, "missing"), '/', &kind, &name) && !is_applied(all, kind, name)) {
            (void)fprintf(stderr, "berth: %.*s %.*s names %.*s %.*s, which %s yet\n",
                          STR_ARG(cli_text(item, "kind")), STR_ARG(cli_text(item, "name")),
                          STR_ARG(kind), STR_ARG(name),
                          str_eq(kind, STR("Model")) ? "nothing offers" : "does not exist");
        }
    }
}

int
command_apply(struct cli *cli)
{
    const char *file = NULL;
    const char *key_dir = NULL;
    bool named = false;
    bool dry_run = false;
    const struct cli_option options[] = {{"-f", &file, &named},
                                         {"--filename", &file, &named},
                                         {"--key-dir", &key_dir, NULL},
                                         {"--dry-run", NULL, &dry_run}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, CLI_NAMES_MAX))
        return cli->exit;
    if (cli->name_count == 0)
        return cli_usage(cli, "-f FILE is missing");
    struct pieces pieces = {.cli = cli, .end = &pieces.first};
    struct tree *all = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    int code = all != NULL ? CLI_DONE : cli_fail("out of memory");
    for (size_t i = 0; i < cli->name_count && code == CLI_DONE; i++)
        code = take(&pieces, cli->names[i]);
    if (code == CLI_DONE)
        code = check(cli, pieces.first);
    for (const struct piece *piece = pieces.first; piece != NULL && code == CLI_DONE;
         piece = piece->next)
        code = apply(cli, piece, dry_run, key_dir, all);
    if (all != NULL)
        say_missing(all);
    bool print = cli->output != CLI_TABLE && all != NULL && (code == CLI_DONE || all->count > 0);
    return print && cli_print(cli, all) != CLI_DONE ? CLI_FAILED : code;
}
