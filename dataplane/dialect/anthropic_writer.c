/* SPDX-License-Identifier: MIT
 * anthropic_writer.c - canonical events into streamed Messages.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: calls that wait for the open one, text that waits for all calls.
 * Invariant: blocks open lazily, never interleave, never reopen; message_delta comes after the last
 *            block and after the usage, message_stop only for a clean end. Spec: WIRE-FORMATS 4.3.
 *            Proved by writer_test.c. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"

#include <stdlib.h>

#define NAME_BYTES_MAX 256u
#define WAITING_BYTES_MAX (8u << 20)
#define WAITING_MAX 256u

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };

/* A call that runs beside the open one: kept until that one ends. */
struct waiting {
    uint32_t tool;
    bool ended;
    struct buf id;
    struct buf name;
    struct buf arguments;
};
struct anthropic_writer {
    struct stream_writer_options options;
    struct buf id;
    struct buf model;
    struct usage usage;
    struct waiting *waiting;
    uint32_t waiting_count;
    uint32_t waiting_cap;
    struct buf late_text; /* text that came while a call was open */
    struct buf stop_text;
    struct buf refusal;
    enum chat_finish finish;
    enum block block;
    uint32_t tool;  /* of the open call */
    uint32_t index; /* of the next block */
    bool started;
    bool cited; /* the open text block: what follows is another one */
    bool refused;
    bool called;
    bool ended;
};

static void
writer_init(void *state, const struct stream_writer_options *options)
{
    struct anthropic_writer *writer = state;
    *writer = (struct anthropic_writer){.options = *options};
    buf_init(&writer->id, NAME_BYTES_MAX);
    buf_init(&writer->model, NAME_BYTES_MAX);
    buf_init(&writer->late_text, WAITING_BYTES_MAX);
    buf_init(&writer->stop_text, NAME_BYTES_MAX);
    buf_init(&writer->refusal, 4096);
}

static void
waiting_fini(struct waiting *waiting)
{
    buf_fini(&waiting->id);
    buf_fini(&waiting->name);
    buf_fini(&waiting->arguments);
}

static void
writer_fini(void *state)
{
    struct anthropic_writer *writer = state;
    for (uint32_t i = 0; i < writer->waiting_count; i++)
        waiting_fini(&writer->waiting[i]);
    free(writer->waiting);
    buf_fini(&writer->id);
    buf_fini(&writer->model);
    buf_fini(&writer->late_text);
    buf_fini(&writer->stop_text);
    buf_fini(&writer->refusal);
    *writer = (struct anthropic_writer){0};
}

/* ---- events of the wire ---------------------------------------------------------------------- */

static void
put_start(struct anthropic_writer *writer, struct buf *out)
{
    struct json_writer json;
    struct usage usage = writer->usage;
    if (writer->started)
        return;
    writer->started = true;
    if (usage.evidence == EVIDENCE_NONE)
        usage.count[USAGE_input] = writer->options.prompt_estimate;
    emit_event_open(&json, "message_start", out);
    json_key_object(&json, "message");
    json_member_str(&json, "id", writer->options.id);
    json_member_str(&json, "type", STR("message"));
    json_member_str(&json, "role", STR("assistant"));
    json_member_str(&json, "model", writer->options.model);
    json_member_raw(&json, "content", STR("[]"));
    json_member_raw(&json, "stop_reason", STR("null"));
    json_member_raw(&json, "stop_sequence", STR("null"));
    anthropic_put_usage(&json, &usage);
    json_close_object(&json);
    emit_event_close(&json);
}

static void
block_close(struct anthropic_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->block == BLOCK_NONE)
        return;
    emit_event_open(&json, "content_block_stop", out);
    json_member_u64(&json, "index", writer->index - 1);
    emit_event_close(&json);
    writer->block = BLOCK_NONE;
}

/* Closes what is open; up to the members of content_block. */
static void
block_open(struct anthropic_writer *writer, enum block block, const char *type,
           struct json_writer *json, struct buf *out)
{
    put_start(writer, out);
    block_close(writer, out);
    emit_event_open(json, "content_block_start", out);
    json_member_u64(json, "index", writer->index++);
    json_key_object(json, "content_block");
    json_member_str(json, "type", str_from(type));
    writer->block = block;
}

static void
block_opened(struct json_writer *json)
{
    json_close_object(json);
    emit_event_close(json);
}

static void
put_delta(struct anthropic_writer *writer, const char *type, const char *key, struct str text,
          struct buf *out)
{
    struct json_writer json;
    emit_event_open(&json, "content_block_delta", out);
    json_member_u64(&json, "index", writer->index - 1);
    json_key_object(&json, "delta");
    json_member_str(&json, "type", str_from(type));
    json_member_str(&json, key, text);
    json_close_object(&json);
    emit_event_close(&json);
}

