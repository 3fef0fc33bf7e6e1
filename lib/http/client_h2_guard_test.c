/* SPDX-License-Identifier: MIT
 * client_h2_guard_test.c - upstreams that flood an HTTP/2 connection of ours: it is closed with a
 *                          reason, and only what they never saw is sent again; and one that is
 *                          merely busy.
 * Floor: lib/http, test.
 * Owns: nothing.
 * Invariant: each flood would go on for ever; what it got us to do is what the test asserts. */
#include "lib/http/client_h2_testkit.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define START \
    FRAME("\0\0\0", "\4", "\0", "\0") FRAME("\0\0\0", "\4", "\1", "\0") /* SETTINGS, ACK */
#define OK_HEAD FRAME("\0\0\1", "\1", "\4", "\1") "\x88"
#define UNITS_MAX 20000u

struct flood_row {
    const char *name;
    struct str first; /* once, behind START */
    struct str unit;  /* again and again */
    const char *want; /* in the text of the failure */
    int want_code;
};

static const struct flood_row floods[] = {
    {"SETTINGS", STR(""), STR(FRAME("\0\0\6", "\4", "\0", "\0") "\0\3\0\0\0\x64"),
     "floods its connection with SETTINGS", -ERR_PROTOCOL},
    {"PING", STR(""), STR(FRAME("\0\0\x08", "\6", "\0", "\0") "12345678"),
     "floods its connection with PING", -ERR_PROTOCOL},
    {"PING ACK", STR(""), STR(FRAME("\0\0\x08", "\6", "\1", "\0") "12345678"),
     "floods its connection with PING", -ERR_PROTOCOL},
    {"WINDOW_UPDATE", STR(""), STR(FRAME("\0\0\4", "\x08", "\0", "\0") "\0\0\0\1"),
     "floods its connection with WINDOW_UPDATE", -ERR_PROTOCOL},
    {"empty DATA", STR(OK_HEAD), STR(FRAME("\0\0\0", "\0", "\0", "\1")),
     "floods its connection with empty DATA", -ERR_PROTOCOL},
    {"PRIORITY", STR(""), STR(FRAME("\0\0\5", "\2", "\0", "\3") "\0\0\0\1\1"),
     "floods its connection with PRIORITY", -ERR_PROTOCOL},
    {"unknown type", STR(""), STR(FRAME("\0\0\0", "\xbe", "\0", "\0")),
     "floods its connection with frames of no use", -ERR_PROTOCOL},
    {"GOAWAY", STR(""), STR(FRAME("\0\0\x08", "\7", "\0", "\0") "\0\0\0\1\0\0\0\0"),
     "floods its connection with frames of no use", -ERR_PROTOCOL},
    {"CONTINUATION", STR(FRAME("\0\0\1", "\1", "\0", "\1") "\x88"),
     STR(FRAME("\0\0\0", "\x09", "\0", "\1")), "broke the HTTP/2 protocol: ENHANCE_YOUR_CALM",
     -ERR_PROTOCOL},
    {"unasked push", STR(""), STR(FRAME("\0\0\5", "\5", "\4", "\1") "\0\0\0\2\x82"),
     "broke the HTTP/2 protocol: PROTOCOL_ERROR", -ERR_PROTOCOL},
    {"interim heads", STR(""),
     STR(FRAME("\0\0\5", "\1", "\4", "\1") "\x08\3"
                                           "103"),
     "bad or endless interim replies", -ERR_PROTOCOL},
    {"RST_STREAM", STR(""), STR(FRAME("\0\0\4", "\3", "\0", "\1") "\0\0\0\2"),
     "the stream was reset: INTERNAL_ERROR", -ERR_CLOSED},
};

/* Units until the connection is closed; how many were sent. */
static unsigned
flood(struct rig *rig, int fd, struct str unit)
{
    static char bytes[65536];
    unsigned sent = 0;
    while (sent < UNITS_MAX && rig_send(rig, fd, unit)) {
        if (++sent % 50 != 0)
            continue;
        loop_step(rig->loop, 0);
        while (read(fd, bytes, sizeof bytes) > 0)
            ;
    }
    return sent;
}

