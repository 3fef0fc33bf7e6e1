/* SPDX-License-Identifier: MIT
 * anthropic_blocks.c - content blocks of Messages as parts.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a block of unknown type is refused by name in a request. Spec: WIRE-FORMATS 3.4 to
 *            3.7. */
#include "dataplane/dialect/anthropic_int.h"
#include "dataplane/dialect/emit_int.h"

typedef int (*block_read_fn)(const struct intake *in, uint32_t node, struct chat_part *part);

static int
read_text(const struct intake *in, uint32_t node, struct chat_part *part)
{
    uint32_t citations = json_get(in->doc, node, STR("citations"));
    if (json_count(in->doc, citations) > 0)
        part->extra = json_raw(in->doc, citations);
    return intake_member(in, node, "text", &part->text);
}

static int
read_thinking(const struct intake *in, uint32_t node, struct chat_part *part)
{
    int rc = intake_member(in, node, "thinking", &part->text);
    return rc < 0 ? rc : intake_member(in, node, "signature", &part->signature);
}

static int
read_redacted(const struct intake *in, uint32_t node, struct chat_part *part)
{
    return intake_member(in, node, "data", &part->signature);
}

/* A string, or blocks of text: one text. */
static int
read_texts(const struct intake *in, uint32_t node, const char *field, struct str *ret_text)
{
    struct chat_part *texts = NULL;
    struct chat_part **end = &texts;
    int rc = 0;
    if (json_is(in->doc, node, JSON_STRING))
        return intake_text(in, node, field, ret_text);
    if (!json_is(in->doc, node, JSON_ARRAY))
        return intake_kind_error(in, field, "a list of texts");
    for (uint32_t at = json_first(in->doc, node); at != JSON_NONE && rc == 0;
         at = json_sibling(in->doc, node, at)) {
        uint32_t type = json_get(in->doc, at, STR("type"));
        if (type != JSON_NONE && !json_string_eq(in->doc, type, STR("text")))
            return err_set(in->err, ERR_UNSUPPORTED,
                           "field `%s` cannot be translated where it is not text", field);
        rc = intake_part(in, json_get(in->doc, at, STR("text")), "text", CHAT_PART_TEXT, &end);
    }
    return rc < 0 ? rc
                  : emit_join(in->arena, texts, EMIT_KIND(CHAT_PART_TEXT), STR("\n"), ret_text);
}

/* source: base64, url, file; text and content for documents */
static int
read_source(const struct intake *in, uint32_t node, struct chat_part *part)
{
    uint32_t source = json_get(in->doc, node, STR("source"));
    struct str type = STR_EMPTY;
    int rc = intake_member(in, source, "type", &type);
    if (rc == 0)
        rc = intake_member(in, source, "media_type", &part->media_type);
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("base64")))
        return intake_member(in, source, "data", &part->data);
    if (str_eq(type, STR("url")))
        return intake_member(in, source, "url", &part->url);
    if (str_eq(type, STR("file")))
        return intake_member(in, source, "file_id", &part->file_id);
    if (str_eq(type, STR("text")) && part->kind == CHAT_PART_FILE)
        return intake_member(in, source, "data", &part->text);
    if (str_eq(type, STR("content")) && part->kind == CHAT_PART_FILE)
        return read_texts(in, json_get(in->doc, source, STR("content")), "source.content",
                          &part->text);
    return err_set(in->err, ERR_UNSUPPORTED, "source of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

/* A result of somebody's search is a text under its title and source. */
static int
read_search_result(const struct intake *in, uint32_t node, struct chat_part *part)
{
    struct str title = STR_EMPTY;
    struct str source = STR_EMPTY;
    struct str all = STR_EMPTY;
    int rc = intake_member(in, node, "title", &title);
    if (rc == 0)
        rc = intake_member(in, node, "source", &source);
    if (rc == 0)
        rc = read_texts(in, json_get(in->doc, node, STR("content")), "search_result.content", &all);
    if (rc < 0)
        return rc;
    part->text = arena_printf(in->arena, "%.*s\n%.*s\n\n%.*s", STR_ARG(title), STR_ARG(source),
                              STR_ARG(all));
    return part->text.ptr == NULL ? -ERR_NOMEM : 0;
}

static int
read_document(const struct intake *in, uint32_t node, struct chat_part *part)
{
    uint32_t cited = json_path(in->doc, node, "citations.enabled");
    struct str context = STR_EMPTY;
    if (json_is(in->doc, cited, JSON_TRUE))
        part->extra = json_raw(in->doc, json_get(in->doc, node, STR("citations")));
    int rc = intake_member(in, node, "title", &part->name);
    if (rc == 0)
        rc = intake_member(in, node, "context", &context);
    if (rc == 0)
        rc = read_source(in, node, part);
    if (rc < 0 || context.len == 0)
        return rc;
    if (part->text.len == 0) { /* of bytes: what is said of them goes before them */
        struct chat_part *file = chat_part_add(&part->next, CHAT_PART_FILE, in->arena);
        if (file == NULL)
            return -ERR_NOMEM;
        *file = *part;
        file->next = NULL;
        *part = (struct chat_part){.kind = CHAT_PART_TEXT, .text = context, .next = file};
        return 0;
    }
    part->text = arena_printf(in->arena, "%.*s\n\n%.*s", STR_ARG(context), STR_ARG(part->text));
    return part->text.ptr == NULL ? -ERR_NOMEM : 0;
}

static int
read_tool_use(const struct intake *in, uint32_t node, struct chat_part *part)
{
    int rc = intake_member(in, node, "id", &part->id);
    if (rc == 0)
        rc = intake_member(in, node, "name", &part->name);
    part->text = STR("{}");
    return rc < 0 ? rc
                  : intake_object(in, json_get(in->doc, node, STR("input")), "tool_use.input",
                                  &part->text);
}

/* What may stand inside a result: one level, so that nothing here recurses. */
static int
read_inner(const struct intake *in, uint32_t node, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t type = json_get(doc, node, STR("type"));
    static const struct {
        const char *name;
        enum chat_part_kind kind;
        block_read_fn read;
    } rows[] = {{"text", CHAT_PART_TEXT, read_text},
                {"image", CHAT_PART_IMAGE, read_source},
                {"search_result", CHAT_PART_TEXT, read_search_result},
                {"document", CHAT_PART_FILE, read_document}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!json_string_eq(doc, type, str_from(rows[i].name)))
            continue;
        struct chat_part *part = chat_part_add(list, rows[i].kind, in->arena);
        return part == NULL ? -ERR_NOMEM : rows[i].read(in, node, part);
    }
    return err_set(in->err, ERR_UNSUPPORTED, "this block in a tool_result cannot be translated");
}

