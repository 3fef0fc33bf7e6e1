/* SPDX-License-Identifier: MIT
 * openai_request_out.c - a chat completions request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: equal requests give equal bytes, so that the upstream's prompt cache keeps working;
 *            what cannot be said is refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/openai_int.h"
#include "dataplane/dialect/search_int.h"

/* ---- content parts --------------------------------------------------------------------------- */

static int
put_image(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (part->file_id.len > 0)
        return emit_refuse(emit, "image.source.file_id");
    json_member_str(writer, "type", STR("image_url"));
    json_key_object(writer, "image_url");
    emit_url(writer, "url", part);
    if (part->name.len > 0)
        json_member_str(writer, "detail", part->name);
    json_close_object(writer);
    return 0;
}

static int
put_file(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (part->text.len > 0) {
        json_member_str(writer, "type", STR("text"));
        json_member_str(writer, "text", emit_document(emit, part));
        return 0;
    }
    if (part->data.len == 0 && part->file_id.len == 0)
        return emit_refuse(emit, "document.source.url");
    json_member_str(writer, "type", STR("file"));
    json_key_object(writer, "file");
    if (part->file_id.len > 0) {
        json_member_str(writer, "file_id", part->file_id);
    } else {
        json_member_str(writer, "filename", part->name.len > 0 ? part->name : STR("document.pdf"));
        emit_url(writer, "file_data", part);
    }
    json_close_object(writer);
    return 0;
}

static void
put_audio(struct json_writer *writer, const struct chat_part *part)
{
    json_member_str(writer, "type", STR("input_audio"));
    json_key_object(writer, "input_audio");
    json_member_str(writer, "data", part->data);
    json_member_str(writer, "format", part->name);
    json_close_object(writer);
}

static bool
is_content(const struct chat_part *part)
{
    return part->kind == CHAT_PART_TEXT || part->kind == CHAT_PART_IMAGE ||
           part->kind == CHAT_PART_FILE || part->kind == CHAT_PART_AUDIO;
}

static int
put_part(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    int rc = 0;
    emit_note_part(emit, part);
    json_open_object(writer);
    if (part->kind == CHAT_PART_IMAGE) {
        rc = put_image(emit, part);
    } else if (part->kind == CHAT_PART_FILE) {
        rc = put_file(emit, part);
    } else if (part->kind == CHAT_PART_AUDIO) {
        put_audio(writer, part);
    } else {
        json_member_str(writer, "type", STR("text"));
        json_member_str(writer, "text", part->text);
    }
    if (rc == 0)
        json_close_object(writer);
    return rc;
}

/* ---- messages -------------------------------------------------------------------------------- */

static const struct chat_part *
next_content(const struct chat_part *part)
{
    while (part != NULL && !is_content(part))
        part = part->next;
    return part;
}

/* content: a plain string where one text is all there is, since not every upstream takes lists. */
static int
put_content(struct emit *emit, const struct chat_message *message)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_part *first = next_content(message->parts);
    json_key(writer, "content");
    if (first == NULL && message->role == CHAT_ROLE_ASSISTANT) {
        json_value_null(writer);
        return 0;
    }
    if (first == NULL) { /* null is an assistant's alone */
        json_value_str(writer, STR_EMPTY);
        return 0;
    }
    if (first->kind == CHAT_PART_TEXT && next_content(first->next) == NULL) {
        emit_note_part(emit, first);
        json_value_str(writer, first->text);
        return 0;
    }
    json_open_array(writer);
    for (const struct chat_part *at = first; at != NULL; at = next_content(at->next)) {
        int rc = put_part(emit, at);
        if (rc < 0)
            return rc;
    }
    json_close_array(writer);
    return 0;
}

void
openai_put_thinking(struct json_writer *writer, const struct chat_part *part, uint32_t index)
{
    bool redacted = part->kind == CHAT_PART_REDACTED;
    json_open_object(writer);
    if (index != UINT32_MAX)
        json_member_u64(writer, "index", index);
    json_member_str(writer, "type", redacted ? STR("redacted_thinking") : STR("thinking"));
    if (redacted) {
        json_member_str(writer, "data", part->signature);
    } else {
        json_member_str(writer, "thinking", part->text);
        json_member_str(writer, "signature", part->signature);
    }
    json_close_object(writer);
}

