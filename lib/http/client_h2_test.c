/* SPDX-License-Identifier: MIT
 * client_h2_test.c - the client over HTTP/2, against a fake upstream made of a nghttp2 server
 * session. Floor: lib/http, test. Owns: nothing. Invariant: resets reach the upstream, a paused
 * stream is bounded, and the end of a connection ends every call on it exactly once. */
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

static int
fake_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
            size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct fake *fake = user;
    (void)session;
    (void)frame;
    (void)flags;
    if (name_len == 5 && memcmp(name, ":path", 5) == 0)
        snprintf(fake->last_path, sizeof(fake->last_path), "%.*s", (int)value_len,
                 (const char *)value);
    return 0;
}

static int
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

static int
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

static void
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

static void
fake_close(struct fake *fake)
{
    nghttp2_session_del(fake->session);
    close(fake->fd);
}

/* One round: what the session has, what came, and a turn of the loop. */
static void
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

static void
fake_until(struct fake *fake, const size_t *counter, size_t want)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (*counter < want) {
        assert_true(clock_mono_ms() < end);
        fake_turn(fake);
    }
}

static void
fake_until_ended(struct fake *fake, const struct watch *watch)
{
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    while (!watch_ended(watch)) {
        assert_true(clock_mono_ms() < end);
        fake_turn(fake);
    }
}

static ssize_t
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

static void
fake_reply(struct fake *fake, int32_t id, size_t bytes)
{
    const nghttp2_nv head[] = {NV(":status", "200"), NV("x-test", "two")};
    const nghttp2_data_provider body = {.read_callback = fake_reply_body};
    fake->reply_left[id] = bytes;
    assert_int_equal(nghttp2_submit_response(fake->session, id, head, 2, &body), 0);
}

static void
rig_open_h2(struct rig *rig, uint32_t conns)
{
    struct http_origin_conf conf = {.protocol = HTTP_2, .conn_count_max = conns};
    rig_open(rig, &conf);
}

static void
check_many_streams(uint32_t limit, size_t first)
{
    struct rig rig;
    struct fake fake;
    static struct watch watches[150];
    static const struct str segments[] = {STR("{\"model\":"), STR("\"m\"}")};
    struct http_call_conf conf = {
        .method = STR("POST"), .target = STR("/v1/x"), .segments = segments, .segment_count = 2};
    memset(watches, 0, sizeof watches);
    rig_open_h2(&rig, 1);
    for (size_t i = 0; i < ARRAY_LEN(watches); i++)
        rig_start(&rig, &watches[i], &conf);
    fake_open(&fake, &rig, limit);
    fake_until(&fake, &fake.ended_count, first);
    assert_int_equal(fake.stream_count, first); /* the rest waits for the peer's limit */
    assert_string_equal(fake.last_path, "/v1/x");
    for (size_t i = 0; i < first; i++)
        fake_reply(&fake, fake.streams[i], i);
    fake_until(&fake, &fake.ended_count, 150);
    for (size_t i = first; i < 150; i++)
        fake_reply(&fake, fake.streams[i], i);
    for (size_t i = 0; i < ARRAY_LEN(watches); i++) {
        fake_until_ended(&fake, &watches[i]);
        assert_int_equal(watches[i].dones, 1);
        assert_int_equal(watches[i].status, 200);
        assert_string_equal(watches[i].field, "two");
        assert_int_equal(watches[i].body_total, i);
    }
    assert_int_equal(fake.body_bytes, 150 * strlen("{\"model\":\"m\"}"));
    assert_true(rig_nobody_connects(&rig));
    fake_close(&fake);
    rig_close(&rig);
}

/* Never more than the peer allows, but all of that. */
static void
test_many_streams(void **state)
{
    (void)state;
    check_many_streams(100, 100);
    check_many_streams(1000, 150);
}

