/* SPDX-License-Identifier: MIT
 * anthropic_request_out.c - a Messages request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: roles alternate; a user message has its tool results first; an assistant message has
 *            its signed thinking first. What cannot be said is refused or noted (loss.c). Spec:
 *            WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/claude_int.h"
#include "dataplane/dialect/search_int.h"

#define OUTPUT_DEFAULT 4096u

static void
put_cache(struct json_writer *writer, struct str cache)
{
    if (cache.len > 0)
        json_member_raw(writer, "cache_control", cache);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void
put_text_block(struct emit *emit, const struct chat_part *part, struct str text)
{
    struct json_writer *writer = &emit->writer;
    if (text.len == 0) /* refused by the upstream */
        return;
    json_open_object(writer);
    json_member_str(writer, "type", STR("text"));
    json_member_str(writer, "text", text);
    put_cache(writer, part->cache);
    json_close_object(writer);
}

static void
put_source(struct json_writer *writer, const struct chat_part *part)
{
    json_key_object(writer, "source");
    if (part->kind == CHAT_PART_FILE && part->text.len > 0) {
        json_member_str(writer, "type", STR("text"));
        json_member_str(writer, "media_type", STR("text/plain"));
        json_member_str(writer, "data", part->text);
    } else if (part->data.len > 0) {
        json_member_str(writer, "type", STR("base64"));
        json_member_str(writer, "media_type", part->media_type);
        json_member_str(writer, "data", part->data);
    } else {
        json_member_str(writer, "type", STR("url"));
        json_member_str(writer, "url", part->url);
    }
    json_close_object(writer);
}

static int
put_media(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    bool image = part->kind == CHAT_PART_IMAGE;
    if (part->kind == CHAT_PART_AUDIO)
        return emit_refuse(emit, "input_audio");
    if (part->file_id.len > 0)
        return emit_refuse(emit, "file_id");
    if (image && part->name.len > 0 && !str_eq(part->name, STR("auto")))
        emit_note(emit, "image_url.detail");
    json_open_object(writer);
    json_member_str(writer, "type", image ? STR("image") : STR("document"));
    put_source(writer, part);
    if (!image && part->name.len > 0)
        json_member_str(writer, "title", part->name);
    put_cache(writer, part->cache);
    json_close_object(writer);
    return 0;
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_member_str(writer, "type", STR("tool_result"));
    emit_id(writer, "tool_use_id", result->id, SIZE_MAX);
    json_key_array(writer, "content");
    for (const struct chat_part *part = result->content; part != NULL; part = part->next) {
        int rc = 0;
        if (part->kind == CHAT_PART_TEXT)
            put_text_block(emit, part, part->text);
        else
            rc = put_media(emit, part);
        if (rc < 0)
            return rc;
    }
    json_close_array(writer);
    if (result->is_error)
        json_member_bool(writer, "is_error", true);
    put_cache(writer, result->cache);
    json_close_object(writer);
    return 0;
}

static void
put_thinking(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    bool redacted = part->kind == CHAT_PART_REDACTED;
    if (!emit_is_signed(part)) { /* nobody signed it, or another vendor: it would be refused */
        emit_note(emit, "reasoning_content");
        return;
    }
    json_open_object(writer);
    json_member_str(writer, "type", redacted ? STR("redacted_thinking") : STR("thinking"));
    if (!redacted)
        json_member_str(writer, "thinking", part->text);
    json_member_str(writer, redacted ? "data" : "signature", part->signature);
    json_close_object(writer);
}

static void
put_tool_use(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_member_str(writer, "type", STR("tool_use"));
    emit_id(writer, "id", part->id, SIZE_MAX);
    json_member_str(writer, "name", part->name);
    emit_arguments(writer, "input", part->text);
    put_cache(writer, part->cache);
    json_close_object(writer);
}

static int
put_part(struct emit *emit, const struct chat_part *part)
{
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        put_text_block(emit, part, part->text);
        return 0;
    case CHAT_PART_REASONING:
    case CHAT_PART_REDACTED:
        put_thinking(emit, part);
        return 0;
    case CHAT_PART_TOOL_CALL:
        put_tool_use(emit, part);
        return 0;
    case CHAT_PART_TOOL_RESULT:
        return put_result(emit, part);
    case CHAT_PART_IMAGE:
    case CHAT_PART_FILE:
    case CHAT_PART_AUDIO:
        break;
    }
    return put_media(emit, part);
}

/* The same at the end of a prefill, which must not end in blanks. */
static int
put_last(struct emit *emit, const struct chat_part *part)
{
    struct chat_part last = *part;
    if (part->next != NULL || part->kind != CHAT_PART_TEXT)
        return put_part(emit, part);
    while (last.text.len > 0 && strchr(" \t\r\n", last.text.ptr[last.text.len - 1]) != NULL)
        last.text.len--;
    return put_part(emit, &last);
}

/* ---- messages -------------------------------------------------------------------------------- */

