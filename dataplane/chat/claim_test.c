/* SPDX-License-Identifier: MIT
 * claim_test.c - what providers claim to have used, truths and lies.
 * Floor: dataplane/chat, tests only.
 * Owns: nothing.
 * Invariant: must hold: classes are disjoint, a lie is cut and flagged and never becomes credit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/chat/claim.h"

struct row {
    const char *body;
    const char *want; /* input cached write write1h output reasoning audio_in audio_out clamped */
};

static void
check(const struct row *row, bool (*claim)(const struct json_doc *, uint32_t, struct usage *),
      struct usage *usage)
{
    struct json_doc doc;
    struct err err;
    char got[256];
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(row->body), NULL, &err), 0);
    if (!claim(&doc, 0, usage)) {
        (void)snprintf(got, sizeof(got), "none");
    } else {
        const uint64_t *c = usage->count;
        assert_int_equal(usage->evidence, EVIDENCE_PROVIDER);
        (void)snprintf(got, sizeof(got), "%llu %llu %llu %llu %llu %llu %llu %llu %d",
                       (unsigned long long)c[USAGE_input], (unsigned long long)c[USAGE_cached],
                       (unsigned long long)c[USAGE_cache_write],
                       (unsigned long long)c[USAGE_cache_write_1h],
                       (unsigned long long)c[USAGE_output], (unsigned long long)c[USAGE_reasoning],
                       (unsigned long long)c[USAGE_audio_in],
                       (unsigned long long)c[USAGE_audio_out], usage->clamped);
    }
    if (strcmp(got, row->want) != 0)
        fail_msg("%s:\n%s, want %s", row->body, got, row->want);
    json_fini(&doc);
}

static void
test_openai(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"prompt_tokens\":10,\"completion_tokens\":4,\"total_tokens\":14}",
         "10 0 0 0 4 0 0 0 0"},
        {"{\"prompt_tokens\":10,\"completion_tokens\":4,\"prompt_tokens_details\":{"
         "\"cached_tokens\":6,\"audio_tokens\":1,\"cache_write_tokens\":2},"
         "\"completion_tokens_details\":{\"reasoning_tokens\":3,\"audio_tokens\":1}}",
         "1 6 2 0 0 3 1 1 0"},
        {"{\"prompt_tokens\":307,\"completion_tokens\":26,\"total_tokens\":560,"
         "\"completion_tokens_details\":{\"reasoning_tokens\":227}}",
         "307 0 0 0 26 227 0 0 0"},
        {"{\"prompt_tokens\":10,\"completion_tokens\":4,\"prompt_cache_hit_tokens\":3}",
         "7 3 0 0 4 0 0 0 0"},
        {"{\"prompt_tokens\":5}", "5 0 0 0 0 0 0 0 0"},
        {"{\"prompt_tokens\":5,\"completion_tokens\":null,\"prompt_tokens_details\":null}",
         "5 0 0 0 0 0 0 0 0"},
        /* lies */
        {"{\"prompt_tokens\":-5,\"completion_tokens\":-1}", "0 0 0 0 0 0 0 0 1"},
        {"{\"prompt_tokens\":1e9,\"completion_tokens\":1.5}", "0 0 0 0 0 0 0 0 1"},
        {"{\"prompt_tokens\":\"7\",\"completion_tokens\":[]}", "0 0 0 0 0 0 0 0 1"},
        {"{\"prompt_tokens\":1000000001,\"completion_tokens\":99999999999999999999999}",
         "1000000000 0 0 0 1000000000 0 0 0 1"},
        {"{\"prompt_tokens\":5,\"completion_tokens\":10,\"prompt_tokens_details\":{"
         "\"cached_tokens\":50},\"completion_tokens_details\":{\"reasoning_tokens\":11}}",
         "0 5 0 0 0 10 0 0 1"},
        {"{\"prompt_tokens\":5,\"completion_tokens\":1,\"prompt_tokens_details\":{"
         "\"cached_tokens\":-50}}",
         "5 0 0 0 1 0 0 0 1"},
        {"{}", "none"},
        {"{\"total_tokens\":5}", "none"},
        {"[]", "none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct usage usage = {0};
        check(&rows[i], claim_openai, &usage);
    }
}

