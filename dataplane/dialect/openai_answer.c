/* SPDX-License-Identifier: MIT
 * openai_answer.c - whole chat completions: looked at, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see dialect.h. Spec: WIRE-FORMATS 4.1, 4.2. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/search_int.h"
#include "dataplane/dialect/openai_int.h"

#include "dataplane/chat/claim.h"

enum chat_finish
openai_finish(const struct json_doc *doc, uint32_t node)
{
    static const struct {
        struct str name;
        enum chat_finish finish;
    } rows[] = {
        {JSON_NAME("stop"), CHAT_FINISH_STOP},
        {JSON_NAME("length"), CHAT_FINISH_LENGTH},
        {JSON_NAME("tool_calls"), CHAT_FINISH_TOOL_CALLS},
        {JSON_NAME("function_call"), CHAT_FINISH_TOOL_CALLS},
        {JSON_NAME("content_filter"), CHAT_FINISH_FILTER},
        {JSON_NAME("model_length"), CHAT_FINISH_LENGTH},
        {JSON_NAME("sensitive"), CHAT_FINISH_FILTER},
        {JSON_NAME("error"), CHAT_FINISH_ERROR},
        {JSON_NAME("network_error"), CHAT_FINISH_ERROR},
        {JSON_NAME("insufficient_system_resource"), CHAT_FINISH_ERROR},
    };
    if (!json_is(doc, node, JSON_STRING))
        return CHAT_FINISH_NONE;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_string_eq(doc, node, rows[i].name))
            return rows[i].finish;
    }
    return CHAT_FINISH_STOP; /* eos, end_turn and the like of compatible servers */
}

static bool
usage_elsewhere(const struct json_doc *doc, uint32_t root, struct usage *usage)
{
    uint32_t groq = json_get(doc, json_get(doc, root, STR("x_groq")), STR("usage"));
    if (claim_openai(doc, groq, usage))
        return true;
    uint32_t choice = json_first(doc, json_get(doc, root, STR("choices")));
    return claim_openai(doc, json_get(doc, choice, STR("usage")), usage);
}

bool
openai_usage(const struct json_doc *doc, uint32_t root, struct usage *usage)
{
    return claim_openai(doc, json_get(doc, root, STR("usage")), usage) ||
           usage_elsewhere(doc, root, usage);
}

/* 200 with an error inside: `error`, or MiniMax's base_resp with a code that is not 0 (M80) */
static bool
says_error(const struct json_doc *doc, uint32_t error, uint32_t base_resp)
{
    uint32_t code = json_get(doc, base_resp, STR("status_code"));
    return error_present(doc, error) ||
           (json_is(doc, code, JSON_NUMBER) && !str_eq(json_raw(doc, code), STR("0")));
}

void
openai_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    enum { CHOICES, USAGE, ERROR, BASE_RESP, SERVICE };
    static const struct str names[] = {
        [CHOICES] = JSON_NAME("choices"),      [USAGE] = JSON_NAME("usage"),
        [ERROR] = JSON_NAME("error"),          [BASE_RESP] = JSON_NAME("base_resp"),
        [SERVICE] = JSON_NAME("service_tier"),
    };
    enum { MESSAGE, FINISH };
    static const struct str members[] = {
        [MESSAGE] = JSON_NAME("message"),
        [FINISH] = JSON_NAME("finish_reason"),
    };
    uint32_t top[ARRAY_LEN(names)];
    json_pick(doc, 0, names, ARRAY_LEN(names), top);
    struct stream_look look = {0};
    uint32_t choices = top[CHOICES];
    if (!json_is(doc, 0, JSON_OBJECT))
        look.flags |= STREAM_MALFORMED;
    if (says_error(doc, top[ERROR], top[BASE_RESP]))
        look.flags |= STREAM_ERROR;
    if (claim_openai(doc, top[USAGE], &look.usage) || usage_elsewhere(doc, 0, &look.usage)) {
        look.flags |= STREAM_USAGE;
    } else { /* embeddings of some providers name the total alone */
        uint32_t total = json_get(doc, top[USAGE], STR("total_tokens"));
        look.usage.count[USAGE_input] = claim_count(doc, total, &look.usage.clamped);
        if (look.usage.count[USAGE_input] > 0) {
            look.usage.evidence = EVIDENCE_PROVIDER;
            look.flags |= STREAM_USAGE;
        }
    }
    claim_service(doc, top[SERVICE], &look.usage);
    for (uint32_t at = json_first(doc, choices); at != JSON_NONE;
         at = json_sibling(doc, choices, at)) {
        uint32_t in[ARRAY_LEN(members)];
        json_pick(doc, at, members, ARRAY_LEN(members), in);
        uint32_t message = in[MESSAGE];
        if (!json_is(doc, message, JSON_OBJECT)) /* completions say it plainly */
            message = json_get(doc, at, STR("text"));
        if (message == JSON_NONE)
            continue;
        look.flags |= STREAM_TOKEN;
        if (json_count(doc, json_get(doc, message, STR("tool_calls"))) > 0)
            look.flags |= STREAM_TOOLS;
        look.total_bytes += json_raw(doc, message).len;
        enum chat_finish finish = openai_finish(doc, in[FINISH]);
        if (look.finish == CHAT_FINISH_NONE)
            look.finish = finish;
        if (finish != CHAT_FINISH_NONE)
            look.flags |= STREAM_FINISH | STREAM_END;
    }
    look.delta_bytes = (uint32_t)MIN(look.total_bytes, (uint64_t)UINT32_MAX);
    look.seen = look.flags;
    *ret_look = look;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What the message says, or else what stands beside the choices: of the only one there is. */
