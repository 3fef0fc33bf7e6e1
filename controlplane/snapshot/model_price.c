/* SPDX-License-Identifier: MIT
 * model_price.c - reading the price fields of a Model object.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: nothing.
 * Invariant: see model_price.h. */
#include "controlplane/snapshot/model_price.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/pricing.h"
#include "lib/base/check.h"
#include "lib/base/num.h"

/* Names of the classes in a spec. Tokens are priced by the million, the rest by the piece. */
static const struct {
    const char *name;
    enum usage_class class_;
    bool piece;
} members[] = {
    {"input", USAGE_input, false},
    {"cached", USAGE_cached, false},
    {"cacheWrite", USAGE_cache_write, false},
    {"cacheWrite1h", USAGE_cache_write_1h, false},
    {"output", USAGE_output, false},
    {"reasoning", USAGE_reasoning, false},
    {"audioIn", USAGE_audio_in, false},
    {"audioOut", USAGE_audio_out, false},
    {"audioCached", USAGE_audio_cached, false},
    {"imageIn", USAGE_image_in, false},
    {"imageOut", USAGE_image_out, false},
    {"request", USAGE_request, true},
    {"image", USAGE_image, true},
    {"imageRead", USAGE_image_read, true},
    {"secondIn", USAGE_second_in, true},
    {"secondOut", USAGE_second_out, true},
    {"characterIn", USAGE_character_in, true},
    {"characterOut", USAGE_character_out, true},
    {"query", USAGE_query, true},
    {"page", USAGE_page, true},
    {"webSearch", USAGE_web_search, true},
    {"fileSearch", USAGE_file_search, true},
    {"webSearchLow", USAGE_web_search_low, true},
    {"webSearchHigh", USAGE_web_search_high, true},
    {"codeRun", USAGE_code_run, true},
    {"toolCall", USAGE_tool_call, true},
};
_Static_assert(ARRAY_LEN(members) == USAGE_CLASS_COUNT, "a field a class");

/* The fields GROUP.NAME of a spec; true when there is any. */
static bool
read_part(const struct tree *spec, const char *group, int64_t key, struct pricing_part *ret_part)
{
    bool any = false;
    *ret_part = (struct pricing_part){.key = key};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        char path[64];
        enum usage_class class_ = members[i].class_;
        (void)snprintf(path, sizeof(path), "%s.%s", group, members[i].name);
        ret_part->have[class_] =
            schema_pico(schema_text(spec, path, STR_EMPTY), members[i].piece ? 12 : 6,
                        &ret_part->pico[class_]) == 0;
        any = any || ret_part->have[class_];
    }
    return any;
}

static void
add_service(const struct tree *spec, const char *group, enum usage_service service,
            struct pricing_parts *services)
{
    if (read_part(spec, group, service, &services->part[services->count]))
        services->count++;
}

void
model_price(const struct object *object, struct tariff_row rows[TARIFF_ROWS_MAX],
            struct tariff *ret_tariff)
{
    const struct tree *spec = object->spec;
    struct pricing pricing;
    struct catalog_model known;
    uint64_t over = 0;
    memset(&pricing, 0, sizeof(pricing));
    *ret_tariff = (struct tariff){.rows = rows};
    if (!read_part(spec, "price", 0, &pricing.base)) {
        if (catalog_find(object->name, &known) == 0 &&
            catalog_tariff(known.pricing, rows, ret_tariff) < 0)
            ret_tariff->count = 0;
        return;
    }
    add_service(spec, "priceFlex", SERVICE_flex, &pricing.services);
    add_service(spec, "pricePriority", SERVICE_priority, &pricing.services);
    add_service(spec, "priceBatch", SERVICE_batch, &pricing.services);
    bool has_tier = read_part(spec, "priceOver", 0, &pricing.tiers.part[0]);
    if (num_u64(schema_text(spec, "priceOver.tokens", STR_EMPTY), INT32_MAX, &over) < 0)
        over = 0;
    if (has_tier != (over != 0))
        return; /* above how many, or what then? */
    pricing.tiers.part[0].key = (int64_t)over;
    pricing.tiers.count = has_tier ? 1 : 0;
    uint32_t version = (uint32_t)(object->generation & UINT32_MAX);
    int code = pricing_tariff(&pricing, version, rows, ret_tariff);
    ASSERT(code == 0); /* four services, two lengths */
}

static uint32_t
date_of(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm day;
    ASSERT(gmtime_r(&seconds, &day)); /* any int64 of milliseconds is a year of an int */
    return (uint32_t)((day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday);
}

void
model_price_listed(const struct seen_model *live, struct tariff_row rows[TARIFF_ROWS_MAX],
                   struct tariff *tariff)
{
    struct pricing pricing;
    struct pricing_part *base = &pricing.base;
    memset(&pricing, 0, sizeof(pricing));
    if (schema_pico(live->as.prompt, 12, &base->pico[USAGE_input]) < 0 ||
        schema_pico(live->as.completion, 12, &base->pico[USAGE_output]) < 0)
        return; /* none, or one that is not exact: what we had holds */
    base->have[USAGE_input] = base->have[USAGE_output] = true;
    base->have[USAGE_cached] = schema_pico(live->as.cached, 12, &base->pico[USAGE_cached]) == 0;
    const int64_t *known = tariff->count > 0 ? rows[0].price.pico : NULL;
    if (known && known[USAGE_input] == base->pico[USAGE_input] &&
        known[USAGE_output] == base->pico[USAGE_output])
        return; /* the catalogue says the same, and more */
    int code = pricing_tariff(&pricing, date_of(live->priced_ms), rows, tariff);
    ASSERT(code == 0); /* one row */
}
