/* SPDX-License-Identifier: MIT
 * schema_test.c - what people write, and what they are told about it.
 * Floor: controlplane/object tests.
 * Owns: nothing.
 * Invariant: see schema.h. */
#include "controlplane/object/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD(kind) "apiVersion: berth.dev/v1alpha1\nkind: " kind "\nmetadata: {name: x}\n"

struct row {
    const char *yaml;
    const char *want; /* JSON of the checked spec */
    const char *want_err;
};

static void
run(const struct row *row)
{
    struct arena arena;
    struct tree *list = NULL;
    struct manifest manifest;
    struct err err = {0};
    arena_init(&arena, 1u << 20);
    assert_int_equal(tree_from_yaml(str_from(row->yaml), &arena, &list, &err), 0);
    int code = schema_check(list->first, &arena, &manifest, &err);
    if (row->want_err) {
        if (code == 0 || !strstr(err.text, row->want_err))
            print_error("%s\n-> %d %s\n", row->yaml, code, err.text);
        assert_true(code < 0);
        assert_non_null(strstr(err.text, row->want_err));
    } else {
        struct buf out;
        if (code < 0)
            print_error("%s\n-> %s\n", row->yaml, err.text);
        assert_int_equal(code, 0);
        buf_init(&out, 65536);
        assert_int_equal(tree_to_json(manifest.spec, false, &out), 0);
        assert_string_equal(buf_cstr(&out), row->want);
        buf_fini(&out);
    }
    arena_fini(&arena);
}

static void
test_accepts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {HEAD("Container"), "{\"ai\":true,\"wallet\":\"default\"}", NULL},
        {HEAD("Container") "spec: {wallet: team, ai: false}\n",
         "{\"ai\":false,\"wallet\":\"team\"}", NULL},
        {HEAD("Wallet") "spec:\n", "{\"frozen\":false}", NULL},
        {HEAD("Wallet") "spec: {cap: {from: b, amount: 5000000, per: day}}\n",
         "{\"frozen\":false,\"cap\":{\"from\":\"b\",\"amount\":\"5000000\",\"per\":\"day\"}}",
         NULL},
        {HEAD("Wallet") "spec: {cap: {from: b, amount: '5.001', per: day}}\n", NULL,
         "cap.amount must be dollars"},
        {HEAD("Wallet") "spec: {cap: {from: b, amount: '-5', per: day}}\n", NULL, "no sign"},
        {HEAD("Wallet") "spec: {cap: {from: b, amount: '5', per: week}}\n", NULL, "hour"},
        {HEAD("Wallet") "spec: {cap: {from: b, amount: '5'}}\n", NULL,
         "cap needs from, amount and per"},
        {HEAD("Wallet") "spec: {cap: {from: x, amount: '5', per: day}}\n", NULL,
         "cap.from must be another wallet"},
        {HEAD("Route") "spec: {targets: [openai/gpt-4o-mini, 'a/b:c']}\n",
         "{\"targets\":[\"openai/gpt-4o-mini\",\"a/b:c\"]}", NULL},
        {HEAD("Provider") "spec: {baseUrl: 'http://h:1/v1', dialect: openai, key: {env: A}}\n",
         "{\"dialect\":\"openai\",\"baseUrl\":\"http://h:1/v1\",\"key\":{\"env\":\"A\"},"
         "\"protocol\":\"auto\",\"disabled\":false}",
         NULL},
        {HEAD("Provider") "spec: {baseUrl: 'http://h/', dialect: openai, key: {value: s3cret}}\n",
         "{\"dialect\":\"openai\",\"baseUrl\":\"http://h/\",\"key\":{\"value\":\"********\"},"
         "\"protocol\":\"auto\",\"disabled\":false}",
         NULL},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: 0.15, output: '0.6'}}\n",
         "{\"provider\":\"p\",\"upstream\":\"u\",\"kind\":\"chat\","
         "\"price\":{\"input\":\"0.15\",\"output\":\"0.6\"}}",
         NULL},
        {HEAD("ApiKey") "status: {whatever: 1}\n", "{\"wallet\":\"default\",\"disabled\":false}",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        run(&rows[i]);
}

