/* SPDX-License-Identifier: MIT
 * client_h1.c - HTTP/1.1 on one connection of the client: one call at a time, a writev out, a read
 * in, parsed in place. Floor: lib/http; its loop's thread. Owns: what is held of an incomplete head
 * or a paused body. Invariant: a connection goes back to the pool only when the request was sent
 * completely, the reply was parsed completely and not one byte is left over. client_hostile_test.c.
 */
#include <limits.h>

#include "lib/base/check.h"
#include "lib/http/client_int.h"

#define READ_ROUNDS_MAX 8
#define UPLOAD_PIECE_BYTES (32u * 1024u)
#define COPY_BYTES_MAX 2048u /* a smaller body is copied behind its head: one piece to send */

enum h1_state { H1_HEAD, H1_LENGTH, H1_CHUNKED, H1_UNTIL_CLOSE };

static int
h1_open(struct client_conn *conn, struct err *err)
{
    (void)err;
    conn->u.h1 = (struct client_h1){.state = H1_HEAD};
    buf_init(&conn->u.h1.held, SIZE_MAX / 4);
    return 0;
}

static bool
h1_has_room(const struct client_conn *conn)
{
    return conn->u.h1.call == NULL;
}

static void
h1_assign(struct client_conn *conn, struct http_call *call)
{
    struct client_h1 *h1 = &conn->u.h1;
    ASSERT(h1->call == NULL && conn->out.len == 0 && h1->held.len == 0);
    h1->call = call;
    h1->state = H1_HEAD;
    h1->head_seen = 0;
    h1->interim_count = 0;
    h1->reply_seen = false;
    h1->write_broken = false;
    if (conn->used == 1)
        call->timings.connected_ns = conn_now_ns(conn);
    conn_busy(conn);
    upstream_dirty(conn);
}

static void
h1_close(struct client_conn *conn)
{
    buf_fini(&conn->u.h1.held);
    conn->u.h1.call = NULL;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static COLD void
h1_fail(struct client_conn *conn, int code, const char *text)
{
    struct http_call *call = TAKE(conn->u.h1.call);
    conn_destroy(conn);
    if (call != NULL)
        call_fail(call, code, text);
}

/* The transport ended or broke. */
static COLD void
h1_lost(struct client_conn *conn, int code)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct http_call *call = h1->call;
    bool stale = conn->used > 1 && !h1->reply_seen;
    if (call == NULL) {
        conn_destroy(conn);
        return;
    }
    if (h1->state == H1_UNTIL_CLOSE && code == -ERR_CLOSED) {
        h1->call = NULL;
        conn_destroy(conn);
        call_done(call);
        return;
    }
    bool again = !call->head_put || call->retry_stale; /* unsent: surely not acted upon */
    if (stale && again && call_may_retry(call)) {
        h1->call = NULL;
        conn_destroy(conn);
        call_requeue(call);
        return;
    }
    h1_fail(conn, code,
            h1->state != H1_HEAD ? "the upstream closed the connection before the end of its reply"
            : h1->reply_seen     ? "the upstream closed the connection within the head of its reply"
                                 : "the upstream closed the connection without a reply");
}

/* The reply is complete; `rest` bytes follow it. */
static void
h1_complete(struct client_conn *conn, size_t rest)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct http_call *call = TAKE(h1->call);
    bool reusable =
        h1->keep_alive && rest == 0 && call->sent && !h1->write_broken && conn->origin->refs > 0;
    if (!reusable) {
        conn_destroy(conn);
    } else {
        h1->state = H1_HEAD;
        conn->channel.io.ahead = h1->little;
        conn_idle(conn);
    }
    call_done(call);
}

