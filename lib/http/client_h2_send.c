/* SPDX-License-Identifier: MIT
 * client_h2_send.c - HTTP/2 on one connection of the client: requests out, many frames a writev.
 * Floor: lib/http; its loop's thread, FLUSH phase.
 * Owns: nothing: frames go through the client's wire buffer, bodies are borrowed until the writev.
 * Invariant: no callback of a caller runs between gathering a batch and writing it, so the segments
 *            in it are alive; what the kernel did not take is copied. client_h2_test.c. */
#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/http/client_int.h"

#define WIRE_FRAME_BYTES_MAX (17u * 1024u) /* a frame, header included */
#define BATCH_BYTES_MAX (256u * 1024u)
#define COPY_BYTES_MAX 1024u /* smaller pieces are cheaper copied than gathered */

/* ---- the batch ------------------------------------------------------------------------------- */

static bool
batch_full(const struct client_h2 *h2)
{
    return h2->iov_count + 2 > CLIENT_IOV_COUNT || h2->batch_bytes >= BATCH_BYTES_MAX ||
           h2->wire_len + WIRE_FRAME_BYTES_MAX > CLIENT_SCRATCH_BYTES;
}

static void
batch_refer(struct client_h2 *h2, const void *bytes, size_t count)
{
    struct iovec *last = h2->iov_count > 0 ? &h2->iov[h2->iov_count - 1] : NULL;
    h2->batch_bytes += count;
    if (last != NULL && (const char *)last->iov_base + last->iov_len == (const char *)bytes) {
        last->iov_len += count;
        return;
    }
    ASSERT(h2->iov_count < CLIENT_IOV_COUNT);
    h2->iov[h2->iov_count++] = (struct iovec){(void *)(uintptr_t)bytes, count};
}

