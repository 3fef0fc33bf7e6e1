/* SPDX-License-Identifier: MIT
 * carry_test.c - requests between the dialects that request_test.c has no rows for: exact bytes,
 *                what is refused by name, what is noted; opaque state on its way through foreign
 *                clients; frames of every framing.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: no field is lost in silence; what was sealed comes back byte for byte. */
#include "dataplane/dialect/test_int.h"

#include "dataplane/dialect/seal_int.h"

#define OAI &dialect_openai
#define ANT &dialect_anthropic
#define GEM &dialect_gemini
#define RSP &dialect_responses
#define OLL &dialect_ollama
#define COH &dialect_cohere
#define BED &dialect_bedrock

struct carry {
    const char *name;
    const struct dialect *from;
    const struct dialect *to;
    const char *model; /* upstream */
    const char *body;
    int want_err;
    const char *want; /* the request, or a word of the error */
    const char *want_dropped;
};

#define LOOP                                                                                       \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","   \
    "\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\"," \
    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{"     \
    "\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"}],\"tools\":[{\"type\":"          \
    "\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"
#define GEM_HEAD                                                                            \
    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{\"role\":\"model\"," \
    "\"parts\":[{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":1}}"
#define GEM_TAIL                                                                                 \
    "}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\","     \
    "\"response\":{\"result\":\"r\"}}}]}],\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]}," \
    "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parametersJsonSchema\":{\"type\":"  \
    "\"object\"}}]}]"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define GEM_HI "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"
#define BED_HI "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}],"
#define ASK "{\"model\":\"m\"," HI

#define WHERE "\"city\":\"Oslo\",\"country\":\"NO\"}"
#define WHERE_FLAT "\"user_location\":{\"type\":\"approximate\"," WHERE
#define WHERE_NESTED "\"user_location\":{\"type\":\"approximate\",\"approximate\":{" WHERE "}"
#define ANT_ASK                                               \
    "{\"model\":\"m\",\"max_tokens\":5," HI                   \
    ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":" \
    "\"web_search\""

#define FREEFORM                                                                           \
    "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[" \
    "\"input\"],"                                                                          \
    "\"additionalProperties\":false}"
#define CUSTOM                                                                                     \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"             \
    "\"assistant\","                                                                               \
    "\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"custom\",\"custom\":{\"name\":"    \
    "\"x\","                                                                                       \
    "\"input\":\"a "                                                                               \
    "\\\"b\\\"\\n\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"}],"           \
    "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"x\",\"description\":\"d\",\"format\":" \
    "{"                                                                                            \
    "\"type\":\"grammar\",\"grammar\":{\"syntax\":\"lark\",\"definition\":\"start: X\"}}}}],"      \
    "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"x\"}}}"

#include "dataplane/dialect/carry_rows_test.def"

static void
test_carry(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct carry *row = &rows[i];
        struct json_doc doc;
        struct arena arena;
        struct chat_request request;
        struct err err = {0};
        struct buf out;
        struct buf dropped;
        arena_init(&arena, 1u << 20);
        buf_init(&out, 1u << 20);
        buf_init(&dropped, 4096);
        const struct dialect_target target = {.model = str_from(row->model),
                                              .max_output = 8000,
                                              .searches = true,
                                              .dropped = &dropped};
        test_scan(&doc, str_from(row->body));
        int rc = row->from->request_in(&doc, &arena, &request, &err);
        if (rc == 0)
            rc = row->to->request_out(&request, &target, &arena, &out, &err);
        if (rc != row->want_err)
            fail_msg("%s to %s: %d %s", row->name, row->to->name, rc, err.text);
        if (rc < 0 && strstr(err.text, row->want) == NULL)
            fail_msg("%s: %s", row->name, err.text);
        if (rc == 0) {
            assert_str(buf_str(&out), str_from(row->want));
            assert_str(buf_str(&dropped), str_from(row->want_dropped));
        }
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&out);
        buf_fini(&dropped);
    }
}

/* ---- opaque state ---------------------------------------------------------------------------- */

/* Gemini's signature in a call's id, from its answer through every other dialect's client and back
 * into its request. */
