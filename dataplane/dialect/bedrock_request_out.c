/* SPDX-License-Identifier: MIT
 * bedrock_request_out.c - a Converse request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: roles alternate, results come first in their turn. What cannot be said is refused or
 *            noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/bedrock_int.h"
#include "dataplane/dialect/claude_int.h"

#define ID_BYTES_MAX 64u

/* ---- blocks ---------------------------------------------------------------------------------- */

static void
put_cache_point(struct emit *emit, struct str cache)
{
    bool hour = str_find(cache, STR("\"1h\"")) != SIZE_MAX;
    if (cache.len > 0)
        json_value_raw(&emit->writer,
                       hour ? STR("{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}")
                            : STR("{\"cachePoint\":{\"type\":\"default\"}}"));
}

static void
put_text(struct emit *emit, const struct chat_part *part)
{
    if (part->text.len == 0) /* refused by the upstream */
        return;
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "text", part->text);
    json_close_object(&emit->writer);
}

/* The part of a media type behind the '/', in the words of this dialect. */
static struct str
format_of(const struct chat_part *part)
{
    size_t slash = str_find_byte(part->media_type, '/');
    struct str format = slash == SIZE_MAX ? STR_EMPTY : str_skip(part->media_type, slash + 1);
    if (str_eq(format, STR("plain")))
        return STR("txt");
    return format.len > 0 ? format : part->kind == CHAT_PART_IMAGE ? STR("png") : STR("pdf");
}

static int
put_media(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    bool image = part->kind == CHAT_PART_IMAGE;
    if (part->kind == CHAT_PART_AUDIO)
        return emit_refuse(emit, "input_audio");
    if (part->kind == CHAT_PART_FILE && part->text.len > 0) {
        struct chat_part text = {.text = emit_document(emit, part)};
        put_text(emit, &text);
        return 0;
    }
    if (part->data.len == 0) /* it fetches nothing */
        return emit_refuse(emit, part->file_id.len > 0 ? "file_id"
                                 : image               ? "image_url.url"
                                                       : "file");
    json_open_object(writer);
    json_key_object(writer, image ? "image" : "document");
    json_member_str(writer, "format", format_of(part));
    if (!image) /* names must differ */
        json_member_str(writer, "name",
                        arena_printf(emit->arena, "document %u", ++emit->documents));
    json_key_object(writer, "source");
    json_member_str(writer, "bytes", part->data);
    json_close_object(writer);
    json_close_object(writer);
    json_close_object(writer);
    return 0;
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_key_object(writer, "toolResult");
    emit_id(writer, "toolUseId", result->id, ID_BYTES_MAX);
    json_key_array(writer, "content");
    for (const struct chat_part *part = result->content; part != NULL; part = part->next) {
        int rc = 0;
        if (part->kind == CHAT_PART_TEXT)
            put_text(emit, part);
        else
            rc = put_media(emit, part);
        if (rc < 0)
            return rc;
    }
    json_close_array(writer);
    if (result->is_error)
        json_member_str(writer, "status", STR("error"));
    json_close_object(writer);
    json_close_object(writer);
    put_cache_point(emit, result->cache);
    return 0;
}

static void
put_call(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_key_object(writer, "toolUse");
    emit_id(writer, "toolUseId", part->id, ID_BYTES_MAX);
    json_member_str(writer, "name", part->name);
    emit_arguments(writer, "input", part->text);
    json_close_object(writer);
    json_close_object(writer);
}

static void
put_reasoning(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (!emit_is_signed(part)) {
        emit_note(emit, "reasoning_content"); /* signed by nobody, or elsewhere */
        return;
    }
    json_open_object(writer);
    json_key_object(writer, "reasoningContent");
    if (part->kind == CHAT_PART_REDACTED) {
        json_member_str(writer, "redactedContent", part->signature);
    } else {
        json_key_object(writer, "reasoningText");
        json_member_str(writer, "text", part->text);
        json_member_str(writer, "signature", part->signature);
        json_close_object(writer);
    }
    json_close_object(writer);
    json_close_object(writer);
}

static int
put_part(struct emit *emit, const struct chat_part *part)
{
    int rc = 0;
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len == 0) /* nor can a mark end it */
            return 0;
        put_text(emit, part);
        break;
    case CHAT_PART_REASONING:
    case CHAT_PART_REDACTED:
        put_reasoning(emit, part);
        break;
    case CHAT_PART_TOOL_CALL:
        put_call(emit, part);
        break;
    case CHAT_PART_TOOL_RESULT:
        return put_result(emit, part);
    case CHAT_PART_IMAGE:
    case CHAT_PART_FILE:
    case CHAT_PART_AUDIO:
        rc = put_media(emit, part);
        break;
    }
    if (part->extra.len > 0) /* answers with them have blocks of their own here */
        emit_note(emit, "citations");
    if (rc == 0)
        put_cache_point(emit, part->cache);
    return rc;
}

/* ---- messages -------------------------------------------------------------------------------- */

static int
put_turn(struct emit *emit, const struct chat_message *turn, const struct chat_message *end)
{
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", emit_role(turn, false));
    json_key_array(&emit->writer, "content");
    int rc = emit_turn_parts(emit, turn, end, true, put_part);
    if (rc == 0)
        rc = emit_turn_parts(emit, turn, end, false, put_part);
    if (rc < 0)
        return rc;
    json_close_array(&emit->writer);
    json_close_object(&emit->writer);
    return 0;
}

/* ---- tools and settings ---------------------------------------------------------------------- */

