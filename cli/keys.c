/* SPDX-License-Identifier: MIT
 * keys.c - berth keys: API keys for callers outside containers.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: a secret is written to a file before it is forgotten, never printed. */
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/keyfile.h"
#include "cli/keys.h"
#include "cli/kind.h"
#include "lib/text/json.h"

/* A key that exists stays as it is, caps and all; a wallet that does not is a typo. */
static int
check_new(struct cli *cli, const struct kind *kind, const char *name, const char *wallet)
{
    struct err err = {0};
    const struct tree *reply = NULL;
    long status = 0;
    const struct client_call call = {
        .method = "GET", .path = kind_path(cli, kind, name), .body = STR_EMPTY};
    if (client_try(cli, &call, &status, &reply, &err) != 0)
        return cli_fail("%s", err.text);
    if (status == 200)
        return cli_fail("key %s exists already; its secret cannot be read again (berth keys delete "
                        "%s makes room for a new one)",
                        name, name);
    return client_get(cli, kind_path(cli, kind_find(cli, "Wallet"), wallet), &reply);
}

int
keys_create(struct cli *cli, const char *name, const char *wallet, const char *path,
            const struct tree **ret_reply)
{
    struct err err = {0};
    struct json_writer json;
    struct buf body;
    const struct kind *kind = kind_find(cli, "ApiKey");
    if (access(path, F_OK) == 0)
        return cli_fail("%s exists already and is not replaced; choose another with --out", path);
    int known = check_new(cli, kind, name, wallet);
    if (known != CLI_DONE)
        return known;
    buf_init(&body, 65536);
    json_writer_init(&json, &body);
    json_open_object(&json);
    json_member_str(&json, "apiVersion", STR("berth.dev/v1alpha1"));
    json_member_str(&json, "kind", STR("ApiKey"));
    json_key(&json, "metadata");
    json_open_object(&json);
    json_member_str(&json, "name", str_from(name));
    json_close_object(&json);
    json_key(&json, "spec");
    json_open_object(&json);
    json_member_str(&json, "wallet", str_from(wallet));
    json_close_object(&json);
    json_close_object(&json);
    const struct client_call call = {.method = "PUT",
                                     .path = kind_path(cli, kind, name),
                                     .type = "application/json",
                                     .body = buf_str(&body)};
    int code = client_run(cli, &call, ret_reply);
    buf_fini(&body);
    struct str key = code == CLI_DONE ? cli_text(*ret_reply, "key") : STR_EMPTY;
    if (code != CLI_DONE)
        return code;
    if (key.len == 0)
        return cli_fail("key %s exists already; its secret cannot be read again (berth keys delete "
                        "%s makes room for a new one)",
                        name, name);
    if (keyfile_write_to(path, key, &err) != 0) {
        return cli_fail(
            "key %s was made but could not be kept (%s): run berth keys delete %s, then "
            "create it again",
            name, err.text, name);
    }
    return CLI_DONE;
}

static int
create(struct cli *cli, const char *wallet, const char *out)
{
    const struct tree *reply = NULL;
    const char *name = cli->names[1];
    const char *path = out != NULL ? out : keyfile_path(cli, NULL, str_from(name));
    int code = keys_create(cli, name, wallet != NULL ? wallet : "default", path, &reply);
    if (code != CLI_DONE)
        return code;
    if (cli->output == CLI_TABLE) {
        (void)printf("key %s created; its secret is in %s (mode 0600) and nowhere else\n", name,
                     path);
        return CLI_DONE;
    }
    struct tree *root = cli_map(cli, NULL, NULL);
    cli_put(cli, root, "name", str_from(name));
    cli_put(cli, root, "file", str_from(path));
    return cli_print(cli, root);
}

static int
list(struct cli *cli)
{
    const struct tree *reply = NULL;
    const struct kind *kind = kind_find(cli, "ApiKey");
    int code = client_get(cli, kind_path(cli, kind, NULL), &reply);
    if (code != CLI_DONE)
        return code;
    return cli->output == CLI_TABLE ? kind_print_list(kind, tree_get(reply, STR("items")))
                                    : cli_print(cli, reply);
}

static int
delete_key(struct cli *cli)
{
    const struct tree *reply = NULL;
    const char *name = cli->names[1];
    const struct kind *kind = kind_find(cli, "ApiKey");
    const struct client_call call = {
        .method = "DELETE", .path = kind_path(cli, kind, name), .body = STR_EMPTY};
    int code = client_run(cli, &call, &reply);
    if (code != CLI_DONE)
        return code;
    keyfile_remove(cli, str_from(name));
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    (void)printf("key %s deleted\n", name);
    return CLI_DONE;
}

int
command_keys(struct cli *cli)
{
    const char *wallet = NULL;
    const char *out = NULL;
    const struct cli_option options[] = {{"--wallet", &wallet, NULL}, {"--out", &out, NULL}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 1, 2))
        return cli->exit;
    const char *verb = cli_verb(cli);
    bool named = cli->name_count == 2;
    if (strcmp(verb, "list") == 0 && !named)
        return list(cli);
    bool creates = strcmp(verb, "create") == 0;
    if (!creates && strcmp(verb, "delete") != 0)
        return cli_no_verb(cli, verb);
    if (!named)
        return cli_usage(cli, "the name of the key is missing");
    return creates ? create(cli, wallet, out) : delete_key(cli);
}
