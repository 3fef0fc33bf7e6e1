/* SPDX-License-Identifier: MIT
 * responses_answer.c - whole response objects: looked at, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see dialect.h. Spec: WIRE-FORMATS 4.1, 4.2. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/paid_int.h"
#include "dataplane/dialect/responses_int.h"

#include "dataplane/chat/claim.h"

enum chat_finish
responses_finish(const struct json_doc *doc, uint32_t response, bool called)
{
    uint32_t status = json_get(doc, response, STR("status"));
    uint32_t reason = json_path(doc, response, "incomplete_details.reason");
    if (json_string_eq(doc, status, STR("incomplete")))
        return json_string_eq(doc, reason, STR("content_filter")) ? CHAT_FINISH_FILTER
                                                                  : CHAT_FINISH_LENGTH;
    if (json_string_eq(doc, status, STR("failed")) || json_string_eq(doc, status, STR("cancelled")))
        return CHAT_FINISH_ERROR;
    if (!json_string_eq(doc, status, STR("completed")))
        return CHAT_FINISH_NONE;
    return called ? CHAT_FINISH_TOOL_CALLS : CHAT_FINISH_STOP;
}

bool
responses_usage(const struct json_doc *doc, uint32_t response, struct usage *usage)
{
    uint32_t object = json_get(doc, response, STR("usage"));
    uint32_t in = json_get(doc, object, STR("input_tokens_details"));
    uint32_t out = json_get(doc, object, STR("output_tokens_details"));
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    bool *clamped = &found.clamped;
    if (json_get(doc, object, STR("input_tokens")) == JSON_NONE &&
        json_get(doc, object, STR("output_tokens")) == JSON_NONE)
        return false;
    uint64_t prompt = claim_count(doc, json_get(doc, object, STR("input_tokens")), clamped);
    uint64_t output = claim_count(doc, json_get(doc, object, STR("output_tokens")), clamped);
    if (prompt == 0 && output == 0 && !found.clamped)
        return false; /* cut answers were seen to say so: it is no report, Berth counts itself */
    uint64_t cached = claim_count(doc, json_get(doc, in, STR("cached_tokens")), clamped);
    uint64_t written = claim_count(doc, json_get(doc, in, STR("cache_write_tokens")), clamped);
    uint64_t reasoning = claim_count(doc, json_get(doc, out, STR("reasoning_tokens")), clamped);
    found.count[USAGE_cached] = claim_carve(&prompt, cached, clamped);
    found.count[USAGE_cache_write] = claim_carve(&prompt, written, clamped);
    found.count[USAGE_reasoning] = claim_carve(&output, reasoning, clamped);
    found.count[USAGE_input] = prompt;
    found.count[USAGE_output] = output;
    paid_items(doc, json_get(doc, response, STR("output")), usage, &found);
    paid_details(doc, object, &found);
    claim_service(doc, json_get(doc, response, STR("service_tier")), &found);
    *usage = found;
    return true;
}

void
responses_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    struct stream_look look = {0};
    uint32_t output = json_get(doc, 0, STR("output"));
    bool called = false;
    if (!json_is(doc, 0, JSON_OBJECT))
        look.flags |= STREAM_MALFORMED;
    if (error_present(doc, json_get(doc, 0, STR("error"))))
        look.flags |= STREAM_ERROR;
    if (!json_is(doc, output, JSON_ARRAY))
        output = JSON_NONE;
    for (uint32_t at = json_first(doc, output); at != JSON_NONE;
         at = json_sibling(doc, output, at)) {
        uint32_t type = json_get(doc, at, STR("type"));
        called = called || json_string_eq(doc, type, STR("function_call")) ||
                 json_string_eq(doc, type, STR("custom_tool_call"));
        look.flags |= STREAM_TOKEN;
    }
    if (called)
        look.flags |= STREAM_TOOLS;
    if (responses_usage(doc, 0, &look.usage))
        look.flags |= STREAM_USAGE;
    look.finish = responses_finish(doc, 0, called);
    if (look.finish != CHAT_FINISH_NONE)
        look.flags |= STREAM_FINISH | STREAM_END;
    look.total_bytes = json_raw(doc, output).len;
    look.delta_bytes = (uint32_t)MIN(look.total_bytes, (uint64_t)UINT32_MAX);
    look.seen = look.flags;
    *ret_look = look;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct str
