/* SPDX-License-Identifier: MIT
 * responses_writer.c - canonical events into streamed responses.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the items so far with their texts, since each item's end and the last event repeat them.
 * Invariant: an item is added, filled and done; sequence_number rises by one; response.completed
 *            (incomplete) only for a clean end. Spec: WIRE-FORMATS 4.3. Proved by
 *            writer_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/responses_int.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES_MAX 256u
#define ID_BYTES_MAX (64u << 10) /* with a signature sealed in */
#define ITEM_BYTES_MAX (8u << 20)
#define ITEMS_MAX 1024u

struct item {
    enum chat_part_kind kind; /* TEXT, REFUSAL, REASONING, REDACTED or TOOL_CALL */
    uint32_t tool;
    bool custom;
    bool done;
    struct buf text;
    struct buf id; /* call_id of a call, signature of reasoning, logprobs of a text */
    struct buf name;
    struct buf cited; /* annotations of a text: what stands between the brackets */
    uint32_t cited_count;
    uint64_t base; /* where a text begins in the answer's: code points */
};
struct responses_writer {
    struct pieces held; /* calls of custom tools that came as functions */
    struct stream_writer_options options;
    struct buf id;
    struct buf model;
    struct buf logprobs; /* of the next delta: what stands between the brackets */
    struct usage usage;
    struct item *items;
    uint32_t item_count;
    uint32_t item_cap;
    uint64_t sequence;
    uint64_t text_size; /* so far: code points */
    enum chat_finish finish;
    bool started;
    bool called;
    bool ended;
};

static void
writer_init(void *state, const struct stream_writer_options *options)
{
    struct responses_writer *writer = state;
    *writer = (struct responses_writer){.options = *options};
    buf_init(&writer->id, NAME_BYTES_MAX);
    buf_init(&writer->model, NAME_BYTES_MAX);
    buf_init(&writer->logprobs, ITEM_BYTES_MAX);
}

static void
writer_fini(void *state)
{
    struct responses_writer *writer = state;
    pieces_fini(&writer->held);
    for (uint32_t i = 0; i < writer->item_count; i++) {
        buf_fini(&writer->items[i].text);
        buf_fini(&writer->items[i].id);
        buf_fini(&writer->items[i].name);
        buf_fini(&writer->items[i].cited);
    }
    free(writer->items);
    buf_fini(&writer->id);
    buf_fini(&writer->model);
    buf_fini(&writer->logprobs);
    *writer = (struct responses_writer){0};
}

/* ---- events of the wire ---------------------------------------------------------------------- */

static void
event_open(struct responses_writer *writer, struct json_writer *json, const char *type,
           struct buf *out)
{
    emit_event_open(json, type, out);
    json_member_u64(json, "sequence_number", writer->sequence++);
}

static void
put_logprobs(struct json_writer *json, const struct buf *list)
{
    json_key_array(json, "logprobs");
    if (list->len > 0)
        emit_line(json, buf_str(list));
    json_close_array(json);
}

static void
put_item_id(const struct responses_writer *writer, struct json_writer *json, const char *key,
            uint32_t index)
{
    char text[96];
    const struct item *item = &writer->items[index];
    struct str id = writer->options.id;
    int size =
        snprintf(text, sizeof(text), "%s_%.*s_%u", responses_prefix(item->kind, item->custom),
                 (int)MIN(id.len, (size_t)48), id.ptr, index);
    json_member_str(json, key, str_make(text, (size_t)size));
}

/* Members that say which item, and which part of it. */
static void
put_place(const struct responses_writer *writer, struct json_writer *json, uint32_t index)
{
    const struct item *item = &writer->items[index];
    put_item_id(writer, json, "item_id", index);
    json_member_u64(json, "output_index", index);
    if (item->kind == CHAT_PART_REASONING)
        json_member_u64(json, "summary_index", 0);
    else if (item->kind != CHAT_PART_TOOL_CALL)
        json_member_u64(json, "content_index", 0);
}

