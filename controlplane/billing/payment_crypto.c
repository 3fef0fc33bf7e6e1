/* SPDX-License-Identifier: MIT
 * payment_crypto.c - our own small event, for processors behind a relay.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing.
 * Invariant: {"id","type":"payment.confirmed","payment","wallet","amount":"12.50","currency":"USD"}
 *            and nothing else moves money. Proved in payment_test.c. Spec: docs/wallet.md. */
#include "controlplane/billing/billing_int.h"

int
payment_read_crypto(const struct event *event, struct payment *payment)
{
    const struct json_doc *doc = event->doc;
    struct str amount = STR_EMPTY;
    int code = event_text(event, 0, "id", PAYMENT_ID_BYTES_MAX, &payment->event);
    if (code < 0)
        return code;
    if (!json_string_eq(doc, json_get(doc, 0, STR("type")), STR("payment.confirmed"))) {
        payment->ignored = "events of this type move nothing";
        return 0;
    }
    if (!json_string_eq(doc, json_get(doc, 0, STR("currency")), STR("USD"))) {
        payment->ignored = "the currency is not USD";
        return 0;
    }
    payment->wallet = STR("default");
    code = event_text(event, 0, "wallet", LEDGER_NAME_BYTES_MAX, &payment->wallet);
    if (code == 0 || code == -ERR_NOT_FOUND)
        code = event_text(event, 0, "payment", PAYMENT_ID_BYTES_MAX, &payment->payment);
    if (code == 0)
        code = event_text(event, 0, "amount", 32, &amount);
    if (code < 0)
        return code;
    if (money_parse(amount, 2, &payment->amount) < 0 || payment->amount.nano <= 0 ||
        payment->amount.nano > PAYMENT_NANO_MAX)
        return err_set(event->err, ERR_INVALID,
                       "amount must be dollars as \"12.50\", at most two decimals");
    return 0;
}
