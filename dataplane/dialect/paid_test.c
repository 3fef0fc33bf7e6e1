/* SPDX-License-Identifier: MIT
 * paid_test.c - tools that a provider runs and bills beside tokens: found in requests of every
 *               dialect, left out of some, counted in answers.
 * Floor: test.
 * Owns: nothing.
 * Invariant: must hold: what is no tool of the caller's own is found, however it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/dialect/dialect.h"
#include "dataplane/dialect/paid_int.h"

/* What a request is found to ask for, as "name class most [each N] [unit N] [offered]; ...". */
static const struct {
    const char *name;
    const struct dialect *dialect;
    const char *members; /* beside the model */
    const char *want;
} rows[] = {
    {"nothing", &dialect_openai, "", ""},
    {"functions, old and new, in both forms", &dialect_openai,
     ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"function\":{}},"
     "{\"name\":\"g\"},{\"type\":\"custom\"},{\"type\":\"mcp\"}]",
     ""},
    {"a search", &dialect_openai, ",\"web_search_options\":{}",
     "web_search_options web_search 10 each 1;"},
    {"with little context", &dialect_openai,
     ",\"web_search_options\":{\"search_context_size\":\"low\"}",
     "web_search_options web_search_low 10 each 1;"},
    {"with a word that nobody knows", &dialect_openai,
     ",\"web_search_options\":{\"search_context_size\":\"vast\"}",
     "web_search_options web_search_high 10 each 1;"},
    {"Perplexity's other kind", &dialect_openai,
     ",\"web_search_options\":{\"search_type\":\"pro\"}",
     "web_search_options web_search 10 each 1;web_search_options.search_type tool_call 1 each 1;"},
    {"options that are no object", &dialect_openai, ",\"web_search_options\":true",
     "web_search_options web_search 10 each 1;"},
    {"options of null", &dialect_openai, ",\"web_search_options\":null", ""},
    {"xAI's live search", &dialect_openai, ",\"search_parameters\":{}",
     "search_parameters tool_call 20;"},
    {"of so many sources", &dialect_openai,
     ",\"search_parameters\":{\"mode\":\"on\",\"max_search_results\":7}",
     "search_parameters tool_call 7;"},
    {"that is off", &dialect_openai, ",\"search_parameters\":{\"mode\":\"off\"}", ""},
    {"OpenRouter's web plugin", &dialect_openai, ",\"plugins\":[{\"id\":\"web\"}]",
     "plugins.web tool_call 5 each 5;"},
    {"twice, and of more results", &dialect_openai,
     ",\"plugins\":[{\"id\":\"web\",\"max_results\":20},{\"id\":\"w\\u0065b\"}]",
     "plugins.web tool_call 25 each 25;"},
    {"its others", &dialect_openai,
     ",\"plugins\":[{\"id\":\"file-parser\"},{\"id\":\"response-healing\"},{\"id\":\"web\","
     "\"enabled\":false},{}]",
     "plugins.file-parser tool_call 1 each 1;plugins.? tool_call 1 each 1;"},
    {"in Anthropic's words, too", &dialect_anthropic, ",\"plugins\":[{\"id\":\"web\"}]",
     "plugins.web tool_call 5 each 5;"},
    {"and in Responses", &dialect_responses, ",\"plugins\":[{\"id\":\"web\"}]",
     "plugins.web tool_call 5 each 5;"},
    {"OpenRouter's server tools", &dialect_openai,
     ",\"tools\":[{\"type\":\"openrouter:web_search\"},{\"type\":\"openrouter:datetime\"},{"
     "\"type\":\"openrouter:web_fetch\"}]",
     "openrouter:web_search web_search 10 each 1;openrouter:web_fetch tool_call 10 each 1;"},
    {"Alibaba's", &dialect_openai, ",\"enable_search\":true", "enable_search web_search 1 each 1;"},
    {"Alibaba's, off", &dialect_openai, ",\"enable_search\":false", ""},
    {"Groq's", &dialect_openai,
     ",\"tools\":[{\"type\":\"browser_search\"},{\"type\":\"code_interpreter\"}]",
     "browser_search tool_call 10 each 1;code_interpreter code_run 10 each 1;"},
    {"Moonshot's", &dialect_openai,
     ",\"tools\":[{\"type\":\"builtin_function\",\"function\":{\"name\":\"$web_search\"}}]",
     "builtin_function tool_call 10 each 1;"},
    {"one of a vendor to come, by its first member", &dialect_openai,
     ",\"tools\":[{\"google_search\":{}}]", "google_search tool_call 10 each 1;"},
    {"a type that is no text", &dialect_openai, ",\"tools\":[{\"type\":7}]",
     "type tool_call 10 each 1;"},
    {"chat completions by Cohere's clients", &dialect_cohere,
     ",\"tools\":[{\"type\":\"web_search\"}]", "web_search web_search 10 each 1;"},
    {"Ollama's clients", &dialect_ollama, ",\"tools\":[{\"type\":\"web_search\"}]",
     "web_search web_search 10 each 1;"},
    {"Codex", &dialect_responses,
     ",\"tools\":[{\"type\":\"function\",\"name\":\"shell\"},{\"type\":\"custom\",\"name\":"
     "\"apply_patch\"},{\"type\":\"web_search\",\"external_web_access\":false},{\"type\":"
     "\"image_generation\"},{\"type\":\"tool_search\"},{\"type\":\"namespace\",\"tools\":[{"
     "\"type\":\"function\",\"name\":\"f\"}]}],\"tool_choice\":\"auto\"",
     "web_search web_search 10 offered;image_generation image 10 offered;"},
    {"escaped", &dialect_responses, ",\"to\\u006fls\":[{\"typ\\u0065\":\"web\\u005fsearch\"}]",
     "web_search web_search 10 offered;"},
    {"both names of it, and the limit of calls", &dialect_responses,
     ",\"max_tool_calls\":3,\"tools\":[{\"type\":\"web_search_preview_2025_03_11\"},{\"type\":"
     "\"web_search_2025_08_26\",\"search_context_size\":\"high\"}]",
     "web_search web_search_high 6 offered;"},
    {"what must be called is no offer", &dialect_responses,
     ",\"tools\":[{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"web_search\"}",
     "web_search web_search 10;"},
    {"nor what alone can be called", &dialect_responses,
     ",\"tools\":[{\"type\":\"web_search\"}],\"tool_choice\":\"required\"",
     "web_search web_search 10;"},
    {"unless there are others", &dialect_responses,
     ",\"tools\":[{\"type\":\"web_search\"},{\"type\":\"function\",\"name\":\"f\"}],\"tool_"
     "choice\":\"required\"",
     "web_search web_search 10 offered;"},
    {"inside a namespace nothing is on offer", &dialect_responses,
     ",\"tools\":[{\"type\":\"namespace\",\"tools\":[{\"type\":\"web_search\"},{\"type\":"
     "\"namespace\"}]}]",
     "web_search web_search 10;namespace tool_call 10 each 1;"},
    {"OpenAI's others", &dialect_responses,
     ",\"tools\":[{\"type\":\"file_search\"},{\"type\":\"code_interpreter\",\"container\":{"
     "\"type\":\"auto\"}},{\"type\":\"computer_use_preview\"},{\"type\":\"mcp\"},{\"type\":"
     "\"local_shell\"},{\"type\":\"apply_patch\"}]",
     "file_search file_search 10;code_interpreter code_run 10;"},
    {"a large container", &dialect_responses,
     ",\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\",\"memory_"
     "limit\":\"16g\"}}]",
     "code_interpreter code_run 1 unit 16;"},
    {"shells: the caller's, and the vendor's", &dialect_responses,
     ",\"tools\":[{\"type\":\"shell\"},{\"type\":\"shell\",\"environment\":{\"type\":\"local\"}},"
     "{\"type\":\"shell\",\"environment\":{\"type\":\"container_auto\"}}]",
     "shell code_run 10 each 1;"},
    {"xAI's", &dialect_responses,
     ",\"tools\":[{\"type\":\"x_search\"},{\"type\":\"collections_search\"},{\"type\":"
     "\"attachment_search\"}]",
     "x_search tool_call 10;collections_search file_search 10;"
     "attachment_search tool_call 10 each 1;"},
    {"Claude Code", &dialect_anthropic,
     ",\"tools\":[{\"name\":\"Bash\",\"input_schema\":{}},{\"type\":\"custom\",\"name\":\"x\"},{"
     "\"type\":\"bash_20250124\"},{\"type\":\"text_editor_20250728\"},{\"type\":\"computer_"
     "20250124\"},{\"type\":\"memory_20250818\"},{\"type\":\"web_fetch_20250910\"},{\"type\":"
     "\"tool_search_tool_regex_20251119\"},{\"type\":\"mcp_toolset\"}],\"mcp_servers\":[]",
     ""},
    {"its searches", &dialect_anthropic,
     ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":8}]",
     "web_search web_search 8;"},
    {"code", &dialect_anthropic, ",\"tools\":[{\"type\":\"code_execution_20250825\"}]",
     "code_execution code_run 10;"},
    {"code beside a search of 2026 is free", &dialect_anthropic,
     ",\"tools\":[{\"type\":\"code_execution_20260120\"},{\"type\":\"web_fetch_20260209\"}]", ""},
    {"beside an older one it is not", &dialect_anthropic,
     ",\"tools\":[{\"type\":\"code_execution_20260120\"},{\"type\":\"web_fetch_20250910\"}]",
     "code_execution code_run 10;"},
    {"one to come", &dialect_anthropic, ",\"tools\":[{\"type\":\"oracle_20270101\"}]",
     "oracle_20270101 tool_call 10 each 1;"},
    {"Gemini", &dialect_gemini,
     ",\"tools\":[{\"functionDeclarations\":[]},{\"function_declarations\":[],\"codeExecution\":{},"
     "\"url_context\":{},\"fileSearch\":{},\"computerUse\":{},\"googleMaps\":null}]",
     ""},
    {"Gemini's searches", &dialect_gemini,
     ",\"tools\":[{\"google_search\":{},\"google_maps\":{}},{\"enterpriseWebSearch\":{}}]",
     "googleSearch web_search 10;googleMaps tool_call 10 each 1;"
     "enterpriseWebSearch tool_call 10 each 1;"},
    {"as one for a list of one, escaped", &dialect_gemini, ",\"tools\":{\"google\\u004daps\":{}}",
     "googleMaps tool_call 10 each 1;"},
    {"Vertex' others, and one to come", &dialect_gemini,
     ",\"tools\":[{\"retrieval\":{},\"parallel_ai_search\":{}}]",
     "retrieval tool_call 10 each 1;parallelAiSearch tool_call 10 each 1;"},
};

