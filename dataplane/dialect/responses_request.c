/* SPDX-License-Identifier: MIT
 * responses_request.c - a Responses request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`; nothing that would need a
 *            stored answer is accepted. Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/responses_int.h"
#include "dataplane/dialect/search_int.h"

#define MEMBERS_MAX 64u /* of an object, or tools of the vendor's, that are looked at one by one */

/* {type: item_reference, id}; the type may be left out or null. */
static bool
is_reference(const struct json_doc *doc, uint32_t item)
{
    uint32_t type = intake_get(doc, item, STR("type"));
    if (type != JSON_NONE)
        return json_string_eq(doc, type, STR("item_reference"));
    return json_get(doc, item, STR("id")) != JSON_NONE &&
           json_get(doc, item, STR("role")) == JSON_NONE;
}

int
responses_refuse_state(const struct json_doc *doc, struct err *err)
{
    static const char *const names[] = {"previous_response_id", "conversation", "background",
                                        "prompt"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint32_t node = intake_get(doc, 0, str_from(names[i]));
        if (node != JSON_NONE && !json_is(doc, node, JSON_FALSE)) {
            return err_set(err, ERR_UNSUPPORTED,
                           "field `%s` needs stored responses, and Berth keeps none: send the "
                           "whole input each time, with store false",
                           names[i]);
        }
    }
    uint32_t input = json_get(doc, 0, STR("input"));
    uint32_t at = json_is(doc, input, JSON_ARRAY) ? json_first(doc, input) : JSON_NONE;
    for (; at != JSON_NONE; at = json_sibling(doc, input, at)) {
        if (is_reference(doc, at))
            return err_set(err, ERR_UNSUPPORTED,
                           "`item_reference` needs stored responses: send the items whole (store: "
                           "false)");
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
    bool searched = false;
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = read_item(in, at, &turn);
        if (rc < 0)
            return rc;
        searched |= json_string_eq(doc, json_get(doc, at, STR("type")), STR("web_search_call"));
    }
    return !searched
               ? 0
               : chat_field_add(&request->others, STR("web_search_call"), STR("true"), in->arena);
}

static int
read_instructions(const struct intake *in, uint32_t node, struct chat_request *request)
{
    struct chat_message *system = intake_system(in, request);
    struct chat_part *part =
        system == NULL ? NULL : chat_part_add(&system->parts, CHAT_PART_TEXT, in->arena);
    return part == NULL ? -ERR_NOMEM : intake_text(in, node, "instructions", &part->text);
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* Tools of the vendor's that a request may go without: the model just cannot use them. */
static bool
is_offer(struct str type)
{
    return str_eq(type, STR("image_generation")) || str_eq(type, STR("tool_search")) ||
           str_eq(type, STR("namespace"));
}

static int
read_tool(const struct intake *in, uint32_t node, struct str type, struct chat_tool *tool)
{
    const struct json_doc *doc = in->doc;
    tool->custom = str_eq(type, STR("custom"));
    int rc = intake_function(in, node, tool);
    if (rc == 0)
        rc = intake_object(in, json_get(doc, node, STR("format")), "format", &tool->format);
    if (rc == 0)
        rc = intake_switch(in, json_get(doc, node, STR("strict")), "strict", &tool->strict);
    return rc;
}

/* One row of the list, behind **end; *offers counts those whose members were looked at. */
static int
read_row(const struct intake *in, uint32_t at, struct chat_request *request,
         struct chat_tool ***end, unsigned *offers)
{
    static const char *const known[] = {"type",   "name",   "description", "parameters",
                                        "format", "strict", NULL};
    struct str type = STR_EMPTY;
    int rc = intake_member(in, at, "type", &type);
    if (rc < 0)
        return rc;
    if (search_is_tool(in, at))
        return (*offers)++ < MEMBERS_MAX ? search_tool_in(in, at, request) : 0;
    if (is_offer(type) && (*offers)++ < MEMBERS_MAX) {
        struct str name = arena_printf(in->arena, "tools.%.*s", STR_ARG(type));
        return name.ptr == NULL
                   ? -ERR_NOMEM
                   : chat_field_add(&request->others, name, json_raw(in->doc, at), in->arena);
    }
    if (!str_eq(type, STR("function")) && !str_eq(type, STR("custom")))
        return err_set(in->err, ERR_UNSUPPORTED, "tool of type `%.*s` cannot be translated",
                       (int)MIN(type.len, (size_t)64), type.ptr);
    struct chat_tool *tool = chat_tool_add(*end, in->arena);
    if (tool == NULL)
        return -ERR_NOMEM;
    *end = &tool->next;
    rc = read_tool(in, at, type, tool);
    if (rc == 0 && (*offers)++ < MEMBERS_MAX)
        rc = intake_rest(in, at, "tools", known, request);
    return rc;
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    unsigned offers = 0; /* and tools, whose members are looked at one by one */
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    int rc = 0;
    for (uint32_t at = json_first(doc, node); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, node, at))
        rc = read_row(in, at, request, &end, &offers);
    return rc;
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice rows[] = {
        {"auto", CHAT_CHOICE_AUTO}, {"none", CHAT_CHOICE_NONE}, {"required", CHAT_CHOICE_REQUIRED}};
    if (intake_choice(in, node, rows, ARRAY_LEN(rows), request))
        return 0;
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("allowed_tools")))
        return intake_allowed_tools(in, node, request);
    if (search_is_tool(in, node)) {
        request->tool_choice = CHAT_CHOICE_REQUIRED;
        return 0;
    }
    if (!str_eq(type, STR("function")) && !str_eq(type, STR("custom")))
        return err_set(in->err, ERR_UNSUPPORTED, "this form of `tool_choice` cannot be translated");
    request->tool_choice = CHAT_CHOICE_NAMED;
    return intake_member(in, node, "name", &request->tool_choice_name);
}

