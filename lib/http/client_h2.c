/* SPDX-License-Identifier: MIT
 * client_h2.c - HTTP/2 on one connection of the client: what is received, and how streams end.
 * Floor: lib/http; its loop's thread.
 * Owns: struct client_h2 and its session.
 * Invariant: a call is on h2->calls exactly as long as it owns its stream. A paused stream holds
 *            at most its window.
 *            client_h2_test.c, client_h2_ends_test.c. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/http/client_int.h"
#include "lib/http/message_int.h"

#define STREAM_WINDOW_BYTES (512 * 1024)
#define CONN_WINDOW_BYTES (16 * 1024 * 1024)
#define READ_ROUNDS_MAX 8

static void
h2_free(struct client_h2 *h2)
{
    h2_session_free(&h2->session);
    free(h2);
}

/* ---- streams leave --------------------------------------------------------------------------- */

/* The call leaves the connection; its stream goes on without an owner until the session closes it.
 * */
static void
h2_detach(struct client_h2 *h2, struct http_call *call)
{
    if (call->stream_id != 0) {
        h2_session_own(h2->session, call->stream_id, NULL);
        h2_abuse_finished(&h2->abuse);
    }
    list_remove(&call->node);
    list_remove(&call->soon);
    call->conn = NULL;
    if (h2->head_call == call)
        h2->head_call = NULL;
    ASSERT(h2->call_count > 0);
    h2->call_count--;
}

static void
h2_settle(struct client_h2 *h2)
{
    if (h2->conn->state != CONN_OPEN)
        return;
    if (h2->call_count == 0 && !h2->draining)
        conn_idle(h2->conn);
    else if (h2->call_count > 0)
        origin_pump(h2->conn->origin);
    else
        conn_soon(h2->conn); /* drained: destroyed outside of the session's callbacks */
}

/* A call of which the peer never heard: to another connection, or here when there is room. */
static COLD void
h2_give_back(struct client_h2 *h2, struct http_call *call)
{
    h2_detach(h2, call);
    call_return(call);
}

static void
h2_reset(struct client_h2 *h2, struct http_call *call, uint32_t code)
{
    h2_session_reset(h2->session, call->stream_id, code);
    upstream_dirty(h2->conn);
}

static COLD void
h2_call_failed(struct client_h2 *h2, struct http_call *call, int code, const char *text)
{
    h2_detach(h2, call);
    h2_settle(h2);
    call_fail(call, code, text);
}

static COLD void
h2_call_refused(struct client_h2 *h2, struct http_call *call, int code, const char *text)
{
    h2_reset(h2, call, H2_CANCEL);
    h2_call_failed(h2, call, code, text);
}

static void
h2_call_done(struct client_h2 *h2, struct http_call *call)
{
    /* An early reply: the rest of the request is not wanted. */
    if (!call->sent)
        h2_reset(h2, call, H2_CANCEL);
    h2_detach(h2, call);
    h2_settle(h2);
    call_done(call);
}

/* The connection is lost for all of its calls. */
static COLD void
h2_lost(struct client_conn *conn, int code, const char *text)
{
    struct client_h2 *h2 = conn->u.h2;
    uint32_t heard = h2->heard;
    struct list calls;
    list_init(&calls);
    struct list *const lists[] = {&h2->closed, &h2->calls, &h2->fresh};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (!list_empty(lists[i])) {
            struct http_call *call = LIST_ENTRY(lists[i]->next, struct http_call, node);
            h2_detach(h2, call);
            list_push_back(&calls, &call->node);
        }
    }
    conn_destroy(conn);
    for (struct list *node; (node = list_pop_front(&calls)) != NULL;) {
        struct http_call *call = LIST_ENTRY(node, struct http_call, node);
        bool silent = call->retry_stale && call->heard_before == heard;
        bool stale = !call->head_put || (call->reused && !call->reply_seen && silent);
        if (stale && call_may_retry(call))
            call_requeue(call);
        else
            call_fail(call, code, text);
    }
}

