/* SPDX-License-Identifier: MIT
 * answer_anthropic.c - answers in the Anthropic Messages dialect.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: a stream is message_start, one content block (start, ping, deltas, stop),
 *            message_delta with cumulative usage, message_stop. */
#include <stdio.h>

#include "tools/sim/answer.h"

static const char *
stop_reason(const struct sim_answer *answer)
{
    return answer->tool_call ? "tool_use" : answer->cut_by_limit ? "max_tokens" : "end_turn";
}

/* Cached tokens are beside input_tokens in this dialect, not inside. */
static void
put_usage(struct json_writer *json, const struct sim_answer *answer, bool final)
{
    struct sim_usage usage = answer_usage(answer);
    if (usage.missing)
        return;
    int64_t input = answer->lie == LIE_NONE ? usage.prompt - usage.cached : usage.prompt;
    json_key(json, "usage");
    json_open_object(json);
    json_member_i64(json, "input_tokens", input);
    json_member_i64(json, "cache_creation_input_tokens", 0);
    json_member_i64(json, "cache_read_input_tokens", usage.cached);
    json_member_i64(json, "output_tokens", final ? usage.completion : 1);
    if (final && usage.reasoning > 0) {
        json_key(json, "output_tokens_details");
        json_open_object(json);
        json_member_i64(json, "thinking_tokens", usage.reasoning);
        json_close_object(json);
    }
    if (final && answer->searches + answer->code_runs > 0) {
        json_key_object(json, "server_tool_use");
        json_member_u64(json, "web_search_requests", answer->searches);
        json_member_u64(json, "code_execution_requests", answer->code_runs);
        json_close_object(json);
    }
    json_close_object(json);
}

/* A search and its result. */
static void
put_search(struct json_writer *json, uint64_t index)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "srvtoolu_sim%llu", (unsigned long long)index);
    json_open_object(json);
    json_member_str(json, "type", STR("server_tool_use"));
    json_member_str(json, "id", str_from(id));
    json_member_str(json, "name", STR("web_search"));
    json_member_raw(json, "input", STR("{\"query\":\"sim\"}"));
    json_close_object(json);
    json_open_object(json);
    json_member_str(json, "type", STR("web_search_tool_result"));
    json_member_str(json, "tool_use_id", str_from(id));
    json_member_raw(json, "content", STR("[]"));
    json_close_object(json);
}

/* Where the text is from. */
static void
put_citation(struct json_writer *json, uint64_t index)
{
    char source[SOURCE_BYTES];
    answer_source(index, source);
    json_open_object(json);
    json_member_str(json, "type", STR("web_search_result_location"));
    json_member_str(json, "cited_text", STR("as the source has it"));
    json_member_str(json, "url", str_from(source));
    json_member_str(json, "title", STR("A source"));
    json_member_str(json, "encrypted_index", STR("c2lt"));
    json_close_object(json);
}

static void
put_citations(struct json_writer *json, const struct sim_answer *answer)
{
    if (answer->searches == 0)
        return;
    json_key_array(json, "citations");
    for (uint64_t i = 0; i < answer->searches; i++)
        put_citation(json, i);
    json_close_array(json);
}

static void
put_message_head(struct json_writer *json, const struct sim_answer *answer)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "msg_sim%016llx", (unsigned long long)answer->seed);
    json_member_str(json, "id", str_from(id));
    json_member_str(json, "type", STR("message"));
    json_member_str(json, "role", STR("assistant"));
    json_member_str(json, "model", answer->model);
}

static void
put_tool_head(struct json_writer *json, const struct sim_answer *answer)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "toolu_sim%016llx", (unsigned long long)answer->seed);
    json_member_str(json, "type", STR("tool_use"));
    json_member_str(json, "id", str_from(id));
    json_member_str(json, "name", answer->tool_name);
}

static void
anthropic_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    put_message_head(&json, answer);
    json_key(&json, "content");
    json_open_array(&json);
    for (uint64_t i = 0; i < answer->searches; i++)
        put_search(&json, i);
    json_open_object(&json);
    if (answer->tool_call) {
        put_tool_head(&json, answer);
        json_member_raw(&json, "input", answer->tool_arguments);
    } else {
        json_member_str(&json, "type", STR("text"));
        answer_put_words(&json, "text", answer, 0, answer->words);
        put_citations(&json, answer);
    }
    json_close_object(&json);
    json_close_array(&json);
    json_member_str(&json, "stop_reason", str_from(stop_reason(answer)));
    json_member_raw(&json, "stop_sequence", STR("null"));
    put_usage(&json, answer, true);
    json_close_object(&json);
}

