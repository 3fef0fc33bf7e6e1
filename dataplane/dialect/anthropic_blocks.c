/* SPDX-License-Identifier: MIT
 * anthropic_blocks.c - content blocks of Messages as parts.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a block of unknown type is refused by name in a request. Spec: WIRE-FORMATS 3.4 to
 *            3.7. */
#include "dataplane/dialect/anthropic_int.h"

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
    return err_set(in->err, ERR_UNSUPPORTED, "source of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

static int
read_document(const struct intake *in, uint32_t node, struct chat_part *part)
{
    uint32_t cited = json_path(in->doc, node, "citations.enabled");
    if (!intake_absent(in->doc, json_get(in->doc, node, STR("context"))))
        return err_set(in->err, ERR_UNSUPPORTED, "field `document.context` cannot be translated");
    if (json_is(in->doc, cited, JSON_TRUE))
        part->extra = json_raw(in->doc, json_get(in->doc, node, STR("citations")));
    int rc = intake_member(in, node, "title", &part->name);
    return rc < 0 ? rc : read_source(in, node, part);
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
    struct chat_part **end = &part->content;
    enum chat_switch failed = CHAT_OFF;
    uint32_t content = json_get(doc, node, STR("content"));
    int rc = intake_member(in, node, "tool_use_id", &part->id);
    if (rc == 0)
        rc = intake_switch(in, json_get(doc, node, STR("is_error")), "is_error", &failed);
    part->is_error = failed == CHAT_ON;
    if (rc < 0 || intake_absent(doc, content))
        return rc;
    if (json_is(doc, content, JSON_STRING)) {
        struct chat_part *text = chat_part_add(end, CHAT_PART_TEXT, in->arena);
        return text == NULL ? -ERR_NOMEM
                            : intake_text(in, content, "tool_result.content", &text->text);
    }
    if (!json_is(doc, content, JSON_ARRAY))
        return intake_kind_error(in, "tool_result.content", "a string or a list of blocks");
    for (uint32_t at = json_first(doc, content); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, content, at)) {
        rc = read_inner(in, at, end);
        end = *end != NULL ? &(*end)->next : end;
    }
    return rc;
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
    {"tool_use", CHAT_PART_TOOL_CALL, read_tool_use},
    {"tool_result", CHAT_PART_TOOL_RESULT, read_tool_result},
};

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
        return rc < 0 ? rc
                      : intake_object(in, json_get(doc, node, STR("cache_control")),
                                      "cache_control", &part->cache);
    }
    if (answer) /* what a server tool did; the text that follows says its result */
        return 0;
    return err_set(in->err, ERR_UNSUPPORTED, "content block of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

int
anthropic_blocks_in(const struct intake *in, uint32_t node, const char *field, bool answer,
                    struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    if (intake_absent(doc, node))
        return 0;
    if (json_is(doc, node, JSON_STRING)) {
        struct chat_part *part = chat_part_add(list, CHAT_PART_TEXT, in->arena);
        return part == NULL ? -ERR_NOMEM : intake_text(in, node, field, &part->text);
    }
    if (!json_is(doc, node, JSON_ARRAY))
        return intake_kind_error(in, field, "a string or a list of blocks");
    for (uint32_t at = json_first(doc, node); at != JSON_NONE; at = json_sibling(doc, node, at)) {
        int rc = anthropic_block_in(in, at, answer, list);
        if (rc < 0)
            return rc;
        list = *list != NULL ? &(*list)->next : list;
    }
    return 0;
}