static void
text_open(struct anthropic_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->block == BLOCK_TEXT)
        return;
    block_open(writer, BLOCK_TEXT, "text", &json, out);
    json_member_str(&json, "text", STR_EMPTY);
    block_opened(&json);
    writer->cited = false;
}

/* The text has gone out: the block that it stands in is what is cited. */
static void
put_citation(struct anthropic_writer *writer, const struct chat_citation *citation, struct buf *out)
{
    struct json_writer json;
    if (citation->url.len == 0 || writer->block == BLOCK_TOOL)
        return;
    text_open(writer, out);
    writer->cited = true;
    emit_event_open(&json, "content_block_delta", out);
    json_member_u64(&json, "index", writer->index - 1);
    json_key_object(&json, "delta");
    json_member_str(&json, "type", STR("citations_delta"));
    json_key(&json, "citation");
    anthropic_put_citation(&json, citation);
    json_close_object(&json);
    emit_event_close(&json);
}

static void
put_text(struct anthropic_writer *writer, struct str text, struct buf *out)
{
    if (writer->block == BLOCK_TEXT && writer->cited)
        block_close(writer, out);
    text_open(writer, out);
    put_delta(writer, "text_delta", "text", text, out);
}

static void
thinking_open(struct anthropic_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->block == BLOCK_THINKING)
        return;
    block_open(writer, BLOCK_THINKING, "thinking", &json, out);
    json_member_str(&json, "thinking", STR_EMPTY);
    json_member_str(&json, "signature", STR_EMPTY);
    block_opened(&json);
}

static void
put_redacted(struct anthropic_writer *writer, struct str data, struct buf *out)
{
    struct json_writer json;
    block_open(writer, BLOCK_THINKING, "redacted_thinking", &json, out);
    json_member_str(&json, "data", data);
    block_opened(&json);
    block_close(writer, out);
}

/* ---- tool calls ------------------------------------------------------------------------------ */

static void
tool_open(struct anthropic_writer *writer, uint32_t tool, struct str id, struct str name,
          struct buf *out)
{
    struct json_writer json;
    block_open(writer, BLOCK_TOOL, "tool_use", &json, out);
    emit_id(&json, "id", id, SIZE_MAX);
    json_member_str(&json, "name", name);
    json_member_raw(&json, "input", STR("{}"));
    block_opened(&json);
    writer->tool = tool;
    writer->called = true;
}

static int
tool_wait(struct anthropic_writer *writer, const struct chat_event *event)
{
    if (writer->waiting_count == writer->waiting_cap) {
        uint32_t cap = writer->waiting_cap == 0 ? 4 : writer->waiting_cap * 2;
        struct waiting *grown =
            cap > WAITING_MAX ? NULL : realloc(writer->waiting, cap * sizeof(*grown));
        if (grown == NULL)
            return -ERR_TOO_LARGE;
        writer->waiting = grown;
        writer->waiting_cap = cap;
    }
    struct waiting *waiting = &writer->waiting[writer->waiting_count++];
    *waiting = (struct waiting){.tool = event->tool};
    buf_init(&waiting->id, NAME_BYTES_MAX);
    buf_init(&waiting->name, NAME_BYTES_MAX);
    buf_init(&waiting->arguments, WAITING_BYTES_MAX);
    buf_put_str(&waiting->id, event->id);
    buf_put_str(&waiting->name, event->name);
    return waiting->id.failed || waiting->name.failed ? -ERR_TOO_LARGE : 0;
}

static struct waiting *
waiting_find(struct anthropic_writer *writer, uint32_t tool)
{
    for (uint32_t i = 0; i < writer->waiting_count; i++) {
        if (writer->waiting[i].tool == tool)
            return &writer->waiting[i];
    }
    return NULL;
}

/* The open call has ended: the next ones that waited, up to the first that still runs. */
static void
tools_flush(struct anthropic_writer *writer, bool all, struct buf *out)
{
    while (writer->block != BLOCK_TOOL && writer->waiting_count > 0) {
        struct waiting next = writer->waiting[0];
        writer->waiting_count--;
        memmove(writer->waiting, writer->waiting + 1,
                writer->waiting_count * sizeof(*writer->waiting));
        tool_open(writer, next.tool, buf_str(&next.id), buf_str(&next.name), out);
        if (next.arguments.len > 0)
            put_delta(writer, "input_json_delta", "partial_json", buf_str(&next.arguments), out);
        if (next.ended || all)
            block_close(writer, out);
        waiting_fini(&next);
    }
    if (writer->block != BLOCK_TOOL && writer->late_text.len > 0) {
        put_text(writer, buf_str(&writer->late_text), out);
        buf_consume(&writer->late_text, writer->late_text.len);
    }
}

static int
tool_delta(struct anthropic_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct waiting *waiting = waiting_find(writer, event->tool);
    if (writer->block == BLOCK_TOOL && writer->tool == event->tool)
        put_delta(writer, "input_json_delta", "partial_json", event->text, out);
    else if (waiting != NULL)
        return buf_put_str(&waiting->arguments, event->text);
    return 0;
}

