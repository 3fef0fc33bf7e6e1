/* SPDX-License-Identifier: MIT
 * listing_test.c - lists of models as the vendors write them, and where they stand.
 * Floor: controlplane/catalog tests.
 * Owns: nothing.
 * Invariant: see listing.h. */
#include "controlplane/catalog/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "controlplane/catalog/catalog.h"

static void
urls(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        const char *path;
        const char *cursor;
        const char *want; /* NULL: none */
    } cases[] = {
        {"https://api.openai.com/v1", "/models", "", "https://api.openai.com/v1/models"},
        {"https://api.openai.com/v1/", "/models", "", "https://api.openai.com/v1/models"},
        {"http://127.0.0.1:9/x", "/models", "", "http://127.0.0.1:9/x/models"},
        {"https://api.anthropic.com", "/v1/models?limit=1000", "a/b",
         "https://api.anthropic.com/v1/models?limit=1000&after_id=a%2Fb"},
        {"https://api.perplexity.ai", "/v1/models", "", "https://api.perplexity.ai/v1/models"},
        {"https://h.example/v1", "/v1/models", "", "https://h.example/v1/models"},
        {"https://h.example/v1beta", "/v1/models", "", "https://h.example/v1beta/v1/models"},
        {"https://r.openai.azure.com/openai/v1", "/openai/deployments?x=1", "",
         "https://r.openai.azure.com/openai/deployments?x=1"},
        {"https://models.github.ai/inference", "https://models.github.ai/catalog/models", "",
         "https://models.github.ai/catalog/models"},
        /* a proxy of one's own: our key does not go to the vendor */
        {"https://proxy.example/github", "https://models.github.ai/catalog/models", "",
         "https://proxy.example/catalog/models"},
        {"https://h.example", "/accounts/{account}/models", "", NULL},
        {"https://h.example", "", "", NULL},
        {"nonsense", "/models", "", NULL},
    };
    struct arena arena;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str url =
            listing_url(str_from(cases[i].base), str_from(cases[i].path),
                        listing_shape(STR("anthropic")), str_from(cases[i].cursor), &arena);
        if (cases[i].want ? !url.ptr || strcmp(url.ptr, cases[i].want) != 0 : url.ptr != NULL)
            fail_msg("%s %s: %s", cases[i].base, cases[i].path, url.ptr ? url.ptr : "none");
    }
    arena_fini(&arena);
}

