/* SPDX-License-Identifier: MIT
 * request_test.c - requests: what Berth reads of them, what it edits when it passes them on, and
 *                  what becomes of them in another dialect.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: bytes no rule edits are the caller's; no field is lost in silence. */
#include "dataplane/dialect/test_int.h"

#define OAI &dialect_openai
#define ANT &dialect_anthropic

/* ---- facts ----------------------------------------------------------------------------------- */

static void
test_facts(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *dialect;
        const char *body;
        int want_err;
        const char *want; /* "model stream usage tools max choices", or a word of the error */
    } rows[] = {
        {OAI, "{\"model\":\"a/b\",\"messages\":[]}", 0, "a/b 0 0 0 0 1"},
        {OAI, "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", 0,
         "m 1 1 0 0 1"},
        {OAI, "{\"model\":\"m\",\"stream\":null,\"max_tokens\":null,\"tools\":[]}", 0,
         "m 0 0 0 0 1"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":7,\"max_completion_tokens\":5,\"n\":3}", 0,
         "m 0 0 0 7 3"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":\"12\",\"tools\":[{}]}", 0, "m 0 0 1 12 1"},
        {OAI, "{\"model\":\"\"}", 0, " 0 0 0 0 1"},
        {OAI, "{\"m\\u006fdel\":\"\\u006d\"}", 0, "m 0 0 0 0 1"},
        {OAI, "{\"model\":\"cheap\\u0000dear\"}", -ERR_INVALID, "NUL"},
        {OAI, "{\"messages\":[]}", -ERR_INVALID, "`model`"},
        {OAI, "{\"model\":5}", -ERR_INVALID, "`model`"},
        {OAI, "[]", -ERR_INVALID, "object"},
        {OAI, "{\"model\":\"m\",\"stream\":\"yes\"}", -ERR_INVALID, "`stream`"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":1e999}", -ERR_RANGE, "`max_tokens`"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":-1}", -ERR_RANGE, "`max_tokens`"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":0}", -ERR_RANGE, "`max_tokens`"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":99999999999999999999}", -ERR_RANGE, "`max_tokens`"},
        {OAI, "{\"model\":\"m\",\"max_tokens\":{}}", -ERR_INVALID, "`max_tokens`"},
        {OAI, "{\"model\":\"m\",\"n\":129}", -ERR_RANGE, "`n`"},
        {ANT, "{\"model\":\"m\",\"max_tokens\":9,\"stream\":true,\"tools\":[{}]}", 0,
         "m 1 1 1 9 1"},
        {ANT, "{\"model\":\"m\",\"max_tokens\":1.5}", -ERR_RANGE, "`max_tokens`"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct chat_facts f = {0};
        struct err err = {0};
        char got[128];
        arena_init(&arena, 65536);
        test_scan(&doc, str_from(rows[i].body));
        int rc = rows[i].dialect->facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &f, &err);
        if (rc != rows[i].want_err)
            fail_msg("%s: %d %s", rows[i].body, rc, err.text);
        if (rc == 0) {
            (void)snprintf(got, sizeof(got), "%.*s %d %d %d %llu %u", STR_ARG(f.model), f.stream,
                           f.include_usage, f.has_tools, (unsigned long long)f.max_output,
                           f.choices);
            assert_string_equal(got, rows[i].want);
            assert_true(f.prompt_bytes >= strlen(rows[i].body));
        } else {
            assert_non_null(strstr(err.text, rows[i].want));
        }
        json_fini(&doc);
        arena_fini(&arena);
    }
}

/* A picture of a megabyte is not a million tokens; a remote one is not nothing; and the same shape
 * in a tool's schema stays text. */
