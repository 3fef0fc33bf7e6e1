/* SPDX-License-Identifier: MIT
 * front_paid_test.c - tools that a provider runs and bills beside tokens: refused, left out or
 *                     paid.
 * Floor: test.
 * Owns: the rig.
 * Invariant: must hold: nothing that costs money beside tokens reaches a provider at which it has
 *            no price, unless the owner says that it costs none. Prices: $1 a million tokens; a
 *            search one cent (little context half, much two), a sandbox three, any other call five.
 */
#include "dataplane/front/front_test_rig.h"

#define PRICE(more) "\"price\":{\"version\":1,\"input\":\"1000000\",\"output\":\"1000000\"" more "}"
#define ALL                                                                                  \
    ",\"web_search\":\"10000000000\",\"web_search_low\":\"5000000000\",\"web_search_high\":" \
    "\"20000000000\",\"code_run\":\"30000000000\",\"tool_call\":\"50000000000\""
#define MODEL(id, provider, upstream, more) \
    "{\"id\":\"" id "/m\",\"provider\":\"" provider "\",\"upstream\":\"" upstream "\"," more "}"
static const char *const models[] = {
    MODEL("ou", "o", "up", PRICE("")),
    MODEL("op", "o", "up", PRICE(ALL)),
    MODEL("of", "o", "up", PRICE("") ",\"free_tools\":[\"plugins.*\",\"browser_search\"]"),
    MODEL("os", "o", "sonar-pro", PRICE("")),
    MODEL("oq", "o", "sonar-pro", PRICE(ALL)),
    MODEL("on", "o", "x/gpt:online", PRICE("")),
    MODEL("oc", "o", "groq/compound", PRICE(ALL)),
    MODEL("ru", "r", "up", PRICE("")),
    MODEL("rp", "r", "up", PRICE(ALL)),
    MODEL("au", "a", "up", PRICE("")),
    MODEL("ap", "a", "up", PRICE(ALL)),
    MODEL("gu", "g", "up", PRICE("")),
    MODEL("gp", "g", "up", PRICE(ALL)),
};
static const struct rig_provider providers[] = {
    {"o", "openai", "/v1"},
    {"r", "openai-responses", "/v1"},
    {"a", "anthropic", ""},
    {"g", "gemini", "/v1beta"},
};

static int
paid_open(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"stall_timeout_ms\":300", providers, ARRAY_LEN(providers), models,
                  ARRAY_LEN(models));
    return rc;
}

#define CHAT "/v1/chat/completions"
#define SAYS(model, more)                                                                       \
    "{\"model\":\"" model "/m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":" \
    "\"hi\"}]" more "}"
#define INPUT(model, more) \
    "{\"model\":\"" model "/m\",\"max_output_tokens\":9,\"input\":\"hi\"" more "}"
#define CONTENTS(more) "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]" more "}"
#define NONE(name, path, body, text)                      \
    {                                                     \
        name, path, body, "", 422, text, NULL, NULL, NULL \
    }
#define F "{\"type\":\"function\",\"name\":\"f\"}"

#define OPENAI(usage)                                                                             \
    "{\"id\":\"1\",\"model\":\"up\",\"choices\":[{\"index\":0,\"message\":{\"role\":"             \
    "\"assistant\",\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":" \
    "7,\"completion_tokens\":1" usage "}}"
#define RESPONSES(items)                                                                   \
    "{\"id\":\"1\",\"model\":\"up\",\"status\":\"completed\",\"output\":[" items           \
    "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\"," \
    "\"text\":\"a\"}]}],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}"
#define MESSAGE(usage)                                                                      \
    "{\"id\":\"1\",\"type\":\"message\",\"model\":\"up\",\"content\":[{\"type\":\"text\","  \
    "\"text\":\"a\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":7,\"output_" \
    "tokens\":1" usage "}}"
#define CANDIDATE                                                                             \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"," \
    "\"groundingMetadata\":{\"webSearchQueries\":[\"q\"]}}],\"usageMetadata\":{"              \
    "\"promptTokenCount\":7,\"candidatesTokenCount\":1},\"modelVersion\":\"gemini-3\"}"
#define PAID(counts, nano) "\"output\":1,\"request\":1" counts "},\"charge\":\"" nano "\""

/* ---- refused: nobody is called --------------------------------------------------------------- */

