/* SPDX-License-Identifier: MIT
 * h2_session_in.c - frames that come, and what RFC 9113 says about each.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing.
 * Invariant: DATA is passed on as it comes; any other frame is looked at when it is complete, 16
 *            KiB at most; what breaks the protocol ends the session before the next frame. h2spec,
 *            server_h2_test.c, server_abuse_test.c, h2_session_fuzz.c, h2_session_same_fuzz.c. */
#include "lib/base/check.h"
#include "lib/base/err.h"
#include "lib/http/h2_session_int.h"

#define SETTINGS_MAX 32u
#define CONTINUATIONS_MAX 8u /* four hold the 64 KiB that a head may have */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static COLD int
broken(struct h2_session *session, uint32_t code)
{
    h2_session_terminate(session, code);
    return 0;
}

/* Neither side opened it yet. */
static bool
is_idle(const struct h2_session *session, uint32_t id)
{
    if ((id & 1u) == 0)
        return true;
    return session->client ? id >= session->next_id : id > session->last_id;
}

/* A stream that is closed: did we reset it, so that frames of it may be under way? *ret_known: we
 * remember it. */
static COLD bool
was_reset(const struct h2_session *session, uint32_t id, bool *ret_known)
{
    *ret_known = false;
    for (size_t i = 0; i < H2_GONE; i++) {
        if (session->gone[i].id != id)
            continue;
        *ret_known = true;
        return session->gone[i].ours;
    }
    return false;
}

/* ---- frames begin ---------------------------------------------------------------------------- */

static int
headers_begin(struct h2_session *session)
{
    uint32_t id = session->frame.id;
    bool known;
    const struct h2_stream *stream = session_find(session, id);
    if (stream != NULL) {
        if (stream->remote_end && !stream->resetting)
            return broken(session, H2_STREAM_CLOSED);
        return 0;
    }
    if (!is_idle(session, id)) {
        /* RFC 9113 5.1.1: an id that was skipped is closed, too; 6.8: what came after our GOAWAY is
         * ignored. */
        bool late = session->goaway_sent && id > session->taken_id;
        if (!session->client && !late && !was_reset(session, id, &known))
            return broken(session, known ? H2_STREAM_CLOSED : H2_PROTOCOL_ERROR);
        return 0;
    }
    if (session->client || (id & 1u) == 0)
        return broken(session, H2_PROTOCOL_ERROR);
    session->last_id = id;
    return 0;
}

static int
data_begin(struct h2_session *session)
{
    const struct h2_frame *frame = &session->frame;
    struct h2_stream *stream = session_find(session, frame->id);
    bool known;
    session->pad_known = (frame->flags & H2_FLAG_PADDED) == 0;
    session->pad_left = 0;
    session->ignored = stream == NULL || stream->resetting;
    if (!session->pad_known && frame->length == 0)
        return broken(session, H2_FRAME_SIZE_ERROR);
    if (session->conn_held + frame->length > session->conn_window)
        return broken(session, H2_FLOW_CONTROL_ERROR);
    session->conn_held += frame->length;
    if (stream == NULL) {
        if (is_idle(session, frame->id))
            return broken(session, H2_PROTOCOL_ERROR);
        if (!was_reset(session, frame->id, &known) && known)
            return broken(session, H2_STREAM_CLOSED);
        return 0;
    }
    if (session->ignored)
        return 0;
    if (stream->remote_end)
        return broken(session, H2_STREAM_CLOSED);
    session->ignored = true;
    if (!stream->head_seen)
        session_reset(session, stream, H2_PROTOCOL_ERROR);
    else if (stream->held + frame->length > session->window_limit)
        session_reset(session, stream, H2_FLOW_CONTROL_ERROR);
    else
        session->ignored = false;
    stream->held += frame->length;
    return 0;
}

