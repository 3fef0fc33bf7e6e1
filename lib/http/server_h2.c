/* SPDX-License-Identifier: MIT
 * server_h2.c - HTTP/2 connections: sessions, answers, deadlines.
 * Floor: lib/http; its loop's thread.
 * Owns: the session and struct h2_conn of a connection.
 * Invariant: frames are made in FLUSH only, into conn->out; a stream is DONE when its last byte is
 *            in the kernel; a session that ended closes its connection. HARDENING 3.2;
 *            server_h2_test.c. */
#include <stdlib.h>

#include "lib/base/num.h"
#include "lib/http/server_h2_int.h"

int
h2_terminate(struct h2_conn *h2, uint32_t code)
{
    if (!h2->terminated)
        h2_session_terminate(h2->session, code);
    h2->terminated = true;
    conn_dirty(h2->conn);
    return H2_STOP;
}

void
h2_reset(struct h2_conn *h2, uint32_t id, uint32_t code)
{
    h2_session_reset(h2->session, id, code);
    conn_dirty(h2->conn);
}

/* Resets those whose time is up; all of them with UINT64_MAX. */
static COLD void
h2_linger_expire(struct h2_conn *h2, uint64_t now_ms)
{
    while (h2->linger_count > 0 && h2->lingers[h2->linger_at].until_ms <= now_ms) {
        uint32_t id = h2->lingers[h2->linger_at].id;
        h2->linger_at = (h2->linger_at + 1) % H2_LINGERS;
        h2->linger_count--;
        h2_reset(h2, id, H2_NO_ERROR);
    }
}

void
h2_linger(struct h2_conn *h2, uint32_t id)
{
    struct http_conn *conn = h2->conn;
    uint64_t until_ms = loop_now_ms(conn->server->loop) + H2_LINGER_MS;
    if (h2->linger_count == H2_LINGERS)
        h2_linger_expire(h2, h2->lingers[h2->linger_at].until_ms);
    h2->lingers[(h2->linger_at + h2->linger_count) % H2_LINGERS] =
        (struct h2_linger){.until_ms = until_ms, .id = id};
    h2->linger_count++;
    if (conn->server->draining)
        h2_linger_expire(h2, UINT64_MAX);
    else if (conn->deadline_ms > until_ms)
        conn_deadline(conn, H2_LINGER_MS);
}

static void
h2_tick(struct http_conn *conn)
{
    const struct http_server_conf *conf = &conn->server->conf;
    uint32_t tick = MIN(conf->idle_timeout_ms, conf->head_timeout_ms);
    if (conn->u.h2->linger_count > 0)
        tick = MIN(tick, H2_LINGER_MS);
    if (conn->u.h2->leave_ms != 0)
        tick = MIN(tick, H2_LEAVE_MS);
    conn_deadline(conn, MIN(tick, SERVER_BODY_WINDOW_MS));
}

static COLD int
h2_start(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    struct h2_conn *h2 = calloc(1, sizeof *h2);
    conn->u.h2 = h2;
    if (h2 == NULL)
        return -ERR_NOMEM;
    uint64_t now_ms = loop_now_ms(server->loop);
    h2->conn = conn;
    h2->idle_ms = now_ms;
    h2->window_ms = now_ms;
    list_init(&h2->finishing);
    h2_abuse_init(&h2->abuse, server->conf.abuse_burst, server->conf.abuse_per_s, now_ms);
    const struct h2_session_conf session = {
        .ops = &server_h2_ops,
        .user = h2,
        .streams_max = server->conf.h2_streams_max,
        .stream_window = server->conf.h2_window_bytes,
        .conn_window = H2_CONN_WINDOW_BYTES,
        .header_list_bytes = HTTP_HEAD_BYTES_MAX,
    };
    if (h2_session_new(&session, &h2->session) < 0)
        return -ERR_NOMEM;
    h2_tick(conn);
    conn_dirty(conn);
    return 0;
}

static COLD void
h2_fini(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    if (h2 == NULL)
        return;
    for (struct list *node; (node = list_pop_front(&h2->finishing)) != NULL;)
        list_push_back(&conn->streams, node);
    h2_session_free(&h2->session);
    h2_fields_put(&conn->server->free_fields, h2->fields);
    free(h2);
    conn->u.h2 = NULL;
}

/* ---- in -------------------------------------------------------------------------------------- */

static size_t
h2_input(struct http_conn *conn, char *bytes, size_t count)
{
    struct h2_conn *h2 = conn->u.h2;
    if (conn->state != CONN_OPEN || !h2_session_wants_read(h2->session))
        return count;
    if (h2_session_feed(h2->session, bytes, count) < 0)
        (void)h2_terminate(h2, H2_INTERNAL_ERROR);
    conn_dirty(conn);
    return count;
}

static bool
h2_wants_input(const struct http_conn *conn)
{
    return h2_session_wants_read(conn->u.h2->session);
}

