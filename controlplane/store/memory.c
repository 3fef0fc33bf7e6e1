/* SPDX-License-Identifier: MIT
 * memory.c - the store backend that keeps its rows in a sorted array.
 * Floor: controlplane/store; the engine thread.
 * Owns: its rows and events.
 * Invariant: rows are strictly ascending by key; a commit allocates everything before it changes
 *            anything. Proved in store_test.c. */
#include <stdlib.h>

#include "controlplane/store/store_int.h"
#include "lib/base/check.h"

/* A key, a value and their text in one block. */
struct item {
    struct str key;
    struct str value;
    uint64_t create_rev; /* events: the revision */
    uint64_t mod_rev;
    bool deleted; /* events only */
};
struct items {
    struct item **ptr;
    size_t count;
    size_t cap;
};
struct memory {
    struct items rows;
    struct items events; /* ascending by revision */
};

static struct item *
item_new(struct str key, struct str value, uint64_t create_rev, uint64_t mod_rev)
{
    struct item *item = malloc(sizeof *item + key.len + value.len);
    if (item == NULL)
        return NULL;
    char *text = (char *)(item + 1);
    memcpy(text, key.ptr, key.len);
    if (value.len > 0)
        memcpy(text + key.len, value.ptr, value.len);
    *item = (struct item){
        .key = str_make(text, key.len),
        .value = str_make(text + key.len, value.len),
        .create_rev = create_rev,
        .mod_rev = mod_rev,
    };
    return item;
}

static int
items_reserve(struct items *items, size_t more)
{
    if (items->cap - items->count >= more)
        return 0;
    size_t cap = MAX(items->cap * 2, items->count + more);
    struct item **grown = reallocarray(items->ptr, cap, sizeof(struct item *));
    if (grown == NULL)
        return -ERR_NOMEM;
    items->ptr = grown;
    items->cap = cap;
    return 0;
}

static void
items_fini(struct items *items)
{
    for (size_t i = 0; i < items->count; i++)
        free(items->ptr[i]);
    free(items->ptr);
}

