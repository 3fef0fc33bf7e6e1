/* SPDX-License-Identifier: MIT
 * answer_completions.c - answers in OpenAI's completions of before 2023.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: a stream is text chunks, finish, usage when asked for, [DONE]. */
#include <stdio.h>

#include "tools/sim/answer.h"

static void
put_usage(struct json_writer *json, const struct sim_answer *answer)
{
    struct sim_usage usage = answer_usage(answer);
    if (usage.missing)
        return;
    json_key(json, "usage");
    json_open_object(json);
    json_member_i64(json, "prompt_tokens", usage.prompt);
    json_member_i64(json, "completion_tokens", usage.completion);
    json_member_i64(json, "total_tokens", usage.total);
    json_close_object(json);
}

/* Up to the elements of choices. */
static void
open_envelope(struct json_writer *json, const struct sim_answer *answer, struct buf *out)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "cmpl-sim%016llx", (unsigned long long)answer->seed);
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "id", str_from(id));
    json_member_str(json, "object", STR("text_completion"));
    json_member_u64(json, "created", 1700000000u);
    json_member_str(json, "model", answer->model);
    json_key(json, "choices");
    json_open_array(json);
}

static void
put_choice(struct json_writer *json, const struct sim_answer *answer, uint64_t from, uint64_t to,
           bool last)
{
    json_open_object(json);
    answer_put_words(json, "text", answer, from, to);
    json_member_u64(json, "index", 0);
    json_member_raw(json, "logprobs", STR("null"));
    if (last)
        json_member_str(json, "finish_reason", answer->cut_by_limit ? STR("length") : STR("stop"));
    else
        json_member_raw(json, "finish_reason", STR("null"));
    json_close_object(json);
}

static void
completions_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    open_envelope(&json, answer, out);
    put_choice(&json, answer, 0, answer->words, true);
    json_close_array(&json);
    put_usage(&json, answer);
    json_close_object(&json);
}

static void
completions_begin(const struct sim_answer *answer, struct buf *out)
{
    (void)answer;
    (void)out;
}

static void
put_chunk(const struct sim_answer *answer, uint64_t from, uint64_t to, bool last, struct buf *out)
{
    struct json_writer json;
    buf_put_str(out, STR("data: "));
    open_envelope(&json, answer, out);
    put_choice(&json, answer, from, to, last);
    json_close_array(&json);
    json_close_object(&json);
    buf_put_str(out, STR("\n\n"));
}

static void
completions_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    answer_chunk_span(answer, index, &from, &to);
    put_chunk(answer, from, to, false, out);
}

static void
completions_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    put_chunk(answer, 0, 0, true, out);
    if (answer->include_usage && answer->lie != LIE_MISSING) {
        buf_put_str(out, STR("data: "));
        open_envelope(&json, answer, out);
        json_close_array(&json);
        put_usage(&json, answer);
        json_close_object(&json);
        buf_put_str(out, STR("\n\n"));
    }
    if (terminator)
        buf_put_str(out, STR("data: [DONE]\n\n"));
}

static void
completions_error(unsigned status, struct str message, struct buf *out)
{
    sim_openai.error(status, message, out);
}

static void
completions_error_event(struct buf *out)
{
    sim_openai.error_event(out);
}

const struct sim_dialect sim_completions = {
    .name = "completions",
    .whole = completions_whole,
    .begin = completions_begin,
    .chunk = completions_chunk,
    .end = completions_end,
    .error = completions_error,
    .error_event = completions_error_event,
};
