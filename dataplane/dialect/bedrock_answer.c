/* SPDX-License-Identifier: MIT
 * bedrock_answer.c - Converse answers, whole and streamed: looked at and read.
 * Floor: dataplane/dialect; any thread, one a stream.
 * Owns: nothing.
 * Invariant: every TOOL_START is followed by exactly one TOOL_END, unless the stream is cut; the
 *            end is the usage behind messageStop. Spec: WIRE-FORMATS 4. Proved by
 *            conform_test.c. */
#include "dataplane/dialect/bedrock_int.h"

#include "dataplane/chat/claim.h"

/* ---- words of the dialect -------------------------------------------------------------------- */

enum chat_finish
bedrock_finish(const struct json_doc *doc, uint32_t node)
{
    static const struct intake_finish rows[] = {
        {"end_turn", CHAT_FINISH_STOP},
        {"stop_sequence", CHAT_FINISH_STOP},
        {"max_tokens", CHAT_FINISH_LENGTH},
        {"model_context_window_exceeded", CHAT_FINISH_LENGTH},
        {"tool_use", CHAT_FINISH_TOOL_CALLS},
        {"content_filtered", CHAT_FINISH_FILTER},
        {"guardrail_intervened", CHAT_FINISH_FILTER},
        {"malformed_model_output", CHAT_FINISH_ERROR},
        {"malformed_tool_use", CHAT_FINISH_ERROR}};
    return intake_finish(doc, node, rows, ARRAY_LEN(rows));
}

/* Cached and written tokens stand beside the input's, as with Anthropic. */
bool
bedrock_usage(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    bool *clamped = &found.clamped;
    uint32_t in = json_get(doc, object, STR("inputTokens"));
    uint32_t out = json_get(doc, object, STR("outputTokens"));
    if (in == JSON_NONE && out == JSON_NONE)
        return false;
    found.count[USAGE_input] = claim_count(doc, in, clamped);
    found.count[USAGE_output] = claim_count(doc, out, clamped);
    found.count[USAGE_cached] =
        claim_count(doc, json_get(doc, object, STR("cacheReadInputTokens")), clamped);
    found.count[USAGE_cache_write] =
        claim_count(doc, json_get(doc, object, STR("cacheWriteInputTokens")), clamped);
    *usage = found;
    return true;
}

/* ---- whole answers --------------------------------------------------------------------------- */

void
bedrock_answer_look(const struct json_doc *doc, struct stream_look *ret_look)
{
    struct stream_look look = {0};
    uint32_t content = json_path(doc, 0, "output.message.content");
    if (!json_is(doc, 0, JSON_OBJECT))
        look.flags |= STREAM_MALFORMED;
    if (json_is(doc, json_get(doc, 0, STR("message")), JSON_STRING))
        look.flags |= STREAM_ERROR;
    if (!json_is(doc, content, JSON_ARRAY))
        content = JSON_NONE;
    for (uint32_t at = json_first(doc, content); at != JSON_NONE;
         at = json_sibling(doc, content, at)) {
        look.flags |= STREAM_TOKEN;
        if (json_get(doc, at, STR("toolUse")) != JSON_NONE)
            look.flags |= STREAM_TOOLS;
    }
    if (bedrock_usage(doc, json_get(doc, 0, STR("usage")), &look.usage))
        look.flags |= STREAM_USAGE;
    look.finish = bedrock_finish(doc, json_get(doc, 0, STR("stopReason")));
    if (look.finish != CHAT_FINISH_NONE)
        look.flags |= STREAM_FINISH | STREAM_END;
    look.total_bytes = json_raw(doc, content).len;
    look.delta_bytes = (uint32_t)MIN(look.total_bytes, (uint64_t)UINT32_MAX);
    look.seen = look.flags;
    *ret_look = look;
}

/* Arguments come printed over several lines; as a text they are sent without the blanks. */
static int
compact(struct arena *arena, struct str raw, struct str *ret_text)
{
    char *text = arena_alloc(arena, raw.len + 1);
    size_t size = 0;
    bool inside = false;
    if (text == NULL)
        return -ERR_NOMEM;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (!inside && (c == ' ' || c == '\n' || c == '\r' || c == '\t'))
            continue;
        if (c == '"')
            inside = !inside;
        text[size++] = c;
        if (inside && c == '\\') /* what it escapes ends no string */
            text[size++] = raw.ptr[++i];
    }
    *ret_text = str_make(text, size);
    return 0;
}

