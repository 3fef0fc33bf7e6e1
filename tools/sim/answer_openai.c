/* SPDX-License-Identifier: MIT
 * answer_openai.c - answers in the OpenAI chat completions dialect, and embeddings.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: a stream is role, content or tool-call chunks, finish, usage when asked for,
 *   [DONE]. */
#include <math.h>
#include <stdio.h>

#include "lib/text/base64.h"
#include "tools/sim/answer.h"

#define CREATED 1700000000u /* the same in every run */

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
    json_key(json, "prompt_tokens_details");
    json_open_object(json);
    json_member_i64(json, "cached_tokens", usage.cached);
    json_member_i64(json, "audio_tokens", 0);
    json_close_object(json);
    json_key(json, "completion_tokens_details");
    json_open_object(json);
    json_member_i64(json, "reasoning_tokens", usage.reasoning);
    json_member_i64(json, "audio_tokens", 0);
    json_close_object(json);
    json_close_object(json);
}

static const char *
finish_reason(const struct sim_answer *answer)
{
    return answer->tool_call ? "tool_calls" : answer->cut_by_limit ? "length" : "stop";
}

static void
open_envelope(struct json_writer *json, const struct sim_answer *answer, struct buf *out,
              const char *object)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "chatcmpl-sim%016llx", (unsigned long long)answer->seed);
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "id", str_from(id));
    json_member_str(json, "object", str_from(object));
    json_member_u64(json, "created", CREATED);
    json_member_str(json, "model", answer->model);
    json_member_str(json, "system_fingerprint", STR("fp_sim"));
}

static void
put_call_head(struct json_writer *json, const struct sim_answer *answer, struct str arguments)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "call_sim%016llx", (unsigned long long)answer->seed);
    json_member_str(json, "id", str_from(id));
    json_member_str(json, "type", STR("function"));
    json_key(json, "function");
    json_open_object(json);
    json_member_str(json, "name", answer->tool_name);
    json_member_str(json, "arguments", arguments);
    json_close_object(json);
}

static void
put_annotations(struct json_writer *json, const struct sim_answer *answer)
{
    if (answer->searches == 0)
        return;
    json_key_array(json, "annotations");
    for (uint64_t i = 0; i < answer->searches; i++)
        answer_put_annotation(json, answer, i, true);
    json_close_array(json);
}

static void
openai_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    open_envelope(&json, answer, out, "chat.completion");
    json_key(&json, "choices");
    json_open_array(&json);
    json_open_object(&json);
    json_member_u64(&json, "index", 0);
    json_key(&json, "message");
    json_open_object(&json);
    json_member_str(&json, "role", STR("assistant"));
    if (answer->tool_call) {
        json_member_raw(&json, "content", STR("null"));
        json_key(&json, "tool_calls");
        json_open_array(&json);
        json_open_object(&json);
        put_call_head(&json, answer, answer->tool_arguments);
        json_close_object(&json);
        json_close_array(&json);
    } else {
        answer_put_words(&json, "content", answer, 0, answer->words);
    }
    json_member_raw(&json, "refusal", STR("null"));
    put_annotations(&json, answer);
    json_close_object(&json);
    json_member_raw(&json, "logprobs", STR("null"));
    json_member_str(&json, "finish_reason", str_from(finish_reason(answer)));
    json_close_object(&json);
    json_close_array(&json);
    put_usage(&json, answer);
    json_close_object(&json);
}

/* `choices` is the raw JSON of the array's inside; usage at the very end only. */
static void
put_chunk_open(struct json_writer *json, const struct sim_answer *answer, struct buf *out)
{
    buf_put_str(out, STR("data: "));
    open_envelope(json, answer, out, "chat.completion.chunk");
    json_key(json, "choices");
    json_open_array(json);
}

static void
put_chunk_close(struct json_writer *json, struct buf *out, const char *finish)
{
    json_member_raw(json, "logprobs", STR("null"));
    if (finish != NULL)
        json_member_str(json, "finish_reason", str_from(finish));
    else
        json_member_raw(json, "finish_reason", STR("null"));
    json_close_object(json);
    json_close_array(json);
    json_close_object(json);
    buf_put_str(out, STR("\n\n"));
}

static void
put_choice_open(struct json_writer *json)
{
    json_open_object(json);
    json_member_u64(json, "index", 0);
    json_key(json, "delta");
    json_open_object(json);
}

static void
put_call_delta(struct json_writer *json, const struct sim_answer *answer, bool first,
               struct str arguments)
{
    json_key(json, "tool_calls");
    json_open_array(json);
    json_open_object(json);
    json_member_u64(json, "index", 0);
    if (first) {
        put_call_head(json, answer, arguments);
    } else {
        json_key(json, "function");
        json_open_object(json);
        json_member_str(json, "arguments", arguments);
        json_close_object(json);
    }
    json_close_object(json);
    json_close_array(json);
}

static void
openai_begin(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    put_chunk_open(&json, answer, out);
    put_choice_open(&json);
    json_member_str(&json, "role", STR("assistant"));
    if (answer->tool_call)
        json_member_raw(&json, "content", STR("null"));
    else
        json_member_str(&json, "content", STR(""));
    json_close_object(&json);
    put_chunk_close(&json, out, NULL);
}

