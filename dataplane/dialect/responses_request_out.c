/* SPDX-License-Identifier: MIT
 * responses_request_out.c - a Responses request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: stored nowhere (store false); tools are strict only where the caller said so. What
 *            cannot be said is refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/responses_int.h"
#include "dataplane/dialect/search_int.h"

/* ---- parts ----------------------------------------------------------------------------------- */

static void
put_file(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (part->text.len > 0) {
        json_member_str(writer, "type", STR("input_text"));
        json_member_str(writer, "text", emit_document(emit, part));
        return;
    }
    json_member_str(writer, "type", STR("input_file"));
    if (part->data.len == 0) {
        json_member_str(writer, "file_url", part->url);
        return;
    }
    json_member_str(writer, "filename", part->name.len > 0 ? part->name : STR("document.pdf"));
    emit_url(writer, "file_data", part);
}

/* One part of a user's or system's content, or of a result. */
static int
put_part(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    emit_note_part(emit, part);
    if (part->file_id.len > 0)
        return emit_refuse(emit, "file_id");
    if (part->kind == CHAT_PART_AUDIO)
        return emit_refuse(emit, "input_audio");
    json_open_object(writer);
    if (part->kind == CHAT_PART_IMAGE) {
        json_member_str(writer, "type", STR("input_image"));
        emit_url(writer, "image_url", part);
        if (part->name.len > 0)
            json_member_str(writer, "detail", part->name);
    } else if (part->kind == CHAT_PART_FILE) {
        put_file(emit, part);
    } else {
        json_member_str(writer, "type", STR("input_text"));
        json_member_str(writer, "text", part->text);
    }
    json_close_object(writer);
    return 0;
}

static bool
is_content(const struct chat_part *part)
{
    return part->kind == CHAT_PART_TEXT || part->kind == CHAT_PART_REFUSAL ||
           part->kind == CHAT_PART_IMAGE || part->kind == CHAT_PART_FILE ||
           part->kind == CHAT_PART_AUDIO;
}

/* ---- items ----------------------------------------------------------------------------------- */

static int
put_message(struct emit *emit, const struct chat_message *message)
{
    struct json_writer *writer = &emit->writer;
    bool any = false;
    int rc = 0;
    if (message->name.len > 0)
        emit_note(emit, "name");
    for (const struct chat_part *part = message->parts; part != NULL && rc == 0;
         part = part->next) {
        if (!is_content(part))
            continue;
        if (!any) {
            json_open_object(writer);
            json_member_str(writer, "role", emit_role(message, true));
            json_key_array(writer, "content");
        }
        any = true;
        rc = put_part(emit, part);
    }
    if (rc == 0 && any) {
        json_close_array(writer);
        json_close_object(writer);
    }
    return rc;
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_part *content = result->content;
    const struct chat_part *call = map_get(&emit->calls, result->id);
    int rc = 0;
    if (result->is_error)
        emit_note(emit, "is_error");
    json_open_object(writer);
    json_member_str(writer, "type",
                    call != NULL && call->custom ? STR("custom_tool_call_output")
                                                 : STR("function_call_output"));
    json_member_str(writer, "call_id", result->id);
    json_key(writer, "output");
    if (content == NULL || (content->next == NULL && content->kind == CHAT_PART_TEXT)) {
        json_value_str(writer, content != NULL ? content->text : STR_EMPTY);
    } else {
        json_open_array(writer);
        for (; content != NULL && rc == 0; content = content->next)
            rc = put_part(emit, content);
        if (rc < 0)
            return rc;
        json_close_array(writer);
    }
    json_close_object(writer);
    return 0;
}

static void
put_call(struct json_writer *writer, const struct chat_part *call)
{
    json_open_object(writer);
    json_member_str(writer, "type", call->custom ? STR("custom_tool_call") : STR("function_call"));
    json_member_str(writer, "call_id", call->id);
    json_member_str(writer, "name", call->name);
    json_member_str(writer, call->custom ? "input" : "arguments", call->text);
    json_close_object(writer);
}

