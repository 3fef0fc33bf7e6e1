/* SPDX-License-Identifier: MIT
 * wallet.c - berth wallet: balances and movements of money.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: every movement has an idempotency key, so that a repeat moves nothing. */
#include <stdio.h>
#include <unistd.h>

#include "api/money.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"
#include "lib/text/json.h"

#define REFERENCE_BYTES_MAX 123u /* "bank:" is put before it; the ledger's keys have 128 */

struct wallet_options {
    const char *wallet;
    const char *amount;
    const char *key;
    const char *fee;
    const char *limit;
    const char *before;
    const char *reference;
    const char *reason;
    const char *balance;
};

static const char *
wallet_name(const struct cli *cli, const struct wallet_options *options)
{
    if (cli->name_count > 1)
        return cli->names[1];
    return options->wallet != NULL ? options->wallet : "default";
}

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

/* ---- bars ------------------------------------------------------------------------------------ */

#define BAR_CELLS 48

/* Of `whole`, rounded to the nearest cell, never 0 for something. */
static int
cells_of(int64_t nano, int64_t whole)
{
    if (nano <= 0 || whole <= 0)
        return 0;
    int128_t cells = ((int128_t)nano * BAR_CELLS + whole / 2) / whole;
    return cells < 1 ? 1 : cells > BAR_CELLS ? BAR_CELLS : (int)cells;
}

static int64_t
nano_of(const struct tree *reply, const char *name)
{
    struct money money = {0};
    return money_parse(cli_text(reply, name), 9, &money) == 0 ? money.nano : 0;
}

/* What of the AI money is used, lent to nodes, and free, as a picture for a terminal. */
static void
print_bars(const struct tree *reply)
{
    char bar[BAR_CELLS + 1];
    int64_t limit = nano_of(reply, "ai_limit");
    int64_t used = nano_of(reply, "ai_usage");
    int64_t held = nano_of(reply, "held");
    int used_cells = cells_of(used, limit);
    int held_cells = MIN(cells_of(held, limit), BAR_CELLS - used_cells);
    if (limit <= 0)
        return;
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < used_cells ? '#' : i < used_cells + held_cells ? '=' : '.';
    bar[BAR_CELLS] = '\0';
    (void)printf("\nAI [%s]  # used  = lent to nodes  . free\n", bar);
}

/* ---- looking --------------------------------------------------------------------------------- */

static int
show(struct cli *cli, const struct wallet_options *options)
{
    const struct tree *reply = NULL;
    int code =
        get_with(cli, "/api/v1/wallet/balances?", "wallet", wallet_name(cli, options), &reply);
    if (code == CLI_DONE)
        code = print_members(cli, reply);
    if (code == CLI_DONE && cli->output == CLI_TABLE && isatty(STDOUT_FILENO))
        print_bars(reply);
    return code;
}

static int
settings(struct cli *cli)
{
    const struct tree *reply = NULL;
    int code = client_get(cli, "/api/v1/settings", &reply);
    if (code == CLI_DONE)
        code = print_members(cli, reply);
    const struct tree *webhooks = tree_get(reply, STR("webhooks"));
    for (const struct tree *row = webhooks != NULL ? webhooks->first : NULL;
         row != NULL && code == CLI_DONE && cli->output == CLI_TABLE; row = row->next)
        (void)printf("webhook %-10.*s %s\n", STR_ARG(row->key),
                     str_eq(row->text, STR("true")) ? "on" : "off");
    return code;
}

