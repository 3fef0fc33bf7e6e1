/* SPDX-License-Identifier: MIT
 * server_h2_int.h - what the two halves of the server's HTTP/2 share.
 * Floor: lib/http, private; the loop's thread.
 * Owns: the layout. server_h2.c: sessions and streams; server_h2_frames.c: what the
 * session calls.
 * Invariant: a stream owns its id in the session until it is closed or aborted, never longer. */
#ifndef BERTH_LIB_HTTP_SERVER_H2_INT_H
#define BERTH_LIB_HTTP_SERVER_H2_INT_H

#include "lib/http/h2_abuse.h"
#include "lib/http/h2_fields.h"
#include "lib/http/h2_session.h"
#include "lib/http/server_int.h"

#define H2_CONN_WINDOW_BYTES (1 << 20)
#define H2_LINGERS 16u
#define H2_LINGER_MS 1000u
#define H2_LEAVE_MS 1000u /* for a peer that does not answer the PING behind our first GOAWAY */

/* A request that was answered before it ended. It is over for the handler, but its frames are still
 * judged for a while: a violation gets its own error, and an upload that ends by itself no
 * reset. */
struct h2_linger {
    uint64_t until_ms;
    uint32_t id;
};

struct h2_conn {
    struct h2_session *session;
    struct http_conn *conn;
    struct h2_fields *fields; /* of the header block that is coming in */
    uint64_t head_ms;         /* when it began */
    struct h2_abuse abuse;
    struct list finishing; /* ended streams whose last bytes are not in the kernel yet, in order */
    uint64_t window_ms;    /* start of the body rate window */
    uint64_t idle_ms;      /* when the last stream ended */
    uint64_t leave_ms;     /* new streams are ignored from then on; 0 = not leaving */
    uint32_t last_id;
    struct h2_linger lingers[H2_LINGERS]; /* ring, oldest first */
    uint32_t linger_at;
    uint32_t linger_count;
    bool terminated; /* we ended it */
    bool want_writable;
};

/* ---- server_h2.c ---- */
#define H2_STOP 1 /* what callbacks return to end h2_session_feed */
/* h2_terminate - GOAWAY(code) and nothing more in. Returns H2_STOP, for callbacks. */
COLD int h2_terminate(struct h2_conn *h2, uint32_t code);
/* h2_reset - RST_STREAM(code). */
COLD void h2_reset(struct h2_conn *h2, uint32_t id, uint32_t code);
/* h2_closes_as - what closed() will say, unless that was decided before. */
static inline void
h2_closes_as(struct http_stream *stream, enum http_close_reason reason)
{
    if (stream->refused)
        return;
    stream->refused = true;
    stream->reason = reason;
}
/* h2_linger - `id` is answered but not complete: reset it (RFC 9113 8.1) in H2_LINGER_MS, or sooner
 * when many wait or the server drains. */
COLD void h2_linger(struct h2_conn *h2, uint32_t id);
/* h2_refuse - answer `status` on our own; closed(HTTP_REFUSED) when that is sent. */
COLD void h2_refuse(struct http_stream *stream, unsigned status, enum http_close_reason reason);
/* ---- server_h2_frames.c ---- */
extern const struct h2_session_ops server_h2_ops;
/* h2_spend - count one oddity. 0, or, when the budget is gone, h2_terminate's result. */
int h2_spend(struct h2_conn *h2, enum h2_oddity oddity);
/* h2_deliver - body bytes: collected, handed over, or held while paused. */
void h2_deliver(struct http_stream *stream, struct str bytes);

#endif
