/* SPDX-License-Identifier: MIT
 * front_functions_test.c - OpenAI's functions of before 2024 before another vendor's model: what he
 *                          gets, and the answer, whole and streamed.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: who offers `functions` reads `function_call`. */
#include "dataplane/front/front_test_rig.h"

#define ASKS(more)                                                                     \
    "{\"model\":\"anthropic/c\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" \
    ",\"functions\":[{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}]" more "}"
#define USED "\"usage\":{\"input_tokens\":10,\"output_tokens\":5}"
#define EVENT(name, data) "event: " name "\ndata: {\"type\":\"" name "\"" data "}\n\n"

static void
whole(void **state)
{
    (void)state;
    struct reply reply;
    provider_says(200, "application/json",
                  "{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-c\","
                  "\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":"
                  "{\"a\":1}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}],"
                  "\"stop_reason\":\"tool_use\"," USED "}");
    ask(&reply, CHAT, ASKS(""));
    if (str_find(buf_str(&reply.body), STR("tool_calls")) != SIZE_MAX)
        fail_msg("%s", buf_cstr(&reply.body));
    want_body(&reply, 200,
              "\"function_call\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
              "\"logprobs\":null,\"finish_reason\":\"function_call\"");
    assert_non_null(strstr(buf_cstr(&rig.seen), "\"disable_parallel_tool_use\":true"));
}

static void
streamed(void **state)
{
    (void)state;
    struct reply reply;
    provider_says(
        200, SSE,
        EVENT("message_start", ",\"message\":{\"id\":\"m\",\"model\":\"up-c\",\"content\":[],"
                               "\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}")
            EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"tool_use\","
                                         "\"id\":\"t1\",\"name\":\"f\",\"input\":{}}")
                EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":"
                                             "\"input_json_delta\",\"partial_json\":\"{}\"}")
                    EVENT("content_block_stop", ",\"index\":0")
                        EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\"},"
                                               "\"usage\":{\"output_tokens\":5}")
                            EVENT("message_stop", ""));
    ask(&reply, CHAT, ASKS(",\"stream\":true"));
    struct str body = buf_str(&reply.body);
    if (str_find(body, STR("tool_calls")) != SIZE_MAX ||
        str_find(body, STR("{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}")) ==
            SIZE_MAX ||
        str_find(body, STR("\"finish_reason\":\"function_call\"")) == SIZE_MAX)
        fail_msg("%s", buf_cstr(&reply.body));
    want_body(&reply, 200, "{\"function_call\":{\"arguments\":\"{}\"}}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(streamed, rig_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
