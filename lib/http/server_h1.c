/* SPDX-License-Identifier: MIT
 * server_h1.c - HTTP/1.1 requests: one at a time a connection, answers in order.
 * Floor: lib/http; its loop's thread.
 * Owns: nothing beyond the connection's h1 state.
 * Invariant: the next request is looked at only when the answer before it is in the kernel; after
 *            anything malformed the connection is answered once and closed. HARDENING 3.1;
 *            server_h1_test.c. */
#include "lib/http/server_int.h"

/* Answer on our own and close. Streams, if any, are told `reason`. */
static COLD void
h1_refuse(struct http_conn *conn, unsigned status, enum http_close_reason reason)
{
    struct h1_state *h1 = &conn->u.h1;
    struct http_stream *stream = h1->stream;
    h1->keep_alive = false;
    if (stream != NULL && stream->responded) {
        /* Too late to say anything: the cut answer must not look complete. */
        conn_kill(conn, reason, true);
        return;
    }
    struct refusal refusal;
    stream_refusal(conn->server, stream, status, &refusal);
    struct buf *head = &conn->server->head;
    head->len = 0;
    bool bodyless = stream != NULL && stream->bodyless_head;
    if (h1_put_response(head, status, refusal.fields, refusal.field_count, refusal.body.len, false,
                        true) < 0) {
        conn_kill(conn, reason, false);
        return;
    }
    conn_put(conn, str_skip(buf_str(head), h1->probe_head ? 9 : 0));
    if (!bodyless)
        conn_put(conn, refusal.body);
    if (stream != NULL && conn_alive(conn)) {
        h1->stream = NULL;
        stream_end_later(stream, reason);
    }
    conn_finish(conn, true);
}

static void
h1_start_body_window(struct http_conn *conn)
{
    conn->u.h1.stream->window_bytes = 0;
    conn_deadline(conn, SERVER_BODY_WINDOW_MS);
}

static void
h1_request_complete(struct http_conn *conn)
{
    struct h1_state *h1 = &conn->u.h1;
    h1->phase = H1_ANSWER;
    conn_deadline(conn, 0);
    stream_complete(h1->stream);
}

