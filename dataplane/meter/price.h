/* SPDX-License-Identifier: MIT
 * price.h - what a call may cost before it is made, and what it did cost after.
 * Floor: dataplane/meter; values, any thread.
 * Owns: nothing.
 * Invariant: price_settle never charges more than price_hold said for the same call, whatever the
 *            provider claims; price_test.c. */
#ifndef BERTH_DATAPLANE_METER_PRICE_H
#define BERTH_DATAPLANE_METER_PRICE_H

#include "api/tariff.h"

/* Answer tokens where neither the caller nor the catalogue sets a limit. */
#define PRICE_ANSWER_DEFAULT 4096u

/* What the provider may run for a call beside talking: held, and paid as it counts them.
 * most: of each class, at the most     each: so many where this provider tells no count
 * web: the class of its web searches, of the three sizes
 * code_unit: a sandbox counts so many code_runs */
struct price_runs {
    uint64_t most[USAGE_CLASS_COUNT];
    uint64_t each[USAGE_CLASS_COUNT];
    enum usage_class web;
    uint32_t code_unit;
};

/* One call at one model. Tokens; 0 = not known, where nothing else is said.
 * prompt_bytes: no fewer than the prompt's tokens, media apart (chat_facts)
 * asked: the caller's max_tokens            seen_bytes: of the answer, after it was made */
struct price_call {
    const struct tariff *tariff;
    bool free;
    bool chat;  /* else: embeddings; they have no answer, and the window holds for each input */
    bool tools; /* the provider may put searches of its own into the prompt */
    uint32_t choices; /* >= 1 */
    uint32_t markup_bps;
    uint64_t prompt_bytes;
    uint64_t asked;
    uint64_t context_tokens;
    uint64_t answer_tokens_max;
    uint64_t seen_bytes;
    /* what is no token: the most of each class that the request can come to (USAGE_CLASS_COUNT of
     * them), or NULL: nothing by the piece is held. image_pico: of one image as it was asked for
     * (tariff_image), 0: as the row says */
    const uint64_t *most;
    int64_t image_pico;
    const struct price_runs *runs; /* NULL: nothing */
    int64_t made_s;                /* wall clock: the prices of that moment hold */
};
/* price_hold - the most that the call can cost, nano-dollars; 0 when it is free. 0;
 * -ERR_NOT_FOUND: no price is known, or (with `most`) none for anything that the call counts;
 * -ERR_RANGE: beyond what money can be. */
int price_hold(const struct price_call *call, int64_t *ret_nano) MUST_USE;
/* price_settle - cut what cannot be (usage->clamped tells), choose the row, charge. held: what was
 * set aside for the call: the ceiling, set clamped when it cuts. *ret_row: NULL when free. */
void price_settle(const struct price_call *call, int64_t held, struct usage *usage,
                  struct charge *ret_charge, const struct tariff_row **ret_row);

#endif