/* What can be said without the payload. RFC 9113 section 6. */
static int
frame_begin(struct h2_session *session)
{
    struct h2_frame *frame = &session->frame;
    const uint8_t *head = session->head;
    *frame = (struct h2_frame){.length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
                               .type = head[3],
                               .flags = head[4],
                               .id = session_u32((const char *)head + 5) & H2_ID_MASK};
    session->left = frame->length;
    bool ack = (frame->flags & H2_FLAG_ACK) != 0;
    bool expected = session->block_id != 0;
    if (expected != (frame->type == H2_FRAME_CONTINUATION) ||
        (expected && frame->id != session->block_id))
        return broken(session, H2_PROTOCOL_ERROR);
    if (UNLIKELY(!session->settings_seen) && (frame->type != H2_FRAME_SETTINGS || ack))
        return broken(session, H2_PROTOCOL_ERROR);
    if (frame->length > H2_FRAME_BYTES_MAX)
        return broken(session, H2_FRAME_SIZE_ERROR);
    if (session->ops->frame != NULL) {
        int rc = session->ops->frame(session->user, frame);
        if (rc != 0)
            return rc;
    }
    static const struct {
        int8_t stream;  /* 1: of a stream; 0: of the connection; -1: either */
        uint8_t length; /* 0: any */
    } rules[] = {
        [H2_FRAME_DATA] = {1, 0},           [H2_FRAME_HEADERS] = {1, 0},
        [H2_FRAME_PRIORITY] = {1, 5},       [H2_FRAME_RST_STREAM] = {1, 4},
        [H2_FRAME_SETTINGS] = {0, 0},       [H2_FRAME_PUSH_PROMISE] = {1, 0},
        [H2_FRAME_PING] = {0, 8},           [H2_FRAME_GOAWAY] = {0, 0},
        [H2_FRAME_WINDOW_UPDATE] = {-1, 4}, [H2_FRAME_CONTINUATION] = {1, 0},
    };
    if (frame->type >= ARRAY_LEN(rules))
        return 0;
    if (rules[frame->type].stream >= 0 && (frame->id != 0) != rules[frame->type].stream)
        return broken(session, H2_PROTOCOL_ERROR);
    if (rules[frame->type].length != 0 && frame->length != rules[frame->type].length)
        return broken(session, H2_FRAME_SIZE_ERROR);
    if (frame->type == H2_FRAME_DATA)
        return data_begin(session);
    if (frame->type == H2_FRAME_HEADERS)
        return headers_begin(session);
    return 0;
}

/* ---- DATA ------------------------------------------------------------------------------------ */

static int
data_end(struct h2_session *session)
{
    const struct h2_frame *frame = &session->frame;
    struct h2_stream *stream = session->ignored ? NULL : session_find(session, frame->id);
    if (session->conn_held >= session->conn_window / 2) {
        session_put_u32(session, H2_FRAME_WINDOW_UPDATE, 0, session->conn_held);
        session->conn_held = 0;
    }
    if (stream == NULL || stream->resetting || (frame->flags & H2_FLAG_END_STREAM) == 0)
        return 0;
    return session_end(session, stream, false);
}

/* The bytes of DATA that came now; padding is at its end. */
static int
data_bytes(struct h2_session *session, struct str bytes)
{
    const struct h2_frame *frame = &session->frame;
    if (!session->pad_known && bytes.len > 0) {
        uint8_t padding = (uint8_t)bytes.ptr[0];
        session->pad_known = true;
        session->pad_left = padding;
        session->left--;
        bytes = str_make(bytes.ptr + 1, bytes.len - 1);
        if (padding > session->left)
            return broken(session, H2_PROTOCOL_ERROR);
        if (!session->ignored) {
            h2_session_consume(session, frame->id, padding + 1u);
            /* Nothing but padding. */
            if (padding == session->left && (frame->flags & H2_FLAG_END_STREAM) == 0) {
                int rc = session->ops->data(session->user, frame->id,
                                            h2_session_owner(session, frame->id), STR_EMPTY);
                if (rc != 0)
                    return rc;
            }
        }
    }
    size_t padded = session->left - MIN(session->left, session->pad_left);
    session->left -= (uint32_t)bytes.len;
    bytes.len = MIN(bytes.len, padded);
    struct h2_stream *stream = session->ignored ? NULL : session_find(session, frame->id);
    if (bytes.len > 0 && stream != NULL && !stream->resetting) {
        if (stream->length_left != H2_LENGTH_NONE) {
            if (bytes.len > stream->length_left) {
                session_reset(session, stream, H2_PROTOCOL_ERROR);
                session->ignored = true;
                return 0;
            }
            stream->length_left -= bytes.len;
        }
        return session->ops->data(session->user, frame->id, stream->owner, bytes);
    }
    return 0;
}

