/* SPDX-License-Identifier: MIT
 * cli.h - one run of the command line: its options, its output, its exit code.
 * Floor: cli; main thread.
 * Owns: struct cli: the arena of this run, strings point into argv and environ.
 * Invariant: exit code 0 done, 1 failed (one sentence on stderr), 2 wrong usage. cli_test.c. */
#ifndef BERTH_CLI_CLI_H
#define BERTH_CLI_CLI_H

#include "lib/base/arena.h"
#include "lib/text/tree.h"

#define CLI_VERSION "0.1.0"
#define CLI_NAMES_MAX 32u
#define CLI_PATH_BYTES 1024u
#define CLI_REPLY_BYTES_MAX ((size_t)16 << 20)

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };
enum cli_output { CLI_TABLE, CLI_JSON, CLI_YAML, CLI_CSV };

struct command;
struct cli {
    const struct command *command;
    int argc; /* words behind the command's name */
    char **argv;
    const char *names[CLI_NAMES_MAX]; /* words that are no options */
    size_t name_count;
    enum cli_output output;
    bool output_given;
    bool csv_fine;          /* set before cli_begin: this command prints CSV too */
    const char *server;     /* URL of the admin API, or NULL = the data directory's socket */
    const char *token_file; /* for `server`, or NULL = the data directory's */
    char data[CLI_PATH_BYTES];
    bool no_answer; /* a call may or may not have been carried out */
    int exit;       /* set when cli_begin returns false */
    struct arena arena;
};

/* An option of one command: takes a value (text) or does not (flag); both: its value is one of the
 * names, as often as it comes, and the flag is set. */
struct cli_option {
    const char *name; /* "--wallet" */
    const char **text;
    bool *flag;
};

void cli_init(struct cli *cli);
void cli_fini(struct cli *cli);
/* cli_begin - read options and names; the options that every command has are added to
 * options[count]. false: help was printed or the usage was wrong: return cli->exit. */
bool cli_begin(struct cli *cli, const struct cli_option *options, size_t count, size_t names_min,
               size_t names_max) MUST_USE;
/* cli_fail / cli_usage - one sentence on stderr; return CLI_FAILED / CLI_USAGE. */
int cli_fail(const char *format, ...) PRINTF(1, 2);
int cli_usage(const struct cli *cli, const char *format, ...) PRINTF(2, 3);
/* cli_verb - the first name as a verb of the command's usage: "ls" is its list or show, "rm" its
 * delete. Any other word comes back as it is. cli_no_verb - the sentence for it, with the nearest
 * verb; returns CLI_USAGE. */
const char *cli_verb(const struct cli *cli);
bool cli_has_verb(const struct cli *cli, const char *word);
int cli_no_verb(const struct cli *cli, const char *verb);
/* cli_path - data directory + "/" + name in the arena; never NULL. */
const char *cli_path(struct cli *cli, const char *name);
/* cli_print - a document in the wanted format (a table has none: YAML). Returns an exit code. */
int cli_print(const struct cli *cli, const struct tree *root);
/* Documents in the making, in the arena; texts are copied. cli_map, cli_list: a new one under
 * `parent` (NULL: the root); key: NULL in a list. */
struct tree *cli_map(struct cli *cli, struct tree *parent, const char *key);
struct tree *cli_list(struct cli *cli, struct tree *parent, const char *key);
void cli_put(struct cli *cli, struct tree *map, const char *key, struct str text);
void cli_put_u64(struct cli *cli, struct tree *map, const char *key, uint64_t value);
/* cli_read_file - whole file, or standard input for "-", into the arena; prints why not. */
bool cli_read_file(struct cli *cli, const char *path, struct str *ret_text) MUST_USE;
/* cli_text - text of root's member at a dotted path ("spec.wallet"), "" when there is none. A list
 * on the path is searched for its item of that `type` ("status.conditions.Ready.reason"). */
struct str cli_text(const struct tree *root, const char *path);
const struct tree *cli_member(const struct tree *root, const char *path);

#endif
