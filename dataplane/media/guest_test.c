/* SPDX-License-Identifier: MIT
 * guest_test.c - embeddings as other vendors' clients ask for them: the exact letter, and the
 *                exact answer.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves guest.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/media/guest.h"

#define MANY CHAT_ENDPOINT_EMBEDDINGS
#define ONE CHAT_ENDPOINT_EMBED_ONE
#define PART(text) "\"content\":{\"parts\":[{\"text\":\"" text "\"}]}"

static const struct {
    const struct dialect *caller;
    enum chat_endpoint endpoint;
    const char *body;
    bool known_task;
    int want_err;
    const char *want; /* the letter, or what the error says */
    uint64_t want_count;
    const char *want_dropped;
} requests[] = {
    {&dialect_gemini, ONE, "{" PART("a\\n") "}", false, 0,
     "{\"model\":\"m\\\"1\",\"input\":[\"a\\n\"]}", 1, ""},
    {&dialect_gemini, ONE,
     "{\"model\":\"models/x\",\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
     "\"taskType\":\"RETRIEVAL_QUERY\",\"output_dimensionality\":64,\"title\":\"t\"}",
     false, 0, "{\"model\":\"m\\\"1\",\"input\":[\"ab\"],\"dimensions\":64}", 1, "title,taskType"},
    {&dialect_gemini, MANY,
     "{\"requests\":[{" PART("a") ",\"taskType\":\"CLUSTERING\"},{" PART(
         "b") ",\"taskType\":\"CLUSTERING\"}]}",
     true, 0, "{\"model\":\"m\\\"1\",\"input\":[\"a\",\"b\"],\"input_type\":\"clustering\"}", 2,
     ""},
    {&dialect_gemini, MANY,
     "{\"requests\":[{" PART("a") ",\"outputDimensionality\":1},{" PART("b") "}]}", true,
     -ERR_UNSUPPORTED, "`outputDimensionality` differs", 0, NULL},
    {&dialect_gemini, MANY,
     "{\"requests\":[{" PART("a") "},{" PART("b") ",\"outputDimensionality\":1}]}", true,
     -ERR_UNSUPPORTED, "`outputDimensionality` differs", 0, NULL},
    {&dialect_gemini, MANY,
     "{\"requests\":[{" PART("a") "},{" PART("b") ",\"taskType\":\"CLUSTERING\"}]}", true,
     -ERR_UNSUPPORTED, "`taskType` differs", 0, NULL},
    {&dialect_gemini, MANY, "{\"requests\":[]}", true, -ERR_INVALID, "`requests`", 0, NULL},
    {&dialect_gemini, MANY, "{\"requests\":[1]}", true, -ERR_INVALID, "`content.parts`", 0, NULL},
    {&dialect_gemini, ONE, "{\"content\":{\"parts\":[{\"inlineData\":{}}]}}", true,
     -ERR_UNSUPPORTED, "`content.parts.text` is no text", 0, NULL},
    {&dialect_gemini, ONE, "{" PART("a") ",\"outputDimensionality\":0}", true, -ERR_RANGE,
     "`outputDimensionality`", 0, NULL},
    {&dialect_cohere, MANY,
     "{\"model\":\"x\",\"texts\":[\"a\",\"b\"],\"input_type\":\"search_query\",\"embedding_types\":"
     "[\"float\"],\"output_dimension\":256,\"truncate\":\"END\"}",
     true, 0,
     "{\"model\":\"m\\\"1\",\"input\":[\"a\",\"b\"],\"dimensions\":256,\"input_type\":"
     "\"search_query\"}",
     2, "truncate"},
    {&dialect_cohere, MANY,
     "{\"inputs\":[{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}],\"input_type\":\"x\"}",
     false, 0, "{\"model\":\"m\\\"1\",\"input\":[\"a\"]}", 1, "input_type"},
    {&dialect_cohere, MANY, "{\"inputs\":[{\"content\":[{\"image_url\":{}}]}]}", false,
     -ERR_UNSUPPORTED, "`inputs.content`", 0, NULL},
    {&dialect_cohere, MANY, "{\"images\":[\"data:\"]}", false, -ERR_UNSUPPORTED, "`images`", 0,
     NULL},
    {&dialect_cohere, MANY, "{\"texts\":[\"a\"],\"embedding_types\":[\"float\",\"int8\"]}", false,
     -ERR_UNSUPPORTED, "`embedding_types`", 0, NULL},
    {&dialect_cohere, MANY, "{\"texts\":\"a\"}", false, -ERR_INVALID, "`texts`", 0, NULL},
    {&dialect_cohere, MANY, "{\"texts\":[]}", false, -ERR_INVALID, "no text", 0, NULL},
    {&dialect_ollama, MANY,
     "{\"model\":\"x\",\"input\":\"a\",\"dimensions\":8,\"truncate\":true,\"keep_alive\":\"5m\"}",
     true, 0, "{\"model\":\"m\\\"1\",\"input\":[\"a\"],\"dimensions\":8}", 1,
     "truncate,keep_alive"},
    {&dialect_ollama, MANY, "{\"input\":[\"a\",1]}", true, -ERR_UNSUPPORTED, "`input`", 0, NULL},
    {&dialect_ollama, ONE, "{\"model\":\"x\",\"prompt\":\"a\"}", true, 0,
     "{\"model\":\"m\\\"1\",\"input\":[\"a\"]}", 1, ""},
    {&dialect_ollama, ONE, "{}", true, -ERR_UNSUPPORTED, "`input`", 0, NULL},
};

