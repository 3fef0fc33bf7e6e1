/* SPDX-License-Identifier: MIT
 * billing_int.h - the parts of billing to each other: readers of events, rows, the timer.
 * Floor: controlplane/billing, private; engine thread.
 * Owns: see struct billing.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_BILLING_BILLING_INT_H
#define BERTH_CONTROLPLANE_BILLING_BILLING_INT_H

#include "controlplane/billing/billing.h"
#include "controlplane/billing/payment.h"
#include "lib/net/loop.h"
#include "lib/text/json.h"

struct billing {
    struct billing_conf conf;
    struct json_doc doc; /* scratch, so that nodes are allocated once */
    struct timer timer;  /* monthly invoices; the wallet that was looked at last */
    char after[STORE_KEY_BYTES_MAX];
    struct timer cap_timer; /* caps: the round at hand */
    struct store_watch *cap_watch;
    char cap_after[STORE_KEY_BYTES_MAX];
    bool cap_due;        /* a round is wanted, whatever the hour */
    bool cap_again;      /* something is missing: another round soon */
    int64_t cap_hour_ms; /* begin of the hour of the last round */
    bool cap_told;       /* what is wrong was said; again when a Wallet changes */
};

void billing_stop(struct billing *billing);
int cap_start(struct billing *billing, struct err *err) MUST_USE;
void cap_stop(struct billing *billing);

/* A scanned event with room for what has to be unescaped. */
struct event {
    struct json_doc *doc;
    struct arena *arena;
    struct err *err;
};
/* event_text - member of an object as text: 0; -ERR_NOT_FOUND (absent or null, *ret untouched),
 * -ERR_INVALID (no string, or not 1..bytes_max of plain ASCII without space). */
int event_text(const struct event *event, uint32_t object, const char *name, size_t bytes_max,
               struct str *ret_text) MUST_USE;

/* row_number - a member of a row that is a decimal string, 0 or more. 0, -ERR_STORE, -ERR_NOMEM. */
int row_number(struct billing *billing, struct str text, const char *name,
               int64_t *ret_value) MUST_USE;
/* payment_row_key - of what is kept of a payment: "payment", "event", "refund"; ptr NULL: no
 * memory. */
struct str payment_row_key(struct arena *arena, const char *what, enum webhook webhook,
                           struct str id);
int payment_fail(struct err *err, int code);
/* refund_book - receipt->payment went back, or came again. */
int refund_book(struct billing *billing, enum webhook webhook, struct arena *arena,
                struct payment_receipt *receipt, struct err *err) MUST_USE;
/* refund_settle - receipt->payment was credited: what was said about it before that. */
int refund_settle(struct billing *billing, enum webhook webhook, struct arena *arena,
                  struct payment_receipt *receipt, struct err *err) MUST_USE;

#define WEBHOOK_ROW(name, header, variable, text) \
    int payment_read_##name(const struct event *event, struct payment *payment) MUST_USE;
#include "controlplane/billing/webhooks.def"
#undef WEBHOOK_ROW

#endif
