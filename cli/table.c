/* SPDX-License-Identifier: MIT
 * table.c - see table.h.
 * Floor: cli; main thread.
 * Owns: see table.h.
 * Invariant: see table.h. */
#include "cli/table.h"

#include <stdio.h>

#include "api/money.h"
#include "cli/cli.h"
#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/text/utf8.h"

#define TABLE_BYTES_MAX ((size_t)32 << 20)

void
table_init(struct table *table)
{
    *table = (struct table){.columns = 0};
    buf_init(&table->text, TABLE_BYTES_MAX);
}

void
table_column(struct table *table, const char *header, bool right)
{
    ASSERT(table->columns < TABLE_COLUMNS_MAX && table->cells == 0);
    table->headers[table->columns] = header;
    table->right[table->columns] = right;
    table->width[table->columns++] = strlen(header);
}

void
table_cell(struct table *table, struct str text)
{
    size_t start = table->text.len;
    size_t column = table->cells++ % table->columns;
    if (text.len == 0)
        text = STR("-");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if ((unsigned char)c < 0x20 || c == 0x7f)
            c = '?';
        buf_put_byte(&table->text, c);
    }
    buf_put_byte(&table->text, '\0');
    if (!table->text.failed) {
        struct str cell = str_make(table->text.ptr + start, table->text.len - start - 1);
        table->width[column] = MAX(table->width[column], utf8_count(cell));
    }
}

static void
put_cell(const struct table *table, size_t column, struct str text, struct buf *out)
{
    size_t spaces = table->width[column] - utf8_count(text);
    bool last = column + 1 == table->columns;
    for (size_t i = 0; table->right[column] && i < spaces; i++)
        buf_put_byte(out, ' ');
    buf_put_str(out, text);
    for (size_t i = 0; !last && i < spaces + 2; i++) {
        if (!table->right[column] || i >= spaces)
            buf_put_byte(out, ' ');
    }
    if (last)
        buf_put_byte(out, '\n');
}

/* RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe in front. */
static void
put_field(const struct table *table, size_t column, struct str text, struct buf *out)
{
    static const char formula[] = "=+-@";
    bool number = table->right[column];
    bool quoted = str_find_byte(text, ',') != SIZE_MAX || str_find_byte(text, '"') != SIZE_MAX;
    if (str_eq(text, STR("-")))
        text = STR_EMPTY; /* a terminal's sign for nothing */
    if (quoted)
        buf_put_byte(out, '"');
    if (!number && text.len > 0 && strchr(formula, text.ptr[0]) != NULL)
        buf_put_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_put_byte(out, '"');
        buf_put_byte(out, text.ptr[i]);
    }
    if (quoted)
        buf_put_byte(out, '"');
    buf_put_str(out, column + 1 == table->columns ? STR("\r\n") : STR(","));
}

void
table_cell_nano(struct table *table, struct str nano)
{
    struct money money = {0};
    char text[32] = "";
    if (num_i64(nano, INT64_MIN, INT64_MAX, &money.nano) == 0)
        money_format(money, text);
    table_cell(table, str_from(text));
}

int
table_render(struct table *table, struct buf *out)
{
    const char *at = table->text.ptr;
    void (*put)(const struct table *, size_t, struct str, struct buf *) =
        table->csv ? put_field : put_cell;
    ASSERT(table->columns > 0);
    size_t cells = table->text.failed ? 0 : table->cells;
    for (size_t i = 0; i < table->columns; i++)
        put(table, i, str_from(table->headers[i]), out);
    for (size_t i = 0; i < cells; i++) {
        struct str cell = str_from(at);
        put(table, i % table->columns, cell, out);
        at += cell.len + 1;
    }
    bool failed = table->text.failed || out->failed;
    buf_fini(&table->text);
    return failed ? -ERR_TOO_LARGE : 0;
}

int
table_print(struct table *table)
{
    struct buf out;
    buf_init(&out, 2 * TABLE_BYTES_MAX);
    int rc = table_render(table, &out);
    if (rc == 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len)
        rc = -ERR_IO;
    buf_fini(&out);
    return rc == 0 ? CLI_DONE : cli_fail("the table cannot be printed: %s", err_text(rc));
}
