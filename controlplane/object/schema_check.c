/* SPDX-License-Identifier: MIT
 * schema_check.c - a document against the tables: what is wrong, where, and what was probably
 *                  meant.
 * Floor: controlplane/object; any thread.
 * Owns: nothing.
 * Invariant: see schema.h. */
#include "controlplane/object/schema.h"

#include <stdio.h>

#include "lib/base/check.h"
#include "lib/base/num.h"
#include "lib/text/uri.h"

#define PATH_BYTES_MAX 64u

/* What one check needs; lives on the stack of schema_check. */
struct checker {
    struct arena *arena;
    const struct kind *kind;
    struct manifest *manifest;
    struct err *err;
};

/* "line 7, column 3: TEXT" with the place also in err. */
#define FAIL_AT(err_, node_, code_, format_, ...)                                               \
    err_set_at((err_), (code_), (node_)->line, (node_)->column, "line %u, column %u: " format_, \
               (node_)->line, (node_)->column, ##__VA_ARGS__)

/* ---- unknown keys ---------------------------------------------------------------------------- */

struct nearest {
    struct str best;
    unsigned distance;
};

static void
nearest_offer(struct nearest *nearest, struct str key, struct str candidate)
{
    unsigned distance = str_distance(key, candidate);
    if (nearest->best.len == 0 || distance < nearest->distance) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}

static int
fail_unknown(struct err *err, const struct tree *node, const char *where,
             const struct nearest *nearest)
{
    struct str key = node->key;
    key.len = MIN(key.len, (size_t)60);
    if (nearest->best.len > 0 && nearest->distance <= str_near_max(key))
        return FAIL_AT(err, node, ERR_UNKNOWN_KEY,
                       "unknown key \"%.*s\" in %s; did you mean \"%.*s\"?", STR_ARG(key), where,
                       STR_ARG(nearest->best));
    return FAIL_AT(err, node, ERR_UNKNOWN_KEY, "unknown key \"%.*s\" in %s", STR_ARG(key), where);
}

static int
check_keys(const struct tree *map, const char *const *known, const char *where, struct err *err)
{
    for (const struct tree *child = map->first; child; child = child->next) {
        struct nearest nearest = {0};
        bool found = false;
        for (size_t i = 0; known[i]; i++) {
            found = found || str_eq(child->key, str_from(known[i]));
            nearest_offer(&nearest, child->key, str_from(known[i]));
        }
        if (!found)
            return fail_unknown(err, child, where, &nearest);
    }
    return 0;
}

/* The keys of one map of a spec; prefix: "" for the spec itself, "key." one level down. */
static int
check_spec_keys(const struct checker *checker, const struct tree *map, struct str prefix)
{
    size_t count;
    const struct field *fields = schema_fields(&count);
    for (const struct tree *child = map->first; child; child = child->next) {
        struct nearest nearest = {0};
        bool found = false;
        bool is_map = false;
        for (size_t i = 0; i < count; i++) {
            struct str path = str_from(fields[i].path);
            if (fields[i].kind != checker->kind->id || !str_starts(path, prefix))
                continue;
            struct str head;
            struct str rest;
            bool deeper = str_cut(str_skip(path, prefix.len), '.', &head, &rest);
            nearest_offer(&nearest, child->key, head);
            if (str_eq(head, child->key)) {
                found = true;
                is_map = deeper;
            }
        }
        if (!found) {
            char where[PATH_BYTES_MAX];
            (void)snprintf(where, sizeof where, "spec%s%.*s of %s", prefix.len ? "." : "",
                           (int)(prefix.len ? prefix.len - 1 : 0), prefix.ptr, checker->kind->name);
            return fail_unknown(checker->err, child, where, &nearest);
        }
        if (is_map && child->kind != TREE_MAP)
            return FAIL_AT(checker->err, child, ERR_INVALID, "%.*s must be a map",
                           STR_ARG(child->key));
    }
    return 0;
}

/* ---- one value ------------------------------------------------------------------------------- */

static int
check_length(const struct checker *checker, const struct field *field, const struct tree *node)
{
    if ((int64_t)node->text.len < field->min || (int64_t)node->text.len > field->max)
        return FAIL_AT(checker->err, node, ERR_RANGE, "%s must have %lld to %lld bytes, it has %zu",
                       field->path, (long long)field->min, (long long)field->max, node->text.len);
    for (size_t i = 0; i < node->text.len; i++) {
        if ((unsigned char)node->text.ptr[i] < 0x20 || node->text.ptr[i] == 0x7f)
            return FAIL_AT(checker->err, node, ERR_INVALID, "%s holds a control character",
                           field->path);
    }
    return 0;
}

static int
check_string(const struct checker *checker, const struct field *field, const struct tree *node)
{
    if (node->kind != TREE_STRING)
        return FAIL_AT(checker->err, node, ERR_INVALID, "%s must be a string%s", field->path,
                       node->kind == TREE_NUMBER || node->kind == TREE_BOOL ? "; quote it" : "");
    int code = check_length(checker, field, node);
    if (code < 0)
        return code;
    if (field->type == FIELD_NAME && !schema_valid_name(kind_at(KIND_WALLET), node->text))
        return FAIL_AT(checker->err, node, ERR_INVALID, "%s is no valid name", field->path);
    if (field->type == FIELD_PATH && node->text.ptr[0] != '/')
        return FAIL_AT(checker->err, node, ERR_INVALID, "%s must be an absolute path", field->path);
    if (field->type == FIELD_URL) {
        struct uri uri;
        struct err why = {0};
        if (uri_parse(node->text, &uri, &why) < 0 || uri.query.len > 0)
            return FAIL_AT(checker->err, node, ERR_INVALID, "%s is no http or https URL: %s",
                           field->path, why.code ? why.text : "it has a query");
    }
    return 0;
}

static int
check_choice(const struct checker *checker, const struct field *field, const struct tree *node)
{
    struct str rest = str_from(field->choices);
    struct str choice;
    struct nearest nearest = {0};
    struct str text = node->kind == TREE_STRING ? node->text : STR_EMPTY;
    while (rest.len > 0) {
        str_cut(rest, ',', &choice, &rest);
        if (str_eq(choice, text))
            return 0;
        nearest_offer(&nearest, text, choice);
    }
    bool hint = nearest.best.len > 0 && nearest.distance <= str_near_max(text);
    return FAIL_AT(checker->err, node, ERR_INVALID, "%s must be one of %s%s%.*s%s", field->path,
                   field->choices, hint ? "; did you mean \"" : "",
                   hint ? (int)nearest.best.len : 0, nearest.best.len ? nearest.best.ptr : "",
                   hint ? "\"?" : "");
}

/* A name of a model in which '*' stands for any bytes. */
static bool
is_pattern(struct str text)
{
    char name[256];
    if (text.len == 0 || text.len > sizeof name)
        return false;
    for (size_t i = 0; i < text.len; i++)
        name[i] = (char)(text.ptr[i] == '*' ? 'x' : text.ptr[i]);
    return schema_valid_name(kind_at(KIND_MODEL), str_make(name, text.len));
}

static int
check_list(const struct checker *checker, const struct field *field, const struct tree *node)
{
    if (node->kind != TREE_LIST)
        return FAIL_AT(checker->err, node, ERR_INVALID, "%s must be a list", field->path);
    if ((int64_t)node->count < field->min || (int64_t)node->count > field->max)
        return FAIL_AT(checker->err, node, ERR_RANGE, "%s must have %lld to %lld entries",
                       field->path, (long long)field->min, (long long)field->max);
    for (const struct tree *child = node->first; child; child = child->next) {
        if (child->kind != TREE_STRING ||
            !(field->type == FIELD_PATTERNS ? is_pattern(child->text)
                                            : schema_valid_name(kind_at(KIND_MODEL), child->text)))
            return FAIL_AT(checker->err, child, ERR_INVALID, "%s must list names%s", field->path,
                           field->type == FIELD_PATTERNS ? ", in which * stands for anything" : "");
    }
    return 0;
}

static int
check_number(const struct checker *checker, const struct field *field, const struct tree *node)
{
    int64_t value;
    if (field->type == FIELD_INT) {
        if (node->kind != TREE_NUMBER || num_i64(node->text, field->min, field->max, &value) < 0)
            return FAIL_AT(checker->err, node, ERR_RANGE,
                           "%s must be a whole number from %lld to %lld", field->path,
                           (long long)field->min, (long long)field->max);
        return 0;
    }
    struct money money;
    if (field->type == FIELD_MONEY) {
        if ((node->kind != TREE_NUMBER && node->kind != TREE_STRING) ||
            money_parse(node->text, 2, &money) < 0)
            return FAIL_AT(checker->err, node, ERR_RANGE,
                           "%s must be dollars as \"12.50\": no sign, at most two decimals",
                           field->path);
        return 0;
    }
    unsigned decimals = field->type == FIELD_USD ? 12 : 6;
    if ((node->kind != TREE_NUMBER && node->kind != TREE_STRING) ||
        schema_pico(node->text, decimals, &value) < 0)
        return FAIL_AT(checker->err, node, ERR_RANGE,
                       "%s must be dollars as \"1.25\": no sign, no exponent, at most %u decimals",
                       field->path, decimals);
    return 0;
}

static int
check_value(const struct checker *checker, const struct field *field, const struct tree *node)
{
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_NAME:
    case FIELD_URL:
    case FIELD_PATH:
    case FIELD_SECRET:
        return check_string(checker, field, node);
    case FIELD_BOOL:
        if (node->kind != TREE_BOOL)
            return FAIL_AT(checker->err, node, ERR_INVALID, "%s must be true or false",
                           field->path);
        return 0;
    case FIELD_ENUM:
        return check_choice(checker, field, node);
    case FIELD_LIST:
    case FIELD_PATTERNS:
        return check_list(checker, field, node);
    case FIELD_INT:
    case FIELD_USD_PER_MILLION:
    case FIELD_USD:
    case FIELD_MONEY:
        return check_number(checker, field, node);
    }
    return -ERR_INVALID;
}

