/* SPDX-License-Identifier: MIT
 * anthropic_cite.c - citations of Messages: each belongs to the text block that it stands in.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a cited stretch of a whole answer is a block of its own. Proved by through_test.c. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/cite_int.h"

static bool
is_web(struct str url)
{
    return str_starts(url, STR("https://")) || str_starts(url, STR("http://"));
}

int
anthropic_cite(const struct intake *in, uint32_t node, uint64_t start, uint64_t end,
               struct chat_citation **list)
{
    const struct json_doc *doc = in->doc;
    struct chat_citation citation = {.start = start, .end = end, .raw = json_raw(doc, node)};
    struct str source = STR_EMPTY; /* of a search_result_location */
    uint32_t title = json_get(doc, node, STR("title"));
    if (title == JSON_NONE)
        title = json_get(doc, node, STR("document_title"));
    int rc = cite_string(in, json_get(doc, node, STR("url")), &citation.url);
    if (rc == 0)
        rc = cite_string(in, json_get(doc, node, STR("source")), &source);
    if (rc == 0)
        rc = cite_string(in, json_get(doc, node, STR("file_id")), &citation.id);
    if (rc == 0)
        rc = cite_string(in, title, &citation.title);
    if (rc == 0)
        rc = cite_string(in, json_get(doc, node, STR("cited_text")), &citation.quote);
    if (citation.url.len == 0 && is_web(source))
        citation.url = source;
    else if (citation.id.len == 0)
        citation.id = source;
    if (rc == 0 && citation.url.len == 0 &&
        citation.id.len == 0) { /* of a document without a title: its place is its name */
        citation.id = arena_printf(
            in->arena, "document_%llu",
            (unsigned long long)cite_number(doc, json_get(doc, node, STR("document_index")), 0));
        rc = citation.id.ptr == NULL ? -ERR_NOMEM : 0;
    }
    return rc < 0 ? rc : chat_citation_add(list, &citation, in->arena);
}

int
anthropic_cite_raw(const struct intake *in, struct str raw, uint64_t start, uint64_t end,
                   struct chat_citation **list)
{
    struct json_doc doc;
    const struct intake inner = {&doc, in->arena, in->err};
    int rc = 0;
    if (raw.len == 0)
        return 0;
    json_init(&doc);
    if (json_scan(&doc, raw, &dialect_reply_limits, NULL) == 0 && json_is(&doc, 0, JSON_ARRAY))
        for (uint32_t at = json_first(&doc, 0); at != JSON_NONE && rc == 0;
             at = json_sibling(&doc, 0, at))
            rc = anthropic_cite(&inner, at, start, end, list);
    json_fini(&doc);
    return rc;
}

void
anthropic_put_citation(struct json_writer *writer, const struct chat_citation *citation)
{
    json_open_object(writer);
    json_member_str(writer, "type", STR("web_search_result_location"));
    json_member_str(writer, "cited_text", citation->quote);
    json_member_str(writer, "url", citation->url);
    json_key(writer, "title");
    if (citation->title.len > 0)
        json_value_str(writer, citation->title);
    else
        json_value_null(writer);
    json_member_str(writer, "encrypted_index", STR_EMPTY);
    json_close_object(writer);
}

/* The next place from `at` on where a citation begins or ends, `end` at most. */
static uint64_t
next_edge(const struct chat_citation *list, uint64_t at, uint64_t end)
{
    for (; list != NULL; list = list->next) {
        if (list->start > at)
            end = MIN(end, list->start);
        if (list->end > at)
            end = MIN(end, list->end);
    }
    return end;
}

static void
put_block(struct json_writer *writer, struct str text, uint64_t at, uint64_t end,
          const struct chat_citation *list)
{
    bool open = false;
    json_open_object(writer);
    json_member_str(writer, "type", STR("text"));
    json_member_str(writer, "text", text);
    for (; list != NULL; list = list->next) {
        bool covers = list->start < end && list->end > at;
        if (!covers || list->url.len == 0)
            continue;
        if (!open)
            json_key_array(writer, "citations");
        open = true;
        anthropic_put_citation(writer, list);
    }
    if (open)
        json_close_array(writer);
    json_close_object(writer);
}

void
anthropic_put_text(struct json_writer *writer, struct str text, uint64_t base,
                   const struct chat_citation *list)
{
    uint64_t left = list != NULL ? cite_count(text) : 0;
    uint64_t at = base;
    if (left == 0)
        put_block(writer, text, 0, 0, NULL);
    while (left > 0) {
        uint64_t end = next_edge(list, at, at + left);
        struct str piece = str_make(text.ptr, cite_offset(text, end - at));
        put_block(writer, piece, at, end, list);
        text = str_skip(text, piece.len);
        left -= end - at;
        at = end;
    }
}