static int
put_turn(struct emit *emit, const struct chat_message *turn, const struct chat_message *end)
{
    struct json_writer *writer = &emit->writer;
    bool assistant = turn->role == CHAT_ROLE_ASSISTANT;
    json_open_object(writer);
    json_member_str(writer, "role", emit_role(turn, false));
    json_key_array(writer, "content");
    int rc = emit_turn_parts(emit, turn, end, true, put_result);
    if (rc == 0)
        rc =
            emit_turn_parts(emit, turn, end, false, assistant && end == NULL ? put_last : put_part);
    if (rc < 0)
        return rc;
    json_close_array(writer);
    json_close_object(writer);
    return 0;
}

/* ---- tools ----------------------------------------------------------------------------------- */

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    emit_schema(writer, "input_schema", tool->schema);
    if (tool->strict == CHAT_ON)
        json_member_bool(writer, "strict", true);
    put_cache(writer, tool->cache);
    json_close_object(writer);
    return 0;
}

static void
put_tool_choice(struct json_writer *writer, const struct chat_request *request)
{
    static const char *const types[] = {[CHAT_CHOICE_UNSET] = "auto",
                                        [CHAT_CHOICE_AUTO] = "auto",
                                        [CHAT_CHOICE_NONE] = "none",
                                        [CHAT_CHOICE_REQUIRED] = "any",
                                        [CHAT_CHOICE_NAMED] = "tool"};
    bool serial = request->parallel_tools == CHAT_OFF && request->tool_choice != CHAT_CHOICE_NONE;
    if (request->tool_choice == CHAT_CHOICE_UNSET && !serial)
        return;
    json_key_object(writer, "tool_choice");
    json_member_str(writer, "type", str_from(types[request->tool_choice]));
    if (request->tool_choice == CHAT_CHOICE_NAMED)
        json_member_str(writer, "name", request->tool_choice_name);
    if (serial)
        json_member_bool(writer, "disable_parallel_tool_use", true);
    json_close_object(writer);
}

static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    int rc = 0;
    if (request->tools != NULL || emit->search != NULL) {
        rc = search_put_tools(emit, put_tool, search_put_anthropic);
        put_tool_choice(&emit->writer, request);
    } else if (emit_has_calls(emit)) {
        json_key_array(&emit->writer, "tools");
        rc = put_tool(emit, &emit_stand_in);
        json_close_array(&emit->writer);
        json_member_raw(&emit->writer, "tool_choice", STR("{\"type\":\"none\"}"));
    }
    return rc;
}

/* ---- settings -------------------------------------------------------------------------------- */

static int
put_output_config(struct emit *emit, const struct chat_request *request, struct str effort)
{
    struct json_writer *writer = &emit->writer;
    bool schema = request->format == CHAT_FORMAT_SCHEMA;
    if (request->format == CHAT_FORMAT_JSON) {
        int rc = emit_lose(emit, "response_format.json_object");
        if (rc < 0)
            return rc;
    }
    if (!schema && effort.len == 0)
        return 0;
    json_key_object(writer, "output_config");
    if (effort.len > 0)
        json_member_str(writer, "effort", effort);
    if (schema) {
        json_key_object(writer, "format");
        json_member_str(writer, "type", STR("json_schema"));
        json_member_raw(writer, "schema", request->schema.len > 0 ? request->schema : STR("{}"));
        json_close_object(writer);
    }
    json_close_object(writer);
    return 0;
}

static int
put_settings(struct emit *emit, const struct chat_request *request, uint64_t max_output)
{
    struct json_writer *writer = &emit->writer;
    json_member_u64(writer, "max_tokens", max_output);
    const struct claude_thinking thinking = claude_thinking(emit, max_output);
    claude_put_thinking(emit, &thinking);
    int rc = put_output_config(emit, request, thinking.effort);
    if (rc < 0)
        return rc;
    if (request->choices > 1 && (rc = emit_lose(emit, "n")) < 0)
        return rc;
    claude_put_sampling(emit, &thinking, "temperature", request->temperature, "temperature");
    claude_put_sampling(emit, &thinking, "top_p", request->top_p, "top_p");
    claude_put_sampling(emit, &thinking, "top_k", request->top_k, "top_k");
    emit_stops(emit, "stop_sequences");
    if (request->user.len > 0) {
        json_key_object(writer, "metadata");
        json_member_str(writer, "user_id", request->user);
        json_close_object(writer);
    }
    if (request->stream)
        json_member_bool(writer, "stream", true);
    return 0;
}

static int
put_all(struct emit *emit)
{
    static const char *const native[] = {"cache_control", NULL}; /* automatic caching */
    const struct chat_request *request = emit->request;
    uint64_t limit = emit->target->max_output > 0 ? emit->target->max_output : OUTPUT_DEFAULT;
    json_member_str(&emit->writer, "model", emit->target->model);
    int rc = emit_systems(emit, put_part);
    if (rc == 0)
        rc = emit_turns(emit, "messages", true, put_turn);
    if (rc == 0)
        rc = put_tools(emit, request);
    if (rc < 0)
        return rc;
    rc = put_settings(emit, request, request->max_output > 0 ? request->max_output : limit);
    return rc < 0 ? rc : emit_others(emit, native, NULL);
}

int
anthropic_request_out(const struct chat_request *request, const struct dialect_target *target,
                      struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.request = request,
                        .target = target,
                        .dialect = "anthropic",
                        .has_search = true,
                        .takes_offers = true,
                        .arena = arena,
                        .err = err};
    return emit_run(&emit, out, put_all);
}
