/* SPDX-License-Identifier: MIT
 * server_h2_frames.c - what the session calls: requests in, DATA out, and the count of oddities.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing.
 * Invariant: every frame that could be had for free by the sender passes h2_abuse_spend before
 *            the session acts on it. server_abuse_test.c. */
#include "lib/base/err.h"
#include "lib/http/server_h2_int.h"

int
h2_spend(struct h2_conn *h2, enum h2_oddity oddity)
{
    if (h2_abuse_spend(&h2->abuse, oddity, loop_now_ms(h2->conn->server->loop)))
        return 0;
    return h2_terminate(h2, H2_ENHANCE_YOUR_CALM);
}

static void
h2_drop_fields(struct h2_conn *h2)
{
    h2_fields_put(&h2->conn->server->free_fields, h2->fields);
    h2->fields = NULL;
}

static int
on_frame(void *user, const struct h2_frame *frame)
{
    struct h2_conn *h2 = user;
    bool ack = (frame->flags & H2_FLAG_ACK) != 0;
    if (frame->type != H2_FRAME_CONTINUATION && h2->fields != NULL)
        h2_drop_fields(h2); /* a block that came to nothing */
    switch (frame->type) {
    case H2_FRAME_DATA:
        if (frame->length == 0 && (frame->flags & H2_FLAG_END_STREAM) == 0)
            return h2_spend(h2, H2_EMPTY_DATA);
        return 0;
    case H2_FRAME_HEADERS:
        h2->head_ms = loop_now_ms(h2->conn->server->loop);
        if (frame->id > h2->last_id) {
            h2->last_id = frame->id;
            h2_abuse_opened(&h2->abuse);
            return 0;
        }
        /* Trailers; or nobody's, which still have to be decoded. */
        return h2_session_owner(h2->session, frame->id) != NULL ? 0 : h2_spend(h2, H2_LATE_FRAME);
    case H2_FRAME_PRIORITY:
    case H2_FRAME_PRIORITY_UPDATE:
        return h2_spend(h2, H2_PRIORITY);
    case H2_FRAME_RST_STREAM:
        return h2_spend(h2, h2_session_owner(h2->session, frame->id) != NULL ? H2_PEER_RESET
                                                                             : H2_LATE_FRAME);
    case H2_FRAME_SETTINGS:
        return ack ? 0 : h2_spend(h2, H2_SETTINGS);
    case H2_FRAME_PING:
        return h2_spend(h2, ack ? H2_UNKNOWN_FRAME : H2_PING);
    case H2_FRAME_WINDOW_UPDATE:
        return h2_spend(h2, H2_WINDOW_UPDATE);
    case H2_FRAME_CONTINUATION:
        return h2_spend(h2, H2_CONTINUATION);
    default: /* GOAWAY, and what RFC 9113 does not know */
        return h2_spend(h2, H2_UNKNOWN_FRAME);
    }
}

static int
on_head(void *user, uint32_t id, void *owner)
{
    struct h2_conn *h2 = user;
    (void)id, (void)owner;
    ASSERT(h2->fields == NULL);
    h2->fields = h2_fields_get(&h2->conn->server->free_fields);
    return h2->fields == NULL ? -ERR_NOMEM : 0;
}

static int
on_field(void *user, struct str name, struct str value)
{
    struct h2_conn *h2 = user;
    h2_fields_add(h2->fields, name, value);
    return 0;
}

