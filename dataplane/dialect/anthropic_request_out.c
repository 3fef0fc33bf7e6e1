/* SPDX-License-Identifier: MIT
 * anthropic_request_out.c - a Messages request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: roles alternate; a user message has its tool results first; an assistant message has
 *            its signed thinking first. What cannot be said is refused or noted (loss.c). Spec:
 *            WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/seal_int.h"

#define OUTPUT_DEFAULT 4096u

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct err *err;
};

static void
put_cache(struct json_writer *writer, struct str cache)
{
    if (cache.len > 0)
        json_member_raw(writer, "cache_control", cache);
}

void
anthropic_put_id(struct json_writer *writer, const char *key, struct str id)
{
    struct buf *out = writer->out;
    json_key(writer, key);
    json_value_str(writer, STR_EMPTY); /* "", and then what stands in it: it may be long */
    out->len -= out->failed ? 0u : 1u;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-';
        buf_put_byte(out, plain ? c : '_');
    }
    buf_put_byte(out, '"');
}

void
anthropic_put_input(struct json_writer *writer, struct str arguments)
{
    json_key(writer, "input");
    if (str_trim(arguments).len == 0) {
        json_value_raw(writer, STR("{}"));
    } else if (intake_is_object(arguments)) {
        json_value_raw(writer, arguments);
    } else {
        json_open_object(writer);
        json_member_str(writer, "raw_arguments", arguments);
        json_close_object(writer);
    }
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
    json_key(writer, "source");
    json_open_object(writer);
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
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `input_audio` cannot be carried to anthropic");
    if (part->file_id.len > 0)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `file_id` cannot be carried to anthropic");
    if (image && part->name.len > 0 && !str_eq(part->name, STR("auto")))
        loss_note(emit->target, STR("image_url.detail"));
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
    anthropic_put_id(writer, "tool_use_id", result->id);
    json_key(writer, "content");
    json_open_array(writer);
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

/* By this vendor, as far as one can tell. */
static bool
is_signed(const struct chat_part *part)
{
    struct str id;
    struct str encrypted;
    return part->signature.len > 0 && !seal_open_reasoning(part->signature, &id, &encrypted);
}

static void
put_thinking(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    bool redacted = part->kind == CHAT_PART_REDACTED;
    if (!is_signed(part)) { /* nobody signed it, or another vendor: it would be refused */
        loss_note(emit->target, STR("reasoning_content"));
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
    anthropic_put_id(writer, "id", part->id);
    json_member_str(writer, "name", part->name);
    anthropic_put_input(writer, part->text);
    put_cache(writer, part->cache);
    json_close_object(writer);
}

static int
put_part(struct emit *emit, const struct chat_part *part, bool last)
{
    struct str text = part->text;
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        while (last && text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL)
            text.len--; /* a prefill must not end in blanks */
        put_text_block(emit, part, text);
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

/* ---- messages -------------------------------------------------------------------------------- */

static bool
is_system(const struct chat_message *message)
{
    return message->role == CHAT_ROLE_SYSTEM || message->role == CHAT_ROLE_DEVELOPER;
}

static bool
same_turn(const struct chat_message *a, const struct chat_message *b)
{
    return (a->role == CHAT_ROLE_ASSISTANT) == (b->role == CHAT_ROLE_ASSISTANT);
}

static const struct chat_message *
next_turn(const struct chat_message *message)
{
    while (message != NULL && is_system(message))
        message = message->next;
    return message;
}

/* Says nothing to the upstream: no part, or only empty texts and unsigned reasoning. */
static bool
is_silent(const struct chat_part *part)
{
    bool text = part->kind == CHAT_PART_TEXT || part->kind == CHAT_PART_REFUSAL;
    bool unsigned_ = part->kind == CHAT_PART_REASONING && !is_signed(part);
    return (text && part->text.len == 0) || unsigned_;
}

/* All system texts, in order, as blocks on top: mid-conversation ones are hoisted (3.1). */
static int
put_system(struct emit *emit, const struct chat_message *messages)
{
    struct json_writer *writer = &emit->writer;
    bool open = false;
    for (const struct chat_message *message = messages; message; message = message->next) {
        if (!is_system(message))
            continue;
        for (const struct chat_part *part = message->parts; part; part = part->next) {
            if (part->kind != CHAT_PART_TEXT)
                return err_set(emit->err, ERR_UNSUPPORTED,
                               "media in a system message cannot be carried to anthropic");
            if (!open) {
                json_key(writer, "system");
                json_open_array(writer);
            }
            open = true;
            put_text_block(emit, part, part->text);
        }
    }
    if (open)
        json_close_array(writer);
    return 0;
}

static bool
turn_is_silent(const struct chat_message *message, const struct chat_message *end)
{
    for (; message != end; message = message->next)
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
            if (!is_system(message) && !is_silent(part))
                return false;
    return true;
}

/* One pass over the parts of a turn: the results when `first`, else all the others. */
static int
put_turn_parts(struct emit *emit, const struct chat_message *message,
               const struct chat_message *end, bool first, bool prefill)
{
    for (; message != end; message = message->next) {
        if (is_system(message))
            continue;
        if (message->name.len > 0)
            loss_note(emit->target, STR("name"));
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
            bool leads = part->kind == CHAT_PART_TOOL_RESULT;
            if (leads != first)
                continue;
            int rc = put_part(emit, part, prefill && part->next == NULL);
            if (rc < 0)
                return rc;
        }
    }
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
        const struct chat_message *end = next_turn(turn->next);
        while (end != NULL && same_turn(turn, end))
            end = next_turn(end->next);
        bool assistant = turn->role == CHAT_ROLE_ASSISTANT;
        if (!turn_is_silent(turn, end)) {
            json_open_object(writer);
            json_member_str(writer, "role", assistant ? STR("assistant") : STR("user"));
            json_key(writer, "content");
            json_open_array(writer);
            int rc = put_turn_parts(emit, turn, end, true, false);
            if (rc == 0)
                rc = put_turn_parts(emit, turn, end, false, assistant && end == NULL);
            if (rc < 0)
                return rc;
            json_close_array(writer);
            json_close_object(writer);
        }
        turn = end;
    }
    json_close_array(writer);
    return 0;
}

/* ---- tools ----------------------------------------------------------------------------------- */

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    if (tool->custom)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `tools.custom` cannot be carried to anthropic");
    json_open_object(writer);
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    json_member_raw(writer, "input_schema",
                    tool->schema.len > 2 ? tool->schema
                                         : STR("{\"type\":\"object\",\"properties\":{}}"));
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
    json_key(writer, "tool_choice");
    json_open_object(writer);
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
    struct json_writer *writer = &emit->writer;
    if (request->tools == NULL)
        return 0;
    json_key(writer, "tools");
    json_open_array(writer);
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next) {
        int rc = put_tool(emit, tool);
        if (rc < 0)
            return rc;
    }
    json_close_array(writer);
    put_tool_choice(writer, request);
    return 0;
}