/* ---- the other frames, complete -------------------------------------------------------------- */

/* A header block, or its next part: *block without padding and priority. */
static int
block_part(struct h2_session *session, struct str part, bool end_stream)
{
    uint32_t id = session->frame.id;
    bool whole = (session->frame.flags & H2_FLAG_END_HEADERS) != 0;
    if (LIKELY(whole && session->block_id == 0))
        return session_head(session, id, end_stream, part);
    if (session->block_id == 0) {
        session->block_id = id;
        session->block_end = end_stream;
        session->continuations = 0;
        session->block.len = 0;
    } else if (++session->continuations > CONTINUATIONS_MAX) {
        return broken(session, H2_ENHANCE_YOUR_CALM);
    }
    if (part.len > 0 && buf_put_str(&session->block, part) != 0)
        return broken(session, H2_ENHANCE_YOUR_CALM);
    if (!whole)
        return 0;
    session->block_id = 0;
    int rc = session_head(session, id, session->block_end, buf_str(&session->block));
    buf_fini(&session->block);
    return rc;
}

static int
on_headers(struct h2_session *session, struct str payload)
{
    const struct h2_frame *frame = &session->frame;
    size_t padding = 0;
    if ((frame->flags & H2_FLAG_PADDED) != 0) {
        if (payload.len == 0)
            return broken(session, H2_FRAME_SIZE_ERROR);
        padding = (uint8_t)payload.ptr[0];
        payload = str_make(payload.ptr + 1, payload.len - 1);
    }
    if ((frame->flags & H2_FLAG_PRIORITY) != 0) {
        if (payload.len < 5)
            return broken(session, H2_FRAME_SIZE_ERROR);
        if ((session_u32(payload.ptr) & H2_ID_MASK) == frame->id)
            return broken(session, H2_PROTOCOL_ERROR);
        payload = str_make(payload.ptr + 5, payload.len - 5);
    }
    if (padding > payload.len)
        return broken(session, H2_PROTOCOL_ERROR);
    payload.len -= padding;
    return block_part(session, payload, (frame->flags & H2_FLAG_END_STREAM) != 0);
}

static int
on_reset(struct h2_session *session, struct str payload)
{
    struct h2_stream *stream = session_find(session, session->frame.id);
    if (stream != NULL)
        return session_close(session, stream, session_u32(payload.ptr));
    return is_idle(session, session->frame.id) ? broken(session, H2_PROTOCOL_ERROR) : 0;
}

static void
unstall(struct h2_session *session, struct h2_stream *stream)
{
    if (stream->stalled && stream->send_window > 0) {
        stream->stalled = false;
        session_ready(session, stream);
    }
}

/* RFC 9113 6.9.2: the difference goes to all streams. */
static int
window_setting(struct h2_session *session, uint32_t value)
{
    if (value > H2_WINDOW_MAX)
        return broken(session, H2_FLOW_CONTROL_ERROR);
    int64_t more = (int64_t)value - session->stream_window;
    session->stream_window = (int32_t)value;
    for (size_t i = 0; i < H2_BUCKETS; i++) {
        for (struct h2_stream *stream = session->buckets[i]; stream; stream = stream->next) {
            int64_t window = stream->send_window + more;
            if (window > H2_WINDOW_MAX)
                return broken(session, H2_FLOW_CONTROL_ERROR);
            stream->send_window = (int32_t)window;
            unstall(session, stream);
        }
    }
    return 0;
}