static void
put_output_text(struct json_writer *writer, const struct chat_part *part)
{
    bool refusal = part->kind == CHAT_PART_REFUSAL;
    json_open_object(writer);
    json_member_str(writer, "role", STR("assistant"));
    json_key_array(writer, "content");
    json_open_object(writer);
    json_member_str(writer, "type", refusal ? STR("refusal") : STR("output_text"));
    json_member_str(writer, refusal ? "refusal" : "text", part->text);
    json_close_object(writer);
    json_close_array(writer);
    json_close_object(writer);
}

/* What the assistant did, item by item; only its own vendor's reasoning means anything here. */
static int
put_assistant(struct emit *emit, const struct chat_message *message)
{
    struct str id;
    struct str encrypted;
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        switch (part->kind) {
        case CHAT_PART_TOOL_CALL:
            put_call(&emit->writer, part);
            break;
        case CHAT_PART_REASONING:
        case CHAT_PART_REDACTED:
            if (part->kind == CHAT_PART_REASONING &&
                seal_open_reasoning(part->signature, &id, &encrypted))
                responses_put_reasoning(&emit->writer, part->text, part->signature, false, id);
            else
                emit_note(emit, "thinking");
            break;
        case CHAT_PART_TEXT:
        case CHAT_PART_REFUSAL:
            if (part->text.len > 0)
                put_output_text(&emit->writer, part);
            break;
        case CHAT_PART_IMAGE:
        case CHAT_PART_FILE:
        case CHAT_PART_AUDIO:
            return err_set(emit->err, ERR_UNSUPPORTED,
                           "media of an assistant cannot be carried to openai-responses");
        case CHAT_PART_TOOL_RESULT:
            break;
        }
    }
    return 0;
}

static int
put_input(struct emit *emit, const struct chat_message *message)
{
    json_key_array(&emit->writer, "input");
    for (; message != NULL; message = message->next) {
        bool more = true;
        int rc = emit_results(emit, message, put_result, &more);
        if (rc == 0)
            rc = message->role == CHAT_ROLE_ASSISTANT ? put_assistant(emit, message)
                                                      : put_message(emit, message);
        if (rc < 0)
            return rc;
    }
    json_close_array(&emit->writer);
    return 0;
}

/* ---- tools and settings ---------------------------------------------------------------------- */

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    if (tool->cache.len > 0)
        emit_note(emit, "cache_control");
    json_open_object(writer);
    json_member_str(writer, "type", tool->custom ? STR("custom") : STR("function"));
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    if (tool->custom && tool->format.len > 0)
        json_member_raw(writer, "format", tool->format);
    if (!tool->custom) {
        emit_schema(writer, "parameters", tool->schema);
        json_member_bool(writer, "strict", tool->strict == CHAT_ON); /* its default is true */
    }
    json_close_object(writer);
    return 0;
}

static void
put_text(struct json_writer *writer, const struct chat_request *request, struct str verbosity)
{
    bool schema = request->format == CHAT_FORMAT_SCHEMA;
    if (!schema && request->format != CHAT_FORMAT_JSON && verbosity.len == 0)
        return;
    json_key_object(writer, "text");
    if (schema || request->format == CHAT_FORMAT_JSON) {
        json_key_object(writer, "format");
        json_member_str(writer, "type", schema ? STR("json_schema") : STR("json_object"));
        if (schema) {
            json_member_str(writer, "name",
                            request->format_name.len > 0 ? request->format_name : STR("answer"));
            json_member_raw(writer, "schema",
                            request->schema.len > 0 ? request->schema : STR("{}"));
            json_member_bool(writer, "strict", request->schema_strict == CHAT_ON);
        }
        json_close_object(writer);
    }
    if (verbosity.len > 0)
        json_member_raw(writer, "verbosity", verbosity);
    json_close_object(writer);
}

