/* SPDX-License-Identifier: MIT
 * front_search_test.c - searches of the web that a provider makes for a call: asked for in its
 *                       words, told with their sources in the caller's, and paid.
 * Floor: test.
 * Owns: the rig.
 * Invariant: must hold: a search is never free unless its model is; one without a price is refused
 *            before anybody is called. Prices: $1 a million tokens, one cent a search. */
#include "dataplane/front/front_test_rig.h"

#define PRICE(more) "\"price\":{\"version\":1,\"input\":\"1000000\",\"output\":\"1000000\"" more "}"
#define SEARCH ",\"web_search\":\"10000000000\""
#define MODEL(provider, upstream, more)                                                 \
    "{\"id\":\"" provider "/m\",\"provider\":\"" provider "\",\"upstream\":\"" upstream \
    "\"," PRICE(more) "}"
static const char *const models[] = {
    MODEL("o", "up", SEARCH),
    MODEL("r", "up", SEARCH),
    MODEL("a", "up", SEARCH),
    MODEL("g", "up", SEARCH),
    MODEL("h", "gemini-2.5-pro", SEARCH),
    MODEL("x", "up", ""),
    MODEL("y", "up", ""),
};
static const struct rig_provider providers[] = {
    {"o", "openai", "/v1"},     {"r", "openai-responses", "/v1"}, {"a", "anthropic", ""},
    {"g", "gemini", "/v1beta"}, {"h", "gemini", "/v1beta"},       {"x", "anthropic", ""},
    {"y", "gemini", "/v1beta"},
};

static int
search_open(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"stall_timeout_ms\":300", providers, ARRAY_LEN(providers), models,
                  ARRAY_LEN(models));
    return rc;
}

#define CHAT "/v1/chat/completions"
#define ASKS(model)                                                                             \
    "{\"model\":\"" model "/m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":" \
    "\"hi\"}],\"web_search_options\":{}}"
#define STREAMS(model)                                                                     \
    "{\"model\":\"" model "/m\",\"max_tokens\":9,\"stream\":true,\"messages\":[{\"role\":" \
    "\"user\",\"content\":\"hi\"}],\"web_search_options\":{}}"
#define OPENAI_SAYS                                                                      \
    "{\"id\":\"1\",\"model\":\"up\",\"choices\":[{\"index\":0,\"message\":{\"role\":"    \
    "\"assistant\",\"content\":\"a\",\"annotations\":[{\"type\":\"url_citation\",\"url_" \
    "citation\":"                                                                        \
    "{\"start_index\":0,\"end_index\":1,\"url\":\"https://u\",\"title\":\"T\"}}]},"      \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}"
