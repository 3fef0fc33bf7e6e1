/* SPDX-License-Identifier: MIT
 * usage.c - berth usage: what was used, and what it cost.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: money stays the decimal text that the ledger sent. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define SINCE_MS_MAX (UINT64_C(3650) * 86400000u)
#define BY_BYTES 128u
#define BY_MAX 5u /* of TABLE_COLUMNS_MAX, seven are figures */
#define PAGE "1000"
#define RECORDS_MAX 1000000u

struct query {
    const char *by;
    const char *wallet;
    const char *subject;
    const char *model;
    const char *provider;
    const char *since;
    const char *until;
    bool records;
    int64_t since_ms; /* 0 = from the first */
    int64_t until_ms; /* INT64_MAX = to the last */
};

static void
put_parameter(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "&%s=", name);
    client_path_put(path, str_from(value), false);
}

/* A column for each thing that --by names, in its order. */
static int
print_sums(const struct cli *cli, const char *by, const struct tree *items)
{
    static const char *const classes[] = {"input", "cached", "output", "reasoning"};
    char names[BY_BYTES];
    const char *headers[BY_MAX];
    const char *members[BY_MAX];
    char upper[BY_BYTES];
    size_t count = 0;
    struct table table;
    if (!str_copy(names, sizeof names, str_from(by)))
        return cli_usage(cli, "--by is too long");
    for (size_t i = 0; i < sizeof upper; i++)
        upper[i] = (char)(names[i] >= 'a' && names[i] <= 'z' ? names[i] - 'a' + 'A' : names[i]);
    for (size_t at = 0; names[at] != '\0' && count < BY_MAX; count++) {
        size_t length = strcspn(names + at, ",");
        members[count] = names + at;
        headers[count] = upper + at;
        bool last = names[at + length] == '\0';
        names[at + length] = upper[at + length] = '\0';
        at += length + (last ? 0 : 1);
        if (!last && count + 1 == BY_MAX)
            return cli_usage(cli, "a table has room for %u things of --by; use -o json", BY_MAX);
    }
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    for (size_t i = 0; i < count; i++)
        table_column(&table, headers[i], false);
    table_column(&table, "REQUESTS", true);
    table_column(&table, "INPUT", true);
    table_column(&table, "CACHED", true);
    table_column(&table, "OUTPUT", true);
    table_column(&table, "REASONING", true);
    table_column(&table, "COST USD", true);
    table_column(&table, "CHARGE USD", true);
    for (const struct tree *item = items != NULL ? items->first : NULL; item; item = item->next) {
        const struct tree *usage = tree_get(item, STR("usage"));
        for (size_t i = 0; i < count; i++)
            table_cell(&table, cli_text(item, members[i]));
        table_cell(&table, cli_text(item, "requests"));
        for (size_t i = 0; i < ARRAY_LEN(classes); i++)
            table_cell(&table, cli_text(usage, classes[i]));
        table_cell(&table, cli_text(item, "cost"));
        table_cell(&table, cli_text(item, "charge"));
    }
    return table_print(&table);
}

/* Wall clock of "24h" ago, or of "2026-11-03". */
static bool
time_of(const char *text, int64_t *ret_ms)
{
    uint64_t ago_ms = 0;
    struct tm tm = {.tm_year = 0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end != NULL && *end == 'T') /* as refusals write it */
        end = strptime(end, "T%H:%M:%SZ", &tm);
    if (end != NULL && *end == '\0') {
        *ret_ms = (int64_t)timegm(&tm) * 1000;
        return *ret_ms >= 0;
    }
    if (num_duration_ms(str_from(text), SINCE_MS_MAX, &ago_ms) != 0)
        return false;
    *ret_ms = MAX(clock_wall_ns() / 1000000 - (int64_t)ago_ms, (int64_t)0);
    return true;
}

static int
read_times(const struct cli *cli, struct query *query)
{
    query->until_ms = INT64_MAX;
    if (query->since != NULL && !time_of(query->since, &query->since_ms)) {
        return cli_usage(
            cli,
            "--since wants a time as 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z, not '%s'",
            query->since);
    }
    if (query->until != NULL && !time_of(query->until, &query->until_ms)) {
        return cli_usage(
            cli,
            "--until wants a time as 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z, not '%s'",
            query->until);
    }
    if (query->since_ms > query->until_ms)
        return cli_usage(cli, "--until is before --since");
    return CLI_DONE;
}

