/* SPDX-License-Identifier: MIT
 * payment.c - see payment.h.
 * Floor: controlplane/billing; engine thread.
 * Owns: see payment.h.
 * Invariant: see payment.h. */
#include "controlplane/billing/payment.h"

#include "controlplane/billing/billing_int.h"
#include "controlplane/billing/signature.h"
#include "controlplane/object/object.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

/* ---- reading --------------------------------------------------------------------------------- */

static bool
is_id(struct str text, size_t bytes_max)
{
    if (text.len == 0 || text.len > bytes_max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-' || c == ':';
        if (!fine)
            return false;
    }
    return true;
}

int
event_text(const struct event *event, uint32_t object, const char *name, size_t bytes_max,
           struct str *ret_text)
{
    uint32_t node = json_get(event->doc, object, str_from(name));
    struct str text = STR_EMPTY;
    if (node == JSON_NONE || json_is(event->doc, node, JSON_NULL))
        return err_set(event->err, ERR_NOT_FOUND, "the event lacks \"%s\"", name);
    int code = json_string(event->doc, node, event->arena, &text);
    if (code == -ERR_NOMEM)
        return err_set(event->err, ERR_NOMEM, "out of memory");
    if (code < 0 || !is_id(text, bytes_max))
        return err_set(event->err, ERR_INVALID,
                       "\"%s\" of the event must be 1 to %zu of A-Z a-z 0-9 . _ : -", name,
                       bytes_max);
    *ret_text = text;
    return 0;
}

static int (*const readers[WEBHOOK_COUNT])(const struct event *event, struct payment *payment) = {
#define WEBHOOK_ROW(name, header, variable, text) [WEBHOOK_##name] = payment_read_##name,
#include "controlplane/billing/webhooks.def"
#undef WEBHOOK_ROW
};

static int
read_with(struct json_doc *doc, enum webhook webhook, struct str body, struct arena *arena,
          struct payment *ret_payment, struct err *err)
{
    struct payment payment = {.event = STR_EMPTY, .payment = STR_EMPTY, .wallet = STR_EMPTY};
    const struct json_limits limits = {.text_bytes_max = PAYMENT_BODY_BYTES_MAX};
    ASSERT(webhook < WEBHOOK_COUNT);
    int code = json_scan(doc, body, &limits, err);
    if (code < 0)
        return code;
    const struct event event = {.doc = doc, .arena = arena, .err = err};
    code = readers[webhook](&event, &payment);
    if (code == -ERR_NOT_FOUND)
        code = -ERR_INVALID; /* err names the member that is missing */
    if (code < 0)
        return code;
    ASSERT(payment.event.len > 0);
    ASSERT(payment.ignored || (payment.payment.len > 0 && payment.amount.nano > 0));
    *ret_payment = payment;
    return 0;
}

