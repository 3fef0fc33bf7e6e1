/* SPDX-License-Identifier: MIT
 * h2_session_same_fuzz.c - the same client frames into our session and into nghttp2's: a request
 *                          that is complete for us is the same for it, field by field.
 * Floor: lib/http, fuzzing; one thread.
 * Owns: both sessions, an input long.
 * Invariant: we may be stricter (nghttp2 is told to leave the rules of HTTP alone), never other. */
#include <nghttp2/nghttp2.h>

#include "lib/base/check.h"
#include "lib/http/h2_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS 512u /* the ids below 2 * REQUESTS are compared */
#define WINDOW 65535u

struct side {
    struct h2_session *session; /* ours */
    uint32_t head_id;
    struct {
        uint64_t sum;
        bool complete;
    } requests[REQUESTS];
};

static void
add(struct side *side, uint32_t id, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    if (id / 2 >= REQUESTS)
        return;
    uint64_t *sum = &side->requests[id / 2].sum;
    for (size_t i = 0; i < count; i++)
        *sum = (*sum ^ at[i]) * 0x100000001b3u;
}

static void
add_field(struct side *side, uint32_t id, struct str name, struct str value)
{
    const uint64_t lengths[2] = {name.len, value.len};
    add(side, id, lengths, sizeof lengths);
    add(side, id, name.ptr, name.len);
    add(side, id, value.ptr, value.len);
}

static void
complete(struct side *side, uint32_t id)
{
    if (id / 2 < REQUESTS)
        side->requests[id / 2].complete = true;
}

/* ---- ours ------------------------------------------------------------------------------------ */

static int
on_head(void *user, uint32_t id, void *owner)
{
    (void)owner;
    ((struct side *)user)->head_id = id;
    return 0;
}

static int
on_field(void *user, struct str name, struct str value)
{
    struct side *side = user;
    add_field(side, side->head_id, name, value);
    return 0;
}

static int
on_head_end(void *user, uint32_t id, void *owner, uint16_t status, bool end)
{
    (void)owner, (void)status;
    if (end)
        complete(user, id);
    return 0;
}

static int
on_data(void *user, uint32_t id, void *owner, struct str bytes)
{
    struct side *side = user;
    (void)owner;
    add(side, id, bytes.ptr, bytes.len);
    h2_session_consume(side->session, id, bytes.len);
    return 0;
}

static int
on_end(void *user, uint32_t id, void *owner)
{
    (void)owner;
    complete(user, id);
    return 0;
}

static size_t
on_put(void *user, const char *bytes, size_t count)
{
    (void)user, (void)bytes;
    return count;
}

static const struct h2_session_ops ops = {
    .head = on_head,
    .field = on_field,
    .head_end = on_head_end,
    .data = on_data,
    .end = on_end,
    .put = on_put,
};

static void
ours(struct side *side, const uint8_t *data, size_t size, size_t piece)
{
    const struct h2_session_conf conf = {.ops = &ops,
                                         .user = side,
                                         .streams_max = 100,
                                         .stream_window = WINDOW,
                                         .conn_window = WINDOW,
                                         .header_list_bytes = 1u << 20};
    ASSERT(h2_session_new(&conf, &side->session) == 0);
    for (size_t at = 0; at < size; at += piece) {
        int rc = h2_session_feed(side->session, (const char *)data + at, MIN(piece, size - at));
        ASSERT(rc == 0 && h2_session_send(side->session) == 0);
    }
    h2_session_free(&side->session);
}

/* ---- theirs ---------------------------------------------------------------------------------- */

static int
their_field(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
            size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    (void)session, (void)flags;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        add_field(user, (uint32_t)frame->hd.stream_id, str_make((const char *)name, name_len),
                  str_make((const char *)value, value_len));
    return 0;
}

static int
their_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t count,
           void *user)
{
    (void)session, (void)flags;
    add(user, (uint32_t)id, bytes, count);
    return 0;
}

static int
their_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    bool ends = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (ends && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        complete(user, (uint32_t)frame->hd.stream_id);
    return 0;
}

/* Was it alive to the end? */
static bool
theirs(struct side *side, const uint8_t *data, size_t size, size_t piece)
{
    nghttp2_session_callbacks *calls;
    nghttp2_option *option;
    nghttp2_session *session;
    const nghttp2_settings_entry streams = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100};
    ASSERT(nghttp2_session_callbacks_new(&calls) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_on_header_callback(calls, their_field);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, their_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, their_frame);
    nghttp2_option_set_no_http_messaging(option, 1);
    ASSERT(nghttp2_session_server_new2(&session, calls, side, option) == 0);
    ASSERT(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &streams, 1) == 0);
    bool alive = true;
    for (size_t at = 0; at < size && alive; at += piece) {
        const uint8_t *out;
        alive = nghttp2_session_mem_recv(session, data + at, MIN(piece, size - at)) >= 0;
        while (alive && nghttp2_session_mem_send(session, &out) > 0)
            alive = nghttp2_session_want_read(session) != 0;
    }
    nghttp2_session_del(session);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    return alive;
}

/* The first byte says how it is cut; the preface and SETTINGS are ours. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str start = STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0");
    static struct side us;
    static struct side them;
    static uint8_t input[1u << 16];
    if (size < 1 || size > sizeof input - start.len)
        return 0;
    us = (struct side){0};
    them = (struct side){0};
    memcpy(input, start.ptr, start.len);
    memcpy(input + start.len, data + 1, size - 1);
    size_t count = start.len + size - 1;
    size_t piece = (data[0] & 1) != 0 ? count : 9u + data[0];
    ours(&us, input, count, piece);
    bool alive = theirs(&them, input, count, piece);
    for (size_t i = 0; i < REQUESTS; i++) {
        if (!us.requests[i].complete)
            continue;
        ASSERT(!alive || them.requests[i].complete);
        ASSERT(!them.requests[i].complete || us.requests[i].sum == them.requests[i].sum);
    }
    return 0;
}
