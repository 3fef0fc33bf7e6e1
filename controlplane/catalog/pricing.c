/* SPDX-License-Identifier: MIT
 * pricing.c - from a catalogue's `pricing` object to prices of our classes: base, dated changes,
 *             long-context tiers, service tiers.
 * Floor: controlplane/catalog; any thread.
 * Owns: nothing.
 * Invariant: a price that the catalogue names is used as it stands; only a combination of a change,
 *            a tier and a service that no row names is scaled from theirs. catalog_test.c. */
#include "controlplane/catalog/pricing.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/catalog/catalog.h"
#include "lib/base/num.h"

#define PRICING_NODES_MAX 4096u
static bool
price_field(const struct json_doc *doc, uint32_t object, const char *name, int64_t *ret_pico)
{
    char pico_name[64];
    int64_t value = 0;
    if (json_i64(doc, json_get(doc, object, str_from(name)), 0, PRICE_PICO_MAX / 1000, &value) ==
        0) {
        *ret_pico = value * 1000;
        return true;
    }
    (void)snprintf(pico_name, sizeof(pico_name), "%s_pico", name);
    return json_i64(doc, json_get(doc, object, str_from(pico_name)), 0, PRICE_PICO_MAX, ret_pico) ==
           0;
}

/* Seconds are billed alike, whatever they are of: no model of the catalogue asks for two kinds. A
 * search is one of medium context, where there are several. */
static bool
price_of_class(const struct json_doc *doc, uint32_t object, enum usage_class class_,
               int64_t *ret_pico)
{
    if (price_field(doc, object, usage_price_field(class_), ret_pico))
        return true;
    if (class_ == USAGE_second_in)
        return price_field(doc, object, "per_audio_second_in", ret_pico) ||
               price_field(doc, object, "per_video_second_in", ret_pico);
    if (class_ == USAGE_web_search)
        return price_field(doc, object, "per_web_search_medium", ret_pico);
    return class_ == USAGE_second_out && price_field(doc, object, "per_video_second_out", ret_pico);
}

static void
part_read(const struct json_doc *doc, uint32_t object, int64_t key, struct pricing_part *ret_part)
{
    *ret_part = (struct pricing_part){.key = key};
    for (int i = 0; i < USAGE_CLASS_COUNT; i++)
        ret_part->have[i] = price_of_class(doc, object, (enum usage_class)i, &ret_part->pico[i]);
}

/* Days since 1970 of a civil date (proleptic Gregorian). */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2026-09-01", UTC. */
static int
date_read(struct str text, int64_t *ret_s)
{
    int64_t part[3];
    if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-')
        return -ERR_PARSE;
    static const struct {
        size_t at;
        size_t len;
    } spans[] = {{0, 4}, {5, 2}, {8, 2}};
    for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
        part[i] = 0;
        for (size_t at = spans[i].at; at < spans[i].at + spans[i].len; at++) {
            if (text.ptr[at] < '0' || text.ptr[at] > '9')
                return -ERR_PARSE;
            part[i] = part[i] * 10 + (text.ptr[at] - '0');
        }
    }
    if (part[0] < 1970 || part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31)
        return -ERR_RANGE;
    *ret_s = days_of(part[0], part[1], part[2]) * 86400;
    return 0;
}

/* ---- what `pricing` lists -------------------------------------------------------------------- */

static int
list_changes(const struct json_doc *doc, struct pricing_parts *ret_list)
{
    uint32_t list = json_get(doc, 0, STR("changes"));
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        struct str raw = json_raw(doc, json_get(doc, at, STR("from")));
        int64_t from_s;
        if (ret_list->count == PRICING_PARTS_MAX || raw.len < 2 ||
            date_read(str_make(raw.ptr + 1, raw.len - 2), &from_s) < 0)
            return -ERR_INVALID;
        part_read(doc, at, from_s, &ret_list->part[ret_list->count++]);
    }
    return 0;
}

static int
list_tiers(const struct json_doc *doc, struct pricing_parts *ret_list)
{
    uint32_t list = json_get(doc, 0, STR("tiers"));
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        int64_t over;
        if (ret_list->count == PRICING_PARTS_MAX ||
            json_i64(doc, json_get(doc, at, STR("over_tokens")), 1, INT32_MAX, &over) < 0)
            return -ERR_INVALID;
        part_read(doc, at, over, &ret_list->part[ret_list->count++]);
    }
    return 0;
}

