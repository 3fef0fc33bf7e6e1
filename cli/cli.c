/* SPDX-License-Identifier: MIT
 * cli.c - see cli.h.
 * Floor: cli; main thread.
 * Owns: see cli.h.
 * Invariant: see cli.h. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

#define ARENA_BYTES_MAX ((size_t)128 << 20)
#define FILE_BYTES_MAX ((size_t)4 << 20)

static const char *
variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void
default_data(struct cli *cli)
{
    const char *data = variable("BERTH_DATA");
    const char *home = variable("HOME");
    const char *share = variable("XDG_DATA_HOME");
    int count = 0;
    if (data != NULL)
        count = snprintf(cli->data, sizeof(cli->data), "%s", data);
    else if (geteuid() == 0 || (home == NULL && share == NULL))
        count = snprintf(cli->data, sizeof(cli->data), "/var/lib/berth");
    else if (share != NULL)
        count = snprintf(cli->data, sizeof(cli->data), "%s/berth", share);
    else
        count = snprintf(cli->data, sizeof(cli->data), "%s/.local/share/berth", home);
    if (count < 0 || (size_t)count >= sizeof(cli->data))
        cli->data[0] = '\0'; /* every use of it then says that it does not exist */
}

void
cli_init(struct cli *cli)
{
    *cli = (struct cli){
        .server = variable("BERTH_SERVER"),
        .token_file = variable("BERTH_TOKEN_FILE"),
    };
    arena_init(&cli->arena, ARENA_BYTES_MAX);
    default_data(cli);
}

void
cli_fini(struct cli *cli)
{
    arena_fini(&cli->arena);
}

int
cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("berth: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return CLI_FAILED;
}

int
cli_usage(const struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("berth: ", stderr);
    (void)vfprintf(stderr, format, args);
    if (cli->command != NULL)
        (void)fprintf(stderr, "; see berth %s --help\n", cli->command->name);
    else
        (void)fputs("; see berth --help\n", stderr);
    va_end(args);
    return CLI_USAGE;
}

/* ---- verbs -------------------------------------------------------------------------- */

bool
cli_has_verb(const struct cli *cli, const char *word)
{
    const char *at = cli->command->usage;
    struct str verb;
    while ((verb = command_verb(&at)).len > 0) {
        if (str_eq(verb, str_from(word)))
            return true;
    }
    return false;
}

const char *
cli_verb(const struct cli *cli)
{
    static const char *const aliases[][2] = {
        {"ls", "list"},    {"ls", "show"},    {"rm", "delete"},   {"del", "delete"},
        {"add", "create"}, {"new", "create"}, {"create", "issue"}};
    const char *word = cli->names[0];
    for (size_t i = 0; i < ARRAY_LEN(aliases) && !cli_has_verb(cli, word); i++) {
        if (strcmp(word, aliases[i][0]) == 0 && cli_has_verb(cli, aliases[i][1]))
            return aliases[i][1];
    }
    return word;
}

int
cli_no_verb(const struct cli *cli, const char *verb)
{
    const char *at = cli->command->usage;
    unsigned best = str_near_max(str_from(verb)) + 1u;
    struct str nearest = STR_EMPTY;
    struct str known;
    while ((known = command_verb(&at)).len > 0) {
        unsigned distance = str_distance(str_from(verb), known);
        if (distance < best) {
            best = distance;
            nearest = known;
        }
    }
    return cli_usage(cli, "%s has no '%s'%s%.*s", cli->command->name, verb,
                     nearest.len > 0 ? ", did you mean " : "", STR_ARG(nearest));
}

/* ---- options ------------------------------------------------------------------------ */

struct reading {
    struct cli *cli;
    const struct cli_option *rows[2]; /* the command's, everybody's */
    size_t counts[2];
    const char *output;
    const char *data;
    bool help;
    int at;
};

static const struct cli_option *
find_option(const struct reading *reading, struct str name, const char **ret_nearest)
{
    unsigned best = str_near_max(name) + 1u;
    *ret_nearest = NULL;
    for (size_t set = 0; set < 2; set++) {
        for (size_t i = 0; i < reading->counts[set]; i++) {
            const struct cli_option *row = &reading->rows[set][i];
            if (str_eq(name, str_from(row->name)))
                return row;
            unsigned distance = str_distance(name, str_from(row->name));
            if (distance < best) {
                best = distance;
                *ret_nearest = row->name;
            }
        }
    }
    return NULL;
}

