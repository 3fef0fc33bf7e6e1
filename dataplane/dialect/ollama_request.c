/* SPDX-License-Identifier: MIT
 * ollama_request.c - requests of Ollama's own chat, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field and option is read here or listed in `others`. What cannot be
 *            said is refused or noted (loss.c). Spec: WIRE-FORMATS 3. */
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/ollama_int.h"

#define MEMBERS_MAX 64u /* options, looked at one by one */

/* ---- reading --------------------------------------------------------------------------------- */

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    static const struct intake_role rows[] = {{"system", CHAT_ROLE_SYSTEM},
                                              {"user", CHAT_ROLE_USER},
                                              {"assistant", CHAT_ROLE_ASSISTANT},
                                              {"tool", CHAT_ROLE_TOOL}};
    int rc = intake_role(in, node, rows, ARRAY_LEN(rows), &message->role);
    if (rc == 0)
        rc = ollama_message_in(in, node, false, &message->parts);
    if (rc < 0 || message->role != CHAT_ROLE_TOOL)
        return rc;
    rc = intake_result(in, node, message);
    return rc < 0 ? rc : intake_member(in, node, "tool_name", &message->parts->name);
}

/* Calls without ids are numbered through the conversation; their results follow in order. */
struct numbering {
    struct chat_part *next_call; /* the first that has no result yet */
    uint32_t count;
};

static int
number(const struct intake *in, struct chat_message *message, struct numbering *numbering)
{
    if (message->role == CHAT_ROLE_ASSISTANT)
        numbering->next_call = message->parts;
    for (struct chat_part *part = message->parts; part != NULL; part = part->next) {
        if (part->kind == CHAT_PART_TOOL_CALL) {
            ++numbering->count;
            if (part->id.len == 0)
                part->id = arena_printf(in->arena, "call_%u", numbering->count);
            if (part->id.ptr == NULL)
                return -ERR_NOMEM;
        }
        if (part->kind != CHAT_PART_TOOL_RESULT)
            continue;
        struct chat_part *call = numbering->next_call;
        while (call != NULL && call->kind != CHAT_PART_TOOL_CALL)
            call = call->next;
        if (part->id.len == 0)
            part->id = call != NULL ? call->id : part->name;
        numbering->next_call = call != NULL ? call->next : NULL;
    }
    return 0;
}

static int
read_messages(const struct intake *in, uint32_t node, struct chat_request *request)
{
    struct numbering numbering = {0};
    int rc = intake_messages(in, node, request, read_message);
    for (struct chat_message *at = request->messages; at != NULL && rc == 0; at = at->next)
        rc = number(in, at, &numbering);
    return rc;
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const known[] = {"type", "function", NULL};
    return intake_tools(in, node, request, known, intake_function_tool);
}

static int
read_format(const struct intake *in, uint32_t node, struct chat_request *request)
{
    if (json_string_eq(in->doc, node, STR("json"))) {
        request->format = CHAT_FORMAT_JSON;
        return 0;
    }
    if (json_string_eq(in->doc, node, STR_EMPTY))
        return 0;
    request->format = CHAT_FORMAT_SCHEMA;
    return intake_object(in, node, "format", &request->schema);
}

static int
read_think(const struct intake *in, uint32_t node, struct chat_request *request)
{
    if (json_is(in->doc, node, JSON_STRING))
        return intake_text(in, node, "think", &request->effort);
    enum chat_switch value = CHAT_UNSET;
    int rc = intake_switch(in, node, "think", &value);
    if (value != CHAT_UNSET)
        request->thinking = value == CHAT_ON ? CHAT_THINKING_ADAPTIVE : CHAT_THINKING_OFF;
    return rc;
}

static int
read_option(const struct intake *in, uint32_t key, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    const struct {
        const char *name;
        struct str *raw;
    } numbers[] = {{"temperature", &request->temperature},
                   {"top_p", &request->top_p},
                   {"top_k", &request->top_k}};
    struct str name;
    uint32_t value = key + 1;
    int rc = json_string(doc, key, in->arena, &name);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (str_eq(name, str_from(numbers[i].name)))
            return intake_number(in, value, numbers[i].name, numbers[i].raw);
    }
    if (str_eq(name, STR("stop")))
        return intake_texts(in, value, "stop", &request->stops);
    if (str_eq(name, STR("num_predict"))) {
        if (json_u64(doc, value, FACTS_OUTPUT_MAX, &request->max_output) < 0)
            request->max_output = 0; /* negative: no limit */
        return 0;
    }
    return chat_field_add(&request->others, name, json_raw(doc, value), in->arena);
}