/* ---- what the session tells ------------------------------------------------------------------ */

static int
on_head(void *user, uint32_t id, void *owner)
{
    struct client_h2 *h2 = user;
    struct http_call *call = owner;
    (void)id;
    h2->content_length = HTTP_LENGTH_UNKNOWN;
    h2->field_count = 0;
    h2->text_len = 0;
    h2->list_bytes = HPACK_ENTRY_BYTES + 10; /* :status */
    h2->head_call = call;
    if (call != NULL && !call->reply_seen) {
        call->reply_seen = true;
        call->timings.first_byte_ns = conn_now_ns(h2->conn);
    }
    return 0;
}

/* Fields of the connection go no further, nor do names that could be read as another. */
static bool
field_is_forwarded(struct str name)
{
    static const struct str never[] = {
        STR("host"), STR("connection"), STR("transfer-encoding"), STR("keep-alive"), STR("upgrade"),
        STR("te"),   STR("expect"),     STR("trailer"),
    };
    static const uint32_t lengths = 1u << 2 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 10 | 1u << 17;
    bool maybe = name.len < 32 && (lengths >> name.len & 1u) != 0;
    for (size_t i = 0; maybe && i < ARRAY_LEN(never); i++) {
        if (str_eq(name, never[i]))
            return false;
    }
    return !str_starts(name, STR("proxy-")) && str_find_byte(name, '_') == SIZE_MAX;
}

static bool
head_add(struct client_h2 *h2, struct str name, struct str value)
{
    if (h2->field_count >= HTTP_FIELDS_MAX ||
        name.len + value.len > sizeof(h2->text) - h2->text_len)
        return false;
    char *at = h2->text + h2->text_len;
    (void)http_put(http_put(at, name), value);
    h2->fields[h2->field_count++] = (struct http_field){
        .name = str_make(at, name.len), .value = str_make(at + name.len, value.len)};
    h2->text_len += name.len + value.len;
    return true;
}

static int
on_end(void *user, uint32_t id, void *owner)
{
    struct http_call *call = owner;
    (void)id;
    if (call == NULL)
        return 0;
    if (call->held.len > 0 || call->paused)
        call->reply_ended = true;
    else
        h2_call_done(user, call);
    return 0;
}

static const char too_large[] =
    "the head of the upstream's reply is larger than 64 KiB or 100 fields";

static int
on_field(void *user, struct str name, struct str value)
{
    struct client_h2 *h2 = user;
    struct http_call *call = h2->head_call;
    uint64_t number = 0;
    if (call == NULL) /* canceled */
        return 0;
    h2->list_bytes += name.len + value.len + HPACK_ENTRY_BYTES; /* as the session counts */
    if (h2->list_bytes > HTTP_HEAD_BYTES_MAX) {
        h2_call_refused(h2, call, -ERR_TOO_LARGE, too_large);
        return 0;
    }
    if (str_eq(name, STR("content-length"))) {
        if (num_u64(value, UINT64_MAX - 1, &number) == 0)
            h2->content_length = number;
        return 0;
    }
    if (field_is_forwarded(name) && !head_add(h2, name, value))
        h2_call_refused(h2, call, -ERR_TOO_LARGE, too_large);
    return 0;
}

static int
on_head_end(void *user, uint32_t id, void *owner, uint16_t status, bool end)
{
    struct client_h2 *h2 = user;
    struct http_call *call = h2->head_call;
    (void)owner; /* it may have left in on_field */
    if (call == NULL)
        return 0;
    if (status < 200) {
        if (++call->interim_count > CLIENT_INTERIM_MAX)
            h2_call_refused(h2, call, -ERR_PROTOCOL, "bad or endless interim replies");
        return 0;
    }
    struct http_head head = {
        .fields = h2->fields,
        .field_count = h2->field_count,
        .status = status,
        .content_length = h2->content_length,
    };
    call->phase = HTTP_HEAD_SEEN;
    call->reply_left = h2->content_length;
    call_head_drop(call);
    if (call->ops->head != NULL)
        call->ops->head(call, &head);
    /* Asked again: its callback may have canceled. */
    return end ? on_end(h2, id, h2_session_owner(h2->session, id)) : 0;
}