/* The Wallet as it is, but for spec.frozen. */
static int
freeze(struct cli *cli, const struct wallet_options *options, bool frozen)
{
    const struct tree *object = NULL;
    struct json_writer json;
    struct buf path;
    struct buf body;
    buf_init(&path, 4096);
    buf_init(&body, 1u << 20);
    buf_put_str(&path, STR("/apis/berth.dev/v1alpha1/wallets/"));
    client_path_put(&path, str_from(wallet_name(cli, options)), false);
    int code = client_get(cli, buf_cstr(&path), &object);
    const struct tree *spec = tree_get(object, STR("spec"));
    json_writer_init(&json, &body);
    json_open_object(&json);
    json_member_str(&json, "apiVersion", cli_text(object, "apiVersion"));
    json_member_str(&json, "kind", cli_text(object, "kind"));
    json_key(&json, "metadata");
    json_open_object(&json);
    json_member_str(&json, "name", cli_text(object, "metadata.name"));
    json_member_str(&json, "revision", cli_text(object, "metadata.revision"));
    json_close_object(&json);
    json_key(&json, "spec");
    json_open_object(&json);
    for (const struct tree *field = spec != NULL ? spec->first : NULL; field; field = field->next) {
        struct buf value;
        buf_init(&value, 65536);
        if (!str_eq(field->key, STR("frozen")) && tree_to_json(field, false, &value) == 0) {
            json_key_str(&json, field->key);
            json_value_raw(&json, buf_str(&value));
        }
        buf_fini(&value);
    }
    json_member_bool(&json, "frozen", frozen);
    json_close_object(&json);
    json_close_object(&json);
    const struct client_call call = {.method = "PUT",
                                     .path = buf_cstr(&path),
                                     .type = "application/json",
                                     .body = buf_str(&body)};
    if (code == CLI_DONE)
        code = client_run(cli, &call, &object);
    if (code == CLI_DONE && cli->output == CLI_TABLE)
        (void)printf("wallet %s is %s\n", wallet_name(cli, options), frozen ? "frozen" : "usable");
    else if (code == CLI_DONE)
        code = cli_print(cli, object);
    buf_fini(&path);
    buf_fini(&body);
    return code;
}

