/* SPDX-License-Identifier: MIT
 * gemini_parts.c - the parts of a Gemini content, read and written.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a part of unknown kind is refused by name in a request. Spec: WIRE-FORMATS 3.3 to
 *            3.7. */
#include "dataplane/dialect/emit_int.h"
#include "dataplane/dialect/gemini_int.h"

#define NAME_BYTES_MAX 64u

uint32_t
gemini_get(const struct json_doc *doc, uint32_t object, const char *name)
{
    char snake[NAME_BYTES_MAX];
    size_t size = 0;
    uint32_t node = json_get(doc, object, str_from(name));
    if (node != JSON_NONE)
        return intake_absent(doc, node) ? JSON_NONE : node;
    for (const char *at = name; *at != '\0' && size + 2 < sizeof(snake); at++) {
        bool upper = *at >= 'A' && *at <= 'Z';
        if (upper)
            snake[size++] = '_';
        snake[size++] = (char)(upper ? *at + 32 : *at);
    }
    node = json_get(doc, object, str_make(snake, size));
    return intake_absent(doc, node) ? JSON_NONE : node;
}

static int
read_text(const struct intake *in, uint32_t object, const char *name, struct str *ret_text)
{
    return intake_text(in, gemini_get(in->doc, object, name), name, ret_text);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void
media_kind(struct chat_part *part)
{
    static const struct {
        const char *type;
        const char *format;
    } audio[] = {{"audio/mpeg", "mp3"}, {"audio/x-wav", "wav"}, {"audio/wave", "wav"}};
    part->kind = CHAT_PART_FILE;
    if (str_starts(part->media_type, STR("image/")))
        part->kind = CHAT_PART_IMAGE;
    if (!str_starts(part->media_type, STR("audio/")))
        return;
    part->kind = CHAT_PART_AUDIO;
    part->name = str_skip(part->media_type, 6);
    for (size_t i = 0; i < ARRAY_LEN(audio); i++)
        if (str_eq(part->media_type, str_from(audio[i].type)))
            part->name = str_from(audio[i].format);
}

static int
read_media(const struct intake *in, uint32_t part_node, uint32_t node, struct chat_part *part)
{
    bool inside = gemini_get(in->doc, part_node, "inlineData") == node;
    int rc = read_text(in, node, "mimeType", &part->media_type);
    if (rc == 0)
        rc = read_text(in, node, "displayName", &part->name);
    if (rc == 0)
        rc = inside ? read_text(in, node, "data", &part->data)
                    : read_text(in, node, "fileUri", &part->url);
    if (rc < 0)
        return rc;
    media_kind(part);
    if (part->data.len == 0 && part->url.len == 0)
        return err_set(in->err, ERR_INVALID, "field `%s` has no data",
                       inside ? "inlineData" : "fileData");
    return 0;
}

static int
read_call(const struct intake *in, uint32_t node, struct chat_part *part)
{
    uint32_t more = gemini_get(in->doc, node, "willContinue");
    if (json_is(in->doc, more, JSON_TRUE) || gemini_get(in->doc, node, "partialArgs") != JSON_NONE)
        return err_set(in->err, ERR_UNSUPPORTED,
                       "field `functionCall.partialArgs` cannot be translated");
    int rc = read_text(in, node, "id", &part->id);
    if (rc == 0)
        rc = read_text(in, node, "name", &part->name);
    part->text = STR("{}");
    return rc < 0 ? rc
                  : intake_object(in, gemini_get(in->doc, node, "args"), "functionCall.args",
                                  &part->text);
}

/* {"result": text}, {"output": text} and {"error": text} are wrappings of a text; anything else is
 * the JSON text itself. */
static int
read_response(const struct intake *in, uint32_t node, struct chat_part *result)
{
    static const char *const wraps[] = {"result", "output", "error"};
    const struct json_doc *doc = in->doc;
    struct str raw = STR_EMPTY;
    int rc = intake_object(in, node, "functionResponse.response", &raw);
    if (rc < 0 || raw.len == 0)
        return rc;
    struct chat_part *text = chat_part_add(&result->content, CHAT_PART_TEXT, in->arena);
    if (text == NULL)
        return -ERR_NOMEM;
    text->text = raw;
    for (size_t i = 0; i < ARRAY_LEN(wraps) && json_count(doc, node) == 1; i++) {
        uint32_t inner = json_get(doc, node, str_from(wraps[i]));
        if (!json_is(doc, inner, JSON_STRING))
            continue;
        result->is_error = i == 2;
        rc = json_string(doc, inner, in->arena, &text->text);
    }
    return rc;
}

static int
read_result(const struct intake *in, uint32_t node, struct chat_part *part)
{
    const struct json_doc *doc = in->doc;
    uint32_t parts = gemini_get(doc, node, "parts");
    int rc = read_text(in, node, "id", &part->id);
    if (rc == 0)
        rc = read_text(in, node, "name", &part->name);
    if (rc == 0)
        rc = read_response(in, gemini_get(doc, node, "response"), part);
    struct chat_part **end = &part->content;
    for (uint32_t at = json_first(doc, parts); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, parts, at)) {
        uint32_t media = gemini_get(doc, at, "inlineData");
        if (media == JSON_NONE)
            media = gemini_get(doc, at, "fileData");
        while (*end != NULL)
            end = &(*end)->next;
        struct chat_part *inner = chat_part_add(end, CHAT_PART_FILE, in->arena);
        rc = inner == NULL ? -ERR_NOMEM : read_media(in, at, media, inner);
    }
    return rc;
}

