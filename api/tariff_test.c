/* SPDX-License-Identifier: MIT
 * tariff_test.c - the right row for each call, against a naive search; the worst case covers it.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see tariff.h. The seed of the random part is printed; BERTH_SEED repeats it. */
#include "api/tariff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"

static struct tariff_row
row(int64_t from_s, enum usage_service service, uint64_t over, int64_t pico)
{
    struct tariff_row made = {.from_s = from_s, .service = service, .over_tokens = over};
    const bool have[USAGE_CLASS_COUNT] = {[USAGE_input] = true};
    made.price.known = true;
    made.price.pico[USAGE_input] = pico;
    made.price.pico[USAGE_output] = pico * 5;
    tariff_fall(&made.price, have);
    made.price.pico[USAGE_output] = pico * 5;
    return made;
}

static void
test_too_much(void **state)
{
    static struct tariff_row rows[TARIFF_ROWS_MAX + 1];
    struct tariff tariff = {.rows = rows, .count = 0};
    struct price price = {.known = true};
    struct json_writer writer;
    struct buf out;
    (void)state;
    assert_int_equal(tariff_seal(&tariff), -ERR_INVALID);
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i] = row(0, SERVICE_standard, i, 1);
    tariff.count = TARIFF_ROWS_MAX;
    assert_int_equal(tariff_seal(&tariff), 0);
    tariff.count = TARIFF_ROWS_MAX + 1;
    assert_int_equal(tariff_seal(&tariff), -ERR_INVALID);
    price.pico[USAGE_input] = 123456789;
    buf_init(&out, 8);
    json_writer_init(&writer, &out);
    json_open_object(&writer);
    assert_int_equal(tariff_put(&writer, &price), -ERR_TOO_LARGE);
    buf_fini(&out);
}

static void
test_pick(void **state)
{
    (void)state;
    struct tariff_row rows[] = {
        row(2000, SERVICE_standard, 0, 30),   row(0, SERVICE_standard, 200, 20),
        row(0, SERVICE_standard, 0, 10),      row(0, SERVICE_flex, 0, 5),
        row(0, SERVICE_standard, 500, 25),    row(0, SERVICE_priority, 0, 17),
        row(2000, SERVICE_standard, 200, 60),
    };
    struct tariff tariff = {.rows = rows, .count = ARRAY_LEN(rows)};
    assert_int_equal(tariff_seal(&tariff), 0);
    static const struct {
        int64_t at_s;
        uint64_t input;
        uint64_t cached;
        enum usage_service service;
        int64_t want;
    } cases[] = {
        {0, 1, 0, SERVICE_standard, 10},
        {1999, 200, 0, SERVICE_standard, 10}, /* not over */
        {1999, 201, 0, SERVICE_standard, 20},
        {1999, 100, 101, SERVICE_standard, 20}, /* cached tokens are part of the prompt */
        {1999, 501, 0, SERVICE_standard, 25},
        {1999, 1, 0, SERVICE_flex, 5},
        {1999, 1, 0, SERVICE_priority, 17},
        {1999, 1, 0, SERVICE_batch, 10}, /* no price of its own */
        {2000, 1, 0, SERVICE_standard, 30},
        {2000, 1, 0, SERVICE_flex, 30}, /* the date replaces everything */
        {9999, 201, 0, SERVICE_standard, 60},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct usage usage = {.service = cases[i].service};
        usage.count[USAGE_input] = cases[i].input;
        usage.count[USAGE_cached] = cases[i].cached;
        const struct tariff_row *got = tariff_pick(&tariff, cases[i].at_s, &usage);
        if (got->price.pico[USAGE_input] != cases[i].want)
            fail_msg("case %zu: %lld", i, (long long)got->price.pico[USAGE_input]);
    }
    struct price worst;
    tariff_worst(&tariff, 1999, 200, &worst);
    assert_int_equal(worst.pico[USAGE_input], 17);
    assert_int_equal(worst.pico[USAGE_output], 85);
    tariff_worst(&tariff, 1999, 201, &worst);
    assert_int_equal(worst.pico[USAGE_input], 20);
    tariff_worst(&tariff, 2000, 1, &worst);
    assert_int_equal(worst.pico[USAGE_input], 30);
}

