/* SPDX-License-Identifier: MIT
 * ollama_request.c - requests of Ollama's own chat, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field and option is read here or listed in `others`. What cannot be
 *            said is refused or noted (loss.c). Spec: WIRE-FORMATS 3. */
#include "dataplane/dialect/ollama_int.h"

#include "lib/base/map.h"

#define MEMBERS_MAX 64u /* options, looked at one by one */

/* ---- reading --------------------------------------------------------------------------------- */

static int
read_message(const struct intake *in, uint32_t node, struct chat_message *message)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } rows[] = {{"system", CHAT_ROLE_SYSTEM},
                {"user", CHAT_ROLE_USER},
                {"assistant", CHAT_ROLE_ASSISTANT},
                {"tool", CHAT_ROLE_TOOL}};
    uint32_t role = json_get(in->doc, node, STR("role"));
    size_t row = 0;
    while (row < ARRAY_LEN(rows) && !json_string_eq(in->doc, role, str_from(rows[row].name)))
        row++;
    if (row == ARRAY_LEN(rows))
        return err_set(in->err, ERR_INVALID, "field `messages.role` is missing or not known");
    message->role = rows[row].role;
    int rc = ollama_message_in(in, node, false, &message->parts);
    if (rc < 0 || message->role != CHAT_ROLE_TOOL)
        return rc;
    struct chat_part *content = message->parts;
    message->parts = NULL;
    struct chat_part *result = chat_part_add(&message->parts, CHAT_PART_TOOL_RESULT, in->arena);
    if (result == NULL)
        return -ERR_NOMEM;
    result->content = content;
    rc = intake_member(in, node, "tool_call_id", &result->id);
    return rc < 0 ? rc : intake_member(in, node, "tool_name", &result->name);
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
    const struct json_doc *doc = in->doc;
    struct chat_message **end = &request->messages;
    struct numbering numbering = {0};
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "messages", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct chat_message *message = chat_message_add(end, CHAT_ROLE_USER, in->arena);
        int rc = message == NULL ? -ERR_NOMEM : read_message(in, at, message);
        if (rc == 0)
            rc = number(in, message, &numbering);
        if (rc < 0)
            return rc;
        end = &message->next;
    }
    return 0;
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        uint32_t body = json_get(doc, at, STR("function"));
        struct chat_tool *tool = chat_tool_add(end, in->arena);
        int rc = tool == NULL ? -ERR_NOMEM : intake_member(in, body, "name", &tool->name);
        if (rc == 0)
            rc = intake_member(in, body, "description", &tool->description);
        if (rc == 0)
            rc = intake_object(in, json_get(doc, body, STR("parameters")), "parameters",
                               &tool->schema);
        if (rc < 0)
            return rc;
        end = &tool->next;
    }
    return 0;
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
read_stops(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_text **end = &request->stops;
    struct str text = STR_EMPTY;
    if (json_is(doc, node, JSON_STRING)) {
        int rc = intake_text(in, node, "stop", &text);
        return rc < 0 ? rc : chat_text_add(end, text, in->arena);
    }
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = intake_text(in, at, "stop", &text);
        if (rc == 0)
            rc = chat_text_add(end, text, in->arena);
        if (rc < 0)
            return rc;
        end = &(*end)->next;
    }
    return 0;
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
        if (!str_eq(name, str_from(numbers[i].name)))
            continue;
        if (!json_is(doc, value, JSON_NUMBER))
            return intake_kind_error(in, numbers[i].name, "a number");
        *numbers[i].raw = json_raw(doc, value);
        return 0;
    }
    if (str_eq(name, STR("stop")))
        return read_stops(in, value, request);
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

static int
read_model(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "model", &request->model);
}

static int
read_stream(const struct intake *in, uint32_t node, struct chat_request *request)
{
    enum chat_switch value = CHAT_OFF;
    int rc = intake_switch(in, node, "stream", &value);
    request->stream = value == CHAT_ON;
    return rc;
}

static const struct intake_row ollama_rows[] = {
    {"model", read_model},   {"messages", read_messages}, {"tools", read_tools},
    {"format", read_format}, {"options", read_options},   {"stream", read_stream},
    {"think", read_think},
};

int
ollama_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_request request = {.choices = 1, .include_usage = true, .stream = true};
    int rc = intake_fields(&in, ollama_rows, ARRAY_LEN(ollama_rows), &request);
    if (rc == 0)
        rc = seal_open(&request, arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct err *err;
    struct map calls; /* parts of calls by id */
};

