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
} rows[] = {
    {&dialect_gemini, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_gemini},
    {&dialect_cohere, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_cohere},
    {&dialect_ollama, CHAT_ENDPOINT_EMBEDDINGS, &carrier_embed_ollama},
    {&dialect_gemini, CHAT_ENDPOINT_IMAGES, &carrier_picture_gemini},
    {&maker_stability, CHAT_ENDPOINT_IMAGES, &carrier_picture_stability},
    {&maker_replicate, CHAT_ENDPOINT_IMAGES, &carrier_picture_replicate},
};

const struct carrier *
carrier_find(const struct dialect *target, enum chat_endpoint endpoint)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].target == target && rows[i].endpoint == endpoint)
            return rows[i].carrier;
    }
    return NULL;
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
carry_dropped(const struct json_doc *doc, const char *const *known, size_t count,
              struct arena *arena, struct str *ret_names)
{
    struct buf names;
    buf_init(&names, DROPPED_BYTES_MAX);
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_sibling(doc, 0, key)) {
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
