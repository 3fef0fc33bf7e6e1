/* SPDX-License-Identifier: MIT
 * invoice_rows.c - invoices in the store: one commit each, found by number, checked as a chain.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing.
 * Invariant: see invoice.h. Nothing here writes a document's key but a commit that demands that it
 *            is not there yet. */
#include <stdio.h>
#include <string.h>

#include "controlplane/billing/invoice_int.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

#define PAGE_MAX 100u
#define SEARCH_ROWS_MAX 10000u /* read for one page of one wallet */
#define DOCUMENT_BYTES_MAX (STORE_VALUE_BYTES_MAX)
#define NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* ---- reading rows ---------------------------------------------------------------------------- */

static struct str
sequence_key(struct arena *arena, const char *prefix, uint64_t sequence)
{
    return arena_printf(arena, "%s%020llu", prefix, (unsigned long long)sequence);
}

static int
member_i64(const struct json_doc *doc, const char *name, int64_t *ret_value)
{
    uint32_t node = json_get(doc, 0, str_from(name));
    struct str raw = json_raw(doc, node);
    if (!json_is(doc, node, JSON_STRING) ||
        num_i64(str_make(raw.ptr + 1, raw.len - 2), INT64_MIN, INT64_MAX, ret_value) < 0)
        return -ERR_STORE;
    return 0;
}