static void
h2_input_end(struct http_conn *conn)
{
    conn_kill(conn, HTTP_PEER_GONE, true); /* soft: a GOAWAY may be due */
}

static void
h2_pump(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    LIST_FOREACH_SAFE (node, &conn->streams) {
        struct http_stream *stream = LIST_ENTRY(node, struct http_stream, node);
        while (!stream->paused && !stream->closing && stream->held.bytes > 0) {
            struct out_block *block = stream->held.head;
            size_t count = block->end - block->start;
            /* out of the queue first: the handler may pause again */
            stream->held.head = block->next;
            if (block->next == NULL)
                stream->held.tail = NULL;
            stream->held.bytes -= count;
            h2_deliver(stream, str_make(block->bytes + block->start, count));
            h2_session_consume(h2->session, stream->id, count);
            out_block_put(&conn->server->pool, block);
        }
        if (!stream->paused && stream->complete && stream->held.bytes == 0)
            stream_complete(stream);
    }
    conn_dirty(conn);
}

/* ---- out ------------------------------------------------------------------------------------- */

static void
h2_fill(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    if (h2 == NULL)
        return;
    if (h2_session_send(h2->session) < 0)
        conn_kill(conn, HTTP_ABORTED, false);
}

static void
h2_tell_writable(struct http_conn *conn)
{
    const struct http_handler *handler = conn->server->conf.handler;
    if (handler->writable == NULL || !conn->u.h2->want_writable)
        return;
    conn->u.h2->want_writable = false;
    LIST_FOREACH_SAFE (node, &conn->streams) {
        struct http_stream *stream = LIST_ENTRY(node, struct http_stream, node);
        if (!stream->want_writable || stream->closing || stream->ended)
            continue;
        if (stream->out.bytes < SERVER_LOW_BYTES) {
            stream->want_writable = false;
            handler->writable(stream);
        }
    }
}

/* The session is over: what still runs on it cannot be answered. */
static COLD void
h2_over(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    LIST_FOREACH_SAFE (node, &conn->streams) {
        struct http_stream *stream = LIST_ENTRY(node, struct http_stream, node);
        h2_session_own(h2->session, stream->id, NULL);
        if (!stream->closing) {
            stream_end_later(stream, HTTP_REFUSED);
        } else {
            list_remove(&stream->node);
            list_push_back(&conn->server->ended, &stream->node);
        }
    }
    loop_at_end(conn->server->loop, &conn->server->free_hook, LOOP_FREE);
    conn_finish(conn, true);
}

