/* SPDX-License-Identifier: MIT
 * cohere_cite.c - citations of Cohere's answers.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: offsets are code points of one content block. Proved by through_test.c. */
#include "dataplane/dialect/cite_int.h"
#include "dataplane/dialect/cohere_int.h"

/* {type: document, id, document: {title, url, snippet or text}}; of a tool, its output instead */
static int
read_source(const struct intake *in, uint32_t source, struct chat_citation *citation)
{
    static const char *const bodies[] = {"document", "tool_output"};
    static const char *const quotes[] = {"snippet", "text"};
    const struct json_doc *doc = in->doc;
    int rc = cite_string(in, json_get(doc, source, STR("id")), &citation->id);
    for (size_t i = 0; i < ARRAY_LEN(bodies) && rc == 0; i++) {
        uint32_t body = json_get(doc, source, str_from(bodies[i]));
        rc = cite_string(in, json_get(doc, body, STR("url")), &citation->url);
        if (rc == 0)
            rc = cite_string(in, json_get(doc, body, STR("title")), &citation->title);
        for (size_t n = 0; n < ARRAY_LEN(quotes) && rc == 0; n++)
            rc = cite_string(in, json_get(doc, body, str_from(quotes[n])), &citation->quote);
    }
    return rc;
}

int
cohere_cite(const struct intake *in, uint32_t node, uint64_t base, struct chat_citation **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t sources = json_get(doc, node, STR("sources"));
    uint64_t start = cite_number(doc, json_get(doc, node, STR("start")), 0);
    uint64_t end = cite_number(doc, json_get(doc, node, STR("end")), start);
    uint32_t left = CHAT_CITATIONS_MAX;
    int rc = 0;
    if (!json_is(doc, sources, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, sources); at != JSON_NONE && rc == 0 && left > 0;
         at = json_sibling(doc, sources, at), left--) {
        struct chat_citation citation = {
            .start = base + start, .end = base + end, .raw = json_raw(doc, node)};
        rc = read_source(in, at, &citation);
        if (rc == 0)
            rc = chat_citation_add(list, &citation, in->arena);
    }
    return rc;
}

/* Where content block `index` begins in the answer's text. */
static int
block_base(const struct intake *in, uint32_t content, uint64_t index, uint64_t *ret_base)
{
    const struct json_doc *doc = in->doc;
    uint64_t base = 0;
    uint32_t at = json_is(doc, content, JSON_ARRAY) ? json_first(doc, content) : JSON_NONE;
    for (; at != JSON_NONE && index > 0; at = json_sibling(doc, content, at), index--) {
        struct str text = STR_EMPTY;
        int rc = cite_string(in, json_get(doc, at, STR("text")), &text);
        if (rc < 0)
            return rc;
        base += cite_count(text);
    }
    *ret_base = base;
    return 0;
}

int
cohere_cite_message(const struct intake *in, uint32_t message, struct chat_citation **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t content = json_get(doc, message, STR("content"));
    uint32_t citations = json_get(doc, message, STR("citations"));
    uint32_t left = CHAT_CITATIONS_MAX;
    int rc = 0;
    if (!json_is(doc, citations, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, citations); at != JSON_NONE && rc == 0 && left > 0;
         at = json_sibling(doc, citations, at), left--) {
        uint64_t block = cite_number(doc, json_get(doc, at, STR("content_index")), 0);
        uint64_t base = 0;
        if (block >= CITE_PARTS_MAX)
            continue;
        rc = block_base(in, content, block, &base);
        if (rc == 0)
            rc = cohere_cite(in, at, base, list);
    }
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

void
cohere_put_citation(struct json_writer *writer, const struct chat_citation *citation,
                    struct str text, uint64_t base, uint32_t content_index)
{
    uint64_t start = citation->start - MIN(base, citation->start);
    uint64_t end = citation->end - MIN(base, citation->end);
    struct str id = citation->id.len > 0 ? citation->id : citation->url;
    json_open_object(writer);
    json_member_u64(writer, "start", start);
    json_member_u64(writer, "end", end);
    json_member_str(writer, "text", cite_span(text, citation->start, citation->end));
    json_key_array(writer, "sources");
    json_open_object(writer);
    json_member_str(writer, "type", STR("document"));
    json_member_str(writer, "id", id.len > 0 ? id : citation->title);
    json_key_object(writer, "document");
    json_member_str(writer, "id", id.len > 0 ? id : citation->title);
    if (citation->title.len > 0)
        json_member_str(writer, "title", citation->title);
    if (citation->url.len > 0)
        json_member_str(writer, "url", citation->url);
    if (citation->quote.len > 0)
        json_member_str(writer, "snippet", citation->quote);
    json_close_object(writer);
    json_close_object(writer);
    json_close_array(writer);
    json_member_u64(writer, "content_index", content_index);
    json_member_str(writer, "type", STR("TEXT_CONTENT"));
    json_close_object(writer);
}
