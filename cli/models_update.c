/* SPDX-License-Identifier: MIT
 * models_update.c - berth models update and discover: another catalogue, and what providers list.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: a dry run says the same and changes nothing. */
#include <stdio.h>
#include <time.h>

#include "cli/client.h"
#include "cli/models_int.h"
#include "cli/table.h"
#include "lib/base/clock.h"

#define SHOWN_MAX 40u
#define SCAN_MS_MAX 120000u

/* ---- update ---------------------------------------------------------------------------------- */

static void
print_names(const struct tree *list, char sign)
{
    unsigned shown = 0;
    for (const struct tree *item = list != NULL ? list->first : NULL; item; item = item->next) {
        if (shown++ < SHOWN_MAX)
            (void)printf("%c %.*s\n", sign, STR_ARG(item->text));
    }
    if (shown > SHOWN_MAX)
        (void)printf("%c ... (-o json shows all)\n", sign);
}

static void
print_repriced(const struct tree *list)
{
    unsigned shown = 0;
    for (const struct tree *item = list != NULL ? list->first : NULL; item; item = item->next) {
        const struct tree *prices = cli_member(item, "prices");
        if (shown++ >= SHOWN_MAX)
            continue;
        (void)printf("$ %.*s", STR_ARG(cli_text(item, "id")));
        if (prices == NULL || prices->first == NULL)
            (void)printf("  other prices than the plain ones");
        for (const struct tree *price = prices ? prices->first : NULL; price; price = price->next) {
            struct str before = cli_text(price, "before");
            struct str after = cli_text(price, "after");
            if (before.len == 0)
                before = STR("none");
            if (after.len == 0)
                after = STR("none");
            (void)printf("  %.*s %.*s -> %.*s %.*s", STR_ARG(cli_text(price, "class")),
                         STR_ARG(before), STR_ARG(after), STR_ARG(cli_text(price, "unit")));
        }
        (void)printf("\n");
    }
    if (shown > SHOWN_MAX)
        (void)printf("$ ... (-o json shows all)\n");
}

static int
print_changes(const struct cli *cli, const struct tree *reply, bool dry_run)
{
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    print_names(cli_member(reply, "added"), '+');
    print_names(cli_member(reply, "removed"), '-');
    print_repriced(cli_member(reply, "repriced"));
    (void)printf(
        "catalogue of %.*s %s %.*s: %.*s added, %.*s removed, %.*s repriced, %.*s otherwise "
        "changed\n",
        STR_ARG(cli_text(reply, "before")), dry_run ? "would become that of" : "->",
        STR_ARG(cli_text(reply, "after")), STR_ARG(cli_text(reply, "counts.added")),
        STR_ARG(cli_text(reply, "counts.removed")), STR_ARG(cli_text(reply, "counts.repriced")),
        STR_ARG(cli_text(reply, "counts.changed")));
    return CLI_DONE;
}

int
models_update(struct cli *cli, const char *file, bool shipped, bool dry_run)
{
    const struct tree *reply = NULL;
    struct str text = STR_EMPTY;
    if ((file != NULL) == shipped)
        return cli_usage(cli, "berth models update wants --file FILE, or --shipped");
    if (file != NULL && !cli_read_file(cli, file, &text))
        return CLI_FAILED;
    const struct client_call call = {.method = shipped ? "DELETE" : "PUT",
                                     .path = dry_run ? "/api/v1/catalogue?dryRun=true"
                                                     : "/api/v1/catalogue",
                                     .type = shipped ? NULL : "application/json",
                                     .body = text};
    int code = client_run(cli, &call, &reply);
    return code == CLI_DONE ? print_changes(cli, reply, dry_run) : code;
}

/* ---- discover -------------------------------------------------------------------------------- */

static bool
is_wanted(const struct tree *row, const char *provider)
{
    return provider == NULL || str_eq(cli_text(row, "provider"), str_from(provider));
}

