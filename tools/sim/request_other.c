/* SPDX-License-Identifier: MIT
 * request_other.c - read requests of Gemini and of the Responses API.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: see request.h. Unknown fields are ignored, as providers do. */
#include "tools/sim/request_int.h"

#define USER_BYTES_MAX (64u << 20)

static void
count_raw(struct reader *reader, uint32_t node)
{
    reader->request->text_bytes += json_raw(reader->doc, node).len;
}

static void
read_parts(struct reader *reader, uint32_t content, bool *ret_result)
{
    const struct json_doc *doc = reader->doc;
    uint32_t parts = json_get(doc, content, STR("parts"));
    if (!json_is(doc, parts, JSON_ARRAY))
        return;
    for (uint32_t part = json_first(doc, parts); part != JSON_NONE;
         part = json_sibling(doc, parts, part)) {
        uint32_t result = json_get(doc, part, STR("functionResponse"));
        request_text(reader, json_get(doc, part, STR("text")));
        count_raw(reader, json_path(doc, part, "functionCall.args"));
        count_raw(reader, json_get(doc, result, STR("response")));
        *ret_result = *ret_result || result != JSON_NONE;
    }
}

/* The first call of a content has its signature, or there is no call. */
static bool
calls_signed(const struct json_doc *doc, uint32_t content)
{
    uint32_t parts = json_get(doc, content, STR("parts"));
    if (!json_is(doc, parts, JSON_ARRAY))
        return true;
    for (uint32_t part = json_first(doc, parts); part != JSON_NONE;
         part = json_sibling(doc, parts, part))
        if (json_get(doc, part, STR("functionCall")) != JSON_NONE)
            return json_get(doc, part, STR("thoughtSignature")) != JSON_NONE;
    return true;
}

static int
read_contents(struct reader *reader, struct buf *user, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    uint32_t contents = json_get(doc, 0, STR("contents"));
    bool third = str_find(request->model, STR("gemini-3")) != SIZE_MAX;
    if (!json_is(doc, contents, JSON_ARRAY) || json_count(doc, contents) == 0)
        return err_set(err, ERR_INVALID,
                       "* GenerateContentRequest.contents: contents is not "
                       "specified");
    for (uint32_t at = json_first(doc, contents); at != JSON_NONE;
         at = json_sibling(doc, contents, at)) {
        bool result = false;
        if (third && !calls_signed(doc, at))
            return err_set(err, ERR_INVALID,
                           "Function call is missing a thought_signature in "
                           "functionCall parts.");
        bool is_user = !json_string_eq(doc, json_get(doc, at, STR("role")), STR("model"));
        if (json_count(doc, json_get(doc, at, STR("parts"))) == 0)
            return err_set(err, ERR_INVALID,
                           "* GenerateContentRequest.contents: parts must not be "
                           "empty");
        if (is_user)
            user->len = 0;
        reader->user = is_user ? user : NULL;
        request->message_count++;
        read_parts(reader, at, &result);
        request->last_is_user = is_user && !result;
    }
    return 0;
}

static int
read_gemini(struct reader *reader, struct buf *user, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    uint32_t system = json_get(doc, 0, STR("systemInstruction"));
    uint32_t tools = json_get(doc, 0, STR("tools"));
    bool ignored = false;
    if (system != JSON_NONE) {
        reader->request->message_count++;
        read_parts(reader, system, &ignored);
    }
    (void)!json_u64(doc, json_path(doc, 0, "generationConfig.maxOutputTokens"), UINT32_MAX,
                    &reader->request->max_tokens);
    int rc = read_contents(reader, user, err);
    if (rc == 0)
        rc = arena_dup(reader->arena, buf_str(user), &reader->request->last_user);
    uint32_t first = json_is(doc, tools, JSON_ARRAY) ? json_first(doc, tools) : JSON_NONE;
    return rc < 0 ? rc : request_tool(reader, json_get(doc, first, STR("functionDeclarations")));
}

/* ---- Responses ------------------------------------------------------------------------------- */

static void
read_item(struct reader *reader, uint32_t item, struct buf *user)
{
    const struct json_doc *doc = reader->doc;
    uint32_t role = json_get(doc, item, STR("role"));
    uint32_t content = json_get(doc, item, STR("content"));
    bool is_user = json_string_eq(doc, role, STR("user"));
    if (is_user)
        user->len = 0;
    reader->user = is_user ? user : NULL;
    reader->request->message_count++;
    reader->request->last_is_user = is_user;
    request_text(reader, content);
    request_text(reader, json_get(doc, item, STR("arguments")));
    request_text(reader, json_get(doc, item, STR("output")));
    if (!json_is(doc, content, JSON_ARRAY))
        return;
    for (uint32_t part = json_first(doc, content); part != JSON_NONE;
         part = json_sibling(doc, content, part))
        request_text(reader, json_get(doc, part, STR("text")));
}

