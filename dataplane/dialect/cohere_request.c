/* SPDX-License-Identifier: MIT
 * cohere_request.c - requests of Cohere v2 chat, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`. What cannot be said is
 *            refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/cohere_int.h"

/* ---- reading --------------------------------------------------------------------------------- */

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } rows[] = {{"system", CHAT_ROLE_SYSTEM},
                {"developer", CHAT_ROLE_DEVELOPER},
                {"user", CHAT_ROLE_USER},
                {"assistant", CHAT_ROLE_ASSISTANT},
                {"tool", CHAT_ROLE_TOOL}};
    uint32_t role = json_get(in->doc, node, STR("role"));
    size_t row = 0;
    while (row < ARRAY_LEN(rows) && !json_string_eq(in->doc, role, str_from(rows[row].name)))
        row++;
    if (row == ARRAY_LEN(rows))
        return err_set(in->err, ERR_INVALID, "field `messages.role` is missing or not known");
    message->role = rows[row].role;
    int rc = cohere_message_in(in, node, false, &message->parts);
    if (rc < 0 || message->role != CHAT_ROLE_TOOL)
        return rc;
    struct chat_part *content = message->parts;
    message->parts = NULL;
    struct chat_part *result = chat_part_add(&message->parts, CHAT_PART_TOOL_RESULT, in->arena);
    if (result == NULL)
        return -ERR_NOMEM;
    result->content = content;
    return intake_member(in, node, "tool_call_id", &result->id);
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

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        uint32_t body = json_get(doc, at, STR("function"));
        struct chat_tool *tool = chat_tool_add(end, in->arena);
        int rc = tool == NULL ? -ERR_NOMEM : intake_member(in, body, "name", &tool->name);
        if (rc == 0)
            rc = intake_member(in, body, "description", &tool->description);
        if (rc == 0)
            rc = intake_object(in, json_get(doc, body, STR("parameters")), "parameters",
                               &tool->schema);
        if (rc < 0)
            return rc;
        end = &tool->next;
    }
    return 0;
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    if (json_string_eq(in->doc, node, STR("REQUIRED")))
        request->tool_choice = CHAT_CHOICE_REQUIRED;
    else if (json_string_eq(in->doc, node, STR("NONE")))
        request->tool_choice = CHAT_CHOICE_NONE;
    else
        return err_set(in->err, ERR_INVALID, "field `tool_choice` must be REQUIRED or NONE");
    return 0;
}

static int
read_format(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint32_t type = json_get(in->doc, node, STR("type"));
    uint32_t schema = intake_get(in->doc, node, STR("json_schema"));
    if (schema == JSON_NONE)
        schema = json_get(in->doc, node, STR("schema"));
    if (!json_string_eq(in->doc, type, STR("json_object")))
        return 0;
    int rc = intake_object(in, schema, "response_format.json_schema", &request->schema);
    request->format = request->schema.len > 0 ? CHAT_FORMAT_SCHEMA : CHAT_FORMAT_JSON;
    return rc;
}

