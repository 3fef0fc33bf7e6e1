/* SPDX-License-Identifier: MIT
 * intake.c - reading fields of a request: kinds, ranges, and words for a person when they are
 * wrong.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: null is absent; no field is read by a name it was not written with. */
#include "dataplane/dialect/seal_int.h"
#include "dataplane/dialect/search_int.h"

#include "lib/base/num.h"

#define INTAKE_ALLOWED_MAX 256u

bool
intake_absent(const struct json_doc *doc, uint32_t node)
{
    return node == JSON_NONE || json_is(doc, node, JSON_NULL);
}

uint32_t
intake_get(const struct json_doc *doc, uint32_t object, struct str key)
{
    uint32_t node = json_get(doc, object, key);
    return intake_absent(doc, node) ? JSON_NONE : node;
}

int
intake_kind_error(const struct intake *in, const char *field, const char *wanted)
{
    return err_set(in->err, ERR_INVALID, "field `%s` must be %s", field, wanted);
}

int
intake_text(const struct intake *in, uint32_t node, const char *field, struct str *ret_text)
{
    if (intake_absent(in->doc, node))
        return 0;
    int rc = json_string(in->doc, node, in->arena, ret_text);
    return rc == -ERR_INVALID ? intake_kind_error(in, field, "a string") : rc;
}

int
intake_member(const struct intake *in, uint32_t object, const char *field, struct str *ret_text)
{
    return intake_text(in, json_get(in->doc, object, str_from(field)), field, ret_text);
}

int
intake_switch(const struct intake *in, uint32_t node, const char *field,
              enum chat_switch *ret_switch)
{
    bool value = false;
    if (intake_absent(in->doc, node))
        return 0;
    if (json_bool(in->doc, node, &value) < 0)
        return intake_kind_error(in, field, "true or false");
    *ret_switch = value ? CHAT_ON : CHAT_OFF;
    return 0;
}

int
intake_count(const struct intake *in, uint32_t node, const char *field, uint64_t max,
             uint64_t *ret_count)
{
    uint64_t count = 0;
    int rc = 0;
    if (intake_absent(in->doc, node))
        return 0;
    if (json_is(in->doc, node, JSON_STRING)) {
        struct str digits;
        rc = json_string(in->doc, node, in->arena, &digits);
        if (rc == 0)
            rc = num_u64(digits, max, &count);
        if (rc == -ERR_PARSE)
            rc = -ERR_INVALID;
    } else {
        rc = json_u64(in->doc, node, max, &count);
    }
    if (rc == -ERR_NOMEM)
        return rc;
    if (rc == -ERR_INVALID)
        return intake_kind_error(in, field, "an integer");
    if (rc < 0 || count == 0)
        return err_set(in->err, ERR_RANGE, "field `%s` must be an integer from 1 to %llu", field,
                       (unsigned long long)max);
    *ret_count = count;
    return 0;
}

int
intake_object(const struct intake *in, uint32_t node, const char *field, struct str *ret_raw)
{
    if (intake_absent(in->doc, node))
        return 0;
    if (!json_is(in->doc, node, JSON_OBJECT))
        return intake_kind_error(in, field, "an object");
    *ret_raw = json_raw(in->doc, node);
    return 0;
}

bool
intake_is_object(struct str text)
{
    struct json_doc doc;
    json_init(&doc);
    bool is =
        json_scan(&doc, text, &dialect_reply_limits, NULL) == 0 && json_is(&doc, 0, JSON_OBJECT);
    json_fini(&doc);
    return is;
}

