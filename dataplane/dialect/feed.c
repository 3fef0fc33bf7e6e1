/* SPDX-License-Identifier: MIT
 * feed.c - canonical events, made by the stream readers of this room.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing.
 * Invariant: see feed_int.h. */
#include "dataplane/dialect/feed_int.h"

bool
feed_open(struct feed *feed, void *reader, const struct intake *in, struct json_doc *scratch,
          const struct stream_frame *frame, bool ended)
{
    *feed = (struct feed){.in = *in, .reader = reader};
    feed->end = &feed->list;
    if (ended || str_starts(frame->data, STR("[DONE]")))
        return false;
    if (json_scan(scratch, frame->data, &dialect_reply_limits, in->err) < 0)
        feed->rc = -ERR_PARSE;
    else if (!json_is(scratch, 0, JSON_OBJECT))
        feed->rc = err_set(in->err, ERR_PARSE, "a frame of the stream is not an object");
    return feed->rc == 0;
}

int
feed_close(const struct feed *feed, int rc, struct chat_event **ret_events)
{
    *ret_events = rc == 0 ? feed->list : NULL;
    return rc == -ERR_INVALID || rc == -ERR_UNSUPPORTED ? -ERR_PARSE : rc;
}

int
feed_row_read(struct feed *feed, const struct feed_row *rows, size_t count, struct str type)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(type, str_from(rows[i].type)))
            return rows[i].read(feed);
    return 0;
}

int
feed_typed(struct feed *feed, const struct feed_row *rows, size_t count)
{
    struct str type = STR_EMPTY;
    int rc = intake_member(&feed->in, 0, "type", &type);
    return rc < 0 ? rc : feed_row_read(feed, rows, count, type);
}

void
feed_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch,
          void (*at)(const struct json_doc *doc, struct stream_look *look))
{
    look->flags = 0;
    look->delta_bytes = 0;
    if (json_scan(scratch, frame->data, &dialect_reply_limits, NULL) == 0 &&
        json_is(scratch, 0, JSON_OBJECT))
        at(scratch, look);
    else if (!str_starts(frame->data, STR("[DONE]"))) /* compatible servers' last word */
        look->flags = STREAM_MALFORMED;
    look->total_bytes += look->delta_bytes;
    look->seen |= look->flags;
}

struct chat_event *
feed_event(struct feed *feed, enum chat_event_kind kind, uint32_t choice)
{
    struct chat_event *event = ARENA_NEW(feed->in.arena, struct chat_event);
    if (event == NULL)
        return NULL;
    event->kind = kind;
    event->choice = choice;
    event->text = STR_EMPTY;
    event->id = STR_EMPTY;
    event->name = STR_EMPTY;
    event->model = STR_EMPTY;
    *feed->end = event;
    feed->end = &event->next;
    return event;
}

int
feed_text(struct feed *feed, enum chat_event_kind kind, uint32_t choice, struct str text)
{
    if (text.len == 0)
        return 0;
    struct chat_event *event = feed_event(feed, kind, choice);
    if (event == NULL)
        return -ERR_NOMEM;
    event->text = text;
    return 0;
}

int
feed_member(struct feed *feed, enum chat_event_kind kind, uint32_t object, const char *field)
{
    struct str text = STR_EMPTY;
    int rc = intake_member(&feed->in, object, field, &text);
    return rc < 0 ? rc : feed_text(feed, kind, 0, text);
}

int
feed_start(struct feed *feed, struct str id, struct str model)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_START, 0);
    if (event == NULL)
        return -ERR_NOMEM;
    event->id = id;
    event->model = model;
    return 0;
}

int
feed_tool_start(struct feed *feed, uint32_t choice, uint32_t tool, struct str id, struct str name)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_TOOL_START, choice);
    if (event == NULL)
        return -ERR_NOMEM;
    event->tool = tool;
    event->id = id;
    event->name = name;
    return 0;
}

int
feed_delta(struct feed *feed, uint32_t choice, uint32_t tool, struct str text)
{
    if (text.len == 0)
        return 0;
    struct chat_event *event = feed_event(feed, CHAT_EVENT_TOOL_DELTA, choice);
    if (event == NULL)
        return -ERR_NOMEM;
    event->tool = tool;
    event->text = text;
    return 0;
}

int
feed_tool_end(struct feed *feed, uint32_t choice, uint32_t tool)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_TOOL_END, choice);
    if (event == NULL)
        return -ERR_NOMEM;
    event->tool = tool;
    return 0;
}

int
feed_call(struct feed *feed, uint32_t choice, uint32_t tool, struct str id, struct str name,
          struct str arguments)
{
    int rc = feed_tool_start(feed, choice, tool, id, name);
    if (rc == 0)
        rc = feed_delta(feed, choice, tool, arguments);
    return rc < 0 ? rc : feed_tool_end(feed, choice, tool);
}

int
feed_finish(struct feed *feed, uint32_t choice, enum chat_finish finish)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_FINISH, choice);
    if (event == NULL)
        return -ERR_NOMEM;
    event->finish = finish;
    return 0;
}

int
feed_usage(struct feed *feed, const struct usage *usage)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_USAGE, 0);
    if (event == NULL)
        return -ERR_NOMEM;
    event->usage = *usage;
    return 0;
}

int
feed_end(struct feed *feed)
{
    return feed_event(feed, CHAT_EVENT_END, 0) == NULL ? -ERR_NOMEM : 0;
}

int
feed_error(struct feed *feed, uint32_t node)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_ERROR, 0);
    if (event == NULL)
        return -ERR_NOMEM;
    return error_read_object(feed->in.doc, node, feed->in.arena, &event->error);
}

uint32_t
feed_bytes(const struct json_doc *doc, uint32_t node)
{
    struct str raw = json_raw(doc, node);
    return raw.len > 2 && raw.ptr[0] == '"' ? (uint32_t)raw.len - 2 : 0;
}