static void
test_large_bodies(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watches[3];
    static char block[700001];
    struct str segments[3];
    for (size_t i = 0; i < 3; i++)
        segments[i] = str_make(block, sizeof(block) - i);
    struct http_call_conf conf = {.method = STR("POST"), .segments = segments, .segment_count = 3};
    rig_open_h2(&rig, 1);
    for (size_t i = 0; i < 3; i++)
        rig_start(&rig, &watches[i], &conf);
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 3);
    assert_int_equal(fake.body_bytes, 3 * (3 * sizeof(block) - 3));
    for (size_t i = 0; i < 3; i++)
        fake_reply(&fake, fake.streams[i], 3u << 20);
    for (size_t i = 0; i < 3; i++) {
        fake_until_ended(&fake, &watches[i]);
        assert_int_equal(watches[i].dones, 1);
        assert_int_equal(watches[i].body_total, 3u << 20);
    }
    fake_close(&fake);
    rig_close(&rig);
}

/* cancel: RST_STREAM(CANCEL) in the same turn, and the others go on. */
/* One batch of more pieces than an iovec has elements, each too large to be copied gladly. */
static void
test_many_pieces(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static char bytes[1100]; /* the first windows take more than an iovec of these */
    static struct watch watches[12];
    struct str segments[9];
    struct http_call_conf conf = {
        .method = STR("POST"), .target = STR("/"), .segments = segments, .segment_count = 9};
    memset(bytes, 'p', sizeof bytes);
    for (size_t i = 0; i < ARRAY_LEN(segments); i++)
        segments[i] = str_make(bytes, i % 4 == 3 ? 10 : sizeof bytes - i);
    size_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(segments); i++)
        total += segments[i].len;
    rig_open_h2(&rig, 1);
    for (size_t i = 0; i < ARRAY_LEN(watches); i++)
        rig_start(&rig, &watches[i], &conf);
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, ARRAY_LEN(watches));
    assert_int_equal(fake.body_bytes, total * ARRAY_LEN(watches));
    for (size_t i = 0; i < ARRAY_LEN(watches); i++)
        fake_reply(&fake, fake.streams[i], i);
    for (size_t i = 0; i < ARRAY_LEN(watches); i++) {
        fake_until_ended(&fake, &watches[i]);
        assert_int_equal(watches[i].dones, 1);
    }
    fake_close(&fake);
    rig_close(&rig);
}

static void
test_cancel(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch a;
    static struct watch b;
    static struct watch c;
    rig_open_h2(&rig, 1);
    rig_start(&rig, &a, NULL);
    rig_start(&rig, &b, NULL);
    rig_start(&rig, &c, NULL);
    http_call_cancel(&c.call); /* before it was sent: the upstream never hears of it */
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 2);
    assert_int_equal(fake.stream_count, 2);
    http_call_cancel(&a.call);
    fake_until(&fake, &fake.reset_count, 1);
    assert_int_equal(fake.reset_code, NGHTTP2_CANCEL);
    b.cancel_on_body = true;
    fake.reply_open = true;
    fake_reply(&fake, fake.streams[1], 100);
    fake_until(&fake, &fake.reset_count, 2);
    assert_int_equal(b.body_total, 100);
    b.cancel_on_body = false;
    assert_int_equal(a.dones + a.fails + b.dones + b.fails + c.dones + c.fails, 0);
    fake_close(&fake);
    rig_close(&rig);
}

static void
test_pause(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch slow;
    static struct watch fast;
    size_t total = 8u << 20;
    rig_open_h2(&rig, 1);
    rig_start(&rig, &slow, NULL);
    slow.pause_on_head = true;
    rig_start(&rig, &fast, NULL);
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 2);
    fake_reply(&fake, fake.streams[0], total);
    for (int i = 0; i < 200; i++)
        fake_turn(&fake);
    assert_int_equal(slow.heads, 1);
    assert_int_equal(slow.body_total, 0);
    size_t sent = total - fake.reply_left[fake.streams[0]];
    assert_true(sent <= 512u * 1024u); /* one stream window */
    /* Another stream is not held up. */
    fake_reply(&fake, fake.streams[1], total);
    fake_until_ended(&fake, &fast);
    assert_int_equal(fast.body_total, total);
    http_call_pause(slow.call, false);
    assert_int_equal(slow.body_total, 0);
    fake_until_ended(&fake, &slow);
    assert_int_equal(slow.dones, 1);
    assert_int_equal(slow.body_total, total);
    slow.pause_on_head = false;
    fake_close(&fake);
    rig_close(&rig);
}

