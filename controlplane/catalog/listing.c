/* SPDX-License-Identifier: MIT
 * listing.c - see listing.h.
 * Floor: controlplane/catalog; any thread.
 * Owns: the array of a listing.
 * Invariant: see listing.h. */
#include "controlplane/catalog/listing.h"

#include <stdlib.h>

#include "lib/text/uri.h"

#define PAGE_NODES_MAX 2000000u

static const struct listing_shape shapes[] = {
    {"openai", "data", "id", "", "", "", ""},
    {"anthropic", "data", "id", "", "last_id", "has_more", "after_id"},
    {"gemini", "models", "name", "models/", "nextPageToken", "", "pageToken"},
    {"cohere", "models", "name", "", "next_page_token", "", "page_token"},
    {"ollama", "models", "model", "", "", "", ""},
    {"bare-array", "", "id", "", "", "", ""},
};

static const struct {
    const char *dialect;
    const char *shape;
    const char *path;
} dialects[] = {
    {"openai", "openai", "/models"},
    {"openai-responses", "openai", "/models"},
    {"anthropic", "anthropic", "/v1/models?limit=1000"},
    {"gemini", "gemini", "/v1beta/models?pageSize=1000"},
    {"cohere-v2", "cohere", "/v1/models?page_size=1000"},
    {"ollama-native", "ollama", "/api/tags"},
};

const struct listing_shape *
listing_shape(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        if (str_eq(name, str_from(shapes[i].name)))
            return &shapes[i];
    }
    return NULL;
}

const struct listing_shape *
listing_of_dialect(struct str dialect, const char **ret_path)
{
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        if (!str_eq(dialect, str_from(dialects[i].dialect)))
            continue;
        *ret_path = dialects[i].path;
        return listing_shape(str_from(dialects[i].shape));
    }
    return NULL;
}

static bool
put_query_value(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            buf_put_byte(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
    return !out->failed;
}

struct str
listing_url(struct str base, struct str path, const struct listing_shape *shape, struct str cursor,
            struct arena *arena)
{
    struct uri uri;
    struct str first;
    struct str rest;
    struct str url = {NULL, 0};
    size_t host = str_find(path, STR("://"));
    if (host != SIZE_MAX) { /* an address of its own: our key goes to the base's host only */
        size_t slash = str_find_byte(str_skip(path, host + 3), '/');
        path = slash == SIZE_MAX ? STR_EMPTY : str_skip(path, host + 3 + slash);
    }
    if (uri_parse(base, &uri, NULL) < 0 || !str_starts(path, STR("/")) ||
        str_find_byte(path, '{') != SIZE_MAX)
        return url;
    while (base.len > 0 && base.ptr[base.len - 1] == '/')
        base.len--;
    struct str origin = base;
    size_t at = str_find(base, STR("://"));
    size_t slash = at == SIZE_MAX ? SIZE_MAX : str_find_byte(str_skip(base, at + 3), '/');
    if (slash != SIZE_MAX)
        origin.len = at + 3 + slash;
    (void)str_cut(str_skip(path, 1), '/', &first, &rest);
    struct str head = str_make(path.ptr, first.len + 1);
    bool same_root = slash != SIZE_MAX && str_starts(str_skip(base, origin.len), head) &&
                     (base.len == origin.len + head.len || base.ptr[origin.len + head.len] == '/');
    struct buf out;
    buf_init(&out, 8192);
    buf_put_str(&out, host != SIZE_MAX || same_root ? origin : base);
    buf_put_str(&out, path);
    if (cursor.len > 0) {
        buf_put_byte(&out, str_find_byte(path, '?') == SIZE_MAX ? '?' : '&');
        buf_put_str(&out, str_from(shape->parameter));
        buf_put_byte(&out, '=');
        (void)put_query_value(&out, cursor);
    }
    if (out.failed || arena_dup(arena, buf_str(&out), &url) < 0)
        url = (struct str){NULL, 0};
    buf_fini(&out);
    return url;
}

/* ---- a page ---------------------------------------------------------------------------------- */

void
listing_init(struct listing *listing)
{
    *listing = (struct listing){0};
}

void
listing_fini(struct listing *listing)
{
    free(listing->models);
    listing_init(listing);
}

int
listing_dup(const struct listed *listed, struct arena *arena, struct listed *ret_copy)
{
    struct listed copy = *listed;
    struct str *texts[] = {&copy.name, &copy.kind, &copy.prompt, &copy.completion, &copy.cached};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (arena_dup(arena, *texts[i], texts[i]) < 0)
            return -ERR_NOMEM;
    }
    *ret_copy = copy;
    return 0;
}

