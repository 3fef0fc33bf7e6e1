/* SPDX-License-Identifier: MIT
 * tariff.h - everything that one model costs: by date, by service, by length of the prompt.
 * Floor: api; any thread.
 * Owns: nothing; rows belong to whoever built them.
 * Invariant: a call is priced by exactly one row, and no row that may still be picked for it asks
 *            more in any class than tariff_worst said before. tariff_test.c. */
#ifndef BERTH_API_TARIFF_H
#define BERTH_API_TARIFF_H

#include "api/money.h"
#include "lib/text/json.h"

#define TARIFF_ROWS_MAX 64u

/* Holds for calls made at from_s or later, served as `service`, with more than over_tokens prompt
 * tokens (0: any): all tokens of the call are priced by it, not only those above. */
struct tariff_row {
    int64_t from_s; /* seconds since 1970, UTC; 0 = always */
    uint64_t over_tokens;
    enum usage_service service;
    struct price price;
    int64_t dearest_in; /* of the prompt's token classes; set by tariff_seal */
    int64_t dearest_out;
};
/* What an image of one quality and size costs, where that differs; in the vendor's words. */
#define TARIFF_PICTURES_MAX 32u
struct tariff_picture {
    struct str quality;
    struct str size;
    int64_t pico;
};
/* The first date is 0, and each date has a row for every call (standard, over 0): a date replaces
 * all that held before it. Sorted by date, service, length. */
struct tariff {
    struct tariff_row *rows;
    uint32_t count; /* 0: no price is known */
    const struct tariff_picture *pictures;
    uint32_t picture_count;
};

/* tariff_seal - sort the rows and prepare them. 0; -ERR_INVALID: a date without its row for
 * every call, or two rows for the same. */
int tariff_seal(struct tariff *tariff) MUST_USE;
/* tariff_pick - the row for a call made at at_s that used `usage`. count >= 1. */
const struct tariff_row *tariff_pick(const struct tariff *tariff, int64_t at_s,
                                     const struct usage *usage);
/* tariff_worst - per class, the most that a call made at at_s may come to be asked when its prompt
 * has at most prompt_tokens_max tokens, however it is served: pico[input] for any prompt token,
 * pico[output] for any answer token, pico[request]. count >= 1.
 * tariff_worst_pieces - the same for each class that is no token, into *price, whatever the length.
 */
void tariff_worst(const struct tariff *tariff, int64_t at_s, uint64_t prompt_tokens_max,
                  struct price *ret_price);
void tariff_worst_pieces(const struct tariff *tariff, int64_t at_s, struct price *price);
/* tariff_image - what one image costs as it was asked for, pico-dollars; 0: no price but that of
 * the row (class image). quality, size: empty or "auto" where the caller leaves it to the vendor:
 * then "standard" at 1024x1024 where the vendor has such a quality, else the dearest that may come.
 */
int64_t tariff_image(const struct tariff *tariff, struct str quality, struct str size);
/* tariff_has - a class costs something in some row. */
bool tariff_has(const struct tariff *tariff, enum usage_class class_);
/* tariff_put - the members of a row's classes, as in "input":"150000" pico-dollars: those that
 * differ from what tariff_fall gives. tariff_fall - set the classes without a price of their own
 * (have[i] false) to those they fall to. */
int tariff_put(struct json_writer *writer, const struct price *price) MUST_USE;
void tariff_fall(struct price *price, const bool have[USAGE_CLASS_COUNT]);

#endif
