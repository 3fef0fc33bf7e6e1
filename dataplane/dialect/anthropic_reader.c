/* SPDX-License-Identifier: MIT
 * anthropic_reader.c - streamed Messages: looked at in passing, and read into canonical events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the citations of the open block.
 * Invariant: every TOOL_START is followed by exactly one TOOL_END, unless the stream is cut. The
 *            type is taken from the data, since not every sender names its events. Spec:
 *            WIRE-FORMATS 4.3. Proved by conform_test.c. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/cite_int.h"

#include "dataplane/chat/claim.h"

/* ---- look ------------------------------------------------------------------------------------ */

static void
look_at_delta(struct stream_look *look, const struct json_doc *doc)
{
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t arguments = feed_bytes(doc, json_get(doc, delta, STR("partial_json")));
    look->delta_bytes = arguments + feed_bytes(doc, json_get(doc, delta, STR("text"))) +
                        feed_bytes(doc, json_get(doc, delta, STR("thinking")));
    if (look->delta_bytes > 0)
        look->flags |= STREAM_TOKEN;
    if (arguments > 0)
        look->flags |= STREAM_TOOLS;
}

static void
look_at_block(struct stream_look *look, const struct json_doc *doc)
{
    uint32_t block = json_get(doc, 0, STR("content_block"));
    uint32_t type = json_get(doc, block, STR("type"));
    look->delta_bytes = feed_bytes(doc, json_get(doc, block, STR("text"))) +
                        feed_bytes(doc, json_get(doc, block, STR("thinking")));
    if (json_string_eq(doc, type, STR("tool_use"))) {
        look->delta_bytes += feed_bytes(doc, json_get(doc, block, STR("name")));
        look->flags |= STREAM_TOKEN | STREAM_TOOLS;
    }
    if (look->delta_bytes > 0 || json_string_eq(doc, type, STR("redacted_thinking")))
        look->flags |= STREAM_TOKEN;
}

static void
look_at_end(struct stream_look *look, const struct json_doc *doc)
{
    enum chat_finish finish = anthropic_finish(doc, json_path(doc, 0, "delta.stop_reason"));
    if (finish != CHAT_FINISH_NONE) {
        look->finish = finish;
        look->flags |= STREAM_FINISH;
    }
    if (claim_anthropic(doc, json_get(doc, 0, STR("usage")), &look->usage))
        look->flags |= STREAM_USAGE;
}

static void
look_at(const struct json_doc *doc, struct stream_look *look)
{
    uint32_t type = json_get(doc, 0, STR("type"));
    if (json_string_eq(doc, type, STR("content_block_delta"))) {
        look_at_delta(look, doc);
    } else if (json_string_eq(doc, type, STR("content_block_start"))) {
        look_at_block(look, doc);
    } else if (json_string_eq(doc, type, STR("message_start"))) {
        if (claim_anthropic(doc, json_path(doc, 0, "message.usage"), &look->usage))
            look->flags |= STREAM_USAGE;
    } else if (json_string_eq(doc, type, STR("message_delta"))) {
        look_at_end(look, doc);
    } else if (json_string_eq(doc, type, STR("message_stop"))) {
        look->flags |= STREAM_END;
    } else if (json_string_eq(doc, type, STR("error"))) {
        look->flags |= STREAM_ERROR;
    }
}

void
anthropic_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    feed_look(look, frame, scratch, look_at);
}

/* ---- read ------------------------------------------------------------------------------------ */

#define CITED_BYTES_MAX (1u << 20)

struct anthropic_reader {
    struct usage usage;
    struct buf cited; /* citations of the open block, until its text is whole: raw, ',' between */
    uint64_t block_start; /* of the open block's text in the answer's: code points */
    uint64_t text_end;
    uint32_t tool; /* position of the current or last call */
    uint32_t call_count;
    bool in_tool; /* the open block is a call of ours to pass on */
    bool any_argument;
    bool ended;
};
static struct anthropic_reader *
reader_of(const struct feed *feed)
{
    return feed->reader;
}

static void
reader_init(void *state)
{
    struct anthropic_reader *reader = state;
    *reader = (struct anthropic_reader){0};
    buf_init(&reader->cited, CITED_BYTES_MAX);
}

