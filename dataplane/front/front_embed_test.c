/* SPDX-License-Identifier: MIT
 * front_embed_test.c - embeddings from every caller to every vendor: what he gets to read, what
 *                      they are answered, and what is paid.
 * Floor: test.
 * Owns: the rig.
 * Invariant: proves carried.h, guest.h. */
#include "dataplane/front/front_test_rig.h"

#define MODEL(provider)                                                          \
    "{\"id\":\"" provider "/e\",\"provider\":\"" provider "\",\"upstream\":\"up" \
    "\",\"kind\":\"embedding\",\"price\":{\"version\":1,\"input\":\"1000000\"}}"
static const char *const models[] = {
    MODEL("o"),
    MODEL("c"),
    MODEL("g"),
    MODEL("l"),
    MODEL("v"),
    MODEL("a"),
    "{\"id\":\"b/e\",\"provider\":\"b\",\"upstream\":\"amazon.titan-embed-text-v2:0\","
    "\"kind\":\"embedding\",\"price\":{\"version\":1,\"input\":\"1000000\"}}"};
static const struct rig_provider providers[] = {
    {"o", "openai", "/v1"},        {"c", "cohere-v2", ""},
    {"g", "gemini", "/v1beta"},    {"l", "ollama-native", ""},
    {"b", "bedrock-converse", ""}, {"v", "gemini", "/v1/projects/p/locations/l"},
    {"a", "anthropic", ""},
};

static int
embed_open(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"stall_timeout_ms\":300", providers, ARRAY_LEN(providers), models,
                  ARRAY_LEN(models));
    return rc;
}

#define GEMINI(model, method) "/v1beta/models/" model ":" method
#define OPENAI_SAYS                                                                        \
    "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[" \
    "0.10]}],\"model\":\"up\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}"
#define COHERE_SAYS                                                                 \
    "{\"id\":\"1\",\"embeddings\":{\"float\":[[0.10]]},\"meta\":{\"billed_units\":" \
    "{\"input_tokens\":7}}}"
#define OLLAMA_SAYS "{\"model\":\"up\",\"embeddings\":[[0.10]],\"prompt_eval_count\":7}"
#define GEMINI_SAYS "{\"embeddings\":[{\"values\":[0.10]}]}"
#define COHERE_ASKS(model)                                                                 \
    "{\"model\":\"" model "\",\"texts\":[\"hi\"],\"input_type\":\"search_query\",\"x\":1," \
    "\"embedding_types\":[\"float\"]}"
#define GEMINI_ASKS(model) \
    "{\"model\":\"models/" model "\",\"content\":{\"parts\":[{\"text\":\"hi\"}]}}"
#define GEMINI_BATCH(model) "{\"requests\":[" GEMINI_ASKS(model) "]}"

