/* SPDX-License-Identifier: MIT
 * usage_lines.c - see usage_lines.h.
 * Floor: controlplane/billing; engine thread.
 * Owns: nothing.
 * Invariant: see usage_lines.h. */
#include "controlplane/billing/usage_lines.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/ledger/usage_rollup.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/base/num.h"

#define NAMES_BYTES_MAX (64u << 20)
#define OTHERS "(others)"

static int
fail(struct err *err, int code)
{
    if (code == -ERR_RANGE)
        return err_set(err, ERR_RANGE, "the sums of usage leave the range of money");
    return err_set(err, (enum err_code) - code, "usage cannot be added up: %s", err_text(code));
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Names have no control bytes: what joins them cannot stand in one. */
static struct str
line_name(struct arena *arena, struct str subject, struct str model, struct str provider)
{
    return arena_printf(arena, "%.*s\x1f%.*s\x1f%.*s", STR_ARG(subject), STR_ARG(model),
                        STR_ARG(provider));
}

static void
count_add(uint64_t *sum, uint64_t count)
{
    if (ADD_OVERFLOW(*sum, count, sum))
        *sum = UINT64_MAX;
}

static int
line_add(struct usage_line *line, const struct usage_line *more)
{
    count_add(&line->requests, more->requests);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        count_add(&line->count[i], more->count[i]);
    int code = money_add(line->charge, more->charge, &line->charge);
    return code < 0 ? code : money_add(line->cost, more->cost, &line->cost);
}

static int
line_compare(const void *left, const void *right)
{
    const struct usage_line *a = left;
    const struct usage_line *b = right;
    if (a->charge.nano != b->charge.nano)
        return a->charge.nano < b->charge.nano ? 1 : -1;
    int order = str_cmp(a->subject, b->subject);
    if (order == 0)
        order = str_cmp(a->model, b->model);
    return order != 0 ? order : str_cmp(a->provider, b->provider);
}

static int
lines_total(struct usage_lines *lines)
{
    lines->charge.nano = lines->cost.nano = 0;
    if (lines->count > 1)
        qsort(lines->rows, lines->count, sizeof lines->rows[0], line_compare);
    for (size_t i = 0; i < lines->count; i++) {
        if (money_add(lines->charge, lines->rows[i].charge, &lines->charge) < 0 ||
            money_add(lines->cost, lines->rows[i].cost, &lines->cost) < 0)
            return -ERR_RANGE;
    }
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int
money_member(const struct json_doc *doc, uint32_t node, struct money *ret_money)
{
    struct str raw = json_raw(doc, node);
    if (!json_is(doc, node, JSON_STRING) ||
        num_i64(str_make(raw.ptr + 1, raw.len - 2), INT64_MIN, INT64_MAX, &ret_money->nano) < 0)
        return -ERR_STORE;
    return 0;
}

int
usage_lines_read(struct ledger *ledger, struct str wallet, int64_t from_ms, struct arena *arena,
                 struct usage_lines *ret_lines, struct err *err)
{
    const struct usage_query query = {.since_s = from_ms / 1000,
                                      .by = USAGE_SUBJECT | USAGE_MODEL | USAGE_PROVIDER,
                                      .wallet = wallet};
    struct usage_lines lines = {.count = 0};
    struct usage_row *rows;
    bool behind;
    int code = usage_query(ledger, &query, arena, &rows, &lines.count, &behind, err);
    if (code < 0)
        return code;
    if (behind)
        return err_set(err, ERR_UNAVAILABLE, "usage is still being added up; try again");
    lines.rows = arena_array(arena, lines.count + 1, sizeof *lines.rows);
    if (!lines.rows)
        return fail(err, -ERR_NOMEM);
    for (size_t i = 0; i < lines.count; i++) {
        struct usage_line *line = &lines.rows[i];
        *line = (struct usage_line){.subject = rows[i].subject,
                                    .model = rows[i].model,
                                    .provider = rows[i].provider,
                                    .requests = rows[i].requests,
                                    .charge = rows[i].charge,
                                    .cost = rows[i].cost};
        memcpy(line->count, rows[i].count, sizeof line->count);
    }
    code = lines_total(&lines);
    if (code < 0)
        return fail(err, code);
    *ret_lines = lines;
    return 0;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

static bool
line_subtract(struct usage_line *line, const struct usage_line *less)
{
    bool fine = !SUB_OVERFLOW(line->requests, less->requests, &line->requests) &&
                !SUB_OVERFLOW(line->charge.nano, less->charge.nano, &line->charge.nano) &&
                !SUB_OVERFLOW(line->cost.nano, less->cost.nano, &line->cost.nano);
    for (size_t i = 0; i < USAGE_CLASS_COUNT && fine; i++)
        fine = !SUB_OVERFLOW(line->count[i], less->count[i], &line->count[i]);
    return fine && line->charge.nano >= 0 && line->cost.nano >= 0;
}

static int
subtract_all(struct usage_lines *lines, const struct usage_lines *earlier, struct map *by_name,
             struct arena *scratch)
{
    for (size_t i = 0; i < lines->count; i++) {
        struct usage_line *line = &lines->rows[i];
        struct str name = line_name(scratch, line->subject, line->model, line->provider);
        if (!name.ptr || map_put(by_name, name, line, NULL) < 0)
            return -ERR_NOMEM;
    }
    for (size_t i = 0; i < earlier->count; i++) {
        const struct usage_line *less = &earlier->rows[i];
        struct str name = line_name(scratch, less->subject, less->model, less->provider);
        struct usage_line *line = name.ptr ? map_get(by_name, name) : NULL;
        if (!line || !line_subtract(line, less))
            return name.ptr ? -ERR_STORE : -ERR_NOMEM;
    }
    return 0;
}

int
usage_lines_subtract(struct usage_lines *lines, const struct usage_lines *earlier, struct err *err)
{
    CLEANUP(arena_fini) struct arena scratch;
    struct map by_name;
    arena_init(&scratch, NAMES_BYTES_MAX);
    map_init(&by_name);
    int code = subtract_all(lines, earlier, &by_name, &scratch);
    map_fini(&by_name);
    if (code == -ERR_STORE)
        return err_set(err, ERR_STORE, "usage that was invoiced before is no longer there");
    size_t kept = 0;
    for (size_t i = 0; i < lines->count && code == 0; i++) {
        if (lines->rows[i].requests > 0)
            lines->rows[kept++] = lines->rows[i];
    }
    if (code == 0) {
        lines->count = kept;
        code = lines_total(lines);
    }
    return code < 0 ? fail(err, code) : 0;
}

int
usage_lines_cut(struct usage_lines *lines, size_t rows_max, struct err *err)
{
    ASSERT(rows_max > 0);
    if (lines->count <= rows_max)
        return 0;
    struct usage_line *others = &lines->rows[rows_max - 1];
    for (size_t i = rows_max; i < lines->count; i++) {
        int code = line_add(others, &lines->rows[i]);
        if (code < 0)
            return fail(err, code);
    }
    others->subject = others->model = others->provider = STR(OTHERS);
    lines->count = rows_max;
    return 0;
}

/* ---- as a row of ours ------------------------------------------------------------------------ */

static void
put_nano(struct json_writer *writer, struct money money)
{
    char text[24];
    size_t at = 0;
    ASSERT(money.nano >= 0);
    at += num_write_u64(text, (uint64_t)money.nano);
    json_value_str(writer, str_make(text, at));
}

void
usage_lines_put(struct json_writer *writer, const struct usage_lines *lines)
{
    json_open_array(writer);
    for (size_t i = 0; i < lines->count; i++) {
        const struct usage_line *line = &lines->rows[i];
        json_open_array(writer);
        json_value_str(writer, line->subject);
        json_value_str(writer, line->model);
        json_value_str(writer, line->provider);
        json_open_array(writer);
        json_value_u64(writer, line->requests);
        for (size_t class_ = 0; class_ < USAGE_CLASS_COUNT; class_++)
            json_value_u64(writer, line->count[class_]);
        json_close_array(writer);
        put_nano(writer, line->charge);
        put_nano(writer, line->cost);
        json_close_array(writer);
    }
    json_close_array(writer);
}

/* Counts of a row that an older version wrote may be fewer. */
static int
counts_scan(const struct json_doc *doc, uint32_t array, struct usage_line *line)
{
    size_t at = 0;
    for (uint32_t node = json_first(doc, array); node != JSON_NONE;
         node = json_sibling(doc, array, node), at++) {
        uint64_t *count = at == 0 ? &line->requests : &line->count[at - 1];
        if (at > USAGE_CLASS_COUNT || json_u64(doc, node, UINT64_MAX, count) < 0)
            return -ERR_STORE;
    }
    return at > 0 ? 0 : -ERR_STORE;
}

static int
line_scan(const struct json_doc *doc, uint32_t array, struct arena *arena, struct usage_line *line)
{
    uint32_t nodes[6];
    size_t count = 0;
    for (uint32_t node = json_first(doc, array); node != JSON_NONE && count < ARRAY_LEN(nodes);
         node = json_sibling(doc, array, node))
        nodes[count++] = node;
    if (count != ARRAY_LEN(nodes))
        return -ERR_STORE;
    if (json_string(doc, nodes[0], arena, &line->subject) < 0 ||
        json_string(doc, nodes[1], arena, &line->model) < 0 ||
        json_string(doc, nodes[2], arena, &line->provider) < 0 ||
        counts_scan(doc, nodes[3], line) < 0 || money_member(doc, nodes[4], &line->charge) < 0 ||
        money_member(doc, nodes[5], &line->cost) < 0)
        return -ERR_STORE;
    return 0;
}

int
usage_lines_scan(const struct json_doc *doc, uint32_t array, struct arena *arena,
                 struct usage_lines *ret_lines)
{
    struct usage_lines lines = {.count = 0};
    if (!json_is(doc, array, JSON_ARRAY))
        return -ERR_STORE;
    lines.rows = arena_array(arena, json_count(doc, array) + 1u, sizeof *lines.rows);
    if (!lines.rows)
        return -ERR_NOMEM;
    for (uint32_t node = json_first(doc, array); node != JSON_NONE;
         node = json_sibling(doc, array, node)) {
        int code = line_scan(doc, node, arena, &lines.rows[lines.count++]);
        if (code < 0)
            return code;
    }
    int code = lines_total(&lines);
    if (code == 0)
        *ret_lines = lines;
    return code;
}