/* The whole reply, its end included, comes while paused. */
static void
test_pause_then_end(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watch;
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, NULL);
    watch.pause_on_head = true;
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 1);
    fake_reply(&fake, fake.streams[0], 1000);
    for (int i = 0; i < 50; i++)
        fake_turn(&fake);
    assert_int_equal(watch.dones + watch.fails, 0);
    http_call_pause(watch.call, false);
    fake_until_ended(&fake, &watch);
    assert_int_equal(watch.dones, 1);
    assert_int_equal(watch.body_total, 1000);
    watch.pause_on_head = false;
    fake_close(&fake);
    rig_close(&rig);
}

static void
test_streaming_upload(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watch;
    static char block[100000];
    size_t sent = 0;
    struct http_call_conf conf = {.method = STR("POST"), .streaming = true};
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, &conf);
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.stream_count, 1);
    do
        sent += sizeof(block);
    while (http_call_write(watch.call, str_make(block, sizeof(block))));
    fake_until(&fake, &fake.body_bytes, sent);
    assert_int_equal(watch.writables, 1);
    /* Written while some of it is sent and some waits for a window: the order holds. */
    uint64_t sum = fake.body_sum;
    for (size_t round = 0; round < 60; round++) {
        size_t count = 1 + round * 7919 % sizeof(block);
        for (size_t i = 0; i < count; i++) {
            block[i] = (char)(uint8_t)(i * 7 + round);
            sum = sum * 31 + (uint8_t)block[i];
        }
        (void)http_call_write(watch.call, str_make(block, count));
        sent += count;
        fake_turn(&fake);
    }
    fake_until(&fake, &fake.body_bytes, sent);
    assert_true(fake.body_sum == sum);
    assert_int_equal(fake.ended_count, 0);
    http_call_end(watch.call);
    fake_until(&fake, &fake.ended_count, 1);
    fake_reply(&fake, fake.streams[0], 2);
    fake_until_ended(&fake, &watch);
    assert_int_equal(watch.dones, 1);
    fake_close(&fake);
    rig_close(&rig);
}

struct end_row {
    const char *name;
    uint32_t reset_code; /* 0: close the connection */
    size_t body;         /* bytes of reply before */
    int want;
    size_t want_streams;
};

