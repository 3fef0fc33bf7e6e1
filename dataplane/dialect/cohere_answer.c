/* SPDX-License-Identifier: MIT
 * cohere_answer.c - messages and whole answers of Cohere v2: looked at, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see dialect.h. Spec: WIRE-FORMATS 3, 4. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/cohere_int.h"
#include "dataplane/dialect/emit_int.h"

#include "dataplane/chat/claim.h"

enum chat_finish
cohere_finish(const struct json_doc *doc, uint32_t node)
{
    static const struct intake_finish rows[] = {
        {"COMPLETE", CHAT_FINISH_STOP},     {"STOP_SEQUENCE", CHAT_FINISH_STOP},
        {"MAX_TOKENS", CHAT_FINISH_LENGTH}, {"TOOL_CALL", CHAT_FINISH_TOOL_CALLS},
        {"ERROR", CHAT_FINISH_ERROR},       {"TIMEOUT", CHAT_FINISH_ERROR}};
    return intake_finish(doc, node, rows, ARRAY_LEN(rows));
}

struct str
cohere_finish_name(enum chat_finish finish, struct str stop_text)
{
    switch (finish) {
    case CHAT_FINISH_LENGTH:
        return STR("MAX_TOKENS");
    case CHAT_FINISH_TOOL_CALLS:
        return STR("TOOL_CALL");
    case CHAT_FINISH_ERROR:
    case CHAT_FINISH_FILTER:
        return STR("ERROR");
    case CHAT_FINISH_NONE:
    case CHAT_FINISH_STOP:
        break;
    }
    return stop_text.len > 0 ? STR("STOP_SEQUENCE") : STR("COMPLETE");
}

/* The model's own counts; billed_units are what a price list of theirs counts. */
bool
cohere_usage(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    uint32_t tokens = json_get(doc, object, STR("tokens"));
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    bool *clamped = &found.clamped;
    if (json_get(doc, tokens, STR("input_tokens")) == JSON_NONE)
        tokens = json_get(doc, object, STR("billed_units"));
    if (json_get(doc, tokens, STR("input_tokens")) == JSON_NONE &&
        json_get(doc, tokens, STR("output_tokens")) == JSON_NONE)
        return false;
    uint64_t prompt = claim_count(doc, json_get(doc, tokens, STR("input_tokens")), clamped);
    uint64_t cached = claim_count(doc, json_get(doc, object, STR("cached_tokens")), clamped);
    found.count[USAGE_cached] = claim_carve(&prompt, cached, clamped);
    found.count[USAGE_input] = prompt;
    found.count[USAGE_output] =
        claim_count(doc, json_get(doc, tokens, STR("output_tokens")), clamped);
    *usage = found;
    return true;
}

void
cohere_put_usage(struct json_writer *writer, const struct usage *usage)
{
    static const char *const groups[] = {"billed_units", "tokens"};
    if (usage->evidence == EVIDENCE_NONE)
        return;
    json_key_object(writer, "usage");
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        json_key_object(writer, groups[i]);
        json_member_u64(writer, "input_tokens", usage_prompt_tokens(usage));
        json_member_u64(writer, "output_tokens", usage_answer_tokens(usage));
        json_close_object(writer);
    }
    json_member_u64(writer, "cached_tokens", usage->count[USAGE_cached]);
    json_close_object(writer);
}

void
cohere_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    struct stream_look look = {0};
    uint32_t message = json_get(doc, 0, STR("message"));
    if (!json_is(doc, 0, JSON_OBJECT))
        look.flags |= STREAM_MALFORMED;
    if (json_is(doc, message, JSON_OBJECT))
        look.flags |= STREAM_TOKEN;
    else if (json_is(doc, message, JSON_STRING)) /* an error's */
        look.flags |= STREAM_ERROR;
    if (json_count(doc, json_get(doc, message, STR("tool_calls"))) > 0)
        look.flags |= STREAM_TOOLS;
    if (cohere_usage(doc, json_get(doc, 0, STR("usage")), &look.usage))
        look.flags |= STREAM_USAGE;
    look.finish = cohere_finish(doc, json_get(doc, 0, STR("finish_reason")));
    if (look.finish != CHAT_FINISH_NONE)
        look.flags |= STREAM_FINISH | STREAM_END;
    look.total_bytes = json_raw(doc, message).len;
    look.delta_bytes = (uint32_t)MIN(look.total_bytes, (uint64_t)UINT32_MAX);
    look.seen = look.flags;
    *ret_look = look;
}

