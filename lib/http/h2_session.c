/* SPDX-License-Identifier: MIT
 * h2_session.c - the life of an HTTP/2 session and its streams, and everything that is sent.
 * Floor: lib/http; its loop's thread.
 * Owns: sessions and streams.
 * Invariant: heads and control frames are bytes in `out` in the order in which they were made, so
 *            both HPACK tables see one order; DATA is asked for when it can be sent.
 *            server_h2_test.c, client_h2_test.c. */
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/base/piece.h"
#include "lib/http/h2_session_int.h"

#define OUT_BYTES_MAX (4u << 20)
#define OUT_KEPT_BYTES 2048u
#define STREAMS_BEFORE_SETTINGS 100u /* what RFC 9113 6.5.2 recommends as the least */
#define BLOCK_BYTES_MAX (256u * 1024u)

enum setting {
    SETTING_ENABLE_PUSH = 2,
    SETTING_STREAMS = 3,
    SETTING_WINDOW = 4,
    SETTING_HEADER_LIST = 6
};

const char *
h2_code_text(uint32_t code)
{
    static const char *const texts[H2_CODE_COUNT] = {
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    };
    return code < H2_CODE_COUNT ? texts[code] : "unknown error";
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void
frame_head(char *at, size_t count, uint8_t type, uint8_t flags, uint32_t id)
{
    const uint8_t head[H2_FRAME_HEAD_BYTES] = {
        (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count,     type,        flags,
        (uint8_t)(id >> 24),    (uint8_t)(id >> 16),   (uint8_t)(id >> 8), (uint8_t)id,
    };
    memcpy(at, head, sizeof head);
}

void
session_put_frame(struct h2_session *session, uint8_t type, uint8_t flags, uint32_t id,
                  const void *payload, size_t count)
{
    char head[H2_FRAME_HEAD_BYTES];
    frame_head(head, count, type, flags, id);
    buf_put(&session->out, head, sizeof head);
    if (count > 0)
        buf_put(&session->out, payload, count);
}

void
session_put_u32(struct h2_session *session, uint8_t type, uint32_t id, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};
    session_put_frame(session, type, 0, id, bytes, sizeof bytes);
}

static void
put_goaway(struct h2_session *session, uint32_t last_id, uint32_t code)
{
    const uint8_t bytes[8] = {(uint8_t)(last_id >> 24), (uint8_t)(last_id >> 16),
                              (uint8_t)(last_id >> 8),  (uint8_t)last_id,
                              (uint8_t)(code >> 24),    (uint8_t)(code >> 16),
                              (uint8_t)(code >> 8),     (uint8_t)code};
    session_put_frame(session, H2_FRAME_GOAWAY, 0, 0, bytes, sizeof bytes);
}

static COLD void
put_start(struct h2_session *session, const struct h2_session_conf *conf)
{
    const struct {
        uint8_t id;
        uint32_t value;
    } settings[] = {
        {SETTING_STREAMS, conf->streams_max},
        {SETTING_WINDOW, conf->stream_window},
        {SETTING_HEADER_LIST, conf->header_list_bytes},
        {SETTING_ENABLE_PUSH, 0}, /* the client's */
    };
    size_t count = ARRAY_LEN(settings) - (conf->client ? 0 : 1);
    uint8_t bytes[ARRAY_LEN(settings) * 6];
    for (size_t i = 0; i < count; i++) {
        uint32_t value = settings[i].value;
        uint8_t *at = bytes + i * 6;
        at[0] = 0;
        at[1] = settings[i].id;
        for (unsigned k = 0; k < 4; k++)
            at[2 + k] = (uint8_t)(value >> (24 - 8 * k));
    }
    if (conf->client)
        buf_put_str(&session->out, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    session_put_frame(session, H2_FRAME_SETTINGS, 0, 0, bytes, count * 6);
    if (conf->conn_window > H2_WINDOW_START)
        session_put_u32(session, H2_FRAME_WINDOW_UPDATE, 0, conf->conn_window - H2_WINDOW_START);
}

/* ---- life ------------------------------------------------------------------------------------ */

int
h2_session_new(const struct h2_session_conf *conf, struct h2_session **ret_session)
{
    struct h2_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return -ERR_NOMEM;
    session->ops = conf->ops;
    session->user = conf->user;
    session->client = conf->client;
    session->streams_max = conf->streams_max;
    session->window = conf->stream_window;
    session->list_bytes_max = conf->header_list_bytes;
    session->window_limit = MAX(conf->stream_window, H2_WINDOW_START);
    session->conn_window = MAX(conf->conn_window, H2_WINDOW_START);
    session->send_window = H2_WINDOW_START;
    session->stream_window = H2_WINDOW_START;
    session->their_streams_max = STREAMS_BEFORE_SETTINGS;
    session->goaway_id = H2_ID_MASK;
    session->next_id = 1;
    session->preface_left = conf->client ? 0 : 24;
    list_init(&session->ready);
    list_init(&session->resets);
    buf_init(&session->out, OUT_BYTES_MAX);
    buf_init(&session->payload, H2_FRAME_BYTES_MAX);
    buf_init(&session->block, BLOCK_BYTES_MAX);
    hpack_decoder_init(&session->decoder);
    hpack_encoder_init(&session->encoder);
    put_start(session, conf);
    if (session->out.failed) {
        h2_session_free(&session);
        return -ERR_NOMEM;
    }
    *ret_session = session;
    return 0;
}

void
h2_session_free(struct h2_session **session)
{
    struct h2_session *gone = TAKE(*session);
    if (gone == NULL)
        return;
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        while (gone->buckets[i] != NULL) {
            struct h2_stream *stream = gone->buckets[i];
            gone->buckets[i] = stream->next;
            piece_free(stream);
        }
    }
    buf_fini(&gone->out);
    buf_fini(&gone->payload);
    buf_fini(&gone->block);
    hpack_decoder_fini(&gone->decoder);
    hpack_encoder_fini(&gone->encoder);
    free(gone);
}

struct h2_stream *
session_stream_new(struct h2_session *session, uint32_t id)
{
    struct h2_stream *stream = piece_alloc(sizeof *stream);
    if (stream == NULL)
        return NULL;
    struct h2_stream **bucket = &session->buckets[(id >> 1) % H2_BUCKETS];
    *stream = (struct h2_stream){.next = *bucket,
                                 .id = id,
                                 .length_left = H2_LENGTH_NONE,
                                 .send_window = session->stream_window};
    list_init(&stream->node);
    *bucket = stream;
    session->stream_count++;
    return stream;
}

int
session_close(struct h2_session *session, struct h2_stream *stream, uint32_t code)
{
    struct h2_stream **link = &session->buckets[(stream->id >> 1) % H2_BUCKETS];
    uint32_t id = stream->id;
    void *owner = stream->owner;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    list_remove(&stream->node);
    ASSERT(session->stream_count > 0);
    session->stream_count--;
    session->gone[session->gone_at].id = id;
    session->gone[session->gone_at].ours = stream->resetting;
    session->gone_at = (session->gone_at + 1) % H2_GONE;
    if (session->block_stream == stream)
        session->block_stream = NULL;
    piece_free(stream);
    return owner != NULL ? session->ops->closed(session->user, id, owner, code) : 0;
}

void
session_reset(struct h2_session *session, struct h2_stream *stream, uint32_t code)
{
    if (stream->resetting)
        return;
    list_remove(&stream->node);
    stream->resetting = true;
    stream->reset_code = code;
    list_push_back(&session->resets, &stream->node);
}

void
h2_session_reset(struct h2_session *session, uint32_t id, uint32_t code)
{
    struct h2_stream *stream = session_find(session, id);
    if (stream != NULL)
        session_reset(session, stream, code);
}

void
h2_session_terminate(struct h2_session *session, uint32_t code)
{
    if (session->terminated)
        return;
    session->terminated = true;
    session->code = code;
    session->goaway_sent = true;
    put_goaway(session, session->taken_id, code);
}

uint32_t
h2_session_code(const struct h2_session *session)
{
    return session->code;
}

void
h2_session_leave(struct h2_session *session)
{
    if (session->leaving || session->goaway_sent)
        return;
    session->leaving = true;
    put_goaway(session, H2_ID_MASK, H2_NO_ERROR);
    session_put_frame(session, H2_FRAME_PING, 0, 0, session_leave_ping, sizeof session_leave_ping);
}

void
h2_session_drain(struct h2_session *session)
{
    if (session->goaway_sent)
        return;
    session->goaway_sent = true;
    put_goaway(session, session->taken_id, H2_NO_ERROR);
}

void
h2_session_own(struct h2_session *session, uint32_t id, void *owner)
{
    struct h2_stream *stream = session_find(session, id);
    if (stream != NULL)
        stream->owner = owner;
}

void *
h2_session_owner(const struct h2_session *session, uint32_t id)
{
    const struct h2_stream *stream = session_find(session, id);
    return stream != NULL ? stream->owner : NULL;
}

bool
h2_session_open(const struct h2_session *session, uint32_t id)
{
    return session_find(session, id) != NULL;
}

bool
h2_session_head_open(const struct h2_session *session)
{
    bool coming = session->head_len == H2_FRAME_HEAD_BYTES && session->left > 0;
    return session->block_id != 0 || (coming && session->frame.type == H2_FRAME_HEADERS);
}

uint32_t
h2_session_streams_max(const struct h2_session *session)
{
    return session->their_streams_max;
}

void
h2_session_consume(struct h2_session *session, uint32_t id, size_t count)
{
    struct h2_stream *stream = session_find(session, id);
    if (stream == NULL || stream->remote_end || stream->resetting)
        return;
    stream->consumed += (uint32_t)count;
    ASSERT(stream->consumed <= stream->held);
    if (stream->consumed < session->window / 2)
        return;
    session_put_u32(session, H2_FRAME_WINDOW_UPDATE, id, stream->consumed);
    stream->held -= stream->consumed;
    stream->consumed = 0;
}

/* ---- heads out ------------------------------------------------------------------------------- */

static void
put_reset(struct h2_session *session, struct h2_stream *stream)
{
    if (!stream->reset_put)
        session_put_u32(session, H2_FRAME_RST_STREAM, stream->id, stream->reset_code);
    stream->reset_put = true;
}

/* Before the head of a new stream, which may take the place of one of them. */
static void
put_resets(struct h2_session *session)
{
    LIST_FOREACH (node, &session->resets) {
        put_reset(session, LIST_ENTRY(node, struct h2_stream, node));
    }
}

bool
h2_session_head(struct h2_session *session, uint32_t id)
{
    const struct h2_stream *stream = id != 0 ? session_find(session, id) : NULL;
    if (session->terminated || (id != 0 && (stream == NULL || stream->resetting)))
        return false;
    if (id == 0 && (session->next_id > H2_ID_MASK || session->goaway_seen))
        return false;
    if (id == 0)
        put_resets(session);
    session->head_at = session->out.len;
    char room[H2_FRAME_HEAD_BYTES] = {0};
    buf_put(&session->out, room, sizeof room);
    hpack_begin(&session->encoder, &session->out);
    return true;
}

void
h2_session_field(struct h2_session *session, struct str name, struct str value)
{
    hpack_put(&session->encoder, &session->out, name, value);
}

/* A block that one frame does not hold. */
static COLD void
split_head(struct h2_session *session, uint32_t id, uint8_t flags, size_t count)
{
    struct buf rest;
    buf_init(&rest, OUT_BYTES_MAX);
    size_t first = session->head_at + H2_FRAME_HEAD_BYTES + H2_FRAME_BYTES_MAX;
    buf_put(&rest, session->out.ptr + first, count - H2_FRAME_BYTES_MAX);
    frame_head(session->out.ptr + session->head_at, H2_FRAME_BYTES_MAX, H2_FRAME_HEADERS, flags,
               id);
    session->out.len = first;
    for (size_t at = 0; at < rest.len;) {
        size_t part = MIN(rest.len - at, (size_t)H2_FRAME_BYTES_MAX);
        bool last = at + part == rest.len;
        session_put_frame(session, H2_FRAME_CONTINUATION, last ? H2_FLAG_END_HEADERS : 0, id,
                          rest.ptr + at, part);
        at += part;
    }
    session->out.failed |= rest.failed;
    buf_fini(&rest);
}

static int
end_head(struct h2_session *session, uint32_t id, bool end)
{
    if (session->out.failed) { /* the encoder's table is ahead of the peer's */
        session->broken = true;
        return -ERR_NOMEM;
    }
    size_t count = session->out.len - session->head_at - H2_FRAME_HEAD_BYTES;
    uint8_t flags = end ? H2_FLAG_END_STREAM : 0;
    if (UNLIKELY(count > H2_FRAME_BYTES_MAX))
        split_head(session, id, flags, count);
    else
        frame_head(session->out.ptr + session->head_at, count, H2_FRAME_HEADERS,
                   flags | H2_FLAG_END_HEADERS, id);
    return session->out.failed ? -ERR_NOMEM : 0;
}

int
h2_session_respond(struct h2_session *session, uint32_t id, bool last)
{
    int rc = end_head(session, id, false);
    struct h2_stream *stream = session_find(session, id);
    if (rc != 0 || !last || stream == NULL)
        return rc;
    stream->sending = true;
    session_ready(session, stream);
    return 0;
}

int
h2_session_trail(struct h2_session *session, uint32_t id)
{
    struct h2_stream *stream = session_find(session, id);
    ASSERT(stream != NULL && !stream->local_end);
    stream->local_end = true;
    stream->sending = false;
    return end_head(session, id, true);
}

size_t
h2_session_queued(const struct h2_session *session)
{
    return session->out.len - session->out_at;
}

int
h2_session_request(struct h2_session *session, void *owner, bool body, bool bodiless,
                   uint32_t *ret_id)
{
    int rc = end_head(session, session->next_id, !body);
    if (rc != 0)
        return rc;
    struct h2_stream *stream = session_stream_new(session, session->next_id);
    if (stream == NULL) {
        session->broken = true;
        return -ERR_NOMEM;
    }
    session->next_id += 2;
    stream->owner = owner;
    stream->bodiless = bodiless;
    stream->local_end = !body;
    stream->sending = body;
    if (body)
        session_ready(session, stream);
    *ret_id = stream->id;
    return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

void
session_ready(struct h2_session *session, struct h2_stream *stream)
{
    if (stream->sending && !stream->deferred && !stream->stalled && !stream->resetting &&
        list_empty(&stream->node))
        list_push_back(&session->ready, &stream->node);
}

void
h2_session_resume(struct h2_session *session, uint32_t id)
{
    struct h2_stream *stream = session_find(session, id);
    if (stream == NULL)
        return;
    stream->deferred = false;
    session_ready(session, stream);
}

/* false: there is no room for more. */
static bool
send_out(struct h2_session *session)
{
    struct buf *out = &session->out;
    if (session->out_at == out->len)
        return true;
    session->out_at +=
        session->ops->put(session->user, out->ptr + session->out_at, out->len - session->out_at);
    if (session->out_at < out->len)
        return false;
    session->out_at = 0;
    out->len = 0;
    if (out->cap > OUT_KEPT_BYTES)
        buf_fini(out);
    return true;
}

static void
send_resets(struct h2_session *session)
{
    while (!list_empty(&session->resets)) {
        struct h2_stream *stream = LIST_ENTRY(session->resets.next, struct h2_stream, node);
        uint32_t code = stream->reset_code;
        put_reset(session, stream);
        if (session->ops->reset_sent != NULL)
            session->ops->reset_sent(session->user, stream->id, stream->owner, code);
        (void)session_close(session, stream, code);
    }
}

/* One DATA frame of the first stream. 1: nothing can be sent now. */
static int
send_data(struct h2_session *session)
{
    struct h2_stream *stream = LIST_ENTRY(session->ready.next, struct h2_stream, node);
    const struct h2_session_ops *ops = session->ops;
    enum h2_after after = H2_AFTER_MORE;
    list_remove(&stream->node);
    size_t max = stream->send_window > 0 ? (size_t)stream->send_window : 0;
    max = MIN(max, (size_t)session->send_window);
    max = MIN(max, (size_t)H2_FRAME_BYTES_MAX);
    int count = ops->want(session->user, stream->id, stream->owner, max, &after);
    if (count < 0) {
        stream->deferred = count == H2_WANT_LATER;
        if (count == H2_WANT_RESET)
            session_reset(session, stream, H2_INTERNAL_ERROR);
        else if (count == H2_WANT_BLOCKED)
            list_push_front(&session->ready, &stream->node);
        return count == H2_WANT_BLOCKED ? 1 : 0;
    }
    ASSERT((size_t)count <= max);
    if (max == 0 && after == H2_AFTER_MORE) {
        stream->stalled = true;
        return 0;
    }
    char head[H2_FRAME_HEAD_BYTES];
    bool end = after == H2_AFTER_END;
    frame_head(head, (size_t)count, H2_FRAME_DATA, end ? H2_FLAG_END_STREAM : 0, stream->id);
    stream->send_window -= count;
    session->send_window -= count;
    stream->local_end = end;
    stream->sending = after == H2_AFTER_MORE;
    int rc = ops->send(session->user, stream->id, stream->owner, head, (size_t)count, after);
    if (rc != 0)
        return rc;
    if (after == H2_AFTER_CUT)
        session_reset(session, stream, H2_CANCEL);
    else if (stream->local_end && stream->remote_end && !stream->resetting)
        (void)session_close(session, stream, H2_NO_ERROR);
    else
        session_ready(session, stream);
    return 0;
}

int
h2_session_send(struct h2_session *session)
{
    for (;;) {
        if (UNLIKELY(session->broken || session->out.failed))
            return -ERR_NOMEM;
        send_resets(session);
        if (!send_out(session))
            return 0;
        if (!list_empty(&session->resets) || session->out.len > 0)
            continue; /* a callback added to them */
        if (list_empty(&session->ready) || session->send_window <= 0 || session->terminated)
            return 0;
        int rc = send_data(session);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
}

bool
h2_session_wants_read(const struct h2_session *session)
{
    if (session->terminated || session->broken)
        return false;
    return session->stream_count > 0 || (!session->goaway_sent && !session->goaway_seen);
}

bool
h2_session_wants_write(const struct h2_session *session)
{
    if (session->out.len > 0 || session->broken || session->out.failed)
        return true;
    if (session->terminated)
        return false;
    return !list_empty(&session->resets) ||
           (!list_empty(&session->ready) && session->send_window > 0);
}
