/* SPDX-License-Identifier: MIT
 * server_h2.c - HTTP/2 connections over nghttp2: sessions, answers, deadlines.
 * Floor: lib/http; its loop's thread.
 * Owns: the session and struct h2_conn of a connection.
 * Invariant: frames are made in FLUSH only, into conn->out; a stream is DONE when its last byte is
 *            in the kernel; a session that ended closes its connection. HARDENING 3.2;
 *            server_h2_test.c. */
#include <stdlib.h>

#include "lib/base/num.h"
#include "lib/http/h2_mem.h"
#include "lib/http/server_h2_int.h"

#define H2_OUT_BYTES_MAX (256u * 1024u)

int
h2_terminate(struct h2_conn *h2, uint32_t code)
{
    if (!h2->terminated)
        (void)nghttp2_session_terminate_session(h2->session, code);
    h2->terminated = true;
    conn_dirty(h2->conn);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

void
h2_reset(struct h2_conn *h2, int32_t id, uint32_t code)
{
    h2->reset_ids[h2->reset_at++ % H2_RESET_IDS] = (uint32_t)id;
    if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, code) < 0)
        conn_kill(h2->conn, HTTP_ABORTED, false);
    else
        conn_dirty(h2->conn);
}

void
server_h2_shared_free(struct h2_shared **shared)
{
    if (shared == NULL || *shared == NULL)
        return;
    nghttp2_session_callbacks_del((*shared)->callbacks);
    nghttp2_option_del((*shared)->option);
    free(*shared);
    *shared = NULL;
}

/* Resets those whose time is up; all of them with UINT64_MAX. */
static COLD void
h2_linger_expire(struct h2_conn *h2, uint64_t now_ms)
{
    while (h2->linger_count > 0 && h2->lingers[h2->linger_at].until_ms <= now_ms) {
        int32_t id = h2->lingers[h2->linger_at].id;
        h2->linger_at = (h2->linger_at + 1) % H2_LINGERS;
        h2->linger_count--;
        nghttp2_stream *stream = nghttp2_session_find_stream(h2->session, id);
        if (stream != NULL && nghttp2_stream_get_state(stream) != NGHTTP2_STREAM_STATE_CLOSED)
            h2_reset(h2, id, NGHTTP2_NO_ERROR);
    }
}

void
h2_linger(struct h2_conn *h2, int32_t id)
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
    conn_deadline(conn, MIN(tick, SERVER_BODY_WINDOW_MS));
}

static COLD int
h2_start(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    if (server->h2_shared == NULL && h2_shared_new(&server->h2_shared) < 0)
        return -ERR_NOMEM;
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
    const struct h2_shared *shared = server->h2_shared;
    if (nghttp2_session_server_new3(&h2->session, shared->callbacks, h2, shared->option,
                                    h2_mem()) != 0)
        return -ERR_NOMEM;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server->conf.h2_streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, server->conf.h2_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_BYTES_MAX},
    };
    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0)
        return -ERR_NOMEM;
    if (nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                              H2_CONN_WINDOW_BYTES) != 0)
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
    LIST_FOREACH (node, &conn->streams)
        (void)nghttp2_session_set_stream_user_data(
            h2->session, LIST_ENTRY(node, struct http_stream, node)->id, NULL);
    nghttp2_session_del(h2->session);
    h2_fields_put(&conn->server->free_fields, h2->fields);
    free(h2);
    conn->u.h2 = NULL;
}

/* ---- in -------------------------------------------------------------------------------------- */

static void h2_fill(struct http_conn *conn);

static size_t
h2_input(struct http_conn *conn, char *bytes, size_t count)
{
    struct h2_conn *h2 = conn->u.h2;
    /* More in the same turn: let a GOAWAY that nghttp2 decided on become visible before it is
     * fed. */
    if (h2->fed)
        h2_fill(conn);
    if (h2->terminated || conn->state != CONN_OPEN || !nghttp2_session_want_read(h2->session))
        return count;
    h2->fed = true;
    for (size_t unknown = h2_abuse_scan(&h2->abuse, bytes, count); unknown > 0; unknown--) {
        if (h2_spend(h2, H2_UNKNOWN_FRAME) < 0)
            return count;
    }
    ssize_t used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes, count);
    if (used < 0) {
        bool flood = used == NGHTTP2_ERR_FLOODED || used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
        uint32_t code = flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR;
        (void)h2_terminate(h2, code);
    }
    conn_dirty(conn);
    return count;
}

