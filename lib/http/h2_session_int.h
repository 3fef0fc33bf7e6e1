/* SPDX-License-Identifier: MIT
 * h2_session_int.h - a session's layout: h2_session.c has streams and what is sent, h2_session_in.c
 * frames that come, h2_session_head.c header blocks that come.
 * Floor: lib/http, private; its loop's thread.
 * Owns: the layout.
 * Invariant: a stream is on `ready` or `resets` only while it is in `buckets`. */
#ifndef BERTH_LIB_HTTP_H2_SESSION_INT_H
#define BERTH_LIB_HTTP_H2_SESSION_INT_H

#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "lib/http/h2_session.h"
#include "lib/http/hpack.h"

#define H2_BUCKETS 64u
#define H2_GONE 64u /* closed streams that are remembered */
#define H2_WINDOW_START 65535u
#define H2_WINDOW_MAX 0x7fffffff
#define H2_ID_MASK 0x7fffffffu
#define H2_LENGTH_NONE UINT64_MAX

/* The payload of the PING whose answer tells that our first GOAWAY was read. */
static const char session_leave_ping[8] = {'l', 'e', 'a', 'v', 'i', 'n', 'g', '.'};

struct h2_stream {
    struct h2_stream *next; /* in its bucket */
    struct list node;       /* session: ready or resets; or nowhere */
    void *owner;
    uint64_t length_left; /* of content-length, or H2_LENGTH_NONE */
    uint32_t id;
    int32_t send_window;
    uint32_t held;     /* bytes of our window that are used */
    uint32_t consumed; /* of them, to be credited */
    uint32_t reset_code;
    bool local_end;
    bool remote_end;
    bool sending;   /* has a head out and its `want` may be asked */
    bool deferred;  /* H2_WANT_LATER */
    bool stalled;   /* its window is used up */
    bool resetting; /* on `resets`: frames for it are ignored */
    bool reset_put; /* its RST_STREAM is in `out` */
    bool head_seen; /* the last head; what comes now are trailers */
    bool bodiless;
};

enum h2_block_kind { H2_BLOCK_IGNORED, H2_BLOCK_HEAD, H2_BLOCK_TRAILERS };

struct h2_session {
    const struct h2_session_ops *ops;
    void *user;
    struct h2_stream *buckets[H2_BUCKETS];
    struct list ready;  /* may have DATA */
    struct list resets; /* wait for their RST_STREAM */
    struct buf out;     /* frames; the first out_at bytes are taken */
    size_t out_at;
    size_t head_at; /* where the block that is being written begins */
    uint32_t stream_count;
    uint32_t streams_max;
    uint32_t next_id;      /* of ours */
    uint32_t last_id;      /* of the peer's */
    uint32_t taken_id;     /* the last of them that was looked at */
    uint32_t goaway_id;    /* the peer's GOAWAY: streams beyond are not processed */
    int64_t send_window;   /* of the connection */
    int32_t stream_window; /* theirs, for new streams */
    uint32_t their_streams_max;
    uint32_t window; /* ours, of a stream */
    uint32_t window_limit;
    uint32_t conn_window;
    uint32_t conn_held; /* to be credited */
    bool client;
    bool broken; /* no memory: see h2_session_send */
    bool terminated;
    uint32_t code;    /* why */
    bool goaway_sent; /* with the last id that we take */
    bool leaving;     /* h2_session_leave */
    bool goaway_seen;
    bool settings_seen;
    bool settings_acked; /* the peer knows ours */
    /* ---- the frame that is coming in ---- */
    struct h2_frame frame;
    uint8_t head[H2_FRAME_HEAD_BYTES];
    uint32_t head_len; /* of it that came; full: the payload comes */
    uint32_t left;     /* of the payload */
    uint32_t pad_left;
    bool pad_known;
    bool ignored;          /* DATA that only counts */
    uint32_t preface_left; /* of the client's */
    struct buf payload;    /* of a frame that came in pieces */
    struct buf block;      /* of a header block over several frames */
    uint32_t block_id;     /* CONTINUATION must follow; 0: none */
    bool block_end;        /* END_STREAM was on its HEADERS */
    uint32_t continuations;
    /* ---- the block that is being decoded ---- */
    struct h2_stream *block_stream;
    enum h2_block_kind block_kind;
    bool malformed;
    bool regular_seen;
    bool length_seen;
    uint16_t status;
    uint32_t pseudo_seen;
    size_t list_bytes; /* of it so far, RFC 9113 10.5.1 */
    size_t list_bytes_max;
    struct hpack_decoder decoder;
    struct hpack_encoder encoder;
    struct {
        uint32_t id;
        bool ours; /* we reset it: its frames may be under way */
    } gone[H2_GONE];
    uint32_t gone_at;
};

static inline struct h2_stream *
session_find(const struct h2_session *session, uint32_t id)
{
    struct h2_stream *stream = session->buckets[(id >> 1) % H2_BUCKETS];
    while (stream != NULL && stream->id != id)
        stream = stream->next;
    return stream;
}

static inline uint32_t
session_u32(const char *bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- h2_session.c ---- */
struct h2_stream *session_stream_new(struct h2_session *session, uint32_t id) MUST_USE;
/* session_close - forget the stream; `closed`'s result. */
int session_close(struct h2_session *session, struct h2_stream *stream, uint32_t code);
void session_reset(struct h2_session *session, struct h2_stream *stream, uint32_t code);
void session_put_frame(struct h2_session *session, uint8_t type, uint8_t flags, uint32_t id,
                       const void *payload, size_t count);
void session_put_u32(struct h2_session *session, uint8_t type, uint32_t id, uint32_t value);
void session_ready(struct h2_session *session, struct h2_stream *stream);
/* ---- h2_session_head.c ---- */
/* session_head - a whole header block for `id`: 0, a callback's result, or -ERR_NOMEM. */
int session_head(struct h2_session *session, uint32_t id, bool end, struct str block) MUST_USE;

/* session_end - END_STREAM came: `end`, unless head_end told, and closed if we have ended, too. */
int session_end(struct h2_session *session, struct h2_stream *stream, bool told) MUST_USE;

#endif
