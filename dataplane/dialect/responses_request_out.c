/* SPDX-License-Identifier: MIT
 * responses_request_out.c - a Responses request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: stored nowhere (store false); tools are strict only where the caller said so. What
 *            cannot be said is refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/responses_int.h"

#include "lib/base/map.h"

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct arena *arena;
    struct err *err;
    struct map customs; /* calls of custom tools, by id */
};

/* ---- parts ----------------------------------------------------------------------------------- */

static int
put_data_url(struct emit *emit, const char *key, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    struct buf url;
    json_key(writer, key);
    if (part->data.len == 0) {
        json_value_str(writer, part->url);
        return 0;
    }
    buf_init(&url, part->data.len + part->media_type.len + 64);
    buf_put_str(&url, STR("data:"));
    buf_put_str(&url, part->media_type);
    buf_put_str(&url, STR(";base64,"));
    buf_put_str(&url, part->data);
    json_value_str(writer, buf_str(&url));
    writer->out->failed |= url.failed;
    buf_fini(&url);
    return 0;
}

static int
put_file(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    if (part->text.len > 0) { /* a text document: its title and its text */
        struct str text = arena_printf(emit->arena, "%.*s%s%.*s", STR_ARG(part->name),
                                       part->name.len > 0 ? "\n\n" : "", STR_ARG(part->text));
        if (text.ptr == NULL)
            return -ERR_NOMEM;
        json_member_str(writer, "type", STR("input_text"));
        json_member_str(writer, "text", text);
        return 0;
    }
    json_member_str(writer, "type", STR("input_file"));
    if (part->data.len == 0) {
        json_member_str(writer, "file_url", part->url);
        return 0;
    }
    json_member_str(writer, "filename", part->name.len > 0 ? part->name : STR("document.pdf"));
    return put_data_url(emit, "file_data", part);
}