static int
read_responses(struct reader *reader, struct buf *user, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    uint32_t input = json_get(doc, 0, STR("input"));
    uint32_t model = json_get(doc, 0, STR("model"));
    uint32_t instructions = json_get(doc, 0, STR("instructions"));
    if (!json_is(doc, model, JSON_STRING) ||
        json_string(doc, model, reader->arena, &request->model) != 0)
        return err_set(err, ERR_INVALID, "Missing required parameter: 'model'.");
    (void)!json_bool(doc, json_get(doc, 0, STR("stream")), &request->stream);
    (void)!json_u64(doc, json_get(doc, 0, STR("max_output_tokens")), UINT32_MAX,
                    &request->max_tokens);
    if (json_is(doc, instructions, JSON_STRING)) {
        request->message_count++;
        request_text(reader, instructions);
    }
    if (json_is(doc, input, JSON_STRING)) {
        reader->user = user;
        request->message_count++;
        request->last_is_user = true;
        request_text(reader, input);
    } else if (json_is(doc, input, JSON_ARRAY) && json_count(doc, input) > 0) {
        for (uint32_t at = json_first(doc, input); at != JSON_NONE;
             at = json_sibling(doc, input, at))
            read_item(reader, at, user);
    } else {
        return err_set(err, ERR_INVALID, "Missing required parameter: 'input'.");
    }
    int rc = arena_dup(reader->arena, buf_str(user), &request->last_user);
    return rc < 0 ? rc : request_tool(reader, json_get(doc, 0, STR("tools")));
}

/* One prompt; of several, each is a message and the last one is what is answered. */
static int
read_completions(struct reader *reader, struct buf *user, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    uint32_t prompt = json_get(doc, 0, STR("prompt"));
    uint32_t model = json_get(doc, 0, STR("model"));
    if (!json_is(doc, model, JSON_STRING) ||
        json_string(doc, model, reader->arena, &request->model) != 0)
        return err_set(err, ERR_INVALID, "you must provide a model parameter");
    (void)!json_bool(doc, json_get(doc, 0, STR("stream")), &request->stream);
    (void)!json_bool(doc, json_path(doc, 0, "stream_options.include_usage"),
                     &request->include_usage);
    (void)!json_u64(doc, json_get(doc, 0, STR("max_tokens")), UINT32_MAX, &request->max_tokens);
    reader->user = user;
    request->last_is_user = true;
    request->message_count++;
    request_text(reader, prompt);
    return arena_dup(reader->arena, buf_str(user), &request->last_user);
}

/* ---- Bedrock Converse ------------------------------------------------------------------------ */

static void
read_blocks(struct reader *reader, uint32_t list, bool *ret_result)
{
    const struct json_doc *doc = reader->doc;
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t result = json_get(doc, at, STR("toolResult"));
        request_text(reader, json_get(doc, at, STR("text")));
        count_raw(reader, json_path(doc, at, "toolUse.input"));
        count_raw(reader, json_get(doc, result, STR("content")));
        *ret_result = *ret_result || result != JSON_NONE;
    }
}

static int
read_converse(struct reader *reader, struct buf *user, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    uint32_t messages = json_get(doc, 0, STR("messages"));
    uint32_t system = json_get(doc, 0, STR("system"));
    bool ignored = false;
    if (!json_is(doc, messages, JSON_ARRAY) || json_count(doc, messages) == 0)
        return err_set(err, ERR_INVALID, "A conversation must start with a user message.");
    if (system != JSON_NONE) {
        request->message_count++;
        read_blocks(reader, system, &ignored);
    }
    (void)!json_u64(doc, json_path(doc, 0, "inferenceConfig.maxTokens"), UINT32_MAX,
                    &request->max_tokens);
    for (uint32_t at = json_first(doc, messages); at != JSON_NONE;
         at = json_sibling(doc, messages, at)) {
        bool result = false;
        bool is_user = json_string_eq(doc, json_get(doc, at, STR("role")), STR("user"));
        if (is_user)
            user->len = 0;
        reader->user = is_user ? user : NULL;
        request->message_count++;
        read_blocks(reader, json_get(doc, at, STR("content")), &result);
        request->last_is_user = is_user && !result;
    }
    int rc = arena_dup(reader->arena, buf_str(user), &request->last_user);
    return rc < 0 ? rc : request_tool(reader, json_path(doc, 0, "toolConfig.tools"));
}

int
request_other(struct reader *reader, struct err *err)
{
    struct buf user;
    buf_init(&user, USER_BYTES_MAX);
    enum sim_endpoint endpoint = reader->request->endpoint;
    int rc = endpoint == SIM_RESPONSES     ? read_responses(reader, &user, err)
             : endpoint == SIM_COMPLETIONS ? read_completions(reader, &user, err)
             : endpoint == SIM_CONVERSE    ? read_converse(reader, &user, err)
                                           : read_gemini(reader, &user, err);
    buf_fini(&user);
    return rc;
}
