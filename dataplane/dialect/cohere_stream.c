/* SPDX-License-Identifier: MIT
 * cohere_stream.c - streamed Cohere v2 chat into canonical events, and back.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the writer: copies of the upstream's id, and the text that citations repeat.
 * Invariant: every start has its end; message-end and [DONE] only for a clean end. Spec:
 *            WIRE-FORMATS 4.3. Proved by conform_test.c. */
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/cohere_int.h"

/* ---- reading --------------------------------------------------------------------------------- */

struct call {
    uint64_t index;
    bool ended;
    bool any;
};
#define TEXTS_MAX 16u /* content blocks whose begin is kept */

/* Where content blocks of text begin in the answer's text: code points. */
struct texts {
    struct {
        uint64_t base;
        uint64_t index;
    } at[TEXTS_MAX];
    uint32_t count;
    uint64_t size; /* of all */
};

struct cohere_reader {
    struct texts texts;
    struct call calls[FEED_CALLS_MAX];
    uint32_t call_count;
    bool ended;
};

static void
texts_grow(struct texts *texts, uint64_t index, struct str text)
{
    if (text.len == 0)
        return;
    if (texts->count == 0 || texts->at[texts->count - 1].index != index) {
        texts->count = MIN(texts->count + 1, TEXTS_MAX);
        texts->at[texts->count - 1].base = texts->size;
        texts->at[texts->count - 1].index = index;
    }
    texts->size += cite_count(text);
}

static struct cohere_reader *
reader_of(const struct feed *feed)
{
    return feed->reader;
}

static void
look_at(const struct json_doc *doc, struct stream_look *look)
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
    feed_look(look, frame, scratch, look_at);
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

static uint32_t
message_of(const struct feed *feed)
{
    return json_path(feed->in.doc, 0, "delta.message");
}

static uint64_t
event_index(const struct feed *feed)
{
    uint64_t index = 0;
    if (json_u64(feed->in.doc, json_get(feed->in.doc, 0, STR("index")), UINT32_MAX, &index) < 0)
        index = 0;
    return index;
}

static int
read_message_start(struct feed *feed)
{
    struct str id = STR_EMPTY;
    int rc = intake_member(&feed->in, 0, "id", &id);
    return rc < 0 ? rc : feed_start(feed, id, STR_EMPTY);
}

static int
read_content(struct feed *feed)
{
    uint32_t content = json_get(feed->in.doc, message_of(feed), STR("content"));
    struct str text = STR_EMPTY;
    struct str thinking = STR_EMPTY;
    int rc = intake_member(&feed->in, content, "thinking", &thinking);
    if (rc == 0)
        rc = intake_member(&feed->in, content, "text", &text);
    if (rc == 0)
        rc = feed_text(feed, CHAT_EVENT_REASONING, 0, thinking);
    texts_grow(&reader_of(feed)->texts, event_index(feed), text);
    return rc < 0 ? rc : feed_text(feed, CHAT_EVENT_TEXT, 0, text);
}

/* Offsets are of the block that content_index names. */
static int
read_citation(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    const struct texts *texts = &reader_of(feed)->texts;
    uint32_t node = json_get(doc, message_of(feed), STR("citations"));
    uint32_t named = json_get(doc, node, STR("content_index"));
    struct chat_citation *list = NULL;
    uint32_t i = texts->count;
    if (i > 0 && named != JSON_NONE)
        while (i > 1 && texts->at[i - 1].index != cite_number(doc, named, 0))
            i--;
    int rc = cohere_cite(&feed->in, node, i > 0 ? texts->at[i - 1].base : 0, &list);
    return rc < 0 ? rc : cite_feed(feed, 0, list);
}

static int
read_plan(struct feed *feed)
{
    struct str text = STR_EMPTY;
    int rc = intake_member(&feed->in, message_of(feed), "tool_plan", &text);
    return rc < 0 ? rc : feed_text(feed, CHAT_EVENT_REASONING, 0, text);
}

static uint32_t
call_find(const struct feed *feed)
{
    uint64_t index = event_index(feed);
    for (uint32_t i = reader_of(feed)->call_count; i-- > 0;)
        if (reader_of(feed)->calls[i].index == index && !reader_of(feed)->calls[i].ended)
            return i;
    return UINT32_MAX;
}