static void
h1_begin(struct http_conn *conn, struct h1_head *head)
{
    struct h1_state *h1 = &conn->u.h1;
    struct http_stream *stream = stream_new(conn);
    if (stream == NULL || stream_set_head(stream, &head->http) < 0) {
        conn_kill(conn, HTTP_ABORTED, false);
        return;
    }
    h1->stream = stream;
    conn->channel.io.ahead = false;
    h1->keep_alive = head->keep_alive && head->minor > 0;
    h1->minor0 = head->minor == 0;
    h1->chunked = (struct h1_chunked){0};
    h1->body_left = 0;
    h1->phase = H1_ANSWER;
    if (head->body == H1_BODY_LENGTH && head->http.content_length > 0) {
        h1->phase = H1_IN_LENGTH;
        h1->body_left = head->http.content_length;
    } else if (head->body == H1_BODY_CHUNKED) {
        h1->phase = H1_IN_CHUNKED;
    }
    bool has_body = h1->phase != H1_ANSWER;
    stream->complete = !has_body;
    unsigned refused = stream_request(stream, &head->http);
    if (stream->closing || conn->state != CONN_OPEN)
        return;
    if (refused != 0) {
        h1_refuse(conn, refused, HTTP_REFUSED);
    } else if (!has_body) {
        h1_request_complete(conn);
    } else {
        if (head->expect_continue && !stream->responded)
            conn_put(conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
        h1_start_body_window(conn);
    }
}

/* Three words and no slash, neither in a target nor in "HTTP/": the first line of something else,
 * such as a broken HTTP/2 preface, whose sender could only misread an HTTP/1.1 answer (RFC 9113
 * 3.4). */
static COLD bool
h1_is_foreign(const struct http_conn *conn, const char *bytes, size_t count)
{
    if (conn->taken_total > 0 || conn->secure)
        return false;
    unsigned spaces = 0;
    for (size_t i = 0; i < count && bytes[i] != '\r' && bytes[i] != '\n'; i++) {
        if (bytes[i] == '/')
            return false;
        spaces += bytes[i] == ' ';
    }
    return spaces == 2;
}

/* A whole first line without a version: HTTP/0.9 or no HTTP. There may never be an empty line. */
static COLD bool
h1_is_ancient(const char *bytes, size_t count)
{
    const char *end = memchr(bytes, '\n', count);
    return end != NULL && end - bytes > 1 && memchr(bytes, '\r', count) == end - 1 &&
           str_find(str_make(bytes, (size_t)(end - bytes)), STR(" HTTP/")) == SIZE_MAX;
}

/* Returns bytes used; 0: the head is not complete. */
static size_t
h1_input_head(struct http_conn *conn, char *bytes, size_t count)
{
    struct h1_state *h1 = &conn->u.h1;
    size_t end = h1_head_end(bytes, count, MIN(h1->head_seen, count));
    if (end == 0) {
        if (count > HTTP_HEAD_BYTES_MAX) {
            h1_refuse(conn, 431, HTTP_REFUSED);
            return count;
        }
        if (h1_is_ancient(bytes, count) && !h1_is_foreign(conn, bytes, count)) {
            h1_refuse(conn, 400, HTTP_REFUSED);
            return count;
        }
        if (h1->head_seen == 0)
            conn_deadline(conn, conn->server->conf.head_timeout_ms);
        h1->head_seen = count;
        return 0;
    }
    h1->head_seen = 0;
    if (end > HTTP_HEAD_BYTES_MAX) {
        h1_refuse(conn, 431, HTTP_REFUSED);
        return count;
    }
    unsigned status = 400;
    if (h1_parse_request(bytes, end, &conn->server->request, &status, NULL) < 0) {
        if (h1_is_foreign(conn, bytes, end))
            conn_finish(conn, true);
        else
            h1_refuse(conn, status, HTTP_REFUSED);
        return count;
    }
    h1_begin(conn, &conn->server->request);
    return end;
}

/* Body bytes to the stream. */
static void
h1_deliver(struct http_conn *conn, struct str bytes)
{
    int r = stream_body(conn->u.h1.stream, bytes);
    if (r == 0 || !conn_alive(conn))
        return;
    unsigned status;
    if (!stream_refused(conn->u.h1.stream, r, &status))
        h1_refuse(conn, status, HTTP_REFUSED);
    else if (conn_alive(conn))
        conn->u.h1.phase = H1_DISCARD; /* the handler answers; the connection closes after it */
}

static size_t
h1_input_length(struct http_conn *conn, char *bytes, size_t count)
{
    struct h1_state *h1 = &conn->u.h1;
    size_t used = (size_t)MIN((uint64_t)count, h1->body_left);
    h1->body_left -= used;
    h1_deliver(conn, str_make(bytes, used));
    if (h1->body_left == 0 && h1->phase == H1_IN_LENGTH && conn->state == CONN_OPEN &&
        h1->stream != NULL && !h1->stream->closing)
        h1_request_complete(conn);
    return used;
}

static size_t
h1_input_chunked(struct http_conn *conn, char *bytes, size_t count)
{
    struct h1_state *h1 = &conn->u.h1;
    struct str input = str_make(bytes, count);
    struct str data = STR_EMPTY;
    int r = h1_chunked_next(&h1->chunked, &input, &data);
    size_t used = count - input.len;
    if (r == -ERR_AGAIN)
        return count;
    if (r < 0) {
        h1_refuse(conn, 400, HTTP_REFUSED);
        return count;
    }
    if (h1->chunked.done)
        h1_request_complete(conn);
    else
        h1_deliver(conn, data);
    return used;
}

static bool
h1_paused(const struct http_conn *conn)
{
    const struct http_stream *stream = conn->u.h1.stream;
    return stream != NULL && (stream->paused || stream->closing);
}

static size_t
h1_input(struct http_conn *conn, char *bytes, size_t count)
{
    size_t at = 0;
    while (at < count && conn->state == CONN_OPEN) {
        size_t used = 0;
        switch (conn->u.h1.phase) {
        case H1_AT_HEAD:
            used = h1_input_head(conn, bytes + at, count - at);
            break;
        case H1_IN_LENGTH:
            used = h1_paused(conn) ? 0 : h1_input_length(conn, bytes + at, count - at);
            break;
        case H1_IN_CHUNKED:
            used = h1_paused(conn) ? 0 : h1_input_chunked(conn, bytes + at, count - at);
            break;
        case H1_ANSWER:
            break;
        case H1_DISCARD:
            return count;
        }
        if (used == 0)
            return at;
        at += used;
    }
    return conn->state == CONN_OPEN ? at : count;
}

static bool
h1_wants_input(const struct http_conn *conn)
{
    switch (conn->u.h1.phase) {
    case H1_ANSWER:
        return conn->in.len < SERVER_HELD_BYTES_MAX;
    case H1_IN_LENGTH:
    case H1_IN_CHUNKED:
        return !h1_paused(conn) || conn->in.len < SERVER_HEAD_READ_BYTES;
    case H1_AT_HEAD:
    case H1_DISCARD:
        break;
    }
    return true;
}

/* Their FIN while we owe an answer: a client that is gone, or one that only finished sending? Only
 * a byte on the wire tells: a closed socket answers it with a reset. So send the first bytes that
 * the answer will have in any case: the start of its status line, or, between chunks, a leading
 * zero of the next chunk's size. (HARDENING SS-13, SS-14) */
static COLD void
h1_probe(struct http_conn *conn)
{
    struct h1_state *h1 = &conn->u.h1;
    struct http_stream *stream = h1->stream;
    if (conn->out.bytes > 0 || stream->ended)
        return;
    if (!stream->responded && !h1->probe_head) {
        h1->probe_head = true;
        conn_put(conn, STR("HTTP/1.1 "));
    } else if (stream->responded && stream->chunked) {
        conn_put(conn, STR("0"));
    }
}

static void
h1_input_end(struct http_conn *conn)
{
    switch (conn->u.h1.phase) {
    case H1_AT_HEAD:
        conn_finish(conn, false); /* an answer may still be on its way out */
        break;
    case H1_IN_LENGTH:
    case H1_IN_CHUNKED:
        /* The rest of a paused body may be here already; else it will never come. */
        if (!h1_paused(conn) || conn->in.len == 0 || conn->secure ||
            (conn->u.h1.phase == H1_IN_LENGTH && conn->in.len < conn->u.h1.body_left))
            conn_kill(conn, HTTP_PEER_GONE, false);
        else
            h1_probe(conn);
        break;
    case H1_ANSWER:
        if (conn->secure)
            conn_kill(conn, HTTP_PEER_GONE, false);
        else
            h1_probe(conn);
        break;
    case H1_DISCARD:
        break;
    }
}

static COLD void
h1_timeout(struct http_conn *conn)
{
    struct h1_state *h1 = &conn->u.h1;
    const struct http_server_conf *conf = &conn->server->conf;
    if (conn->out_blocked && h1->phase >= H1_ANSWER) {
        if (conn_too_slow(conn))
            conn_kill(conn, HTTP_TIMED_OUT, false);
        conn_deadline(conn, conf->idle_timeout_ms);
        return;
    }
    uint64_t wanted = (uint64_t)conf->body_rate_min * SERVER_BODY_WINDOW_MS / 1000u;
    switch (h1->phase) {
    case H1_AT_HEAD:
        if (conn->in.len > 0)
            h1_refuse(conn, 408, HTTP_TIMED_OUT);
        else
            conn_finish(conn, false);
        break;
    case H1_IN_LENGTH:
    case H1_IN_CHUNKED:
        if (h1->stream->paused || h1->stream->window_bytes >= wanted)
            h1_start_body_window(conn);
        else
            h1_refuse(conn, 408, HTTP_TIMED_OUT);
        break;
    case H1_ANSWER:
    case H1_DISCARD:
        break;
    }
}

static COLD void
h1_drain(struct http_conn *conn)
{
    conn->u.h1.keep_alive = false;
    if (conn->u.h1.phase == H1_AT_HEAD && conn->in.len == 0)
        conn_finish(conn, false);
}

static void
h1_fill(struct http_conn *conn)
{
    (void)conn;
}

static void
h1_flushed(struct http_conn *conn)
{
    struct h1_state *h1 = &conn->u.h1;
    struct http_stream *stream = h1->stream;
    if (stream == NULL || stream->closing)
        return;
    if (stream->want_writable && conn->out.bytes < SERVER_LOW_BYTES && !stream->ended) {
        stream->want_writable = false;
        if (conn->server->conf.handler->writable != NULL)
            conn->server->conf.handler->writable(stream);
    }
    if (!stream->ended || conn->out.bytes > 0 || !conn_alive(conn) || stream->closing)
        return;
    bool complete = h1->phase == H1_ANSWER;
    h1->stream = NULL;
    h1->probe_head = false;
    h1->phase = H1_AT_HEAD;
    conn->channel.io.ahead = !conn->secure && stream->body_seen <= H1_LITTLE_BYTES;
    stream_close(stream, HTTP_DONE);
    if (conn->state != CONN_OPEN)
        return;
    if (!h1->keep_alive || !complete ||
        (conn->peer_end && conn->in.len == 0 && !conn->read_pending)) {
        conn_finish(conn, !complete || conn->in.len > 0);
        return;
    }
    conn_deadline(conn, conn->server->conf.idle_timeout_ms);
    if (conn->in.len > 0 || conn->read_pending)
        conn_more(conn);
}

static void
h1_fini(struct http_conn *conn)
{
    conn->u.h1.stream = NULL;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* A Date, unless the handler brought one, in front of the empty line that ends the head. */
static void
h1_put_date(struct http_server *server, const struct http_field *fields, size_t field_count)
{
    for (size_t i = 0; i < field_count; i++) {
        if (str_eq(fields[i].name, STR("date")))
            return;
    }
    struct buf *head = &server->head;
    head->len -= 2;
    buf_put_str(head, STR("date: "));
    buf_put_str(head, server_date(server));
    buf_put_str(head, STR("\r\n\r\n"));
}

static void
h1_respond(struct http_stream *stream, unsigned status, const struct http_field *fields,
           size_t field_count, uint64_t length)
{
    struct http_conn *conn = stream->conn;
    struct h1_state *h1 = &conn->u.h1;
    if (h1->minor0 && status < 200)
        return; /* HTTP/1.0 knows no interim answers */
    bool final = status >= 200;
    bool none = !final || status == 204 || status == 304;
    if (final) {
        if (h1->phase != H1_ANSWER || conn->server->draining)
            h1->keep_alive = false;
        if (length == HTTP_LENGTH_UNKNOWN && !stream->no_body) {
            stream->chunked = !h1->minor0;
            none = h1->minor0; /* HTTP/1.0: until close */
        }
    }
    struct buf *head = &conn->server->head;
    head->len = 0;
    head->failed = false;
    if (h1_put_response(head, status, fields, field_count, length, none, final && !h1->keep_alive) <
        0) {
        conn_kill(conn, HTTP_ABORTED, false);
        return;
    }
    if (final)
        h1_put_date(conn->server, fields, field_count);
    struct str text = buf_str(head);
    if (h1->probe_head) {
        text = str_skip(text, STR("HTTP/1.1 ").len);
        h1->probe_head = false;
    }
    if (head->failed)
        conn_kill(conn, HTTP_ABORTED, false);
    else
        conn_put(conn, text);
}

static void
h1_write(struct http_stream *stream, struct str bytes)
{
    struct http_conn *conn = stream->conn;
    if (!stream->chunked) {
        conn_put(conn, bytes);
        return;
    }
    char size[18];
    size_t size_len = h1_chunk_size(size, bytes.len);
    conn_put(conn, str_make(size, size_len));
    conn_put(conn, bytes);
    conn_put(conn, STR("\r\n"));
}

/* Below this a copy and one write at the end of the turn is cheaper. */
#define WRITE_NOW_BYTES_MIN 4096u
#define WRITE_NOW_BLOCKS_MAX 4

static void
h1_write_now(struct http_stream *stream, struct str bytes)
{
    struct http_conn *conn = stream->conn;
    UNINIT struct iovec iov[WRITE_NOW_BLOCKS_MAX + 3];
    int count = out_iov(&conn->out, iov, WRITE_NOW_BLOCKS_MAX);
    size_t queued = 0;
    for (int i = 0; i < count; i++)
        queued += iov[i].iov_len;
    if (bytes.len < WRITE_NOW_BYTES_MIN || conn->out_blocked || queued < conn->out.bytes) {
        h1_write(stream, bytes);
        return;
    }
    char size[18];
    struct str parts[3] = {STR_EMPTY, bytes, STR_EMPTY};
    if (stream->chunked) {
        parts[0] = str_make(size, h1_chunk_size(size, bytes.len));
        parts[2] = STR("\r\n");
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].len > 0)
            iov[count++] = (struct iovec){(void *)(uintptr_t)parts[i].ptr, parts[i].len};
    }
    size_t written = conn_write_iov(conn, iov, count);
    if (!conn_alive(conn))
        return;
    size_t taken = MIN(written, queued);
    out_take(&conn->server->pool, &conn->out, taken);
    written -= taken;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t skip = MIN(written, parts[i].len);
        written -= skip;
        if (parts[i].len > skip)
            conn_put(conn, str_skip(parts[i], skip));
    }
}