/* Every scan of those has ended, or it takes too long. */
static int
wait_for_scans(struct cli *cli, const char *provider, const struct tree **ret_rows)
{
    uint64_t end = clock_mono_ms() + SCAN_MS_MAX;
    for (;;) {
        const struct tree *reply = NULL;
        const struct timespec nap = {.tv_nsec = 100000000};
        bool busy = false;
        int code = client_get(cli, "/api/v1/discovery", &reply);
        if (code != CLI_DONE)
            return code;
        *ret_rows = tree_get(reply, STR("providers"));
        for (const struct tree *row = *ret_rows ? (*ret_rows)->first : NULL; row; row = row->next)
            busy =
                busy || (is_wanted(row, provider) && str_eq(cli_text(row, "state"), STR("asking")));
        if (!busy)
            return CLI_DONE;
        if (clock_mono_ms() > end)
            return cli_fail("some providers have not answered; berth models discover --status says "
                            "which");
        (void)nanosleep(&nap, NULL);
    }
}

static void
count_cell(struct table *table, const struct tree *row, const char *path)
{
    char text[16];
    const struct tree *list = cli_member(row, path);
    (void)snprintf(text, sizeof(text), "%u", list != NULL ? list->count : 0u);
    table_cell(table, list != NULL ? str_from(text) : STR_EMPTY);
}

static int
print_scans(const struct cli *cli, const struct tree *rows, const char *provider)
{
    static const char *const news[] = {"added", "returned", "disabled", "repriced", "missing"};
    static const char *const titles[] = {"ADDED", "RETURNED", "DISABLED", "REPRICED", "MISSING"};
    struct table table;
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    table_column(&table, "PROVIDER", false);
    table_column(&table, "AT", false);
    table_column(&table, "LISTED", true);
    for (size_t i = 0; i < ARRAY_LEN(news); i++)
        table_column(&table, titles[i], true);
    table_column(&table, "PROBLEM", false);
    for (const struct tree *row = rows != NULL ? rows->first : NULL; row; row = row->next) {
        if (!is_wanted(row, provider))
            continue;
        table_cell(&table, cli_text(row, "provider"));
        table_cell(&table, cli_text(row, "last.at"));
        table_cell(&table, cli_text(row, "last.listed"));
        for (size_t i = 0; i < ARRAY_LEN(news); i++) {
            char path[32];
            (void)snprintf(path, sizeof(path), "last.%s", news[i]);
            count_cell(&table, row, path);
        }
        table_cell(&table, cli_text(row, "last.problem"));
    }
    return table_print(&table);
}

/* Which names it is about, behind the table of numbers. */
static void
print_news(const struct tree *rows, const char *provider)
{
    static const char *const news[] = {"added", "returned", "disabled", "repriced"};
    static const char signs[] = {'+', '^', '-', '$'};
    for (const struct tree *row = rows != NULL ? rows->first : NULL; row; row = row->next) {
        for (size_t i = 0; i < ARRAY_LEN(news) && is_wanted(row, provider); i++) {
            char path[32];
            (void)snprintf(path, sizeof(path), "last.%s", news[i]);
            const struct tree *list = cli_member(row, path);
            unsigned shown = 0;
            for (const struct tree *name = list ? list->first : NULL; name; name = name->next) {
                if (shown++ < SHOWN_MAX)
                    (void)printf("%c %.*s/%.*s\n", signs[i], STR_ARG(cli_text(row, "provider")),
                                 STR_ARG(name->text));
            }
            if (shown > SHOWN_MAX)
                (void)printf("%c ... (-o json shows more)\n", signs[i]);
        }
    }
}

int
models_discover(struct cli *cli, const char *provider, bool status)
{
    const struct tree *rows = NULL;
    const struct tree *reply = NULL;
    struct buf path;
    int code = CLI_DONE;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/discovery"));
    if (provider != NULL) {
        buf_put_str(&path, STR("?provider="));
        client_path_put(&path, str_from(provider), false);
    }
    buf_put_byte(&path, '\0');
    const struct client_call call = {.method = "POST", .path = path.ptr, .body = STR_EMPTY};
    if (!status)
        code = path.failed ? cli_fail("out of memory") : client_run(cli, &call, &reply);
    buf_fini(&path);
    if (code == CLI_DONE)
        code = wait_for_scans(cli, provider, &rows);
    if (code != CLI_DONE)
        return code;
    if (cli->output == CLI_JSON || cli->output == CLI_YAML)
        return rows != NULL ? cli_print(cli, rows) : CLI_DONE;
    code = print_scans(cli, rows, provider);
    if (code == CLI_DONE && cli->output == CLI_TABLE)
        print_news(rows, provider);
    return code;
}
