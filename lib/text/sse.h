/* SPDX-License-Identifier: MIT
 * sse.h - server-sent events: an incremental, zero-copy reader and a strict writer
 *         (WHATWG HTML 9.2 "Server-sent events").
 * Floor: lib/text; one thread at a time.
 * Owns: the held tail of an incomplete event.
 * Invariant: however the bytes are cut, the same events come out, and the concatenation of all
 * `raw` spans is the input; a line or event over its cap is an error. Proved by sse_test.c and
 *            sse_fuzz.c. */
#ifndef BERTH_LIB_TEXT_SSE_H
#define BERTH_LIB_TEXT_SSE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define SSE_EVENT_BYTES_MAX ((size_t)1 << 20)

/* One complete block up to and including its blank line. All spans are borrowed until the next call
 * of sse_next or sse_feed. data: lines joined with '\n'; has_data tells "no data line" from
 * "empty". A block of comments only, or a blank line alone, has has_data false and an empty name.
 */
struct sse_event {
    struct str raw;
    struct str name;
    struct str data;
    bool has_data;
};

/* Private. The line state covers all bytes seen, so none is looked at twice to find an event's end.
 */
struct sse_parser {
    struct buf held;   /* incomplete event carried over */
    struct buf joined; /* multi-line data */
    struct str input;  /* what is left of the last feed */
    size_t event_bytes_max;
    uint8_t bom_bytes; /* of U+FEFF matched at the start of the stream; 4 = that is over */
    bool spent;        /* held was handed out as an event */
    bool first;        /* no event was made yet */
    bool line_begun;   /* the current line has bytes */
    bool open_cr;      /* the last byte was a CR that a LF may still complete */
    bool last_cr;      /* the last complete line ended in a bare CR */
    bool may_swallow;  /* the last event ended in a bare CR: a LF now is its second half */
    int failure;       /* 0, or the error that stopped it for good */
};

/* event_bytes_max: cap on one event, 0 = SSE_EVENT_BYTES_MAX. */
void sse_init(struct sse_parser *parser, size_t event_bytes_max);
void sse_fini(struct sse_parser *parser);
/* sse_feed - give the next bytes, borrowed until sse_next has returned -ERR_AGAIN. All events of
 * the previous feed must have been taken. */
void sse_feed(struct sse_parser *parser, struct str bytes);
/* sse_next - 0 and the next complete event; -ERR_AGAIN when more bytes are needed (the tail has
 * been copied); -ERR_TOO_LARGE; -ERR_NOMEM; after these two nothing but the same again. A blank
 * line that ends in CR is complete at once in a stream of bare CRs, else with the next byte (it may
 * be LF). */
int sse_next(struct sse_parser *parser, struct sse_event *ret_event) MUST_USE;
/* sse_tail - bytes of an incomplete event at the end of the stream (empty for a clean end). Ask
 * after -ERR_AGAIN; borrowed until the next sse_feed. */
struct str sse_tail(const struct sse_parser *parser);

/* sse_put - append one event; name may be empty. Newlines in data become several data lines; a name
 * with CR or LF is -ERR_INVALID. Also -ERR_TOO_LARGE, -ERR_NOMEM; then nothing was appended. */
int sse_put(struct buf *out, struct str name, struct str data) MUST_USE;
/* sse_put_comment - ": text" and a blank line; one comment line for each line of text. */
int sse_put_comment(struct buf *out, struct str text) MUST_USE;

#endif
