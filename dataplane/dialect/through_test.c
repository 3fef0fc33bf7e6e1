/* SPDX-License-Identifier: MIT
 * through_test.c - what is easily lost between two dialects: answers, whole and streamed, and what
 *                  a client of another dialect sees of them.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: logprobs, custom tools and the words of a refusal arrive. */
#include "dataplane/dialect/test_int.h"

#define OAI &dialect_openai
#define ANT &dialect_anthropic
#define GEM &dialect_gemini
#define RSP &dialect_responses
#define OLL &dialect_ollama
#define COH &dialect_cohere

#define TOKEN                                                                               \
    "{\"token\":\"hi\",\"logprob\":-0.10,\"bytes\":[104,105],\"top_logprobs\":[{\"token\":" \
    "\"hi\",\"logprob\":-0.10,\"bytes\":null},{\"token\":\"ho\",\"logprob\":-2.5e0,"        \
    "\"bytes\":null}]}"
#define OAI_STREAM                                                                          \
    "data: {\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":" \
    "\"hi\"},\"logprobs\":{\"content\":[" TOKEN "],\"refusal\":null}}]}\n\n"                \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: " \
    "[DONE]\n\n"
#define OAI_BODY                                                                           \
    "{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":"       \
    "\"assistant\",\"content\":\"hi\"},\"logprobs\":{\"content\":[" TOKEN "],\"refusal\":" \
    "null},\"finish_reason\":\"stop\"}]}"
#define RSP_STREAM                                                                          \
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"i\",\"model\":\"m\"}}\n\n" \
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"hi\","   \
    "\"logprobs\":[" TOKEN "]}\n\n"                                                         \
    "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"
#define RSP_BODY                                                                          \
    "{\"id\":\"i\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"type\":"       \
    "\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":" \
    "\"hi\",\"logprobs\":[" TOKEN "]}]}]}"
#define GEM_LOGPROBS                                                             \
    "\"logprobsResult\":{\"topCandidates\":[{\"candidates\":[{\"token\":\"hi\"," \
    "\"logProbability\":-0.10},{\"token\":\"ho\",\"logProbability\":-2.5e0}]}]," \
    "\"chosenCandidates\":[{\"token\":\"hi\",\"logProbability\":-0.10}]}"
#define GEM_STREAM                                                                          \
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":" \
    "\"STOP\"," GEM_LOGPROBS "}],\"responseId\":\"i\",\"modelVersion\":\"m\"}\n\n"
#define GEM_TOKEN                                                                      \
    "{\"token\":\"hi\",\"logprob\":-0.10,\"bytes\":null,\"top_logprobs\":[{\"token\":" \
    "\"hi\",\"logprob\":-0.10,\"bytes\":null},{\"token\":\"ho\",\"logprob\":-2.5e0,"   \
    "\"bytes\":null}]}"

#define INPUT "a \\\"b\\\"\\n"
#define ANT_START \
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"model\":\"m\"}}\n\n"
#define ANT_END(reason)                                                                   \
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":" reason "}}\n\ndata: " \
    "{\"type\":\"message_stop\"}\n\n"
#define ANT_PIECE(text)                                                        \
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":" \
    "\"input_json_delta\",\"partial_json\":\"" text "\"}}\n\n"
#define ANT_CALL(name)                                                                            \
    ANT_START "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{"           \
              "\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"" name                              \
              "\",\"input\":{}}}\n\n" ANT_PIECE("{\\\"in") ANT_PIECE("put\\\": \\\"a \\\\\\\"b")  \
                  ANT_PIECE("\\\\\\\"\\\\n\\\"}") "data: "                                        \
                                                  "{\"type\":\"content_block_stop\",\"index\":0}" \
                                                  "\n\n" ANT_END("\"tool_use\"")
#define ANT_CALL_BODY                                                                         \
    "{\"id\":\"i\",\"model\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"tool_use\"," \
    "\"id\":\"c1\",\"name\":\"x__freeform\",\"input\":{\"input\":\"" INPUT "\"}}],"           \
    "\"stop_reason\":\"tool_use\"}"
#define WHY "because"
#define ANT_REFUSAL                                                                         \
    ANT_START ANT_END("\"refusal\",\"stop_details\":{\"type\":\"refusal\",\"explanation\":" \
                      "\"" WHY "\"}")
#define ANT_REFUSAL_BODY                                                                 \
    "{\"id\":\"i\",\"model\":\"m\",\"type\":\"message\",\"content\":[],\"stop_reason\":" \
    "\"refusal\",\"stop_details\":{\"type\":\"refusal\",\"explanation\":\"" WHY "\"}}"
#define GEM_REFUSAL                                                                        \
    "data: {\"candidates\":[{\"finishReason\":\"SAFETY\",\"finishMessage\":\"" WHY "\"}]," \
    "\"responseId\":\"i\",\"modelVersion\":\"m\"}\n\n"

