/* SPDX-License-Identifier: MIT
 * kind.h - kinds of objects as people type them, and the columns that a list shows.
 * Floor: cli; main thread.
 * Owns: nothing; static rows.
 * Invariant: every kind of api/schema/kinds.def has a row and columns: cli_test.c. */
#ifndef BERTH_CLI_KIND_H
#define BERTH_CLI_KIND_H

#include "cli/cli.h"

enum kind_id {
#define KIND_ROW(name, title, plural, text) KIND_##name,
#include "api/schema/kinds.def"
#undef KIND_ROW
    KIND_COUNT
};
struct kind {
    enum kind_id id;
    const char *name;   /* "Container" */
    const char *plural; /* "containers" */
};
/* kind_find - "containers", "container", "Container", "co"; NULL, and the sentence printed. */
const struct kind *kind_find(const struct cli *cli, const char *word);
/* kind_print_list - objects (a TREE_LIST) as a table. Returns an exit code. */
int kind_print_list(const struct kind *kind, const struct tree *objects);
/* kind_path - path of the collection, or of one object; in the arena. */
const char *kind_path(struct cli *cli, const struct kind *kind, const char *name);

#endif