responses_logprobs(struct str list)
{
    bool is_list = list.len > 2 && list.ptr[0] == '[';
    return is_list ? str_trim(str_make(list.ptr + 1, list.len - 2)) : STR_EMPTY;
}

struct str
responses_chat_logprobs(struct str raw)
{
    struct json_doc doc;
    struct str list = STR_EMPTY;
    json_init(&doc);
    if (json_scan(&doc, raw, &dialect_reply_limits, NULL) == 0)
        list = json_raw(&doc, json_get(&doc, 0, STR("content")));
    json_fini(&doc);
    return responses_logprobs(list);
}

/* Of all texts of the answer, as one list. */
static int
read_logprobs(const struct intake *in, uint32_t output, struct str *ret_raw)
{
    const struct json_doc *doc = in->doc;
    struct buf all;
    buf_init(&all, doc->text.len + 64);
    for (uint32_t at = json_first(doc, output); at != JSON_NONE;
         at = json_sibling(doc, output, at)) {
        uint32_t content = json_get(doc, at, STR("content"));
        if (!json_is(doc, content, JSON_ARRAY))
            continue;
        for (uint32_t part = json_first(doc, content); part != JSON_NONE;
             part = json_sibling(doc, content, part)) {
            uint32_t list = json_get(doc, part, STR("logprobs"));
            struct str inner = responses_logprobs(json_raw(doc, list));
            if (inner.len > 0)
                buf_put_str(&all, all.len > 0 ? STR(",") : STR("{\"content\":["));
            buf_put_str(&all, inner);
        }
    }
    if (all.len > 0)
        buf_put_str(&all, STR("],\"refusal\":null}"));
    int rc = all.failed ? -ERR_NOMEM : arena_dup(in->arena, buf_str(&all), ret_raw);
    buf_fini(&all);
    return rc;
}

/* Annotations of all texts; each counts from its own text's begin. */
static int
read_citations(const struct intake *in, uint32_t output, struct chat_citation **list)
{
    const struct json_doc *doc = in->doc;
    uint64_t base = 0;
    for (uint32_t at = json_first(doc, output); at != JSON_NONE;
         at = json_sibling(doc, output, at)) {
        uint32_t content = json_get(doc, at, STR("content"));
        if (!json_is(doc, content, JSON_ARRAY) ||
            !json_string_eq(doc, json_get(doc, at, STR("type")), STR("message")))
            continue;
        for (uint32_t part = json_first(doc, content); part != JSON_NONE;
             part = json_sibling(doc, content, part)) {
            struct str text = STR_EMPTY;
            int rc = cite_string(in, json_get(doc, part, STR("text")), &text);
            uint64_t count = cite_count(text);
            if (rc == 0)
                rc = cite_openai_list(in, json_get(doc, part, STR("annotations")), base, count,
                                      list);
            if (rc < 0)
                return rc;
            base += count;
        }
    }
    return 0;
}