static int
refuse(struct emit *emit, const char *field)
{
    return err_set(emit->err, ERR_UNSUPPORTED, "field `%s` cannot be carried to ollama-native",
                   field);
}

/* All texts of a kind, joined. */
static void
put_texts(struct emit *emit, const char *key, const struct chat_part *parts,
          enum chat_part_kind kind, bool always)
{
    struct buf text;
    buf_init(&text, emit->writer.out->max);
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        bool document = kind == CHAT_PART_TEXT && part->kind == CHAT_PART_FILE;
        if (part->kind != kind && !document)
            continue;
        if (text.len > 0)
            buf_put_byte(&text, '\n');
        buf_put_str(&text, part->text);
    }
    if (always || text.len > 0)
        json_member_str(&emit->writer, key, buf_str(&text));
    emit->writer.out->failed |= text.failed;
    buf_fini(&text);
}

static int
check_parts(struct emit *emit, const struct chat_part *parts)
{
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->cache.len > 0)
            loss_note(emit->target, STR("cache_control"));
        if (part->kind == CHAT_PART_AUDIO)
            return refuse(emit, "input_audio");
        if (part->kind == CHAT_PART_FILE && part->text.len == 0)
            return refuse(emit, "file");
        if (part->kind == CHAT_PART_IMAGE && part->data.len == 0)
            return refuse(emit, "image_url.url");
        if (part->kind == CHAT_PART_TOOL_CALL && part->custom)
            return refuse(emit, "tool_calls.custom");
        if (part->kind == CHAT_PART_REDACTED ||
            (part->kind == CHAT_PART_REASONING && part->signature.len > 0))
            loss_note(emit->target, STR("thinking"));
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
            json_key(&emit->writer, "images");
            json_open_array(&emit->writer);
        }
        open = true;
        json_value_str(&emit->writer, part->data);
    }
    if (open)
        json_close_array(&emit->writer);
}

static void
put_calls(struct emit *emit, const struct chat_part *parts)
{
    bool open = false;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_CALL)
            continue;
        if (!open) {
            json_key(&emit->writer, "tool_calls");
            json_open_array(&emit->writer);
        }
        open = true;
        ollama_put_call(&emit->writer, part);
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
        loss_note(emit->target, STR("is_error"));
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", STR("tool"));
    put_texts(emit, "content", result->content, CHAT_PART_TEXT, true);
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
    static const char *const roles[] = {[CHAT_ROLE_SYSTEM] = "system",
                                        [CHAT_ROLE_DEVELOPER] = "system",
                                        [CHAT_ROLE_USER] = "user",
                                        [CHAT_ROLE_ASSISTANT] = "assistant",
                                        [CHAT_ROLE_TOOL] = "user"};
    bool results = false;
    bool rest = false;
    int rc = check_parts(emit, message->parts);
    for (const struct chat_part *part = message->parts; part && rc == 0; part = part->next) {
        bool result = part->kind == CHAT_PART_TOOL_RESULT;
        rc = result ? put_result(emit, part) : 0;
        results = results || result;
        rest = rest || !result;
    }
    if (message->name.len > 0)
        loss_note(emit->target, STR("name"));
    if (rc < 0 || (results && !rest))
        return rc;
    json_open_object(&emit->writer);
    json_member_str(&emit->writer, "role", str_from(roles[message->role]));
    put_texts(emit, "content", message->parts, CHAT_PART_TEXT, true);
    put_texts(emit, "thinking", message->parts, CHAT_PART_REASONING, false);
    put_pictures(emit, message->parts);
    put_calls(emit, message->parts);
    json_close_object(&emit->writer);
    return 0;
}

static int
put_tools(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    if (request->tool_choice == CHAT_CHOICE_REQUIRED || request->tool_choice == CHAT_CHOICE_NAMED) {
        int rc = loss(emit->target, "ollama-native", STR("tool_choice"), false, emit->err);
        if (rc < 0)
            return rc;
    }
    if (request->parallel_tools == CHAT_OFF)
        loss_note(emit->target, STR("parallel_tool_calls"));
    if (request->tools == NULL || request->tool_choice == CHAT_CHOICE_NONE)
        return 0;
    json_key(writer, "tools");
    json_open_array(writer);
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next) {
        if (tool->custom)
            return refuse(emit, "tools.custom");
        if (tool->strict == CHAT_ON)
            loss_note(emit->target, STR("strict"));
        json_open_object(writer);
        json_member_str(writer, "type", STR("function"));
        json_key(writer, "function");
        json_open_object(writer);
        json_member_str(writer, "name", tool->name);
        json_member_str(writer, "description", tool->description);
        json_member_raw(writer, "parameters",
                        tool->schema.len > 2 ? tool->schema
                                             : STR("{\"type\":\"object\",\"properties\":{}}"));
        json_close_object(writer);
        json_close_object(writer);
    }
    json_close_array(writer);
    return 0;
}

