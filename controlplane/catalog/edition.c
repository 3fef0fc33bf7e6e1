/* SPDX-License-Identifier: MIT
 * edition.c - see edition.h.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing.
 * Invariant: see edition.h. */
#include "controlplane/catalog/edition.h"

#include "controlplane/catalog/embed_int.h"

#define NODES_MAX 4000000u
#define MODELS_MAX 50000u
#define ID_BYTES_MAX 200u

struct check {
    struct json_doc doc;
    struct str before; /* id of the model before this one */
    struct err *err;
};

static bool
is_one_of(struct str text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        if (str_eq(text, str_from(words[i])))
            return true;
    }
    return false;
}

/* Quoted text without escapes; empty when it is none. */
static struct str
plain(const struct json_doc *doc, uint32_t node)
{
    struct str raw = json_raw(doc, node);
    if (!json_is(doc, node, JSON_STRING) || memchr(raw.ptr, '\\', raw.len))
        return STR_EMPTY;
    return str_make(raw.ptr + 1, raw.len - 2);
}

/* What a model without a place in the text is called in messages. */
static int
bad(const struct check *check, enum err_code code, struct str id, const char *what)
{
    id.len = MIN(id.len, (size_t)ID_BYTES_MAX);
    return err_set(check->err, code, "model %.*s: %s", STR_ARG(id), what);
}

/* ---- one model ------------------------------------------------------------------------------- */

static bool
is_price_key(struct str key)
{
    static const char *const others[] = {"status",
                                         "tiers",
                                         "changes",
                                         "service_tiers",
                                         "images",
                                         "from",
                                         "price",
                                         "over_tokens",
                                         "per_web_search_medium",
                                         "per_audio_second_in",
                                         "per_video_second_in",
                                         "per_video_second_out",
                                         NULL};
    if (str_ends(key, STR("_pico")))
        key.len -= 5;
    for (int i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (str_eq(key, str_from(usage_price_field((enum usage_class)i))))
            return true;
    }
    return is_one_of(key, others);
}

/* Prices are whole numbers: nothing here is ever rounded. */
static bool
is_whole(struct str number)
{
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] < '0' || number.ptr[i] > '9')
            return false;
    }
    return true;
}

static int
check_pricing(const struct check *check, uint32_t node, struct str id)
{
    struct tariff_row rows[TARIFF_ROWS_MAX];
    struct tariff tariff;
    const struct json_doc *doc = &check->doc;
    if (!json_is(doc, node, JSON_OBJECT))
        return bad(check, ERR_INVALID, id, "\"pricing\" must be an object");
    for (uint32_t key = json_first(doc, node); key != JSON_NONE;
         key = json_sibling(doc, node, key)) {
        if (!is_price_key(plain(doc, key)))
            return bad(check, ERR_UNKNOWN_KEY, id, "unknown price");
    }
    for (uint32_t at = node; at < doc->nodes[node].next; at++) {
        if (json_is(doc, at, JSON_NUMBER) && !is_whole(json_raw(doc, at)))
            return bad(check, ERR_INVALID, id, "prices must be whole and not negative");
    }
    if (catalog_tariff(json_raw(doc, node), rows, &tariff) < 0)
        return bad(check, ERR_INVALID, id, "its prices do not hold together");
    return 0;
}

static int
check_words(const struct check *check, uint32_t node, struct str id, const char *what)
{
    for (uint32_t at = json_first(&check->doc, node); at != JSON_NONE;
         at = json_sibling(&check->doc, node, at)) {
        if (plain(&check->doc, at).len == 0)
            return bad(check, ERR_INVALID, id, what);
    }
    return json_is(&check->doc, node, JSON_ARRAY) ? 0 : bad(check, ERR_INVALID, id, what);
}

static int
check_keys(const struct check *check, uint32_t model, struct str id)
{
    static const char *const known[] = {"id",
                                        "provider",
                                        "upstream_id",
                                        "display_name",
                                        "kind",
                                        "wildcard",
                                        "modalities",
                                        "endpoints",
                                        "context_tokens",
                                        "max_input_tokens",
                                        "max_output_tokens",
                                        "capabilities",
                                        "reasoning_control",
                                        "cache_min_tokens",
                                        "dimensions",
                                        "canonical",
                                        "aliases",
                                        "pricing",
                                        "price_sources",
                                        "price_checked",
                                        "price_disputed",
                                        "released",
                                        "deprecated",
                                        "stage",
                                        "open_weights",
                                        NULL};
    const struct json_doc *doc = &check->doc;
    for (uint32_t key = json_first(doc, model); key != JSON_NONE;
         key = json_sibling(doc, model, key)) {
        if (!is_one_of(plain(doc, key), known))
            return bad(check, ERR_UNKNOWN_KEY, id, "a member that this version does not know");
    }
    return 0;
}

