/* SPDX-License-Identifier: MIT
 * cite.c - citations of answers: offsets, and OpenAI's annotations.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see cite_int.h. */
#include "dataplane/dialect/cite_int.h"

#include "lib/text/utf8.h"
#include "dataplane/dialect/emit_int.h"

#define BLOCK_BYTES 1024u

/* ---- texts and offsets ----------------------------------------------------------------------- */

uint64_t
cite_count(struct str text)
{
    return utf8_count(text);
}

size_t
cite_offset(struct str text, uint64_t at)
{
    size_t byte = 0;
    while (text.len - byte > BLOCK_BYTES && at > BLOCK_BYTES) {
        at -= utf8_count(str_make(text.ptr + byte, BLOCK_BYTES));
        byte += BLOCK_BYTES;
    }
    while (byte < text.len && ((unsigned char)text.ptr[byte] & 0xc0u) == 0x80u)
        byte++; /* of the character before */
    for (; at > 0 && byte < text.len; at--) {
        byte++;
        while (byte < text.len && ((unsigned char)text.ptr[byte] & 0xc0u) == 0x80u)
            byte++;
    }
    return byte;
}

struct str
cite_span(struct str text, uint64_t start, uint64_t end)
{
    size_t from = cite_offset(text, start);
    struct str rest = str_skip(text, from);
    return str_make(rest.ptr, cite_offset(rest, end - MIN(start, end)));
}

int
cite_text(struct arena *arena, const struct chat_part *parts, struct str *ret_text)
{
    struct str text = STR_EMPTY;
    int rc = emit_join(arena, parts, EMIT_KIND(CHAT_PART_TEXT), STR_EMPTY, &text);
    *ret_text = text.ptr != NULL ? text : STR_EMPTY;
    return rc;
}

bool
cite_within(const struct chat_citation *citation, uint64_t base, uint64_t count, bool last)
{
    return citation->start >= base && (last || citation->start < base + count);
}

/* ---- reading --------------------------------------------------------------------------------- */

int
cite_string(const struct intake *in, uint32_t node, struct str *ret_text)
{
    struct str text = STR_EMPTY;
    if (!json_is(in->doc, node, JSON_STRING))
        return 0;
    int rc = json_string(in->doc, node, in->arena, &text);
    if (rc == 0)
        *ret_text = text;
    return rc == -ERR_NOMEM ? rc : 0;
}

uint64_t
cite_number(const struct json_doc *doc, uint32_t node, uint64_t otherwise)
{
    uint64_t number = 0;
    return json_u64(doc, node, UINT32_MAX, &number) == 0 ? number : otherwise;
}

int
cite_openai(const struct intake *in, uint32_t node, uint64_t base, uint64_t count,
            struct chat_citation **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t nested = json_get(doc, node, STR("url_citation"));
    uint32_t body = json_is(doc, nested, JSON_OBJECT) ? nested : node;
    uint32_t title = json_get(doc, body, STR("title"));
    struct chat_citation citation = {.raw = json_raw(doc, node)};
    citation.start = base + cite_number(doc, json_get(doc, body, STR("start_index")), 0);
    citation.end = base + cite_number(doc, json_get(doc, body, STR("end_index")), count);
    if (title == JSON_NONE)
        title = json_get(doc, body, STR("filename"));
    int rc = cite_string(in, json_get(doc, body, STR("url")), &citation.url);
    if (rc == 0)
        rc = cite_string(in, json_get(doc, body, STR("file_id")), &citation.id);
    if (rc == 0)
        rc = cite_string(in, title, &citation.title);
    if (rc == 0)
        rc = cite_string(in, json_get(doc, body, STR("content")), &citation.quote);
    return rc < 0 ? rc : chat_citation_add(list, &citation, in->arena);
}

int
cite_openai_list(const struct intake *in, uint32_t node, uint64_t base, uint64_t count,
                 struct chat_citation **list)
{
    int rc = 0;
    if (!json_is(in->doc, node, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(in->doc, node); at != JSON_NONE && rc == 0;
         at = json_sibling(in->doc, node, at))
        rc = cite_openai(in, at, base, count, list);
    return rc;
}

int
cite_sources(const struct intake *in, uint64_t count, struct chat_citation **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t sources = json_get(doc, 0, STR("search_results"));
    int rc = 0;
    if (json_count(doc, sources) == 0)
        sources = json_get(doc, 0, STR("citations"));
    if (!json_is(doc, sources, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, sources); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, sources, at)) {
        struct chat_citation citation = {.end = count, .raw = json_raw(doc, at)};
        bool plain = json_is(doc, at, JSON_STRING);
        rc = cite_string(in, plain ? at : json_get(doc, at, STR("url")), &citation.url);
        if (rc == 0)
            rc = cite_string(in, json_get(doc, at, STR("title")), &citation.title);
        if (rc == 0)
            rc = cite_string(in, json_get(doc, at, STR("snippet")), &citation.quote);
        if (rc == 0)
            rc = chat_citation_add(list, &citation, in->arena);
    }
    return rc;
}

int
cite_feed(struct feed *feed, uint32_t choice, const struct chat_citation *list)
{
    for (; list != NULL; list = list->next) {
        struct chat_event *event = feed_event(feed, CHAT_EVENT_CITATION, choice);
        if (event == NULL)
            return -ERR_NOMEM;
        event->citation = list;
    }
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put_url(struct json_writer *writer, const struct chat_citation *citation, uint64_t base)
{
    json_member_u64(writer, "start_index", citation->start - MIN(base, citation->start));
    json_member_u64(writer, "end_index", citation->end - MIN(base, citation->end));
    json_member_str(writer, "url", citation->url);
    json_member_str(writer, "title", citation->title);
}

void
cite_put_openai(struct json_writer *writer, const struct chat_citation *citation, bool nested,
                uint64_t base, uint32_t index)
{
    bool is_url = citation->url.len > 0;
    json_open_object(writer);
    json_member_str(writer, "type", is_url ? STR("url_citation") : STR("file_citation"));
    if (!is_url) {
        json_member_str(writer, "file_id", citation->id);
        json_member_str(writer, "filename", citation->title);
        json_member_u64(writer, "index", index);
    } else if (nested) {
        json_key_object(writer, "url_citation");
        put_url(writer, citation, base);
        if (citation->quote.len > 0)
            json_member_str(writer, "content", citation->quote);
        json_close_object(writer);
    } else {
        put_url(writer, citation, base);
    }
    json_close_object(writer);
}

void
cite_put_message(struct json_writer *writer, const struct chat_citation *list)
{
    bool any[2] = {false, false};
    for (const struct chat_citation *at = list; at != NULL; at = at->next)
        any[at->url.len == 0] = true;
    if (any[0]) {
        json_key_array(writer, "annotations");
        for (const struct chat_citation *at = list; at != NULL; at = at->next)
            if (at->url.len > 0)
                cite_put_openai(writer, at, true, 0, 0);
        json_close_array(writer);
    }
    if (!any[1])
        return;
    json_key_object(writer, "provider_specific_fields");
    json_key_array(writer, "citations");
    for (const struct chat_citation *at = list; at != NULL; at = at->next)
        if (at->url.len == 0)
            emit_line(writer, at->raw);
    json_close_array(writer);
    json_close_object(writer);
}
