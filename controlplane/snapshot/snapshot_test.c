/* SPDX-License-Identifier: MIT
 * snapshot_test.c - the config document: right content, stable bytes, no dangling reference.
 * Floor: controlplane/snapshot tests.
 * Owns: nothing.
 * Invariant: see snapshot.h. */
#include "controlplane/snapshot/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/text/json.h"

#define HEAD "apiVersion: berth.dev/v1alpha1\n"

static void
apply(struct store *store, const char *yaml)
{
    struct arena arena;
    struct tree *list = NULL;
    struct err err = {0};
    arena_init(&arena, 4u << 20);
    assert_int_equal(tree_from_yaml(str_from(yaml), &arena, &list, &err), 0);
    for (const struct tree *doc = list->first; doc; doc = doc->next) {
        struct manifest manifest;
        struct object object;
        enum object_change change;
        char key[API_KEY_BYTES + 1];
        if (schema_check(doc, &arena, &manifest, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(object_apply(store, &manifest, "", &arena, &object, &change, key, &err),
                         0);
    }
    arena_fini(&arena);
}

static bool
rebuild(struct snapshot *snapshot, struct store *store)
{
    const struct snapshot_settings settings = SNAPSHOT_SETTINGS_DEFAULT;
    struct err err = {0};
    bool changed = false;
    assert_int_equal(snapshot_rebuild(snapshot, store, &settings, &changed, &err), 0);
    return changed;
}

static struct store *
open_store(void)
{
    struct store *store = NULL;
    struct err err = {0};
    assert_int_equal(store_open("memory:", NULL, &store, &err), 0);
    return store;
}

static void
test_empty(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    snapshot_init(&snapshot);
    assert_true(rebuild(&snapshot, store));
    assert_string_equal(
        buf_cstr(&snapshot.text),
        "{\"version\":1,\"settings\":{\"markup_bps\":500,\"body_bytes_max\":10485760,"
        "\"ttft_timeout_ms\":60000,\"stall_timeout_ms\":30000,\"request_timeout_ms\":600000},"
        "\"providers\":[],\"models\":[],\"routes\":[],\"keys\":[]}");
    assert_true(snapshot.revision > 0);
    snapshot_fini(&snapshot);
    store_close(&store);
}

static const char *const house =
    HEAD "kind: Provider\nmetadata: {name: house}\n"
         "spec: {dialect: openai, baseUrl: 'https://h:1/v1', key: {value: k}, protocol: "
         "http1}\n---\n" HEAD "kind: Model\nmetadata: {name: house/m}\n"
         "spec: {provider: house, upstream: M, context: 10, maxOutput: 5, "
         "price: {input: '0.15', output: 0.6, cached: 0}}\n---\n" HEAD
         "kind: Model\nmetadata: {name: gone/m}\nspec: {provider: gone, upstream: M}\n---\n" HEAD
         "kind: Route\nmetadata: {name: fast}\nspec: {targets: [gone/m, house/m]}\n---\n" HEAD
         "kind: Route\nmetadata: {name: nowhere}\nspec: {targets: [gone/m]}\n---\n" HEAD
         "kind: ApiKey\nmetadata: {name: ci}\n---\n" HEAD
         "kind: ApiKey\nmetadata: {name: off}\nspec: {disabled: true}\n";

static void
test_content(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    snapshot_init(&snapshot);
    apply(store, house);
    assert_true(rebuild(&snapshot, store));
    const char *text = buf_cstr(&snapshot.text);
    assert_non_null(strstr(text, "\"providers\":[{\"name\":\"house\",\"dialect\":\"openai\","
                                 "\"base_url\":\"https://h:1/v1\",\"key\":\"k\","
                                 "\"protocol\":\"http1\",\"ca_file\":null}]"));
    assert_non_null(strstr(text, "\"models\":[{\"id\":\"house/m\",\"provider\":\"house\","
                                 "\"upstream\":\"M\",\"kind\":\"chat\",\"context\":10,"
                                 "\"max_output\":5,\"price\":{\"version\":1,\"input\":\"150000\","
                                 "\"cached\":\"0\",\"output\":\"600000\"}}]"));
    assert_non_null(strstr(text, "\"routes\":[{\"name\":\"fast\",\"targets\":[\"house/m\"]}]"));
    assert_non_null(strstr(text, "\"keys\":[{\"name\":\"ci\",\"hash\":\""));
    assert_null(strstr(text, "\"off\""));
    assert_true(snapshot_offers(&snapshot, STR("house/m")));
    assert_false(snapshot_offers(&snapshot, STR("gone/m")));
    assert_false(snapshot_offers(&snapshot, STR("house/")));
    assert_false(snapshot_offers(&snapshot, STR("fast")));
    uint64_t revision = snapshot.revision;
    assert_false(rebuild(&snapshot, store));
    assert_true(snapshot.revision == revision);
    apply(store, HEAD "kind: Provider\nmetadata: {name: house}\n"
                      "spec: {dialect: openai, baseUrl: 'https://h:1/v1', disabled: true}\n");
    assert_true(rebuild(&snapshot, store));
    assert_true(snapshot.revision > revision);
    assert_non_null(strstr(buf_cstr(&snapshot.text), "\"providers\":[],\"models\":[]"));
    snapshot_fini(&snapshot);
    store_close(&store);
}

/* Catalogue models of a configured provider; a Model object wins; `models` filters. */
static void
test_catalogue(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    struct json_doc doc;
    struct err err = {0};
    snapshot_init(&snapshot);
    json_init(&doc);
    assert_int_equal(setenv("SNAPSHOT_TEST_KEY", "sk-x", 1), 0);
    apply(store,
          HEAD "kind: Provider\nmetadata: {name: openai}\nspec: {dialect: openai, "
               "baseUrl: 'https://api.openai.com/v1', key: {env: SNAPSHOT_TEST_KEY}}\n---\n" HEAD
               "kind: Model\nmetadata: {name: openai/gpt-4o-mini}\n"
               "spec: {provider: openai, upstream: other, price: {input: 1, output: 2}}\n");
    assert_true(rebuild(&snapshot, store));
    assert_int_equal(json_scan(&doc, buf_str(&snapshot.text), NULL, &err), 0);
    uint32_t models = json_get(&doc, 0, STR("models"));
    assert_true(json_count(&doc, models) > 50);
    unsigned minis = 0;
    for (uint32_t node = json_first(&doc, models); node != JSON_NONE;
         node = json_sibling(&doc, models, node)) {
        assert_true(json_string_eq(&doc, json_get(&doc, node, STR("provider")), STR("openai")));
        if (!json_string_eq(&doc, json_get(&doc, node, STR("id")), STR("openai/gpt-4o-mini")))
            continue;
        minis++;
        assert_true(json_string_eq(&doc, json_get(&doc, node, STR("upstream")), STR("other")));
        assert_true(json_string_eq(&doc, json_path(&doc, node, "price.input"), STR("1000000")));
    }
    assert_int_equal(minis, 1);
    json_fini(&doc);
    apply(store, HEAD "kind: Provider\nmetadata: {name: openai}\nspec: {dialect: openai, "
                      "baseUrl: 'https://api.openai.com/v1', key: {env: SNAPSHOT_TEST_KEY}, "
                      "models: [gpt-4o]}\n");
    assert_true(rebuild(&snapshot, store));
    assert_non_null(strstr(buf_cstr(&snapshot.text), "\"id\":\"openai/gpt-4o\","));
    assert_null(strstr(buf_cstr(&snapshot.text), "\"id\":\"openai/gpt-4.1\","));
    /* the key goes: its provider and models go, and the revision moves though no object changed */
    uint64_t revision = snapshot.revision;
    assert_int_equal(unsetenv("SNAPSHOT_TEST_KEY"), 0);
    assert_true(rebuild(&snapshot, store));
    assert_true(snapshot.revision > revision);
    assert_non_null(strstr(buf_cstr(&snapshot.text), "\"providers\":[],\"models\":[]"));
    snapshot_fini(&snapshot);
    store_close(&store);
}

static void
want_price(const char *text, const char *id, const char *want)
{
    char start[128];
    (void)snprintf(start, sizeof start, "{\"id\":\"%s\",", id);
    const char *model = strstr(text, start);
    assert_non_null(model);
    const char *end = strstr(model + 1, "{\"id\":");
    const char *found = strstr(model, want);
    if (!found || (end && found > end))
        fail_msg("%s: no %s in %.400s", id, want, model);
}

/* What an owner names replaces the catalogue's price as a whole; free models; ways to leave. */
static void
test_owner_prices(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    snapshot_init(&snapshot);
    assert_int_equal(setenv("SNAPSHOT_TEST_KEY", "sk-x", 1), 0);
    apply(store, HEAD
          "kind: Provider\nmetadata: {name: openai}\nspec: {dialect: openai, models: [gpt-5], "
          "baseUrl: 'https://api.openai.com/v1', key: {env: SNAPSHOT_TEST_KEY}}\n---\n" HEAD
          "kind: Model\nmetadata: {name: openai/tiered}\nspec: {provider: openai, upstream: t, "
          "price: {input: 1, output: 2, webSearch: 0.01}, pricePriority: {input: 3}, "
          "priceOver: {tokens: 1000, input: 2}}\n---\n" HEAD
          "kind: Model\nmetadata: {name: openai/gpt-4o-mini}\n"
          "spec: {provider: openai, upstream: gpt-4o-mini}\n---\n" HEAD
          "kind: Model\nmetadata: {name: openai/gift}\n"
          "spec: {provider: openai, upstream: g, free: true, freeTools: [x_search]}\n---\n" HEAD
          "kind: Route\nmetadata: {name: r}\nspec: {targets: [openai/gift], onLeave: drain, "
          "stallTimeoutMs: 500}\n");
    assert_true(rebuild(&snapshot, store));
    const char *text = buf_cstr(&snapshot.text);
    /* both of service and length: each in its own proportion */
    want_price(text, "openai/tiered",
               "\"price\":{\"version\":1,\"input\":\"1000000\",\"output\":\"2000000\","
               "\"web_search\":\"10000000000\",\"rows\":["
               "{\"over\":1000,\"input\":\"2000000\",\"output\":\"2000000\","
               "\"web_search\":\"10000000000\"},"
               "{\"service\":\"priority\",\"input\":\"3000000\",\"output\":\"2000000\","
               "\"web_search\":\"10000000000\"},"
               "{\"service\":\"priority\",\"over\":1000,\"input\":\"6000000\","
               "\"output\":\"2000000\",\"web_search\":\"10000000000\"}]}");
    want_price(text, "openai/gpt-4o-mini", "\"price\":{\"version\":20260821,");
    want_price(text, "openai/gpt-5", "{\"service\":\"flex\",\"input\":\"625000\"");
    want_price(text, "openai/gift", "\"free\":true,\"free_tools\":[\"x_search\"]");
    assert_non_null(strstr(text, "{\"name\":\"r\",\"on_leave\":\"drain\","
                                 "\"stall_timeout_ms\":500,\"targets\":[\"openai/gift\"]}"));
    assert_int_equal(unsetenv("SNAPSHOT_TEST_KEY"), 0);
    snapshot_fini(&snapshot);
    store_close(&store);
}

/* Vendors' own names of models work; a bad key costs its provider only. */
static void
test_aliases_and_bad_key(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    snapshot_init(&snapshot);
    assert_int_equal(setenv("SNAPSHOT_TEST_KEY", "sk-x", 1), 0);
    assert_int_equal(setenv("SNAPSHOT_TEST_BAD", "sk-x\n", 1), 0);
    apply(store,
          HEAD "kind: Provider\nmetadata: {name: anthropic}\nspec: {dialect: anthropic, "
               "baseUrl: 'https://api.anthropic.com', key: {env: SNAPSHOT_TEST_KEY}}\n---\n" HEAD
               "kind: Provider\nmetadata: {name: openai}\nspec: {dialect: openai, "
               "baseUrl: 'https://api.openai.com/v1', key: {env: SNAPSHOT_TEST_BAD}}\n");
    assert_true(rebuild(&snapshot, store));
    const char *text = buf_cstr(&snapshot.text);
    static const char *const ids[] = {"anthropic/claude-sonnet-4.5",
                                      "anthropic/claude-sonnet-4-5-20250929",
                                      "anthropic/claude-sonnet-4-5"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char want[256];
        (void)snprintf(want, sizeof want,
                       "{\"id\":\"%s\",\"provider\":\"anthropic\","
                       "\"upstream\":\"claude-sonnet-4-5-20250929\"",
                       ids[i]);
        assert_non_null(strstr(text, want));
    }
    assert_null(strstr(text, "\"openai\""));
    assert_int_equal(unsetenv("SNAPSHOT_TEST_KEY"), 0);
    assert_int_equal(unsetenv("SNAPSHOT_TEST_BAD"), 0);
    snapshot_fini(&snapshot);
    store_close(&store);
}

/* The same state in another process, or in another order of making, has the same bytes. */
static void
test_stable_bytes(void **state)
{
    (void)state;
    char hashes[2][2 * SHA256_BYTES + 1];
    static const char *const parts[] = {
        HEAD
        "kind: Provider\nmetadata: {name: a}\nspec: {dialect: openai, baseUrl: 'https://a/'}\n",
        HEAD
        "kind: Provider\nmetadata: {name: b}\nspec: {dialect: anthropic, baseUrl: 'https://b/'}\n",
        HEAD "kind: Model\nmetadata: {name: b/x}\nspec: {provider: b, upstream: x}\n",
        HEAD "kind: Model\nmetadata: {name: a/y}\nspec: {provider: a, upstream: y}\n"};
    for (unsigned round = 0; round < 2; round++) {
        struct store *store = open_store();
        struct snapshot snapshot;
        snapshot_init(&snapshot);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            apply(store, parts[round ? ARRAY_LEN(parts) - 1 - i : i]);
        assert_true(rebuild(&snapshot, store));
        memcpy(hashes[round], snapshot.hash, sizeof hashes[0]);
        snapshot_fini(&snapshot);
        /* a new process finds the same revision for the same bytes */
        uint64_t revision = store_revision(store);
        snapshot_init(&snapshot);
        assert_true(rebuild(&snapshot, store));
        assert_true(snapshot.revision == revision && store_revision(store) == revision);
        snapshot_fini(&snapshot);
        store_close(&store);
    }
    assert_string_equal(hashes[0], hashes[1]);
}

/* A cap is in the document as "capped"; how much it is nodes hear with their leases. */
static void
test_capped(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    struct scopes scopes;
    struct snapshot_settings settings = SNAPSHOT_SETTINGS_DEFAULT;
    struct err err = {0};
    bool changed = false;
    snapshot_init(&snapshot);
    scopes_init(&scopes);
    settings.scopes = &scopes;
    apply(store, HEAD "kind: Container\nmetadata: {name: free}\n---\n" HEAD
                      "kind: Container\nmetadata: {name: both}\n"
                      "spec: {models: ['*'], cap: {hour: '1.00'}}\n---\n" HEAD
                      "kind: Container\nmetadata: {name: thrifty}\nspec: {cap: {day: '1.50'}}\n"
                      "---\n" HEAD "kind: ApiKey\nmetadata: {name: ci}\nspec: {cap: {day: '2'}}\n");
    assert_int_equal(scopes_load(&scopes, store, &err), 0);
    assert_int_equal(snapshot_rebuild(&snapshot, store, &settings, &changed, &err), 0);
    const char *text = buf_cstr(&snapshot.text);
    assert_non_null(strstr(text, "\"wallet\":\"default\",\"capped\":true}]"));
    assert_non_null(strstr(text,
                           "\"containers\":[{\"name\":\"both\",\"models\":[\"*\"],\"capped\":true},"
                           "{\"name\":\"thrifty\",\"capped\":true}]"));
    assert_null(strstr(text, "1.50"));
    assert_null(strstr(text, "capped_wallets"));
    apply(store,
          HEAD "kind: Wallet\nmetadata: {name: b}\nspec: {containerCap: {day: '7.00'}}\n---\n" HEAD
               "kind: Wallet\nmetadata: {name: a}\nspec: {containerCap: {hour: '0'}}\n---\n" HEAD
               "kind: Wallet\nmetadata: {name: c}\n");
    assert_int_equal(snapshot_rebuild(&snapshot, store, &settings, &changed, &err), 0);
    assert_true(changed);
    assert_non_null(strstr(buf_cstr(&snapshot.text), ",\"capped_wallets\":[\"a\",\"b\"]}"));
    assert_null(strstr(buf_cstr(&snapshot.text), "7.00"));
    /* another amount is no other document */
    struct arena arena;
    struct object object;
    arena_init(&arena, 4u << 20);
    apply(store, HEAD "kind: Container\nmetadata: {name: thrifty}\nspec: {cap: {day: '9.00'}}\n");
    assert_int_equal(
        object_get(store, kind_at(KIND_CONTAINER), STR("thrifty"), &arena, &object, &err), 0);
    assert_int_equal(scopes_set(&scopes, STR("thrifty"), object.spec, &changed), 0);
    assert_false(changed);
    assert_int_equal(scopes_set(&scopes, STR("both"), object.spec, &changed), 0);
    assert_true(changed);
    assert_null(scopes.rows[0].models);
    assert_int_equal(scopes_set(&scopes, STR("both"), NULL, &changed), 0);
    assert_int_equal(scopes.count, 1);
    arena_fini(&arena);
    scopes_fini(&scopes);
    snapshot_fini(&snapshot);
    store_close(&store);
}

/* Containers and keys with a list of models; those without one are not in the document. */
static void
test_scopes(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct snapshot snapshot;
    struct scopes scopes;
    struct snapshot_settings settings = SNAPSHOT_SETTINGS_DEFAULT;
    struct err err = {0};
    bool changed = false;
    snapshot_init(&snapshot);
    scopes_init(&scopes);
    settings.scopes = &scopes;
    apply(store, HEAD "kind: Container\nmetadata: {name: free}\n---\n" HEAD
                      "kind: Container\nmetadata: {name: boxed}\n"
                      "spec: {models: [openai/gpt-4o, 'route/*']}\n---\n" HEAD
                      "kind: Container\nmetadata: {name: all}\nspec: {models: ['*']}\n---\n" HEAD
                      "kind: ApiKey\nmetadata: {name: ci}\nspec: {models: [gpt-4o*]}\n");
    assert_int_equal(scopes_load(&scopes, store, &err), 0);
    assert_int_equal(snapshot_rebuild(&snapshot, store, &settings, &changed, &err), 0);
    const char *text = buf_cstr(&snapshot.text);
    assert_non_null(strstr(text, "\"wallet\":\"default\",\"models\":[\"gpt-4o*\"]}]"));
    assert_non_null(strstr(text,
                           "\"containers\":[{\"name\":\"all\",\"models\":[\"*\"]},"
                           "{\"name\":\"boxed\",\"models\":[\"openai/gpt-4o\",\"route/*\"]}]"));
    assert_null(strstr(text, "\"free\""));
    assert_null(strstr(text, "container_tokens"));
    settings.container_tags = true;
    assert_int_equal(snapshot_rebuild(&snapshot, store, &settings, &changed, &err), 0);
    assert_true(changed);
    assert_non_null(strstr(buf_cstr(&snapshot.text), ",\"container_tokens\":\"tag\"},"));
    assert_int_equal(scopes_set(&scopes, STR("free"), NULL, &changed), 0);
    assert_false(changed);
    assert_int_equal(scopes_set(&scopes, STR("boxed"), NULL, &changed), 0);
    assert_true(changed);
    assert_int_equal(scopes.count, 1);
    scopes_fini(&scopes);
    snapshot_fini(&snapshot);
    store_close(&store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),        cmocka_unit_test(test_content),
        cmocka_unit_test(test_catalogue),    cmocka_unit_test(test_aliases_and_bad_key),
        cmocka_unit_test(test_stable_bytes), cmocka_unit_test(test_owner_prices),
        cmocka_unit_test(test_scopes),       cmocka_unit_test(test_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
