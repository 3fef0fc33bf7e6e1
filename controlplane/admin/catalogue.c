/* SPDX-License-Identifier: MIT
 * catalogue.c - endpoints of the catalogue: which one is in use, another one, back to the shipped.
 * Floor: controlplane/admin; engine thread.
 * Owns: nothing.
 * Invariant: what is put in force is the bytes that were checked; a dry run stores nothing. */
#include <stdio.h>

#include "controlplane/admin/admin_int.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

#define LISTED_MAX 1000u

struct change_list {
    struct json_writer *writer;
    enum edition_change wanted;
    size_t count[EDITION_CHANGED + 1];
};

static void
put_price(struct json_writer *writer, const char *key, int64_t pico, bool tokens)
{
    char text[32];
    json_key(writer, key);
    if (tokens) { /* pico a token = micro-dollars a million */
        money_format((struct money){pico * 1000}, text);
        json_value_str(writer, str_from(text));
    } else {
        json_value_str(writer, str_make(text, num_write_u64(text, (uint64_t)pico)));
    }
}

/* Classes of the plain row whose price is another; a tier alone may differ, too: then none. */
static void
put_prices(struct json_writer *writer, const struct catalog_model *before,
           const struct catalog_model *after)
{
    struct tariff_row rows[2][TARIFF_ROWS_MAX];
    struct tariff tariff[2];
    json_key(writer, "prices");
    json_open_array(writer);
    if (catalog_tariff(before->pricing, rows[0], &tariff[0]) < 0 ||
        catalog_tariff(after->pricing, rows[1], &tariff[1]) < 0)
        tariff[0].count = tariff[1].count = 0;
    for (int i = 0; i < USAGE_CLASS_COUNT && (tariff[0].count || tariff[1].count); i++) {
        int64_t old = tariff[0].count ? rows[0][0].price.pico[i] : -1;
        int64_t new = tariff[1].count ? rows[1][0].price.pico[i] : -1;
        bool tokens = usage_is_tokens((enum usage_class)i);
        if (old == new)
            continue;
        json_open_object(writer);
        json_member_str(writer, "class", str_from(usage_class_name((enum usage_class)i)));
        json_member_str(writer, "unit", tokens ? STR("USD/M") : STR("pico-USD"));
        if (old >= 0)
            put_price(writer, "before", old, tokens);
        if (new >= 0)
            put_price(writer, "after", new, tokens);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void
put_change(enum edition_change change, const struct catalog_model *before,
           const struct catalog_model *after, void *user)
{
    struct change_list *list = user;
    struct str id = after ? after->id : before->id;
    if (list->count[change]++ >= LISTED_MAX || change != list->wanted)
        return;
    if (change != EDITION_REPRICED) {
        json_value_str(list->writer, id);
        return;
    }
    ASSERT(before != NULL && after != NULL);
    json_open_object(list->writer);
    json_member_str(list->writer, "id", id);
    put_prices(list->writer, before, after);
    json_close_object(list->writer);
}

static void
put_date(struct json_writer *writer, const char *key, uint32_t version)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%04u-%02u-%02u", version / 10000 % 10000,
                   version / 100 % 100, version % 100);
    json_member_str(writer, key, str_from(text));
}

/* What going from the one in use to `text` changes. */
static int
put_changes(struct json_writer *writer, struct str text)
{
    static const char *const names[] = {"added", "removed", "repriced", "changed"};
    struct change_list list = {.writer = writer};
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(names) && code == 0; i++) {
        memset(list.count, 0, sizeof list.count);
        list.wanted = (enum edition_change)i;
        json_key(writer, names[i]);
        json_open_array(writer);
        code = edition_compare(catalog_text(), text, put_change, &list);
        json_close_array(writer);
    }
    json_key(writer, "counts");
    json_open_object(writer);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        json_member_u64(writer, names[i], list.count[i]);
    json_close_object(writer);
    return code;
}

static bool
is_shipped(void)
{
    return catalog_text().ptr == catalog_shipped().ptr;
}

void
endpoint_catalogue_get(struct call *call)
{
    static const char *const none[] = {NULL};
    size_t cursor = 0;
    uint64_t count = 0;
    struct catalog_model model;
    if (!query_known(call, none))
        return;
    while (catalog_next(STR_EMPTY, &cursor, &model) == 0)
        count++;
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    json_open_object(writer);
    put_date(writer, "as_of", catalog_version());
    json_member_str(writer, "source", is_shipped() ? STR("shipped") : STR("owner"));
    put_date(writer, "shipped_as_of", catalog_version_of(catalog_shipped()));
    json_member_u64(writer, "models", count);
    json_close_object(writer);
    reply_send(call, 200, &reply);
}

/* text: the next catalogue, checked. apply: 0 or an error, after the changes were read. */
static void
replace(struct call *call, struct str text, uint32_t version, bool dry_run)
{
    struct engine *engine = call->admin->conf.engine;
    struct err err = {0};
    struct reply reply;
    struct json_writer *writer = reply_begin(&reply);
    bool drop = text.ptr == catalog_shipped().ptr;
    json_open_object(writer);
    json_member_bool(writer, "dry_run", dry_run);
    put_date(writer, "before", catalog_version());
    put_date(writer, "after", version);
    int code = put_changes(writer, text);
    json_close_object(writer);
    if (code == 0 && !dry_run)
        code = drop ? kept_drop(&engine->kept, engine->conf.store, &err)
                    : kept_replace(&engine->kept, engine->conf.store, text, version, &err);
    else if (code == 0 && !drop && version <= catalog_version())
        code = kept_refuse(version, &err);
    if (code == 0) {
        reply_send(call, 200, &reply);
        return;
    }
    buf_fini(&reply.text);
    reply_err(call, code, &err);
}

static bool
is_dry_run(struct call *call, bool *ret_dry_run)
{
    static const char *const known[] = {"dryRun", NULL};
    struct str text;
    if (!query_known(call, known) || !query_text(call, "dryRun", STR("false"), &text))
        return false;
    *ret_dry_run = str_eq(text, STR("true"));
    return true;
}

void
endpoint_catalogue_put(struct call *call)
{
    struct str text = http_stream_body(call->stream);
    struct err err = {0};
    uint32_t version = 0;
    uint32_t count = 0;
    bool dry_run;
    if (!is_dry_run(call, &dry_run))
        return;
    int code = edition_check(text, &version, &count, &err);
    if (code < 0)
        reply_err(call, code, &err);
    else
        replace(call, text, version, dry_run);
}

void
endpoint_catalogue_delete(struct call *call)
{
    bool dry_run;
    if (is_dry_run(call, &dry_run))
        replace(call, catalog_shipped(), catalog_version_of(catalog_shipped()), dry_run);
}