/* What could be the name in an id of ours. */
static bool
is_name(struct str text)
{
    if (text.len == 0 || text.len > LISTING_NAME_BYTES_MAX || text.ptr[0] == '/' ||
        text.ptr[text.len - 1] == '/')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || !strchr("-_.:@~/", c)))
            return false;
        if (c == '/' && text.ptr[i + 1] == '/')
            return false;
    }
    return true;
}

static bool
has_word(const struct json_doc *doc, uint32_t list, struct str word)
{
    bool found = false;
    if (!json_is(doc, list, JSON_ARRAY))
        return false;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at))
        found = found || json_string_eq(doc, at, word);
    return found;
}

/* By what the list says of it; where it says nothing, a name with "embed" in it is an
 * embedding's. */
static struct str
kind_of(const struct json_doc *doc, uint32_t item, struct str name)
{
    static const struct {
        const char *member;
        const char *chat;
        const char *embedding;
    } lists[] = {{"supportedGenerationMethods", "generateContent", "embedContent"},
                 {"endpoints", "chat", "embed"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        uint32_t list = json_get(doc, item, str_from(lists[i].member));
        if (!json_is(doc, list, JSON_ARRAY))
            continue;
        if (has_word(doc, list, str_from(lists[i].chat)))
            return STR("chat");
        return has_word(doc, list, str_from(lists[i].embedding)) ? STR("embedding") : STR_EMPTY;
    }
    uint32_t output = json_path(doc, item, "architecture.output_modalities");
    if (json_is(doc, output, JSON_ARRAY))
        return has_word(doc, output, STR("text")) ? STR("chat") : STR_EMPTY;
    uint32_t type = json_get(doc, item, STR("type"));
    if (json_string_eq(doc, type, STR("embedding")) || json_string_eq(doc, type, STR("embeddings")))
        return STR("embedding");
    static const char *const others[] = {"image", "audio", "video",         "rerank",
                                         "tts",   "stt",   "transcription", "moderation"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (json_string_eq(doc, type, str_from(others[i])))
            return STR_EMPTY;
    }
    return str_find(name, STR("embed")) != SIZE_MAX ? STR("embedding") : STR("chat");
}

static uint32_t
tokens_of(const struct json_doc *doc, uint32_t item, const char *const *members)
{
    uint64_t value = 0;
    for (size_t i = 0; members[i] && value == 0; i++) {
        if (json_u64(doc, json_path(doc, item, members[i]), UINT32_MAX, &value) < 0)
            value = 0;
    }
    return (uint32_t)value;
}

static int
text_of(const struct json_doc *doc, uint32_t node, struct arena *arena, struct str *ret)
{
    struct str text;
    *ret = STR_EMPTY;
    if (!json_is(doc, node, JSON_STRING))
        return 0;
    int code = json_string(doc, node, arena, &text);
    return code == 0 ? arena_dup(arena, text, ret) : code;
}

static int
read_item(const struct json_doc *doc, uint32_t item, const struct listing_shape *shape,
          struct arena *arena, struct listed *ret_listed)
{
    static const char *const contexts[] = {"context_length",
                                           "context_window",
                                           "max_model_len",
                                           "max_context_length",
                                           "inputTokenLimit",
                                           "max_input_tokens",
                                           NULL};
    static const char *const outputs[] = {"max_completion_tokens", "outputTokenLimit",
                                          "top_provider.max_completion_tokens", "max_tokens", NULL};
    struct listed listed = {.kind = STR_EMPTY};
    int code = text_of(doc, json_get(doc, item, str_from(shape->id)), arena, &listed.name);
    struct str prefix = str_from(shape->prefix);
    if (prefix.len > 0 && str_starts(listed.name, prefix))
        listed.name = str_skip(listed.name, prefix.len);
    listed.context = tokens_of(doc, item, contexts);
    listed.max_output = tokens_of(doc, item, outputs);
    listed.kind = kind_of(doc, item, listed.name);
    if (code == 0)
        code = text_of(doc, json_path(doc, item, "pricing.prompt"), arena, &listed.prompt);
    if (code == 0)
        code = text_of(doc, json_path(doc, item, "pricing.completion"), arena, &listed.completion);
    if (code == 0)
        code =
            text_of(doc, json_path(doc, item, "pricing.input_cache_read"), arena, &listed.cached);
    *ret_listed = listed;
    return code;
}

static int
add(struct listing *listing, const struct listed *listed)
{
    if (listing->count == LISTING_MODELS_MAX)
        return -ERR_TOO_LARGE;
    if (listing->count == listing->cap) {
        size_t cap = listing->cap ? listing->cap * 2 : 128;
        struct listed *models = realloc(listing->models, cap * sizeof *models);
        if (!models)
            return -ERR_NOMEM;
        listing->models = models;
        listing->cap = cap;
    }
    listing->models[listing->count++] = *listed;
    return 0;
}

static int
read_items(struct listing *listing, const struct json_doc *doc, uint32_t list,
           const struct listing_shape *shape, struct arena *arena)
{
    size_t before = listing->count;
    int code = 0;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE && code == 0;
         at = json_sibling(doc, list, at)) {
        struct listed listed;
        code = read_item(doc, at, shape, arena, &listed);
        if (code == 0 && is_name(listed.name))
            code = add(listing, &listed);
        else
            listing->left_out++;
    }
    if (code < 0)
        listing->count = before;
    return code;
}