static void
openai_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    answer_chunk_span(answer, index, &from, &to);
    if (answer->tool_call && index == 0) {
        put_chunk_open(&json, answer, out);
        put_choice_open(&json);
        put_call_delta(&json, answer, true, STR(""));
        json_close_object(&json);
        put_chunk_close(&json, out, NULL);
    }
    put_chunk_open(&json, answer, out);
    put_choice_open(&json);
    if (answer->tool_call) {
        put_call_delta(&json, answer, false,
                       str_make(answer->tool_arguments.ptr + from, (size_t)(to - from)));
    } else {
        answer_put_words(&json, "content", answer, from, to);
    }
    json_close_object(&json);
    put_chunk_close(&json, out, NULL);
}

static void
openai_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    if (answer->searches > 0) {
        put_chunk_open(&json, answer, out);
        put_choice_open(&json);
        put_annotations(&json, answer);
        json_close_object(&json);
        put_chunk_close(&json, out, NULL);
    }
    put_chunk_open(&json, answer, out);
    put_choice_open(&json);
    json_close_object(&json);
    put_chunk_close(&json, out, finish_reason(answer));
    if (answer->include_usage && answer->lie != LIE_MISSING) {
        put_chunk_open(&json, answer, out);
        json_close_array(&json);
        put_usage(&json, answer);
        json_close_object(&json);
        buf_put_str(out, STR("\n\n"));
    }
    if (terminator)
        buf_put_str(out, STR("data: [DONE]\n\n"));
}

static void
openai_error(unsigned status, struct str message, struct buf *out)
{
    struct json_writer json;
    const char *type = status == 401   ? "authentication_error"
                       : status == 429 ? "rate_limit_error"
                       : status >= 500 ? "server_error"
                                       : "invalid_request_error";
    json_writer_init(&json, out);
    json_open_object(&json);
    json_key(&json, "error");
    json_open_object(&json);
    json_member_str(&json, "message", message);
    json_member_str(&json, "type", str_from(type));
    json_member_raw(&json, "param", STR("null"));
    if (status == 401)
        json_member_str(&json, "code", STR("invalid_api_key"));
    else if (status == 404)
        json_member_str(&json, "code", STR("model_not_found"));
    else if (status == 429)
        json_member_str(&json, "code", STR("rate_limit_exceeded"));
    else
        json_member_raw(&json, "code", STR("null"));
    json_close_object(&json);
    json_close_object(&json);
}

static void
openai_error_event(struct buf *out)
{
    buf_put_str(out, STR("data: "));
    openai_error(500, STR("The server had an error while processing your request (simulated)."),
                 out);
    buf_put_str(out, STR("\n\n"));
}

static void
openai_models(const struct str *models, size_t count, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_member_str(&json, "object", STR("list"));
    json_key(&json, "data");
    json_open_array(&json);
    for (size_t i = 0; i < count; i++) {
        json_open_object(&json);
        json_member_str(&json, "id", models[i]);
        json_member_str(&json, "object", STR("model"));
        json_member_u64(&json, "created", CREATED);
        json_member_str(&json, "owned_by", STR("berth-sim"));
        json_close_object(&json);
    }
    json_close_array(&json);
    json_close_object(&json);
}

const struct sim_dialect sim_openai = {
    .name = "openai",
    .whole = openai_whole,
    .begin = openai_begin,
    .chunk = openai_chunk,
    .end = openai_end,
    .error = openai_error,
    .error_event = openai_error_event,
    .models = openai_models,
};

/* ---- embeddings ------------------------------------------------------------------------------ */

void
embeddings_make(struct str text, float *values, size_t count)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    bool word = false;
    memset(values, 0, count * sizeof(*values));
    for (size_t i = 0; i <= text.len; i++) {
        unsigned char c = i < text.len ? (unsigned char)text.ptr[i] : ' ';
        c = (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80) {
            hash = (hash ^ c) * UINT64_C(1099511628211);
            word = true;
        } else if (word) {
            values[hash % count] += (hash >> 40 & 1) != 0 ? 1.0f : -1.0f;
            hash = UINT64_C(14695981039346656037);
            word = false;
        }
    }
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    if (sum <= 0) {
        values[0] = 1.0f;
        sum = 1.0f;
    }
    for (size_t i = 0; i < count; i++)
        values[i] /= sqrtf(sum);
}

static void
put_vector(const struct sim_request *request, const float *values, struct buf *out)
{
    if (request->base64) {
        buf_put_byte(out, '"');
        (void)!base64_put(out, str_make((const char *)values, request->dimensions * sizeof(float)),
                          false);
        buf_put_byte(out, '"');
        return;
    }
    buf_put_byte(out, '[');
    for (uint64_t i = 0; i < request->dimensions; i++)
        buf_printf(out, i == 0 ? "%.7g" : ",%.7g", (double)values[i]);
    buf_put_byte(out, ']');
}

void
embeddings_write(const struct sim_request *request, const struct sim_answer *answer,
                 struct buf *out)
{
    float values[4096];
    struct sim_usage usage = answer_usage(answer);
    buf_put_str(out, STR("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < request->input_count; i++) {
        embeddings_make(request->inputs[i], values, request->dimensions);
        buf_printf(out,
                   "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i > 0 ? "," : "", i);
        put_vector(request, values, out);
        buf_put_byte(out, '}');
    }
    buf_put_str(out, STR("],\"model\":"));
    json_put_string(out, answer->model);
    if (str_starts(answer->model, STR("mistral"))) /* whose client wants one */
        buf_printf(out, ",\"id\":\"embd-sim%016llx\"", (unsigned long long)answer->seed);
    if (!usage.missing)
        buf_printf(out, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}",
                   (long long)usage.prompt, (long long)usage.prompt);
    buf_put_byte(out, '}');
}
