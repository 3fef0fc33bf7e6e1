/* SPDX-License-Identifier: MIT
 * cohere_request.c - requests of Cohere v2 chat, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`. What cannot be said is
 *            refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/cohere_int.h"
#include "dataplane/dialect/emit_int.h"

/* ---- reading --------------------------------------------------------------------------------- */

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    static const struct intake_role rows[] = {{"system", CHAT_ROLE_SYSTEM},
                                              {"developer", CHAT_ROLE_DEVELOPER},
                                              {"user", CHAT_ROLE_USER},
                                              {"assistant", CHAT_ROLE_ASSISTANT},
                                              {"tool", CHAT_ROLE_TOOL}};
    int rc = intake_role(in, node, rows, ARRAY_LEN(rows), &message->role);
    if (rc == 0)
        rc = cohere_message_in(in, node, false, &message->parts);
    return rc == 0 && message->role == CHAT_ROLE_TOOL ? intake_result(in, node, message) : rc;
}

static int
read_messages(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_messages(in, node, request, read_message);
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"type", "function", NULL};
    bool strict = json_is(in->doc, json_get(in->doc, 0, STR("strict_tools")), JSON_TRUE);
    int rc = intake_tools(in, node, request, known, intake_function_tool);
    for (struct chat_tool *tool = request->tools; tool != NULL && strict; tool = tool->next)
        tool->strict = CHAT_ON;
    return rc;
}

static int
read_strict(const struct intake *in, uint32_t node, struct chat_request *request)
{
    enum chat_switch strict = CHAT_UNSET; /* said with the tools */
    (void)request;
    return intake_switch(in, node, "strict_tools", &strict);
}

static int
read_tool_choice(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice rows[] = {{"REQUIRED", CHAT_CHOICE_REQUIRED},
                                                {"NONE", CHAT_CHOICE_NONE}};
    if (intake_choice(in, node, rows, ARRAY_LEN(rows), request))
        return 0;
    return intake_kind_error(in, "tool_choice", "REQUIRED or NONE");
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
read_p(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_number(in, node, "p", &request->top_p);
}

static int
read_k(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_number(in, node, "k", &request->top_k);
}

/* An answer's have another form here, which nobody writes. */
static int
read_logprobs(const struct intake *in, uint32_t node, struct chat_request *request)
{
    (void)request;
    return json_is(in->doc, node, JSON_TRUE)
               ? err_set(in->err, ERR_UNSUPPORTED, "field `logprobs` cannot be translated")
               : 0;
}

static const struct intake_row cohere_rows[] = {
    {"logprobs", read_logprobs},
    {"model", intake_row_model},
    {"messages", read_messages},
    {"tools", read_tools},
    {"strict_tools", read_strict},
    {"tool_choice", read_tool_choice},
    {"response_format", read_format},
    {"thinking", read_thinking},
    {"temperature", intake_row_temperature},
    {"p", read_p},
    {"k", read_k},
    {"max_tokens", intake_row_max_tokens},
    {"stop_sequences", intake_row_stop_sequences},
    {"stream", intake_row_stream},
};

int
cohere_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    const struct chat_request defaults = {.choices = 1, .include_usage = true};
    return intake_request(&in, cohere_rows, ARRAY_LEN(cohere_rows), &defaults, ret_request);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_text(struct json_writer *writer, const char *type, struct str text)
{
    json_open_object(writer);
    json_member_str(writer, "type", str_from(type));
    json_member_str(writer, type, text);
    json_close_object(writer);
}

static void
put_image(struct json_writer *writer, const struct chat_part *part)
{
    json_open_object(writer);
    json_member_str(writer, "type", STR("image_url"));
    json_key_object(writer, "image_url");
    emit_url(writer, "url", part);
    if (part->name.len > 0)
        json_member_str(writer, "detail", part->name);
    json_close_object(writer);
    json_close_object(writer);
}

static int
put_part(struct emit *emit, const struct chat_part *part)
{
    emit_note_part(emit, part);
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len > 0)
            put_text(&emit->writer, "text", part->text);
        return 0;
    case CHAT_PART_REASONING:
        if (part->signature.len > 0)
            emit_note(emit, "thinking");
        else if (part->text.len > 0)
            put_text(&emit->writer, "thinking", part->text);
        return 0;
    case CHAT_PART_REDACTED:
        emit_note(emit, "thinking");
        return 0;
    case CHAT_PART_IMAGE:
        if (part->file_id.len > 0)
            return emit_refuse(emit, "file_id");
        put_image(&emit->writer, part);
        return 0;
    case CHAT_PART_FILE:
        if (part->text.len == 0)
            return emit_refuse(emit, "file");
        put_text(&emit->writer, "text", emit_document(emit, part));
        return 0;
    case CHAT_PART_AUDIO:
        return emit_refuse(emit, "input_audio");
    case CHAT_PART_TOOL_CALL:
        return 0;
    case CHAT_PART_TOOL_RESULT:
        break;
    }
    return 0;
}

