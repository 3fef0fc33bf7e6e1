/* SPDX-License-Identifier: MIT
 * gemini_reader.c - streamGenerateContent: looked at in passing, and read into canonical events.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the texts so far, which citations count bytes of.
 * Invariant: calls come whole; FINISH and END come with the end of the connection, and only when
 *            every candidate that began has a finishReason. Spec: WIRE-FORMATS 4.3. Proved by
 *            conform_test.c. */
#include "lib/base/map.h"
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/gemini_int.h"

#define CHOICES_MAX 16u /* candidates; the API allows 8 */

#define CITED_MAX 256u /* citations that are known again */

struct gemini_reader {
    struct buf text[CHOICES_MAX];
    struct usage usage;
    uint64_t cited[CITED_MAX];
    uint32_t cited_count;
    enum chat_finish finish[CHOICES_MAX];
    uint32_t calls[CHOICES_MAX];
    bool begun[CHOICES_MAX];
    bool started;
    bool ended;
};

static void
reader_look(struct stream_look *look, const struct stream_frame *frame, struct json_doc *scratch)
{
    feed_look(look, frame, scratch, gemini_look_at);
}

static void
reader_init(void *state)
{
    struct gemini_reader *reader = state;
    *reader = (struct gemini_reader){0};
    for (uint32_t i = 0; i < CHOICES_MAX; i++)
        buf_init(&reader->text[i], CITE_TEXT_BYTES_MAX);
}

static void
reader_fini(void *state)
{
    struct gemini_reader *reader = state;
    for (uint32_t i = 0; i < CHOICES_MAX; i++)
        buf_fini(&reader->text[i]);
}

/* Later chunks may repeat what earlier ones said. */
static bool
is_cited(struct gemini_reader *reader, uint32_t choice, const struct chat_citation *citation)
{
    uint64_t hash = map_hash(citation->url) ^ (map_hash(citation->title) << 1);
    hash = ((hash * 31 + citation->start) * 31 + citation->end) * 31 + choice;
    for (uint32_t i = 0; i < reader->cited_count; i++)
        if (reader->cited[i] == hash)
            return true;
    if (reader->cited_count < CITED_MAX)
        reader->cited[reader->cited_count++] = hash;
    return false;
}

