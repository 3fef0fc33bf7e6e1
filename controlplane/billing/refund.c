/* SPDX-License-Identifier: MIT
 * refund.c - payments that go back, in part or whole: corrections of the wallet that they were
 *            credited to.
 * Floor: controlplane/billing; engine thread.
 * Owns: rows billing/refund/SENDER/PAYMENT/WHAT: of a payment all that was refunded, of a dispute
 *       what was withdrawn and reinstated. What is said before the payment itself waits there.
 * Invariant: a row names its step ("from" to "to") before the step is booked, and a step is booked
 *            under a key of its own: said again, in another order or after a crash, the wallet
 *            loses what went back, once. payment_test.c, money_kill_test.c. */
#include "controlplane/billing/billing_int.h"
#include "lib/base/check.h"

static const char *const kinds[PAYMENT_KIND_COUNT] = {[PAYMENT_REFUNDED] = "refund",
                                                      [PAYMENT_WITHDRAWN] = "withdrawn",
                                                      [PAYMENT_REINSTATED] = "reinstated"};

struct refund {
    struct str what; /* "refund", "withdrawn.dp_1", "reinstated.dp_1": names the row */
    int64_t from;    /* nano; the step that is booked or being booked */
    int64_t to;
    uint64_t mod_rev; /* 0: no row yet */
};

/* Who was credited, and how much. *ret_nano 0: nobody yet. */
static int
paid_load(struct billing *billing, enum webhook webhook, struct str payment, struct arena *arena,
          struct str *ret_wallet, int64_t *ret_nano, struct err *err)
{
    struct store_row row;
    struct str key = payment_row_key(arena, "payment", webhook, payment);
    *ret_nano = 0;
    int code = key.ptr ? store_get(billing->conf.store, key, arena, &row) : -ERR_NOMEM;
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = row_number(billing, row.value, "nano", ret_nano);
    if (code == 0)
        code = json_string(&billing->doc, json_get(&billing->doc, 0, STR("wallet")), arena,
                           ret_wallet);
    return code < 0 ? payment_fail(err, code) : 0;
}

static int
refund_read(struct billing *billing, const struct store_row *row, struct refund *refund)
{
    refund->mod_rev = row->mod_rev;
    int code = row_number(billing, row->value, "from", &refund->from);
    return code < 0 ? code : row_number(billing, row->value, "to", &refund->to);
}

/* The step to `nano` is the one to be booked now; the one before it has been, or is part of it. */
static int
refund_claim(struct billing *billing, struct str key, int64_t nano, bool booked,
             struct arena *arena, struct refund *refund, struct err *err)
{
    int64_t from = booked ? refund->to : refund->from;
    struct str value = arena_printf(arena, "{\"from\":\"%lld\",\"to\":\"%lld\"}", (long long)from,
                                    (long long)nano);
    const struct store_cond cond = {.key = key, .mod_rev = refund->mod_rev};
    const struct store_op op = {.key = key, .value = value};
    int code = value.ptr ? store_commit(billing->conf.store, &cond, 1, &op, 1, NULL) : -ERR_NOMEM;
    if (code < 0)
        return payment_fail(err, code);
    refund->from = from;
    refund->to = nano;
    return 0;
}

/* Book the step of the row; nothing moves when it has been. Never more than was paid. */
static int
refund_step(struct billing *billing, enum webhook webhook, struct str payment, struct str wallet,
            int64_t paid, const struct refund *refund, struct arena *arena,
            struct payment_receipt *receipt, struct err *err)
{
    struct ledger_receipt moved;
    bool again = str_starts(refund->what, str_from(kinds[PAYMENT_REINSTATED]));
    int64_t step = MIN(refund->to, paid) - MIN(refund->from, paid);
    if (step == 0)
        return 0;
    struct str key = arena_printf(arena, "%s:%.*s:%.*s:%lld", webhook_name(webhook),
                                  STR_ARG(payment), STR_ARG(refund->what), (long long)refund->from);
    struct str reason = arena_printf(arena, "%.*s of %s payment %.*s", STR_ARG(refund->what),
                                     webhook_name(webhook), STR_ARG(payment));
    if (!key.ptr || !reason.ptr)
        return payment_fail(err, -ERR_NOMEM);
    const struct money amount = {again ? step : -step};
    int code = ledger_adjust(billing->conf.ledger, wallet, LEDGER_GENERAL, amount, key, reason,
                             &moved, err);
    if (code < 0)
        return code;
    receipt->transaction = moved.transaction;
    receipt->corrected.nano += moved.replayed ? 0 : amount.nano;
    return 0;
}

int
refund_book(struct billing *billing, enum webhook webhook, struct arena *arena,
            struct payment_receipt *receipt, struct err *err)
{
    struct payment *payment = &receipt->payment;
    struct refund refund = {.what = STR_EMPTY};
    struct store_row row;
    int64_t paid;
    ASSERT(kinds[payment->kind] != NULL);
    refund.what = str_from(kinds[payment->kind]);
    if (payment->dispute.len > 0)
        refund.what =
            arena_printf(arena, "%s.%.*s", kinds[payment->kind], STR_ARG(payment->dispute));
    struct str name =
        arena_printf(arena, "%.*s/%.*s", STR_ARG(payment->payment), STR_ARG(refund.what));
    struct str key =
        refund.what.ptr && name.ptr ? payment_row_key(arena, "refund", webhook, name) : name;
    int code =
        refund.what.ptr && key.ptr ? store_get(billing->conf.store, key, arena, &row) : -ERR_NOMEM;
    if (code == 0)
        code = refund_read(billing, &row, &refund);
    if (code < 0 && code != -ERR_NOT_FOUND)
        return payment_fail(err, code);
    code = paid_load(billing, webhook, payment->payment, arena, &payment->wallet, &paid, err);
    if (code == 0 && paid > 0)
        code = refund_step(billing, webhook, payment->payment, payment->wallet, paid, &refund,
                           arena, receipt, err);
    if (code < 0)
        return code;
    if (payment->amount.nano > refund.to) {
        code = refund_claim(billing, key, payment->amount.nano, paid > 0, arena, &refund, err);
        if (code == 0 && paid > 0)
            code = refund_step(billing, webhook, payment->payment, payment->wallet, paid, &refund,
                               arena, receipt, err);
    }
    if (code == 0 && paid == 0)
        payment->ignored = "nothing was credited for this payment; kept for when it is";
    return code;
}

int
refund_settle(struct billing *billing, enum webhook webhook, struct arena *arena,
              struct payment_receipt *receipt, struct err *err)
{
    const struct payment *payment = &receipt->payment;
    struct store_row *rows;
    size_t count = 0;
    struct str name = arena_printf(arena, "%.*s/", STR_ARG(payment->payment));
    struct str prefix = name.ptr ? payment_row_key(arena, "refund", webhook, name) : name;
    uint64_t transaction = receipt->transaction;
    int code = prefix.ptr ? store_list(billing->conf.store, prefix, STR_EMPTY, 0, arena, &rows,
                                       &count, NULL)
                          : -ERR_NOMEM;
    for (size_t i = 0; i < count && code == 0; i++) {
        struct refund refund = {.what = str_skip(rows[i].key, prefix.len)};
        code = refund_read(billing, &rows[i], &refund);
        if (code < 0)
            break;
        code = refund_step(billing, webhook, payment->payment, payment->wallet,
                           payment->amount.nano, &refund, arena, receipt, err);
        if (code < 0)
            return code;
    }
    receipt->transaction = transaction;
    return code < 0 ? payment_fail(err, code) : 0;
}
