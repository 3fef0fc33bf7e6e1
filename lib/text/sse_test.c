/* SPDX-License-Identifier: MIT
 * sse_test.c - fields, line ends, caps; the same events however the bytes are cut.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves sse.h. */
#include "lib/text/sse.h"

#include "lib/text/test_int.h"

#include "lib/base/clock.h"

/* want: one event after the other as `raw length|name|data;` with '-' for no data; then the tail.
 */
struct row {
    struct str text;
    const char *want;
};

#define ROW(text, want)                \
    {                                  \
        {text, sizeof(text) - 1}, want \
    }
static const struct row rows[] = {
    ROW("", "tail:"),
    ROW("data: a\n\n", "9||a;tail:"),
    ROW("data: a\r\n\r\n", "11||a;tail:"),
    ROW("data: a\r\r", "9||a;tail:"),
    ROW("data: a\r\r\n", "9||a;tail:\n"),
    ROW("data: a\r\rdata: b\r\r", "9||a;9||b;tail:"),
    ROW("data: a\n\r", "tail:data: a\n\r"),
    ROW("data: a\r\n\r", "tail:data: a\r\n\r"),
    ROW("data: a\n\r\ndata: b\r\n\n", "10||a;10||b;tail:"),
    ROW("data: a\n\rdata: b\n\n", "9||a;9||b;tail:"),
    ROW("data: a", "tail:data: a"),
    ROW("data: a\n", "tail:data: a\n"),
    ROW("data:a\n\n", "8||a;tail:"),
    ROW("data:  a \n\n", "11|| a ;tail:"),
    ROW("data\n\n", "6||;tail:"),
    ROW("data:\n\n", "7||;tail:"),
    ROW("data\ndata\n\n", "11||\n;tail:"),
    ROW("data: a\ndata: b\rdata:c\r\n\r\n", "26||a\nb\nc;tail:"),
    ROW("event: x\ndata: a\n\n", "18|x|a;tail:"),
    ROW("event: x\nevent: y\nid: 7\nretry: 5\nfoo: bar\ndata: a\n\n", "51|y|a;tail:"),
    ROW("event: x\n\n", "10|x|-;tail:"),
    ROW(": ping\n\n", "8||-;tail:"),
    ROW(":\n:\n\ndata: a\n\n", "5||-;9||a;tail:"),
    ROW("\n\n\n", "1||-;1||-;1||-;tail:"),
    ROW("\r\r\r", "1||-;1||-;1||-;tail:"),
    ROW("\r", "tail:\r"),
    ROW("\r\n\r\n", "2||-;2||-;tail:"),
    ROW("\xef\xbb\xbf"
        "data: a\n\n",
        "12||a;tail:"),
    ROW("\xef\xbb\xbf\n"
        "data: a\n\n",
        "4||-;9||a;tail:"),
    ROW("\xef\xbb"
        "data: a\n\n",
        "11||-;tail:"),
    ROW("data: a\n\n\xef\xbb\xbf"
        "data: b\n\n",
        "9||a;12||-;tail:"),
    ROW("Data: a\ndatax: b\n data: c\n\n", "27||-;tail:"),
    ROW("data: a:b: c\n\n", "14||a:b: c;tail:"),
    ROW("data: \xe6\x97\xa5\n\ndata: [DONE]\n\n", "11||\xe6\x97\xa5;14||[DONE];tail:"),
};

static void
print_event(struct buf *out, struct buf *raw, const struct sse_event *event)
{
    buf_printf(out, "%zu|", event->raw.len);
    buf_put_str(out, event->name);
    buf_put_byte(out, '|');
    assert_true(event->has_data || event->data.len == 0);
    buf_put_str(out, event->has_data ? event->data : STR("-"));
    buf_put_byte(out, ';');
    buf_put_str(raw, event->raw);
}

/* Feed text cut at the places that cut() gives; the printed events and the tail. */
static void
run(struct str text, size_t (*cut)(size_t at, size_t size, size_t arg), size_t arg, struct buf *out)
{
    struct sse_parser parser;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    sse_init(&parser, 0);
    for (size_t at = 0; at < text.len;) {
        size_t next = cut(at, text.len, arg);
        struct sse_event event;
        int rc;
        /* an exact copy that dies with the feed */
        char *bytes = malloc(next - at);
        assert_non_null(bytes);
        memcpy(bytes, text.ptr + at, next - at);
        sse_feed(&parser, str_make(bytes, next - at));
        while ((rc = sse_next(&parser, &event)) == 0) {
            print_event(out, &raw, &event);
        }
        assert_int_equal(rc, -ERR_AGAIN);
        free(bytes);
        at = next;
    }
    buf_put_str(out, STR("tail:"));
    buf_put_str(out, sse_tail(&parser));
    buf_put_str(&raw, sse_tail(&parser));
    TEST_STR_EQ(buf_str(&raw), text);
    buf_fini(&raw);
    sse_fini(&parser);
}

static size_t
cut_whole(size_t at, size_t size, size_t arg)
{
    (void)at;
    (void)arg;
    return size;
}

static size_t
cut_bytes(size_t at, size_t size, size_t arg)
{
    return MIN(size, at + arg);
}

static size_t
cut_once(size_t at, size_t size, size_t arg)
{
    return at < arg ? MIN(arg, size) : size;
}

static size_t
cut_random(size_t at, size_t size, size_t arg)
{
    return MIN(size, at + 1 + rand_below(arg));
}

static void
expect(struct str text, size_t (*cut)(size_t, size_t, size_t), size_t arg, struct str want)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    run(text, cut, arg, &out);
    TEST_STR_EQ(buf_str(&out), want);
    buf_fini(&out);
}