static void
say(const struct chat_facts *facts, struct buf *out)
{
    for (const struct chat_run *run = facts->runs; run != NULL; run = run->next) {
        char text[256];
        (void)snprintf(text, sizeof text, "%.*s %s %u", STR_ARG(run->name),
                       usage_class_name(run->class_), run->most);
        buf_put_str(out, str_from(text));
        (void)snprintf(text, sizeof text, " each %u", run->each);
        if (run->each > 0)
            buf_put_str(out, str_from(text));
        (void)snprintf(text, sizeof text, " unit %u", run->unit);
        if (run->unit > 1)
            buf_put_str(out, str_from(text));
        buf_put_str(out, run->offered ? STR(" offered;") : STR(";"));
    }
}

static void
found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct chat_facts facts = {0};
        struct err err;
        struct buf body;
        struct buf told;
        print_message("%s\n", rows[i].name);
        buf_init(&body, 8192);
        buf_init(&told, 8192);
        arena_init(&arena, 65536);
        json_init(&doc);
        buf_put_str(&body, STR("{\"model\":\"m\""));
        buf_put_str(&body, str_from(rows[i].members));
        buf_put_str(&body, STR("}"));
        assert_int_equal(json_scan(&doc, buf_str(&body), NULL, &err), 0);
        assert_int_equal(rows[i].dialect->facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err), 0);
        say(&facts, &told);
        buf_put_byte(&told, 0);
        assert_string_equal(told.ptr, rows[i].want);
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&told);
        buf_fini(&body);
    }
}

