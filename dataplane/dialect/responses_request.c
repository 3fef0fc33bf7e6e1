/* SPDX-License-Identifier: MIT
 * responses_request.c - a Responses request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`; nothing that would need a
 *            stored answer is accepted. Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/responses_int.h"

#define MEMBERS_MAX 64u /* of an object, or tools of the vendor's, that are looked at one by one */

int
responses_refuse_state(const struct json_doc *doc, struct err *err)
{
    static const char *const names[] = {"previous_response_id", "conversation", "background",
                                        "prompt"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint32_t node = intake_get(doc, 0, str_from(names[i]));
        if (node != JSON_NONE && !json_is(doc, node, JSON_FALSE))
            return err_set(err, ERR_UNSUPPORTED,
                           "field `%s` needs stored responses, and Berth keeps none: send the "
                           "whole input each time, with store false",
                           names[i]);
    }
    return 0;
}

/* ---- input ----------------------------------------------------------------------------------- */

static struct chat_message **
last_message(struct chat_request *request)
{
    struct chat_message **end = &request->messages;
    while (*end != NULL && (*end)->next != NULL)
        end = &(*end)->next;
    return end;
}

/* Where the input grows: the last message, and the end of its parts (NULL: it is not ours). */
struct turn {
    struct chat_message **message;
    struct chat_part **parts;
};

/* Items of one assistant turn are one message, and so are the results that follow it. */
static int
read_item(const struct intake *in, uint32_t item, struct turn *turn)
{
    enum chat_role role = CHAT_ROLE_USER;
    struct chat_part *parts = NULL;
    int rc = responses_item_in(in, item, false, &role, &parts);
    if (rc < 0)
        return rc;
    struct chat_message *message = *turn->message;
    bool joins = turn->parts != NULL && message->role == role &&
                 (role == CHAT_ROLE_ASSISTANT || role == CHAT_ROLE_TOOL);
    if (!joins) {
        if (message != NULL)
            turn->message = &message->next;
        message = chat_message_add(turn->message, role, in->arena);
        if (message == NULL)
            return -ERR_NOMEM;
        turn->parts = &message->parts;
    }
    *turn->parts = parts;
    while (*turn->parts != NULL)
        turn->parts = &(*turn->parts)->next;
    return 0;
}

static int
read_input(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct turn turn = {.message = last_message(request)};
    if (json_is(doc, node, JSON_STRING)) {
        struct chat_message *message = chat_message_add(turn.message, CHAT_ROLE_USER, in->arena);
        struct chat_part *part =
            message == NULL ? NULL : chat_part_add(&message->parts, CHAT_PART_TEXT, in->arena);
        return part == NULL ? -ERR_NOMEM : intake_text(in, node, "input", &part->text);
    }
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "input", "a string or a list of items");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = read_item(in, at, &turn);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
read_instructions(const struct intake *in, uint32_t node, struct chat_request *request)
{
    struct chat_message *head = request->messages;
    request->messages = NULL; /* before the input, wherever it stands in the body */
    struct chat_message *system = chat_message_add(&request->messages, CHAT_ROLE_SYSTEM, in->arena);
    struct chat_part *part =
        system == NULL ? NULL : chat_part_add(&system->parts, CHAT_PART_TEXT, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    system->next = head;
    return intake_text(in, node, "instructions", &part->text);
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* Tools of the vendor's that a request may go without: the model just cannot use them. */
static bool
is_offer(struct str type)
{
    return str_starts(type, STR("web_search")) || str_eq(type, STR("image_generation")) ||
           str_eq(type, STR("tool_search")) || str_eq(type, STR("namespace"));
}

static int
read_tool(const struct intake *in, uint32_t node, struct str type, struct chat_tool *tool)
{
    const struct json_doc *doc = in->doc;
    tool->custom = str_eq(type, STR("custom"));
    int rc = intake_member(in, node, "name", &tool->name);
    if (rc == 0)
        rc = intake_member(in, node, "description", &tool->description);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("parameters")), "parameters", &tool->schema);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("format")), "format", &tool->format);
    if (rc == 0)
        rc = intake_switch(in, json_get(doc, node, STR("strict")), "strict", &tool->strict);
    return rc;
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    unsigned offers = 0;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct str type = STR_EMPTY;
        int rc = intake_member(in, at, "type", &type);
        if (rc == 0 && is_offer(type) && offers++ < MEMBERS_MAX) {
            struct str name = arena_printf(in->arena, "tools.%.*s", STR_ARG(type));
            rc = name.ptr == NULL
                     ? -ERR_NOMEM
                     : chat_field_add(&request->others, name, json_raw(doc, at), in->arena);
        } else if (rc == 0 && !str_eq(type, STR("function")) && !str_eq(type, STR("custom"))) {
            rc = err_set(in->err, ERR_UNSUPPORTED, "tool of type `%.*s` cannot be translated",
                         (int)MIN(type.len, (size_t)64), type.ptr);
        } else if (rc == 0) {
            struct chat_tool *tool = chat_tool_add(end, in->arena);
            rc = tool == NULL ? -ERR_NOMEM : read_tool(in, at, type, tool);
            end = tool != NULL ? &tool->next : end;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct {
        const char *name;
        enum chat_tool_choice choice;
    } rows[] = {
        {"auto", CHAT_CHOICE_AUTO}, {"none", CHAT_CHOICE_NONE}, {"required", CHAT_CHOICE_REQUIRED}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!json_string_eq(in->doc, node, str_from(rows[i].name)))
            continue;
        request->tool_choice = rows[i].choice;
        return 0;
    }
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (!str_eq(type, STR("function")) && !str_eq(type, STR("custom")))
        return err_set(in->err, ERR_UNSUPPORTED, "this form of `tool_choice` cannot be translated");
    request->tool_choice = CHAT_CHOICE_NAMED;
    return intake_member(in, node, "name", &request->tool_choice_name);
}