/* ---- copying what was checked ---------------------------------------------------------------- */

static int
no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "the object is too large");
}

static int
append_text(struct arena *arena, struct tree *parent, struct str key, enum tree_kind kind,
            struct str text)
{
    struct tree *child = tree_new(arena, kind, text);
    if (!child)
        return -ERR_NOMEM;
    tree_append(parent, key, child);
    return 0;
}

static int
copy_value(const struct checker *checker, const struct field *field, const struct tree *from,
           struct tree *parent, struct str key)
{
    struct arena *arena = checker->arena;
    if (field->type == FIELD_SECRET) {
        checker->manifest->secret = from->text;
        return append_text(arena, parent, key, TREE_STRING, STR(SECRET_SHOWN));
    }
    if (field->type == FIELD_USD || field->type == FIELD_USD_PER_MILLION ||
        field->type == FIELD_MONEY)
        return append_text(arena, parent, key, TREE_STRING, from->text);
    if (field->type != FIELD_LIST && field->type != FIELD_PATTERNS)
        return append_text(arena, parent, key, from->kind, from->text);
    struct tree *list = tree_new(arena, TREE_LIST, STR_EMPTY);
    if (!list)
        return -ERR_NOMEM;
    tree_append(parent, key, list);
    for (const struct tree *child = from->first; child; child = child->next) {
        int code = append_text(arena, list, STR_EMPTY, TREE_STRING, child->text);
        if (code < 0)
            return code;
    }
    return 0;
}

