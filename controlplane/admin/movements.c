/* SPDX-License-Identifier: MIT
 * movements.c - endpoints of single movements: one transaction, corrections, the fees of transfers.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: as wallet.c. */
#include "controlplane/admin/admin_int.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/text/tree.h"

void
endpoint_transaction(struct call *call)
{
    static const char *const none[] = {NULL};
    struct ledger_transaction *rows;
    size_t count = 0;
    uint64_t next;
    uint64_t id = 0;
    struct err err = {0};
    if (!query_known(call, none))
        return;
    int code = 0;
    if (num_u64(call->params[0], INT64_MAX - 1, &id) == 0 && id > 0)
        code = ledger_transactions(call->admin->conf.ledger, STR_EMPTY, id + 1, 1, &call->arena,
                                   &rows, &count, &next, &err);
    if (code < 0) {
        reply_err(call, code, &err);
    } else if (count == 0 || rows[0].id != id) {
        reply_error(call, 404, "NOT_FOUND", "there is no transaction of this id");
    } else {
        struct reply reply;
        json_value_raw(reply_begin(&reply), rows[0].text);
        reply_send(call, 200, &reply);
    }
}

bool
read_purse(struct call *call, const struct tree *body, struct str fallback,
           enum ledger_purse *ret_purse)
{
    struct str purse;
    if (!body_text(call, body, "purse", fallback, &purse))
        return false;
    bool ai = str_eq(purse, STR("ai"));
    if (!ai && !str_eq(purse, STR("general"))) {
        reply_error(call, 400, "INVALID", "purse must be general or ai");
        return false;
    }
    *ret_purse = ai ? LEDGER_AI : LEDGER_GENERAL;
    return true;
}

void
reply_receipt(struct call *call, struct str wallet, const char *what,
              const struct ledger_receipt *receipt)
{
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_member_str(writer, "wallet", wallet);
    reply_money(writer, what, receipt->gross);
    reply_money(writer, "general_balance", receipt->general);
    reply_money(writer, "ai_balance", receipt->ai);
    reply_digits(writer, "transaction", receipt->transaction);
    json_member_bool(writer, "replayed", receipt->replayed);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

/* "-3.00": a correction takes as well as gives. */
static bool
read_signed(struct call *call, const struct tree *body, struct money *ret_amount)
{
    struct str text;
    if (!body_text(call, body, "amount", STR_EMPTY, &text))
        return false;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (money_parse(negative ? str_skip(text, 1) : text, 9, ret_amount) < 0 ||
        ret_amount->nano == 0) {
        reply_error(call, 400, "INVALID_AMOUNT",
                    "amount must be dollars as \"12.50\" or \"-12.50\", not 0, at most nine "
                    "decimals, no leading zeros");
        return false;
    }
    if (negative)
        ret_amount->nano = -ret_amount->nano;
    return true;
}

void
endpoint_adjustment(struct call *call)
{
    static const char *const none[] = {NULL};
    static const char *const known[] = {"wallet", "amount", "idempotency_key",
                                        "purse",  "reason", NULL};
    struct str wallet;
    struct str key;
    struct str reason;
    struct money amount;
    enum ledger_purse purse;
    struct ledger_receipt receipt;
    struct err err = {0};
    if (!query_known(call, none))
        return;
    const struct tree *body = body_object(call, known);
    if (!body || !body_text(call, body, "wallet", STR("default"), &wallet) ||
        !body_text(call, body, "idempotency_key", STR_EMPTY, &key) ||
        !body_text(call, body, "reason", STR_EMPTY, &reason) || !read_signed(call, body, &amount) ||
        !wallet_exists(call, wallet) || !read_purse(call, body, STR_EMPTY, &purse))
        return;
    int code =
        ledger_adjust(call->admin->conf.ledger, wallet, purse, amount, key, reason, &receipt, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        reply_receipt(call, wallet, "adjusted", &receipt);
}

static void
put_fee(struct json_writer *writer, const struct ledger_movement *movement)
{
    char at[32];
    clock_format_rfc3339(movement->at_ms * 1000000, at);
    json_open_object(writer);
    reply_digits(writer, "id", movement->transaction);
    reply_digits(writer, "transaction_id", movement->transaction);
    reply_money(writer, "amount", movement->fee);
    json_member_str(writer, "created_at", str_from(at));
    json_key(writer, "transaction");
    json_open_object(writer);
    reply_digits(writer, "id", movement->transaction);
    json_member_str(writer, "reason", STR("transfer"));
    reply_money(writer, "amount", movement->gross);
    json_close_object(writer);
    json_close_object(writer);
}

void
endpoint_fee_history(struct call *call)
{
    struct str wallet;
    uint64_t before;
    uint64_t limit;
    struct ledger_movement *rows;
    size_t count;
    struct err err = {0};
    if (!query_page(call, STR("default"), &wallet, &before, &limit) || !wallet_exists(call, wallet))
        return;
    int code =
        ledger_movements(call->admin->conf.ledger, wallet, 0, &call->arena, &rows, &count, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    uint64_t shown = 0;
    uint64_t next = 0;
    json_open_object(writer);
    json_key(writer, "fees");
    json_open_array(writer);
    for (size_t i = count; i-- > 0;) {
        if (rows[i].kind != LEDGER_TRANSFER || rows[i].fee.nano == 0 ||
            (before > 0 && rows[i].transaction >= before))
            continue;
        if (shown == limit) {
            next = rows[i].transaction + 1;
            break;
        }
        put_fee(writer, &rows[i]);
        shown++;
    }
    json_close_array(writer);
    if (next > 0)
        reply_digits(writer, "next", next);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}
