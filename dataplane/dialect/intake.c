/* SPDX-License-Identifier: MIT
 * intake.c - reading fields of a request: kinds, ranges, and words for a person when they are
 * wrong.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: null is absent; no field is read by a name it was not written with. */
#include "dataplane/dialect/dialect_int.h"

#include "lib/base/num.h"

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
