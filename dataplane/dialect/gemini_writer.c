/* SPDX-License-Identifier: MIT
 * gemini_writer.c - canonical events into streamGenerateContent chunks.
 * Floor: dataplane/dialect; one thread a stream.
 * Owns: the calls that are still in pieces; citations and the texts that they count in; copies of
 * the upstream's id and model.
 * Invariant: a call goes out whole, when it has ended; the last chunk has every finishReason and
 *            the usage, and comes only with a clean end. Spec: WIRE-FORMATS 4.3. Proved by
 *            writer_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/gemini_int.h"

#include "dataplane/chat/collect.h"
#include "dataplane/dialect/pieces_int.h"

#define CHOICES_MAX 128u
#define NAME_BYTES_MAX 256u
#define PART_BYTES_MAX (16u << 20)
#define CITED_CHOICES_MAX 8u /* candidates that the API knows */

struct gemini_writer {
    struct stream_writer_options options;
    struct buf id;
    struct buf model;
    struct buf refusal;
    struct usage usage;
    struct pieces pieces;
    struct collect cited;        /* texts and citations of the first candidates */
    uint8_t finish[CHOICES_MAX]; /* enum chat_finish */
    bool begun[CHOICES_MAX];
    bool ended;
};

static void
writer_init(void *state, const struct stream_writer_options *options)
{
    struct gemini_writer *writer = state;
    *writer = (struct gemini_writer){.options = *options};
    buf_init(&writer->id, NAME_BYTES_MAX);
    buf_init(&writer->model, NAME_BYTES_MAX);
    buf_init(&writer->refusal, 4096);
    collect_init(&writer->cited, CITE_TEXT_BYTES_MAX);
}

static void
writer_fini(void *state)
{
    struct gemini_writer *writer = state;
    pieces_fini(&writer->pieces);
    buf_fini(&writer->id);
    buf_fini(&writer->model);
    buf_fini(&writer->refusal);
    collect_fini(&writer->cited);
    *writer = (struct gemini_writer){0};
}