static int
setting(struct h2_session *session, unsigned id, uint32_t value)
{
    switch (id) {
    case 1:
        hpack_encoder_limit(&session->encoder, value);
        return 0;
    case 2: /* a server does not let itself be pushed to */
        return value > 1 || (session->client && value != 0) ? broken(session, H2_PROTOCOL_ERROR)
                                                            : 0;
    case 3:
        session->their_streams_max = value;
        return 0;
    case 4:
        return window_setting(session, value);
    case 5:
        return value < H2_FRAME_BYTES_MAX || value > 0xffffffu ? broken(session, H2_PROTOCOL_ERROR)
                                                               : 0;
    default:
        return 0;
    }
}

static int
on_settings(struct h2_session *session, struct str payload)
{
    if ((session->frame.flags & H2_FLAG_ACK) != 0) {
        if (payload.len != 0)
            return broken(session, H2_FRAME_SIZE_ERROR);
        if (session->settings_acked) /* we sent one */
            return broken(session, H2_PROTOCOL_ERROR);
        session->window_limit = session->window;
        session->settings_acked = true;
        return 0;
    }
    if (payload.len % 6 != 0)
        return broken(session, H2_FRAME_SIZE_ERROR);
    if (payload.len > SETTINGS_MAX * 6u) /* each window walks over all streams */
        return broken(session, H2_ENHANCE_YOUR_CALM);
    if (!session->settings_seen)
        session->their_streams_max = UINT32_MAX;
    session->settings_seen = true;
    for (size_t at = 0; at < payload.len && !session->terminated; at += 6) {
        const uint8_t *bytes = (const uint8_t *)payload.ptr + at;
        (void)setting(session, (unsigned)bytes[0] << 8 | bytes[1],
                      session_u32(payload.ptr + at + 2));
    }
    if (session->terminated)
        return 0;
    session_put_frame(session, H2_FRAME_SETTINGS, H2_FLAG_ACK, 0, NULL, 0);
    return session->ops->settings != NULL ? session->ops->settings(session->user) : 0;
}

/* Our streams that the peer did not look at are closed: they may be sent again. */
static int
on_goaway(struct h2_session *session, struct str payload)
{
    if (payload.len < 8)
        return broken(session, H2_FRAME_SIZE_ERROR);
    uint32_t last = session_u32(payload.ptr) & H2_ID_MASK;
    if (last > session->goaway_id)
        return broken(session, H2_PROTOCOL_ERROR);
    session->goaway_id = last;
    session->goaway_seen = true;
    int rc = session->ops->goaway != NULL ? session->ops->goaway(session->user) : 0;
    for (size_t i = 0; i < H2_BUCKETS && session->client && rc == 0; i++) {
        struct h2_stream *stream = session->buckets[i];
        while (stream != NULL && stream->id <= last)
            stream = stream->next;
        if (stream != NULL) {
            rc = session_close(session, stream, H2_REFUSED_STREAM);
            i--; /* this bucket again */
        }
    }
    return rc;
}

static int
on_window_update(struct h2_session *session, struct str payload)
{
    uint32_t id = session->frame.id;
    uint32_t more = session_u32(payload.ptr) & H2_ID_MASK;
    struct h2_stream *stream = session_find(session, id);
    if (id != 0 && stream == NULL)
        return is_idle(session, id) ? broken(session, H2_PROTOCOL_ERROR) : 0;
    if (more == 0)
        return broken(session, H2_PROTOCOL_ERROR);
    if (id == 0) {
        session->send_window += more;
        return session->send_window > H2_WINDOW_MAX ? broken(session, H2_FLOW_CONTROL_ERROR) : 0;
    }
    int64_t window = (int64_t)stream->send_window + more;
    if (window > H2_WINDOW_MAX) {
        session_reset(session, stream, H2_FLOW_CONTROL_ERROR);
        return 0;
    }
    stream->send_window = (int32_t)window;
    unstall(session, stream);
    return 0;
}