static const struct rig_row refused[] = {
    NONE("the name of the field, and what the owner does", CHAT,
         SAYS("ou", ",\"web_search_options\":{}"),
         "Field `web_search_options` asks for web searches, and no price of one is known for ou/m; "
         "its owner sets price.webSearch in the Model, or lists `web_search_options` in its "
         "freeTools"),
    NONE("xAI's sources", CHAT, SAYS("ou", ",\"search_parameters\":{\"mode\":\"auto\"}"),
         "Field `search_parameters` asks for a tool that the provider runs"),
    NONE("OpenRouter's plugin", CHAT, SAYS("ou", ",\"plugins\":[{\"id\":\"web\"}]"),
         "Field `plugins.web` asks"),
    NONE("one that the owner did not name", CHAT,
         SAYS("of", ",\"plugins\":[{\"id\":\"web\"}],\"enable_search\":true"),
         "Field `enable_search` asks for web searches"),
    NONE("Groq's", CHAT, SAYS("ou", ",\"tools\":[{\"type\":\"browser_search\"}]"),
         "Field `tools.browser_search` asks"),
    NONE("one that nobody knows", CHAT, SAYS("ou", ",\"tools\":[{\"type\":\"or\\u0061cle\"}]"),
         "Field `tools.oracle` asks"),
    NONE("completions, too", "/v1/completions",
         "{\"model\":\"ou/m\",\"prompt\":\"hi\",\"plugins\":[{\"id\":\"web\"}]}",
         "Field `plugins.web` asks"),
    NONE("files", "/v1/responses",
         INPUT("ru", ",\"tools\":[{\"type\":\"file_search\",\"vector_store_ids\":[\"v\"]}]"),
         "price.fileSearch"),
    NONE("code", "/v1/responses", INPUT("ru", ",\"tools\":[{\"type\":\"code_interpreter\"}]"),
         "price.codeRun"),
    NONE("X", "/v1/responses", INPUT("ru", ",\"tools\":[{\"type\":\"x_search\"}]"),
         "price.toolCall"),
    NONE("an offer that must be taken", "/v1/responses",
         INPUT("ru", ",\"tools\":[{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"web_"
                     "search\"}"),
         "Field `tools.web_search` asks"),
    NONE("Claude's code", "/v1/messages",
         SAYS("au",
              ",\"tools\":[{\"type\":\"code_execution_20250825\",\"name\":\"code_execution\"}]"),
         "Field `tools.code_execution` asks"),
    NONE("maps", "/v1beta/models/gu/m:generateContent",
         CONTENTS(",\"tools\":[{\"google_maps\":{}}]"), "Field `tools.googleMaps` asks"),
    NONE("Vertex' searches, though searches have a price", "/v1beta/models/gu/m:generateContent",
         CONTENTS(",\"tools\":[{\"enterpriseWebSearch\":{}}]"),
         "Field `tools.enterpriseWebSearch` asks"),
    NONE("a model that always searches", CHAT, SAYS("os", ""),
         "Model `sonar-pro` asks for web searches"),
    NONE("by its name", CHAT, SAYS("on", ""), "Model `x/gpt:online` asks for web searches"),
};

/* ---- sent, and paid -------------------------------------------------------------------------- */

