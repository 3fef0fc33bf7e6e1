/* SPDX-License-Identifier: MIT
 * wallet.c - berth wallet: balances and movements of money.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: every movement has an idempotency key, so that a repeat moves nothing. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"
#include "lib/text/json.h"

struct wallet_options {
    const char *wallet;
    const char *amount;
    const char *key;
    const char *fee;
    const char *limit;
    const char *before;
};

static int
get_with(struct cli *cli, const char *path, const char *name, const char *value,
         const struct tree **ret_reply)
{
    struct buf full;
    buf_init(&full, 4096);
    buf_printf(&full, "%s%s=", path, name);
    client_path_put(&full, str_from(value), false);
    int code = full.failed ? cli_fail("the query is too long")
                           : client_get(cli, buf_cstr(&full), ret_reply);
    buf_fini(&full);
    return code;
}

/* Name and value of each member, one a line. */
static int
print_members(const struct cli *cli, const struct tree *reply)
{
    if (cli->output != CLI_TABLE)
        return cli_print(cli, reply);
    for (const struct tree *member = reply != NULL ? reply->first : NULL; member != NULL;
         member = member->next) {
        if (member->kind != TREE_LIST && member->kind != TREE_MAP)
            (void)printf("%-18.*s %.*s\n", STR_ARG(member->key), STR_ARG(member->text));
    }
    return CLI_DONE;
}

static int
show(struct cli *cli, const struct wallet_options *options)
{
    const struct tree *reply = NULL;
    const char *wallet = cli->name_count > 1 ? cli->names[1] : options->wallet;
    int code = get_with(cli, "/api/v1/wallet/balances?", "wallet",
                        wallet != NULL ? wallet : "default", &reply);
    return code == CLI_DONE ? print_members(cli, reply) : code;
}

static void
new_key(char out[40])
{
    (void)snprintf(out, 40, "cli-%016llx%016llx", (unsigned long long)rand_u64(),
                   (unsigned long long)rand_u64());
}

static int
put_fee(const struct cli *cli, struct json_writer *json, const char *fee)
{
    uint64_t bps = 0;
    if (fee == NULL)
        return CLI_DONE;
    if (num_u64(str_from(fee), 9999, &bps) != 0)
        return cli_usage(cli, "--expected-fee-bps wants a number from 0 to 9999");
    json_member_u64(json, "expected_fee_bps", bps);
    return CLI_DONE;
}

static int
move(struct cli *cli, const struct wallet_options *options, bool transfer)
{
    const struct tree *reply = NULL;
    struct json_writer json;
    struct buf body;
    char made[40];
    const char *amount = cli->name_count > 1 ? cli->names[1] : options->amount;
    const char *key = options->key;
    if (amount == NULL)
        return cli_usage(cli, "the amount is missing, as in berth wallet %s 12.50",
                         transfer ? "transfer" : "deposit");
    if (!transfer && options->fee != NULL)
        return cli_usage(cli, "--expected-fee-bps belongs to transfer");
    if (key == NULL) {
        new_key(made);
        key = made;
    }
    buf_init(&body, 65536);
    json_writer_init(&json, &body);
    json_open_object(&json);
    if (options->wallet != NULL)
        json_member_str(&json, "wallet", str_from(options->wallet));
    json_member_str(&json, "amount", str_from(amount));
    json_member_str(&json, "idempotency_key", str_from(key));
    int code = put_fee(cli, &json, options->fee);
    json_close_object(&json);
    const struct client_call call = {
        .method = "POST",
        .path = transfer ? "/api/v1/wallet/transfers" : "/api/v1/wallet/deposits",
        .type = "application/json",
        .body = buf_str(&body),
    };
    if (code == CLI_DONE) {
        code = client_run(cli, &call, &reply);
        if (cli->no_answer && options->key == NULL) {
            (void)fprintf(stderr,
                          "It may have been carried out; to repeat it safely, add "
                          "--idempotency-key %s\n",
                          key);
        }
    }
    buf_fini(&body);
    return code == CLI_DONE ? print_members(cli, reply) : code;
}