static int
read_arguments(struct feed *feed, uint32_t tool)
{
    const struct json_doc *doc = feed->in.doc;
    struct str text = STR_EMPTY;
    int rc =
        intake_text(&feed->in, json_path(doc, message_of(feed), "tool_calls.function.arguments"),
                    "arguments", &text);
    reader_of(feed)->calls[tool].any = reader_of(feed)->calls[tool].any || text.len > 0;
    return rc < 0 ? rc : feed_delta(feed, 0, tool, text);
}

static int
read_call_start(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    struct cohere_reader *reader = reader_of(feed);
    uint32_t call = json_get(doc, message_of(feed), STR("tool_calls"));
    struct str id = STR_EMPTY;
    struct str name = STR_EMPTY;
    if (reader->call_count == FEED_CALLS_MAX)
        return -ERR_TOO_LARGE;
    uint32_t tool = reader->call_count++;
    reader->calls[tool] = (struct call){.index = event_index(feed)};
    int rc = intake_member(&feed->in, call, "id", &id);
    if (rc == 0)
        rc = intake_text(&feed->in, json_path(doc, call, "function.name"), "name", &name);
    if (rc == 0)
        rc = feed_tool_start(feed, 0, tool, id, name);
    return rc < 0 ? rc : read_arguments(feed, tool);
}

static int
read_call_delta(struct feed *feed)
{
    uint32_t tool = call_find(feed);
    return tool == UINT32_MAX ? 0 : read_arguments(feed, tool);
}

static int
call_end(struct feed *feed, uint32_t tool)
{
    struct call *call = &reader_of(feed)->calls[tool];
    int rc = call->any ? 0 : feed_delta(feed, 0, tool, STR("{}"));
    call->ended = true;
    return rc < 0 ? rc : feed_tool_end(feed, 0, tool);
}

static int
read_call_end(struct feed *feed)
{
    uint32_t tool = call_find(feed);
    return tool == UINT32_MAX ? 0 : call_end(feed, tool);
}

static int
read_message_end(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    struct cohere_reader *reader = reader_of(feed);
    uint32_t delta = json_get(doc, 0, STR("delta"));
    enum chat_finish finish = cohere_finish(doc, json_get(doc, delta, STR("finish_reason")));
    struct usage usage;
    int rc = 0;
    reader->ended = true;
    if (finish == CHAT_FINISH_ERROR) {
        uint32_t error = json_get(doc, delta, STR("error"));
        return feed_error(feed, error != JSON_NONE ? error : delta);
    }
    for (uint32_t i = 0; i < reader->call_count && rc == 0; i++)
        rc = reader->calls[i].ended ? 0 : call_end(feed, i);
    if (rc == 0)
        rc = feed_finish(feed, 0, finish);
    if (rc == 0 && cohere_usage(doc, json_get(doc, delta, STR("usage")), &usage))
        rc = feed_usage(feed, &usage);
    return rc < 0 ? rc : feed_end(feed);
}

static const struct feed_row rows[] = {
    {"content-delta", read_content},      {"content-start", read_content},
    {"tool-call-delta", read_call_delta}, {"tool-call-start", read_call_start},
    {"citation-start", read_citation},    {"tool-call-end", read_call_end},
    {"tool-plan-delta", read_plan},       {"message-start", read_message_start},
    {"message-end", read_message_end},
};

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct cohere_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    return feed_close(&feed, open ? feed_typed(&feed, rows, ARRAY_LEN(rows)) : feed.rc, ret_events);
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
    uint32_t citations;
    struct texts texts;
    struct buf text;
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
    buf_init(&writer->text, CITE_TEXT_BYTES_MAX);
}

static void
writer_fini(void *state)
{
    struct cohere_writer *writer = state;
    buf_fini(&writer->id);
    buf_fini(&writer->stop_text);
    buf_fini(&writer->text);
}

