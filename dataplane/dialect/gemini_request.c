/* SPDX-License-Identifier: MIT
 * gemini_request.c - a generateContent request into the canonical model.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: every top-level field is read here or listed in `others`; calls and results without
 *            ids get the same ids each time. Model and stream are the URL's. Spec: WIRE-FORMATS
 *            3. */
#include "dataplane/dialect/gemini_int.h"
#include "dataplane/dialect/search_int.h"

#define MEMBERS_MAX 64u      /* of generationConfig, looked at one by one */
#define RESULT_LOOK_MAX 256u /* calls that one result without an id is matched against */

/* ---- contents -------------------------------------------------------------------------------- */

static int
read_role(const struct intake *in, uint32_t node, enum chat_role *ret_role)
{
    uint32_t role = gemini_get(in->doc, node, "role");
    if (json_string_eq(in->doc, role, STR("model")))
        *ret_role = CHAT_ROLE_ASSISTANT;
    else if (role == JSON_NONE || json_string_eq(in->doc, role, STR("user")) ||
             json_string_eq(in->doc, role, STR("function")))
        *ret_role = CHAT_ROLE_USER;
    else
        return err_set(in->err, ERR_INVALID, "field `contents.role` must be user or model");
    return 0;
}

/* Where the contents grow: the last message, and the end of its parts (NULL: it is not ours). */
struct turn {
    struct chat_message **message;
    struct chat_part **parts;
};

/* A stream's chunks come back as contents of their own: neighbours of one role are one message. */
static int
read_content(const struct intake *in, uint32_t node, struct turn *turn)
{
    enum chat_role role = CHAT_ROLE_USER;
    int rc = read_role(in, node, &role);
    struct chat_message *message = *turn->message;
    if (rc < 0)
        return rc;
    if (turn->parts == NULL || message->role != role) {
        if (message != NULL)
            turn->message = &message->next;
        message = chat_message_add(turn->message, role, in->arena);
        if (message == NULL)
            return -ERR_NOMEM;
        turn->parts = &message->parts;
    }
    rc = gemini_parts_in(in, node, false, turn->parts);
    while (*turn->parts != NULL)
        turn->parts = &(*turn->parts)->next;
    return rc;
}

/* ids: of the message's calls that have none; a result takes the next unused call of its name. */
static int
name_calls(const struct intake *in, struct chat_message *message, uint32_t *count)
{
    for (struct chat_part *part = message->parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_CALL)
            continue;
        ++*count;
        if (part->id.len == 0)
            part->id = arena_printf(in->arena, "call_%u", *count);
        if (part->id.ptr == NULL)
            return -ERR_NOMEM;
    }
    return 0;
}

static void
name_results(const struct chat_message *calls, struct chat_message *results)
{
    struct chat_part *call = calls->parts;
    for (struct chat_part *result = results->parts; result != NULL; result = result->next) {
        if (result->kind != CHAT_PART_TOOL_RESULT || result->id.len > 0)
            continue;
        while (call != NULL && call->kind != CHAT_PART_TOOL_CALL)
            call = call->next;
        struct chat_part *at = call;
        for (uint32_t i = 0; at != NULL && i < RESULT_LOOK_MAX; i++, at = at->next)
            if (at->kind == CHAT_PART_TOOL_CALL && str_eq(at->name, result->name))
                break;
        bool found =
            at != NULL && at->kind == CHAT_PART_TOOL_CALL && str_eq(at->name, result->name);
        result->id = found ? at->id : result->name;
        if (found) /* those before it are answered out of order, or not at all */
            call = at == call ? at->next : call;
    }
}

/* Thoughts arrive in pieces, the signature with the last: together they are one block. */
static int
join_thoughts(const struct intake *in, struct chat_message *message)
{
    for (struct chat_part *part = message->parts; part != NULL; part = part->next) {
        size_t size = 0;
        struct chat_part *last = part;
        if (part->kind != CHAT_PART_REASONING)
            continue;
        for (struct chat_part *at = part; at && at->kind == CHAT_PART_REASONING; at = at->next) {
            size += at->text.len;
            last = at;
            if (at->signature.len > 0)
                break;
        }
        if (last == part)
            continue;
        char *text = arena_alloc(in->arena, size + 1);
        if (text == NULL)
            return -ERR_NOMEM;
        size = 0;
        for (struct chat_part *at = part; at != last->next; at = at->next) {
            memcpy(text + size, at->text.ptr, at->text.len);
            size += at->text.len;
        }
        part->text = str_make(text, size);
        part->signature = last->signature;
        part->next = last->next;
    }
    return 0;
}

