/* SPDX-License-Identifier: MIT
 * h2_abuse.c - a token bucket with earned free passes.
 * Floor: lib/http; any thread, one at a time.
 * Owns: nothing.
 * Invariant: milli <= milli_max; credits are capped, so a quiet minute cannot be saved up for a
 *            flood; h2_abuse_test.c. */
#include "lib/http/h2_abuse.h"

#include <string.h>

#define CREDIT_MAX 2000u
#define LATE_FRAMES_MAX 1000u

void
h2_abuse_init(struct h2_abuse *abuse, uint32_t burst, uint32_t per_s, uint64_t now_ms)
{
    *abuse = (struct h2_abuse){
        .milli = (uint64_t)burst * 1000u,
        .milli_max = (uint64_t)burst * 1000u,
        .refilled_ms = now_ms,
        .per_s = per_s,
        .credit = 8, /* the preface: SETTINGS, a connection window, some idle-stream PRIORITYs */
    };
}

static bool
h2_abuse_free(struct h2_abuse *abuse, enum h2_oddity oddity)
{
    switch (oddity) {
    case H2_PING:
    case H2_SETTINGS:
    case H2_PRIORITY:
    case H2_WINDOW_UPDATE:
        if (abuse->credit == 0)
            return false;
        abuse->credit--;
        return true;
    case H2_LATE_FRAME:
        if (abuse->late_frames == 0)
            return false;
        abuse->late_frames--;
        return true;
    case H2_PEER_RESET:
    case H2_OUR_RESET:
    case H2_EMPTY_DATA:
    case H2_CONTINUATION:
    case H2_UNKNOWN_FRAME:
    case H2_REFUSED:
        break;
    }
    return false;
}

bool
h2_abuse_spend(struct h2_abuse *abuse, enum h2_oddity oddity, uint64_t now_ms)
{
    if (h2_abuse_free(abuse, oddity))
        return true;
    if (now_ms > abuse->refilled_ms) {
        /* per_s tokens a second are per_s thousandths a millisecond. */
        uint64_t earned = 0;
        if (MUL_OVERFLOW(now_ms - abuse->refilled_ms, (uint64_t)abuse->per_s, &earned))
            earned = abuse->milli_max;
        earned = MIN(earned, abuse->milli_max);
        abuse->milli = MIN(abuse->milli + earned, abuse->milli_max);
        abuse->refilled_ms = now_ms;
    }
    if (abuse->milli < 1000u)
        return false;
    abuse->milli -= 1000u;
    return true;
}

static void
h2_abuse_earn(struct h2_abuse *abuse, size_t count)
{
    abuse->credit = (uint32_t)MIN((size_t)abuse->credit + count, (size_t)CREDIT_MAX);
}

void
h2_abuse_sent_data(struct h2_abuse *abuse, size_t bytes)
{
    /* One for the stream, one for the connection, and more for readers in small steps. */
    h2_abuse_earn(abuse, 2 + MIN(bytes, (size_t)1 << 20) / 1024u);
}

void
h2_abuse_opened(struct h2_abuse *abuse)
{
    h2_abuse_earn(abuse, 2);
}

void
h2_abuse_finished(struct h2_abuse *abuse)
{
    if (abuse->late_frames < LATE_FRAMES_MAX)
        abuse->late_frames++;
}
