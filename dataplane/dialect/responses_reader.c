/* SPDX-License-Identifier: MIT
 * responses_reader.c - streamed responses: looked at in passing, and read into canonical events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: nothing.
 * Invariant: every TOOL_START is followed by exactly one TOOL_END, unless the stream is cut. What
 *            an item's end repeats is only read where its pieces did not come. Spec: WIRE-FORMATS
 *            4.3. Proved by conform_test.c. */
#include "dataplane/dialect/responses_int.h"

#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/paid_int.h"

struct call {
    uint64_t output_index;
    bool custom;
    bool ended;
    bool any;
};
struct responses_reader {
    struct call calls[FEED_CALLS_MAX];
    uint32_t call_count;
    uint64_t text_index; /* output_index of the item whose text has come in pieces, plus one */
    uint64_t thought_index;
    uint64_t text_part; /* content_index of that text */
    uint64_t text_base; /* where it begins in the answer's text: code points */
    uint64_t text_end;
    uint64_t cited_index; /* output_index of the item whose annotations came, plus one */
    bool ended;
};
static struct responses_reader *
reader_of(const struct feed *feed)
{
    return feed->reader;
}

/* ---- look ------------------------------------------------------------------------------------ */

static void
look_at(const struct json_doc *doc, struct stream_look *look)
{
    uint32_t type = json_get(doc, 0, STR("type"));
    uint32_t response = json_get(doc, 0, STR("response"));
    uint32_t item_type = json_path(doc, 0, "item.type");
    struct str name = json_raw(doc, type);
    name = name.len > 2 ? str_make(name.ptr + 1, name.len - 2) : STR_EMPTY;
    if (str_ends(name, STR(".delta"))) {
        look->delta_bytes = feed_bytes(doc, json_get(doc, 0, STR("delta")));
        if (look->delta_bytes > 0)
            look->flags |= STREAM_TOKEN;
        if (str_eq(name, STR("response.function_call_arguments.delta")) ||
            str_eq(name, STR("response.custom_tool_call_input.delta")))
            look->flags |= STREAM_TOOLS;
    } else if (str_eq(name, STR("response.output_item.added"))) {
        if (json_string_eq(doc, item_type, STR("function_call")) ||
            json_string_eq(doc, item_type, STR("custom_tool_call"))) {
            look->flags |= STREAM_TOKEN | STREAM_TOOLS;
            look->delta_bytes = feed_bytes(doc, json_path(doc, 0, "item.name"));
        }
    } else if (str_eq(name, STR("response.output_item.done"))) {
        if (look->usage.evidence == EVIDENCE_NONE) /* what a caller who leaves now has had */
            paid_item(doc, json_get(doc, 0, STR("item")), &look->usage);
    } else if (str_eq(name, STR("response.completed")) ||
               str_eq(name, STR("response.incomplete"))) {
        look->flags |= STREAM_END | STREAM_FINISH;
        look->finish = responses_finish(doc, response, (look->seen & STREAM_TOOLS) != 0);
        if (responses_usage(doc, response, &look->usage))
            look->flags |= STREAM_USAGE;
    } else if (str_eq(name, STR("error")) || str_eq(name, STR("response.failed"))) {
        look->flags |= STREAM_ERROR;
    }
}

static void
reader_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    feed_look(look, frame, scratch, look_at);
}

/* ---- read ------------------------------------------------------------------------------------ */

static void
reader_init(void *state)
{
    struct responses_reader *reader = state;
    *reader = (struct responses_reader){0};
}

static void
reader_fini(void *state)
{
    (void)state;
}

static uint64_t
output_index(const struct feed *feed)
{
    uint64_t index = 0;
    if (json_u64(feed->in.doc, json_get(feed->in.doc, 0, STR("output_index")), UINT32_MAX, &index) <
        0)
        index = 0;
    return index;
}

static uint32_t
call_find(const struct feed *feed)
{
    uint64_t index = output_index(feed);
    for (uint32_t i = reader_of(feed)->call_count; i-- > 0;)
        if (reader_of(feed)->calls[i].output_index == index)
            return i;
    return UINT32_MAX;
}

static int
read_created(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t response = json_get(doc, 0, STR("response"));
    struct chat_event *start = feed_event(feed, CHAT_EVENT_START, 0);
    if (start == NULL)
        return -ERR_NOMEM;
    if (json_u64(doc, json_get(doc, response, STR("created_at")), INT64_MAX, &start->created) < 0)
        start->created = 0;
    int rc = intake_member(&feed->in, response, "id", &start->id);
    return rc < 0 ? rc : intake_member(&feed->in, response, "model", &start->model);
}

static int
call_text(struct feed *feed, uint32_t tool, struct str text)
{
    struct call *call = &reader_of(feed)->calls[tool];
    if (call->ended || text.len == 0)
        return 0;
    struct chat_event *delta = feed_event(feed, CHAT_EVENT_TOOL_DELTA, 0);
    if (delta == NULL)
        return -ERR_NOMEM;
    delta->tool = tool;
    delta->custom = call->custom;
    delta->text = text;
    call->any = true;
    return 0;
}

