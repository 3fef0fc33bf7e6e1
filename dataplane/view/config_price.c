/* SPDX-License-Identifier: MIT
 * config_price.c - prices of a model, as the config document has them.
 * Floor: dataplane/view; sync thread.
 * Owns: nothing; rows live in the config's arena.
 * Invariant: a price that does not hold together refuses the document; none is guessed.
 *            config_test.c. */
#include "dataplane/view/config_int.h"
#include "lib/base/num.h"

#define FROM_S_MAX 253402300799ll /* the end of the year 9999 */

/* The classes of one row; those left out cost what they fall to. */
static int
read_row(struct parser *p, uint32_t node, uint32_t version, struct price *ret_price)
{
    struct price price = {.version = version, .known = true};
    bool given[USAGE_CLASS_COUNT] = {false};
    for (int i = 0; i < USAGE_CLASS_COUNT; i++) {
        uint32_t at = json_get(p->doc, node, str_from(usage_class_name((enum usage_class)i)));
        if (at == JSON_NONE || json_is(p->doc, at, JSON_NULL))
            continue;
        struct str raw = json_raw(p->doc, at);
        if (!json_is(p->doc, at, JSON_STRING) ||
            num_i64(str_make(raw.ptr + 1, raw.len - 2), 0, PRICE_PICO_MAX, &price.pico[i]) != 0)
            return config_bad(p, ERR_RANGE, "price", "must be pico-dollars as decimal strings");
        given[i] = true;
    }
    tariff_fall(&price, given);
    *ret_price = price;
    return 0;
}

/* When a further row holds. */
static int
read_key(struct parser *p, uint32_t node, struct tariff_row *row)
{
    uint32_t from = json_get(p->doc, node, STR("from"));
    uint32_t over = json_get(p->doc, node, STR("over"));
    uint32_t service = json_get(p->doc, node, STR("service"));
    if (from != JSON_NONE && json_i64(p->doc, from, 1, FROM_S_MAX, &row->from_s) != 0)
        return config_bad(p, ERR_RANGE, "price.rows.from", "must be seconds since 1970");
    if (over != JSON_NONE && json_u64(p->doc, over, USAGE_COUNT_MAX, &row->over_tokens) != 0)
        return config_bad(p, ERR_RANGE, "price.rows.over", "must be a number of tokens");
    if (service == JSON_NONE)
        return 0;
    struct str raw = json_raw(p->doc, service);
    if (json_is(p->doc, service, JSON_STRING))
        row->service = usage_service_find(str_make(raw.ptr + 1, raw.len - 2));
    if (row->service == SERVICE_standard)
        return config_bad(p, ERR_INVALID, "price.rows.service", "is not one of this data plane's");
    return 0;
}

/* Images by quality and size. */
static int
read_pictures(struct parser *p, uint32_t node, struct tariff *tariff)
{
    uint32_t list = json_get(p->doc, node, STR("pictures"));
    if (list == JSON_NONE)
        return 0;
    if (!json_is(p->doc, list, JSON_ARRAY) || json_count(p->doc, list) > TARIFF_PICTURES_MAX)
        return config_bad(p, ERR_RANGE, "price.pictures", "must be a list, and not too long");
    struct tariff_picture *pictures =
        arena_array(&p->config->arena, (size_t)json_count(p->doc, list) + 1, sizeof(*pictures));
    if (pictures == NULL)
        return config_bad(p, ERR_NOMEM, "price.pictures", "no memory");
    for (uint32_t at = json_first(p->doc, list); at != JSON_NONE;
         at = json_sibling(p->doc, list, at)) {
        struct tariff_picture *picture = &pictures[tariff->picture_count++];
        struct str pico;
        if (json_string(p->doc, json_get(p->doc, at, STR("quality")), &p->config->arena,
                        &picture->quality) != 0 ||
            json_string(p->doc, json_get(p->doc, at, STR("size")), &p->config->arena,
                        &picture->size) != 0 ||
            json_string(p->doc, json_get(p->doc, at, STR("image")), &p->config->arena, &pico) !=
                0 ||
            num_i64(pico, 0, PRICE_PICO_MAX, &picture->pico) != 0 ||
            arena_dup(&p->config->arena, picture->quality, &picture->quality) != 0 ||
            arena_dup(&p->config->arena, picture->size, &picture->size) != 0)
            return config_bad(p, ERR_INVALID, "price.pictures",
                              "need quality, size and image: pico-dollars");
    }
    tariff->pictures = pictures;
    return 0;
}

int
config_price(struct parser *p, uint32_t model_node, struct tariff *ret_tariff)
{
    uint32_t node = json_get(p->doc, model_node, STR("price"));
    if (node == JSON_NONE || json_is(p->doc, node, JSON_NULL)) {
        *ret_tariff = (struct tariff){.count = 0};
        return 0;
    }
    uint64_t version = 0;
    uint32_t at = json_get(p->doc, node, STR("version"));
    if (at != JSON_NONE && json_u64(p->doc, at, UINT32_MAX, &version) != 0)
        return config_bad(p, ERR_RANGE, "version", "must be an integer in range");
    uint32_t list = json_get(p->doc, node, STR("rows"));
    if (list != JSON_NONE && !json_is(p->doc, list, JSON_ARRAY))
        return config_bad(p, ERR_INVALID, "price.rows", "must be a list");
    size_t count = 1 + (size_t)json_count(p->doc, list);
    struct tariff tariff = {.rows = NULL};
    if (count > TARIFF_ROWS_MAX)
        return config_bad(p, ERR_RANGE, "price.rows", "are too many");
    tariff.rows = arena_array(&p->config->arena, count, sizeof(*tariff.rows));
    if (tariff.rows == NULL)
        return config_bad(p, ERR_NOMEM, "price", "no memory");
    tariff.rows[0] = (struct tariff_row){.from_s = 0};
    int rc = read_row(p, node, (uint32_t)version, &tariff.rows[tariff.count++].price);
    for (at = json_first(p->doc, list); rc == 0 && at != JSON_NONE;
         at = json_sibling(p->doc, list, at)) {
        struct tariff_row *row = &tariff.rows[tariff.count++];
        *row = (struct tariff_row){.from_s = 0};
        rc = read_key(p, at, row);
        if (rc == 0)
            rc = read_row(p, at, (uint32_t)version, &row->price);
    }
    if (rc == 0 && tariff_seal(&tariff) != 0)
        rc = config_bad(p, ERR_INVALID, "price.rows", "do not hold together");
    if (rc == 0)
        rc = read_pictures(p, node, &tariff);
    if (rc == 0)
        *ret_tariff = tariff;
    return rc;
}
