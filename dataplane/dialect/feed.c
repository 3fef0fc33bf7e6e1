/* SPDX-License-Identifier: MIT
 * feed.c - canonical events, made by the stream readers of this room.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing.
 * Invariant: see feed_int.h. */
#include "dataplane/dialect/feed_int.h"

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