static void
test_ends(void **state)
{
    static const struct end_row rows[] = {
        {"reset before the head", NGHTTP2_INTERNAL_ERROR, 0, -ERR_CLOSED, 1},
        {"reset in the body", NGHTTP2_CANCEL, 10, -ERR_CLOSED, 1},
        {"protocol error", NGHTTP2_PROTOCOL_ERROR, 0, -ERR_PROTOCOL, 1},
        {"refused twice", NGHTTP2_REFUSED_STREAM, 0, -ERR_CLOSED, 2},
        {"connection closed before the head", 0, 0, -ERR_CLOSED, 1},
        {"connection closed in the body", 0, 10, -ERR_CLOSED, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        struct fake fake;
        static struct watch watch;
        print_message("  %s\n", rows[i].name);
        rig_open_h2(&rig, 1);
        rig_start(&rig, &watch, NULL);
        fake_open(&fake, &rig, 100);
        fake.reply_open = true;
        for (size_t k = 0; k < rows[i].want_streams; k++) {
            fake_until(&fake, &fake.stream_count, k + 1);
            if (rows[i].body > 0)
                fake_reply(&fake, fake.streams[k], rows[i].body);
            for (int turn = 0; turn < 5; turn++)
                fake_turn(&fake);
            if (rows[i].reset_code != 0)
                assert_int_equal(
                    nghttp2_submit_rst_stream(fake.session, 0, fake.streams[k], rows[i].reset_code),
                    0);
            else
                shutdown(fake.fd, SHUT_RDWR);
        }
        fake_until_ended(&fake, &watch);
        assert_int_equal(watch.code, rows[i].want);
        assert_int_equal(watch.body_total, rows[i].body);
        fake_close(&fake);
        rig_close(&rig);
    }
}

/* After GOAWAY: the old stream ends on the old connection, the new call goes to a new one. */
static void
test_goaway(void **state)
{
    (void)state;
    struct rig rig;
    struct fake old;
    struct fake fresh;
    static struct watch a;
    static struct watch b;
    rig_open_h2(&rig, 2);
    rig_start(&rig, &a, NULL);
    fake_open(&old, &rig, 100);
    fake_until(&old, &old.ended_count, 1);
    assert_int_equal(nghttp2_submit_goaway(old.session, 0, 1, NGHTTP2_NO_ERROR, NULL, 0), 0);
    for (int i = 0; i < 5; i++)
        fake_turn(&old);
    rig_start(&rig, &b, NULL);
    fake_open(&fresh, &rig, 100);
    fake_until(&fresh, &fresh.ended_count, 1);
    fake_reply(&fresh, fresh.streams[0], 5);
    fake_until_ended(&fresh, &b);
    fake_reply(&old, old.streams[0], 7);
    fake_until_ended(&old, &a);
    assert_int_equal(a.body_total, 7);
    assert_int_equal(b.body_total, 5);
    assert_true(rig_gone(&rig, old.fd));
    fake_close(&old);
    fake_close(&fresh);
    rig_close(&rig);
}

struct raw_row {
    const char *name;
    struct str frames; /* behind an empty SETTINGS and the ACK of ours */
    int want;
};

#define FRAME(length, type, flags, stream) length type flags "\0\0\0" stream

static void
test_hostile_frames(void **state)
{
    static const struct raw_row rows[] = {
        {"not HTTP/2", STR("HTTP/1.1 400 Bad Request\r\n\r\n"), -ERR_PROTOCOL},
        {"DATA before HEADERS", STR(FRAME("\0\0\2", "\0", "\0", "\1") "hi"), -ERR_PROTOCOL},
        {"no status", STR(FRAME("\0\0\7", "\1", "\5", "\1") "\0\3x-a\1b"), -ERR_PROTOCOL},
        {"status 101",
         STR(FRAME("\0\0\5", "\1", "\4", "\1") "\x08\3"
                                               "101"),
         -ERR_PROTOCOL},
        {"upper-case name", STR(FRAME("\0\0\x08", "\1", "\4", "\1") "\x88\0\3X-A\1b"),
         -ERR_PROTOCOL},
        {"longer than content-length",
         STR(FRAME("\0\0\5", "\1", "\4", "\1") "\x88\x0f\x0d\1"
                                               "1" FRAME("\0\0\2", "\0", "\1", "\1") "hi"),
         -ERR_PROTOCOL},
        {"shorter than content-length",
         STR(FRAME("\0\0\5", "\1", "\4", "\1") "\x88\x0f\x0d\1"
                                               "9" FRAME("\0\0\2", "\0", "\1", "\1") "hi"),
         -ERR_PROTOCOL},
        {"push promise", STR(FRAME("\0\0\5", "\5", "\4", "\1") "\0\0\0\2\x82"), -ERR_PROTOCOL},
        {"frame of 16 MiB", STR("\xff\xff\xff\0\0\0\0\0\1"), -ERR_PROTOCOL},
        {"bad HPACK", STR(FRAME("\0\0\1", "\1", "\5", "\1") "\xff"), -ERR_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        static struct watch watch;
        char bytes[65536];
        print_message("  %s\n", rows[i].name);
        rig_open_h2(&rig, 1);
        rig_start(&rig, &watch, NULL);
        int fd = rig_accept(&rig);
        ssize_t got = 0;
        while (got < 60) { /* preface, SETTINGS, WINDOW_UPDATE and the request */
            loop_step(rig.loop, 1);
            ssize_t count = read(fd, bytes, sizeof(bytes));
            got += count > 0 ? count : 0;
        }
        if (i > 0)
            rig_send(&rig, fd, STR("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0"));
        rig_send(&rig, fd, rows[i].frames);
        rig_wait(&rig, watch_ended, &watch);
        assert_int_equal(watch.code, rows[i].want);
        assert_int_equal(watch.fails, 1);
        close(fd);
        rig_close(&rig);
    }
}

static void
test_interim_flood(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watch;
    const nghttp2_nv interim[] = {NV(":status", "103")};
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, NULL);
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 1);
    for (int i = 0; i < 1000; i++)
        (void)!nghttp2_submit_headers(fake.session, 0, fake.streams[0], NULL, interim, 1, NULL);
    fake_until_ended(&fake, &watch);
    assert_int_equal(watch.code, -ERR_PROTOCOL);
    assert_int_equal(watch.heads, 0);
    fake_close(&fake);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_then_end),
        cmocka_unit_test(test_streaming_upload),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_interim_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