/* ---- settings -------------------------------------------------------------------------------- */

static int
read_max_output(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_count(in, node, "max_output_tokens", FACTS_OUTPUT_MAX, &request->max_output);
}

static int
read_reasoning(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"effort", NULL};
    int rc = intake_rest(in, node, "reasoning", known, request);
    return rc < 0 ? rc : intake_member(in, node, "effort", &request->effort);
}

static int
read_text(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"format", "verbosity", NULL};
    uint32_t verbosity = intake_get(in->doc, node, STR("verbosity"));
    uint32_t format = intake_get(in->doc, node, STR("format"));
    int rc = intake_rest(in, node, "text", known, request);
    if (rc == 0 && verbosity != JSON_NONE)
        rc = chat_field_add(&request->others, STR("verbosity"), json_raw(in->doc, verbosity),
                            in->arena);
    return rc < 0 || format == JSON_NONE ? rc : intake_format(in, format, format, request);
}

/* Of what an answer may include, one is a setting elsewhere. */
static int
read_include(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    uint32_t tops = intake_get(doc, 0, STR("top_logprobs"));
    int rc = chat_field_add(&request->others, STR("include"), json_raw(doc, node), in->arena);
    uint32_t at = json_is(doc, node, JSON_ARRAY) ? json_first(doc, node) : JSON_NONE;
    while (at != JSON_NONE && !json_string_eq(doc, at, STR("message.output_text.logprobs")))
        at = json_sibling(doc, node, at);
    if (rc == 0 && at != JSON_NONE)
        rc = chat_field_add(&request->others, STR("logprobs"), STR("true"), in->arena);
    if (rc == 0 && at != JSON_NONE && tops != JSON_NONE)
        rc = chat_field_add(&request->others, STR("top_logprobs"), json_raw(doc, tops), in->arena);
    return rc;
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
    {"model", intake_row_model},
    {"input", read_input},
    {"instructions", read_instructions},
    {"stream", intake_row_stream},
    {"stream_options", read_nothing},
    {"max_output_tokens", read_max_output},
    {"temperature", intake_row_temperature},
    {"top_p", intake_row_top_p},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"parallel_tool_calls", intake_row_parallel},
    {"reasoning", read_reasoning},
    {"text", read_text},
    {"user", intake_row_user},
    {"safety_identifier", intake_row_user},
    {"background", read_nothing},
    {"include", read_include},
    {"top_logprobs", read_nothing}, /* says nothing unless they are included */
};

int
responses_request_in(const struct json_doc *doc, struct arena *arena,
                     struct chat_request *ret_request, struct err *err)
{
    const struct intake in = {doc, arena, err};
    const struct chat_request defaults = {.choices = 1, .include_usage = true};
    int rc = responses_refuse_state(doc, err);
    return rc < 0 ? rc
                  : intake_request(&in, responses_rows, ARRAY_LEN(responses_rows), &defaults,
                                   ret_request);
}
