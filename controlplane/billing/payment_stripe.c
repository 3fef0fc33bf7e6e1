/* SPDX-License-Identifier: MIT
 * payment_stripe.c - Stripe's events: paid Checkout sessions and PaymentIntents in US cents, and
 *            what went back of them.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing.
 * Invariant: a Checkout session and its PaymentIntent are one payment, named by the PaymentIntent;
 *            a PaymentIntent that names no wallet is the second half of a session, or not for us.
 *            Proved in payment_test.c. Spec: docs.stripe.com/api/events. */
#include "controlplane/billing/billing_int.h"

#define CENTS_MAX (PAYMENT_NANO_MAX / NANO_PER_CENT)
/* Of what goes back: both are in one ledger key of 128 bytes. */
#define BACK_ID_BYTES_MAX 44u
#define NANO_PER_CENT (MONEY_NANO_PER_USD / 100)

static bool
is_type(const struct event *event, const char *type)
{
    return json_string_eq(event->doc, json_get(event->doc, 0, STR("type")), str_from(type));
}

static bool
member_is(const struct event *event, uint32_t object, const char *name, const char *want)
{
    return json_string_eq(event->doc, json_get(event->doc, object, str_from(name)), str_from(want));
}

/* metadata.wallet, set by whoever made the session or the PaymentIntent. */
static int
metadata_wallet(const struct event *event, uint32_t object, struct str *ret_wallet)
{
    uint32_t metadata = json_get(event->doc, object, STR("metadata"));
    return event_text(event, metadata, "wallet", LEDGER_NAME_BYTES_MAX, ret_wallet);
}

static int
cents_read(const struct event *event, uint32_t object, const char *name, struct payment *payment)
{
    int64_t cents = 0;
    if (!member_is(event, object, "currency", "usd")) {
        payment->ignored = "the currency is not USD";
        return 0;
    }
    uint32_t node = json_get(event->doc, object, str_from(name));
    int code = json_i64(event->doc, node, 1, CENTS_MAX, &cents);
    if (code < 0)
        return err_set(event->err, (enum err_code) - code,
                       "%s must be a whole number of cents from 1 to %lld", name, CENTS_MAX);
    payment->amount.nano = cents * NANO_PER_CENT;
    return 0;
}

static int
session_read(const struct event *event, uint32_t object, struct payment *payment)
{
    if (!member_is(event, object, "mode", "payment")) {
        payment->ignored = "the session's mode is not payment";
        return 0;
    }
    if (!member_is(event, object, "payment_status", "paid")) {
        payment->ignored = "the session is not paid";
        return 0;
    }
    int code = event_text(event, object, "payment_intent", PAYMENT_ID_BYTES_MAX, &payment->payment);
    if (code == -ERR_NOT_FOUND)
        code = event_text(event, object, "id", PAYMENT_ID_BYTES_MAX, &payment->payment);
    if (code == 0)
        code = metadata_wallet(event, object, &payment->wallet);
    if (code == -ERR_NOT_FOUND && payment->payment.len > 0)
        code = event_text(event, object, "client_reference_id", LEDGER_NAME_BYTES_MAX,
                          &payment->wallet);
    if (code == -ERR_NOT_FOUND && payment->payment.len > 0) {
        payment->wallet = STR("default");
        code = 0;
    }
    return code < 0 ? code : cents_read(event, object, "amount_total", payment);
}

static int
intent_read(const struct event *event, uint32_t object, struct payment *payment)
{
    if (!member_is(event, object, "status", "succeeded")) {
        payment->ignored = "the PaymentIntent has not succeeded";
        return 0;
    }
    int code = metadata_wallet(event, object, &payment->wallet);
    if (code == -ERR_NOT_FOUND) {
        payment->ignored = "the PaymentIntent has no metadata.wallet";
        return 0;
    }
    if (code == 0)
        code = event_text(event, object, "id", PAYMENT_ID_BYTES_MAX, &payment->payment);
    return code < 0 ? code : cents_read(event, object, "amount_received", payment);
}