static void
tool_end(struct anthropic_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct waiting *waiting = waiting_find(writer, event->tool);
    if (writer->block == BLOCK_TOOL && writer->tool == event->tool) {
        block_close(writer, out);
        tools_flush(writer, false, out);
    } else if (waiting != NULL) {
        waiting->ended = true;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void
start(struct anthropic_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct stream_writer_options *options = &writer->options;
    if (options->id.len == 0 && buf_put_str(&writer->id, event->id) == 0)
        options->id = buf_str(&writer->id);
    if (options->model.len == 0 && buf_put_str(&writer->model, event->model) == 0)
        options->model = buf_str(&writer->model);
    put_start(writer, out);
}

static void
put_end(struct anthropic_writer *writer, struct buf *out)
{
    struct json_writer json;
    enum chat_finish finish = writer->refused ? CHAT_FINISH_FILTER : writer->finish;
    put_start(writer, out);
    if (writer->block == BLOCK_TOOL)
        block_close(writer, out);
    tools_flush(writer, true, out);
    block_close(writer, out);
    if (finish == CHAT_FINISH_NONE && writer->called)
        finish = CHAT_FINISH_TOOL_CALLS;
    emit_event_open(&json, "message_delta", out);
    json_key_object(&json, "delta");
    anthropic_put_stop(&json, finish, buf_str(&writer->stop_text), buf_str(&writer->refusal));
    json_close_object(&json);
    anthropic_put_usage(&json, &writer->usage);
    emit_event_close(&json);
    emit_event_open(&json, "message_stop", out);
    emit_event_close(&json);
    writer->ended = true;
}

static int
put_content(struct anthropic_writer *writer, const struct chat_event *event, struct buf *out)
{
    bool text = event->kind == CHAT_EVENT_TEXT || event->kind == CHAT_EVENT_REFUSAL;
    writer->refused = writer->refused || event->kind == CHAT_EVENT_REFUSAL;
    if (writer->block == BLOCK_TOOL) /* text waits; reasoning inside a call is nobody's dialect */
        return text ? buf_put_str(&writer->late_text, event->text) : 0;
    if (text) {
        put_text(writer, event->text, out);
        return 0;
    }
    if (event->kind == CHAT_EVENT_REDACTED) {
        put_redacted(writer, event->text, out);
        return 0;
    }
    thinking_open(writer, out);
    if (event->kind == CHAT_EVENT_REASONING) {
        put_delta(writer, "thinking_delta", "thinking", event->text, out);
    } else {
        put_delta(writer, "signature_delta", "signature", event->text, out);
        block_close(writer, out);
    }
    return 0;
}

static int
tool_start(struct anthropic_writer *writer, const struct chat_event *event, struct buf *out)
{
    if (writer->block == BLOCK_TOOL)
        return tool_wait(writer, event);
    tool_open(writer, event->tool, event->id, event->name, out);
    return 0;
}

static void
take_finish(struct anthropic_writer *writer, const struct chat_event *event)
{
    if (writer->finish != CHAT_FINISH_NONE) /* told twice: the first one counts */
        return;
    writer->finish = event->finish;
    buf_put_str(&writer->stop_text, event->text); /* one that is too long is left out */
    buf_put_str(&writer->refusal, event->id);
}

static int
writer_write(void *state, const struct chat_event *event, struct buf *out)
{
    struct anthropic_writer *writer = state;
    int rc = 0;
    if (writer->ended || event->choice > 0) /* Messages has one choice */
        return 0;
    switch (event->kind) {
    case CHAT_EVENT_START:
        start(writer, event, out);
        break;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
    case CHAT_EVENT_REASONING:
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_REDACTED:
        rc = put_content(writer, event, out);
        break;
    case CHAT_EVENT_TOOL_START:
        rc = tool_start(writer, event, out);
        break;
    case CHAT_EVENT_TOOL_DELTA:
        rc = tool_delta(writer, event, out);
        break;
    case CHAT_EVENT_TOOL_END:
        tool_end(writer, event, out);
        break;
    case CHAT_EVENT_CITATION:
        put_citation(writer, event->citation, out);
        break;
    case CHAT_EVENT_FINISH:
        take_finish(writer, event);
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = event->usage;
        break;
    case CHAT_EVENT_ERROR:
        writer->ended = true;
        return anthropic_error_event(&event->error, out);
    case CHAT_EVENT_END:
        put_end(writer, out);
        break;
    case CHAT_EVENT_LOGPROBS: /* asked for by nobody who speaks this dialect */
    case CHAT_EVENT_PING:
        break;
    }
    return out->failed ? -ERR_TOO_LARGE : rc;
}

static int
writer_keepalive(struct buf *out)
{
    return buf_put_str(out, STR("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
}

const struct stream_writer_class anthropic_writer_class = {
    .size = sizeof(struct anthropic_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = anthropic_error_event,
    .keepalive = writer_keepalive,
};