static int
read_citations(const struct intake *in, uint32_t message, struct chat_choice *choice)
{
    uint32_t list = json_get(in->doc, message, STR("annotations"));
    struct str text = STR_EMPTY;
    int rc = cite_text(in->arena, choice->parts, &text);
    if (rc == 0)
        rc = cite_openai_list(in, list, 0, cite_count(text), &choice->citations);
    if (rc == 0 && choice->citations == NULL && choice->index == 0)
        rc = cite_sources(in, cite_count(text), &choice->citations);
    return rc;
}

static int
read_choice(const struct intake *in, uint32_t node, struct chat_choice *choice)
{
    const struct json_doc *doc = in->doc;
    uint32_t message = json_get(doc, node, STR("message"));
    uint64_t index = choice->index;
    if (!json_is(doc, message, JSON_OBJECT))
        return err_set(in->err, ERR_INVALID, "the answer has a choice without a message");
    if (json_u64(doc, json_get(doc, node, STR("index")), UINT32_MAX, &index) == 0)
        choice->index = (uint32_t)index;
    choice->finish = openai_finish(doc, json_get(doc, node, STR("finish_reason")));
    uint32_t logprobs = json_get(doc, node, STR("logprobs"));
    if (json_is(doc, logprobs, JSON_OBJECT))
        choice->logprobs = json_raw(doc, logprobs);
    int rc = openai_parts_in(in, message, true, &choice->parts);
    return rc < 0 ? rc : read_citations(in, message, choice);
}

