/* SPDX-License-Identifier: MIT
 * frames.h - a streamed answer cut into frames, whatever its framing.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the held tail of an incomplete frame.
 * Invariant: however the bytes are cut, the same frames come out; a frame over its cap is an error.
 *            Proved by frames_test.c. Spec: WIRE-FORMATS 2. */
#ifndef BERTH_DATAPLANE_DIALECT_FRAMES_H
#define BERTH_DATAPLANE_DIALECT_FRAMES_H

#include "dataplane/dialect/stream.h"
#include "lib/base/arena.h"

struct frames {
    enum stream_framing framing;
    struct sse_parser sse;
    struct buf held;  /* incomplete line carried over */
    struct str input; /* what is left of the last feed */
    size_t bytes_max;
    bool spent; /* held was handed out */
    int failure;
};

/* bytes_max: cap on one frame, 0 = SSE_EVENT_BYTES_MAX. */
void frames_init(struct frames *frames, enum stream_framing framing, size_t bytes_max);
void frames_fini(struct frames *frames);
/* frames_feed - the next bytes, borrowed until frames_next has returned -ERR_AGAIN. A last line
 * without its end is none: the stream was cut. */
void frames_feed(struct frames *frames, struct str bytes);
/* frames_next - as sse_next: 0 and a frame as an event (has_data false: blank), -ERR_AGAIN,
 * -ERR_TOO_LARGE, -ERR_NOMEM, -ERR_PARSE (a checksum or a length is wrong). */
int frames_next(struct frames *frames, struct sse_event *ret_event) MUST_USE;
/* frames_type - the content type of this framing: a prefix of the field's value. */
struct str frames_type(enum stream_framing framing);
/* frames_array - server-sent events as elements of one JSON array: events holds whole ones; *open
 * is false before the first element. What only keeps a client waiting becomes nothing. */
int frames_array(struct buf *out, struct str events, bool *open);
/* frames_array_end - what closes it. */
int frames_array_end(struct buf *out, bool *open);

#endif
