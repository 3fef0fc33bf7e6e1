/* SPDX-License-Identifier: MIT
 * invoices.c - berth invoices: statements of a wallet, as tables, documents and PDF.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: every figure is the text that the control plane sent. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/text/json.h"

#define INVOICES "/api/v1/wallet/invoices"

struct invoice_options {
    const char *wallet;
    const char *limit;
    const char *before;
    const char *pdf;
};

static bool
wants_tree(const struct cli *cli)
{
    return cli->output == CLI_JSON || cli->output == CLI_YAML;
}

/* ---- list ------------------------------------------------------------------------------------ */

static int
print_list(const struct cli *cli, const struct tree *reply)
{
    static const char *const fields[] = {"number", "wallet",          "from",      "to", "usage",
                                         "fees",   "general.closing", "ai.closing"};
    static const char *const headers[] = {"NUMBER",    "WALLET",   "FROM",        "TO",
                                          "USAGE USD", "FEES USD", "GENERAL USD", "AI USD"};
    struct table table;
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        table_column(&table, headers[i], i >= 4);
    const struct tree *list = tree_get(reply, STR("invoices"));
    for (const struct tree *row = list != NULL ? list->first : NULL; row; row = row->next) {
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            table_cell(&table, cli_text(row, fields[i]));
    }
    return table_print(&table);
}

static int
list(struct cli *cli, const struct invoice_options *options)
{
    const struct tree *reply = NULL;
    struct buf path;
    buf_init(&path, 4096);
    buf_put_str(&path, STR(INVOICES "?limit="));
    client_path_put(&path, str_from(options->limit != NULL ? options->limit : "20"), false);
    if (options->wallet != NULL) {
        buf_put_str(&path, STR("&wallet="));
        client_path_put(&path, str_from(options->wallet), false);
    }
    if (options->before != NULL) {
        buf_put_str(&path, STR("&before="));
        client_path_put(&path, str_from(options->before), false);
    }
    int code =
        path.failed ? cli_fail("the query is too long") : client_get(cli, buf_cstr(&path), &reply);
    buf_fini(&path);
    if (code != CLI_DONE)
        return code;
    return wants_tree(cli) ? cli_print(cli, reply) : print_list(cli, reply);
}

/* ---- one ------------------------------------------------------------------------------------- */

static void
print_head(const struct tree *invoice)
{
    static const char *const rows[][4] = {
        {"Opening", "general.opening", "ai.opening", ""},
        {"Topped up", "general.topped_up", "ai.topped_up", ""},
        {"Adjusted", "general.adjusted", "ai.adjusted", ""},
        {"Transferred", "transferred", "transferred", "left"},
        {"Fees", "", "fees", "-"},
        {"Allowances", "", "allowed", ""},
        {"Usage", "", "usage", "-"},
        {"Closing", "general.closing", "ai.closing", ""},
    };
    struct str number = cli_text(invoice, "number");
    struct str wallet = cli_text(invoice, "wallet");
    struct str from = cli_text(invoice, "from");
    struct str to = cli_text(invoice, "to");
    (void)printf("Invoice %.*s, wallet %.*s, %.*s to %.*s\n\n", STR_ARG(number), STR_ARG(wallet),
                 STR_ARG(from), STR_ARG(to));
    (void)printf("%-12s %16s %16s\n", "USD", "General", "AI");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char general[64];
        char ai[64];
        struct str left = cli_text(invoice, rows[i][1]);
        struct str right = cli_text(invoice, rows[i][2]);
        bool zero = str_eq(right, STR("0.00"));
        (void)snprintf(general, sizeof general, "%s%.*s",
                       strcmp(rows[i][3], "left") == 0 && !zero ? "-" : "", STR_ARG(left));
        (void)snprintf(ai, sizeof ai, "%s%.*s", strcmp(rows[i][3], "-") == 0 && !zero ? "-" : "",
                       STR_ARG(right));
        (void)printf("%-12s %16s %16s\n", rows[i][0], general, ai);
    }
    (void)printf("\n");
}

static int
print_lines(const struct cli *cli, const struct tree *invoice)
{
    static const char *const headers[] = {"KIND",  "AT",   "WHO OR REFERENCE", "MODEL",
                                          "CALLS", "COST", "MARKUP",           "AMOUNT USD"};
    struct table table;
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        table_column(&table, headers[i], i >= 4);
    const struct tree *lines = tree_get(invoice, STR("lines"));
    for (const struct tree *line = lines != NULL ? lines->first : NULL; line; line = line->next) {
        struct str subject = cli_text(line, "subject");
        struct str reason = cli_text(line, "reason");
        table_cell(&table, cli_text(line, "kind"));
        table_cell(&table, cli_text(line, "at"));
        table_cell(&table, subject.len > 0  ? subject
                           : reason.len > 0 ? reason
                                            : cli_text(line, "reference"));
        table_cell(&table, cli_text(line, "model"));
        table_cell(&table, cli_text(line, "requests"));
        table_cell(&table, cli_text(line, "cost"));
        table_cell(&table, cli_text(line, "markup"));
        table_cell(&table, cli_text(line, "amount"));
    }
    return table_print(&table);
}