int
payment_read(enum webhook webhook, struct str body, struct arena *arena,
             struct payment *ret_payment, struct err *err)
{
    CLEANUP(json_fini) struct json_doc doc;
    json_init(&doc);
    return read_with(&doc, webhook, body, arena, ret_payment, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct str
payment_row_key(struct arena *arena, const char *what, enum webhook webhook, struct str id)
{
    return arena_printf(arena, "billing/%s/%s/%.*s", what, webhook_name(webhook), STR_ARG(id));
}

int
payment_fail(struct err *err, int code)
{
    return err_set(err, (enum err_code) - code, "the payment cannot be kept now: %s",
                   err_text(code));
}

int
row_number(struct billing *billing, struct str text, const char *name, int64_t *ret_value)
{
    struct str raw;
    int code = json_scan(&billing->doc, text, NULL, NULL);
    if (code < 0)
        return code == -ERR_NOMEM ? code : -ERR_STORE;
    raw = json_raw(&billing->doc, json_get(&billing->doc, 0, str_from(name)));
    if (raw.len < 3 || num_i64(str_make(raw.ptr + 1, raw.len - 2), 0, INT64_MAX, ret_value) < 0)
        return -ERR_STORE;
    return 0;
}

/* Whose payment it is: what the row says, or what this event says and is written now. */
static int
payment_claim(struct billing *billing, enum webhook webhook, int64_t now_s, struct arena *arena,
              struct payment *payment, struct err *err)
{
    struct store_row row;
    struct str key = payment_row_key(arena, "payment", webhook, payment->payment);
    struct str value = arena_printf(
        arena, "{\"wallet\":\"%.*s\",\"nano\":\"%lld\",\"event\":\"%.*s\",\"at_s\":%lld}",
        STR_ARG(payment->wallet), (long long)payment->amount.nano, STR_ARG(payment->event),
        (long long)now_s);
    if (!key.ptr || !value.ptr)
        return payment_fail(err, -ERR_NOMEM);
    const struct store_cond cond = {.key = key, .mod_rev = 0};
    const struct store_op op = {.key = key, .value = value};
    int code = store_get(billing->conf.store, key, arena, &row);
    if (code == -ERR_NOT_FOUND) {
        code = store_commit(billing->conf.store, &cond, 1, &op, 1, NULL);
        return code < 0 ? payment_fail(err, code) : 0;
    }
    if (code == 0)
        code = row_number(billing, row.value, "nano", &payment->amount.nano);
    if (code == 0)
        code = json_string(&billing->doc, json_get(&billing->doc, 0, STR("wallet")), arena,
                           &payment->wallet);
    return code < 0 ? payment_fail(err, code) : 0;
}

/* 1: this event was done before. */
static int
event_known(struct billing *billing, enum webhook webhook, struct str event, struct arena *arena,
            uint64_t *ret_transaction, struct err *err)
{
    struct store_row row;
    int64_t transaction = 0;
    struct str key = payment_row_key(arena, "event", webhook, event);
    int code = key.ptr ? store_get(billing->conf.store, key, arena, &row) : -ERR_NOMEM;
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = row_number(billing, row.value, "transaction", &transaction);
    if (code < 0)
        return payment_fail(err, code);
    *ret_transaction = (uint64_t)transaction;
    return 1;
}

static int
event_remember(struct billing *billing, enum webhook webhook, const struct payment *payment,
               uint64_t transaction, int64_t now_s, struct arena *arena, struct err *err)
{
    struct str key = payment_row_key(arena, "event", webhook, payment->event);
    struct str value =
        arena_printf(arena, "{\"payment\":\"%.*s\",\"transaction\":\"%llu\",\"at_s\":%lld}",
                     STR_ARG(payment->payment), (unsigned long long)transaction, (long long)now_s);
    const struct store_op op = {.key = key, .value = value};
    int code = key.ptr && value.ptr ? store_commit(billing->conf.store, NULL, 0, &op, 1, NULL)
                                    : -ERR_NOMEM;
    return code < 0 ? payment_fail(err, code) : 0;
}

/* ---- one call -------------------------------------------------------------------------------- */

static int
payment_credit(struct billing *billing, enum webhook webhook, int64_t now_s, struct arena *arena,
               struct payment_receipt *receipt, struct err *err)
{
    struct payment *payment = &receipt->payment;
    struct ledger_receipt moved;
    struct object wallet;
    int code = event_known(billing, webhook, payment->event, arena, &receipt->transaction, err);
    if (code != 0)
        return MIN(code, 0);
    code =
        object_get(billing->conf.store, kind_at(KIND_WALLET), payment->wallet, arena, &wallet, err);
    if (code == 0)
        code = payment_claim(billing, webhook, now_s, arena, payment, err);
    if (code < 0)
        return code;
    struct str key =
        arena_printf(arena, "%s:%.*s", webhook_name(webhook), STR_ARG(payment->payment));
    if (!key.ptr)
        return payment_fail(err, -ERR_NOMEM);
    code = ledger_deposit(billing->conf.ledger, payment->wallet, LEDGER_GENERAL, payment->amount,
                          key, &moved, err);
    if (code < 0)
        return code;
    receipt->credited = !moved.replayed;
    receipt->transaction = moved.transaction;
    code = refund_settle(billing, webhook, arena, receipt, err);
    if (code < 0)
        return code;
    return event_remember(billing, webhook, payment, moved.transaction, now_s, arena, err);
}

int
payment_receive(struct billing *billing, enum webhook webhook, struct str header, struct str body,
                int64_t now_s, struct arena *arena, struct payment_receipt *ret_receipt,
                struct err *err)
{
    struct payment_receipt receipt = {.credited = false};
    struct signature signature;
    ASSERT(webhook < WEBHOOK_COUNT);
    const struct secret *secret = billing->conf.secrets[webhook];
    if (!secret)
        return err_set(err, ERR_UNAVAILABLE, "this webhook is off: the control plane has no %s",
                       webhook_variable(webhook));
    if (body.len > PAYMENT_BODY_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "a webhook's body has at most %u bytes",
                       PAYMENT_BODY_BYTES_MAX);
    int code = signature_read(header, &signature, err);
    if (code == 0)
        code = signature_check(&signature, secret_str(secret), body, now_s, err);
    if (code == 0)
        code = read_with(&billing->doc, webhook, body, arena, &receipt.payment, err);
    if (code == 0 && !receipt.payment.ignored && receipt.payment.kind != PAYMENT_PAID)
        code = refund_book(billing, webhook, arena, &receipt, err);
    else if (code == 0 && !receipt.payment.ignored)
        code = payment_credit(billing, webhook, now_s, arena, &receipt, err);
    if (code == 0)
        *ret_receipt = receipt;
    return code;
}
