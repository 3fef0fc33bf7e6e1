/* SPDX-License-Identifier: MIT
 * openai_writer.c - canonical events into streamed chat completions.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: copies of the upstream's id and model, when the options name none.
 * Invariant: per choice: a role chunk first, one finish chunk; then at most one usage chunk and
 *            [DONE], and these only for a clean end. Spec: WIRE-FORMATS 4.3. Proved by
 *            writer_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/openai_int.h"

#define CHOICES_MAX 128u
#define NAME_BYTES_MAX 256u
#define THINKING_BYTES_MAX (1u << 20)

struct openai_writer {
    struct pieces held; /* calls of custom tools that came as functions */
    struct stream_writer_options options;
    struct buf id;
    struct buf model;
    struct buf thinking;  /* reasoning since the last signature, of choice 0 */
    uint32_t block_count; /* thinking blocks sent */
    struct usage usage;
    uint64_t begun[CHOICES_MAX / 64];    /* role chunk sent */
    uint64_t finished[CHOICES_MAX / 64]; /* finish chunk sent */
    uint64_t called[CHOICES_MAX / 64];   /* has tool calls */
    bool ended;
};

static bool
bit_test(const uint64_t *set, uint32_t at)
{
    return (set[at / 64] >> (at % 64) & 1) != 0;
}

static void
bit_set(uint64_t *set, uint32_t at)
{
    set[at / 64] |= (uint64_t)1 << (at % 64);
}

static void
writer_init(void *state, const struct stream_writer_options *options)
{
    struct openai_writer *writer = state;
    *writer = (struct openai_writer){.options = *options};
    buf_init(&writer->id, NAME_BYTES_MAX);
    buf_init(&writer->model, NAME_BYTES_MAX);
    buf_init(&writer->thinking, THINKING_BYTES_MAX);
}

static void
writer_fini(void *state)
{
    struct openai_writer *writer = state;
    pieces_fini(&writer->held);
    buf_fini(&writer->id);
    buf_fini(&writer->model);
    buf_fini(&writer->thinking);
}

static void
start(struct openai_writer *writer, const struct chat_event *event)
{
    struct stream_writer_options *options = &writer->options;
    if (options->id.len == 0 && buf_put_str(&writer->id, event->id) == 0)
        options->id = buf_str(&writer->id);
    if (options->model.len == 0 && buf_put_str(&writer->model, event->model) == 0)
        options->model = buf_str(&writer->model);
    if (options->created == 0)
        options->created = event->created;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void
chunk_open(const struct openai_writer *writer, struct json_writer *json, struct buf *out)
{
    buf_put_str(out, STR("data: "));
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "id", writer->options.id);
    json_member_str(json, "object", STR("chat.completion.chunk"));
    json_member_u64(json, "created", writer->options.created);
    json_member_str(json, "model", writer->options.model);
    json_key_array(json, "choices");
}

static void
chunk_close(struct json_writer *json)
{
    json_close_object(json);
    buf_put_str(json->out, STR("\n\n"));
}

/* Up to the delta's members. */
static void
delta_open(const struct openai_writer *writer, uint32_t choice, struct json_writer *json,
           struct buf *out)
{
    chunk_open(writer, json, out);
    json_open_object(json);
    json_member_u64(json, "index", choice);
    json_key_object(json, "delta");
}

/* logprobs: raw JSON or empty */
static void
delta_close(struct json_writer *json, const char *finish, struct str logprobs)
{
    json_close_object(json);
    json_key(json, "logprobs");
    emit_line(json, logprobs.len > 0 ? logprobs : STR("null"));
    json_key(json, "finish_reason");
    if (finish != NULL)
        json_value_str(json, str_from(finish));
    else
        json_value_null(json);
    json_close_object(json);
    json_close_array(json);
    chunk_close(json);
}

static void
begin_choice(struct openai_writer *writer, uint32_t choice, struct buf *out)
{
    struct json_writer json;
    if (bit_test(writer->begun, choice))
        return;
    bit_set(writer->begun, choice);
    delta_open(writer, choice, &json, out);
    json_member_str(&json, "role", STR("assistant"));
    json_member_str(&json, "content", STR_EMPTY);
    delta_close(&json, NULL, STR_EMPTY);
}

static void
put_text(struct openai_writer *writer, const struct chat_event *event, const char *key,
         struct buf *out)
{
    struct json_writer json;
    delta_open(writer, event->choice, &json, out);
    json_member_str(&json, key, event->text);
    delta_close(&json, NULL, STR_EMPTY);
}

static void
thinking_reset(struct openai_writer *writer)
{
    buf_fini(&writer->thinking);
    buf_init(&writer->thinking, THINKING_BYTES_MAX);
}

/* A signed block goes out once and whole, with its index: clients that keep the last list, that
 * append and that merge by index all end up with a block that can be sent back (WIRE-FORMATS 3.7).
 * One too long to keep stays unsigned: its text has gone out already. */
static void
put_thinking_block(struct openai_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    const struct chat_part part = {.kind = event->kind == CHAT_EVENT_REDACTED ? CHAT_PART_REDACTED
                                                                              : CHAT_PART_REASONING,
                                   .text = buf_str(&writer->thinking),
                                   .signature = event->text};
    bool whole = event->choice == 0 && !writer->thinking.failed;
    if (whole || event->kind == CHAT_EVENT_REDACTED) {
        delta_open(writer, event->choice, &json, out);
        json_key_array(&json, "thinking_blocks");
        openai_put_thinking(&json, &part, writer->block_count++);
        json_close_array(&json);
        delta_close(&json, NULL, STR_EMPTY);
    }
    thinking_reset(writer);
}

