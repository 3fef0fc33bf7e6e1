/* SPDX-License-Identifier: MIT
 * bedrock_request_out.c - a Converse request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: roles alternate, results come first in their turn. What cannot be said is refused or
 *            noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/bedrock_int.h"

#include <stdio.h>

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct err *err;
    unsigned documents; /* their names must differ */
};

static int
refuse(struct emit *emit, const char *field)
{
    return err_set(emit->err, ERR_UNSUPPORTED, "field `%s` cannot be carried to bedrock-converse",
                   field);
}

static bool
is_system(const struct chat_message *message)
{
    return message->role == CHAT_ROLE_SYSTEM || message->role == CHAT_ROLE_DEVELOPER;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void
put_cache_point(struct emit *emit, struct str cache)
{
    if (cache.len > 0)
        json_value_raw(&emit->writer, STR("{\"cachePoint\":{\"type\":\"default\"}}"));
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
    char name[32];
    bool image = part->kind == CHAT_PART_IMAGE;
    if (part->kind == CHAT_PART_AUDIO)
        return refuse(emit, "input_audio");
    if (part->kind == CHAT_PART_FILE && part->text.len > 0) {
        put_text(emit, part);
        return 0;
    }
    if (part->data.len == 0) /* it fetches nothing */
        return refuse(emit, part->file_id.len > 0 ? "file_id" : image ? "image_url.url" : "file");
    json_open_object(writer);
    json_key(writer, image ? "image" : "document");
    json_open_object(writer);
    json_member_str(writer, "format", format_of(part));
    if (!image) {
        int size = snprintf(name, sizeof(name), "document %u", ++emit->documents);
        json_member_str(writer, "name", str_make(name, (size_t)size));
    }
    json_key(writer, "source");
    json_open_object(writer);
    json_member_str(writer, "bytes", part->data);
    json_close_object(writer);
    json_close_object(writer);
    json_close_object(writer);
    return 0;
}

static void
put_id(struct json_writer *writer, struct str id)
{
    char text[64];
    size_t size = MIN(id.len, sizeof(text));
    for (size_t i = 0; i < size; i++) {
        char c = id.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        text[i] = word || c == '-' || c == '_' ? c : '_';
    }
    json_member_str(writer, "toolUseId", str_make(text, size));
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_key(writer, "toolResult");
    json_open_object(writer);
    put_id(writer, result->id);
    json_key(writer, "content");
    json_open_array(writer);
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
    json_key(writer, "toolUse");
    json_open_object(writer);
    put_id(writer, part->id);
    json_member_str(writer, "name", part->name);
    json_key(writer, "input");
    if (str_trim(part->text).len == 0) {
        json_value_raw(writer, STR("{}"));
    } else if (intake_is_object(part->text)) {
        json_value_raw(writer, part->text);
    } else { /* not JSON: kept as it is, so that nothing is lost */
        json_open_object(writer);
        json_member_str(writer, "raw_arguments", part->text);
        json_close_object(writer);
    }
    json_close_object(writer);
    json_close_object(writer);
}

static void
put_reasoning(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    struct str id;
    struct str encrypted;
    if (part->signature.len == 0 || seal_open_reasoning(part->signature, &id, &encrypted)) {
        loss_note(emit->target, STR("reasoning_content")); /* signed by nobody, or elsewhere */
        return;
    }
    json_open_object(writer);
    json_key(writer, "reasoningContent");
    json_open_object(writer);
    if (part->kind == CHAT_PART_REDACTED) {
        json_member_str(writer, "redactedContent", part->signature);
    } else {
        json_key(writer, "reasoningText");
        json_open_object(writer);
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
        put_text(emit, part);
        break;
    case CHAT_PART_REASONING:
    case CHAT_PART_REDACTED:
        put_reasoning(emit, part);
        break;
    case CHAT_PART_TOOL_CALL:
        if (part->custom)
            return refuse(emit, "tool_calls.custom");
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
    if (rc == 0)
        put_cache_point(emit, part->cache);
    return rc;
}

/* ---- messages -------------------------------------------------------------------------------- */

static const struct chat_message *
next_turn(const struct chat_message *message)
{
    while (message != NULL && is_system(message))
        message = message->next;
    return message;
}

static int
put_turn(struct emit *emit, const struct chat_message *first, const struct chat_message *end)
{
    struct json_writer *writer = &emit->writer;
    json_open_object(writer);
    json_member_str(writer, "role",
                    first->role == CHAT_ROLE_ASSISTANT ? STR("assistant") : STR("user"));
    json_key(writer, "content");
    json_open_array(writer);
    for (unsigned pass = 0; pass < 2; pass++) { /* results first */
        for (const struct chat_message *at = first; at != end; at = at->next) {
            for (const struct chat_part *part = at->parts; part != NULL; part = part->next) {
                if (is_system(at) || (part->kind == CHAT_PART_TOOL_RESULT) != (pass == 0))
                    continue;
                int rc = put_part(emit, part);
                if (rc < 0)
                    return rc;
            }
            if (at->name.len > 0)
                loss_note(emit->target, STR("name"));
        }
    }
    json_close_array(writer);
    json_close_object(writer);
    return 0;
}

static int
put_messages(struct emit *emit, const struct chat_message *messages)
{
    struct json_writer *writer = &emit->writer;
    json_key(writer, "messages");
    json_open_array(writer);
    const struct chat_message *turn = next_turn(messages);
    while (turn != NULL) {
        bool assistant = turn->role == CHAT_ROLE_ASSISTANT;
        const struct chat_message *end = next_turn(turn->next);
        while (end != NULL && (end->role == CHAT_ROLE_ASSISTANT) == assistant)
            end = next_turn(end->next);
        int rc = put_turn(emit, turn, end);
        if (rc < 0)
            return rc;
        turn = end;
    }
    json_close_array(writer);
    return 0;
}

static int
put_system(struct emit *emit, const struct chat_message *messages)
{
    bool open = false;
    for (const struct chat_message *at = messages; at != NULL; at = at->next) {
        for (const struct chat_part *part = at->parts; part != NULL; part = part->next) {
            if (!is_system(at))
                continue;
            if (part->kind != CHAT_PART_TEXT)
                return refuse(emit, "media in a system message");
            if (!open) {
                json_key(&emit->writer, "system");
                json_open_array(&emit->writer);
            }
            open = true;
            put_text(emit, part);
            put_cache_point(emit, part->cache);
        }
    }
    if (open)
        json_close_array(&emit->writer);
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
    json_key(writer, "toolChoice");
    json_open_object(writer);
    json_key(writer, "tool");
    json_open_object(writer);
    json_member_str(writer, "name", request->tool_choice_name);
    json_close_object(writer);
    json_close_object(writer);
}

static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    if (request->parallel_tools == CHAT_OFF)
        loss_note(emit->target, STR("parallel_tool_calls"));
    if (request->tools == NULL)
        return 0;
    if (request->tool_choice == CHAT_CHOICE_NONE) {
        int rc = loss(emit->target, "bedrock-converse", STR("tool_choice"), false, emit->err);
        if (rc < 0)
            return rc;
    }
    json_key(writer, "toolConfig");
    json_open_object(writer);
    json_key(writer, "tools");
    json_open_array(writer);
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next) {
        if (tool->custom)
            return refuse(emit, "tools.custom");
        json_open_object(writer);
        json_key(writer, "toolSpec");
        json_open_object(writer);
        json_member_str(writer, "name", tool->name);
        if (tool->description.len > 0)
            json_member_str(writer, "description", tool->description);
        json_key(writer, "inputSchema");
        json_open_object(writer);
        json_member_raw(writer, "json",
                        tool->schema.len > 2 ? tool->schema
                                             : STR("{\"type\":\"object\",\"properties\":{}}"));
        json_close_object(writer);
        if (tool->strict == CHAT_ON)
            json_member_bool(writer, "strict", true);
        json_close_object(writer);
        json_close_object(writer);
        put_cache_point(emit, tool->cache);
    }
    json_close_array(writer);
    put_tool_choice(writer, request);
    json_close_object(writer);
    return 0;
}

