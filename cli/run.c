/* SPDX-License-Identifier: MIT
 * run.c - berth run: a coding agent, or any program, with its environment pointed at Berth.
 * Floor: cli; main thread.
 * Owns: nothing; the program replaces this process.
 * Invariant: nothing but what agents.def says is changed, and no key is printed unless --print asks
 *            for it. e2e/agents.sh. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "lib/base/secret.h"

enum row_kind { ROW_ENV, ROW_ARG, ROW_FILE, ROW_PACKAGE };

struct agent_row {
    enum row_kind kind;
    const char *agent;
    const char *name; /* variable or argument */
    const char *pattern;
    const char *file;
};

static const struct agent_row rows[] = {
#define AGENT_ENV(agent_, variable_, pattern_) {ROW_ENV, agent_, variable_, pattern_, NULL},
#define AGENT_ARG(agent_, argument_, pattern_) {ROW_ARG, agent_, argument_, pattern_, NULL},
#define AGENT_FILE(agent_, variable_, file_, pattern_) \
    {ROW_FILE, agent_, variable_, pattern_, file_},
#define AGENT_PACKAGE(agent_, package_) {ROW_PACKAGE, agent_, NULL, package_, NULL},
#include "cli/agents.def"
#undef AGENT_ENV
#undef AGENT_ARG
#undef AGENT_FILE
#undef AGENT_PACKAGE
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
    static const char *const with_value[] = {"--url",    "--token", "--model",      "--data",
                                             "--server", "-o",      "--token-file", "--output"};
    int i = 0;
    while (i < cli->argc && cli->argv[i][0] == '-') {
        bool value = false;
        for (size_t k = 0; k < ARRAY_LEN(with_value); k++)
            value = value || strcmp(cli->argv[i], with_value[k]) == 0;
        i += value ? 2 : 1;
    }
    return MIN(i + 1, cli->argc);
}

/* What goes into JSON, TOML and the shell's single quotes as it is. */
static bool
is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || strchr("'\"\\\x7f", *text) != NULL)
            return false;
    return true;
}

/* --url, else BERTH_URL, else where a container's token works, else the running stack; without the
 * "/v1" or "/" that people copy along. NULL: said why not. */
static const char *
find_url(struct cli *cli, const char *given, const char *token)
{
    const char *known = given != NULL ? given : getenv("BERTH_URL");
    if (known == NULL || known[0] == '\0')
        known = str_starts(str_from(token), STR("container-")) ? "http://127.0.0.1:4180"
                                                               : client_dataplane_url(cli);
    struct str url = str_from(known);
    if (!is_plain(known) ||
        (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))) {
        (void)cli_usage(cli, "'%s' is no URL; one is http://127.0.0.1:4180", known);
        return NULL;
    }
    if (str_ends(url, STR("/")))
        url.len--;
    if (str_ends(url, STR("/v1")))
        url.len -= 3;
    return arena_printf(&cli->arena, "%.*s", STR_ARG(url)).ptr;
}

/* Better now, in one sentence, than by whatever the program makes of it. */
static int
check_place(struct cli *cli, const struct place *place)
{
    const struct tree *reply = NULL;
    struct err err = {0};
    struct buf path;
    long status = 0;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/v1/models/"));
    client_path_put(&path, place->model != NULL ? str_from(place->model) : STR("-"), false);
    buf_put_byte(&path, '\0');
    int rc = path.failed ? err_set(&err, ERR_TOO_LARGE, "the model's name is too long")
                         : client_dataplane_get(cli, place->url, buf_str(&path).ptr,
                                                str_from(place->token), &status, &reply, &err);
    buf_fini(&path);
    struct str said = cli_text(reply, "error.message");
    if (rc != 0)
        return cli_fail("no Berth answers: %s; give --url, or start one with: berth up", err.text);
    if (status == 401)
        return cli_fail("%s does not take this token: %.*s", place->url, STR_ARG(said));
    if (status == 404 && place->model != NULL &&
        str_eq(cli_text(reply, "error.code"), STR("model_not_found")))
        return cli_fail("%.*s", STR_ARG(said));
    return CLI_DONE;
}

static int
not_started(const char *program, const char *agent, int why)
{
    const char *package = NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].kind == ROW_PACKAGE && strcmp(rows[i].agent, agent) == 0)
            package = rows[i].pattern;
    if (why == ENOENT && package != NULL)
        return cli_fail("%s is not installed, or not on the PATH; npm install -g %s", program,
                        package);
    return cli_fail("cannot run %s: %s%s", program, strerror(why),
                    why == ENOENT ? "; is it installed and on the PATH?" : "");
}

