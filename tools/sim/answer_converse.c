/* SPDX-License-Identifier: MIT
 * answer_converse.c - answers in Bedrock's Converse, streamed as AWS event streams.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: every message has its two checksums; a text block has no start, a call has one. */
#include <stdio.h>

#include "tools/sim/answer.h"

#define PAYLOAD_BYTES_MAX (64u << 20)

/* ---- framing --------------------------------------------------------------------------------- */

static uint32_t
crc32_of(const char *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= (unsigned char)bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void
put_be32(struct buf *out, uint32_t value)
{
    const char bytes[4] = {(char)(value >> 24), (char)(value >> 16 & 255u),
                           (char)(value >> 8 & 255u), (char)(value & 255u)};
    buf_put(out, bytes, sizeof(bytes));
}

static void
put_header(struct buf *out, struct str name, struct str value)
{
    buf_put_byte(out, (char)name.len);
    buf_put_str(out, name);
    buf_put_byte(out, 7);
    buf_put_byte(out, (char)(value.len >> 8));
    buf_put_byte(out, (char)(value.len & 255u));
    buf_put_str(out, value);
}

static void
put_message(struct buf *out, const char *type, bool exception, const struct buf *payload)
{
    struct buf headers;
    size_t from = out->len;
    buf_init(&headers, 1024);
    put_header(&headers, exception ? STR(":exception-type") : STR(":event-type"), str_from(type));
    put_header(&headers, STR(":content-type"), STR("application/json"));
    put_header(&headers, STR(":message-type"), exception ? STR("exception") : STR("event"));
    put_be32(out, (uint32_t)(16 + headers.len + payload->len));
    put_be32(out, (uint32_t)headers.len);
    put_be32(out, crc32_of(out->ptr + from, 8));
    buf_put_str(out, buf_str(&headers));
    buf_put_str(out, buf_str(payload));
    put_be32(out, crc32_of(out->ptr + from, out->len - from));
    buf_fini(&headers);
}

static void
event_open(struct json_writer *json, struct buf *payload)
{
    buf_init(payload, PAYLOAD_BYTES_MAX);
    json_writer_init(json, payload);
    json_open_object(json);
}

static void
event_close(struct json_writer *json, struct buf *payload, const char *type, struct buf *out)
{
    json_close_object(json);
    put_message(out, type, false, payload);
    buf_fini(payload);
}

/* ---- content --------------------------------------------------------------------------------- */

static void
put_call_head(struct json_writer *json, const struct sim_answer *answer)
{
    char id[48];
    int size = snprintf(id, sizeof(id), "tooluse_sim%016llx", (unsigned long long)answer->seed);
    json_member_str(json, "toolUseId", str_make(id, (size_t)size));
    json_member_str(json, "name", answer->tool_name);
}

static struct str
stop_reason(const struct sim_answer *answer)
{
    return answer->tool_call      ? STR("tool_use")
           : answer->cut_by_limit ? STR("max_tokens")
                                  : STR("end_turn");
}

static void
put_usage(struct json_writer *json, const struct sim_answer *answer)
{
    struct sim_usage usage = answer_usage(answer);
    int64_t input = answer->lie == LIE_NONE ? usage.prompt - usage.cached : usage.prompt;
    if (usage.missing)
        return;
    json_key(json, "usage");
    json_open_object(json);
    json_member_i64(json, "inputTokens", input);
    json_member_i64(json, "outputTokens", usage.completion);
    json_member_i64(json, "totalTokens", usage.total);
    json_member_i64(json, "cacheReadInputTokens", usage.cached);
    json_close_object(json);
}

static void
converse_whole(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_key(&json, "output");
    json_open_object(&json);
    json_key(&json, "message");
    json_open_object(&json);
    json_member_str(&json, "role", STR("assistant"));
    json_key(&json, "content");
    json_open_array(&json);
    json_open_object(&json);
    if (answer->tool_call) {
        json_key(&json, "toolUse");
        json_open_object(&json);
        put_call_head(&json, answer);
        json_member_raw(&json, "input", answer->tool_arguments);
        json_close_object(&json);
    } else {
        answer_put_words(&json, "text", answer, 0, answer->words);
    }
    json_close_object(&json);
    json_close_array(&json);
    json_close_object(&json);
    json_close_object(&json);
    json_member_str(&json, "stopReason", stop_reason(answer));
    put_usage(&json, answer);
    json_close_object(&json);
}

static void
converse_begin(const struct sim_answer *answer, struct buf *out)
{
    struct json_writer json;
    struct buf payload;
    event_open(&json, &payload);
    json_member_str(&json, "role", STR("assistant"));
    event_close(&json, &payload, "messageStart", out);
    if (!answer->tool_call)
        return;
    event_open(&json, &payload);
    json_member_u64(&json, "contentBlockIndex", 0);
    json_key(&json, "start");
    json_open_object(&json);
    json_key(&json, "toolUse");
    json_open_object(&json);
    put_call_head(&json, answer);
    json_close_object(&json);
    json_close_object(&json);
    event_close(&json, &payload, "contentBlockStart", out);
}

static void
converse_chunk(const struct sim_answer *answer, uint64_t index, struct buf *out)
{
    uint64_t from = 0;
    uint64_t to = 0;
    struct json_writer json;
    struct buf payload;
    answer_chunk_span(answer, index, &from, &to);
    event_open(&json, &payload);
    json_member_u64(&json, "contentBlockIndex", 0);
    json_key(&json, "delta");
    json_open_object(&json);
    if (answer->tool_call) {
        json_key(&json, "toolUse");
        json_open_object(&json);
        json_member_str(&json, "input",
                        str_make(answer->tool_arguments.ptr + from, (size_t)(to - from)));
        json_close_object(&json);
    } else {
        answer_put_words(&json, "text", answer, from, to);
    }
    json_close_object(&json);
    event_close(&json, &payload, "contentBlockDelta", out);
}

static void
converse_end(const struct sim_answer *answer, bool terminator, struct buf *out)
{
    struct json_writer json;
    struct buf payload;
    event_open(&json, &payload);
    json_member_u64(&json, "contentBlockIndex", 0);
    event_close(&json, &payload, "contentBlockStop", out);
    if (!terminator)
        return;
    event_open(&json, &payload);
    json_member_str(&json, "stopReason", stop_reason(answer));
    event_close(&json, &payload, "messageStop", out);
    event_open(&json, &payload);
    put_usage(&json, answer);
    event_close(&json, &payload, "metadata", out);
}

static void
converse_error(unsigned status, struct str message, struct buf *out)
{
    struct json_writer json;
    (void)status;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_member_str(&json, "message", message);
    json_close_object(&json);
}

static void
converse_error_event(struct buf *out)
{
    struct buf payload;
    buf_init(&payload, 1024);
    converse_error(500, STR("The system encountered an unexpected error (simulated)."), &payload);
    put_message(out, "internalServerException", true, &payload);
    buf_fini(&payload);
}

const struct sim_dialect sim_converse = {
    .name = "bedrock-converse",
    .stream_type = "application/vnd.amazon.eventstream",
    .whole = converse_whole,
    .begin = converse_begin,
    .chunk = converse_chunk,
    .end = converse_end,
    .error = converse_error,
    .error_event = converse_error_event,
};