static bool
h2_wants_input(const struct http_conn *conn)
{
    return !conn->u.h2->terminated && nghttp2_session_want_read(conn->u.h2->session) != 0;
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
            (void)nghttp2_session_consume_stream(h2->session, stream->id, count);
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
    h2->fed = false;
    while (conn->out.bytes < H2_OUT_BYTES_MAX) {
        const uint8_t *bytes = NULL;
        ssize_t count = nghttp2_session_mem_send(h2->session, &bytes);
        if (count == 0)
            return;
        struct str frame = str_make((const char *)bytes, count < 0 ? 0 : (size_t)count);
        if (count < 0 || out_put(&conn->server->pool, &conn->out, frame) < 0) {
            conn_kill(conn, HTTP_ABORTED, false);
            return;
        }
    }
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
        (void)nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
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
    bool wants_write = nghttp2_session_want_write(h2->session) != 0;
    if (!wants_write && (h2->terminated || nghttp2_session_want_read(h2->session) == 0))
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
    struct h2_conn *h2 = conn->u.h2;
    ASSERT(field_count <= HTTP_FIELDS_MAX);
    nghttp2_nv *nv = conn->server->h2_shared->nv;
    size_t count = 0;
    char status_text[20];
    char length_text[20];
    nv[count++] =
        h2_fields_nv(STR(":status"), str_make(status_text, num_write_u64(status_text, status)));
    bool dated = status < 200;
    for (size_t i = 0; i < field_count; i++) {
        nv[count++] = h2_fields_nv(fields[i].name, fields[i].value);
        dated = dated || str_eq(fields[i].name, STR("date"));
    }
    if (!dated)
        nv[count++] = h2_fields_nv(STR("date"), server_date(conn->server));
    int r = 0;
    if (status < 200) {
        r = nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, nv, count,
                                   NULL);
    } else {
        if (length != HTTP_LENGTH_UNKNOWN && status != 204 && status != 304)
            nv[count++] = h2_fields_nv(STR("content-length"),
                                       str_make(length_text, num_write_u64(length_text, length)));
        if (h2->answer_count++ % H2_SEED_EVERY == 0)
            h2_fields_seed(nv, count);
        nghttp2_data_provider provider = {.read_callback = h2_read_data};
        r = nghttp2_submit_response(h2->session, stream->id, nv, count, &provider);
    }
    if (r < 0)
        conn_kill(conn, HTTP_ABORTED, false);
    else
        conn_dirty(conn);
}

static void
h2_wake(struct http_stream *stream)
{
    if (stream->deferred) {
        stream->deferred = false;
        (void)nghttp2_session_resume_data(stream->conn->u.h2->session, stream->id);
    }
    conn_dirty(stream->conn);
}

static void
h2_write(struct http_stream *stream, struct str bytes)
{
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
    (void)nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
    stream_end_later(stream, HTTP_ABORTED);
    h2_reset(h2, stream->id, NGHTTP2_INTERNAL_ERROR);
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
    struct http_field type = {STR("content-type"), STR("application/json")};
    http_stream_answer(stream, status, &type, 1, stream_refusal(status));
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

static COLD void
h2_timeout(struct http_conn *conn)
{
    struct h2_conn *h2 = conn->u.h2;
    const struct http_server_conf *conf = &conn->server->conf;
    uint64_t now_ms = loop_now_ms(conn->server->loop);
    h2_linger_expire(h2, now_ms);
    if (h2->fields != NULL && now_ms - h2->fields_ms >= conf->head_timeout_ms) {
        conn_kill(conn, HTTP_TIMED_OUT, false);
        return;
    }
    if (conn->out_blocked) {
        if (h2->stall_mark == conn->taken_total && now_ms - h2->idle_ms >= conf->idle_timeout_ms) {
            conn_kill(conn, HTTP_TIMED_OUT, false);
            return;
        }
        if (h2->stall_mark != conn->taken_total)
            h2->idle_ms = now_ms;
        h2->stall_mark = conn->taken_total;
    } else if (conn->stream_count > 0) {
        h2->idle_ms = now_ms;
    } else if (now_ms - h2->idle_ms >= conf->idle_timeout_ms) {
        (void)h2_terminate(h2, NGHTTP2_NO_ERROR);
    }
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
    int32_t last_id = nghttp2_session_get_last_proc_stream_id(h2->session);
    if (nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR, NULL, 0) <
        0)
        conn_kill(conn, HTTP_ABORTED, false);
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
