/* SPDX-License-Identifier: MIT
 * front_stream_test.c - streamed answers: passed, translated, cut, timed out, left.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: a cut stream never looks complete; whoever leaves takes the provider's call along. */
#include "dataplane/front/front_test_rig.h"

#include <sys/socket.h>

static void
stream_passes_without_the_unasked_usage(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    provider_says(200, SSE,
                  CHUNK("{\"role\":\"assistant\",\"content\":\"\"}") ": ping\n\n" CHUNK(
                      "{\"content\":\"yo\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE);
    ask(&reply, CHAT, STREAM_BODY("a"));
    assert_string_equal(buf_cstr(&reply.body),
                        CHUNK("{\"role\":\"assistant\",\"content\":\"\"}") ": ping\n\n" CHUNK(
                            "{\"content\":\"yo\"}") CHUNK_STOP CHUNK_DONE);
    want_body(&reply, 200, "yo");
    assert_true(str_find(buf_str(&rig.seen), STR("\"include_usage\":true")) != SIZE_MAX);
    want_journal(before, "\"stream\":true");
    want_journal(before, "\"usage\":{\"input\":10,\"output\":5,\"request\":1},\"charge\":\"21\"");
}

static void
slow_providers_time_out(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    rig.steps[0] = (struct upstream_step){200, SSE, ": wait\n\n", false, true};
    rig.step_count = 1;
    ask(&reply, CHAT, STREAM_BODY("openai/a")); /* comments are no token */
    want_body(&reply, 504, "upstream_timeout");
    want_journal(before, "\"outcome\":\"upstream_error\"");

    before = mark();
    rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"one\"}"), false, true};
    ask(&reply, CHAT, STREAM_BODY("openai/a"));
    want_body(&reply, 200, "stopped in the middle");
    want_journal(before, "\"outcome\":\"timed_out\"");
}

static void
client_that_leaves_cancels_the_provider(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    rig.steps[0] = (struct upstream_step){200, SSE, CHUNK("{\"content\":\"one\"}"), false, true};
    rig.step_count = 1;
    ask_with(&reply, CHAT, KEY, "application/json", STREAM_BODY("openai/a"));
    step_until(provider_hangs, NULL);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (reply.body.len == 0 && clock_mono_ms() < end)
        loop_step(rig.loop, STEP_MS);
    assert_true(reply.body.len > 0);
    uint32_t closed = rig.provider_closed;
    uint64_t left = clock_mono_ms();
    http_call_cancel(&reply.call);
    step_until(all_settled, NULL);
    while (rig.provider_closed == closed && clock_mono_ms() < left + DEADLINE_MS)
        loop_step(rig.loop, 1);
    assert_true(clock_mono_ms() - left <= 100); /* HARDENING SS-13 */
    buf_fini(&reply.body);
    want_journal(before, "\"outcome\":\"client_gone\",\"evidence\":\"counted_stream\"");
}