static int
read_citations(struct feed *feed, struct gemini_reader *reader, uint32_t choice, uint32_t node)
{
    const struct buf *text = &reader->text[choice];
    struct chat_citation *list = NULL;
    if (text->failed) /* too long to keep, and so to count in */
        return 0;
    int rc = gemini_cite(&feed->in, node, JSON_NONE, buf_str(text), &list);
    for (struct chat_citation **at = &list; *at != NULL;) {
        if (is_cited(reader, choice, *at))
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    return rc < 0 ? rc : cite_feed(feed, choice, list);
}

/* An id for a call that came without one: from the answer's own id, and so the same each time. */
static int
read_call(struct feed *feed, struct gemini_reader *reader, struct str answer_id, uint32_t choice,
          const struct chat_part *part)
{
    struct arena *arena = feed->in.arena;
    struct str id = part->id;
    uint32_t tool = reader->calls[choice];
    if (tool == FEED_CALLS_MAX)
        return -ERR_TOO_LARGE;
    reader->calls[choice]++;
    if (id.len == 0)
        id = arena_printf(arena, "call_%.*s_%u_%u", (int)MIN(answer_id.len, (size_t)48),
                          answer_id.ptr, choice, tool);
    if (id.ptr == NULL || seal_id(arena, id, part->signature, &id) < 0)
        return -ERR_NOMEM;
    return feed_call(feed, choice, tool, id, part->name, part->text);
}

/* A picture in an answer has no event: it goes along as the Markdown that shows it. */
static int
read_media(struct feed *feed, uint32_t choice, const struct chat_part *part)
{
    struct str text = part->data.len > 0
                          ? arena_printf(feed->in.arena, "![image](data:%.*s;base64,%.*s)",
                                         STR_ARG(part->media_type), STR_ARG(part->data))
                          : arena_printf(feed->in.arena, "![image](%.*s)", STR_ARG(part->url));
    return text.ptr == NULL ? -ERR_NOMEM : feed_text(feed, CHAT_EVENT_TEXT, choice, text);
}

static int
read_part(struct feed *feed, struct gemini_reader *reader, struct str answer_id, uint32_t choice,
          const struct chat_part *part)
{
    int rc = 0;
    switch (part->kind) {
    case CHAT_PART_TEXT: /* a signature of text may be left out: nothing is refused without it */
    case CHAT_PART_REFUSAL:
        buf_put_str(&reader->text[choice], part->text);
        return feed_text(feed, CHAT_EVENT_TEXT, choice, part->text);
    case CHAT_PART_REASONING:
        rc = feed_text(feed, CHAT_EVENT_REASONING, choice, part->text);
        return rc < 0 ? rc : feed_text(feed, CHAT_EVENT_SIGNATURE, choice, part->signature);
    case CHAT_PART_REDACTED:
        return feed_text(feed, CHAT_EVENT_REDACTED, choice, part->signature);
    case CHAT_PART_TOOL_CALL:
        return read_call(feed, reader, answer_id, choice, part);
    case CHAT_PART_IMAGE:
    case CHAT_PART_FILE:
    case CHAT_PART_AUDIO:
        return read_media(feed, choice, part);
    case CHAT_PART_TOOL_RESULT:
        break;
    }
    return 0;
}

static int
read_candidate(struct feed *feed, struct gemini_reader *reader, struct str answer_id, uint32_t node)
{
    const struct json_doc *doc = feed->in.doc;
    struct chat_part *parts = NULL;
    struct str logprobs = STR_EMPTY;
    struct str why = STR_EMPTY;
    uint64_t index = 0;
    if (json_u64(doc, json_get(doc, node, STR("index")), UINT32_MAX, &index) < 0)
        index = 0;
    if (index >= CHOICES_MAX)
        return -ERR_TOO_LARGE;
    uint32_t choice = (uint32_t)index;
    enum chat_finish finish = gemini_finish(doc, gemini_get(doc, node, "finishReason"));
    reader->begun[choice] = true;
    if (finish != CHAT_FINISH_NONE)
        reader->finish[choice] = finish;
    int rc = gemini_logprobs(&feed->in, node, &logprobs);
    if (rc == 0) /* before the text that they are about */
        rc = feed_text(feed, CHAT_EVENT_LOGPROBS, choice, logprobs);
    if (rc == 0)
        rc = gemini_parts_in(&feed->in, json_get(doc, node, STR("content")), true, &parts);
    for (const struct chat_part *part = parts; part != NULL && rc == 0; part = part->next)
        rc = read_part(feed, reader, answer_id, choice, part);
    if (rc == 0)
        rc = read_citations(feed, reader, choice, node);
    if (rc < 0 || finish != CHAT_FINISH_FILTER)
        return rc;
    rc = intake_text(&feed->in, gemini_get(doc, node, "finishMessage"), "finishMessage", &why);
    return rc < 0 ? rc : feed_text(feed, CHAT_EVENT_REFUSAL, choice, why);
}

static int
read_start(struct feed *feed, struct gemini_reader *reader, struct str *ret_id)
{
    const struct json_doc *doc = feed->in.doc;
    struct str model = STR_EMPTY;
    int rc = intake_text(&feed->in, gemini_get(doc, 0, "responseId"), "responseId", ret_id);
    if (rc == 0)
        rc = intake_text(&feed->in, gemini_get(doc, 0, "modelVersion"), "modelVersion", &model);
    if (rc < 0 || reader->started)
        return rc;
    reader->started = true;
    return feed_start(feed, *ret_id, model);
}

static int
read_chunk(struct feed *feed, struct gemini_reader *reader)
{
    const struct json_doc *doc = feed->in.doc;
    struct str id = STR_EMPTY;
    struct str blocked = STR_EMPTY;
    uint32_t list = json_get(doc, 0, STR("candidates"));
    uint32_t error = json_get(doc, 0, STR("error"));
    if (error_present(doc, error)) {
        reader->ended = true;
        return feed_error(feed, error);
    }
    if (!json_is(doc, list, JSON_ARRAY))
        list = JSON_NONE;
    int rc = read_start(feed, reader, &id);
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, list, at))
        rc = read_candidate(feed, reader, id, at);
    if (rc == 0)
        rc = gemini_block(&feed->in, &blocked);
    if (rc == 0 && blocked.len > 0) {
        reader->begun[0] = true;
        reader->finish[0] = CHAT_FINISH_FILTER;
        rc = feed_text(feed, CHAT_EVENT_REFUSAL, 0, blocked);
    }
    if (rc == 0 && gemini_usage(doc, 0, &reader->usage))
        rc = feed_usage(feed, &reader->usage);
    return rc;
}

static int
reader_read(void *state, const struct stream_frame *frame, struct json_doc *scratch,
            struct arena *arena, struct chat_event **ret_events, struct err *err)
{
    struct gemini_reader *reader = state;
    const struct intake in = {scratch, arena, err};
    struct feed feed;
    bool open = feed_open(&feed, reader, &in, scratch, frame, reader->ended);
    return feed_close(&feed, open ? read_chunk(&feed, reader) : feed.rc, ret_events);
}

static int
reader_close(void *state, struct arena *arena, struct chat_event **ret_events)
{
    struct gemini_reader *reader = state;
    struct feed feed = {.in = {NULL, arena, NULL}, .end = &feed.list};
    bool any = false;
    int rc = 0;
    *ret_events = NULL;
    for (uint32_t i = 0; i < CHOICES_MAX && !reader->ended; i++) {
        any = any || reader->begun[i];
        if (reader->begun[i] && reader->finish[i] == CHAT_FINISH_NONE)
            return 0; /* cut */
    }
    if (!any || reader->ended)
        return 0;
    reader->ended = true;
    for (uint32_t i = 0; i < CHOICES_MAX && rc == 0; i++) {
        enum chat_finish finish = reader->finish[i];
        if (finish == CHAT_FINISH_STOP && reader->calls[i] > 0)
            finish = CHAT_FINISH_TOOL_CALLS;
        rc = reader->begun[i] ? feed_finish(&feed, i, finish) : 0;
    }
    if (rc == 0)
        rc = feed_end(&feed);
    *ret_events = feed.list;
    return rc;
}

const struct stream_reader_class gemini_reader_class = {
    .size = sizeof(struct gemini_reader),
    .look = reader_look,
    .init = reader_init,
    .fini = reader_fini,
    .read = reader_read,
    .close = reader_close,
};
