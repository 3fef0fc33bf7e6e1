/* SPDX-License-Identifier: MIT
 * openai_reader.c - streamed chat completions into canonical events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the list of tool calls seen, with what came before a call's name was known.
 * Invariant: every TOOL_START has its name and id and is followed by exactly one TOOL_END, unless
 *            the stream is cut. Spec: WIRE-FORMATS 4.3. Proved by conform_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/openai_int.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/map.h"

#define HELD_BYTES_MAX (64u << 10)
#define CALL_ID_BYTES_MAX 128u

/* wire: the upstream's index of the call; some give all of them 0 and tell them apart by id. */
struct call {
    uint32_t choice;
    uint32_t wire;
    uint32_t tool;
    uint64_t id_hash;
    bool has_id;
    bool custom;
    bool started;
    bool ended;
    bool any_argument;
    struct buf held_id;
    struct buf held; /* arguments that came before the name */
};
struct openai_reader {
    struct str message_id; /* of the chunk that is read: borrowed */
    struct call *calls;
    uint32_t call_count;
    uint32_t call_cap;
    bool started;
    bool ended;
    bool reasoned; /* reasoning has come since the last signature */
    bool cited;
    bool finished;      /* choice 0 */
    uint64_t text_size; /* of choice 0, code points */
};

static struct openai_reader *
reader_of(const struct feed *feed)
{
    return feed->reader;
}

static void
reader_init(void *state)
{
    struct openai_reader *reader = state;
    *reader = (struct openai_reader){0};
}

static void
reader_fini(void *state)
{
    struct openai_reader *reader = state;
    for (uint32_t i = 0; i < reader->call_count; i++) {
        buf_fini(&reader->calls[i].held_id);
        buf_fini(&reader->calls[i].held);
    }
    free(reader->calls);
    *reader = (struct openai_reader){0};
}

/* ---- tool calls ------------------------------------------------------------------------------ */

static int
call_new(struct openai_reader *reader, uint32_t choice, uint32_t wire, struct call **ret_call)
{
    uint32_t tool = 0;
    if (reader->call_count == reader->call_cap) {
        uint32_t cap = reader->call_cap == 0 ? 4 : reader->call_cap * 2;
        if (cap > FEED_CALLS_MAX)
            return -ERR_TOO_LARGE;
        struct call *grown = realloc(reader->calls, cap * sizeof(*grown));
        if (grown == NULL)
            return -ERR_NOMEM;
        reader->calls = grown;
        reader->call_cap = cap;
    }
    for (uint32_t i = 0; i < reader->call_count; i++)
        tool += reader->calls[i].choice == choice;
    struct call *call = &reader->calls[reader->call_count++];
    *call = (struct call){.choice = choice, .wire = wire, .tool = tool};
    buf_init(&call->held_id, CALL_ID_BYTES_MAX);
    buf_init(&call->held, HELD_BYTES_MAX);
    *ret_call = call;
    return 0;
}

/* The call that a fragment belongs to: by index; a new id under an old index is another call. */
static int
call_find(struct feed *feed, uint32_t choice, uint32_t node, struct str id, struct call **ret_call)
{
    struct openai_reader *reader = reader_of(feed);
    const struct json_doc *doc = feed->in.doc;
    struct call *found = NULL;
    uint64_t wire = UINT32_MAX;
    uint64_t hash = id.len > 0 ? map_hash(id) : 0;
    bool indexed = json_u64(doc, json_get(doc, node, STR("index")), UINT32_MAX, &wire) == 0;
    for (uint32_t i = reader->call_count; i-- > 0 && found == NULL;) {
        struct call *call = &reader->calls[i];
        if (call->choice != choice || (indexed && call->wire != wire))
            continue;
        if (id.len == 0 || !call->has_id || call->id_hash == hash)
            found = call;
    }
    int rc = found != NULL ? 0 : call_new(reader, choice, (uint32_t)wire, &found);
    if (rc < 0)
        return rc;
    if (id.len > 0 && !found->has_id) {
        found->has_id = true;
        found->id_hash = hash;
        if (!found->started)
            buf_put_str(&found->held_id, str_make(id.ptr, MIN(id.len, (size_t)CALL_ID_BYTES_MAX)));
    }
    *ret_call = found;
    return 0;
}

/* An id for a call that came without one: from the answer's own id, and so the same each time. */
static struct str
made_id(struct feed *feed, const struct call *call)
{
    struct str id = reader_of(feed)->message_id;
    id.len = MIN(id.len, (size_t)48);
    return arena_printf(feed->in.arena, "call_%.*s_%u_%u", (int)id.len, id.ptr, call->choice,
                        call->tool);
}