static int
read_call(const struct intake *in, uint32_t use, struct chat_part **list)
{
    struct chat_part *part = chat_part_add(list, CHAT_PART_TOOL_CALL, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    part->text = STR("{}");
    int rc = intake_member(in, use, "toolUseId", &part->id);
    if (rc == 0)
        rc = intake_member(in, use, "name", &part->name);
    if (rc == 0)
        rc = intake_object(in, json_get(in->doc, use, STR("input")), "toolUse.input", &part->text);
    return rc < 0 ? rc : compact(in->arena, part->text, &part->text);
}

static int
read_reasoning(const struct intake *in, uint32_t reasoning, struct chat_part **list)
{
    uint32_t text = json_get(in->doc, reasoning, STR("reasoningText"));
    bool redacted = text == JSON_NONE;
    struct chat_part *part =
        chat_part_add(list, redacted ? CHAT_PART_REDACTED : CHAT_PART_REASONING, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    if (redacted)
        return intake_member(in, reasoning, "redactedContent", &part->signature);
    int rc = intake_member(in, text, "text", &part->text);
    return rc < 0 ? rc : intake_member(in, text, "signature", &part->signature);
}

static int
read_block(const struct intake *in, uint32_t node, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t text = json_get(doc, node, STR("text"));
    uint32_t use = json_get(doc, node, STR("toolUse"));
    uint32_t reasoning = json_get(doc, node, STR("reasoningContent"));
    if (json_is(doc, use, JSON_OBJECT))
        return read_call(in, use, list);
    if (json_is(doc, reasoning, JSON_OBJECT))
        return read_reasoning(in, reasoning, list);
    if (text == JSON_NONE)
        return 0;
    struct chat_part *part = chat_part_add(list, CHAT_PART_TEXT, in->arena);
    return part == NULL ? -ERR_NOMEM : intake_text(in, text, "text", &part->text);
}

int
bedrock_answer_in(const struct json_doc *doc, struct arena *arena, struct chat_answer *ret_answer,
                  struct err *err)
{
    const struct intake in = {doc, arena, err};
    struct chat_answer answer = {.id = STR("bedrock"), .model = STR_EMPTY}; /* it names neither */
    uint32_t content = json_path(doc, 0, "output.message.content");
    if (!json_is(doc, content, JSON_ARRAY))
        return err_set(err, ERR_INVALID, "the answer has no content");
    struct chat_choice *choice = chat_choice_add(&answer.choices, 0, arena);
    if (choice == NULL)
        return -ERR_NOMEM;
    struct chat_part **end = &choice->parts;
    for (uint32_t at = json_first(doc, content); at != JSON_NONE;
         at = json_sibling(doc, content, at)) {
        int rc = read_block(&in, at, end);
        if (rc < 0)
            return rc;
        end = *end != NULL ? &(*end)->next : end;
    }
    choice->finish = bedrock_finish(doc, json_get(doc, 0, STR("stopReason")));
    (void)bedrock_usage(doc, json_get(doc, 0, STR("usage")), &answer.usage);
    *ret_answer = answer;
    return 0;
}

/* ---- streams --------------------------------------------------------------------------------- */

struct bedrock_reader {
    uint32_t call_count;
    enum chat_finish finish;
    bool in_tool;
    bool any_argument;
    bool started;
    bool ended;
};
static struct bedrock_reader *
reader_of(const struct feed *feed)
{
    return feed->reader;
}

static bool
is_exception(struct str name)
{
    return str_ends(name, STR("Exception")) || str_eq(name, STR("error"));
}

static void
look_at(struct stream_look *look, const struct json_doc *doc, struct str name)
{
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t arguments = json_path(doc, delta, "toolUse.input");
    if (str_eq(name, STR("contentBlockDelta"))) {
        look->delta_bytes = feed_bytes(doc, json_get(doc, delta, STR("text"))) +
                            feed_bytes(doc, json_path(doc, delta, "reasoningContent.text")) +
                            feed_bytes(doc, arguments);
        if (look->delta_bytes > 0)
            look->flags |= STREAM_TOKEN;
        if (feed_bytes(doc, arguments) > 0)
            look->flags |= STREAM_TOOLS;
    } else if (str_eq(name, STR("contentBlockStart"))) {
        if (json_is(doc, json_path(doc, 0, "start.toolUse"), JSON_OBJECT)) {
            look->flags |= STREAM_TOKEN | STREAM_TOOLS;
            look->delta_bytes = feed_bytes(doc, json_path(doc, 0, "start.toolUse.name"));
        }
    } else if (str_eq(name, STR("messageStop"))) {
        look->finish = bedrock_finish(doc, json_get(doc, 0, STR("stopReason")));
        look->flags |= STREAM_FINISH;
    } else if (str_eq(name, STR("metadata"))) {
        if (bedrock_usage(doc, json_get(doc, 0, STR("usage")), &look->usage))
            look->flags |= STREAM_USAGE;
        if ((look->seen & STREAM_FINISH) != 0)
            look->flags |= STREAM_END;
    }
}

static void
reader_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    look->flags = 0;
    look->delta_bytes = 0;
    if (is_exception(frame->name))
        look->flags = STREAM_ERROR;
    else if (json_scan(scratch, frame->data, &dialect_reply_limits, NULL) < 0 ||
             !json_is(scratch, 0, JSON_OBJECT))
        look->flags = STREAM_MALFORMED;
    else
        look_at(look, scratch, frame->name);
    look->total_bytes += look->delta_bytes;
    look->seen |= look->flags;
}

static void
reader_init(void *state)
{
    struct bedrock_reader *reader = state;
    *reader = (struct bedrock_reader){0};
}

static void
reader_fini(void *state)
{
    (void)state;
}

static int
end_tool(struct feed *feed)
{
    struct bedrock_reader *reader = reader_of(feed);
    uint32_t tool = reader->call_count - 1;
    if (!reader->in_tool)
        return 0;
    reader->in_tool = false;
    int rc = reader->any_argument ? 0 : feed_delta(feed, 0, tool, STR("{}"));
    return rc < 0 ? rc : feed_tool_end(feed, 0, tool);
}

static int
read_message_start(struct feed *feed)
{
    if (reader_of(feed)->started)
        return 0;
    reader_of(feed)->started = true;
    return feed_start(feed, STR("bedrock"), STR_EMPTY);
}

static int
read_block_start(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    struct bedrock_reader *reader = reader_of(feed);
    uint32_t use = json_path(doc, 0, "start.toolUse");
    struct str id = STR_EMPTY;
    struct str name = STR_EMPTY;
    int rc = end_tool(feed); /* a stop that never came */
    if (rc < 0 || !json_is(doc, use, JSON_OBJECT))
        return rc;
    if (reader->call_count == FEED_CALLS_MAX)
        return -ERR_TOO_LARGE;
    rc = intake_member(&feed->in, use, "toolUseId", &id);
    if (rc == 0)
        rc = intake_member(&feed->in, use, "name", &name);
    reader->in_tool = true;
    reader->any_argument = false;
    return rc < 0 ? rc : feed_tool_start(feed, 0, reader->call_count++, id, name);
}

static int
read_block_delta(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    const struct intake *in = &feed->in;
    struct bedrock_reader *reader = reader_of(feed);
    uint32_t delta = json_get(doc, 0, STR("delta"));
    uint32_t reasoning = json_get(doc, delta, STR("reasoningContent"));
    const struct {
        uint32_t object;
        const char *name;
        enum chat_event_kind kind;
    } texts[] = {{delta, "text", CHAT_EVENT_TEXT},
                 {reasoning, "text", CHAT_EVENT_REASONING},
                 {reasoning, "signature", CHAT_EVENT_SIGNATURE},
                 {reasoning, "redactedContent", CHAT_EVENT_REDACTED}};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts) && rc == 0; i++) {
        struct str text = STR_EMPTY;
        rc = intake_member(in, texts[i].object, texts[i].name, &text);
        if (rc == 0)
            rc = feed_text(feed, texts[i].kind, 0, text);
    }
    struct str input = STR_EMPTY;
    if (rc == 0)
        rc = intake_text(in, json_path(doc, delta, "toolUse.input"), "input", &input);
    if (rc < 0 || !reader->in_tool || input.len == 0)
        return rc;
    reader->any_argument = true;
    return feed_delta(feed, 0, reader->call_count - 1, input);
}