/* Heads are delivered to paused calls too. */
static bool
h1_stopped(const struct client_h1 *h1)
{
    return h1->call->paused && h1->state != H1_HEAD;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* One complete head of `size` bytes at `bytes`. false: the call ended. */
static bool
h1_take_head(struct client_conn *conn, char *bytes, size_t size, size_t rest)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct http_call *call = h1->call;
    struct h1_head *head = &conn_client(conn)->h1_head;
    UNINIT struct err err; /* set by the parser when it refuses */
    if (h1_parse_response(bytes, size, call->head_request, head, &err) != 0) {
        h1_fail(conn, -ERR_PROTOCOL, err.text);
        return false;
    }
    if (head->http.status < 200) {
        if (head->http.status == 101) {
            h1_fail(conn, -ERR_PROTOCOL, "the upstream switched protocols unasked");
            return false;
        }
        if (++h1->interim_count > CLIENT_INTERIM_MAX) {
            h1_fail(conn, -ERR_PROTOCOL, "the upstream sends interim replies without end");
            return false;
        }
        return true;
    }
    h1->keep_alive = head->keep_alive;
    conn->channel.io.ahead = false; /* it may be paused from now on */
    call->phase = HTTP_HEAD_SEEN;
    bool empty = false;
    switch (head->body) {
    case H1_BODY_NONE:
        empty = true;
        break;
    case H1_BODY_LENGTH:
        h1->state = H1_LENGTH;
        h1->left = head->http.content_length;
        empty = h1->left == 0;
        break;
    case H1_BODY_CHUNKED:
        h1->state = H1_CHUNKED;
        h1->chunked = (struct h1_chunked){0};
        break;
    case H1_BODY_UNTIL_CLOSE:
        h1->state = H1_UNTIL_CLOSE;
        h1->keep_alive = false;
        break;
    }
    h1->little = conn->channel.tls == NULL && h1->state == H1_LENGTH && h1->left <= H1_LITTLE_BYTES;
    if (call->ops->head != NULL)
        call->ops->head(call, &head->http);
    if (conn->state == CONN_DEAD)
        return false;
    if (empty) {
        h1_complete(conn, rest);
        return false;
    }
    return true;
}

static bool
h1_deliver(struct client_conn *conn, struct str bytes, bool last)
{
    struct http_call *call = conn->u.h1.call;
    if (call->ops->body != NULL && bytes.len > 0)
        call->ops->body(call, bytes, last);
    return conn->state != CONN_DEAD;
}

static bool
h1_take_length(struct client_conn *conn, struct str *in)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct str piece = str_make(in->ptr, (size_t)MIN((uint64_t)in->len, h1->left));
    *in = str_skip(*in, piece.len);
    h1->left -= piece.len;
    if (!h1_deliver(conn, piece, h1->left == 0))
        return false;
    if (h1->left > 0)
        return true;
    h1_complete(conn, in->len);
    return false;
}

static bool
h1_take_chunked(struct client_conn *conn, struct str *in)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct str piece = STR_EMPTY;
    int rc = h1_chunked_next(&h1->chunked, in, &piece);
    if (rc == -ERR_AGAIN) {
        *in = STR_EMPTY;
        return true;
    }
    if (rc != 0) {
        h1_fail(conn, -ERR_PROTOCOL, "malformed chunked framing in the upstream's reply");
        return false;
    }
    if (!h1_deliver(conn, piece, false))
        return false;
    if (!h1->chunked.done)
        return true;
    h1_complete(conn, in->len);
    return false;
}

/* Whole heads at the front of *in. false: the call ended, or the rest was held for later. */
static bool
h1_take_heads(struct client_conn *conn, struct str *in)
{
    struct client_h1 *h1 = &conn->u.h1;
    size_t size = h1_head_end(in->ptr, in->len, h1->head_seen);
    if (size > HTTP_HEAD_BYTES_MAX || (size == 0 && in->len > HTTP_HEAD_BYTES_MAX)) {
        h1_fail(conn, -ERR_TOO_LARGE, "the head of the upstream's reply is larger than 64 KiB");
        return false;
    }
    if (size == 0) {
        h1->head_seen = in->len;
        if (buf_put(&h1->held, in->ptr, in->len) != 0)
            h1_fail(conn, -ERR_NOMEM, err_text(ERR_NOMEM));
        return false;
    }
    h1->head_seen = 0;
    /* The bytes are our own scratch or held copy. */
    char *bytes = (char *)(uintptr_t)in->ptr;
    *in = str_skip(*in, size);
    return h1_take_head(conn, bytes, size, in->len);
}