static void
put_inference(struct json_writer *writer, const struct chat_request *request)
{
    json_key(writer, "inferenceConfig");
    json_open_object(writer);
    if (request->max_output > 0)
        json_member_u64(writer, "maxTokens", request->max_output);
    if (request->temperature.len > 0)
        json_member_raw(writer, "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(writer, "topP", request->top_p);
    if (request->stops != NULL) {
        json_key(writer, "stopSequences");
        json_open_array(writer);
        for (const struct chat_text *stop = request->stops; stop != NULL; stop = stop->next)
            json_value_str(writer, stop->text);
        json_close_array(writer);
    }
    json_close_object(writer);
}

/* What only some models take: thinking and top_k of Claude's. */
static void
put_additional(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool claude = str_find(emit->target->model, STR("claude")) != SIZE_MAX;
    uint64_t limit = emit->target->max_output > 0 ? emit->target->max_output : 4096;
    uint64_t max = request->max_output > 0 ? request->max_output : limit;
    uint64_t budget = request->thinking_budget;
    if (budget == 0 && request->effort.len > 0)
        budget = reasoning_budget(request->effort, max);
    bool thinks =
        claude && request->thinking != CHAT_THINKING_OFF && budget >= 1024 && budget < max;
    bool top_k = claude && request->top_k.len > 0;
    if (!thinks && (request->effort.len > 0 || request->thinking == CHAT_THINKING_BUDGET ||
                    request->thinking == CHAT_THINKING_ADAPTIVE))
        loss_note(emit->target, STR("reasoning_effort"));
    if (!top_k && request->top_k.len > 0)
        loss_note(emit->target, STR("top_k"));
    if (!thinks && !top_k)
        return;
    json_key(writer, "additionalModelRequestFields");
    json_open_object(writer);
    if (top_k)
        json_member_raw(writer, "top_k", request->top_k);
    if (thinks) {
        json_key(writer, "thinking");
        json_open_object(writer);
        json_member_str(writer, "type", STR("enabled"));
        json_member_u64(writer, "budget_tokens", budget);
        json_close_object(writer);
    }
    json_close_object(writer);
}

int
bedrock_request_out(const struct chat_request *request, const struct dialect_target *target,
                    struct arena *arena, struct buf *out, struct err *err)
{
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
                                           "speed",
                                           "context_management",
                                           "reasoning.summary",
                                           NULL};
    struct emit emit = {.target = target, .err = err};
    (void)arena;
    int rc = loss_others(request, target, "bedrock-converse", advisory, err);
    if (rc == 0 && request->choices > 1)
        rc = loss(target, "bedrock-converse", STR("n"), false, err);
    if (rc == 0 && (request->format == CHAT_FORMAT_JSON || request->format == CHAT_FORMAT_SCHEMA))
        rc = loss(target, "bedrock-converse", STR("response_format"), false, err);
    if (rc < 0)
        return rc;
    if (request->user.len > 0)
        loss_note(target, STR("user"));
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    rc = put_messages(&emit, request->messages);
    if (rc == 0)
        rc = put_system(&emit, request->messages);
    if (rc == 0)
        rc = put_tools(&emit, request);
    if (rc < 0)
        return rc;
    put_inference(&emit.writer, request);
    put_additional(&emit, request);
    json_close_object(&emit.writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