static int
read_tool_result(const struct intake *in, uint32_t node, struct chat_part *part)
{
    const struct json_doc *doc = in->doc;
    enum chat_switch failed = CHAT_OFF;
    uint32_t content = json_get(doc, node, STR("content"));
    int rc = intake_member(in, node, "tool_use_id", &part->id);
    if (rc == 0)
        rc = intake_switch(in, json_get(doc, node, STR("is_error")), "is_error", &failed);
    part->is_error = failed == CHAT_ON;
    return rc < 0 ? rc
                  : intake_parts(in, content, "tool_result.content", &part->content, read_inner);
}

static const struct {
    const char *name;
    enum chat_part_kind kind;
    block_read_fn read;
} blocks[] = {
    {"text", CHAT_PART_TEXT, read_text},
    {"thinking", CHAT_PART_REASONING, read_thinking},
    {"redacted_thinking", CHAT_PART_REDACTED, read_redacted},
    {"image", CHAT_PART_IMAGE, read_source},
    {"document", CHAT_PART_FILE, read_document},
    {"search_result", CHAT_PART_TEXT, read_search_result},
    {"tool_use", CHAT_PART_TOOL_CALL, read_tool_use},
    {"tool_result", CHAT_PART_TOOL_RESULT, read_tool_result},
};

/* A search that the provider made, and what it found: sealed for that provider alone. */
bool
anthropic_is_search(const struct json_doc *doc, uint32_t node)
{
    uint32_t type = json_get(doc, node, STR("type"));
    uint32_t name = json_get(doc, node, STR("name"));
    return json_string_eq(doc, type, STR("web_search_tool_result")) ||
           (json_string_eq(doc, type, STR("server_tool_use")) &&
            json_string_eq(doc, name, STR("web_search")));
}

int
anthropic_block_in(const struct intake *in, uint32_t node, bool answer, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        if (!str_eq(type, str_from(blocks[i].name)))
            continue;
        struct chat_part *part = chat_part_add(list, blocks[i].kind, in->arena);
        rc = part == NULL ? -ERR_NOMEM : blocks[i].read(in, node, part);
        if (rc < 0)
            return rc;
        while (part->next != NULL)
            part = part->next;
        return intake_object(in, json_get(doc, node, STR("cache_control")), "cache_control",
                             &part->cache);
    }
    /* what a server tool did; the text that follows says its result */
    if (answer || anthropic_is_search(doc, node))
        return 0;
    return err_set(in->err, ERR_UNSUPPORTED, "content block of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

static int
read_block(const struct intake *in, uint32_t node, struct chat_part **list)
{
    return anthropic_block_in(in, node, false, list);
}

static int
read_answer_block(const struct intake *in, uint32_t node, struct chat_part **list)
{
    return anthropic_block_in(in, node, true, list);
}

int
anthropic_blocks_in(const struct intake *in, uint32_t node, const char *field, bool answer,
                    struct chat_part **list)
{
    return intake_parts(in, node, field, list, answer ? read_answer_block : read_block);
}
