/* SPDX-License-Identifier: MIT
 * poll.h - answers that a vendor makes later: asked for again on the exchange's timer until they
 *          are there, the time is up or nobody waits any more; then he is told so.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: the origin that is asked; words of leave-taking that are on their way (worker->goodbyes).
 * Invariant: no call outlives its exchange but one that cancels; an address of the vendor's is
 *            followed only as ticket.h says. front_poll_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_POLL_H
#define BERTH_DATAPLANE_PIPELINE_POLL_H

#include "dataplane/pipeline/exchange.h"

/* poll_begin - the answer in worker->doc is not done: ask again after a while. The attempt may fail
 * here. */
void poll_begin(struct exchange *exchange);
/* poll_again - this time nothing could be learned (the call failed, or an error that passes);
 * false: it does not poll, or that was once too often. */
bool poll_again(struct exchange *exchange);
/* poll_timer - the exchange's timer fired; false: it is not the polling that waits. */
bool poll_timer(struct exchange *exchange);
/* poll_done - the vendor is through with it: there is nothing to cancel. */
void poll_done(struct exchange *exchange);
/* poll_end - part of attempt_stop: cancels with the vendor what is not done. */
void poll_end(struct exchange *exchange);
/* poll_forget - part of worker_fini: whoever was to be told will not be. */
void poll_forget(struct worker *worker);

#endif