/* ---- settings -------------------------------------------------------------------------------- */

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
    return intake_count(in, node, "max_output_tokens", FACTS_OUTPUT_MAX, &request->max_output);
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
read_parallel(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_switch(in, node, "parallel_tool_calls", &request->parallel_tools);
}

/* Members of an object that have no place here go to others as "FIELD.MEMBER". */
static int
keep_rest(const struct intake *in, uint32_t node, const char *field, const char *const *known,
          struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    if (!json_is(doc, node, JSON_OBJECT))
        return intake_kind_error(in, field, "an object");
    if (json_count(doc, node) > MEMBERS_MAX)
        return err_set(in->err, ERR_INVALID, "field `%s` has too many members", field);
    for (uint32_t key = json_first(doc, node); key != JSON_NONE;
         key = json_sibling(doc, node, key)) {
        bool is_known = intake_absent(doc, key + 1);
        struct str raw = json_raw(doc, key);
        for (const char *const *at = known; *at != NULL; at++)
            is_known = is_known || json_string_eq(doc, key, str_from(*at));
        if (is_known)
            continue;
        struct str name = arena_printf(in->arena, "%s.%.*s", field,
                                       (int)MIN(raw.len - 2, (size_t)64), raw.ptr + 1);
        if (name.ptr == NULL ||
            chat_field_add(&request->others, name, json_raw(doc, key + 1), in->arena) < 0)
            return -ERR_NOMEM;
    }
    return 0;
}

static int
read_reasoning(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"effort", NULL};
    int rc = keep_rest(in, node, "reasoning", known, request);
    return rc < 0 ? rc : intake_member(in, node, "effort", &request->effort);
}

static int
read_format(const struct intake *in, uint32_t format, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR("text");
    int rc = intake_member(in, format, "type", &type);
    if (rc < 0 || str_eq(type, STR("text")))
        return rc;
    if (str_eq(type, STR("json_object"))) {
        request->format = CHAT_FORMAT_JSON;
        return 0;
    }
    if (!str_eq(type, STR("json_schema")))
        return err_set(in->err, ERR_UNSUPPORTED, "this `text.format` cannot be translated");
    request->format = CHAT_FORMAT_SCHEMA;
    rc = intake_member(in, format, "name", &request->format_name);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, format, STR("schema")), "text.format.schema",
                           &request->schema);
    return rc < 0 ? rc
                  : intake_switch(in, json_get(doc, format, STR("strict")), "text.format.strict",
                                  &request->schema_strict);
}

static int
read_text(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"format", "verbosity", NULL};
    uint32_t verbosity = intake_get(in->doc, node, STR("verbosity"));
    int rc = keep_rest(in, node, "text", known, request);
    if (rc == 0 && verbosity != JSON_NONE)
        rc = chat_field_add(&request->others, STR("verbosity"), json_raw(in->doc, verbosity),
                            in->arena);
    return rc < 0 ? rc : read_format(in, intake_get(in->doc, node, STR("format")), request);
}

static int
read_user(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "user", &request->user);
}

/* Said by responses_refuse_state, and harmless when it let them pass. */
static int
read_nothing(const struct intake *in, uint32_t node, struct chat_request *request)
{
    (void)in;
    (void)node;
    (void)request;
    return 0;
}

static const struct intake_row responses_rows[] = {
    {"model", read_model},
    {"input", read_input},
    {"instructions", read_instructions},
    {"stream", read_stream},
    {"stream_options", read_nothing},
    {"max_output_tokens", read_max_output},
    {"temperature", read_temperature},
    {"top_p", read_top_p},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"parallel_tool_calls", read_parallel},
    {"reasoning", read_reasoning},
    {"text", read_text},
    {"user", read_user},
    {"safety_identifier", read_user},
    {"background", read_nothing},
};

int
responses_request_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_request *ret_request, struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_request request = {.choices = 1, .include_usage = true};
    int rc = intake_fields(&in, responses_rows, ARRAY_LEN(responses_rows), &request);
    if (rc == 0)
        rc = responses_refuse_state(doc, err);
    if (rc == 0)
        rc = seal_open(&request, arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}