int
intake_fields(const struct intake *in, const struct intake_row *rows, size_t count,
              struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    struct chat_field **others = &request->others;
    if (!json_is(doc, 0, JSON_OBJECT))
        return err_set(in->err, ERR_INVALID, "the body must be a JSON object");
    for (uint32_t at = json_first(doc, 0); at != JSON_NONE; at = json_sibling(doc, 0, at)) {
        uint32_t value = at + 1;
        size_t row = 0;
        if (json_is(doc, value, JSON_NULL))
            continue;
        while (row < count && !json_string_eq(doc, at, str_from(rows[row].name)))
            row++;
        int rc = 0;
        if (row < count) {
            rc = rows[row].read(in, value, request);
        } else {
            struct str name;
            rc = json_string(doc, at, in->arena, &name);
            if (rc == 0)
                rc = chat_field_add(others, name, json_raw(doc, value), in->arena);
            if (rc == 0)
                others = &(*others)->next;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct chat_field **
intake_field_end(struct chat_request *request)
{
    struct chat_field **end = &request->others;
    while (*end != NULL)
        end = &(*end)->next;
    return end;
}

int
intake_allowed(const struct intake *in, struct chat_request *request)
{
    struct chat_tool **at = &request->tools;
    unsigned count = 0;
    search_choose(request);
    for (const struct chat_text *name = request->allowed; name != NULL; name = name->next)
        count++;
    if (count > INTAKE_ALLOWED_MAX)
        return err_set(in->err, ERR_INVALID, "more than %u tools are allowed by name",
                       INTAKE_ALLOWED_MAX);
    while (*at != NULL && count > 0) {
        const struct chat_text *name = request->allowed;
        while (name != NULL && !str_eq(name->text, (*at)->name))
            name = name->next;
        if (name == NULL)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    if (count == 1 && request->tool_choice == CHAT_CHOICE_REQUIRED) {
        request->tool_choice = CHAT_CHOICE_NAMED;
        request->tool_choice_name = request->allowed->text;
    }
    return 0;
}

int
intake_allowed_tools(const struct intake *in, uint32_t node, struct chat_request *request)
{
    static const struct intake_choice modes[] = {{"auto", CHAT_CHOICE_AUTO},
                                                 {"required", CHAT_CHOICE_REQUIRED}};
    const struct json_doc *doc = in->doc;
    struct chat_text **end = &request->allowed;
    uint32_t tools = json_get(doc, node, STR("tools"));
    if (!json_is(doc, tools, JSON_ARRAY) || json_first(doc, tools) == JSON_NONE ||
        !intake_choice(in, json_get(doc, node, STR("mode")), modes, ARRAY_LEN(modes), request))
        return intake_kind_error(in, "allowed_tools", "a mode and a list of tools");
    for (uint32_t at = json_first(doc, tools); at != JSON_NONE; at = json_sibling(doc, tools, at)) {
        uint32_t body = json_get(doc, at, STR("function"));
        struct str name = STR_EMPTY;
        int rc = intake_member(in, json_is(doc, body, JSON_OBJECT) ? body : at, "name", &name);
        if (rc == 0)
            rc = chat_text_add(end, name, in->arena);
        if (rc < 0)
            return rc;
        end = &(*end)->next;
    }
    return 0;
}

int
intake_request(const struct intake *in, const struct intake_row *rows, size_t count,
               const struct chat_request *defaults, struct chat_request *ret_request)
{
    struct chat_request request = *defaults;
    int rc = intake_fields(in, rows, count, &request);
    if (rc == 0)
        rc = intake_allowed(in, &request);
    if (rc == 0)
        rc = seal_open(&request, in->arena);
    if (rc == 0)
        *ret_request = request;
    return rc;
}

int
dialect_read_thinking(const struct intake *in, uint32_t node, struct chat_request *request)
{
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("disabled"))) {
        request->thinking = CHAT_THINKING_OFF;
    } else if (str_eq(type, STR("adaptive"))) {
        request->thinking = CHAT_THINKING_ADAPTIVE;
    } else if (str_eq(type, STR("enabled"))) {
        request->thinking = CHAT_THINKING_BUDGET;
        rc = intake_count(in, json_get(in->doc, node, STR("budget_tokens")),
                          "thinking.budget_tokens", FACTS_OUTPUT_MAX, &request->thinking_budget);
    } else {
        rc = err_set(in->err, ERR_UNSUPPORTED, "field `thinking.type` has an unknown value");
    }
    return rc;
}

/* ---- requests -------------------------------------------------------------------------------- */

int
intake_number(const struct intake *in, uint32_t node, const char *field, struct str *ret_raw)
{
    if (intake_absent(in->doc, node))
        return 0;
    struct str raw = json_raw(in->doc, node);
    if (json_is(in->doc, node, JSON_STRING)) { /* a number all the same */
        struct json_doc inner;
        json_init(&inner);
        bool number = json_scan(&inner, str_make(raw.ptr + 1, raw.len - 2), NULL, NULL) == 0 &&
                      json_is(&inner, 0, JSON_NUMBER);
        raw = number ? json_raw(&inner, 0) : STR_EMPTY;
        json_fini(&inner);
    } else if (!json_is(in->doc, node, JSON_NUMBER)) {
        raw = STR_EMPTY;
    }
    if (raw.len == 0)
        return intake_kind_error(in, field, "a number");
    *ret_raw = raw;
    return 0;
}

int
intake_texts(const struct intake *in, uint32_t list, const char *field,
             struct chat_text **ret_texts)
{
    const struct json_doc *doc = in->doc;
    bool one = json_is(doc, list, JSON_STRING);
    if (intake_absent(doc, list))
        return 0;
    if (!one && !json_is(doc, list, JSON_ARRAY))
        return intake_kind_error(in, field, "a string or a list of strings");
    uint32_t at = one ? list : json_first(doc, list);
    for (; at != JSON_NONE; at = one ? JSON_NONE : json_sibling(doc, list, at)) {
        struct str text = STR_EMPTY;
        int rc = intake_text(in, at, field, &text);
        if (rc == 0)
            rc = chat_text_add(ret_texts, text, in->arena);
        if (rc < 0)
            return rc;
        ret_texts = &(*ret_texts)->next;
    }
    return 0;
}

int
intake_role(const struct intake *in, uint32_t message, const struct intake_role *rows, size_t count,
            enum chat_role *ret_role)
{
    uint32_t role = json_get(in->doc, message, STR("role"));
    for (size_t i = 0; i < count; i++) {
        if (!json_string_eq(in->doc, role, str_from(rows[i].name)))
            continue;
        *ret_role = rows[i].role;
        return 0;
    }
    return err_set(in->err, ERR_INVALID, "field `messages.role` is missing or not known");
}

int
intake_messages(const struct intake *in, uint32_t node, struct chat_request *request,
                int (*read)(const struct intake *in, uint32_t node, struct chat_message *message))
{
    const struct json_doc *doc = in->doc;
    struct chat_message **end = &request->messages;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "messages", "a list");
    while (*end != NULL) /* a system message that stood before */
        end = &(*end)->next;
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        struct chat_message *message = chat_message_add(end, CHAT_ROLE_USER, in->arena);
        int rc = message == NULL ? -ERR_NOMEM : read(in, at, message);
        if (rc < 0)
            return rc;
        end = &message->next;
    }
    return 0;
}