static int
finish_messages(const struct intake *in, struct chat_request *request)
{
    struct chat_message *calls = NULL;
    uint32_t count = 0;
    for (struct chat_message *message = request->messages; message; message = message->next) {
        int rc = 0;
        if (message->role == CHAT_ROLE_ASSISTANT) {
            calls = message;
            rc = name_calls(in, message, &count);
            if (rc == 0)
                rc = join_thoughts(in, message);
        } else if (calls != NULL) {
            name_results(calls, message);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
read_contents(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct turn turn = {.message = &request->messages};
    while (*turn.message != NULL && (*turn.message)->next != NULL)
        turn.message = &(*turn.message)->next;
    if (json_is(doc, node, JSON_OBJECT))
        return read_content(in, node, &turn);
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "contents", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = read_content(in, at, &turn);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
read_system(const struct intake *in, uint32_t node, struct chat_request *request)
{
    struct chat_message *system = intake_system(in, request);
    if (system == NULL)
        return -ERR_NOMEM;
    if (!json_is(in->doc, node, JSON_STRING))
        return gemini_parts_in(in, node, false, &system->parts);
    struct chat_part *text = chat_part_add(&system->parts, CHAT_PART_TEXT, in->arena);
    return text == NULL ? -ERR_NOMEM : intake_text(in, node, "systemInstruction", &text->text);
}

/* ---- tools ----------------------------------------------------------------------------------- */

static int
read_declaration(const struct intake *in, uint32_t node, struct chat_tool *tool)
{
    uint32_t schema = gemini_get(in->doc, node, "parametersJsonSchema");
    if (schema == JSON_NONE)
        schema = gemini_get(in->doc, node, "parameters");
    int rc = intake_member(in, node, "name", &tool->name);
    if (rc == 0)
        rc = intake_member(in, node, "description", &tool->description);
    return rc < 0 ? rc : gemini_schema(in, schema, &tool->schema);
}

static int
read_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        uint32_t list = gemini_get(doc, at, "functionDeclarations");
        struct str name = json_raw(doc, json_first(doc, at));
        uint32_t search = search_is_gemini(doc, at);
        int rc = search != JSON_NONE ? search_gemini_in(in, search, request) : 0;
        if (rc < 0)
            return rc;
        if (json_count(doc, at) > (list != JSON_NONE) + (uint32_t)(search != JSON_NONE))
            return err_set(in->err, ERR_UNSUPPORTED, "tool %.*s cannot be translated",
                           (int)MIN(name.len, (size_t)64), name.ptr);
        for (uint32_t one = json_first(doc, list); one != JSON_NONE;
             one = json_sibling(doc, list, one)) {
            struct chat_tool *tool = chat_tool_add(end, in->arena);
            rc = tool == NULL ? -ERR_NOMEM : read_declaration(in, one, tool);
            if (rc < 0)
                return rc;
            end = &tool->next;
        }
    }
    return 0;
}

/* mode, and with ANY the names that may be called (see intake_allowed) */
static int
read_tool_config(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice rows[] = {{"MODE_UNSPECIFIED", CHAT_CHOICE_UNSET},
                                                {"AUTO", CHAT_CHOICE_AUTO},
                                                {"VALIDATED", CHAT_CHOICE_AUTO},
                                                {"NONE", CHAT_CHOICE_NONE},
                                                {"ANY", CHAT_CHOICE_REQUIRED}};
    uint32_t config = gemini_get(in->doc, node, "functionCallingConfig");
    uint32_t mode = gemini_get(in->doc, config, "mode");
    uint32_t names = gemini_get(in->doc, config, "allowedFunctionNames");
    if (json_count(in->doc, node) > (config != JSON_NONE ? 1u : 0u))
        return err_set(in->err, ERR_UNSUPPORTED,
                       "only `toolConfig.functionCallingConfig` can be translated");
    if (mode != JSON_NONE && !intake_choice(in, mode, rows, ARRAY_LEN(rows), request))
        return err_set(in->err, ERR_INVALID, "field `functionCallingConfig.mode` is not known");
    return intake_texts(in, names, "allowedFunctionNames", &request->allowed);
}

/* ---- generationConfig ------------------------------------------------------------------------ */

static int
read_format(const struct intake *in, uint32_t config, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    uint32_t schema = gemini_get(doc, config, "responseJsonSchema");
    struct str type = STR_EMPTY;
    int rc =
        intake_text(in, gemini_get(doc, config, "responseMimeType"), "responseMimeType", &type);
    if (schema == JSON_NONE)
        schema = gemini_get(doc, config, "responseSchema");
    if (rc < 0)
        return rc;
    if (schema != JSON_NONE) {
        request->format = CHAT_FORMAT_SCHEMA;
        return gemini_schema(in, schema, &request->schema);
    }
    if (str_eq(type, STR("application/json")))
        request->format = CHAT_FORMAT_JSON;
    else if (type.len > 0 && !str_eq(type, STR("text/plain")))
        return err_set(in->err, ERR_UNSUPPORTED, "field `responseMimeType` cannot be translated");
    return 0;
}

static int
read_thinking(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const char *const levels[][2] = {
        {"MINIMAL", "minimal"}, {"LOW", "low"}, {"MEDIUM", "medium"}, {"HIGH", "high"},
        {"minimal", "minimal"}, {"low", "low"}, {"medium", "medium"}, {"high", "high"}};
    uint32_t budget = gemini_get(in->doc, node, "thinkingBudget");
    uint32_t level = gemini_get(in->doc, node, "thinkingLevel");
    int64_t tokens = 0;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (json_string_eq(in->doc, level, str_from(levels[i][0])))
            request->effort = str_from(levels[i][1]);
    if (budget == JSON_NONE)
        return 0;
    if (json_i64(in->doc, budget, -1, (int64_t)FACTS_OUTPUT_MAX, &tokens) < 0)
        return err_set(in->err, ERR_RANGE, "field `thinkingBudget` must be an integer from -1 on");
    request->thinking = tokens == 0  ? CHAT_THINKING_OFF
                        : tokens < 0 ? CHAT_THINKING_ADAPTIVE
                                     : CHAT_THINKING_BUDGET;
    request->thinking_budget = tokens > 0 ? (uint64_t)tokens : 0;
    return 0;
}

/* Members that OpenAI knows too go to `others` under its names, the rest under their own. */
static int
read_rest(const struct intake *in, uint32_t config, struct chat_request *request)
{
    static const struct {
        const char *name;
        const char *as; /* NULL: read elsewhere */
    } rows[] = {{"temperature", NULL},
                {"topP", NULL},
                {"topK", NULL},
                {"candidateCount", NULL},
                {"maxOutputTokens", NULL},
                {"stopSequences", NULL},
                {"responseMimeType", NULL},
                {"responseSchema", NULL},
                {"responseJsonSchema", NULL},
                {"thinkingConfig", NULL},
                {"seed", "seed"},
                {"presencePenalty", "presence_penalty"},
                {"frequencyPenalty", "frequency_penalty"},
                {"responseLogprobs", "logprobs"},
                {"logprobs", "top_logprobs"}};
    const struct json_doc *doc = in->doc;
    struct chat_field **end = intake_field_end(request);
    for (uint32_t key = json_first(doc, config); key != JSON_NONE;
         key = json_sibling(doc, config, key)) {
        uint32_t value = key + 1;
        struct str name;
        size_t row = 0;
        while (row < ARRAY_LEN(rows) && gemini_get(doc, config, rows[row].name) != value)
            row++;
        if (intake_absent(doc, value) || (row < ARRAY_LEN(rows) && rows[row].as == NULL))
            continue;
        int rc = json_string(doc, key, in->arena, &name);
        if (row < ARRAY_LEN(rows))
            name = str_from(rows[row].as);
        if (rc == 0 && str_eq(name, STR("responseModalities")) &&
            str_eq(json_raw(doc, value), STR("[\"TEXT\"]")))
            continue;
        if (rc == 0)
            rc = chat_field_add(end, name, json_raw(doc, value), in->arena);
        if (rc < 0)
            return rc;
        end = &(*end)->next;
    }
    return 0;
}

static int
read_config(const struct intake *in, uint32_t node, struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    uint64_t choices = 1;
    if (!json_is(doc, node, JSON_OBJECT))
        return intake_kind_error(in, "generationConfig", "an object");
    if (json_count(doc, node) > MEMBERS_MAX)
        return err_set(in->err, ERR_INVALID, "field `generationConfig` has too many members");
    int rc = intake_number(in, gemini_get(doc, node, "temperature"), "temperature",
                           &request->temperature);
    if (rc == 0)
        rc = intake_number(in, gemini_get(doc, node, "topP"), "topP", &request->top_p);
    if (rc == 0)
        rc = intake_number(in, gemini_get(doc, node, "topK"), "topK", &request->top_k);
    if (rc == 0)
        rc = intake_count(in, gemini_get(doc, node, "candidateCount"), "candidateCount", 128,
                          &choices);
    if (rc == 0)
        rc = intake_count(in, gemini_get(doc, node, "maxOutputTokens"), "maxOutputTokens",
                          FACTS_OUTPUT_MAX, &request->max_output);
    if (rc == 0)
        rc = intake_texts(in, gemini_get(doc, node, "stopSequences"), "stopSequences",
                          &request->stops);
    if (rc == 0)
        rc = read_format(in, node, request);
    if (rc == 0)
        rc = read_thinking(in, gemini_get(doc, node, "thinkingConfig"), request);
    request->choices = (uint32_t)choices;
    return rc < 0 ? rc : read_rest(in, node, request);
}

static int
read_tier(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return chat_field_add(&request->others, STR("service_tier"), json_raw(in->doc, node),
                          in->arena);
}

static const struct intake_row gemini_rows[] = {
    {"model", intake_row_model},
    {"contents", read_contents},
    {"systemInstruction", read_system},
    {"system_instruction", read_system},
    {"tools", read_tools},
    {"toolConfig", read_tool_config},
    {"tool_config", read_tool_config},
    {"generationConfig", read_config},
    {"generation_config", read_config},
    {"serviceTier", read_tier},
    {"service_tier", read_tier},
};

int
gemini_request_in(const struct json_doc *doc, struct arena *arena, struct chat_request *ret_request,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_request request = {.choices = 1, .include_usage = true};
    int rc = intake_fields(&in, gemini_rows, ARRAY_LEN(gemini_rows), &request);
    if (rc == 0)
        rc = finish_messages(&in, &request);
    if (rc == 0)
        rc = intake_allowed(&in, &request);
    if (rc == 0)
        rc = seal_open(&request, arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}
