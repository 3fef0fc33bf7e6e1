/* SPDX-License-Identifier: MIT
 * runs.h - tools that a provider runs and bills beside tokens: what becomes of them at a target.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: what reaches a provider has a price there, costs nothing beside tokens, or is named by
 *            the owner as costing nothing. Proved by front_paid_test.c, e2e/search.sh. */
#ifndef BERTH_DATAPLANE_PIPELINE_RUNS_H
#define BERTH_DATAPLANE_PIPELINE_RUNS_H

#include "dataplane/pipeline/exchange.h"

/* runs_judge - whether a target may be asked for all that the call wants run. 0;
 * -ERR_UNSUPPORTED: not that, *ret_text (in the arena; empty without memory) says what and how its
 * owner allows it. */
int runs_judge(struct exchange *exchange, const struct config_model *model,
               struct str *ret_text) MUST_USE;
/* runs_price - what is held and paid for them there; NULL: nothing. *storage is the caller's. */
const struct price_runs *runs_price(const struct exchange *exchange,
                                    const struct config_model *model, struct price_runs *storage);
/* runs_leave_out - mark in the facts what is not sent to a target of the caller's own dialect.
 * *ret_names: of those, comma separated, in the arena; empty: all is sent. -ERR_NOMEM. */
int runs_leave_out(struct exchange *exchange, const struct config_model *model,
                   struct str *ret_names) MUST_USE;

#endif
