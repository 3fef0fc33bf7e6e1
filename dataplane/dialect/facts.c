/* SPDX-License-Identifier: MIT
 * facts.c - what Berth relies on in a request body of any dialect.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: prompt_bytes is never below the tokens that the prompt can become: a token is at least
 *            one byte of the body, media apart. Proved by request_test.c. */
#include "dataplane/dialect/paid_int.h"

/* What one picture, or a document that we only see the address of, may count. Pictures: the largest
 * published count is about 48,000 tokens (small models at high detail), usual is 1,600. */
#define IMAGE_TOKENS 8192u

static uint32_t
span(const struct json_doc *doc, uint32_t node)
{
    return doc->nodes[node].end - doc->nodes[node].start;
}

/* A document of text in base64 has at most 3/4 of its length in bytes, and PDF text is compressed,
 * but never below two bytes a token; so half the base64 text is an upper bound worth holding. */
void
facts_count_payload(const struct json_doc *doc, uint32_t node, bool image, uint64_t *bytes)
{
    uint64_t size = span(doc, node);
    uint64_t counted = image ? IMAGE_TOKENS : size / 2 + FACTS_REMOTE_TOKENS / 8;
    if (size > IMAGE_TOKENS && counted < size)
        *bytes -= size - counted;
    else if (size < counted)
        *bytes += counted - size;
}

void
facts_count_url(const struct json_doc *doc, uint32_t node, uint64_t *bytes)
{
    if (!json_is(doc, node, JSON_STRING))
        return;
    struct str text = str_skip(json_raw(doc, node), 1);
    if (str_starts(text, STR("data:")))
        facts_count_payload(doc, node, str_starts(text, STR("data:image/")), bytes);
    else
        *bytes += FACTS_REMOTE_TOKENS;
}

/* source of a Messages block: {type, media_type, data} or {type, url} or {type, file_id} */
static void
count_source(const struct json_doc *doc, uint32_t source, uint64_t *bytes)
{
    uint32_t type = json_get(doc, source, STR("type"));
    uint32_t data = json_get(doc, source, STR("data"));
    struct str media_type = json_raw(doc, json_get(doc, source, STR("media_type")));
    if (!json_string_eq(doc, type, STR("base64")))
        *bytes += FACTS_REMOTE_TOKENS;
    else if (json_is(doc, data, JSON_STRING))
        facts_count_payload(doc, data, str_starts(media_type, STR("\"image/")), bytes);
}

/* One content part, where the dialects allow media and nowhere else: the same shape inside a tool's
 * schema or arguments is text to the model and counts as such. */
static void
count_part(const struct json_doc *doc, uint32_t part, uint64_t *bytes)
{
    uint32_t image = json_get(doc, part, STR("image_url"));
    uint32_t source = json_get(doc, part, STR("source"));
    uint32_t file = json_get(doc, part, STR("file"));
    uint32_t audio = json_get(doc, json_get(doc, part, STR("input_audio")), STR("data"));
    facts_count_url(
        doc, json_is(doc, image, JSON_OBJECT) ? json_get(doc, image, STR("url")) : image, bytes);
    if (json_is(doc, source, JSON_OBJECT))
        count_source(doc, source, bytes);
    if (json_is(doc, file, JSON_OBJECT)) {
        facts_count_url(doc, json_get(doc, file, STR("file_data")), bytes);
        if (json_get(doc, file, STR("file_id")) != JSON_NONE)
            *bytes += FACTS_REMOTE_TOKENS;
    }
    if (json_is(doc, audio, JSON_STRING))
        facts_count_payload(doc, audio, false, bytes);
}

static void
count_parts(const struct json_doc *doc, uint32_t list, uint64_t *bytes)
{
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        count_part(doc, at, bytes);
        if (!json_string_eq(doc, json_get(doc, at, STR("type")), STR("tool_result")))
            continue;
        uint32_t inner = json_get(doc, at, STR("content"));
        if (!json_is(doc, inner, JSON_ARRAY))
            continue;
        for (uint32_t part = json_first(doc, inner); part != JSON_NONE;
             part = json_sibling(doc, inner, part))
            count_part(doc, part, bytes);
    }
}