static int
read_words(const struct intake *in, uint32_t node, uint32_t text, struct str signature,
           struct chat_part **list)
{
    struct str words = STR_EMPTY;
    bool thought = json_is(in->doc, gemini_get(in->doc, node, "thought"), JSON_TRUE);
    int rc = intake_text(in, text, "text", &words);
    if (rc < 0 || (words.len == 0 && signature.len == 0))
        return rc;
    bool redacted = thought && str_starts(signature, SEAL_REDACTED);
    struct chat_part *part = chat_part_add(list,
                                           redacted  ? CHAT_PART_REDACTED
                                           : thought ? CHAT_PART_REASONING
                                                     : CHAT_PART_TEXT,
                                           in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    part->text = words;
    part->signature = redacted ? str_skip(signature, SEAL_REDACTED.len) : signature;
    return 0;
}

static int
refuse(const struct intake *in, uint32_t node)
{
    struct str name = json_raw(in->doc, json_first(in->doc, node));
    return err_set(in->err, ERR_UNSUPPORTED, "content part %.*s cannot be translated",
                   (int)MIN(name.len, (size_t)64), name.ptr);
}

static int
read_part(const struct intake *in, uint32_t node, bool answer, struct chat_part **list)
{
    static const struct {
        const char *name;
        enum chat_part_kind kind;
    } rows[] = {{"functionCall", CHAT_PART_TOOL_CALL},
                {"functionResponse", CHAT_PART_TOOL_RESULT},
                {"inlineData", CHAT_PART_FILE},
                {"fileData", CHAT_PART_FILE}};
    const struct json_doc *doc = in->doc;
    struct str signature = STR_EMPTY;
    uint32_t text = gemini_get(doc, node, "text");
    int rc = read_text(in, node, "thoughtSignature", &signature);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t value = gemini_get(doc, node, rows[i].name);
        if (!json_is(doc, value, JSON_OBJECT))
            continue;
        struct chat_part *part = chat_part_add(list, rows[i].kind, in->arena);
        if (part == NULL)
            return -ERR_NOMEM;
        part->signature = signature;
        if (i == 0)
            return read_call(in, value, part);
        return i == 1 ? read_result(in, value, part) : read_media(in, node, value, part);
    }
    if (text != JSON_NONE || signature.len > 0)
        return read_words(in, node, text, signature, list);
    if (json_is(doc, node, JSON_OBJECT) && json_first(doc, node) == JSON_NONE)
        return 0;
    return answer ? 0 : refuse(in, node);
}

