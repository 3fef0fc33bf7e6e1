/* SPDX-License-Identifier: MIT
 * embed_test.c - embeddings there and back: the exact bytes of each vendor.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves carry.h. */
#include "dataplane/media/test_int.h"

static const struct {
    struct carried_request request;
    uint64_t want_count;
    bool want_base64;
} asked[] = {
    {{&dialect_gemini, "m\"1",
      "{\"model\":\"x\",\"input\":[\"a\\n\",\"b\"],\"dimensions\":768,\"user\":\"u\"}", 0,
      "{\"requests\":[{\"model\":\"models/"
      "m\\\"1\",\"content\":{\"parts\":[{\"text\":\"a\\n\"}]},"
      "\"outputDimensionality\":768},{\"model\":\"models/m\\\"1\",\"content\":{\"parts\":[{"
      "\"text\":\"b\"}]},\"outputDimensionality\":768}]}",
      "user"},
     2,
     false},
    {{&dialect_cohere, "m\"1", "{\"model\":\"x\",\"input\":\"a\",\"encoding_format\":\"base64\"}",
      0,
      "{\"model\":\"m\\\"1\",\"input_type\":\"search_document\",\"embedding_types\":[\"float\"]"
      ","
      "\"texts\":[\"a\"]}",
      ""},
     1,
     true},
    {{&dialect_cohere, "m\"1",
      "{\"input\":[\"a\"],\"input_type\":\"search_query\",\"dimensions\":256,\"user\":null}", 0,
      "{\"model\":\"m\\\"1\",\"input_type\":\"search_query\",\"embedding_types\":[\"float\"],"
      "\"output_dimension\":256,\"texts\":[\"a\"]}",
      ""},
     1,
     false},
    {{&dialect_ollama, "m\"1", "{\"input\":[\"a\",\"b\"],\"dimensions\":4}", 0,
      "{\"model\":\"m\\\"1\",\"dimensions\":4,\"input\":[\"a\",\"b\"]}", ""},
     2,
     false},
    {{&dialect_gemini, "m", "{\"input\":\"a\",\"input_type\":\"search_query\"}", 0,
      "{\"requests\":[{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"}]},"
      "\"taskType\":\"RETRIEVAL_QUERY\"}]}",
      ""},
     1,
     false},
    {{&dialect_bedrock, "amazon.titan-embed-text-v2:0",
      "{\"input\":[\"a\"],\"dimensions\":256,\"user\":\"u\"}", 0,
      "{\"inputText\":\"a\",\"dimensions\":256}", "user"},
     1,
     false},
    {{&dialect_bedrock, "amazon.titan-embed-text-v2:0", "{\"input\":[\"a\",\"b\"]}",
      -ERR_UNSUPPORTED, "field `input` has 2 texts", ""},
     0,
     false},
    {{&dialect_bedrock, "eu.cohere.embed-v4:0", "{\"input\":[\"a\",\"b\"]}", 0,
      "{\"input_type\":\"search_document\",\"embedding_types\":[\"float\"],\"texts\":[\"a\","
      "\"b\"]}",
      ""},
     2,
     false},
    {{&dialect_bedrock, "amazon.nova-pro", "{\"input\":\"a\"}", -ERR_UNSUPPORTED, "this model", ""},
     0,
     false},
    {{&dialect_ollama, "m\"1", "{\"input\":[1,2]}", -ERR_UNSUPPORTED, "`input` has tokens", ""},
     0,
     false},
    {{&dialect_ollama, "m\"1", "{\"input\":[[1],[2]]}", -ERR_UNSUPPORTED, "`input`", ""}, 0, false},
    {{&dialect_ollama, "m\"1", "{\"input\":[]}", -ERR_RANGE, "`input`", ""}, 0, false},
    {{&dialect_ollama, "m\"1", "{}", -ERR_INVALID, "`input`", ""}, 0, false},
    {{&dialect_gemini, "m\"1", "{\"input\":\"a\",\"dimensions\":0}", -ERR_RANGE, "`dimensions`",
      ""},
     0,
     false},
    {{&dialect_gemini, "m\"1", "{\"input\":\"a\",\"encoding_format\":\"int8\"}", -ERR_INVALID,
      "`encoding_format`", ""},
     0,
     false},
};

static void
requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct carry_wish wish = {.count = 0};
        check_request(CHAT_ENDPOINT_EMBEDDINGS, &asked[i].request, &wish);
        if (asked[i].request.want_err != 0)
            continue;
        assert_int_equal(wish.count, asked[i].want_count);
        assert_int_equal(wish.base64, asked[i].want_base64);
    }
}