void
openai_put_delta(struct json_writer *writer, const struct chat_part *call, uint32_t index)
{
    json_open_object(writer);
    if (index != UINT32_MAX)
        json_member_u64(writer, "index", index);
    json_member_str(writer, "id", call->id);
    json_member_str(writer, "type", call->custom ? STR("custom") : STR("function"));
    json_key_object(writer, call->custom ? "custom" : "function");
    json_member_str(writer, "name", call->name);
    json_member_str(writer, call->custom ? "input" : "arguments", call->text);
    json_close_object(writer);
    json_close_object(writer);
}

void
openai_put_call(struct json_writer *writer, const struct chat_part *call)
{
    openai_put_delta(writer, call, UINT32_MAX);
}

/* Reasoning that its provider signed is of use to that provider alone; what is not signed goes back
 * as the upstreams of this dialect want it (WIRE-FORMATS 3.7). */
static void
put_reasoning(struct emit *emit, const struct chat_part *parts)
{
    struct buf text;
    buf_init(&text, emit->writer.out->max);
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->kind == CHAT_PART_REDACTED ||
            (part->kind == CHAT_PART_REASONING && part->signature.len > 0))
            emit_note(emit, "thinking");
        else if (part->kind == CHAT_PART_REASONING && emit->target->no_reasoning_control)
            emit_note(emit, "reasoning_content");
        else if (part->kind == CHAT_PART_REASONING)
            buf_put_str(&text, part->text);
    }
    if (text.len > 0)
        json_member_str(&emit->writer, "reasoning_content", buf_str(&text));
    emit->writer.out->failed |= text.failed;
    buf_fini(&text);
}

static int
put_assistant(struct emit *emit, const struct chat_message *message)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_member_str(writer, "role", STR("assistant"));
    int rc = put_content(emit, message);
    if (rc < 0)
        return rc;
    put_reasoning(emit, message->parts);
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        if (part->kind == CHAT_PART_REFUSAL) {
            json_member_str(writer, "refusal", part->text);
            break;
        }
    }
    emit_calls(writer, message->parts, openai_put_call);
    json_close_object(writer);
    return 0;
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    if (result->is_error)
        emit_note(emit, "is_error");
    emit_note_part(emit, result);
    json_open_object(writer);
    json_member_str(writer, "role", STR("tool"));
    json_member_str(writer, "tool_call_id", result->id);
    json_member_str(
        writer, "content",
        emit_texts(writer, emit->arena, result->content, EMIT_KIND(CHAT_PART_TEXT), STR("\n")));
    json_close_object(writer);
    return 0;
}

/* The result's parts that are not text, which a tool message cannot hold. */
static const struct chat_part *
next_media(const struct chat_part *part)
{
    while (part != NULL && (!is_content(part) || part->kind == CHAT_PART_TEXT))
        part = part->next;
    return part;
}

static bool
results_have_media(const struct chat_message *message)
{
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
        if (part->kind == CHAT_PART_TOOL_RESULT && next_media(part->content) != NULL)
            return true;
    return false;
}

/* Pictures in results follow in a user message, before what the user says. */
static int
put_user_list(struct emit *emit, const struct chat_message *message)
{
    struct json_writer *writer = &emit->writer;
    json_key_array(writer, "content");
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        for (const struct chat_part *inner = next_media(part->content); inner != NULL;
             inner = next_media(inner->next)) {
            int rc = put_part(emit, inner);
            if (rc < 0)
                return rc;
        }
    }
    for (const struct chat_part *part = next_content(message->parts); part != NULL;
         part = next_content(part->next)) {
        int rc = put_part(emit, part);
        if (rc < 0)
            return rc;
    }
    json_close_array(writer);
    return 0;
}

static int
put_other(struct emit *emit, const struct chat_message *message)
{
    struct json_writer *writer = &emit->writer;
    bool more = true;
    int rc = emit_results(emit, message, put_result, &more);
    bool media = results_have_media(message);
    if (rc < 0 || (!more && !media))
        return rc;
    json_open_object(writer);
    json_member_str(writer, "role", emit_role(message, true));
    if (message->name.len > 0)
        json_member_str(writer, "name", message->name);
    rc = media ? put_user_list(emit, message) : put_content(emit, message);
    if (rc == 0) /* what failed stays open: nobody reads it */
        json_close_object(writer);
    return rc;
}

