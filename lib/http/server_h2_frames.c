/* SPDX-License-Identifier: MIT
 * server_h2_frames.c - nghttp2's callbacks: requests in, DATA out, and the count of oddities.
 * Floor: lib/http; its loop's thread.
 * Owns: struct h2_shared.
 * Invariant: every frame that could be had for free by the sender passes h2_abuse_spend before
 *            nghttp2 acts on it; a terminated session gets no more input. server_abuse_test.c. */
#include <stdlib.h>

#include "lib/http/server_h2_int.h"

static struct http_stream *
h2_stream(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

int
h2_spend(struct h2_conn *h2, enum h2_oddity oddity)
{
    if (h2_abuse_spend(&h2->abuse, oddity, loop_now_ms(h2->conn->server->loop)))
        return 0;
    return h2_terminate(h2, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void
h2_drop_fields(struct h2_conn *h2)
{
    h2_fields_put(&h2->conn->server->free_fields, h2->fields);
    h2->fields = NULL;
}

static bool
h2_recently_reset(const struct h2_conn *h2, int32_t id)
{
    for (size_t i = 0; i < H2_RESET_IDS; i++) {
        if (h2->reset_ids[i] == (uint32_t)id)
            return true;
    }
    return false;
}

/* RFC 9113 5.1.1: an id that was skipped is closed, and using it is an error of the connection.
 * nghttp2 1.52 would ignore it (F4). */
static int
h2_check_id(struct h2_conn *h2, int32_t id)
{
    if (id > h2->last_id) {
        if ((id & 1) != 0)
            h2->last_id = id;
        h2_abuse_opened(&h2->abuse);
        return 0;
    }
    if ((id & 1) == 0 || nghttp2_session_find_stream(h2->session, id) != NULL ||
        h2_recently_reset(h2, id))
        return 0;
    return h2_terminate(h2, NGHTTP2_PROTOCOL_ERROR);
}

static int
on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct h2_conn *h2 = user;
    bool ack = (hd->flags & NGHTTP2_FLAG_ACK) != 0;
    if (h2->terminated)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (hd->type != NGHTTP2_CONTINUATION && h2->fields != NULL)
        h2_drop_fields(h2); /* a block that came to nothing */
    switch (hd->type) {
    case NGHTTP2_DATA:
        if (hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0)
            return h2_spend(h2, H2_EMPTY_DATA);
        return 0;
    case NGHTTP2_HEADERS:
        return h2_check_id(h2, hd->stream_id);
    case NGHTTP2_PRIORITY:
        return h2_spend(h2, H2_PRIORITY);
    case NGHTTP2_RST_STREAM:
        return h2_spend(h2,
                        h2_stream(session, hd->stream_id) != NULL ? H2_PEER_RESET : H2_LATE_RESET);
    case NGHTTP2_SETTINGS:
        return ack ? 0 : h2_spend(h2, H2_SETTINGS);
    case NGHTTP2_PING:
        return h2_spend(h2, ack ? H2_UNKNOWN_FRAME : H2_PING);
    case NGHTTP2_WINDOW_UPDATE:
        return h2_spend(h2, H2_WINDOW_UPDATE);
    case NGHTTP2_CONTINUATION:
        return h2_spend(h2, H2_CONTINUATION);
    case NGHTTP2_GOAWAY:
        return h2_spend(h2, H2_UNKNOWN_FRAME);
    default:
        return 0; /* counted by h2_abuse_scan */
    }
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct h2_conn *h2 = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    ASSERT(h2->fields == NULL);
    h2->fields = h2_fields_get(&h2->conn->server->free_fields);
    h2->fields_ms = loop_now_ms(h2->conn->server->loop);
    return h2->fields == NULL ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
          size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    (void)session;
    (void)flags;
    struct h2_conn *h2 = user;
    /* Trailers are checked by nghttp2 and dropped. */
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
        h2->fields != NULL)
        h2_fields_add(h2->fields, str_make((const char *)name, name_len),
                      str_make((const char *)value, value_len));
    return 0;
}

static int
on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                  size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                  void *user)
{
    (void)session, (void)frame, (void)name, (void)name_len;
    (void)value, (void)value_len, (void)flags, (void)user;
    /* Not ignored, as is nghttp2's default: the stream is reset with PROTOCOL_ERROR. */
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int
h2_begin(struct h2_conn *h2, int32_t id, bool has_body)
{
    struct http_conn *conn = h2->conn;
    struct http_head head = {0};
    unsigned status = h2_fields_request(h2->fields, &head);
    if (status == H2_FIELDS_RESET) {
        h2_reset(h2, id, NGHTTP2_PROTOCOL_ERROR);
        return 0;
    }
    /* A slot is busy until closed() was delivered, whatever nghttp2 counts. */
    if (conn->stream_count >= conn->server->conf.h2_streams_max) {
        h2_reset(h2, id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    head.has_body = has_body;
    struct http_stream *stream = stream_new(conn);
    if (stream == NULL || stream_set_head(stream, &head) < 0) {
        conn_kill(conn, HTTP_ABORTED, false);
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    stream->id = id;
    stream->complete = !has_body;
    (void)nghttp2_session_set_stream_user_data(h2->session, id, stream);
    if (status == 0)
        status = stream_request(stream, &head);
    if (!conn_alive(conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream->closing)
        return 0;
    if (status != 0) {
        h2_refuse(stream, status, HTTP_REFUSED);
        return h2_spend(h2, H2_REFUSED);
    }
    if (!has_body)
        stream_complete(stream);
    else if (h2->fields->expect_continue && !stream->responded)
        http_stream_respond(stream, 100, NULL, 0, 0);
    return 0;
}

static int
on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_conn *h2 = user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        int r = h2->fields == NULL ? 0 : h2_begin(h2, frame->hd.stream_id, !end);
        h2_drop_fields(h2);
        return r;
    }
    if (frame->hd.type == NGHTTP2_DATA && !end && frame->hd.length > 0 &&
        frame->hd.length <= frame->data.padlen)
        return h2_spend(h2, H2_EMPTY_DATA); /* nothing but padding */
    struct http_stream *stream = end ? h2_stream(session, frame->hd.stream_id) : NULL;
    if (stream == NULL)
        return 0;
    stream->complete = true;
    if (!stream->paused && stream->held.bytes == 0)
        stream_complete(stream);
    return conn_alive(h2->conn) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

void
h2_deliver(struct http_stream *stream, struct str bytes)
{
    int r = stream_body(stream, bytes);
    if (r == 0 || stream->closing || !conn_alive(stream->conn))
        return;
    unsigned status;
    if (!stream_refused(stream, r, &status)) /* the rest is dropped; the answer ends in a reset */
        h2_refuse(stream, status, HTTP_REFUSED);
}

static int
on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
              size_t count, void *user)
{
    (void)flags;
    struct h2_conn *h2 = user;
    struct http_stream *stream = h2_stream(session, id);
    /* One stream that stands still must not stop the others. */
    if (nghttp2_session_consume_connection(session, count) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    struct str bytes = str_make((const char *)data, count);
    if (stream != NULL && (stream->paused || stream->held.bytes > 0) && !stream->closing) {
        if (out_put(&h2->conn->server->pool, &stream->held, bytes) < 0)
            conn_kill(h2->conn, HTTP_ABORTED, false);
        return conn_alive(h2->conn) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (stream != NULL)
        h2_deliver(stream, bytes);
    if (!conn_alive(h2->conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream != NULL) /* one that is answered already gets no more window */
        (void)nghttp2_session_consume_stream(session, id, count);
    return 0;
}

/* END_STREAM is in conn->out: closed(HTTP_DONE) once that is in the kernel. */
static void
h2_finish(struct h2_conn *h2, struct http_stream *stream)
{
    (void)nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
    stream->done_at = h2->conn->taken_total + h2->conn->out.bytes;
    list_remove(&stream->node);
    list_push_back(&h2->finishing, &stream->node);
    h2_abuse_finished(&h2->abuse);
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
    (void)error_code;
    struct h2_conn *h2 = user;
    struct http_conn *conn = h2->conn;
    struct http_stream *stream = h2_stream(session, id);
    if (stream == NULL)
        return 0;
    if (stream->sent_end) {
        h2_finish(h2, stream);
        return 0;
    }
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    h2->idle_ms = loop_now_ms(conn->server->loop);
    stream_close(stream, stream->refused ? stream->reason : HTTP_PEER_GONE);
    return conn_alive(conn) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- out ------------------------------------------------------------------------------------- */

ssize_t
h2_read_data(nghttp2_session *session, int32_t id, uint8_t *out, size_t size, uint32_t *flags,
             nghttp2_data_source *source, void *user)
{
    (void)out, (void)source, (void)user;
    struct http_stream *stream = h2_stream(session, id);
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t count = MIN(size, stream->out.bytes);
    if (stream->ended && count == stream->out.bytes) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->cut) { /* the reset goes out behind this frame */
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        }
    } else if (count == 0) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (count > 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (ssize_t)count;
}

static int
on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd, size_t count,
             nghttp2_data_source *source, void *user)
{
    (void)source;
    struct h2_conn *h2 = user;
    struct http_conn *conn = h2->conn;
    struct http_stream *stream = h2_stream(session, frame->hd.stream_id);
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (conn->out.bytes >= SERVER_HIGH_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    struct out_pool *pool = &conn->server->pool;
    ASSERT(frame->data.padlen == 0);
    if (out_put(pool, &conn->out, str_make((const char *)framehd, 9)) < 0 ||
        out_move(pool, &conn->out, &stream->out, count) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream->want_writable && stream->out.bytes < SERVER_LOW_BYTES)
        h2->want_writable = true;
    return 0;
}

static int
on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_conn *h2 = user;
    struct http_stream *stream;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        h2_abuse_sent_data(&h2->abuse, frame->hd.length);
        break;
    case NGHTTP2_HEADERS:
        break;
    case NGHTTP2_RST_STREAM:
        stream = h2_stream(session, frame->hd.stream_id);
        /* What we chose ourselves is not the peer's fault. */
        if (frame->rst_stream.error_code == NGHTTP2_NO_ERROR ||
            frame->rst_stream.error_code == NGHTTP2_INTERNAL_ERROR)
            return 0;
        if (stream != NULL && !stream->refused) {
            stream->refused = true;
            stream->reason = HTTP_REFUSED;
        }
        (void)h2_spend(h2, H2_OUR_RESET);
        return 0;
    default:
        return 0;
    }
    stream = end ? h2_stream(session, frame->hd.stream_id) : NULL;
    if (stream == NULL)
        return 0;
    stream->sent_end = true;
    if (!stream->complete) {
        int32_t id = stream->id;
        h2_finish(h2, stream);
        h2_linger(h2, id);
    }
    return 0;
}

int
h2_shared_new(struct h2_shared **ret_shared)
{
    CLEANUP(server_h2_shared_free) struct h2_shared *shared = calloc(1, sizeof *shared);
    if (shared == NULL || nghttp2_session_callbacks_new(&shared->callbacks) != 0 ||
        nghttp2_option_new(&shared->option) != 0)
        return -ERR_NOMEM;
    nghttp2_session_callbacks *callbacks = shared->callbacks;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_option_set_no_auto_window_update(shared->option, 1);
    /* nghttp2's own bucket also counts resets of finished requests, which honest clients send; ours
     * (h2_abuse) is stricter with the others. */
    nghttp2_option_set_stream_reset_rate_limit(shared->option, UINT32_MAX, UINT32_MAX);
    *ret_shared = TAKE(shared);
    return 0;
}
