/* SPDX-License-Identifier: MIT
 * bindings.c - binding rows: text and table.
 * Floor: controlplane/reconcile; engine thread.
 * Owns: the rows.
 * Invariant: see bindings.h. */
#include "controlplane/reconcile/bindings.h"

#include <stdlib.h>

#include "lib/base/check.h"

#define ROW_BYTES_MAX (64u * 1024u)
#define PAGE_ROWS 500u
#define PAGE_BYTES_MAX (16u * 1024u * 1024u)

void
bindings_init(struct bindings *bindings)
{
    list_init(&bindings->all);
    map_init(&bindings->by_hex);
    bindings->ended_count = 0;
}

static void
row_remove(struct bindings *bindings, struct binding_row *row)
{
    ASSERT(map_remove(&bindings->by_hex, str_from(row->hex)) == row);
    list_remove(&row->node_in_all);
    arena_fini(&row->arena);
    free(row);
}

void
bindings_end(struct bindings *bindings, struct binding_row *row)
{
    memcpy(bindings->ended[bindings->ended_count++ % BINDINGS_ENDED_MAX], row->binding.incarnation,
           INCARNATION_BYTES);
    row_remove(bindings, row);
}

bool
bindings_has_ended(const struct bindings *bindings, const uint8_t incarnation[INCARNATION_BYTES])
{
    size_t count = MIN(bindings->ended_count, (size_t)BINDINGS_ENDED_MAX);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(bindings->ended[i], incarnation, INCARNATION_BYTES) == 0)
            return true;
    }
    return false;
}

void
bindings_fini(struct bindings *bindings)
{
    while (!list_empty(&bindings->all))
        row_remove(bindings, LIST_ENTRY(bindings->all.next, struct binding_row, node_in_all));
    map_fini(&bindings->by_hex);
}

int
bindings_value(const struct binding *binding, struct str node, struct buf *out)
{
    struct json_writer writer;
    struct buf text;
    buf_init(&text, ROW_BYTES_MAX);
    int code = binding_put_json(binding, true, &text);
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "node", node);
    json_member_raw(&writer, "binding", buf_str(&text));
    json_close_object(&writer);
    buf_fini(&text);
    return code < 0 ? code : out->failed ? -ERR_TOO_LARGE : 0;
}

/* Copies everything into the row's arena. */
static int
row_fill(struct binding_row *row, struct str value, struct err *err)
{
    struct json_doc doc;
    struct str text;
    if (arena_dup(&row->arena, value, &text) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    json_init(&doc);
    int code = json_scan(&doc, text, NULL, err);
    uint32_t object = code == 0 ? json_get(&doc, 0, STR("binding")) : JSON_NONE;
    if (code == 0)
        code = binding_parse(&doc, object, &row->arena, &row->binding, err);
    if (code == 0)
        code = json_string(&doc, json_get(&doc, 0, STR("node")), &row->arena, &row->node);
    if (code == 0) {
        row->json = json_raw(&doc, object);
        hex_encode(row->binding.incarnation, INCARNATION_BYTES, row->hex);
    }
    json_fini(&doc);
    return code;
}

int
bindings_add(struct bindings *bindings, struct str value, uint64_t revision,
             struct binding_row **ret_row, struct err *err)
{
    struct binding_row *row = calloc(1, sizeof *row);
    if (!row)
        return err_set(err, ERR_NOMEM, "out of memory");
    arena_init(&row->arena, ROW_BYTES_MAX);
    row->revision = revision;
    int code = row_fill(row, value, err);
    if (code == 0 && bindings_find(bindings, str_from(row->hex)))
        code = err_set(err, ERR_EXISTS, "incarnation %s is bound already", row->hex);
    if (code == 0)
        code = map_put(&bindings->by_hex, str_from(row->hex), row, NULL);
    if (code < 0) {
        arena_fini(&row->arena);
        free(row);
        return code;
    }
    list_push_back(&bindings->all, &row->node_in_all);
    *ret_row = row;
    return 0;
}

int
bindings_update(struct binding_row *row, struct str value, uint64_t revision, struct err *err)
{
    struct binding_row next = {.revision = revision};
    arena_init(&next.arena, ROW_BYTES_MAX);
    int code = row_fill(&next, value, err);
    if (code < 0) {
        arena_fini(&next.arena);
        return code;
    }
    ASSERT(memcmp(next.hex, row->hex, sizeof row->hex) == 0);
    arena_fini(&row->arena);
    row->arena = next.arena;
    row->node = next.node;
    row->json = next.json;
    row->binding = next.binding;
    row->revision = revision;
    return 0;
}

struct binding_row *
bindings_find(const struct bindings *bindings, struct str hex)
{
    return map_get(&bindings->by_hex, hex);
}

int
bindings_load(struct bindings *bindings, struct store *store, struct err *err)
{
    char after[STORE_KEY_BYTES_MAX] = "";
    for (;;) {
        struct arena arena;
        struct store_row *rows = NULL;
        size_t count = 0;
        arena_init(&arena, PAGE_BYTES_MAX);
        int code = store_list(store, STR(BINDINGS_PREFIX), str_from(after), PAGE_ROWS, &arena,
                              &rows, &count, NULL);
        if (code < 0)
            err_set(err, (enum err_code) - code, "reading the bindings: %s", err_text(code));
        for (size_t i = 0; i < count && code == 0; i++) {
            struct binding_row *row;
            code = bindings_add(bindings, rows[i].value, rows[i].mod_rev, &row, err);
        }
        if (code == 0 && count > 0 && !str_copy(after, sizeof after, rows[count - 1].key))
            code = err_set(err, ERR_STORE, "a binding has an impossible key");
        arena_fini(&arena);
        if (code < 0 || count < PAGE_ROWS)
            return code;
    }
}