static int
put_messages(struct emit *emit, const struct chat_message *message)
{
    json_key_array(&emit->writer, "messages");
    for (; message != NULL; message = message->next) {
        int rc = message->role == CHAT_ROLE_ASSISTANT ? put_assistant(emit, message)
                                                      : put_other(emit, message);
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
    json_key_object(writer, tool->custom ? "custom" : "function");
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    if (tool->custom && tool->format.len > 0)
        json_member_raw(writer, "format", tool->format);
    if (!tool->custom)
        emit_schema(writer, "parameters", tool->schema);
    if (tool->strict != CHAT_UNSET)
        json_member_bool(writer, "strict", tool->strict == CHAT_ON);
    json_close_object(writer);
    json_close_object(writer);
    return 0;
}

static void
put_format(struct json_writer *writer, const struct chat_request *request)
{
    if (request->format == CHAT_FORMAT_UNSET || request->format == CHAT_FORMAT_TEXT)
        return;
    json_key_object(writer, "response_format");
    if (request->format == CHAT_FORMAT_JSON) {
        json_member_str(writer, "type", STR("json_object"));
    } else {
        struct str name = request->format_name.len > 0 ? request->format_name : STR("answer");
        json_member_str(writer, "type", STR("json_schema"));
        json_key_object(writer, "json_schema");
        json_member_str(writer, "name", name);
        if (request->schema.len > 0)
            json_member_raw(writer, "schema", request->schema);
        if (request->schema_strict != CHAT_UNSET)
            json_member_bool(writer, "strict", request->schema_strict == CHAT_ON);
        json_close_object(writer);
    }
    json_close_object(writer);
}

static void
put_effort(struct emit *emit, const struct chat_request *request)
{
    struct str effort = request->effort;
    if (effort.len == 0 && request->thinking == CHAT_THINKING_BUDGET)
        effort = reasoning_effort(request->thinking_budget);
    if (effort.len == 0 || request->thinking == CHAT_THINKING_OFF)
        return;
    if (emit->target->no_reasoning_control)
        emit_note(emit, "reasoning_effort");
    else
        json_member_str(&emit->writer, "reasoning_effort", effort);
}

static void
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    const char *limit = emit->target->max_output_field;
    emit_limit(emit, limit != NULL ? limit : "max_completion_tokens", request->max_output);
    emit_raw(emit, "temperature", request->temperature);
    emit_raw(emit, "top_p", request->top_p);
    if (request->top_k.len > 0)
        emit_note(emit, "top_k");
    if (request->choices > 1)
        json_member_u64(writer, "n", request->choices);
    emit_stops(emit, "stop");
    put_format(writer, request);
    put_effort(emit, request);
    if (request->user.len > 64)
        emit_note(emit, "metadata.user_id");
    else if (request->user.len > 0)
        json_member_str(writer, "user", request->user);
}

static void
put_stream(struct json_writer *writer, const struct chat_request *request)
{
    if (!request->stream)
        return;
    json_member_bool(writer, "stream", true);
    json_key_object(writer, "stream_options");
    json_member_bool(writer, "include_usage", true);
    json_close_object(writer);
}

static int
put_all(struct emit *emit)
{
    static const char *const native[] = {"seed",
                                         "presence_penalty",
                                         "frequency_penalty",
                                         "logit_bias",
                                         "logprobs",
                                         "top_logprobs",
                                         "verbosity",
                                         "prompt_cache_key",
                                         "prediction",
                                         "service_tier",
                                         NULL};
    const struct chat_request *request = emit->request;
    json_member_str(&emit->writer, "model", emit->target->model);
    int rc = put_messages(emit, request->messages);
    if (rc == 0 && emit->request->tools != NULL)
        rc = emit_tools(emit, "tools", put_tool);
    if (rc < 0)
        return rc;
    if (emit->request->tools != NULL)
        emit_choice(emit, true);
    put_settings(emit, request);
    rc = emit->search != NULL ? search_put_openai(emit) : 0;
    if (rc == 0)
        rc = emit_others(emit, native, NULL);
    put_stream(&emit->writer, request);
    return rc;
}

int
openai_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.request = request,
                        .target = target,
                        .dialect = "openai",
                        .has_custom = true,
                        .has_search = true,
                        .arena = arena,
                        .err = err};
    return emit_run(&emit, out, put_all);
}