/* Pieces cost what the dearest row of the newest date that holds asks; tokens stay as they are. */
static void
test_worst_pieces(void **state)
{
    struct tariff_row rows[] = {row(0, SERVICE_standard, 0, 10), row(0, SERVICE_priority, 0, 20),
                                row(2000, SERVICE_standard, 0, 30)};
    static const int64_t images[] = {500, 700, 40};
    static const struct {
        int64_t at_s;
        int64_t want;
    } cases[] = {{1999, 700}, {2000, 40}, {9999, 40}};
    struct tariff tariff = {.rows = rows, .count = ARRAY_LEN(rows)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i].price.pico[USAGE_image] = images[i];
    assert_int_equal(tariff_seal(&tariff), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct price price = {.known = true};
        price.pico[USAGE_input] = 7;
        price.pico[USAGE_page] = 9; /* of an older question */
        tariff_worst_pieces(&tariff, cases[i].at_s, &price);
        assert_int_equal(price.pico[USAGE_image], cases[i].want);
        assert_int_equal(price.pico[USAGE_input], 7);
        assert_int_equal(price.pico[USAGE_page], 0);
    }
}

static void
test_bad_tariffs(void **state)
{
    (void)state;
    struct tariff_row none[1] = {row(0, SERVICE_standard, 0, 1)};
    struct tariff_row late[] = {row(5, SERVICE_standard, 0, 1)};
    struct tariff_row flex[] = {row(0, SERVICE_flex, 0, 1)};
    struct tariff_row twice[] = {row(0, SERVICE_standard, 0, 1), row(0, SERVICE_standard, 7, 1),
                                 row(0, SERVICE_standard, 7, 2)};
    struct tariff_row hole[] = {row(0, SERVICE_standard, 0, 1), row(9, SERVICE_standard, 7, 1)};
    struct tariff tariffs[] = {{.rows = none, .count = 0},
                               {.rows = late, .count = 1},
                               {.rows = flex, .count = 1},
                               {.rows = twice, .count = 3},
                               {.rows = hole, .count = 2}};
    for (size_t i = 0; i < ARRAY_LEN(tariffs); i++)
        assert_int_equal(tariff_seal(&tariffs[i]), -ERR_INVALID);
}

static uint64_t state_of_test;
static uint64_t
below(uint64_t limit)
{
    state_of_test = state_of_test * 6364136223846793005u + 1442695040888963407u;
    return (state_of_test >> 33) % limit;
}

/* What a person would do: of the rows that fit, the one with the latest date; of these the call's
 * own service, if it has one; of these the longest. */
static const struct tariff_row *
naive(const struct tariff *tariff, int64_t at_s, const struct usage *usage)
{
    const struct tariff_row *best = NULL;
    for (uint32_t i = 0; i < tariff->count; i++) {
        const struct tariff_row *r = &tariff->rows[i];
        uint64_t prompt = usage->count[USAGE_input] + usage->count[USAGE_cached];
        bool fits = r->from_s <= at_s &&
                    (r->service == SERVICE_standard || r->service == usage->service) &&
                    (r->over_tokens == 0 || prompt > r->over_tokens);
        if (!fits)
            continue;
        if (best == NULL || r->from_s > best->from_s ||
            (r->from_s == best->from_s && r->service > best->service) ||
            (r->from_s == best->from_s && r->service == best->service &&
             r->over_tokens > best->over_tokens))
            best = r;
    }
    return best;
}

static uint32_t
random_rows(struct tariff_row *rows)
{
    uint32_t count = 0;
    for (int64_t date = 0; date <= 2000; date += 1000) {
        if (date > 0 && below(2) == 0)
            continue;
        for (int service = 0; service < SERVICE_COUNT; service++) {
            for (uint64_t over = 0; over <= 300; over += 100) {
                if ((service > 0 || over > 0) && below(3) != 0)
                    continue;
                rows[count++] =
                    row(date, (enum usage_service)service, over, (int64_t)(1 + below(100)));
            }
        }
    }
    for (uint32_t i = 1; i < count; i++) { /* any order */
        struct tariff_row keep = rows[i];
        uint32_t other = (uint32_t)below(i + 1);
        rows[i] = rows[other];
        rows[other] = keep;
    }
    return count;
}

static void
test_random(void **state)
{
    (void)state;
    const char *given = getenv("BERTH_SEED");
    uint64_t seed = rand_u64();
    if (given != NULL)
        assert_int_equal(num_u64(str_from(given), UINT64_MAX, &seed), 0);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    state_of_test = seed;
    for (unsigned round = 0; round < 20000; round++) {
        struct tariff_row rows[TARIFF_ROWS_MAX];
        struct tariff tariff = {.rows = rows, .count = random_rows(rows)};
        assert_int_equal(tariff_seal(&tariff), 0);
        struct usage usage = {.service = (enum usage_service)below(SERVICE_COUNT)};
        usage.count[USAGE_input] = below(400);
        usage.count[USAGE_cached] = below(3) == 0 ? below(200) : 0;
        int64_t at_s = (int64_t)below(3000);
        const struct tariff_row *got = tariff_pick(&tariff, at_s, &usage);
        assert_ptr_equal(got, naive(&tariff, at_s, &usage));
        struct price worst;
        uint64_t prompt = usage.count[USAGE_input] + usage.count[USAGE_cached];
        tariff_worst(&tariff, at_s, prompt + below(100), &worst);
        assert_true(worst.pico[USAGE_input] >= got->price.pico[USAGE_input]);
        assert_true(worst.pico[USAGE_input] >= got->price.pico[USAGE_cached]);
        assert_true(worst.pico[USAGE_output] >= got->price.pico[USAGE_output]);
    }
}