static int
check_facts(const struct check *check, uint32_t model, struct str id)
{
    static const char *const kinds[] = {"chat",
                                        "completion",
                                        "responses",
                                        "embedding",
                                        "rerank",
                                        "moderation",
                                        "image_generation",
                                        "image_edit",
                                        "video_generation",
                                        "audio_speech",
                                        "audio_transcription",
                                        "realtime",
                                        "ocr",
                                        "search",
                                        "vector_store",
                                        NULL};
    const struct json_doc *doc = &check->doc;
    struct str provider = plain(doc, json_get(doc, model, STR("provider")));
    uint32_t modalities = json_get(doc, model, STR("modalities"));
    uint32_t aliases = json_get(doc, model, STR("aliases"));
    if (provider.len == 0 || !str_starts(id, provider) || id.len < provider.len + 2 ||
        id.ptr[provider.len] != '/')
        return bad(check, ERR_INVALID, id, "the id must be PROVIDER/NAME");
    if (plain(doc, json_get(doc, model, STR("upstream_id"))).len == 0)
        return bad(check, ERR_INVALID, id, "\"upstream_id\" is missing");
    if (!is_one_of(plain(doc, json_get(doc, model, STR("kind"))), kinds))
        return bad(check, ERR_INVALID, id, "unknown \"kind\"");
    int code = check_words(check, json_get(doc, modalities, STR("input")), id,
                           "\"modalities.input\" must be a list of words");
    if (code == 0)
        code = check_words(check, json_get(doc, modalities, STR("output")), id,
                           "\"modalities.output\" must be a list of words");
    if (code == 0)
        code = check_words(check, json_get(doc, model, STR("capabilities")), id,
                           "\"capabilities\" must be a list of words");
    if (code == 0 && aliases != JSON_NONE)
        code = check_words(check, aliases, id, "\"aliases\" must be a list of names");
    return code == 0 ? check_pricing(check, json_get(doc, model, STR("pricing")), id) : code;
}

/* Nothing but a comma between its end and the line's, and no line between two models. */
static bool
is_own_line(const struct json_doc *doc, uint32_t model)
{
    struct str raw = json_raw(doc, model);
    size_t start = (size_t)(raw.ptr - doc->text.ptr);
    struct str rest = str_skip(doc->text, start + raw.len);
    struct str before = str_make(doc->text.ptr, start);
    return !memchr(raw.ptr, '\n', raw.len) &&
           (str_ends(before, STR("},\n")) || str_ends(before, STR("[\n"))) &&
           (str_starts(rest, STR(",\n{")) || str_starts(rest, STR("\n]")));
}

/* Line, order and alphabet: what bisecting and reading a line rely on. */
static int
check_form(struct check *check, uint32_t model, struct str *ret_id)
{
    const struct json_doc *doc = &check->doc;
    struct str raw = json_raw(doc, model);
    struct str id = plain(doc, json_get(doc, model, STR("id")));
    if (id.len == 0 || id.len > ID_BYTES_MAX)
        return err_set(check->err, ERR_INVALID, "behind model %.*s: one without an id",
                       STR_ARG(check->before));
    if (!is_own_line(doc, model) || !str_eq(catalog_line_id(raw), id))
        return bad(check, ERR_INVALID, id,
                   "must stand alone on a line that begins with {\"id\":, behind the line of the "
                   "model before it");
    if (memchr(raw.ptr, '\\', raw.len))
        return bad(check, ERR_INVALID, id, "no escapes");
    if (check->before.len > 0 && str_cmp(check->before, id) >= 0)
        return bad(check, ERR_INVALID, id, "ids must be sorted by their bytes, each there once");
    check->before = id;
    *ret_id = id;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int
check_head(const struct check *check, uint32_t *ret_version)
{
    static const char *const known[] = {"schema", "as_of", "currency", "price_unit",
                                        "notes",  "count", "models",   NULL};
    const struct json_doc *doc = &check->doc;
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_sibling(doc, 0, key)) {
        if (!is_one_of(plain(doc, key), known))
            return err_set(check->err, ERR_UNKNOWN_KEY,
                           "the catalogue has a member that this version does not know: %.*s",
                           (int)MIN(json_raw(doc, key).len, (size_t)60), json_raw(doc, key).ptr);
    }
    if (!json_string_eq(doc, json_get(doc, 0, STR("schema")), STR("gateway-catalog/1")))
        return err_set(check->err, ERR_INVALID, "\"schema\" must be \"gateway-catalog/1\"");
    if (!json_string_eq(doc, json_get(doc, 0, STR("currency")), STR("USD")))
        return err_set(check->err, ERR_INVALID, "\"currency\" must be \"USD\"");
    *ret_version = catalog_version_of(doc->text);
    if (*ret_version == 0 || !json_is(doc, json_get(doc, 0, STR("as_of")), JSON_STRING))
        return err_set(check->err, ERR_INVALID,
                       "\"as_of\" must be a date as 2026-08-21, in the first lines");
    return 0;
}

