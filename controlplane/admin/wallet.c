/* SPDX-License-Identifier: MIT
 * wallet.c - endpoints of money: balances, transfers, deposits, transactions, audit.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: money is decimal strings of dollars; the ledger alone decides what moves. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/billing/invoice.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/text/tree.h"

static struct ledger *
ledger_of(const struct call *call)
{
    return call->admin->conf.ledger;
}

static bool
wallet_get(struct call *call, struct str wallet, struct object *ret_object)
{
    struct err err = {0};
    int code = object_get(call->admin->conf.engine->conf.store, kind_at(KIND_WALLET), wallet,
                          &call->arena, ret_object, &err);
    if (code < 0)
        reply_err(call, code, &err);
    return code == 0;
}

bool
wallet_exists(struct call *call, struct str wallet)
{
    struct object object;
    return wallet_get(call, wallet, &object);
}

bool
wallet_deletable(struct call *call, struct str wallet)
{
    struct ledger_balances balances;
    struct err err = {0};
    char general[32];
    char ai[32];
    if (!wallet_exists(call, wallet))
        return false;
    int code = ledger_balances(ledger_of(call), wallet, &balances, &err);
    if (code == 0 && str_eq(wallet, STR("default"))) {
        code = err_set(&err, ERR_CONFLICT,
                       "Wallet \"default\" pays for whatever names no other; it can be frozen, but "
                       "not deleted");
    } else if (code == 0 && (balances.general.nano != 0 || balances.ai_remaining.nano != 0 ||
                             balances.held.nano != 0)) {
        money_format(balances.general, general);
        money_format(balances.ai_remaining, ai);
        code =
            err_set(&err, ERR_CONFLICT,
                    "Wallet \"%.*s\" holds %s USD in General and %s USD in AI; freeze it, or book "
                    "both out first (berth wallet adjust)",
                    STR_ARG(wallet), general, ai);
    }
    if (code < 0)
        reply_err(call, code, &err);
    return code == 0;
}

/* ---- balances -------------------------------------------------------------------------------- */

/* The wallet of ?wallet= and its balances; false when answered. */
static bool
read_balances(struct call *call, struct object *ret_wallet, struct ledger_balances *ret_balances)
{
    static const char *const known[] = {"wallet", NULL};
    struct str wallet;
    struct err err = {0};
    if (!query_known(call, known) || !query_text(call, "wallet", STR("default"), &wallet) ||
        !wallet_get(call, wallet, ret_wallet))
        return false;
    int code = ledger_balances(ledger_of(call), wallet, ret_balances, &err);
    if (code < 0)
        reply_err(call, code, &err);
    return code == 0;
}

static void
put_ai(struct call *call, struct json_writer *writer, const struct ledger_balances *balances)
{
    const struct admin_conf *conf = &call->admin->conf;
    /* money is lent and nobody is there who would tell what became of it */
    bool deaf = balances->held.nano > 0 && conf->count_nodes &&
                conf->count_nodes(conf->user, "dataplane") == 0;
    reply_money(writer, "ai_limit", balances->ai_limit);
    reply_money(writer, "ai_usage", balances->ai_usage);
    reply_money(writer, "ai_remaining", balances->ai_remaining);
    reply_money(writer, "held", balances->held);
    json_member_str(writer, "ai_usage_status", deaf ? STR("unavailable") : STR("live"));
}