/* A history with tool calls and no tools is refused by the upstream (3.3): the names called stand
 * in. */
static void
put_stand_ins(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool called = false;
    for (const struct chat_message *message = request->messages; message; message = message->next)
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
            called = called || part->kind == CHAT_PART_TOOL_CALL;
    if (request->tools != NULL || !called)
        return;
    json_key(writer, "tools");
    json_open_array(writer);
    json_open_object(writer);
    json_member_str(writer, "name", STR("no_tool"));
    json_member_str(writer, "description", STR("Not available. Do not call it."));
    json_member_raw(writer, "input_schema", STR("{\"type\":\"object\",\"properties\":{}}"));
    json_close_object(writer);
    json_close_array(writer);
    json_member_raw(writer, "tool_choice", STR("{\"type\":\"none\"}"));
}

/* ---- settings -------------------------------------------------------------------------------- */

/* Thinking inside a tool loop needs the signed blocks of the call's turn; without them the upstream
 * answers 400 (WIRE-FORMATS trap 5), so thinking is left out for this request. */
static bool
loop_lost_thinking(const struct chat_message *message)
{
    const struct chat_message *assistant = NULL;
    bool results = false;
    for (; message != NULL; message = message->next) {
        if (is_system(message))
            continue;
        if (message->role == CHAT_ROLE_ASSISTANT) {
            assistant = message;
            results = false;
            continue;
        }
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
            results = results || part->kind == CHAT_PART_TOOL_RESULT;
    }
    if (!results || assistant == NULL)
        return false;
    for (const struct chat_part *part = assistant->parts; part != NULL; part = part->next)
        if ((part->kind == CHAT_PART_REASONING || part->kind == CHAT_PART_REDACTED) &&
            is_signed(part))
            return false;
    return true;
}

static uint64_t
thinking_budget(const struct chat_request *request, uint64_t max_output)
{
    uint64_t budget = request->thinking_budget;
    if (request->thinking == CHAT_THINKING_BUDGET && budget > 0)
        return budget >= 1024 && budget < max_output ? budget : 0;
    return reasoning_budget(request->effort, max_output);
}

/* output_config.effort where the model takes it; else a budget. Writes "thinking"; the effort goes
 * into output_config later. */