static int
put_options(struct emit *emit, const struct chat_request *request)
{
    static const char *const own[] = {"seed",    "presence_penalty", "frequency_penalty",
                                      "num_ctx", "repeat_penalty",   "repeat_last_n",
                                      "min_p",   "num_gpu",          "num_thread",
                                      NULL};
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
                                           "keep_alive",
                                           "context_management",
                                           "reasoning.summary",
                                           NULL};
    struct json_writer *writer = &emit->writer;
    struct chat_request rest = {0};
    json_key(writer, "options");
    json_open_object(writer);
    if (request->max_output > 0)
        json_member_u64(writer, "num_predict", request->max_output);
    if (request->temperature.len > 0)
        json_member_raw(writer, "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(writer, "top_p", request->top_p);
    if (request->top_k.len > 0)
        json_member_raw(writer, "top_k", request->top_k);
    if (request->stops != NULL) {
        json_key(writer, "stop");
        json_open_array(writer);
        for (const struct chat_text *stop = request->stops; stop != NULL; stop = stop->next)
            json_value_str(writer, stop->text);
        json_close_array(writer);
    }
    for (const struct chat_field *field = request->others; field; field = field->next) {
        bool is_own = false;
        for (const char *const *at = own; *at != NULL; at++)
            is_own = is_own || str_eq(field->name, str_from(*at));
        struct chat_field one = {.name = field->name, .raw = field->raw};
        rest.others = &one;
        if (is_own) {
            json_key_str(writer, field->name);
            json_value_raw(writer, field->raw);
            continue;
        }
        int rc = loss_others(&rest, emit->target, "ollama-native", advisory, emit->err);
        if (rc < 0)
            return rc;
    }
    json_close_object(writer);
    return 0;
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    bool thinks =
        request->thinking == CHAT_THINKING_BUDGET || request->thinking == CHAT_THINKING_ADAPTIVE;
    if (request->choices > 1) {
        int rc = loss(emit->target, "ollama-native", STR("n"), false, emit->err);
        if (rc < 0)
            return rc;
    }
    if (request->format == CHAT_FORMAT_JSON)
        json_member_str(writer, "format", STR("json"));
    else if (request->format == CHAT_FORMAT_SCHEMA)
        json_member_raw(writer, "format", request->schema.len > 0 ? request->schema : STR("{}"));
    if (emit->target->no_reasoning_control && (thinks || request->effort.len > 0))
        loss_note(emit->target, STR("reasoning_effort"));
    else if (request->thinking == CHAT_THINKING_OFF || str_eq(request->effort, STR("none")))
        json_member_bool(writer, "think", false);
    else if (request->effort.len > 0 || thinks)
        json_member_bool(writer, "think", true);
    if (request->user.len > 0)
        loss_note(emit->target, STR("user"));
    json_member_bool(writer, "stream", request->stream); /* its default is true */
    return put_options(emit, request);
}

static int
put_all(struct emit *emit, const struct chat_request *request)
{
    void *old = NULL;
    for (const struct chat_message *at = request->messages; at != NULL; at = at->next)
        for (struct chat_part *part = at->parts; part != NULL; part = part->next)
            if (part->kind == CHAT_PART_TOOL_CALL &&
                map_put(&emit->calls, part->id, part, &old) < 0)
                return -ERR_NOMEM;
    json_key(&emit->writer, "messages");
    json_open_array(&emit->writer);
    for (const struct chat_message *at = request->messages; at != NULL; at = at->next) {
        int rc = put_message(emit, at);
        if (rc < 0)
            return rc;
    }
    json_close_array(&emit->writer);
    int rc = put_tools(emit, request);
    return rc < 0 ? rc : put_settings(emit, request);
}

int
ollama_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.target = target, .err = err};
    (void)arena;
    map_init(&emit.calls);
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    json_member_str(&emit.writer, "model", target->model);
    int rc = put_all(&emit, request);
    if (rc == 0)
        json_close_object(&emit.writer);
    map_fini(&emit.calls);
    return rc < 0 ? rc : out->failed ? -ERR_TOO_LARGE : 0;
}
