/* SPDX-License-Identifier: MIT
 * usage.c - endpoints of usage: sums by whatever people ask for, and single records.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: sums come from the ledger's hours, no record is read for them. */
#include "controlplane/admin/admin_int.h"
#include "controlplane/ledger/usage_rollup.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"

#define ITEMS_MAX 20000u

/* What usage can be kept apart by; the order is that of the columns. */
static const struct {
    const char *name;
    enum usage_by by;
    size_t offset; /* of its text in struct usage_row; of an hour or day: SIZE_MAX */
} dimensions[] = {
    {"hour", USAGE_HOUR, SIZE_MAX},
    {"day", USAGE_DAY, SIZE_MAX},
    {"wallet", USAGE_WALLET, offsetof(struct usage_row, wallet)},
    {"subject", USAGE_SUBJECT, offsetof(struct usage_row, subject)},
    {"container", USAGE_CONTAINER, offsetof(struct usage_row, container)},
    {"key", USAGE_KEY, offsetof(struct usage_row, key)},
    {"model", USAGE_MODEL, offsetof(struct usage_row, model)},
    {"provider", USAGE_PROVIDER, offsetof(struct usage_row, provider)},
};

static unsigned
dimension_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(dimensions); i++) {
        if (str_eq(name, str_from(dimensions[i].name)))
            return dimensions[i].by;
    }
    return 0;
}

/* ?by=container,model; group is its older name and takes one. */
static bool
read_by(struct call *call, unsigned *ret_by)
{
    struct str group;
    struct str rest;
    unsigned all = 0;
    if (!query_text(call, "group", STR("subject"), &group) || !query_text(call, "by", group, &rest))
        return false;
    for (bool more = true; more;) {
        struct str name;
        more = str_cut(rest, ',', &name, &rest);
        unsigned by = dimension_of(name);
        if (by == 0 || (all & by) != 0) {
            reply_error(call, 400, "INVALID",
                        "by must be a list of hour, day, wallet, subject, container, key, model "
                        "and provider, each once");
            return false;
        }
        all |= by;
    }
    if ((all & USAGE_HOUR) != 0 && (all & USAGE_DAY) != 0) {
        reply_error(call, 400, "INVALID", "by takes hour or day, not both");
        return false;
    }
    *ret_by = all;
    return true;
}

static struct str
dimension_text(size_t index, const struct usage_row *row, char buffer[32])
{
    if (dimensions[index].offset != SIZE_MAX)
        return *(const struct str *)(const void *)((const char *)row + dimensions[index].offset);
    clock_format_rfc3339(row->start_s * 1000000000, buffer);
    if (dimensions[index].by == USAGE_DAY)
        return str_make(buffer, 10);
    /* to the minute: "2026-01-31T12:00Z" */
    buffer[16] = 'Z';
    return str_make(buffer, 17);
}

static void
put_row(struct json_writer *writer, unsigned by, const struct usage_row *row)
{
    bool single = (by & (by - 1)) == 0;
    json_open_object(writer);
    for (size_t i = 0; i < ARRAY_LEN(dimensions); i++) {
        char buffer[32];
        if ((by & dimensions[i].by) == 0)
            continue;
        struct str text = dimension_text(i, row, buffer);
        json_member_str(writer, dimensions[i].name, text);
        if (single)
            json_member_str(writer, "name", text);
    }
    json_member_u64(writer, "requests", row->requests);
    json_key(writer, "usage");
    json_open_object(writer);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (row->count[i] > 0)
            json_member_u64(writer, usage_class_name((enum usage_class)i), row->count[i]);
    }
    json_close_object(writer);
    reply_money(writer, "charge", row->charge);
    reply_money(writer, "cost", row->cost);
    json_close_object(writer);
}

