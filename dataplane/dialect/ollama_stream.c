/* SPDX-License-Identifier: MIT
 * ollama_stream.c - lines of JSON into canonical events, and back.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the writer: the calls that are still in pieces; a copy of the upstream's model.
 * Invariant: calls come and go whole; only a clean end has a line with done:true. Spec:
 *            WIRE-FORMATS 4.3. Proved by conform_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/ollama_int.h"

#include "dataplane/dialect/pieces_int.h"

/* ---- reading --------------------------------------------------------------------------------- */

struct ollama_reader {
    uint32_t call_count;
    bool started;
    bool ended;
};

static void
reader_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    feed_look(look, frame, scratch, ollama_look_at);
}

static void
reader_init(void *state)
{
    struct ollama_reader *reader = state;
    *reader = (struct ollama_reader){0};
}

static void
reader_fini(void *state)
{
    (void)state;
}

static int
read_start(struct feed *feed, struct ollama_reader *reader)
{
    if (reader->started)
        return 0;
    reader->started = true;
    struct str model = STR_EMPTY;
    int rc = intake_member(&feed->in, 0, "model", &model);
    return rc < 0 ? rc : feed_start(feed, STR("ollama"), model); /* it names no answers */
}

static int
read_line(struct feed *feed, struct ollama_reader *reader)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t error = json_get(doc, 0, STR("error"));
    struct chat_part *parts = NULL;
    struct usage usage;
    if (error_present(doc, error)) {
        reader->ended = true;
        return feed_error(feed, error);
    }
    int rc = read_start(feed, reader);
    if (rc == 0)
        rc = ollama_message_in(&feed->in, json_get(doc, 0, STR("message")), true, &parts);
    for (const struct chat_part *part = parts; part != NULL && rc == 0; part = part->next) {
        if (part->kind == CHAT_PART_TEXT)
            rc = feed_text(feed, CHAT_EVENT_TEXT, 0, part->text);
        else if (part->kind == CHAT_PART_REASONING)
            rc = feed_text(feed, CHAT_EVENT_REASONING, 0, part->text);
        else if (part->kind == CHAT_PART_TOOL_CALL && reader->call_count == FEED_CALLS_MAX)
            rc = -ERR_TOO_LARGE;
        else if (part->kind == CHAT_PART_TOOL_CALL)
            rc = feed_call(feed, 0, reader->call_count++, part->id, part->name, part->text);
    }
    enum chat_finish finish = ollama_finish(doc, reader->call_count > 0);
    if (rc < 0 || finish == CHAT_FINISH_NONE)
        return rc;
    reader->ended = true;
    rc = feed_finish(feed, 0, finish);
    if (rc == 0 && ollama_usage(doc, &usage))
        rc = feed_usage(feed, &usage);
    return rc < 0 ? rc : feed_end(feed);
}

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct ollama_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    return feed_close(&feed, open ? read_line(&feed, reader) : feed.rc, ret_events);
}

const struct stream_reader_class ollama_reader_class = {
    .size = sizeof(struct ollama_reader),
    .look = reader_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};

/* ---- writing --------------------------------------------------------------------------------- */

struct ollama_writer {
    struct stream_writer_options options;
    struct buf model;
    struct pieces pieces;
    struct usage usage;
    enum chat_finish finish;
    bool ended;
};

static void
writer_init(void *state, const struct stream_writer_options *options)
{
    struct ollama_writer *writer = state;
    *writer = (struct ollama_writer){.options = *options};
    buf_init(&writer->model, 256);
}

static void
writer_fini(void *state)
{
    struct ollama_writer *writer = state;
    pieces_fini(&writer->pieces);
    buf_fini(&writer->model);
}

static size_t
line_open(const struct ollama_writer *writer, struct json_writer *json, struct buf *out)
{
    size_t from = out->len;
    json_writer_init(json, out);
    json_open_object(json);
    json_member_str(json, "model", writer->options.model);
    ollama_put_time(json, writer->options.created);
    json_key_object(json, "message");
    json_member_str(json, "role", STR("assistant"));
    return from;
}

/* Raw JSON may bring line ends, which would end the line; they are blanks to JSON. */
static void
line_close(struct json_writer *json, size_t from)
{
    struct buf *out = json->out;
    json_close_object(json);
    for (size_t i = from; i < out->len; i++)
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r')
            out->ptr[i] = ' ';
    buf_put_byte(out, '\n');
}