static int
h2_begin(struct h2_conn *h2, uint32_t id, bool has_body)
{
    struct http_conn *conn = h2->conn;
    struct http_head head = {0};
    unsigned status = h2_fields_request(h2->fields, &head);
    if (status == H2_FIELDS_RESET) {
        h2_reset(h2, id, H2_PROTOCOL_ERROR);
        return 0;
    }
    /* A slot is busy until closed() was delivered, whatever the session counts. */
    if (conn->stream_count >= conn->server->conf.h2_streams_max) {
        h2_reset(h2, id, H2_REFUSED_STREAM);
        return 0;
    }
    head.has_body = has_body;
    struct http_stream *stream = stream_new(conn);
    if (stream == NULL || stream_set_head(stream, &head) < 0) {
        conn_kill(conn, HTTP_ABORTED, false);
        return H2_STOP;
    }
    stream->id = id;
    stream->complete = !has_body;
    h2_session_own(h2->session, id, stream);
    if (status == 0)
        status = stream_request(stream, &head);
    if (!conn_alive(conn))
        return H2_STOP;
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
on_head_end(void *user, uint32_t id, void *owner, uint16_t status, bool end)
{
    struct h2_conn *h2 = user;
    (void)owner, (void)status;
    int r = h2_begin(h2, id, !end);
    h2_drop_fields(h2);
    return r;
}

static int
on_end(void *user, uint32_t id, void *owner)
{
    struct h2_conn *h2 = user;
    struct http_stream *stream = owner;
    (void)id;
    if (stream == NULL)
        return 0;
    stream->complete = true;
    if (!stream->paused && stream->held.bytes == 0)
        stream_complete(stream);
    return conn_alive(h2->conn) ? 0 : H2_STOP;
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
on_data(void *user, uint32_t id, void *owner, struct str bytes)
{
    struct h2_conn *h2 = user;
    struct http_stream *stream = owner;
    if (bytes.len == 0) /* nothing but padding */
        return h2_spend(h2, H2_EMPTY_DATA);
    if (stream == NULL) /* one that is answered already gets no more window */
        return 0;
    if ((stream->paused || stream->held.bytes > 0) && !stream->closing) {
        if (out_put(&h2->conn->server->pool, &stream->held, bytes) < 0)
            conn_kill(h2->conn, HTTP_ABORTED, false);
        return conn_alive(h2->conn) ? 0 : H2_STOP;
    }
    h2_deliver(stream, bytes);
    if (!conn_alive(h2->conn))
        return H2_STOP;
    h2_session_consume(h2->session, id, bytes.len);
    return 0;
}

/* END_STREAM is in conn->out: closed(HTTP_DONE) once that is in the kernel. */
static void
h2_finish(struct h2_conn *h2, struct http_stream *stream)
{
    h2_session_own(h2->session, stream->id, NULL);
    stream->done_at = h2->conn->taken_total + h2->conn->out.bytes + h2_session_queued(h2->session);
    list_remove(&stream->node);
    list_push_back(&h2->finishing, &stream->node);
    h2_abuse_finished(&h2->abuse);
}

static int
on_closed(void *user, uint32_t id, void *owner, uint32_t code)
{
    struct h2_conn *h2 = user;
    struct http_conn *conn = h2->conn;
    struct http_stream *stream = owner;
    (void)id, (void)code;
    if (stream->sent_end) {
        h2_finish(h2, stream);
        return 0;
    }
    h2->idle_ms = loop_now_ms(conn->server->loop);
    stream_close(stream, stream->refused ? stream->reason : HTTP_PEER_GONE);
    return conn_alive(conn) ? 0 : H2_STOP;
}

/* ---- out ------------------------------------------------------------------------------------- */

static size_t
on_put(void *user, const char *bytes, size_t count)
{
    struct http_conn *conn = ((struct h2_conn *)user)->conn;
    if (conn->out.bytes >= SERVER_HIGH_BYTES)
        return 0;
    if (out_put(&conn->server->pool, &conn->out, str_make(bytes, count)) < 0)
        conn_kill(conn, HTTP_ABORTED, false);
    return count;
}

static int
on_want(void *user, uint32_t id, void *owner, size_t max, enum h2_after *ret_after)
{
    const struct h2_conn *h2 = user;
    struct http_stream *stream = owner;
    (void)id;
    if (stream == NULL)
        return H2_WANT_RESET;
    if (h2->conn->out.bytes >= SERVER_HIGH_BYTES)
        return H2_WANT_BLOCKED;
    size_t count = MIN(max, stream->out.bytes);
    if (stream->ended && count == stream->out.bytes) {
        *ret_after = stream->cut                ? H2_AFTER_CUT
                     : stream->trailers != NULL ? H2_AFTER_TRAILERS
                                                : H2_AFTER_END;
    } else if (stream->out.bytes == 0) {
        stream->deferred = true;
        return H2_WANT_LATER;
    }
    return (int)count;
}

static COLD int
h2_trailers(struct h2_session *session, uint32_t id, const struct http_trailers *trailers)
{
    if (!h2_session_head(session, id))
        return 0;
    for (size_t i = 0; i < trailers->count; i++)
        h2_session_field(session, trailers->fields[i].name, trailers->fields[i].value);
    return h2_session_trail(session, id);
}

static int
on_send(void *user, uint32_t id, void *owner, const char *head, size_t count, enum h2_after after)
{
    struct h2_conn *h2 = user;
    struct http_conn *conn = h2->conn;
    struct http_stream *stream = owner;
    struct out_pool *pool = &conn->server->pool;
    if (out_put(pool, &conn->out, str_make(head, H2_FRAME_HEAD_BYTES)) < 0 ||
        out_move(pool, &conn->out, &stream->out, count) < 0)
        return -ERR_NOMEM;
    if (stream->want_writable && stream->out.bytes < SERVER_LOW_BYTES)
        h2->want_writable = true;
    stream->data_sent += count;
    h2_abuse_sent_data(&h2->abuse, count);
    if (after == H2_AFTER_CUT)
        h2_closes_as(stream, HTTP_ABORTED);
    if (after == H2_AFTER_MORE || after == H2_AFTER_CUT)
        return 0;
    if (after == H2_AFTER_TRAILERS && h2_trailers(h2->session, id, stream->trailers) < 0)
        return -ERR_NOMEM;
    stream->sent_end = true;
    if (!stream->complete) {
        h2_finish(h2, stream);
        h2_linger(h2, id);
    }
    return 0;
}

static void
on_reset_sent(void *user, uint32_t id, void *owner, uint32_t code)
{
    struct http_stream *stream = owner;
    (void)id;
    /* What we chose ourselves is not the peer's fault. */
    if (code == H2_NO_ERROR || code == H2_INTERNAL_ERROR || code == H2_CANCEL)
        return;
    if (stream != NULL)
        h2_closes_as(stream, HTTP_REFUSED);
    (void)h2_spend(user, H2_OUR_RESET);
}

const struct h2_session_ops server_h2_ops = {
    .frame = on_frame,
    .head = on_head,
    .field = on_field,
    .head_end = on_head_end,
    .data = on_data,
    .end = on_end,
    .closed = on_closed,
    .put = on_put,
    .want = on_want,
    .send = on_send,
    .reset_sent = on_reset_sent,
};
