/* SPDX-License-Identifier: MIT
 * client_h2_testkit.h - a fake upstream made of a nghttp2 server session, for the client's tests.
 * Floor: lib/http, tests only; one thread: every wait turns the loop, with a deadline.
 * Owns: struct fake: its socket and its session.
 * Invariant: what nghttp2 holds to be a breach of the protocol ends the connection. */
#ifndef BERTH_LIB_HTTP_CLIENT_H2_TESTKIT_H
#define BERTH_LIB_HTTP_CLIENT_H2_TESTKIT_H

#include "lib/http/client_test_rig.h"

#include <nghttp2/nghttp2.h>

#include "lib/base/buf.h"

#define STREAMS 256

struct fake {
    struct rig *rig;
    int fd;
    nghttp2_session *session;
    int32_t streams[STREAMS]; /* in order of their request heads */
    size_t stream_count;
    size_t ended_count; /* requests received completely */
    size_t reset_count;
    uint32_t reset_code;
    size_t body_bytes;
    uint64_t body_sum; /* of them, in order */
    char last_path[256];
    size_t reply_left[STREAMS * 2 + 2]; /* by stream id */
    bool reply_open;                    /* replies have no end */
};

static UNUSED int
fake_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
            size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct fake *fake = user;
    (void)session;
    (void)frame;
    (void)flags;
    if (name_len == 5 && memcmp(name, ":path", 5) == 0)
        (void)snprintf(fake->last_path, sizeof(fake->last_path), "%.*s", (int)value_len,
                       (const char *)value);
    return 0;
}

static UNUSED int
fake_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct fake *fake = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS)
        fake->streams[fake->stream_count++ % STREAMS] = frame->hd.stream_id;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        fake->reset_count++;
        fake->reset_code = frame->rst_stream.error_code;
    }
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        fake->ended_count++;
    return 0;
}

static UNUSED int
fake_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t count,
          void *user)
{
    (void)session;
    (void)flags;
    (void)id;
    struct fake *fake = user;
    fake->body_bytes += count;
    for (size_t i = 0; i < count; i++)
        fake->body_sum = fake->body_sum * 31 + bytes[i];
    return 0;
}

static UNUSED void
fake_open(struct fake *fake, struct rig *rig, uint32_t streams_max)
{
    nghttp2_session_callbacks *callbacks = NULL;
    *fake = (struct fake){.rig = rig, .fd = rig_accept(rig)};
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, fake_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, fake_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, fake_data);
    assert_int_equal(nghttp2_session_server_new(&fake->session, callbacks, fake), 0);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max}};
    assert_int_equal(nghttp2_submit_settings(fake->session, 0, settings, 1), 0);
}

static UNUSED void
fake_close(struct fake *fake)
{
    nghttp2_session_del(fake->session);
    close(fake->fd);
}

/* One round: what the session has, what came, and a turn of the loop. */
static UNUSED void
fake_turn(struct fake *fake)
{
    static uint8_t bytes[65536];
    const uint8_t *out = NULL;
    ssize_t count = 0;
    while ((count = nghttp2_session_mem_send(fake->session, &out)) > 0)
        (void)rig_send(fake->rig, fake->fd, str_make((const char *)out, (size_t)count));
    loop_step(fake->rig->loop, 1);
    while ((count = read(fake->fd, bytes, sizeof(bytes))) > 0)
        (void)!nghttp2_session_mem_recv(fake->session, bytes, (size_t)count);
}

static UNUSED void
fake_until(struct fake *fake, const size_t *counter, size_t want)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (*counter < want) {
        assert_true(clock_mono_ms() < end);
        fake_turn(fake);
    }
}

static UNUSED void
fake_until_ended(struct fake *fake, const struct watch *watch)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (!watch_ended(watch)) {
        assert_true(clock_mono_ms() < end);
        fake_turn(fake);
    }
}

/* A frame for an upstream that writes bytes: length of three, stream of one. */
#define FRAME(length, type, flags, stream) length type flags "\0\0\0" stream

/* Turns until the head of a first request came on fd; what came is dropped. */
static UNUSED void
raw_request(struct rig *rig, int fd)
{
    static char bytes[65536];
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    for (ssize_t got = 0; got < 60;) { /* preface, SETTINGS, WINDOW_UPDATE, HEADERS */
        assert_true(clock_mono_ms() < end);
        loop_step(rig->loop, 1);
        ssize_t count = read(fd, bytes, sizeof bytes);
        got += count > 0 ? count : 0;
    }
}

static UNUSED void
rig_open_h2(struct rig *rig, uint32_t conns)
{
    struct http_origin_conf conf = {.protocol = HTTP_2, .conn_count_max = conns};
    rig_open(rig, &conf);
}

/* A client with one call, which the upstream has got. */
static UNUSED void
fake_begin(struct fake *fake, struct rig *rig, struct watch *watch,
           const struct http_call_conf *conf)
{
    rig_open_h2(rig, 1);
    rig_start(rig, watch, conf);
    fake_open(fake, rig, 100);
    fake_until(fake, &fake->ended_count, 1);
}

static UNUSED void
fake_finish(struct fake *fake)
{
    fake_close(fake);
    rig_close(fake->rig);
}

static UNUSED ssize_t
fake_reply_body(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t size, uint32_t *flags,
                nghttp2_data_source *source, void *user)
{
    struct fake *fake = user;
    (void)session;
    (void)source;
    size_t take = fake->reply_left[id] < size ? fake->reply_left[id] : size;
    memset(bytes, 'r', take);
    fake->reply_left[id] -= take;
    if (fake->reply_left[id] == 0 && fake->reply_open && take == 0)
        return NGHTTP2_ERR_DEFERRED;
    if (fake->reply_left[id] == 0 && !fake->reply_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

#define NV(name, value)                                                                \
    {                                                                                  \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE                                    \
    }

static UNUSED void
fake_reply(struct fake *fake, int32_t id, size_t bytes)
{
    const nghttp2_nv head[] = {NV(":status", "200"), NV("x-test", "two")};
    const nghttp2_data_provider body = {.read_callback = fake_reply_body};
    fake->reply_left[id] = bytes;
    assert_int_equal(nghttp2_submit_response(fake->session, id, head, 2, &body), 0);
}

#endif