static int
read_message_stop(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    int rc = end_tool(feed);
    reader_of(feed)->finish = bedrock_finish(doc, json_get(doc, 0, STR("stopReason")));
    return rc < 0 ? rc : feed_finish(feed, 0, reader_of(feed)->finish);
}

static int
read_metadata(struct feed *feed)
{
    const struct json_doc *doc = feed->in.doc;
    struct usage usage;
    int rc = 0;
    if (bedrock_usage(doc, json_get(doc, 0, STR("usage")), &usage))
        rc = feed_usage(feed, &usage);
    if (rc < 0 || reader_of(feed)->finish == CHAT_FINISH_NONE)
        return rc;
    reader_of(feed)->ended = true;
    return feed_end(feed);
}

static const struct feed_row rows[] = {
    {"contentBlockDelta", read_block_delta}, {"contentBlockStart", read_block_start},
    {"contentBlockStop", end_tool},          {"messageStart", read_message_start},
    {"messageStop", read_message_stop},      {"metadata", read_metadata},
};

static int
read_event(struct feed *feed, struct str name)
{
    if (!is_exception(name))
        return feed_row_read(feed, rows, ARRAY_LEN(rows), name);
    reader_of(feed)->ended = true;
    return feed_error(feed, 0);
}

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct bedrock_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    return feed_close(&feed, open ? read_event(&feed, frame->name) : feed.rc, ret_events);
}

const struct stream_reader_class bedrock_reader_class = {
    .size = sizeof(struct bedrock_reader),
    .look = reader_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
};
