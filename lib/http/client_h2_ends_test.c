/* SPDX-License-Identifier: MIT
 * client_h2_ends_test.c - the client over HTTP/2: resets, GOAWAY, limits, hostile frames.
 * Floor: lib/http, test.
 * Owns: nothing.
 * Invariant: a call ends exactly once, and is sent again only when it was surely not acted upon. */
#include "lib/http/client_h2_testkit.h"

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
            if (rows[i].reset_code != 0) {
                assert_int_equal(
                    nghttp2_submit_rst_stream(fake.session, 0, fake.streams[k], rows[i].reset_code),
                    0);
            } else {
                shutdown(fake.fd, SHUT_RDWR);
            }
        }
        fake_until_ended(&fake, &watch);
        assert_int_equal(watch.code, rows[i].want);
        assert_int_equal(watch.body_total, rows[i].body);
        fake_finish(&fake);
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

/* The place of a stream is taken after its RST_STREAM: the peer counts as it reads. */
static void
test_cancel_at_the_limit(void **state)
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
    fake_open(&fake, &rig, 2);
    fake_until(&fake, &fake.ended_count, 2);
    for (int i = 0; i < 5; i++)
        fake_turn(&fake);
    rig_start(&rig, &c, NULL);
    http_call_cancel(&a.call);
    fake_until(&fake, &fake.ended_count, 3);
    fake_reply(&fake, fake.streams[1], 5);
    fake_reply(&fake, fake.streams[2], 7);
    fake_until_ended(&fake, &b);
    fake_until_ended(&fake, &c);
    assert_int_equal(b.body_total, 5);
    assert_int_equal(c.body_total, 7);
    fake_finish(&fake);
}

/* The peer wants fewer streams in the very turn in which calls came. */
static void
test_lower_limit(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watches[4];
    const nghttp2_settings_entry one[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
    fake_begin(&fake, &rig, &watches[0], NULL);
    fake_reply(&fake, fake.streams[0], 1);
    fake_until_ended(&fake, &watches[0]);
    assert_int_equal(nghttp2_submit_settings(fake.session, 0, one, 1), 0);
    for (size_t i = 1; i < ARRAY_LEN(watches); i++)
        rig_start(&rig, &watches[i], NULL);
    for (size_t i = 1; i < ARRAY_LEN(watches); i++) {
        fake_until(&fake, &fake.ended_count, i + 1);
        for (int turn = 0; turn < 5; turn++)
            fake_turn(&fake);
        assert_int_equal(fake.stream_count, i + 1);
        fake_reply(&fake, fake.streams[i], i);
        fake_turn(&fake);
    }
    for (size_t i = 1; i < ARRAY_LEN(watches); i++) {
        fake_until_ended(&fake, &watches[i]);
        assert_int_equal(watches[i].dones, 1);
    }
    fake_finish(&fake);
}

/* The last call of an origin that was released ends before it is sent: all goes at once. */
static void
test_unsendable_and_last(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    static struct http_field fields[HTTP_FIELDS_MAX + 1];
    struct http_call_conf conf = {.fields = fields, .field_count = ARRAY_LEN(fields)};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        fields[i] = (struct http_field){STR("x"), STR("y")};
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, &conf);
    http_origin_release(&rig.origin);
    int fd = rig_accept(&rig);
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.code, -ERR_TOO_LARGE);
    assert_true(rig_gone(&rig, fd));
    close(fd);
    rig_close(&rig);
}

/* A connection is lost; the caller whose call failed cancels another of that connection. */
static void
test_cancel_when_lost(void **state)
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
    a.cancel_on_fail = &b;
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 2);
    shutdown(fake.fd, SHUT_RDWR);
    fake_until_ended(&fake, &a);
    a.cancel_on_fail = NULL;
    fake_close(&fake);
    assert_int_equal(b.dones + b.fails, 0);
    rig_start(&rig, &c, NULL);
    fake_open(&fake, &rig, 100);
    fake_until(&fake, &fake.ended_count, 1);
    fake_reply(&fake, fake.streams[0], 3);
    fake_until_ended(&fake, &c);
    assert_int_equal(c.body_total, 3);
    fake_finish(&fake);
}