static void
put_tool_choice(struct json_writer *writer, const struct chat_request *request)
{
    if (request->tool_choice == CHAT_CHOICE_REQUIRED)
        json_member_raw(writer, "toolChoice", STR("{\"any\":{}}"));
    else if (request->tool_choice == CHAT_CHOICE_AUTO)
        json_member_raw(writer, "toolChoice", STR("{\"auto\":{}}"));
    if (request->tool_choice != CHAT_CHOICE_NAMED)
        return;
    json_key_object(writer, "toolChoice");
    json_key_object(writer, "tool");
    json_member_str(writer, "name", request->tool_choice_name);
    json_close_object(writer);
    json_close_object(writer);
}

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_key_object(writer, "toolSpec");
    json_member_str(writer, "name", tool->name);
    emit_text(emit, "description", tool->description);
    json_key_object(writer, "inputSchema");
    emit_schema(writer, "json", tool->schema);
    json_close_object(writer);
    if (tool->strict == CHAT_ON)
        json_member_bool(writer, "strict", true);
    json_close_object(writer);
    json_close_object(writer);
    put_cache_point(emit, tool->cache);
    return 0;
}

/* There is no choice of none: the tools are left out, which only a conversation without calls can
 * do (3.3). */
static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool called = emit_has_calls(emit);
    bool none = request->tools == NULL || request->tool_choice == CHAT_CHOICE_NONE;
    if (request->parallel_tools == CHAT_OFF)
        emit_note(emit, "parallel_tool_calls");
    if (none && !called)
        return 0;
    int rc = none && request->tools != NULL ? emit_lose(emit, "tool_choice") : 0;
    if (rc < 0)
        return rc;
    json_key_object(writer, "toolConfig");
    if (request->tools != NULL) {
        rc = emit_tools(emit, "tools", put_tool);
        put_tool_choice(writer, request);
    } else {
        json_key_array(writer, "tools");
        rc = put_tool(emit, &emit_stand_in);
        json_close_array(writer);
    }
    if (rc == 0)
        json_close_object(writer);
    return rc;
}

/* The schema goes as a text. */
static void
put_format(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    if (request->format != CHAT_FORMAT_SCHEMA)
        return;
    json_key_object(writer, "outputConfig");
    json_key_object(writer, "textFormat");
    json_member_str(writer, "type", STR("json_schema"));
    json_key_object(writer, "structure");
    json_key_object(writer, "jsonSchema");
    json_member_str(writer, "schema", request->schema.len > 0 ? request->schema : STR("{}"));
    emit_text(emit, "name", request->format_name);
    for (unsigned i = 0; i < 4; i++)
        json_close_object(writer);
}

static void
put_inference(struct emit *emit, const struct claude_thinking *thinking)
{
    const struct chat_request *request = emit->request;
    json_key_object(&emit->writer, "inferenceConfig");
    emit_limit(emit, "maxTokens", request->max_output);
    claude_put_sampling(emit, thinking, "temperature", request->temperature, "temperature");
    claude_put_sampling(emit, thinking, "topP", request->top_p, "top_p");
    emit_stops(emit, "stopSequences");
    json_close_object(&emit->writer);
}

static void
put_additional(struct emit *emit, const struct claude_thinking *thinking, struct str top_k)
{
    if (!thinking->on && top_k.len == 0)
        return;
    json_key_object(&emit->writer, "additionalModelRequestFields");
    claude_put_sampling(emit, thinking, "top_k", top_k, "top_k");
    claude_put_thinking(emit, thinking);
    if (thinking->effort.len > 0) {
        json_key_object(&emit->writer, "output_config");
        json_member_str(&emit->writer, "effort", thinking->effort);
        json_close_object(&emit->writer);
    }
    json_close_object(&emit->writer);
}

/* Settings whose place is the model's. */
static void
put_settings(struct emit *emit, const struct chat_request *request)
{
    bool claude = str_find(emit->target->model, STR("claude")) != SIZE_MAX;
    uint64_t limit = emit->target->max_output > 0 ? emit->target->max_output : 4096;
    struct claude_thinking thinking = {.effort = STR_EMPTY};
    if (claude)
        thinking = claude_thinking(emit, request->max_output > 0 ? request->max_output : limit);
    else if (request->effort.len > 0 || request->thinking == CHAT_THINKING_BUDGET ||
             request->thinking == CHAT_THINKING_ADAPTIVE)
        emit_note(emit, "reasoning_effort");
    if (!claude && request->top_k.len > 0)
        emit_note(emit, "top_k");
    put_inference(emit, &thinking);
    put_format(emit, request);
    put_additional(emit, &thinking, claude ? request->top_k : STR_EMPTY);
}

static int
put_all(struct emit *emit)
{
    const struct chat_request *request = emit->request;
    int rc = emit_others(emit, NULL, NULL);
    if (rc == 0 && request->choices > 1)
        rc = emit_lose(emit, "n");
    if (rc == 0 && request->format == CHAT_FORMAT_JSON)
        rc = emit_lose(emit, "response_format.json_object");
    if (request->user.len > 0)
        emit_note(emit, "user");
    if (rc == 0)
        rc = emit_turns(emit, "messages", true, put_turn);
    if (rc == 0)
        rc = emit_systems(emit, put_part);
    if (rc == 0)
        rc = put_tools(emit, request);
    if (rc < 0)
        return rc;
    put_settings(emit, request);
    return 0;
}

int
bedrock_request_out(const struct chat_request *request, const struct dialect_target *target,
                    struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.request = request,
                        .target = target,
                        .dialect = "bedrock-converse",
                        .arena = arena,
                        .err = err};
    return emit_run(&emit, out, put_all);
}
