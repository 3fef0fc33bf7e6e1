/* SPDX-License-Identifier: MIT
 * ledger.c - deposits, transfers, corrections, balances.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: struct ledger.
 * Invariant: the idempotency key's row is in the same commit as the money it moved; General to AI
 *            is the only way between the purses. Proved in ledger_test.c and
 *            ledger_model_test.c. */
#include "controlplane/ledger/budget_int.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/text/utf8.h"

#define REASON_BYTES_MAX 200u

int
ledger_new(struct store *store, const struct ledger_config *config, struct ledger **ret_ledger,
           struct err *err)
{
    if (config->fee_bps >= BPS_ONE)
        return err_set(err, ERR_INVALID, "the transfer fee must be below 10000 basis points");
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return ledger_fail(err, -ERR_NOMEM);
    ledger->store = store;
    ledger->config = *config;
    map_init(&ledger->rollup.streams);
    map_init(&ledger->budgets);
    json_init(&ledger->doc);
    buf_init(&ledger->row, STORE_VALUE_BYTES_MAX);
    *ret_ledger = ledger;
    return 0;
}

void
ledger_free(struct ledger **ledger)
{
    if (ledger == NULL || *ledger == NULL)
        return;
    rollup_fini(&(*ledger)->rollup);
    budgets_fini(*ledger);
    json_fini(&(*ledger)->doc);
    buf_fini(&(*ledger)->row);
    free(*ledger);
    *ledger = NULL;
}