static void
h2_deliver(struct http_call *call, struct str bytes)
{
    bool last = false;
    if (call->reply_left != HTTP_LENGTH_UNKNOWN) {
        call->reply_left -= MIN(call->reply_left, (uint64_t)bytes.len);
        last = call->reply_left == 0;
    }
    if (call->ops->body != NULL && bytes.len > 0)
        call->ops->body(call, bytes, last);
}

static int
on_data(void *user, uint32_t id, void *owner, struct str bytes)
{
    struct client_h2 *h2 = user;
    struct http_call *call = owner;
    if (call == NULL || bytes.len == 0)
        return 0;
    if (call->paused || call->held.len > 0) {
        if (buf_put_str(&call->held, bytes) != 0)
            h2_call_refused(h2, call, -ERR_NOMEM, err_text(ERR_NOMEM));
        return 0;
    }
    h2_session_consume(h2->session, id, bytes.len);
    h2_deliver(call, bytes);
    return 0;
}

/* The stream of `call` closed before its reply was complete. */
static COLD void
h2_stream_closed(struct client_h2 *h2, struct http_call *call, uint32_t error_code)
{
    char text[128];
    if (error_code == H2_REFUSED_STREAM && call_may_retry(call)) {
        /* Surely not acted upon. */
        h2_detach(h2, call);
        h2_settle(h2);
        call_requeue(call);
        return;
    }
    bool protocol = error_code == H2_PROTOCOL_ERROR || error_code == H2_FLOW_CONTROL_ERROR ||
                    error_code == H2_COMPRESSION_ERROR;
    (void)snprintf(text, sizeof(text), "the stream was reset: %s", h2_code_text(error_code));
    if (error_code == H2_REFUSED_STREAM && call->phase < HTTP_HEAD_SEEN) {
        h2_detach(h2, call);
        h2_settle(h2);
        call->phase = HTTP_QUEUED; /* as if it had not left: whoever has its body may try again */
        call_fail(call, -ERR_CLOSED, text);
        return;
    }
    h2_call_failed(h2, call, protocol ? -ERR_PROTOCOL : -ERR_CLOSED, text);
}

static int
on_closed(void *user, uint32_t id, void *owner, uint32_t error_code)
{
    struct client_h2 *h2 = user;
    struct http_call *call = owner;
    (void)id;
    if (call->reply_ended) /* what is held is still to be delivered */
        return 0;
    if (!h2->sending) {
        h2_stream_closed(h2, call, error_code);
        return 0;
    }
    call->close_code = error_code;
    list_remove(&call->node);
    list_push_back(&h2->closed, &call->node);
    return 0;
}

/* ---- the protocol's table -------------------------------------------------------------------- */

static int
on_settings(void *user)
{
    struct client_h2 *h2 = user;
    uint32_t most = h2_session_streams_max(h2->session);
    if (h2->conn->state != CONN_OPEN)
        return 0;
    /* Acknowledged before what is not submitted yet: not one stream more than they say. */
    bool returned = false;
    while (h2->call_count > most && !list_empty(&h2->fresh)) {
        h2_give_back(h2, LIST_ENTRY(h2->fresh.prev, struct http_call, node));
        returned = true;
    }
    if (returned)
        h2_settle(h2);
    else
        origin_pump(h2->conn->origin); /* they may allow more streams now */
    return 0;
}

static int
on_goaway(void *user)
{
    struct client_h2 *h2 = user;
    h2->draining = true;
    if (h2->call_count == 0)
        conn_soon(h2->conn);
    return 0;
}