static int
print_invoice(const struct cli *cli, const struct tree *invoice)
{
    if (wants_tree(cli))
        return cli_print(cli, invoice);
    if (cli->output == CLI_TABLE)
        print_head(invoice);
    return print_lines(cli, invoice);
}

/* An existing file is not written over. */
static int
write_pdf(const char *path, struct str bytes)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    size_t at = 0;
    while (at < bytes.len) {
        ssize_t count = write(fd, bytes.ptr + at, bytes.len - at);
        if (count <= 0)
            break;
        at += (size_t)count;
    }
    bool failed = at < bytes.len || (!standard && close(fd) < 0);
    if (failed)
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    if (!standard)
        (void)printf("%s\n", path);
    return CLI_DONE;
}

static int
fetch_pdf(struct cli *cli, const char *path, const char *file)
{
    struct err err = {0};
    struct buf bytes;
    long status = 0;
    const struct client_call call = {.method = "GET", .path = path, .body = STR_EMPTY};
    buf_init(&bytes, CLI_REPLY_BYTES_MAX);
    int code = CLI_FAILED;
    if (client_bytes(cli, &call, &status, &bytes, &err) < 0)
        (void)cli_fail("%s", err.text);
    else if (status == 404)
        (void)cli_fail("there is no such invoice");
    else if (status != 200 || !str_starts(buf_str(&bytes), STR("%PDF-")))
        (void)cli_fail("the admin API answered %ld and no PDF", status);
    else
        code = write_pdf(file, buf_str(&bytes));
    buf_fini(&bytes);
    return code;
}

static int
get(struct cli *cli, const struct invoice_options *options)
{
    const struct tree *reply = NULL;
    struct buf path;
    if (cli->name_count < 2)
        return cli_usage(cli, "the number is missing, as in berth invoices get 7");
    buf_init(&path, 4096);
    buf_put_str(&path, STR(INVOICES "/"));
    client_path_put(&path, str_from(cli->names[1]), false);
    if (options->pdf != NULL)
        buf_put_str(&path, STR("/pdf"));
    int code = CLI_DONE;
    if (path.failed)
        code = cli_fail("the number is too long");
    else if (options->pdf != NULL)
        code = fetch_pdf(cli, buf_cstr(&path), options->pdf);
    else
        code = client_get(cli, buf_cstr(&path), &reply);
    buf_fini(&path);
    return code == CLI_DONE && options->pdf == NULL ? print_invoice(cli, reply) : code;
}

static int
issue(struct cli *cli, const struct invoice_options *options)
{
    const struct tree *reply = NULL;
    struct json_writer json;
    struct buf body;
    buf_init(&body, 4096);
    json_writer_init(&json, &body);
    json_open_object(&json);
    json_member_str(&json, "wallet",
                    str_from(options->wallet != NULL ? options->wallet : "default"));
    json_close_object(&json);
    const struct client_call call = {
        .method = "POST", .path = INVOICES, .type = "application/json", .body = buf_str(&body)};
    int code = client_run(cli, &call, &reply);
    buf_fini(&body);
    return code == CLI_DONE ? print_invoice(cli, reply) : code;
}

int
command_invoices(struct cli *cli)
{
    struct invoice_options options = {.wallet = NULL};
    const struct cli_option rows[] = {{"--wallet", &options.wallet, NULL},
                                      {"--limit", &options.limit, NULL},
                                      {"--before", &options.before, NULL},
                                      {"--pdf", &options.pdf, NULL}};
    cli->csv_fine = true;
    if (!cli_begin(cli, rows, ARRAY_LEN(rows), 1, 2))
        return cli->exit;
    const char *verb = cli_verb(cli);
    if (strcmp(verb, "get") == 0)
        return get(cli, &options);
    if (!cli_has_verb(cli, verb))
        return cli_no_verb(cli, verb);
    if (cli->name_count > 1)
        return cli_usage(cli, "unexpected '%s'", cli->names[1]);
    if (options.pdf != NULL)
        return cli_usage(cli, "--pdf belongs to get");
    return strcmp(verb, "list") == 0 ? list(cli, &options) : issue(cli, &options);
}
