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
    while (catalog_next(STR_EMPTY, &cursor, &model) == 0) {
        assert_true(str_cmp(before, model.id) < 0);
        assert_int_equal(catalog_find(model.id, &again), 0);
        assert_true(str_eq(model.id, again.id));
        assert_memory_equal(&model.price, &again.price, sizeof model.price);
        assert_true(model.upstream.len > 0 && model.kind.len > 0);
        for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
            assert_true(model.price.pico[i] >= 0);
        before = model.id;
        known += model.price.known ? 1 : 0;
        count++;
    }
    assert_int_equal(count, 2991);
    assert_true(known > 2300);
}

static void
test_prices(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        enum usage_class class_;
        int64_t want;
    } rows[] = {
        {"openai/gpt-4o-mini", USAGE_input, 150000},
        {"openai/gpt-4o-mini", USAGE_cached, 75000},
        {"openai/gpt-4o-mini", USAGE_output, 600000},
        {"openai/gpt-4o-mini", USAGE_reasoning, 600000},   /* as output */
        {"openai/gpt-4o-mini", USAGE_cache_write, 150000}, /* as input */
        {"deepseek/deepseek-chat", USAGE_cached, 2800},    /* pico field */
        {"ai21/j2-light", USAGE_cached, 3000000},          /* as input */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct catalog_model model;
        assert_int_equal(catalog_find(str_from(rows[i].id), &model), 0);
        assert_true(model.price.known);
        assert_true(model.price.pico[rows[i].class_] == rows[i].want);
        assert_int_equal(model.price.version, catalog_version());
    }
    struct catalog_model model;
    assert_int_equal(catalog_find(STR("github/openai/gpt-4o-mini"), &model), 0);
    assert_false(model.price.known);
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
test_price_text(void **state)
{
    (void)state;
    struct catalog_model model;
    struct buf out;
    assert_int_equal(catalog_find(STR("openai/gpt-4o-mini"), &model), 0);
    buf_init(&out, 4096);
    assert_int_equal(catalog_price_put(&model.price, &out), 0);
    assert_string_equal(buf_cstr(&out), "{\"version\":20260821,\"input\":\"150000\","
                                        "\"cached\":\"75000\",\"output\":\"600000\"}");
    buf_fini(&out);
    /* a free cache read is no missing one */
    model.price.pico[USAGE_cached] = 0;
    buf_init(&out, 4096);
    assert_int_equal(catalog_price_put(&model.price, &out), 0);
    assert_non_null(strstr(buf_cstr(&out), "\"cached\":\"0\""));
    buf_fini(&out);
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
    assert_int_equal(count, 46);
    for (size_t i = 0; i < count; i++) {
        assert_true(providers[i].id.len > 0 && providers[i].dialect.len > 0);
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
        cmocka_unit_test(test_walk),       cmocka_unit_test(test_prices),
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_models_of_a_provider),
        cmocka_unit_test(test_price_text), cmocka_unit_test(test_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