static int
copy_fallback(const struct checker *checker, const struct field *field, struct tree *parent,
              struct str key)
{
    enum tree_kind kind = field->type == FIELD_BOOL  ? TREE_BOOL
                          : field->type == FIELD_INT ? TREE_NUMBER
                                                     : TREE_STRING;
    return append_text(checker->arena, parent, key, kind, str_from(field->fallback));
}

/* The map of the new spec that holds `path`, made when it is missing; *ret_key is the last part. */
static struct tree *
parent_of(const struct checker *checker, const char *path, struct str *ret_key)
{
    struct tree *parent = checker->manifest->spec;
    struct str rest;
    if (!str_cut(str_from(path), '.', ret_key, &rest))
        return parent;
    ASSERT(str_find_byte(rest, '.') == SIZE_MAX);
    struct tree *last = parent->last;
    if (!last || !str_eq(last->key, *ret_key)) {
        last = tree_new(checker->arena, TREE_MAP, STR_EMPTY);
        if (!last)
            return NULL;
        tree_append(parent, *ret_key, last);
    }
    *ret_key = rest;
    return last;
}

static int
check_field(const struct checker *checker, const struct field *field, const struct tree *spec)
{
    const struct tree *node = schema_get(spec, field->path);
    if (node && node->kind == TREE_NULL)
        node = NULL;
    if (!node && !field->fallback) {
        if (!field->required)
            return 0;
        return FAIL_AT(checker->err, spec, ERR_INVALID, "%s is missing in spec of %s", field->path,
                       checker->kind->name);
    }
    if (node) {
        int code = check_value(checker, field, node);
        if (code < 0)
            return code;
    }
    struct str key;
    struct tree *parent = parent_of(checker, field->path, &key);
    int code = !parent ? -ERR_NOMEM
               : node  ? copy_value(checker, field, node, parent, key)
                       : copy_fallback(checker, field, parent, key);
    return code < 0 ? no_memory(checker->err) : 0;
}

