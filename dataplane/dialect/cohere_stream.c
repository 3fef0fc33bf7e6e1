/* SPDX-License-Identifier: MIT
 * cohere_stream.c - streamed Cohere v2 chat into canonical events, and back.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the writer: copies of the upstream's id.
 * Invariant: every start has its end; message-end and [DONE] only for a clean end. Spec:
 *            WIRE-FORMATS 4.3. Proved by conform_test.c. */
#include "dataplane/dialect/cohere_int.h"

/* ---- reading --------------------------------------------------------------------------------- */

struct call {
    uint64_t index;
    bool ended;
    bool any;
};
struct cohere_reader {
    struct call calls[FEED_CALLS_MAX];
    uint32_t call_count;
    bool ended;
};
struct event {
    struct feed *feed;
    struct cohere_reader *reader;
    uint32_t message; /* delta.message */
};

static void
look_at(struct stream_look *look, const struct json_doc *doc)
{
    uint32_t type = json_get(doc, 0, STR("type"));
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t message = json_get(doc, delta, STR("message"));
    uint32_t content = json_get(doc, message, STR("content"));
    if (json_string_eq(doc, type, STR("content-delta")) ||
        json_string_eq(doc, type, STR("content-start"))) {
        look->delta_bytes = feed_bytes(doc, json_get(doc, content, STR("text"))) +
                            feed_bytes(doc, json_get(doc, content, STR("thinking")));
    } else if (json_string_eq(doc, type, STR("tool-plan-delta"))) {
        look->delta_bytes = feed_bytes(doc, json_get(doc, message, STR("tool_plan")));
    } else if (json_string_eq(doc, type, STR("tool-call-start")) ||
               json_string_eq(doc, type, STR("tool-call-delta"))) {
        look->flags |= STREAM_TOKEN | STREAM_TOOLS;
        look->delta_bytes =
            feed_bytes(doc, json_path(doc, message, "tool_calls.function.name")) +
            feed_bytes(doc, json_path(doc, message, "tool_calls.function.arguments"));
    } else if (json_string_eq(doc, type, STR("message-end"))) {
        look->finish = cohere_finish(doc, json_get(doc, delta, STR("finish_reason")));
        look->flags |=
            look->finish == CHAT_FINISH_ERROR ? STREAM_ERROR : STREAM_FINISH | STREAM_END;
        if (cohere_usage(doc, json_get(doc, delta, STR("usage")), &look->usage))
            look->flags |= STREAM_USAGE;
    }
    if (look->delta_bytes > 0)
        look->flags |= STREAM_TOKEN;
}

static void
reader_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    look->flags = 0;
    look->delta_bytes = 0;
    if (str_starts(frame->data, STR("[DONE]")))
        return;
    if (json_scan(scratch, frame->data, &dialect_reply_limits, NULL) < 0 ||
        !json_is(scratch, 0, JSON_OBJECT))
        look->flags = STREAM_MALFORMED;
    else
        look_at(look, scratch);
    look->total_bytes += look->delta_bytes;
    look->seen |= look->flags;
}

static void
reader_init(void *state)
{
    struct cohere_reader *reader = state;
    *reader = (struct cohere_reader){0};
}

static void
reader_fini(void *state)
{
    (void)state;
}

static int
read_message_start(struct event *event)
{
    struct chat_event *start = feed_event(event->feed, CHAT_EVENT_START, 0);
    if (start == NULL)
        return -ERR_NOMEM;
    return intake_member(&event->feed->in, 0, "id", &start->id);
}

static int
read_content(struct event *event)
{
    uint32_t content = json_get(event->feed->in.doc, event->message, STR("content"));
    struct str text = STR_EMPTY;
    struct str thinking = STR_EMPTY;
    int rc = intake_member(&event->feed->in, content, "thinking", &thinking);
    if (rc == 0)
        rc = intake_member(&event->feed->in, content, "text", &text);
    if (rc == 0)
        rc = feed_text(event->feed, CHAT_EVENT_REASONING, 0, thinking);
    return rc < 0 ? rc : feed_text(event->feed, CHAT_EVENT_TEXT, 0, text);
}