/* 1 and scanned into billing->doc; 0: there is none. */
static int
row_scan(struct billing *billing, struct str key, struct arena *arena, struct store_row *ret_row,
         struct err *err)
{
    int code = key.ptr ? store_get(billing->conf.store, key, arena, ret_row) : -ERR_NOMEM;
    if (code == -ERR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = json_scan(&billing->doc, ret_row->value, NULL, NULL);
    if (code == 0)
        return 1;
    if (code == -ERR_NOMEM || code == -ERR_STORE)
        return invoice_fail(err, code);
    return err_set(err, ERR_STORE, "the row %.*s is damaged", STR_ARG(key));
}

static int
damaged(struct err *err, struct str key)
{
    return err_set(err, ERR_STORE, "the row %.*s is damaged", STR_ARG(key));
}

int
invoice_mark_read(struct billing *billing, struct str wallet, struct arena *arena,
                  struct invoice_mark *ret_mark, struct err *err)
{
    struct store_row row;
    struct invoice_mark mark = {.mod_rev = 0};
    if (!ledger_name_valid(wallet))
        return err_set(err, ERR_INVALID, "that is no name of a wallet");
    struct str key = arena_printf(arena, INVOICE_KEY_WALLET "%.*s", STR_ARG(wallet));
    int code = row_scan(billing, key, arena, &row, err);
    if (code < 0)
        return code;
    if (code == 1) {
        const struct json_doc *doc = &billing->doc;
        mark.mod_rev = row.mod_rev;
        if (member_i64(doc, "transaction", &mark.transaction) < 0 ||
            member_i64(doc, "to_ms", &mark.to_ms) < 0 ||
            member_i64(doc, "general", &mark.general) < 0 || member_i64(doc, "ai", &mark.ai) < 0 ||
            member_i64(doc, "spent", &mark.spent) < 0 ||
            member_i64(doc, "since_ms", &mark.since_ms) < 0 ||
            usage_lines_scan(doc, json_get(doc, 0, STR("seen")), arena, &mark.seen) < 0)
            return damaged(err, key);
    }
    *ret_mark = mark;
    return 0;
}

int
invoice_head_read(struct billing *billing, struct arena *arena, struct invoice_head *ret_head,
                  struct err *err)
{
    struct store_row row;
    struct invoice_head head = {.hash = NO_HASH};
    int code = row_scan(billing, STR(INVOICE_KEY_HEAD), arena, &row, err);
    if (code < 0)
        return code;
    if (code == 1) {
        int64_t sequence;
        struct str hash = json_raw(&billing->doc, json_get(&billing->doc, 0, STR("hash")));
        if (member_i64(&billing->doc, "sequence", &sequence) < 0 || sequence <= 0 ||
            hash.len != INVOICE_HASH_CHARS + 2)
            return damaged(err, row.key);
        head.mod_rev = row.mod_rev;
        head.sequence = (uint64_t)sequence;
        memcpy(head.hash, hash.ptr + 1, INVOICE_HASH_CHARS);
    }
    *ret_head = head;
    return 0;
}

/* ---- one commit ------------------------------------------------------------------------------ */

static void
put_i64(struct json_writer *writer, const char *key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    json_member_str(writer, key, str_from(text));
}

static void
put_mark(struct json_writer *writer, const struct invoice_mark *mark)
{
    json_open_object(writer);
    put_i64(writer, "transaction", mark->transaction);
    put_i64(writer, "to_ms", mark->to_ms);
    put_i64(writer, "general", mark->general);
    put_i64(writer, "ai", mark->ai);
    put_i64(writer, "spent", mark->spent);
    put_i64(writer, "since_ms", mark->since_ms);
    json_key(writer, "seen");
    usage_lines_put(writer, &mark->seen);
    json_close_object(writer);
}

static void
hash_of(struct str text, char out[INVOICE_HASH_CHARS + 1])
{
    uint8_t digest[SHA256_BYTES];
    digest_sha256(text, digest);
    hex_encode(digest, sizeof digest, out);
}

/* Three JSON texts of one invoice. */
struct texts {
    struct buf document;
    struct buf summary;
    struct buf mark;
};

static void
texts_fini(struct texts *texts)
{
    buf_fini(&texts->document);
    buf_fini(&texts->summary);
    buf_fini(&texts->mark);
}

static void
texts_put(struct texts *texts, const struct billing *billing, const struct invoice *invoice,
          const char *prev, const struct invoice_mark *mark)
{
    struct json_writer writer;
    buf_init(&texts->document, DOCUMENT_BYTES_MAX);
    buf_init(&texts->summary, 65536);
    buf_init(&texts->mark, DOCUMENT_BYTES_MAX);
    json_writer_init(&writer, &texts->document);
    invoice_put(&writer, billing, invoice, prev, true);
    json_writer_init(&writer, &texts->summary);
    invoice_put(&writer, billing, invoice, prev, false);
    json_writer_init(&writer, &texts->mark);
    put_mark(&writer, mark);
}

int
invoice_store(struct billing *billing, const struct invoice *invoice,
              const struct invoice_head *head, const struct invoice_mark *before,
              const struct invoice_mark *mark, struct arena *arena, struct invoice_row *ret_row,
              struct err *err)
{
    CLEANUP(texts_fini) struct texts texts = {.mark = {0}};
    char hash[INVOICE_HASH_CHARS + 1];
    texts_put(&texts, billing, invoice, head->hash, mark);
    if (texts.document.failed || texts.summary.failed || texts.mark.failed)
        return invoice_fail(err, -ERR_TOO_LARGE);
    hash_of(buf_str(&texts.document), hash);
    struct str keys[] = {
        STR(INVOICE_KEY_HEAD),
        sequence_key(arena, INVOICE_KEY, invoice->sequence),
        sequence_key(arena, INVOICE_KEY_SUMMARY, invoice->sequence),
        arena_printf(arena, INVOICE_KEY_WALLET "%.*s", STR_ARG(invoice->wallet)),
    };
    struct str head_text = arena_printf(arena, "{\"sequence\":\"%llu\",\"hash\":\"%s\"}",
                                        (unsigned long long)invoice->sequence, hash);
    struct str document = STR_EMPTY;
    if (!keys[1].ptr || !keys[2].ptr || !keys[3].ptr || !head_text.ptr ||
        arena_dup(arena, buf_str(&texts.document), &document) < 0)
        return invoice_fail(err, -ERR_NOMEM);
    const struct store_cond conds[] = {
        {keys[0], head->mod_rev}, {keys[1], 0}, {keys[3], before->mod_rev}, invoice->ledger};
    const struct store_op ops[] = {
        {.key = keys[0], .value = head_text},
        {.key = keys[1], .value = document},
        {.key = keys[2], .value = buf_str(&texts.summary)},
        {.key = keys[3], .value = buf_str(&texts.mark)},
    };
    int code =
        store_commit(billing->conf.store, conds, ARRAY_LEN(conds), ops, ARRAY_LEN(ops), NULL);
    if (code < 0)
        return invoice_fail(err, code);
    *ret_row = (struct invoice_row){.sequence = invoice->sequence, .text = document};
    return 0;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* "B-1a2b3c4d-000007" of this server, or "7". 0: neither. */
static uint64_t
sequence_of(const struct billing *billing, struct str number)
{
    char head[INVOICE_NUMBER_BYTES];
    uint64_t sequence = 0;
    (void)snprintf(head, sizeof head, "B-%.8s-", billing->conf.server);
    if (str_starts(number, str_from(head))) {
        number = str_skip(number, strlen(head));
        if (number.len < 6)
            return 0;
        while (number.len > 1 && number.ptr[0] == '0')
            number = str_skip(number, 1);
    }
    return num_u64(number, INT64_MAX, &sequence) == 0 ? sequence : 0;
}

int
invoice_get(struct billing *billing, struct str number, struct arena *arena,
            struct invoice_row *ret_row, struct err *err)
{
    struct store_row row;
    uint64_t sequence = sequence_of(billing, number);
    struct str key = sequence_key(arena, INVOICE_KEY, sequence);
    int code = -ERR_NOT_FOUND;
    if (sequence > 0)
        code = key.ptr ? store_get(billing->conf.store, key, arena, &row) : -ERR_NOMEM;
    if (code == -ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "there is no invoice %.*s",
                       (int)MIN(number.len, (size_t)40), number.ptr);
    if (code < 0)
        return invoice_fail(err, code);
    *ret_row = (struct invoice_row){.sequence = sequence, .text = row.value};
    return 0;
}

int
invoice_list(struct billing *billing, struct str wallet, uint64_t before, size_t limit,
             struct arena *arena, struct invoice_row **ret_rows, size_t *ret_count,
             uint64_t *ret_next, struct err *err)
{
    struct invoice_head head = {0};
    if (limit == 0 || limit > PAGE_MAX)
        return err_set(err, ERR_INVALID, "a page has 1 to %u invoices", PAGE_MAX);
    int code = invoice_head_read(billing, arena, &head, err);
    struct invoice_row *rows = code == 0 ? arena_array(arena, limit, sizeof *rows) : NULL;
    if (!rows)
        return code == 0 ? invoice_fail(err, -ERR_NOMEM) : code;
    uint64_t at = before == 0 || before > head.sequence ? head.sequence : before - 1;
    size_t count = 0;
    for (size_t read = 0; at > 0 && count < limit && read < SEARCH_ROWS_MAX; at--, read++) {
        struct store_row row;
        struct str key = sequence_key(arena, INVOICE_KEY_SUMMARY, at);
        code = row_scan(billing, key, arena, &row, err);
        if (code == 0)
            code = err_set(err, ERR_STORE, "invoice %llu is missing", (unsigned long long)at);
        if (code < 0)
            return code;
        if (wallet.len == 0 ||
            json_string_eq(&billing->doc, json_get(&billing->doc, 0, STR("wallet")), wallet))
            rows[count++] = (struct invoice_row){.sequence = at, .text = row.value};
    }
    *ret_rows = rows;
    *ret_count = count;
    *ret_next = at == 0 ? 0 : at + 1;
    return 0;
}

/* ---- checking -------------------------------------------------------------------------------- */

static bool
read_money(const struct json_doc *doc, const char *path, struct money *ret_money)
{
    uint32_t node = json_path(doc, 0, path);
    struct str raw = json_raw(doc, node);
    struct str text = raw.len >= 2 ? str_make(raw.ptr + 1, raw.len - 2) : STR_EMPTY;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (!json_is(doc, node, JSON_STRING) ||
        money_parse(negative ? str_skip(text, 1) : text, 9, ret_money) < 0)
        return false;
    if (negative)
        ret_money->nano = -ret_money->nano;
    return true;
}

static int
document_check(struct billing *billing, struct str text, uint64_t sequence, const char *prev,
               struct err *err)
{
    const struct json_doc *doc = &billing->doc;
    struct invoice invoice = {.sequence = sequence};
    int64_t said = 0;
    struct str raw;
    if (json_scan(&billing->doc, text, NULL, NULL) < 0)
        return err_set(err, ERR_STORE, "it is damaged");
    raw = json_raw(doc, json_get(doc, 0, STR("prev")));
    if (member_i64(doc, "sequence", &said) < 0 || (uint64_t)said != sequence)
        return err_set(err, ERR_STORE, "it has another number");
    if (raw.len < 2 || !str_eq(str_make(raw.ptr + 1, raw.len - 2), str_from(prev)))
        return err_set(err, ERR_STORE, "it does not continue the one before");
    if (!read_money(doc, "general.opening", &invoice.general.opening) ||
        !read_money(doc, "general.closing", &invoice.general.closing) ||
        !read_money(doc, "general.topped_up", &invoice.general.topped_up) ||
        !read_money(doc, "general.adjusted", &invoice.general.adjusted) ||
        !read_money(doc, "ai.opening", &invoice.ai.opening) ||
        !read_money(doc, "ai.closing", &invoice.ai.closing) ||
        !read_money(doc, "ai.topped_up", &invoice.ai.topped_up) ||
        !read_money(doc, "ai.adjusted", &invoice.ai.adjusted) ||
        !read_money(doc, "transferred", &invoice.transferred) ||
        !read_money(doc, "fees", &invoice.fees) ||
        !read_money(doc, "credited", &invoice.credited) ||
        !read_money(doc, "allowed", &invoice.allowed) || !read_money(doc, "usage", &invoice.usage))
        return err_set(err, ERR_STORE, "an amount of it is missing");
    return invoice_adds_up(&invoice, err);
}

int
invoice_audit(struct billing *billing, uint64_t *ret_count, struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    struct invoice_head head = {0};
    char hash[INVOICE_HASH_CHARS + 1] = NO_HASH;
    *ret_count = 0;
    arena_init(&arena, 65536);
    int code = invoice_head_read(billing, &arena, &head, err);
    for (uint64_t at = 1; code == 0 && at <= head.sequence; at++) {
        CLEANUP(arena_fini) struct arena scratch;
        struct store_row row;
        struct err why = {0};
        arena_init(&scratch, 4 * DOCUMENT_BYTES_MAX);
        struct str key = sequence_key(&scratch, INVOICE_KEY, at);
        code = store_get(billing->conf.store, key, &scratch, &row);
        if (code == -ERR_NOT_FOUND)
            code = err_set(&why, ERR_STORE, "it is missing");
        else if (code == 0)
            code = document_check(billing, row.value, at, hash, &why);
        if (code < 0)
            return err_set(err, ERR_STORE, "invoice %llu: %s", (unsigned long long)at,
                           why.code ? why.text : err_text(code));
        hash_of(row.value, hash);
        *ret_count = at;
    }
    if (code == 0 && head.sequence > 0 && strcmp(hash, head.hash) != 0)
        code = err_set(err, ERR_STORE, "invoice %llu: it was changed",
                       (unsigned long long)head.sequence);
    return code;
}
