/* SPDX-License-Identifier: MIT
 * gemini_answer.c - whole generateContent answers: looked at, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see dialect.h. Spec: WIRE-FORMATS 4.1, 4.2. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/gemini_int.h"

#include "dataplane/chat/claim.h"

/* ---- words of the dialect -------------------------------------------------------------------- */

enum chat_finish
gemini_finish(const struct json_doc *doc, uint32_t node)
{
    static const struct intake_finish rows[] = {
        {"STOP", CHAT_FINISH_STOP},
        {"MAX_TOKENS", CHAT_FINISH_LENGTH},
        {"SAFETY", CHAT_FINISH_FILTER},
        {"RECITATION", CHAT_FINISH_FILTER},
        {"BLOCKLIST", CHAT_FINISH_FILTER},
        {"PROHIBITED_CONTENT", CHAT_FINISH_FILTER},
        {"SPII", CHAT_FINISH_FILTER},
        {"LANGUAGE", CHAT_FINISH_FILTER},
        {"IMAGE_SAFETY", CHAT_FINISH_FILTER},
        {"IMAGE_PROHIBITED_CONTENT", CHAT_FINISH_FILTER},
        {"IMAGE_RECITATION", CHAT_FINISH_FILTER},
        {"IMAGE_OTHER", CHAT_FINISH_FILTER},
        {"MALFORMED_FUNCTION_CALL", CHAT_FINISH_ERROR},
        {"UNEXPECTED_TOOL_CALL", CHAT_FINISH_ERROR},
        {"TOO_MANY_TOOL_CALLS", CHAT_FINISH_ERROR},
        {"MISSING_THOUGHT_SIGNATURE", CHAT_FINISH_ERROR},
        {"FINISH_REASON_UNSPECIFIED", CHAT_FINISH_NONE},
    };
    return intake_finish(doc, node, rows, ARRAY_LEN(rows));
}

struct str
gemini_finish_name(enum chat_finish finish)
{
    static const char *const names[] = {
        [CHAT_FINISH_NONE] = "STOP",         [CHAT_FINISH_STOP] = "STOP",
        [CHAT_FINISH_LENGTH] = "MAX_TOKENS", [CHAT_FINISH_TOOL_CALLS] = "STOP",
        [CHAT_FINISH_FILTER] = "SAFETY",     [CHAT_FINISH_ERROR] = "OTHER",
    };
    return str_from(names[finish]);
}

/* ---- usage ----------------------------------------------------------------------------------- */

static uint64_t
count_at(const struct json_doc *doc, uint32_t object, const char *name, bool *clamped)
{
    return claim_count(doc, gemini_get(doc, object, name), clamped);
}

/* The tokens of one modality in a list of {modality, tokenCount}. */
static uint64_t
modality(const struct json_doc *doc, uint32_t list, struct str name, bool *clamped)
{
    uint64_t count = 0;
    if (!json_is(doc, list, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at))
        if (json_string_eq(doc, json_get(doc, at, STR("modality")), name))
            count = count_at(doc, at, "tokenCount", clamped);
    return count;
}

/* Searches that an answer, or a chunk of it, was grounded in. Models of before Gemini 3 are paid by
 * the prompt, however many there were. */