static void
test_prompt_bytes(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *dialect;
        const char *before;
        const char *after;
        uint64_t least;
        uint64_t most;
    } rows[] = {
        {OAI,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
         "\"image_url\":{\"url\":\"data:image/png;base64,",
         "\"}}]}]}", 8000, 10000},
        {OAI, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]}", 1000000,
         1000200},
        {OAI, "{\"model\":\"m\",\"tools\":[{\"image_url\":{\"url\":\"data:image/png;base64,",
         "\"}}]}", 1000000, 1000200},
        {ANT,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\","
         "\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"",
         "\"}}]}]}", 8000, 10000},
        {ANT,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
         "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
         "\"image/png\",\"data\":\"",
         "\"}}]}]}]}", 8000, 10000},
        {ANT,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_"
         "use\","
         "\"input\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"",
         "\"}}]}]}", 1000000, 1000400},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf body;
        struct json_doc doc;
        struct arena arena;
        struct chat_facts facts = {0};
        struct err err;
        buf_init(&body, TEST_BYTES_MAX);
        arena_init(&arena, 65536);
        buf_put_str(&body, str_from(rows[i].before));
        for (int n = 0; n < 1000000; n++)
            buf_put_byte(&body, 'A');
        buf_put_str(&body, str_from(rows[i].after));
        test_scan(&doc, buf_str(&body));
        assert_int_equal(rows[i].dialect->facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err), 0);
        if (facts.prompt_bytes < rows[i].least || facts.prompt_bytes > rows[i].most)
            fail_msg("row %zu: %llu", i, (unsigned long long)facts.prompt_bytes);
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&body);
    }
}

/* ---- passing on ------------------------------------------------------------------------------ */

static void
test_forward(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *dialect;
        enum chat_endpoint endpoint;
        const char *body;
        const char *want;
    } rows[] = {
        {OAI, CHAT_ENDPOINT_CHAT,
         " { \"x\" : 1e999 , \"model\":\"old\",\n\"seed\": 9007199254740993 } ",
         " { \"x\" : 1e999 , \"model\":\"up\\\"1\",\n\"seed\": 9007199254740993 } "},
        {OAI, CHAT_ENDPOINT_CHAT, "{\"stream\":true,\"model\":\"old\"}",
         "{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"up\\\"1\"}"},
        {OAI, CHAT_ENDPOINT_CHAT,
         "{\"model\":\"old\",\"stream\":true,\"stream_options\":{\"a\":1}}",
         "{\"model\":\"up\\\"1\",\"stream\":true,\"stream_options\":{\"include_usage\":true,"
         "\"a\":1}}"},
        {OAI, CHAT_ENDPOINT_CHAT,
         "{\"model\":\"old\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
         "{\"model\":\"up\\\"1\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {OAI, CHAT_ENDPOINT_CHAT, "{\"model\":\"old\",\"stream\":true,\"stream_options\":null}",
         "{\"model\":\"up\\\"1\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {OAI, CHAT_ENDPOINT_CHAT,
         "{\"model\":\"old\",\"stream\":false,\"stream_options\":{\"include_usage\":true}}",
         "{\"model\":\"up\\\"1\",\"stream\":false}"},
        {OAI, CHAT_ENDPOINT_CHAT,
         "{\"model\":\"old\",\"tools\":[],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true}",
         "{\"model\":\"up\\\"1\"}"},
        {OAI, CHAT_ENDPOINT_CHAT,
         "{\"model\":\"old\",\"tools\":[{}],\"tool_choice\":\"auto\",\"messages\":[{\"role\":"
         "\"assistant\",\"tool_calls\":[],\"content\":\"\\u0041\"}]}",
         "{\"model\":\"up\\\"1\",\"tools\":[{}],\"tool_choice\":\"auto\",\"messages\":[{\"role\":"
         "\"assistant\",\"content\":\"\\u0041\"}]}"},
        {OAI, CHAT_ENDPOINT_EMBEDDINGS, "{\"input\":[1,2],\"model\":\"old\"}",
         "{\"input\":[1,2],\"model\":\"up\\\"1\"}"},
        {ANT, CHAT_ENDPOINT_CHAT,
         "{\"model\":\"old\",\"stream\":true,\"tools\":[],\"system\":\"x-anthropic-billing-header:"
         " a\"}",
         "{\"model\":\"up\\\"1\",\"stream\":true,\"tools\":[],\"system\":"
         "\"x-anthropic-billing-header: a\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct chat_facts facts = {0};
        struct splice splice;
        struct str *segments = NULL;
        struct err err;
        struct buf got;
        size_t count = 0;
        size_t bytes = 0;
        arena_init(&arena, 1u << 20);
        buf_init(&got, 1u << 20);
        test_scan(&doc, str_from(rows[i].body));
        assert_int_equal(rows[i].dialect->facts(&doc, rows[i].endpoint, &arena, &facts, &err), 0);
        splice_init(&splice, &arena);
        assert_int_equal(rows[i].dialect->forward_edits(&doc, rows[i].endpoint, &facts,
                                                        STR("up\"1"), true, &splice),
                         0);
        assert_int_equal(splice_segments(&splice, doc.text, &segments, &count, &bytes), 0);
        for (size_t n = 0; n < count; n++)
            buf_put_str(&got, segments[n]);
        assert_int_equal(got.len, bytes);
        assert_str(buf_str(&got), str_from(rows[i].want));
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&got);
    }
}