/* The one part of a message or a summary. */
static void
put_part(struct json_writer *json, const struct item *item, struct str text)
{
    static const struct buf none = {0};
    json_open_object(json);
    if (item->kind == CHAT_PART_REFUSAL) {
        json_member_str(json, "type", STR("refusal"));
        json_member_str(json, "refusal", text);
    } else if (item->kind == CHAT_PART_REASONING) {
        json_member_str(json, "type", STR("summary_text"));
        json_member_str(json, "text", text);
    } else {
        json_member_str(json, "type", STR("output_text"));
        json_key_array(json, "annotations");
        if (text.len > 0 && item->cited.len > 0)
            json_value_raw(json, buf_str(&item->cited));
        json_close_array(json);
        put_logprobs(json, text.len > 0 ? &item->id : &none);
        json_member_str(json, "text", text);
    }
    json_close_object(json);
}

static void
put_reasoning(const struct responses_writer *writer, struct json_writer *json, uint32_t index)
{
    const struct item *item = &writer->items[index];
    char made[96];
    struct str id = writer->options.id;
    int size =
        snprintf(made, sizeof(made), "rs_%.*s_%u", (int)MIN(id.len, (size_t)48), id.ptr, index);
    responses_put_reasoning(json, item->done ? buf_str(&item->text) : STR_EMPTY,
                            item->done ? buf_str(&item->id) : STR_EMPTY,
                            item->kind == CHAT_PART_REDACTED, str_make(made, (size_t)size));
}

/* The item itself: empty before it is done. */
static void
put_item(const struct responses_writer *writer, struct json_writer *json, uint32_t index)
{
    const struct item *item = &writer->items[index];
    bool cut = writer->finish == CHAT_FINISH_LENGTH && index + 1 == writer->item_count;
    struct str status = !item->done ? STR("in_progress")
                        : cut       ? STR("incomplete")
                                    : STR("completed");
    struct str text = item->done ? buf_str(&item->text) : STR_EMPTY;
    if (item->kind == CHAT_PART_REASONING || item->kind == CHAT_PART_REDACTED) {
        put_reasoning(writer, json, index);
        return;
    }
    json_open_object(json);
    put_item_id(writer, json, "id", index);
    if (item->kind == CHAT_PART_TOOL_CALL) {
        json_member_str(json, "type",
                        item->custom ? STR("custom_tool_call") : STR("function_call"));
        json_member_str(json, "status", status);
        json_member_str(json, item->custom ? "input" : "arguments", text);
        json_member_str(json, "call_id", buf_str(&item->id));
        json_member_str(json, "name", buf_str(&item->name));
    } else {
        json_member_str(json, "type", STR("message"));
        json_member_str(json, "status", status);
        json_key_array(json, "content");
        if (item->done)
            put_part(json, item, text);
        json_close_array(json);
        json_member_str(json, "role", STR("assistant"));
    }
    json_close_object(json);
}

static void
put_response(struct responses_writer *writer, const char *type, enum chat_finish finish,
             struct buf *out)
{
    struct json_writer json;
    const struct responses_head head = {.id = writer->options.id,
                                        .model = writer->options.model,
                                        .created = writer->options.created,
                                        .finish = finish,
                                        .usage =
                                            finish != CHAT_FINISH_NONE ? &writer->usage : NULL};
    event_open(writer, &json, type, out);
    json_key(&json, "response");
    responses_put_head(&json, &head);
    json_open_array(&json);
    for (uint32_t i = 0; i < writer->item_count && finish != CHAT_FINISH_NONE; i++)
        put_item(writer, &json, i);
    json_close_array(&json);
    responses_put_tail(&json, &head);
    emit_event_close(&json);
}

static void
start(struct responses_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct stream_writer_options *options = &writer->options;
    if (writer->started)
        return;
    writer->started = true;
    if (event->kind == CHAT_EVENT_START) {
        if (options->id.len == 0 && buf_put_str(&writer->id, event->id) == 0)
            options->id = buf_str(&writer->id);
        if (options->model.len == 0 && buf_put_str(&writer->model, event->model) == 0)
            options->model = buf_str(&writer->model);
        if (options->created == 0)
            options->created = event->created;
    }
    put_response(writer, "response.created", CHAT_FINISH_NONE, out);
    put_response(writer, "response.in_progress", CHAT_FINISH_NONE, out);
}

/* ---- items ----------------------------------------------------------------------------------- */

static void
part_event(struct responses_writer *writer, uint32_t index, bool done, struct buf *out)
{
    struct json_writer json;
    const struct item *item = &writer->items[index];
    bool summary = item->kind == CHAT_PART_REASONING;
    event_open(writer, &json,
               summary ? done ? "response.reasoning_summary_part.done"
                              : "response.reasoning_summary_part.added"
               : done  ? "response.content_part.done"
                       : "response.content_part.added",
               out);
    put_place(writer, &json, index);
    json_key(&json, "part");
    put_part(&json, item, done ? buf_str(&item->text) : STR_EMPTY);
    emit_event_close(&json);
}

