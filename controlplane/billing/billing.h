/* SPDX-License-Identifier: MIT
 * billing.h - what stands between the ledger and the world of payments: webhooks, invoices.
 * Floor: controlplane/billing; engine thread.
 * Owns: the timer of the monthly invoices; its rows in the store lie under billing/.
 * Invariant: a payment credits once, whoever tells us about it and how often (payment_test.c); a
 *            secret that is empty or short never comes into use (billing_test.c). */
#ifndef BERTH_CONTROLPLANE_BILLING_BILLING_H
#define BERTH_CONTROLPLANE_BILLING_BILLING_H

#include "controlplane/billing/webhook.h"
#include "controlplane/ledger/ledger.h"
#include "lib/base/secret.h"

struct loop;
struct billing;
struct billing_conf {
    struct store *store; /* all borrowed; they outlive the billing */
    struct ledger *ledger;
    const char *server;                          /* id, hex: the head of invoice numbers */
    const struct secret *secrets[WEBHOOK_COUNT]; /* NULL: that webhook is off */
    uint32_t markup_bps;                         /* for settings and invoices */
    uint32_t fee_bps;
    struct loop *loop; /* NULL: invoices only on demand */
    /* pico-dollars a unit of each class of a model as it costs now; false: unknown. May be NULL. */
    bool (*price)(void *user, struct str model, int64_t ret_pico[USAGE_CLASS_COUNT]);
    /* what the timer could not do, for the log. May be NULL. */
    void (*failed)(void *user, struct str wallet, const struct err *err);
    void *user;
};
/* billing_new - -ERR_PERMISSION: a secret is empty or shorter than SIGNATURE_SECRET_BYTES_MIN: with
 * it anybody could sign payments. -ERR_NOMEM. */
int billing_new(const struct billing_conf *conf, struct billing **ret_billing,
                struct err *err) MUST_USE;
void billing_free(struct billing **billing);
const struct billing_conf *billing_conf(const struct billing *billing);
/* billing_start - from now on each month's invoices are issued a minute after its end (UTC), one
 * wallet a turn of the loop, and capped wallets get their money when a period begins; what was
 * missed while the process was down comes first. */
int billing_start(struct billing *billing, struct err *err) MUST_USE;

#endif
