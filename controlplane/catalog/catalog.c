/* SPDX-License-Identifier: MIT
 * catalog.c - models: bisecting a sorted text of one model a line, and reading one line.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing.
 * Invariant: see catalog.h. */
#include "controlplane/catalog/catalog.h"

#include "controlplane/catalog/embed_int.h"
#include "lib/base/check.h"

#define LINE_NODES_MAX 4096u
#define ID_START "{\"id\":\""

/* ---- lines ----------------------------------------------------------------------------------- */

/* What catalog_use said; ptr NULL: the shipped one. Written by the engine thread between calls. */
static struct str edition;

static struct str
models_text(void)
{
    return edition.ptr ? edition : embed_models();
}

void
catalog_use(struct str text)
{
    edition = text;
}

/* The lines with models: behind the line `"models":[`, before the closing bracket. */
struct str
catalog_lines(struct str text)
{
    size_t start = str_find(text, STR("\n" ID_START));
    return start == SIZE_MAX ? STR_EMPTY : str_skip(text, start + 1);
}

static struct str
model_lines(void)
{
    struct str lines = catalog_lines(models_text());
    ASSERT(lines.len > 0);
    return lines;
}

struct str
catalog_line(struct str lines, size_t offset)
{
    struct str rest = str_skip(lines, offset);
    size_t end = str_find_byte(rest, '\n');
    return end == SIZE_MAX ? rest : str_make(rest.ptr, end);
}

struct str
catalog_line_id(struct str line)
{
    if (!str_starts(line, STR(ID_START)))
        return STR_EMPTY;
    struct str rest = str_skip(line, sizeof ID_START - 1);
    size_t end = str_find_byte(rest, '"');
    return end == SIZE_MAX ? STR_EMPTY : str_make(rest.ptr, end);
}

/* Offset of the first line whose id is >= key, or lines.len. */
static size_t
lower_bound(struct str lines, struct str key)
{
    size_t low = 0;
    size_t high = lines.len;
    while (low < high) {
        size_t at = low + (high - low) / 2;
        while (at > low && lines.ptr[at - 1] != '\n')
            at--;
        struct str line = catalog_line(lines, at);
        struct str id = catalog_line_id(line);
        if (id.len > 0 && str_cmp(id, key) < 0)
            low = at + line.len + 1;
        else
            high = at;
    }
    return MIN(low, lines.len);
}

/* ---- one model ------------------------------------------------------------------------------- */

static struct str
text_of(const struct json_doc *doc, uint32_t node)
{
    struct str raw = json_raw(doc, node);
    ASSERT(raw.len < 2 || !memchr(raw.ptr, '\\', raw.len));
    return raw.len < 2 ? STR_EMPTY : str_make(raw.ptr + 1, raw.len - 2);
}

static uint32_t
number_of(const struct json_doc *doc, uint32_t node)
{
    uint64_t value = 0;
    return json_u64(doc, node, UINT32_MAX, &value) == 0 ? (uint32_t)value : 0;
}

int
catalog_read_line(struct str line, struct catalog_model *ret_model)
{
    const struct json_limits limits = {.node_count_max = LINE_NODES_MAX};
    struct json_doc doc;
    if (str_ends(line, STR(",")))
        line.len--;
    json_init(&doc);
    int code = json_scan(&doc, line, &limits, NULL);
    if (code == 0) {
        uint32_t pricing = json_get(&doc, 0, STR("pricing"));
        uint32_t modalities = json_get(&doc, 0, STR("modalities"));
        struct catalog_model model = {
            .id = text_of(&doc, json_get(&doc, 0, STR("id"))),
            .provider = text_of(&doc, json_get(&doc, 0, STR("provider"))),
            .upstream = text_of(&doc, json_get(&doc, 0, STR("upstream_id"))),
            .kind = text_of(&doc, json_get(&doc, 0, STR("kind"))),
            .aliases = json_raw(&doc, json_get(&doc, 0, STR("aliases"))),
            .context = number_of(&doc, json_get(&doc, 0, STR("context_tokens"))),
            .max_output = number_of(&doc, json_get(&doc, 0, STR("max_output_tokens"))),
            .pricing = json_raw(&doc, pricing),
            .input_modalities = json_raw(&doc, json_get(&doc, modalities, STR("input"))),
            .output_modalities = json_raw(&doc, json_get(&doc, modalities, STR("output"))),
            .capabilities = json_raw(&doc, json_get(&doc, 0, STR("capabilities"))),
        };
        *ret_model = model;
    }
    json_fini(&doc);
    return code;
}

int
catalog_find(struct str id, struct catalog_model *ret_model)
{
    struct str lines = model_lines();
    struct str line = catalog_line(lines, lower_bound(lines, id));
    if (id.len == 0 || !str_eq(catalog_line_id(line), id))
        return -ERR_NOT_FOUND;
    return catalog_read_line(line, ret_model);
}

int
catalog_next(struct str provider, size_t *cursor, struct catalog_model *ret_model)
{
    struct str lines = model_lines();
    size_t at = *cursor;
    if (at == 0 && provider.len > 0)
        at = lower_bound(lines, provider);
    struct str line = catalog_line(lines, at);
    struct str id = catalog_line_id(line);
    /* '-' sorts before '/': "azure-ai/..." stands between "azure" and "azure/..." */
    while (provider.len > 0 && id.len > 0 && str_starts(id, provider) &&
           (id.len == provider.len || id.ptr[provider.len] != '/')) {
        at += line.len + 1;
        line = catalog_line(lines, at);
        id = catalog_line_id(line);
    }
    if (id.len == 0 || !str_starts(id, provider))
        return -ERR_NOT_FOUND;
    *cursor = at + line.len + 1;
    return catalog_read_line(line, ret_model);
}

uint32_t
catalog_version_of(struct str text)
{
    size_t at = str_find(str_make(text.ptr, MIN(text.len, (size_t)512)), STR("\"as_of\":\""));
    uint32_t version = 0;
    if (at == SIZE_MAX || text.len < at + 9 + 11 || text.ptr[at + 9 + 10] != '"')
        return 0;
    for (size_t i = 0; i < 10; i++) {
        char c = text.ptr[at + 9 + i];
        bool dash = i == 4 || i == 7;
        if (dash ? c != '-' : c < '0' || c > '9')
            return 0;
        version = dash ? version : version * 10 + (uint32_t)(c - '0');
    }
    return version;
}

struct str
catalog_shipped(void)
{
    return embed_models();
}

struct str
catalog_text(void)
{
    return models_text();
}

uint32_t
catalog_version(void)
{
    uint32_t version = catalog_version_of(models_text());
    ASSERT(version != 0);
    return version;
}
