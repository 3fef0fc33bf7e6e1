/* SPDX-License-Identifier: MIT
 * usage_rows.c - posted usage as a list: rows of many records, taken apart.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: a row lies under the sequence of its last record, so that what is behind a record is
 *            found by its key; quarantined records are never among them. Proved in usage_test.c. */
#include "controlplane/ledger/ledger_int.h"
#include "controlplane/ledger/usage_pack.h"
#include "lib/base/check.h"

/* Behind every quarantined row, and before whatever follows: '0' comes after '/'. */
#define AFTER_QUARANTINE "usage/quarantine0"
#define LIST_ROWS_MAX 1000u
#define PAGE_ROWS 8u
#define SEQ_DIGITS 20u
#define PAGE_BYTES_MAX (PAGE_ROWS * (2u << 20))

/* A page of records being made. */
struct page {
    struct json_doc *doc;
    struct arena *arena;
    struct store_row *rows;
    size_t count;
    size_t limit;
    struct str after_key;
};

/* `key` of the record in a row; texts of the page live in its arena. 1: listed, or not wanted. */
static int
page_add(struct page *page, const struct store_row *row, uint64_t seq, struct str text)
{
    struct str stream = str_make(row->key.ptr, row->key.len - SEQ_DIGITS);
    struct store_row *found = &page->rows[page->count];
    *found = (struct store_row){.create_rev = row->create_rev, .mod_rev = row->mod_rev};
    found->key = arena_printf(page->arena, "%.*s%020llu", STR_ARG(stream), (unsigned long long)seq);
    if (found->key.ptr == NULL)
        return -ERR_NOMEM;
    if (str_cmp(found->key, page->after_key) <= 0)
        return 0;
    page->count++;
    return arena_dup(page->arena, text, &found->value);
}

static int
packed_list(struct page *page, const struct store_row *row)
{
    struct usage_form form = {0};
    struct str rest = str_skip(row->value, 1);
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, STORE_VALUE_BYTES_MAX);
    int r = 1;
    while (page->count < page->limit && (r = pack_next(&rest, &form)) == 1) {
        text.len = 0;
        form_write(&form, &text);
        if (text.failed)
            return -ERR_NOMEM;
        r = form_has(&form, FORM_seq)
                ? page_add(page, row, form.at[FORM_seq].number, buf_str(&text))
                : -ERR_STORE;
        if (r < 0)
            return r;
    }
    return MIN(r, 0);
}

/* "r,r,r": records of any form, which are JSON. */
static int
texts_list(struct page *page, const struct store_row *row)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, STORE_VALUE_BYTES_MAX + 2);
    (void)buf_put_byte(&text, '[');
    (void)buf_put_str(&text, row->value);
    (void)buf_put_byte(&text, ']');
    struct json_doc *doc = page->doc;
    int r = text.failed ? -ERR_NOMEM : json_scan(doc, buf_str(&text), NULL, NULL);
    if (r < 0)
        return r == -ERR_NOMEM ? r : -ERR_STORE;
    for (uint32_t node = json_first(doc, 0); node != JSON_NONE && page->count < page->limit;
         node = json_sibling(doc, 0, node)) {
        int64_t seq;
        if (member_i64(doc, node, "seq", &seq) < 0)
            return -ERR_STORE;
        r = page_add(page, row, (uint64_t)seq, json_raw(doc, node));
        if (r < 0)
            return r;
    }
    return 0;
}

/* The rows behind *after, which moves behind the last of them. 1; 0: that was all. */
static int
page_fill(struct ledger *ledger, struct page *page, char after[STORE_KEY_BYTES_MAX + 1])
{
    CLEANUP(arena_fini) struct arena scratch;
    arena_init(&scratch, PAGE_BYTES_MAX);
    struct store_row *rows;
    size_t count;
    int r = store_list(ledger->store, STR(KEY_USAGE), str_from(after), PAGE_ROWS, &scratch, &rows,
                       &count, NULL);
    if (r < 0 || count == 0)
        return r;
    struct str last = rows[count - 1].key;
    for (size_t i = 0; i < count && r == 0 && page->count < page->limit; i++) {
        const struct store_row *row = &rows[i];
        if (str_starts(row->key, STR(KEY_QUARANTINE))) {
            last = STR(AFTER_QUARANTINE);
            break;
        }
        if (row->key.len <= SEQ_DIGITS || row->value.len == 0)
            return -ERR_STORE;
        r = row->value.ptr[0] == PACK_MARK ? packed_list(page, row) : texts_list(page, row);
    }
    ASSERT(str_copy(after, STORE_KEY_BYTES_MAX + 1, last));
    return r < 0 ? r : 1;
}

int
usage_list(struct ledger *ledger, struct str after_key, size_t limit, struct arena *arena,
           struct store_row **ret_rows, size_t *ret_count, struct err *err)
{
    char after[STORE_KEY_BYTES_MAX + 1];
    if (limit == 0 || limit > LIST_ROWS_MAX)
        return err_set(err, ERR_INVALID, "a page has 1 to %u rows", LIST_ROWS_MAX);
    if (!str_copy(after, sizeof after, after_key))
        return err_set(err, ERR_INVALID, "after_key is none of a record");
    struct page page = {
        .doc = &ledger->doc, .arena = arena, .limit = limit, .after_key = after_key};
    page.rows = arena_array(arena, limit, sizeof *page.rows);
    int r = page.rows ? 1 : -ERR_NOMEM;
    while (r == 1 && page.count < limit)
        r = page_fill(ledger, &page, after);
    if (r < 0)
        return ledger_fail(err, r);
    *ret_rows = page.rows;
    *ret_count = page.count;
    return 0;
}