static const struct h2_session_ops client_h2_ops = {
    .frame = h2_guard_frame,
    .head = on_head,
    .field = on_field,
    .head_end = on_head_end,
    .data = on_data,
    .end = on_end,
    .closed = on_closed,
    .settings = on_settings,
    .goaway = on_goaway,
    .put = h2_put,
    .want = h2_want,
    .send = h2_send_data,
};

static COLD int
h2_open(struct client_conn *conn, struct err *err)
{
    struct client_h2 *h2 = malloc(sizeof(*h2));
    if (h2 == NULL)
        return err_set(err, ERR_NOMEM, "no memory for an HTTP/2 session");
    memset(h2, 0, offsetof(struct client_h2, fields));
    h2->conn = conn;
    list_init(&h2->fresh);
    list_init(&h2->calls);
    list_init(&h2->closed);
    const struct h2_session_conf session = {
        .ops = &client_h2_ops,
        .user = h2,
        .client = true,
        .stream_window = STREAM_WINDOW_BYTES,
        .conn_window = CONN_WINDOW_BYTES,
        .header_list_bytes = HTTP_HEAD_BYTES_MAX,
    };
    if (h2_session_new(&session, &h2->session) != 0) {
        free(h2);
        return err_set(err, ERR_NOMEM, "cannot set up an HTTP/2 session");
    }
    conn->u.h2 = h2;
    h2_guard_init(h2);
    upstream_dirty(conn);
    return 0;
}

static bool
h2_has_room(const struct client_conn *conn)
{
    const struct client_h2 *h2 = conn->u.h2;
    uint32_t theirs = h2_session_streams_max(h2->session);
    uint32_t ours = conn->origin->conf.h2_streams_max;
    return !h2->draining && h2->call_count < MIN(ours, theirs);
}

static void
h2_assign(struct client_conn *conn, struct http_call *call)
{
    struct client_h2 *h2 = conn->u.h2;
    if (conn->used == 1)
        call->timings.connected_ns = conn_now_ns(conn);
    call->reused = conn->used > 1;
    call->reply_seen = false;
    list_push_back(&h2->fresh, &call->node);
    if (h2->call_count++ == 0)
        conn_busy(conn);
    upstream_dirty(conn); /* submitted there */
}

static COLD void
h2_broken(struct client_conn *conn)
{
    char text[96];
    h2_guard_why(conn->u.h2, text, sizeof text);
    (void)!h2_send(conn->u.h2); /* the GOAWAY */
    h2_lost(conn, -ERR_PROTOCOL, text);
}

static void
h2_readable(struct client_conn *conn, bool hangup)
{
    struct client_h2 *h2 = conn->u.h2;
    struct http_client *client = conn_client(conn);
    bool again = hangup || conn->channel.tls != NULL;
    for (int round = 0; round < READ_ROUNDS_MAX; round++) {
        size_t count = 0;
        if (h2->draining && h2->call_count == 0) {
            conn_destroy(conn);
            return;
        }
        int rc = channel_read(&conn->channel, client->scratch, sizeof(client->scratch), &count);
        if (rc == -ERR_AGAIN)
            return;
        if (rc != 0) {
            h2_lost(conn, rc, "the upstream closed the connection");
            return;
        }
        h2->heard++;
        h2->receiving = true;
        rc = h2_session_feed(h2->session, client->scratch, count);
        h2->receiving = false;
        if (h2->orphan) {
            h2_free(h2);
            return;
        }
        /* After our own GOAWAY for an error the session wants no more: not a byte is fed to it. */
        if (rc != 0 || !h2_session_wants_read(h2->session)) {
            h2_broken(conn);
            return;
        }
        if (h2_session_wants_write(h2->session))
            upstream_dirty(conn);
        if (!again && count < sizeof(client->scratch))
            return;
    }
    conn_soon(conn);
}