#define ANTHROPIC_SAYS                                                                          \
    "{\"id\":\"1\",\"type\":\"message\",\"model\":\"up\",\"content\":[{\"type\":"               \
    "\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{\"query\":\"q\"}},{"   \
    "\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":[]},{\"type\":"      \
    "\"text\","                                                                                 \
    "\"text\":\"a\",\"citations\":[{\"type\":\"web_search_result_location\",\"url\":\"https://" \
    "u\","                                                                                      \
    "\"title\":\"T\",\"cited_text\":\"c\",\"encrypted_index\":\"E\"}]}],\"stop_reason\":"       \
    "\"end_turn\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1,\"server_tool_use\":{"      \
    "\"web_search_requests\":2}}}"
#define RESPONSES_SAYS                                                                             \
    "{\"id\":\"1\",\"model\":\"up\",\"status\":\"completed\",\"output\":[{\"type\":"               \
    "\"web_search_call\",\"id\":\"w\",\"status\":\"completed\",\"action\":{\"type\":\"search\"}}," \
    "{"                                                                                            \
    "\"type\":\"web_search_call\",\"id\":\"v\",\"action\":{\"type\":\"open_page\"}},{\"type\":"    \
    "\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\","    \
    "\"annotations\":[{\"type\":\"url_citation\",\"start_index\":0,\"end_index\":1,\"url\":"       \
    "\"https://u\",\"title\":\"T\"}]}]}],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}"
#define CANDIDATE(model)                                                                        \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\","   \
    "\"groundingMetadata\":{\"webSearchQueries\":[\"p\",\"q\"],\"groundingChunks\":[{\"web\":{" \
    "\"uri\":\"https://"                                                                        \
    "u\",\"title\":\"T\"}}],\"groundingSupports\":[{\"segment\":{\"endIndex\":1},"              \
    "\"groundingChunkIndices\":[0]}]}}],\"usageMetadata\":{\"promptTokenCount\":7,"             \
    "\"candidatesTokenCount\":1},\"modelVersion\":\"" model "\",\"responseId\":\"1\"}"
#define CITED                                                                          \
    "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0," \
    "\"end_index\":1,\"url\":\"https://u\",\"title\":\"T\""
#define PAID(searches, nano) \
    "\"output\":1,\"request\":1,\"web_search\":" searches "},\"charge\":\"" nano "\""

static const struct rig_row rows[] = {
    {"a call of a search model is a search", CHAT, ASKS("o"), OPENAI_SAYS, 200, CITED,
     "/v1/chat/completions", NULL, PAID("1", "10008000")},
    {"Anthropic counts them", CHAT, ASKS("a"), ANTHROPIC_SAYS, 200, CITED, "/v1/messages", NULL,
     PAID("2", "20008000")},
    {"a call of the tool is a search, a page is none", CHAT, ASKS("r"), RESPONSES_SAYS, 200, CITED,
     "/v1/responses", NULL, PAID("1", "10008000")},
    {"Gemini is paid by the query", CHAT, ASKS("g"), CANDIDATE("gemini-3-pro"), 200, CITED,
     "/v1beta/models/up:generateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],\"tools\":[{"
     "\"googleSearch\":{}}],\"generationConfig\":{\"maxOutputTokens\":9}}",
     PAID("2", "20008000")},
    {"before Gemini 3, by the prompt", CHAT, ASKS("h"), CANDIDATE("gemini-2.5-pro"), 200, CITED,
     "/v1beta/models/gemini-2.5-pro:generateContent", NULL, PAID("1", "10008000")},
    {"no price, no search", CHAT, ASKS("x"), "", 422,
     "Field `web_search_options` asks for web searches, and no price of one is known", NULL, NULL,
     NULL},
    {"nor in Anthropic's words", "/v1/messages",
     "{\"model\":\"x/m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
     "\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]}",
     "", 422, "Field `tools.web_search` asks for web searches", NULL, NULL, NULL},
    {"nor with escapes in them", "/v1/messages",
     "{\"model\":\"x/m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
     "\"tools\":[{\"type\":\"web\\u005fsearch_20250305\",\"name\":\"web_search\"}]}",
     "", 422, "Field `tools.web_search` asks for web searches", NULL, NULL, NULL},
    {"nor in Gemini's", "/v1beta/models/y/m:generateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
     "\"tools\":[{\"google_search\":{}}]}",
     "", 422, "Field `tools.googleSearch` asks for web searches", NULL, NULL, NULL},
    {"nor as one for a list of one", "/v1beta/models/y/m:generateContent",
     "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
     "\"tools\":{\"googleSearch\":{}}}",
     "", 422, "Field `tools.googleSearch` asks for web searches", NULL, NULL, NULL},
    {"Anthropic to Anthropic: bytes pass, searches are paid", "/v1/messages",
     "{\"model\":\"a/m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
     "\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":2}]}",
     ANTHROPIC_SAYS, 200, ANTHROPIC_SAYS, "/v1/messages", NULL, PAID("2", "20008000")},
    {"what is on offer goes without", "/v1/responses",
     "{\"model\":\"x/"
     "m\",\"max_output_tokens\":9,\"input\":\"hi\",\"tools\":[{\"type\":\"web_search\"}]}",
     "{\"id\":\"1\",\"type\":\"message\",\"model\":\"up\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"a\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}",
     200, "\"text\":\"a\"", "/v1/messages",
     "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"hi\"}]}],\"max_tokens\":9}",
     "\"output\":1,\"request\":1},\"charge\":\"8000\""},
};

static void
whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rig_walk(&rows[i], "application/json");
}

static void
streamed(void **state)
{
    (void)state;
    static const struct rig_row row = {
        "a stream's searches are told once",
        CHAT,
        STREAMS("g"),
        "data: " CANDIDATE("gemini-3-pro") "\n\ndata: {\"candidates\":[],\"usageMetadata\":{"
                                           "\"promptTokenCount\":7,\"candidatesTokenCount\":1},"
                                           "\"responseId\":\"1\"}\n\n",
        200,
        CITED,
        "/v1beta/models/up:streamGenerateContent?alt=sse",
        NULL,
        PAID("2", "20008000")};
    rig_walk(&row, SSE);
}

static unsigned gone;

static void
count_gone(struct worker *worker, struct str provider, struct str upstream)
{
    (void)worker;
    gone += str_eq(provider, STR("o")) && str_eq(upstream, STR("up"));
}

/* A conversation is told that its model is gone; what else says so is no word that a conversation
 * of the control plane's own could prove. */
static void
gone_is_told(void **state)
{
    (void)state;
    static const char says[] =
        "{\"error\":{\"message\":\"no such model\",\"code\":\"model_not_found\"}}";
    struct reply reply;
    gone = 0;
    rig.worker.model_gone = count_gone;
    provider_says(404, "application/json", says);
    ask(&reply, CHAT, "{\"model\":\"o/m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    want_body(&reply, 502, "no such model");
    assert_int_equal(gone, 1);
    provider_says(404, "application/json", says);
    ask(&reply, "/v1/completions", "{\"model\":\"o/m\",\"max_tokens\":9,\"prompt\":\"hi\"}");
    want_body(&reply, 502, "no such model");
    assert_int_equal(gone, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gone_is_told, search_open, rig_close),
        cmocka_unit_test_setup_teardown(whole, search_open, rig_close),
        cmocka_unit_test_setup_teardown(streamed, search_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