/* Feed bytes that stay in place during the call. */
static void
h1_feed(struct client_conn *conn, struct str in)
{
    struct client_h1 *h1 = &conn->u.h1;
    while (in.len > 0) {
        bool more = false;
        if (h1_stopped(h1)) {
            if (buf_put_str(&h1->held, in) != 0)
                h1_fail(conn, -ERR_NOMEM, err_text(ERR_NOMEM));
            return;
        }
        switch ((enum h1_state)h1->state) {
        case H1_HEAD:
            more = h1_take_heads(conn, &in);
            break;
        case H1_LENGTH:
            more = h1_take_length(conn, &in);
            break;
        case H1_CHUNKED:
            more = h1_take_chunked(conn, &in);
            break;
        case H1_UNTIL_CLOSE:
            more = h1_deliver(conn, in, false);
            in = STR_EMPTY;
            break;
        }
        if (!more)
            return;
    }
}

/* What was held, with new bytes behind it. The block is ours until the end, whatever callbacks do.
 */
static void
h1_feed_held(struct client_conn *conn, struct str in)
{
    struct buf held = conn->u.h1.held;
    buf_init(&conn->u.h1.held, held.max);
    if (buf_put_str(&held, in) != 0)
        h1_fail(conn, -ERR_NOMEM, err_text(ERR_NOMEM));
    else
        h1_feed(conn, buf_str(&held));
    buf_fini(&held);
}

/* false: the call ended or must not get more. */
static bool
h1_received(struct client_conn *conn, struct str in)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct http_call *call = h1->call;
    if (call == NULL) { /* bytes nobody asked for */
        conn_destroy(conn);
        return false;
    }
    if (!call->head_put) {
        /* They came before the request: left over from an earlier reply. */
        if (conn->used > 1 && call_may_retry(call)) {
            h1->call = NULL;
            conn_destroy(conn);
            call_requeue(call);
        } else {
            h1_fail(conn, -ERR_PROTOCOL, "the upstream sent bytes before the request");
        }
        return false;
    }
    if (!h1->reply_seen) {
        h1->reply_seen = true;
        call->timings.first_byte_ns = conn_now_ns(conn);
        if (call->sent)
            call_head_drop(call);
    }
    if (h1->held.len > 0)
        h1_feed_held(conn, in);
    else
        h1_feed(conn, in);
    return conn->state == CONN_OPEN && h1->call == call && !h1_stopped(h1);
}

static void
h1_readable(struct client_conn *conn, bool hangup)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct http_client *client = conn_client(conn);
    bool again = hangup || conn->channel.tls != NULL;
    for (int round = 0; round < READ_ROUNDS_MAX; round++) {
        size_t count = 0;
        if (h1->call != NULL && h1_stopped(h1)) {
            conn->read_more = true;
            return;
        }
        int rc = channel_read(&conn->channel, client->scratch, sizeof(client->scratch), &count);
        if (rc == -ERR_AGAIN && !h1->write_broken) {
            conn->read_more = false;
            return;
        }
        if (rc != 0) {
            h1_lost(conn, rc == -ERR_AGAIN ? -ERR_CLOSED : rc);
            return;
        }
        conn->read_more = again || count == sizeof(client->scratch);
        if (!h1_received(conn, str_make(client->scratch, count))) {
            /* The end of the connection may be behind the reply. */
            if (conn->state == CONN_OPEN && conn->read_more)
                conn_soon(conn);
            return;
        }
        if (!conn->read_more)
            return;
    }
    conn_soon(conn);
}