static int
call_start(struct feed *feed, struct call *call, struct str name)
{
    struct chat_event *event = feed_event(feed, CHAT_EVENT_TOOL_START, call->choice);
    if (event == NULL)
        return -ERR_NOMEM;
    call->started = true;
    event->tool = call->tool;
    event->custom = call->custom;
    event->name = name;
    if (call->held_id.len == 0)
        event->id = made_id(feed, call);
    else if (arena_dup(feed->in.arena, buf_str(&call->held_id), &event->id) < 0)
        return -ERR_NOMEM;
    buf_fini(&call->held_id);
    return event->id.ptr == NULL ? -ERR_NOMEM : 0;
}

static int
call_argument(struct feed *feed, struct call *call, struct str text)
{
    if (text.len == 0)
        return 0;
    struct chat_event *event = feed_event(feed, CHAT_EVENT_TOOL_DELTA, call->choice);
    if (event == NULL)
        return -ERR_NOMEM;
    event->tool = call->tool;
    event->custom = call->custom;
    event->text = text;
    call->any_argument = true;
    return 0;
}

static int
call_held(struct feed *feed, struct call *call)
{
    struct str held;
    if (call->held.len == 0)
        return 0;
    int rc = arena_dup(feed->in.arena, buf_str(&call->held), &held);
    buf_fini(&call->held);
    return rc < 0 ? rc : call_argument(feed, call, held);
}

static int
read_call(struct feed *feed, uint32_t choice, uint32_t node)
{
    const struct intake *in = &feed->in;
    const struct json_doc *doc = in->doc;
    struct str id = STR_EMPTY;
    struct str name = STR_EMPTY;
    struct str arguments = STR_EMPTY;
    struct call *call = NULL;
    uint32_t custom = json_get(doc, node, STR("custom"));
    uint32_t body =
        json_is(doc, custom, JSON_OBJECT) ? custom : json_get(doc, node, STR("function"));
    uint32_t text = json_get(doc, body, body == custom ? STR("input") : STR("arguments"));
    int rc = intake_member(in, node, "id", &id);
    if (rc == 0)
        rc = intake_member(in, body, "name", &name);
    if (rc == 0 && json_is(doc, text, JSON_OBJECT))
        arguments = json_raw(doc, text);
    else if (rc == 0)
        rc = intake_text(in, text, "arguments", &arguments);
    if (rc == 0)
        rc = call_find(feed, choice, node, id, &call);
    if (rc < 0)
        return rc;
    ASSERT(call != NULL);
    if (call->ended)
        return 0;
    call->custom = call->custom || body == custom;
    if (!call->started && name.len == 0)
        return buf_put_str(&call->held, arguments);
    if (!call->started) {
        rc = call_start(feed, call, name);
        if (rc == 0)
            rc = call_held(feed, call);
    }
    return rc < 0 ? rc : call_argument(feed, call, arguments);
}

static int
end_calls(struct feed *feed, bool all, uint32_t choice)
{
    struct openai_reader *reader = reader_of(feed);
    for (uint32_t i = 0; i < reader->call_count; i++) {
        struct call *call = &reader->calls[i];
        if (call->ended || (!all && call->choice != choice))
            continue;
        int rc = call->started ? 0 : call_start(feed, call, STR_EMPTY);
        if (rc == 0)
            rc = call_held(feed, call);
        if (rc == 0 && !call->any_argument && !call->custom)
            rc = call_argument(feed, call, STR("{}"));
        if (rc == 0)
            rc = feed_tool_end(feed, call->choice, call->tool);
        if (rc < 0)
            return rc;
        call->ended = true;
    }
    return 0;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static int
emit_part(struct feed *feed, uint32_t choice, const struct chat_part *part)
{
    int rc = 0;
    if (part->kind != CHAT_PART_REASONING)
        reader_of(feed)->reasoned = false;
    if (part->kind == CHAT_PART_TEXT && choice == 0)
        reader_of(feed)->text_size += cite_count(part->text);
    if (part->kind == CHAT_PART_TEXT)
        return feed_text(feed, CHAT_EVENT_TEXT, choice, part->text);
    if (part->kind == CHAT_PART_REFUSAL)
        return feed_text(feed, CHAT_EVENT_REFUSAL, choice, part->text);
    if (part->kind == CHAT_PART_REDACTED)
        return feed_text(feed, CHAT_EVENT_REDACTED, choice, part->signature);
    if (part->kind != CHAT_PART_REASONING)
        return 0;
    /* a signed block may repeat the text that its pieces have brought already */
    if (part->signature.len == 0 || !reader_of(feed)->reasoned)
        rc = feed_text(feed, CHAT_EVENT_REASONING, choice, part->text);
    reader_of(feed)->reasoned = part->signature.len == 0;
    return rc < 0 ? rc : feed_text(feed, CHAT_EVENT_SIGNATURE, choice, part->signature);
}

static int
read_annotations(struct feed *feed, uint32_t list, uint32_t choice)
{
    struct chat_citation *citations = NULL;
    struct openai_reader *reader = reader_of(feed);
    int rc = cite_openai_list(&feed->in, list, 0, choice == 0 ? reader->text_size : 0, &citations);
    reader->cited = reader->cited || citations != NULL;
    return rc < 0 ? rc : cite_feed(feed, choice, citations);
}

/* Sources beside the choices come with every chunk, or with the last: once the text is whole. */
static int
read_sources(struct feed *feed)
{
    struct chat_citation *citations = NULL;
    struct openai_reader *reader = reader_of(feed);
    if (!reader->finished || reader->cited)
        return 0;
    int rc = cite_sources(&feed->in, reader->text_size, &citations);
    reader->cited = citations != NULL;
    return rc < 0 ? rc : cite_feed(feed, 0, citations);
}

static int
read_delta(struct feed *feed, uint32_t delta, uint32_t choice)
{
    const struct json_doc *doc = feed->in.doc;
    struct chat_part *parts = NULL;
    uint32_t calls = json_get(doc, delta, STR("tool_calls"));
    int rc = openai_parts_in(&feed->in, delta, false, &parts);
    for (const struct chat_part *part = parts; part != NULL && rc == 0; part = part->next)
        rc = emit_part(feed, choice, part);
    if (rc == 0)
        rc = read_annotations(feed, json_get(doc, delta, STR("annotations")), choice);
    if (!json_is(doc, calls, JSON_ARRAY))
        return rc;
    for (uint32_t at = json_first(doc, calls); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, calls, at))
        rc = read_call(feed, choice, at);
    return rc;
}

