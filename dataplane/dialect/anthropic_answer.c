/* SPDX-License-Identifier: MIT
 * anthropic_answer.c - whole Messages answers: looked at, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see dialect.h. Spec: WIRE-FORMATS 4.1, 4.2. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/search_int.h"

#include "dataplane/chat/claim.h"

enum chat_finish
anthropic_finish(const struct json_doc *doc, uint32_t node)
{
    static const struct intake_finish rows[] = {
        {"end_turn", CHAT_FINISH_STOP},
        {"stop_sequence", CHAT_FINISH_STOP},
        {"pause_turn", CHAT_FINISH_STOP},
        {"max_tokens", CHAT_FINISH_LENGTH},
        {"model_context_window_exceeded", CHAT_FINISH_LENGTH},
        {"tool_use", CHAT_FINISH_TOOL_CALLS},
        {"refusal", CHAT_FINISH_FILTER},
    };
    return intake_finish(doc, node, rows, ARRAY_LEN(rows));
}

struct str
anthropic_stop_reason(enum chat_finish finish, struct str stop_text)
{
    switch (finish) {
    case CHAT_FINISH_LENGTH:
        return STR("max_tokens");
    case CHAT_FINISH_TOOL_CALLS:
        return STR("tool_use");
    case CHAT_FINISH_FILTER:
        return STR("refusal");
    case CHAT_FINISH_NONE:
    case CHAT_FINISH_STOP:
    case CHAT_FINISH_ERROR:
        break;
    }
    return stop_text.len > 0 ? STR("stop_sequence") : STR("end_turn");
}

/* stop_reason, stop_sequence and, for a refusal with words, stop_details */
void
anthropic_put_stop(struct json_writer *writer, enum chat_finish finish, struct str stop_text,
                   struct str refusal)
{
    json_member_str(writer, "stop_reason", anthropic_stop_reason(finish, stop_text));
    json_key(writer, "stop_sequence");
    if (stop_text.len > 0)
        json_value_str(writer, stop_text);
    else
        json_value_null(writer);
    if (refusal.len > 0) {
        json_key_object(writer, "stop_details");
        json_member_str(writer, "type", STR("refusal"));
        json_key(writer, "category");
        json_value_null(writer);
        json_member_str(writer, "explanation", refusal);
        json_close_object(writer);
    }
}

void
anthropic_put_usage(struct json_writer *writer, const struct usage *usage)
{
    const uint64_t *count = usage->count;
    uint64_t written = count[USAGE_cache_write] + count[USAGE_cache_write_1h];
    json_key_object(writer, "usage");
    json_member_u64(writer, "input_tokens",
                    count[USAGE_input] + count[USAGE_audio_in] + count[USAGE_image_in]);
    json_member_u64(writer, "cache_creation_input_tokens", written);
    json_member_u64(writer, "cache_read_input_tokens",
                    count[USAGE_cached] + count[USAGE_audio_cached]);
    json_member_u64(writer, "output_tokens", usage_answer_tokens(usage));
    search_put_usage(writer, usage);
    json_close_object(writer);
}

void
anthropic_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    struct stream_look look = {0};
    uint32_t content = json_get(doc, 0, STR("content"));
    uint32_t type = json_get(doc, 0, STR("type"));
    if (!json_is(doc, 0, JSON_OBJECT))
        look.flags |= STREAM_MALFORMED;
    if (json_string_eq(doc, type, STR("error")) ||
        error_present(doc, json_get(doc, 0, STR("error"))))
        look.flags |= STREAM_ERROR;
    if (claim_anthropic(doc, json_get(doc, 0, STR("usage")), &look.usage))
        look.flags |= STREAM_USAGE;
    look.finish = anthropic_finish(doc, json_get(doc, 0, STR("stop_reason")));
    if (look.finish != CHAT_FINISH_NONE)
        look.flags |= STREAM_FINISH | STREAM_END;
    for (uint32_t at = json_first(doc, content); at != JSON_NONE;
         at = json_sibling(doc, content, at)) {
        look.flags |= STREAM_TOKEN;
        if (json_string_eq(doc, json_get(doc, at, STR("type")), STR("tool_use")))
            look.flags |= STREAM_TOOLS;
    }
    look.total_bytes = json_raw(doc, content).len;
    look.delta_bytes = (uint32_t)MIN(look.total_bytes, (uint64_t)UINT32_MAX);
    look.seen = look.flags;
    *ret_look = look;
}