/* More kinds than anybody needs are refused; so many of one kind are one. */
static void
many(void **state)
{
    (void)state;
    for (unsigned kinds = PAID_RUNS_MAX; kinds <= PAID_RUNS_MAX + 1; kinds++) {
        struct json_doc doc;
        struct arena arena;
        struct chat_facts facts = {0};
        struct err err;
        struct buf body;
        char tool[64];
        buf_init(&body, 1u << 20);
        arena_init(&arena, 1u << 20);
        json_init(&doc);
        buf_put_str(&body, STR("{\"model\":\"m\",\"tools\":[{\"type\":\"t0\"}"));
        for (unsigned i = 0; i < 5000; i++) {
            (void)snprintf(tool, sizeof tool, ",{\"type\":\"t%u\"}", i % kinds);
            buf_put_str(&body, str_from(tool));
        }
        buf_put_str(&body, STR("]}"));
        assert_int_equal(json_scan(&doc, buf_str(&body), NULL, &err), 0);
        assert_int_equal(dialect_openai.facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err),
                         kinds <= PAID_RUNS_MAX ? 0 : -ERR_INVALID);
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&body);
    }
}

/* The tools of a Responses body without the searches: the bytes of the others as they were. */
static void
left_out(void **state)
{
    (void)state;
#define S "{ \"type\" : \"web_search\" }"
#define F "{\"type\":\"function\",\"name\":\"f\"}"
#define G "{ \"name\":\"g\",\"type\":\"function\"}"
    static const struct {
        const char *from;
        const char *to;
    } cases[] = {
        {"\"tools\":[" S "," F "]", "\"tools\":[" F "]"},
        {"\"tools\":[ " F " , " S " ]", "\"tools\":[ " F " ]"},
        {"\"tools\":[" F " , " S " , " G " ]", "\"tools\":[" F "," G " ]"},
        {"\"tools\":[ " S " , " S "," F "," S "," S "," G "," S ", " S "]",
         "\"tools\":[" F "," G "]"},
        {"\"tools\":[" F ", " G "]", "\"tools\":[" F ", " G "]"},
    };
    for (size_t i = 0; i <= ARRAY_LEN(cases); i++) {
        struct json_doc doc;
        struct arena arena;
        struct chat_facts facts = {0};
        struct err err;
        struct splice splice;
        struct str *segments = NULL;
        size_t count = 0;
        size_t bytes = 0;
        char body[512];
        char want[512];
        struct buf out;
        buf_init(&out, 4096);
        arena_init(&arena, 65536);
        json_init(&doc);
        bool all = i == ARRAY_LEN(cases); /* none is left: nor is a choice among them */
        (void)snprintf(body, sizeof body, "{\"model\":\"m\",%s,\"input\":\"hi\"}",
                       all ? "\"tools\":[" S "],\"tool_choice\":\"auto\"" : cases[i].from);
        (void)snprintf(want, sizeof want, "{\"model\":\"m\"%s%s,\"input\":\"hi\"}", all ? "" : ",",
                       all ? "" : cases[i].to);
        assert_int_equal(json_scan(&doc, str_from(body), NULL, &err), 0);
        assert_int_equal(dialect_responses.facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err),
                         0);
        if (facts.runs != NULL)
            facts.runs->left_out = true;
        splice_init(&splice, &arena);
        assert_int_equal(dialect_responses.forward_edits(&doc, CHAT_ENDPOINT_CHAT, &facts, STR("m"),
                                                         true, &splice),
                         0);
        assert_int_equal(splice_segments(&splice, doc.text, &segments, &count, &bytes), 0);
        for (size_t at = 0; at < count; at++)
            buf_put_str(&out, segments[at]);
        buf_put_byte(&out, 0);
        assert_string_equal(out.ptr, want);
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&out);
    }
}

