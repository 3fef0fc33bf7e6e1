/* SPDX-License-Identifier: MIT
 * through_test.c - what is easily lost between two dialects: answers, whole and streamed, and what
 *                  a client of another dialect sees of them.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: logprobs, custom tools, the words of a refusal and citations arrive. */
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

/* Citations: the text is an accented e, a face, a blank and "ab", which is from u: code points 3 to
 * 5, bytes 7 to 9. */

#define SAID "\xc3\xa9\xf0\x9f\x98\x80 ab"
#define URL "\"url\":\"https://u\",\"title\":\"T\""
#define NESTED(from, to)                                                                      \
    "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":" from ",\"end_index\":" to \
    "," URL
#define FLAT(from, to) \
    "{\"type\":\"url_citation\",\"start_index\":" from ",\"end_index\":" to "," URL "}"
#define OAI_DELTA(delta, finish)                                                      \
    "data: {\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{" delta \
    "},\"finish_reason\":" finish "}]}\n\n"
#define OAI_CITED                                                 \
    OAI_DELTA("\"content\":\"" SAID "\"", "null")                 \
    OAI_DELTA("\"annotations\":[" NESTED("3", "5") "}}]", "null") \
    OAI_DELTA("", "\"stop\"") "data: [DONE]\n\n"
#define OAI_CITED_BODY                                                                         \
    "{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"" SAID \
    "\",\"annotations\":[" NESTED("3", "5") "}}]},\"finish_reason\":\"stop\"}]}"
#define SOURCES                                                              \
    ",\"citations\":[\"https://u\",\"https://v\"],\"search_results\":[{" URL \
    ",\"snippet\":\"said\"},{\"url\":\"https://v\",\"title\":\"V\"}]"
#define PPX_BODY                                                                               \
    "{\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"" SAID \
    "\"},\"finish_reason\":\"stop\"}]" SOURCES "}"
#define PPX                                                                                    \
    "data: {\"id\":\"i\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"    \
    "\"\xc3\xa9\"}}]" SOURCES "}\n\ndata: {\"id\":\"i\",\"choices\":[{\"index\":0,\"delta\":{" \
    "\"content\":\"\xf0\x9f\x98\x80 ab\"},\"finish_reason\":\"stop\"}]" SOURCES                \
    "}\n\ndata: [DONE]\n\n"
#define RSP_CITED                                                                            \
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"i\",\"model\":\"m\"}}\n\n"  \
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0," \
    "\"delta\":\"\xc3\xa9\"}\n\ndata: {\"type\":\"response.output_text.delta\","             \
    "\"output_index\":1,\"content_index\":0,\"delta\":\"\xf0\x9f\x98\x80 ab\"}\n\ndata: {"   \
    "\"type\":\"response.output_text.annotation.added\",\"output_index\":1,"                 \
    "\"content_index\":0,\"annotation_index\":0,\"annotation\":" FLAT(                       \
        "2",                                                                                 \
        "4") "}\n\n"                                                                         \
             "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"
#define RSP_CITED_BODY                                                                    \
    "{\"id\":\"i\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"type\":"       \
    "\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":" \
    "\"\xc3\xa9\",\"annotations\":[]},{\"type\":\"output_text\",\"text\":"                \
    "\"\xf0\x9f\x98\x80 ab\",\"annotations\":[" FLAT("2", "4") "]}]}]}"
#define ANT_WEB                                                                         \
    "{\"type\":\"web_search_result_location\",\"cited_text\":\"said\",\"url\":\"https:" \
    "//u\",\"title\":\"T\",\"encrypted_index\":\"E\"}"
#define ANT_PAGE                                                                \
    "{\"type\":\"page_location\",\"cited_text\":\"said\",\"document_index\":1," \
    "\"document_title\":\"Doc\",\"start_page_number\":3,\"end_page_number\":4}"