static void
test_refuses(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"[]", NULL, "must be a map"},
        {"a: 1", NULL, "unknown key \"a\""},
        {"kind: Model", NULL, "apiVersion is missing"},
        {"apiVersion: v1\nkind: Model", NULL, "line 1, column 1: apiVersion must be"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Modle", NULL, "the nearest is \"Model\""},
        {"apiVersion: berth.dev/v1alpha1\nkind: Model\n", NULL, "metadata"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {}\n", NULL, "metadata.name"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: 17}\n", NULL, "quote it"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: a b}\n", NULL, "letters"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: ../x}\n", NULL, "letters"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Container\nmetadata: {name: a.b}\n", NULL,
         "letters"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: a//b}\n", NULL, "letters"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: a, labels: {}}\n", NULL,
         "unknown key \"labels\" in metadata"},
        {"apiVersion: berth.dev/v1alpha1\nkind: Route\nmetadata: {name: x}\nspec:\n  targets: [a]\n"
         "  modle: b\n",
         NULL, "line 6, column 3: unknown key \"modle\" in spec of Route"},
        {HEAD("Model") "spec: {provider: p, upsteam: u}\n", NULL, "did you mean \"upstream\"?"},
        {HEAD("Model") "spec: {provider: p}\n", NULL, "upstream is missing in spec of Model"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: 3}\n", NULL, "price must be a map"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {inptu: 1}}\n", NULL,
         "unknown key \"inptu\" in spec.price of Model; did you mean \"input\"?"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: 1}}\n", NULL,
         "price.output is missing"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: 1, output: 1}, "
                       "priceOver: {input: 2}}\n",
         NULL, "priceOver needs tokens"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: 1, output: 1}, "
                       "priceOver: {tokens: 2}}\n",
         NULL, "priceOver needs tokens"},
        {HEAD("Model") "spec: {provider: p, upstream: u, priceFlex: {input: 2}}\n", NULL,
         "priceFlex needs a price"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: -1, output: 1}}\n", NULL,
         "price.input must be dollars"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: 1e3, output: 1}}\n", NULL,
         "price.input must be dollars"},
        {HEAD("Model") "spec: {provider: p, upstream: u, price: {input: 0.1234567, output: 1}}\n",
         NULL, "at most 6 decimals"},
        {HEAD("Model") "spec: {provider: p, upstream: u, context: 1.5}\n", NULL, "whole number"},
        {HEAD("Model") "spec: {provider: p, upstream: u, context: -1}\n", NULL, "whole number"},
        {HEAD("Model") "spec: {provider: p, upstream: 7}\n", NULL,
         "upstream must be a string; quote"},
        {HEAD("Container") "spec: {ai: 'yes'}\n", NULL, "ai must be true or false"},
        {HEAD("Container") "spec: []\n", NULL, "spec must be a map"},
        {HEAD("Route") "spec: {targets: []}\n", NULL, "1 to 8 entries"},
        {HEAD("Route") "spec: {targets: a}\n", NULL, "must be a list"},
        {HEAD("Route") "spec: {targets: [1]}\n", NULL, "must list names"},
        {HEAD("Provider") "spec: {dialect: opneai, baseUrl: 'http://h/'}\n", NULL,
         "did you mean \"openai\"?"},
        {HEAD("Provider") "spec: {dialect: openai, baseUrl: 'ftp://h/'}\n", NULL,
         "no http or https"},
        {HEAD("Provider") "spec: {dialect: openai, baseUrl: 'http://u:p@h/'}\n", NULL,
         "no http or https"},
        {HEAD(
             "Provider") "spec: {dialect: openai, baseUrl: 'http://h/', key: {env: A, file: /k}}\n",
         NULL, "one of env, file and value"},
        {HEAD("Provider") "spec: {dialect: openai, baseUrl: 'http://h/', key: {file: kk}}\n", NULL,
         "absolute path"},
        {HEAD(
             "Provider") "spec: {dialect: openai, baseUrl: 'http://h/', key: {value: \"a\\nb\"}}\n",
         NULL, "control character"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        run(&rows[i]);
}

