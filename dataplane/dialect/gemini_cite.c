/* SPDX-License-Identifier: MIT
 * gemini_cite.c - groundingMetadata and citationMetadata of Gemini's answers.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: its offsets are bytes, ours code points; they are only converted with the text at
 *            hand. Proved by through_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/gemini_int.h"

#define CHUNKS_MAX 256u

/* One answer's text, and where each of its parts begins: bytes. */
struct grounding {
    const struct intake *in;
    struct str text;
    uint32_t parts; /* JSON_NONE: offsets are of the whole text */
    uint32_t chunks[CHUNKS_MAX];
    bool used[CHUNKS_MAX];
    uint32_t chunk_count;
    uint32_t left; /* citations that may still be read */
    struct chat_citation **list;
};

static int
part_base(const struct grounding *grounding, uint64_t index, size_t *ret_base)
{
    const struct json_doc *doc = grounding->in->doc;
    size_t base = 0;
    if (!json_is(doc, grounding->parts, JSON_ARRAY))
        index = 0;
    uint32_t at = index > 0 ? json_first(doc, grounding->parts) : JSON_NONE;
    for (; at != JSON_NONE && index > 0; at = json_sibling(doc, grounding->parts, at), index--) {
        struct str text = STR_EMPTY;
        if (json_is(doc, json_get(doc, at, STR("thought")), JSON_TRUE))
            continue;
        int rc = cite_string(grounding->in, json_get(doc, at, STR("text")), &text);
        if (rc < 0)
            return rc;
        base += text.len;
    }
    *ret_base = base;
    return 0;
}

/* Bytes from `base` on as code points of the whole text. */
static uint64_t
points(const struct grounding *grounding, size_t base, uint64_t bytes)
{
    size_t at = MIN(base + bytes, grounding->text.len);
    return cite_count(str_make(grounding->text.ptr, at));
}

static int
cite_chunk(struct grounding *grounding, uint32_t index, uint64_t start, uint64_t end)
{
    grounding->left--;
    static const char *const kinds[] = {"web", "retrievedContext", "maps"};
    const struct json_doc *doc = grounding->in->doc;
    uint32_t chunk = grounding->chunks[index];
    struct chat_citation citation = {.start = start, .end = end, .raw = json_raw(doc, chunk)};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint32_t body = gemini_get(doc, chunk, kinds[i]);
        int rc = cite_string(grounding->in, json_get(doc, body, STR("uri")), &citation.url);
        if (rc == 0)
            rc = cite_string(grounding->in, json_get(doc, body, STR("title")), &citation.title);
        if (rc == 0)
            rc = cite_string(grounding->in, json_get(doc, body, STR("text")), &citation.quote);
        if (rc < 0)
            return rc;
    }
    return chat_citation_add(grounding->list, &citation, grounding->in->arena);
}

static int
read_support(struct grounding *grounding, uint32_t support)
{
    const struct json_doc *doc = grounding->in->doc;
    uint32_t segment = json_get(doc, support, STR("segment"));
    uint32_t indices = gemini_get(doc, support, "groundingChunkIndices");
    uint64_t part = cite_number(doc, gemini_get(doc, segment, "partIndex"), 0);
    size_t base = 0;
    if (!json_is(doc, indices, JSON_ARRAY) || part >= CITE_PARTS_MAX)
        return 0;
    int rc = part_base(grounding, part, &base);
    uint64_t start = cite_number(doc, gemini_get(doc, segment, "startIndex"), 0);
    uint64_t end = cite_number(doc, gemini_get(doc, segment, "endIndex"), grounding->text.len);
    start = points(grounding, base, start);
    end = points(grounding, base, end);
    for (uint32_t at = json_first(doc, indices); at != JSON_NONE && rc == 0 && grounding->left > 0;
         at = json_sibling(doc, indices, at)) {
        uint64_t index = cite_number(doc, at, UINT32_MAX);
        if (index >= grounding->chunk_count)
            continue;
        grounding->used[index] = true;
        rc = cite_chunk(grounding, (uint32_t)index, start, end);
    }
    return rc;
}

/* Supports say which text is from where; a source that none of them names is the answer's. */
static int
read_grounding(struct grounding *grounding, uint32_t metadata)
{
    const struct json_doc *doc = grounding->in->doc;
    uint32_t chunks = gemini_get(doc, metadata, "groundingChunks");
    uint32_t supports = gemini_get(doc, metadata, "groundingSupports");
    int rc = 0;
    if (!json_is(doc, chunks, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, chunks);
         at != JSON_NONE && grounding->chunk_count < CHUNKS_MAX; at = json_sibling(doc, chunks, at))
        grounding->chunks[grounding->chunk_count++] = at;
    uint32_t count = CHAT_CITATIONS_MAX;
    uint32_t at = json_is(doc, supports, JSON_ARRAY) ? json_first(doc, supports) : JSON_NONE;
    for (; at != JSON_NONE && rc == 0 && count > 0; at = json_sibling(doc, supports, at), count--)
        rc = read_support(grounding, at);
    for (uint32_t i = 0; i < grounding->chunk_count && rc == 0 && grounding->left > 0; i++)
        if (!grounding->used[i])
            rc = cite_chunk(grounding, i, 0, cite_count(grounding->text));
    return rc;
}