struct chat_message *
intake_system(const struct intake *in, struct chat_request *request)
{
    struct chat_message *head = request->messages;
    request->messages = NULL;
    struct chat_message *system = chat_message_add(&request->messages, CHAT_ROLE_SYSTEM, in->arena);
    if (system != NULL)
        system->next = head;
    return system;
}

bool
intake_choice(const struct intake *in, uint32_t node, const struct intake_choice *rows,
              size_t count, struct chat_request *request)
{
    for (size_t i = 0; i < count; i++) {
        if (!json_string_eq(in->doc, node, str_from(rows[i].name)))
            continue;
        request->tool_choice = rows[i].choice;
        return true;
    }
    return false;
}

int
intake_result(const struct intake *in, uint32_t node, struct chat_message *message)
{
    struct chat_part *content = message->parts;
    message->parts = NULL;
    struct chat_part *result = chat_part_add(&message->parts, CHAT_PART_TOOL_RESULT, in->arena);
    if (result == NULL)
        return -ERR_NOMEM;
    result->content = content;
    return intake_member(in, node, "tool_call_id", &result->id);
}

int
intake_rest(const struct intake *in, uint32_t node, const char *field, const char *const *known,
            struct chat_request *request)
{
    const struct json_doc *doc = in->doc;
    if (!json_is(doc, node, JSON_OBJECT))
        return intake_kind_error(in, field, "an object");
    if (json_count(doc, node) > INTAKE_MEMBERS_MAX)
        return err_set(in->err, ERR_INVALID, "field `%s` has too many members", field);
    for (uint32_t key = json_first(doc, node); key != JSON_NONE;
         key = json_sibling(doc, node, key)) {
        bool is_known = intake_absent(doc, key + 1);
        struct str raw = json_raw(doc, key);
        for (const char *const *at = known; *at != NULL; at++)
            is_known = is_known || json_string_eq(doc, key, str_from(*at));
        if (is_known)
            continue;
        struct str name = arena_printf(in->arena, "%s.%.*s", field,
                                       (int)MIN(raw.len - 2, (size_t)64), raw.ptr + 1);
        if (name.ptr == NULL ||
            chat_field_add(&request->others, name, json_raw(doc, key + 1), in->arena) < 0)
            return -ERR_NOMEM;
    }
    return 0;
}

int
intake_tools(const struct intake *in, uint32_t node, struct chat_request *request,
             const char *const *known,
             int (*read)(const struct intake *in, uint32_t node, struct chat_tool *tool))
{
    const struct json_doc *doc = in->doc;
    struct chat_tool **end = &request->tools;
    unsigned count = 0;
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, "tools", "a list");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        if (search_is_tool(in, at)) {
            int rc = search_tool_in(in, at, request);
            if (rc < 0)
                return rc;
            continue;
        }
        struct chat_tool *tool = chat_tool_add(end, in->arena);
        int rc = tool == NULL ? -ERR_NOMEM : read(in, at, tool);
        if (rc == 0 && count++ < INTAKE_MEMBERS_MAX) /* more would say the same */
            rc = intake_rest(in, at, "tools", known, request);
        if (rc < 0)
            return rc;
        end = &tool->next;
    }
    return 0;
}