static int
check_models(struct check *check, uint32_t *ret_count)
{
    const struct json_doc *doc = &check->doc;
    uint32_t list = json_get(doc, 0, STR("models"));
    uint64_t count = 0;
    if (!json_is(doc, list, JSON_ARRAY) || json_count(doc, list) == 0 ||
        json_count(doc, list) > MODELS_MAX)
        return err_set(check->err, ERR_INVALID, "\"models\" must list 1 to %u models", MODELS_MAX);
    if (json_u64(doc, json_get(doc, 0, STR("count")), MODELS_MAX, &count) < 0 ||
        count != json_count(doc, list))
        return err_set(check->err, ERR_INVALID,
                       "\"count\" must be the number of models: the file may be cut");
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        struct str id = STR_EMPTY;
        int code = check_form(check, at, &id);
        if (code == 0)
            code = check_keys(check, at, id);
        if (code == 0)
            code = check_facts(check, at, id);
        if (code < 0)
            return code;
    }
    /* where the lines begin for a reader who does not scan */
    struct str first = json_raw(doc, json_first(doc, list));
    if (catalog_lines(doc->text).ptr != first.ptr)
        return err_set(check->err, ERR_INVALID, "a line before the models looks like one of them");
    *ret_count = (uint32_t)count;
    return 0;
}

int
edition_check(struct str text, uint32_t *ret_version, uint32_t *ret_count, struct err *err)
{
    const struct json_limits limits = {.node_count_max = NODES_MAX, .depth_max = 16};
    struct check check = {.before = STR_EMPTY, .err = err};
    uint32_t version = 0;
    uint32_t count = 0;
    if (text.len > EDITION_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "a catalogue has at most %u MiB",
                       EDITION_BYTES_MAX / (1024u * 1024u));
    json_init(&check.doc);
    int code = json_scan(&check.doc, text, &limits, err);
    if (code == 0)
        code = check_head(&check, &version);
    if (code == 0)
        code = check_models(&check, &count);
    json_fini(&check.doc);
    if (code == 0) {
        *ret_version = version;
        *ret_count = count;
    }
    return code;
}

/* ---- two of them ----------------------------------------------------------------------------- */

struct walk {
    struct str lines;
    size_t at;
    struct str line;
    struct str id; /* empty: behind the last */
};

static void
step(struct walk *walk)
{
    walk->line = catalog_line(walk->lines, walk->at);
    if (str_ends(walk->line, STR(",")))
        walk->line.len--;
    walk->id = catalog_line_id(walk->line);
    walk->at += catalog_line(walk->lines, walk->at).len + 1;
}

static int
tell(const struct walk *old, const struct walk *new, edition_change_fn changed, void *user)
{
    struct catalog_model before;
    struct catalog_model after;
    int code = old ? catalog_read_line(old->line, &before) : 0;
    if (code == 0 && new)
        code = catalog_read_line(new->line, &after);
    if (code != 0)
        return code;
    enum edition_change change = EDITION_CHANGED;
    if (!old)
        change = EDITION_ADDED;
    else if (!new)
        change = EDITION_REMOVED;
    else if (!str_eq(before.pricing, after.pricing))
        change = EDITION_REPRICED;
    changed(change, old ? &before : NULL, new ? &after : NULL, user);
    return 0;
}

int
edition_compare(struct str before, struct str after, edition_change_fn changed, void *user)
{
    struct walk old = {.lines = catalog_lines(before)};
    struct walk new = {.lines = catalog_lines(after)};
    int code = 0;
    step(&old);
    step(&new);
    while (code == 0 && (old.id.len > 0 || new.id.len > 0)) {
        int order = old.id.len == 0 ? 1 : new.id.len == 0 ? -1 : str_cmp(old.id, new.id);
        if (order != 0 || !str_eq(old.line, new.line))
            code = tell(order <= 0 ? &old : NULL, order >= 0 ? &new : NULL, changed, user);
        if (order <= 0)
            step(&old);
        if (order >= 0)
            step(&new);
    }
    return code;
}
