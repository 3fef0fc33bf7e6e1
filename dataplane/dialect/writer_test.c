/* SPDX-License-Identifier: MIT
 * writer_test.c - streams as their clients see them: exact bytes for the awkward sequences.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: blocks never interleave, one finish, usage after it, no clean end after an
 *            error. */
#include "dataplane/dialect/test_int.h"

/* OpenAI chunks in, as deltas of choice 0; `{}` as a finish of its own. */
#define CHUNK(delta)                                                                               \
    "data: {\"id\":\"i\",\"model\":\"m\",\"created\":5,\"choices\":[{\"index\":0,\"delta\":" delta \
    "}]}\n\n"
#define FINISH(reason)                                                                             \
    "data: "                                                                                       \
    "{\"id\":\"i\",\"model\":\"m\",\"created\":5,\"choices\":[{\"index\":0,\"delta\":{},\"finish_" \
    "reason\":\"" reason "\"}]}\n\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n"
#define DONE "data: [DONE]\n\n"
#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                     \
    EVENT("message_start",                                                                        \
          ",\"message\":{\"id\":\"i\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"     \
          "\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_"  \
          "tokens\":33,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_" \
          "tokens\":0}}")
#define BLOCK(at, block) \
    EVENT("content_block_start", ",\"index\":" at ",\"content_block\":{" block "}")
#define DELTA(at, delta) EVENT("content_block_delta", ",\"index\":" at ",\"delta\":{" delta "}")
#define STOP(at) EVENT("content_block_stop", ",\"index\":" at)
#define TEXT(at, text) DELTA(at, "\"type\":\"text_delta\",\"text\":\"" text "\"")
#define ARGS(at, text) DELTA(at, "\"type\":\"input_json_delta\",\"partial_json\":\"" text "\"")
#define TOOL(at, id, name) \
    BLOCK(at, "\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":{}")
#define TEXT_BLOCK(at) BLOCK(at, "\"type\":\"text\",\"text\":\"\"")
#define END(reason, in, out)                                                                      \
    EVENT(                                                                                        \
        "message_delta",                                                                          \
        ",\"delta\":{\"stop_reason\":\"" reason                                                   \
        "\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":" in                              \
        ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":" out \
        "}")                                                                                      \
    EVENT("message_stop", "")

#define OUT(delta, finish)                                                                      \
    "data: "                                                                                    \
    "{\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","         \
    "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" finish \
    "}]}\n\n"
#define ROLE OUT("{\"role\":\"assistant\",\"content\":\"\"}", "null")
#define START_IN                                                                            \
    EVENT("message_start", ",\"message\":{\"id\":\"i\",\"model\":\"m\",\"usage\":{\"input_" \
                           "tokens\":9,\"cache_read_input_tokens\":2,\"output_tokens\":1}}")
#define USAGE_OUT                                                                                 \
    "data: "                                                                                      \
    "{\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","           \
    "\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":4,\"total_tokens\":15," \
    "\"prompt_tokens_details\":{\"cached_tokens\":2,\"audio_tokens\":0},\"completion_tokens_"     \
    "details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}}\n\n"

