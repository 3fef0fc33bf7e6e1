/* SPDX-License-Identifier: MIT
 * front_error_test.c - what a provider's error is to a caller: as an answer, inside a 200, before
 * and behind the first token of a stream.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: must hold: the reason reaches the caller in its own dialect, with a status by which
 * its SDK does the right thing; whose account it was does not. */
#include "dataplane/front/front_test_rig.h"

#define JSON "application/json"
#define MESSAGES "/v1/messages"
#define ANT_BODY(model, stream)                                                                 \
    "{\"model\":\"" model "\",\"max_tokens\":50,\"stream\":" stream ",\"messages\":[{\"role\":" \
    "\"user\",\"content\":\"hi\"}]}"
#define LONG_ERROR                                                                                \
    "{\"error\":{\"message\":\"maximum context length is 5\",\"type\":\"invalid_request_error\"," \
    "\"code\":\"context_length_exceeded\"}}"
#define LIMIT_ERROR                                                                          \
    "{\"error\":{\"message\":\"Limit for org-aB3dE6gH9 and proj_0123456789, an org-chart\"," \
    "\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}"
#define ANT_EVENT(type, text)                                                                      \
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" text \
    "\"}}\n\n"
#define ANT_BEGUN                                                                                  \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":"  \
    "\"message\",\"role\":\"assistant\",\"model\":\"up-c\",\"content\":[],\"usage\":{"             \
    "\"input_tokens\":10,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":"   \
    "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"  \
    "\"type\":\"text_delta\",\"text\":\"yo\"}}\n\n"

static char should_retry[16];

static void
error_head(struct http_call *call, const struct http_head *head)
{
    (void)snprintf(should_retry, sizeof(should_retry), "%.*s",
                   STR_ARG(http_field_get(head, STR("x-should-retry"))));
    reply_head(call, head);
}
static const struct http_call_ops error_ops = {
    .head = error_head, .body = reply_body, .done = reply_done, .failed = reply_failed};

static void
ask_error(struct reply *reply, const char *path, const char *body)
{
    static const struct http_field fields[] = {{STR("authorization"), STR("Bearer " KEY)},
                                               {STR("content-type"), STR(JSON)}};
    ask_call(reply, &error_ops, path, str_from(body), fields, ARRAY_LEN(fields));
    step_until(reply_ended, reply);
    step_until(all_settled, NULL);
}

