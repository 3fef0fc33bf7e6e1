/* SPDX-License-Identifier: MIT
 * request.c - read chat, messages and embeddings requests.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: see request.h. Unknown fields are ignored, as providers do. */
#include "tools/sim/request_int.h"

#define INPUTS_MAX 2048u

uint64_t
request_prompt_tokens(const struct sim_request *request)
{
    return (request->text_bytes + 3) / 4 + 3 * request->message_count;
}

void
request_text(struct reader *reader, uint32_t node)
{
    struct str text = STR_EMPTY;
    if (!json_is(reader->doc, node, JSON_STRING) ||
        json_string(reader->doc, node, reader->arena, &text) != 0)
        return;
    reader->request->text_bytes += text.len;
    if (reader->user == NULL)
        return;
    if (reader->user->len > 0)
        buf_put_byte(reader->user, '\n');
    buf_put_str(reader->user, text);
}

/* A string, or parts with `text`. A part of type tool_result has such a content itself.
 * *ret_result: there is one. */
static void
read_content(struct reader *reader, uint32_t content, bool *ret_result)
{
    const struct json_doc *doc = reader->doc;
    if (json_is(doc, content, JSON_STRING)) {
        request_text(reader, content);
        return;
    }
    if (!json_is(doc, content, JSON_ARRAY))
        return;
    for (uint32_t part = json_first(doc, content); part != JSON_NONE;
         part = json_sibling(doc, content, part)) {
        request_text(reader, json_get(doc, part, STR("text")));
        if (!json_string_eq(doc, json_get(doc, part, STR("type")), STR("tool_result")))
            continue;
        *ret_result = true;
        uint32_t inner = json_get(doc, part, STR("content"));
        if (json_is(doc, inner, JSON_STRING)) {
            request_text(reader, inner);
            continue;
        }
        if (!json_is(doc, inner, JSON_ARRAY))
            continue;
        for (uint32_t block = json_first(doc, inner); block != JSON_NONE;
             block = json_sibling(doc, inner, block))
            request_text(reader, json_get(doc, block, STR("text")));
    }
}

static void
read_tool_calls(struct reader *reader, uint32_t message)
{
    uint32_t calls = json_get(reader->doc, message, STR("tool_calls"));
    if (!json_is(reader->doc, calls, JSON_ARRAY))
        return;
    for (uint32_t call = json_first(reader->doc, calls); call != JSON_NONE;
         call = json_sibling(reader->doc, calls, call))
        request_text(reader, json_path(reader->doc, call, "function.arguments"));
}

static int
read_messages(struct reader *reader, uint32_t messages, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    if (!json_is(doc, messages, JSON_ARRAY) || json_count(doc, messages) == 0)
        return err_set(err, ERR_INVALID, "messages: a non-empty array is required");
    struct buf user;
    buf_init(&user, 64u << 20);
    for (uint32_t message = json_first(doc, messages); message != JSON_NONE;
         message = json_sibling(doc, messages, message)) {
        uint32_t role = json_get(doc, message, STR("role"));
        bool is_user = json_string_eq(doc, role, STR("user"));
        bool result = json_string_eq(doc, role, STR("tool"));
        if (!json_is(doc, role, JSON_STRING)) {
            buf_fini(&user);
            return err_set(err, ERR_INVALID, "messages: every message needs a role");
        }
        if (is_user)
            user.len = 0;
        reader->user = is_user ? &user : NULL;
        request->message_count++;
        read_content(reader, json_get(doc, message, STR("content")), &result);
        read_tool_calls(reader, message);
        if (!json_string_eq(doc, role, STR("system")) &&
            !json_string_eq(doc, role, STR("developer")))
            request->last_is_user = is_user && !result;
    }
    int rc = arena_dup(reader->arena, buf_str(&user), &request->last_user);
    buf_fini(&user);
    return rc;
}

/* A value of the schema's type, without descending: {} and [] for what is nested. */
static struct str
value_of_schema(const struct json_doc *doc, uint32_t schema)
{
    uint32_t type = json_get(doc, schema, STR("type"));
    uint32_t choices = json_get(doc, schema, STR("enum"));
    if (json_is(doc, choices, JSON_ARRAY) && json_first(doc, choices) != JSON_NONE)
        return json_raw(doc, json_first(doc, choices));
    if (json_string_eq(doc, type, STR("integer")) || json_string_eq(doc, type, STR("number")) ||
        json_string_eq(doc, type, STR("INTEGER")) || json_string_eq(doc, type, STR("NUMBER")))
        return STR("1");
    if (json_string_eq(doc, type, STR("boolean")))
        return STR("true");
    if (json_string_eq(doc, type, STR("array")))
        return STR("[]");
    if (json_string_eq(doc, type, STR("object")))
        return STR("{}");
    if (json_string_eq(doc, type, STR("null")))
        return STR("null");
    return STR("\"value\"");
}