void
endpoint_balances(struct call *call)
{
    struct object wallet;
    struct ledger_balances balances;
    if (!read_balances(call, &wallet, &balances))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "wallet", wallet.name);
    reply_money(writer, "general_balance", balances.general);
    put_ai(call, writer, &balances);
    json_member_str(writer, "status",
                    engine_wallet_frozen(call->admin->conf.engine, wallet.name) ? STR("frozen")
                    : balances.ai_remaining.nano > 0                            ? STR("ok")
                                                                                : STR("empty"));
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_balance_general(struct call *call)
{
    struct object wallet;
    struct ledger_balances balances;
    struct ledger_movement *rows;
    size_t count;
    struct err err = {0};
    if (!read_balances(call, &wallet, &balances))
        return;
    int code = ledger_movements(ledger_of(call), wallet.name, 0, &call->arena, &rows, &count, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    char updated[32];
    if (count > 0)
        clock_format_rfc3339(rows[count - 1].at_ms * 1000000, updated);
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "id", wallet.uid);
    json_member_str(writer, "wallet", wallet.name);
    reply_money(writer, "general_balance", balances.general);
    json_member_str(writer, "created_at", wallet.created);
    json_member_str(writer, "updated_at", count > 0 ? str_from(updated) : wallet.created);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_balance_ai(struct call *call)
{
    struct object wallet;
    struct ledger_balances balances;
    if (!read_balances(call, &wallet, &balances))
        return;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "wallet", wallet.name);
    put_ai(call, writer, &balances);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

/* ---- moving money ---------------------------------------------------------------------------- */

/* Fields that transfers and deposits share; false when answered. */
static bool
read_movement(struct call *call, const struct tree *body, struct str *ret_wallet,
              struct money *ret_amount, struct str *ret_key)
{
    struct str amount;
    if (!body_text(call, body, "wallet", STR("default"), ret_wallet) ||
        !body_text(call, body, "amount", STR_EMPTY, &amount) ||
        !body_text(call, body, "idempotency_key", STR_EMPTY, ret_key))
        return false;
    if (money_parse(amount, 2, ret_amount) < 0 || ret_amount->nano <= 0) {
        reply_error(call, 400, "INVALID_AMOUNT",
                    "amount must be dollars as \"12.50\": more than 0, at most two decimals, no "
                    "leading zeros");
        return false;
    }
    if (str_trim(*ret_key).len == 0 || ret_key->len > LEDGER_KEY_BYTES_MAX) {
        reply_error(call, 400, "INVALID_IDEMPOTENCY_KEY",
                    "idempotency_key must have 1 to 128 bytes and not be blank");
        return false;
    }
    return wallet_exists(call, *ret_wallet);
}

static void
reply_movement_error(struct call *call, int code, const struct err *err)
{
    if (code == -ERR_KEY_REUSED)
        reply_error(call, 409, "TRANSFER_IDEMPOTENCY_KEY_REUSED", err->text);
    else if (code == -ERR_CONFLICT && str_starts(str_from(err->text), STR("FEE_CHANGED")))
        reply_error(call, 409, "TRANSFER_FEE_CHANGED", err->text);
    else if (code == -ERR_OVERDRAWN)
        reply_error(call, 402, "INSUFFICIENT_BALANCE", err->text);
    else
        reply_err(call, code, err);
}

static bool
read_fee(struct call *call, const struct tree *body, int32_t *ret_bps)
{
    const struct tree *node = tree_get(body, STR("expected_fee_bps"));
    int64_t value = LEDGER_ANY_FEE;
    if (node && (node->kind != TREE_NUMBER || num_i64(node->text, 0, 9999, &value) < 0)) {
        reply_error(call, 400, "INVALID", "expected_fee_bps must be a whole number from 0 to 9999");
        return false;
    }
    *ret_bps = (int32_t)value;
    return true;
}

void
endpoint_transfer(struct call *call)
{
    static const char *const none[] = {NULL};
    static const char *const known[] = {"wallet", "amount", "idempotency_key", "expected_fee_bps",
                                        NULL};
    struct str wallet;
    struct money amount;
    struct str key;
    int32_t fee_bps;
    struct ledger_receipt receipt;
    struct err err = {0};
    if (!query_known(call, none))
        return;
    const struct tree *body = body_object(call, known);
    if (!body || !read_fee(call, body, &fee_bps) ||
        !read_movement(call, body, &wallet, &amount, &key))
        return;
    int code = ledger_transfer(ledger_of(call), wallet, amount, key, fee_bps, &receipt, &err);
    if (code < 0) {
        reply_movement_error(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "wallet", wallet);
    reply_money(writer, "gross_transferred", receipt.gross);
    reply_money(writer, "net_ai_credit", receipt.net);
    reply_money(writer, "fee", receipt.fee);
    reply_money(writer, "general_balance", receipt.general);
    reply_money(writer, "ai_balance", receipt.ai);
    reply_digits(writer, "transaction", receipt.transaction);
    json_member_bool(writer, "key_created", false);
    json_member_bool(writer, "limit_sync_pending", false);
    json_member_bool(writer, "replayed", receipt.replayed);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_deposit(struct call *call)
{
    static const char *const none[] = {NULL};
    static const char *const known[] = {"wallet", "amount", "idempotency_key", "purse", NULL};
    struct str wallet;
    struct money amount;
    struct str key;
    enum ledger_purse purse;
    struct ledger_receipt receipt;
    struct err err = {0};
    if (!query_known(call, none))
        return;
    const struct tree *body = body_object(call, known);
    if (!body || !read_purse(call, body, STR("general"), &purse) ||
        !read_movement(call, body, &wallet, &amount, &key))
        return;
    int code = ledger_deposit(ledger_of(call), wallet, purse, amount, key, &receipt, &err);
    if (code < 0)
        reply_movement_error(call, code, &err);
    else
        reply_receipt(call, wallet, "deposited", &receipt);
}

/* ---- looking back ---------------------------------------------------------------------------- */

void
endpoint_transactions(struct call *call)
{
    struct str wallet;
    uint64_t before;
    uint64_t limit;
    struct ledger_transaction *rows;
    size_t count;
    uint64_t next;
    struct err err = {0};
    if (!query_page(call, STR_EMPTY, &wallet, &before, &limit))
        return;
    int code = ledger_transactions(ledger_of(call), wallet, before, limit, &call->arena, &rows,
                                   &count, &next, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_key(writer, "transactions");
    json_open_array(writer);
    for (size_t i = 0; i < count; i++)
        json_value_raw(writer, rows[i].text);
    json_close_array(writer);
    if (next > 0)
        reply_digits(writer, "next", next);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_audit(struct call *call)
{
    static const char *const known[] = {NULL};
    struct ledger_audit audit = {0};
    uint64_t invoices = 0;
    struct err err = {0};
    if (!query_known(call, known))
        return;
    int code = ledger_audit(ledger_of(call), &audit, &err);
    if (code == 0)
        code = invoice_audit(call->admin->conf.billing, &invoices, &err);
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_bool(writer, "ok", code == 0);
    reply_digits(writer, "transactions", audit.transactions);
    reply_digits(writer, "accounts", audit.accounts);
    reply_digits(writer, "invoices", invoices);
    reply_digits(writer, "orphans", audit.orphans);
    reply_money(writer, "orphaned", audit.orphaned);
    reply_digits(writer, "budgets", audit.budgets);
    if (code < 0) {
        reply_digits(writer, "bad", audit.bad);
        json_member_str(writer, "message", str_from(err.text));
    }
    json_close_object(writer);
    reply_send(call, 200, &reply);
}