/* ---- rules between fields -------------------------------------------------------------------- */

/* A cap is whole or not there. */
static int
check_cap(const struct checker *checker, const struct tree *spec)
{
    const struct tree *cap = schema_get(checker->manifest->spec, "cap");
    if (!cap)
        return 0;
    if (cap->count < 3)
        return FAIL_AT(checker->err, schema_get(spec, "cap"), ERR_INVALID,
                       "cap needs from, amount and per");
    if (str_eq(schema_text(cap, "from", STR_EMPTY), checker->manifest->name))
        return FAIL_AT(checker->err, schema_get(spec, "cap.from"), ERR_INVALID,
                       "cap.from must be another wallet");
    return 0;
}

/* Prices of a service or of long prompts stand beside a price, and a length has its prices. */
static int
check_further_prices(const struct checker *checker, const struct tree *spec)
{
    static const char *const groups[] = {"priceFlex", "pricePriority", "priceBatch", "priceOver"};
    const struct tree *checked = checker->manifest->spec;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (schema_get(checked, groups[i]) && !schema_get(checked, "price"))
            return FAIL_AT(checker->err, schema_get(spec, groups[i]), ERR_INVALID,
                           "%s needs a price beside it", groups[i]);
    }
    const struct tree *over = schema_get(checked, "priceOver");
    if (over && (!tree_get(over, STR("tokens")) || over->count < 2))
        return FAIL_AT(checker->err, schema_get(spec, "priceOver"), ERR_INVALID,
                       "priceOver needs tokens, and prices above them");
    return 0;
}

/* What a call cannot be without: its prompt, itself, or what it is counted by. */
static bool
prices_a_call(const struct tree *price)
{
    static const char *const any[] = {"input",        "request",   "image",
                                      "secondIn",     "secondOut", "characterIn",
                                      "characterOut", "query",     "page"};
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(any); i++)
        found = found || tree_get(price, str_from(any[i]));
    return found;
}

static int
check_rules(const struct checker *checker, const struct tree *spec)
{
    const struct tree *key = schema_get(checker->manifest->spec, "key");
    if (checker->kind->id == KIND_PROVIDER && key && key->count > 1)
        return FAIL_AT(checker->err, schema_get(spec, "key"), ERR_INVALID,
                       "key must have one of env, file and value");
    const struct tree *price = schema_get(checker->manifest->spec, "price");
    if (checker->kind->id == KIND_MODEL && price && !prices_a_call(price))
        return FAIL_AT(checker->err, schema_get(spec, "price"), ERR_INVALID,
                       "price needs input (and output), request, or what a piece costs");
    if (checker->kind->id == KIND_MODEL && price && tree_get(price, STR("input")) &&
        !tree_get(price, STR("output")) &&
        str_eq(schema_text(checker->manifest->spec, "kind", STR_EMPTY), STR("chat")))
        return FAIL_AT(checker->err, schema_get(spec, "price"), ERR_INVALID,
                       "price.output is missing; write \"0\" when answers are free");
    if (checker->kind->id == KIND_WALLET)
        return check_cap(checker, spec);
    return checker->kind->id == KIND_MODEL ? check_further_prices(checker, spec) : 0;
}

static int
check_spec(const struct checker *checker, const struct tree *spec)
{
    size_t count;
    const struct field *fields = schema_fields(&count);
    int code = check_spec_keys(checker, spec, STR_EMPTY);
    for (size_t i = 0; i < count && code == 0; i++) {
        struct str head;
        struct str rest;
        const char *path = fields[i].path;
        if (fields[i].kind != checker->kind->id || !str_cut(str_from(path), '.', &head, &rest))
            continue;
        const struct tree *map = tree_get(spec, head);
        if (map && map->kind == TREE_MAP)
            code = check_spec_keys(checker, map, str_make(path, head.len + 1));
    }
    for (size_t i = 0; i < count && code == 0; i++) {
        if (fields[i].kind == checker->kind->id)
            code = check_field(checker, &fields[i], spec);
    }
    return code < 0 ? code : check_rules(checker, spec);
}

