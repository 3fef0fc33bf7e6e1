/* SPDX-License-Identifier: MIT
 * changes.c - one row a provider: a JSON array, the newest first.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: see changes.h.
 * Invariant: see changes.h. */
#include "controlplane/reconcile/changes.h"

#include "lib/text/json.h"

#define ROW_BYTES_MAX (256u * 1024u)
#define ARENA_BYTES_MAX (64u * 1024u * 1024u)

const char *
changes_code(enum seen_news news)
{
    static const char *const codes[SEEN_NEWS] = {[SEEN_ADDED] = "new_model",
                                                 [SEEN_RETURNED] = "reappeared",
                                                 [SEEN_DISABLED] = "not_listed",
                                                 [SEEN_REPRICED] = "price_change",
                                                 [SEEN_RESIZED] = "context_change"};
    return codes[news];
}

static bool
is_same(const struct json_doc *a, uint32_t one, const struct json_doc *b, uint32_t other,
        struct str member)
{
    return str_eq(json_raw(a, json_get(a, one, member)), json_raw(b, json_get(b, other, member)));
}

static bool
is_among(const struct json_doc *old, uint32_t change, const struct json_doc *news)
{
    for (uint32_t at = json_first(news, 0); at != JSON_NONE; at = json_sibling(news, 0, at)) {
        if (is_same(old, change, news, at, STR("model")) &&
            is_same(old, change, news, at, STR("code")))
            return true;
    }
    return false;
}

/* Those of a row, until there are enough; without those among `but` (NULL: all). */
static void
copy(const struct json_doc *doc, const struct json_doc *but, unsigned *count, struct buf *out)
{
    uint32_t at = json_is(doc, 0, JSON_ARRAY) ? json_first(doc, 0) : JSON_NONE;
    for (; at != JSON_NONE && *count < CHANGES_MAX; at = json_sibling(doc, 0, at)) {
        if (!json_is(doc, at, JSON_OBJECT) || (but != NULL && is_among(doc, at, but)))
            continue;
        buf_put_str(out, *count > 0 ? STR(",") : STR(""));
        buf_put_str(out, json_raw(doc, at));
        (*count)++;
    }
}

int
changes_merge(struct str before, struct str news, struct buf *out)
{
    struct json_doc fresh;
    struct json_doc old;
    struct buf text;
    unsigned count = 0;
    json_init(&fresh);
    json_init(&old);
    buf_init(&text, ROW_BYTES_MAX);
    buf_put_byte(&text, '[');
    buf_put_str(&text, news);
    buf_put_byte(&text, ']');
    int code = text.failed ? -ERR_TOO_LARGE : json_scan(&fresh, buf_str(&text), NULL, NULL);
    if (code == 0) {
        buf_put_byte(out, '[');
        copy(&fresh, NULL, &count, out);
        if (json_scan(&old, before, NULL, NULL) == 0)
            copy(&old, &fresh, &count, out);
        buf_put_byte(out, ']');
        code = out->failed ? -ERR_TOO_LARGE : 0;
    } else if (code != -ERR_TOO_LARGE) {
        code = -ERR_INVALID;
    }
    buf_fini(&text);
    json_fini(&old);
    json_fini(&fresh);
    return code;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct str
provider_of(const struct store_row *row)
{
    return str_skip(row->key, sizeof CHANGES_PREFIX - 1);
}

static void
put_row(struct json_doc *doc, const struct store_row *row, struct json_writer *writer)
{
    static const char *const members[] = {"model", "code", "at"};
    if (json_scan(doc, row->value, NULL, NULL) != 0 || !json_is(doc, 0, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, 0); at != JSON_NONE; at = json_sibling(doc, 0, at)) {
        json_open_object(writer);
        json_member_str(writer, "provider", provider_of(row));
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            uint32_t node = json_get(doc, at, str_from(members[i]));
            if (json_is(doc, node, JSON_STRING))
                json_member_raw(writer, members[i], json_raw(doc, node));
        }
        json_close_object(writer);
    }
}

int
changes_put(struct store *store, struct str provider, struct json_writer *writer)
{
    struct json_doc doc;
    struct arena arena;
    struct store_row *rows = NULL;
    size_t count = 0;
    json_init(&doc);
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = store_list(store, STR(CHANGES_PREFIX), STR_EMPTY, 0, &arena, &rows, &count, NULL);
    json_open_array(writer);
    for (size_t i = 0; code == 0 && i < count; i++) {
        if (provider.len == 0 || str_eq(provider_of(&rows[i]), provider))
            put_row(&doc, &rows[i], writer);
    }
    json_close_array(writer);
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

/* The row without what is about the model; gone when nothing is left. */
static int
ack_row(struct store *store, const struct store_row *row, struct str model, size_t *count)
{
    struct json_doc doc;
    struct buf out;
    unsigned left = 0;
    size_t before = *count;
    json_init(&doc);
    buf_init(&out, ROW_BYTES_MAX);
    buf_put_byte(&out, '[');
    bool readable = json_scan(&doc, row->value, NULL, NULL) == 0 && json_is(&doc, 0, JSON_ARRAY);
    uint32_t at = readable ? json_first(&doc, 0) : JSON_NONE;
    for (; at != JSON_NONE; at = json_sibling(&doc, 0, at)) {
        if (model.len == 0 || json_string_eq(&doc, json_get(&doc, at, STR("model")), model)) {
            (*count)++;
            continue;
        }
        buf_put_str(&out, left++ > 0 ? STR(",") : STR(""));
        buf_put_str(&out, json_raw(&doc, at));
    }
    buf_put_byte(&out, ']');
    const struct store_op op = {.key = row->key, .value = buf_str(&out), .delete_ = left == 0};
    int code = out.failed ? -ERR_TOO_LARGE : 0;
    if (code == 0 && (*count > before || left == 0))
        code = store_commit(store, NULL, 0, &op, 1, NULL);
    buf_fini(&out);
    json_fini(&doc);
    return code;
}

int
changes_ack(struct store *store, struct str provider, struct str model, size_t *ret_count)
{
    struct arena arena;
    struct store_row *rows = NULL;
    size_t row_count = 0;
    size_t count = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code =
        store_list(store, STR(CHANGES_PREFIX), STR_EMPTY, 0, &arena, &rows, &row_count, NULL);
    for (size_t i = 0; code == 0 && i < row_count; i++) {
        if (provider.len == 0 || str_eq(provider_of(&rows[i]), provider))
            code = ack_row(store, &rows[i], model, &count);
    }
    arena_fini(&arena);
    if (code == 0)
        *ret_count = count;
    return code;
}
