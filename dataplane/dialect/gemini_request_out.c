/* SPDX-License-Identifier: MIT
 * gemini_request_out.c - a generateContent request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: roles alternate and no content is empty; every functionResponse has the name of its
 *            call. What cannot be said is refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/gemini_int.h"

#include "lib/base/map.h"

struct emit {
    struct json_writer writer;
    const struct dialect_target *target;
    struct arena *arena;
    struct err *err;
    struct map calls; /* parts of calls by id */
    bool third;       /* a model that wants its signatures back (Gemini 3) */
    bool config_open;
};

static bool
is_system(const struct chat_message *message)
{
    return message->role == CHAT_ROLE_SYSTEM || message->role == CHAT_ROLE_DEVELOPER;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int
note_part(struct emit *emit, const struct chat_part *part)
{
    if (part->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    if (part->file_id.len > 0)
        return err_set(emit->err, ERR_UNSUPPORTED, "field `file_id` cannot be carried to gemini");
    if (part->kind == CHAT_PART_IMAGE && part->name.len > 0 && !str_eq(part->name, STR("auto")))
        loss_note(emit->target, STR("image_url.detail"));
    return 0;
}

/* The text of a result: an object as it is, anything else wrapped (WIRE-FORMATS 3.4). */
static void
put_response(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    struct buf text;
    buf_init(&text, writer->out->max);
    for (const struct chat_part *part = result->content; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TEXT)
            continue;
        if (text.len > 0)
            buf_put_byte(&text, '\n');
        buf_put_str(&text, part->text);
    }
    json_key(writer, "response");
    if (!result->is_error && intake_is_object(buf_str(&text))) {
        json_value_raw(writer, buf_str(&text));
    } else {
        json_open_object(writer);
        json_member_str(writer, result->is_error ? "error" : "result", buf_str(&text));
        json_close_object(writer);
    }
    writer->out->failed |= text.failed;
    buf_fini(&text);
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_part *call = map_get(&emit->calls, result->id);
    json_open_object(writer);
    json_key(writer, "functionResponse");
    json_open_object(writer);
    if (result->id.len > 0)
        json_member_str(writer, "id", result->id);
    json_member_str(writer, "name",
                    call != NULL           ? call->name
                    : result->name.len > 0 ? result->name
                                           : result->id);
    put_response(emit, result);
    json_close_object(writer);
    json_close_object(writer);
    return note_part(emit, result);
}

/* Pictures of a result follow it in the same turn: older models take none inside. */
static int
put_result_media(struct emit *emit, const struct chat_part *result)
{
    int rc = 0;
    for (const struct chat_part *part = result->content; part != NULL && rc == 0;
         part = part->next) {
        if (part->kind == CHAT_PART_TEXT)
            continue;
        rc = note_part(emit, part);
        if (rc == 0)
            rc = gemini_put_part(&emit->writer, part, emit->arena);
    }
    return rc;
}

/* The first call of a turn without the signature that the model wants: the documented stand-in. */
static int
put_call(struct emit *emit, const struct chat_part *part, bool *is_signed)
{
    struct chat_part call = *part;
    if (emit->third && !*is_signed && call.signature.len == 0)
        call.signature = STR("skip_thought_signature_validator");
    *is_signed = true;
    return gemini_put_part(&emit->writer, &call, emit->arena);
}

static int
put_part(struct emit *emit, const struct chat_part *part, bool *is_signed)
{
    int rc = note_part(emit, part);
    if (rc < 0)
        return rc;
    switch (part->kind) {
    case CHAT_PART_REASONING: /* signed by somebody else, if at all: its own signs other parts */
    case CHAT_PART_REDACTED:
        loss_note(emit->target, STR("thinking"));
        return 0;
    case CHAT_PART_TOOL_RESULT:
        return 0;
    case CHAT_PART_TOOL_CALL:
        if (part->custom)
            return err_set(emit->err, ERR_UNSUPPORTED,
                           "field `tool_calls.custom` cannot be carried to gemini");
        return put_call(emit, part, is_signed);
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len == 0)
            return 0;
        break;
    case CHAT_PART_IMAGE:
    case CHAT_PART_FILE:
    case CHAT_PART_AUDIO:
        break;
    }
    return gemini_put_part(&emit->writer, part, emit->arena);
}