static int
read_choice(struct feed *feed, uint32_t node)
{
    const struct json_doc *doc = feed->in.doc;
    uint64_t index = 0;
    uint32_t delta = json_get(doc, node, STR("delta"));
    uint32_t reason = json_get(doc, node, STR("finish_reason"));
    uint32_t logprobs = json_get(doc, node, STR("logprobs"));
    if (json_u64(doc, json_get(doc, node, STR("index")), UINT32_MAX, &index) < 0)
        index = 0;
    uint32_t choice = (uint32_t)index;
    int rc = 0;
    if (json_is(doc, logprobs, JSON_OBJECT)) /* before the text that they are about */
        rc = feed_text(feed, CHAT_EVENT_LOGPROBS, choice, json_raw(doc, logprobs));
    if (rc == 0 && json_is(doc, delta, JSON_OBJECT))
        rc = read_delta(feed, delta, choice);
    if (rc < 0 || !json_is(doc, reason, JSON_STRING))
        return rc;
    rc = end_calls(feed, false, choice);
    reader_of(feed)->finished = reader_of(feed)->finished || choice == 0;
    return rc < 0 ? rc : feed_finish(feed, choice, openai_finish(doc, reason));
}

/* Azure's first chunk has no id and no choice: the start is the first chunk that has either. */
static int
read_start(struct feed *feed, uint32_t choices)
{
    const struct json_doc *doc = feed->in.doc;
    struct str model = STR_EMPTY;
    int rc = intake_member(&feed->in, 0, "id", &reader_of(feed)->message_id);
    if (rc == 0)
        rc = intake_member(&feed->in, 0, "model", &model);
    bool told = reader_of(feed)->message_id.len > 0 || json_count(doc, choices) > 0;
    if (rc < 0 || reader_of(feed)->started || !told)
        return rc;
    struct chat_event *event = feed_event(feed, CHAT_EVENT_START, 0);
    if (event == NULL)
        return -ERR_NOMEM;
    reader_of(feed)->started = true;
    event->id = reader_of(feed)->message_id;
    event->model = model;
    if (json_u64(doc, json_get(doc, 0, STR("created")), INT64_MAX, &event->created) < 0)
        event->created = 0;
    return 0;
}

static int
read_chunk(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    struct usage usage;
    uint32_t choices = json_get(doc, 0, STR("choices"));
    uint32_t error = json_get(doc, 0, STR("error"));
    if (!json_is(doc, choices, JSON_ARRAY))
        choices = JSON_NONE;
    int rc = read_start(feed, choices);
    for (uint32_t at = json_first(doc, choices); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, choices, at))
        rc = read_choice(feed, at);
    if (rc == 0)
        rc = read_sources(feed);
    if (rc == 0 && openai_usage(doc, 0, &usage))
        rc = feed_usage(feed, &usage);
    if (rc < 0 || !error_present(doc, error))
        return rc;
    reader_of(feed)->ended = true;
    return feed_error(feed, error);
}

static int
read_done(struct feed *feed)
{
    reader_of(feed)->ended = true;
    int rc = end_calls(feed, true, 0);
    return rc < 0 ? rc : feed_end(feed);
}

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct openai_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool done = !reader->ended && str_starts(frame->data, STR("[DONE]"));
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    reader->message_id = STR_EMPTY;
    return feed_close(&feed,
                      done   ? read_done(&feed)
                      : open ? read_chunk(&feed)
                             : feed.rc,
                      ret_events);
}

const struct stream_reader_class openai_reader_class = {
    .size = sizeof(struct openai_reader),
    .look = openai_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};
