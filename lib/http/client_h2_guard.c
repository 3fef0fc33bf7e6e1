/* SPDX-License-Identifier: MIT
 * client_h2_guard.c - what an upstream may send that answers nothing of ours, before its connection
 *                     is closed.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing.
 * Invariant: every frame that the upstream could send for ever without an answer is counted; what
 *            our own frames call for is free. client_h2_guard_test.c. */
#include <stdio.h>

#include "lib/http/client_int.h"

/* One connection serves as many calls as a thousand clients of the server: ten times its budget. */
#define GUARD_BURST 1000u
#define GUARD_PER_S 100u

static uint64_t
now_ms(const struct client_h2 *h2)
{
    return loop_now_ms(conn_client(h2->conn)->loop);
}

void
h2_guard_init(struct client_h2 *h2)
{
    h2_abuse_init(&h2->abuse, GUARD_BURST, GUARD_PER_S, now_ms(h2));
}

COLD void
h2_guard_why(const struct client_h2 *h2, char *text, size_t size)
{
    uint32_t code = h2_session_code(h2->session);
    if (h2->flood != NULL)
        (void)snprintf(text, size, "the upstream floods its connection with %s", h2->flood);
    else if (code != H2_NO_ERROR)
        (void)snprintf(text, size, "the upstream broke the HTTP/2 protocol: %s",
                       h2_code_text(code));
    else
        (void)snprintf(text, size, "the HTTP/2 session ended");
}

static int
spend(struct client_h2 *h2, enum h2_oddity oddity, const char *frames)
{
    if (h2_abuse_spend(&h2->abuse, oddity, now_ms(h2)))
        return 0;
    h2->flood = frames;
    h2_session_terminate(h2->session, H2_ENHANCE_YOUR_CALM);
    return 1;
}

int
h2_guard_frame(void *user, const struct h2_frame *frame)
{
    struct client_h2 *h2 = user;
    bool ack = (frame->flags & H2_FLAG_ACK) != 0;
    switch (frame->type) {
    case H2_FRAME_DATA:
        if (frame->length == 0 && (frame->flags & H2_FLAG_END_STREAM) == 0)
            return spend(h2, H2_EMPTY_DATA, "empty DATA frames");
        return 0;
    case H2_FRAME_HEADERS: /* a call counts its interim heads itself */
        if (h2_session_owner(h2->session, frame->id) != NULL)
            return 0;
        return spend(h2, H2_LATE_FRAME, "HEADERS that nobody asked for");
    case H2_FRAME_RST_STREAM: /* a call that it ends had to be made first */
        if (h2_session_owner(h2->session, frame->id) != NULL)
            return 0;
        return spend(h2, H2_LATE_FRAME, "RST_STREAM frames");
    case H2_FRAME_PRIORITY:
    case H2_FRAME_PRIORITY_UPDATE:
        return spend(h2, H2_PRIORITY, "PRIORITY frames");
    case H2_FRAME_SETTINGS:
        return ack ? 0 : spend(h2, H2_SETTINGS, "SETTINGS frames");
    case H2_FRAME_PING:
        return spend(h2, ack ? H2_UNKNOWN_FRAME : H2_PING, "PING frames");
    case H2_FRAME_WINDOW_UPDATE:
        return spend(h2, H2_WINDOW_UPDATE, "WINDOW_UPDATE frames");
    case H2_FRAME_CONTINUATION:
        return spend(h2, H2_CONTINUATION, "CONTINUATION frames");
    case H2_FRAME_PUSH_PROMISE: /* the session ends it: we said that there is to be none */
        return 0;
    default: /* GOAWAY, and what RFC 9113 does not know */
        return spend(h2, H2_UNKNOWN_FRAME, "frames of no use");
    }
}