/* retry_stale is for a connection that was dead already, not for a peer that may be at work. */
static void
test_stale(void **state)
{
    (void)state;
    for (int heard = 0; heard < 2; heard++) {
        struct rig rig;
        struct fake fake;
        static struct watch a;
        static struct watch b;
        struct http_call_conf conf = {.retry_stale = true};
        fake_begin(&fake, &rig, &a, &conf);
        fake_reply(&fake, fake.streams[0], 1);
        fake_until_ended(&fake, &a);
        for (int turn = 0; turn < 5; turn++)
            fake_turn(&fake);
        rig_start(&rig, &b, &conf);
        fake_until(&fake, &fake.ended_count, 2);
        if (heard != 0) {
            assert_int_equal(nghttp2_submit_ping(fake.session, 0, NULL), 0);
            for (int turn = 0; turn < 5; turn++)
                fake_turn(&fake);
        }
        shutdown(fake.fd, SHUT_RDWR);
        fake_close(&fake);
        if (heard != 0) {
            rig_wait(&rig, watch_ended, &b);
            assert_int_equal(b.code, -ERR_CLOSED);
            assert_true(rig_nobody_connects(&rig));
        } else {
            fake_open(&fake, &rig, 100);
            fake_until(&fake, &fake.ended_count, 1);
            fake_reply(&fake, fake.streams[0], 3);
            fake_until_ended(&fake, &b);
            assert_int_equal(b.dones, 1);
            fake_close(&fake);
        }
        rig_close(&rig);
    }
}

/* An upload is not sent again by itself, but its caller hears that nobody looked at it. */
static void
test_refused_upload(void **state)
{
    (void)state;
    static const struct {
        uint32_t reset_code;
        enum http_phase want;
    } rows[] = {{NGHTTP2_REFUSED_STREAM, HTTP_QUEUED}, {NGHTTP2_INTERNAL_ERROR, HTTP_SENDING}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig rig;
        struct fake fake;
        static struct watch watch;
        struct http_call_conf conf = {.method = STR("POST"), .streaming = true, .fresh = true};
        rig_open_h2(&rig, 1);
        rig_start(&rig, &watch, &conf);
        (void)http_call_write(watch.call, STR("some of it"));
        fake_open(&fake, &rig, 100);
        fake_until(&fake, &fake.stream_count, 1);
        assert_int_equal(
            nghttp2_submit_rst_stream(fake.session, 0, fake.streams[0], rows[i].reset_code), 0);
        fake_until_ended(&fake, &watch);
        assert_int_equal(watch.code, -ERR_CLOSED);
        assert_int_equal(watch.phase, rows[i].want);
        assert_int_equal(fake.stream_count, 1);
        fake_finish(&fake);
    }
}

struct raw_row {
    const char *name;
    struct str frames; /* behind an empty SETTINGS and the ACK of ours */
    int want;
};

static void
check_hostile(const struct raw_row *row, bool settings)
{
    struct rig rig;
    static struct watch watch;
    print_message("  %s\n", row->name);
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    raw_request(&rig, fd);
    if (settings)
        rig_send(&rig, fd, STR("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0"));
    rig_send(&rig, fd, row->frames);
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.code, row->want);
    assert_int_equal(watch.fails, 1);
    close(fd);
    rig_close(&rig);
}

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
        {"status 600",
         STR(FRAME("\0\0\5", "\1", "\5", "\1") "\x08\3"
                                               "600"),
         -ERR_PROTOCOL},
        {"204 with DATA",
         STR(FRAME("\0\0\1", "\1", "\4", "\1") "\x89" FRAME("\0\0\2", "\0", "\1", "\1") "hi"),
         -ERR_PROTOCOL},
        {"204 with content-length",
         STR(FRAME("\0\0\5", "\1", "\4", "\1") "\x89\x0f\x0d\1"
                                               "3"),
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
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_hostile(&rows[i], i > 0);
}

/* A byte of the head stands for a thousand: what goes no further counts, too. */
static void
test_head_bomb(void **state)
{
    (void)state;
    char frames[2048];
    const struct str head =
        STR("\0\4\xba\1\5\0\0\0\1"
            "\x88\x40\3x_y\x7f\xe9\6"); /* of 1210 bytes; a value of 1000 bytes */
    memcpy(frames, head.ptr, head.len);
    memset(frames + head.len, 'v', 1000);
    memset(frames + head.len + 1000, '\xbe', 201);
    const struct raw_row row = {"head bomb", str_make(frames, head.len + 1000 + 201),
                                -ERR_TOO_LARGE};
    check_hostile(&row, true);
}

static void
test_interim_flood(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watch;
    const nghttp2_nv interim[] = {NV(":status", "103")};
    fake_begin(&fake, &rig, &watch, NULL);
    for (int i = 0; i < 1000; i++)
        (void)!nghttp2_submit_headers(fake.session, 0, fake.streams[0], NULL, interim, 1, NULL);
    fake_until_ended(&fake, &watch);
    assert_int_equal(watch.code, -ERR_PROTOCOL);
    assert_int_equal(watch.heads, 0);
    fake_finish(&fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_cancel_at_the_limit),
        cmocka_unit_test(test_lower_limit),
        cmocka_unit_test(test_unsendable_and_last),
        cmocka_unit_test(test_cancel_when_lost),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_refused_upload),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_head_bomb),
        cmocka_unit_test(test_interim_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
