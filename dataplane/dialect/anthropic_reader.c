/* SPDX-License-Identifier: MIT
 * anthropic_reader.c - streamed Messages: looked at in passing, and read into canonical events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing.
 * Invariant: every TOOL_START is followed by exactly one TOOL_END, unless the stream is cut. The
 *            type is taken from the data, since not every sender names its events. Spec:
 *            WIRE-FORMATS 4.3. Proved by conform_test.c. */
#include "dataplane/dialect/anthropic_int.h"

#include "dataplane/chat/claim.h"

/* ---- look ------------------------------------------------------------------------------------ */

static uint32_t
text_bytes(const struct json_doc *doc, uint32_t object, struct str key)
{
    struct str raw = json_raw(doc, json_get(doc, object, key));
    return raw.len > 2 && raw.ptr[0] == '"' ? (uint32_t)raw.len - 2 : 0;
}

static void
look_at_delta(struct stream_look *look, const struct json_doc *doc)
{
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t arguments = text_bytes(doc, delta, STR("partial_json"));
    look->delta_bytes =
        arguments + text_bytes(doc, delta, STR("text")) + text_bytes(doc, delta, STR("thinking"));
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
    look->delta_bytes =
        text_bytes(doc, block, STR("text")) + text_bytes(doc, block, STR("thinking"));
    if (json_string_eq(doc, type, STR("tool_use"))) {
        look->delta_bytes += text_bytes(doc, block, STR("name"));
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

void
anthropic_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    look->flags = 0;
    look->delta_bytes = 0;
    if (json_scan(scratch, frame->data, &dialect_reply_limits, NULL) < 0 ||
        !json_is(scratch, 0, JSON_OBJECT)) {
        look->flags = STREAM_MALFORMED;
        look->seen |= look->flags;
        return;
    }
    uint32_t type = json_get(scratch, 0, STR("type"));
    if (json_string_eq(scratch, type, STR("content_block_delta"))) {
        look_at_delta(look, scratch);
    } else if (json_string_eq(scratch, type, STR("content_block_start"))) {
        look_at_block(look, scratch);
    } else if (json_string_eq(scratch, type, STR("message_start"))) {
        if (claim_anthropic(scratch, json_path(scratch, 0, "message.usage"), &look->usage))
            look->flags |= STREAM_USAGE;
    } else if (json_string_eq(scratch, type, STR("message_delta"))) {
        look_at_end(look, scratch);
    } else if (json_string_eq(scratch, type, STR("message_stop"))) {
        look->flags |= STREAM_END;
    } else if (json_string_eq(scratch, type, STR("error"))) {
        look->flags |= STREAM_ERROR;
    }
    look->total_bytes += look->delta_bytes;
    look->seen |= look->flags;
}

/* ---- read ------------------------------------------------------------------------------------ */

#define CALLS_MAX 256u

struct anthropic_reader {
    struct usage usage;
    uint32_t tool; /* position of the current or last call */
    uint32_t call_count;
    bool in_tool; /* the open block is a call of ours to pass on */
    bool any_argument;
    bool ended;
};
struct feed {
    struct anthropic_reader *reader;
    struct intake in;
    struct chat_event **end;
};

static void
reader_init(void *state)
{
    struct anthropic_reader *reader = state;
    *reader = (struct anthropic_reader){0};
}

static void
reader_fini(void *state)
{
    (void)state;
}

static struct chat_event *
emit(struct feed *feed, enum chat_event_kind kind)
{
    struct chat_event *event = ARENA_NEW(feed->in.arena, struct chat_event);
    if (event == NULL)
        return NULL;
    event->kind = kind;
    event->tool = feed->reader->tool;
    *feed->end = event;
    feed->end = &event->next;
    return event;
}

static int
emit_text(struct feed *feed, enum chat_event_kind kind, uint32_t object, const char *field)
{
    struct str text = STR_EMPTY;
    int rc = intake_member(&feed->in, object, field, &text);
    if (rc < 0 || text.len == 0)
        return rc;
    struct chat_event *event = emit(feed, kind);
    if (event == NULL)
        return -ERR_NOMEM;
    event->text = text;
    return 0;
}

static int
emit_arguments(struct feed *feed, struct str text)
{
    if (!feed->reader->in_tool || text.len == 0)
        return 0;
    struct chat_event *event = emit(feed, CHAT_EVENT_TOOL_DELTA);
    if (event == NULL)
        return -ERR_NOMEM;
    event->text = text;
    feed->reader->any_argument = true;
    return 0;
}

static int
emit_usage(struct feed *feed, uint32_t node)
{
    if (!claim_anthropic(feed->in.doc, node, &feed->reader->usage))
        return 0;
    struct chat_event *event = emit(feed, CHAT_EVENT_USAGE);
    if (event == NULL)
        return -ERR_NOMEM;
    event->usage = feed->reader->usage;
    return 0;
}

static int
read_message_start(struct feed *feed)
{
    uint32_t message = json_get(feed->in.doc, 0, STR("message"));
    struct chat_event *event = emit(feed, CHAT_EVENT_START);
    if (event == NULL)
        return -ERR_NOMEM;
    event->id = STR_EMPTY;
    event->model = STR_EMPTY;
    int rc = intake_member(&feed->in, message, "id", &event->id);
    if (rc == 0)
        rc = intake_member(&feed->in, message, "model", &event->model);
    return rc < 0 ? rc : emit_usage(feed, json_get(feed->in.doc, message, STR("usage")));
}

static int
end_tool(struct feed *feed)
{
    struct anthropic_reader *reader = feed->reader;
    if (!reader->in_tool)
        return 0;
    int rc = reader->any_argument ? 0 : emit_arguments(feed, STR("{}"));
    reader->in_tool = false;
    return rc < 0 ? rc : emit(feed, CHAT_EVENT_TOOL_END) == NULL ? -ERR_NOMEM : 0;
}

static int
read_tool_start(struct feed *feed, uint32_t block)
{
    struct anthropic_reader *reader = feed->reader;
    const struct json_doc *doc = feed->in.doc;
    uint32_t input = json_get(doc, block, STR("input"));
    if (reader->call_count == CALLS_MAX)
        return -ERR_TOO_LARGE;
    reader->tool = reader->call_count++;
    reader->in_tool = true;
    reader->any_argument = false;
    struct chat_event *event = emit(feed, CHAT_EVENT_TOOL_START);
    if (event == NULL)
        return -ERR_NOMEM;
    event->id = STR_EMPTY;
    event->name = STR_EMPTY;
    int rc = intake_member(&feed->in, block, "id", &event->id);
    if (rc == 0)
        rc = intake_member(&feed->in, block, "name", &event->name);
    /* compatible servers give the whole input here */
    if (rc == 0 && json_is(doc, input, JSON_OBJECT) && json_first(doc, input) != JSON_NONE)
        rc = emit_arguments(feed, json_raw(doc, input));
    return rc;
}

static int
read_block_start(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t block = json_get(doc, 0, STR("content_block"));
    uint32_t type = json_get(doc, block, STR("type"));
    int rc = end_tool(feed); /* a stop that never came */
    if (rc < 0)
        return rc;
    if (json_string_eq(doc, type, STR("tool_use")))
        return read_tool_start(feed, block);
    if (json_string_eq(doc, type, STR("text")))
        return emit_text(feed, CHAT_EVENT_TEXT, block, "text");
    if (json_string_eq(doc, type, STR("redacted_thinking")))
        return emit_text(feed, CHAT_EVENT_REDACTED, block, "data");
    if (!json_string_eq(doc, type, STR("thinking")))
        return 0;
    rc = emit_text(feed, CHAT_EVENT_REASONING, block, "thinking");
    return rc < 0 ? rc : emit_text(feed, CHAT_EVENT_SIGNATURE, block, "signature");
}

static int
read_block_delta(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t type = json_get(doc, delta, STR("type"));
    struct str arguments = STR_EMPTY;
    if (json_string_eq(doc, type, STR("text_delta")))
        return emit_text(feed, CHAT_EVENT_TEXT, delta, "text");
    if (json_string_eq(doc, type, STR("thinking_delta")))
        return emit_text(feed, CHAT_EVENT_REASONING, delta, "thinking");
    if (json_string_eq(doc, type, STR("signature_delta")))
        return emit_text(feed, CHAT_EVENT_SIGNATURE, delta, "signature");
    if (!json_string_eq(doc, type, STR("input_json_delta")))
        return 0;
    int rc = intake_member(&feed->in, delta, "partial_json", &arguments);
    return rc < 0 ? rc : emit_arguments(feed, arguments);
}

static int
read_message_delta(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t delta = json_get(doc, 0, STR("delta"));
    enum chat_finish finish = anthropic_finish(doc, json_get(doc, delta, STR("stop_reason")));
    int rc = end_tool(feed);
    if (rc == 0 && finish != CHAT_FINISH_NONE) {
        struct chat_event *event = emit(feed, CHAT_EVENT_FINISH);
        if (event == NULL)
            return -ERR_NOMEM;
        event->finish = finish;
        event->text = STR_EMPTY;
        event->id = STR_EMPTY;
        rc = intake_member(&feed->in, delta, "stop_sequence", &event->text);
        if (rc == 0)
            rc = intake_member(&feed->in, json_get(doc, delta, STR("stop_details")), "explanation",
                               &event->id);
    }
    return rc < 0 ? rc : emit_usage(feed, json_get(doc, 0, STR("usage")));
}

static int
read_message_stop(struct feed *feed)
{
    feed->reader->ended = true;
    int rc = end_tool(feed);
    return rc < 0 ? rc : emit(feed, CHAT_EVENT_END) == NULL ? -ERR_NOMEM : 0;
}

static int
read_ping(struct feed *feed)
{
    return emit(feed, CHAT_EVENT_PING) == NULL ? -ERR_NOMEM : 0;
}

static int
read_error(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    struct chat_event *event = emit(feed, CHAT_EVENT_ERROR);
    feed->reader->ended = true;
    if (event == NULL)
        return -ERR_NOMEM;
    return error_read_object(doc, json_get(doc, 0, STR("error")), feed->in.arena, &event->error);
}

static const struct {
    const char *type;
    int (*read)(struct feed *feed);
} events[] = {
    {"content_block_delta", read_block_delta}, {"content_block_start", read_block_start},
    {"content_block_stop", end_tool},          {"ping", read_ping},
    {"message_start", read_message_start},     {"message_delta", read_message_delta},
    {"message_stop", read_message_stop},       {"error", read_error},
};

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct anthropic_reader *reader = state;
    struct chat_event *list = NULL;
    struct feed feed = {.reader = reader, .in = {scratch, arena, err}, .end = &list};
    int rc = 0;
    if (reader->ended) {
        *ret_events = NULL;
        return 0;
    }
    if (json_scan(scratch, frame->data, &dialect_reply_limits, err) < 0)
        return -ERR_PARSE;
    if (!json_is(scratch, 0, JSON_OBJECT))
        return err_set(err, ERR_PARSE, "an event of the stream is not an object");
    uint32_t type = json_get(scratch, 0, STR("type"));
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (json_string_eq(scratch, type, str_from(events[i].type))) {
            rc = events[i].read(&feed);
            break;
        }
    }
    if (rc == 0)
        *ret_events = list;
    return rc == -ERR_INVALID || rc == -ERR_UNSUPPORTED ? -ERR_PARSE : rc;
}

const struct stream_reader_class anthropic_reader_class = {
    .size = sizeof(struct anthropic_reader),
    .look = anthropic_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};
