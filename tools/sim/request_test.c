/* SPDX-License-Identifier: MIT
 * request_test.c - what is read of requests: counts, texts, tools; and answers made of them.
 * Floor: tools/sim, test.
 * Owns: nothing.
 * Invariant: the same request gives the same answer, whole or in any number of chunks. */
#include "tools/sim/answer.h"
#include "tools/sim/test_int.h"

struct row {
    const char *name;
    enum sim_endpoint endpoint;
    struct str body;
    int want_err;
    uint64_t want_prompt;
    struct str want_user;
    struct str want_arguments;
    bool want_tool_call;
};

#define M "{\"model\":\"m\",\"max_tokens\":99,\"messages\":"
#define TOOL                                                                                  \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{"         \
    "\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"enum\":[2,3]}," \
    "\"c\":{\"type\":\"boolean\"},\"d\":{\"type\":\"array\"},\"e\":{}}}}}]}"
#define ARGUMENTS "{\"a\":\"value\",\"b\":2,\"c\":true,\"d\":[],\"e\":\"value\"}"

static const struct row rows[] = {
    {"string", SIM_CHAT, STR(M "[{\"role\":\"user\",\"content\":\"12345\"}]}"), 0, 5, STR("12345"),
     STR(""), false},
    {"escapes count once", SIM_CHAT, STR(M "[{\"role\":\"user\",\"content\":\"\\u00e9\\n34\"}]}"),
     0, 5, STR("\xc3\xa9\n34"), STR(""), false},
    {"parts and roles", SIM_CHAT,
     STR(M "[{\"role\":\"system\",\"content\":\"abcd\"},{\"role\":\"user\",\"content\":[{\"type\":"
           "\"text\",\"text\":\"one\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}},"
           "{\"type\":\"text\",\"text\":\"two\"}]}]}"),
     0, 9, STR("one\ntwo"), STR(""), false},
    {"system beside", SIM_MESSAGES,
     STR("{\"model\":\"m\",\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"abcd\"}],"
         "\"messages\":[{\"role\":\"user\",\"content\":\"abcd\"}]}"),
     0, 8, STR("abcd"), STR(""), false},
    {"tools", SIM_CHAT, STR(M "[{\"role\":\"user\",\"content\":\"w\"}]," TOOL), 0, 4, STR("w"),
     STR(ARGUMENTS), true},
    {"tool without properties", SIM_MESSAGES,
     STR(M
         "[{\"role\":\"user\",\"content\":\"w\"}],\"tools\":[{\"name\":\"f\",\"input_schema\":{}}]"
         "}"),
     0, 4, STR("w"), STR("{}"), true},
    {"the call that the text asks for", SIM_CHAT,
     STR(M "[{\"role\":\"user\",\"content\":\"x [[call: f {\\\"a\\\":1}]]\"}]," TOOL), 0, 9,
     STR("x [[call: f {\"a\":1}]]"), STR("{\"a\":1}"), true},
    {"a call that a system message follows", SIM_CHAT,
     STR(M "[{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"system\",\"content\":\"1234\"}]"
           "," TOOL),
     0, 8, STR("w"), STR(ARGUMENTS), true},
    {"a call of a tool that is not offered", SIM_CHAT,
     STR(M "[{\"role\":\"user\",\"content\":\"[[call: g {}]]\"}]," TOOL), 0, 7,
     STR("[[call: g {}]]"), STR(""), false},
    {"tool result answered with text", SIM_CHAT,
     STR(M "[{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"assistant\",\"content\":null,"
           "\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"content\":"
           "\"7\"}]," TOOL),
     0, 10, STR("w"), STR(ARGUMENTS), false},
    {"tool_result block", SIM_MESSAGES,
     STR(M "[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":[{\"type\":"
           "\"text\",\"text\":\"12345678\"}]}]}]," TOOL),
     0, 5, STR("12345678"), STR(ARGUMENTS), false},
    {"embeddings", SIM_EMBEDDINGS, STR("{\"model\":\"m\",\"input\":[\"abcd\",\"abcd\"]}"), 0, 8,
     STR(""), STR(""), false},
    {"no model", SIM_CHAT, STR("{\"messages\":[]}"), -ERR_INVALID, 0, STR(""), STR(""), false},
    {"no messages", SIM_CHAT, STR("{\"model\":\"m\"}"), -ERR_INVALID, 0, STR(""), STR(""), false},
    {"no role", SIM_CHAT, STR(M "[{}]}"), -ERR_INVALID, 0, STR(""), STR(""), false},
    {"messages need max_tokens", SIM_MESSAGES,
     STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"), -ERR_INVALID, 0,
     STR(""), STR(""), false},
    {"not an object", SIM_CHAT, STR("[]"), -ERR_INVALID, 0, STR(""), STR(""), false},
    {"duplicate key", SIM_CHAT, STR("{\"model\":\"m\",\"model\":\"n\"}"), -ERR_DUPLICATE, 0,
     STR(""), STR(""), false},
    {"no input", SIM_EMBEDDINGS, STR("{\"model\":\"m\",\"input\":[]}"), -ERR_INVALID, 0, STR(""),
     STR(""), false},
    {"dimensions", SIM_EMBEDDINGS, STR("{\"model\":\"m\",\"input\":\"a\",\"dimensions\":5000}"),
     -ERR_INVALID, 0, STR(""), STR(""), false},
};

static void
test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct json_doc doc;
        struct arena arena;
        struct sim_request request = {0};
        struct sim_answer answer;
        struct directives none = {0};
        struct err err = {0};
        json_init(&doc);
        arena_init(&arena, 1u << 20);
        int rc = request_parse(row->body, row->endpoint, &doc, &arena, &request, &err);
        if (rc != row->want_err)
            print_message("%s: %s\n", row->name, err.text);
        assert_int_equal(rc, row->want_err);
        if (rc == 0) {
            if (request_prompt_tokens(&request) != row->want_prompt)
                print_message("%s\n", row->name);
            assert_int_equal(request_prompt_tokens(&request), row->want_prompt);
            assert_true(str_eq(request.last_user, row->want_user));
            assert_true(str_eq(request.tool_arguments, row->want_arguments));
            answer_make(&request, &none, &answer);
            assert_int_equal(answer.tool_call, row->want_tool_call);
        }
        json_fini(&doc);
        arena_fini(&arena);
    }
}