/* No secret may stand in the text of an error. */
static void
test_secret_stays_out_of_errors(void **state)
{
    (void)state;
    struct arena arena;
    struct tree *list = NULL;
    struct manifest manifest;
    struct err err = {0};
    arena_init(&arena, 1u << 20);
    struct str yaml = STR(HEAD("Provider") "spec: {dialect: x, baseUrl: 'http://h/', "
                                           "key: {value: \"topsecret\\u0001\"}}\n");
    assert_int_equal(tree_from_yaml(yaml, &arena, &list, &err), 0);
    assert_true(schema_check(list->first, &arena, &manifest, &err) < 0);
    assert_null(strstr(err.text, "topsecret"));
    arena_fini(&arena);
}

static void
test_pico(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned decimals;
        int code;
        int64_t want;
    } rows[] = {
        {"0", 6, 0, 0},
        {"0.15", 6, 0, 150000},
        {"15", 6, 0, 15000000},
        {"0.000001", 6, 0, 1},
        {"1000000000", 6, 0, 1000000000000000},
        {"1000000000.000001", 6, -ERR_RANGE, 0},
        {"99999999999999999999", 6, -ERR_RANGE, 0},
        {"0.0000001", 6, -ERR_RANGE, 0},
        {"0.15", 12, 0, 150000000000},
        {"00.1", 6, -ERR_PARSE, 0},
        {"01", 6, -ERR_PARSE, 0},
        {"1.", 6, -ERR_PARSE, 0},
        {".5", 6, -ERR_PARSE, 0},
        {"", 6, -ERR_PARSE, 0},
        {"+1", 6, -ERR_PARSE, 0},
        {"-1", 6, -ERR_PARSE, 0},
        {"1e2", 6, -ERR_PARSE, 0},
        {" 1", 6, -ERR_PARSE, 0},
        {"1_0", 6, -ERR_PARSE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t pico = 77;
        assert_int_equal(schema_pico(str_from(rows[i].text), rows[i].decimals, &pico),
                         rows[i].code);
        assert_true(pico == (rows[i].code ? 77 : rows[i].want));
    }
}

static void
test_every_field_has_a_kind_and_words(void **state)
{
    (void)state;
    size_t count;
    const struct field *fields = schema_fields(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(fields[i].kind < KIND_COUNT);
        assert_true(strlen(fields[i].doc) >= 8);
        assert_true(!fields[i].required || !fields[i].fallback);
        assert_true((fields[i].type == FIELD_ENUM) == (fields[i].choices != NULL));
    }
}

/* What ships as an example must be accepted. */
static void
test_examples(void **state)
{
    (void)state;
    static const char *const files[] = {
        "manifests/examples/providers.yaml", "manifests/examples/models.yaml",
        "manifests/examples/routes.yaml", "manifests/examples/wallets-and-keys.yaml",
        "manifests/examples/containers.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        static char text[65536];
        struct arena arena;
        struct tree *list = NULL;
        struct err err = {0};
        FILE *file = fopen(files[i], "re");
        assert_non_null(file);
        size_t count = fread(text, 1, sizeof text, file);
        assert_int_equal(fclose(file), 0);
        arena_init(&arena, 1u << 20);
        assert_int_equal(tree_from_yaml(str_make(text, count), &arena, &list, &err), 0);
        assert_true(list->count > 0);
        for (const struct tree *doc = list->first; doc; doc = doc->next) {
            struct manifest manifest;
            if (schema_check(doc, &arena, &manifest, &err) < 0)
                fail_msg("%s: %s", files[i], err.text);
        }
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_secret_stays_out_of_errors),
        cmocka_unit_test(test_pico),
        cmocka_unit_test(test_every_field_has_a_kind_and_words),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