static const struct {
    const char *name;
    const char *in; /* the other dialect's stream */
    const char *want;
    const struct dialect *to;
} rows[] = {
    {"text; usage after the finish",
     CHUNK("{\"role\":\"assistant\",\"content\":\"\"}") CHUNK("{\"content\":\"a\\n\"}")
         CHUNK("{\"content\":\"b\"}") FINISH("stop") USAGE DONE,
     START TEXT_BLOCK("0") TEXT("0", "a\\n") TEXT("0", "b") STOP("0") END("end_turn", "9", "4"),
     &dialect_anthropic},
    {"nothing at all", CHUNK("{}") DONE, START END("end_turn", "0", "0"), &dialect_anthropic},
    {"reasoning, then text, then a call",
     CHUNK("{\"reasoning_content\":\"r\"}") CHUNK("{\"content\":\"t\"}")
         CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\","
               "\"arguments\":\"{}\"}}]}") FINISH("tool_calls") DONE,
     START BLOCK("0", "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
         DELTA("0", "\"type\":\"thinking_delta\",\"thinking\":\"r\"") STOP("0") TEXT_BLOCK("1")
             TEXT("1", "t") STOP("1") TOOL("2", "c", "f") ARGS("2", "{}") STOP("2")
                 END("tool_use", "0", "0"),
     &dialect_anthropic},
    {"calls that interleave, one from index 3, one whose name is late",
     CHUNK("{\"tool_calls\":[{\"index\":1,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":"
           "\"{1\"}}]}") CHUNK("{\"tool_calls\":[{\"index\":3,\"id\":\"b\",\"function\":{"
                               "\"arguments\":\"{2\"}}]}")
         CHUNK("{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"1}\"}}]}") CHUNK(
             "{\"tool_calls\":[{\"index\":3,\"function\":{\"name\":\"g\",\"arguments\":\"2}\"}}]}")
             CHUNK("{\"content\":\"late\"}") FINISH("tool_calls") FINISH("stop") DONE,
     START TOOL("0", "a", "f") ARGS("0", "{1") ARGS("0", "1}") STOP("0") TOOL("1", "b", "g")
         ARGS("1", "{22}") STOP("1") TEXT_BLOCK("2") TEXT("2", "late") STOP("2")
             END("tool_use", "0", "0"),
     &dialect_anthropic},
    {"whole calls that all have index 0",
     CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":"
           "\"{}\"}}]}") CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{\"name\":"
                               "\"g\",\"arguments\":\"{}\"}}]}") DONE,
     START TOOL("0", "a", "f") ARGS("0", "{}") STOP("0") TOOL("1", "b", "g") ARGS("1", "{}")
         STOP("1") END("tool_use", "0", "0"),
     &dialect_anthropic},
    {"a call without id and arguments",
     CHUNK("{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}") FINISH("tool_calls") DONE,
     START TOOL("0", "call_i_0_0", "f") ARGS("0", "{}") STOP("0") END("tool_use", "0", "0"),
     &dialect_anthropic},
    {"a refusal", CHUNK("{\"refusal\":\"no\"}") FINISH("stop") DONE,
     START TEXT_BLOCK("0") TEXT("0", "no") STOP("0") END("refusal", "0", "0"), &dialect_anthropic},
    {"cut: no clean end", CHUNK("{\"content\":\"a\"}"), START TEXT_BLOCK("0") TEXT("0", "a"),
     &dialect_anthropic},
    {"an error in the middle",
     CHUNK("{\"content\":\"a\"}") "data: "
                                  "{\"error\":{\"message\":\"busy\",\"code\":\"overloaded\"}}"
                                  "\n\n" DONE,
     START TEXT_BLOCK("0") TEXT("0", "a") "event: error\ndata: "
                                          "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_"
                                          "error\",\"message\":\"busy\"}}\n\n",
     &dialect_anthropic},

    {"text and usage",
     START_IN TEXT_BLOCK("0") EVENT("ping", "") TEXT("0", "a") STOP("0")
         EVENT("message_delta",
               ",\"delta\":{\"stop_reason\":\"max_tokens\"},\"usage\":{\"output_tokens\":4}")
             EVENT("message_stop", ""),
     ROLE OUT("{\"content\":\"a\"}", "null") OUT("{}", "\"length\"") USAGE_OUT DONE,
     &dialect_openai},
    {"thinking with its signature, and a call",
     START_IN BLOCK("0", "\"type\":\"thinking\",\"thinking\":\"\"")
         DELTA("0", "\"type\":\"thinking_delta\",\"thinking\":\"t\"")
             DELTA("0", "\"type\":\"signature_delta\",\"signature\":\"s=\"") STOP("0")
                 TOOL("1", "c", "f") ARGS("1", "") STOP("1") EVENT(
                     "message_delta",
                     ",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":4}")
                     EVENT("message_stop", ""),
     ROLE OUT("{\"reasoning_content\":\"t\"}", "null")
         OUT("{\"thinking_blocks\":[{\"index\":0,\"type\":\"thinking\",\"thinking\":\"t\","
             "\"signature\":\"s=\"}]}",
             "null")
             OUT("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{"
                 "\"name\":\"f\",\"arguments\":\"\"}}]}",
                 "null") OUT("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}",
                             "null") OUT("{}", "\"tool_calls\"") USAGE_OUT DONE,
     &dialect_openai},
    {"a refusal without content",
     START_IN EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{"
                                     "\"explanation\":\"no\"}},\"usage\":{\"output_tokens\":4}")
         EVENT("message_stop", ""),
     ROLE OUT("{\"refusal\":\"no\"}", "\"content_filter\"") USAGE_OUT DONE, &dialect_openai},
    {"cut in a call: no finish, no end", START_IN TOOL("0", "c", "f"),
     ROLE OUT("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{"
              "\"name\":\"f\",\"arguments\":\"\"}}]}",
              "null"),
     &dialect_openai},
    {"an error before anything",
     START_IN EVENT("error",
                    ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"),
     "data: "
     "{\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":"
     "\"overloaded\"}}\n\n",
     &dialect_openai},
};

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct stream_writer_options options = {
            .include_usage = true, .prompt_estimate = 33, .created = 7};
        const struct dialect *to = rows[i].to;
        const struct dialect *from = to == &dialect_openai ? &dialect_anthropic : &dialect_openai;
        struct buf out;
        void *writer = calloc(1, to->writer->size);
        assert_non_null(writer);
        buf_init(&out, TEST_BYTES_MAX);
        to->writer->init(writer, &options);
        struct test_stream stream = {.writer = writer, .out_class = to->writer, .out = &out};
        assert_int_equal(test_feed(from, str_from(rows[i].in), 0, &stream), 0);
        if (!str_eq(buf_str(&out), str_from(rows[i].want)))
            print_message("%s\n", rows[i].name);
        assert_str(buf_str(&out), str_from(rows[i].want));
        to->writer->fini(writer);
        free(writer);
        buf_fini(&out);
    }
}