static const struct {
    const char *shape;
    const char *page;
    const char *want; /* NAME:KIND:CONTEXT:PROMPT, sorted; NULL: refused */
    const char *cursor;
} page_cases[] = {
    {"openai", "{\"data\":[{\"id\":\"b\"},{\"id\":\"a\",\"context_window\":8192}]}",
     "a:chat:8192: b:chat:0: ", ""},
    {"openai", "{\"data\":[{\"id\":\"a\"},{\"id\":\"a\"}]}", "a:chat:0: ", ""},
    {"openai", "{\"data\":[{\"id\":\"text-embedding-3\"}]}", "text-embedding-3:embedding:0: ", ""},
    {"openai",
     "{\"data\":[{\"id\":\"x/y\",\"context_length\":9,\"architecture\":{\"output_modalities\":"
     "[\"text\"]},\"pricing\":{\"prompt\":\"0.00000015\",\"completion\":\"0.0000006\"}}]}",
     "x/y:chat:9:0.00000015 ", ""},
    {"openai", "{\"data\":[{\"id\":\"p\",\"architecture\":{\"output_modalities\":[\"image\"]}}]}",
     "p::0: ", ""},
    {"openai", "{\"data\":[]}", "", ""},
    {"openai", "{\"data\":{}}", NULL, ""},
    {"openai", "{\"models\":[]}", NULL, ""},
    {"openai", "<html>", NULL, ""},
    {"openai", "{\"data\":[{\"id\":\"a\"}", NULL, ""},
    /* names that could be no id of ours, or do something else with it */
    {"openai",
     "{\"data\":[{\"id\":\"\"},{\"id\":7},{},{\"id\":\"a b\"},{\"id\":\"a\\u0000\"},"
     "{\"id\":\"/a\"},{\"id\":\"a/\"},{\"id\":\"a//b\"},{\"id\":\"*\"},{\"id\":\"ok\"}]}",
     "ok:chat:0: ", ""},
    {"anthropic",
     "{\"data\":[{\"type\":\"model\",\"id\":\"claude-a\"}],\"has_more\":true,"
     "\"last_id\":\"claude-a\"}",
     "claude-a:chat:0: ", "claude-a"},
    {"anthropic", "{\"data\":[{\"id\":\"claude-a\"}],\"has_more\":false,\"last_id\":\"c\"}",
     "claude-a:chat:0: ", ""},
    {"gemini",
     "{\"models\":[{\"name\":\"models/gemini-x\",\"inputTokenLimit\":100,"
     "\"supportedGenerationMethods\":[\"generateContent\"]},{\"name\":\"models/emb\","
     "\"supportedGenerationMethods\":[\"embedContent\"]},{\"name\":\"models/veo\","
     "\"supportedGenerationMethods\":[\"predictLongRunning\"]}],\"nextPageToken\":\"t\"}",
     "emb:embedding:0: gemini-x:chat:100: veo::0: ", "t"},
    {"cohere",
     "{\"models\":[{\"name\":\"command\",\"endpoints\":[\"chat\"],\"context_length\":5},"
     "{\"name\":\"rerank-v3\",\"endpoints\":[\"rerank\"]}]}",
     "command:chat:5: rerank-v3::0: ", ""},
    {"ollama", "{\"models\":[{\"name\":\"n\",\"model\":\"llama3.2:1b\",\"size\":1}]}",
     "llama3.2:1b:chat:0: ", ""},
    {"bare-array", "[{\"id\":\"m\",\"type\":\"embedding\"},{\"id\":\"i\",\"type\":\"image\"}]",
     "i::0: m:embedding:0: ", ""},
};

static void
pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(page_cases); i++) {
        struct listing listing;
        struct arena arena;
        struct str cursor;
        struct err err = {0};
        char have[256] = "";
        listing_init(&listing);
        arena_init(&arena, 1u << 20);
        int code =
            listing_read(&listing, str_from(page_cases[i].page),
                         listing_shape(str_from(page_cases[i].shape)), &arena, &cursor, &err);
        listing_seal(&listing);
        for (size_t at = 0; at < listing.count; at++) {
            const struct listed *listed = &listing.models[at];
            size_t len = strlen(have);
            (void)snprintf(have + len, sizeof have - len, "%.*s:%.*s:%u:%.*s ",
                           STR_ARG(listed->name), STR_ARG(listed->kind), listed->context,
                           STR_ARG(listed->prompt));
        }
        if (page_cases[i].want ? code != 0 || strcmp(have, page_cases[i].want) != 0 : code == 0)
            fail_msg("%s: %d '%s' %s", page_cases[i].page, code, have, err.text);
        if (!str_eq(cursor, str_from(page_cases[i].cursor)))
            fail_msg("%s: cursor %.*s", page_cases[i].page, STR_ARG(cursor));
        listing_fini(&listing);
        arena_fini(&arena);
    }
}

/* Every provider of the catalogue that says where its list is, is one whose list we read; those we
 * cannot are these, and say so. */
static void
providers(void **state)
{
    (void)state;
    static const char *const not_read[] = {"bedrock", "cloudflare", "deepgram", "replicate"};
    struct catalog_provider *rows;
    struct arena arena;
    size_t count;
    size_t lists = 0;
    arena_init(&arena, 16u << 20);
    assert_int_equal(catalog_providers(&arena, &rows, &count), 0);
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(not_read); k++)
            known = known || str_eq(rows[i].id, str_from(not_read[k]));
        if (rows[i].list_path.len == 0 || rows[i].list_shape.len == 0)
            continue;
        if (!listing_shape(rows[i].list_shape) != known)
            fail_msg("%.*s: shape %.*s", STR_ARG(rows[i].id), STR_ARG(rows[i].list_shape));
        lists += known ? 0 : 1;
    }
    assert_true(lists >= 30);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls), cmocka_unit_test(pages),
                                       cmocka_unit_test(providers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