static int
list_services(const struct json_doc *doc, struct pricing_parts *ret_list)
{
    uint32_t object = json_get(doc, 0, STR("service_tiers"));
    for (uint32_t key = json_first(doc, object); key != JSON_NONE;
         key = json_sibling(doc, object, key)) {
        struct str raw = json_raw(doc, key);
        enum usage_service service = usage_service_find(str_make(raw.ptr + 1, raw.len - 2));
        if (ret_list->count == PRICING_PARTS_MAX || service == SERVICE_standard)
            return -ERR_INVALID;
        part_read(doc, key + 1, (int64_t)service, &ret_list->part[ret_list->count++]);
    }
    return 0;
}

/* ---- combining ------------------------------------------------------------------------------- */

/* One class under a change, a service and a tier (NULL: none). One of them names a price: that is
 * it. Several do: each moves the base price in its own proportion (a batch at half price past
 * 200,000 tokens is half of that tier's price), rounded half up to the pico-dollar. */
static bool
combine(const struct pricing_part *base, const struct pricing_part *const parts[3], size_t class_,
        int64_t *ret_pico)
{
    int64_t named[3];
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] != NULL && parts[i]->have[class_])
            named[count++] = parts[i]->pico[class_];
    }
    *ret_pico = count > 0 ? named[count - 1] : base->pico[class_];
    if (count < 2 || base->pico[class_] == 0)
        return count > 0 || base->have[class_];
    uint128_t value = (uint128_t)(uint64_t)named[0];
    uint128_t unit = (uint128_t)(uint64_t)base->pico[class_];
    for (size_t i = 1; i < count; i++)
        value = (value * (uint128_t)(uint64_t)named[i] + unit / 2) / unit;
    *ret_pico = (int64_t)MIN(value, (uint128_t)PRICE_PICO_MAX);
    return true;
}

static void
row_make(const struct pricing *pricing, const struct pricing_part *const parts[3], uint32_t version,
         struct tariff_row *ret_row)
{
    bool have[USAGE_CLASS_COUNT];
    struct price price = {.version = version, .known = true};
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        have[i] = combine(&pricing->base, parts, i, &price.pico[i]);
    tariff_fall(&price, have);
    *ret_row = (struct tariff_row){.from_s = parts[0] != NULL ? parts[0]->key : 0,
                                   .service = parts[1] != NULL ? (enum usage_service)parts[1]->key
                                                               : SERVICE_standard,
                                   .over_tokens = parts[2] != NULL ? (uint64_t)parts[2]->key : 0,
                                   .price = price};
}

/* Index 0 of each list stands for none of it. */
static const struct pricing_part *
part_at(const struct pricing_parts *list, size_t index)
{
    return index > 0 ? &list->part[index - 1] : NULL;
}

int
pricing_tariff(const struct pricing *pricing, uint32_t version,
               struct tariff_row rows[TARIFF_ROWS_MAX], struct tariff *ret_tariff)
{
    size_t dates = pricing->changes.count + 1;
    size_t services = pricing->services.count + 1;
    size_t lengths = pricing->tiers.count + 1;
    struct tariff tariff = {.rows = rows};
    if (dates * services * lengths > TARIFF_ROWS_MAX)
        return -ERR_TOO_LARGE;
    for (size_t i = 0; i < dates * services * lengths; i++) {
        const struct pricing_part *const parts[3] = {
            part_at(&pricing->changes, i / (services * lengths)),
            part_at(&pricing->services, i / lengths % services),
            part_at(&pricing->tiers, i % lengths)};
        row_make(pricing, parts, version, &rows[tariff.count++]);
    }
    int code = tariff_seal(&tariff);
    if (code == 0)
        *ret_tariff = tariff;
    return code;
}

/* ---- the catalogue's form -------------------------------------------------------------------- */

