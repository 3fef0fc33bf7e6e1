/* SPDX-License-Identifier: MIT
 * answer_gemini.c - answers in Gemini's generateContent.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: a stream has no terminator: the last chunk has finishReason and usage. */
#include <stdio.h>

#include "tools/sim/answer.h"

static void
put_usage(struct json_writer *json, const struct sim_answer *answer)
{
    struct sim_usage usage = answer_usage(answer);
    /* reasoning stands beside the answer's tokens in this dialect */
    int64_t words = answer->lie == LIE_NONE ? usage.completion - usage.reasoning : usage.completion;
    if (usage.missing)
        return;
    json_key(json, "usageMetadata");
    json_open_object(json);
    json_member_i64(json, "promptTokenCount", usage.prompt);
    json_member_i64(json, "candidatesTokenCount", words);
    json_member_i64(json, "totalTokenCount", usage.total);
    if (usage.cached > 0)
        json_member_i64(json, "cachedContentTokenCount", usage.cached);
    if (usage.reasoning > 0)
        json_member_i64(json, "thoughtsTokenCount", usage.reasoning);
    json_close_object(json);
}

static void
put_grounding(struct json_writer *json, const struct sim_answer *answer)
{
    char source[SOURCE_BYTES];
    json_key_object(json, "groundingMetadata");
    json_key_array(json, "webSearchQueries");
    for (uint64_t i = 0; i < answer->searches; i++)
        json_value_str(json, STR("sim"));
    json_close_array(json);
    json_key_array(json, "groundingChunks");
    for (uint64_t i = 0; i < answer->searches; i++) {
        answer_source(i, source);
        json_open_object(json);
        json_key_object(json, "web");
        json_member_str(json, "uri", str_from(source));
        json_member_str(json, "title", STR("A source"));
        json_close_object(json);
        json_close_object(json);
    }
    json_close_array(json);
    json_key_array(json, "groundingSupports");
    json_open_object(json);
    json_key_object(json, "segment");
    json_member_u64(json, "endIndex", answer_cited(answer));
    json_close_object(json);
    json_key_array(json, "groundingChunkIndices");
    for (uint64_t i = 0; i < answer->searches; i++)
        json_value_u64(json, i);
    json_close_array(json);
    json_close_object(json);
    json_close_array(json);
    json_close_object(json);
}

/* Up to the members of the one part. */
static void
chunk_open(struct json_writer *json, struct buf *out)
{
    json_writer_init(json, out);
    json_open_object(json);
    json_key(json, "candidates");
    json_open_array(json);
    json_open_object(json);
    json_key(json, "content");
    json_open_object(json);
    json_key(json, "parts");
    json_open_array(json);
    json_open_object(json);
}

static void
chunk_close(struct json_writer *json, const struct sim_answer *answer, bool last)
{
    char id[40];
    (void)snprintf(id, sizeof(id), "sim%016llx", (unsigned long long)answer->seed);
    json_close_object(json);
    json_close_array(json);
    json_member_str(json, "role", STR("model"));
    json_close_object(json);
    if (last)
        json_member_str(json, "finishReason",
                        answer->cut_by_limit ? STR("MAX_TOKENS") : STR("STOP"));
    json_member_u64(json, "index", 0);
    if (last && answer->searches > 0)
        put_grounding(json, answer);
    json_close_object(json);
    json_close_array(json);
    if (last)
        put_usage(json, answer);
    json_member_str(json, "modelVersion", answer->model);
    json_member_str(json, "responseId", str_from(id));
    json_close_object(json);
}

static void
put_call(struct json_writer *json, const struct sim_answer *answer)
{
    json_key(json, "functionCall");
    json_open_object(json);
    json_member_str(json, "name", answer->tool_name);
    json_member_raw(json, "args", answer->tool_arguments);
    json_close_object(json);
    json_member_str(json, "thoughtSignature", STR("c2ltL3NpZ25lZCtjYWxsIQ=="));
}

static void
gemini_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    chunk_open(&json, out);
    if (answer->tool_call)
        put_call(&json, answer);
    else
        answer_put_words(&json, "text", answer, 0, answer->words);
    chunk_close(&json, answer, true);
}

static void
gemini_begin(const struct sim_answer *answer, struct buf *out)
{
    (void)answer;
    (void)out;
}

static void
gemini_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    answer_chunk_span(answer, index, &from, &to);
    buf_put_str(out, STR("data: "));
    chunk_open(&json, out);
    if (answer->tool_call)
        put_call(&json, answer);
    else
        answer_put_words(&json, "text", answer, from, to);
    chunk_close(&json, answer, false);
    buf_put_str(out, STR("\r\n\r\n"));
}

static void
gemini_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    if (!terminator) /* without finishReason the stream was cut */
        return;
    buf_put_str(out, STR("data: "));
    chunk_open(&json, out);
    json_member_str(&json, "text", STR(""));
    chunk_close(&json, answer, true);
    buf_put_str(out, STR("\r\n\r\n"));
}

static void
gemini_error(unsigned status, struct str message, struct buf *out)
{
    struct json_writer json;
    const char *name = status == 401   ? "UNAUTHENTICATED"
                       : status == 403 ? "PERMISSION_DENIED"
                       : status == 404 ? "NOT_FOUND"
                       : status == 429 ? "RESOURCE_EXHAUSTED"
                       : status == 503 ? "UNAVAILABLE"
                       : status >= 500 ? "INTERNAL"
                                       : "INVALID_ARGUMENT";
    json_writer_init(&json, out);
    json_open_object(&json);
    json_key(&json, "error");
    json_open_object(&json);
    json_member_u64(&json, "code", status);
    json_member_str(&json, "message", message);
    json_member_str(&json, "status", str_from(name));
    json_close_object(&json);
    json_close_object(&json);
}

static void
gemini_error_event(struct buf *out)
{
    buf_put_str(out, STR("data: "));
    gemini_error(500, STR("An internal error has occurred (simulated)."), out);
    buf_put_str(out, STR("\r\n\r\n"));
}

const struct sim_dialect sim_gemini = {
    .name = "gemini",
    .whole = gemini_whole,
    .begin = gemini_begin,
    .chunk = gemini_chunk,
    .end = gemini_end,
    .error = gemini_error,
    .error_event = gemini_error_event,
};