static uint64_t
prompt_bytes(const struct json_doc *doc, uint32_t list)
{
    uint64_t bytes = doc->text.len;
    if (!json_is(doc, list, JSON_ARRAY))
        return bytes;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at))
        count_parts(doc, json_get(doc, at, STR("content")), &bytes);
    return bytes;
}

static int
read_model(const struct intake *in, uint32_t node, struct chat_facts *facts)
{
    bool named = facts->model.len > 0; /* in the URL, as Azure's deployments are: that one counts */
    if (node == JSON_NONE && !named)
        return err_set(in->err, ERR_INVALID, "field `model` is missing");
    if (node != JSON_NONE && !json_is(in->doc, node, JSON_STRING))
        return intake_kind_error(in, "model", "a string");
    facts->model_node = node;
    if (named)
        return 0;
    int rc = json_string(in->doc, node, in->arena, &facts->model);
    if (rc < 0)
        return rc;
    if (str_find_byte(facts->model, '\0') != SIZE_MAX)
        return err_set(in->err, ERR_INVALID, "field `model` has a NUL character");
    return 0;
}

int
facts_common(const struct intake *in, struct chat_facts *facts)
{
    enum { MODEL, STREAM, MESSAGES };
    static const struct str names[] = {
        [MODEL] = JSON_NAME("model"),
        [STREAM] = JSON_NAME("stream"),
        [MESSAGES] = JSON_NAME("messages"),
    };
    uint32_t at[ARRAY_LEN(names)];
    enum chat_switch stream = CHAT_OFF;
    if (!json_is(in->doc, 0, JSON_OBJECT))
        return err_set(in->err, ERR_INVALID, "the body must be a JSON object");
    json_pick(in->doc, 0, names, ARRAY_LEN(names), at);
    int rc = read_model(in, at[MODEL], facts);
    if (rc == 0)
        rc = intake_switch(in, at[STREAM], "stream", &stream);
    if (rc < 0)
        return rc;
    facts->stream = stream == CHAT_ON;
    facts->prompt_bytes = prompt_bytes(in->doc, at[MESSAGES]);
    facts->max_output_node = JSON_NONE;
    facts->choices = 1;
    return 0;
}

int
facts_embed(const struct intake *in, struct chat_facts *ret_facts)
{
    struct chat_facts facts = {0};
    int rc = facts_common(in, &facts);
    if (rc < 0)
        return rc;
    facts.stream = false;
    facts.include_usage = true;
    *ret_facts = facts;
    return 0;
}

int
dialect_edit_model(const struct json_doc *doc, const struct chat_facts *facts,
                   struct str upstream_model, struct splice *splice)
{
    struct buf quoted;
    struct str copy;
    uint32_t node = facts->model_node;
    if (json_string_eq(doc, node, upstream_model))
        return 0;
    buf_init(&quoted, upstream_model.len * 6 + 2);
    int rc = json_put_string(&quoted, upstream_model);
    if (rc == 0)
        rc = arena_dup(splice->arena, buf_str(&quoted), &copy);
    buf_fini(&quoted);
    if (rc != 0)
        return rc;
    return node != JSON_NONE ? splice_node(splice, doc, node, copy)
                             : splice_member_set(splice, doc, 0, STR("model"), copy);
}

int
facts_output(const struct intake *in, const char *field, unsigned where, struct chat_facts *facts)
{
    uint32_t node = intake_get(in->doc, 0, str_from(field));
    facts->max_output_node = node;
    facts->include_usage = true;
    uint32_t tools = json_get(in->doc, 0, STR("tools"));
    facts->has_tools = json_count(in->doc, tools) > 0;
    int rc = paid_facts(in, where, facts);
    return rc < 0 ? rc : intake_count(in, node, field, FACTS_OUTPUT_MAX, &facts->max_output);
}

int
dialect_edit_forward(const struct json_doc *doc, enum chat_endpoint endpoint,
                     const struct chat_facts *facts, struct str upstream_model, bool want_usage,
                     struct splice *splice)
{
    (void)endpoint;
    (void)want_usage; /* always reported */
    int rc = dialect_edit_model(doc, facts, upstream_model, splice);
    return rc < 0 || facts->runs == NULL ? rc : paid_leave_out(doc, facts, splice);
}
