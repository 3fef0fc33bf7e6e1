/* SPDX-License-Identifier: MIT
 * carried.h - a call that is no conversation, on its way to a vendor who says it otherwise, and
 *             back.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: nothing; works on the exchange's attempt.
 * Invariant: settled before the answer may leave; front_media_test.c, front_embed_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_CARRIED_H
#define BERTH_DATAPLANE_PIPELINE_CARRIED_H

#include "dataplane/pipeline/exchange.h"

/* carried_choose - who translates between caller and target, into the attempt: `guest`, `carrier`,
 * both or neither. After the attempt's dialect. */
void carried_choose(struct exchange *exchange);
/* carried_is - it has somebody who does. */
bool carried_is(const struct exchange *exchange);
/* carried_waits - its form is needed whole before any target is tried: one of them takes it in
 * another shape. */
bool carried_waits(const struct exchange *exchange);
/* carried_endpoint - what the target is asked for: a guest's call is OpenAI's. */
enum chat_endpoint carried_endpoint(const struct exchange *exchange);
/* carried_build - the target's body into attempt->body, a form's into its upload. The request is in
 * worker->doc, which holds something else afterwards. 0, or what the request is at fault with. */
int carried_build(struct exchange *exchange, struct err *err) MUST_USE;
/* carried_reply - a reply of a 200, collected: answer, ask again later, or the next target. */
void carried_reply(struct exchange *exchange);

#endif