/* ---- messages, read -------------------------------------------------------------------------- */

static int
read_image(const struct intake *in, uint32_t node, struct chat_part ***end)
{
    uint32_t image = json_get(in->doc, node, STR("image_url"));
    struct str url = STR_EMPTY;
    struct chat_part *part = chat_part_add(*end, CHAT_PART_IMAGE, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    *end = &part->next;
    int rc = json_is(in->doc, image, JSON_STRING) ? intake_text(in, image, "image_url", &url)
                                                  : intake_member(in, image, "url", &url);
    if (rc == 0)
        rc = intake_member(in, image, "detail", &part->name);
    if (rc == 0 && !chat_data_url(url, &part->media_type, &part->data))
        part->url = url;
    return rc;
}

/* {type: document, document: {data: text or object}}: a tool's result */
static int
read_document(const struct intake *in, uint32_t node, struct chat_part ***end)
{
    uint32_t data = json_path(in->doc, node, "document.data");
    struct chat_part *part = chat_part_add(*end, CHAT_PART_TEXT, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    *end = &part->next;
    part->text = json_raw(in->doc, data);
    return json_is(in->doc, data, JSON_STRING) ? intake_text(in, data, "document.data", &part->text)
                                               : 0;
}

static int
read_block(const struct intake *in, uint32_t node, bool answer, struct chat_part ***end)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("text")))
        return intake_part(in, json_get(doc, node, STR("text")), "text", CHAT_PART_TEXT, end);
    if (str_eq(type, STR("thinking")))
        return intake_part(in, json_get(doc, node, STR("thinking")), "thinking",
                           CHAT_PART_REASONING, end);
    if (str_eq(type, STR("image_url")))
        return read_image(in, node, end);
    if (str_eq(type, STR("document")))
        return read_document(in, node, end);
    if (answer)
        return 0;
    return err_set(in->err, ERR_UNSUPPORTED, "content of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

static int
read_calls(const struct intake *in, uint32_t list, struct chat_part **end)
{
    const struct json_doc *doc = in->doc;
    if (intake_absent(doc, list))
        return 0;
    if (!json_is(doc, list, JSON_ARRAY))
        return intake_kind_error(in, "tool_calls", "a list");
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t body = json_get(doc, at, STR("function"));
        struct chat_part *part = chat_part_add(end, CHAT_PART_TOOL_CALL, in->arena);
        int rc = part == NULL ? -ERR_NOMEM : intake_member(in, at, "id", &part->id);
        if (rc == 0)
            rc = intake_member(in, body, "name", &part->name);
        if (rc == 0)
            rc = intake_member(in, body, "arguments", &part->text);
        if (rc < 0)
            return rc;
        if (str_trim(part->text).len == 0)
            part->text = STR("{}");
        end = &part->next;
    }
    return 0;
}

int
cohere_message_in(const struct intake *in, uint32_t message, bool answer,
                  struct chat_part **ret_parts)
{
    const struct json_doc *doc = in->doc;
    struct chat_part *parts = NULL;
    struct chat_part **end = &parts;
    uint32_t content = json_get(doc, message, STR("content"));
    int rc = intake_part(in, json_get(doc, message, STR("tool_plan")), "tool_plan",
                         CHAT_PART_REASONING, &end);
    if (rc == 0 && json_is(doc, content, JSON_STRING))
        rc = intake_part(in, content, "content", CHAT_PART_TEXT, &end);
    if (!json_is(doc, content, JSON_ARRAY))
        content = JSON_NONE;
    for (uint32_t at = json_first(doc, content); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, content, at))
        rc = read_block(in, at, answer, &end);
    if (rc == 0)
        rc = read_calls(in, json_get(doc, message, STR("tool_calls")), end);
    if (rc == 0)
        *ret_parts = parts;
    return rc;
}