static void
event_open(struct json_writer *json, const char *name, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: ", name);
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "type", str_from(name));
}

static void
event_close(struct json_writer *json, struct buf *out)
{
    json_close_object(json);
    buf_put_str(out, STR("\n\n"));
}

static void
anthropic_begin(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    event_open(&json, "message_start", out);
    json_key(&json, "message");
    json_open_object(&json);
    put_message_head(&json, answer);
    json_member_raw(&json, "content", STR("[]"));
    json_member_raw(&json, "stop_reason", STR("null"));
    json_member_raw(&json, "stop_sequence", STR("null"));
    put_usage(&json, answer, false);
    json_close_object(&json);
    event_close(&json, out);
    event_open(&json, "content_block_start", out);
    json_member_u64(&json, "index", 0);
    json_key(&json, "content_block");
    json_open_object(&json);
    if (answer->tool_call) {
        put_tool_head(&json, answer);
        json_member_raw(&json, "input", STR("{}"));
    } else {
        json_member_str(&json, "type", STR("text"));
        json_member_str(&json, "text", STR(""));
    }
    json_close_object(&json);
    event_close(&json, out);
    event_open(&json, "ping", out);
    event_close(&json, out);
}

static void
anthropic_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    answer_chunk_span(answer, index, &from, &to);
    event_open(&json, "content_block_delta", out);
    json_member_u64(&json, "index", 0);
    json_key(&json, "delta");
    json_open_object(&json);
    if (answer->tool_call) {
        json_member_str(&json, "type", STR("input_json_delta"));
        json_member_str(&json, "partial_json",
                        str_make(answer->tool_arguments.ptr + from, (size_t)(to - from)));
    } else {
        json_member_str(&json, "type", STR("text_delta"));
        answer_put_words(&json, "text", answer, from, to);
    }
    json_close_object(&json);
    event_close(&json, out);
}

static void
anthropic_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    for (uint64_t i = 0; i < answer->searches; i++) {
        event_open(&json, "content_block_delta", out);
        json_member_u64(&json, "index", 0);
        json_key_object(&json, "delta");
        json_member_str(&json, "type", STR("citations_delta"));
        json_key(&json, "citation");
        put_citation(&json, i);
        json_close_object(&json);
        event_close(&json, out);
    }
    event_open(&json, "content_block_stop", out);
    json_member_u64(&json, "index", 0);
    event_close(&json, out);
    event_open(&json, "message_delta", out);
    json_key(&json, "delta");
    json_open_object(&json);
    json_member_str(&json, "stop_reason", str_from(stop_reason(answer)));
    json_member_raw(&json, "stop_sequence", STR("null"));
    json_close_object(&json);
    put_usage(&json, answer, true);
    event_close(&json, out);
    if (!terminator)
        return;
    event_open(&json, "message_stop", out);
    event_close(&json, out);
}

static const char *
error_type(unsigned status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 402:
        return "billing_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
    case 529:
        return "overloaded_error";
    case 504:
        return "timeout_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static void
anthropic_error(unsigned status, struct str message, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_member_str(&json, "type", STR("error"));
    json_key(&json, "error");
    json_open_object(&json);
    json_member_str(&json, "type", str_from(error_type(status)));
    json_member_str(&json, "message", message);
    json_close_object(&json);
    json_close_object(&json);
}

static void
anthropic_error_event(struct buf *out)
{
    buf_put_str(out, STR("event: error\ndata: "));
    anthropic_error(529, STR("Overloaded"), out);
    buf_put_str(out, STR("\n\n"));
}

static void
anthropic_models(const struct str *models, size_t count, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_key(&json, "data");
    json_open_array(&json);
    for (size_t i = 0; i < count; i++) {
        json_open_object(&json);
        json_member_str(&json, "type", STR("model"));
        json_member_str(&json, "id", models[i]);
        json_member_str(&json, "display_name", models[i]);
        json_member_str(&json, "created_at", STR("2023-11-14T22:13:20Z"));
        json_close_object(&json);
    }
    json_close_array(&json);
    json_member_bool(&json, "has_more", false);
    if (count > 0) {
        json_member_str(&json, "first_id", models[0]);
        json_member_str(&json, "last_id", models[count - 1]);
    }
    json_close_object(&json);
}

const struct sim_dialect sim_anthropic = {
    .name = "anthropic",
    .whole = anthropic_whole,
    .begin = anthropic_begin,
    .chunk = anthropic_chunk,
    .end = anthropic_end,
    .error = anthropic_error,
    .error_event = anthropic_error_event,
    .models = anthropic_models,
};