/* Not a benchmark: only that choosing and charging stay far from a microsecond. Printed. */
static void
test_cost_of_a_choice(void **state)
{
    (void)state;
    struct tariff_row rows[TARIFF_ROWS_MAX];
    state_of_test = 7;
    struct tariff many = {.rows = rows, .count = random_rows(rows)};
    struct tariff_row one_row[] = {row(0, SERVICE_standard, 0, 150000)};
    struct tariff one = {.rows = one_row, .count = 1};
    assert_int_equal(tariff_seal(&many), 0);
    assert_int_equal(tariff_seal(&one), 0);
    const struct tariff *tariffs[] = {&one, &many};
    for (size_t i = 0; i < ARRAY_LEN(tariffs); i++) {
        const unsigned rounds = 200000;
        int64_t sum = 0;
        uint64_t began = clock_mono_ns();
        for (unsigned n = 0; n < rounds; n++) {
            struct usage usage = {.count = {n & 511, 3, 0, 0, 7, 0, 0, 0, 1}};
            struct charge charge = {{0}, {0}, {0}};
            (void)!price_charge(&tariff_pick(tariffs[i], 1500, &usage)->price, &usage, 500,
                                &charge);
            sum += charge.total.nano;
        }
        uint64_t spent = clock_mono_ns() - began;
        (void)printf("%u rows: %llu ns a charge (sum %lld)\n", tariffs[i]->count,
                     (unsigned long long)(spent / rounds), (long long)sum);
        assert_true(spent / rounds < 20000);
    }
}

static void
test_names(void **state)
{
    (void)state;
    assert_int_equal(usage_service_find(STR("flex")), SERVICE_flex);
    assert_int_equal(usage_service_find(STR("priority")), SERVICE_priority);
    assert_int_equal(usage_service_find(STR("on_demand")), SERVICE_standard);
    assert_int_equal(usage_service_find(STR("")), SERVICE_standard);
    assert_string_equal(usage_service_name(SERVICE_batch), "batch");
    for (int i = 0; i < USAGE_CLASS_COUNT; i++) /* so that one walk settles them all */
        assert_true((int)usage_falls_to((enum usage_class)i) <= i);
    assert_int_equal(usage_falls_to(USAGE_cache_write_1h), USAGE_cache_write);
    assert_string_equal(usage_price_field(USAGE_cache_write), "cache_write_5m");
}

/* The vendor's list as dall-e-3 and gpt-image-1 have it. */
static void
test_image(void **state)
{
    (void)state;
    static const struct tariff_picture dall[] = {{STR("standard"), STR("1024x1024"), 40},
                                                 {STR("standard"), STR("1792x1024"), 80},
                                                 {STR("hd"), STR("1024x1024"), 81},
                                                 {STR("hd"), STR("1792x1024"), 120}};
    static const struct tariff_picture gpt[] = {{STR("low"), STR("1024x1024"), 11},
                                                {STR("high"), STR("1024x1024"), 167},
                                                {STR("high"), STR("1536x1024"), 250}};
    static const struct {
        bool dall;
        const char *quality;
        const char *size;
        int64_t want;
    } cases[] = {
        {true, "hd", "1792x1024", 120},
        {true, "", "", 40}, /* what the vendor takes then */
        {true, "hd", "", 81},
        {true, "", "1792x1024", 80},
        {true, "hd", "7x7", 120}, /* the vendor will refuse it; whatever he asks is held */
        {false, "low", "1024x1024", 11},
        {false, "auto", "auto", 250},
        {false, "", "1024x1024", 167},
        {false, "low", "auto", 11},
    };
    const struct tariff tariffs[] = {{.pictures = gpt, .picture_count = ARRAY_LEN(gpt)},
                                     {.pictures = dall, .picture_count = ARRAY_LEN(dall)}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got = tariff_image(&tariffs[cases[i].dall ? 1 : 0], str_from(cases[i].quality),
                                   str_from(cases[i].size));
        if (got != cases[i].want)
            fail_msg("%s %s: %lld", cases[i].quality, cases[i].size, (long long)got);
    }
    assert_int_equal(tariff_image(&(struct tariff){.count = 0}, STR_EMPTY, STR_EMPTY), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_much), cmocka_unit_test(test_pick),
        cmocka_unit_test(test_image),    cmocka_unit_test(test_bad_tariffs),
        cmocka_unit_test(test_random),   cmocka_unit_test(test_cost_of_a_choice),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_worst_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