static void
put_text(const struct ollama_writer *writer, const char *key, struct str text, struct buf *out)
{
    struct json_writer json;
    size_t from = line_open(writer, &json, out);
    if (str_eq(str_from(key), STR("thinking")))
        json_member_str(&json, "content", STR_EMPTY);
    json_member_str(&json, key, text);
    json_close_object(&json);
    json_member_bool(&json, "done", false);
    line_close(&json, from);
}

static void
put_call(const struct ollama_writer *writer, const struct chat_part *call, struct buf *out)
{
    struct json_writer json;
    size_t from = line_open(writer, &json, out);
    json_member_str(&json, "content", STR_EMPTY);
    json_key_array(&json, "tool_calls");
    ollama_put_call(&json, call);
    json_close_array(&json);
    json_close_object(&json);
    json_member_bool(&json, "done", false);
    line_close(&json, from);
}

/* It has no place for them: they stand where OpenAI's do, which its clients pass on. */
static void
put_citation(const struct ollama_writer *writer, const struct chat_citation *citation,
             struct buf *out)
{
    struct json_writer json;
    struct chat_citation one = *citation;
    one.next = NULL;
    size_t from = line_open(writer, &json, out);
    json_member_str(&json, "content", STR_EMPTY);
    cite_put_message(&json, &one);
    json_close_object(&json);
    json_member_bool(&json, "done", false);
    line_close(&json, from);
}

static void
put_end(struct ollama_writer *writer, struct buf *out)
{
    struct json_writer json;
    struct chat_part call;
    while (pieces_first(&writer->pieces, &call)) {
        put_call(writer, &call, out);
        pieces_drop(&writer->pieces, &call);
    }
    size_t from = line_open(writer, &json, out);
    json_member_str(&json, "content", STR_EMPTY);
    json_close_object(&json);
    ollama_put_end(&json, writer->finish, &writer->usage);
    line_close(&json, from);
    writer->ended = true;
}

static int
put_error(const struct chat_error *error, struct buf *out)
{
    int rc = ollama_put_error(error, out);
    return rc < 0 ? rc : buf_put_byte(out, '\n');
}

static int
writer_write(void *state, const struct chat_event *event, struct buf *out)
{
    struct ollama_writer *writer = state;
    struct chat_part call;
    int rc = 0;
    if (writer->ended || event->choice > 0) /* one answer */
        return 0;
    switch (event->kind) {
    case CHAT_EVENT_START:
        if (writer->options.model.len == 0 && buf_put_str(&writer->model, event->model) == 0)
            writer->options.model = buf_str(&writer->model);
        if (writer->options.created == 0)
            writer->options.created = event->created;
        break;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
        put_text(writer, "content", event->text, out);
        break;
    case CHAT_EVENT_REASONING:
        put_text(writer, "thinking", event->text, out);
        break;
    case CHAT_EVENT_TOOL_START:
    case CHAT_EVENT_TOOL_DELTA:
        rc = pieces_take(&writer->pieces, event);
        break;
    case CHAT_EVENT_TOOL_END:
        if (pieces_find(&writer->pieces, event, &call)) {
            put_call(writer, &call, out);
            pieces_drop(&writer->pieces, &call);
        }
        break;
    case CHAT_EVENT_CITATION:
        put_citation(writer, event->citation, out);
        break;
    case CHAT_EVENT_FINISH:
        if (writer->finish == CHAT_FINISH_NONE)
            writer->finish = event->finish;
        if (event->id.len > 0) /* why it was refused: a text like any other here */
            put_text(writer, "content", event->id, out);
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
    case CHAT_EVENT_SIGNATURE: /* its clients send none back */
    case CHAT_EVENT_REDACTED:
    case CHAT_EVENT_LOGPROBS:
    case CHAT_EVENT_PING:
        break;
    }
    return out->failed ? -ERR_TOO_LARGE : rc;
}

static int
writer_keepalive(struct buf *out)
{
    return buf_put_byte(out, '\n');
}

const struct stream_writer_class ollama_writer_class = {
    .size = sizeof(struct ollama_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = put_error,
    .keepalive = writer_keepalive,
};