/* Index of the first row whose key is >= key (or > key). */
static size_t
rows_seek(const struct items *rows, struct str key, bool behind)
{
    size_t low = 0;
    size_t high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(rows->ptr[middle]->key, key);
        if (order < 0 || (behind && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct item *
rows_find(const struct items *rows, struct str key)
{
    size_t at = rows_seek(rows, key, false);
    return at < rows->count && str_eq(rows->ptr[at]->key, key) ? rows->ptr[at] : NULL;
}

static int
memory_open(struct str rest, void **ret_self, struct store_state *ret_state, struct err *err)
{
    if (rest.len != 0)
        return err_set(err, ERR_INVALID, "store \"memory:\" takes nothing behind the colon");
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the store");
    *ret_self = memory;
    *ret_state = (struct store_state){0};
    return 0;
}

static void
memory_close(void *self)
{
    struct memory *memory = self;
    items_fini(&memory->rows);
    items_fini(&memory->events);
    free(memory);
}

static int
row_dup(const struct item *item, struct arena *arena, struct store_row *ret_row)
{
    struct store_row row = {.create_rev = item->create_rev, .mod_rev = item->mod_rev};
    int r = arena_dup(arena, item->key, &row.key);
    if (r == 0)
        r = arena_dup(arena, item->value, &row.value);
    if (r == 0)
        *ret_row = row;
    return r;
}

static int
memory_get(void *self, struct str key, struct arena *arena, struct store_row *ret_row)
{
    const struct memory *memory = self;
    const struct item *item = rows_find(&memory->rows, key);
    return item ? row_dup(item, arena, ret_row) : -ERR_NOT_FOUND;
}

static int
memory_list(void *self, const struct store_range *range, struct arena *arena,
            struct store_row **ret_rows, size_t *ret_count)
{
    const struct memory *memory = self;
    void *found = NULL;
    size_t count = 0;
    size_t cap = 0;
    bool behind = range->after_key.len > 0 && str_cmp(range->after_key, range->prefix) >= 0;
    size_t at = rows_seek(&memory->rows, behind ? range->after_key : range->prefix, behind);
    for (; at < memory->rows.count && count < range->limit; at++) {
        const struct item *item = memory->rows.ptr[at];
        if (!str_starts(item->key, range->prefix))
            break;
        int r = store_grow(arena, &found, count, &cap, sizeof(struct store_row));
        if (r == 0)
            r = row_dup(item, arena, (struct store_row *)found + count);
        if (r < 0)
            return r;
        count++;
    }
    *ret_rows = found;
    *ret_count = count;
    return 0;
}

static void
row_apply(struct items *rows, struct item *row)
{
    size_t at = rows_seek(rows, row->key, false);
    if (at < rows->count && str_eq(rows->ptr[at]->key, row->key)) {
        free(rows->ptr[at]);
    } else {
        memmove(rows->ptr + at + 1, rows->ptr + at, (rows->count - at) * sizeof(struct item *));
        rows->count++;
    }
    rows->ptr[at] = row;
}

static void
row_delete(struct items *rows, struct str key)
{
    size_t at = rows_seek(rows, key, false);
    ASSERT(at < rows->count && str_eq(rows->ptr[at]->key, key));
    free(rows->ptr[at]);
    rows->count--;
    memmove(rows->ptr + at, rows->ptr + at + 1, (rows->count - at) * sizeof(struct item *));
}

/* What becomes of an op: the new row (NULL for a deletion) and the event (NULL when quiet); ops
 * that change nothing get neither. */
struct change {
    bool real;
    struct item *row;
    struct item *event;
};

static int
changes_make(const struct memory *memory, uint64_t revision, const struct store_op *ops,
             size_t op_count, struct change *changes)
{
    for (size_t i = 0; i < op_count; i++) {
        const struct item *old = rows_find(&memory->rows, ops[i].key);
        if (ops[i].delete_ && old == NULL)
            continue;
        changes[i].real = true;
        struct str value = ops[i].delete_ ? STR_EMPTY : ops[i].value;
        if (!ops[i].quiet) {
            changes[i].event = item_new(ops[i].key, value, revision, revision);
            if (changes[i].event == NULL)
                return -ERR_NOMEM;
            changes[i].event->deleted = ops[i].delete_;
        }
        if (ops[i].delete_)
            continue;
        changes[i].row = item_new(ops[i].key, value, old ? old->create_rev : revision, revision);
        if (changes[i].row == NULL)
            return -ERR_NOMEM;
    }
    return 0;
}

static int
memory_commit(void *self, uint64_t revision, const struct store_cond *conds, size_t cond_count,
              const struct store_op *ops, size_t op_count, size_t *ret_events)
{
    struct memory *memory = self;
    for (size_t i = 0; i < cond_count; i++) {
        const struct item *row = rows_find(&memory->rows, conds[i].key);
        if ((row ? row->mod_rev : 0) != conds[i].mod_rev)
            return -ERR_CONFLICT;
    }
    struct change changes[STORE_COMMIT_OPS_MAX] = {0};
    int r = changes_make(memory, revision, ops, op_count, changes);
    if (r == 0)
        r = items_reserve(&memory->rows, op_count);
    if (r == 0)
        r = items_reserve(&memory->events, op_count);
    for (size_t i = 0; i < op_count && r < 0; i++) {
        free(changes[i].row);
        free(changes[i].event);
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < op_count; i++) {
        if (!changes[i].real)
            continue;
        if (changes[i].event) {
            memory->events.ptr[memory->events.count++] = changes[i].event;
            (*ret_events)++;
        }
        if (changes[i].row)
            row_apply(&memory->rows, changes[i].row);
        else
            row_delete(&memory->rows, ops[i].key);
    }
    return 0;
}

/* Index of the first event behind a revision. */
static size_t
events_seek(const struct items *events, uint64_t after)
{
    size_t low = 0;
    size_t high = events->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (events->ptr[middle]->mod_rev <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
memory_history(void *self, uint64_t after, struct str prefix, size_t limit, struct arena *arena,
               struct store_event **ret_events, size_t *ret_count)
{
    const struct memory *memory = self;
    void *found = NULL;
    size_t count = 0;
    size_t cap = 0;
    for (size_t at = events_seek(&memory->events, after); at < memory->events.count; at++) {
        const struct item *item = memory->events.ptr[at];
        if (!str_starts(item->key, prefix))
            continue;
        const struct store_event *last = count ? (struct store_event *)found + count - 1 : NULL;
        if (count >= limit && last != NULL && last->revision != item->mod_rev)
            break;
        int r = store_grow(arena, &found, count, &cap, sizeof(struct store_event));
        if (r < 0)
            return r;
        struct store_event *event = (struct store_event *)found + count;
        *event = (struct store_event){.revision = item->mod_rev, .deleted = item->deleted};
        r = arena_dup(arena, item->key, &event->key);
        if (r == 0)
            r = arena_dup(arena, item->value, &event->value);
        if (r < 0)
            return r;
        count++;
    }
    *ret_events = found;
    *ret_count = count;
    return 0;
}

static int
memory_trim(void *self, size_t keep, uint64_t upto, uint64_t *ret_floor)
{
    struct memory *memory = self;
    struct items *events = &memory->events;
    if (events->count <= keep)
        return 0;
    uint64_t first_kept = events->ptr[events->count - keep]->mod_rev;
    uint64_t floor = MIN(first_kept - 1, upto);
    size_t gone = events_seek(events, floor);
    if (gone == 0)
        return 0;
    for (size_t i = 0; i < gone; i++)
        free(events->ptr[i]);
    events->count -= gone;
    memmove(events->ptr, events->ptr + gone, events->count * sizeof(struct item *));
    *ret_floor = floor;
    return 0;
}

const struct store_backend store_backend_memory = {
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .list = memory_list,
    .commit = memory_commit,
    .history = memory_history,
    .trim = memory_trim,
};