static uint64_t
searches(const struct json_doc *doc, uint32_t root)
{
    uint32_t list = json_get(doc, root, STR("candidates"));
    struct str model = json_raw(doc, gemini_get(doc, root, "modelVersion"));
    bool by_prompt = str_starts(model, STR("\"gemini-2")) || str_starts(model, STR("\"gemini-1"));
    uint64_t count = 0;
    if (!json_is(doc, list, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t metadata = gemini_get(doc, at, "groundingMetadata");
        count += json_count(doc, gemini_get(doc, metadata, "webSearchQueries"));
    }
    return MIN(count, by_prompt ? UINT64_C(1) : UINT64_C(1000));
}

/* Reasoning comes on top of the candidates' tokens; cached ones are inside the prompt's. */
bool
gemini_usage(const struct json_doc *doc, uint32_t root, struct usage *usage)
{
    uint32_t object = gemini_get(doc, root, "usageMetadata");
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    bool *clamped = &found.clamped;
    usage->count[USAGE_web_search] = MAX(usage->count[USAGE_web_search], searches(doc, root));
    found.count[USAGE_web_search] = usage->count[USAGE_web_search];
    if (gemini_get(doc, object, "promptTokenCount") == JSON_NONE &&
        gemini_get(doc, object, "candidatesTokenCount") == JSON_NONE)
        return false;
    uint64_t prompt = count_at(doc, object, "promptTokenCount", clamped) +
                      count_at(doc, object, "toolUsePromptTokenCount", clamped);
    uint64_t output = count_at(doc, object, "candidatesTokenCount", clamped);
    prompt = MIN(prompt, USAGE_COUNT_MAX);
    found.count[USAGE_reasoning] = count_at(doc, object, "thoughtsTokenCount", clamped);
    found.count[USAGE_cached] =
        claim_carve(&prompt, count_at(doc, object, "cachedContentTokenCount", clamped), clamped);
    found.count[USAGE_audio_in] = claim_carve(
        &prompt,
        modality(doc, gemini_get(doc, object, "promptTokensDetails"), STR("AUDIO"), clamped),
        clamped);
    found.count[USAGE_audio_out] = claim_carve(
        &output,
        modality(doc, gemini_get(doc, object, "candidatesTokensDetails"), STR("AUDIO"), clamped),
        clamped);
    found.count[USAGE_input] = prompt;
    found.count[USAGE_output] = output;
    claim_service(doc, gemini_get(doc, object, "serviceTier"), &found);
    *usage = found;
    return true;
}

void
gemini_put_usage(struct json_writer *writer, const struct usage *usage)
{
    const uint64_t *count = usage->count;
    uint64_t prompt = count[USAGE_input] + count[USAGE_cached] + count[USAGE_cache_write] +
                      count[USAGE_cache_write_1h] + count[USAGE_audio_in];
    uint64_t output = count[USAGE_output] + count[USAGE_audio_out];
    json_key_object(writer, "usageMetadata");
    json_member_u64(writer, "promptTokenCount", prompt);
    json_member_u64(writer, "candidatesTokenCount", output);
    json_member_u64(writer, "totalTokenCount", prompt + output + count[USAGE_reasoning]);
    if (count[USAGE_cached] > 0)
        json_member_u64(writer, "cachedContentTokenCount", count[USAGE_cached]);
    if (count[USAGE_reasoning] > 0)
        json_member_u64(writer, "thoughtsTokenCount", count[USAGE_reasoning]);
    json_close_object(writer);
}

/* ---- looking --------------------------------------------------------------------------------- */

static void
look_at_part(const struct json_doc *doc, uint32_t part, struct stream_look *look)
{
    uint32_t call = gemini_get(doc, part, "functionCall");
    uint32_t media = gemini_get(doc, part, "inlineData");
    uint32_t bytes = feed_bytes(doc, json_get(doc, part, STR("text")));
    if (json_is(doc, call, JSON_OBJECT)) {
        look->flags |= STREAM_TOKEN | STREAM_TOOLS;
        bytes += feed_bytes(doc, json_get(doc, call, STR("name"))) +
                 (uint32_t)json_raw(doc, json_get(doc, call, STR("args"))).len +
                 (uint32_t)json_raw(doc, gemini_get(doc, call, "partialArgs")).len;
    }
    if (bytes > 0 || json_is(doc, media, JSON_OBJECT))
        look->flags |= STREAM_TOKEN;
    look->delta_bytes += bytes;
}

void
gemini_look_at(const struct json_doc *doc, struct stream_look *look)
{
    uint32_t list = json_get(doc, 0, STR("candidates"));
    uint32_t feedback = gemini_get(doc, 0, "promptFeedback");
    bool called = false;
    if (!json_is(doc, list, JSON_ARRAY))
        list = JSON_NONE;
    if (error_present(doc, json_get(doc, 0, STR("error"))))
        look->flags |= STREAM_ERROR;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t parts = json_get(doc, json_get(doc, at, STR("content")), STR("parts"));
        enum chat_finish finish = gemini_finish(doc, gemini_get(doc, at, "finishReason"));
        if (json_is(doc, parts, JSON_ARRAY))
            for (uint32_t one = json_first(doc, parts); one != JSON_NONE;
                 one = json_sibling(doc, parts, one))
                look_at_part(doc, one, look);
        called = called || ((look->flags | look->seen) & STREAM_TOOLS) != 0;
        if (finish == CHAT_FINISH_NONE)
            continue;
        look->finish = finish == CHAT_FINISH_STOP && called ? CHAT_FINISH_TOOL_CALLS : finish;
        look->flags |= STREAM_FINISH;
    }
    if (gemini_get(doc, feedback, "blockReason") != JSON_NONE) {
        look->finish = CHAT_FINISH_FILTER;
        look->flags |= STREAM_FINISH;
    }
    if (gemini_usage(doc, 0, &look->usage))
        look->flags |= STREAM_USAGE;
}

void
gemini_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    struct stream_look look = {0};
    if (json_is(doc, 0, JSON_OBJECT))
        gemini_look_at(doc, &look);
    else
        look.flags = STREAM_MALFORMED;
    if ((look.flags & STREAM_FINISH) != 0)
        look.flags |= STREAM_END;
    look.total_bytes = look.delta_bytes;
    look.seen = look.flags;
    *ret_look = look;
}

/* ---- reading --------------------------------------------------------------------------------- */

int
gemini_block(const struct intake *in, struct str *ret_reason)
{
    uint32_t feedback = gemini_get(in->doc, 0, "promptFeedback");
    return intake_text(in, gemini_get(in->doc, feedback, "blockReason"), "blockReason", ret_reason);
}