static void
put_reasoning(struct openai_writer *writer, const struct chat_event *event, struct buf *out)
{
    if (event->choice == 0)
        buf_put_str(&writer->thinking, event->text);
    put_text(writer, event, "reasoning_content", out);
}

static void
put_tool_start(struct openai_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    const struct chat_part call = {
        .id = event->id, .name = event->name, .custom = event->custom, .text = STR_EMPTY};
    bit_set(writer->called, event->choice);
    if (writer->options.old_calls && event->tool > 0)
        return; /* there is one at most */
    delta_open(writer, event->choice, &json, out);
    if (writer->options.old_calls) {
        openai_put_function_call(&json, event->name, STR_EMPTY);
    } else {
        json_key_array(&json, "tool_calls");
        openai_put_delta(&json, &call, event->tool);
        json_close_array(&json);
    }
    delta_close(&json, NULL, STR_EMPTY);
}

static void
put_tool_delta(struct openai_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    bool old = writer->options.old_calls;
    if (old && event->tool > 0)
        return;
    delta_open(writer, event->choice, &json, out);
    if (old) {
        openai_put_function_call(&json, STR_EMPTY, event->text);
        delta_close(&json, NULL, STR_EMPTY);
        return;
    }
    json_key_array(&json, "tool_calls");
    json_open_object(&json);
    json_member_u64(&json, "index", event->tool);
    json_key_object(&json, event->custom ? "custom" : "function");
    json_member_str(&json, event->custom ? "input" : "arguments", event->text);
    json_close_object(&json);
    json_close_object(&json);
    json_close_array(&json);
    delta_close(&json, NULL, STR_EMPTY);
}

static void
put_logprobs(struct openai_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    delta_open(writer, event->choice, &json, out);
    delta_close(&json, NULL, event->text);
}

static void
put_citation(struct openai_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    struct chat_citation one = *event->citation;
    one.next = NULL;
    delta_open(writer, event->choice, &json, out);
    cite_put_message(&json, &one);
    delta_close(&json, NULL, STR_EMPTY);
}

static void
put_finish(struct openai_writer *writer, uint32_t choice, enum chat_finish finish,
           struct str refusal, struct buf *out)
{
    struct json_writer json;
    if (bit_test(writer->finished, choice))
        return;
    bit_set(writer->finished, choice);
    if (finish == CHAT_FINISH_NONE)
        finish = bit_test(writer->called, choice) ? CHAT_FINISH_TOOL_CALLS : CHAT_FINISH_STOP;
    delta_open(writer, choice, &json, out);
    if (refusal.len > 0)
        json_member_str(&json, "refusal", refusal);
    delta_close(&json, openai_finish_name(finish, writer->options.old_calls), STR_EMPTY);
}

static void
put_end(struct openai_writer *writer, struct buf *out)
{
    struct json_writer json;
    for (uint32_t i = 0; i < CHOICES_MAX; i++)
        if (bit_test(writer->begun, i))
            put_finish(writer, i, CHAT_FINISH_NONE, STR_EMPTY, out);
    if (writer->options.include_usage && writer->usage.evidence != EVIDENCE_NONE) {
        chunk_open(writer, &json, out);
        json_close_array(&json);
        openai_put_usage(&json, &writer->usage);
        chunk_close(&json);
    }
    buf_put_str(out, STR("data: [DONE]\n\n"));
    writer->ended = true;
}

static int
write_event(void *state, const struct chat_event *event, struct buf *out)
{
    struct openai_writer *writer = state;
    uint32_t choice = event->choice;
    if (writer->ended || choice >= CHOICES_MAX)
        return writer->ended ? 0 : -ERR_TOO_LARGE;
    switch (event->kind) {
    case CHAT_EVENT_START:
        start(writer, event);
        return 0;
    case CHAT_EVENT_USAGE:
        writer->usage = event->usage;
        return 0;
    case CHAT_EVENT_TOOL_END:
    case CHAT_EVENT_PING:
        return 0;
    case CHAT_EVENT_ERROR:
        writer->ended = true;
        return openai_error_event(&event->error, out);
    case CHAT_EVENT_END:
        put_end(writer, out);
        return out->failed ? -ERR_TOO_LARGE : 0;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
        begin_choice(writer, choice, out);
        thinking_reset(writer);
        put_text(writer, event, event->kind == CHAT_EVENT_TEXT ? "content" : "refusal", out);
        break;
    case CHAT_EVENT_REASONING:
        begin_choice(writer, choice, out);
        put_reasoning(writer, event, out);
        break;
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_REDACTED:
        begin_choice(writer, choice, out);
        put_thinking_block(writer, event, out);
        break;
    case CHAT_EVENT_TOOL_START:
        begin_choice(writer, choice, out);
        put_tool_start(writer, event, out);
        break;
    case CHAT_EVENT_TOOL_DELTA:
        begin_choice(writer, choice, out);
        put_tool_delta(writer, event, out);
        break;
    case CHAT_EVENT_LOGPROBS:
        begin_choice(writer, choice, out);
        put_logprobs(writer, event, out);
        break;
    case CHAT_EVENT_CITATION:
        begin_choice(writer, choice, out);
        put_citation(writer, event, out);
        break;
    case CHAT_EVENT_FINISH:
        begin_choice(writer, choice, out);
        put_finish(writer, choice, event->finish, event->id, out);
        break;
    }
    return out->failed ? -ERR_TOO_LARGE : 0;
}

static int
writer_write(void *state, const struct chat_event *event, struct buf *out)
{
    struct openai_writer *writer = state;
    return freeform_write(&writer->held, event, write_event, writer, out);
}

const struct stream_writer_class openai_writer_class = {
    .size = sizeof(struct openai_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = openai_error_event,
    .keepalive = emit_keepalive,
};
