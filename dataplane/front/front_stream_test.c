/* SPDX-License-Identifier: MIT
 * front_stream_test.c - streamed answers: passed, translated, cut, timed out, left.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: a cut stream never looks complete; whoever leaves takes the provider's call along. */
#include "dataplane/front/front_test_rig.h"

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

static bool
provider_hangs(void *arg)
{
    (void)arg;
    return rig.hanging != NULL;
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

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        CASE(stream_passes_without_the_unasked_usage),
        CASE(slow_providers_time_out),
        CASE(client_that_leaves_cancels_the_provider),
        CASE(dialects_are_translated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
