/* SPDX-License-Identifier: MIT
 * gemini_schema.c - schemas of Gemini's OpenAPI subset as JSON Schema.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a schema that is JSON Schema already comes out byte for byte. Spec: WIRE-FORMATS
 *            3.3. */
#include "dataplane/dialect/gemini_int.h"

static const struct {
    const char *openapi;
    const char *type;
} types[] = {{"STRING", "\"string\""},   {"NUMBER", "\"number\""}, {"INTEGER", "\"integer\""},
             {"BOOLEAN", "\"boolean\""}, {"ARRAY", "\"array\""},   {"OBJECT", "\"object\""},
             {"NULL", "\"null\""}};

/* One object of the schema: the name of its type, with null beside it where it is nullable. */
static int
edit_type(struct splice *splice, const struct json_doc *doc, uint32_t object)
{
    uint32_t type = json_get(doc, object, STR("type"));
    bool nullable = json_is(doc, json_get(doc, object, STR("nullable")), JSON_TRUE);
    struct str name = json_raw(doc, type);
    if (!json_is(doc, type, JSON_STRING))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (json_string_eq(doc, type, str_from(types[i].openapi)))
            name = str_from(types[i].type);
    if (nullable) {
        name = arena_printf(splice->arena, "[%.*s,\"null\"]", STR_ARG(name));
        if (name.ptr == NULL)
            return -ERR_NOMEM;
    }
    return str_eq(name, json_raw(doc, type)) ? 0 : splice_node(splice, doc, type, name);
}

/* Protobuf's JSON writes 64-bit numbers as strings. */
static int
edit_bounds(struct splice *splice, const struct json_doc *doc, uint32_t object)
{
    static const char *const names[] = {"minItems",  "maxItems",      "minLength",
                                        "maxLength", "minProperties", "maxProperties"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint32_t node = json_get(doc, object, str_from(names[i]));
        struct str raw = json_raw(doc, node);
        bool digits = json_is(doc, node, JSON_STRING) && raw.len > 2 && raw.len < 20;
        for (size_t at = 1; digits && at + 1 < raw.len; at++)
            digits = raw.ptr[at] >= '0' && raw.ptr[at] <= '9';
        int rc = digits ? splice_node(splice, doc, node, str_make(raw.ptr + 1, raw.len - 2)) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The text of node with the edits in it, in the arena. */
static int
join(const struct splice *splice, const struct json_doc *doc, uint32_t node, struct str *ret_text)
{
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    size_t behind = doc->text.len - doc->nodes[node].end;
    size_t before = doc->nodes[node].start;
    int rc = splice_segments(splice, doc->text, &segments, &count, &bytes);
    if (rc < 0)
        return rc;
    char *text = arena_alloc(splice->arena, bytes + 1);
    if (text == NULL)
        return -ERR_NOMEM;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(text + at, segments[i].ptr, segments[i].len);
        at += segments[i].len;
    }
    *ret_text = str_make(text + before, bytes - before - behind);
    return 0;
}

/* The copy of a schema alone is scanned, so that its edits cost no more than itself. */
static int
convert(const struct intake *in, struct str raw, struct str *ret_schema)
{
    struct json_doc doc;
    struct splice splice;
    json_init(&doc);
    splice_init(&splice, in->arena);
    int rc = json_scan(&doc, raw, &dialect_reply_limits, in->err);
    for (uint32_t i = 0; rc == 0 && i < doc.node_count; i++) {
        if (!json_is(&doc, i, JSON_OBJECT))
            continue;
        rc = edit_type(&splice, &doc, i);
        if (rc == 0)
            rc = edit_bounds(&splice, &doc, i);
    }
    *ret_schema = raw;
    if (rc == 0 && splice.count > 0)
        rc = join(&splice, &doc, 0, ret_schema);
    json_fini(&doc);
    return rc;
}

int
gemini_schema(const struct intake *in, uint32_t node, struct str *ret_schema)
{
    struct str raw = STR_EMPTY;
    int rc = intake_object(in, node, "schema", &raw);
    return rc < 0 || raw.len == 0 ? rc : convert(in, raw, ret_schema);
}
