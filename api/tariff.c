/* SPDX-License-Identifier: MIT
 * tariff.c - choosing the price of a call.
 * Floor: api; any thread.
 * Owns: nothing.
 * Invariant: see tariff.h. */
#include "api/tariff.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/num.h"

static int
compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int
compare_rows(const void *a, const void *b)
{
    const struct tariff_row *row_a = a;
    const struct tariff_row *row_b = b;
    int order = compare(row_a->from_s, row_b->from_s);
    if (order == 0)
        order = compare((int64_t)row_a->service, (int64_t)row_b->service);
    return order != 0 ? order : compare((int64_t)row_a->over_tokens, (int64_t)row_b->over_tokens);
}

static int64_t
dearest(const struct price *price, const enum usage_class *classes, size_t count)
{
    int64_t pico = 0;
    for (size_t i = 0; i < count; i++)
        pico = MAX(pico, price->pico[classes[i]]);
    return pico;
}

int
tariff_seal(struct tariff *tariff)
{
    struct tariff_row *rows = tariff->rows;
    if (tariff->count == 0 || tariff->count > TARIFF_ROWS_MAX)
        return -ERR_INVALID;
    if (tariff->count > 1)
        qsort(rows, tariff->count, sizeof(*rows), compare_rows);
    if (rows[0].from_s != 0)
        return -ERR_INVALID;
    for (uint32_t i = 0; i < tariff->count; i++) {
        bool new_date = i == 0 || rows[i].from_s != rows[i - 1].from_s;
        if (new_date && (rows[i].service != SERVICE_standard || rows[i].over_tokens != 0))
            return -ERR_INVALID;
        if (i > 0 && compare_rows(&rows[i - 1], &rows[i]) == 0)
            return -ERR_INVALID;
        rows[i].dearest_in =
            dearest(&rows[i].price, usage_prompt_classes, USAGE_PROMPT_CLASS_COUNT);
        rows[i].dearest_out =
            dearest(&rows[i].price, usage_answer_classes, USAGE_ANSWER_CLASS_COUNT);
    }
    return 0;
}

/* Sorted as they are, the last row that fits is the one: the latest date, there the call's own
 * service before the standard one, there the greatest length. */
const struct tariff_row *
tariff_pick(const struct tariff *tariff, int64_t at_s, const struct usage *usage)
{
    ASSERT(tariff->count >= 1);
    const struct tariff_row *found = &tariff->rows[0];
    if (tariff->count == 1)
        return found;
    uint64_t prompt_tokens = usage_prompt_tokens(usage);
    for (uint32_t i = 1; i < tariff->count; i++) {
        const struct tariff_row *row = &tariff->rows[i];
        if (row->from_s > at_s)
            break;
        if (row->service != SERVICE_standard && row->service != usage->service)
            continue;
        if (row->over_tokens == 0 || prompt_tokens > row->over_tokens)
            found = row;
    }
    return found;
}

static bool
is_open(struct str word)
{
    return word.len == 0 || str_eq(word, STR("auto"));
}

/* Where a vendor has a quality "standard", that is what he takes where none is said, and 1024x1024;
 * elsewhere he chooses by the prompt. */
static bool
has_standard(const struct tariff *tariff)
{
    for (uint32_t i = 0; i < tariff->picture_count; i++) {
        if (str_eq(tariff->pictures[i].quality, STR("standard")))
            return true;
    }
    return false;
}

int64_t
tariff_image(const struct tariff *tariff, struct str quality, struct str size)
{
    int64_t dearest = 0;
    int64_t fits = 0;
    if (has_standard(tariff)) {
        quality = is_open(quality) ? STR("standard") : quality;
        size = is_open(size) ? STR("1024x1024") : size;
    }
    for (uint32_t i = 0; i < tariff->picture_count; i++) {
        const struct tariff_picture *picture = &tariff->pictures[i];
        if ((is_open(quality) || str_eq(picture->quality, quality)) &&
            (is_open(size) || str_eq(picture->size, size)))
            fits = MAX(fits, picture->pico);
        dearest = MAX(dearest, picture->pico);
    }
    return fits > 0 ? fits : dearest; /* words that no row has */
}

void
tariff_worst(const struct tariff *tariff, int64_t at_s, uint64_t prompt_tokens_max,
             struct price *ret_price)
{
    ASSERT(tariff->count >= 1);
    struct price worst = {.known = true, .version = tariff->rows[0].price.version};
    int64_t date = 0;
    for (uint32_t i = 0; i < tariff->count && tariff->rows[i].from_s <= at_s; i++) {
        const struct tariff_row *row = &tariff->rows[i];
        if (row->from_s > date) { /* replaces what held before */
            date = row->from_s;
            worst.pico[USAGE_input] = 0;
            worst.pico[USAGE_output] = 0;
            worst.pico[USAGE_request] = 0;
        }
        if (row->over_tokens != 0 && prompt_tokens_max <= row->over_tokens)
            continue;
        worst.pico[USAGE_input] = MAX(worst.pico[USAGE_input], row->dearest_in);
        worst.pico[USAGE_output] = MAX(worst.pico[USAGE_output], row->dearest_out);
        worst.pico[USAGE_request] = MAX(worst.pico[USAGE_request], row->price.pico[USAGE_request]);
    }
    *ret_price = worst;
}

void
tariff_worst_pieces(const struct tariff *tariff, int64_t at_s, struct price *price)
{
    int64_t date = 0;
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        if (!usage_is_tokens((enum usage_class)i))
            price->pico[i] = 0;
    }
    for (uint32_t i = 0; i < tariff->count && tariff->rows[i].from_s <= at_s; i++) {
        const struct tariff_row *row = &tariff->rows[i];
        bool replaces = row->from_s > date;
        date = row->from_s;
        for (size_t c = 0; c < USAGE_CLASS_COUNT; c++) {
            if (!usage_is_tokens((enum usage_class)c))
                price->pico[c] = MAX(replaces ? 0 : price->pico[c], row->price.pico[c]);
        }
    }
}

void
tariff_fall(struct price *price, const bool have[USAGE_CLASS_COUNT])
{
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        enum usage_class as = usage_falls_to((enum usage_class)i);
        if (!have[i] && as != (enum usage_class)i)
            price->pico[i] = price->pico[as];
    }
}

int
tariff_put(struct json_writer *writer, const struct price *price)
{
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++) {
        char text[20];
        enum usage_class as = usage_falls_to((enum usage_class)i);
        int64_t implied = as == (enum usage_class)i ? 0 : price->pico[as];
        if (price->pico[i] != implied)
            json_member_str(writer, usage_class_name((enum usage_class)i),
                            str_make(text, num_write_u64(text, (uint64_t)price->pico[i])));
    }
    return writer->out->failed ? -ERR_TOO_LARGE : 0;
}

bool
tariff_has(const struct tariff *tariff, enum usage_class class_)
{
    for (uint32_t i = 0; i < tariff->count; i++)
        if (tariff->rows[i].price.pico[class_] != 0)
            return true;
    return false;
}
