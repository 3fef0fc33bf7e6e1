/* SPDX-License-Identifier: MIT
 * ollama_answer.c - answers of Ollama's own chat, whole and streamed: looked at, read and written.
 * Floor: dataplane/dialect; any thread, one a stream.
 * Owns: the writer: calls in pieces; copies of the upstream's model.
 * Invariant: calls come and go whole; the last line has done:true and the counts, and only a clean
 *            end has one. Spec: WIRE-FORMATS 4. Proved by conform_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/ollama_int.h"

#include <time.h>

#include "dataplane/chat/claim.h"

/* ---- words of the dialect -------------------------------------------------------------------- */

enum chat_finish
ollama_finish(const struct json_doc *doc, bool called)
{
    uint32_t reason = json_get(doc, 0, STR("done_reason"));
    if (!json_is(doc, json_get(doc, 0, STR("done")), JSON_TRUE))
        return CHAT_FINISH_NONE;
    if (json_string_eq(doc, reason, STR("length")))
        return CHAT_FINISH_LENGTH;
    return called ? CHAT_FINISH_TOOL_CALLS : CHAT_FINISH_STOP;
}

/* Left out where the prompt was cached: then nothing was read anew. */
bool
ollama_usage(const struct json_doc *doc, struct usage *usage)
{
    uint32_t prompt = json_get(doc, 0, STR("prompt_eval_count"));
    uint32_t answer = json_get(doc, 0, STR("eval_count"));
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    if (prompt == JSON_NONE && answer == JSON_NONE)
        return false;
    found.count[USAGE_input] = claim_count(doc, prompt, &found.clamped);
    found.count[USAGE_output] = claim_count(doc, answer, &found.clamped);
    *usage = found;
    return true;
}

void
ollama_look_at(const struct json_doc *doc, struct stream_look *look)
{
    uint32_t message = json_get(doc, 0, STR("message"));
    uint32_t calls = json_get(doc, message, STR("tool_calls"));
    look->delta_bytes = feed_bytes(doc, json_get(doc, message, STR("content"))) +
                        feed_bytes(doc, json_get(doc, message, STR("thinking")));
    if (json_count(doc, calls) > 0) {
        look->flags |= STREAM_TOOLS | STREAM_TOKEN;
        look->delta_bytes += (uint32_t)json_raw(doc, calls).len;
    }
    if (look->delta_bytes > 0)
        look->flags |= STREAM_TOKEN;
    if (error_present(doc, json_get(doc, 0, STR("error"))))
        look->flags |= STREAM_ERROR;
    enum chat_finish finish = ollama_finish(doc, ((look->flags | look->seen) & STREAM_TOOLS) != 0);
    if (finish != CHAT_FINISH_NONE) {
        look->finish = finish;
        look->flags |= STREAM_FINISH | STREAM_END;
    }
    if (ollama_usage(doc, &look->usage))
        look->flags |= STREAM_USAGE;
}

void
ollama_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    struct stream_look look = {0};
    if (json_is(doc, 0, JSON_OBJECT))
        ollama_look_at(doc, &look);
    else
        look.flags = STREAM_MALFORMED;
    look.total_bytes = look.delta_bytes;
    look.seen = look.flags;
    *ret_look = look;
}

/* ---- messages, read -------------------------------------------------------------------------- */

static uint64_t
hash_text(uint64_t hash, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(1099511628211);
    return hash;
}

/* An id for a call that came without one: of what is said and when, so the same each time. */
static int
make_id(const struct intake *in, uint32_t count, struct chat_part *call)
{
    struct str made = json_raw(in->doc, json_get(in->doc, 0, STR("created_at")));
    uint64_t hash = hash_text(UINT64_C(14695981039346656037) + count, made);
    hash = hash_text(hash_text(hash, call->name), call->text);
    call->id = arena_printf(in->arena, "call_%016llx", (unsigned long long)hash);
    return call->id.ptr == NULL ? -ERR_NOMEM : 0;
}

static int
read_calls(const struct intake *in, uint32_t list, bool answer, struct chat_part **end)
{
    const struct json_doc *doc = in->doc;
    uint32_t count = 0;
    if (intake_absent(doc, list))
        return 0;
    if (!json_is(doc, list, JSON_ARRAY))
        return intake_kind_error(in, "tool_calls", "a list");
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t body = json_get(doc, at, STR("function"));
        uint32_t arguments = json_get(doc, body, STR("arguments"));
        struct chat_part *part = chat_part_add(end, CHAT_PART_TOOL_CALL, in->arena);
        if (part == NULL)
            return -ERR_NOMEM;
        part->text = STR("{}");
        int rc = intake_member(in, at, "id", &part->id);
        if (rc == 0)
            rc = intake_member(in, body, "name", &part->name);
        if (rc == 0)
            rc = intake_object(in, arguments, "tool_calls.function.arguments", &part->text);
        if (rc == 0 && answer && part->id.len == 0)
            rc = make_id(in, count, part);
        if (rc < 0)
            return rc;
        count++;
        end = &part->next;
    }
    return 0;
}

