/* SPDX-License-Identifier: MIT
 * answer_cohere.c - answers in Cohere's v2 chat.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: a stream is message-start, one content or tool call (start, deltas, end), message-end,
 *            [DONE]. */
#include <stdio.h>

#include "tools/sim/answer.h"

static const char *
finish_reason(const struct sim_answer *answer)
{
    return answer->tool_call ? "TOOL_CALL" : answer->cut_by_limit ? "MAX_TOKENS" : "COMPLETE";
}

static void
put_usage(struct json_writer *json, const struct sim_answer *answer)
{
    struct sim_usage usage = answer_usage(answer);
    if (usage.missing)
        return;
    json_key(json, "usage");
    json_open_object(json);
    json_key(json, "billed_units");
    json_open_object(json);
    json_member_i64(json, "input_tokens", usage.prompt);
    json_member_i64(json, "output_tokens", usage.completion);
    json_close_object(json);
    json_key(json, "tokens");
    json_open_object(json);
    json_member_i64(json, "input_tokens", usage.prompt);
    json_member_i64(json, "output_tokens", usage.completion);
    json_close_object(json);
    if (usage.cached > 0)
        json_member_i64(json, "cached_tokens", usage.cached);
    json_close_object(json);
}

static void
put_id(struct json_writer *json, const struct sim_answer *answer)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "sim-%016llx", (unsigned long long)answer->seed);
    json_member_str(json, "id", str_from(id));
}

static void
put_call(struct json_writer *json, const struct sim_answer *answer, struct str arguments)
{
    char id[48];
    int length = snprintf(id, sizeof(id), "call_%016llx", (unsigned long long)answer->seed);
    json_open_object(json);
    json_member_str(json, "id", str_make(id, (size_t)length));
    json_member_str(json, "type", STR("function"));
    json_key(json, "function");
    json_open_object(json);
    json_member_str(json, "name", answer->tool_name);
    json_member_str(json, "arguments", arguments);
    json_close_object(json);
    json_close_object(json);
}

static void
cohere_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    put_id(&json, answer);
    json_key(&json, "message");
    json_open_object(&json);
    json_member_str(&json, "role", STR("assistant"));
    json_key(&json, answer->tool_call ? "tool_calls" : "content");
    json_open_array(&json);
    if (answer->tool_call) {
        put_call(&json, answer, answer->tool_arguments);
    } else {
        json_open_object(&json);
        json_member_str(&json, "type", STR("text"));
        answer_put_words(&json, "text", answer, 0, answer->words);
        json_close_object(&json);
    }
    json_close_array(&json);
    json_close_object(&json);
    json_member_str(&json, "finish_reason", str_from(finish_reason(answer)));
    put_usage(&json, answer);
    json_close_object(&json);
}

static void
event_open(struct json_writer *json, const char *type, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: ", type);
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "type", str_from(type));
}

static void
event_close(struct json_writer *json)
{
    json_close_object(json);
    buf_put_str(json->out, STR("\n\n"));
}

/* Up to the members of delta.message. */
static void
message_open(struct json_writer *json, const char *type, struct buf *out)
{
    event_open(json, type, out);
    json_member_u64(json, "index", 0);
    json_key(json, "delta");
    json_open_object(json);
    json_key(json, "message");
    json_open_object(json);
}

static void
message_close(struct json_writer *json)
{
    json_close_object(json);
    json_close_object(json);
    event_close(json);
}

static void
cohere_begin(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    event_open(&json, "message-start", out);
    put_id(&json, answer);
    event_close(&json);
    if (answer->tool_call) {
        message_open(&json, "tool-call-start", out);
        json_key(&json, "tool_calls");
        put_call(&json, answer, STR(""));
        message_close(&json);
    } else {
        message_open(&json, "content-start", out);
        json_member_raw(&json, "content", STR("{\"type\":\"text\",\"text\":\"\"}"));
        message_close(&json);
    }
}

static void
cohere_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    answer_chunk_span(answer, index, &from, &to);
    message_open(&json, answer->tool_call ? "tool-call-delta" : "content-delta", out);
    json_key(&json, answer->tool_call ? "tool_calls" : "content");
    json_open_object(&json);
    if (answer->tool_call) {
        json_key(&json, "function");
        json_open_object(&json);
        json_member_str(&json, "arguments",
                        str_make(answer->tool_arguments.ptr + from, (size_t)(to - from)));
        json_close_object(&json);
    } else {
        answer_put_words(&json, "text", answer, from, to);
    }
    json_close_object(&json);
    message_close(&json);
}

static void
cohere_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    event_open(&json, answer->tool_call ? "tool-call-end" : "content-end", out);
    json_member_u64(&json, "index", 0);
    event_close(&json);
    if (!terminator)
        return;
    event_open(&json, "message-end", out);
    json_key(&json, "delta");
    json_open_object(&json);
    json_member_str(&json, "finish_reason", str_from(finish_reason(answer)));
    put_usage(&json, answer);
    json_close_object(&json);
    event_close(&json);
    buf_put_str(out, STR("data: [DONE]\n\n"));
}

static void
cohere_error(unsigned status, struct str message, struct buf *out)
{
    struct json_writer json;
    (void)status;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_member_str(&json, "id", STR("sim-error"));
    json_member_str(&json, "message", message);
    json_close_object(&json);
}

static void
cohere_error_event(struct buf *out)
{
    struct json_writer json;
    event_open(&json, "message-end", out);
    json_key(&json, "delta");
    json_open_object(&json);
    json_member_str(&json, "finish_reason", STR("ERROR"));
    json_member_str(&json, "error", STR("internal server error (simulated)"));
    json_close_object(&json);
    event_close(&json);
}

const struct sim_dialect sim_cohere = {
    .name = "cohere-v2",
    .whole = cohere_whole,
    .begin = cohere_begin,
    .chunk = cohere_chunk,
    .end = cohere_end,
    .error = cohere_error,
    .error_event = cohere_error_event,
};
