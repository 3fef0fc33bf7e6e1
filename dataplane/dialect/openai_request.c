/* SPDX-License-Identifier: MIT
 * openai_request.c - a chat completions request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`. Spec: WIRE-FORMATS 3. */
#include "dataplane/dialect/openai_int.h"
#include "dataplane/dialect/seal_int.h"

static int
read_role(const struct intake *in, uint32_t node, enum chat_role *ret_role)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } rows[] = {
        {"system", CHAT_ROLE_SYSTEM}, {"developer", CHAT_ROLE_DEVELOPER},
        {"user", CHAT_ROLE_USER},     {"assistant", CHAT_ROLE_ASSISTANT},
        {"tool", CHAT_ROLE_TOOL},     {"function", CHAT_ROLE_TOOL},
    };
    uint32_t role = json_get(in->doc, node, STR("role"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_string_eq(in->doc, role, str_from(rows[i].name))) {
            *ret_role = rows[i].role;
            return 0;
        }
    }
    return err_set(in->err, ERR_INVALID, "field `messages.role` is missing or not known");
}

/* The content of a tool message becomes the content of one result. */
static int
wrap_result(const struct intake *in, uint32_t node, struct chat_message *message)
{
    struct chat_part *result = NULL;
    struct chat_part *content = message->parts;
    message->parts = NULL;
    result = chat_part_add(&message->parts, CHAT_PART_TOOL_RESULT, in->arena);
    if (result == NULL)
        return -ERR_NOMEM;
    result->content = content;
    if (content != NULL && content->next == NULL) {
        result->cache = content->cache;
        content->cache = STR_EMPTY;
    }
    int rc = intake_member(in, node, "tool_call_id", &result->id);
    if (rc == 0 && result->id.len == 0) /* role function: the name is the id */
        rc = intake_member(in, node, "name", &result->id);
    return rc;
}

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    const struct json_doc *doc = in->doc;
    struct str cache = STR_EMPTY;
    if (json_get(doc, node, STR("audio")) != JSON_NONE &&
        !json_is(doc, json_get(doc, node, STR("audio")), JSON_NULL))
        return err_set(in->err, ERR_UNSUPPORTED, "field `messages.audio` cannot be translated");
    int rc = read_role(in, node, &message->role);
    if (rc == 0)
        rc = openai_parts_in(in, node, true, &message->parts);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("cache_control")), "cache_control", &cache);
    for (struct chat_part *part = message->parts; part != NULL && cache.len > 0; part = part->next)
        if (part->next == NULL)
            part->cache = cache;
    if (rc == 0 && message->role == CHAT_ROLE_TOOL)
        return wrap_result(in, node, message);
    return rc < 0 ? rc : intake_member(in, node, "name", &message->name);
}

static int
read_messages(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_message **end = &request->messages;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "messages", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct chat_message *message = chat_message_add(end, CHAT_ROLE_USER, in->arena);
        int rc = message == NULL ? -ERR_NOMEM : read_message(in, at, message);
        if (rc < 0)
            return rc;
        end = &message->next;
    }
    return 0;
}

/* ---- tools ----------------------------------------------------------------------------------- */

static int
read_tool(const struct intake *in, uint32_t node, struct chat_tool *tool)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR("function");
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    tool->custom = str_eq(type, STR("custom"));
    if (!tool->custom && !str_eq(type, STR("function")))
        return err_set(in->err, ERR_UNSUPPORTED, "tool of type `%.*s` cannot be translated",
                       (int)MIN(type.len, (size_t)64), type.ptr);
    /* nested, or flat as agents of the Responses API send it (WIRE-FORMATS trap 7) */
    uint32_t body = json_get(doc, node, type);
    if (!json_is(doc, body, JSON_OBJECT))
        body = node;
    rc = intake_member(in, body, "name", &tool->name);
    if (rc == 0)
        rc = intake_member(in, body, "description", &tool->description);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, body, STR("parameters")), "parameters", &tool->schema);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, body, STR("format")), "format", &tool->format);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("cache_control")), "cache_control",
                           &tool->cache);
    return rc < 0 ? rc
                  : intake_switch(in, json_get(doc, body, STR("strict")), "strict", &tool->strict);
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct chat_tool *tool = chat_tool_add(end, in->arena);
        int rc = tool == NULL ? -ERR_NOMEM : read_tool(in, at, tool);
        if (rc < 0)
            return rc;
        end = &tool->next;
    }
    return 0;
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct {
        const char *name;
        enum chat_tool_choice choice;
    } rows[] = {{"auto", CHAT_CHOICE_AUTO},
                {"none", CHAT_CHOICE_NONE},
                {"required", CHAT_CHOICE_REQUIRED},
                {"any", CHAT_CHOICE_REQUIRED}};
    const struct json_doc *doc = in->doc;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_string_eq(doc, node, str_from(rows[i].name))) {
            request->tool_choice = rows[i].choice;
            return 0;
        }
    }
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (!str_eq(type, STR("function")) && !str_eq(type, STR("custom")))
        return err_set(in->err, ERR_UNSUPPORTED, "this form of `tool_choice` cannot be translated");
    uint32_t body = json_get(doc, node, type);
    request->tool_choice = CHAT_CHOICE_NAMED;
    return intake_member(in, json_is(doc, body, JSON_OBJECT) ? body : node, "name",
                         &request->tool_choice_name);
}