static int
put_content(struct emit *emit, const struct chat_part *parts)
{
    json_key_array(&emit->writer, "content");
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
        emit_note(emit, "is_error");
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", STR("tool"));
    json_member_str(&emit->writer, "tool_call_id", result->id);
    int rc = put_content(emit, result->content);
    if (rc == 0)
        json_close_object(&emit->writer);
    return rc;
}

static int
put_message(struct emit *emit, const struct chat_message *message)
{
    bool more = true;
    int rc = emit_results(emit, message, put_result, &more);
    if (message->name.len > 0)
        emit_note(emit, "name");
    if (rc < 0 || !more)
        return rc;
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", emit_role(message, false));
    rc = put_content(emit, message->parts);
    if (rc < 0)
        return rc;
    emit_calls(&emit->writer, message->parts, cohere_put_call);
    json_close_object(&emit->writer);
    return 0;
}

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    if (tool->cache.len > 0)
        emit_note(emit, "cache_control");
    emit_function(&emit->writer, tool);
    return 0;
}

static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool strict = false;
    if (request->parallel_tools == CHAT_OFF)
        emit_note(emit, "parallel_tool_calls");
    if (request->tools == NULL)
        return 0;
    int rc = emit_tools(emit, "tools", put_tool);
    if (rc < 0)
        return rc;
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next)
        strict = strict || tool->strict == CHAT_ON;
    if (strict)
        json_member_bool(writer, "strict_tools", true);
    bool only = request->tool_choice == CHAT_CHOICE_NAMED && request->tools->next == NULL &&
                str_eq(request->tools->name, request->tool_choice_name);
    if (request->tool_choice == CHAT_CHOICE_NAMED && !only)
        return emit_lose(emit, "tool_choice");
    if (request->tool_choice == CHAT_CHOICE_REQUIRED || only) /* the only one is the named one */
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
    json_key_object(writer, "response_format");
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
    if (request->thinking == CHAT_THINKING_UNSET && request->effort.len == 0)
        return;
    if (emit->target->no_reasoning_control) {
        emit_note(emit, "reasoning_effort");
        return;
    }
    json_key_object(writer, "thinking");
    json_member_str(writer, "type", off ? STR("disabled") : STR("enabled"));
    if (!off)
        emit_limit(emit, "token_budget", emit_budget(emit, 4096));
    json_close_object(writer);
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    static const char *const native[] = {"seed",        "presence_penalty", "frequency_penalty",
                                         "safety_mode", "citation_options", NULL};
    int rc = request->choices > 1 ? emit_lose(emit, "n") : 0;
    if (rc < 0)
        return rc;
    emit_limit(emit, "max_tokens", request->max_output);
    emit_raw(emit, "temperature", request->temperature);
    emit_raw(emit, "p", request->top_p);
    emit_raw(emit, "k", request->top_k);
    emit_stops(emit, "stop_sequences");
    put_format(&emit->writer, request);
    put_thinking(emit, request);
    if (request->user.len > 0)
        emit_note(emit, "user");
    if (request->stream)
        json_member_bool(&emit->writer, "stream", true);
    return emit_others(emit, native, NULL);
}

static int
put_all(struct emit *emit)
{
    const struct chat_request *request = emit->request;
    int rc = 0;
    json_member_str(&emit->writer, "model", emit->target->model);
    json_key_array(&emit->writer, "messages");
    for (const struct chat_message *at = request->messages; at != NULL && rc == 0; at = at->next)
        rc = put_message(emit, at);
    if (rc < 0)
        return rc;
    json_close_array(&emit->writer);
    rc = put_tools(emit, request);
    return rc < 0 ? rc : put_settings(emit, request);
}

int
cohere_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {
        .request = request, .target = target, .dialect = "cohere-v2", .arena = arena, .err = err};
    return emit_run(&emit, out, put_all);
}