static void
test_answers_keep_a_schema(void **state)
{
#define SCHEMA "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}"
#define USER "[{\"role\":\"user\",\"content\":\"w\"}]"
#define CHAT "{\"model\":\"m\",\"max_tokens\":99,\"messages\":" USER ","
    static const struct {
        enum sim_endpoint endpoint;
        struct str body;
        struct str want;
    } cases[] = {
        {SIM_CHAT,
         STR(CHAT "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
                  "\"schema\":" SCHEMA "}}}"),
         STR("{\"a\":1}")},
        {SIM_CHAT, STR(CHAT "\"response_format\":{\"type\":\"text\"}}"), STR("")},
        {SIM_MESSAGES,
         STR(CHAT "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA
                  "}}}"),
         STR("{\"a\":1}")},
        {SIM_COHERE,
         STR(CHAT "\"response_format\":{\"type\":\"json_object\",\"json_schema\":" SCHEMA "}}"),
         STR("{\"a\":1}")},
        {SIM_OLLAMA, STR(CHAT "\"format\":" SCHEMA "}"), STR("{\"a\":1}")},
        {SIM_RESPONSES,
         STR("{\"model\":\"m\",\"input\":\"w\",\"text\":{\"format\":{\"type\":\"json_schema\","
             "\"schema\":" SCHEMA "}}}"),
         STR("{\"a\":1}")},
        {SIM_GEMINI,
         STR("{\"contents\":[{\"parts\":[{\"text\":\"w\"}]}],\"generationConfig\":{"
             "\"responseMimeType\":\"application/json\",\"responseSchema\":" SCHEMA "}}"),
         STR("{\"a\":1}")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc doc;
        struct arena arena;
        struct sim_request request = {0};
        struct sim_answer answer;
        struct directives none = {0};
        struct buf text;
        struct err err = {0};
        json_init(&doc);
        arena_init(&arena, 1u << 20);
        buf_init(&text, 1u << 16);
        assert_int_equal(
            request_parse(cases[i].body, cases[i].endpoint, &doc, &arena, &request, &err), 0);
        answer_make(&request, &none, &answer);
        assert_true(str_eq(answer.document, cases[i].want));
        if (cases[i].want.len > 0) {
            answer_words(&answer, 0, answer.words, &text);
            assert_true(str_eq(buf_str(&text), cases[i].want));
            assert_int_equal(answer.completion, 2);
            request.max_tokens = 1;
            answer_make(&request, &none, &answer);
            assert_true(answer.cut_by_limit);
            assert_int_equal(answer.words, 4);
        }
        buf_fini(&text);
        json_fini(&doc);
        arena_fini(&arena);
    }
}

static void
test_chunks_are_the_answer(void **state)
{
    static const uint64_t counts[] = {1, 2, 3, 7, 20, 50};
    struct sim_answer answer = {.seed = 42, .words = 20, .completion = 23, .reasoning = 3};
    struct buf whole;
    (void)state;
    buf_init(&whole, 1u << 16);
    answer_words(&answer, 0, 20, &whole);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct buf joined;
        uint64_t last = 0;
        buf_init(&joined, 1u << 16);
        answer.chunk_count = counts[i];
        for (uint64_t chunk = 0; chunk < counts[i]; chunk++) {
            uint64_t from = 0;
            uint64_t to = 0;
            answer_chunk_span(&answer, chunk, &from, &to);
            answer_words(&answer, from, to, &joined);
            assert_true(answer_delivered(&answer, chunk) >= last);
            last = answer_delivered(&answer, chunk);
        }
        assert_int_equal(answer_delivered(&answer, counts[i]), 23);
        assert_true(str_eq(buf_str(&joined), buf_str(&whole)));
        buf_fini(&joined);
    }
    buf_fini(&whole);
}

static void
test_chunks_of_tool_calls(void **state)
{
    struct sim_answer answer = {.tool_call = true,
                                .tool_name = STR("f"),
                                .tool_arguments = STR("{\"\xc3\xa9\xe2\x82\xac\":\"value\"}"),
                                .completion = 6};
    (void)state;
    for (answer.chunk_count = 1; answer.chunk_count < 40; answer.chunk_count++) {
        uint64_t end = 0;
        for (uint64_t chunk = 0; chunk < answer.chunk_count; chunk++) {
            uint64_t from = 0;
            uint64_t to = 0;
            answer_chunk_span(&answer, chunk, &from, &to);
            assert_int_equal(from, end);
            assert_true(to == answer.tool_arguments.len ||
                        ((unsigned char)answer.tool_arguments.ptr[to] & 0xc0u) != 0x80u);
            end = to;
        }
        assert_int_equal(end, answer.tool_arguments.len);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers_keep_a_schema),
        cmocka_unit_test(test_chunks_are_the_answer),
        cmocka_unit_test(test_chunks_of_tool_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