static void
reader_fini(void *state)
{
    struct anthropic_reader *reader = state;
    buf_fini(&reader->cited);
}

static int
put_arguments(struct feed *feed, struct str text)
{
    if (!reader_of(feed)->in_tool || text.len == 0)
        return 0;
    reader_of(feed)->any_argument = true;
    return feed_delta(feed, 0, reader_of(feed)->tool, text);
}

static int
put_usage(struct feed *feed, uint32_t node)
{
    struct usage *usage = &reader_of(feed)->usage;
    return claim_anthropic(feed->in.doc, node, usage) ? feed_usage(feed, usage) : 0;
}

static int
read_message_start(struct feed *feed)
{
    const struct intake *in = &feed->in;
    uint32_t message = json_get(in->doc, 0, STR("message"));
    struct str id = STR_EMPTY;
    struct str model = STR_EMPTY;
    int rc = intake_member(in, message, "id", &id);
    if (rc == 0)
        rc = intake_member(in, message, "model", &model);
    if (rc == 0)
        rc = feed_start(feed, id, model);
    return rc < 0 ? rc : put_usage(feed, json_get(in->doc, message, STR("usage")));
}

static int
put_text(struct feed *feed, uint32_t object)
{
    struct str text = STR_EMPTY;
    int rc = intake_member(&feed->in, object, "text", &text);
    reader_of(feed)->text_end += cite_count(text);
    return rc < 0 ? rc : feed_text(feed, CHAT_EVENT_TEXT, 0, text);
}

static int
hold_citations(struct feed *feed, struct str raw)
{
    struct buf *cited = &reader_of(feed)->cited;
    if (raw.len == 0 || raw.len >= CITED_BYTES_MAX - cited->len)
        return 0; /* more sources than a block has are left out */
    if (cited->len > 0)
        buf_put_byte(cited, ',');
    buf_put_str(cited, raw);
    return cited->failed ? -ERR_NOMEM : 0;
}

/* The block's text is whole: now it is known what they are of. */
static int
end_text(struct feed *feed)
{
    struct anthropic_reader *reader = reader_of(feed);
    struct chat_citation *list = NULL;
    uint64_t start = reader->block_start;
    reader->block_start = reader->text_end;
    if (reader->cited.len == 0)
        return 0;
    struct str raw = arena_printf(feed->in.arena, "[%.*s]", STR_ARG(buf_str(&reader->cited)));
    buf_consume(&reader->cited, reader->cited.len);
    if (raw.ptr == NULL)
        return -ERR_NOMEM;
    int rc = anthropic_cite_raw(&feed->in, raw, start, reader->text_end, &list);
    return rc < 0 ? rc : cite_feed(feed, 0, list);
}

static int
end_tool(struct feed *feed)
{
    struct anthropic_reader *reader = reader_of(feed);
    if (!reader->in_tool)
        return 0;
    int rc = reader->any_argument ? 0 : put_arguments(feed, STR("{}"));
    reader->in_tool = false;
    return rc < 0 ? rc : feed_tool_end(feed, 0, reader->tool);
}

static int
end_block(struct feed *feed)
{
    int rc = end_text(feed);
    return rc < 0 ? rc : end_tool(feed);
}

static int
read_tool_start(struct feed *feed, uint32_t block)
{
    struct anthropic_reader *reader = reader_of(feed);
    const struct intake *in = &feed->in;
    uint32_t input = json_get(in->doc, block, STR("input"));
    struct str id = STR_EMPTY;
    struct str name = STR_EMPTY;
    if (reader->call_count == FEED_CALLS_MAX)
        return -ERR_TOO_LARGE;
    reader->tool = reader->call_count++;
    reader->in_tool = true;
    reader->any_argument = false;
    int rc = intake_member(in, block, "id", &id);
    if (rc == 0)
        rc = intake_member(in, block, "name", &name);
    if (rc == 0)
        rc = feed_tool_start(feed, 0, reader->tool, id, name);
    /* compatible servers give the whole input here */
    if (rc == 0 && json_is(in->doc, input, JSON_OBJECT) && json_first(in->doc, input) != JSON_NONE)
        rc = put_arguments(feed, json_raw(in->doc, input));
    return rc;
}