static int
read_citations(const struct intake *in, struct chat_choice *choice)
{
    uint64_t base = 0;
    for (const struct chat_part *part = choice->parts; part != NULL; part = part->next) {
        if (part->kind != CHAT_PART_TEXT)
            continue;
        uint64_t end = base + cite_count(part->text);
        int rc = anthropic_cite_raw(in, part->extra, base, end, &choice->citations);
        if (rc < 0)
            return rc;
        base = end;
    }
    return 0;
}

int
anthropic_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                    struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {0};
    uint32_t content = json_get(doc, 0, STR("content"));
    if (!json_is(doc, content, JSON_ARRAY))
        return err_set(err, ERR_INVALID, "the answer has no content");
    struct chat_choice *choice = chat_choice_add(&answer.choices, 0, arena);
    if (choice == NULL)
        return -ERR_NOMEM;
    int rc = intake_member(&in, 0, "id", &answer.id);
    if (rc == 0)
        rc = intake_member(&in, 0, "model", &answer.model);
    if (rc == 0)
        rc = intake_member(&in, 0, "stop_sequence", &choice->stop_text);
    if (rc == 0)
        rc = intake_member(&in, json_get(doc, 0, STR("stop_details")), "explanation",
                           &choice->refusal);
    if (rc == 0)
        rc = anthropic_blocks_in(&in, content, "content", true, &choice->parts);
    if (rc == 0)
        rc = read_citations(&in, choice);
    if (rc < 0)
        return rc;
    choice->finish = anthropic_finish(doc, json_get(doc, 0, STR("stop_reason")));
    (void)claim_anthropic(doc, json_get(doc, 0, STR("usage")), &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_block(struct json_writer *writer, const struct chat_part *part)
{
    json_open_object(writer);
    if (part->kind == CHAT_PART_TOOL_CALL) {
        json_member_str(writer, "type", STR("tool_use"));
        emit_id(writer, "id", part->id, SIZE_MAX);
        json_member_str(writer, "name", part->name);
        emit_arguments(writer, "input", part->text);
    } else if (part->kind == CHAT_PART_REDACTED) {
        json_member_str(writer, "type", STR("redacted_thinking"));
        json_member_str(writer, "data", part->signature);
    } else if (part->kind == CHAT_PART_REASONING) {
        json_member_str(writer, "type", STR("thinking"));
        json_member_str(writer, "thinking", part->text);
        json_member_str(writer, "signature", part->signature);
    } else {
        json_member_str(writer, "type", STR("text"));
        json_member_str(writer, "text", part->text);
    }
    json_close_object(writer);
}

int
anthropic_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out)
{
    const struct chat_choice *choice = answer->choices;
    const struct usage *usage = &answer->usage;
    enum chat_finish finish = choice != NULL ? choice->finish : CHAT_FINISH_NONE;
    struct json_writer writer;
    uint64_t base = 0; /* of the next text in the answer's: code points */
    (void)arena;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "id", answer->id);
    json_member_str(&writer, "type", STR("message"));
    json_member_str(&writer, "role", STR("assistant"));
    json_member_str(&writer, "model", answer->model);
    json_key_array(&writer, "content");
    for (const struct chat_part *part = choice ? choice->parts : NULL; part; part = part->next) {
        if (part->kind == CHAT_PART_REFUSAL)
            finish = CHAT_FINISH_FILTER;
        if (part->kind == CHAT_PART_TEXT) {
            anthropic_put_text(&writer, part->text, base, choice->citations);
            base += cite_count(part->text);
        } else {
            put_block(&writer, part);
        }
    }
    json_close_array(&writer);
    anthropic_put_stop(&writer, finish, choice != NULL ? choice->stop_text : STR_EMPTY,
                       choice != NULL ? choice->refusal : STR_EMPTY);
    anthropic_put_usage(&writer, usage);
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