int
openai_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                 struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {0};
    struct chat_choice **end = &answer.choices;
    uint32_t choices = json_get(doc, 0, STR("choices"));
    if (!json_is(doc, choices, JSON_ARRAY))
        return err_set(err, ERR_INVALID, "the answer has no choices");
    int rc = intake_member(&in, 0, "id", &answer.id);
    if (rc == 0)
        rc = intake_member(&in, 0, "model", &answer.model);
    if (json_u64(doc, json_get(doc, 0, STR("created")), INT64_MAX, &answer.created) < 0)
        answer.created = 0;
    uint32_t index = 0;
    for (uint32_t at = json_first(doc, choices); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, choices, at)) {
        struct chat_choice *choice = chat_choice_add(end, index++, arena);
        if (choice == NULL)
            return -ERR_NOMEM;
        rc = read_choice(&in, at, choice);
        end = &choice->next;
    }
    if (rc < 0)
        return rc;
    (void)openai_usage(doc, 0, &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

void
openai_put_usage(struct json_writer *writer, const struct usage *usage)
{
    const uint64_t *count = usage->count;
    uint64_t written = count[USAGE_cache_write] + count[USAGE_cache_write_1h];
    uint64_t prompt = usage_prompt_tokens(usage);
    uint64_t completion = usage_answer_tokens(usage);
    json_key_object(writer, "usage");
    json_member_u64(writer, "prompt_tokens", prompt);
    json_member_u64(writer, "completion_tokens", completion);
    json_member_u64(writer, "total_tokens", prompt + completion);
    json_key_object(writer, "prompt_tokens_details");
    json_member_u64(writer, "cached_tokens", count[USAGE_cached] + count[USAGE_audio_cached]);
    if (written > 0)
        json_member_u64(writer, "cache_write_tokens", written);
    json_member_u64(writer, "audio_tokens", count[USAGE_audio_in] + count[USAGE_audio_cached]);
    json_close_object(writer);
    json_key_object(writer, "completion_tokens_details");
    json_member_u64(writer, "reasoning_tokens", count[USAGE_reasoning]);
    json_member_u64(writer, "audio_tokens", count[USAGE_audio_out]);
    json_close_object(writer);
    search_put_usage(writer, usage);
    json_close_object(writer);
}

/* One member with the texts of all parts of a kind, joined; null when `always` and there are
 * none. */
static void
put_joined(struct json_writer *writer, struct arena *arena, const char *key,
           const struct chat_choice *choice, enum chat_part_kind kind, bool always)
{
    struct str text = emit_texts(writer, arena, choice->parts, EMIT_KIND(kind), STR_EMPTY);
    if (text.ptr != NULL)
        json_member_str(writer, key, text);
    else if (always)
        json_member_raw(writer, key, STR("null"));
}

/* Signed reasoning goes along for the next turn; see openai_parts.c for the way back. */
static void
put_thinking_blocks(struct json_writer *writer, const struct chat_part *parts)
{
    bool open = false;
    for (const struct chat_part *part = parts; part != NULL; part = part->next) {
        bool is_signed = part->kind == CHAT_PART_REASONING && part->signature.len > 0;
        if (!is_signed && part->kind != CHAT_PART_REDACTED)
            continue;
        if (!open) {
            json_key_array(writer, "thinking_blocks");
        }
        open = true;
        openai_put_thinking(writer, part, UINT32_MAX);
    }
    if (open)
        json_close_array(writer);
}

void
openai_put_function_call(struct json_writer *writer, struct str name, struct str arguments)
{
    json_key_object(writer, "function_call");
    if (name.len > 0)
        json_member_str(writer, "name", name);
    json_member_str(writer, "arguments", arguments);
    json_close_object(writer);
}

const char *
openai_finish_name(enum chat_finish finish, bool old_calls)
{
    if (old_calls && finish == CHAT_FINISH_TOOL_CALLS)
        return "function_call";
    return finish == CHAT_FINISH_NONE ? "stop" : chat_finish_name(finish);
}

/* Whoever offered functions of before 2024 reads one call, the first. */
static void
put_old_call(struct json_writer *writer, const struct chat_part *parts)
{
    while (parts != NULL && parts->kind != CHAT_PART_TOOL_CALL)
        parts = parts->next;
    if (parts != NULL)
        openai_put_function_call(writer, parts->name, parts->text);
}

static int
put_choice(struct json_writer *writer, struct arena *arena, const struct chat_choice *choice,
           bool old_calls)
{
    const struct chat_part *refusal = choice->parts;
    const struct chat_part *parts = NULL;
    while (refusal != NULL && refusal->kind != CHAT_PART_REFUSAL)
        refusal = refusal->next;
    if (freeform_parts(choice->parts, arena, &parts) < 0)
        return -ERR_NOMEM;
    json_open_object(writer);
    json_member_u64(writer, "index", choice->index);
    json_key_object(writer, "message");
    json_member_str(writer, "role", STR("assistant"));
    put_joined(writer, arena, "content", choice, CHAT_PART_TEXT, true);
    if (refusal == NULL && choice->refusal.len > 0)
        json_member_str(writer, "refusal", choice->refusal);
    else
        put_joined(writer, arena, "refusal", choice, CHAT_PART_REFUSAL, true);
    put_joined(writer, arena, "reasoning_content", choice, CHAT_PART_REASONING, false);
    put_thinking_blocks(writer, choice->parts);
    cite_put_message(writer, choice->citations);
    if (old_calls)
        put_old_call(writer, parts);
    else
        emit_calls(writer, parts, openai_put_call);
    json_close_object(writer);
    json_key(writer, "logprobs");
    json_value_raw(writer, choice->logprobs.len > 0 ? choice->logprobs : STR("null"));
    json_member_str(writer, "finish_reason",
                    str_from(openai_finish_name(choice->finish, old_calls)));
    json_close_object(writer);
    return 0;
}

int
openai_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out)
{
    struct json_writer writer;
    int rc = 0;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "id", answer->id);
    json_member_str(&writer, "object", STR("chat.completion"));
    json_member_u64(&writer, "created", answer->created);
    json_member_str(&writer, "model", answer->model);
    json_key_array(&writer, "choices");
    for (const struct chat_choice *at = answer->choices; at != NULL && rc == 0; at = at->next)
        rc = put_choice(&writer, arena, at, answer->old_calls);
    if (rc < 0)
        return rc;
    json_close_array(&writer);
    if (answer->usage.evidence != EVIDENCE_NONE)
        openai_put_usage(&writer, &answer->usage);
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
