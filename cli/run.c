/* SPDX-License-Identifier: MIT
 * run.c - berth run: a coding agent, or any program, with its environment pointed at Berth.
 * Floor: cli; main thread.
 * Owns: nothing; the program replaces this process.
 * Invariant: nothing but environment variables is changed (agents.def), and no key is printed
 *            unless --print asks for it. e2e/agents.sh. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "lib/base/secret.h"

struct agent_env {
    const char *agent;
    const char *variable;
    const char *pattern;
};

static const struct agent_env rows[] = {
#define AGENT_ENV(agent_, variable_, pattern_) {agent_, variable_, pattern_},
#include "cli/agents.def"
#undef AGENT_ENV
};

struct place {
    const char *url;
    const char *token;
    const char *model;
};

/* The pattern with its % words replaced; NULL: it needs a model and there is none. */
static const char *
fill(struct cli *cli, const char *pattern, const struct place *place)
{
    struct buf out;
    struct str copy = STR_EMPTY;
    bool complete = true;
    buf_init(&out, 65536);
    for (const char *at = pattern; *at != '\0'; at++) {
        const char *word = NULL;
        if (*at == '%' && at[1] == 'u')
            word = place->url;
        else if (*at == '%' && at[1] == 't')
            word = place->token;
        else if (*at == '%' && at[1] == 'm')
            word = place->model != NULL ? place->model : "";
        if (word == NULL) {
            buf_put_byte(&out, *at);
            continue;
        }
        complete = complete && word[0] != '\0';
        buf_put_str(&out, str_from(word));
        at++;
    }
    buf_put_byte(&out, '\0');
    if (out.failed || arena_dup(&cli->arena, buf_str(&out), &copy) != 0)
        complete = false;
    buf_fini(&out);
    return complete ? copy.ptr : NULL;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool
has_rows(const char *agent)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].agent, agent) == 0)
            return true;
    return false;
}

/* --token, else BERTH_TOKEN, else this host's key. */
static const char *
find_token(struct cli *cli, const char *given)
{
    CLEANUP(secret_free) struct secret *key = NULL;
    struct err err = {0};
    struct str copy = STR_EMPTY;
    const char *known = given != NULL ? given : getenv("BERTH_TOKEN");
    if (known != NULL && known[0] != '\0')
        return known;
    if (secret_read_file(cli_path(cli, "keys/host.key"), &key, &err) != 0) {
        (void)cli_fail("no token: inside a container give --token container-NAME (or set "
                       "BERTH_TOKEN); on the host: %s",
                       err.text);
        return NULL;
    }
    return arena_dup(&cli->arena, secret_str(key), &copy) == 0 ? copy.ptr : NULL;
}

/* Our own options end at the first word that is none; the rest belongs to the program. */
static int
own_words(const struct cli *cli)
{
    static const char *const with_value[] = {"--url", "--token", "--model", "--data", "-o"};
    int i = 0;
    while (i < cli->argc && cli->argv[i][0] == '-') {
        bool value = false;
        for (size_t k = 0; k < ARRAY_LEN(with_value); k++)
            value = value || strcmp(cli->argv[i], with_value[k]) == 0;
        i += value ? 2 : 1;
    }
    return MIN(i + 1, cli->argc);
}

int
command_run(struct cli *cli)
{
    struct place place = {0};
    const char *token = NULL;
    bool print = false;
    const struct cli_option options[] = {{"--url", &place.url, NULL},
                                         {"--token", &token, NULL},
                                         {"--model", &place.model, NULL},
                                         {"--print", NULL, &print}};
    int own = own_words(cli);
    char **program = cli->argv + own - 1;
    cli->argc = own;
    if (!cli_begin(cli, options, ARRAY_LEN(options), 1, 1))
        return cli->exit;
    if (place.url == NULL)
        place.url = getenv("BERTH_URL");
    if (place.url == NULL)
        place.url = client_dataplane_url(cli);
    place.token = find_token(cli, token);
    if (place.token == NULL)
        return CLI_FAILED;
    const char *agent = base_name(program[0]);
    agent = has_rows(agent) ? agent : "*";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *value =
            strcmp(rows[i].agent, agent) == 0 ? fill(cli, rows[i].pattern, &place) : NULL;
        if (value == NULL && strcmp(rows[i].agent, agent) == 0 && strstr(rows[i].pattern, "%u"))
            return cli_usage(cli, "%s needs --model", agent);
        if (value == NULL)
            continue;
        if (print)
            (void)printf("%s='%s'\n", rows[i].variable, value);
        else if (setenv(rows[i].variable, value, 1) != 0)
            return cli_fail("out of memory");
    }
    if (print)
        return CLI_DONE;
    (void)execvp(program[0], program);
    return cli_fail("cannot run %s: %s%s", program[0], strerror(errno),
                    errno == ENOENT ? "; is it installed and on the PATH?" : "");
}