static COLD void
h1_put_trailers(struct http_conn *conn, const struct http_trailers *trailers)
{
    conn_put(conn, STR("0\r\n"));
    for (size_t i = 0; i < trailers->count; i++) {
        conn_put(conn, trailers->fields[i].name);
        conn_put(conn, STR(": "));
        conn_put(conn, trailers->fields[i].value);
        conn_put(conn, STR("\r\n"));
    }
    conn_put(conn, STR("\r\n"));
}

static void
h1_end(struct http_stream *stream)
{
    if (stream->chunked && LIKELY(stream->trailers == NULL))
        conn_put(stream->conn, STR("0\r\n\r\n"));
    else if (stream->chunked)
        h1_put_trailers(stream->conn, stream->trailers);
    conn_dirty(stream->conn);
}

static COLD void
h1_abort(struct http_stream *stream)
{
    struct http_conn *conn = stream->conn;
    /* Without framing a clean close would look like the end: reset instead. */
    if (stream->responded && !stream->chunked && stream->length_left == HTTP_LENGTH_UNKNOWN)
        conn_reset_on_close(conn);
    conn_kill(conn, HTTP_ABORTED, true);
}

static size_t
h1_queued(const struct http_stream *stream)
{
    return stream->conn->out.bytes;
}

const struct server_proto server_h1 = {
    .input = h1_input,
    .wants_input = h1_wants_input,
    .input_end = h1_input_end,
    .fill = h1_fill,
    .flushed = h1_flushed,
    .timeout = h1_timeout,
    .drain = h1_drain,
    .fini = h1_fini,
    .respond = h1_respond,
    .write = h1_write,
    .write_now = h1_write_now,
    .end = h1_end,
    .abort = h1_abort,
    .queued = h1_queued,
};