static void
test_floods(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        const struct flood_row *row = &floods[i];
        struct rig rig;
        static struct watch watch;
        static struct watch next;
        print_message("  %s\n", row->name);
        rig_open_h2(&rig, 1);
        rig_start(&rig, &watch, NULL);
        int fd = rig_accept(&rig);
        raw_request(&rig, fd);
        (void)rig_send(&rig, fd, STR(START));
        (void)rig_send(&rig, fd, row->first);
        unsigned sent = flood(&rig, fd, row->unit);
        rig_wait(&rig, watch_ended, &watch);
        assert_true(sent < UNITS_MAX);
        assert_int_equal(watch.fails, 1);
        assert_int_equal(watch.code, row->want_code);
        if (strstr(watch.text, row->want) == NULL)
            fail_msg("%s", watch.text);
        assert_true(rig_gone(&rig, fd));
        close(fd);
        /* It had seen the call: that is not sent again. The next one goes elsewhere. */
        assert_true(rig_nobody_connects(&rig));
        rig_start(&rig, &next, NULL);
        fd = rig_accept(&rig);
        raw_request(&rig, fd);
        (void)rig_send(&rig, fd, STR(START FRAME("\0\0\1", "\1", "\5", "\1") "\x88"));
        rig_wait(&rig, watch_ended, &next);
        assert_int_equal(next.dones, 1);
        close(fd);
        rig_close(&rig);
    }
}

/* With nobody on it: the connection goes all the same. */
static void
test_idle_flood(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch watch;
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, NULL);
    int fd = rig_accept(&rig);
    raw_request(&rig, fd);
    (void)rig_send(&rig, fd, STR(START FRAME("\0\0\1", "\1", "\5", "\1") "\x88"));
    rig_wait(&rig, watch_ended, &watch);
    assert_int_equal(watch.dones, 1);
    assert_true(flood(&rig, fd, STR(FRAME("\0\0\x08", "\6", "\0", "\0") "12345678")) < UNITS_MAX);
    assert_true(rig_gone(&rig, fd));
    close(fd);
    rig_close(&rig);
}

/* The flood ends a connection that one call is on, and for which another was just chosen: that one
 * was never sent, so it goes to a new connection. */
static void
test_unseen_calls_go_on(void **state)
{
    (void)state;
    struct rig rig;
    static struct watch seen;
    static struct watch unseen;
    const struct str ping = STR(FRAME("\0\0\x08", "\6", "\0", "\0") "12345678");
    rig_open_h2(&rig, 1);
    rig_start(&rig, &seen, NULL);
    int fd = rig_accept(&rig);
    raw_request(&rig, fd);
    (void)rig_send(&rig, fd, STR(START));
    for (int i = 0; i < 990; i++)
        (void)rig_send(&rig, fd, ping);
    for (int i = 0; i < 5; i++)
        loop_step(rig.loop, 1);
    assert_false(watch_ended(&seen));
    for (int i = 0; i < 400; i++) /* read in the turn in which the other call starts */
        assert_int_equal(send(fd, ping.ptr, ping.len, MSG_NOSIGNAL), ping.len);
    uint64_t end = clock_mono_ms() + RIG_DEADLINE_MS;
    for (int under_way = 1; under_way > 0;) { /* in the client's kernel */
        assert_int_equal(ioctl(fd, SIOCOUTQ, &under_way), 0);
        assert_true(clock_mono_ms() < end);
    }
    rig_start(&rig, &unseen, NULL);
    rig_wait(&rig, watch_ended, &seen);
    assert_int_equal(seen.code, -ERR_PROTOCOL);
    close(fd);
    fd = rig_accept(&rig);
    raw_request(&rig, fd);
    (void)rig_send(&rig, fd, STR(START FRAME("\0\0\1", "\1", "\5", "\1") "\x88"));
    rig_wait(&rig, watch_ended, &unseen);
    assert_int_equal(unseen.dones, 1);
    close(fd);
    rig_close(&rig);
}

/* A busy provider: answers in single bytes, a PING and two window updates for each frame of a large
 * upload, a reset behind each answer, and answers that were canceled under way. */
static void
test_honest(void **state)
{
    (void)state;
    struct rig rig;
    struct fake fake;
    static struct watch watch;
    static char body[1 << 20];
    struct str segment = str_make(body, sizeof body);
    const struct http_call_conf upload = {
        .method = STR("POST"), .segments = &segment, .segment_count = 1};
    rig_open_h2(&rig, 1);
    rig_start(&rig, &watch, &upload);
    fake_open(&fake, &rig, 100);
    for (size_t round = 0; round < 200; round++) {
        if (round > 0)
            rig_start(&rig, &watch, round % 20 == 0 ? &upload : NULL);
        fake_until(&fake, &fake.stream_count, round + 1);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(nghttp2_submit_ping(fake.session, 0, NULL), 0);
            fake_turn(&fake);
        }
        int32_t id = fake.streams[round];
        fake.reply_open = round % 3 == 0;
        fake_reply(&fake, id, 100);
        fake_turn(&fake);
        if (round % 3 == 0)
            http_call_cancel(&watch.call);
        else
            fake_until_ended(&fake, &watch);
        (void)nghttp2_submit_rst_stream(fake.session, 0, id, NGHTTP2_NO_ERROR);
        fake_turn(&fake);
    }
    assert_true(rig_nobody_connects(&rig));
    fake_finish(&fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_idle_flood),
        cmocka_unit_test(test_unseen_calls_go_on),
        cmocka_unit_test(test_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
