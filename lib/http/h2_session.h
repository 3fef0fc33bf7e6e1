/* SPDX-License-Identifier: MIT
 * h2_session.h - the frames, streams and windows of one HTTP/2 connection (RFC 9113), either side.
 * Floor: lib/http; its loop's thread.
 * Owns: the streams, both HPACK tables, and frames that were made but not taken yet.
 * Invariant: a stream is found by its id until `closed` was called for it; nothing that comes in is
 *            told to the owner of a session that was terminated. h2spec, h2_session_fuzz.c,
 *            h2_session_same_fuzz.c, server_h2_test.c, client_h2_test.c. */
#ifndef BERTH_LIB_HTTP_H2_SESSION_H
#define BERTH_LIB_HTTP_H2_SESSION_H

#include "lib/base/str.h"

enum h2_frame_type {
    H2_FRAME_DATA,
    H2_FRAME_HEADERS,
    H2_FRAME_PRIORITY,
    H2_FRAME_RST_STREAM,
    H2_FRAME_SETTINGS,
    H2_FRAME_PUSH_PROMISE,
    H2_FRAME_PING,
    H2_FRAME_GOAWAY,
    H2_FRAME_WINDOW_UPDATE,
    H2_FRAME_CONTINUATION
};
#define H2_FRAME_PRIORITY_UPDATE 0x10u /* RFC 9218; of no use to us */
#define H2_FLAG_END_STREAM 0x01u
#define H2_FLAG_ACK 0x01u
#define H2_FLAG_END_HEADERS 0x04u
#define H2_FLAG_PADDED 0x08u
#define H2_FLAG_PRIORITY 0x20u
#define H2_FRAME_HEAD_BYTES 9u
#define H2_FRAME_BYTES_MAX 16384u /* of payload, what we send and what we take */

/* RFC 9113 section 7. */
enum h2_code {
    H2_NO_ERROR,
    H2_PROTOCOL_ERROR,
    H2_INTERNAL_ERROR,
    H2_FLOW_CONTROL_ERROR,
    H2_SETTINGS_TIMEOUT,
    H2_STREAM_CLOSED,
    H2_FRAME_SIZE_ERROR,
    H2_REFUSED_STREAM,
    H2_CANCEL,
    H2_COMPRESSION_ERROR,
    H2_CONNECT_ERROR,
    H2_ENHANCE_YOUR_CALM,
    H2_INADEQUATE_SECURITY,
    H2_HTTP_1_1_REQUIRED,
    H2_CODE_COUNT
};
const char *h2_code_text(uint32_t code);

struct h2_frame {
    uint32_t length;
    uint32_t id;
    uint8_t type;
    uint8_t flags;
};

struct h2_session;

/* What `want` says instead of a count. */
#define H2_WANT_LATER (-1)   /* nothing to send yet: h2_session_resume */
#define H2_WANT_BLOCKED (-2) /* no room behind us: ends this h2_session_send */
#define H2_WANT_RESET (-3)   /* it cannot go on: reset it with INTERNAL_ERROR */
/* What follows the bytes of a DATA frame. */
enum h2_after {
    H2_AFTER_MORE,
    H2_AFTER_END,      /* they are the last: END_STREAM */
    H2_AFTER_TRAILERS, /* h2_session_trail, by `send` */
    H2_AFTER_CUT       /* RST_STREAM(CANCEL) */
};

/* `owner` is what h2_session_own set, or NULL. Callbacks that return int: not 0 ends
 * h2_session_feed
 * at once. A callback may call everything but h2_session_feed, _send and _free. */
struct h2_session_ops {
    /* A frame of any type begins; NULL: no interest. */
    int (*frame)(void *user, const struct h2_frame *frame);
    /* A header block of a request, or of a response to an owner: its fields, then its end. Fields
     * are
     * checked (RFC 9113 8.2, 8.3) and borrowed. head_end is left out when the block is malformed.
     * status: 0 for a request. Trailers are checked and dropped. */
    int (*head)(void *user, uint32_t id, void *owner);
    int (*field)(void *user, struct str name, struct str value);
    int (*head_end)(void *user, uint32_t id, void *owner, uint16_t status, bool end);
    /* DATA for a stream that is open; end: nothing follows it, and content-length was kept. */
    int (*data)(void *user, uint32_t id, void *owner, struct str bytes);
    int (*end)(void *user, uint32_t id, void *owner);
    /* The stream is gone: it ended on both sides (H2_NO_ERROR) or was reset by either. */
    int (*closed)(void *user, uint32_t id, void *owner, uint32_t code);
    int (*settings)(void *user); /* the peer's apply now; may be NULL, as goaway */
    int (*goaway)(void *user);
    /* h2_session_send: take up to `count` bytes; returns how many. */
    size_t (*put)(void *user, const char *bytes, size_t count);
    /* h2_session_send: how many bytes of DATA the owner has now, `max` at most, or H2_WANT_*;
     * `send` follows at once. *ret_after is H2_AFTER_MORE. max 0: the peer's window is used up, and
     * only what ends the stream can be sent; 0 and H2_AFTER_MORE wait for the window. */
    int (*want)(void *user, uint32_t id, void *owner, size_t max, enum h2_after *ret_after);
    /* A DATA frame: head[9], then `count` bytes that `want` promised. 0 or an error code. */
    int (*send)(void *user, uint32_t id, void *owner, const char *head, size_t count,
                enum h2_after after);
    /* RST_STREAM(code) was made for a stream that is still known, or never was. May be NULL. */
    void (*reset_sent)(void *user, uint32_t id, void *owner, uint32_t code);
};