/* The file below ~/.config/berth (XDG_CONFIG_HOME), written anew; NULL: said why not. */
static const char *
write_file(struct cli *cli, const char *name, const char *text)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    struct str base = config != NULL && config[0] == '/'
                          ? arena_printf(&cli->arena, "%s", config)
                          : arena_printf(&cli->arena, "%s/.config", home != NULL ? home : "");
    struct str folder = arena_printf(&cli->arena, "%.*s/berth", STR_ARG(base));
    struct str path = arena_printf(&cli->arena, "%.*s/%s", STR_ARG(folder), name);
    if (path.ptr == NULL) {
        (void)cli_fail("out of memory");
        return NULL;
    }
    (void)mkdir(base.ptr, 0700);
    (void)mkdir(folder.ptr, 0700);
    int fd = open(path.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t bytes = strlen(text);
    bool written = fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes;
    if (fd >= 0)
        (void)close(fd);
    if (!written)
        (void)cli_fail("cannot write %s: %s", path.ptr, strerror(errno));
    return written ? path.ptr : NULL;
}

/* Variables into the environment (or printed), arguments behind words[0]. Returns an exit code. */
static int
apply_rows(struct cli *cli, const char *agent, const struct place *place, bool print,
           const char **words, size_t *word_count)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct agent_row *row = &rows[i];
        if (strcmp(row->agent, agent) != 0 || row->kind == ROW_PACKAGE)
            continue;
        const char *value = fill(cli, row->pattern, place);
        if (value == NULL && strstr(row->pattern, "%u") != NULL)
            return cli_usage(cli, "%s needs --model, and berth models search TEXT shows some",
                             agent);
        if (value == NULL)
            continue;
        if (row->kind == ROW_ARG) {
            words[(*word_count)++] = row->name;
            words[(*word_count)++] = value;
            if (print)
                (void)printf("# start it with: %s '%s'\n", row->name, value);
            continue;
        }
        if (row->kind == ROW_FILE)
            value = write_file(cli, row->file, value);
        if (value == NULL)
            return CLI_FAILED;
        if (print)
            (void)printf("export %s='%s'\n", row->name, value);
        else if (setenv(row->name, value, 1) != 0)
            return cli_fail("out of memory");
    }
    return CLI_DONE;
}

int
command_run(struct cli *cli)
{
    struct place place = {0};
    const char *token = NULL;
    const char *url = NULL;
    bool print = false;
    const struct cli_option options[] = {{"--url", &url, NULL},
                                         {"--token", &token, NULL},
                                         {"--model", &place.model, NULL},
                                         {"--print", NULL, &print}};
    int own = own_words(cli);
    char **program = cli->argv + own - 1;
    cli->argc = own;
    if (!cli_begin(cli, options, ARRAY_LEN(options), 1, 1))
        return cli->exit;
    place.token = find_token(cli, token);
    if (place.token == NULL)
        return CLI_FAILED;
    if (!is_plain(place.token) || (place.model != NULL && !is_plain(place.model)))
        return cli_usage(cli, "no token and no model has blanks, quotes or backslashes");
    place.url = find_url(cli, url, place.token);
    if (place.url == NULL)
        return CLI_USAGE;
    if (!print && check_place(cli, &place) != CLI_DONE)
        return CLI_FAILED;
    const char *agent = base_name(program[0]);
    agent = has_rows(agent) ? agent : "*";
    size_t word_count = 0;
    size_t rest = 0;
    while (program[rest] != NULL)
        rest++;
    const char **words = calloc(rest + 2 * ARRAY_LEN(rows) + 1, sizeof(*words));
    if (words == NULL)
        return cli_fail("out of memory");
    words[word_count++] = program[0];
    int code = apply_rows(cli, agent, &place, print, words, &word_count);
    for (size_t i = 1; i < rest; i++)
        words[word_count++] = program[i];
    if (code == CLI_DONE && !print) {
        char **argv = NULL; /* execvp does not write to them, whatever its type says */
        memcpy(&argv, &words, sizeof(argv));
        (void)execvp(argv[0], argv);
        code = not_started(words[0], agent, errno);
    }
    free(words);
    return code;
}