static void
h1_resume(struct client_conn *conn, struct http_call *call)
{
    struct client_h1 *h1 = &conn->u.h1;
    if (h1->held.len > 0)
        h1_feed_held(conn, STR_EMPTY);
    if (conn->state == CONN_OPEN && h1->call == call && !h1_stopped(h1) && conn->read_more)
        h1_readable(conn, true);
}

static COLD void
h1_cancel(struct client_conn *conn, struct http_call *call)
{
    ASSERT(conn->u.h1.call == call);
    conn->u.h1.call = NULL;
    conn_destroy(conn);
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool
h1_unsent(const struct client_conn *conn)
{
    const struct http_call *call = conn->u.h1.call;
    return call != NULL && !call->sent;
}

/* What a streaming caller wrote: a piece at a time, since what waits here is counted nowhere. */
static int
h1_frame_upload(struct client_conn *conn, struct http_call *call)
{
    char size[18];
    bool chunked = call->body_bytes == 0;
    size_t count = MIN(call_upload_left(call), (size_t)UPLOAD_PIECE_BYTES);
    if (call->upload.failed)
        return -ERR_TOO_LARGE;
    if (conn->out.len > 0)
        return 0;
    if (count > 0) {
        if (chunked) /* its length was not announced */
            buf_put(&conn->out, size, h1_chunk_size(size, count));
        buf_put(&conn->out, call->upload.ptr + call->upload_sent, count);
        if (chunked)
            buf_put(&conn->out, "\r\n", 2);
        call->upload_sent += count;
    }
    if (call_upload_left(call) == 0) {
        call->upload.len = 0;
        call->upload_sent = 0;
    }
    if (call->upload_ended && call->upload.len == 0 && !call->upload_framed) {
        call->upload_framed = true;
        if (chunked)
            buf_put(&conn->out, "0\r\n\r\n", 5);
        buf_fini(&call->upload);
    }
    return conn->out.failed ? -ERR_NOMEM : 0;
}

/* Everything that could be written now; returns how many entries. */
static int
h1_gather(const struct client_conn *conn, const struct http_call *call, struct iovec *iov,
          size_t *ret_bytes)
{
    int count = 0;
    size_t bytes = 0;
    if (conn->out.len > 0) {
        iov[count++] = (struct iovec){conn->out.ptr, conn->out.len};
        bytes += conn->out.len;
    }
    size_t offset = call->segment_offset;
    for (size_t i = call->segment_index; i < call->segment_count && count < CLIENT_IOV_COUNT; i++) {
        struct str piece = str_skip(call->segments[i], offset);
        offset = 0;
        if (piece.len == 0)
            continue;
        iov[count++] = (struct iovec){(void *)(uintptr_t)piece.ptr, piece.len};
        bytes += piece.len;
    }
    *ret_bytes = bytes;
    return count;
}

static void
h1_written(struct client_conn *conn, struct http_call *call, size_t count)
{
    size_t from_out = MIN(count, conn->out.len);
    if (from_out > 0)
        buf_consume(&conn->out, from_out);
    count -= from_out;
    while (count > 0) {
        size_t left = call->segments[call->segment_index].len - call->segment_offset;
        if (count < left) {
            call->segment_offset += count;
            return;
        }
        count -= left;
        call->segment_index++;
        call->segment_offset = 0;
    }
}

static void
h1_all_sent(struct client_conn *conn, struct http_call *call)
{
    buf_fini(&conn->out);
    if (call->streaming && !call->upload_framed)
        return;
    call->sent = true;
    call->timings.sent_ns = conn_now_ns(conn);
    if (call->phase < HTTP_WAITING)
        call->phase = HTTP_WAITING;
    bool keep = conn->used > 1 && call->retry_stale && !call->retried && !conn->u.h1.reply_seen;
    if (!keep)
        call_head_drop(call);
}

static int
h1_put_head(const struct client_conn *conn, const struct http_call *call, struct buf *head)
{
    head->len = 0;
    head->failed = false;
    if (call->head->wire.len > 0)
        return buf_put_str(head, call->head->wire);
    bool none = false;
    uint64_t length =
        call_body_length(call->head->method, call->streaming, call->body_bytes, &none);
    return h1_put_request(head, call->head->method, call->head->target,
                          str_from(conn->origin->authority), call->head->fields,
                          call->head->field_count, length, none);
}

/* The head goes through the client's buffer: a copy is kept only of what the kernel did not take.
 */
static int
h1_write_head(struct client_conn *conn, struct http_call *call)
{
    struct buf *head = &conn_client(conn)->head_out;
    UNINIT struct iovec iov[CLIENT_IOV_COUNT];
    size_t bytes = 0;
    size_t count = 0;
    int rc = h1_put_head(conn, call, head);
    if (rc != 0)
        return rc;
    if (call->body_bytes > 0 && call->body_bytes <= COPY_BYTES_MAX) {
        for (size_t i = 0; i < call->segment_count; i++)
            buf_put_str(head, call->segments[i]);
        call->segment_index = call->segment_count;
        if (head->failed)
            return -ERR_NOMEM;
    }
    struct buf empty = conn->out;
    conn->out = *head; /* as if it were queued, for h1_gather */
    int entries = h1_gather(conn, call, iov, &bytes);
    conn->out = empty;
    call->head_put = true;
    rc = channel_writev(&conn->channel, iov, entries, &count);
    if (rc != 0 && rc != -ERR_AGAIN)
        return rc;
    size_t from_head = MIN(count, head->len);
    if (from_head < head->len)
        return buf_put(&conn->out, head->ptr + from_head, head->len - from_head);
    h1_written(conn, call, count - from_head);
    return count == bytes ? 0 : -ERR_AGAIN;
}

static int
h1_write_rest(struct client_conn *conn, struct http_call *call)
{
    for (;;) {
        UNINIT struct iovec iov[CLIENT_IOV_COUNT];
        size_t bytes = 0;
        size_t count = 0;
        if (call->streaming) {
            int rc = h1_frame_upload(conn, call);
            if (rc != 0)
                return rc;
        }
        int entries = h1_gather(conn, call, iov, &bytes);
        if (entries == 0)
            return 0;
        int rc = channel_writev(&conn->channel, iov, entries, &count);
        if (rc != 0)
            return rc;
        h1_written(conn, call, count);
        if (count < bytes)
            return -ERR_AGAIN;
    }
}

static void
h1_flush(struct client_conn *conn)
{
    struct client_h1 *h1 = &conn->u.h1;
    struct http_call *call = h1->call;
    if (call == NULL || call->sent || h1->write_broken)
        return;
    int rc = call->head_put ? 0 : h1_write_head(conn, call);
    if (rc == 0 &&
        (conn->out.len > 0 || call->streaming || call->segment_index < call->segment_count))
        rc = h1_write_rest(conn, call);
    if (rc == 0)
        h1_all_sent(conn, call);
    if (rc == -ERR_TOO_LARGE || rc == -ERR_NOMEM) {
        h1_fail(conn, rc, "the request body is written faster than the upstream reads");
        return;
    }
    if (rc != 0 && rc != -ERR_AGAIN) {
        /* An early reply may still be readable; the read tells how it ends. */
        h1->write_broken = true;
        conn_soon(conn);
        return;
    }
    if (call->streaming && call->upload_full)
        call_upload_level(call, call_upload_left(call) + conn->out.len);
}

static void
h1_upload(struct client_conn *conn, struct http_call *call)
{
    (void)call;
    upstream_dirty(conn);
}

const struct client_proto client_proto_h1 = {
    .open = h1_open,
    .has_room = h1_has_room,
    .assign = h1_assign,
    .readable = h1_readable,
    .flush = h1_flush,
    .unsent = h1_unsent,
    .cancel = h1_cancel,
    .resume = h1_resume,
    .upload = h1_upload,
    .close = h1_close,
};
