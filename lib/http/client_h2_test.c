/* SPDX-License-Identifier: MIT
 * client_h2_test.c - the client over HTTP/2: bodies both ways, windows, cancels and pauses.
 * Floor: lib/http, test.
 * Owns: nothing.
 * Invariant: resets reach the upstream, and a paused stream is bounded. */
#include "lib/http/client_h2_testkit.h"

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
    fake_finish(&fake);
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
    fake_finish(&fake);
}

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
    fake_finish(&fake);
}

/* cancel: RST_STREAM(CANCEL) in the same turn, and the others go on. */
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
    fake_finish(&fake);
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
    fake_finish(&fake);
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
    fake_finish(&fake);
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
    fake_finish(&fake);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