static struct str
put_thinking_switch(struct emit *emit, const struct chat_request *request, uint64_t max_output)
{
    struct json_writer *writer = &emit->writer;
    const struct dialect_target *target = emit->target;
    struct str effort = request->effort;
    bool wanted = request->thinking == CHAT_THINKING_BUDGET ||
                  request->thinking == CHAT_THINKING_ADAPTIVE ||
                  (effort.len > 0 && !str_eq(effort, STR("none")));
    if (!wanted || request->thinking == CHAT_THINKING_OFF)
        return STR_EMPTY;
    if (target->no_reasoning_control || loop_lost_thinking(request->messages)) {
        loss_note(target, STR("reasoning_effort"));
        return STR_EMPTY;
    }
    if (target->adaptive_thinking) {
        json_member_raw(writer, "thinking", STR("{\"type\":\"adaptive\"}"));
        if (effort.len == 0 && request->thinking_budget > 0)
            effort = reasoning_effort(request->thinking_budget);
        return str_eq(effort, STR("minimal")) ? STR("low") : effort;
    }
    uint64_t budget = thinking_budget(request, max_output);
    if (budget == 0) {
        loss_note(target, STR("reasoning_effort"));
        return STR_EMPTY;
    }
    json_key(writer, "thinking");
    json_open_object(writer);
    json_member_str(writer, "type", STR("enabled"));
    json_member_u64(writer, "budget_tokens", budget);
    json_close_object(writer);
    return STR_EMPTY;
}

static int
put_output_config(struct emit *emit, const struct chat_request *request, struct str effort)
{
    struct json_writer *writer = &emit->writer;
    bool schema = request->format == CHAT_FORMAT_SCHEMA;
    if (request->format == CHAT_FORMAT_JSON) {
        int rc =
            loss(emit->target, "anthropic", STR("response_format.json_object"), false, emit->err);
        if (rc < 0)
            return rc;
    }
    if (!schema && effort.len == 0)
        return 0;
    json_key(writer, "output_config");
    json_open_object(writer);
    if (effort.len > 0)
        json_member_str(writer, "effort", effort);
    if (schema) {
        json_key(writer, "format");
        json_open_object(writer);
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
    struct str effort = put_thinking_switch(emit, request, max_output);
    int rc = put_output_config(emit, request, effort);
    if (rc < 0)
        return rc;
    if (request->choices > 1 &&
        (rc = loss(emit->target, "anthropic", STR("n"), false, emit->err)) < 0)
        return rc;
    if (request->temperature.len > 0)
        json_member_raw(writer, "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(writer, "top_p", request->top_p);
    if (request->top_k.len > 0)
        json_member_raw(writer, "top_k", request->top_k);
    if (request->stops != NULL) {
        json_key(writer, "stop_sequences");
        json_open_array(writer);
        for (const struct chat_text *stop = request->stops; stop != NULL; stop = stop->next)
            json_value_str(writer, stop->text);
        json_close_array(writer);
    }
    if (request->user.len > 0) {
        json_key(writer, "metadata");
        json_open_object(writer);
        json_member_str(writer, "user_id", request->user);
        json_close_object(writer);
    }
    if (request->stream)
        json_member_bool(writer, "stream", true);
    return 0;
}

int
anthropic_request_out(const struct chat_request *request, const struct dialect_target *target,
                      struct arena *arena, struct buf *out, struct err *err)
{
    /* what does not change the answer, or only hints at its form */
    static const char *const advisory[] = {
        "client_metadata",        "store",          "metadata",        "prompt_cache_key",
        "prompt_cache_retention", "service_tier",   "prediction",      "verbosity",
        "prompt_cache_options",   "safetySettings", "safety_settings", "labels",
        "reasoning.summary",      "include",        "truncation",      NULL};
    struct emit emit = {.target = target, .err = err};
    uint64_t limit = target->max_output > 0 ? target->max_output : OUTPUT_DEFAULT;
    uint64_t max_output = request->max_output > 0 ? request->max_output : limit;
    (void)arena;
    int rc = loss_others(request, target, "anthropic", advisory, err);
    if (rc < 0)
        return rc;
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    json_member_str(&emit.writer, "model", target->model);
    rc = put_system(&emit, request->messages);
    if (rc == 0)
        rc = put_messages(&emit, request->messages);
    if (rc == 0)
        rc = put_tools(&emit, request);
    if (rc < 0)
        return rc;
    put_stand_ins(&emit, request);
    rc = put_settings(&emit, request, max_output);
    if (rc < 0)
        return rc;
    json_close_object(&emit.writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
