/* SPDX-License-Identifier: MIT
 * kind.c - see kind.h.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see kind.h. */
#include "cli/kind.h"

#include "cli/client.h"
#include "cli/table.h"
#include "lib/base/check.h"

static const struct kind kinds[] = {
#define KIND_ROW(name_, title_, plural_, text_) \
    {.id = KIND_##name_, .name = title_, .plural = plural_},
#include "api/schema/kinds.def"
#undef KIND_ROW
};

/* The list of them, for people. */
#define KIND_ROW(name_, title_, plural_, text_) " " plural_
static const char kind_names[] =
#include "api/schema/kinds.def"
    ;
#undef KIND_ROW

static const struct {
    const char *word;
    enum kind_id id;
} shorts[] = {
    {"co", KIND_CONTAINER}, {"ct", KIND_CONTAINER}, {"pr", KIND_PROVIDER},
    {"mo", KIND_MODEL},     {"ro", KIND_ROUTE},     {"wa", KIND_WALLET},
    {"ak", KIND_API_KEY},   {"key", KIND_API_KEY},  {"keys", KIND_API_KEY},
};

static const struct {
    enum kind_id id;
    const char *header;
    const char *path;
} columns[] = {
#define COLUMN_ROW(kind_, header_, path_) {KIND_##kind_, header_, path_},
#include "cli/kind_columns.def"
#undef COLUMN_ROW
};

const struct kind *
kind_find(const struct cli *cli, const char *word)
{
    struct str text = str_from(word);
    const struct kind *nearest = &kinds[0];
    unsigned best = 64;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_nocase(text, str_from(kinds[i].plural)) ||
            str_eq_nocase(text, str_from(kinds[i].name)))
            return &kinds[i];
        unsigned distance = str_distance(text, str_from(kinds[i].plural));
        if (distance < best) {
            best = distance;
            nearest = &kinds[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(shorts); i++) {
        if (str_eq_nocase(text, str_from(shorts[i].word)))
            return &kinds[shorts[i].id];
    }
    if (best <= str_near_max(text))
        (void)cli_usage(cli, "there is no kind '%s'; did you mean %s?", word, nearest->plural);
    else
        (void)cli_usage(cli, "there is no kind '%s'; there are%s", word, kind_names);
    return NULL;
}

const char *
kind_path(struct cli *cli, const struct kind *kind, const char *name)
{
    struct buf path;
    struct str copy = STR_EMPTY;
    buf_init(&path, 4096);
    buf_printf(&path, "/apis/berth.dev/v1alpha1/%s", kind->plural);
    if (name != NULL) {
        buf_put_byte(&path, '/');
        client_path_put(&path, str_from(name), true);
    }
    ASSERT(arena_dup(&cli->arena, buf_str(&path), &copy) == 0);
    buf_fini(&path);
    return copy.ptr;
}

/* A list of names as one cell. */
static void
put_cell(struct table *table, const struct tree *node)
{
    struct buf text;
    if (node == NULL || node->kind != TREE_LIST) {
        bool scalar = node != NULL && node->kind != TREE_MAP && node->kind != TREE_NULL;
        table_cell(table, scalar ? node->text : STR_EMPTY);
        return;
    }
    buf_init(&text, 4096);
    for (const struct tree *item = node->first; item != NULL; item = item->next) {
        buf_put_str(&text, item->text);
        buf_put_str(&text, item->next != NULL ? STR(", ") : STR_EMPTY);
    }
    table_cell(table, buf_str(&text));
    buf_fini(&text);
}

int
kind_print_list(const struct kind *kind, const struct tree *objects)
{
    struct table table;
    table_init(&table);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (columns[i].id == kind->id)
            table_column(&table, columns[i].header, false);
    }
    for (const struct tree *object = objects != NULL ? objects->first : NULL; object != NULL;
         object = object->next) {
        for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
            if (columns[i].id == kind->id)
                put_cell(&table, cli_member(object, columns[i].path));
        }
    }
    return table_print(&table);
}
