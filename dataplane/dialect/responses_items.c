/* SPDX-License-Identifier: MIT
 * responses_items.c - items of the Responses API, of a request or an answer, as parts.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: an item or part of unknown type is refused by name in a request. Spec: WIRE-FORMATS
 *            3.1 to 3.7. */
#include "dataplane/dialect/responses_int.h"

/* ---- reasoning ------------------------------------------------------------------------------- */

/* OpenAI's encrypted text, which it knows again with the item's id; anything else is another
 * vendor's signature that came this way. */
int
responses_signature(const struct intake *in, uint32_t item, struct str *ret_signature)
{
    struct str id = STR_EMPTY;
    struct str text = STR_EMPTY;
    int rc = intake_member(in, item, "id", &id);
    if (rc == 0)
        rc = intake_member(in, item, "encrypted_content", &text);
    if (rc < 0)
        return rc;
    if (str_starts(text, STR("gAAAA")))
        return seal_reasoning(in->arena, id, text, ret_signature);
    *ret_signature = text;
    return 0;
}

void
responses_put_reasoning(struct json_writer *writer, struct str text, struct str signature,
                        bool redacted, struct str made_id)
{
    struct str id = made_id;
    struct str encrypted = signature;
    (void)seal_open_reasoning(signature, &id, &encrypted);
    json_open_object(writer);
    json_member_str(writer, "id", id);
    json_member_str(writer, "type", STR("reasoning"));
    json_key_array(writer, "summary");
    if (text.len > 0) {
        json_open_object(writer);
        json_member_str(writer, "type", STR("summary_text"));
        json_member_str(writer, "text", text);
        json_close_object(writer);
    }
    json_close_array(writer);
    if (redacted) {
        struct buf mark;
        buf_init(&mark, signature.len + SEAL_REDACTED.len + 1);
        buf_put_str(&mark, SEAL_REDACTED);
        buf_put_str(&mark, signature);
        json_member_str(writer, "encrypted_content", buf_str(&mark));
        buf_fini(&mark);
    } else if (encrypted.len > 0) {
        json_member_str(writer, "encrypted_content", encrypted);
    }
    json_close_object(writer);
}

/* The texts of a list of {type, text}, a blank line between them. */
static int
join_texts(const struct intake *in, uint32_t list, struct str *ret_text)
{
    const struct json_doc *doc = in->doc;
    struct buf joined;
    int rc = 0;
    if (!json_is(doc, list, JSON_ARRAY) || json_count(doc, list) == 0)
        return 0;
    if (json_count(doc, list) == 1)
        return intake_member(in, json_first(doc, list), "text", ret_text);
    buf_init(&joined, doc->text.len + 2u * json_count(doc, list) + 1);
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && rc == 0;
         at = json_sibling(doc, list, at)) {
        struct str text = STR_EMPTY;
        rc = intake_member(in, at, "text", &text);
        if (joined.len > 0)
            buf_put_str(&joined, STR("\n\n"));
        buf_put_str(&joined, text);
    }
    if (rc == 0)
        rc = joined.failed ? -ERR_NOMEM : arena_dup(in->arena, buf_str(&joined), ret_text);
    buf_fini(&joined);
    return rc;
}