bool
ledger_name_valid(struct str name)
{
    if (name.len == 0 || name.len > LEDGER_NAME_BYTES_MAX || str_eq(name, STR(".")) ||
        str_eq(name, STR("..")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return true;
}

int
ledger_name_check(struct str name, const char *what, struct err *err)
{
    if (ledger_name_valid(name))
        return 0;
    return err_set(err, ERR_INVALID, "the %s must be 1 to %u of A-Z a-z 0-9 . _ -", what,
                   LEDGER_NAME_BYTES_MAX);
}

/* What a key was used for: kind and wallet are in its row's name, the rest is compared. */
struct request {
    const char *kind;
    struct str wallet;
    enum ledger_purse purse;
    struct money amount;
    struct str key;
};

enum {
    RECEIPT_GROSS,
    RECEIPT_FEE,
    RECEIPT_NET,
    RECEIPT_GENERAL,
    RECEIPT_AI,
    RECEIPT_TX,
    RECEIPT_PURSE,
    RECEIPT_COUNT
};
static const char *const receipt_names[RECEIPT_COUNT] = {"gross", "fee",         "net",  "general",
                                                         "ai",    "transaction", "purse"};

static int
request_check(const struct request *request, struct err *err)
{
    int r = ledger_name_check(request->wallet, "wallet", err);
    if (r < 0)
        return r;
    if (request->key.len > LEDGER_KEY_BYTES_MAX || str_trim(request->key).len == 0)
        return err_set(err, ERR_INVALID, "the idempotency key must be 1 to %u bytes, not blank",
                       LEDGER_KEY_BYTES_MAX);
    if (request->purse != LEDGER_GENERAL && request->purse != LEDGER_AI)
        return err_set(err, ERR_INVALID, "there is no such purse");
    return 0;
}

/* 1: the key is new, *ret_row is where its receipt goes; 0: *ret_receipt is the first answer. */
static int
request_replay(struct draft *draft, const struct request *request, struct draft_row **ret_row,
               struct ledger_receipt *ret_receipt)
{
    uint8_t digest[SHA256_BYTES];
    char hex[LEDGER_HASH_CHARS + 1];
    digest_sha256(request->key, digest);
    hex_encode(digest, sizeof digest, hex);
    int r = draft_row(draft, ret_row, "ledger/key/%s/%.*s/%s", request->kind,
                      STR_ARG(request->wallet), hex);
    if (r < 0)
        return r;
    if ((*ret_row)->value.len == 0)
        return 1;
    struct draft_field fields[RECEIPT_COUNT];
    for (size_t i = 0; i < RECEIPT_COUNT; i++)
        fields[i] = (struct draft_field){receipt_names[i], 0};
    r = fields_read(draft->ledger, *ret_row, fields, RECEIPT_COUNT, draft->err);
    if (r < 0)
        return r;
    if (fields[RECEIPT_GROSS].value != request->amount.nano ||
        fields[RECEIPT_PURSE].value != (int64_t)request->purse)
        return err_set(draft->err, ERR_KEY_REUSED,
                       "KEY_REUSED: this idempotency key was used with another amount");
    *ret_receipt = (struct ledger_receipt){
        .gross = {fields[RECEIPT_GROSS].value},
        .fee = {fields[RECEIPT_FEE].value},
        .net = {fields[RECEIPT_NET].value},
        .general = {fields[RECEIPT_GENERAL].value},
        .ai = {fields[RECEIPT_AI].value},
        .transaction = (uint64_t)fields[RECEIPT_TX].value,
        .replayed = true,
    };
    return 0;
}

static int
receipt_write(struct draft *draft, struct draft_row *row, enum ledger_purse purse,
              const struct ledger_receipt *receipt)
{
    const int64_t values[RECEIPT_COUNT] = {receipt->gross.nano, receipt->fee.nano,
                                           receipt->net.nano,   receipt->general.nano,
                                           receipt->ai.nano,    (int64_t)receipt->transaction,
                                           (int64_t)purse};
    struct draft_field fields[RECEIPT_COUNT];
    for (size_t i = 0; i < RECEIPT_COUNT; i++)
        fields[i] = (struct draft_field){receipt_names[i], values[i]};
    return fields_write(draft, row, fields, RECEIPT_COUNT);
}

struct purses {
    struct draft_account *general;
    struct draft_account *ai;
};

static int
purses_load(struct draft *draft, struct str wallet, struct purses *ret_purses)
{
    int r = draft_wallet(draft, wallet, WALLET_GENERAL, &ret_purses->general);
    return r < 0 ? r : draft_wallet(draft, wallet, WALLET_AI, &ret_purses->ai);
}

/* Post, write the receipt under the key, commit. */
static int
request_finish(struct draft *draft, const struct request *request, struct draft_row *row,
               const struct draft_tx *tx, const struct purses *purses,
               struct ledger_receipt *receipt)
{
    int r = draft_post(draft, tx, &receipt->transaction);
    if (r < 0)
        return r;
    receipt->general.nano = purses->general->nano;
    receipt->ai.nano = purses->ai->nano;
    r = receipt_write(draft, row, request->purse, receipt);
    return r < 0 ? r : draft_commit(draft);
}

/* A deposit or a correction: between a purse and an account of the house. */
static int
request_credit(struct ledger *ledger, const struct request *request, const char *account,
               struct str reason, struct ledger_receipt *ret_receipt, struct err *err)
{
    int r = request_check(request, err);
    if (r != 0)
        return r;
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct draft_row *row;
    r = request_replay(&draft, request, &row, ret_receipt);
    if (r <= 0)
        return r;
    struct purses purses;
    struct draft_account *house;
    r = purses_load(&draft, request->wallet, &purses);
    if (r == 0)
        r = draft_account(&draft, &house, KEY_BALANCE "%s", account);
    if (r != 0)
        return r;
    if (request->amount.nano == INT64_MIN)
        return err_set(err, ERR_RANGE, "the amount is out of range");
    struct draft_tx tx = {.kind = request->kind,
                          .wallet = request->wallet,
                          .reference = request->key,
                          .reason = reason};
    draft_entry(&tx, house, -request->amount.nano);
    draft_entry(&tx, request->purse == LEDGER_AI ? purses.ai : purses.general,
                request->amount.nano);
    struct ledger_receipt receipt = {.gross = request->amount, .net = request->amount};
    r = request_finish(&draft, request, row, &tx, &purses, &receipt);
    if (r == 0)
        *ret_receipt = receipt;
    return r;
}

int
ledger_deposit(struct ledger *ledger, struct str wallet, enum ledger_purse purse,
               struct money amount, struct str key, struct ledger_receipt *ret_receipt,
               struct err *err)
{
    if (amount.nano <= 0)
        return err_set(err, ERR_INVALID, "the amount must be positive");
    struct request request = {"deposit", wallet, purse, amount, key};
    return request_credit(ledger, &request, "deposits", STR_EMPTY, ret_receipt, err);
}

int
ledger_adjust(struct ledger *ledger, struct str wallet, enum ledger_purse purse,
              struct money amount, struct str key, struct str reason,
              struct ledger_receipt *ret_receipt, struct err *err)
{
    if (amount.nano == 0)
        return err_set(err, ERR_INVALID, "the amount must not be zero");
    if (reason.len == 0 || reason.len > REASON_BYTES_MAX || !utf8_valid(reason))
        return err_set(err, ERR_INVALID, "the reason must be 1 to %u bytes of text",
                       REASON_BYTES_MAX);
    struct request request = {"adjustment", wallet, purse, amount, key};
    return request_credit(ledger, &request, "adjustments", reason, ret_receipt, err);
}

static int64_t
fee_of(int64_t gross, uint32_t fee_bps)
{
    return (int64_t)(((int128_t)gross * fee_bps + BPS_ONE / 2) / BPS_ONE);
}

static int
transfer_check(const struct ledger *ledger, const struct purses *purses, struct money amount,
               int32_t expected_fee_bps, struct err *err)
{
    if (expected_fee_bps != LEDGER_ANY_FEE &&
        (int64_t)expected_fee_bps != (int64_t)ledger->config.fee_bps)
        return err_set(err, ERR_CONFLICT,
                       "FEE_CHANGED: the transfer fee is %u basis points, not %d",
                       ledger->config.fee_bps, expected_fee_bps);
    if (purses->general->nano < amount.nano) {
        char has[32];
        money_format((struct money){purses->general->nano}, has);
        return err_set(err, ERR_OVERDRAWN,
                       "INSUFFICIENT_BALANCE: the general balance is only %s USD", has);
    }
    return 0;
}

int
ledger_transfer(struct ledger *ledger, struct str wallet, struct money amount, struct str key,
                int32_t expected_fee_bps, struct ledger_receipt *ret_receipt, struct err *err)
{
    struct request request = {"transfer", wallet, LEDGER_AI, amount, key};
    if (amount.nano <= 0)
        return err_set(err, ERR_INVALID, "the amount must be positive");
    if (expected_fee_bps < LEDGER_ANY_FEE || expected_fee_bps >= (int32_t)BPS_ONE)
        return err_set(err, ERR_INVALID, "the expected fee must be 0 to 9999 basis points");
    int r = request_check(&request, err);
    if (r != 0)
        return r;
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct draft_row *row;
    r = request_replay(&draft, &request, &row, ret_receipt);
    if (r <= 0)
        return r;
    struct purses purses;
    struct draft_account *fees;
    r = purses_load(&draft, wallet, &purses);
    if (r == 0)
        r = draft_account(&draft, &fees, KEY_BALANCE "fees");
    if (r == 0)
        r = transfer_check(ledger, &purses, amount, expected_fee_bps, err);
    if (r != 0)
        return r;
    struct ledger_receipt receipt = {.gross = amount};
    receipt.fee.nano = fee_of(amount.nano, ledger->config.fee_bps);
    receipt.net.nano = amount.nano - receipt.fee.nano;
    struct draft_tx tx = {.kind = request.kind, .wallet = wallet, .reference = key};
    draft_entry(&tx, purses.general, -amount.nano);
    draft_entry(&tx, purses.ai, receipt.net.nano);
    draft_entry(&tx, fees, receipt.fee.nano);
    r = request_finish(&draft, &request, row, &tx, &purses, &receipt);
    if (r == 0)
        *ret_receipt = receipt;
    return r;
}

int
ledger_balances(struct ledger *ledger, struct str wallet, struct ledger_balances *ret_balances,
                struct err *err)
{
    int r = ledger_name_check(wallet, "wallet", err);
    if (r < 0)
        return r;
    CLEANUP(draft_fini) struct draft draft;
    draft_init(&draft, ledger, err);
    struct purses purses;
    struct draft_account *holds;
    struct draft_account *spent;
    r = purses_load(&draft, wallet, &purses);
    if (r == 0)
        r = draft_wallet(&draft, wallet, WALLET_HOLDS, &holds);
    if (r == 0)
        r = draft_account(&draft, &spent, KEY_SPENT "%.*s", STR_ARG(wallet));
    int64_t lendable;
    if (r == 0)
        r = draft_lendable(&draft, wallet, &lendable);
    if (r != 0)
        return r;
    struct ledger_balances balances = {
        .general = {purses.general->nano},
        .ai_usage = {spent->nano},
        .held = {holds->nano},
        .lendable = {lendable},
    };
    r = money_add((struct money){purses.ai->nano}, balances.held, &balances.ai_remaining);
    if (r == 0)
        r = money_add(balances.ai_remaining, balances.ai_usage, &balances.ai_limit);
    if (r < 0)
        return err_set(err, ERR_RANGE, "the balances leave the range of money");
    *ret_balances = balances;
    return 0;
}