int
gemini_parts_in(const struct intake *in, uint32_t content, bool answer, struct chat_part **list)
{
    const struct json_doc *doc = in->doc;
    uint32_t parts = gemini_get(doc, content, "parts");
    if (parts == JSON_NONE)
        return 0;
    if (json_is(doc, parts, JSON_OBJECT)) /* a single one */
        return read_part(in, parts, answer, list);
    if (!json_is(doc, parts, JSON_ARRAY))
        return intake_kind_error(in, "contents.parts", "a list");
    for (uint32_t at = json_first(doc, parts); at != JSON_NONE; at = json_sibling(doc, parts, at)) {
        int rc = read_part(in, at, answer, list);
        if (rc < 0)
            return rc;
        list = *list != NULL ? &(*list)->next : list;
    }
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The type of a URL's file by its name, since the upstream wants one. */
static struct str
guess_type(const struct chat_part *part)
{
    static const struct {
        const char *suffix;
        const char *type;
    } rows[] = {{".png", "image/png"},       {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"},
                {".webp", "image/webp"},     {".gif", "image/gif"},  {".heic", "image/heic"},
                {".pdf", "application/pdf"}, {".txt", "text/plain"}, {".mp3", "audio/mp3"},
                {".wav", "audio/wav"},       {".mp4", "video/mp4"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_ends(part->url, str_from(rows[i].suffix)))
            return str_from(rows[i].type);
    return part->kind == CHAT_PART_IMAGE ? STR("image/jpeg") : STR("application/pdf");
}

static void
put_type(struct json_writer *writer, const struct chat_part *part)
{
    char text[64] = "audio/";
    struct str type = part->media_type;
    if (type.len == 0 && part->kind == CHAT_PART_AUDIO && part->name.len < 32) {
        memcpy(text + 6, part->name.ptr, part->name.len);
        type = str_make(text, 6 + part->name.len);
    } else if (type.len == 0) {
        type = guess_type(part);
    }
    json_member_str(writer, "mimeType", type);
}

static void
put_media(struct json_writer *writer, const struct chat_part *part)
{
    bool inside = part->data.len > 0;
    json_key_object(writer, inside ? "inlineData" : "fileData");
    put_type(writer, part);
    json_member_str(writer, inside ? "data" : "fileUri", inside ? part->data : part->url);
    json_close_object(writer);
}

static int
put_call(struct json_writer *writer, const struct chat_part *part, struct arena *arena,
         struct str *ret_signature)
{
    struct str id = part->id;
    struct str sealed = STR_EMPTY;
    int rc = seal_open_id(arena, part->id, &id, &sealed);
    if (rc < 0)
        return rc;
    *ret_signature = part->signature.len > 0 ? part->signature : sealed;
    json_key_object(writer, "functionCall");
    if (id.len > 0)
        json_member_str(writer, "id", id);
    json_member_str(writer, "name", part->name);
    emit_arguments(writer, "args", part->text);
    json_close_object(writer);
    return 0;
}

static void
put_thought(struct json_writer *writer, const struct chat_part *part, struct arena *arena,
            struct str *ret_signature)
{
    bool redacted = part->kind == CHAT_PART_REDACTED;
    json_member_str(writer, "text", redacted ? STR_EMPTY : part->text);
    json_member_bool(writer, "thought", true);
    *ret_signature = part->signature;
    if (!redacted)
        return;
    *ret_signature =
        arena_printf(arena, "%.*s%.*s", STR_ARG(SEAL_REDACTED), STR_ARG(part->signature));
    if (ret_signature->ptr == NULL) {
        writer->out->failed = true;
        *ret_signature = STR_EMPTY;
    }
}

int
gemini_put_part(struct json_writer *writer, const struct chat_part *part, struct arena *arena)
{
    struct str signature = STR_EMPTY;
    int rc = 0;
    json_open_object(writer);
    switch (part->kind) {
    case CHAT_PART_TEXT:
        signature = part->signature;
        json_member_str(writer, "text", part->text);
        break;
    case CHAT_PART_REFUSAL:
    case CHAT_PART_TOOL_RESULT: /* written by the request */
        json_member_str(writer, "text", part->text);
        break;
    case CHAT_PART_REASONING:
    case CHAT_PART_REDACTED:
        put_thought(writer, part, arena, &signature);
        break;
    case CHAT_PART_TOOL_CALL:
        rc = put_call(writer, part, arena, &signature);
        break;
    case CHAT_PART_IMAGE:
    case CHAT_PART_FILE:
    case CHAT_PART_AUDIO:
        if (part->kind == CHAT_PART_FILE && part->text.len > 0)
            json_member_str(writer, "text", part->text);
        else
            put_media(writer, part);
        break;
    }
    if (signature.len > 0)
        json_member_str(writer, "thoughtSignature", signature);
    json_close_object(writer);
    return rc;
}
