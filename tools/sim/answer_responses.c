/* SPDX-License-Identifier: MIT
 * answer_responses.c - answers in OpenAI's Responses API.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: one output item; its parts are told by added, delta and done events with the
 *            same ids, and sequence_number rises by one. */
#include <stdio.h>

#include "tools/sim/answer.h"

/* sequence_number of what comes in order: begin has 0..3, chunk i has 4 + i, end the rest. */
#define SEQUENCE_BEGIN 4u

static void
put_usage(struct json_writer *json, const struct sim_answer *answer)
{
    struct sim_usage usage = answer_usage(answer);
    json_key(json, "usage");
    if (usage.missing) {
        json_value_null(json);
        return;
    }
    json_open_object(json);
    json_member_i64(json, "input_tokens", usage.prompt);
    json_key(json, "input_tokens_details");
    json_open_object(json);
    json_member_i64(json, "cached_tokens", usage.cached);
    json_close_object(json);
    json_member_i64(json, "output_tokens", usage.completion);
    json_key(json, "output_tokens_details");
    json_open_object(json);
    json_member_i64(json, "reasoning_tokens", usage.reasoning);
    json_close_object(json);
    json_member_i64(json, "total_tokens", usage.total);
    json_close_object(json);
}

static void
put_id(struct json_writer *json, const char *key, const char *prefix,
       const struct sim_answer *answer)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "%s_sim%016llx", prefix, (unsigned long long)answer->seed);
    json_member_str(json, key, str_from(id));
}

/* The item as an object; empty: as it is when it is added. */
static void
put_item(struct json_writer *json, const struct sim_answer *answer, bool empty)
{
    const char *status = empty ? "in_progress" : answer->cut_by_limit ? "incomplete" : "completed";
    json_open_object(json);
    put_id(json, "id", answer->tool_call ? "fc" : "msg", answer);
    json_member_str(json, "type", answer->tool_call ? STR("function_call") : STR("message"));
    json_member_str(json, "status", str_from(status));
    if (answer->tool_call) {
        json_member_str(json, "arguments", empty ? STR("") : answer->tool_arguments);
        put_id(json, "call_id", "call", answer);
        json_member_str(json, "name", answer->tool_name);
    } else {
        json_key(json, "content");
        json_open_array(json);
        if (!empty) {
            json_open_object(json);
            json_member_str(json, "type", STR("output_text"));
            json_key_array(json, "annotations");
            for (uint64_t i = 0; i < answer->searches; i++)
                answer_put_annotation(json, answer, i, false);
            json_close_array(json);
            json_member_raw(json, "logprobs", STR("[]"));
            answer_put_words(json, "text", answer, 0, answer->words);
            json_close_object(json);
        }
        json_close_array(json);
        json_member_str(json, "role", STR("assistant"));
    }
    json_close_object(json);
}

static void
put_response(struct json_writer *json, const struct sim_answer *answer, bool done)
{
    const char *status = !done ? "in_progress" : answer->cut_by_limit ? "incomplete" : "completed";
    json_open_object(json);
    put_id(json, "id", "resp", answer);
    json_member_str(json, "object", STR("response"));
    json_member_u64(json, "created_at", 1700000000u);
    json_member_str(json, "status", str_from(status));
    json_member_raw(json, "error", STR("null"));
    json_member_raw(json, "incomplete_details",
                    done && answer->cut_by_limit ? STR("{\"reason\":\"max_output_tokens\"}")
                                                 : STR("null"));
    json_member_str(json, "model", answer->model);
    json_key(json, "output");
    json_open_array(json);
    if (done)
        put_item(json, answer, false);
    for (uint64_t i = 0; i < answer->searches && done; i++)
        json_value_raw(json,
                       STR("{\"type\":\"web_search_call\",\"id\":\"ws_sim\",\"status\":"
                           "\"completed\",\"action\":{\"type\":\"search\",\"query\":\"sim\"}}"));
    for (uint64_t i = 0; i < answer->code_runs && done; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "cntr_sim%llu", (unsigned long long)i);
        json_open_object(json);
        json_member_str(json, "type", STR("code_interpreter_call"));
        json_member_str(json, "id", STR("ci_sim"));
        json_member_str(json, "status", STR("completed"));
        json_member_str(json, "code", STR("1 + 1"));
        json_member_raw(json, "outputs", STR("null"));
        json_member_str(json, "container_id", str_from(id));
        json_close_object(json);
    }
    json_close_array(json);
    json_member_raw(json, "parallel_tool_calls", STR("true"));
    json_member_raw(json, "tool_choice", STR("\"auto\""));
    json_member_raw(json, "tools", STR("[]"));
    if (done)
        put_usage(json, answer);
    else
        json_member_raw(json, "usage", STR("null"));
    json_member_raw(json, "metadata", STR("{}"));
    json_close_object(json);
}

