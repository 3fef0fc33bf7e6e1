/* SPDX-License-Identifier: MIT
 * openai_request_out.c - a chat completions request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: equal requests give equal bytes, so that the upstream's prompt cache keeps working;
 *            what cannot be said is refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/openai_int.h"

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct err *err;
};

/* ---- content parts --------------------------------------------------------------------------- */

static void
put_url(struct json_writer *writer, const char *key, struct str type, const struct chat_part *part)
{
    struct buf *out = writer->out;
    json_key(writer, key);
    if (part->data.len == 0) {
        json_value_str(writer, part->url);
        return;
    }
    struct buf url;
    buf_init(&url, part->data.len + type.len + 64);
    buf_put_str(&url, STR("data:"));
    buf_put_str(&url, type);
    buf_put_str(&url, STR(";base64,"));
    buf_put_str(&url, part->data);
    json_value_str(writer, buf_str(&url));
    out->failed |= url.failed;
    buf_fini(&url);
}

static int
put_image(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (part->file_id.len > 0)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `image.source.file_id` cannot be carried to openai");
    json_member_str(writer, "type", STR("image_url"));
    json_key(writer, "image_url");
    json_open_object(writer);
    put_url(writer, "url", part->media_type, part);
    if (part->name.len > 0)
        json_member_str(writer, "detail", part->name);
    json_close_object(writer);
    return 0;
}

/* A plain-text document has no part of its own here: it becomes text under its title. */
static void
put_text_document(struct json_writer *writer, const struct chat_part *part)
{
    struct buf text;
    buf_init(&text, part->text.len + part->name.len + 8);
    buf_put_str(&text, part->name);
    if (part->name.len > 0)
        buf_put_str(&text, STR("\n\n"));
    buf_put_str(&text, part->text);
    json_member_str(writer, "type", STR("text"));
    json_member_str(writer, "text", buf_str(&text));
    writer->out->failed |= text.failed;
    buf_fini(&text);
}

static int
put_file(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (part->text.len > 0) {
        put_text_document(writer, part);
        return 0;
    }
    if (part->data.len == 0 && part->file_id.len == 0)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `document.source.url` cannot be carried to openai");
    json_member_str(writer, "type", STR("file"));
    json_key(writer, "file");
    json_open_object(writer);
    if (part->file_id.len > 0) {
        json_member_str(writer, "file_id", part->file_id);
    } else {
        json_member_str(writer, "filename", part->name.len > 0 ? part->name : STR("document.pdf"));
        put_url(writer, "file_data", part->media_type, part);
    }
    json_close_object(writer);
    return 0;
}

