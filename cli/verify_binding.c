/* SPDX-License-Identifier: MIT
 * verify_binding.c - berth verify-binding: did this server sign it? Nothing is asked of anybody.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: exit code 0 only for a whole binding that one of the given keys signed. */
#include <stdio.h>

#include "api/binding.h"
#include "cli/client.h"
#include "cli/command.h"
#include "lib/base/clock.h"

#define BINDING_BYTES_MAX 65536u

/* The binding itself, or the one in status.binding of an object. */
static const struct tree *
find_binding(const struct tree *root)
{
    if (root->kind == TREE_LIST && root->count == 1)
        root = root->first;
    const struct tree *status = tree_get(root, STR("status"));
    return status != NULL ? tree_get(status, STR("binding")) : root;
}

/* Through the strict parser of bindings, whatever the file looked like. */
static int
parse(struct cli *cli, struct str text, struct json_doc *doc, struct binding *ret_binding)
{
    struct err err = {0};
    struct tree *root = NULL;
    struct buf json;
    struct str copy = STR_EMPTY;
    struct str start = str_trim(text);
    bool is_json = start.len > 0 && start.ptr[0] == '{';
    if ((is_json ? tree_from_json(text, &cli->arena, &root, &err)
                 : tree_from_yaml(text, &cli->arena, &root, &err)) != 0)
        return cli_fail("%s is neither YAML nor JSON: %s", cli->names[0], err.text);
    const struct tree *binding = find_binding(root);
    if (binding == NULL || binding->kind != TREE_MAP)
        return cli_fail("there is no binding in %s; is the container's identity in force?",
                        cli->names[0]);
    struct tree only = *binding;
    only.next = NULL;
    buf_init(&json, BINDING_BYTES_MAX);
    int rc = tree_to_json(&only, false, &json);
    if (rc == 0)
        rc = arena_dup(&cli->arena, buf_str(&json), &copy);
    buf_fini(&json);
    if (rc == 0)
        rc = json_scan(doc, copy, NULL, &err);
    if (rc == 0)
        rc = binding_parse(doc, 0, &cli->arena, ret_binding, &err);
    return rc == 0 ? CLI_DONE : cli_fail("%s: %s", cli->names[0], err.text);
}

/* Index of the key that signed it, or -1; *ret_count: how many keys there were. */
static int
find_key(const struct binding *binding, struct str keys, size_t *ret_count)
{
    int found = -1;
    *ret_count = 0;
    while (keys.len > 0) {
        struct str line;
        uint8_t key[ED25519_KEY_BYTES];
        (void)str_cut(keys, '\n', &line, &keys);
        if (hex_decode(str_trim(line), key, sizeof(key)) != 0)
            continue;
        if (found < 0 && binding_verify(binding, key) == 0)
            found = (int)*ret_count;
        ++*ret_count;
    }
    return found;
}

static int
report(const struct cli *cli, const struct binding *binding)
{
    char issued[32];
    clock_format_rfc3339(binding->issued_ms * 1000000, issued);
    if (cli->output != CLI_TABLE) {
        (void)printf("{\"valid\":true,\"name\":\"%.*s\",\"number\":\"%llu\",\"server\":\"%.*s\","
                     "\"issued\":\"%s\"}\n",
                     STR_ARG(binding->name), (unsigned long long)binding->number,
                     STR_ARG(binding->server), issued);
        return CLI_DONE;
    }
    (void)printf("valid: server %.*s says since %s that container %.*s of %.*s (host %.*s) is "
                 "container-%.*s and container-%llu\n",
                 STR_ARG(binding->server), issued, STR_ARG(binding->container_id),
                 STR_ARG(binding->runtime), STR_ARG(binding->host), STR_ARG(binding->name),
                 (unsigned long long)binding->number);
    return CLI_DONE;
}

int
command_verify_binding(struct cli *cli)
{
    struct json_doc doc;
    struct binding binding = {0};
    struct str text = STR_EMPTY;
    struct str keys = STR_EMPTY;
    const char *key = NULL;
    size_t count = 0;
    const struct cli_option options[] = {{"--key", &key, NULL}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 1, 1))
        return cli->exit;
    if (key == NULL)
        key = cli_path(cli, "controlplane/server.pub");
    if (!cli_read_file(cli, cli->names[0], &text) || !cli_read_file(cli, key, &keys))
        return CLI_FAILED;
    json_init(&doc);
    int code = parse(cli, text, &doc, &binding);
    if (code == CLI_DONE && find_key(&binding, keys, &count) < 0)
        code = count == 0 ? cli_fail("%s holds no public key of 64 hex digits", key)
                          : cli_fail("not valid: none of the %zu keys in %s signed this binding",
                                     count, key);
    if (code == CLI_DONE)
        code = report(cli, &binding);
    json_fini(&doc);
    return code;
}
