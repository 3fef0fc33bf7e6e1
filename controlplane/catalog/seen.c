/* SPDX-License-Identifier: MIT
 * seen.c - see seen.h.
 * Floor: controlplane/catalog; any thread.
 * Owns: see seen.h.
 * Invariant: see seen.h. */
#include "controlplane/catalog/seen.h"

#include <stdlib.h>

#define SEEN_ARENA_BYTES ((size_t)16u * 1024u * 1024u)

const char *
seen_news_name(enum seen_news news)
{
    static const char *const names[SEEN_NEWS] = {"added",    "returned", "disabled",
                                                 "repriced", "resized",  "missing"};
    return names[news];
}

void
seen_init(struct seen *seen)
{
    *seen = (struct seen){0};
    arena_init(&seen->arena, SEEN_ARENA_BYTES);
}

void
seen_fini(struct seen *seen)
{
    arena_fini(&seen->arena);
    *seen = (struct seen){0};
}

static int
compare(const void *a, const void *b)
{
    return str_cmp(((const struct seen_model *)a)->as.name,
                   ((const struct seen_model *)b)->as.name);
}

const struct seen_model *
seen_find(const struct seen *seen, struct str name)
{
    const struct seen_model key = {.as = {.name = name}};
    return seen->count == 0
               ? NULL
               : bsearch(&key, seen->models, seen->count, sizeof *seen->models, compare);
}

/* ---- its row --------------------------------------------------------------------------------- */

static int
read_text(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena,
          struct str *ret)
{
    struct str text;
    uint32_t node = json_get(doc, object, str_from(key));
    *ret = STR_EMPTY;
    if (node == JSON_NONE)
        return 0;
    int code = json_string(doc, node, arena, &text);
    return code == 0 ? arena_dup(arena, text, ret) : code;
}

static int64_t
read_number(const struct json_doc *doc, uint32_t object, const char *key, int64_t max)
{
    int64_t value = 0;
    return json_i64(doc, json_get(doc, object, str_from(key)), 0, max, &value) == 0 ? value : 0;
}

static int
read_model(const struct json_doc *doc, uint32_t node, struct arena *arena, struct seen_model *model)
{
    int code = read_text(doc, node, "name", arena, &model->as.name);
    if (code == 0)
        code = read_text(doc, node, "kind", arena, &model->as.kind);
    if (code == 0)
        code = read_text(doc, node, "prompt", arena, &model->as.prompt);
    if (code == 0)
        code = read_text(doc, node, "completion", arena, &model->as.completion);
    if (code == 0)
        code = read_text(doc, node, "cached", arena, &model->as.cached);
    model->as.context = (uint32_t)read_number(doc, node, "context", UINT32_MAX);
    model->as.max_output = (uint32_t)read_number(doc, node, "max_output", UINT32_MAX);
    model->missing = (uint32_t)read_number(doc, node, "missing", UINT32_MAX);
    model->since_ms = read_number(doc, node, "since_ms", INT64_MAX);
    model->priced_ms = read_number(doc, node, "priced_ms", INT64_MAX);
    model->gone = json_is(doc, json_get(doc, node, STR("gone")), JSON_TRUE);
    return code == 0 && model->as.name.len == 0 ? -ERR_INVALID : code;
}

int
seen_read(struct seen *seen, struct str text)
{
    struct json_doc doc;
    json_init(&doc);
    int code = json_scan(&doc, text, NULL, NULL);
    uint32_t list = code == 0 ? json_get(&doc, 0, STR("models")) : JSON_NONE;
    if (code == 0 && !json_is(&doc, list, JSON_ARRAY))
        code = -ERR_INVALID;
    size_t count = code == 0 ? json_count(&doc, list) : 0;
    struct seen_model *models = arena_array(&seen->arena, count + 1, sizeof *models);
    if (code == 0 && !models)
        code = -ERR_NOMEM;
    size_t at = 0;
    for (uint32_t node = code == 0 ? json_first(&doc, list) : JSON_NONE;
         node != JSON_NONE && code == 0; node = json_sibling(&doc, list, node))
        code = read_model(&doc, node, &seen->arena, &models[at++]);
    if (code == 0) {
        seen->models = models;
        seen->count = count;
        seen->suspect = (uint32_t)read_number(&doc, 0, "suspect", UINT32_MAX);
        seen->scanned_ms = read_number(&doc, 0, "scanned_ms", INT64_MAX);
    }
    json_fini(&doc);
    return code;
}

static void
put_text(struct json_writer *writer, const char *key, struct str text)
{
    if (text.len > 0)
        json_member_str(writer, key, text);
}

static void
put_number(struct json_writer *writer, const char *key, int64_t value)
{
    if (value != 0)
        json_member_i64(writer, key, value);
}

void
seen_put(const struct seen *seen, struct json_writer *writer)
{
    json_member_i64(writer, "scanned_ms", seen->scanned_ms);
    put_number(writer, "suspect", seen->suspect);
    json_key(writer, "models");
    json_open_array(writer);
    for (size_t i = 0; i < seen->count; i++) {
        const struct seen_model *model = &seen->models[i];
        json_open_object(writer);
        json_member_str(writer, "name", model->as.name);
        put_text(writer, "kind", model->as.kind);
        put_number(writer, "context", model->as.context);
        put_number(writer, "max_output", model->as.max_output);
        put_text(writer, "prompt", model->as.prompt);
        put_text(writer, "completion", model->as.completion);
        put_text(writer, "cached", model->as.cached);
        put_number(writer, "missing", model->missing);
        if (model->gone)
            json_member_bool(writer, "gone", true);
        put_number(writer, "since_ms", model->since_ms);
        put_number(writer, "priced_ms", model->priced_ms);
        json_close_object(writer);
    }
    json_close_array(writer);
}