static void
batch_copy(struct client_h2 *h2, const void *bytes, size_t count)
{
    char *at = conn_client(h2->conn)->wire + h2->wire_len;
    ASSERT(count <= CLIENT_SCRATCH_BYTES - h2->wire_len);
    memcpy(at, bytes, count);
    h2->wire_len += count;
    batch_refer(h2, at, count);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void
body_sent(struct http_call *call)
{
    call->sent = true;
    call->timings.sent_ns = conn_now_ns(call->conn);
    if (call->phase < HTTP_WAITING)
        call->phase = HTTP_WAITING;
}

int
h2_want(void *user, uint32_t id, void *owner, size_t max, enum h2_after *ret_after)
{
    struct client_h2 *h2 = user;
    const struct http_call *call = owner;
    (void)id;
    if (call == NULL || call->upload.failed)
        return H2_WANT_RESET;
    uint64_t left = call->streaming ? call_upload_left(call) : call->body_left;
    if (left == 0 && call->streaming && !call->upload_ended)
        return H2_WANT_LATER;
    if (batch_full(h2)) {
        h2->batch_cut = true;
        return H2_WANT_BLOCKED;
    }
    size_t count = (size_t)MIN(left, (uint64_t)max);
    if (count == left && (!call->streaming || call->upload_ended))
        *ret_after = H2_AFTER_END;
    return (int)count;
}

static void
gather_piece(struct client_h2 *h2, const char *bytes, size_t count)
{
    bool small = count <= COPY_BYTES_MAX && h2->wire_len + count <= CLIENT_SCRATCH_BYTES;
    /* The last element is left for what is copied when no more can be referred to. */
    if (small || h2->iov_count + 1 >= CLIENT_IOV_COUNT)
        batch_copy(h2, bytes, count);
    else
        batch_refer(h2, bytes, count);
}

/* An offset moves, not the bytes: they stay where they are until the writev. */
static void
gather_upload(struct client_h2 *h2, struct http_call *call, size_t count)
{
    ASSERT(count <= call_upload_left(call));
    if (count > 0)
        gather_piece(h2, call->upload.ptr + call->upload_sent, count);
    call->upload_sent += count;
    if (call->upload_sent == call->upload.len) {
        call->upload.len = 0;
        call->upload_sent = 0;
    }
}

static void
gather_segments(struct client_h2 *h2, struct http_call *call, size_t count)
{
    call->body_left -= count;
    while (count > 0) {
        ASSERT(call->segment_index < call->segment_count);
        struct str rest = str_skip(call->segments[call->segment_index], call->segment_offset);
        size_t piece = MIN(rest.len, count);
        if (piece > 0)
            gather_piece(h2, rest.ptr, piece);
        count -= piece;
        call->segment_offset += piece;
        if (piece == rest.len) {
            call->segment_index++;
            call->segment_offset = 0;
        }
    }
}

int
h2_send_data(void *user, uint32_t id, void *owner, const char *head, size_t count,
             enum h2_after after)
{
    struct client_h2 *h2 = user;
    struct http_call *call = owner;
    (void)id;
    batch_copy(h2, head, H2_FRAME_HEAD_BYTES);
    if (call->streaming)
        gather_upload(h2, call, count);
    else
        gather_segments(h2, call, count);
    h2_abuse_sent_data(&h2->abuse, count);
    if (after == H2_AFTER_END)
        body_sent(call);
    if (call->upload_full && call_upload_left(call) <= call->upload_high / 4)
        h2->upload_drained = true;
    return 0;
}

size_t
h2_put(void *user, const char *bytes, size_t count)
{
    struct client_h2 *h2 = user;
    size_t take = 0;
    if (!batch_full(h2))
        take = MIN(count, (size_t)CLIENT_SCRATCH_BYTES - h2->wire_len);
    if (take > 0)
        batch_copy(h2, bytes, take);
    h2->batch_cut = take < count;
    return take;
}

/* ---- heads ----------------------------------------------------------------------------------- */

int
h2_submit(struct client_h2 *h2, struct http_call *call)
{
    const struct http_origin *origin = h2->conn->origin;
    const struct call_head *head = call->head;
    bool tls = h2->conn->channel.tls != NULL;
    bool body = call->streaming || call->body_bytes > 0;
    struct h2_session *session = h2->session;
    char length[20];
    if (head->field_count > HTTP_FIELDS_MAX)
        return -ERR_TOO_LARGE;
    if (!h2_session_head(session, 0))
        return -ERR_UNAVAILABLE;
    h2_session_field(session, STR(":method"), head->method);
    h2_session_field(session, STR(":scheme"), tls ? STR("https") : STR("http"));
    h2_session_field(session, STR(":authority"), str_from(origin->authority));
    h2_session_field(session, STR(":path"), head->target);
    for (uint32_t i = 0; i < head->field_count; i++)
        h2_session_field(session, head->fields[i].name, head->fields[i].value);
    if (call->body_bytes > 0)
        h2_session_field(session, STR("content-length"),
                         str_make(length, num_write_u64(length, call->body_bytes)));
    call->body_left = call->body_bytes;
    uint32_t id = 0;
    int rc = h2_session_request(session, call, body, call->head_request, &id);
    if (rc != 0)
        return rc;
    call->stream_id = id;
    call->head_put = true;
    call->heard_before = h2->heard;
    h2_abuse_opened(&h2->abuse);
    if (!body)
        body_sent(call);
    return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static int
send_queued(struct client_conn *conn)
{
    while (conn->out.len > 0) {
        struct iovec iov = {conn->out.ptr, conn->out.len};
        size_t count = 0;
        int rc = channel_writev(&conn->channel, &iov, 1, &count);
        if (rc != 0)
            return rc;
        buf_consume(&conn->out, count);
    }
    buf_fini(&conn->out);
    return 0;
}

/* Gather frames until the batch is full or the session has no more. */
static int
gather(struct client_h2 *h2)
{
    h2->wire_len = 0;
    h2->batch_bytes = 0;
    h2->iov_count = 0;
    h2->batch_cut = false;
    return h2_session_send(h2->session);
}

/* One writev; what is left over is copied, because segments are borrowed only until now. */
static int
write_batch(struct client_h2 *h2)
{
    struct client_conn *conn = h2->conn;
    size_t count = 0;
    int rc = channel_writev(&conn->channel, h2->iov, h2->iov_count, &count);
    if (rc != 0 && rc != -ERR_AGAIN)
        return rc;
    if (count == h2->batch_bytes)
        return 0;
    for (int i = 0; i < h2->iov_count; i++) {
        size_t skip = MIN(count, h2->iov[i].iov_len);
        buf_put(&conn->out, (const char *)h2->iov[i].iov_base + skip, h2->iov[i].iov_len - skip);
        count -= skip;
    }
    return conn->out.failed ? -ERR_NOMEM : -ERR_AGAIN;
}

int
h2_send(struct client_h2 *h2)
{
    int rc = send_queued(h2->conn);
    if (rc != 0)
        return rc;
    do {
        h2->sending = true;
        rc = gather(h2);
        h2->sending = false;
        if (rc == 0 && h2->batch_bytes > 0)
            rc = write_batch(h2);
    } while (rc == 0 && h2->batch_cut);
    return rc;
}
