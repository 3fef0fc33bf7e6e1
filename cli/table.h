/* SPDX-License-Identifier: MIT
 * table.h - columns for a terminal, as wide as their widest cell; or the same as CSV.
 * Floor: cli; main thread.
 * Owns: the text of its cells, until table_print.
 * Invariant: control bytes of a cell never reach the terminal: table_test.c. */
#ifndef BERTH_CLI_TABLE_H
#define BERTH_CLI_TABLE_H

#include "lib/base/buf.h"

#define TABLE_COLUMNS_MAX 12u

struct table {
    const char *headers[TABLE_COLUMNS_MAX]; /* borrowed until table_print */
    bool right[TABLE_COLUMNS_MAX];
    size_t width[TABLE_COLUMNS_MAX]; /* characters */
    size_t columns;
    size_t cells;
    bool csv;        /* set after table_init: table_render writes RFC 4180 instead */
    struct buf text; /* each cell with a NUL behind it */
};

void table_init(struct table *table);
/* table_column - before the first cell. right: numbers. */
void table_column(struct table *table, const char *header, bool right);
/* table_cell - the next one, row by row; empty is shown as "-". */
void table_cell(struct table *table, struct str text);
/* table_cell_nano - a whole number of nano-dollars, shown as dollars. */
void table_cell_nano(struct table *table, struct str nano);
/* table_render - append header and rows to `out`, then free the cells. 0, -ERR_TOO_LARGE. */
int table_render(struct table *table, struct buf *out) MUST_USE;
/* table_print - the same to stdout. Returns an exit code. */
int table_print(struct table *table);

#endif