static void
put_transaction(struct table *table, const struct tree *row)
{
    const struct tree *entries = tree_get(row, STR("entries"));
    for (const struct tree *entry = entries ? entries->first : NULL; entry; entry = entry->next) {
        int64_t at_ms = 0;
        char when[32] = "";
        if (num_i64(cli_text(row, "at_ms"), 0, INT64_MAX / 1000000, &at_ms) == 0)
            clock_format_rfc3339(at_ms * 1000000, when);
        table_cell(table, cli_text(row, "id"));
        table_cell(table, str_from(when));
        table_cell(table, cli_text(row, "kind"));
        table_cell(table, cli_text(row, "wallet"));
        table_cell(table, cli_text(entry, "account"));
        table_cell(table, cli_text(entry, "amount"));
    }
}

static int
transactions(struct cli *cli, const struct wallet_options *options)
{
    const struct tree *reply = NULL;
    struct table table;
    struct buf path;
    buf_init(&path, 4096);
    buf_put_str(&path, STR("/api/v1/wallet/transactions?"));
    if (options->before != NULL) {
        buf_put_str(&path, STR("before="));
        client_path_put(&path, str_from(options->before), false);
        buf_put_byte(&path, '&');
    }
    if (options->wallet != NULL) {
        buf_put_str(&path, STR("wallet="));
        client_path_put(&path, str_from(options->wallet), false);
        buf_put_byte(&path, '&');
    }
    int code = get_with(cli, buf_cstr(&path), "limit",
                        options->limit != NULL ? options->limit : "20", &reply);
    buf_fini(&path);
    if (code != CLI_DONE || cli->output != CLI_TABLE)
        return code == CLI_DONE ? cli_print(cli, reply) : code;
    table_init(&table);
    table_column(&table, "ID", true);
    table_column(&table, "AT", false);
    table_column(&table, "KIND", false);
    table_column(&table, "WALLET", false);
    table_column(&table, "ACCOUNT", false);
    table_column(&table, "NANO USD", true);
    const struct tree *list = tree_get(reply, STR("transactions"));
    for (const struct tree *row = list != NULL ? list->first : NULL; row; row = row->next)
        put_transaction(&table, row);
    return table_print(&table);
}

static int
audit(struct cli *cli)
{
    const struct tree *reply = NULL;
    int code = client_get(cli, "/api/v1/wallet/audit", &reply);
    if (code == CLI_DONE)
        code = print_members(cli, reply);
    bool ok = str_eq(cli_text(reply, "ok"), STR("true"));
    return code == CLI_DONE && !ok ? cli_fail("the ledger does not agree with itself") : code;
}

int
command_wallet(struct cli *cli)
{
    struct wallet_options options = {.wallet = NULL};
    const struct cli_option rows[] = {
        {"--wallet", &options.wallet, NULL},       {"--amount", &options.amount, NULL},
        {"--idempotency-key", &options.key, NULL}, {"--expected-fee-bps", &options.fee, NULL},
        {"--limit", &options.limit, NULL},         {"--before", &options.before, NULL},
    };
    if (!cli_begin(cli, rows, ARRAY_LEN(rows), 1, 2))
        return cli->exit;
    const char *verb = cli->names[0];
    if (strcmp(verb, "show") == 0)
        return show(cli, &options);
    if (strcmp(verb, "transfer") == 0 || strcmp(verb, "deposit") == 0)
        return move(cli, &options, verb[0] == 't');
    if (cli->name_count > 1)
        return cli_usage(cli, "unexpected '%s'", cli->names[1]);
    if (strcmp(verb, "transactions") == 0)
        return transactions(cli, &options);
    if (strcmp(verb, "audit") == 0)
        return audit(cli);
    return cli_usage(cli, "wallet has no '%s'", verb);
}