static int
read_block_start(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t block = json_get(doc, 0, STR("content_block"));
    uint32_t type = json_get(doc, block, STR("type"));
    struct str cited = json_raw(doc, json_get(doc, block, STR("citations")));
    int rc = end_block(feed); /* a stop that never came */
    if (rc == 0 && cited.len > 2 && cited.ptr[0] == '[')
        rc = hold_citations(feed, str_trim(str_make(cited.ptr + 1, cited.len - 2)));
    if (rc < 0)
        return rc;
    if (json_string_eq(doc, type, STR("tool_use")))
        return read_tool_start(feed, block);
    if (json_string_eq(doc, type, STR("text")))
        return put_text(feed, block);
    if (json_string_eq(doc, type, STR("redacted_thinking")))
        return feed_member(feed, CHAT_EVENT_REDACTED, block, "data");
    if (!json_string_eq(doc, type, STR("thinking")))
        return 0;
    rc = feed_member(feed, CHAT_EVENT_REASONING, block, "thinking");
    return rc < 0 ? rc : feed_member(feed, CHAT_EVENT_SIGNATURE, block, "signature");
}

static int
read_block_delta(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t type = json_get(doc, delta, STR("type"));
    struct str arguments = STR_EMPTY;
    if (json_string_eq(doc, type, STR("text_delta")))
        return put_text(feed, delta);
    if (json_string_eq(doc, type, STR("citations_delta")))
        return hold_citations(feed, json_raw(doc, json_get(doc, delta, STR("citation"))));
    if (json_string_eq(doc, type, STR("thinking_delta")))
        return feed_member(feed, CHAT_EVENT_REASONING, delta, "thinking");
    if (json_string_eq(doc, type, STR("signature_delta")))
        return feed_member(feed, CHAT_EVENT_SIGNATURE, delta, "signature");
    if (!json_string_eq(doc, type, STR("input_json_delta")))
        return 0;
    int rc = intake_member(&feed->in, delta, "partial_json", &arguments);
    return rc < 0 ? rc : put_arguments(feed, arguments);
}

static int
read_message_delta(struct feed *feed)
{
    const struct intake *in = &feed->in;
    uint32_t delta = json_get(in->doc, 0, STR("delta"));
    enum chat_finish finish =
        anthropic_finish(in->doc, json_get(in->doc, delta, STR("stop_reason")));
    int rc = end_block(feed);
    if (rc == 0 && finish != CHAT_FINISH_NONE) {
        struct chat_event *end = feed_event(feed, CHAT_EVENT_FINISH, 0);
        if (end == NULL)
            return -ERR_NOMEM;
        end->finish = finish;
        rc = intake_member(in, delta, "stop_sequence", &end->text);
        if (rc == 0)
            rc = intake_member(in, json_get(in->doc, delta, STR("stop_details")), "explanation",
                               &end->id);
    }
    return rc < 0 ? rc : put_usage(feed, json_get(in->doc, 0, STR("usage")));
}

static int
read_message_stop(struct feed *feed)
{
    reader_of(feed)->ended = true;
    int rc = end_block(feed);
    return rc < 0 ? rc : feed_end(feed);
}

static int
read_ping(struct feed *feed)
{
    return feed_event(feed, CHAT_EVENT_PING, 0) == NULL ? -ERR_NOMEM : 0;
}

static int
read_error(struct feed *feed)
{
    reader_of(feed)->ended = true;
    return feed_error(feed, json_get(feed->in.doc, 0, STR("error")));
}

static const struct feed_row rows[] = {
    {"content_block_delta", read_block_delta}, {"content_block_start", read_block_start},
    {"content_block_stop", end_block},         {"ping", read_ping},
    {"message_start", read_message_start},     {"message_delta", read_message_delta},
    {"message_stop", read_message_stop},       {"error", read_error},
};

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct anthropic_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    return feed_close(&feed, open ? feed_typed(&feed, rows, ARRAY_LEN(rows)) : feed.rc, ret_events);
}

const struct stream_reader_class anthropic_reader_class = {
    .size = sizeof(struct anthropic_reader),
    .look = anthropic_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};
