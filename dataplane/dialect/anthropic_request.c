/* SPDX-License-Identifier: MIT
 * anthropic_request.c - a Messages request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`. Spec: WIRE-FORMATS 3. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/seal_int.h"

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
    struct chat_message *head = request->messages;
    struct chat_message *system = NULL;
    request->messages = NULL; /* before the messages, wherever it stands in the body */
    system = chat_message_add(&request->messages, CHAT_ROLE_SYSTEM, in->arena);
    if (system == NULL)
        return -ERR_NOMEM;
    system->next = head;
    int rc = anthropic_blocks_in(in, node, "system", false, &system->parts);
    if (rc < 0)
        return rc;
    drop_billing_line(system);
    if (system->parts == NULL)
        request->messages = head;
    return 0;
}

static int
read_role(const struct intake *in, uint32_t node, enum chat_role *ret_role)
{
    uint32_t role = json_get(in->doc, node, STR("role"));
    if (json_string_eq(in->doc, role, STR("user")))
        *ret_role = CHAT_ROLE_USER;
    else if (json_string_eq(in->doc, role, STR("assistant")))
        *ret_role = CHAT_ROLE_ASSISTANT;
    else if (json_string_eq(in->doc, role, STR("system"))) /* newest API: in mid-conversation */
        *ret_role = CHAT_ROLE_SYSTEM;
    else
        return err_set(in->err, ERR_INVALID, "field `messages.role` is missing or not known");
    return 0;
}

static int
read_messages(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_message **end = &request->messages;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "messages", "a list");
    while (*end != NULL)
        end = &(*end)->next;
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct chat_message *message = chat_message_add(end, CHAT_ROLE_USER, in->arena);
        int rc = message == NULL ? -ERR_NOMEM : read_role(in, at, &message->role);
        if (rc == 0)
            rc = anthropic_blocks_in(in, json_get(doc, at, STR("content")), "content", false,
                                     &message->parts);
        if (rc < 0)
            return rc;
        end = &message->next;
    }
    return 0;
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
                {"any", CHAT_CHOICE_REQUIRED},
                {"tool", CHAT_CHOICE_NAMED}};
    const struct json_doc *doc = in->doc;
    enum chat_switch serial = CHAT_UNSET;
    uint32_t type = json_get(doc, node, STR("type"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (json_string_eq(doc, type, str_from(rows[i].name)))
            request->tool_choice = rows[i].choice;
    if (request->tool_choice == CHAT_CHOICE_UNSET)
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
read_max_output(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_count(in, node, "max_tokens", FACTS_OUTPUT_MAX, &request->max_output);
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
read_stops(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_text **end = &request->stops;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "stop_sequences", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct str text = STR_EMPTY;
        int rc = intake_text(in, at, "stop_sequences", &text);
        if (rc == 0)
            rc = chat_text_add(end, text, in->arena);
        if (rc < 0)
            return rc;
        end = &(*end)->next;
    }
    return 0;
}

static int
read_metadata(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_member(in, node, "user_id", &request->user);
}

/* {effort, format: {type: json_schema, schema}} */
static int
read_output_config(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint32_t format = intake_get(in->doc, node, STR("format"));
    int rc = intake_member(in, node, "effort", &request->effort);
    if (rc < 0 || format == JSON_NONE)
        return rc;
    if (!json_string_eq(in->doc, json_get(in->doc, format, STR("type")), STR("json_schema")))
        return err_set(in->err, ERR_UNSUPPORTED,
                       "this `output_config.format` cannot be translated");
    request->format = CHAT_FORMAT_SCHEMA;
    request->schema_strict = CHAT_ON;
    return intake_object(in, json_get(in->doc, format, STR("schema")),
                         "output_config.format.schema", &request->schema);
}

static const struct intake_row anthropic_rows[] = {
    {"model", read_model},
    {"messages", read_messages},
    {"system", read_system},
    {"stream", read_stream},
    {"max_tokens", read_max_output},
    {"temperature", read_temperature},
    {"top_p", read_top_p},
    {"top_k", read_top_k},
    {"stop_sequences", read_stops},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"thinking", dialect_read_thinking},
    {"output_config", read_output_config},
    {"metadata", read_metadata},
};

int
anthropic_request_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_request *ret_request, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_request request = {.choices = 1, .include_usage = true};
    int rc = intake_fields(&in, anthropic_rows, ARRAY_LEN(anthropic_rows), &request);
    if (rc == 0)
        rc = seal_open(&request, arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}