/* true: reasoning may come, and its state is wanted */
static bool
put_reasoning(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    struct str effort = request->effort;
    bool thinks =
        request->thinking == CHAT_THINKING_BUDGET || request->thinking == CHAT_THINKING_ADAPTIVE;
    if (effort.len == 0 && request->thinking == CHAT_THINKING_BUDGET)
        effort = reasoning_effort(request->thinking_budget);
    if ((effort.len == 0 && !thinks) || request->thinking == CHAT_THINKING_OFF)
        return false;
    if (emit->target->no_reasoning_control) {
        emit_note(emit, "reasoning_effort");
        return false;
    }
    json_key_object(writer, "reasoning");
    if (effort.len > 0)
        json_member_str(writer, "effort", effort);
    if (thinks) /* who asks for thinking wants to see some */
        json_member_str(writer, "summary", STR("auto"));
    json_close_object(writer);
    return !str_eq(effort, STR("none"));
}

static void
put_include(struct json_writer *writer, bool reasoning, bool logprobs)
{
    if (!reasoning && !logprobs)
        return;
    json_key_array(writer, "include");
    if (reasoning)
        json_value_str(writer, STR("reasoning.encrypted_content"));
    if (logprobs)
        json_value_str(writer, STR("message.output_text.logprobs"));
    json_close_array(writer);
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    static const char *const native[] = {"metadata",
                                         "prompt_cache_key",
                                         "prompt_cache_retention",
                                         "service_tier",
                                         "truncation",
                                         "top_logprobs",
                                         NULL};
    static const char *const placed[] = {"verbosity", "logprobs", NULL};
    struct str verbosity = STR_EMPTY;
    int rc = 0;
    bool logprobs = false;
    for (const struct chat_field *field = request->others; field; field = field->next) {
        if (str_eq(field->name, STR("verbosity")))
            verbosity = field->raw;
        logprobs =
            logprobs || (str_eq(field->name, STR("logprobs")) && str_eq(field->raw, STR("true")));
    }
    emit_limit(emit, "max_output_tokens", request->max_output);
    emit_raw(emit, "temperature", request->temperature);
    emit_raw(emit, "top_p", request->top_p);
    if (request->top_k.len > 0)
        emit_note(emit, "top_k");
    if (request->choices > 1)
        rc = emit_lose(emit, "n");
    if (rc == 0 && request->stops != NULL)
        rc = emit_lose(emit, "stop");
    if (rc < 0)
        return rc;
    put_text(writer, request, verbosity);
    put_include(writer, put_reasoning(emit, request), logprobs);
    if (request->user.len > 64)
        emit_note(emit, "metadata.user_id");
    else if (request->user.len > 0)
        json_member_str(writer, "safety_identifier", request->user);
    json_member_bool(writer, "store", false);
    if (request->stream)
        json_member_bool(writer, "stream", true);
    return emit_others(emit, native, placed);
}

static int
put_all(struct emit *emit)
{
    int rc = emit_map_calls(emit);
    json_member_str(&emit->writer, "model", emit->target->model);
    if (rc == 0)
        rc = put_input(emit, emit->request->messages);
    bool tools = emit->request->tools != NULL || emit->search != NULL;
    if (rc == 0 && tools)
        rc = search_put_tools(emit, put_tool, search_put_responses);
    if (rc < 0)
        return rc;
    if (emit->search != NULL)
        emit_limit(emit, "max_tool_calls", emit->search->max_uses);
    if (tools)
        emit_choice(emit, false);
    return put_settings(emit, emit->request);
}

int
responses_request_out(const struct chat_request *request, const struct dialect_target *target,
                      struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.request = request,
                        .target = target,
                        .dialect = "openai-responses",
                        .has_custom = true,
                        .has_search = true,
                        .takes_offers = true,
                        .arena = arena,
                        .err = err};
    return emit_run(&emit, out, put_all);
}
