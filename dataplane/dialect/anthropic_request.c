/* SPDX-License-Identifier: MIT
 * anthropic_request.c - a Messages request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`. Spec: WIRE-FORMATS 3. */
#include "dataplane/dialect/anthropic_int.h"

/* Claude Code's first system block names its version with a count that changes each time: it would
 * spoil every other upstream's prompt cache (WIRE-FORMATS trap 6). */
static void
drop_billing_line(struct chat_message *system)
{
    struct chat_part *first = system->parts;
    if (first != NULL && first->kind == CHAT_PART_TEXT &&
        str_starts(first->text, STR("x-anthropic-billing-header:")))
        system->parts = first->next;
}

static int
read_system(const struct intake *in, uint32_t node, struct chat_request *request)
{
    struct chat_message *system = intake_system(in, request);
    if (system == NULL)
        return -ERR_NOMEM;
    int rc = anthropic_blocks_in(in, node, "system", false, &system->parts);
    if (rc < 0)
        return rc;
    drop_billing_line(system);
    if (system->parts == NULL)
        request->messages = system->next;
    return 0;
}

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    static const struct intake_role rows[] = {
        {"user", CHAT_ROLE_USER},
        {"assistant", CHAT_ROLE_ASSISTANT},
        {"system", CHAT_ROLE_SYSTEM}, /* newest API: in mid-conversation */
    };
    int rc = intake_role(in, node, rows, ARRAY_LEN(rows), &message->role);
    return rc < 0 ? rc
                  : anthropic_blocks_in(in, json_get(in->doc, node, STR("content")), "content",
                                        false, &message->parts);
}

static bool
has_search(const struct json_doc *doc, uint32_t content)
{
    uint32_t at = json_is(doc, content, JSON_ARRAY) ? json_first(doc, content) : JSON_NONE;
    while (at != JSON_NONE && !anthropic_is_search(doc, at))
        at = json_sibling(doc, content, at);
    return at != JSON_NONE;
}

static int
read_messages(const struct intake *in, uint32_t node, struct chat_request *request)
{
    int rc = intake_messages(in, node, request, read_message);
    uint32_t at = rc == 0 ? json_first(in->doc, node) : JSON_NONE;
    for (; at != JSON_NONE; at = json_sibling(in->doc, node, at)) {
        if (has_search(in->doc, json_get(in->doc, at, STR("content"))))
            return chat_field_add(&request->others, STR("server_tool_use"), STR("true"), in->arena);
    }
    return rc;
}

static int
read_tool(const struct intake *in, uint32_t node, struct chat_tool *tool)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR("custom");
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (!str_eq(type, STR("custom")))
        return err_set(in->err, ERR_UNSUPPORTED, "tool of type `%.*s` cannot be translated",
                       (int)MIN(type.len, (size_t)64), type.ptr);
    rc = intake_member(in, node, "name", &tool->name);
    if (rc == 0)
        rc = intake_member(in, node, "description", &tool->description);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("input_schema")), "input_schema",
                           &tool->schema);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("cache_control")), "cache_control",
                           &tool->cache);
    return rc < 0 ? rc
                  : intake_switch(in, json_get(doc, node, STR("strict")), "strict", &tool->strict);
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"type",          "name",   "description", "input_schema",
                                        "cache_control", "strict", NULL};
    return intake_tools(in, node, request, known, read_tool);
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice rows[] = {{"auto", CHAT_CHOICE_AUTO},
                                                {"none", CHAT_CHOICE_NONE},
                                                {"any", CHAT_CHOICE_REQUIRED},
                                                {"tool", CHAT_CHOICE_NAMED}};
    const struct json_doc *doc = in->doc;
    enum chat_switch serial = CHAT_UNSET;
    uint32_t type = json_get(doc, node, STR("type"));
    if (!intake_choice(in, type, rows, ARRAY_LEN(rows), request))
        return err_set(in->err, ERR_INVALID, "field `tool_choice.type` is missing or not known");
    int rc = intake_member(in, node, "name", &request->tool_choice_name);
    if (rc == 0)
        rc = intake_switch(in, json_get(doc, node, STR("disable_parallel_tool_use")),
                           "tool_choice.disable_parallel_tool_use", &serial);
    if (serial != CHAT_UNSET)
        request->parallel_tools = serial == CHAT_ON ? CHAT_OFF : CHAT_ON;
    return rc;
}

static int
read_metadata(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_member(in, node, "user_id", &request->user);
}

/* {type: json_schema, schema}; `output_format` while it was a beta */
static int
read_format(const struct intake *in, uint32_t format, struct chat_request *request)
{
    if (!json_string_eq(in->doc, json_get(in->doc, format, STR("type")), STR("json_schema")))
        return err_set(in->err, ERR_UNSUPPORTED,
                       "this `output_config.format` cannot be translated");
    request->format = CHAT_FORMAT_SCHEMA;
    request->schema_strict = CHAT_ON;
    return intake_object(in, json_get(in->doc, format, STR("schema")),
                         "output_config.format.schema", &request->schema);
}

/* {effort, format} */
static int
read_output_config(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint32_t format = intake_get(in->doc, node, STR("format"));
    int rc = intake_member(in, node, "effort", &request->effort);
    return rc < 0 || format == JSON_NONE ? rc : read_format(in, format, request);
}

static const struct intake_row anthropic_rows[] = {
    {"model", intake_row_model},
    {"messages", read_messages},
    {"system", read_system},
    {"stream", intake_row_stream},
    {"max_tokens", intake_row_max_tokens},
    {"temperature", intake_row_temperature},
    {"top_p", intake_row_top_p},
    {"top_k", intake_row_top_k},
    {"stop_sequences", intake_row_stop_sequences},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"thinking", dialect_read_thinking},
    {"output_config", read_output_config},
    {"output_format", read_format},
    {"metadata", read_metadata},
};

int
anthropic_request_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_request *ret_request, struct err *err)
{
    const struct intake in = {doc, arena, err};
    const struct chat_request defaults = {.choices = 1, .include_usage = true};
    return intake_request(&in, anthropic_rows, ARRAY_LEN(anthropic_rows), &defaults, ret_request);
}