static void
new_key(char *out, size_t size)
{
    (void)snprintf(out, size, "cli-%016llx%016llx", (unsigned long long)rand_u64(),
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

enum movement { DEPOSIT, TRANSFER, ADJUST };
static const struct {
    const char *verb;
    const char *path;
} movements[] = {
    [DEPOSIT] = {"deposit", "/api/v1/wallet/deposits"},
    [TRANSFER] = {"transfer", "/api/v1/wallet/transfers"},
    [ADJUST] = {"adjust", "/api/v1/wallet/adjustments"},
};

static int
check_movement(const struct cli *cli, const struct wallet_options *options, enum movement what)
{
    if (what != TRANSFER && options->fee != NULL)
        return cli_usage(cli, "--expected-fee-bps belongs to transfer");
    if (what != DEPOSIT && options->reference != NULL)
        return cli_usage(cli, "--reference belongs to deposit");
    if (options->reference != NULL && strlen(options->reference) > REFERENCE_BYTES_MAX)
        return cli_usage(cli, "--reference has more than %u bytes", REFERENCE_BYTES_MAX);
    if (options->reference != NULL && options->key != NULL)
        return cli_usage(cli, "--reference is the idempotency key already");
    if (what == ADJUST && (options->reason == NULL || options->balance == NULL))
        return cli_usage(cli, "a correction wants --balance general|ai and --reason TEXT");
    if (what != ADJUST && (options->reason != NULL || options->balance != NULL))
        return cli_usage(cli, "--reason and --balance belong to adjust");
    return CLI_DONE;
}

static int
move(struct cli *cli, const struct wallet_options *options, enum movement what)
{
    const struct tree *reply = NULL;
    struct json_writer json;
    struct buf body;
    char made[160];
    const char *amount = cli->name_count > 1 ? cli->names[1] : options->amount;
    const char *key = options->key;
    if (amount == NULL)
        return cli_usage(cli, "the amount is missing, as in berth wallet %s 12.50",
                         movements[what].verb);
    int code = check_movement(cli, options, what);
    if (code != CLI_DONE)
        return code;
    if (options->reference != NULL) {
        /* the payment's own name: booked twice it moves money once */
        (void)snprintf(made, sizeof made, "bank:%s", options->reference);
        key = made;
    } else if (key == NULL) {
        new_key(made, sizeof made);
        key = made;
    }
    buf_init(&body, 65536);
    json_writer_init(&json, &body);
    json_open_object(&json);
    if (options->wallet != NULL)
        json_member_str(&json, "wallet", str_from(options->wallet));
    json_member_str(&json, "amount", str_from(amount));
    json_member_str(&json, "idempotency_key", str_from(key));
    if (options->balance != NULL)
        json_member_str(&json, "purse", str_from(options->balance));
    if (options->reason != NULL)
        json_member_str(&json, "reason", str_from(options->reason));
    code = put_fee(cli, &json, options->fee);
    json_close_object(&json);
    const struct client_call call = {
        .method = "POST",
        .path = movements[what].path,
        .type = "application/json",
        .body = buf_str(&body),
    };
    if (code == CLI_DONE) {
        code = client_run(cli, &call, &reply);
        if (cli->no_answer && options->key == NULL && options->reference == NULL) {
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
        table_cell_nano(table, cli_text(entry, "amount"));
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
    if (code != CLI_DONE || cli->output == CLI_JSON || cli->output == CLI_YAML)
        return code == CLI_DONE ? cli_print(cli, reply) : code;
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    table_column(&table, "ID", true);
    table_column(&table, "AT", false);
    table_column(&table, "KIND", false);
    table_column(&table, "WALLET", false);
    table_column(&table, "ACCOUNT", false);
    table_column(&table, "USD", true);
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

static int
fees(struct cli *cli, const struct wallet_options *options)
{
    const struct tree *reply = NULL;
    struct table table;
    int code = get_with(cli, "/api/v1/wallet/ai-fee-history?", "wallet",
                        options->wallet != NULL ? options->wallet : "default", &reply);
    if (code != CLI_DONE || cli->output == CLI_JSON || cli->output == CLI_YAML)
        return code == CLI_DONE ? cli_print(cli, reply) : code;
    table_init(&table);
    table.csv = cli->output == CLI_CSV;
    table_column(&table, "ID", true);
    table_column(&table, "AT", false);
    table_column(&table, "TRANSFERRED USD", true);
    table_column(&table, "FEE USD", true);
    const struct tree *list = tree_get(reply, STR("fees"));
    for (const struct tree *row = list != NULL ? list->first : NULL; row; row = row->next) {
        table_cell(&table, cli_text(row, "id"));
        table_cell(&table, cli_text(row, "created_at"));
        table_cell(&table, cli_text(row, "transaction.amount"));
        table_cell(&table, cli_text(row, "amount"));
    }
    return table_print(&table);
}

static int
run_verb(struct cli *cli, const struct wallet_options *options)
{
    const char *verb = cli_verb(cli);
    for (size_t i = 0; i < ARRAY_LEN(movements); i++) {
        if (strcmp(verb, movements[i].verb) == 0)
            return move(cli, options, (enum movement)i);
    }
    if (strcmp(verb, "show") == 0)
        return show(cli, options);
    if (strcmp(verb, "freeze") == 0 || strcmp(verb, "unfreeze") == 0)
        return freeze(cli, options, verb[0] == 'f');
    if (!cli_has_verb(cli, verb))
        return cli_no_verb(cli, verb);
    if (cli->name_count > 1)
        return cli_usage(cli, "unexpected '%s'", cli->names[1]);
    if (strcmp(verb, "transactions") == 0)
        return transactions(cli, options);
    if (strcmp(verb, "fees") == 0)
        return fees(cli, options);
    if (strcmp(verb, "settings") == 0)
        return settings(cli);
    return audit(cli);
}

int
command_wallet(struct cli *cli)
{
    struct wallet_options options = {.wallet = NULL};
    const struct cli_option rows[] = {
        {"--wallet", &options.wallet, NULL},       {"--amount", &options.amount, NULL},
        {"--idempotency-key", &options.key, NULL}, {"--expected-fee-bps", &options.fee, NULL},
        {"--limit", &options.limit, NULL},         {"--before", &options.before, NULL},
        {"--reference", &options.reference, NULL}, {"--reason", &options.reason, NULL},
        {"--balance", &options.balance, NULL},
    };
    cli->csv_fine = true;
    if (!cli_begin(cli, rows, ARRAY_LEN(rows), 1, 2))
        return cli->exit;
    bool list = strcmp(cli->names[0], "transactions") == 0 || strcmp(cli->names[0], "fees") == 0;
    if (cli->output == CLI_CSV && !list)
        return cli_usage(cli, "only transactions and fees can be CSV");
    return run_verb(cli, &options);
}