static int
call_start(struct feed *feed, uint32_t item, bool custom)
{
    struct responses_reader *reader = reader_of(feed);
    if (reader->call_count == FEED_CALLS_MAX)
        return -ERR_TOO_LARGE;
    uint32_t tool = reader->call_count++;
    struct str text = STR_EMPTY;
    reader->calls[tool] = (struct call){.output_index = output_index(feed), .custom = custom};
    struct chat_event *start = feed_event(feed, CHAT_EVENT_TOOL_START, 0);
    if (start == NULL)
        return -ERR_NOMEM;
    start->tool = tool;
    start->custom = custom;
    int rc = intake_member(&feed->in, item, "call_id", &start->id);
    if (rc == 0)
        rc = intake_member(&feed->in, item, "name", &start->name);
    if (rc == 0)
        rc = intake_member(&feed->in, item, custom ? "input" : "arguments", &text);
    return rc < 0 ? rc : call_text(feed, tool, text);
}

static int
call_end(struct feed *feed, uint32_t tool, uint32_t item)
{
    struct call *call = &reader_of(feed)->calls[tool];
    struct str text = STR_EMPTY;
    int rc = 0;
    if (call->ended)
        return 0;
    if (!call->any)
        rc = intake_member(&feed->in, item, call->custom ? "input" : "arguments", &text);
    if (rc == 0 && !call->any && text.len == 0 && !call->custom)
        text = STR("{}");
    if (rc == 0)
        rc = call_text(feed, tool, text);
    call->ended = true;
    return rc < 0 ? rc : feed_tool_end(feed, 0, tool);
}

static bool
is_call(const struct json_doc *doc, uint32_t item, bool *ret_custom)
{
    uint32_t type = json_get(doc, item, STR("type"));
    *ret_custom = json_string_eq(doc, type, STR("custom_tool_call"));
    return *ret_custom || json_string_eq(doc, type, STR("function_call"));
}

static int
read_item_added(struct feed *feed)
{
    bool custom = false;
    uint32_t item = json_get(feed->in.doc, 0, STR("item"));
    if (!is_call(feed->in.doc, item, &custom))
        return 0;
    return call_start(feed, item, custom);
}

static int
read_delta(struct feed *feed, enum chat_event_kind kind, uint64_t *ret_index)
{
    struct str text = STR_EMPTY;
    int rc = intake_member(&feed->in, 0, "delta", &text);
    if (text.len > 0)
        *ret_index = output_index(feed) + 1;
    return rc < 0 ? rc : feed_text(feed, kind, 0, text);
}

/* The text of the open part grows; another part of it begins where the last one ended. */
static int
text_grow(struct feed *feed, struct str text)
{
    struct responses_reader *reader = reader_of(feed);
    uint64_t part = cite_number(feed->in.doc, json_get(feed->in.doc, 0, STR("content_index")), 0);
    uint64_t index = output_index(feed) + 1;
    if (text.len == 0)
        return 0;
    if (reader->text_index != index || reader->text_part != part)
        reader->text_base = reader->text_end;
    reader->text_index = index;
    reader->text_part = part;
    reader->text_end += cite_count(text);
    return feed_text(feed, CHAT_EVENT_TEXT, 0, text);
}

static int
read_annotation(struct feed *feed)
{
    struct responses_reader *reader = reader_of(feed);
    struct chat_citation *list = NULL;
    int rc = cite_openai(&feed->in, json_get(feed->in.doc, 0, STR("annotation")), reader->text_base,
                         reader->text_end - reader->text_base, &list);
    reader->cited_index = output_index(feed) + 1;
    return rc < 0 ? rc : cite_feed(feed, 0, list);
}

/* Annotations that came with the whole item alone. */
static int
read_annotations(struct feed *feed, uint32_t item)
{
    const struct json_doc *doc = feed->in.doc;
    struct responses_reader *reader = reader_of(feed);
    uint32_t part = json_first(doc, json_get(doc, item, STR("content")));
    struct chat_citation *list = NULL;
    if (reader->cited_index == output_index(feed) + 1 ||
        reader->text_index != output_index(feed) + 1)
        return 0;
    int rc = cite_openai_list(&feed->in, json_get(doc, part, STR("annotations")), reader->text_base,
                              reader->text_end - reader->text_base, &list);
    return rc < 0 ? rc : cite_feed(feed, 0, list);
}