/* Signed thinking through this dialect and back: the same blocks, byte for byte. */
static void
test_signed_thinking(void **state)
{
    (void)state;
    const char *in = START BLOCK("0", "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
        DELTA("0", "\"type\":\"thinking_delta\",\"thinking\":\"a\"")
            DELTA("0", "\"type\":\"thinking_delta\",\"thinking\":\"b\"")
                DELTA("0", "\"type\":\"signature_delta\",\"signature\":\"s=\"") STOP("0")
                    BLOCK("1", "\"type\":\"redacted_thinking\",\"data\":\"d=\"") STOP("1")
                        TEXT_BLOCK("2") TEXT("2", "x") STOP("2") END("end_turn", "33", "0");
    const struct stream_writer_options options = {.include_usage = true, .prompt_estimate = 33};
    const struct dialect *const to[] = {&dialect_openai, &dialect_anthropic};
    const struct dialect *const from[] = {&dialect_anthropic, &dialect_openai};
    struct buf out[2];
    for (size_t i = 0; i < 2; i++) {
        void *writer = calloc(1, to[i]->writer->size);
        assert_non_null(writer);
        buf_init(&out[i], TEST_BYTES_MAX);
        to[i]->writer->init(writer, &options);
        struct test_stream stream = {.writer = writer, .out_class = to[i]->writer, .out = &out[i]};
        assert_int_equal(test_feed(from[i], i == 0 ? str_from(in) : buf_str(&out[0]), 0, &stream),
                         0);
        to[i]->writer->fini(writer);
        free(writer);
    }
    assert_str(buf_str(&out[1]), str_from(in));
    buf_fini(&out[0]);
    buf_fini(&out[1]);
}

/* ---- what a passing stream means ------------------------------------------------------------- */

#define C(rest) "{\"id\":\"i\",\"choices\":[{\"index\":0," rest "}]}"
static const struct {
    const struct dialect *dialect;
    const char *data;
    uint32_t flags;
    uint32_t bytes;
} looks[] = {
    {&dialect_openai, "[DONE]", STREAM_END, 0},
    {&dialect_openai, C("\"delta\":{\"role\":\"assistant\",\"content\":\"\"}"), 0, 0},
    {&dialect_openai, C("\"delta\":{\"content\":null},\"finish_reason\":null"), 0, 0},
    {&dialect_openai, C("\"delta\":{\"content\":\"abc\"}"), STREAM_TOKEN, 3},
    {&dialect_openai, C("\"delta\":{\"reasoning\":\"ab\",\"reasoning_content\":\"ab\"}"),
     STREAM_TOKEN, 2},
    {&dialect_openai,
     C("\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
       "\"xyz\"}]}]}"),
     STREAM_TOKEN, 3},
    {&dialect_openai,
     C("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\","
       "\"arguments\":\"\"}}]}"),
     STREAM_TOKEN | STREAM_TOOLS, 1},
    {&dialect_openai, C("\"delta\":{},\"finish_reason\":\"stop\""), STREAM_FINISH, 0},
    {&dialect_openai, "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
     STREAM_USAGE | STREAM_USAGE_ONLY, 0},
    {&dialect_openai, C("\"delta\":{\"content\":\"a\"}"), STREAM_TOKEN, 1},
    {&dialect_openai,
     "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{"
     "\"prompt_tokens\":1}}",
     STREAM_TOKEN | STREAM_FINISH | STREAM_USAGE, 1},
    {&dialect_openai,
     "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":1}}]}",
     STREAM_FINISH | STREAM_USAGE, 0},
    {&dialect_openai, "{\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":1}}}",
     STREAM_USAGE | STREAM_USAGE_ONLY, 0},
    {&dialect_openai, "{\"choices\":[],\"prompt_filter_results\":[]}", 0, 0},
    {&dialect_openai, "{\"error\":{\"message\":\"x\"}}", STREAM_ERROR, 0},
    {&dialect_openai, "{\"error\":null,\"choices\":[]}", 0, 0},
    {&dialect_openai, "{", STREAM_MALFORMED, 0},
    {&dialect_openai, "5", STREAM_MALFORMED, 0},
    {&dialect_anthropic, "{\"type\":\"ping\"}", 0, 0},
    {&dialect_anthropic,
     "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":4}}}", STREAM_USAGE, 0},
    {&dialect_anthropic,
     "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}", 0,
     0},
    {&dialect_anthropic,
     "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"name\":\"ff\"}}",
     STREAM_TOKEN | STREAM_TOOLS, 2},
    {&dialect_anthropic,
     "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"redacted_thinking\",\"data\":"
     "\"zz\"}}",
     STREAM_TOKEN, 0},
    {&dialect_anthropic,
     "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"abc\"}}",
     STREAM_TOKEN, 3},
    {&dialect_anthropic,
     "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
     "\"\"}}",
     0, 0},
    {&dialect_anthropic,
     "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"signature_delta\",\"signature\":"
     "\"abc\"}}",
     0, 0},
    {&dialect_anthropic,
     "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_"
     "tokens\":4}}",
     STREAM_FINISH | STREAM_USAGE, 0},
    {&dialect_anthropic, "{\"type\":\"message_stop\"}", STREAM_END, 0},
    {&dialect_anthropic, "{\"type\":\"error\",\"error\":{}}", STREAM_ERROR, 0},
    {&dialect_anthropic, "{\"type\":\"tomorrow\"}", 0, 0},
};

