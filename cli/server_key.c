/* SPDX-License-Identifier: MIT
 * server_key.c - berth server-key: the key that signs identities.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: only public keys are ever seen here. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"

static int
print_keys(const struct tree *reply)
{
    const struct tree *keys = tree_get(reply, STR("keys"));
    for (const struct tree *key = keys != NULL ? keys->first : NULL; key; key = key->next) {
        struct str text = cli_text(key, "key");
        (void)printf("%.*s\n", STR_ARG(text));
    }
    return CLI_DONE;
}

int
command_server_key(struct cli *cli)
{
    const struct tree *reply = NULL;
    if (!cli_begin(cli, NULL, 0, 1, 1))
        return cli->exit;
    const char *verb = cli_verb(cli);
    bool rotate = strcmp(verb, "rotate") == 0;
    if (!rotate && strcmp(verb, "show") != 0)
        return cli_no_verb(cli, verb);
    const struct client_call call = {.method = rotate ? "POST" : "GET",
                                     .path = rotate ? "/api/v1/server/keys/rotate"
                                                    : "/api/v1/server/keys",
                                     .body = STR_EMPTY};
    int code = client_run(cli, &call, &reply);
    if (code != CLI_DONE)
        return code;
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    if (!rotate)
        return print_keys(reply);
    struct str count = cli_text(reply, "signed_anew");
    (void)printf("a new key signs; %.*s identities were signed anew\n", STR_ARG(count));
    return CLI_DONE;
}