static void
test_signature_comes_back(void **state)
{
    (void)state;
    static const char *const histories[][2] = {
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"",
         "\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}"},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"",
         "\",\"name\":\"f\",\"input\":{}}]}]}"},
        {"{\"input\":[{\"type\":\"function_call\",\"call_id\":\"",
         "\",\"name\":\"f\",\"arguments\":\"{}\"}]}"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"",
         "\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]}]}"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"",
         "\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}"}};
    const struct dialect *const clients[] = {OAI, ANT, RSP, OLL, COH};
    struct json_doc doc;
    struct arena arena;
    struct chat_answer answer;
    struct err err;
    arena_init(&arena, 1u << 20);
    test_scan(&doc, STR("{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":"
                        "\"f\",\"args\":{}},\"thoughtSignature\":\"a+/b+Q==\"}]},\"finishReason\":"
                        "\"STOP\"}],\"responseId\":\"x\"}"));
    assert_int_equal(dialect_gemini.answer_in(&doc, &arena, &answer, &err), 0);
    struct str id = answer.choices->parts->id;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        struct json_doc again;
        struct chat_request request;
        struct buf out;
        const struct dialect_target target = {.model = STR("gemini-3-pro")};
        struct str body =
            arena_printf(&arena, "%s%.*s%s", histories[i][0], STR_ARG(id), histories[i][1]);
        buf_init(&out, 1u << 20);
        test_scan(&again, body);
        assert_int_equal(clients[i]->request_in(&again, &arena, &request, &err), 0);
        assert_int_equal(dialect_gemini.request_out(&request, &target, &arena, &out, &err), 0);
        assert_str(buf_str(&out),
                   STR("{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":"
                       "\"call_x_0_0\",\"name\":\"f\",\"args\":{}},\"thoughtSignature\":"
                       "\"a+/b+Q==\"}]}]}"));
        buf_fini(&out);
        json_fini(&again);
    }
    json_fini(&doc);
    arena_fini(&arena);
}

static void
test_seal(void **state)
{
    (void)state;
    static const char *const signatures[] = {"QUJD", "QUI=", "QQ==", "+/+/", "skip_it", "a=b", ""};
    struct arena arena;
    arena_init(&arena, 65536);
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
        struct str sealed;
        struct str id;
        struct str signature;
        bool fits = i < 4; /* the rest is no base64: the id stays as it is */
        assert_int_equal(seal_id(&arena, STR("id_1"), str_from(signatures[i]), &sealed), 0);
        assert_int_equal(seal_open_id(&arena, sealed, &id, &signature), 0);
        assert_str(id, STR("id_1"));
        assert_str(signature, fits ? str_from(signatures[i]) : STR_EMPTY);
    }
    struct str text;
    struct str id;
    struct str encrypted;
    assert_int_equal(seal_reasoning(&arena, STR("rs_9"), STR("gAAAA="), &text), 0);
    assert_true(seal_open_reasoning(text, &id, &encrypted));
    assert_str(id, STR("rs_9"));
    assert_str(encrypted, STR("gAAAA="));
    assert_false(seal_open_reasoning(STR("berthrs"), &id, &encrypted));
    assert_false(seal_open_reasoning(STR("berthrsff"), &id, &encrypted));
    assert_false(seal_open_reasoning(STR("berthrszz0"), &id, &encrypted));
    assert_false(seal_open_reasoning(STR("EqQB"), &id, &encrypted));
    arena_fini(&arena);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void
test_lines(void **state)
{
    (void)state;
    static const struct str input = JSON_NAME("{\"a\":1}\n\n  {\"b\":2}  \r\n{\"c\":3}\n{\"cut\":");
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct frames frames;
        struct sse_event event;
        struct buf seen;
        uint32_t cut = seed;
        struct str bytes = input;
        buf_init(&seen, 4096);
        frames_init(&frames, STREAM_NDJSON, 0);
        while (bytes.len > 0) {
            size_t size = test_cut(&cut, bytes.len);
            frames_feed(&frames, str_make(bytes.ptr, size));
            bytes = str_skip(bytes, size);
            while (frames_next(&frames, &event) == 0)
                if (event.has_data)
                    buf_printf(&seen, "%.*s;", STR_ARG(event.data));
        }
        assert_str(buf_str(&seen), STR("{\"a\":1};{\"b\":2};{\"c\":3};"));
        frames_fini(&frames);
        buf_fini(&seen);
    }
    struct frames frames;
    struct sse_event event;
    frames_init(&frames, STREAM_NDJSON, 8);
    frames_feed(&frames, STR("123456789"));
    assert_int_equal(frames_next(&frames, &event), -ERR_TOO_LARGE);
    assert_int_equal(frames_next(&frames, &event), -ERR_TOO_LARGE);
    frames_fini(&frames);
}