static int
read_thinking(const struct intake *in, uint32_t node, struct chat_request *request)
{
    uint32_t type = json_get(in->doc, node, STR("type"));
    if (json_string_eq(in->doc, type, STR("disabled"))) {
        request->thinking = CHAT_THINKING_OFF;
        return 0;
    }
    int rc = intake_count(in, json_get(in->doc, node, STR("token_budget")), "thinking.token_budget",
                          FACTS_OUTPUT_MAX, &request->thinking_budget);
    request->thinking =
        request->thinking_budget > 0 ? CHAT_THINKING_BUDGET : CHAT_THINKING_ADAPTIVE;
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
read_p(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return read_number(in, node, "p", &request->top_p);
}

static int
read_k(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return read_number(in, node, "k", &request->top_k);
}

static int
read_max_output(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_count(in, node, "max_tokens", FACTS_OUTPUT_MAX, &request->max_output);
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

static const struct intake_row cohere_rows[] = {
    {"model", read_model},
    {"messages", read_messages},
    {"tools", read_tools},
    {"tool_choice", read_tool_choice},
    {"response_format", read_format},
    {"thinking", read_thinking},
    {"temperature", read_temperature},
    {"p", read_p},
    {"k", read_k},
    {"max_tokens", read_max_output},
    {"stop_sequences", read_stops},
    {"stream", read_stream},
};

int
cohere_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_request request = {.choices = 1, .include_usage = true};
    int rc = intake_fields(&in, cohere_rows, ARRAY_LEN(cohere_rows), &request);
    if (rc == 0)
        rc = seal_open(&request, arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct err *err;
};

static int
refuse(struct emit *emit, const char *field)
{
    return err_set(emit->err, ERR_UNSUPPORTED, "field `%s` cannot be carried to cohere-v2", field);
}

static void
put_text(struct json_writer *writer, const char *type, struct str text)
{
    json_open_object(writer);
    json_member_str(writer, "type", str_from(type));
    json_member_str(writer, type, text);
    json_close_object(writer);
}

static void
put_image(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    struct buf url;
    buf_init(&url, part->data.len + part->media_type.len + part->url.len + 64);
    if (part->data.len > 0) {
        buf_put_str(&url, STR("data:"));
        buf_put_str(&url, part->media_type);
        buf_put_str(&url, STR(";base64,"));
        buf_put_str(&url, part->data);
    } else {
        buf_put_str(&url, part->url);
    }
    json_open_object(writer);
    json_member_str(writer, "type", STR("image_url"));
    json_key(writer, "image_url");
    json_open_object(writer);
    json_member_str(writer, "url", buf_str(&url));
    if (part->name.len > 0)
        json_member_str(writer, "detail", part->name);
    json_close_object(writer);
    json_close_object(writer);
    writer->out->failed |= url.failed;
    buf_fini(&url);
}

static int
put_part(struct emit *emit, const struct chat_part *part)
{
    if (part->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len > 0)
            put_text(&emit->writer, "text", part->text);
        return 0;
    case CHAT_PART_REASONING:
        if (part->signature.len > 0)
            loss_note(emit->target, STR("thinking"));
        else if (part->text.len > 0)
            put_text(&emit->writer, "thinking", part->text);
        return 0;
    case CHAT_PART_REDACTED:
        loss_note(emit->target, STR("thinking"));
        return 0;
    case CHAT_PART_IMAGE:
        if (part->file_id.len > 0)
            return refuse(emit, "file_id");
        put_image(emit, part);
        return 0;
    case CHAT_PART_FILE:
        if (part->text.len == 0)
            return refuse(emit, "file");
        put_text(&emit->writer, "text", part->text);
        return 0;
    case CHAT_PART_AUDIO:
        return refuse(emit, "input_audio");
    case CHAT_PART_TOOL_CALL:
        return part->custom ? refuse(emit, "tool_calls.custom") : 0;
    case CHAT_PART_TOOL_RESULT:
        break;
    }
    return 0;
}

static int
put_content(struct emit *emit, const struct chat_part *parts)
{
    json_key(&emit->writer, "content");
    json_open_array(&emit->writer);
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        int rc = put_part(emit, part);
        if (rc < 0)
            return rc;
    }
    json_close_array(&emit->writer);
    return 0;
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    if (result->is_error)
        loss_note(emit->target, STR("is_error"));
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", STR("tool"));
    json_member_str(&emit->writer, "tool_call_id", result->id);
    int rc = put_content(emit, result->content);
    if (rc == 0)
        json_close_object(&emit->writer);
    return rc;
}

static void
put_calls(struct emit *emit, const struct chat_part *parts)
{
    bool open = false;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_CALL)
            continue;
        if (!open) {
            json_key(&emit->writer, "tool_calls");
            json_open_array(&emit->writer);
        }
        open = true;
        cohere_put_call(&emit->writer, part);
    }
    if (open)
        json_close_array(&emit->writer);
}

static int
put_message(struct emit *emit, const struct chat_message *message)
{
    static const char *const roles[] = {[CHAT_ROLE_SYSTEM] = "system",
                                        [CHAT_ROLE_DEVELOPER] = "system",
                                        [CHAT_ROLE_USER] = "user",
                                        [CHAT_ROLE_ASSISTANT] = "assistant",
                                        [CHAT_ROLE_TOOL] = "user"};
    bool results = false;
    bool rest = false;
    int rc = 0;
    for (const struct chat_part *part = message->parts; part && rc == 0; part = part->next) {
        bool result = part->kind == CHAT_PART_TOOL_RESULT;
        rc = result ? put_result(emit, part) : 0;
        results = results || result;
        rest = rest || !result;
    }
    if (message->name.len > 0)
        loss_note(emit->target, STR("name"));
    if (rc < 0 || (results && !rest))
        return rc;
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", str_from(roles[message->role]));
    rc = put_content(emit, message->parts);
    if (rc < 0)
        return rc;
    put_calls(emit, message->parts);
    json_close_object(&emit->writer);
    return 0;
}

static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool strict = false;
    if (request->parallel_tools == CHAT_OFF)
        loss_note(emit->target, STR("parallel_tool_calls"));
    if (request->tools == NULL)
        return 0;
    json_key(writer, "tools");
    json_open_array(writer);
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next) {
        if (tool->custom)
            return refuse(emit, "tools.custom");
        strict = strict || tool->strict == CHAT_ON;
        json_open_object(writer);
        json_member_str(writer, "type", STR("function"));
        json_key(writer, "function");
        json_open_object(writer);
        json_member_str(writer, "name", tool->name);
        json_member_str(writer, "description", tool->description);
        json_member_raw(writer, "parameters",
                        tool->schema.len > 2 ? tool->schema
                                             : STR("{\"type\":\"object\",\"properties\":{}}"));
        json_close_object(writer);
        json_close_object(writer);
    }
    json_close_array(writer);
    if (strict)
        json_member_bool(writer, "strict_tools", true);
    if (request->tool_choice == CHAT_CHOICE_NAMED)
        return loss(emit->target, "cohere-v2", STR("tool_choice"), false, emit->err);
    if (request->tool_choice == CHAT_CHOICE_REQUIRED)
        json_member_str(writer, "tool_choice", STR("REQUIRED"));
    else if (request->tool_choice == CHAT_CHOICE_NONE)
        json_member_str(writer, "tool_choice", STR("NONE"));
    return 0;
}