/* ---- envelope -------------------------------------------------------------------------------- */

static int
check_metadata(const struct checker *checker, const struct tree *metadata)
{
    static const char *const known[] = {"name", "uid", "generation", "revision", "created", NULL};
    struct manifest *manifest = checker->manifest;
    int code = check_keys(metadata, known, "metadata", checker->err);
    if (code != 0)
        return code;
    const struct tree *name = tree_get(metadata, STR("name"));
    if (!name)
        return FAIL_AT(checker->err, metadata, ERR_INVALID, "metadata.name is missing");
    if (name->kind != TREE_STRING)
        return FAIL_AT(checker->err, name, ERR_INVALID, "metadata.name must be a string; quote it");
    if (!schema_valid_name(checker->kind, name->text)) {
        return FAIL_AT(checker->err, name, ERR_INVALID,
                       "metadata.name of %s must have 1 to %zu bytes: letters A-Z a-z, digits and "
                       "any of %s",
                       checker->kind->name, schema_name_max(checker->kind),
                       schema_name_marks(checker->kind));
    }
    manifest->name = name->text;
    const struct tree *uid = tree_get(metadata, STR("uid"));
    if (uid && uid->kind == TREE_STRING)
        manifest->uid = uid->text;
    const struct tree *revision = tree_get(metadata, STR("revision"));
    if (revision && (revision->kind > TREE_STRING ||
                     num_u64(revision->text, INT64_MAX, &manifest->revision) < 0))
        return FAIL_AT(checker->err, revision, ERR_INVALID, "metadata.revision is no revision");
    return 0;
}

static int
check_kind(const struct tree *doc, const struct kind **ret_kind, struct err *err)
{
    const struct tree *version = tree_get(doc, STR("apiVersion"));
    const struct tree *kind = tree_get(doc, STR("kind"));
    if (!version || !kind)
        return FAIL_AT(err, doc, ERR_INVALID, "%s is missing", version ? "kind" : "apiVersion");
    if (version->kind != TREE_STRING || !str_eq(version->text, STR(API_VERSION)))
        return FAIL_AT(err, version, ERR_INVALID, "apiVersion must be " API_VERSION);
    struct str text = kind->kind == TREE_STRING ? kind->text : STR_EMPTY;
    const struct kind *found = kind_by_name(text);
    if (found) {
        *ret_kind = found;
        return 0;
    }
    struct nearest nearest = {0};
    for (size_t i = 0; i < KIND_COUNT; i++)
        nearest_offer(&nearest, text, str_from(kind_at((enum kind_id)i)->name));
    return FAIL_AT(err, kind, ERR_INVALID, "unknown kind \"%.*s\"; the nearest is \"%.*s\"",
                   (int)MIN(text.len, (size_t)60), text.ptr, STR_ARG(nearest.best));
}

int
schema_check(const struct tree *doc, struct arena *arena, struct manifest *ret_manifest,
             struct err *err)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
    struct manifest manifest = {.uid = STR_EMPTY, .secret = STR_EMPTY};
    struct checker checker = {.arena = arena, .manifest = &manifest, .err = err};
    if (!doc || doc->kind != TREE_MAP)
        return err_set(err, ERR_INVALID, "an object must be a map");
    int code = check_keys(doc, known, "the object", err);
    if (code == 0)
        code = check_kind(doc, &manifest.kind, err);
    if (code != 0)
        return code;
    checker.kind = manifest.kind;
    const struct tree *metadata = tree_get(doc, STR("metadata"));
    if (!metadata || metadata->kind != TREE_MAP)
        return FAIL_AT(err, doc, ERR_INVALID, "metadata with a name is missing");
    code = check_metadata(&checker, metadata);
    if (code != 0)
        return code;
    const struct tree *spec = tree_get(doc, STR("spec"));
    struct tree empty = {.kind = TREE_MAP, .line = doc->line, .column = doc->column};
    if (!spec || spec->kind == TREE_NULL)
        spec = &empty;
    if (spec->kind != TREE_MAP)
        return FAIL_AT(err, spec, ERR_INVALID, "spec must be a map");
    manifest.spec = tree_new(arena, TREE_MAP, STR_EMPTY);
    if (!manifest.spec)
        return no_memory(err);
    code = check_spec(&checker, spec);
    if (code == 0)
        *ret_manifest = manifest;
    return code;
}