static void
letters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct json_doc doc;
        struct arena arena;
        struct buf out;
        struct err err = {0};
        struct carry_wish wish = {.count = 0};
        json_init(&doc);
        arena_init(&arena, 1u << 20);
        buf_init(&out, 1u << 20);
        assert_int_equal(json_scan(&doc, str_from(requests[i].body), NULL, &err), 0);
        int rc =
            guest_find(requests[i].caller, requests[i].endpoint)
                ->request(&doc, STR("m\"1"), requests[i].known_task, &arena, &out, &wish, &err);
        struct str said = rc == 0 ? buf_str(&out) : str_from(err.text);
        if (rc != requests[i].want_err || (rc == 0 && !str_eq(said, str_from(requests[i].want))) ||
            str_find(said, str_from(requests[i].want)) == SIZE_MAX)
            fail_msg("%s: %d %.*s", requests[i].body, rc, STR_ARG(said));
        if (rc == 0) {
            assert_int_equal(wish.count, requests[i].want_count);
            if (!str_eq(wish.dropped, str_from(requests[i].want_dropped)))
                fail_msg("%s: dropped %.*s", requests[i].body, STR_ARG(wish.dropped));
        }
        buf_fini(&out);
        arena_fini(&arena);
        json_fini(&doc);
    }
}

#define TWO                                                                                  \
    "{\"object\":\"list\",\"data\":[{\"index\":0,\"embedding\":[0.10, -2e-3]},{\"index\":1," \
    "\"embedding\":[1]}]"
#define SINGLE "{\"data\":[{\"embedding\":[0.10]}]"
#define USED ",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}"

static const struct {
    const struct dialect *caller;
    enum chat_endpoint endpoint;
    const char *body;
    uint64_t count;
    int want_err;
    const char *want;
} answered[] = {
    {&dialect_gemini, MANY, TWO USED, 2, 0,
     "{\"embeddings\":[{\"values\":[0.10, -2e-3]},{\"values\":[1]}]}"},
    {&dialect_gemini, ONE, SINGLE USED, 1, 0, "{\"embedding\":{\"values\":[0.10]}}"},
    {&dialect_gemini, ONE, TWO USED, 2, -ERR_INVALID, ""},
    {&dialect_cohere, MANY, TWO USED, 2, 0,
     "{\"id\":\"req_1\",\"response_type\":\"embeddings_by_type\",\"embeddings\":{\"float\":[[0.10, "
     "-2e-3],[1]]},\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":"
     "{\"input_tokens\":7}}}"},
    {&dialect_ollama, MANY, TWO "}", 2, 0,
     "{\"model\":\"o/m\",\"embeddings\":[[0.10, -2e-3],[1]],\"total_duration\":0,\"load_duration\":"
     "0,\"prompt_eval_count\":5}"},
    {&dialect_ollama, ONE, SINGLE "}", 1, 0, "{\"embedding\":[0.10]}"},
    {&dialect_ollama, MANY, TWO "}", 3, -ERR_INVALID, ""},
    {&dialect_ollama, MANY, "{\"data\":[{\"embedding\":\"AAAA\"}]}", 1, -ERR_INVALID, ""},
    {&dialect_cohere, MANY, "{\"data\":{}}", 0, -ERR_INVALID, ""},
};

static void
answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answered); i++) {
        const struct carry_wish wish = {
            .model = STR("o/m"), .id = STR("req_1"), .count = answered[i].count, .tokens = 5};
        struct json_doc doc;
        struct buf out;
        json_init(&doc);
        buf_init(&out, 1u << 20);
        assert_int_equal(json_scan(&doc, str_from(answered[i].body), NULL, NULL), 0);
        int rc = guest_find(answered[i].caller, answered[i].endpoint)->answer(&doc, &wish, &out);
        if (rc != answered[i].want_err)
            fail_msg("%s: %d", answered[i].body, rc);
        if (rc == 0)
            assert_string_equal(buf_cstr(&out), answered[i].want);
        buf_fini(&out);
        json_fini(&doc);
    }
}

static void
nobody_else(void **state)
{
    (void)state;
    assert_null(guest_find(&dialect_openai, MANY));
    assert_null(guest_find(&dialect_cohere, ONE));
    assert_null(guest_find(&dialect_gemini, CHAT_ENDPOINT_CHAT));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(letters), cmocka_unit_test(answers),
                                       cmocka_unit_test(nobody_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