static const struct rig_row sent[] = {
    {"a search of each choice", CHAT, SAYS("op", ",\"n\":3,\"web_search_options\":{}"), OPENAI(""),
     200, "\"a\"", "/v1/chat/completions", NULL, PAID(",\"web_search\":3", "30008000")},
    {"by how much context it has", CHAT,
     SAYS("op", ",\"web_search_options\":{\"search_context_size\":\"high\"}"), OPENAI(""), 200,
     "\"a\"", "/v1/chat/completions", NULL, PAID(",\"web_search_high\":1", "20008000")},
    {"Perplexity's is small unless it is said", CHAT, SAYS("oq", ""), OPENAI(""), 200, "\"a\"",
     "/v1/chat/completions", NULL, PAID(",\"web_search_low\":1", "5008000")},
    {"or counted", CHAT, SAYS("oq", ",\"web_search_options\":{\"search_context_size\":\"medium\"}"),
     OPENAI(""), 200, "\"a\"", "/v1/chat/completions", NULL, PAID(",\"web_search\":1", "10008000")},
    {"Groq's compound is a call at least", CHAT, SAYS("oc", ""), OPENAI(""), 200, "\"a\"",
     "/v1/chat/completions", NULL, PAID(",\"tool_call\":1", "50008000")},
    {"and all that it counts", CHAT, SAYS("oc", ",\"web_search_options\":{}"),
     OPENAI(",\"server_tool_use\":{\"tool_calls_executed\":3}"), 200, "\"a\"",
     "/v1/chat/completions", NULL, PAID(",\"tool_call\":3", "150008000")},
    {"and a search of a size beside it does not take its place", CHAT,
     SAYS("oc", ",\"web_search_options\":{\"search_context_size\":\"low\"}"), OPENAI(""), 200,
     "\"a\"", "/v1/chat/completions", NULL,
     PAID(",\"web_search_low\":1,\"tool_call\":1", "55008000")},
    {"xAI's sources are counted", CHAT, SAYS("op", ",\"search_parameters\":{}"),
     OPENAI(",\"num_sources_used\":3"), 200, "\"a\"", "/v1/chat/completions", NULL,
     PAID(",\"tool_call\":3", "150008000")},
    {"OpenRouter's results are paid as they were asked for, once", CHAT,
     SAYS("op", ",\"plugins\":[{\"id\":\"web\",\"max_results\":2}]"),
     OPENAI(",\"server_tool_use\":{\"web_search_requests\":1}"), 200, "\"a\"",
     "/v1/chat/completions", NULL, PAID(",\"tool_call\":2", "100008000")},
    {"what the owner calls free passes", CHAT,
     SAYS("of", ",\"plugins\":[{\"id\":\"web\"}],\"tools\":[{\"type\":\"browser_search\"}]"),
     OPENAI(""), 200, "\"a\"", "/v1/chat/completions",
     "{\"model\":\"up\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
     "\"plugins\":[{\"id\":\"web\"}],\"tools\":[{\"type\":\"browser_search\"}]}",
     PAID("", "8000")},
    {"tools that cost tokens only pass", "/v1/messages",
     SAYS("au", ",\"tools\":[{\"type\":\"web_fetch_20250910\",\"name\":\"web_fetch\"}]"),
     MESSAGE(""), 200, "\"a\"", "/v1/messages", NULL, PAID("", "8000")},
    {"Claude's code is counted", "/v1/messages",
     SAYS("ap", ",\"tools\":[{\"type\":\"code_execution_20250825\",\"name\":\"code_execution\"}]"),
     MESSAGE(",\"server_tool_use\":{\"code_execution_requests\":2}"), 200, "\"a\"", "/v1/messages",
     NULL, PAID(",\"code_run\":2", "60008000")},
    {"an offer without a price is left out, the bytes of the rest are the caller's",
     "/v1/responses",
     INPUT("ru", ", \"tools\" : [" F ", {\"type\":\"web_search\"}], \"tool_choice\":\"auto\""),
     RESPONSES(""), 200, "\"a\"", "/v1/responses",
     "{\"model\":\"up\",\"max_output_tokens\":9,\"input\":\"hi\", \"tools\" : [" F
     "], \"tool_choice\":\"auto\"}",
     PAID("", "8000")},
    {"one with a price is sent, and paid as it is used", "/v1/responses",
     INPUT("rp",
           ",\"tools\":[{\"type\":\"web_search\"},{\"type\":\"code_interpreter\",\"container\""
           ":{\"type\":\"auto\",\"memory_limit\":\"4g\"}}]"),
     RESPONSES(
         "{\"type\":\"web_search_call\"},{\"type\":\"code_interpreter_call\",\"container_id\":"
         "\"c\"},"),
     200, "\"a\"", "/v1/responses", NULL, PAID(",\"web_search\":1,\"code_run\":4", "130008000")},
    {"one that was not used costs nothing", "/v1/responses",
     INPUT("rp", ",\"tools\":[{\"type\":\"web_search\"}]"), RESPONSES(""), 200, "\"a\"",
     "/v1/responses", NULL, PAID("", "8000")},
    {"a grounding that is paid by the call is no search, too",
     "/v1beta/models/gp/m:generateContent", CONTENTS(",\"tools\":[{\"googleMaps\":{}}]"), CANDIDATE,
     200, "\"a\"", "/v1beta/models/up:generateContent", NULL, PAID(",\"tool_call\":1", "50008000")},
};

static void
none_called(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        rig_walk(&refused[i], "application/json");
}

static void
paid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sent); i++)
        rig_walk(&sent[i], "application/json");
}

static void
left_out_is_told(void **state)
{
    (void)state;
    struct reply reply;
    provider_says(200, "application/json", RESPONSES(""));
    ask(&reply, "/v1/responses",
        INPUT("ru", ",\"tools\":[{\"type\":\"web_search\"},{\"type\":\"image_generation\"}]"));
    want_body(&reply, 200, "\"a\"");
    assert_string_equal(reply.dropped, "tools.web_search,tools.image_generation");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(none_called, paid_open, rig_close),
        cmocka_unit_test_setup_teardown(paid, paid_open, rig_close),
        cmocka_unit_test_setup_teardown(left_out_is_told, paid_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
