/* SPDX-License-Identifier: MIT
 * schema.c - the tables of kinds and fields, and what is looked up in them.
 * Floor: controlplane/object; any thread.
 * Owns: nothing.
 * Invariant: see schema.h. */
#include "controlplane/object/schema.h"

#include "lib/base/check.h"

static const struct kind kinds[KIND_COUNT] = {
#define KIND_ROW(name_, text_, plural_, doc_) \
    [KIND_##name_] = {.id = KIND_##name_, .name = text_, .plural = plural_, .doc = doc_},
#include "api/schema/kinds.def"
#undef KIND_ROW
};

static const struct field fields[] = {
#define FIELD_ROW(kind_, path_, type_, required_, min_, max_, choices_, fallback_, doc_) \
    {KIND_##kind_, path_, FIELD_##type_, required_, min_, max_, choices_, fallback_, doc_},
#include "api/schema/fields.def"
#undef FIELD_ROW
};

const struct kind *
kind_at(enum kind_id id)
{
    ASSERT(id < KIND_COUNT);
    return &kinds[id];
}

const struct kind *
kind_by_name(struct str name)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (str_eq(name, str_from(kinds[i].name)))
            return &kinds[i];
    }
    return NULL;
}

const struct kind *
kind_by_plural(struct str plural)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (str_eq(plural, str_from(kinds[i].plural)))
            return &kinds[i];
    }
    return NULL;
}

const struct field *
schema_fields(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(fields);
    return fields;
}

size_t
schema_name_max(const struct kind *kind)
{
    if (kind->id == KIND_MODEL)
        return 200;
    /* wallets and providers are accounts of the ledger, which takes 63 bytes */
    return kind->id == KIND_WALLET || kind->id == KIND_PROVIDER ? 63 : 100;
}

const char *
schema_name_marks(const struct kind *kind)
{
    if (kind->id == KIND_MODEL)
        return "-_.:@~/";
    return kind->id == KIND_CONTAINER ? "-_" : "-_.";
}

bool
schema_valid_name(const struct kind *kind, struct str name)
{
    size_t max = schema_name_max(kind);
    const char *more = schema_name_marks(kind);
    if (name.len == 0 || name.len > max || name.ptr[0] == '/' || name.ptr[name.len - 1] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || !strchr(more, c)))
            return false;
        if (c == '/' && name.ptr[i + 1] == '/')
            return false;
    }
    return !str_eq(name, STR(".")) && !str_eq(name, STR(".."));
}

int
schema_pico(struct str text, unsigned decimals, int64_t *ret_pico)
{
    int64_t pico = 0;
    size_t at = 0;
    unsigned used = 0;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
        if (at == 1 && text.ptr[0] == '0')
            return -ERR_PARSE;
        pico = pico * 10 + (text.ptr[at++] - '0');
        if (pico > PRICE_PICO_MAX)
            return -ERR_RANGE;
    }
    if (at == 0)
        return -ERR_PARSE;
    if (at < text.len && text.ptr[at] == '.') {
        at++;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
            if (++used > decimals)
                return -ERR_RANGE;
            pico = pico * 10 + (text.ptr[at++] - '0');
            if (pico > PRICE_PICO_MAX)
                return -ERR_RANGE;
        }
        if (used == 0)
            return -ERR_PARSE;
    }
    if (at != text.len)
        return -ERR_PARSE;
    for (; used < decimals; used++) {
        pico *= 10;
        if (pico > PRICE_PICO_MAX)
            return -ERR_RANGE;
    }
    *ret_pico = pico;
    return 0;
}

const struct tree *
schema_get(const struct tree *spec, const char *path)
{
    struct str rest = str_from(path);
    struct str head;
    while (spec && rest.len > 0) {
        str_cut(rest, '.', &head, &rest);
        spec = tree_get(spec, head);
    }
    return spec;
}

struct str
schema_text(const struct tree *spec, const char *path, struct str fallback)
{
    const struct tree *node = schema_get(spec, path);
    if (!node ||
        (node->kind != TREE_STRING && node->kind != TREE_NUMBER && node->kind != TREE_BOOL))
        return fallback;
    return node->text;
}

bool
schema_true(const struct tree *spec, const char *path)
{
    const struct tree *node = schema_get(spec, path);
    return node && node->kind == TREE_BOOL && str_eq(node->text, STR("true"));
}
