/* SPDX-License-Identifier: MIT
 * cap.h - wallets that may spend so much an hour, day or month: spec.cap of a Wallet.
 * Floor: controlplane/billing; engine thread.
 * Owns: rows billing/cap/WALLET: the period at hand and what had been spent before it.
 * Invariant: AI money left (lent included) + spent in the period <= amount, and equal as soon as
 *            `from` has the money: so nodes, which lend from it, cannot spend more. cap_test.c. */
#ifndef BERTH_CONTROLPLANE_BILLING_CAP_H
#define BERTH_CONTROLPLANE_BILLING_CAP_H

#include "controlplane/billing/billing.h"

struct object;

/* cap_settle - one Wallet object; without spec.cap nothing happens. Spending counts when it is
 * posted. *ret_short: `from` could not give all of it (or what is lent cannot be taken back yet):
 * try again soon. 0; -ERR_NOT_FOUND (no such `from`), -ERR_INVALID (`from` is capped itself),
 * -ERR_CONFLICT, -ERR_STORE, -ERR_NOMEM. */
int cap_settle(struct billing *billing, const struct object *wallet, int64_t now_ms,
               struct arena *arena, bool *ret_short, struct err *err) MUST_USE;
/* What a capped wallet may still spend, and until when. */
struct cap_word {
    struct money amount; /* 0: it has no cap */
    struct money spent;  /* posted in the period at hand */
    int64_t resets_s;    /* its end, seconds since 1970 */
};
/* cap_look - ai_usage: of the wallet, all that it ever spent. Nothing moves. 0, -ERR_STORE,
 * -ERR_NOMEM. */
int cap_look(struct store *store, const struct object *wallet, struct money ai_usage,
             int64_t now_ms, struct arena *arena, struct cap_word *ret_word) MUST_USE;

#endif