static int
take_name(struct cli *cli, const char *word)
{
    if (cli->name_count == CLI_NAMES_MAX)
        return cli_usage(cli, "too many names");
    cli->names[cli->name_count++] = word;
    return CLI_DONE;
}

static int
take_value(struct reading *reading, const struct cli_option *row, bool joined, struct str value)
{
    struct cli *cli = reading->cli;
    if (!joined && reading->at >= cli->argc)
        return cli_usage(cli, "%s wants a value", row->name);
    *row->text = joined ? value.ptr : cli->argv[reading->at++];
    return CLI_DONE;
}

/* One word that starts with '-'. CLI_DONE or CLI_USAGE. */
static int
take_option(struct reading *reading, const char *word)
{
    struct cli *cli = reading->cli;
    struct str name = str_from(word);
    struct str value = STR_EMPTY;
    const char *nearest = NULL;
    bool joined = str_starts(name, STR("--")) && str_cut(name, '=', &name, &value);
    const struct cli_option *row = find_option(reading, name, &nearest);
    if (row == NULL)
        return cli_usage(cli, "unknown option %.*s%s%s", STR_ARG(name),
                         nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
    if (row->flag != NULL && row->text != NULL) {
        *row->flag = true;
        int exit = take_value(reading, row, joined, value);
        return exit == CLI_DONE ? take_name(cli, *row->text) : exit;
    }
    if (row->flag != NULL) {
        *row->flag = true;
        return joined ? cli_usage(cli, "%s takes no value", row->name) : CLI_DONE;
    }
    return take_value(reading, row, joined, value);
}

/* "-3.00" is an amount, no option. */
static bool
is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

static int
take_words(struct reading *reading)
{
    struct cli *cli = reading->cli;
    bool options_end = false;
    while (reading->at < cli->argc) {
        const char *word = cli->argv[reading->at++];
        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
            continue;
        }
        int exit =
            !options_end && is_option(word) ? take_option(reading, word) : take_name(cli, word);
        if (exit != CLI_DONE)
            return exit;
    }
    return CLI_DONE;
}

static int
take_common(struct reading *reading, size_t names_min, size_t names_max)
{
    struct cli *cli = reading->cli;
    if (cli->name_count < names_min)
        return cli_usage(cli, "something is missing: berth %s %s", cli->command->name,
                         cli->command->usage);
    if (cli->name_count > names_max)
        return cli_usage(cli, "unexpected '%s'", cli->names[names_max]);
    if (reading->data != NULL && !str_copy(cli->data, sizeof(cli->data), str_from(reading->data)))
        return cli_usage(cli, "the path of --data is too long");
    cli->output_given = reading->output != NULL;
    if (reading->output == NULL || strcmp(reading->output, "table") == 0)
        cli->output = CLI_TABLE;
    else if (strcmp(reading->output, "json") == 0)
        cli->output = CLI_JSON;
    else if (strcmp(reading->output, "yaml") == 0)
        cli->output = CLI_YAML;
    else if (cli->csv_fine && strcmp(reading->output, "csv") == 0)
        cli->output = CLI_CSV;
    else
        return cli_usage(cli, "-o must be table, json%s or yaml, not '%s'",
                         cli->csv_fine ? ", csv" : "", reading->output);
    return CLI_DONE;
}

bool
cli_begin(struct cli *cli, const struct cli_option *options, size_t count, size_t names_min,
          size_t names_max)
{
    struct reading reading = {.cli = cli, .rows = {options, NULL}, .counts = {count, 0}};
    const struct cli_option common[] = {
        {"-o", &reading.output, NULL},
        {"--output", &reading.output, NULL},
        {"--data", &reading.data, NULL},
        {"--server", &cli->server, NULL},
        {"--help", NULL, &reading.help},
        {"-h", NULL, &reading.help},
        {"--token-file", &cli->token_file, NULL},
    };
    reading.rows[1] = common;
    reading.counts[1] = ARRAY_LEN(common);
    cli->exit = take_words(&reading);
    if (cli->exit == CLI_DONE && reading.help) {
        command_print_help(cli->command, stdout);
        return false;
    }
    if (cli->exit == CLI_DONE)
        cli->exit = take_common(&reading, names_min, names_max);
    return cli->exit == CLI_DONE;
}