static void
put_audio(struct json_writer *writer, const struct chat_part *part)
{
    json_member_str(writer, "type", STR("input_audio"));
    json_key(writer, "input_audio");
    json_open_object(writer);
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
    if (part->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    if (part->extra.len > 0)
        loss_note(emit->target, STR("citations"));
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
put_content(struct emit *emit, const struct chat_part *parts)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_part *first = next_content(parts);
    json_key(writer, "content");
    if (first == NULL) {
        json_value_null(writer);
        return 0;
    }
    if (first->kind == CHAT_PART_TEXT && next_content(first->next) == NULL) {
        if (first->cache.len > 0)
            loss_note(emit->target, STR("cache_control"));
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
openai_put_tool_call(struct json_writer *writer, const struct chat_part *call, uint32_t index)
{
    json_open_object(writer);
    if (index != UINT32_MAX)
        json_member_u64(writer, "index", index);
    json_member_str(writer, "id", call->id);
    json_member_str(writer, "type", call->custom ? STR("custom") : STR("function"));
    json_key(writer, call->custom ? "custom" : "function");
    json_open_object(writer);
    json_member_str(writer, "name", call->name);
    json_member_str(writer, call->custom ? "input" : "arguments", call->text);
    json_close_object(writer);
    json_close_object(writer);
}

static void
put_calls(struct emit *emit, const struct chat_part *parts)
{
    struct json_writer *writer = &emit->writer;
    bool open = false;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_CALL)
            continue;
        if (!open) {
            json_key(writer, "tool_calls");
            json_open_array(writer);
        }
        open = true;
        openai_put_tool_call(writer, part, UINT32_MAX);
    }
    if (open)
        json_close_array(writer);
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
            loss_note(emit->target, STR("thinking"));
        else if (part->kind == CHAT_PART_REASONING && emit->target->no_reasoning_control)
            loss_note(emit->target, STR("reasoning_content"));
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
    int rc = put_content(emit, message->parts);
    if (rc < 0)
        return rc;
    put_reasoning(emit, message->parts);
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
        if (part->kind == CHAT_PART_REFUSAL) {
            json_member_str(writer, "refusal", part->text);
            break;
        }
    put_calls(emit, message->parts);
    json_close_object(writer);
    return 0;
}

/* One result = one tool message, of text only. */
static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    struct buf text;
    if (result->is_error)
        loss_note(emit->target, STR("is_error"));
    if (result->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    buf_init(&text, writer->out->max);
    for (const struct chat_part *part = result->content; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TEXT)
            continue;
        if (text.len > 0)
            buf_put_byte(&text, '\n');
        buf_put_str(&text, part->text);
    }
    json_open_object(writer);
    json_member_str(writer, "role", STR("tool"));
    json_member_str(writer, "tool_call_id", result->id);
    json_member_str(writer, "content", buf_str(&text));
    json_close_object(writer);
    writer->out->failed |= text.failed;
    buf_fini(&text);
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
    json_key(writer, "content");
    json_open_array(writer);
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
        for (const struct chat_part *inner = next_media(part->content); inner != NULL;
             inner = next_media(inner->next)) {
            int rc = put_part(emit, inner);
            if (rc < 0)
                return rc;
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
    const char *role = message->role == CHAT_ROLE_SYSTEM      ? "system"
                       : message->role == CHAT_ROLE_DEVELOPER ? "developer"
                                                              : "user";
    bool results = false;
    for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_RESULT)
            continue;
        results = true;
        int rc = put_result(emit, part);
        if (rc < 0)
            return rc;
    }
    if (results && next_content(message->parts) == NULL && !results_have_media(message))
        return 0;
    json_open_object(writer);
    json_member_str(writer, "role", str_from(role));
    if (message->name.len > 0)
        json_member_str(writer, "name", message->name);
    int rc = results ? put_user_list(emit, message) : put_content(emit, message->parts);
    if (rc == 0) /* what failed stays open: nobody reads it */
        json_close_object(writer);
    return rc;
}

static int
put_messages(struct emit *emit, const struct chat_message *message)
{
    json_key(&emit->writer, "messages");
    json_open_array(&emit->writer);
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

static void
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    if (tool->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    json_open_object(writer);
    json_member_str(writer, "type", tool->custom ? STR("custom") : STR("function"));
    json_key(writer, tool->custom ? "custom" : "function");
    json_open_object(writer);
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    if (tool->custom && tool->format.len > 0)
        json_member_raw(writer, "format", tool->format);
    if (!tool->custom)
        json_member_raw(writer, "parameters",
                        tool->schema.len > 0 ? tool->schema
                                             : STR("{\"type\":\"object\",\"properties\":{}}"));
    if (tool->strict != CHAT_UNSET)
        json_member_bool(writer, "strict", tool->strict == CHAT_ON);
    json_close_object(writer);
    json_close_object(writer);
}

static void
put_tools(struct emit *emit, const struct chat_request *request)
{
    static const char *const choices[] = {[CHAT_CHOICE_AUTO] = "auto",
                                          [CHAT_CHOICE_NONE] = "none",
                                          [CHAT_CHOICE_REQUIRED] = "required"};
    struct json_writer *writer = &emit->writer;
    if (request->tools == NULL)
        return;
    json_key(writer, "tools");
    json_open_array(writer);
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next)
        put_tool(emit, tool);
    json_close_array(writer);
    if (request->tool_choice == CHAT_CHOICE_NAMED) {
        json_key(writer, "tool_choice");
        json_open_object(writer);
        json_member_str(writer, "type", STR("function"));
        json_key(writer, "function");
        json_open_object(writer);
        json_member_str(writer, "name", request->tool_choice_name);
        json_close_object(writer);
        json_close_object(writer);
    } else if (request->tool_choice != CHAT_CHOICE_UNSET) {
        json_member_str(writer, "tool_choice", str_from(choices[request->tool_choice]));
    }
    if (request->parallel_tools != CHAT_UNSET)
        json_member_bool(writer, "parallel_tool_calls", request->parallel_tools == CHAT_ON);
}