static void
test_anthropic(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"input_tokens\":10,\"output_tokens\":4,\"cache_read_input_tokens\":7,"
         "\"cache_creation_input_tokens\":5}",
         "10 7 5 0 4 0 0 0 0"},
        {"{\"input_tokens\":1,\"output_tokens\":4,\"cache_creation_input_tokens\":5,"
         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":3}}",
         "1 0 2 3 4 0 0 0 0"},
        {"{\"input_tokens\":1,\"output_tokens\":9,\"output_tokens_details\":{\"thinking_tokens\":6}"
         "}",
         "1 0 0 0 3 6 0 0 0"},
        {"{\"input_tokens\":1,\"output_tokens\":9,\"iterations\":[{\"type\":\"compaction\","
         "\"input_tokens\":100,\"output_tokens\":20},{\"type\":\"message\",\"input_tokens\":1,"
         "\"output_tokens\":9}]}",
         "101 0 0 0 29 0 0 0 0"},
        {"{\"input_tokens\":-1,\"output_tokens\":2e3}", "0 0 0 0 0 0 0 0 1"},
        {"{\"input_tokens\":1,\"output_tokens\":2,\"output_tokens_details\":{\"thinking_tokens\":6}"
         "}",
         "1 0 0 0 0 2 0 0 1"},
        {"{}", "none"},
        {"{\"service_tier\":\"standard\"}", "none"},
        {"5", "none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct usage usage = {0};
        check(&rows[i], claim_anthropic, &usage);
    }
}

/* message_delta corrects message_start field by field, and adds nothing twice. */
static void
test_anthropic_delta(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"input_tokens\":43,\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":5,"
         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":3},"
         "\"output_tokens\":1}",
         "43 7 2 3 1 0 0 0 0"},
        {"{\"output_tokens\":9}", "43 7 2 3 9 0 0 0 0"},
        {"{\"input_tokens\":61,\"cache_creation_input_tokens\":5,\"output_tokens\":10}",
         "61 7 2 3 10 0 0 0 0"},
        {"{\"cache_creation_input_tokens\":6}", "61 7 3 3 10 0 0 0 0"},
        {"{\"cache_creation_input_tokens\":0}", "61 7 0 0 10 0 0 0 0"},
    };
    struct usage usage = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&rows[i], claim_anthropic, &usage);
}

/* Classes that few answers have: audio from the cache, pictures, searches; and the service. */
static void
test_rare_classes(void **state)
{
    (void)state;
    static const struct {
        bool anthropic;
        const char *body;
        enum usage_class class_;
        uint64_t want;
        enum usage_service want_service;
        bool want_clamped;
    } rows[] = {
        {false,
         "{\"prompt_tokens\":100,\"prompt_tokens_details\":{\"cached_tokens\":60,\"audio_tokens\":"
         "50,\"cached_tokens_details\":{\"audio_tokens\":20,\"text_tokens\":40}}}",
         USAGE_audio_cached, 20, SERVICE_standard, false},
        {false,
         "{\"prompt_tokens\":100,\"prompt_tokens_details\":{\"cached_tokens\":60,\"audio_tokens\":"
         "50,\"cached_tokens_details\":{\"audio_tokens\":20,\"text_tokens\":40}}}",
         USAGE_audio_in, 30, SERVICE_standard, false},
        {false, "{\"prompt_tokens\":9,\"prompt_tokens_details\":{\"image_tokens\":7}}",
         USAGE_image_in, 7, SERVICE_standard, false},
        {false, "{\"completion_tokens\":9,\"completion_tokens_details\":{\"image_tokens\":12}}",
         USAGE_image_out, 9, SERVICE_standard, true},
        {false, "{\"prompt_tokens\":9,\"server_tool_use\":{\"web_search_requests\":3}}",
         USAGE_web_search, 3, SERVICE_standard, false},
        {true,
         "{\"input_tokens\":9,\"service_tier\":\"priority\","
         "\"server_tool_use\":{\"web_search_requests\":2}}",
         USAGE_web_search, 2, SERVICE_priority, false},
        {true, "{\"input_tokens\":9,\"service_tier\":\"batch\"}", USAGE_input, 9, SERVICE_batch,
         false},
        {true, "{\"input_tokens\":9,\"service_tier\":7}", USAGE_input, 9, SERVICE_standard, false},
        {true, "{\"input_tokens\":9,\"server_tool_use\":{\"web_search_requests\":-2}}",
         USAGE_web_search, 0, SERVICE_standard, true},
        {true, "{\"input_tokens\":9,\"server_tool_use\":{\"web_search_requests\":123456}}",
         USAGE_web_search, 1000, SERVICE_standard, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct usage usage = {0};
        json_init(&doc);
        assert_int_equal(json_scan(&doc, str_from(rows[i].body), NULL, NULL), 0);
        assert_true(rows[i].anthropic ? claim_anthropic(&doc, 0, &usage)
                                      : claim_openai(&doc, 0, &usage));
        if (usage.count[rows[i].class_] != rows[i].want || usage.service != rows[i].want_service ||
            usage.clamped != rows[i].want_clamped)
            fail_msg("row %zu: %llu %d %d", i, (unsigned long long)usage.count[rows[i].class_],
                     usage.service, usage.clamped);
        json_fini(&doc);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai),
        cmocka_unit_test(test_anthropic),
        cmocka_unit_test(test_anthropic_delta),
        cmocka_unit_test(test_rare_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