/* The same model name upstream, nothing to add: not one byte changes. */
static void
test_forward_nothing(void **state)
{
    (void)state;
    const struct str body = STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}");
    const struct dialect *dialect;
    for (size_t i = 0; (dialect = dialect_at(i)) != NULL; i++) {
        if (dialect->forward_edits == NULL)
            continue;
        struct json_doc doc;
        struct arena arena;
        struct chat_facts facts = {0};
        struct splice splice;
        struct err err;
        arena_init(&arena, 65536);
        test_scan(&doc, body);
        assert_int_equal(dialect->facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err), 0);
        splice_init(&splice, &arena);
        assert_int_equal(
            dialect->forward_edits(&doc, CHAT_ENDPOINT_CHAT, &facts, STR("m"), true, &splice), 0);
        assert_int_equal(splice.count, 0);
        json_fini(&doc);
        arena_fini(&arena);
    }
}

/* ---- translation ----------------------------------------------------------------------------- */

struct translation {
    const char *name;
    const struct dialect *from;
    const struct dialect *to;
    const char *body;
    int want_err;
    const char *want; /* the request without its model member, or a word of the error */
    const char *want_dropped;
};

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define HI_ANT \
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"
#define HI_ANT_OPEN \
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},"
#include "dataplane/dialect/request_rows_test.def"

static void
test_translation(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(translations); i++) {
        const struct translation *row = &translations[i];
        struct json_doc doc;
        struct arena arena;
        struct chat_request request;
        struct err err = {0};
        struct buf out;
        struct buf dropped;
        struct buf want;
        arena_init(&arena, 1u << 20);
        buf_init(&out, 1u << 20);
        buf_init(&dropped, 4096);
        buf_init(&want, 1u << 20);
        const struct dialect_target target = {
            .model = STR("up"), .max_output = 8000, .dropped = &dropped};
        test_scan(&doc, str_from(row->body));
        int rc = row->from->request_in(&doc, &arena, &request, &err);
        if (rc == 0)
            rc = row->to->request_out(&request, &target, &arena, &out, &err);
        if (rc != row->want_err)
            fail_msg("%s: %d %s", row->name, rc, err.text);
        if (rc < 0) {
            if (strstr(err.text, row->want) == NULL)
                fail_msg("%s: %s", row->name, err.text);
        } else {
            buf_printf(&want, "{\"model\":\"up\",%s}", row->want);
            assert_str(buf_str(&out), buf_str(&want));
            assert_str(buf_str(&dropped), str_from(row->want_dropped));
        }
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&out);
        buf_fini(&dropped);
        buf_fini(&want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),       cmocka_unit_test(test_prompt_bytes),
        cmocka_unit_test(test_forward),     cmocka_unit_test(test_forward_nothing),
        cmocka_unit_test(test_translation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
