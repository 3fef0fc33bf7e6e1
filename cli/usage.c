/* SPDX-License-Identifier: MIT
 * usage.c - berth usage: what was used, and what it cost.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: money stays the decimal text that the ledger sent. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define SINCE_MS_MAX (UINT64_C(3650) * 86400000u)
#define PAGE "1000"
#define RECORDS_MAX 1000000u

struct query {
    const char *by;
    const char *wallet;
    const char *subject;
    const char *since;
    bool records;
};

static void
put_parameter(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "&%s=", name);
    client_path_put(path, str_from(value), false);
}

static int
print_sums(const struct tree *items)
{
    static const char *const classes[] = {"input", "cached", "output", "reasoning"};
    struct table table;
    table_init(&table);
    table_column(&table, "NAME", false);
    table_column(&table, "REQUESTS", true);
    table_column(&table, "INPUT", true);
    table_column(&table, "CACHED", true);
    table_column(&table, "OUTPUT", true);
    table_column(&table, "REASONING", true);
    table_column(&table, "COST USD", true);
    table_column(&table, "CHARGE USD", true);
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        const struct tree *usage = tree_get(item, STR("usage"));
        table_cell(&table, cli_text(item, "name"));
        table_cell(&table, cli_text(item, "requests"));
        for (size_t i = 0; i < ARRAY_LEN(classes); i++)
            table_cell(&table, cli_text(usage, classes[i]));
        table_cell(&table, cli_text(item, "cost"));
        table_cell(&table, cli_text(item, "charge"));
    }
    return table_print(&table);
}

static int
show_sums(struct cli *cli, const struct query *query)
{
    const struct tree *reply = NULL;
    struct buf path;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/usage?group="));
    client_path_put(&path, str_from(query->by != NULL ? query->by : "subject"), false);
    put_parameter(&path, "wallet", query->wallet);
    put_parameter(&path, "subject", query->subject);
    uint64_t since_ms = 0;
    if (query->since != NULL &&
        num_duration_ms(str_from(query->since), SINCE_MS_MAX, &since_ms) != 0) {
        buf_fini(&path);
        return cli_usage(cli, "--since wants a time as 30m, 2h or 7d, not '%s'", query->since);
    }
    if (query->since != NULL)
        buf_printf(&path, "&from_ms=%lld",
                   (long long)(clock_wall_ns() / 1000000) - (long long)since_ms);
    int code =
        path.failed ? cli_fail("the query is too long") : client_get(cli, buf_cstr(&path), &reply);
    buf_fini(&path);
    if (code != CLI_DONE)
        return code;
    return cli->output == CLI_TABLE ? print_sums(tree_get(reply, STR("items")))
                                    : cli_print(cli, reply);
}

static void
put_record(struct table *table, const struct tree *record)
{
    static const char *const fields[] = {"id",          "subject",      "model", "outcome",
                                         "usage.input", "usage.output", "cost",  "charge"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        table_cell(table, cli_text(record, fields[i]));
}

static int
print_records(const struct tree *records)
{
    struct table table;
    table_init(&table);
    table_column(&table, "REQUEST", false);
    table_column(&table, "WHO", false);
    table_column(&table, "MODEL", false);
    table_column(&table, "OUTCOME", false);
    table_column(&table, "INPUT", true);
    table_column(&table, "OUTPUT", true);
    table_column(&table, "COST NANO", true);
    table_column(&table, "CHARGE NANO", true);
    for (const struct tree *record = records->first; record; record = record->next)
        put_record(&table, record);
    return table_print(&table);
}

/* All pages as one list. */
static int
show_records(struct cli *cli)
{
    struct tree *all = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    struct str after = STR_EMPTY;
    do {
        const struct tree *reply = NULL;
        struct buf path;
        buf_init(&path, 4096);
        buf_put_str(&path, STR("/api/v1/usage/records?limit=" PAGE));
        if (after.len > 0) {
            buf_put_str(&path, STR("&after="));
            client_path_put(&path, after, false);
        }
        int code = client_get(cli, buf_cstr(&path), &reply);
        buf_fini(&path);
        if (code != CLI_DONE)
            return code;
        const struct tree *records = tree_get(reply, STR("records"));
        for (const struct tree *record = records != NULL ? records->first : NULL; record && all;
             record = record->next) {
            struct tree *copy = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
            if (copy == NULL)
                return cli_fail("more records than memory; use the admin API page by page");
            *copy = *record;
            copy->next = NULL;
            tree_append(all, STR_EMPTY, copy);
        }
        after = cli_text(reply, "continue");
    } while (after.len > 0 && all != NULL && all->count < RECORDS_MAX);
    if (all == NULL)
        return cli_fail("out of memory");
    return cli->output == CLI_TABLE ? print_records(all) : cli_print(cli, all);
}

int
command_usage(struct cli *cli)
{
    struct query query = {.by = NULL};
    const struct cli_option options[] = {{"--by", &query.by, NULL},
                                         {"--wallet", &query.wallet, NULL},
                                         {"--subject", &query.subject, NULL},
                                         {"--since", &query.since, NULL},
                                         {"--records", NULL, &query.records}};
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 0))
        return cli->exit;
    return query.records ? show_records(cli) : show_sums(cli, &query);
}