#define ANT_TEXT(at, text)                                                                         \
    "data: {\"type\":\"content_block_start\",\"index\":" at                                        \
    ",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":"                    \
    "\"content_block_delta\",\"index\":" at ",\"delta\":{\"type\":\"text_delta\",\"text\":\"" text \
    "\"}}\n\n"
#define ANT_STOP(at) "data: {\"type\":\"content_block_stop\",\"index\":" at "}\n\n"
#define ANT_CITED(what)                                                                         \
    ANT_START ANT_TEXT("0", "\xc3\xa9\xf0\x9f\x98\x80 ") ANT_STOP("0") ANT_TEXT(                \
        "1",                                                                                    \
        "a") "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"         \
             "\"citations_delta\",\"citation\":" what "}}\n\ndata: {\"type\":"                  \
             "\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":" \
             "\"b\"}}\n\n" ANT_STOP("1") ANT_END("\"end_turn\"")
#define ANT_CITED_BODY(what)                                                              \
    "{\"id\":\"i\",\"model\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"text\"," \
    "\"text\":\"\xc3\xa9\xf0\x9f\x98\x80 "                                                \
    "\"},{\"type\":\"text\",\"text\":\"ab\",\"citations\":[" what                         \
    "]}],\"stop_reason\":\"end_turn\"}"
#define GROUNDED                                                                          \
    "\"groundingMetadata\":{\"webSearchQueries\":[\"q\"],\"groundingChunks\":[{\"web\":{" \
    "\"uri\":\"https://u\",\"title\":\"T\"}}],\"groundingSupports\":[{\"segment\":{"      \
    "\"startIndex\":7,\"endIndex\":9,\"text\":\"ab\"},\"groundingChunkIndices\":[0]}]}"
#define GEM_CHUNK(text, rest)                                                        \
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text "\"}]}" rest \
    "}],\"responseId\":\"i\",\"modelVersion\":\"m\"}\n\n"
#define GEM_CITED                             \
    GEM_CHUNK("\xc3\xa9\xf0\x9f\x98\x80", "") \
    GEM_CHUNK(" ab", "," GROUNDED)            \
    GEM_CHUNK("", ",\"finishReason\":\"STOP\"," GROUNDED)
#define GEM_CITED_BODY                                                                       \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\",\"thought\":true},{\"text\":" \
    "\"\xc3\xa9\"},{\"text\":\"\xf0\x9f\x98\x80 ab\"}]},\"finishReason\":\"STOP\","          \
    "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://u\",\"title\":" \
    "\"T\"}}],\"groundingSupports\":[{\"segment\":{\"partIndex\":2,\"startIndex\":5,"        \
    "\"endIndex\":7},\"groundingChunkIndices\":[0,9]}]}}],\"responseId\":\"i\"}"
#define COH_SOURCE                                                                         \
    "\"sources\":[{\"type\":\"document\",\"id\":\"d:1\",\"document\":{\"id\":\"d:1\"," URL \
    ",\"snippet\":\"said\"}}]"
#define COH_CITED                                                                              \
    "data: {\"type\":\"message-start\",\"id\":\"i\"}\n\ndata: {\"type\":\"content-start\","    \
    "\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n" \
    "data: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{"      \
    "\"text\":\"" SAID "\"}}}}\n\ndata: {\"type\":\"citation-start\",\"index\":0,\"delta\":{"  \
    "\"message\":{\"citations\":{\"start\":3,\"end\":5,\"text\":\"ab\"," COH_SOURCE "}}}}\n\n" \
    "data: {\"type\":\"citation-end\",\"index\":0}\n\ndata: {\"type\":\"message-end\","        \
    "\"delta\":{\"finish_reason\":\"COMPLETE\"}}\n\n"
#define COH_CITED_BODY                                                                     \
    "{\"id\":\"i\",\"finish_reason\":\"COMPLETE\",\"message\":{\"role\":\"assistant\","    \
    "\"content\":[{\"type\":\"text\",\"text\":\"" SAID "\"}],\"citations\":[{\"start\":3," \
    "\"end\":5,\"text\":\"ab\"," COH_SOURCE ",\"content_index\":0}]}}"
