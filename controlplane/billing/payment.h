/* SPDX-License-Identifier: MIT
 * payment.h - a payment that somebody tells us about, or that it went back: read, checked, booked
 *             once.
 * Floor: controlplane/billing; engine thread.
 * Owns: rows billing/payment/ (who gets it: the first word counts), billing/refund/ (refund.c) and
 *       billing/event/ (kept forever).
 * Invariant: claim, credit, remember, in this order, each repeatable: a crash between them and a
 *            repeated event lead to the same one credit. payment_test.c, payment_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_BILLING_PAYMENT_H
#define BERTH_CONTROLPLANE_BILLING_PAYMENT_H

#include "controlplane/billing/billing.h"

#define PAYMENT_BODY_BYTES_MAX (256u * 1024u)
#define PAYMENT_ID_BYTES_MAX 120u /* with the name of the webhook in front it is a ledger key */
#define PAYMENT_NANO_MAX (10000000ll * MONEY_NANO_PER_USD) /* ten million dollars */

enum payment_kind {
    PAYMENT_PAID,
    PAYMENT_REFUNDED,   /* amount: of all its refunds so far */
    PAYMENT_WITHDRAWN,  /* its bank took amount back: a dispute */
    PAYMENT_REINSTATED, /* and gave it again */
    PAYMENT_KIND_COUNT
};
/* Texts in the arena or the body. payment: of what was paid, the same in every event about it. */
struct payment {
    enum payment_kind kind;
    struct str event;
    struct str payment;
    struct str wallet;  /* of a paid one */
    struct str dispute; /* of one that was withdrawn or reinstated */
    struct money amount;
    struct money fee;      /* of a dispute, on top; all of it so far */
    struct money fee_back; /* and what came again of it */
    const char *ignored;   /* NULL, or why this event moves nothing */
};
/* payment_read - the body of a webhook whose signature fits. Only what moved US dollars has ignored
 * NULL; all others are fine and move nothing.
 * 0; -ERR_INVALID, -ERR_RANGE or a code of json_scan (malformed: refused, so that the sender shows
 * it); -ERR_NOMEM. */
int payment_read(enum webhook webhook, struct str body, struct arena *arena,
                 struct payment *ret_payment, struct err *err) MUST_USE;

struct payment_receipt {
    struct payment payment; /* wallet and amount: as first claimed */
    bool credited;          /* false: ignored, or credited before */
    uint64_t transaction;   /* 0 when ignored */
    struct money corrected; /* what went back, negative, or came again; 0: nothing new */
};
/* payment_receive - one call of a webhook: header is the value of webhook_header, now_s the wall
 * clock. 0; -ERR_UNAVAILABLE (no secret: this webhook is off), -ERR_SIGNATURE, -ERR_NOT_FOUND
 * (there is no such wallet: the sender tries again, and the owner makes one), codes of
 * payment_read, ledger_deposit and ledger_adjust. Spec: api/openapi/admin.yaml, receiveWebhook. */
int payment_receive(struct billing *billing, enum webhook webhook, struct str header,
                    struct str body, int64_t now_s, struct arena *arena,
                    struct payment_receipt *ret_receipt, struct err *err) MUST_USE;

#endif