static void
put_format(struct json_writer *writer, const struct chat_request *request)
{
    if (request->format != CHAT_FORMAT_JSON && request->format != CHAT_FORMAT_SCHEMA)
        return;
    json_key(writer, "response_format");
    json_open_object(writer);
    json_member_str(writer, "type", STR("json_object"));
    if (request->schema.len > 0)
        json_member_raw(writer, "json_schema", request->schema);
    json_close_object(writer);
}

static void
put_thinking(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool off = request->thinking == CHAT_THINKING_OFF || str_eq(request->effort, STR("none"));
    uint64_t limit = emit->target->max_output > 0 ? emit->target->max_output : 4096;
    uint64_t budget = request->thinking_budget;
    if (request->thinking == CHAT_THINKING_UNSET && request->effort.len == 0)
        return;
    if (emit->target->no_reasoning_control) {
        loss_note(emit->target, STR("reasoning_effort"));
        return;
    }
    if (budget == 0 && request->effort.len > 0)
        budget = reasoning_budget(request->effort,
                                  request->max_output > 0 ? request->max_output : limit);
    json_key(writer, "thinking");
    json_open_object(writer);
    json_member_str(writer, "type", off ? STR("disabled") : STR("enabled"));
    if (!off && budget > 0)
        json_member_u64(writer, "token_budget", budget);
    json_close_object(writer);
}

static int
put_others(struct emit *emit, const struct chat_request *request)
{
    static const char *const native[] = {"seed",     "presence_penalty", "frequency_penalty",
                                         "logprobs", "safety_mode",      "citation_options",
                                         NULL};
    static const char *const advisory[] = {"client_metadata",
                                           "store",
                                           "metadata",
                                           "prompt_cache_key",
                                           "prompt_cache_retention",
                                           "service_tier",
                                           "prediction",
                                           "verbosity",
                                           "prompt_cache_options",
                                           "safetySettings",
                                           "safety_settings",
                                           "labels",
                                           "include",
                                           "truncation",
                                           "priority",
                                           "context_management",
                                           "reasoning.summary",
                                           NULL};
    struct chat_request rest = {0};
    for (const struct chat_field *field = request->others; field; field = field->next) {
        bool own = false;
        for (const char *const *at = native; *at != NULL; at++)
            own = own || str_eq(field->name, str_from(*at));
        struct chat_field one = {.name = field->name, .raw = field->raw};
        rest.others = &one;
        if (own) {
            json_key_str(&emit->writer, field->name);
            json_value_raw(&emit->writer, field->raw);
            continue;
        }
        int rc = loss_others(&rest, emit->target, "cohere-v2", advisory, emit->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    if (request->choices > 1) {
        int rc = loss(emit->target, "cohere-v2", STR("n"), false, emit->err);
        if (rc < 0)
            return rc;
    }
    if (request->max_output > 0)
        json_member_u64(writer, "max_tokens", request->max_output);
    if (request->temperature.len > 0)
        json_member_raw(writer, "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(writer, "p", request->top_p);
    if (request->top_k.len > 0)
        json_member_raw(writer, "k", request->top_k);
    if (request->stops != NULL) {
        json_key(writer, "stop_sequences");
        json_open_array(writer);
        for (const struct chat_text *stop = request->stops; stop != NULL; stop = stop->next)
            json_value_str(writer, stop->text);
        json_close_array(writer);
    }
    put_format(writer, request);
    put_thinking(emit, request);
    if (request->user.len > 0)
        loss_note(emit->target, STR("user"));
    if (request->stream)
        json_member_bool(writer, "stream", true);
    return put_others(emit, request);
}

int
cohere_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.target = target, .err = err};
    int rc = 0;
    (void)arena;
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    json_member_str(&emit.writer, "model", target->model);
    json_key(&emit.writer, "messages");
    json_open_array(&emit.writer);
    for (const struct chat_message *at = request->messages; at != NULL && rc == 0; at = at->next)
        rc = put_message(&emit, at);
    if (rc < 0)
        return rc;
    json_close_array(&emit.writer);
    rc = put_tools(&emit, request);
    if (rc == 0)
        rc = put_settings(&emit, request);
    if (rc < 0)
        return rc;
    json_close_object(&emit.writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