static void
test_looks(void **state)
{
    (void)state;
    struct json_doc scratch;
    json_init(&scratch);
    for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
        struct stream_look look = {0};
        const struct stream_frame frame = {STR_EMPTY, str_from(looks[i].data)};
        looks[i].dialect->reader->look(&look, &frame, &scratch);
        if (look.flags != looks[i].flags || look.delta_bytes != looks[i].bytes)
            fail_msg("%s: flags %x bytes %u", looks[i].data, look.flags, look.delta_bytes);
    }
    json_fini(&scratch);
}

/* Errors as their clients get them: status and body. */
static void
test_errors(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *from;
        uint16_t status;
        const char *body;
        const struct dialect *to;
        uint16_t want_status;
        const char *want;
    } errors[] = {
        {&dialect_anthropic, 529,
         "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"
         "}",
         &dialect_openai, 503,
         "{\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":"
         "\"overloaded\"}}"},
        {&dialect_openai, 429,
         "{\"error\":{\"message\":\"slow\",\"type\":\"tokens\",\"param\":null,\"code\":\"rate_"
         "limit_exceeded\"}}",
         &dialect_anthropic, 429,
         "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}"},
        {&dialect_openai, 503, "<html>oops</html>", &dialect_anthropic, 503,
         "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"<html>oops</"
         "html>\"}}"},
        {&dialect_openai, 400, "{\"error\":\"just text\"}", &dialect_openai, 400,
         "{\"error\":{\"message\":\"just "
         "text\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}"},
        {&dialect_openai, 422, "{\"detail\":[{\"message\":\"d\"}]}", &dialect_openai, 422,
         "{\"error\":{\"message\":\"d\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":"
         "null}}"},
        {&dialect_openai, 0, "{\"error\":{\"message\":\"m\",\"code\":429}}", &dialect_openai, 429,
         "{\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":"
         "\"429\"}}"},
        {&dialect_openai, 500, "", &dialect_anthropic, 500,
         "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"The provider gave no "
         "reason.\"}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        struct arena arena;
        struct chat_error error;
        struct buf out;
        uint16_t status = 0;
        arena_init(&arena, 65536);
        buf_init(&out, 65536);
        assert_int_equal(
            errors[i].from->error_in(errors[i].status, str_from(errors[i].body), &arena, &error),
            0);
        assert_int_equal(errors[i].to->error_out(&error, &out, &status), 0);
        assert_str(buf_str(&out), str_from(errors[i].want));
        assert_int_equal(status, errors[i].want_status);
        arena_fini(&arena);
        buf_fini(&out);
    }
    struct chat_error ours = chat_error_ours(HTTP_ERROR_overloaded, STR("wait"), STR_EMPTY);
    struct buf out;
    uint16_t status = 0;
    buf_init(&out, 4096);
    assert_int_equal(dialect_anthropic.error_out(&ours, &out, &status), 0);
    assert_int_equal(status, 529);
    assert_str(buf_str(&out), STR("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                                  "\"message\":\"wait\"}}"));
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_signed_thinking),
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
