/* SPDX-License-Identifier: MIT
 * h2_abuse.h - one HTTP/2 connection's budget for frames that cost us more than they cost the
 * sender.
 * Floor: lib/http; any thread, one at a time.
 * Owns: nothing; a value.
 * Invariant: an honest peer, however busy, never spends it: what answers our own DATA or belongs
 *            to a finished request is free. HARDENING 3.2, F3; h2_abuse_test.c. */
#ifndef BERTH_LIB_HTTP_H2_ABUSE_H
#define BERTH_LIB_HTTP_H2_ABUSE_H

#include <stdbool.h>

#include "lib/base/cc.h"

enum h2_oddity {
    H2_PEER_RESET, /* RST_STREAM for a request that we are answering */
    H2_LATE_FRAME, /* RST_STREAM or HEADERS for one that is over */
    H2_OUR_RESET,  /* a reset that the peer provoked (MadeYouReset) */
    H2_PING,       /* not an ACK */
    H2_SETTINGS,   /* not an ACK */
    H2_EMPTY_DATA, /* DATA without bytes that does not end the stream */
    H2_PRIORITY,   /* PRIORITY, PRIORITY_UPDATE */
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
    H2_UNKNOWN_FRAME, /* unknown types, unasked ACKs */
    H2_REFUSED        /* a request head that we refuse */
};

/* milli: tokens in thousandths. credit: free frames earned by what we sent. */
struct h2_abuse {
    uint64_t milli;
    uint64_t milli_max;
    uint64_t refilled_ms;
    uint32_t per_s;
    uint32_t credit;
    uint32_t late_frames;
};

void h2_abuse_init(struct h2_abuse *abuse, uint32_t burst, uint32_t per_s, uint64_t now_ms);
/* h2_abuse_spend - count one oddity; false when the budget is exhausted: end the connection with
 * ENHANCE_YOUR_CALM. */
bool h2_abuse_spend(struct h2_abuse *abuse, enum h2_oddity oddity, uint64_t now_ms) MUST_USE;
/* h2_abuse_sent_data - we sent a DATA frame of `bytes`: window updates and a ping may answer it. */
void h2_abuse_sent_data(struct h2_abuse *abuse, size_t bytes);
/* h2_abuse_opened - a request began: it may bring a PRIORITY and a WINDOW_UPDATE. */
void h2_abuse_opened(struct h2_abuse *abuse);
/* h2_abuse_finished - a request ended normally: its reset or trailers may still come. */
void h2_abuse_finished(struct h2_abuse *abuse);

#endif