/* ---- files and documents ------------------------------------------------------------ */

const char *
cli_path(struct cli *cli, const char *name)
{
    struct str path = arena_printf(&cli->arena, "%s/%s", cli->data, name);
    ASSERT(path.ptr != NULL);
    return path.ptr;
}

int
cli_print(const struct cli *cli, const struct tree *root)
{
    struct buf out;
    buf_init(&out, CLI_REPLY_BYTES_MAX * 4);
    int rc = cli->output == CLI_JSON ? tree_to_json(root, true, &out) : tree_to_yaml(root, &out);
    if (rc == 0 && out.len > 0 && out.ptr[out.len - 1] != '\n')
        rc = buf_put_byte(&out, '\n');
    if (rc == 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len)
        rc = -ERR_IO;
    buf_fini(&out);
    return rc == 0 ? CLI_DONE : cli_fail("the answer cannot be printed: %s", err_text(rc));
}

static struct tree *
put_node(struct cli *cli, struct tree *parent, const char *key, enum tree_kind kind,
         struct str text)
{
    struct str copy = STR_EMPTY;
    int rc = arena_dup(&cli->arena, text, &copy);
    struct tree *node = rc == 0 ? tree_new(&cli->arena, kind, copy) : NULL;
    ASSERT(node != NULL);
    if (parent != NULL)
        tree_append(parent, key != NULL ? str_from(key) : STR_EMPTY, node);
    return node;
}

struct tree *
cli_map(struct cli *cli, struct tree *parent, const char *key)
{
    return put_node(cli, parent, key, TREE_MAP, STR_EMPTY);
}

struct tree *
cli_list(struct cli *cli, struct tree *parent, const char *key)
{
    return put_node(cli, parent, key, TREE_LIST, STR_EMPTY);
}

void
cli_put(struct cli *cli, struct tree *map, const char *key, struct str text)
{
    (void)put_node(cli, map, key, TREE_STRING, text);
}

void
cli_put_u64(struct cli *cli, struct tree *map, const char *key, uint64_t value)
{
    char digits[20];
    (void)put_node(cli, map, key, TREE_NUMBER, str_make(digits, num_write_u64(digits, value)));
}

bool
cli_read_file(struct cli *cli, const char *path, struct str *ret_text)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    struct buf text;
    char part[16384];
    size_t count = 0;
    if (file == NULL) {
        (void)cli_fail("cannot read %s: %s", path, strerror(errno));
        return false;
    }
    buf_init(&text, FILE_BYTES_MAX);
    while ((count = fread(part, 1, sizeof(part), file)) > 0)
        buf_put(&text, part, count);
    int reason = errno;
    bool failed = ferror(file) != 0;
    if (!standard)
        (void)fclose(file);
    if (failed)
        (void)cli_fail("cannot read %s: %s", path, strerror(reason));
    else if (text.failed || arena_dup(&cli->arena, buf_str(&text), ret_text) != 0)
        failed = cli_fail("%s is larger than 4 MiB", path) != CLI_DONE;
    buf_fini(&text);
    return !failed;
}

static struct str
scalar_text(const struct tree *node)
{
    bool scalar = node != NULL && node->kind != TREE_LIST && node->kind != TREE_MAP &&
                  node->kind != TREE_NULL;
    return scalar ? node->text : STR_EMPTY;
}

static const struct tree *
of_type(const struct tree *list, struct str type)
{
    const struct tree *item = list->first;
    while (item != NULL && !str_eq(scalar_text(tree_get(item, STR("type"))), type))
        item = item->next;
    return item;
}

const struct tree *
cli_member(const struct tree *root, const char *path)
{
    struct str rest = str_from(path);
    struct str name;
    while (root != NULL && rest.len > 0) {
        (void)str_cut(rest, '.', &name, &rest);
        root = root->kind == TREE_LIST ? of_type(root, name) : tree_get(root, name);
    }
    return root;
}

struct str
cli_text(const struct tree *root, const char *path)
{
    return scalar_text(cli_member(root, path));
}