static int
read_plan(struct event *event)
{
    struct str text = STR_EMPTY;
    int rc = intake_member(&event->feed->in, event->message, "tool_plan", &text);
    return rc < 0 ? rc : feed_text(event->feed, CHAT_EVENT_REASONING, 0, text);
}

static uint64_t
event_index(const struct event *event)
{
    uint64_t index = 0;
    if (json_u64(event->feed->in.doc, json_get(event->feed->in.doc, 0, STR("index")), UINT32_MAX,
                 &index) < 0)
        index = 0;
    return index;
}

static uint32_t
call_find(const struct event *event)
{
    uint64_t index = event_index(event);
    for (uint32_t i = event->reader->call_count; i-- > 0;)
        if (event->reader->calls[i].index == index && !event->reader->calls[i].ended)
            return i;
    return UINT32_MAX;
}

static int
read_arguments(struct event *event, uint32_t tool)
{
    const struct json_doc *doc = event->feed->in.doc;
    struct str text = STR_EMPTY;
    int rc = intake_text(&event->feed->in,
                         json_path(doc, event->message, "tool_calls.function.arguments"),
                         "arguments", &text);
    event->reader->calls[tool].any = event->reader->calls[tool].any || text.len > 0;
    return rc < 0 ? rc : feed_delta(event->feed, 0, tool, text);
}

static int
read_call_start(struct event *event)
{
    const struct json_doc *doc = event->feed->in.doc;
    struct cohere_reader *reader = event->reader;
    uint32_t call = json_get(doc, event->message, STR("tool_calls"));
    struct str id = STR_EMPTY;
    struct str name = STR_EMPTY;
    if (reader->call_count == FEED_CALLS_MAX)
        return -ERR_TOO_LARGE;
    uint32_t tool = reader->call_count++;
    reader->calls[tool] = (struct call){.index = event_index(event)};
    int rc = intake_member(&event->feed->in, call, "id", &id);
    if (rc == 0)
        rc = intake_text(&event->feed->in, json_path(doc, call, "function.name"), "name", &name);
    if (rc == 0)
        rc = feed_tool_start(event->feed, 0, tool, id, name);
    return rc < 0 ? rc : read_arguments(event, tool);
}

static int
read_call_delta(struct event *event)
{
    uint32_t tool = call_find(event);
    return tool == UINT32_MAX ? 0 : read_arguments(event, tool);
}

static int
call_end(struct event *event, uint32_t tool)
{
    struct call *call = &event->reader->calls[tool];
    int rc = call->any ? 0 : feed_delta(event->feed, 0, tool, STR("{}"));
    call->ended = true;
    return rc < 0 ? rc : feed_tool_end(event->feed, 0, tool);
}

static int
read_call_end(struct event *event)
{
    uint32_t tool = call_find(event);
    return tool == UINT32_MAX ? 0 : call_end(event, tool);
}

static int
read_message_end(struct event *event)
{
    const struct json_doc *doc = event->feed->in.doc;
    struct cohere_reader *reader = event->reader;
    uint32_t delta = json_get(doc, 0, STR("delta"));
    enum chat_finish finish = cohere_finish(doc, json_get(doc, delta, STR("finish_reason")));
    struct usage usage;
    int rc = 0;
    reader->ended = true;
    if (finish == CHAT_FINISH_ERROR) {
        uint32_t error = json_get(doc, delta, STR("error"));
        return feed_error(event->feed, error != JSON_NONE ? error : delta);
    }
    for (uint32_t i = 0; i < reader->call_count && rc == 0; i++)
        rc = reader->calls[i].ended ? 0 : call_end(event, i);
    if (rc == 0)
        rc = feed_finish(event->feed, 0, finish);
    if (rc == 0 && cohere_usage(doc, json_get(doc, delta, STR("usage")), &usage))
        rc = feed_usage(event->feed, &usage);
    return rc < 0 ? rc : feed_end(event->feed);
}