static void
reply_rows(struct call *call, unsigned by, const struct usage_row *rows, size_t count, bool behind)
{
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    json_key(writer, "items");
    json_open_array(writer);
    for (size_t i = 0; i < MIN(count, (size_t)ITEMS_MAX); i++)
        put_row(writer, by, &rows[i]);
    json_close_array(writer);
    if (count > ITEMS_MAX)
        json_member_bool(writer, "cut", true);
    if (behind)
        json_member_bool(writer, "behind", true);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

void
endpoint_usage(struct call *call)
{
    static const char *const known[] = {"by",       "group",   "wallet", "subject", "model",
                                        "provider", "from_ms", "to_ms",  NULL};
    struct usage_query query = {0};
    uint64_t from;
    uint64_t to;
    struct usage_row *rows;
    size_t count;
    bool behind;
    struct err err = {0};
    if (!query_known(call, known) || !read_by(call, &query.by) ||
        !query_text(call, "wallet", STR_EMPTY, &query.wallet) ||
        !query_text(call, "subject", STR_EMPTY, &query.subject) ||
        !query_text(call, "model", STR_EMPTY, &query.model) ||
        !query_text(call, "provider", STR_EMPTY, &query.provider) ||
        !query_u64(call, "from_ms", INT64_MAX, 0, &from) ||
        !query_u64(call, "to_ms", INT64_MAX - 1000, 0, &to))
        return;
    query.since_s = (int64_t)(from / 1000);
    query.until_s = (int64_t)((to + 999) / 1000);
    int code =
        usage_query(call->admin->conf.ledger, &query, &call->arena, &rows, &count, &behind, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        reply_rows(call, query.by, rows, count, behind);
}

static bool
money_of(const struct json_doc *doc, uint32_t value, struct money *ret_money)
{
    struct str raw = json_raw(doc, value);
    return json_is(doc, value, JSON_STRING) &&
           num_i64(str_make(raw.ptr + 1, raw.len - 2), INT64_MIN, INT64_MAX, &ret_money->nano) == 0;
}

/* As it was posted, but money is dollars, as everywhere here; the nano-dollars stand beside it:
 * "charge":"0.01","charge_nano":"10000000". What is no such record stays as it is. */
static void
put_record(struct json_writer *writer, struct json_doc *doc, struct str text)
{
    static const char *const names[] = {"charge", "cost"};
    struct buf out;
    size_t at = 0;
    buf_init(&out, 2 * text.len + 256);
    uint32_t key = json_scan(doc, text, NULL, NULL) == 0 ? json_first(doc, 0) : JSON_NONE;
    for (; key != JSON_NONE; key = json_sibling(doc, 0, key)) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            struct money money;
            char dollars[32];
            if (!json_string_eq(doc, key, str_from(names[i])) || !money_of(doc, key + 1, &money))
                continue;
            money_format(money, dollars);
            size_t value = doc->nodes[key + 1].start;
            buf_put_str(&out, str_make(text.ptr + at, value - at));
            buf_printf(&out, "\"%s\",\"%s_nano\":", dollars, names[i]);
            at = value;
        }
    }
    buf_put_str(&out, str_skip(text, at));
    json_value_raw(writer, out.failed ? text : buf_str(&out));
    buf_fini(&out);
}

void
endpoint_usage_records(struct call *call)
{
    static const char *const known[] = {"after", "limit", NULL};
    struct str after;
    uint64_t limit;
    struct store_row *rows;
    size_t count;
    struct err err = {0};
    if (!query_known(call, known) || !query_text(call, "after", STR_EMPTY, &after) ||
        !query_limit(call, 1000, 100, &limit))
        return;
    int code =
        usage_list(call->admin->conf.ledger, after, limit, &call->arena, &rows, &count, &err);
    if (code < 0) {
        reply_err(call, code, &err);
        return;
    }
    CLEANUP(json_fini) struct json_doc doc;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_init(&doc);
    json_open_object(writer);
    json_key(writer, "records");
    json_open_array(writer);
    for (size_t i = 0; i < count; i++)
        put_record(writer, &doc, rows[i].value);
    json_close_array(writer);
    if (count > 0 && count == limit)
        json_member_str(writer, "continue", rows[count - 1].key);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}
