/* SPDX-License-Identifier: MIT
 * front_models_test.c - what a key with a list of models sees and may call, in every dialect.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see models.h. */
#include "dataplane/front/front_test_rig.h"

#define NARROW "sk-bth-narrow"
#define ROUTED "sk-bth-routed"
#define PRICE "\"price\":{\"version\":1,\"input\":\"1000\",\"output\":\"2000\"}"

/* The rig's configuration with an alias, routes and keys that may use a part of it. */
static void
narrow_config(void)
{
    static char text[8192];
    char hex[3][2 * SHA256_BYTES + 1];
    const char *keys[] = {KEY, NARROW, ROUTED};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint8_t hash[SHA256_BYTES];
        digest_sha256(str_from(keys[i]), hash);
        hex_encode(hash, sizeof(hash), hex[i]);
    }
    int port = (int)rig.worker.config->providers[0].base.port;
    (void)snprintf(
        text, sizeof(text),
        "{\"version\":1,\"providers\":["
        "{\"name\":\"openai\",\"dialect\":\"openai\",\"base_url\":\"http://127.0.0.1:%d/v1\","
        "\"allow_private\":true,\"key\":\"k\"}],\"models\":["
        "{\"id\":\"openai/a\",\"provider\":\"openai\",\"upstream\":\"up-a\",\"context\":128000,"
        "\"max_output\":1000,\"input_modalities\":[\"text\"],\"capabilities\":[\"tools\"]," PRICE
        "},{\"id\":\"openai/a-2026\",\"provider\":\"openai\",\"upstream\":\"up-a\","
        "\"alias_of\":\"openai/a\"," PRICE "},{\"id\":\"openai/"
        "b\",\"provider\":\"openai\",\"upstream\":\"up-b\",\"context\":8000," PRICE
        "},{\"id\":\"openai/pro\",\"provider\":\"openai\",\"upstream\":\"up-pro\",\"kind\":"
        "\"responses\",\"max_output\":1000," PRICE
        "},{\"id\":\"openai/unpriced\",\"provider\":\"openai\",\"upstream\":\"u\"}],"
        "\"routes\":[{\"name\":\"both\",\"targets\":[\"openai/a\",\"openai/b\"]},"
        "{\"name\":\"only-b\",\"targets\":[\"openai/b\"]}],"
        "\"keys\":[{\"name\":\"all\",\"hash\":\"%s\",\"wallet\":\"default\"},"
        "{\"name\":\"narrow\",\"hash\":\"%s\",\"wallet\":\"default\",\"models\":[\"openai/a\"]},"
        "{\"name\":\"routed\",\"hash\":\"%s\",\"wallet\":\"default\",\"models\":[\"route/"
        "both\"]}]}",
        port, hex[0], hex[1], hex[2]);
    struct json_doc doc;
    struct err err = {0};
    struct config *config = NULL;
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(text), NULL, &err), 0);
    if (config_parse(&doc, 0, 2, &rig.funds, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(worker_set_config(&rig.worker, config, &err), 0);
    json_fini(&doc);
}

static void
get(struct reply *reply, const char *path, const char *key, const char *field)
{
    memset(reply, 0, sizeof(*reply));
    buf_init(&reply->body, 1u << 24);
    const struct http_field fields[] = {{str_from(field), str_from(key)},
                                        {STR("anthropic-version"), STR("2023-06-01")}};
    const struct http_field mistral[] = {{STR("authorization"), str_from(key)},
                                         {STR("user-agent"), STR("mistral-client-python/1.9.3")}};
    bool own = strcmp(field, "mistral") == 0;
    bool anthropic = strcmp(field, "x-api-key") == 0;
    struct http_call_conf conf = {.ops = &reply_ops,
                                  .user = reply,
                                  .method = STR("GET"),
                                  .target = str_from(path),
                                  .fields = own ? mistral : fields,
                                  .field_count = anthropic || own ? 2 : 1};
    assert_int_equal(http_call_start(rig.origin, &conf, &reply->call), 0);
    step_until(reply_ended, reply);
    step_until(all_settled, NULL);
}

static const struct {
    const char *name;
    const char *path;
    const char *key;
    const char *field; /* that holds it: whose client this is */
    unsigned status;
    const char *want;
    const char *want_not; /* or NULL */
} list_cases[] = {
    {"everything", "/v1/models", "Bearer " KEY, "authorization", 200,
     "{\"id\":\"openai/a\",\"object\":\"model\",\"created\":0,\"owned_by\":\"openai\","
     "\"context_length\":128000,\"max_output_tokens\":1000,\"input_modalities\":[\"text\"],"
     "\"capabilities\":[\"tools\"],\"pricing_per_million\":{\"input\":\"0.001\","
     "\"output\":\"0.002\",\"cached\":\"0.001\"}}",
     "unpriced"},
    {"everything, for Mistral's SDKs", "/v1/models", "Bearer " KEY, "mistral", 200,
     "\"max_output_tokens\":1000,\"type\":\"base\",\"max_context_length\":128000,\"capabilities\":"
     "{\"completion_chat\":true,\"completion_fim\":false,\"function_calling\":true,"
     "\"fine_tuning\":false,\"vision\":false,\"classification\":false},",
     "[\"tools\"]"},
    {"routes", "/v1/models", "Bearer " KEY, "authorization", 200,
     "{\"id\":\"route/both\",\"object\":\"model\",\"created\":0,\"owned_by\":\"berth\","
     "\"context_length\":8000}",
     NULL},
    {"a part", "/v1/models", "Bearer " NARROW, "authorization", 200, "\"id\":\"openai/a\"",
     "openai/b"},
    {"with its aliases", "/v1/models", "Bearer " NARROW, "authorization", 200,
     "\"id\":\"openai/a-2026\"", "only-b"},
    {"and routes that reach it", "/v1/models", "Bearer " NARROW, "authorization", 200,
     "\"id\":\"route/both\"", "only-b"},
    {"routes alone", "/v1/models", "Bearer " ROUTED, "authorization", 200,
     "\"data\":[{\"id\":\"route/both\"", "openai/a"},
    {"Anthropic's shape", "/v1/models", NARROW, "x-api-key", 200,
     "{\"data\":[{\"type\":\"model\",\"id\":\"openai/a\",\"display_name\":\"openai/a\","
     "\"created_at\":\"1970-01-01T00:00:00Z\",\"max_input_tokens\":128000,"
     "\"max_tokens\":1000,",
     "openai/b"},
    {"Gemini's shape", "/v1beta/models", NARROW, "x-goog-api-key", 200,
     "{\"models\":[{\"name\":\"models/openai/a\",\"baseModelId\":\"openai/a\","
     "\"displayName\":\"openai/a\",\"inputTokenLimit\":128000,\"outputTokenLimit\":1000,",
     "openai/b"},
    {"Ollama's shape", "/api/tags", "Bearer " NARROW, "authorization", 200,
     "{\"models\":[{\"name\":\"openai/a\",\"model\":\"openai/a\",\"modified_at\":", "openai/b"},
    {"one", "/v1/models/openai/a", "Bearer " KEY, "authorization", 200,
     "{\"id\":\"openai/a\",\"object\":\"model\"", "openai/b"},
    {"one with its slash escaped", "/v1/models/openai%2Fa", "Bearer " KEY, "authorization", 200,
     "{\"id\":\"openai/a\"", NULL},
    {"one by its bare name", "/v1/models/b", "Bearer " KEY, "authorization", 200,
     "{\"id\":\"openai/b\"", NULL},
    {"a route", "/v1/models/route/both", "Bearer " KEY, "authorization", 200,
     "{\"id\":\"route/both\"", NULL},
    {"one for Anthropic", "/v1/models/openai/a", KEY, "x-api-key", 200,
     "{\"type\":\"model\",\"id\":\"openai/a\"", NULL},
    {"one for Gemini", "/v1beta/models/openai/a", KEY, "x-goog-api-key", 200,
     "{\"name\":\"models/openai/a\"", NULL},
    {"a bad escape", "/v1/models/openai%2", "Bearer " KEY, "authorization", 404, "openai%2", NULL},
    {"a way out", "/v1/models/..%2f..%2fv1/models", "Bearer " KEY, "authorization", 404,
     "../../v1/models", NULL},
    {"a way out before it", "/v1/../v1/models/openai/a", "Bearer " KEY, "authorization", 400,
     "bad_request", NULL},
    {"none", "/v1/models/openai/aa", "Bearer " KEY, "authorization", 404, "Did you mean openai/a",
     NULL},
    {"none that may be said", "/v1/models/openai/bb", "Bearer " NARROW, "authorization", 404,
     "\"code\":\"model_not_found\"", "openai/b or"},
    {"none for Anthropic", "/v1/models/openai/aa", KEY, "x-api-key", 404,
     "\"type\":\"not_found_error\"", NULL},
    {"none for Gemini", "/v1beta/models/openai/aa", KEY, "x-goog-api-key", 404,
     "\"status\":\"NOT_FOUND\"", NULL},
    {"one that is not allowed", "/v1/models/openai/b", "Bearer " NARROW, "authorization", 403,
     "\"code\":\"model_not_allowed\"", NULL},
    {"no credential", "/v1/models/openai/a", "Bearer sk-other", "authorization", 401,
     "invalid_api_key", NULL},
};

static void
lists(void **state)
{
    (void)state;
    narrow_config();
    for (size_t i = 0; i < ARRAY_LEN(list_cases); i++) {
        struct reply reply;
        get(&reply, list_cases[i].path, list_cases[i].key, list_cases[i].field);
        struct str body = buf_str(&reply.body);
        if (reply.status != list_cases[i].status ||
            str_find(body, str_from(list_cases[i].want)) == SIZE_MAX)
            fail_msg("%s: %u %.*s", list_cases[i].name, reply.status, STR_ARG(body));
        if (list_cases[i].want_not && str_find(body, str_from(list_cases[i].want_not)) != SIZE_MAX)
            fail_msg("%s: %s in %.*s", list_cases[i].name, list_cases[i].want_not, STR_ARG(body));
        buf_fini(&reply.body);
    }
}

/* What is not listed cannot be called, by no name and in no dialect. */
static void
calls(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *path;
        const char *body;
        unsigned status;
        const char *want;
    } cases[] = {
        {NARROW, CHAT, BODY("openai/a"), 200, "yo"},
        {NARROW, CHAT, BODY("openai/a-2026"), 200, "yo"},
        {NARROW, CHAT, BODY("a"), 200, "yo"},
        {NARROW, CHAT, BODY("route/both"), 200, "yo"},
        {NARROW, CHAT, BODY("openai/b"), 403, "model_not_allowed"},
        {NARROW, CHAT, BODY("b"), 403, "model_not_allowed"},
        {NARROW, CHAT, BODY("route/only-b"), 403, "model_not_allowed"},
        {NARROW, "/v1/messages",
         "{\"model\":\"openai/b\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":"
         "\"hi\"}]}",
         403, "\"type\":\"permission_error\""},
        {NARROW, "/v1beta/models/openai/b:generateContent",
         "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}", 403, "PERMISSION_DENIED"},
        {ROUTED, CHAT, BODY("route/both"), 200, "yo"},
        {ROUTED, CHAT, BODY("both"), 200, "yo"},
        {ROUTED, CHAT, BODY("openai/a"), 403, "model_not_allowed"},
        {KEY, CHAT, BODY("openai/b"), 200, "yo"},
    };
    narrow_config();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply reply;
        provider_says(200, "application/json", ANSWER);
        rig.seen.len = 0;
        ask_with(&reply, cases[i].path, cases[i].key, "application/json", cases[i].body);
        step_until(reply_ended, &reply);
        step_until(all_settled, NULL);
        struct str body = buf_str(&reply.body);
        bool said = str_find(body, str_from(cases[i].want)) != SIZE_MAX;
        if (reply.status != cases[i].status || !said)
            fail_msg("%s %s: %u %.*s", cases[i].key, cases[i].body, reply.status, STR_ARG(body));
        assert_int_equal(rig.seen.len > 0, reply.status == 200); /* the provider heard nothing */
        /* the narrow key's route asks its allowed target only */
        if (reply.status == 200 && strcmp(cases[i].key, KEY) != 0)
            assert_true(str_find(buf_str(&rig.seen), STR("\"up-a\"")) != SIZE_MAX);
        buf_fini(&reply.body);
    }
}

/* A model that its provider has at its Responses endpoint alone, asked for chat. */
static void
responses_only(void **state)
{
    (void)state;
    struct reply reply;
    narrow_config();
    provider_says(
        200, "application/json",
        "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":"
        "\"up-pro\",\"output\":[{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\","
        "\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"text\":\"yo\","
        "\"annotations\":[]}]}],\"usage\":{\"input_tokens\":10,\"output_tokens\":5,"
        "\"total_tokens\":15}}");
    ask(&reply, CHAT,
        "{\"model\":\"openai/pro\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_string_equal(rig.seen_target, "/v1/responses");
    want_body(&reply, 200, "\"content\":\"yo\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(calls, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(responses_only, rig_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
