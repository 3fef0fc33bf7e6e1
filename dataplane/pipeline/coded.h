/* SPDX-License-Identifier: MIT
 * coded.h - answers that come in a content-encoding although Berth asked for none: undone before
 *           anything reads them, or a clear 502. Passed on as they are, their usage would be
 *           unread, and the call free.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: the attempt's decoder, until coded_end.
 * Invariant: what is behind coded_body sees no coding; front_coding_test.c. */
#ifndef BERTH_DATAPLANE_PIPELINE_CODED_H
#define BERTH_DATAPLANE_PIPELINE_CODED_H

#include "dataplane/pipeline/exchange.h"

/* coded_head - of a reply that begins. 0; -ERR_UNSUPPORTED: a coding that Berth has not;
 * -ERR_NOMEM. */
int coded_head(struct attempt *attempt, const struct http_head *head) MUST_USE;
/* coded_body - bytes as they came, to `take` as they were meant; it may end the attempt. 0;
 * -ERR_PARSE, -ERR_TOO_LARGE, -ERR_NOMEM: the rest is unreadable. */
int coded_body(struct http_call *call, struct str bytes,
               void (*take)(struct http_call *call, struct str bytes)) MUST_USE;
/* coded_whole - nothing is missing at the end of what came. */
bool coded_whole(const struct attempt *attempt);
void coded_end(struct attempt *attempt);

#endif