/* ---- contents -------------------------------------------------------------------------------- */

static const struct chat_message *
next_turn(const struct chat_message *message)
{
    while (message != NULL && is_system(message))
        message = message->next;
    return message;
}

static int
put_turn_results(struct emit *emit, const struct chat_message *message,
                 const struct chat_message *end, bool media)
{
    for (; message != end; message = message->next) {
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
            if (part->kind != CHAT_PART_TOOL_RESULT || is_system(message))
                continue;
            int rc = media ? put_result_media(emit, part) : put_result(emit, part);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int
put_turn(struct emit *emit, const struct chat_message *message, const struct chat_message *end)
{
    struct json_writer *writer = &emit->writer;
    bool is_signed = false;
    json_open_object(writer);
    json_member_str(writer, "role",
                    message->role == CHAT_ROLE_ASSISTANT ? STR("model") : STR("user"));
    json_key(writer, "parts");
    json_open_array(writer);
    size_t before = writer->out->len;
    int rc = put_turn_results(emit, message, end, false);
    if (rc == 0)
        rc = put_turn_results(emit, message, end, true);
    for (; message != end && rc == 0; message = message->next) {
        if (is_system(message))
            continue;
        if (message->name.len > 0)
            loss_note(emit->target, STR("name"));
        for (const struct chat_part *part = message->parts; part && rc == 0; part = part->next)
            rc = put_part(emit, part, &is_signed);
    }
    if (rc < 0)
        return rc;
    if (writer->out->len == before) /* an empty list is refused */
        json_value_raw(writer, STR("{\"text\":\" \"}"));
    json_close_array(writer);
    json_close_object(writer);
    return 0;
}

static int
put_contents(struct emit *emit, const struct chat_message *messages)
{
    json_key(&emit->writer, "contents");
    json_open_array(&emit->writer);
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
    json_close_array(&emit->writer);
    return 0;
}

static int
put_system(struct emit *emit, const struct chat_message *messages)
{
    struct json_writer *writer = &emit->writer;
    bool open = false;
    for (const struct chat_message *message = messages; message; message = message->next) {
        for (const struct chat_part *part = message->parts; part; part = part->next) {
            if (!is_system(message) || (part->kind == CHAT_PART_TEXT && part->text.len == 0))
                continue;
            if (!open) {
                json_key(writer, "systemInstruction");
                json_open_object(writer);
                json_key(writer, "parts");
                json_open_array(writer);
            }
            open = true;
            bool ignored = false;
            int rc = put_part(emit, part, &ignored);
            if (rc < 0)
                return rc;
        }
    }
    if (open) {
        json_close_array(writer);
        json_close_object(writer);
    }
    return 0;
}

/* ---- tools ----------------------------------------------------------------------------------- */

static int
put_tool(struct emit *emit, const struct chat_tool *tool)
{
    struct json_writer *writer = &emit->writer;
    if (tool->custom)
        return err_set(emit->err, ERR_UNSUPPORTED,
                       "field `tools.custom` cannot be carried to gemini");
    if (tool->cache.len > 0)
        loss_note(emit->target, STR("cache_control"));
    if (tool->strict == CHAT_ON)
        loss_note(emit->target, STR("strict"));
    json_open_object(writer);
    json_member_str(writer, "name", tool->name);
    if (tool->description.len > 0)
        json_member_str(writer, "description", tool->description);
    if (tool->schema.len > 2)
        json_member_raw(writer, "parametersJsonSchema", tool->schema);
    json_close_object(writer);
    return 0;
}

static void
put_tool_choice(struct emit *emit, const struct chat_request *request)
{
    static const char *const modes[] = {[CHAT_CHOICE_UNSET] = "AUTO",
                                        [CHAT_CHOICE_AUTO] = "AUTO",
                                        [CHAT_CHOICE_NONE] = "NONE",
                                        [CHAT_CHOICE_REQUIRED] = "ANY",
                                        [CHAT_CHOICE_NAMED] = "ANY"};
    struct json_writer *writer = &emit->writer;
    if (request->parallel_tools == CHAT_OFF)
        loss_note(emit->target, STR("parallel_tool_calls"));
    if (request->tool_choice == CHAT_CHOICE_UNSET)
        return;
    json_key(writer, "toolConfig");
    json_open_object(writer);
    json_key(writer, "functionCallingConfig");
    json_open_object(writer);
    json_member_str(writer, "mode", str_from(modes[request->tool_choice]));
    if (request->tool_choice == CHAT_CHOICE_NAMED) {
        json_key(writer, "allowedFunctionNames");
        json_open_array(writer);
        json_value_str(writer, request->tool_choice_name);
        json_close_array(writer);
    }
    json_close_object(writer);
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
    json_open_object(writer);
    json_key(writer, "functionDeclarations");
    json_open_array(writer);
    for (const struct chat_tool *tool = request->tools; tool != NULL; tool = tool->next) {
        int rc = put_tool(emit, tool);
        if (rc < 0)
            return rc;
    }
    json_close_array(writer);
    json_close_object(writer);
    json_close_array(writer);
    put_tool_choice(emit, request);
    return 0;
}

/* ---- generationConfig ------------------------------------------------------------------------ */

/* The writer, inside generationConfig, which is opened by its first member. */
static struct json_writer *
config(struct emit *emit)
{
    if (!emit->config_open) {
        json_key(&emit->writer, "generationConfig");
        json_open_object(&emit->writer);
    }
    emit->config_open = true;
    return &emit->writer;
}

static void
put_numbers(struct emit *emit, const struct chat_request *request)
{
    if (request->max_output > 0)
        json_member_u64(config(emit), "maxOutputTokens", request->max_output);
    if (request->temperature.len > 0)
        json_member_raw(config(emit), "temperature", request->temperature);
    if (request->top_p.len > 0)
        json_member_raw(config(emit), "topP", request->top_p);
    if (request->top_k.len > 0)
        json_member_raw(config(emit), "topK", request->top_k);
    if (request->choices > 1)
        json_member_u64(config(emit), "candidateCount", request->choices);
    if (request->stops == NULL)
        return;
    json_key(config(emit), "stopSequences");
    json_open_array(&emit->writer);
    for (const struct chat_text *stop = request->stops; stop != NULL; stop = stop->next)
        json_value_str(&emit->writer, stop->text);
    json_close_array(&emit->writer);
}

static void
put_thinking(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    struct str effort = request->effort;
    uint64_t limit = emit->target->max_output > 0 ? emit->target->max_output : 8192;
    uint64_t budget = request->thinking_budget;
    bool off = request->thinking == CHAT_THINKING_OFF || str_eq(effort, STR("none"));
    bool dynamic = request->thinking == CHAT_THINKING_ADAPTIVE && effort.len == 0;
    if (request->thinking == CHAT_THINKING_UNSET && effort.len == 0)
        return;
    if (emit->target->no_reasoning_control) {
        loss_note(emit->target, STR("reasoning_effort"));
        return;
    }
    if (budget == 0 && effort.len > 0)
        budget = reasoning_budget(effort, request->max_output > 0 ? request->max_output : limit);
    if (emit->third && !off && effort.len == 0 && budget > 0)
        effort = reasoning_effort(budget);
    json_key(config(emit), "thinkingConfig");
    json_open_object(writer);
    if (!off)
        json_member_bool(writer, "includeThoughts", true);
    if (emit->third && (off || effort.len > 0)) { /* these cannot do without */
        bool high = str_eq(effort, STR("high")) || str_eq(effort, STR("xhigh")) ||
                    str_eq(effort, STR("max"));
        bool medium = str_eq(effort, STR("medium"));
        json_member_str(writer, "thinkingLevel",
                        high     ? STR("HIGH")
                        : medium ? STR("MEDIUM")
                                 : STR("LOW"));
    } else if (off) {
        json_member_u64(writer, "thinkingBudget", 0);
    } else if (budget > 0 && !dynamic) {
        json_member_u64(writer, "thinkingBudget", budget);
    } else {
        json_member_i64(writer, "thinkingBudget", -1);
    }
    json_close_object(writer);
}

static void
put_format(struct emit *emit, const struct chat_request *request)
{
    if (request->format != CHAT_FORMAT_JSON && request->format != CHAT_FORMAT_SCHEMA)
        return;
    json_member_str(config(emit), "responseMimeType", STR("application/json"));
    if (request->format == CHAT_FORMAT_SCHEMA && request->schema.len > 0)
        json_member_raw(&emit->writer, "responseJsonSchema", request->schema);
}

/* Fields of others that have a member here; service_tier is a top-level one. */
static const struct {
    const char *name;
    const char *as;
} native[] = {{"seed", "seed"},
              {"presence_penalty", "presencePenalty"},
              {"frequency_penalty", "frequencyPenalty"},
              {"logprobs", "responseLogprobs"},
              {"top_logprobs", "logprobs"}};

static int
put_others(struct emit *emit, const struct chat_request *request)
{
    static const char *const advisory[] = {"client_metadata",
                                           "store",
                                           "metadata",
                                           "prompt_cache_key",
                                           "prompt_cache_retention",
                                           "prompt_cache_options",
                                           "prediction",
                                           "verbosity",
                                           "service_tier",
                                           "context_management",
                                           "cache_control",
                                           "speed",
                                           "inference_geo",
                                           "reasoning.summary",
                                           "include",
                                           "truncation",
                                           NULL};
    struct chat_request rest = {0};
    for (const struct chat_field *field = request->others; field; field = field->next) {
        size_t row = 0;
        while (row < ARRAY_LEN(native) && !str_eq(field->name, str_from(native[row].name)))
            row++;
        if (row < ARRAY_LEN(native)) {
            json_member_raw(config(emit), native[row].as, field->raw);
            continue;
        }
        struct chat_field one = {.name = field->name, .raw = field->raw};
        rest.others = &one;
        int rc = loss_others(&rest, emit->target, "gemini", advisory, emit->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    put_numbers(emit, request);
    put_format(emit, request);
    put_thinking(emit, request);
    if (request->user.len > 0)
        loss_note(emit->target, STR("user"));
    int rc = put_others(emit, request);
    if (rc == 0 && emit->config_open)
        json_close_object(&emit->writer);
    return rc;
}

static int
map_calls(struct emit *emit, const struct chat_message *message)
{
    void *old = NULL;
    for (; message != NULL; message = message->next)
        for (struct chat_part *part = message->parts; part != NULL; part = part->next)
            if (part->kind == CHAT_PART_TOOL_CALL &&
                map_put(&emit->calls, part->id, part, &old) < 0)
                return -ERR_NOMEM;
    return 0;
}

int
gemini_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    struct emit emit = {.target = target, .arena = arena, .err = err};
    emit.third = str_find(target->model, STR("gemini-3")) != SIZE_MAX;
    map_init(&emit.calls);
    json_writer_init(&emit.writer, out);
    json_open_object(&emit.writer);
    int rc = map_calls(&emit, request->messages);
    if (rc == 0)
        rc = put_contents(&emit, request->messages);
    if (rc == 0)
        rc = put_system(&emit, request->messages);
    if (rc == 0)
        rc = put_tools(&emit, request);
    if (rc == 0)
        rc = put_settings(&emit, request);
    if (rc == 0)
        json_close_object(&emit.writer);
    map_fini(&emit.calls);
    return rc < 0 ? rc : out->failed ? -ERR_TOO_LARGE : 0;
}
