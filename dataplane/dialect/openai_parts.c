/* SPDX-License-Identifier: MIT
 * openai_parts.c - the content of an OpenAI message, of a request or an answer, as parts.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a part of unknown type is refused by name. Spec: WIRE-FORMATS 3.3 to 3.7. */
#include "dataplane/dialect/openai_int.h"

/* image_url as an object or, in the wild, as a plain string */
static int
read_image(const struct intake *in, uint32_t node, struct chat_part *part)
{
    struct str url = STR_EMPTY;
    uint32_t image = json_get(in->doc, node, STR("image_url"));
    uint32_t at =
        json_is(in->doc, image, JSON_OBJECT) ? json_get(in->doc, image, STR("url")) : image;
    int rc = intake_text(in, at, "image_url.url", &url);
    if (rc == 0)
        rc = intake_member(in, image, "detail", &part->name);
    if (rc < 0)
        return rc;
    if (url.len == 0)
        return err_set(in->err, ERR_INVALID, "field `image_url.url` is missing");
    part->kind = CHAT_PART_IMAGE;
    if (!chat_data_url(url, &part->media_type, &part->data))
        part->url = url;
    return 0;
}

static int
read_file(const struct intake *in, uint32_t node, struct chat_part *part)
{
    struct str data = STR_EMPTY;
    uint32_t file = json_get(in->doc, node, STR("file"));
    int rc = intake_member(in, file, "file_data", &data);
    if (rc == 0)
        rc = intake_member(in, file, "filename", &part->name);
    if (rc == 0)
        rc = intake_member(in, file, "file_id", &part->file_id);
    if (rc < 0)
        return rc;
    part->kind = CHAT_PART_FILE;
    if (data.len > 0 && !chat_data_url(data, &part->media_type, &part->data))
        return err_set(in->err, ERR_INVALID, "field `file.file_data` must be a data: URL");
    if (data.len == 0 && part->file_id.len == 0)
        return err_set(in->err, ERR_INVALID, "field `file` has neither file_data nor file_id");
    return 0;
}

static int
read_audio(const struct intake *in, uint32_t node, struct chat_part *part)
{
    uint32_t audio = json_get(in->doc, node, STR("input_audio"));
    part->kind = CHAT_PART_AUDIO;
    int rc = intake_member(in, audio, "data", &part->data);
    return rc < 0 ? rc : intake_member(in, audio, "format", &part->name);
}