static int
read_reasoning(const struct intake *in, uint32_t item, struct chat_part **list)
{
    struct str signature = STR_EMPTY;
    struct str text = STR_EMPTY;
    int rc = join_texts(in, json_get(in->doc, item, STR("summary")), &text);
    if (rc == 0 && text.len == 0)
        rc = join_texts(in, json_get(in->doc, item, STR("content")), &text);
    if (rc == 0)
        rc = responses_signature(in, item, &signature);
    if (rc < 0 || (text.len == 0 && signature.len == 0))
        return rc;
    bool redacted = str_starts(signature, SEAL_REDACTED);
    struct chat_part *part =
        chat_part_add(list, redacted ? CHAT_PART_REDACTED : CHAT_PART_REASONING, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    part->text = text;
    part->signature = redacted ? str_skip(signature, SEAL_REDACTED.len) : signature;
    return 0;
}

/* ---- content --------------------------------------------------------------------------------- */

static int
read_image(const struct intake *in, uint32_t node, struct chat_part *part)
{
    struct str url = STR_EMPTY;
    part->kind = CHAT_PART_IMAGE;
    int rc = intake_member(in, node, "image_url", &url);
    if (rc == 0)
        rc = intake_member(in, node, "file_id", &part->file_id);
    if (rc == 0)
        rc = intake_member(in, node, "detail", &part->name);
    if (rc == 0 && url.len == 0 && part->file_id.len == 0)
        rc = err_set(in->err, ERR_INVALID, "field `input_image.image_url` is missing");
    if (rc == 0 && !chat_data_url(url, &part->media_type, &part->data))
        part->url = url;
    return rc;
}

static int
read_file(const struct intake *in, uint32_t node, struct chat_part *part)
{
    struct str data = STR_EMPTY;
    part->kind = CHAT_PART_FILE;
    int rc = intake_member(in, node, "file_data", &data);
    if (rc == 0)
        rc = intake_member(in, node, "filename", &part->name);
    if (rc == 0)
        rc = intake_member(in, node, "file_url", &part->url);
    if (rc == 0)
        rc = intake_member(in, node, "file_id", &part->file_id);
    if (rc < 0)
        return rc;
    if (data.len > 0 && !chat_data_url(data, &part->media_type, &part->data))
        return err_set(in->err, ERR_INVALID, "field `input_file.file_data` must be a data: URL");
    if (data.len == 0 && part->url.len == 0 && part->file_id.len == 0)
        return err_set(in->err, ERR_INVALID, "field `input_file` has no file");
    return 0;
}

static int
read_part(const struct intake *in, uint32_t node, struct chat_part **list)
{
    static const char *const texts[] = {"input_text", "output_text", "text", "summary_text"};
    struct str type = STR_EMPTY;
    int rc = intake_member(in, node, "type", &type);
    if (rc < 0)
        return rc;
    struct chat_part *part = chat_part_add(list, CHAT_PART_TEXT, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_eq(type, str_from(texts[i])))
            return intake_member(in, node, "text", &part->text);
    if (str_eq(type, STR("refusal"))) {
        part->kind = CHAT_PART_REFUSAL;
        return intake_member(in, node, "refusal", &part->text);
    }
    if (str_eq(type, STR("input_image")))
        return read_image(in, node, part);
    if (str_eq(type, STR("input_file")))
        return read_file(in, node, part);
    return err_set(in->err, ERR_UNSUPPORTED, "content part of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}

/* ---- items ----------------------------------------------------------------------------------- */

static int
read_message(const struct intake *in, uint32_t item, enum chat_role *ret_role,
             struct chat_part **list)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } rows[] = {{"user", CHAT_ROLE_USER},
                {"assistant", CHAT_ROLE_ASSISTANT},
                {"system", CHAT_ROLE_SYSTEM},
                {"developer", CHAT_ROLE_DEVELOPER}};
    uint32_t role = json_get(in->doc, item, STR("role"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!json_string_eq(in->doc, role, str_from(rows[i].name)))
            continue;
        *ret_role = rows[i].role;
        return intake_parts(in, json_get(in->doc, item, STR("content")), "content", list,
                            read_part);
    }
    return err_set(in->err, ERR_INVALID, "field `input.role` is missing or not known");
}

static int
read_call(const struct intake *in, uint32_t item, bool custom, struct chat_part **list)
{
    struct chat_part *part = chat_part_add(list, CHAT_PART_TOOL_CALL, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    part->custom = custom;
    int rc = intake_member(in, item, "call_id", &part->id);
    if (rc == 0)
        rc = intake_member(in, item, "name", &part->name);
    return rc < 0 ? rc : intake_member(in, item, custom ? "input" : "arguments", &part->text);
}

static int
read_output(const struct intake *in, uint32_t item, struct chat_part **list)
{
    struct chat_part *part = chat_part_add(list, CHAT_PART_TOOL_RESULT, in->arena);
    if (part == NULL)
        return -ERR_NOMEM;
    int rc = intake_member(in, item, "call_id", &part->id);
    return rc < 0 ? rc
                  : intake_parts(in, json_get(in->doc, item, STR("output")),
                                 "function_call_output.output", &part->content, read_part);
}

int
responses_item_in(const struct intake *in, uint32_t item, bool answer, enum chat_role *ret_role,
                  struct chat_part **list)
{
    struct str type = STR("message");
    int rc = intake_member(in, item, "type", &type);
    *ret_role = CHAT_ROLE_ASSISTANT;
    if (rc < 0)
        return rc;
    if (str_eq(type, STR("message")))
        return read_message(in, item, ret_role, list);
    if (str_eq(type, STR("reasoning")))
        return read_reasoning(in, item, list);
    if (str_eq(type, STR("function_call")) || str_eq(type, STR("custom_tool_call")))
        return read_call(in, item, type.len != 13, list);
    if (str_eq(type, STR("function_call_output")) || str_eq(type, STR("custom_tool_call_output"))) {
        *ret_role = CHAT_ROLE_TOOL;
        return read_output(in, item, list);
    }
    /* what a server tool did; the text that follows says its result */
    if (answer || str_eq(type, STR("web_search_call")))
        return 0;
    return err_set(in->err, ERR_UNSUPPORTED, "input item of type `%.*s` cannot be translated",
                   (int)MIN(type.len, (size_t)64), type.ptr);
}