static void
responses_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    put_response(&json, answer, true);
}

static void
event_open(struct json_writer *json, const char *type, uint64_t sequence, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: ", type);
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "type", str_from(type));
    json_member_u64(json, "sequence_number", sequence);
}

static void
event_close(struct json_writer *json)
{
    json_close_object(json);
    buf_put_str(json->out, STR("\n\n"));
}

/* Members that say which item and part. */
static void
put_place(struct json_writer *json, const struct sim_answer *answer)
{
    put_id(json, "item_id", answer->tool_call ? "fc" : "msg", answer);
    json_member_u64(json, "output_index", 0);
    if (!answer->tool_call)
        json_member_u64(json, "content_index", 0);
}

static void
responses_begin(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    event_open(&json, "response.created", 0, out);
    json_key(&json, "response");
    put_response(&json, answer, false);
    event_close(&json);
    event_open(&json, "response.in_progress", 1, out);
    json_key(&json, "response");
    put_response(&json, answer, false);
    event_close(&json);
    event_open(&json, "response.output_item.added", 2, out);
    json_member_u64(&json, "output_index", 0);
    json_key(&json, "item");
    put_item(&json, answer, true);
    event_close(&json);
    if (answer->tool_call)
        return;
    event_open(&json, "response.content_part.added", 3, out);
    put_place(&json, answer);
    json_member_raw(&json, "part",
                    STR("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":"
                        "\"\"}"));
    event_close(&json);
}

static void
responses_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    answer_chunk_span(answer, index, &from, &to);
    event_open(&json,
               answer->tool_call ? "response.function_call_arguments.delta"
                                 : "response.output_text.delta",
               SEQUENCE_BEGIN + index, out);
    put_place(&json, answer);
    if (answer->tool_call)
        json_member_str(&json, "delta",
                        str_make(answer->tool_arguments.ptr + from, (size_t)(to - from)));
    else
        answer_put_words(&json, "delta", answer, from, to);
    if (!answer->tool_call)
        json_member_raw(&json, "logprobs", STR("[]"));
    event_close(&json);
}

static void
responses_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    uint64_t sequence = SEQUENCE_BEGIN + answer->chunk_count;
    struct json_writer json;
    for (uint64_t i = 0; i < answer->searches; i++) {
        event_open(&json, "response.output_text.annotation.added", sequence++, out);
        put_place(&json, answer);
        json_member_u64(&json, "annotation_index", i);
        json_key(&json, "annotation");
        answer_put_annotation(&json, answer, i, false);
        event_close(&json);
    }
    event_open(&json,
               answer->tool_call ? "response.function_call_arguments.done"
                                 : "response.output_text.done",
               sequence++, out);
    put_place(&json, answer);
    if (answer->tool_call)
        json_member_str(&json, "arguments", answer->tool_arguments);
    else
        answer_put_words(&json, "text", answer, 0, answer->words);
    event_close(&json);
    event_open(&json, "response.output_item.done", sequence++, out);
    json_member_u64(&json, "output_index", 0);
    json_key(&json, "item");
    put_item(&json, answer, false);
    event_close(&json);
    if (!terminator)
        return;
    event_open(&json, answer->cut_by_limit ? "response.incomplete" : "response.completed", sequence,
               out);
    json_key(&json, "response");
    put_response(&json, answer, true);
    event_close(&json);
}

static void
responses_error_event(struct buf *out)
{
    struct json_writer json;
    event_open(&json, "error", 99, out);
    json_member_str(&json, "code", STR("server_error"));
    json_member_str(&json, "message", STR("The server had an error (simulated)."));
    json_member_raw(&json, "param", STR("null"));
    event_close(&json);
}

static void
responses_error(unsigned status, struct str message, struct buf *out)
{
    sim_openai.error(status, message, out);
}

const struct sim_dialect sim_responses = {
    .name = "openai-responses",
    .whole = responses_whole,
    .begin = responses_begin,
    .chunk = responses_chunk,
    .end = responses_end,
    .error = responses_error,
    .error_event = responses_error_event,
};