static const struct {
    const char *type;
    int (*read)(struct event *event);
} rows[] = {
    {"content-delta", read_content},       {"content-start", read_content},
    {"tool-call-delta", read_call_delta},  {"tool-call-start", read_call_start},
    {"tool-call-end", read_call_end},      {"tool-plan-delta", read_plan},
    {"message-start", read_message_start}, {"message-end", read_message_end},
};

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct cohere_reader *reader = state;
    struct chat_event *list = NULL;
    struct feed feed = {.in = {scratch, arena, err}, .end = &list};
    struct event event = {.feed = &feed, .reader = reader};
    int rc = 0;
    *ret_events = NULL;
    if (reader->ended || str_starts(frame->data, STR("[DONE]")))
        return 0;
    if (json_scan(scratch, frame->data, &dialect_reply_limits, err) < 0)
        return -ERR_PARSE;
    if (!json_is(scratch, 0, JSON_OBJECT))
        return err_set(err, ERR_PARSE, "an event of the stream is not an object");
    event.message = json_path(scratch, 0, "delta.message");
    uint32_t type = json_get(scratch, 0, STR("type"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!json_string_eq(scratch, type, str_from(rows[i].type)))
            continue;
        rc = rows[i].read(&event);
        break;
    }
    if (rc == 0)
        *ret_events = list;
    return rc == -ERR_INVALID || rc == -ERR_UNSUPPORTED ? -ERR_PARSE : rc;
}

const struct stream_reader_class cohere_reader_class = {
    .size = sizeof(struct cohere_reader),
    .look = reader_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};

/* ---- writing --------------------------------------------------------------------------------- */

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING };

struct cohere_writer {
    struct stream_writer_options options;
    struct buf id;
    struct buf stop_text;
    struct usage usage;
    enum chat_finish finish;
    enum block block;
    uint32_t index; /* of the next content block */
    bool started;
    bool ended;
};

static void
writer_init(void *state, const struct stream_writer_options *options)
{
    struct cohere_writer *writer = state;
    *writer = (struct cohere_writer){.options = *options};
    buf_init(&writer->id, 256);
    buf_init(&writer->stop_text, 256);
}

static void
writer_fini(void *state)
{
    struct cohere_writer *writer = state;
    buf_fini(&writer->id);
    buf_fini(&writer->stop_text);
}

static void
event_open(struct json_writer *json, const char *type, struct buf *out)
{
    buf_put_str(out, STR("event: "));
    buf_put_str(out, str_from(type));
    buf_put_str(out, STR("\ndata: "));
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
message_open(struct json_writer *json, const char *type, uint32_t index, struct buf *out)
{
    event_open(json, type, out);
    json_member_u64(json, "index", index);
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
put_start(struct cohere_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->started)
        return;
    writer->started = true;
    event_open(&json, "message-start", out);
    json_member_str(&json, "id", writer->options.id);
    json_member_raw(&json, "delta",
                    STR("{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\","
                        "\"tool_calls\":[],\"citations\":[]}}"));
    event_close(&json);
}

static void
block_close(struct cohere_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->block == BLOCK_NONE)
        return;
    event_open(&json, "content-end", out);
    json_member_u64(&json, "index", writer->index - 1);
    event_close(&json);
    writer->block = BLOCK_NONE;
}

static void
put_text(struct cohere_writer *writer, enum block block, struct str text, struct buf *out)
{
    struct json_writer json;
    bool thinks = block == BLOCK_THINKING;
    if (writer->block != block) {
        block_close(writer, out);
        message_open(&json, "content-start", writer->index++, out);
        json_member_raw(&json, "content",
                        thinks ? STR("{\"type\":\"thinking\",\"thinking\":\"\"}")
                               : STR("{\"type\":\"text\",\"text\":\"\"}"));
        message_close(&json);
        writer->block = block;
    }
    message_open(&json, "content-delta", writer->index - 1, out);
    json_key(&json, "content");
    json_open_object(&json);
    json_member_str(&json, thinks ? "thinking" : "text", text);
    json_close_object(&json);
    message_close(&json);
}