static int
frame_whole(struct h2_session *session, struct str payload)
{
    const struct h2_frame *frame = &session->frame;
    switch (frame->type) {
    case H2_FRAME_HEADERS:
        return on_headers(session, payload);
    case H2_FRAME_CONTINUATION:
        return block_part(session, payload, false);
    case H2_FRAME_PRIORITY:
        if ((session_u32(payload.ptr) & H2_ID_MASK) == frame->id)
            return broken(session, H2_PROTOCOL_ERROR);
        return 0;
    case H2_FRAME_RST_STREAM:
        return on_reset(session, payload);
    case H2_FRAME_SETTINGS:
        return on_settings(session, payload);
    case H2_FRAME_PING:
        if ((frame->flags & H2_FLAG_ACK) == 0)
            session_put_frame(session, H2_FRAME_PING, H2_FLAG_ACK, 0, payload.ptr, payload.len);
        else if (session->leaving &&
                 memcmp(payload.ptr, session_leave_ping, sizeof session_leave_ping) == 0)
            h2_session_drain(session);
        return 0;
    case H2_FRAME_GOAWAY:
        return on_goaway(session, payload);
    case H2_FRAME_WINDOW_UPDATE:
        return on_window_update(session, payload);
    default: /* PUSH_PROMISE: a server gets none, and a client of ours forbids it */
        return broken(session, H2_PROTOCOL_ERROR);
    }
}

/* ---- input ----------------------------------------------------------------------------------- */

/* Part of a payload: how much of `rest` was used is in *ret_used. */
static int
payload_part(struct h2_session *session, struct str rest, size_t *ret_used)
{
    size_t part = MIN((size_t)session->left, rest.len);
    struct str bytes = str_make(rest.ptr, part);
    struct buf *payload = &session->payload;
    int rc = 0;
    *ret_used = part;
    if (session->frame.type == H2_FRAME_DATA) {
        rc = data_bytes(session, bytes);
        if (rc != 0 || session->left > 0 || session->terminated)
            return rc;
        session->head_len = 0;
        return data_end(session);
    }
    session->left -= (uint32_t)part;
    if (session->frame.type > H2_FRAME_CONTINUATION) { /* RFC 9113 5.5: ignored */
        if (session->left == 0)
            session->head_len = 0;
        return 0;
    }
    if (session->left > 0 || payload->len > 0) {
        if (part > 0 && buf_put_str(payload, bytes) != 0)
            return -ERR_NOMEM;
        if (session->left > 0)
            return 0;
        bytes = buf_str(payload);
    }
    session->head_len = 0;
    rc = frame_whole(session, bytes);
    if (payload->len > 0)
        buf_fini(payload);
    return rc;
}

int
h2_session_feed(struct h2_session *session, const char *bytes, size_t count)
{
    struct str rest = str_make(bytes, count);
    int rc = 0;
    while (rc == 0 && rest.len > 0 && !session->terminated) {
        size_t used = 0;
        if (UNLIKELY(session->preface_left > 0)) {
            used = MIN((size_t)session->preface_left, rest.len);
            size_t at = sizeof preface - 1 - session->preface_left;
            if (memcmp(rest.ptr, &preface[at], used) != 0)
                return broken(session, H2_PROTOCOL_ERROR);
            session->preface_left -= (uint32_t)used;
        } else if (session->head_len < H2_FRAME_HEAD_BYTES) {
            used = MIN((size_t)(H2_FRAME_HEAD_BYTES - session->head_len), rest.len);
            memcpy(session->head + session->head_len, rest.ptr, used);
            session->head_len += (uint32_t)used;
            if (session->head_len < H2_FRAME_HEAD_BYTES)
                return 0;
            rc = frame_begin(session);
            if (rc == 0 && session->left == 0 && !session->terminated) {
                size_t none;
                rc = payload_part(session, STR_EMPTY, &none);
            }
        } else {
            rc = payload_part(session, rest, &used);
        }
        rest = str_skip(rest, used);
    }
    return rc;
}