static const struct {
    const char *name;
    const char *path, *body;
    unsigned says;
    const char *type, *answer;
    unsigned want_status;
    const char *want;
    const char *want_retry;
} reasons[] = {
    {"too long, in a stream", CHAT, STREAM_BODY("openai/a"), 200, SSE, "data: " LONG_ERROR "\n\n",
     400, "\"param\":null,\"code\":\"context_length_exceeded\"", ""},
    {"too long, in a stream, to Anthropic's client", MESSAGES, ANT_BODY("openai/a", "true"), 200,
     SSE, "data: " LONG_ERROR "\n\n", 400,
     "\"message\":\"prompt is too long: Provider openai: ", ""},
    {"too long, by Anthropic", CHAT, STREAM_BODY("anthropic/c"), 200, SSE,
     ANT_EVENT("invalid_request_error", "prompt is too long: 9 tokens > 5 maximum"), 400,
     "\"code\":\"context_length_exceeded\"", ""},
    {"too long, as an answer", MESSAGES, ANT_BODY("openai/a", "false"), 400, JSON, LONG_ERROR, 400,
     "\"message\":\"prompt is too long: Provider openai: maximum", ""},
    {"too long, and its status in the body, too", MESSAGES, ANT_BODY("openai/a", "false"), 400,
     JSON,
     "{\"error\":{\"message\":\"no\",\"code\":\"context_length_exceeded\",\"status_code\":400}"
     "}",
     400, "\"message\":\"prompt is too long: Provider openai: no", ""},
    {"a limit, in a stream", CHAT, STREAM_BODY("openai/a"), 200, SSE, "data: " LIMIT_ERROR "\n\n",
     429, "Limit for org-* and proj_*, an org-chart\",\"type\":\"rate_limit_error\"", ""},
    {"a limit, as an answer", MESSAGES, ANT_BODY("openai/a", "false"), 429, JSON, LIMIT_ERROR, 429,
     "\"type\":\"rate_limit_error\",\"message\":\"Provider openai: Limit for org-*", ""},
    {"overload, in a stream", CHAT, STREAM_BODY("anthropic/c"), 200, SSE,
     ANT_EVENT("overloaded_error", "Overloaded"), 503, "\"code\":\"overloaded\"", ""},
    {"overload, behind the first token", CHAT, STREAM_BODY("anthropic/c"), 200, SSE,
     ANT_BEGUN ANT_EVENT("overloaded_error", "Overloaded"), 200,
     "\"message\":\"Provider anthropic: Overloaded\",\"type\":\"server_error\",\"param\":null,"
     "\"code\":\"overloaded\"",
     ""},
    {"an account that is spent", CHAT, BODY("openai/a"), 429, JSON,
     "{\"error\":{\"message\":\"x\",\"code\":\"insufficient_quota\"}}", 502, "upstream_error",
     "false"},
    {"a key that is refused", CHAT, BODY("openai/a"), 401, JSON,
     "{\"error\":{\"message\":"
     "\"no\"}}",
     502, "refused the key", "false"},
    {"a failure may heal", CHAT, BODY("openai/a"), 500, JSON, "{\"error\":{\"message\":\"x\"}}",
     502, "upstream_error", ""},
    {"MiniMax' limit inside a 200", CHAT, BODY("openai/a"), 200, JSON,
     "{\"base_resp\":{\"status_code\":1002,\"status_msg\":\"slow down\"}}", 429, "slow down", ""},
    {"MiniMax' key inside a 200", CHAT, BODY("openai/a"), 200, JSON,
     "{\"base_resp\":{\"status_code\":1004,\"status_msg\":\"bad\"}}", 502, "refused the key",
     "false"},
    {"anything else of MiniMax'", CHAT, BODY("openai/a"), 200, JSON,
     "{\"base_resp\":{\"status_code\":2013,\"status_msg\":\"bad\"}}", 502, "upstream_error", ""},
    {"what cannot be carried is named", CHAT,
     "{\"model\":\"anthropic/"
     "c\",\"logprobs\":true,\"messages\":[{\"role\":\"user\",\"content\":"
     "\"hi\"}]}",
     200, JSON, "{}", 400, "\"param\":\"logprobs\",\"code\":\"unsupported_parameter\"", ""},
};

static void
reasons_reach_the_caller(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        struct reply reply;
        provider_says(reasons[i].says, reasons[i].type, reasons[i].answer);
        ask_error(&reply, reasons[i].path, reasons[i].body);
        if (strcmp(should_retry, reasons[i].want_retry) != 0)
            fail_msg("%s: x-should-retry is '%s'", reasons[i].name, should_retry);
        if (str_find(buf_str(&reply.body), STR("aB3dE6gH9")) != SIZE_MAX)
            fail_msg("%s: names an account: %s", reasons[i].name, buf_cstr(&reply.body));
        if (reply.status != reasons[i].want_status)
            print_message("%s\n", reasons[i].name);
        want_body(&reply, reasons[i].want_status, reasons[i].want);
    }
}

/* Azure's client names the model in the path; what stands in the body, if anything, is not it. */
static void
deployments_are_models(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
        "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
        "{\"model\":\"up-a\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reply reply;
        provider_says(200, JSON, ANSWER);
        ask(&reply, "/openai/deployments/openai%2Fa/chat/completions?api-version=1", bodies[i]);
        want_body(&reply, 200, "chat.completion");
        assert_true(str_find(buf_str(&rig.seen), STR("\"model\":\"up-a\"")) != SIZE_MAX);
    }
}

/* Neither what was charged nor what a caller asked for hangs on a provider's report. */
static void
a_stream_without_a_report_has_an_estimate(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    provider_says(200, SSE,
                  ANT_BEGUN "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
                            "\"stop_reason\":\"end_turn\"}}\n\nevent: message_stop\ndata: {"
                            "\"type\":\"message_stop\"}\n\n");
    ask(&reply, MESSAGES, ANT_BODY("anthropic/c", "true"));
    want_body(&reply, 200, "message_stop");
    want_journal(before, "\"outcome\":\"completed\"");

    provider_says(200, SSE, CHUNK("{\"content\":\"yoyoyoyo\"}") CHUNK_STOP CHUNK_DONE);
    before = mark();
    ask(&reply, MESSAGES, ANT_BODY("openai/a", "true"));
    want_body(&reply, 200, "\"output_tokens\":2");
    want_journal(before, "\"output\":2");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {CASE(reasons_reach_the_caller), CASE(deployments_are_models),
                                       CASE(a_stream_without_a_report_has_an_estimate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