/* Ids for calls that came without, and the signatures sealed into them. */
static int
seal_calls(const struct intake *in, struct str answer_id, struct chat_choice *choice)
{
    uint32_t count = 0;
    for (struct chat_part *part = choice->parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TOOL_CALL)
            continue;
        if (part->id.len == 0)
            part->id =
                arena_printf(in->arena, "call_%.*s_%u_%u", (int)MIN(answer_id.len, (size_t)48),
                             answer_id.ptr, choice->index, count);
        count++;
        if (part->id.ptr == NULL || seal_id(in->arena, part->id, part->signature, &part->id) < 0)
            return -ERR_NOMEM;
        part->signature = STR_EMPTY;
        if (choice->finish == CHAT_FINISH_STOP)
            choice->finish = CHAT_FINISH_TOOL_CALLS;
    }
    return 0;
}

static int
read_citations(const struct intake *in, uint32_t node, struct chat_choice *choice)
{
    uint32_t parts = json_get(in->doc, json_get(in->doc, node, STR("content")), STR("parts"));
    struct str text = STR_EMPTY;
    int rc = cite_text(in->arena, choice->parts, &text);
    return rc < 0 ? rc : gemini_cite(in, node, parts, text, &choice->citations);
}

static int
read_choice(const struct intake *in, uint32_t node, struct str answer_id,
            struct chat_choice *choice)
{
    const struct json_doc *doc = in->doc;
    uint64_t index = choice->index;
    if (json_u64(doc, json_get(doc, node, STR("index")), UINT32_MAX, &index) == 0)
        choice->index = (uint32_t)index;
    choice->finish = gemini_finish(doc, gemini_get(doc, node, "finishReason"));
    int rc = gemini_parts_in(in, json_get(doc, node, STR("content")), true, &choice->parts);
    if (rc == 0 && choice->finish == CHAT_FINISH_FILTER)
        rc = intake_text(in, gemini_get(doc, node, "finishMessage"), "finishMessage",
                         &choice->refusal);
    if (rc == 0)
        rc = gemini_logprobs(in, node, &choice->logprobs);
    if (rc == 0)
        rc = read_citations(in, node, choice);
    return rc < 0 ? rc : seal_calls(in, answer_id, choice);
}

static int
read_blocked(const struct intake *in, struct chat_answer *answer)
{
    struct str reason = STR_EMPTY;
    int rc = gemini_block(in, &reason);
    if (rc < 0)
        return rc;
    if (reason.len == 0)
        return err_set(in->err, ERR_INVALID, "the answer has no candidates");
    struct chat_choice *choice = chat_choice_add(&answer->choices, 0, in->arena);
    if (choice == NULL)
        return -ERR_NOMEM;
    choice->finish = CHAT_FINISH_FILTER;
    choice->refusal = reason;
    return 0;
}

int
gemini_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                 struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {0};
    struct chat_choice **end = &answer.choices;
    uint32_t list = json_get(doc, 0, STR("candidates"));
    uint32_t index = 0;
    int rc = intake_text(&in, gemini_get(doc, 0, "responseId"), "responseId", &answer.id);
    if (rc == 0)
        rc = intake_text(&in, gemini_get(doc, 0, "modelVersion"), "modelVersion", &answer.model);
    if (!json_is(doc, list, JSON_ARRAY))
        list = JSON_NONE;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, list, at)) {
        struct chat_choice *choice = chat_choice_add(end, index++, arena);
        if (choice == NULL)
            return -ERR_NOMEM;
        rc = read_choice(&in, at, answer.id, choice);
        end = &choice->next;
    }
    if (rc == 0 && answer.choices == NULL)
        rc = read_blocked(&in, &answer);
    if (rc < 0)
        return rc;
    (void)gemini_usage(doc, 0, &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int
put_choice(struct json_writer *writer, const struct chat_choice *choice, struct arena *arena)
{
    enum chat_finish finish = choice->finish;
    json_open_object(writer);
    json_key_object(writer, "content");
    json_key_array(writer, "parts");
    for (const struct chat_part *part = choice->parts; part != NULL; part = part->next) {
        int rc = gemini_put_part(writer, part, arena);
        if (rc < 0)
            return rc;
        if (part->kind == CHAT_PART_REFUSAL)
            finish = CHAT_FINISH_FILTER;
    }
    json_close_array(writer);
    json_member_str(writer, "role", STR("model"));
    json_close_object(writer);
    json_member_str(writer, "finishReason", gemini_finish_name(finish));
    if (choice->refusal.len > 0)
        json_member_str(writer, "finishMessage", choice->refusal);
    if (choice->logprobs.len > 0)
        gemini_put_logprobs(writer, choice->logprobs);
    gemini_put_citations(writer, choice->citations, choice->parts);
    json_member_u64(writer, "index", choice->index);
    json_close_object(writer);
    return 0;
}

int
gemini_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out)
{
    struct json_writer writer;
    int rc = 0;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_key_array(&writer, "candidates");
    for (const struct chat_choice *at = answer->choices; at != NULL && rc == 0; at = at->next)
        rc = put_choice(&writer, at, arena);
    if (rc < 0)
        return rc;
    json_close_array(&writer);
    if (answer->usage.evidence != EVIDENCE_NONE)
        gemini_put_usage(&writer, &answer->usage);
    json_member_str(&writer, "modelVersion", answer->model);
    json_member_str(&writer, "responseId", answer->id);
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