static void
start(struct gemini_writer *writer, const struct chat_event *event)
{
    struct stream_writer_options *options = &writer->options;
    if (options->id.len == 0 && buf_put_str(&writer->id, event->id) == 0)
        options->id = buf_str(&writer->id);
    if (options->model.len == 0 && buf_put_str(&writer->model, event->model) == 0)
        options->model = buf_str(&writer->model);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static size_t
chunk_open(struct json_writer *json, struct buf *out)
{
    size_t from = out->len;
    buf_put_str(out, STR("data: "));
    json_writer_init(json, out);
    json_open_object(json);
    json_key_array(json, "candidates");
    return from;
}

/* Raw JSON may bring line ends, which would end the data line; they are blanks to JSON. */
static void
chunk_close(const struct gemini_writer *writer, struct json_writer *json, size_t from)
{
    struct buf *out = json->out;
    json_member_str(json, "modelVersion", writer->options.model);
    json_member_str(json, "responseId", writer->options.id);
    json_close_object(json);
    for (size_t i = from; i < out->len; i++)
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r')
            out->ptr[i] = ' ';
    buf_put_str(out, STR("\n\n"));
}

static int
put_part(struct gemini_writer *writer, uint32_t choice, const struct chat_part *part,
         struct str logprobs, struct buf *out)
{
    struct json_writer json;
    struct arena arena;
    arena_init(&arena, PART_BYTES_MAX);
    size_t from = chunk_open(&json, out);
    json_open_object(&json);
    json_key_object(&json, "content");
    json_key_array(&json, "parts");
    int rc = gemini_put_part(&json, part, &arena);
    arena_fini(&arena);
    if (rc < 0)
        return rc;
    json_close_array(&json);
    json_member_str(&json, "role", STR("model"));
    json_close_object(&json);
    json_member_u64(&json, "index", choice);
    if (logprobs.len > 0)
        gemini_put_logprobs(&json, logprobs);
    json_close_object(&json);
    json_close_array(&json);
    chunk_close(writer, &json, from);
    return 0;
}

static int
put_text(struct gemini_writer *writer, const struct chat_event *event, struct buf *out)
{
    struct chat_part part = {.kind = CHAT_PART_TEXT, .text = event->text};
    if (event->kind == CHAT_EVENT_REASONING)
        part.kind = CHAT_PART_REASONING;
    if (event->kind == CHAT_EVENT_SIGNATURE || event->kind == CHAT_EVENT_REDACTED) {
        part.kind = event->kind == CHAT_EVENT_REDACTED ? CHAT_PART_REDACTED : CHAT_PART_REASONING;
        part.text = STR_EMPTY;
        part.signature = event->text;
    }
    if (event->kind == CHAT_EVENT_REFUSAL)
        writer->finish[event->choice] = CHAT_FINISH_FILTER;
    return put_part(writer, event->choice, &part, STR_EMPTY, out);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* What of the answer's text is from where, as far as it could be kept. */
static void
put_citations(struct gemini_writer *writer, struct json_writer *json, uint32_t index)
{
    struct chat_answer answer;
    if (writer->cited.failed || writer->cited.answer.choices == NULL ||
        collect_answer(&writer->cited, &answer) < 0)
        return;
    for (const struct chat_choice *at = answer.choices; at != NULL; at = at->next)
        if (at->index == index)
            gemini_put_citations(json, at->citations, at->parts);
}

static void
take_cited(struct gemini_writer *writer, const struct chat_event *event)
{
    bool cited = event->kind == CHAT_EVENT_TEXT || event->kind == CHAT_EVENT_CITATION;
    if (cited && event->choice < CITED_CHOICES_MAX && !writer->cited.failed)
        writer->cited.failed = collect_event(&writer->cited, event) < 0; /* too long to keep */
}

static int
put_end(struct gemini_writer *writer, struct buf *out)
{
    struct json_writer json;
    struct chat_part call;
    while (pieces_first(&writer->pieces, &call)) {
        int rc = put_part(writer, 0, &call, STR_EMPTY, out);
        pieces_drop(&writer->pieces, &call);
        if (rc < 0)
            return rc;
    }
    size_t from = chunk_open(&json, out);
    writer->begun[0] = true;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        if (!writer->begun[i])
            continue;
        json_open_object(&json);
        json_member_raw(&json, "content", STR("{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}"));
        json_member_str(&json, "finishReason",
                        gemini_finish_name((enum chat_finish)writer->finish[i]));
        if (i == 0 && writer->refusal.len > 0)
            json_member_str(&json, "finishMessage", buf_str(&writer->refusal));
        put_citations(writer, &json, i);
        json_member_u64(&json, "index", i);
        json_close_object(&json);
    }
    json_close_array(&json);
    if (writer->usage.evidence != EVIDENCE_NONE)
        gemini_put_usage(&json, &writer->usage);
    chunk_close(writer, &json, from);
    writer->ended = true;
    return 0;
}

static void
take_finish(struct gemini_writer *writer, const struct chat_event *event)
{
    uint8_t *finish = &writer->finish[event->choice];
    if (*finish == CHAT_FINISH_NONE)
        *finish = (uint8_t)event->finish;
    if (event->choice == 0)
        buf_put_str(&writer->refusal, event->id);
}

static int
writer_error(const struct chat_error *error, struct buf *out)
{
    buf_put_str(out, STR("data: "));
    int rc = gemini_put_error(error, out);
    buf_put_str(out, STR("\n\n"));
    return rc;
}

static int
put_event(struct gemini_writer *writer, const struct chat_event *event, struct buf *out)
{
    static const struct chat_part empty = {.kind = CHAT_PART_TEXT, .text = {"", 0}};
    struct chat_part call;
    int rc = 0;
    switch (event->kind) {
    case CHAT_EVENT_START:
        start(writer, event);
        return 0;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
    case CHAT_EVENT_REASONING:
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_REDACTED:
        return put_text(writer, event, out);
    case CHAT_EVENT_TOOL_START:
    case CHAT_EVENT_TOOL_DELTA:
        return pieces_take(&writer->pieces, event);
    case CHAT_EVENT_TOOL_END:
        if (!pieces_find(&writer->pieces, event, &call))
            return 0;
        rc = put_part(writer, event->choice, &call, STR_EMPTY, out);
        pieces_drop(&writer->pieces, &call);
        return rc;
    case CHAT_EVENT_FINISH:
        take_finish(writer, event);
        return 0;
    case CHAT_EVENT_USAGE:
        writer->usage = event->usage;
        return 0;
    case CHAT_EVENT_ERROR:
        writer->ended = true;
        return writer_error(&event->error, out);
    case CHAT_EVENT_END:
        return put_end(writer, out);
    case CHAT_EVENT_LOGPROBS:
        return put_part(writer, event->choice, &empty, event->text, out);
    case CHAT_EVENT_CITATION: /* with the last chunk */
    case CHAT_EVENT_PING:
        break;
    }
    return 0;
}

static int
writer_write(void *state, const struct chat_event *event, struct buf *out)
{
    struct gemini_writer *writer = state;
    if (writer->ended)
        return 0;
    if (event->choice >= CHOICES_MAX)
        return -ERR_TOO_LARGE;
    if (event->kind != CHAT_EVENT_USAGE && event->kind != CHAT_EVENT_START &&
        event->kind != CHAT_EVENT_END)
        writer->begun[event->choice] = true;
    take_cited(writer, event);
    int rc = put_event(writer, event, out);
    return out->failed ? -ERR_TOO_LARGE : rc;
}

const struct stream_writer_class gemini_writer_class = {
    .size = sizeof(struct gemini_writer),
    .init = writer_init,
    .fini = writer_fini,
    .write = writer_write,
    .error = writer_error,
    .keepalive = emit_keepalive,
};