static const struct {
    const char *name;
    const struct dialect *from;
    const struct dialect *to;
    const char *answer;
    const char *want[3];
} rows[] = {
    {"logprobs",
     OAI,
     RSP,
     OAI_STREAM,
     {"\"delta\":\"hi\",\"logprobs\":[" TOKEN "]", "\"text\":\"hi\",\"logprobs\":[" TOKEN "]",
      "\"annotations\":[],\"logprobs\":[" TOKEN "],\"text\":\"hi\""}},
    {"logprobs", OAI, GEM, OAI_STREAM, {GEM_LOGPROBS}},
    {"logprobs", RSP, OAI, RSP_STREAM, {"\"logprobs\":{\"content\":[" TOKEN "]"}},
    {"logprobs", RSP, GEM, RSP_STREAM, {GEM_LOGPROBS}},
    {"logprobs", GEM, RSP, GEM_STREAM, {"\"delta\":\"hi\",\"logprobs\":[" GEM_TOKEN "]"}},
    {"logprobs", GEM, OAI, GEM_STREAM, {"\"logprobs\":{\"content\":[" GEM_TOKEN "]"}},
    {"logprobs, whole", OAI, RSP, OAI_BODY, {"\"text\":\"hi\",\"logprobs\":[" TOKEN "]"}},
    {"logprobs, whole", OAI, GEM, OAI_BODY, {GEM_LOGPROBS}},
    {"logprobs, whole", RSP, OAI, RSP_BODY, {"\"logprobs\":{\"content\":[" TOKEN "]"}},

    {"a custom tool's call",
     ANT,
     OAI,
     ANT_CALL("x__freeform"),
     {"\"id\":\"c1\",\"type\":\"custom\",\"custom\":{\"name\":\"x\",\"input\":\"\"}",
      "{\"index\":0,\"custom\":{\"input\":\"" INPUT "\"}}", "\"finish_reason\":\"tool_calls\""}},
    {"a custom tool's call",
     ANT,
     RSP,
     ANT_CALL("x__freeform"),
     {"\"type\":\"response.custom_tool_call_input.delta\"",
      "\"type\":\"response.custom_tool_call_input.done\"",
      "\"type\":\"custom_tool_call\",\"status\":\"completed\",\"input\":\"" INPUT
      "\",\"call_id\":\"c1\",\"name\":\"x\""}},
    {"a function's call",
     ANT,
     OAI,
     ANT_CALL("x"),
     {"\"type\":\"function\",\"function\":{\"name\":\"x\"", "\"arguments\":\"{\\\"in\""}},
    {"a custom tool's call, whole",
     ANT,
     OAI,
     ANT_CALL_BODY,
     {"\"type\":\"custom\",\"custom\":{\"name\":\"x\",\"input\":\"" INPUT "\"}"}},
    {"a custom tool's call, whole",
     ANT,
     RSP,
     ANT_CALL_BODY,
     {"\"type\":\"custom_tool_call\"",
      "\"input\":\"" INPUT "\",\"call_id\":\"c1\",\"name\":\"x\""}},

    {"why it was refused", ANT, OAI, ANT_REFUSAL, {"\"refusal\":\"" WHY "\""}},
    {"why it was refused", ANT, RSP, ANT_REFUSAL, {"\"refusal\":\"" WHY "\""}},
    {"why it was refused", ANT, GEM, ANT_REFUSAL, {"\"finishMessage\":\"" WHY "\""}},
    {"why it was refused", ANT, COH, ANT_REFUSAL, {"\"text\":\"" WHY "\""}},
    {"why it was refused", ANT, OLL, ANT_REFUSAL, {"\"content\":\"" WHY "\""}},
    {"why it was refused", GEM, OAI, GEM_REFUSAL, {"\"refusal\":\"" WHY "\""}},
    {"why it was refused, whole", ANT, OAI, ANT_REFUSAL_BODY, {"\"refusal\":\"" WHY "\""}},
    {"why it was refused, whole", ANT, RSP, ANT_REFUSAL_BODY, {"\"refusal\":\"" WHY "\""}},
    {"why it was refused, whole", ANT, COH, ANT_REFUSAL_BODY, {"\"text\":\"" WHY "\""}},
    {"why it was refused, whole", ANT, OLL, ANT_REFUSAL_BODY, {"\"content\":\"" WHY "\""}},
};

static void
through_stream(const struct dialect *from, const struct dialect *to, struct str bytes,
               struct buf *out)
{
    const struct stream_writer_options options = {.include_usage = true};
    void *writer = calloc(1, to->writer->size);
    assert_non_null(writer);
    to->writer->init(writer, &options);
    struct test_stream stream = {.writer = writer, .out_class = to->writer, .out = out};
    assert_int_equal(test_feed(from, bytes, 0, &stream), 0);
    to->writer->fini(writer);
    free(writer);
}

static void
through_body(const struct dialect *from, const struct dialect *to, struct str bytes,
             struct buf *out)
{
    struct json_doc doc;
    struct arena arena;
    struct chat_answer answer;
    struct err err = {0};
    arena_init(&arena, TEST_BYTES_MAX);
    test_scan(&doc, bytes);
    assert_int_equal(from->answer_in(&doc, &arena, &answer, &err), 0);
    assert_int_equal(to->answer_out(&answer, &arena, out), 0);
    json_fini(&doc);
    arena_fini(&arena);
}

static void
test_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str answer = str_from(rows[i].answer);
        struct buf out;
        buf_init(&out, TEST_BYTES_MAX);
        if (answer.ptr[0] == '{')
            through_body(rows[i].from, rows[i].to, answer, &out);
        else
            through_stream(rows[i].from, rows[i].to, answer, &out);
        for (size_t n = 0; n < ARRAY_LEN(rows[i].want) && rows[i].want[n] != NULL; n++)
            if (str_find(buf_str(&out), str_from(rows[i].want[n])) == SIZE_MAX)
                fail_msg("%s, %s to %s: no %s in\n%s", rows[i].name, rows[i].from->name,
                         rows[i].to->name, rows[i].want[n], buf_cstr(&out));
        buf_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