#define ITEM(type) "{\"type\":\"" type "\"}"
#define CODE(id) "{\"type\":\"code_interpreter_call\",\"container_id\":\"" id "\"}"
static const struct {
    const char *output;
    const char *details; /* beside the tokens */
    uint64_t web;
    uint64_t file;
    uint64_t code;
    uint64_t image;
    uint64_t other;
} answers[] = {
    {ITEM("message"), "", 0, 0, 0, 0, 0},
    {ITEM("web_search_call") "," ITEM("file_search_call") "," ITEM("image_generation_call"), "", 1,
     1, 0, 1, 0},
    {CODE("a") "," CODE("a") "," ITEM("function_call") "," CODE("b"), "", 0, 0, 2, 0, 0},
    {ITEM("function_call") "," ITEM("mcp_call") "," ITEM("computer_call") "," ITEM(
         "local_shell_call"),
     "", 0, 0, 0, 0, 0},
    {ITEM("custom_tool_call"),
     ",\"server_side_tool_usage_details\":{\"x_search_calls\":3,\"document_search_calls\":1,"
     "\"code_interpreter_calls\":2,\"mcp_calls\":9}",
     0, 0, 2, 0, 4},
    {ITEM("web_search_call"), ",\"server_side_tool_usage_details\":{\"web_search_calls\":99999999}",
     1000, 0, 0, 0, 0},
    {ITEM("web_search_call"), ",\"server_side_tool_usage_details\":{\"web_search_calls\":-1}", 1, 0,
     0, 0, 0},
};