static int
show_sums(struct cli *cli, const struct query *query)
{
    const struct tree *reply = NULL;
    const char *by = query->by != NULL ? query->by : "subject";
    struct buf path;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/usage?by="));
    client_path_put(&path, str_from(by), false);
    put_parameter(&path, "wallet", query->wallet);
    put_parameter(&path, "subject", query->subject);
    put_parameter(&path, "model", query->model);
    put_parameter(&path, "provider", query->provider);
    if (query->since != NULL)
        buf_printf(&path, "&from_ms=%lld", (long long)query->since_ms);
    if (query->until != NULL)
        buf_printf(&path, "&to_ms=%lld", (long long)query->until_ms);
    int code =
        path.failed ? cli_fail("the query is too long") : client_get(cli, buf_cstr(&path), &reply);
    buf_fini(&path);
    if (code != CLI_DONE)
        return code;
    if (str_eq(cli_text(reply, "behind"), STR("true")))
        (void)fputs("berth: some usage is still being added up; ask again\n", stderr);
    return cli->output == CLI_JSON || cli->output == CLI_YAML
               ? cli_print(cli, reply)
               : print_sums(cli, by, tree_get(reply, STR("items")));
}

static void
put_record(struct table *table, const struct tree *record)
{
    static const char *const fields[] = {"id",      "subject",     "model",
                                         "outcome", "usage.input", "usage.output"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        table_cell(table, cli_text(record, fields[i]));
    table_cell(table, cli_text(record, "cost"));
    table_cell(table, cli_text(record, "charge"));
}

static int
print_records(const struct cli *cli, const struct tree *records)
{
    struct table table;
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    table_column(&table, "REQUEST", false);
    table_column(&table, "WHO", false);
    table_column(&table, "MODEL", false);
    table_column(&table, "OUTCOME", false);
    table_column(&table, "INPUT", true);
    table_column(&table, "OUTPUT", true);
    table_column(&table, "COST USD", true);
    table_column(&table, "CHARGE USD", true);
    for (const struct tree *record = records->first; record; record = record->next)
        put_record(&table, record);
    return table_print(&table);
}

static bool
is_wanted(const struct query *query, const struct tree *record)
{
    const char *const wanted[] = {query->wallet, query->subject, query->model, query->provider};
    static const char *const members[] = {"wallet", "subject", "model", "provider"};
    int64_t at_ms = 0;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (wanted[i] != NULL && !str_eq(cli_text(record, members[i]), str_from(wanted[i])))
            return false;
    }
    return num_i64(cli_text(record, "at_ms"), 0, INT64_MAX, &at_ms) == 0 &&
           at_ms >= query->since_ms && at_ms < query->until_ms;
}

static int
by_time(const void *a, const void *b)
{
    int64_t at[2] = {0, 0};
    (void)!num_i64(cli_text(*(struct tree *const *)a, "at_ms"), 0, INT64_MAX, &at[0]);
    (void)!num_i64(cli_text(*(struct tree *const *)b, "at_ms"), 0, INT64_MAX, &at[1]);
    return at[0] < at[1] ? -1 : at[0] > at[1];
}

/* The store has them by node; people want them as they happened. */
static struct tree *
sorted(struct cli *cli, const struct tree *records)
{
    size_t count = 0;
    struct tree *list = tree_new(&cli->arena, TREE_LIST, STR_EMPTY);
    struct tree **rows = arena_array(&cli->arena, records->count + 1, sizeof(struct tree *));
    if (list == NULL || rows == NULL)
        return NULL;
    for (struct tree *record = records->first; record != NULL; record = record->next)
        rows[count++] = record;
    qsort(rows, count, sizeof(struct tree *), by_time);
    for (size_t i = 0; i < count; i++) {
        rows[i]->next = NULL;
        tree_append(list, STR_EMPTY, rows[i]);
    }
    return list;
}

/* All pages as one list. */
static int
show_records(struct cli *cli, const struct query *query)
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
            if (!is_wanted(query, record))
                continue;
            struct tree *copy = tree_new(&cli->arena, TREE_MAP, STR_EMPTY);
            if (copy == NULL)
                return cli_fail("more records than memory; use the admin API page by page");
            *copy = *record;
            copy->next = NULL;
            tree_append(all, STR_EMPTY, copy);
        }
        after = cli_text(reply, "continue");
    } while (after.len > 0 && all != NULL && all->count < RECORDS_MAX);
    if (all != NULL)
        all = sorted(cli, all);
    if (all == NULL)
        return cli_fail("out of memory");
    return cli->output == CLI_JSON || cli->output == CLI_YAML ? cli_print(cli, all)
                                                              : print_records(cli, all);
}

int
command_usage(struct cli *cli)
{
    struct query query = {.by = NULL};
    const struct cli_option options[] = {{"--by", &query.by, NULL},
                                         {"--wallet", &query.wallet, NULL},
                                         {"--subject", &query.subject, NULL},
                                         {"--model", &query.model, NULL},
                                         {"--provider", &query.provider, NULL},
                                         {"--since", &query.since, NULL},
                                         {"--until", &query.until, NULL},
                                         {"--records", NULL, &query.records}};
    cli->csv_fine = true;
    if (!cli_begin(cli, options, ARRAY_LEN(options), 0, 0))
        return cli->exit;
    if (query.records && query.by != NULL)
        return cli_usage(cli, "--records are single requests, --by adds them up: one of the two");
    int code = read_times(cli, &query);
    if (code != CLI_DONE)
        return code;
    return query.records ? show_records(cli, &query) : show_sums(cli, &query);
}
