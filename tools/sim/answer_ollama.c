/* SPDX-License-Identifier: MIT
 * answer_ollama.c - answers in Ollama's own dialect.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: a stream is lines of JSON; the last has done:true and the counts. */
#include <stdio.h>

#include "tools/sim/answer.h"

static void
line_open(struct json_writer *json, const struct sim_answer *answer, struct buf *out)
{
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "model", answer->model);
    json_member_str(json, "created_at", STR("2023-11-14T22:13:20.000000Z"));
    json_key(json, "message");
    json_open_object(json);
    json_member_str(json, "role", STR("assistant"));
}

static void
put_call(struct json_writer *json, const struct sim_answer *answer)
{
    json_member_str(json, "content", STR(""));
    json_key(json, "tool_calls");
    json_open_array(json);
    json_open_object(json);
    json_key(json, "function");
    json_open_object(json);
    json_member_str(json, "name", answer->tool_name);
    json_member_raw(json, "arguments", answer->tool_arguments);
    json_close_object(json);
    json_close_object(json);
    json_close_array(json);
}

static void
line_close(struct json_writer *json, const struct sim_answer *answer, bool last)
{
    struct sim_usage usage = answer_usage(answer);
    json_close_object(json);
    json_member_bool(json, "done", last);
    if (last) {
        json_member_str(json, "done_reason", answer->cut_by_limit ? STR("length") : STR("stop"));
        json_member_u64(json, "total_duration", 1000000);
    }
    if (last && !usage.missing) {
        json_member_i64(json, "prompt_eval_count", usage.prompt);
        json_member_i64(json, "eval_count", usage.completion);
    }
    json_close_object(json);
}

static void
ollama_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    line_open(&json, answer, out);
    if (answer->tool_call)
        put_call(&json, answer);
    else
        answer_put_words(&json, "content", answer, 0, answer->words);
    line_close(&json, answer, true);
}

static void
ollama_begin(const struct sim_answer *answer, struct buf *out)
{
    (void)answer;
    (void)out;
}

static void
ollama_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    answer_chunk_span(answer, index, &from, &to);
    line_open(&json, answer, out);
    if (answer->tool_call)
        put_call(&json, answer);
    else
        answer_put_words(&json, "content", answer, from, to);
    line_close(&json, answer, false);
    buf_put_byte(out, '\n');
}

static void
ollama_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    if (!terminator)
        return;
    line_open(&json, answer, out);
    json_member_str(&json, "content", STR(""));
    line_close(&json, answer, true);
    buf_put_byte(out, '\n');
}

static void
ollama_error(unsigned status, struct str message, struct buf *out)
{
    struct json_writer json;
    (void)status;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_member_str(&json, "error", message);
    json_close_object(&json);
}

static void
ollama_error_event(struct buf *out)
{
    ollama_error(500, STR("an error was encountered while running the model (simulated)"), out);
    buf_put_byte(out, '\n');
}

const struct sim_dialect sim_ollama = {
    .name = "ollama-native",
    .stream_type = "application/x-ndjson",
    .whole = ollama_whole,
    .begin = ollama_begin,
    .chunk = ollama_chunk,
    .end = ollama_end,
    .error = ollama_error,
    .error_event = ollama_error_event,
};