static void
put_format(struct json_writer *writer, const struct chat_request *request)
{
    if (request->format == CHAT_FORMAT_UNSET || request->format == CHAT_FORMAT_TEXT)
        return;
    json_key(writer, "response_format");
    json_open_object(writer);
    if (request->format == CHAT_FORMAT_JSON) {
        json_member_str(writer, "type", STR("json_object"));
    } else {
        struct str name = request->format_name.len > 0 ? request->format_name : STR("answer");
        json_member_str(writer, "type", STR("json_schema"));
        json_key(writer, "json_schema");
        json_open_object(writer);
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
        loss_note(emit->target, STR("reasoning_effort"));
    else
        json_member_str(&emit->writer, "reasoning_effort", effort);
}

static void
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    const char *limit = emit->target->max_output_field;
    if (request->max_output > 0)
        json_member_u64(writer, limit != NULL ? limit : "max_completion_tokens",
                        request->max_output);
    if (request->temperature.len > 0)
        json_member_raw(writer, "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(writer, "top_p", request->top_p);
    if (request->top_k.len > 0)
        loss_note(emit->target, STR("top_k"));
    if (request->choices > 1)
        json_member_u64(writer, "n", request->choices);
    if (request->stops != NULL) {
        json_key(writer, "stop");
        json_open_array(writer);
        for (const struct chat_text *stop = request->stops; stop != NULL; stop = stop->next)
            json_value_str(writer, stop->text);
        json_close_array(writer);
    }
    put_format(writer, request);
    put_effort(emit, request);
    if (request->user.len > 64)
        loss_note(emit->target, STR("metadata.user_id"));
    else if (request->user.len > 0)
        json_member_str(writer, "user", request->user);
}

static void
put_stream(struct json_writer *writer, const struct chat_request *request)
{
    if (!request->stream)
        return;
    json_member_bool(writer, "stream", true);
    json_key(writer, "stream_options");
    json_open_object(writer);
    json_member_bool(writer, "include_usage", true);
    json_close_object(writer);
}

/* Fields of others that are this dialect's own: another's reader gave them its names. */
static int
put_others(struct emit *emit, const struct chat_request *request)
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
    /* what another dialect's settings advise, and this one can do without */
    static const char *const advisory[] = {
        "client_metadata", "metadata",       "context_management",
        "cache_control",   "speed",          "inference_geo",
        "output_config",   "safetySettings", "safety_settings",
        "labels",          "store",          "reasoning.summary",
        "include",         "truncation",     NULL};
    struct chat_request rest = {0};
    for (const struct chat_field *field = request->others; field; field = field->next) {
        bool own = false;
        for (const char *const *at = native; *at != NULL; at++)
            own = own || str_eq(field->name, str_from(*at));
        if (own && str_eq(field->raw, STR("\"standard_only\""))) { /* a tier of Anthropic's */
            loss_note(emit->target, field->name);
            continue;
        }
        if (own) {
            json_key_str(&emit->writer, field->name);
            json_value_raw(&emit->writer, field->raw);
            continue;
        }
        struct chat_field one = {.name = field->name, .raw = field->raw};
        rest.others = &one;
        int rc = loss_others(&rest, emit->target, "openai", advisory, emit->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int
openai_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.target = target, .err = err};
    (void)arena;
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    json_member_str(&emit.writer, "model", target->model);
    int rc = put_messages(&emit, request->messages);
    if (rc < 0)
        return rc;
    put_tools(&emit, request);
    put_settings(&emit, request);
    rc = put_others(&emit, request);
    if (rc < 0)
        return rc;
    put_stream(&emit.writer, request);
    json_close_object(&emit.writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