int
listing_read(struct listing *listing, struct str page, const struct listing_shape *shape,
             struct arena *arena, struct str *ret_cursor, struct err *err)
{
    const struct json_limits limits = {.node_count_max = PAGE_NODES_MAX, .allow_duplicates = true};
    struct json_doc doc;
    *ret_cursor = STR_EMPTY;
    json_init(&doc);
    int code = json_scan(&doc, page, &limits, err);
    uint32_t list = JSON_NONE;
    if (code == 0)
        list = shape->items[0] ? json_get(&doc, 0, str_from(shape->items)) : 0;
    if (code == 0 && !json_is(&doc, list, JSON_ARRAY))
        code = err_set(err, ERR_INVALID, "the answer is no list of models");
    if (code == 0) {
        code = read_items(listing, &doc, list, shape, arena);
        if (code < 0)
            err_set(err, (enum err_code) - code, "the list: %s", err_text(code));
    }
    bool more =
        code == 0 && shape->cursor[0] &&
        (!shape->more[0] || json_is(&doc, json_get(&doc, 0, str_from(shape->more)), JSON_TRUE));
    if (more)
        code = text_of(&doc, json_get(&doc, 0, str_from(shape->cursor)), arena, ret_cursor);
    if (ret_cursor->len > LISTING_CURSOR_BYTES_MAX) {
        *ret_cursor = STR_EMPTY;
        code = err_set(err, ERR_INVALID, "the place of its next page is too long");
    }
    json_fini(&doc);
    return code;
}

static int
compare(const void *a, const void *b)
{
    return str_cmp(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

void
listing_seal(struct listing *listing)
{
    size_t kept = 0;
    if (listing->count > 1)
        qsort(listing->models, listing->count, sizeof *listing->models, compare);
    for (size_t i = 0; i < listing->count; i++) {
        if (kept == 0 || !str_eq(listing->models[kept - 1].name, listing->models[i].name))
            listing->models[kept++] = listing->models[i];
    }
    listing->count = kept;
}

const struct listed *
listing_find(const struct listing *listing, struct str name)
{
    const struct listed key = {.name = name};
    return listing->count == 0
               ? NULL
               : bsearch(&key, listing->models, listing->count, sizeof *listing->models, compare);
}