struct h2_session_conf {
    const struct h2_session_ops *ops; /* borrowed */
    void *user;
    bool client;
    uint32_t streams_max;       /* that the peer may open */
    uint32_t stream_window;     /* bytes that it may send before h2_session_consume */
    uint32_t conn_window;       /* credited as bytes come */
    uint32_t header_list_bytes; /* told; fields behind the one that passes it are not looked at */
};

/* h2_session_new - with the preface, SETTINGS and a connection window to be sent. 0, -ERR_NOMEM. */
int h2_session_new(const struct h2_session_conf *conf, struct h2_session **ret_session) MUST_USE;
void h2_session_free(struct h2_session **session); /* no callbacks */

/* h2_session_feed - input. 0; or what a callback returned; or -ERR_NOMEM. What breaks the protocol
 * ends in h2_session_terminate, and 0. */
int h2_session_feed(struct h2_session *session, const char *bytes, size_t count) MUST_USE;
/* h2_session_send - frames to `put` and `send` until one of them has no room. 0; -ERR_NOMEM or what
 * `send` returned: the connection is lost. */
int h2_session_send(struct h2_session *session) MUST_USE;
bool h2_session_wants_read(const struct h2_session *session);
bool h2_session_wants_write(const struct h2_session *session);

/* h2_session_terminate - GOAWAY(code); nothing more is read. */
void h2_session_terminate(struct h2_session *session, uint32_t code);
/* h2_session_code - why it was terminated; H2_NO_ERROR: it was not. */
uint32_t h2_session_code(const struct h2_session *session);
/* h2_session_leave - the peer is told to begin no more streams; those it had begun by the time it
 * hears so are served. h2_session_drain follows by itself when it has (RFC 9113 6.8). */
void h2_session_leave(struct h2_session *session);
/* h2_session_drain - GOAWAY(NO_ERROR): streams that begin later are ignored. Once. */
void h2_session_drain(struct h2_session *session);
/* h2_session_reset - RST_STREAM(code); `closed` follows from h2_session_send. */
void h2_session_reset(struct h2_session *session, uint32_t id, uint32_t code);
/* h2_session_own / owner / open - of a stream that is not closed yet; otherwise nothing, NULL,
 * false. */
void h2_session_own(struct h2_session *session, uint32_t id, void *owner);
void *h2_session_owner(const struct h2_session *session, uint32_t id);
bool h2_session_open(const struct h2_session *session, uint32_t id);
/* h2_session_consume - `count` bytes of DATA are no longer held: the peer may send as many. */
void h2_session_consume(struct h2_session *session, uint32_t id, size_t count);
/* h2_session_resume - after H2_WANT_LATER. */
void h2_session_resume(struct h2_session *session, uint32_t id);
/* h2_session_head_open - a header block is coming in that is not complete. */
bool h2_session_head_open(const struct h2_session *session);
/* h2_session_streams_max - how many streams the peer lets us have at a time. */
uint32_t h2_session_streams_max(const struct h2_session *session);

/* Heads out: h2_session_head, h2_session_field (lower case names, pseudo fields first), then one
 * of the
 * three. The bytes are made at once. */
/* h2_session_head - false: the stream `id` is not there to be answered; 0, a new one: there can be
 * none (GOAWAY, or out of ids). */
bool h2_session_head(struct h2_session *session, uint32_t id) MUST_USE;
void h2_session_field(struct h2_session *session, struct str name, struct str value);
/* h2_session_respond - last: not an interim response; `want` is asked from now on. 0, -ERR_NOMEM.
 * */
int h2_session_respond(struct h2_session *session, uint32_t id, bool last) MUST_USE;
/* h2_session_trail - trailers, which end the stream. 0, -ERR_NOMEM. */
int h2_session_trail(struct h2_session *session, uint32_t id) MUST_USE;
/* h2_session_queued - bytes that `put` will get next. */
size_t h2_session_queued(const struct h2_session *session);
/* h2_session_request - a new stream of `owner`; body: `want` is asked. bodiless: the response has
 * no
 * body whatever its content-length says (HEAD). 0 or -ERR_NOMEM: nothing can be sent any more. */
int h2_session_request(struct h2_session *session, void *owner, bool body, bool bodiless,
                       uint32_t *ret_id) MUST_USE;

#endif