/* An object with a value for each property of the schema. */
static int
object_of_schema(struct reader *reader, uint32_t schema, struct str *ret_object)
{
    const struct json_doc *doc = reader->doc;
    uint32_t properties = json_get(doc, schema, STR("properties"));
    struct buf out;
    buf_init(&out, 1u << 20);
    buf_put_byte(&out, '{');
    if (json_is(doc, properties, JSON_OBJECT)) {
        for (uint32_t key = json_first(doc, properties); key != JSON_NONE;
             key = json_sibling(doc, properties, key)) {
            if (out.len > 1)
                buf_put_str(&out, STR(","));
            buf_put_str(&out, json_raw(doc, key));
            buf_put_byte(&out, ':');
            buf_put_str(&out, value_of_schema(doc, key + 1));
        }
    }
    buf_put_byte(&out, '}');
    int rc = out.failed ? -ERR_TOO_LARGE : arena_dup(reader->arena, buf_str(&out), ret_object);
    buf_fini(&out);
    return rc;
}

/* Where the dialects have the schema of a structured answer; the deeper place first. */
static int
read_answer_schema(struct reader *reader)
{
    static const char *const places[] = {"response_format.json_schema.schema",
                                         "response_format.json_schema",
                                         "text.format.schema",
                                         "output_config.format.schema",
                                         "output_format.schema",
                                         "generationConfig.responseJsonSchema",
                                         "generationConfig.responseSchema",
                                         "format"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        uint32_t schema = json_path(reader->doc, 0, places[i]);
        if (json_is(reader->doc, schema, JSON_OBJECT))
            return object_of_schema(reader, schema, &reader->request->document);
    }
    return 0;
}

/* The tool's own object: OpenAI's is one level deeper. */
static uint32_t
tool_function(const struct json_doc *doc, uint32_t tool)
{
    uint32_t function = json_get(doc, tool, STR("function"));
    if (function == JSON_NONE)
        function = json_get(doc, tool, STR("toolSpec")); /* Bedrock's too */
    return function == JSON_NONE ? tool : function;
}

/* "[[call: NAME ARGUMENTS]]" in the last user message calls that tool with these arguments (a JSON
 * object without "]]"), if it is offered; a marker without its tool calls nothing. */
static bool
read_wanted_call(struct reader *reader, uint32_t tools)
{
    const struct json_doc *doc = reader->doc;
    struct str text = reader->request->last_user;
    size_t at = str_find(text, STR("[[call: "));
    if (at == SIZE_MAX)
        return false;
    text = str_skip(text, at + 8);
    size_t end = str_find(text, STR("]]"));
    size_t space = str_find_byte(text, ' ');
    if (end == SIZE_MAX || space >= end)
        return false;
    struct str name = str_make(text.ptr, space);
    for (uint32_t tool = json_first(doc, tools); tool != JSON_NONE;
         tool = json_sibling(doc, tools, tool)) {
        if (!json_string_eq(doc, json_get(doc, tool_function(doc, tool), STR("name")), name))
            continue;
        reader->request->tool_name = name;
        reader->request->tool_arguments = str_make(text.ptr + space + 1, end - space - 1);
        break;
    }
    return true;
}

int
request_tool(struct reader *reader, uint32_t tools)
{
    const struct json_doc *doc = reader->doc;
    uint32_t tool = json_is(doc, tools, JSON_ARRAY) ? json_first(doc, tools) : JSON_NONE;
    reader->request->tools = json_raw(doc, tools);
    if (tool == JSON_NONE || read_wanted_call(reader, tools))
        return 0;
    uint32_t function = tool_function(doc, tool);
    uint32_t schema = json_get(doc, function, STR("parameters"));
    if (schema == JSON_NONE)
        schema = json_get(doc, function, STR("input_schema"));
    if (schema == JSON_NONE)
        schema = json_get(doc, function, STR("parametersJsonSchema"));
    if (schema == JSON_NONE)
        schema = json_path(doc, function, "inputSchema.json");
    if (json_string(doc, json_get(doc, function, STR("name")), reader->arena,
                    &reader->request->tool_name) != 0)
        return 0;
    return object_of_schema(reader, schema, &reader->request->tool_arguments);
}

