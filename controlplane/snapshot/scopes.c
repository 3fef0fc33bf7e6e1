/* SPDX-License-Identifier: MIT
 * scopes.c - see scopes.h.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: rows and their texts.
 * Invariant: see scopes.h. */
#include "controlplane/snapshot/scopes.h"

#include <stdlib.h>

#define PAGE_OBJECTS 500u
#define ARENA_BYTES_MAX (256u * 1024u * 1024u)
#define MODELS_BYTES_MAX 65536u

void
scopes_init(struct scopes *scopes)
{
    *scopes = (struct scopes){0};
}

static void
row_free(struct scopes_row *row)
{
    free(row->name);
    free(row->models);
}

void
scopes_fini(struct scopes *scopes)
{
    for (size_t i = 0; i < scopes->count; i++)
        row_free(&scopes->rows[i]);
    free(scopes->rows);
    scopes_init(scopes);
}

/* Index of the first row whose name is not below `name`. */
static size_t
place_of(const struct scopes *scopes, struct str name)
{
    size_t low = 0;
    size_t high = scopes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(str_from(scopes->rows[middle].name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* models: ptr NULL: no list */
static int
insert(struct scopes *scopes, size_t at, struct str name, struct str models, bool capped)
{
    if (scopes->count == scopes->cap) {
        size_t cap = scopes->cap ? scopes->cap * 2 : 16;
        struct scopes_row *rows = realloc(scopes->rows, cap * sizeof *rows);
        if (!rows)
            return -ERR_NOMEM;
        scopes->rows = rows;
        scopes->cap = cap;
    }
    struct scopes_row row = {
        .name = str_dup(name), .models = models.ptr ? str_dup(models) : NULL, .capped = capped};
    if (!row.name || (models.ptr && !row.models)) {
        row_free(&row);
        return -ERR_NOMEM;
    }
    memmove(&scopes->rows[at + 1], &scopes->rows[at], (scopes->count - at) * sizeof row);
    scopes->rows[at] = row;
    scopes->count++;
    return 0;
}

static void
drop(struct scopes *scopes, size_t at)
{
    row_free(&scopes->rows[at]);
    scopes->count--;
    memmove(&scopes->rows[at], &scopes->rows[at + 1],
            (scopes->count - at) * sizeof scopes->rows[0]);
}

int
scopes_set(struct scopes *scopes, struct str name, const struct tree *spec, bool *ret_changed)
{
    const struct tree *list = spec ? schema_get(spec, "models") : NULL;
    bool capped = spec && schema_get(spec, "cap");
    size_t at = place_of(scopes, name);
    const struct scopes_row *row = at < scopes->count ? &scopes->rows[at] : NULL;
    bool known = row && str_eq(str_from(row->name), name);
    bool wanted = list || capped;
    struct buf text;
    int code = 0;
    buf_init(&text, MODELS_BYTES_MAX);
    if (list)
        code = tree_to_json(list, false, &text);
    struct str models = list ? buf_str(&text) : str_make(NULL, 0);
    bool same = known == wanted;
    if (same && known)
        same = row->capped == capped && (row->models != NULL) == (list != NULL) &&
               (!list || str_eq(str_from(row->models), models));
    *ret_changed = code != 0 || !same;
    if (code == 0 && !same && known)
        drop(scopes, at);
    if (code == 0 && !same && wanted)
        code = insert(scopes, at, name, models, capped);
    buf_fini(&text);
    return code;
}

int
scopes_load(struct scopes *scopes, struct store *store, struct err *err)
{
    char after[128] = "";
    size_t count = PAGE_OBJECTS;
    int code = 0;
    while (code == 0 && count == PAGE_OBJECTS) {
        struct arena arena;
        struct object *objects = NULL;
        bool changed;
        arena_init(&arena, ARENA_BYTES_MAX);
        code = object_list(store, kind_at(KIND_CONTAINER), str_from(after), PAGE_OBJECTS, &arena,
                           &objects, &count, err);
        for (size_t i = 0; i < count && code == 0; i++) {
            code = scopes_set(scopes, objects[i].name, objects[i].spec, &changed);
            if (code == 0 && !str_copy(after, sizeof after, objects[i].name))
                code = -ERR_TOO_LARGE;
            if (code < 0)
                err_set(err, (enum err_code) - code, "reading Containers: %s", err_text(code));
        }
        arena_fini(&arena);
    }
    return code;
}
