/* SPDX-License-Identifier: MIT
 * catalog_test.c - the whole catalogue is readable, and known prices are exact.
 * Floor: controlplane/catalog tests.
 * Owns: nothing.
 * Invariant: see catalog.h. */
#include "controlplane/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_walk(void **state)
{
    (void)state;
    struct catalog_model model;
    struct catalog_model again;
    struct str before = STR_EMPTY;
    size_t cursor = 0;
    size_t count = 0;
    size_t known = 0;
    size_t more = 0;
    while (catalog_next(STR_EMPTY, &cursor, &model) == 0) {
        assert_true(str_cmp(before, model.id) < 0);
        assert_int_equal(catalog_find(model.id, &again), 0);
        assert_true(str_eq(model.id, again.id));
        assert_true(str_eq(model.pricing, again.pricing));
        assert_true(model.upstream.len > 0 && model.kind.len > 0);
        before = model.id;
        struct tariff_row rows[TARIFF_ROWS_MAX];
        struct tariff tariff;
        if (catalog_tariff(model.pricing, rows, &tariff) != 0)
            fail_msg("%.*s", STR_ARG(model.id));
        for (uint32_t row = 0; row < tariff.count; row++) {
            for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
                assert_in_range(rows[row].price.pico[i], 0, PRICE_PICO_MAX);
        }
        known += tariff.count > 0 ? 1 : 0;
        more += tariff.count > 1 ? 1 : 0;
        count++;
    }
    assert_int_equal(count, 2990);
    assert_true(known > 2500);
    assert_true(more > 400); /* with tiers, services or changes */
}

/* Prices of a call made at at_s, served so, with so many prompt tokens; against the catalogue's own
 * numbers, combined by hand. */
static void
test_prices(void **state)
{
    (void)state;
    enum { JULY_2026 = 1783000000, AUGUST_31 = 1788220799, SEPTEMBER_1 = 1788220800 };
    static const struct {
        const char *id;
        int64_t at_s;
        uint64_t prompt;
        enum usage_service service;
        enum usage_class class_;
        int64_t want;
    } cases[] = {
        {"openai/gpt-4o-mini", JULY_2026, 1, SERVICE_standard, USAGE_input, 150000},
        {"openai/gpt-4o-mini", JULY_2026, 1, SERVICE_standard, USAGE_cached, 75000},
        {"openai/gpt-4o-mini", JULY_2026, 1, SERVICE_standard, USAGE_output, 600000},
        {"openai/gpt-4o-mini", JULY_2026, 1, SERVICE_standard, USAGE_reasoning, 600000},
        {"openai/gpt-4o-mini", JULY_2026, 1, SERVICE_standard, USAGE_cache_write, 150000},
        {"deepseek/deepseek-chat", JULY_2026, 1, SERVICE_standard, USAGE_cached, 2800}, /* pico */
        {"ai21/j2-light", JULY_2026, 1, SERVICE_standard, USAGE_cached, 3000000},
        /* a dated change, and what hangs on it in proportion */
        {"anthropic/claude-sonnet-5", AUGUST_31, 1, SERVICE_standard, USAGE_input, 2000000},
        {"anthropic/claude-sonnet-5", SEPTEMBER_1, 1, SERVICE_standard, USAGE_input, 3000000},
        {"anthropic/claude-sonnet-5", SEPTEMBER_1, 1, SERVICE_standard, USAGE_cache_write_1h,
         6000000},
        {"anthropic/claude-sonnet-5", AUGUST_31, 1, SERVICE_batch, USAGE_input, 1000000},
        {"anthropic/claude-sonnet-5", SEPTEMBER_1, 1, SERVICE_batch, USAGE_input, 1500000},
        {"anthropic/claude-sonnet-5", SEPTEMBER_1, 1, SERVICE_standard, USAGE_web_search,
         10000000000},
        /* long prompts */
        {"anthropic/claude-sonnet-4.5", JULY_2026, 200000, SERVICE_standard, USAGE_input, 3000000},
        {"anthropic/claude-sonnet-4.5", JULY_2026, 200001, SERVICE_standard, USAGE_input, 6000000},
        {"anthropic/claude-sonnet-4.5", JULY_2026, 200001, SERVICE_standard, USAGE_output,
         22500000},
        {"anthropic/claude-sonnet-4.5", JULY_2026, 200001, SERVICE_batch, USAGE_output, 11250000},
        /* services */
        {"openai/gpt-5", JULY_2026, 1, SERVICE_flex, USAGE_input, 625000},
        {"openai/gpt-5", JULY_2026, 1, SERVICE_flex, USAGE_cached, 62500},
        {"openai/gpt-5", JULY_2026, 1, SERVICE_priority, USAGE_input, 2500000},
        {"openai/gpt-5", JULY_2026, 1, SERVICE_priority, USAGE_output, 20000000},
        /* other units */
        {"openai/whisper-1", JULY_2026, 1, SERVICE_standard, USAGE_second_in, 100000000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog_model model;
        struct tariff_row rows[TARIFF_ROWS_MAX];
        struct tariff tariff;
        assert_int_equal(catalog_find(str_from(cases[i].id), &model), 0);
        assert_int_equal(catalog_tariff(model.pricing, rows, &tariff), 0);
        assert_true(tariff.count > 0);
        struct usage usage = {.service = cases[i].service};
        usage.count[USAGE_input] = cases[i].prompt;
        const struct price *price = &tariff_pick(&tariff, cases[i].at_s, &usage)->price;
        if (price->pico[cases[i].class_] != cases[i].want)
            fail_msg("row %zu, %s: %lld", i, cases[i].id, (long long)price->pico[cases[i].class_]);
        assert_int_equal(price->version, catalog_version());
    }
    struct catalog_model model;
    struct tariff_row rows[TARIFF_ROWS_MAX];
    struct tariff tariff;
    assert_int_equal(catalog_find(STR("github/openai/gpt-4o-mini"), &model), 0);
    assert_int_equal(catalog_tariff(model.pricing, rows, &tariff), 0);
    assert_int_equal(tariff.count, 0);
    assert_int_equal(model.context, 128000);
    assert_int_equal(model.max_output, 16384);
    assert_int_equal(catalog_version(), 20260821);
}

static void
test_missing(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "",  "a", "openai/gpt-4o-min", "openai/gpt-4o-mini ", "zzz", "openai", "openai/",
        "}", "~", "OPENAI/GPT-4O-MINI"};
    struct catalog_model model;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_int_equal(catalog_find(str_from(ids[i]), &model), -ERR_NOT_FOUND);
}