static struct item *
item_add(struct responses_writer *writer, enum chat_part_kind kind)
{
    if (writer->item_count == writer->item_cap) {
        uint32_t cap = writer->item_cap == 0 ? 4 : writer->item_cap * 2;
        struct item *grown = cap > ITEMS_MAX ? NULL : realloc(writer->items, cap * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        writer->items = grown;
        writer->item_cap = cap;
    }
    struct item *item = &writer->items[writer->item_count++];
    *item = (struct item){.kind = kind, .base = writer->text_size};
    buf_init(&item->cited, ITEM_BYTES_MAX);
    buf_init(&item->text, ITEM_BYTES_MAX);
    buf_init(&item->id, kind == CHAT_PART_TOOL_CALL ? ID_BYTES_MAX : ITEM_BYTES_MAX);
    buf_init(&item->name, NAME_BYTES_MAX);
    return item;
}

static void
item_begin(struct responses_writer *writer, uint32_t index, struct buf *out)
{
    struct json_writer json;
    enum chat_part_kind kind = writer->items[index].kind;
    event_open(writer, &json, "response.output_item.added", out);
    json_member_u64(&json, "output_index", index);
    json_key(&json, "item");
    put_item(writer, &json, index);
    emit_event_close(&json);
    if (kind != CHAT_PART_TOOL_CALL && kind != CHAT_PART_REDACTED)
        part_event(writer, index, false, out);
}

/* The event that repeats the whole of what came in deltas. */
static void
item_whole(struct responses_writer *writer, uint32_t index, struct buf *out)
{
    struct json_writer json;
    const struct item *item = &writer->items[index];
    bool call = item->kind == CHAT_PART_TOOL_CALL;
    const char *type = call && item->custom                ? "response.custom_tool_call_input.done"
                       : call                              ? "response.function_call_arguments.done"
                       : item->kind == CHAT_PART_REASONING ? "response.reasoning_summary_text.done"
                       : item->kind == CHAT_PART_REFUSAL   ? "response.refusal.done"
                                                           : "response.output_text.done";
    event_open(writer, &json, type, out);
    put_place(writer, &json, index);
    json_member_str(&json,
                    call                              ? item->custom ? "input" : "arguments"
                    : item->kind == CHAT_PART_REFUSAL ? "refusal"
                                                      : "text",
                    buf_str(&item->text));
    if (item->kind == CHAT_PART_TEXT)
        put_logprobs(&json, &item->id);
    emit_event_close(&json);
}

static void
item_end(struct responses_writer *writer, uint32_t index, struct buf *out)
{
    struct json_writer json;
    struct item *item = &writer->items[index];
    if (item->done)
        return;
    if (item->kind != CHAT_PART_REDACTED)
        item_whole(writer, index, out);
    if (item->kind != CHAT_PART_TOOL_CALL && item->kind != CHAT_PART_REDACTED)
        part_event(writer, index, true, out);
    item->done = true;
    event_open(writer, &json, "response.output_item.done", out);
    json_member_u64(&json, "output_index", index);
    json_key(&json, "item");
    put_item(writer, &json, index);
    emit_event_close(&json);
}

/* Text and thoughts come one after the other; a call ends by itself. */
static void
end_open(struct responses_writer *writer, bool calls, struct buf *out)
{
    for (uint32_t i = 0; i < writer->item_count; i++)
        if (calls || writer->items[i].kind != CHAT_PART_TOOL_CALL)
            item_end(writer, i, out);
}

static void
put_delta(struct responses_writer *writer, uint32_t index, struct str text, struct buf *out)
{
    struct json_writer json;
    struct item *item = &writer->items[index];
    bool call = item->kind == CHAT_PART_TOOL_CALL;
    const char *type = call && item->custom ? "response.custom_tool_call_input.delta"
                       : call               ? "response.function_call_arguments.delta"
                       : item->kind == CHAT_PART_REASONING ? "response.reasoning_summary_text.delta"
                       : item->kind == CHAT_PART_REFUSAL   ? "response.refusal.delta"
                                                           : "response.output_text.delta";
    buf_put_str(&item->text, text);
    out->failed |= item->text.failed;
    event_open(writer, &json, type, out);
    put_place(writer, &json, index);
    json_member_str(&json, "delta", text);
    if (item->kind == CHAT_PART_TEXT) {
        writer->text_size += cite_count(text);
        put_logprobs(&json, &writer->logprobs);
        if (item->id.len > 0 && writer->logprobs.len > 0)
            buf_put_byte(&item->id, ',');
        buf_put_str(&item->id, buf_str(&writer->logprobs));
        out->failed |= item->id.failed;
        writer->logprobs.len = 0;
    }
    emit_event_close(&json);
}

/* The item of this kind that grows now, or a new one. */
static int
put_text(struct responses_writer *writer, enum chat_part_kind kind, struct str text,
         struct buf *out)
{
    uint32_t last = writer->item_count;
    while (last > 0 && writer->items[last - 1].kind == CHAT_PART_TOOL_CALL)
        last--;
    if (last == 0 || last < writer->item_count || writer->items[last - 1].kind != kind ||
        writer->items[last - 1].done) {
        end_open(writer, false, out);
        if (item_add(writer, kind) == NULL)
            return -ERR_TOO_LARGE;
        last = writer->item_count;
        item_begin(writer, last - 1, out);
    }
    if (text.len > 0)
        put_delta(writer, last - 1, text, out);
    return 0;
}

/* Of the text that the citation begins in; without any there is nothing to cite. */
static int
put_citation(struct responses_writer *writer, const struct chat_citation *citation, struct buf *out)
{
    struct json_writer json;
    uint32_t index = writer->item_count;
    while (index > 0 && (writer->items[index - 1].kind != CHAT_PART_TEXT ||
                         writer->items[index - 1].base > citation->start))
        index--;
    if (index-- == 0 || writer->items[index].cited_count == CHAT_CITATIONS_MAX)
        return 0;
    struct item *item = &writer->items[index];
    size_t from = item->cited.len;
    if (from > 0)
        buf_put_byte(&item->cited, ',');
    json_writer_init(&json, &item->cited);
    cite_put_openai(&json, citation, false, item->base, item->cited_count);
    if (item->cited.failed)
        return -ERR_TOO_LARGE;
    from += from > 0;
    event_open(writer, &json, "response.output_text.annotation.added", out);
    put_place(writer, &json, index);
    json_member_u64(&json, "annotation_index", item->cited_count++);
    json_member_raw(&json, "annotation", str_skip(buf_str(&item->cited), from));
    emit_event_close(&json);
    return 0;
}

static int
put_signature(struct responses_writer *writer, const struct chat_event *event, struct buf *out)
{
    if (event->kind == CHAT_EVENT_REDACTED) {
        end_open(writer, false, out);
        struct item *item = item_add(writer, CHAT_PART_REDACTED);
        if (item == NULL)
            return -ERR_TOO_LARGE;
        buf_put_str(&item->id, event->text);
        item_begin(writer, writer->item_count - 1, out);
    } else {
        int rc = put_text(writer, CHAT_PART_REASONING, STR_EMPTY, out);
        if (rc < 0)
            return rc;
        buf_put_str(&writer->items[writer->item_count - 1].id, event->text);
    }
    item_end(writer, writer->item_count - 1, out);
    return 0;
}

static int
put_call(struct responses_writer *writer, const struct chat_event *event, struct buf *out)
{
    end_open(writer, false, out);
    struct item *item = item_add(writer, CHAT_PART_TOOL_CALL);
    if (item == NULL)
        return -ERR_TOO_LARGE;
    item->tool = event->tool;
    item->custom = event->custom;
    writer->called = true;
    buf_put_str(&item->id, event->id);
    buf_put_str(&item->name, event->name);
    if (item->id.failed || item->name.failed)
        return -ERR_TOO_LARGE;
    item_begin(writer, writer->item_count - 1, out);
    return 0;
}

static uint32_t
call_index(const struct responses_writer *writer, uint32_t tool)
{
    for (uint32_t i = writer->item_count; i-- > 0;)
        if (writer->items[i].kind == CHAT_PART_TOOL_CALL && writer->items[i].tool == tool &&
            !writer->items[i].done)
            return i;
    return UINT32_MAX;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void
put_end(struct responses_writer *writer, struct buf *out)
{
    enum chat_finish finish = writer->finish;
    bool refused = false;
    for (uint32_t i = 0; i < writer->item_count; i++)
        refused = refused || writer->items[i].kind == CHAT_PART_REFUSAL;
    if (finish == CHAT_FINISH_NONE || (finish == CHAT_FINISH_FILTER && refused))
        finish = CHAT_FINISH_STOP; /* a refusal with words is a complete answer here */
    end_open(writer, true, out);
    put_response(writer,
                 finish == CHAT_FINISH_LENGTH || finish == CHAT_FINISH_FILTER
                     ? "response.incomplete"
                     : "response.completed",
                 finish == CHAT_FINISH_ERROR ? CHAT_FINISH_STOP : finish, out);
    writer->ended = true;
}

static int
writer_error(const struct chat_error *error, struct buf *out)
{
    struct responses_writer none = {.options = {.id = STR("error"), .model = STR_EMPTY}};
    const struct responses_head head = {
        .id = STR("error"), .model = STR_EMPTY, .finish = CHAT_FINISH_ERROR, .error = error};
    struct json_writer json;
    event_open(&none, &json, "error", out);
    json_key(&json, "error");
    responses_put_error(&json, error, true);
    json_member_str(&json, "code", error->code);
    json_member_str(&json, "message", error->message);
    emit_event_close(&json);
    event_open(&none, &json, "response.failed", out);
    json_key(&json, "response");
    responses_put_head(&json, &head);
    json_value_raw(&json, STR("[]"));
    responses_put_tail(&json, &head);
    emit_event_close(&json);
    return out->failed ? -ERR_NOMEM : 0;
}

static int
put_event(struct responses_writer *writer, const struct chat_event *event, struct buf *out)
{
    uint32_t index = call_index(writer, event->tool);
    switch (event->kind) {
    case CHAT_EVENT_TEXT:
        return put_text(writer, CHAT_PART_TEXT, event->text, out);
    case CHAT_EVENT_REFUSAL:
        return put_text(writer, CHAT_PART_REFUSAL, event->text, out);
    case CHAT_EVENT_REASONING:
        return put_text(writer, CHAT_PART_REASONING, event->text, out);
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_REDACTED:
        return put_signature(writer, event, out);
    case CHAT_EVENT_TOOL_START:
        return put_call(writer, event, out);
    case CHAT_EVENT_TOOL_DELTA:
        if (index != UINT32_MAX)
            put_delta(writer, index, event->text, out);
        return 0;
    case CHAT_EVENT_TOOL_END:
        if (index != UINT32_MAX)
            item_end(writer, index, out);
        return 0;
    case CHAT_EVENT_FINISH:
        if (writer->finish == CHAT_FINISH_NONE)
            writer->finish = event->finish;
        return event->id.len > 0 ? put_text(writer, CHAT_PART_REFUSAL, event->id, out) : 0;
    case CHAT_EVENT_LOGPROBS: /* several may come before their text */
        if (writer->logprobs.len > 0)
            buf_put_byte(&writer->logprobs, ',');
        return buf_put_str(&writer->logprobs, responses_chat_logprobs(event->text));
    case CHAT_EVENT_CITATION:
        return put_citation(writer, event->citation, out);
    case CHAT_EVENT_USAGE:
        writer->usage = event->usage;
        return 0;
    case CHAT_EVENT_ERROR:
        writer->ended = true;
        return writer_error(&event->error, out);
    case CHAT_EVENT_END:
        put_end(writer, out);
        return 0;
    case CHAT_EVENT_START:
    case CHAT_EVENT_PING:
        break;
    }
    return 0;
}

static int
write_event(void *state, const struct chat_event *event, struct buf *out)
{
    struct responses_writer *writer = state;
    if (writer->ended || event->choice > 0) /* one answer */
        return 0;
    if (event->kind != CHAT_EVENT_PING && event->kind != CHAT_EVENT_ERROR &&
        event->kind != CHAT_EVENT_USAGE)
        start(writer, event, out);
    int rc = put_event(writer, event, out);
    return out->failed ? -ERR_TOO_LARGE : rc;
}

static int
writer_write(void *state, const struct chat_event *event, struct buf *out)
{
    struct responses_writer *writer = state;
    return freeform_write(&writer->held, event, write_event, writer, out);
}

const struct stream_writer_class responses_writer_class = {
    .size = sizeof(struct responses_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = writer_error,
    .keepalive = emit_keepalive,
};
