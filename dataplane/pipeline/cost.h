/* SPDX-License-Identifier: MIT
 * cost.h - telling a caller who asks for it what the call costs: usage.cost, trailers.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing.
 * Invariant: the number is the charge of the journal's row, to the last nano-dollar; who did not
 *            ask gets the provider's bytes. front_price_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_COST_H
#define BERTH_DATAPLANE_PIPELINE_COST_H

#include "dataplane/pipeline/exchange.h"

/* cost_wanted - the request says "usage": {"include": true}. The member is ours: no provider sees
 * it. */
bool cost_wanted(const struct json_doc *request);
/* cost_in_answer - a whole answer with the cost in its usage object; the answer itself where it has
 * no such place. out: empty; what is returned may point into it. */
struct str cost_in_answer(struct exchange *exchange, struct str body, struct buf *out);
/* cost_in_events - the same for SSE events, each data line by itself. Before the exchange is
 * settled: as it would be if it ended with what the provider has reported by now. */
struct str cost_in_events(struct exchange *exchange, struct str events, struct buf *out);

/* COST_TRAILER - field of a streamed answer's head, where the request says TE: trailers. cost_end -
 * the answer ends; behind it, where asked, x-berth-cost and x-berth-usage. Settled before. */
#define COST_TRAILER ((struct http_field){STR("trailer"), STR("x-berth-cost, x-berth-usage")})
void cost_end(struct exchange *exchange);

#endif