static const struct rig_row rows[] = {
    {"Cohere to Cohere: bytes pass", "/v2/embed", COHERE_ASKS("c/e"), COHERE_SAYS, 200, COHERE_SAYS,
     "/v2/embed", COHERE_ASKS("up"), "\"input\":7,\"request\":1},\"charge\":\"7000\""},
    {"Cohere to OpenAI", "/v2/embed", COHERE_ASKS("o/e"), OPENAI_SAYS, 200,
     "\"response_type\":\"embeddings_by_type\",\"embeddings\":{\"float\":[[0.10]]},\"meta\":"
     "{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"input_tokens\":7}}}",
     "/v1/embeddings", "{\"model\":\"up\",\"input\":[\"hi\"]}",
     "\"input\":7,\"request\":1},\"charge\":\"7000\""},
    {"Cohere to Gemini", "/v2/embed", COHERE_ASKS("g/e"), GEMINI_SAYS, 200,
     "\"embeddings\":{\"float\":[[0.10]]}", "/v1beta/models/up:batchEmbedContents",
     "{\"requests\":[{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"hi\"}]},"
     "\"taskType\":\"RETRIEVAL_QUERY\"}]}",
     "\"usage\":{\"input\":2,\"request\":1},\"charge\":\"2000\""},
    {"Gemini to Gemini: bytes pass, the name inside is changed", GEMINI("g/e", "embedContent"),
     GEMINI_ASKS("g/e"), "{\"embedding\":{\"values\":[1]}}", 200,
     "{\"embedding\":{\"values\":[1]}}", "/v1beta/models/up:embedContent", GEMINI_ASKS("up"),
     "\"evidence\":\"estimate\""},
    {"a batch too, whatever model it names inside", GEMINI("g%2Fe", "batchEmbedContents"),
     GEMINI_BATCH("dearer"), GEMINI_SAYS, 200, GEMINI_SAYS, "/v1beta/models/up:batchEmbedContents",
     GEMINI_BATCH("up"), "\"evidence\":\"estimate\""},
    {"Gemini to Vertex", GEMINI("v/e", "embedContent"), GEMINI_ASKS("v/e"),
     "{\"predictions\":[{\"embeddings\":{\"values\":[2],\"statistics\":{\"token_count\":3}}}]}",
     200, "{\"embedding\":{\"values\":[2]}}",
     "/v1/projects/p/locations/l/publishers/google/models/up:predict",
     "{\"instances\":[{\"content\":\"hi\"}]}", "\"input\":3,\"request\":1},\"charge\":\"3000\""},
    {"OpenAI to Vertex", "/v1/embeddings", "{\"model\":\"v/e\",\"input\":\"hi\"}",
     "{\"predictions\":[{\"embeddings\":{\"values\":[2],\"statistics\":{\"token_count\":3}}}]}",
     200, "\"embedding\":[2]}],\"model\":\"v/e\",\"usage\":{\"prompt_tokens\":3",
     "/v1/projects/p/locations/l/publishers/google/models/up:predict",
     "{\"instances\":[{\"content\":\"hi\"}]}", "\"input\":3,\"request\":1},\"charge\":\"3000\""},
    {"Gemini's batch to Ollama", GEMINI("l/e", "batchEmbedContents"), GEMINI_BATCH("l/e"),
     OLLAMA_SAYS, 200, GEMINI_SAYS, "/api/embed", "{\"model\":\"up\",\"input\":[\"hi\"]}",
     "\"input\":7,\"request\":1},\"charge\":\"7000\""},
    {"Gemini to Bedrock", GEMINI("b/e", "embedContent"), GEMINI_ASKS("b/e"),
     "{\"embedding\":[0.5],\"inputTextTokenCount\":2}", 200, "{\"embedding\":{\"values\":[0.5]}}",
     "/model/amazon.titan-embed-text-v2%3A0/invoke", "{\"inputText\":\"hi\"}",
     "\"input\":2,\"request\":1},\"charge\":\"2000\""},
    {"Ollama to Ollama: bytes pass", "/api/embed", "{\"model\":\"l/e\",\"input\":\"hi\",\"x\":1}",
     OLLAMA_SAYS, 200, OLLAMA_SAYS, "/api/embed", "{\"model\":\"up\",\"input\":\"hi\",\"x\":1}",
     "\"input\":7,\"request\":1},\"charge\":\"7000\""},
    {"Ollama to OpenAI", "/api/embed", "{\"model\":\"o/e\",\"input\":\"hi\"}", OPENAI_SAYS, 200,
     "{\"model\":\"o/e\",\"embeddings\":[[0.10]],\"total_duration\":0,\"load_duration\":0,"
     "\"prompt_eval_count\":7}",
     "/v1/embeddings", "{\"model\":\"up\",\"input\":[\"hi\"]}",
     "\"input\":7,\"request\":1},\"charge\":\"7000\""},
    {"Ollama's old form passes", "/api/embeddings", "{\"model\":\"l/e\",\"prompt\":\"hi\"}",
     "{\"embedding\":[1]}", 200, "{\"embedding\":[1]}", "/api/embeddings",
     "{\"model\":\"up\",\"prompt\":\"hi\"}", "\"evidence\":\"estimate\""},
    {"and is carried", "/api/embeddings", "{\"model\":\"c/e\",\"prompt\":\"hi\"}", COHERE_SAYS, 200,
     "{\"embedding\":[0.10]}", "/v2/embed",
     "{\"model\":\"up\",\"input_type\":\"search_document\",\"embedding_types\":[\"float\"],"
     "\"texts\":[\"hi\"]}",
     "\"input\":7,\"request\":1},\"charge\":\"7000\""},
    {"too few vectors are no answer", "/api/embed", "{\"model\":\"o/e\",\"input\":[\"a\",\"b\"]}",
     OPENAI_SAYS, 502, "{\"error\":", "/v1/embeddings",
     "{\"model\":\"up\",\"input\":[\"a\",\"b\"]}", "\"charge\":\"0\""},
    {"what a vendor cannot do is refused in the caller's words", "/v2/embed",
     "{\"model\":\"b/e\",\"texts\":[\"a\",\"b\"]}", "", 400,
     "\"message\":\"field `input` has 2 texts", NULL, NULL, NULL},
    {"a vendor without embeddings", GEMINI("a/e", "embedContent"), GEMINI_ASKS("a/e"), "", 400,
     "\"message\":\"Provider a has no such endpoint.\"", NULL, NULL, NULL},
    {"who has no model of this name", "/v2/embed", "{\"model\":\"c/none\",\"texts\":[\"a\"]}", "",
     404, "\"message\":", NULL, NULL, NULL},
};

static void
every_pair(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rig_walk(&rows[i], "application/json");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_pair, embed_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