int
cohere_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                 struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {.model = STR_EMPTY}; /* it names none */
    uint32_t message = json_get(doc, 0, STR("message"));
    if (!json_is(doc, message, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "the answer has no message");
    struct chat_choice *choice = chat_choice_add(&answer.choices, 0, arena);
    if (choice == NULL)
        return -ERR_NOMEM;
    int rc = intake_member(&in, 0, "id", &answer.id);
    if (rc == 0)
        rc = cohere_message_in(&in, message, true, &choice->parts);
    if (rc == 0)
        rc = cohere_cite_message(&in, message, &choice->citations);
    if (rc < 0)
        return rc;
    choice->finish = cohere_finish(doc, json_get(doc, 0, STR("finish_reason")));
    (void)cohere_usage(doc, json_get(doc, 0, STR("usage")), &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- written --------------------------------------------------------------------------------- */

void
cohere_put_call(struct json_writer *writer, const struct chat_part *call)
{
    json_open_object(writer);
    json_member_str(writer, "id", call->id);
    json_member_str(writer, "type", STR("function"));
    json_key_object(writer, "function");
    json_member_str(writer, "name", call->name);
    json_member_str(writer, "arguments", call->text);
    json_close_object(writer);
    json_close_object(writer);
}

/* Each in the block that it begins in. */
static int
put_citations(struct json_writer *writer, const struct chat_choice *choice, struct arena *arena)
{
    struct str text = STR_EMPTY;
    uint64_t base = 0;
    uint32_t index = 0;
    const struct chat_citation *list = choice != NULL ? choice->citations : NULL;
    int rc = list != NULL ? cite_text(arena, choice->parts, &text) : 0;
    if (list == NULL || rc < 0 || text.len > CITE_TEXT_BYTES_MAX)
        return rc;
    uint64_t total = cite_count(text);
    json_key_array(writer, "citations");
    for (const struct chat_part *part = choice->parts; part != NULL; part = part->next) {
        bool stands = part->kind == CHAT_PART_TEXT;
        uint64_t count = stands ? cite_count(part->text) : 0;
        for (const struct chat_citation *at = list; at != NULL && stands; at = at->next)
            if (cite_within(at, base, count, base + count == total))
                cohere_put_citation(writer, at, text, base, index);
        base += count;
        index += stands || part->kind == CHAT_PART_REASONING || part->kind == CHAT_PART_REFUSAL;
    }
    json_close_array(writer);
    return 0;
}

static int
put_message(struct json_writer *writer, const struct chat_choice *choice,
            const struct chat_part *parts, struct arena *arena)
{
    json_open_object(writer);
    json_member_str(writer, "role", STR("assistant"));
    json_key_array(writer, "content");
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        bool thinks = part->kind == CHAT_PART_REASONING;
        if (!thinks && part->kind != CHAT_PART_TEXT && part->kind != CHAT_PART_REFUSAL)
            continue;
        json_open_object(writer);
        json_member_str(writer, "type", thinks ? STR("thinking") : STR("text"));
        json_member_str(writer, thinks ? "thinking" : "text", part->text);
        json_close_object(writer);
    }
    json_close_array(writer);
    emit_calls(writer, parts, cohere_put_call);
    int rc = put_citations(writer, choice, arena);
    json_close_object(writer);
    return rc;
}

int
cohere_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out)
{
    const struct chat_choice *choice = answer->choices;
    struct chat_part refusal;
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "id", answer->id);
    json_key(&writer, "message");
    int rc = put_message(&writer, choice, emit_parts(choice, &refusal), arena);
    if (rc < 0)
        return rc;
    json_member_str(&writer, "finish_reason",
                    cohere_finish_name(choice != NULL ? choice->finish : CHAT_FINISH_NONE,
                                       choice != NULL ? choice->stop_text : STR_EMPTY));
    cohere_put_usage(&writer, &answer->usage);
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