static int
read_options(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    if (!json_is(doc, node, JSON_OBJECT))
        return intake_kind_error(in, "options", "an object");
    if (json_count(doc, node) > MEMBERS_MAX)
        return err_set(in->err, ERR_INVALID, "field `options` has too many members");
    for (uint32_t key = json_first(doc, node); key != JSON_NONE;
         key = json_sibling(doc, node, key)) {
        int rc = intake_absent(doc, key + 1) ? 0 : read_option(in, key, request);
        if (rc < 0)
            return rc;
    }
    return 0;
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

static const struct intake_row ollama_rows[] = {
    {"logprobs", read_logprobs},   {"model", intake_row_model}, {"messages", read_messages},
    {"tools", read_tools},         {"format", read_format},     {"options", read_options},
    {"stream", intake_row_stream}, {"think", read_think},
};

int
ollama_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    const struct chat_request defaults = {.choices = 1, .include_usage = true, .stream = true};
    return intake_request(&in, ollama_rows, ARRAY_LEN(ollama_rows), &defaults, ret_request);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The texts of a content, documents among them. */
static void
put_content(struct emit *emit, const struct chat_part *parts)
{
    struct str text = emit_texts(&emit->writer, emit->arena, parts,
                                 EMIT_KIND(CHAT_PART_TEXT) | EMIT_KIND(CHAT_PART_FILE), STR("\n"));
    json_member_str(&emit->writer, "content", text);
}

static int
check_parts(struct emit *emit, const struct chat_part *parts)
{
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        emit_note_part(emit, part);
        if (part->kind == CHAT_PART_AUDIO)
            return emit_refuse(emit, "input_audio");
        if (part->kind == CHAT_PART_FILE && part->text.len == 0)
            return emit_refuse(emit, "file");
        if (part->kind == CHAT_PART_IMAGE && part->data.len == 0)
            return emit_refuse(emit, "image_url.url");
        if (part->kind == CHAT_PART_REDACTED ||
            (part->kind == CHAT_PART_REASONING && part->signature.len > 0))
            emit_note(emit, "thinking");
    }
    return 0;
}

static void
put_pictures(struct emit *emit, const struct chat_part *parts)
{
    bool open = false;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_IMAGE)
            continue;
        if (!open) {
            json_key_array(&emit->writer, "images");
        }
        open = true;
        json_value_str(&emit->writer, part->data);
    }
    if (open)
        json_close_array(&emit->writer);
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    const struct chat_part *call = map_get(&emit->calls, result->id);
    int rc = check_parts(emit, result->content);
    if (rc < 0)
        return rc;
    if (result->is_error)
        emit_note(emit, "is_error");
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", STR("tool"));
    put_content(emit, result->content);
    put_pictures(emit, result->content);
    if (call != NULL)
        json_member_str(&emit->writer, "tool_name", call->name);
    json_member_str(&emit->writer, "tool_call_id", result->id);
    json_close_object(&emit->writer);
    return 0;
}

static int
put_message(struct emit *emit, const struct chat_message *message)
{
    bool more = true;
    int rc = check_parts(emit, message->parts);
    if (rc == 0)
        rc = emit_results(emit, message, put_result, &more);
    if (message->name.len > 0)
        emit_note(emit, "name");
    if (rc < 0 || !more)
        return rc;
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", emit_role(message, false));
    put_content(emit, message->parts);
    emit_text(emit, "thinking",
              emit_texts(&emit->writer, emit->arena, message->parts, EMIT_KIND(CHAT_PART_REASONING),
                         STR("\n")));
    put_pictures(emit, message->parts);
    emit_calls(&emit->writer, message->parts, ollama_put_call);
    json_close_object(&emit->writer);
    return 0;
}

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    if (tool->cache.len > 0)
        emit_note(emit, "cache_control");
    if (tool->strict == CHAT_ON)
        emit_note(emit, "strict");
    emit_function(&emit->writer, tool);
    return 0;
}

static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    if (request->tool_choice == CHAT_CHOICE_REQUIRED || request->tool_choice == CHAT_CHOICE_NAMED) {
        int rc = emit_lose(emit, "tool_choice");
        if (rc < 0)
            return rc;
    }
    if (request->parallel_tools == CHAT_OFF)
        emit_note(emit, "parallel_tool_calls");
    if (request->tools == NULL || request->tool_choice == CHAT_CHOICE_NONE)
        return 0;
    return emit_tools(emit, "tools", put_tool);
}

static int
put_options(struct emit *emit, const struct chat_request *request)
{
    static const char *const native[] = {"seed",    "presence_penalty", "frequency_penalty",
                                         "num_ctx", "repeat_penalty",   "repeat_last_n",
                                         "min_p",   "num_gpu",          "num_thread",
                                         NULL};
    json_key_object(&emit->writer, "options");
    emit_limit(emit, "num_predict", request->max_output);
    emit_raw(emit, "temperature", request->temperature);
    emit_raw(emit, "top_p", request->top_p);
    emit_raw(emit, "top_k", request->top_k);
    emit_stops(emit, "stop");
    int rc = emit_others(emit, native, NULL);
    if (rc == 0)
        json_close_object(&emit->writer);
    return rc;
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool thinks =
        request->thinking == CHAT_THINKING_BUDGET || request->thinking == CHAT_THINKING_ADAPTIVE;
    int rc = request->choices > 1 ? emit_lose(emit, "n") : 0;
    if (rc < 0)
        return rc;
    if (request->format == CHAT_FORMAT_JSON)
        json_member_str(writer, "format", STR("json"));
    else if (request->format == CHAT_FORMAT_SCHEMA)
        json_member_raw(writer, "format", request->schema.len > 0 ? request->schema : STR("{}"));
    if (emit->target->no_reasoning_control && (thinks || request->effort.len > 0))
        emit_note(emit, "reasoning_effort");
    else if (request->thinking == CHAT_THINKING_OFF || str_eq(request->effort, STR("none")))
        json_member_bool(writer, "think", false);
    else if (request->effort.len > 0 || thinks)
        json_member_bool(writer, "think", true);
    if (request->user.len > 0)
        emit_note(emit, "user");
    json_member_bool(writer, "stream", request->stream); /* its default is true */
    return put_options(emit, request);
}

static int
put_all(struct emit *emit)
{
    const struct chat_request *request = emit->request;
    int rc = emit_map_calls(emit);
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
ollama_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.request = request,
                        .target = target,
                        .dialect = "ollama-native",
                        .arena = arena,
                        .err = err};
    return emit_run(&emit, out, put_all);
}