/* The whole item: what of it has not come yet. */
static int
read_item_done(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t item = json_get(doc, 0, STR("item"));
    uint32_t tool = call_find(feed);
    uint64_t index = output_index(feed) + 1;
    struct chat_part *parts = NULL;
    enum chat_role role;
    bool custom = false;
    int rc = 0;
    if (is_call(doc, item, &custom)) {
        if (tool == UINT32_MAX) {
            rc = call_start(feed, item, custom);
            tool = reader_of(feed)->call_count - 1;
        }
        return rc < 0 ? rc : call_end(feed, tool, item);
    }
    rc = responses_item_in(&feed->in, item, true, &role, &parts);
    for (const struct chat_part *part = parts; part != NULL && rc == 0; part = part->next) {
        bool told = reader_of(feed)->text_index == index;
        if (part->kind == CHAT_PART_TEXT && !told) {
            rc = text_grow(feed, part->text);
        } else if (part->kind == CHAT_PART_REFUSAL && !told) {
            rc = feed_text(feed, CHAT_EVENT_REFUSAL, 0, part->text);
        } else if (part->kind == CHAT_PART_REDACTED) {
            rc = feed_text(feed, CHAT_EVENT_REDACTED, 0, part->signature);
        } else if (part->kind == CHAT_PART_REASONING) {
            if (reader_of(feed)->thought_index != index)
                rc = feed_text(feed, CHAT_EVENT_REASONING, 0, part->text);
            if (rc == 0)
                rc = feed_text(feed, CHAT_EVENT_SIGNATURE, 0, part->signature);
        }
    }
    return rc < 0 ? rc : read_annotations(feed, item);
}

static int
read_text_delta(struct feed *feed)
{
    struct str list = json_raw(feed->in.doc, json_get(feed->in.doc, 0, STR("logprobs")));
    int rc = 0;
    if (responses_logprobs(list).len > 0) {
        struct str raw =
            arena_printf(feed->in.arena, "{\"content\":%.*s,\"refusal\":null}", STR_ARG(list));
        rc = raw.ptr == NULL ? -ERR_NOMEM : feed_text(feed, CHAT_EVENT_LOGPROBS, 0, raw);
    }
    struct str text = STR_EMPTY;
    if (rc == 0)
        rc = intake_member(&feed->in, 0, "delta", &text);
    return rc < 0 ? rc : text_grow(feed, text);
}

static int
read_refusal_delta(struct feed *feed)
{
    return read_delta(feed, CHAT_EVENT_REFUSAL, &reader_of(feed)->text_index);
}

static int
read_thought_delta(struct feed *feed)
{
    return read_delta(feed, CHAT_EVENT_REASONING, &reader_of(feed)->thought_index);
}

/* Paragraphs of a summary, as join_texts puts them together in a whole answer. */
static int
read_summary_part(struct feed *feed)
{
    bool later = reader_of(feed)->thought_index == output_index(feed) + 1;
    return later ? feed_text(feed, CHAT_EVENT_REASONING, 0, STR("\n\n")) : 0;
}

static int
read_call_delta(struct feed *feed)
{
    uint32_t tool = call_find(feed);
    struct str text = STR_EMPTY;
    int rc = intake_member(&feed->in, 0, "delta", &text);
    return rc < 0 || tool == UINT32_MAX ? rc : call_text(feed, tool, text);
}

static int
read_end(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t response = json_get(doc, 0, STR("response"));
    struct responses_reader *reader = reader_of(feed);
    struct usage usage = {0};
    int rc = 0;
    reader->ended = true;
    for (uint32_t i = 0; i < reader->call_count && rc == 0; i++)
        rc = call_end(feed, i, JSON_NONE);
    if (rc == 0)
        rc = feed_finish(feed, 0, responses_finish(doc, response, reader->call_count > 0));
    if (rc == 0 && responses_usage(doc, response, &usage))
        rc = feed_usage(feed, &usage);
    return rc < 0 ? rc : feed_end(feed);
}

static int
read_failure(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    uint32_t response = json_get(doc, 0, STR("response"));
    uint32_t error = intake_get(doc, response, STR("error"));
    if (error == JSON_NONE)
        error = intake_get(doc, 0, STR("error"));
    reader_of(feed)->ended = true;
    int rc = feed_finish(feed, 0, CHAT_FINISH_ERROR);
    return rc < 0 ? rc : feed_error(feed, error != JSON_NONE ? error : 0);
}

static const struct feed_row rows[] = {
    {"response.output_text.delta", read_text_delta},
    {"response.function_call_arguments.delta", read_call_delta},
    {"response.reasoning_summary_text.delta", read_thought_delta},
    {"response.reasoning_text.delta", read_thought_delta},
    {"response.output_text.annotation.added", read_annotation},
    {"response.output_item.added", read_item_added},
    {"response.output_item.done", read_item_done},
    {"response.custom_tool_call_input.delta", read_call_delta},
    {"response.reasoning_summary_part.added", read_summary_part},
    {"response.refusal.delta", read_refusal_delta},
    {"response.created", read_created},
    {"response.completed", read_end},
    {"response.incomplete", read_end},
    {"response.failed", read_failure},
    {"error", read_failure},
};

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct responses_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    return feed_close(&feed, open ? feed_typed(&feed, rows, ARRAY_LEN(rows)) : feed.rc, ret_events);
}

const struct stream_reader_class responses_reader_class = {
    .size = sizeof(struct responses_reader),
    .look = reader_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};