/* One part of a user's or system's content, or of a result. */
static int
put_part(struct emit *emit, const struct chat_part *part)
{
    struct json_writer *writer = &emit->writer;
    int rc = 0;
    if (part->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    if (part->file_id.len > 0)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `file_id` cannot be carried to openai-responses");
    if (part->kind == CHAT_PART_AUDIO)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `input_audio` cannot be carried to openai-responses");
    json_open_object(writer);
    if (part->kind == CHAT_PART_IMAGE) {
        json_member_str(writer, "type", STR("input_image"));
        rc = put_data_url(emit, "image_url", part);
        if (part->name.len > 0)
            json_member_str(writer, "detail", part->name);
    } else if (part->kind == CHAT_PART_FILE) {
        rc = put_file(emit, part);
    } else {
        json_member_str(writer, "type", STR("input_text"));
        json_member_str(writer, "text", part->text);
    }
    json_close_object(writer);
    return rc;
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
    const char *role = message->role == CHAT_ROLE_SYSTEM      ? "system"
                       : message->role == CHAT_ROLE_DEVELOPER ? "developer"
                                                              : "user";
    bool any = false;
    int rc = 0;
    if (message->name.len > 0)
        loss_note(emit->target, STR("name"));
    for (const struct chat_part *part = message->parts; part != NULL && rc == 0;
         part = part->next) {
        if (!is_content(part))
            continue;
        if (!any) {
            json_open_object(writer);
            json_member_str(writer, "role", str_from(role));
            json_key(writer, "content");
            json_open_array(writer);
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
    bool custom = map_get(&emit->customs, result->id) != NULL;
    int rc = 0;
    if (result->is_error)
        loss_note(emit->target, STR("is_error"));
    json_open_object(writer);
    json_member_str(writer, "type",
                    custom ? STR("custom_tool_call_output") : STR("function_call_output"));
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
    json_key(writer, "content");
    json_open_array(writer);
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
                loss_note(emit->target, STR("thinking"));
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
    json_key(&emit->writer, "input");
    json_open_array(&emit->writer);
    for (; message != NULL; message = message->next) {
        int rc = 0;
        for (const struct chat_part *part = message->parts; part && rc == 0; part = part->next)
            if (part->kind == CHAT_PART_TOOL_RESULT)
                rc = put_result(emit, part);
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

static void
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    if (tool->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    json_open_object(writer);
    json_member_str(writer, "type", tool->custom ? STR("custom") : STR("function"));
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    if (tool->custom && tool->format.len > 0)
        json_member_raw(writer, "format", tool->format);
    if (!tool->custom) {
        json_member_raw(writer, "parameters",
                        tool->schema.len > 0 ? tool->schema
                                             : STR("{\"type\":\"object\",\"properties\":{}}"));
        json_member_bool(writer, "strict", tool->strict == CHAT_ON); /* its default is true */
    }
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
        json_member_str(writer, "name", request->tool_choice_name);
        json_close_object(writer);
    } else if (request->tool_choice != CHAT_CHOICE_UNSET) {
        json_member_str(writer, "tool_choice", str_from(choices[request->tool_choice]));
    }
    if (request->parallel_tools != CHAT_UNSET)
        json_member_bool(writer, "parallel_tool_calls", request->parallel_tools == CHAT_ON);
}

static void
put_text(struct json_writer *writer, const struct chat_request *request, struct str verbosity)
{
    bool schema = request->format == CHAT_FORMAT_SCHEMA;
    if (!schema && request->format != CHAT_FORMAT_JSON && verbosity.len == 0)
        return;
    json_key(writer, "text");
    json_open_object(writer);
    if (schema || request->format == CHAT_FORMAT_JSON) {
        json_key(writer, "format");
        json_open_object(writer);
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

static void
put_reasoning(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    struct str effort = request->effort;
    bool thinks =
        request->thinking == CHAT_THINKING_BUDGET || request->thinking == CHAT_THINKING_ADAPTIVE;
    if (effort.len == 0 && request->thinking == CHAT_THINKING_BUDGET)
        effort = reasoning_effort(request->thinking_budget);
    if ((effort.len == 0 && !thinks) || request->thinking == CHAT_THINKING_OFF)
        return;
    if (emit->target->no_reasoning_control) {
        loss_note(emit->target, STR("reasoning_effort"));
        return;
    }
    json_key(writer, "reasoning");
    json_open_object(writer);
    if (effort.len > 0)
        json_member_str(writer, "effort", effort);
    if (thinks) /* who asks for thinking wants to see some */
        json_member_str(writer, "summary", STR("auto"));
    json_close_object(writer);
    if (!str_eq(effort, STR("none")))
        json_member_raw(writer, "include", STR("[\"reasoning.encrypted_content\"]"));
}

static int
put_others(struct emit *emit, const struct chat_request *request)
{
    static const char *const native[] = {
        "metadata",     "prompt_cache_key", "prompt_cache_retention",
        "service_tier", "truncation",       NULL};
    static const char *const advisory[] = {
        "client_metadata", "store",  "verbosity",     "prediction",        "context_management",
        "cache_control",   "speed",  "inference_geo", "output_config",     "safetySettings",
        "safety_settings", "labels", "include",       "reasoning.summary", NULL};
    struct chat_request rest = {0};
    for (const struct chat_field *field = request->others; field; field = field->next) {
        bool own = false;
        for (const char *const *at = native; *at != NULL; at++)
            own = own || str_eq(field->name, str_from(*at));
        if (own && str_eq(field->raw, STR("\"standard_only\""))) {
            loss_note(emit->target, field->name);
            continue;
        }
        if (own) {
            json_key_str(&emit->writer, field->name);
            json_value_raw(&emit->writer, field->raw);
            continue;
        }
        if (str_eq(field->name, STR("verbosity")))
            continue;
        struct chat_field one = {.name = field->name, .raw = field->raw};
        rest.others = &one;
        int rc = loss_others(&rest, emit->target, "openai-responses", advisory, emit->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    struct str verbosity = STR_EMPTY;
    int rc = 0;
    for (const struct chat_field *field = request->others; field; field = field->next)
        if (str_eq(field->name, STR("verbosity")))
            verbosity = field->raw;
    if (request->max_output > 0)
        json_member_u64(writer, "max_output_tokens", request->max_output);
    if (request->temperature.len > 0)
        json_member_raw(writer, "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(writer, "top_p", request->top_p);
    if (request->top_k.len > 0)
        loss_note(emit->target, STR("top_k"));
    if (request->choices > 1)
        rc = loss(emit->target, "openai-responses", STR("n"), false, emit->err);
    if (rc == 0 && request->stops != NULL)
        rc = loss(emit->target, "openai-responses", STR("stop"), false, emit->err);
    if (rc < 0)
        return rc;
    put_text(writer, request, verbosity);
    put_reasoning(emit, request);
    if (request->user.len > 64)
        loss_note(emit->target, STR("metadata.user_id"));
    else if (request->user.len > 0)
        json_member_str(writer, "safety_identifier", request->user);
    json_member_bool(writer, "store", false);
    if (request->stream)
        json_member_bool(writer, "stream", true);
    return put_others(emit, request);
}

static int
map_customs(struct emit *emit, const struct chat_message *message)
{
    void *old = NULL;
    for (; message != NULL; message = message->next)
        for (struct chat_part *part = message->parts; part != NULL; part = part->next)
            if (part->kind == CHAT_PART_TOOL_CALL && part->custom &&
                map_put(&emit->customs, part->id, part, &old) < 0)
                return -ERR_NOMEM;
    return 0;
}

int
responses_request_out(const struct chat_request *request, const struct dialect_target *target,
                      struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.target = target, .arena = arena, .err = err};
    map_init(&emit.customs);
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    json_member_str(&emit.writer, "model", target->model);
    int rc = map_customs(&emit, request->messages);
    if (rc == 0)
        rc = put_input(&emit, request->messages);
    if (rc == 0)
        put_tools(&emit, request);
    if (rc == 0)
        rc = put_settings(&emit, request);
    if (rc == 0)
        json_close_object(&emit.writer);
    map_fini(&emit.customs);
    return rc < 0 ? rc : out->failed ? -ERR_TOO_LARGE : 0;
}
