/* SPDX-License-Identifier: MIT
 * model_price_test.c - which of three prices a model has: its owner's, the catalogue's, or that of
 *            its provider's own list; and none where there is doubt.
 * Floor: controlplane/snapshot tests.
 * Owns: malloc, for this program.
 * Invariant: see model_price.h. */
#include "controlplane/snapshot/model_price.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/alloc_test_rig.h"

static bool can_fail_malloc;

/* Whether the nth allocation was made, and failed. */
static bool
price_of(const char *name, const char *yaml, unsigned nth, struct tariff_row *rows,
         struct tariff *ret_tariff)
{
    struct arena arena;
    struct tree *list = NULL;
    struct err err = {0};
    arena_init(&arena, 1u << 20);
    if (tree_from_yaml(str_from(yaml), &arena, &list, &err) != 0)
        fail_msg("%s", err.text);
    const struct object object = {.name = str_from(name), .generation = 7, .spec = list->first};
    alloc_rig_arm(nth, false);
    model_price(&object, rows, ret_tariff);
    bool happened = alloc_rig.happened;
    alloc_rig_arm(0, false);
    arena_fini(&arena);
    return happened;
}

static void
test_owner(void **state)
{
    static const struct {
        const char *name;
        const char *yaml;
        uint32_t count; /* rows; 0: nobody is served for money */
        int64_t input;
    } rows[] = {
        {"openai/gpt-4o-mini", "price: {input: '1', output: '2'}\n", 1, 1000000},
        {"own/with-tier", "price: {input: '1'}\npriceOver: {tokens: '9', input: '2'}\n", 2,
         1000000},
        {"own/every-service",
         "price: {input: '1'}\npriceFlex: {input: '2'}\npricePriority: {input: '3'}\n"
         "priceBatch: {input: '4'}\npriceOver: {tokens: '9', input: '5'}\n",
         8, 1000000},
        {"own/tier-of-no-length", "price: {input: '1'}\npriceOver: {input: '2'}\n", 0, 0},
        {"own/length-of-no-price", "price: {input: '1'}\npriceOver: {tokens: '9'}\n", 0, 0},
        {"nobody/knows-it", "free: 'no'\n", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tariff_row made[TARIFF_ROWS_MAX];
        struct tariff tariff;
        (void)price_of(rows[i].name, rows[i].yaml, 0, made, &tariff);
        if (tariff.count != rows[i].count)
            fail_msg("%s: %u rows", rows[i].name, tariff.count);
        if (tariff.count == 0)
            continue;
        assert_int_equal(made[0].price.pico[USAGE_input], rows[i].input);
        assert_int_equal(made[0].price.version, 7);
    }
}

/* Without memory the catalogue's price is not known: never half of it. */
static void
test_catalogue(void **state)
{
    struct tariff_row made[TARIFF_ROWS_MAX];
    struct tariff whole;
    struct tariff tariff;
    unsigned unknown = 0;
    (void)state;
    (void)price_of("openai/gpt-5", "free: 'no'\n", 0, made, &whole);
    assert_true(whole.count >= 2); /* its flex price, too */
    if (!can_fail_malloc)
        skip();
    for (unsigned nth = 1; nth < 20; nth++) {
        bool happened = price_of("openai/gpt-5", "free: 'no'\n", nth, made, &tariff);
        assert_int_equal(tariff.count, happened ? 0 : whole.count);
        unknown += tariff.count == 0;
    }
    assert_in_range(unknown, 1, 18);
}

/* The provider's own list is believed where it is exact and says something else. */
static void
test_listed(void **state)
{
    static const struct {
        const char *prompt;
        const char *completion;
        const char *cached;
        bool known;      /* before: 1 and 2 dollars a million, of version 5 */
        int64_t want[3]; /* input, output, cached; of a million: micro-dollars are pico-dollars */
        uint32_t version;
    } rows[] = {
        {"0.000001", "0.000002", "", true, {1000000, 2000000, 1000000}, 5}, /* the same */
        {"0.000003", "0.000002", "", true, {3000000, 2000000, 3000000}, 20260901},
        {"0.000001", "0.000004", "0.0000005", true, {1000000, 4000000, 500000}, 20260901},
        {"0.000001", "0.000002", "", false, {1000000, 2000000, 1000000}, 20260901},
        {"", "0.000004", "", true, {1000000, 2000000, 1000000}, 5},
        {"0.000003", "-1", "", true, {1000000, 2000000, 1000000}, 5},
        {"0.0000000000001", "0.000004", "", true, {1000000, 2000000, 1000000}, 5}, /* not exact */
        {"", "", "", false, {0, 0, 0}, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tariff_row made[TARIFF_ROWS_MAX] = {{.price = {.known = true, .version = 5}}};
        struct tariff tariff = {.rows = made, .count = rows[i].known ? 1 : 0};
        made[0].price.pico[USAGE_input] = 1000000;
        made[0].price.pico[USAGE_output] = 2000000;
        made[0].price.pico[USAGE_cached] = 1000000;
        const struct seen_model live = {.as = {.prompt = str_from(rows[i].prompt),
                                               .completion = str_from(rows[i].completion),
                                               .cached = str_from(rows[i].cached)},
                                        .priced_ms = 1788220800999};
        model_price_listed(&live, made, &tariff);
        if (tariff.count != (rows[i].version != 0 ? 1u : 0u))
            fail_msg("row %zu: %u rows", i, tariff.count);
        if (tariff.count == 0)
            continue;
        const int64_t *pico = made[0].price.pico;
        if (pico[USAGE_input] != rows[i].want[0] || pico[USAGE_output] != rows[i].want[1] ||
            pico[USAGE_cached] != rows[i].want[2] || made[0].price.version != rows[i].version)
            fail_msg("row %zu: %lld %lld %lld of %u", i, (long long)pico[USAGE_input],
                     (long long)pico[USAGE_output], (long long)pico[USAGE_cached],
                     made[0].price.version);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_owner),
                                       cmocka_unit_test(test_catalogue),
                                       cmocka_unit_test(test_listed)};
    can_fail_malloc = alloc_rig_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