static int
read_inputs(struct reader *reader, uint32_t root, struct err *err)
{
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    uint32_t input = json_get(doc, root, STR("input"));
    bool one = json_is(doc, input, JSON_STRING);
    uint32_t count = one ? 1 : json_is(doc, input, JSON_ARRAY) ? json_count(doc, input) : 0;
    if (count == 0 || count > INPUTS_MAX)
        return err_set(err, ERR_INVALID, "input: a string or an array of 1 to %u is required",
                       INPUTS_MAX);
    request->inputs = arena_array(reader->arena, count, sizeof(struct str));
    if (request->inputs == NULL)
        return -ERR_NOMEM;
    request->base64 =
        json_string_eq(doc, json_get(doc, root, STR("encoding_format")), STR("base64"));
    request->dimensions = 256;
    uint32_t dimensions = json_get(doc, root, STR("dimensions"));
    if (dimensions == JSON_NONE)
        dimensions = json_get(doc, root, STR("output_dimension")); /* Mistral's word */
    if (dimensions != JSON_NONE &&
        (json_u64(doc, dimensions, 4096, &request->dimensions) != 0 || request->dimensions == 0))
        return err_set(err, ERR_INVALID, "dimensions: 1 to 4096");
    for (uint32_t node = one ? input : json_first(doc, input); node != JSON_NONE;
         node = one ? JSON_NONE : json_sibling(doc, input, node)) {
        struct str *text = &request->inputs[request->input_count++];
        if (json_string(doc, node, reader->arena, text) != 0)
            *text = json_raw(doc, node); /* token arrays */
        request->text_bytes += text->len;
        request->message_count++;
    }
    return 0;
}

static int
read_options(struct reader *reader, uint32_t root, struct err *err)
{
    static const char *const limits[] = {"max_completion_tokens", "max_tokens"};
    const struct json_doc *doc = reader->doc;
    struct sim_request *request = reader->request;
    request->stream = request->endpoint == SIM_OLLAMA; /* unless it says no */
    (void)!json_bool(doc, json_get(doc, root, STR("stream")), &request->stream);
    (void)!json_u64(doc, json_path(doc, root, "options.num_predict"), UINT32_MAX,
                    &request->max_tokens);
    (void)!json_bool(doc, json_path(doc, root, "stream_options.include_usage"),
                     &request->include_usage);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        uint32_t node = json_get(doc, root, str_from(limits[i]));
        if (node == JSON_NONE || json_is(doc, node, JSON_NULL))
            continue;
        if (json_u64(doc, node, UINT32_MAX, &request->max_tokens) != 0 || request->max_tokens == 0)
            return err_set(err, ERR_INVALID, "%s: a positive whole number is required", limits[i]);
        break;
    }
    if (request->endpoint == SIM_MESSAGES && request->max_tokens == UINT64_MAX)
        return err_set(err, ERR_INVALID, "max_tokens: Field required");
    return 0;
}

/* gpt-5.4 and later take function tools at the other endpoint only, unless they do not reason. */
static bool
wants_responses(const struct reader *reader)
{
    const struct sim_request *request = reader->request;
    uint32_t effort = json_get(reader->doc, 0, STR("reasoning_effort"));
    return request->endpoint == SIM_CHAT && request->tool_name.len > 0 &&
           str_starts(request->model, STR("gpt-5.4")) &&
           !json_string_eq(reader->doc, effort, STR("none"));
}

int
request_parse(struct str body, enum sim_endpoint endpoint, struct json_doc *doc,
              struct arena *arena, struct sim_request *ret_request, struct err *err)
{
    int rc = json_scan(doc, body, NULL, err);
    if (rc != 0)
        return rc;
    struct sim_request request = {.endpoint = endpoint, .max_tokens = UINT64_MAX};
    struct reader reader = {.doc = doc, .arena = arena, .request = &request};
    if (endpoint == SIM_GEMINI || endpoint == SIM_GEMINI_COUNT || endpoint == SIM_RESPONSES ||
        endpoint == SIM_COMPLETIONS || endpoint == SIM_CONVERSE) {
        request.model = ret_request->model;
        request.stream = ret_request->stream;
        rc = request_other(&reader, err);
        if (rc == 0)
            rc = read_answer_schema(&reader);
        if (rc == 0)
            *ret_request = request;
        return rc;
    }
    uint32_t model = json_get(doc, 0, STR("model"));
    if (!json_is(doc, model, JSON_STRING) || json_string(doc, model, arena, &request.model) != 0 ||
        request.model.len == 0)
        return err_set(err, ERR_INVALID, "model: a string is required");
    if (endpoint == SIM_EMBEDDINGS) {
        rc = read_inputs(&reader, 0, err);
    } else {
        rc = read_options(&reader, 0, err);
        uint32_t system = json_get(doc, 0, STR("system"));
        if (rc == 0 && system != JSON_NONE) {
            bool ignored = false;
            request.message_count++;
            read_content(&reader, system, &ignored);
        }
        if (rc == 0)
            rc = read_messages(&reader, json_get(doc, 0, STR("messages")), err);
        if (rc == 0)
            rc = request_tool(&reader, json_get(doc, 0, STR("tools")));
        if (rc == 0)
            rc = read_answer_schema(&reader);
        if (rc == 0 && wants_responses(&reader))
            rc = err_set(err, ERR_INVALID,
                         "Function tools with reasoning_effort are not supported for this model "
                         "in /v1/chat/completions. Please use /v1/responses instead.");
    }
    if (rc == 0)
        *ret_request = request;
    return rc;
}