static void
counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct json_doc doc;
        struct stream_look look;
        struct err err;
        char body[1024];
        json_init(&doc);
        (void)snprintf(body, sizeof body,
                       "{\"status\":\"completed\",\"output\":[%s],\"usage\":{\"input_tokens\":1,"
                       "\"output_tokens\":1%s}}",
                       answers[i].output, answers[i].details);
        assert_int_equal(json_scan(&doc, str_from(body), NULL, &err), 0);
        dialect_responses.answer_look(&doc, &look);
        assert_int_equal(look.usage.count[USAGE_web_search], answers[i].web);
        assert_int_equal(look.usage.count[USAGE_file_search], answers[i].file);
        assert_int_equal(look.usage.count[USAGE_code_run], answers[i].code);
        assert_int_equal(look.usage.count[USAGE_image], answers[i].image);
        assert_int_equal(look.usage.count[USAGE_tool_call], answers[i].other);
        json_fini(&doc);
    }
}

/* A stream tells a search when it is over, and again in its last event: it is one. */
static void
passed(void **state)
{
    (void)state;
    static const char *const frames[] = {
        "{\"type\":\"response.output_item.done\",\"item\":" ITEM("web_search_call") "}",
        "{\"type\":\"response.output_item.done\",\"item\":" CODE("a") "}",
        "{\"type\":\"response.output_item.done\",\"item\":" CODE("a") "}",
        "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":["
        "" ITEM("web_search_call") "],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}",
    };
    struct json_doc scratch;
    struct stream_look look = {0};
    json_init(&scratch);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        const struct stream_frame frame = {.data = str_from(frames[i])};
        dialect_responses.reader->look(&look, &frame, &scratch);
        assert_int_equal(look.usage.count[USAGE_web_search], 1);
        assert_int_equal(look.usage.count[USAGE_code_run], i > 0);
    }
    assert_int_equal(look.usage.evidence, EVIDENCE_PROVIDER);
    json_fini(&scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found),   cmocka_unit_test(many),   cmocka_unit_test(left_out),
        cmocka_unit_test(counted), cmocka_unit_test(passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