/* Up to the members of delta.message. */
static void
message_open(struct json_writer *json, const char *type, uint32_t index, struct buf *out)
{
    emit_event_open(json, type, out);
    json_member_u64(json, "index", index);
    json_key_object(json, "delta");
    json_key_object(json, "message");
}

static void
message_close(struct json_writer *json)
{
    json_close_object(json);
    json_close_object(json);
    emit_event_close(json);
}

static void
put_start(struct cohere_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->started)
        return;
    writer->started = true;
    emit_event_open(&json, "message-start", out);
    json_member_str(&json, "id", writer->options.id);
    json_member_raw(&json, "delta",
                    STR("{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\","
                        "\"tool_calls\":[],\"citations\":[]}}"));
    emit_event_close(&json);
}

static void
block_close(struct cohere_writer *writer, struct buf *out)
{
    struct json_writer json;
    if (writer->block == BLOCK_NONE)
        return;
    emit_event_open(&json, "content-end", out);
    json_member_u64(&json, "index", writer->index - 1);
    emit_event_close(&json);
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
    json_key_object(&json, "content");
    json_member_str(&json, thinks ? "thinking" : "text", text);
    json_close_object(&json);
    message_close(&json);
}

/* Of a text that has come; one that is too long to keep has none. */
static void
put_citation(struct cohere_writer *writer, const struct chat_citation *citation, struct buf *out)
{
    struct json_writer json;
    uint32_t at = writer->texts.count;
    while (at > 0 && writer->texts.at[at - 1].base > citation->start)
        at--;
    if (at == 0 || writer->text.failed)
        return;
    message_open(&json, "citation-start", writer->citations, out);
    json_key(&json, "citations");
    cohere_put_citation(&json, citation, buf_str(&writer->text), writer->texts.at[at - 1].base,
                        (uint32_t)writer->texts.at[at - 1].index);
    message_close(&json);
    emit_event_open(&json, "citation-end", out);
    json_member_u64(&json, "index", writer->citations++);
    emit_event_close(&json);
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
    json_key_object(&json, "tool_calls");
    json_key_object(&json, "function");
    json_member_str(&json, "arguments", event->text);
    json_close_object(&json);
    json_close_object(&json);
    message_close(&json);
}

static void
put_call_end(const struct chat_event *event, struct buf *out)
{
    struct json_writer json;
    emit_event_open(&json, "tool-call-end", out);
    json_member_u64(&json, "index", event->tool);
    emit_event_close(&json);
}

static int
put_error(const struct chat_error *error, struct buf *out)
{
    struct json_writer json;
    emit_event_open(&json, "message-end", out);
    json_key_object(&json, "delta");
    json_member_str(&json, "finish_reason", STR("ERROR"));
    json_member_str(&json, "error", error->message);
    json_close_object(&json);
    emit_event_close(&json);
    return out->failed ? -ERR_NOMEM : 0;
}

static void
put_end(struct cohere_writer *writer, struct buf *out)
{
    struct json_writer json;
    enum chat_finish finish =
        writer->finish == CHAT_FINISH_FILTER ? CHAT_FINISH_STOP : writer->finish;
    block_close(writer, out);
    emit_event_open(&json, "message-end", out);
    json_member_str(&json, "id", writer->options.id);
    json_key_object(&json, "delta");
    json_member_str(&json, "finish_reason",
                    cohere_finish_name(finish, buf_str(&writer->stop_text)));
    cohere_put_usage(&json, &writer->usage);
    json_close_object(&json);
    emit_event_close(&json);
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
        put_text(writer, BLOCK_TEXT, event->text, out);
        texts_grow(&writer->texts, writer->index - 1, event->text);
        (void)buf_put_str(&writer->text, event->text);
        break;
    case CHAT_EVENT_REFUSAL:
        put_text(writer, BLOCK_TEXT, event->text, out);
        break;
    case CHAT_EVENT_CITATION:
        put_citation(writer, event->citation, out);
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
        if (event->id.len > 0) /* why it was refused: a text like any other here */
            put_text(writer, BLOCK_TEXT, event->id, out);
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

const struct stream_writer_class cohere_writer_class = {
    .size = sizeof(struct cohere_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = put_error,
    .keepalive = emit_keepalive,
};