static int
read_thinking_list(const struct intake *in, uint32_t node, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t thinking = json_get(doc, node, STR("thinking"));
    if (json_is(doc, thinking, JSON_STRING))
        return intake_part(in, thinking, "thinking", CHAT_PART_REASONING, &list);
    if (!json_is(doc, thinking, JSON_ARRAY))
        return 0;
    for (uint32_t at = json_first(doc, thinking); at != JSON_NONE;
         at = json_sibling(doc, thinking, at)) {
        int rc = intake_part(in, json_get(doc, at, STR("text")), "thinking.text",
                             CHAT_PART_REASONING, &list);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
read_media(const struct intake *in, uint32_t node, struct str type, struct chat_part *part)
{
    if (str_eq(type, STR("image_url")))
        return read_image(in, node, part);
    if (str_eq(type, STR("file")))
        return read_file(in, node, part);
    if (str_eq(type, STR("input_audio")))
        return read_audio(in, node, part);
    return err_set(in->err, ERR_UNSUPPORTED, "content part of type `%.*s` is not known",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

static int
read_part(const struct intake *in, uint32_t node, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    struct str type = STR_EMPTY;
    struct chat_part **end = list;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("thinking")))
        return read_thinking_list(in, node, list);
    if (str_eq(type, STR("text"))) {
        rc = intake_part(in, json_get(doc, node, type), "text", CHAT_PART_TEXT, &end);
    } else if (str_eq(type, STR("refusal"))) {
        rc = intake_part(in, json_get(doc, node, type), "refusal", CHAT_PART_REFUSAL, &end);
    } else {
        struct chat_part *part = chat_part_add(list, CHAT_PART_TEXT, in->arena);
        rc = part == NULL ? -ERR_NOMEM : read_media(in, node, type, part);
    }
    if (rc < 0 || *list == NULL)
        return rc;
    return intake_object(in, json_get(doc, node, STR("cache_control")), "cache_control",
                         &(*list)->cache);
}

/* thinking_blocks, as gateways carry signed reasoning through this dialect (WIRE-FORMATS 3.7) */
static int
read_thinking_block(const struct intake *in, uint32_t node, struct chat_part **list)
{
    bool redacted =
        json_string_eq(in->doc, json_get(in->doc, node, STR("type")), STR("redacted_thinking"));
    struct chat_part *part =
        chat_part_add(list, redacted ? CHAT_PART_REDACTED : CHAT_PART_REASONING, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    if (redacted)
        return intake_member(in, node, "data", &part->signature);
    int rc = intake_member(in, node, "thinking", &part->text);
    return rc < 0 ? rc : intake_member(in, node, "signature", &part->signature);
}

static int
read_reasoning(const struct intake *in, uint32_t message, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t blocks = json_get(doc, message, STR("thinking_blocks"));
    if (json_count(doc, blocks) > 0 && json_is(doc, blocks, JSON_ARRAY)) {
        int rc = 0;
        for (uint32_t at = json_first(doc, blocks); at != JSON_NONE && rc == 0;
             at = json_sibling(doc, blocks, at)) {
            rc = read_thinking_block(in, at, list);
            list = intake_part_end(list);
        }
        return rc;
    }
    uint32_t text = intake_get(doc, message, STR("reasoning_content"));
    if (text == JSON_NONE)
        text = json_get(doc, message, STR("reasoning"));
    if (!json_is(doc, text, JSON_STRING)) /* some providers put objects here */
        return 0;
    return intake_part(in, text, "reasoning_content", CHAT_PART_REASONING, &list);
}

/* One call; `arguments` as a string, or as the object that careless clients send. */
static int
read_call(const struct intake *in, uint32_t node, struct chat_part *part)
{
    const struct json_doc *doc = in->doc;
    uint32_t function = json_get(doc, node, STR("function"));
    uint32_t custom = json_get(doc, node, STR("custom"));
    part->custom = json_is(doc, custom, JSON_OBJECT);
    uint32_t body = part->custom ? custom : function;
    uint32_t arguments = json_get(doc, body, part->custom ? STR("input") : STR("arguments"));
    if (!json_is(doc, body, JSON_OBJECT))
        return err_set(in->err, ERR_INVALID, "field `tool_calls.function` must be an object");
    int rc = intake_member(in, node, "id", &part->id);
    if (rc == 0)
        rc = intake_member(in, body, "name", &part->name);
    if (rc == 0 && json_is(doc, arguments, JSON_OBJECT))
        part->text = json_raw(doc, arguments);
    else if (rc == 0)
        rc = intake_text(in, arguments, "tool_calls.function.arguments", &part->text);
    return rc;
}

static int
read_calls(const struct intake *in, uint32_t message, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t calls = intake_get(doc, message, STR("tool_calls"));
    uint32_t old = intake_get(doc, message, STR("function_call"));
    if (old != JSON_NONE) { /* the call of before 2024: its name is its id */
        struct chat_part *part = chat_part_add(list, CHAT_PART_TOOL_CALL, in->arena);
        if (part == NULL)
            return -ERR_NOMEM;
        int rc = intake_member(in, old, "name", &part->name);
        part->id = part->name;
        return rc < 0 ? rc : intake_member(in, old, "arguments", &part->text);
    }
    if (calls != JSON_NONE && !json_is(doc, calls, JSON_ARRAY))
        return intake_kind_error(in, "tool_calls", "a list");
    for (uint32_t at = json_first(doc, calls); at != JSON_NONE; at = json_sibling(doc, calls, at)) {
        struct chat_part *part = chat_part_add(list, CHAT_PART_TOOL_CALL, in->arena);
        int rc = part == NULL ? -ERR_NOMEM : read_call(in, at, part);
        if (rc < 0)
            return rc;
        list = &part->next;
    }
    return 0;
}

int
openai_parts_in(const struct intake *in, uint32_t message, bool calls, struct chat_part **ret_parts)
{
    struct chat_part *parts = NULL;
    uint32_t content = json_get(in->doc, message, STR("content"));
    uint32_t refusal = json_get(in->doc, message, STR("refusal"));
    int rc = read_reasoning(in, message, &parts);
    if (rc == 0)
        rc = intake_parts(in, content, "content", intake_part_end(&parts), read_part);
    struct chat_part **end = intake_part_end(&parts);
    if (rc == 0)
        rc = intake_part(in, refusal, "refusal", CHAT_PART_REFUSAL, &end);
    if (rc == 0 && calls)
        rc = read_calls(in, message, end);
    if (rc == 0)
        *ret_parts = parts;
    return rc;
}
