/* SPDX-License-Identifier: MIT
 * gemini_request_out.c - a generateContent request from the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: roles alternate and no content is empty; every functionResponse has the name of its
 *            call. What cannot be said is refused or noted (loss.c). Spec: WIRE-FORMATS 3, 6. */
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/gemini_int.h"
#include "dataplane/dialect/search_int.h"

/* Models that want their signatures back, and take a level of thinking. */
static bool
is_third(const struct emit *emit)
{
    return str_find(emit->target->model, STR("gemini-3")) != SIZE_MAX;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int
note_part(struct emit *emit, const struct chat_part *part)
{
    emit_note_part(emit, part);
    if (part->file_id.len > 0)
        return emit_refuse(emit, "file_id");
    if (part->kind == CHAT_PART_IMAGE && part->name.len > 0 && !str_eq(part->name, STR("auto")))
        emit_note(emit, "image_url.detail");
    return 0;
}

static void
put_response(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    struct str text =
        emit_texts(writer, emit->arena, result->content, EMIT_KIND(CHAT_PART_TEXT), STR("\n"));
    if (!result->is_error && intake_is_object(text)) {
        json_member_raw(writer, "response", text);
        return;
    }
    json_key_object(writer, "response");
    json_member_str(writer, result->is_error ? "error" : "result", text);
    json_close_object(writer);
}

static int
put_result(struct emit *emit, const struct chat_part *result)
{
    struct json_writer *writer = &emit->writer;
    const struct chat_part *call = map_get(&emit->calls, result->id);
    json_open_object(writer);
    json_key_object(writer, "functionResponse");
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
    if (is_third(emit) && !*is_signed && call.signature.len == 0)
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
        emit_note(emit, "thinking");
        return 0;
    case CHAT_PART_TOOL_RESULT:
        return 0;
    case CHAT_PART_TOOL_CALL:
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

static int
put_turn_results(struct emit *emit, const struct chat_message *message,
                 const struct chat_message *end, bool media)
{
    for (; message != end; message = message->next) {
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next) {
            if (part->kind != CHAT_PART_TOOL_RESULT || emit_is_system(message))
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
    json_key_array(writer, "parts");
    size_t before = writer->out->len;
    int rc = put_turn_results(emit, message, end, false);
    if (rc == 0)
        rc = put_turn_results(emit, message, end, true);
    for (; message != end && rc == 0; message = message->next) {
        if (emit_is_system(message))
            continue;
        if (message->name.len > 0)
            emit_note(emit, "name");
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
put_system(struct emit *emit, const struct chat_message *messages)
{
    struct json_writer *writer = &emit->writer;
    bool open = false;
    for (const struct chat_message *message = messages; message; message = message->next) {
        for (const struct chat_part *part = message->parts; part; part = part->next) {
            if (!emit_is_system(message) || (part->kind == CHAT_PART_TEXT && part->text.len == 0))
                continue;
            if (!open) {
                json_key_object(writer, "systemInstruction");
                json_key_array(writer, "parts");
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
    if (tool->cache.len > 0)
        emit_note(emit, "cache_control");
    if (tool->strict == CHAT_ON)
        emit_note(emit, "strict");
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
        emit_note(emit, "parallel_tool_calls");
    if (request->tool_choice == CHAT_CHOICE_UNSET)
        return;
    json_key_object(writer, "toolConfig");
    json_key_object(writer, "functionCallingConfig");
    json_member_str(writer, "mode", str_from(modes[request->tool_choice]));
    if (request->tool_choice == CHAT_CHOICE_NAMED) {
        json_key_array(writer, "allowedFunctionNames");
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
    int rc = 0;
    if (request->tools == NULL && emit->search == NULL)
        return 0;
    json_key_array(writer, "tools");
    if (request->tools != NULL) {
        json_open_object(writer);
        rc = emit_tools(emit, "functionDeclarations", put_tool);
        json_close_object(writer);
    }
    if (rc == 0 && emit->search != NULL)
        rc = search_put_gemini(emit);
    json_close_array(writer);
    if (request->tools != NULL)
        put_tool_choice(emit, request);
    return rc;
}

/* ---- generationConfig ------------------------------------------------------------------------ */

static void
put_numbers(struct emit *emit, const struct chat_request *request)
{
    emit_limit(emit, "maxOutputTokens", request->max_output);
    emit_raw(emit, "temperature", request->temperature);
    emit_raw(emit, "topP", request->top_p);
    emit_raw(emit, "topK", request->top_k);
    if (request->choices > 1)
        json_member_u64(&emit->writer, "candidateCount", request->choices);
    emit_stops(emit, "stopSequences");
}

static void
put_thinking(struct emit *emit, const struct chat_request *request)
{
    struct json_writer *writer = &emit->writer;
    struct str effort = request->effort;
    uint64_t budget = emit_budget(emit, 8192);
    bool off = request->thinking == CHAT_THINKING_OFF || str_eq(effort, STR("none"));
    bool dynamic = request->thinking == CHAT_THINKING_ADAPTIVE && effort.len == 0;
    if (request->thinking == CHAT_THINKING_UNSET && effort.len == 0)
        return;
    if (emit->target->no_reasoning_control) {
        emit_note(emit, "reasoning_effort");
        return;
    }
    if (is_third(emit) && !off && effort.len == 0 && budget > 0)
        effort = reasoning_effort(budget);
    json_key(&emit->writer, "thinkingConfig");
    json_open_object(writer);
    if (!off)
        json_member_bool(writer, "includeThoughts", true);
    if (is_third(emit) && (off || effort.len > 0)) { /* these cannot do without */
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
    json_member_str(&emit->writer, "responseMimeType", STR("application/json"));
    if (request->format == CHAT_FORMAT_SCHEMA && request->schema.len > 0)
        json_member_raw(&emit->writer, "responseJsonSchema", request->schema);
}

/* Fields of others that have a member here; service_tier is a top-level one. */
static int
put_others(struct emit *emit, const struct chat_request *request)
{
    static const char *const native[][2] = {{"seed", "seed"},
                                            {"presence_penalty", "presencePenalty"},
                                            {"frequency_penalty", "frequencyPenalty"},
                                            {"logprobs", "responseLogprobs"},
                                            {"top_logprobs", "logprobs"}};
    for (const struct chat_field *field = request->others; field; field = field->next) {
        size_t row = 0;
        while (row < ARRAY_LEN(native) && !str_eq(field->name, str_from(native[row][0])))
            row++;
        if (row < ARRAY_LEN(native)) {
            json_member_raw(&emit->writer, native[row][1], field->raw);
            continue;
        }
        int rc = loss_field(field, emit->target, emit->dialect, emit->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
put_settings(struct emit *emit, const struct chat_request *request)
{
    struct buf *out = emit->writer.out;
    size_t before = out->len;
    json_key_object(&emit->writer, "generationConfig");
    size_t open = out->len;
    put_numbers(emit, request);
    put_format(emit, request);
    put_thinking(emit, request);
    if (request->user.len > 0)
        emit_note(emit, "user");
    int rc = put_others(emit, request);
    if (rc < 0)
        return rc;
    bool empty = out->len == open;
    json_close_object(&emit->writer);
    if (empty && !out->failed) /* nothing was said */
        out->len = before;
    return 0;
}

static int
put_all(struct emit *emit)
{
    const struct chat_request *request = emit->request;
    int rc = emit_map_calls(emit);
    if (rc == 0)
        rc = emit_turns(emit, "contents", false, put_turn);
    if (rc == 0)
        rc = put_system(emit, request->messages);
    if (rc == 0)
        rc = put_tools(emit, request);
    return rc < 0 ? rc : put_settings(emit, request);
}

int
gemini_request_out(const struct chat_request *request, const struct dialect_target *target,
                   struct arena *arena, struct buf *out, struct err *err)
{
    /* models of before Gemini 3 refuse the two together */
    struct emit emit = {.request = request,
                        .target = target,
                        .dialect = "gemini",
                        .has_search = true,
                        .takes_offers = request->tools == NULL,
                        .arena = arena,
                        .err = err};
    return emit_run(&emit, out, put_all);
}