/* What the model quotes: of the whole text. */
static int
read_quotes(const struct grounding *grounding, uint32_t metadata)
{
    const struct json_doc *doc = grounding->in->doc;
    uint32_t list = json_get(doc, metadata, STR("citationSources"));
    uint32_t left = CHAT_CITATIONS_MAX;
    int rc = 0;
    if (!json_is(doc, list, JSON_ARRAY))
        list = json_get(doc, metadata, STR("citations"));
    uint32_t at = json_is(doc, list, JSON_ARRAY) ? json_first(doc, list) : JSON_NONE;
    for (; at != JSON_NONE && rc == 0 && left > 0; at = json_sibling(doc, list, at), left--) {
        uint64_t start = cite_number(doc, gemini_get(doc, at, "startIndex"), 0);
        uint64_t end = cite_number(doc, gemini_get(doc, at, "endIndex"), grounding->text.len);
        struct chat_citation citation = {.start = points(grounding, 0, start),
                                         .end = points(grounding, 0, end),
                                         .raw = json_raw(doc, at)};
        rc = cite_string(grounding->in, json_get(doc, at, STR("uri")), &citation.url);
        if (rc == 0)
            rc = cite_string(grounding->in, json_get(doc, at, STR("title")), &citation.title);
        if (rc == 0)
            rc = chat_citation_add(grounding->list, &citation, grounding->in->arena);
    }
    return rc;
}

int
gemini_cite(const struct intake *in, uint32_t candidate, uint32_t parts, struct str text,
            struct chat_citation **list)
{
    struct grounding grounding = {
        .in = in, .text = text, .parts = parts, .left = CHAT_CITATIONS_MAX, .list = list};
    if (text.len > CITE_TEXT_BYTES_MAX)
        return 0;
    int rc = read_grounding(&grounding, gemini_get(in->doc, candidate, "groundingMetadata"));
    return rc < 0 ? rc
                  : read_quotes(&grounding, gemini_get(in->doc, candidate, "citationMetadata"));
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_chunk(struct json_writer *writer, const struct chat_citation *citation)
{
    bool web = citation->url.len > 0;
    json_open_object(writer);
    json_key_object(writer, web ? "web" : "retrievedContext");
    if (web)
        json_member_str(writer, "uri", citation->url);
    json_member_str(writer, "title", citation->title.len > 0 ? citation->title : citation->id);
    if (!web && citation->quote.len > 0)
        json_member_str(writer, "text", citation->quote);
    json_close_object(writer);
    json_close_object(writer);
}

/* The part of `parts` where a citation begins; texts in pieces are one part. */
static const struct chat_part *
part_of(const struct chat_part *parts, const struct chat_citation *citation, uint64_t *ret_base,
        uint32_t *ret_index)
{
    const struct chat_part *found = NULL;
    uint64_t base = 0;
    uint32_t index = 0;
    for (const struct chat_part *part = parts; part != NULL; part = part->next, index++) {
        if (part->kind != CHAT_PART_TEXT)
            continue;
        if (found != NULL && citation->start < base)
            break;
        found = part;
        *ret_base = base;
        *ret_index = index;
        base += cite_count(part->text);
    }
    return found;
}

/* Not more than what each citation can be looked for in. */
static bool
can_cite(const struct chat_part *parts)
{
    size_t bytes = 0;
    uint32_t count = 0;
    for (; parts != NULL && count <= CITE_PARTS_MAX; parts = parts->next, count++)
        bytes += parts->kind == CHAT_PART_TEXT ? parts->text.len : 0;
    return count <= CITE_PARTS_MAX && bytes <= CITE_TEXT_BYTES_MAX;
}

static void
put_support(struct json_writer *writer, const struct chat_citation *citation, uint32_t chunk,
            const struct chat_part *parts)
{
    uint64_t base = 0;
    uint32_t index = 0;
    const struct chat_part *part = part_of(parts, citation, &base, &index);
    if (part == NULL)
        return;
    size_t from = cite_offset(part->text, citation->start - base);
    struct str said = cite_span(part->text, citation->start - base, citation->end - base);
    json_open_object(writer);
    json_key_object(writer, "segment");
    if (index > 0)
        json_member_u64(writer, "partIndex", index);
    json_member_u64(writer, "startIndex", from);
    json_member_u64(writer, "endIndex", from + said.len);
    json_member_str(writer, "text", said);
    json_close_object(writer);
    json_key_array(writer, "groundingChunkIndices");
    json_value_u64(writer, chunk);
    json_close_array(writer);
    json_close_object(writer);
}

void
gemini_put_citations(struct json_writer *writer, const struct chat_citation *list,
                     const struct chat_part *parts)
{
    if (list == NULL || !can_cite(parts))
        return;
    json_key_object(writer, "groundingMetadata");
    json_key_array(writer, "groundingChunks");
    for (const struct chat_citation *at = list; at != NULL; at = at->next)
        put_chunk(writer, at);
    json_close_array(writer);
    json_key_array(writer, "groundingSupports");
    uint32_t chunk = 0;
    for (const struct chat_citation *at = list; at != NULL; at = at->next)
        put_support(writer, at, chunk++, parts);
    json_close_array(writer);
    json_close_object(writer);
}