static void
h2_submit_fresh(struct client_h2 *h2)
{
    for (struct list *node; (node = list_pop_front(&h2->fresh)) != NULL;) {
        struct http_call *call = LIST_ENTRY(node, struct http_call, node);
        int rc = h2_submit(h2, call);
        if (rc == 0) {
            list_push_back(&h2->calls, &call->node);
        } else if (rc == -ERR_UNAVAILABLE) {
            h2->draining = true; /* GOAWAY, or out of stream ids: another connection */
            h2_give_back(h2, call);
        } else {
            h2_call_failed(h2, call, rc, "the request cannot be sent over HTTP/2");
        }
    }
}

/* What callers could not be told while a batch was gathered. */
static void
h2_tell(struct client_h2 *h2)
{
    for (struct list *node; (node = list_pop_front(&h2->closed)) != NULL;) {
        struct http_call *call = LIST_ENTRY(node, struct http_call, node);
        h2_stream_closed(h2, call, call->close_code);
        if (h2->conn->state != CONN_OPEN)
            return;
    }
    if (!h2->upload_drained)
        return;
    h2->upload_drained = false;
    struct list batch;
    list_init(&batch);
    while (!list_empty(&h2->calls))
        list_push_back(&batch, list_pop_front(&h2->calls));
    for (struct list *node; (node = list_pop_front(&batch)) != NULL;) {
        struct http_call *call = LIST_ENTRY(node, struct http_call, node);
        list_push_back(&h2->calls, node);
        call_upload_level(call, call_upload_left(call));
    }
}

static void
h2_flush(struct client_conn *conn)
{
    struct client_h2 *h2 = conn->u.h2;
    int rc = 0;
    /* Callers may release the origin: this session must last until the end of the function. */
    h2->receiving = true;
    h2_submit_fresh(h2);
    if (conn->state == CONN_OPEN) {
        rc = h2_send(h2);
        h2_tell(h2);
    }
    h2->receiving = false;
    if (h2->orphan) {
        h2_free(h2);
        return;
    }
    if (rc != 0 && rc != -ERR_AGAIN) {
        h2_lost(conn, rc, "the upstream closed the connection");
        return;
    }
    if (!h2_session_wants_read(h2->session) && !h2_session_wants_write(h2->session))
        h2_broken(conn);
    else if (h2->draining && h2->call_count == 0)
        conn_soon(conn);
}

static bool
h2_unsent(const struct client_conn *conn)
{
    return conn->out.len > 0 || h2_session_wants_write(conn->u.h2->session);
}

static COLD void
h2_cancel(struct client_conn *conn, struct http_call *call)
{
    struct client_h2 *h2 = conn->u.h2;
    if (call->stream_id != 0)
        h2_reset(h2, call, H2_CANCEL);
    h2_detach(h2, call);
    h2_settle(h2);
}

static void
h2_resume(struct client_conn *conn, struct http_call *call)
{
    struct client_h2 *h2 = conn->u.h2;
    struct buf held = call->held;
    buf_init(&call->held, held.max);
    if (held.len > 0) {
        h2_session_consume(h2->session, call->stream_id, held.len);
        upstream_dirty(conn);
        h2_deliver(call, buf_str(&held));
    }
    buf_fini(&held);
    if (!call->ended && !call->paused && call->reply_ended)
        h2_call_done(h2, call);
}

static void
h2_upload(struct client_conn *conn, struct http_call *call)
{
    if (call->stream_id != 0)
        h2_session_resume(conn->u.h2->session, call->stream_id);
    upstream_dirty(conn);
}

static void
h2_close(struct client_conn *conn)
{
    struct client_h2 *h2 = TAKE(conn->u.h2);
    ASSERT(h2->call_count == 0);
    if (h2->receiving)
        h2->orphan = true;
    else
        h2_free(h2);
}

const struct client_proto client_proto_h2 = {
    .open = h2_open,
    .has_room = h2_has_room,
    .assign = h2_assign,
    .readable = h2_readable,
    .flush = h2_flush,
    .unsent = h2_unsent,
    .cancel = h2_cancel,
    .resume = h2_resume,
    .upload = h2_upload,
    .close = h2_close,
};