/* Of a charge: all that was refunded of it so far. */
static int
refund_read(const struct event *event, uint32_t object, struct payment *payment)
{
    payment->kind = PAYMENT_REFUNDED;
    int code = event_text(event, object, "payment_intent", BACK_ID_BYTES_MAX, &payment->payment);
    if (code == -ERR_NOT_FOUND) {
        payment->ignored = "the charge has no PaymentIntent";
        return 0;
    }
    return code < 0 ? code : cents_read(event, object, "amount_refunded", payment);
}

/* A dispute's balance_transactions: none, or one for each time that its bank moved money, each with
 * the fee that came with it. All in cents of the account, whose currency may be another one. */
struct moves {
    int64_t withdrawn;
    int64_t reinstated;
    int64_t fee;
    int64_t fee_back;
};

static int
move_add(const struct event *event, uint32_t row, const char *name, int64_t *down, int64_t *up)
{
    int64_t cents = 0;
    uint32_t node = json_get(event->doc, row, str_from(name));
    int code = json_i64(event->doc, node, -CENTS_MAX, CENTS_MAX, &cents);
    if (code == 0) {
        *down += MAX(-cents, (int64_t)0);
        *up += MAX(cents, (int64_t)0);
    }
    if (code < 0 || *down > CENTS_MAX || *up > CENTS_MAX) {
        return err_set(event->err, code < 0 ? (enum err_code) - code : ERR_RANGE,
                       "balance_transactions.%s must be a whole number of cents, and %lld at most "
                       "in all",
                       name, CENTS_MAX);
    }
    return 0;
}

static int
moves_read(const struct event *event, uint32_t object, struct moves *moves)
{
    int code = 0;
    uint32_t list = json_get(event->doc, object, STR("balance_transactions"));
    if (!json_is(event->doc, list, JSON_ARRAY))
        return 0;
    for (uint32_t row = json_first(event->doc, list); row != JSON_NONE && code == 0;
         row = json_sibling(event->doc, list, row)) {
        if (!member_is(event, row, "currency", "usd"))
            continue;
        code = move_add(event, row, "amount", &moves->withdrawn, &moves->reinstated);
        if (code == 0)
            code = move_add(event, row, "fee", &moves->fee_back, &moves->fee);
    }
    return code;
}

/* A dispute moves money when the bank does, not when it is opened or closed; as much as its balance
 * transactions say, or all that is disputed when they are not there. */
static int
dispute_read(const struct event *event, uint32_t object, enum payment_kind kind,
             struct payment *payment)
{
    payment->kind = kind;
    int code = event_text(event, object, "payment_intent", BACK_ID_BYTES_MAX, &payment->payment);
    if (code == -ERR_NOT_FOUND) {
        payment->ignored = "the dispute has no PaymentIntent";
        return 0;
    }
    struct moves moves = {.fee = 0};
    if (code == 0)
        code = event_text(event, object, "id", BACK_ID_BYTES_MAX, &payment->dispute);
    if (code == 0)
        code = cents_read(event, object, "amount", payment);
    if (code == 0 && !payment->ignored)
        code = moves_read(event, object, &moves);
    int64_t moved = kind == PAYMENT_WITHDRAWN ? moves.withdrawn : moves.reinstated;
    if (moved > 0)
        payment->amount.nano = moved * NANO_PER_CENT;
    payment->fee.nano = moves.fee * NANO_PER_CENT;
    payment->fee_back.nano = moves.fee_back * NANO_PER_CENT;
    return code;
}

int
payment_read_stripe(const struct event *event, struct payment *payment)
{
    uint32_t object = json_path(event->doc, 0, "data.object");
    int code = event_text(event, 0, "id", PAYMENT_ID_BYTES_MAX, &payment->event);
    if (code < 0)
        return code;
    if (is_type(event, "checkout.session.completed") ||
        is_type(event, "checkout.session.async_payment_succeeded"))
        return session_read(event, object, payment);
    if (is_type(event, "payment_intent.succeeded"))
        return intent_read(event, object, payment);
    if (is_type(event, "charge.refunded"))
        return refund_read(event, object, payment);
    if (is_type(event, "charge.dispute.funds_withdrawn"))
        return dispute_read(event, object, PAYMENT_WITHDRAWN, payment);
    if (is_type(event, "charge.dispute.funds_reinstated"))
        return dispute_read(event, object, PAYMENT_REINSTATED, payment);
    payment->ignored = "events of this type move nothing";
    return 0;
}