/* as each dialect's client sees it */
#define SEEN_ANT                                                                         \
    "\"type\":\"web_search_result_location\",\"cited_text\":\"\",\"url\":\"https://u\"," \
    "\"title\":\"T\",\"encrypted_index\":\"\"}"
#define SEEN_GEM                                                                              \
    "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://u\",\"title\":"  \
    "\"T\"}}],\"groundingSupports\":[{\"segment\":{\"startIndex\":7,\"endIndex\":9,\"text\":" \
    "\"ab\"},\"groundingChunkIndices\":[0]}]}"
#define SEEN_COH                                                                                  \
    "\"start\":3,\"end\":5,\"text\":\"ab\",\"sources\":[{\"type\":\"document\",\"id\":\"https://" \
    "u\""

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

#include "dataplane/dialect/cite_rows_test.def"
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

/* A chat completion of `count` times e acute and "ab", which is cited. */
static void
long_answer(uint32_t count, struct buf *out)
{
    buf_init(out, TEST_BYTES_MAX);
    buf_put_str(out, STR("{\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{"
                         "\"role\":\"assistant\",\"content\":\""));
    for (uint32_t i = 0; i < count; i++)
        buf_put_str(out, STR("\xc3\xa9"));
    buf_printf(out,
               "ab\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{"
               "\"start_index\":%u,\"end_index\":%u,\"url\":\"https://u\",\"title\":\"T\"}}]},"
               "\"finish_reason\":\"stop\"}]}",
               count, count + 2);
    assert_false(out->failed);
}

/* Offsets of a long text are counted right; one that is too long to count in has no sources, but
 * all of its text. */
static void
test_long_text(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *to;
        uint32_t count;
        const char *want;
        bool found;
    } cases[] = {
        {GEM, 1000, "\"startIndex\":2000,\"endIndex\":2002,\"text\":\"ab\"", true},
        {GEM, 100000, "\"startIndex\":200000,\"endIndex\":200002,\"text\":\"ab\"", true},
        {COH, 100000, "\"start\":100000,\"end\":100002,\"text\":\"ab\"", true},
        {GEM, 600000, "groundingMetadata", false},
        {COH, 600000, "citations", false},
        {GEM, 600000,
         "\xc3\xa9"
         "ab\"",
         true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf answer;
        struct buf out;
        long_answer(cases[i].count, &answer);
        buf_init(&out, TEST_BYTES_MAX);
        through_body(OAI, cases[i].to, buf_str(&answer), &out);
        if ((str_find(buf_str(&out), str_from(cases[i].want)) != SIZE_MAX) != cases[i].found)
            fail_msg("row %zu, %s", i, cases[i].want);
        buf_fini(&out);
        buf_fini(&answer);
    }
}

/* More citations than a block can have are left out; the answer stays. */
static void
test_many_citations(void **state)
{
    (void)state;
    struct buf stream;
    struct buf out;
    buf_init(&stream, TEST_BYTES_MAX);
    buf_init(&out, TEST_BYTES_MAX);
    buf_put_str(&stream,
                STR("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
                    "\"id\":\"1\",\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n"
                    "event: content_block_start\ndata: {\"type\":\"content_block_start\","
                    "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"hi\"}}\n\n"));
    for (uint32_t i = 0; i < 1200; i++) {
        buf_printf(
            &stream,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"url\":\"https://u/%u\","
            "\"cited_text\":\"%01000u\"}}}\n\n",
            i, i);
    }
    buf_put_str(
        &stream,
        STR("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            "\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    assert_false(stream.failed);
    through_stream(ANT, OAI, buf_str(&stream), &out);
    assert_true(str_find(buf_str(&out), STR("https://u/900\"")) != SIZE_MAX);
    assert_true(str_find(buf_str(&out), STR("[DONE]")) != SIZE_MAX);
    buf_fini(&out);
    buf_fini(&stream);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_many_citations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