int
intake_function(const struct intake *in, uint32_t body, struct chat_tool *tool)
{
    int rc = intake_member(in, body, "name", &tool->name);
    if (rc == 0)
        rc = intake_member(in, body, "description", &tool->description);
    if (rc == 0)
        rc = intake_object(in, json_get(in->doc, body, STR("parameters")), "parameters",
                           &tool->schema);
    return rc;
}

int
intake_function_tool(const struct intake *in, uint32_t node, struct chat_tool *tool)
{
    return intake_function(in, json_get(in->doc, node, STR("function")), tool);
}

int
intake_row_model(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "model", &request->model);
}

int
intake_row_stream(const struct intake *in, uint32_t node, struct chat_request *request)
{
    enum chat_switch value = CHAT_OFF;
    int rc = intake_switch(in, node, "stream", &value);
    request->stream = value == CHAT_ON;
    return rc;
}

int
intake_row_max_tokens(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_count(in, node, "max_tokens", FACTS_OUTPUT_MAX, &request->max_output);
}

int
intake_row_temperature(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_number(in, node, "temperature", &request->temperature);
}

int
intake_row_top_p(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_number(in, node, "top_p", &request->top_p);
}

int
intake_row_top_k(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_number(in, node, "top_k", &request->top_k);
}

int
intake_row_stop_sequences(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_texts(in, node, "stop_sequences", &request->stops);
}

int
intake_row_parallel(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_switch(in, node, "parallel_tool_calls", &request->parallel_tools);
}

int
intake_row_user(const struct intake *in, uint32_t node, struct chat_request *request)
{
    return intake_text(in, node, "user", &request->user);
}

/* ---- content --------------------------------------------------------------------------------- */

struct chat_part **
intake_part_end(struct chat_part **list)
{
    while (*list != NULL)
        list = &(*list)->next;
    return list;
}

int
intake_part(const struct intake *in, uint32_t node, const char *field, enum chat_part_kind kind,
            struct chat_part ***list)
{
    struct str text = STR_EMPTY;
    int rc = intake_text(in, node, field, &text);
    if (rc < 0 || text.len == 0)
        return rc;
    struct chat_part *part = chat_part_add(*list, kind, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    part->text = text;
    *list = &part->next;
    return 0;
}

int
intake_parts(const struct intake *in, uint32_t node, const char *field, struct chat_part **list,
             int (*read)(const struct intake *in, uint32_t node, struct chat_part **list))
{
    const struct json_doc *doc = in->doc;
    if (intake_absent(doc, node))
        return 0;
    if (json_is(doc, node, JSON_STRING))
        return intake_part(in, node, field, CHAT_PART_TEXT, &list);
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, field, "a string or a list of parts");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = read(in, at, list);
        if (rc < 0)
            return rc;
        list = intake_part_end(list);
    }
    return 0;
}

int
intake_format(const struct intake *in, uint32_t node, uint32_t body, struct chat_request *request)
{
    static const char *const types[] = {[CHAT_FORMAT_TEXT] = "text",
                                        [CHAT_FORMAT_JSON] = "json_object",
                                        [CHAT_FORMAT_SCHEMA] = "json_schema"};
    struct str type = STR("text");
    int rc = intake_member(in, node, "type", &type);
    for (size_t i = CHAT_FORMAT_TEXT; i < ARRAY_LEN(types); i++)
        if (str_eq(type, str_from(types[i])))
            request->format = (enum chat_format)i;
    if (rc == 0 && request->format == CHAT_FORMAT_UNSET)
        return err_set(in->err, ERR_UNSUPPORTED, "format of type `%.*s` cannot be translated",
                       (int)MIN(type.len, (size_t)64), type.ptr);
    if (rc < 0 || request->format != CHAT_FORMAT_SCHEMA)
        return rc;
    rc = intake_member(in, body, "name", &request->format_name);
    if (rc == 0)
        rc = intake_object(in, json_get(in->doc, body, STR("schema")), "schema", &request->schema);
    return rc < 0 ? rc
                  : intake_switch(in, json_get(in->doc, body, STR("strict")), "strict",
                                  &request->schema_strict);
}

enum chat_finish
intake_finish(const struct json_doc *doc, uint32_t node, const struct intake_finish *rows,
              size_t count)
{
    if (!json_is(doc, node, JSON_STRING))
        return CHAT_FINISH_NONE;
    for (size_t i = 0; i < count; i++)
        if (json_string_eq(doc, node, str_from(rows[i].name)))
            return rows[i].finish;
    return CHAT_FINISH_STOP; /* eos and the like of compatible servers */
}
