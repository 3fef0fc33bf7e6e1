/* SPDX-License-Identifier: MIT
 * carry.c - who carries what to whom.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see carry.h. */
#include "dataplane/media/carry_int.h"
#include "dataplane/media/maker.h"

#define DROPPED_BYTES_MAX 1024u

static const struct {
    const struct dialect *target;
    enum chat_endpoint endpoint;
    const struct carrier *carrier;
    const char *at; /* in the path of the provider's address, or NULL: anywhere */
} rows[] = {
    {&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_vertex, "/projects/"},
    {&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_gemini, NULL},
    {&dialect_cohere, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_cohere, NULL},
    {&dialect_ollama, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_ollama, NULL},
    {&dialect_bedrock, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_bedrock, NULL},
    {&dialect_gemini, CHAT_ENDPOINT_IMAGES, &carrier_picture_gemini, NULL},
    {&maker_stability, CHAT_ENDPOINT_IMAGES, &carrier_picture_stability, NULL},
    {&maker_replicate, CHAT_ENDPOINT_IMAGES, &carrier_picture_replicate, NULL},
    {&maker_bfl, CHAT_ENDPOINT_IMAGES, &carrier_picture_bfl, NULL},
    {&dialect_bedrock, CHAT_ENDPOINT_IMAGES, &carrier_picture_bedrock, NULL},
    {&dialect_gemini, CHAT_ENDPOINT_IMAGE_EDITS, &carrier_edit_gemini, NULL},
    {&maker_stability, CHAT_ENDPOINT_IMAGE_EDITS, &carrier_edit_stability, NULL},
    {&maker_replicate, CHAT_ENDPOINT_IMAGE_EDITS, &carrier_edit_replicate, NULL},
    {&maker_bfl, CHAT_ENDPOINT_IMAGE_EDITS, &carrier_edit_bfl, NULL},
    {&dialect_bedrock, CHAT_ENDPOINT_IMAGE_EDITS, &carrier_edit_bedrock, NULL},
    {&maker_replicate, CHAT_ENDPOINT_IMAGE_VARIATIONS, &carrier_vary_replicate, NULL},
    {&maker_bfl, CHAT_ENDPOINT_IMAGE_VARIATIONS, &carrier_vary_bfl, NULL},
    {&dialect_bedrock, CHAT_ENDPOINT_IMAGE_VARIATIONS, &carrier_vary_bedrock, NULL},
};

const struct carrier *
carrier_find(const struct dialect *target, enum chat_endpoint endpoint, struct str base)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool there = rows[i].at == NULL || str_find(base, str_from(rows[i].at)) != SIZE_MAX;
        if (rows[i].target == target && rows[i].endpoint == endpoint && there)
            return rows[i].carrier;
    }
    return NULL;
}

/* Vertex speaks Gemini's dialect, but for embeddings. */
bool
carry_same(const struct dialect *target, const struct dialect *caller, enum chat_endpoint endpoint,
           struct str base)
{
    bool embeds = endpoint == CHAT_ENDPOINT_EMBEDDINGS || endpoint == CHAT_ENDPOINT_EMBED_ONE;
    return dialect_same(target, caller) &&
           !(embeds &&
             carrier_find(target, CHAT_ENDPOINT_EMBEDDINGS, base) == &carrier_embed_vertex);
}

uint32_t
carry_given(const struct json_doc *doc, struct str name)
{
    uint32_t node = json_get(doc, 0, name);
    return json_is(doc, node, JSON_NULL) ? JSON_NONE : node;
}

static bool
is_word(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '\\')
            return false;
    }
    return text.len > 0;
}

int
carry_dropped(const struct json_doc *doc, uint32_t object, const char *const *known, size_t count,
              struct arena *arena, struct str *ret_names)
{
    struct buf names;
    *ret_names = STR_EMPTY;
    if (!json_is(doc, object, JSON_OBJECT))
        return 0;
    buf_init(&names, DROPPED_BYTES_MAX);
    for (uint32_t key = json_first(doc, object); key != JSON_NONE;
         key = json_sibling(doc, object, key)) {
        struct str raw = json_raw(doc, key);
        struct str name = str_make(raw.ptr + 1, raw.len - 2);
        bool carried = json_is(doc, key + 1, JSON_NULL) || !is_word(name);
        for (size_t i = 0; i < count; i++)
            carried = carried || json_string_eq(doc, key, str_from(known[i]));
        if (!carried)
            buf_printf(&names, "%s%.*s", names.len > 0 ? "," : "", STR_ARG(name));
    }
    int rc = arena_dup(arena, buf_str(&names), ret_names);
    buf_fini(&names);
    return rc;
}