/* Listed means that what a call cannot be without has a price: tokens, or its unit. */
static bool
is_priced(const struct json_doc *doc, const struct pricing_part *base)
{
    static const enum usage_class units[] = {
        USAGE_input,     USAGE_request,    USAGE_image,        USAGE_image_read,
        USAGE_second_in, USAGE_second_out, USAGE_character_in, USAGE_character_out,
        USAGE_query,     USAGE_page};
    uint32_t status = json_get(doc, 0, STR("status"));
    if (json_string_eq(doc, status, STR("free")) || json_string_eq(doc, status, STR("local")))
        return true;
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        any = any || base->have[units[i]];
    return status == JSON_NONE && any;
}

int
catalog_tariff(struct str pricing, struct tariff_row rows[TARIFF_ROWS_MAX],
               struct tariff *ret_tariff)
{
    const struct json_limits limits = {.node_count_max = PRICING_NODES_MAX};
    struct json_doc doc;
    struct tariff tariff = {.rows = rows};
    if (pricing.len == 0) {
        *ret_tariff = tariff;
        return 0;
    }
    json_init(&doc);
    int code = json_scan(&doc, pricing, &limits, NULL);
    if (code == 0) {
        struct pricing parts;
        memset(&parts, 0, sizeof(parts));
        part_read(&doc, 0, 0, &parts.base);
        code = list_changes(&doc, &parts.changes);
        if (code == 0)
            code = list_services(&doc, &parts.services);
        if (code == 0)
            code = list_tiers(&doc, &parts.tiers);
        if (code == 0 && is_priced(&doc, &parts.base))
            code = pricing_tariff(&parts, catalog_version(), rows, &tariff);
    }
    json_fini(&doc);
    if (code == 0)
        *ret_tariff = tariff;
    return code;
}

static struct str
plain_text(const struct json_doc *doc, uint32_t node)
{
    struct str raw = json_raw(doc, node);
    return raw.len < 2 ? STR_EMPTY : str_make(raw.ptr + 1, raw.len - 2);
}

size_t
catalog_pictures(struct str pricing, struct tariff_picture out[TARIFF_PICTURES_MAX])
{
    const struct json_limits limits = {.node_count_max = PRICING_NODES_MAX};
    struct json_doc doc;
    size_t count = 0;
    json_init(&doc);
    if (pricing.len > 0 && json_scan(&doc, pricing, &limits, NULL) == 0) {
        uint32_t list = json_get(&doc, 0, STR("images"));
        for (uint32_t at = json_first(&doc, list); at != JSON_NONE && count < TARIFF_PICTURES_MAX;
             at = json_sibling(&doc, list, at)) {
            struct tariff_picture *picture = &out[count];
            picture->quality = plain_text(&doc, json_get(&doc, at, STR("quality")));
            picture->size = plain_text(&doc, json_get(&doc, at, STR("size")));
            if (picture->size.len > 0 && price_field(&doc, at, "price", &picture->pico))
                count++;
        }
    }
    json_fini(&doc);
    return count;
}

static void
put_pictures(struct json_writer *writer, const struct tariff *tariff)
{
    if (tariff->picture_count == 0)
        return;
    json_key_array(writer, "pictures");
    for (uint32_t i = 0; i < tariff->picture_count; i++) {
        char text[20];
        const struct tariff_picture *picture = &tariff->pictures[i];
        json_open_object(writer);
        json_member_str(writer, "quality", picture->quality);
        json_member_str(writer, "size", picture->size);
        json_member_str(writer, "image",
                        str_make(text, num_write_u64(text, (uint64_t)picture->pico)));
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void
put_row(struct json_writer *writer, const struct tariff_row *row)
{
    json_open_object(writer);
    if (row->from_s != 0)
        json_member_i64(writer, "from", row->from_s);
    if (row->service != SERVICE_standard)
        json_member_str(writer, "service", str_from(usage_service_name(row->service)));
    if (row->over_tokens != 0)
        json_member_u64(writer, "over", row->over_tokens);
    (void)!tariff_put(writer, &row->price); /* told by out->failed below */
    json_close_object(writer);
}

int
catalog_price_put(const struct tariff *tariff, struct buf *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_u64(&writer, "version", tariff->rows[0].price.version);
    (void)!tariff_put(&writer, &tariff->rows[0].price);
    if (tariff->count > 1) {
        json_key(&writer, "rows");
        json_open_array(&writer);
        for (uint32_t i = 1; i < tariff->count; i++)
            put_row(&writer, &tariff->rows[i]);
        json_close_array(&writer);
    }
    put_pictures(&writer, tariff);
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}