/* "azure" must not be handed models of "azure-ai", which sorts between. */
static void
test_models_of_a_provider(void **state)
{
    (void)state;
    static const char *const providers[] = {"azure",     "azure-ai", "openai",
                                            "anthropic", "zai",      "ollama"};
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        struct str provider = str_from(providers[i]);
        struct catalog_model model;
        size_t cursor = 0;
        size_t count = 0;
        size_t want = 0;
        while (catalog_next(provider, &cursor, &model) == 0) {
            assert_true(str_eq(model.provider, provider));
            count++;
        }
        cursor = 0;
        while (catalog_next(STR_EMPTY, &cursor, &model) == 0)
            want += str_eq(model.provider, provider) ? 1 : 0;
        assert_true(count > 0);
        assert_int_equal(count, want);
    }
    struct catalog_model model;
    size_t cursor = 0;
    assert_int_equal(catalog_next(STR("nobody"), &cursor, &model), -ERR_NOT_FOUND);
}

static void
check_text(const char *id, const char *want)
{
    struct catalog_model model;
    struct tariff_row rows[TARIFF_ROWS_MAX];
    struct tariff tariff;
    struct buf out;
    assert_int_equal(catalog_find(str_from(id), &model), 0);
    assert_int_equal(catalog_tariff(model.pricing, rows, &tariff), 0);
    buf_init(&out, 65536);
    assert_int_equal(catalog_price_put(&tariff, &out), 0);
    assert_string_equal(buf_cstr(&out), want);
    /* a free cache read is no missing one */
    rows[0].price.pico[USAGE_cached] = 0;
    out.len = 0;
    assert_int_equal(catalog_price_put(&tariff, &out), 0);
    assert_non_null(strstr(buf_cstr(&out), "\"cached\":\"0\""));
    buf_fini(&out);
}