static void
h2_flushed(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    while (!list_empty(&h2->finishing)) {
        struct http_stream *stream = LIST_ENTRY(h2->finishing.next, struct http_stream, node);
        if (stream->done_at > conn->taken_total)
            break;
        stream_close(stream, stream->refused ? stream->reason : HTTP_DONE);
        h2->idle_ms = loop_now_ms(conn->server->loop);
    }
    h2_tell_writable(conn);
    if (conn->state != CONN_OPEN)
        return;
    bool wants_write = h2_session_wants_write(h2->session);
    /* Answers that are still on their way are waited for, unless others can never be. */
    bool over = list_empty(&h2->finishing) || !list_empty(&conn->streams);
    if (!wants_write && !h2_session_wants_read(h2->session) && over)
        h2_over(conn);
    else if (wants_write && !conn->out_blocked)
        conn_dirty(conn);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
h2_respond(struct http_stream *stream, unsigned status, const struct http_field *fields,
           size_t field_count, uint64_t length)
{
    struct http_conn *conn = stream->conn;
    struct h2_session *session = conn->u.h2->session;
    char text[20];
    ASSERT(field_count <= HTTP_FIELDS_MAX);
    conn_dirty(conn);
    if (!h2_session_head(session, stream->id)) /* reset, or all is over: `closed` tells */
        return;
    h2_session_field(session, STR(":status"), str_make(text, num_write_u64(text, status)));
    bool dated = status < 200;
    for (size_t i = 0; i < field_count; i++) {
        h2_session_field(session, fields[i].name, fields[i].value);
        dated = dated || str_eq(fields[i].name, STR("date"));
    }
    if (!dated)
        h2_session_field(session, STR("date"), server_date(conn->server));
    if (status >= 200 && length != HTTP_LENGTH_UNKNOWN && status != 204 && status != 304)
        h2_session_field(session, STR("content-length"),
                         str_make(text, num_write_u64(text, length)));
    if (h2_session_respond(session, stream->id, status >= 200) < 0)
        conn_kill(conn, HTTP_ABORTED, false);
}

static void
h2_wake(struct http_stream *stream)
{
    if (stream->deferred) {
        stream->deferred = false;
        h2_session_resume(stream->conn->u.h2->session, stream->id);
    }
    conn_dirty(stream->conn);
}

static void
h2_write(struct http_stream *stream, struct str bytes)
{
    if (stream->out.bytes == 0)
        stream->wait.since_ms = 0;
    if (out_put(&stream->conn->server->pool, &stream->out, bytes) < 0)
        conn_kill(stream->conn, HTTP_ABORTED, false);
    else
        h2_wake(stream);
}

static COLD void
h2_abort(struct http_stream *stream)
{
    struct h2_conn *h2 = stream->conn->u.h2;
    if (stream->sent_end)
        return; /* finishing already: it is complete as far as anybody can tell */
    h2_session_own(h2->session, stream->id, NULL);
    stream_end_later(stream, HTTP_ABORTED);
    h2_reset(h2, stream->id, H2_INTERNAL_ERROR);
}

static size_t
h2_queued(const struct http_stream *stream)
{
    return stream->out.bytes;
}

void
h2_refuse(struct http_stream *stream, unsigned status, enum http_close_reason reason)
{
    if (stream->responded) {
        h2_abort(stream);
        return;
    }
    struct refusal refusal;
    stream_refusal(stream->conn->server, stream, status, &refusal);
    http_stream_answer(stream, status, refusal.fields, refusal.field_count, refusal.body);
    if (!conn_alive(stream->conn))
        return;
    stream->reason = reason;
    stream->refused = true;
    stream->closing = true; /* for the handler it is over; closed() follows when it is sent */
}

/* ---- time ------------------------------------------------------------------------------------ */

static COLD void
h2_check_bodies(struct http_conn *conn, uint64_t wanted)
{
    LIST_FOREACH_SAFE (node, &conn->streams) {
        struct http_stream *stream = LIST_ENTRY(node, struct http_stream, node);
        bool late = !stream->complete && !stream->closing && !stream->paused && stream->windowed &&
                    stream->window_bytes < wanted;
        stream->windowed = true;
        stream->window_bytes = 0;
        if (late)
            h2_refuse(stream, 408, HTTP_TIMED_OUT);
    }
}

/* Answers that the peer's windows hold back: what is kept for it has to move (CVE-2019-9517). While
 * the socket is what they wait for, it is the connection that is judged. */
static COLD void
h2_check_answers(struct http_conn *conn)
{
    LIST_FOREACH_SAFE (node, &conn->streams) {
        struct http_stream *stream = LIST_ENTRY(node, struct http_stream, node);
        bool waits = stream->out.bytes > 0 || stream->ended;
        if (!waits || conn->out_blocked) {
            stream->wait.since_ms = 0;
        } else if (peer_too_slow(conn->server, &stream->wait, stream->data_sent,
                                 stream->out.bytes)) {
            h2_closes_as(stream, HTTP_PEER_GONE);
            h2_reset(conn->u.h2, stream->id, H2_CANCEL);
        }
    }
}

static COLD void
h2_timeout(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    const struct http_server_conf *conf = &conn->server->conf;
    uint64_t now_ms = loop_now_ms(conn->server->loop);
    h2_linger_expire(h2, now_ms);
    if (h2->leave_ms != 0 && now_ms >= h2->leave_ms) {
        h2_session_drain(h2->session);
        conn_dirty(conn);
    }
    if (h2_session_head_open(h2->session) && now_ms - h2->head_ms >= conf->head_timeout_ms) {
        conn_kill(conn, HTTP_TIMED_OUT, false);
        return;
    }
    if (conn->out_blocked && conn_too_slow(conn)) {
        conn_kill(conn, HTTP_TIMED_OUT, false);
        return;
    }
    if (!conn->out_blocked)
        conn->wait.since_ms = 0;
    h2_check_answers(conn);
    if (conn->stream_count > 0 || conn->out_blocked)
        h2->idle_ms = now_ms;
    else if (now_ms - h2->idle_ms >= conf->idle_timeout_ms)
        (void)h2_terminate(h2, H2_NO_ERROR);
    if (now_ms - h2->window_ms >= SERVER_BODY_WINDOW_MS) {
        h2->window_ms = now_ms;
        h2_check_bodies(conn, (uint64_t)conf->body_rate_min * SERVER_BODY_WINDOW_MS / 1000u);
    }
    h2_tick(conn);
}

static COLD void
h2_drain(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    h2_linger_expire(h2, UINT64_MAX);
    if (h2->leave_ms == 0)
        h2->leave_ms = loop_now_ms(conn->server->loop) + H2_LEAVE_MS;
    h2_session_leave(h2->session);
    h2_tick(conn);
    conn_dirty(conn);
}

const struct server_proto server_h2 = {
    .start = h2_start,
    .input = h2_input,
    .wants_input = h2_wants_input,
    .input_end = h2_input_end,
    .fill = h2_fill,
    .flushed = h2_flushed,
    .timeout = h2_timeout,
    .drain = h2_drain,
    .fini = h2_fini,
    .respond = h2_respond,
    .write = h2_write,
    .write_now = h2_write,
    .end = h2_wake,
    .abort = h2_abort,
    .pump = h2_pump,
    .queued = h2_queued,
};
