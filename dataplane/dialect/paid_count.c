/* SPDX-License-Identifier: MIT
 * paid_count.c - tools that a provider ran for an answer of the Responses dialect, counted.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: no count is above CHAT_RUNS_MOST, whatever is claimed. Proved by paid_test.c. */
#include "dataplane/dialect/paid_int.h"

#include "dataplane/chat/claim.h"

static void
one_more(struct usage *usage, enum usage_class class_)
{
    usage->count[class_] = MIN(usage->count[class_] + 1, (uint64_t)CHAT_RUNS_MOST);
}

/* What an item is that a call of this type makes; request: nothing that is paid. Calls that open or
 * read a page are no searches; what the caller runs, what costs tokens only. */
static enum usage_class
class_of(const struct json_doc *doc, uint32_t item)
{
    static const struct {
        struct str type;
        enum usage_class class_;
    } types[] = {
        {JSON_NAME("file_search_call"), USAGE_file_search},
        {JSON_NAME("image_generation_call"), USAGE_image},
        {JSON_NAME("x_search_call"), USAGE_tool_call},
    };
    uint32_t type = json_get(doc, item, STR("type"));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (json_string_eq(doc, type, types[i].type))
            return types[i].class_;
    }
    if (!json_string_eq(doc, type, STR("web_search_call")))
        return USAGE_request;
    uint32_t action = json_get(doc, json_get(doc, item, STR("action")), STR("type"));
    return action == JSON_NONE || json_string_eq(doc, action, STR("search")) ? USAGE_web_search
                                                                             : USAGE_request;
}

void
paid_item(const struct json_doc *doc, uint32_t item, struct usage *usage)
{
    enum usage_class class_ = class_of(doc, item);
    if (class_ != USAGE_request)
        one_more(usage, class_);
    /* its sandbox is that of the calls before, when we see one call alone */
    if (json_string_eq(doc, json_get(doc, item, STR("type")), STR("code_interpreter_call")))
        usage->count[USAGE_code_run] = MAX(usage->count[USAGE_code_run], UINT64_C(1));
}

/* Calls of the code interpreter in one container are one. */
static uint64_t
containers(const struct json_doc *doc, uint32_t output)
{
    uint64_t count = 0;
    struct str last = STR_EMPTY;
    for (uint32_t at = json_first(doc, output); at != JSON_NONE;
         at = json_sibling(doc, output, at)) {
        if (!json_string_eq(doc, json_get(doc, at, STR("type")), STR("code_interpreter_call")))
            continue;
        struct str id = json_raw(doc, json_get(doc, at, STR("container_id")));
        count += count == 0 || !str_eq(id, last);
        last = id;
    }
    return MIN(count, (uint64_t)CHAT_RUNS_MOST);
}

void
paid_items(const struct json_doc *doc, uint32_t output, const struct usage *seen,
           struct usage *usage)
{
    static const enum usage_class classes[] = {USAGE_web_search, USAGE_file_search, USAGE_image,
                                               USAGE_code_run, USAGE_tool_call};
    if (json_is(doc, output, JSON_ARRAY)) {
        for (uint32_t at = json_first(doc, output); at != JSON_NONE;
             at = json_sibling(doc, output, at))
            paid_item(doc, at, usage);
        usage->count[USAGE_code_run] = containers(doc, output);
    }
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        usage->count[classes[i]] = MAX(usage->count[classes[i]], seen->count[classes[i]]);
}

void
paid_details(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    static const struct {
        struct str name;
        enum usage_class class_;
    } rows[] = {
        {JSON_NAME("web_search_calls"), USAGE_web_search},
        {JSON_NAME("file_search_calls"), USAGE_file_search},
        {JSON_NAME("code_interpreter_calls"), USAGE_code_run},
        {JSON_NAME("image_generation_calls"), USAGE_image},
        {JSON_NAME("x_search_calls"), USAGE_tool_call},
        {JSON_NAME("document_search_calls"), USAGE_tool_call},
    };
    uint32_t details = json_get(doc, object, STR("server_side_tool_usage_details"));
    uint64_t sum[USAGE_CLASS_COUNT] = {0};
    if (!json_is(doc, details, JSON_OBJECT))
        return;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        sum[rows[i].class_] +=
            claim_count(doc, json_get(doc, details, rows[i].name), &usage->clamped);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t *count = &usage->count[rows[i].class_];
        uint64_t told = MIN(sum[rows[i].class_], (uint64_t)CHAT_RUNS_MOST);
        usage->clamped = usage->clamped || told < sum[rows[i].class_];
        *count = MAX(*count, told);
    }
}