/* One byte wrong in any place of a message is an error, and no event. */
static void
test_messages(void **state)
{
    (void)state;
    static const unsigned char message[] = {
        0,   0,   0,   0x20, 0,   0,   0,   0x0f, 0, 0, 0, 0,   0x0b, ':', 'e', 'v',
        'e', 'n', 't', '-',  't', 'y', 'p', 'e',  7, 0, 0, '{', '}',  0,   0,   0};
    struct frames frames;
    struct sse_event event;
    frames_init(&frames, STREAM_AWS, 0);
    frames_feed(&frames, str_make((const char *)message, sizeof(message)));
    assert_int_equal(frames_next(&frames, &event), -ERR_PARSE); /* no checksums */
    assert_int_equal(frames_next(&frames, &event), -ERR_PARSE);
    frames_fini(&frames);
    FILE *file = fopen("api/golden/chat_tools.bedrock-converse.bin", "rbe");
    assert_non_null(file);
    static char bytes[8192];
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    for (size_t i = 0; i < size; i++) {
        size_t count = 0;
        int rc;
        bytes[i] ^= 0x10;
        frames_init(&frames, STREAM_AWS, 0);
        frames_feed(&frames, str_make(bytes, size));
        while ((rc = frames_next(&frames, &event)) == 0)
            count++;
        assert_true(rc == -ERR_PARSE || rc == -ERR_TOO_LARGE || (rc == -ERR_AGAIN && count < 18));
        bytes[i] ^= 0x10;
        frames_fini(&frames);
    }
}

static void
test_array(void **state)
{
    (void)state;
    struct buf out;
    bool open = false;
    buf_init(&out, 4096);
    assert_int_equal(frames_array(&out, STR(": wait\n\ndata: {\"a\":1}\n\n"), &open), 0);
    assert_int_equal(frames_array(&out, STR("data:{\"b\":\r\ndata:  2}\r\n\r\ndata: 3\n\n"), &open),
                     0);
    assert_int_equal(frames_array_end(&out, &open), 0);
    assert_str(buf_str(&out), STR("[{\"a\":1},\r\n{\"b\":\n 2},\r\n3]\n"));
    buf_fini(&out);
    buf_init(&out, 4096);
    open = false;
    assert_int_equal(frames_array_end(&out, &open), 0);
    assert_str(buf_str(&out), STR("[]\n"));
    buf_fini(&out);
}

static void
test_paths(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *dialect;
        const char *base;
        bool stream;
        enum chat_endpoint endpoint;
        const char *want;
    } paths[] = {
        {GEM, "", false, CHAT_ENDPOINT_CHAT, "/v1beta/models/a%2Fb:generateContent"},
        {GEM, "/v1", true, CHAT_ENDPOINT_CHAT, "/v1/models/a%2Fb:streamGenerateContent?alt=sse"},
        {GEM, "/v1/projects/p/locations/l", false, CHAT_ENDPOINT_TOKENS,
         "/v1/projects/p/locations/l/publishers/google/models/a%2Fb:countTokens"},
        {&dialect_azure, "", false, CHAT_ENDPOINT_CHAT,
         "/openai/deployments/a_b/chat/completions?api-version=2024-10-21"},
        {&dialect_azure, "/openai/v1", true, CHAT_ENDPOINT_EMBEDDINGS, "/openai/v1/embeddings"},
        {RSP, "/v1", true, CHAT_ENDPOINT_CHAT, "/v1/responses"},
        {OLL, "", true, CHAT_ENDPOINT_CHAT, "/api/chat"},
        {COH, "", true, CHAT_ENDPOINT_CHAT, "/v2/chat"},
        {BED, "", true, CHAT_ENDPOINT_CHAT, "/model/a%2Fb/converse-stream"},
        {ANT, "", false, CHAT_ENDPOINT_TOKENS, "/v1/messages/count_tokens"},
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf out;
        buf_init(&out, 4096);
        buf_put_str(&out, str_from(paths[i].base));
        assert_int_equal(
            paths[i].dialect->path(paths[i].endpoint, STR("a/b"), paths[i].stream, &out), 0);
        assert_str(buf_str(&out), str_from(paths[i].want));
        buf_fini(&out);
    }
    assert_true(dialect_same(&dialect_azure, OAI) && !dialect_same(RSP, OAI));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carry),    cmocka_unit_test(test_signature_comes_back),
        cmocka_unit_test(test_seal),     cmocka_unit_test(test_lines),
        cmocka_unit_test(test_array),    cmocka_unit_test(test_paths),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