/* Images by quality and size, where the vendor asks for them so. */
static void
test_pictures(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        size_t count;
        const char *quality;
        const char *size;
        int64_t want;
    } cases[] = {
        {"openai/dall-e-3", 6, "hd", "1792x1024", 120000000000},
        {"openai/dall-e-3", 6, "", "", 40000000000},
        {"openai/gpt-image-1", 9, "low", "1024x1024", 11000000000},
        {"bfl/flux-pro", 0, "", "", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog_model model;
        struct tariff_picture pictures[TARIFF_PICTURES_MAX];
        struct tariff tariff = {.pictures = pictures};
        assert_int_equal(catalog_find(str_from(cases[i].id), &model), 0);
        tariff.picture_count = (uint32_t)catalog_pictures(model.pricing, pictures);
        assert_int_equal(tariff.picture_count, cases[i].count);
        assert_int_equal(tariff_image(&tariff, str_from(cases[i].quality), str_from(cases[i].size)),
                         cases[i].want);
    }
}

static void
test_price_text(void **state)
{
    (void)state;
    check_text("ai21/jamba-1.5", "{\"version\":20260821,\"input\":\"200000\",\"output\":"
                                 "\"400000\"}");
    check_text("google/gemini-3.7-flash",
               "{\"version\":20260821,\"input\":\"750000\",\"cached\":\"75000\",\"output\":"
               "\"3750000\",\"rows\":[{\"from\":1798761600,\"input\":\"1500000\",\"cached\":"
               "\"150000\",\"output\":\"7500000\"}]}");
}

/* What is not the catalogue's form is refused; what names no price is no price. */
static void
test_odd_pricing(void **state)
{
    (void)state;
    static const struct {
        const char *pricing;
        int want;
        uint32_t want_count;
    } cases[] = {
        {"", 0, 0},
        {"{}", 0, 0},
        {"{\"input\":-1}", 0, 0},
        {"{\"input\":1.5}", 0, 0},
        {"{\"input\":1,\"status\":\"unknown\"}", 0, 0},
        {"{\"status\":\"free\"}", 0, 1},
        {"{\"per_query\":2}", 0, 1},
        {"{\"per_web_search\":2}", 0, 0},
        {"{\"input\":1,\"tiers\":[{\"over_tokens\":5,\"input\":2}]}", 0, 2},
        {"{\"input\":1,\"tiers\":[{\"over_tokens\":0,\"input\":2}]}", -ERR_INVALID, 0},
        {"{\"input\":1,\"tiers\":[{\"over_tokens\":5},{\"over_tokens\":5}]}", -ERR_INVALID, 0},
        {"{\"input\":1,\"changes\":[{\"from\":\"2026-9-01\"}]}", -ERR_INVALID, 0},
        {"{\"input\":1,\"changes\":[{\"from\":\"2026-13-01\"}]}", -ERR_INVALID, 0},
        {"{\"input\":1,\"changes\":[{\"from\":7}]}", -ERR_INVALID, 0},
        {"{\"input\":1,\"service_tiers\":{\"warp\":{\"input\":1}}}", -ERR_INVALID, 0},
        {"[", -ERR_PARSE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tariff_row rows[TARIFF_ROWS_MAX];
        struct tariff tariff = {.count = 0};
        int rc = catalog_tariff(str_from(cases[i].pricing), rows, &tariff);
        if (rc != cases[i].want || tariff.count != cases[i].want_count)
            fail_msg("%s: %d, %u rows", cases[i].pricing, rc, tariff.count);
    }
}

static void
test_providers(void **state)
{
    (void)state;
    struct arena arena;
    struct catalog_provider *providers;
    size_t count;
    bool openai = false;
    arena_init(&arena, 1u << 20);
    assert_int_equal(catalog_providers(&arena, &providers, &count), 0);
    assert_int_equal(count, 47);
    for (size_t i = 0; i < count; i++) {
        assert_true(providers[i].id.len > 0 && providers[i].dialect.len > 0);
        for (size_t j = 0; j < i; j++)
            assert_false(str_eq(providers[i].id, providers[j].id));
        for (uint32_t env = 0; env < providers[i].env_count; env++) {
            assert_false(str_eq(providers[i].env[env], STR("AWS_REGION")));
            assert_false(str_eq(providers[i].env[env], STR("OPENAI_ORG_ID")));
        }
        if (!str_eq(providers[i].id, STR("openai")))
            continue;
        openai = true;
        assert_int_equal(providers[i].env_count, 1);
        assert_true(str_eq(providers[i].env[0], STR("OPENAI_API_KEY")));
        assert_true(str_eq(providers[i].env_base, STR("OPENAI_BASE_URL")));
    }
    assert_true(openai);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),        cmocka_unit_test(test_prices),
        cmocka_unit_test(test_missing),     cmocka_unit_test(test_models_of_a_provider),
        cmocka_unit_test(test_price_text),  cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_odd_pricing), cmocka_unit_test(test_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
