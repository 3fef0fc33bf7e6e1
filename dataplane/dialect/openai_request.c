/* SPDX-License-Identifier: MIT
 * openai_request.c - a chat completions request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`. Spec: WIRE-FORMATS 3. */
#include "dataplane/dialect/openai_int.h"
#include "dataplane/dialect/search_int.h"
#include "dataplane/dialect/responses_int.h"

static int
wrap_result(const struct intake *in, uint32_t node, struct chat_message *message)
{
    int rc = intake_result(in, node, message);
    if (rc < 0)
        return rc;
    struct chat_part *result = message->parts;
    struct chat_part *content = result->content;
    if (content != NULL && content->next == NULL) {
        result->cache = content->cache;
        content->cache = STR_EMPTY;
    }
    if (result->id.len > 0)
        return 0;
    return intake_member(in, node, "name", &result->id); /* role function: the name is the id */
}

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    static const struct intake_role rows[] = {
        {"system", CHAT_ROLE_SYSTEM}, {"developer", CHAT_ROLE_DEVELOPER},
        {"user", CHAT_ROLE_USER},     {"assistant", CHAT_ROLE_ASSISTANT},
        {"tool", CHAT_ROLE_TOOL},     {"function", CHAT_ROLE_TOOL},
    };
    const struct json_doc *doc = in->doc;
    struct str cache = STR_EMPTY;
    if (intake_get(doc, node, STR("audio")) != JSON_NONE)
        return err_set(in->err, ERR_UNSUPPORTED, "field `messages.audio` cannot be translated");
    int rc = intake_role(in, node, rows, ARRAY_LEN(rows), &message->role);
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
    return intake_messages(in, node, request, read_message);
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
    rc = intake_function(in, body, tool);
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
    static const char *const known[] = {"type",          "function",   "custom", "name",
                                        "description",   "parameters", "format", "strict",
                                        "cache_control", NULL};
    return intake_tools(in, node, request, known, read_tool);
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice rows[] = {{"auto", CHAT_CHOICE_AUTO},
                                                {"none", CHAT_CHOICE_NONE},
                                                {"required", CHAT_CHOICE_REQUIRED},
                                                {"any", CHAT_CHOICE_REQUIRED}};
    const struct json_doc *doc = in->doc;
    if (intake_choice(in, node, rows, ARRAY_LEN(rows), request))
        return 0;
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    uint32_t body = json_get(doc, node, type);
    if (str_eq(type, STR("allowed_tools")))
        return intake_allowed_tools(in, body, request);
    if (!str_eq(type, STR("function")) && !str_eq(type, STR("custom")))
        return err_set(in->err, ERR_UNSUPPORTED, "this form of `tool_choice` cannot be translated");
    request->tool_choice = CHAT_CHOICE_NAMED;
    return intake_member(in, json_is(doc, body, JSON_OBJECT) ? body : node, "name",
                         &request->tool_choice_name);
}

/* ---- functions, the tools of before 2024 ----------------------------------------------------- */

/* An answer may hold one call. */
static int
read_functions(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"name", "description", "parameters", NULL};
    if (json_count(in->doc, intake_get(in->doc, 0, STR("tools"))) > 0)
        return err_set(in->err, ERR_INVALID, "field `functions` cannot stand beside `tools`");
    if (json_count(in->doc, node) > 0)
        request->parallel_tools = CHAT_OFF;
    return intake_tools(in, node, request, known, intake_function);
}

static int
read_function_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice rows[] = {{"auto", CHAT_CHOICE_AUTO},
                                                {"none", CHAT_CHOICE_NONE}};
    if (intake_choice(in, node, rows, ARRAY_LEN(rows), request))
        return 0;
    request->tool_choice = CHAT_CHOICE_NAMED;
    return intake_member(in, node, "name", &request->tool_choice_name);
}

/* Calls and results without ids were read with their names instead. A function that is called again
 * gets another id, or the history would have one twice. */
static int
number_calls(const struct intake *in, struct chat_request *request)
{
    unsigned count = 0;
    struct str last = STR_EMPTY;
    for (struct chat_message *at = request->messages; at != NULL; at = at->next) {
        for (struct chat_part *part = at->parts; part != NULL; part = part->next) {
            if (part->kind == CHAT_PART_TOOL_CALL && str_eq(part->id, part->name)) {
                last = arena_printf(in->arena, "call_%u_%.*s", ++count, STR_ARG(part->name));
                if (last.ptr == NULL)
                    return err_set(in->err, ERR_NOMEM, "no memory for this request");
                part->id = last;
            } else if (part->kind == CHAT_PART_TOOL_RESULT && str_ends(last, part->id)) {
                part->id = last;
            }
        }
    }
    return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

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
read_stop(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_texts(in, node, "stop", &request->stops);
}

static int
read_format(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_format(in, node, json_get(in->doc, node, STR("json_schema")), request);
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

static const struct intake_row openai_rows[] = {
    {"model", intake_row_model},
    {"messages", read_messages},
    {"stream", intake_row_stream},
    {"stream_options", read_stream_options},
    {"max_tokens", read_max_output},
    {"max_completion_tokens", read_max_output},
    {"temperature", intake_row_temperature},
    {"top_p", intake_row_top_p},
    {"top_k", intake_row_top_k},
    {"stop", read_stop},
    {"n", read_choices},
    {"tools", read_tools},
    {"web_search_options", search_options_in},
    {"tool_choice", read_tool_choice},
    {"functions", read_functions},
    {"function_call", read_function_choice},
    {"parallel_tool_calls", intake_row_parallel},
    {"response_format", read_format},
    {"reasoning_effort", read_effort},
    {"reasoning", read_reasoning},
    {"thinking", dialect_read_thinking},
    {"user", intake_row_user},
    {"safety_identifier", intake_row_user},
};

int
openai_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    const struct chat_request defaults = {.choices = 1};
    /* agents that post the other endpoint's body here (WIRE-FORMATS trap 7) */
    if (intake_get(doc, 0, STR("messages")) == JSON_NONE &&
        intake_get(doc, 0, STR("input")) != JSON_NONE)
        return responses_request_in(doc, arena, ret_request, err);
    int rc = intake_request(&in, openai_rows, ARRAY_LEN(openai_rows), &defaults, ret_request);
    if (rc == 0 && intake_get(doc, 0, STR("functions")) != JSON_NONE)
        rc = number_calls(&in, ret_request);
    return rc;
}