/* Pictures are bare base64; what they are, their first bytes say. */
static struct str
picture_type(struct str data)
{
    static const char *const rows[][2] = {{"iVBOR", "image/png"},
                                          {"/9j/", "image/jpeg"},
                                          {"R0lGOD", "image/gif"},
                                          {"UklGR", "image/webp"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_starts(data, str_from(rows[i][0])))
            return str_from(rows[i][1]);
    return STR("image/png");
}

int
ollama_message_in(const struct intake *in, uint32_t message, bool answer,
                  struct chat_part **ret_parts)
{
    const struct json_doc *doc = in->doc;
    struct chat_part *parts = NULL;
    struct chat_part **end = &parts;
    uint32_t images = json_get(doc, message, STR("images"));
    int rc = intake_part(in, json_get(doc, message, STR("thinking")), "thinking",
                         CHAT_PART_REASONING, &end);
    if (rc == 0)
        rc = intake_part(in, json_get(doc, message, STR("content")), "content", CHAT_PART_TEXT,
                         &end);
    for (uint32_t at = json_is(doc, images, JSON_ARRAY) ? json_first(doc, images) : JSON_NONE;
         at != JSON_NONE && rc == 0; at = json_sibling(doc, images, at)) {
        struct chat_part *part = chat_part_add(end, CHAT_PART_IMAGE, in->arena);
        rc = part == NULL ? -ERR_NOMEM : intake_text(in, at, "images", &part->data);
        if (rc < 0)
            return rc;
        part->media_type = picture_type(part->data);
        end = &part->next;
    }
    if (rc == 0)
        rc = read_calls(in, json_get(doc, message, STR("tool_calls")), answer, end);
    if (rc == 0)
        *ret_parts = parts;
    return rc;
}

int
ollama_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                 struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {.id = STR("ollama")};
    uint32_t message = json_get(doc, 0, STR("message"));
    bool called = json_count(doc, json_get(doc, message, STR("tool_calls"))) > 0;
    if (!json_is(doc, message, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "the answer has no message");
    struct chat_choice *choice = chat_choice_add(&answer.choices, 0, arena);
    if (choice == NULL)
        return -ERR_NOMEM;
    int rc = intake_member(&in, 0, "model", &answer.model);
    if (rc == 0)
        rc = ollama_message_in(&in, message, true, &choice->parts);
    if (rc < 0)
        return rc;
    choice->finish = ollama_finish(doc, called);
    (void)ollama_usage(doc, &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- written --------------------------------------------------------------------------------- */

void
ollama_put_call(struct json_writer *writer, const struct chat_part *call)
{
    json_open_object(writer);
    if (call->id.len > 0)
        json_member_str(writer, "id", call->id);
    json_key_object(writer, "function");
    json_member_str(writer, "name", call->name);
    emit_arguments(writer, "arguments", call->text);
    json_close_object(writer);
    json_close_object(writer);
}

void
ollama_put_time(struct json_writer *writer, uint64_t seconds)
{
    char text[40] = "1970-01-01T00:00:00Z";
    time_t when = (time_t)MIN(seconds, UINT64_C(253402300799));
    struct tm tm;
    if (gmtime_r(&when, &tm) != NULL)
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_member_str(writer, "created_at", str_from(text));
}

void
ollama_put_end(struct json_writer *writer, enum chat_finish finish, const struct usage *usage)
{
    json_member_bool(writer, "done", true);
    json_member_str(writer, "done_reason",
                    finish == CHAT_FINISH_LENGTH ? STR("length") : STR("stop"));
    if (usage->evidence == EVIDENCE_NONE)
        return;
    json_member_u64(writer, "prompt_eval_count", usage_prompt_tokens(usage));
    json_member_u64(writer, "eval_count", usage_answer_tokens(usage));
}

int
ollama_answer_out(const struct chat_answer *answer, struct arena *arena, struct buf *out)
{
    const struct chat_choice *choice = answer->choices;
    struct chat_part refusal;
    const struct chat_part *parts = emit_parts(choice, &refusal);
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "model", answer->model);
    ollama_put_time(&writer, answer->created);
    json_key_object(&writer, "message");
    json_member_str(&writer, "role", STR("assistant"));
    json_member_str(&writer, "content",
                    emit_texts(&writer, arena, parts,
                               EMIT_KIND(CHAT_PART_TEXT) | EMIT_KIND(CHAT_PART_REFUSAL),
                               STR_EMPTY));
    struct str thinking =
        emit_texts(&writer, arena, parts, EMIT_KIND(CHAT_PART_REASONING), STR_EMPTY);
    if (thinking.len > 0)
        json_member_str(&writer, "thinking", thinking);
    emit_calls(&writer, parts, ollama_put_call);
    cite_put_message(&writer, choice != NULL ? choice->citations : NULL);
    json_close_object(&writer);
    ollama_put_end(&writer, choice != NULL ? choice->finish : CHAT_FINISH_NONE, &answer->usage);
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