int
seen_retire(struct seen *seen, struct str name, int64_t now_ms)
{
    size_t at = 0;
    while (at < seen->count && str_cmp(seen->models[at].as.name, name) < 0)
        at++;
    if (at < seen->count && str_eq(seen->models[at].as.name, name)) {
        seen->models[at].gone = true;
        return 0;
    }
    if (seen->count >= LISTING_MODELS_MAX)
        return -ERR_TOO_LARGE;
    struct seen_model *models = arena_array(&seen->arena, seen->count + 1, sizeof *models);
    struct seen_model model = {.gone = true, .since_ms = now_ms};
    if (!models || arena_dup(&seen->arena, name, &model.as.name) < 0)
        return -ERR_NOMEM;
    if (seen->count > 0) {
        memcpy(models, seen->models, at * sizeof *models);
        memcpy(models + at + 1, seen->models + at, (seen->count - at) * sizeof *models);
    }
    models[at] = model;
    seen->models = models;
    seen->count++;
    return 0;
}

/* ---- a listing holds ------------------------------------------------------------------------- */

size_t
seen_missing(const struct seen *seen, const struct listing *listing)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->count; i++)
        count += !seen->models[i].gone && !listing_find(listing, seen->models[i].as.name) ? 1 : 0;
    return count;
}

static bool
is_repriced(const struct seen_model *before, const struct listed *after)
{
    return before->as.prompt.len > 0 && after->prompt.len > 0 &&
           (!str_eq(before->as.prompt, after->prompt) ||
            !str_eq(before->as.completion, after->completion) ||
            !str_eq(before->as.cached, after->cached));
}

struct apply {
    struct seen next; /* becomes the old one when everything fitted */
    int64_t now_ms;
    bool count_missing;
    seen_news_fn news;
    void *user;
};

static void
tell(const struct apply *apply, enum seen_news news, struct str name)
{
    if (apply->news)
        apply->news(news, name, apply->user);
}

static int
note_present(struct apply *apply, const struct seen_model *before, const struct listed *listed)
{
    struct seen_model *model = &apply->next.models[apply->next.count++];
    *model = (struct seen_model){.since_ms = before ? before->since_ms : apply->now_ms,
                                 .priced_ms = apply->now_ms};
    bool repriced = before && is_repriced(before, listed);
    if (before && !repriced && before->priced_ms > 0)
        model->priced_ms = before->priced_ms;
    if (!before)
        tell(apply, SEEN_ADDED, listed->name);
    else if (before->gone)
        tell(apply, SEEN_RETURNED, listed->name);
    if (repriced)
        tell(apply, SEEN_REPRICED, listed->name);
    if (before && before->as.context != 0 && listed->context != 0 &&
        before->as.context != listed->context)
        tell(apply, SEEN_RESIZED, listed->name);
    return listing_dup(listed, &apply->next.arena, &model->as);
}

static int
note_absent(struct apply *apply, const struct seen_model *before)
{
    struct seen_model *model = &apply->next.models[apply->next.count++];
    *model = *before;
    if (!before->gone && apply->count_missing)
        model->missing++;
    model->gone = before->gone || model->missing >= SEEN_MISSING_MAX;
    if (!before->gone)
        tell(apply, model->gone ? SEEN_DISABLED : SEEN_MISSING, before->as.name);
    return listing_dup(&before->as, &apply->next.arena, &model->as);
}

/* Both are sorted: one walk over the two. */
static int
merge(struct apply *apply, const struct seen *seen, const struct listing *listing)
{
    size_t old = 0;
    size_t new = 0;
    int code = 0;
    while (code == 0 && (old < seen->count || new < listing->count)) {
        int order = old == seen->count ? 1
                    : new == listing->count
                        ? -1
                        : str_cmp(seen->models[old].as.name, listing->models[new].name);
        if (order < 0)
            code = note_absent(apply, &seen->models[old]);
        else
            code =
                note_present(apply, order == 0 ? &seen->models[old] : NULL, &listing->models[new]);
        old += order <= 0 ? 1 : 0;
        new += order >= 0 ? 1 : 0;
    }
    return code;
}

int
seen_apply(struct seen *seen, const struct listing *listing, bool by_hand, int64_t now_ms,
           seen_news_fn news, void *user, bool *ret_suspect)
{
    size_t live = 0;
    for (size_t i = 0; i < seen->count; i++)
        live += seen->models[i].gone ? 0 : 1;
    size_t missing = seen_missing(seen, listing);
    bool suspect = !by_hand && missing > SEEN_VANISH_MIN && missing * 2 > live;
    struct apply apply = {
        .now_ms = now_ms, .count_missing = !by_hand && !suspect, .news = news, .user = user};
    if (seen->count + listing->count > 2 * LISTING_MODELS_MAX)
        return -ERR_TOO_LARGE;
    seen_init(&apply.next);
    apply.next.models =
        arena_array(&apply.next.arena, seen->count + listing->count + 1, sizeof *seen->models);
    int code = apply.next.models ? merge(&apply, seen, listing) : -ERR_NOMEM;
    if (code < 0) {
        seen_fini(&apply.next);
        return code;
    }
    apply.next.scanned_ms = now_ms;
    apply.next.suspect = suspect ? seen->suspect + 1 : by_hand ? seen->suspect : 0;
    seen_fini(seen);
    *seen = apply.next;
    *ret_suspect = suspect;
    return 0;
}
