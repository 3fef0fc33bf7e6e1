/* SPDX-License-Identifier: MIT
 * payments.h - what the operator decides about money: markup, transfer fee, webhook secrets.
 * Floor: controlplane/daemon; main thread.
 * Owns: the secrets.
 * Invariant: a variable that is set but empty is an empty secret, not an absent one: billing_new
 *            refuses it. e2e/wallet.sh. */
#ifndef BERTH_CONTROLPLANE_DAEMON_PAYMENTS_H
#define BERTH_CONTROLPLANE_DAEMON_PAYMENTS_H

#include "controlplane/billing/billing.h"
#include "controlplane/daemon/flags.h"

struct engine;
struct payments {
    struct secret *secrets[WEBHOOK_COUNT];
    uint32_t markup_bps;
    uint32_t fee_bps;
};
/* payments_open - from flags and environment: each secret in its variable, or in the file that
 * VARIABLE_FILE names. 0; -ERR_INVALID, -ERR_PERMISSION (others can read that file),
 * -ERR_NOT_FOUND. */
int payments_open(const struct flags *options, struct payments *ret_payments,
                  struct err *err) MUST_USE;
void payments_close(struct payments *payments);
/* payments_price - billing_conf.price over the engine's document. */
bool payments_price(const struct engine *engine, struct str model,
                    int64_t ret_pico[USAGE_CLASS_COUNT]);

#endif
