/* SPDX-License-Identifier: MIT
 * bill.h - the simulator's own bill: what a provider would charge for every request that it served.
 * Floor: tools/sim; any thread.
 * Owns: the price table and the entries.
 * Invariant: cost = (prompt - cached) * input + cached * cached price + completion * output + units
 *            * unit price, in nano-dollars; what was not delivered is not charged (bill_test.c). */
#ifndef BERTH_TOOLS_SIM_BILL_H
#define BERTH_TOOLS_SIM_BILL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define BILL_ENTRIES_MAX 1000000u /* more only count in the totals */

struct bill;
enum bill_delivered { BILL_NONE, BILL_PARTIAL, BILL_COMPLETE };

/* Nano-dollars a token. */
struct bill_price {
    int64_t input_nano;
    int64_t output_nano;
    int64_t cached_nano;
    int64_t unit_nano; /* of what is billed by the piece */
};

/* Token counts; cached is part of prompt, reasoning part of completion. */
struct bill_entry {
    char request_id[64]; /* x-request-id or x-client-request-id of the request, or "" */
    char model[64];
    const char *dialect; /* static; NULL = openai */
    uint16_t status;
    enum bill_delivered delivered;
    uint64_t prompt;
    uint64_t cached;
    uint64_t completion;
    uint64_t reasoning;
    uint64_t units;
    int64_t unit_nano; /* 0 = as in the price table */
    int64_t cost_nano;
};

int bill_new(struct bill **ret_bill, struct err *err) MUST_USE;
void bill_free(struct bill **bill);
/* bill_load_prices - {"model": {"input_nano":150,"output_nano":600,"cached_nano":75}, ...} instead
 * of the built-in table; "*" prices the models that are not listed. Before threads start. */
int bill_load_prices(struct bill *bill, struct str json, struct err *err) MUST_USE;
struct bill_price bill_price_of(const struct bill *bill, struct str model);
/* bill_models - names of the price table without "*", count of them; static order. */
size_t bill_model_count(const struct bill *bill);
struct str bill_model(const struct bill *bill, size_t index);
/* bill_add - price and keep it; cost_nano is filled in here. */
void bill_add(struct bill *bill, const struct bill_entry *entry);
/* bill_render - {"count":n,"total_nano":"n"[,"entries":[...]]}. */
int bill_render(struct bill *bill, bool summary, struct buf *out) MUST_USE;
void bill_reset(struct bill *bill);

#endif
