/* SPDX-License-Identifier: MIT
 * client_h2_send.c - HTTP/2 on one connection of the client: requests out, many frames a writev.
 * Floor: lib/http; its loop's thread, FLUSH phase.
 * Owns: nothing: frames go through the client's wire buffer, bodies are borrowed until the writev.
 * Invariant: no callback of a caller runs between gathering a batch and writing it, so the segments
 *            in it are alive; what the kernel did not take is copied. client_h2_test.c. */
#include <nghttp2/nghttp2.h>

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/http/client_int.h"
#include "lib/http/h2_fields.h"

#define WIRE_FRAME_BYTES_MAX (17u * 1024u) /* one frame of nghttp2, header included */
#define BATCH_BYTES_MAX (256u * 1024u)
#define COPY_BYTES_MAX 1024u /* smaller pieces are cheaper copied than gathered */
#define FRAME_HEAD_BYTES 9u

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

static ssize_t
on_body_wanted(nghttp2_session *session, int32_t stream_id, uint8_t *bytes, size_t size,
               uint32_t *flags, nghttp2_data_source *source, void *user)
{
    const struct http_call *call = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)bytes;
    (void)source;
    (void)user;
    if (call == NULL || call->upload.failed)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    uint64_t left = call->streaming ? call_upload_left(call) : call->body_left;
    if (left == 0 && call->streaming && !call->upload_ended)
        return NGHTTP2_ERR_DEFERRED;
    size_t count = (size_t)MIN(left, (uint64_t)size);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (count == left && (!call->streaming || call->upload_ended))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)count;
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

/* The frame header, then `count` bytes that on_body_wanted promised. */
static int
on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
             size_t count, nghttp2_data_source *source, void *user)
{
    struct client_h2 *h2 = user;
    struct http_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)source;
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (batch_full(h2)) {
        h2->batch_cut = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    batch_copy(h2, frame_head, FRAME_HEAD_BYTES);
    if (call->streaming)
        gather_upload(h2, call, count);
    else
        gather_segments(h2, call, count);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        body_sent(call);
    if (call->upload_full && call_upload_left(call) <= CLIENT_UPLOAD_LOW)
        h2->upload_drained = true;
    return 0;
}

void
h2_send_callbacks(struct nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
}

/* ---- heads ----------------------------------------------------------------------------------- */

int
h2_submit(struct client_h2 *h2, struct http_call *call)
{
    const struct http_origin *origin = h2->conn->origin;
    const struct call_head *head = call->head;
    bool tls = h2->conn->channel.tls != NULL;
    bool body = call->streaming || call->body_bytes > 0;
    UNINIT nghttp2_nv fields[HTTP_FIELDS_MAX + 5];
    size_t count = 0;
    char length[20];
    if (head->field_count > HTTP_FIELDS_MAX)
        return -ERR_TOO_LARGE;
    fields[count++] = h2_fields_nv(STR(":method"), head->method);
    fields[count++] = h2_fields_nv(STR(":scheme"), tls ? STR("https") : STR("http"));
    fields[count++] = h2_fields_nv(STR(":authority"), str_from(origin->authority));
    fields[count++] = h2_fields_nv(STR(":path"), head->target);
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        fields[count++] = h2_fields_nv(field->name, field->value);
    }
    if (body && !call->streaming)
        fields[count++] = h2_fields_nv(STR("content-length"),
                                       str_make(length, num_write_u64(length, call->body_bytes)));
    if (h2->head_count++ % H2_SEED_EVERY == 0)
        h2_fields_seed(fields, count);
    call->body_left = call->body_bytes;
    nghttp2_data_provider provider = {.read_callback = on_body_wanted};
    int32_t id =
        nghttp2_submit_request(h2->session, NULL, fields, count, body ? &provider : NULL, call);
    if (id < 0)
        return id == NGHTTP2_ERR_NOMEM ? -ERR_NOMEM : -ERR_UNAVAILABLE;
    call->stream_id = id;
    call->head_put = true;
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
    while (!h2->batch_cut) {
        const uint8_t *bytes = NULL;
        if (batch_full(h2)) {
            h2->batch_cut = true;
            break;
        }
        ssize_t count = nghttp2_session_mem_send(h2->session, &bytes);
        if (count < 0)
            return count == NGHTTP2_ERR_NOMEM ? -ERR_NOMEM : -ERR_PROTOCOL;
        if (count == 0)
            break;
        batch_copy(h2, bytes, (size_t)count);
    }
    return 0;
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