static void
put_call_start(struct cohere_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    const struct chat_part call = {.id = event->id, .name = event->name, .text = STR_EMPTY};
    block_close(writer, out);
    message_open(&json, "tool-call-start", event->tool, out);
    json_key(&json, "tool_calls");
    cohere_put_call(&json, &call);
    message_close(&json);
}

static void
put_call_delta(const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    message_open(&json, "tool-call-delta", event->tool, out);
    json_key(&json, "tool_calls");
    json_open_object(&json);
    json_key(&json, "function");
    json_open_object(&json);
    json_member_str(&json, "arguments", event->text);
    json_close_object(&json);
    json_close_object(&json);
    message_close(&json);
}

static void
put_call_end(const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    event_open(&json, "tool-call-end", out);
    json_member_u64(&json, "index", event->tool);
    event_close(&json);
}

static int
put_error(const struct chat_error *error, struct buf *out)
{
    struct json_writer json;
    event_open(&json, "message-end", out);
    json_key(&json, "delta");
    json_open_object(&json);
    json_member_str(&json, "finish_reason", STR("ERROR"));
    json_member_str(&json, "error", error->message);
    json_close_object(&json);
    event_close(&json);
    return out->failed ? -ERR_NOMEM : 0;
}

static void
put_end(struct cohere_writer *writer, struct buf *out)
{
    struct json_writer json;
    enum chat_finish finish =
        writer->finish == CHAT_FINISH_FILTER ? CHAT_FINISH_STOP : writer->finish;
    block_close(writer, out);
    event_open(&json, "message-end", out);
    json_member_str(&json, "id", writer->options.id);
    json_key(&json, "delta");
    json_open_object(&json);
    json_member_str(&json, "finish_reason",
                    cohere_finish_name(finish, buf_str(&writer->stop_text)));
    cohere_put_usage(&json, &writer->usage);
    json_close_object(&json);
    event_close(&json);
    buf_put_str(out, STR("data: [DONE]\n\n"));
    writer->ended = true;
}

static int
writer_write(void *state, const struct chat_event *event, struct buf *out)
{
    struct cohere_writer *writer = state;
    if (writer->ended || event->choice > 0) /* one answer */
        return 0;
    if (event->kind == CHAT_EVENT_START && writer->options.id.len == 0 &&
        buf_put_str(&writer->id, event->id) == 0)
        writer->options.id = buf_str(&writer->id);
    if (event->kind != CHAT_EVENT_PING && event->kind != CHAT_EVENT_ERROR &&
        event->kind != CHAT_EVENT_USAGE)
        put_start(writer, out);
    switch (event->kind) {
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
        put_text(writer, BLOCK_TEXT, event->text, out);
        break;
    case CHAT_EVENT_REASONING:
        put_text(writer, BLOCK_THINKING, event->text, out);
        break;
    case CHAT_EVENT_TOOL_START:
        put_call_start(writer, event, out);
        break;
    case CHAT_EVENT_TOOL_DELTA:
        put_call_delta(event, out);
        break;
    case CHAT_EVENT_TOOL_END:
        put_call_end(event, out);
        break;
    case CHAT_EVENT_FINISH:
        if (writer->finish == CHAT_FINISH_NONE)
            writer->finish = event->finish;
        (void)buf_put_str(&writer->stop_text, event->text);
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = event->usage;
        break;
    case CHAT_EVENT_ERROR:
        writer->ended = true;
        return put_error(&event->error, out);
    case CHAT_EVENT_END:
        put_end(writer, out);
        break;
    case CHAT_EVENT_START:
    case CHAT_EVENT_SIGNATURE: /* its clients send none back */
    case CHAT_EVENT_REDACTED:
    case CHAT_EVENT_LOGPROBS:
    case CHAT_EVENT_PING:
        break;
    }
    return out->failed ? -ERR_TOO_LARGE : 0;
}

static int
writer_keepalive(struct buf *out)
{
    return sse_put_comment(out, STR("keep-alive"));
}

const struct stream_writer_class cohere_writer_class = {
    .size = sizeof(struct cohere_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = put_error,
    .keepalive = writer_keepalive,
};