static void
events_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str want = str_from(rows[i].want);
        expect(rows[i].text, cut_whole, 0, want);
        for (size_t step = 1; step <= 4; step++) {
            expect(rows[i].text, cut_bytes, step, want);
        }
        for (size_t place = 1; place < rows[i].text.len; place++) {
            expect(rows[i].text, cut_once, place, want);
        }
    }
}

static void
random_streams_randomly_cut(void **state)
{
    (void)state;
    static const char *const parts[] = {"data",  ":", " ", "\n",   "\r", "\r\n", "\n\n",        "x",
                                        "event", ":", "a", "\xef", "\r", "\n",   "\xef\xbb\xbf"};
    test_seed();
    for (int round = 0; round < 3000; round++) {
        struct buf text;
        struct buf whole;
        buf_init(&text, 4096);
        buf_init(&whole, 1 << 16);
        for (size_t i = rand_below(60); i > 0; i--) {
            buf_put_str(&text, str_from(parts[rand_below(ARRAY_LEN(parts))]));
        }
        run(buf_str(&text), cut_whole, 0, &whole);
        expect(buf_str(&text), cut_bytes, 1, buf_str(&whole));
        expect(buf_str(&text), cut_random, 5, buf_str(&whole));
        expect(buf_str(&text), cut_random, 40, buf_str(&whole));
        buf_fini(&text);
        buf_fini(&whole);
    }
}

static void
nothing_is_copied_from_a_whole_event(void **state)
{
    (void)state;
    struct sse_parser parser;
    struct sse_event event;
    struct str text = STR("event: x\ndata: abc\n\ndata: b\n\n");
    sse_init(&parser, 0);
    sse_feed(&parser, text);
    assert_int_equal(sse_next(&parser, &event), 0);
    assert_ptr_equal(event.raw.ptr, text.ptr);
    assert_ptr_equal(event.data.ptr, text.ptr + 15);
    assert_int_equal(sse_next(&parser, &event), 0);
    assert_int_equal(sse_next(&parser, &event), -ERR_AGAIN);
    assert_null(parser.held.ptr);
    sse_fini(&parser);
}

static void
cap_is_exact_and_final(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        struct sse_parser parser;
        struct sse_event event;
        sse_init(&parser, 10);
        struct str text = STR("data: ab\n\ndata: abc\n\n");
        int rc = -ERR_AGAIN;
        int events = 0;
        for (size_t at = 0; at < text.len && rc == -ERR_AGAIN; at += step) {
            sse_feed(&parser, str_make(text.ptr + at, MIN(step, text.len - at)));
            while ((rc = sse_next(&parser, &event)) == 0) {
                events++;
            }
        }
        assert_int_equal(events, 1);
        assert_int_equal(rc, -ERR_TOO_LARGE);
        sse_feed(&parser, STR("data: a\n\n"));
        assert_int_equal(sse_next(&parser, &event), -ERR_TOO_LARGE);
        sse_fini(&parser);
    }
}

/* One event of nearly 1 MiB, and a million blank lines, byte by byte: a quadratic reader takes
 * hours. */
static void
bytewise_is_linear(void **state)
{
    (void)state;
    struct sse_parser parser;
    struct sse_event event;
    uint64_t start = clock_mono_ms();
    sse_init(&parser, 0);
    static const char start_of_line[] = "data: ";
    for (size_t i = 0; i < SSE_EVENT_BYTES_MAX; i++) {
        sse_feed(&parser, str_make(&start_of_line[i < 6 ? i : 1 + i % 4], 1));
        assert_int_equal(sse_next(&parser, &event), -ERR_AGAIN);
    }
    sse_feed(&parser, STR("x"));
    assert_int_equal(sse_next(&parser, &event), -ERR_TOO_LARGE);
    sse_fini(&parser);
    sse_init(&parser, 0);
    for (size_t i = 0; i < 1000000; i++) {
        sse_feed(&parser, STR("\n"));
        assert_int_equal(sse_next(&parser, &event), 0);
        assert_false(event.has_data);
        assert_int_equal(sse_next(&parser, &event), -ERR_AGAIN);
    }
    sse_fini(&parser);
    assert_true(clock_mono_ms() - start < 20000);
}

static void
writing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *data;
        const char *want;
        int code;
    } puts[] = {
        {"", "a", "data: a\n\n", 0},
        {"", "", "data: \n\n", 0},
        {"x", " a", "event: x\ndata:  a\n\n", 0},
        {"", "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n", 0},
        {"", "a\n", "data: a\ndata: \n\n", 0},
        {"", "\n", "data: \ndata: \n\n", 0},
        {"x\ny", "a", "", -ERR_INVALID},
        {"x\r", "a", "", -ERR_INVALID},
        {"", "0123456789012345678901234567890123456789", "", -ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
        struct buf out;
        buf_init(&out, 42);
        int rc = sse_put(&out, str_from(puts[i].name), str_from(puts[i].data));
        TEST_CODE_EQ(puts[i].data, rc, puts[i].code);
        TEST_STR_EQ(buf_str(&out), str_from(puts[i].want));
        buf_fini(&out);
    }
    struct buf out;
    buf_init(&out, 64);
    assert_int_equal(sse_put_comment(&out, STR("ping")), 0);
    assert_int_equal(sse_put_comment(&out, STR("a\ndata: b")), 0);
    TEST_STR_EQ(buf_str(&out), STR(": ping\n\n: a\n: data: b\n\n"));
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_however_cut),
        cmocka_unit_test(random_streams_randomly_cut),
        cmocka_unit_test(nothing_is_copied_from_a_whole_event),
        cmocka_unit_test(cap_is_exact_and_final),
        cmocka_unit_test(bytewise_is_linear),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
