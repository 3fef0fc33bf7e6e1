/* SPDX-License-Identifier: MIT
 * logs.c - berth logs: the last lines of the daemons' logs.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: control bytes do not reach the terminal. */
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "lib/base/num.h"

#define TAIL_BYTES 262144

static const char *const daemons[] = {"controlplane", "dataplane", "agent", "sim"};

/* Start of the last `lines` lines of text. */
static struct str
last_lines(struct str text, uint64_t lines)
{
    size_t at = text.len;
    while (at > 0 && lines > 0) {
        at--;
        while (at > 0 && text.ptr[at - 1] != '\n')
            at--;
        lines--;
    }
    return str_skip(text, at);
}

static void
print_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        (void)putchar(c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f) ? (int)c : '?');
    }
}

/* Each line is a document; what is none, as a text. */
static int
keep_lines(struct cli *cli, struct str text, struct tree *all)
{
    while (text.len > 0) {
        struct str line;
        struct str copy;
        struct tree *node = NULL;
        (void)str_cut(text, '\n', &line, &text);
        if (arena_dup(&cli->arena, line, &copy) != 0)
            return cli_fail("out of memory");
        if (tree_from_json(copy, &cli->arena, &node, NULL) != 0)
            node = tree_new(&cli->arena, TREE_STRING, copy);
        if (node == NULL)
            return cli_fail("out of memory");
        tree_append(all, STR_EMPTY, node);
    }
    return CLI_DONE;
}

static int
show(struct cli *cli, const char *name, uint64_t lines, struct tree *all)
{
    static char text[TAIL_BYTES];
    struct str file_name = arena_printf(&cli->arena, "logs/%s.log", name);
    const char *path = file_name.ptr != NULL ? cli_path(cli, file_name.ptr) : "";
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    if (fseek(file, -(long)sizeof(text), SEEK_END) != 0)
        rewind(file);
    size_t count = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    if (cli->output != CLI_TABLE)
        return keep_lines(cli, last_lines(str_make(text, count), lines), all);
    (void)printf("==> %s <==\n", path);
    print_plain(last_lines(str_make(text, count), lines));
    return CLI_DONE;
}

int
command_logs(struct cli *cli)
{
    const char *count = NULL;
    uint64_t lines = 20;
    const struct cli_option options[] = {{"--lines", &count, NULL}, {"-n", &count, NULL}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 1))
        return cli->exit;
    if (count != NULL && num_u64(str_from(count), 1000000, &lines) != 0)
        return cli_usage(cli, "--lines wants a number up to 1000000");
    struct tree *lists = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    if (lists == NULL)
        return cli_fail("out of memory");
    int shown = 0;
    for (size_t i = 0; i < ARRAY_LEN(daemons); i++) {
        bool all = cli->name_count == 0;
        if (!all && strcmp(daemons[i], cli->names[0]) != 0)
            continue;
        struct str name = arena_printf(&cli->arena, "logs/%s.log", daemons[i]);
        FILE *file = all && name.ptr != NULL ? fopen(cli_path(cli, name.ptr), "re") : NULL;
        if (file != NULL)
            (void)fclose(file);
        if (all && file == NULL)
            continue; /* not every stack runs every daemon */
        if (show(cli, daemons[i], lines, lists) != CLI_DONE)
            return CLI_FAILED;
        shown++;
    }
    if (shown == 0 && cli->name_count > 0)
        return cli_usage(cli, "there is no daemon '%s'", cli->names[0]);
    if (shown == 0)
        return cli_fail("no logs in %s/logs", cli->data);
    return cli->output == CLI_TABLE ? CLI_DONE : cli_print(cli, lists);
}