static void
dialects_are_translated(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    provider_says(200, "application/json", ANSWER);
    ask(&reply, "/v1/messages",
        "{\"model\":\"openai/"
        "a\",\"max_tokens\":50,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    want_body(&reply, 200, "\"type\":\"message\"");
    assert_string_equal(rig.seen_target, "/v1/chat/completions");
    want_journal(before, "\"usage\":{\"input\":10,\"output\":5,\"request\":1}");

    before = mark();
    provider_says(
        200, SSE,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-c\",\"content\":[],"
        "\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"yo\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    ask(&reply, CHAT, STREAM_BODY("anthropic/c"));
    assert_true(str_ends(buf_str(&reply.body), STR(CHUNK_DONE)));
    want_body(&reply, 200, "\"content\":\"yo\"");
    assert_string_equal(rig.seen_target, "/v1/messages");
    want_journal(before, "\"usage\":{\"input\":10,\"output\":5,\"request\":1}");
}

/* A request as raw HTTP/1.1, and all of its answer, read after so long a time: the rig's client
 * drops trailers and reads ahead. */
static void
ask_raw(const char *fields, const char *body, uint64_t read_after_ms, struct buf *got)
{
    static char bytes[65536];
    char request[2048];
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    assert_int_equal(getsockname(rig.front_fd, (struct sockaddr *)&addr, &len), 0);
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(fd, (struct sockaddr *)&addr, len);
    int count = snprintf(request, sizeof request,
                         "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " KEY
                         "\r\nContent-Type: application/json\r\nConnection: close\r\n"
                         "Content-Length: %zu\r\n%s\r\n%s",
                         strlen(body), fields, body);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    ssize_t sent = -1;
    for (; sent < 0 && clock_mono_ms() < end; loop_step(rig.loop, 1))
        sent = send(fd, request, (size_t)count, MSG_NOSIGNAL);
    assert_int_equal(sent, count);
    for (uint64_t from = clock_mono_ms(); clock_mono_ms() - from < read_after_ms;)
        loop_step(rig.loop, STEP_MS);
    end += read_after_ms;
    ssize_t n = -1;
    for (; n != 0 && clock_mono_ms() < end; loop_step(rig.loop, 1)) {
        while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
            assert_int_equal(buf_put(got, bytes, (size_t)n), 0);
    }
    assert_int_equal(n, 0);
    (void)close(fd);
    step_until(all_settled, NULL);
}

/* Whoever reads late makes the provider wait: that is not its silence. */
static void
slow_readers_get_all(void **state)
{
    (void)state;
    struct buf all;
    struct buf got;
    uint64_t before = mark();
    buf_init(&all, 8u << 20);
    buf_init(&got, 8u << 20);
    while (all.len < 6u << 20) /* more than all sockets on the way hold */
        buf_put_str(&all, STR(CHUNK("{\"content\":\"some words of an answer\"}")));
    buf_put_str(&all, STR(CHUNK_STOP CHUNK_USAGE CHUNK_DONE));
    provider_says(200, SSE, buf_cstr(&all));
    ask_raw("", STREAM_BODY("openai/a"), 1000, &got); /* stall_timeout_ms is 300 */
    assert_true(got.len > 6u << 20);
    assert_true(str_ends(buf_str(&got), STR(CHUNK_DONE "\r\n0\r\n\r\n")));
    want_journal(before, "\"outcome\":\"completed\"");
    buf_fini(&all);
    buf_fini(&got);
}

#define TRAILER "trailer: x-berth-cost, x-berth-usage\r\n"

/* What it cost is behind a stream, for those who say TE: trailers; for nobody else is anything
 * different. */
static void
money_is_in_the_trailers(void **state)
{
    static const struct {
        const char *fields;
        const char *body;
        struct upstream_step step;
        const char *end;     /* of the answer */
        const char *journal; /* the same, there */
    } rows[] = {
        {"TE: trailers\r\n",
         STREAM_BODY("openai/a"),
         {200, SSE, CHUNK("{\"content\":\"yo\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE, 0, 0},
         "\r\n0\r\nx-berth-cost: 0.000000021\r\n"
         "x-berth-usage: input=10, output=5, request=1, evidence=provider_usage\r\n\r\n",
         "\"usage\":{\"input\":10,\"output\":5,\"request\":1},\"charge\":\"21\""},
        {"",
         STREAM_BODY("openai/a"),
         {200, SSE, CHUNK("{\"content\":\"yo\"}") CHUNK_STOP CHUNK_USAGE CHUNK_DONE, 0, 0},
         CHUNK_DONE "\r\n0\r\n\r\n",
         "\"charge\":\"21\""},
        {"TE: trailers\r\n", /* the provider reports an error: what was delivered */
         STREAM_BODY("openai/a"),
         {200, SSE, CHUNK("{\"content\":\"yo\"}") "data: {\"error\":{\"message\":\"no\"}}\n\n", 0,
          0},
         ", evidence=counted_stream\r\n\r\n",
         "\"outcome\":\"upstream_error_event\",\"evidence\":\"counted_stream\""},
        {"TE: trailers\r\n", BODY("openai/a"), {200, "application/json", ANSWER, 0, 0}, ANSWER, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf got;
        uint64_t before = mark();
        buf_init(&got, 1u << 16);
        rig.steps[0] = rows[i].step;
        rig.step_count = 1;
        rig.step_at = 0;
        ask_raw(rows[i].fields, rows[i].body, 0, &got);
        bool announced = str_find(buf_str(&got), STR(TRAILER)) != SIZE_MAX;
        if (!str_ends(buf_str(&got), str_from(rows[i].end)) || announced != (i % 3 != 1 && i < 3))
            fail_msg("row %zu: %s", i, buf_cstr(&got));
        want_journal(before, rows[i].journal);
        buf_fini(&got);
    }
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        CASE(stream_passes_without_the_unasked_usage),
        CASE(slow_providers_time_out),
        CASE(client_that_leaves_cancels_the_provider),
        CASE(dialects_are_translated),
        CASE(slow_readers_get_all),
        CASE(money_is_in_the_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