static void
answers(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *target;
        const char *body;
        bool base64;
        uint64_t count;
        int want_err;
        const char *want;
        uint64_t want_tokens; /* reported, else estimated */
    } rows[] = {
        {&dialect_gemini, "{\"embeddings\":[{\"values\":[0.1, -2.50e-3]},{\"values\":[1]}]}", false,
         2, 0,
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.1, "
         "-2.50e-3]},{\"object\":\"embedding\",\"index\":1,\"embedding\":[1]}],\"model\":\"g/m\","
         "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}",
         5},
        {&dialect_cohere,
         "{\"embeddings\":{\"float\":[[1,-2]]},\"meta\":{\"billed_units\":{\"input_tokens\":7}}}",
         true, 1, 0,
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
         "\"AACAPwAAAMA=\"}],\"model\":\"g/m\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}",
         7},
        {&dialect_ollama, "{\"embeddings\":[[0.5]],\"prompt_eval_count\":3}", false, 1, 0,
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.5]}"
         "],\"model\":\"g/m\",\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}",
         3},
        {&dialect_ollama, "{\"embeddings\":[[0.5]]}", false, 2, -ERR_INVALID, "", 0},
        {&dialect_ollama, "{\"embeddings\":[[\"x\"]]}", false, 1, -ERR_INVALID, "", 0},
        {&dialect_cohere, "{\"embeddings\":[[0.5]]}", false, 1, -ERR_INVALID, "", 0},
        {&dialect_gemini, "{\"error\":{}}", false, 1, -ERR_INVALID, "", 0},
        {&dialect_bedrock, "{\"embedding\":[0.5],\"inputTextTokenCount\":3}", false, 1, 0,
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.5]}"
         "],\"model\":\"g/m\",\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}",
         3},
        {&dialect_bedrock, "{\"embedding\":[0.5]}", false, 2, -ERR_INVALID, "", 0},
        {&dialect_bedrock, "{\"embeddings\":{\"float\":[[1],[2]]}}", false, 2, 0,
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[1]},"
         "{\"object\":\"embedding\",\"index\":1,\"embedding\":[2]}],\"model\":\"g/m\",\"usage\":"
         "{\"prompt_tokens\":5,\"total_tokens\":5}}",
         5},
        {&dialect_gemini,
         "{\"embeddings\":[{\"values\":[1]}],\"usageMetadata\":{\"promptTokenCount\":9}}", false, 1,
         0,
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[1]}],"
         "\"model\":\"g/m\",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}",
         9},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct carry_wish wish = {
            .model = STR("g/m"), .base64 = rows[i].base64, .count = rows[i].count, .tokens = 5};
        struct usage usage = check_answer(CHAT_ENDPOINT_EMBEDDINGS, rows[i].target, rows[i].body,
                                          &wish, rows[i].want_err, rows[i].want);
        assert_int_equal(usage.count[USAGE_input], rows[i].want_tokens);
        if (rows[i].want_err == 0)
            assert_int_equal(usage.evidence,
                             rows[i].want_tokens == 5 ? EVIDENCE_ESTIMATE : EVIDENCE_PROVIDER);
    }
}

/* Google's other address takes other words. */
static void
vertex(void **state)
{
    (void)state;
    static const struct carried_request rows[] = {
        {&dialect_gemini, "m",
         "{\"input\":[\"a\",\"b\"],\"dimensions\":64,\"input_type\":\"clustering\"}", 0,
         "{\"instances\":[{\"content\":\"a\",\"task_type\":\"CLUSTERING\"},{\"content\":\"b\","
         "\"task_type\":\"CLUSTERING\"}],\"parameters\":{\"outputDimensionality\":64}}",
         ""},
        {&dialect_gemini, "m", "{\"input\":\"a\"}", 0, "{\"instances\":[{\"content\":\"a\"}]}", ""},
    };
    struct carry_wish wish = {.count = 0};
    carried_at = "/v1/projects/p/locations/l";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_request(CHAT_ENDPOINT_EMBEDDINGS, &rows[i], &wish);
    wish = (struct carry_wish){.model = STR("g/m"), .count = 2};
    struct usage usage = check_answer(
        CHAT_ENDPOINT_EMBEDDINGS, &dialect_gemini,
        "{\"predictions\":[{\"embeddings\":{\"values\":[1.50],\"statistics\":"
        "{\"token_count\":4}}},{\"embeddings\":{\"values\":[2],\"statistics\":"
        "{\"token_count\":5}}}]}",
        &wish, 0,
        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
        "\"embedding\":[1.50]},{\"object\":\"embedding\",\"index\":1,\"embedding\":[2]}],"
        "\"model\":\"g/m\",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}");
    assert_int_equal(usage.count[USAGE_input], 9);
    assert_false(carry_same(&dialect_gemini, &dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS,
                            str_from(carried_at)));
    assert_true(carry_same(&dialect_gemini, &dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, STR("")));
    carried_at = "";
}

static void
nobody_else(void **state)
{
    (void)state;
    assert_null(carrier_find(&dialect_anthropic, CHAT_ENDPOINT_EMBEDDINGS, STR_EMPTY));
    assert_null(carrier_find(&dialect_cohere, CHAT_ENDPOINT_IMAGES, STR_EMPTY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(answers),
                                       cmocka_unit_test(vertex), cmocka_unit_test(nobody_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