int
responses_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                    struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {0};
    uint32_t output = json_get(doc, 0, STR("output"));
    bool called = false;
    if (!json_is(doc, output, JSON_ARRAY))
        return err_set(err, ERR_INVALID, "the answer has no output");
    struct chat_choice *choice = chat_choice_add(&answer.choices, 0, arena);
    if (choice == NULL)
        return -ERR_NOMEM;
    struct chat_part **end = &choice->parts;
    int rc = intake_member(&in, 0, "id", &answer.id);
    if (rc == 0)
        rc = intake_member(&in, 0, "model", &answer.model);
    for (uint32_t at = json_first(doc, output); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, output, at)) {
        enum chat_role role;
        rc = responses_item_in(&in, at, true, &role, end);
        for (; rc == 0 && *end != NULL; end = &(*end)->next)
            called = called || (*end)->kind == CHAT_PART_TOOL_CALL;
    }
    if (rc == 0)
        rc = read_logprobs(&in, output, &choice->logprobs);
    if (rc == 0)
        rc = read_citations(&in, output, &choice->citations);
    if (rc < 0)
        return rc;
    if (json_u64(doc, json_get(doc, 0, STR("created_at")), INT64_MAX, &answer.created) < 0)
        answer.created = 0;
    choice->finish = responses_finish(doc, 0, called);
    (void)responses_usage(doc, 0, &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

void
responses_put_usage(struct json_writer *writer, const struct usage *usage)
{
    const uint64_t *count = usage->count;
    uint64_t written = count[USAGE_cache_write] + count[USAGE_cache_write_1h];
    uint64_t prompt = usage_prompt_tokens(usage);
    uint64_t output = usage_answer_tokens(usage);
    json_key(writer, "usage");
    if (usage->evidence == EVIDENCE_NONE) {
        json_value_null(writer);
        return;
    }
    json_open_object(writer);
    json_member_u64(writer, "input_tokens", prompt);
    json_key_object(writer, "input_tokens_details");
    json_member_u64(writer, "cached_tokens", count[USAGE_cached]);
    if (written > 0)
        json_member_u64(writer, "cache_write_tokens", written);
    json_close_object(writer);
    json_member_u64(writer, "output_tokens", output);
    json_key_object(writer, "output_tokens_details");
    json_member_u64(writer, "reasoning_tokens", count[USAGE_reasoning]);
    json_close_object(writer);
    json_member_u64(writer, "total_tokens", prompt + output);
    json_close_object(writer);
}

static struct str
status_of(enum chat_finish finish)
{
    switch (finish) {
    case CHAT_FINISH_NONE:
        return STR("in_progress");
    case CHAT_FINISH_LENGTH:
    case CHAT_FINISH_FILTER:
        return STR("incomplete");
    case CHAT_FINISH_ERROR:
        return STR("failed");
    case CHAT_FINISH_STOP:
    case CHAT_FINISH_TOOL_CALLS:
        break;
    }
    return STR("completed");
}

void
responses_put_error(struct json_writer *writer, const struct chat_error *error, bool whole)
{
    struct str code = error->code;
    if (code.len == 0)
        code = error->class_ == CHAT_ERROR_OVERLOADED ? STR("overloaded") : STR("server_error");
    json_open_object(writer);
    if (whole)
        json_member_str(writer, "type", error->type.len > 0 ? error->type : STR("server_error"));
    json_member_str(writer, "code", code);
    json_member_str(writer, "message", error->message);
    if (whole) {
        json_key(writer, "param");
        if (error->param.len > 0)
            json_value_str(writer, error->param);
        else
            json_value_null(writer);
    }
    json_close_object(writer);
}

void
responses_put_head(struct json_writer *writer, const struct responses_head *head)
{
    bool ours = str_starts(head->id, STR("resp_"));
    struct buf id;
    buf_init(&id, head->id.len + 8);
    buf_put_str(&id, ours ? STR_EMPTY : STR("resp_"));
    buf_put_str(&id, head->id);
    json_open_object(writer);
    json_member_str(writer, "id", buf_str(&id));
    buf_fini(&id);
    json_member_str(writer, "object", STR("response"));
    json_member_u64(writer, "created_at", head->created);
    json_member_str(writer, "status", status_of(head->finish));
    json_member_raw(writer, "background", STR("false"));
    json_key(writer, "error");
    if (head->error != NULL)
        responses_put_error(writer, head->error, false);
    else
        json_value_null(writer);
    json_key(writer, "incomplete_details");
    if (head->finish == CHAT_FINISH_LENGTH)
        json_value_raw(writer, STR("{\"reason\":\"max_output_tokens\"}"));
    else if (head->finish == CHAT_FINISH_FILTER)
        json_value_raw(writer, STR("{\"reason\":\"content_filter\"}"));
    else
        json_value_null(writer);
    json_member_raw(writer, "instructions", STR("null"));
    json_member_str(writer, "model", head->model);
    json_key(writer, "output");
}

void
responses_put_tail(struct json_writer *writer, const struct responses_head *head)
{
    json_member_raw(writer, "parallel_tool_calls", STR("true"));
    json_member_raw(writer, "previous_response_id", STR("null"));
    json_member_raw(writer, "store", STR("false"));
    json_member_raw(writer, "tool_choice", STR("\"auto\""));
    json_member_raw(writer, "tools", STR("[]"));
    if (head->usage != NULL)
        responses_put_usage(writer, head->usage);
    else
        json_member_raw(writer, "usage", STR("null"));
    json_member_raw(writer, "metadata", STR("{}"));
    json_close_object(writer);
}

/* One item of the output being written; base: where its text begins in the choice's. */
struct place {
    struct str id;
    struct str logprobs;
    const struct chat_citation *citations;
    uint64_t base;
    bool cut;
    bool last; /* text */
};

static void
put_annotations(struct json_writer *writer, const struct place *place, struct str text)
{
    uint32_t index = 0;
    uint64_t count = cite_count(text);
    json_key_array(writer, "annotations");
    for (const struct chat_citation *at = place->citations; at != NULL; at = at->next)
        if (cite_within(at, place->base, count, place->last))
            cite_put_openai(writer, at, false, place->base, index++);
    json_close_array(writer);
}

static void
put_message(struct json_writer *writer, const struct chat_part *part, const struct place *place)
{
    bool refusal = part->kind == CHAT_PART_REFUSAL;
    json_open_object(writer);
    json_member_str(writer, "id", place->id);
    json_member_str(writer, "type", STR("message"));
    json_member_str(writer, "status", place->cut ? STR("incomplete") : STR("completed"));
    json_key_array(writer, "content");
    json_open_object(writer);
    json_member_str(writer, "type", refusal ? STR("refusal") : STR("output_text"));
    if (!refusal)
        put_annotations(writer, place, part->text);
    json_member_str(writer, refusal ? "refusal" : "text", part->text);
    if (!refusal) {
        json_key_array(writer, "logprobs");
        if (place->logprobs.len > 0)
            json_value_raw(writer, place->logprobs);
        json_close_array(writer);
    }
    json_close_object(writer);
    json_close_array(writer);
    json_member_str(writer, "role", STR("assistant"));
    json_close_object(writer);
}

static void
put_call(struct json_writer *writer, const struct chat_part *part, struct str id)
{
    json_open_object(writer);
    json_member_str(writer, "id", id);
    json_member_str(writer, "type", part->custom ? STR("custom_tool_call") : STR("function_call"));
    json_member_str(writer, "status", STR("completed"));
    json_member_str(writer, part->custom ? "input" : "arguments", part->text);
    json_member_str(writer, "call_id", part->id);
    json_member_str(writer, "name", part->name);
    json_close_object(writer);
}

static void
put_part(struct json_writer *writer, const struct chat_part *part, const struct place *place)
{
    switch (part->kind) {
    case CHAT_PART_REASONING:
    case CHAT_PART_REDACTED:
        responses_put_reasoning(writer, part->text, part->signature,
                                part->kind == CHAT_PART_REDACTED, place->id);
        break;
    case CHAT_PART_TOOL_CALL:
        put_call(writer, part, place->id);
        break;
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
    case CHAT_PART_IMAGE:
    case CHAT_PART_FILE:
    case CHAT_PART_AUDIO:
    case CHAT_PART_TOOL_RESULT:
        put_message(writer, part, place);
        break;
    }
}

const char *
responses_prefix(enum chat_part_kind kind, bool custom)
{
    if (kind == CHAT_PART_REASONING || kind == CHAT_PART_REDACTED)
        return "rs";
    if (kind == CHAT_PART_TOOL_CALL)
        return custom ? "ctc" : "fc";
    return "msg";
}

static bool
is_last_text(const struct chat_part *part)
{
    do
        part = part->next;
    while (part != NULL && part->kind != CHAT_PART_TEXT);
    return part == NULL;
}

int
responses_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out)
{
    const struct chat_choice *choice = answer->choices;
    const struct responses_head head = {
        .id = answer->id,
        .model = answer->model,
        .created = answer->created,
        .finish = choice == NULL || choice->finish == CHAT_FINISH_NONE ? CHAT_FINISH_STOP
                                                                       : choice->finish,
        .usage = &answer->usage};
    struct place place = {.cut = head.finish == CHAT_FINISH_LENGTH ||
                                 head.finish == CHAT_FINISH_FILTER,
                          .citations = choice != NULL ? choice->citations : NULL};
    struct json_writer writer;
    struct chat_part refusal;
    const struct chat_part *parts = NULL;
    unsigned count = 0;
    if (choice != NULL)
        place.logprobs = responses_chat_logprobs(choice->logprobs);
    if (freeform_parts(emit_parts(choice, &refusal), arena, &parts) < 0)
        return -ERR_NOMEM;
    json_writer_init(&writer, out);
    responses_put_head(&writer, &head);
    json_open_array(&writer);
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        place.id = arena_printf(arena, "%s_%.*s_%u", responses_prefix(part->kind, part->custom),
                                (int)MIN(answer->id.len, (size_t)64), answer->id.ptr, count++);
        if (place.id.ptr == NULL)
            return -ERR_NOMEM;
        place.last = is_last_text(part);
        put_part(&writer, part, &place);
        if (part->kind != CHAT_PART_TEXT)
            continue;
        place.logprobs = STR_EMPTY; /* the first text has them all */
        place.base += cite_count(part->text);
    }
    json_close_array(&writer);
    responses_put_tail(&writer, &head);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