static int
read_parallel(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_switch(in, node, "parallel_tool_calls", &request->parallel_tools);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int
read_model(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "model", &request->model);
}

static int
read_stream(const struct intake *in, uint32_t node, struct chat_request *request)
{
    enum chat_switch value = CHAT_OFF;
    int rc = intake_switch(in, node, "stream", &value);
    request->stream = value == CHAT_ON;
    return rc;
}

static int
read_stream_options(const struct intake *in, uint32_t node, struct chat_request *request)
{
    enum chat_switch value = CHAT_OFF;
    int rc = intake_switch(in, json_get(in->doc, node, STR("include_usage")),
                           "stream_options.include_usage", &value);
    request->include_usage = value == CHAT_ON;
    return rc;
}

static int
read_max_output(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint64_t count = 0;
    int rc = intake_count(in, node, "max_tokens", FACTS_OUTPUT_MAX, &count);
    request->max_output = MAX(request->max_output, count);
    return rc;
}

static int
read_choices(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint64_t count = 1;
    int rc = intake_count(in, node, "n", 128, &count);
    request->choices = (uint32_t)count;
    return rc;
}

static int
read_number(const struct intake *in, uint32_t node, const char *field, struct str *ret_raw)
{
    if (!json_is(in->doc, node, JSON_NUMBER))
        return intake_kind_error(in, field, "a number");
    *ret_raw = json_raw(in->doc, node);
    return 0;
}

static int
read_temperature(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return read_number(in, node, "temperature", &request->temperature);
}

static int
read_top_p(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return read_number(in, node, "top_p", &request->top_p);
}

static int
read_top_k(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return read_number(in, node, "top_k", &request->top_k);
}

static int
read_stop(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_text **end = &request->stops;
    struct str text = STR_EMPTY;
    if (!json_is(doc, node, JSON_ARRAY)) {
        int rc = intake_text(in, node, "stop", &text);
        return rc < 0 ? rc : chat_text_add(end, text, in->arena);
    }
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = intake_text(in, at, "stop", &text);
        if (rc == 0)
            rc = chat_text_add(end, text, in->arena);
        if (rc < 0)
            return rc;
        end = &(*end)->next;
    }
    return 0;
}

static int
read_format(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR_EMPTY;
    uint32_t schema = json_get(doc, node, STR("json_schema"));
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("text"))) {
        request->format = CHAT_FORMAT_TEXT;
        return 0;
    }
    if (str_eq(type, STR("json_object"))) {
        request->format = CHAT_FORMAT_JSON;
        return 0;
    }
    if (!str_eq(type, STR("json_schema")))
        return err_set(in->err, ERR_UNSUPPORTED, "this `response_format` cannot be translated");
    request->format = CHAT_FORMAT_SCHEMA;
    rc = intake_member(in, schema, "name", &request->format_name);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, schema, STR("schema")), "json_schema.schema",
                           &request->schema);
    return rc < 0 ? rc
                  : intake_switch(in, json_get(doc, schema, STR("strict")), "json_schema.strict",
                                  &request->schema_strict);
}

static int
read_effort(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "reasoning_effort", &request->effort);
}

/* OpenRouter's form: {effort, max_tokens, enabled} */
static int
read_reasoning(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint64_t budget = 0;
    int rc = intake_member(in, node, "effort", &request->effort);
    if (rc == 0)
        rc = intake_count(in, json_get(in->doc, node, STR("max_tokens")), "reasoning.max_tokens",
                          FACTS_OUTPUT_MAX, &budget);
    if (rc == 0 && budget > 0) {
        request->thinking = CHAT_THINKING_BUDGET;
        request->thinking_budget = budget;
    }
    return rc;
}

static int
read_user(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "user", &request->user);
}

static const struct intake_row openai_rows[] = {
    {"model", read_model},
    {"messages", read_messages},
    {"stream", read_stream},
    {"stream_options", read_stream_options},
    {"max_tokens", read_max_output},
    {"max_completion_tokens", read_max_output},
    {"temperature", read_temperature},
    {"top_p", read_top_p},
    {"top_k", read_top_k},
    {"stop", read_stop},
    {"n", read_choices},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"parallel_tool_calls", read_parallel},
    {"response_format", read_format},
    {"reasoning_effort", read_effort},
    {"reasoning", read_reasoning},
    {"thinking", dialect_read_thinking},
    {"user", read_user},
    {"safety_identifier", read_user},
};

int
openai_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_request request = {.choices = 1};
    int rc = intake_fields(&in, openai_rows, ARRAY_LEN(openai_rows), &request);
    if (rc == 0)
        rc = seal_open(&request, arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}
