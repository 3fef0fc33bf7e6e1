/* SPDX-License-Identifier: MIT
 * lies_test.c - impossible usage reports, in every dialect's own words.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: whatever a provider writes for a count, no count is above USAGE_COUNT_MAX,
 *            parts do not exceed their total, and what was cut is flagged. A new dialect is a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/dialect/dialect.h"

/* body: a whole answer; %1$s prompt tokens, %2$s answer tokens, %3$s cached tokens. inside: cached
 * ones are part of the prompt's. */
static const struct {
    const struct dialect *dialect;
    const char *body;
    bool inside;
} shapes[] = {
    {&dialect_openai,
     "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{"
     "\"prompt_tokens\":%1$s,\"completion_tokens\":%2$s,\"prompt_tokens_details\":{"
     "\"cached_tokens\":%3$s}}}",
     true},
    {&dialect_anthropic,
     "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],\"stop_reason\":"
     "\"end_turn\",\"usage\":{\"input_tokens\":%1$s,\"output_tokens\":%2$s,"
     "\"cache_read_input_tokens\":%3$s}}",
     false},
    {&dialect_responses,
     "{\"object\":\"response\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":"
     "%1$s,\"output_tokens\":%2$s,\"input_tokens_details\":{\"cached_tokens\":%3$s}}}",
     true},
    {&dialect_gemini,
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}],"
     "\"usageMetadata\":{\"promptTokenCount\":%1$s,\"candidatesTokenCount\":%2$s,"
     "\"cachedContentTokenCount\":%3$s}}",
     true},
    {&dialect_cohere,
     "{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},\"finish_reason\":"
     "\"COMPLETE\","
     "\"usage\":{\"tokens\":{\"input_tokens\":%1$s,\"output_tokens\":%2$s},\"cached_tokens\":%3$s}"
     "}",
     true},
    {&dialect_bedrock,
     "{\"output\":{\"message\":{\"content\":[{\"text\":\"hi\"}]}},\"stopReason\":\"end_turn\","
     "\"usage\":{\"inputTokens\":%1$s,\"outputTokens\":%2$s,\"cacheReadInputTokens\":%3$s}}",
     false},
};

struct claim {
    const char *prompt;
    const char *answer;
    const char *cached;
    uint64_t want_prompt; /* all of it */
    uint64_t want_answer;
    bool want_clamped;
};

static void
check(size_t shape, const struct claim *claim)
{
    char body[1024];
    struct json_doc doc;
    struct stream_look look = {0};
    static const struct json_limits limits = {.allow_duplicates = true};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(body, sizeof(body), shapes[shape].body, claim->prompt, claim->answer,
                   claim->cached);
#pragma GCC diagnostic pop
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(body), &limits, NULL), 0);
    shapes[shape].dialect->answer_look(&doc, &look);
    json_fini(&doc);
    const struct usage *usage = &look.usage;
    for (int i = 0; i < USAGE_CLASS_COUNT; i++)
        assert_true(usage->count[i] <= USAGE_COUNT_MAX);
    if (usage->evidence != EVIDENCE_PROVIDER || usage_prompt_tokens(usage) != claim->want_prompt ||
        usage_answer_tokens(usage) != claim->want_answer || usage->clamped != claim->want_clamped)
        fail_msg("%s: %s\n%llu %llu %d", shapes[shape].dialect->name, body,
                 (unsigned long long)usage_prompt_tokens(usage),
                 (unsigned long long)usage_answer_tokens(usage), usage->clamped);
}

static void
test_lies(void **state)
{
    (void)state;
    static const struct claim claims[] = {
        {"10", "5", "0", 10, 5, false},
        {"-10", "-5", "0", 0, 0, true},
        {"1000000000", "1000000000", "0", 1000000000, 1000000000, false}, /* cut by price.c */
        {"1000000001", "5", "0", 1000000000, 5, true},
        {"9223372036854775808", "18446744073709551616", "0", 1000000000, 1000000000, true},
        {"99999999999999999999999999999999999999", "5", "0", 1000000000, 5, true},
        {"1e9", "5", "0", 0, 5, true},
        {"10", "5.5", "0", 10, 0, true},
        {"10.0", "5", "0", 0, 5, true},
        {"\"10\"", "5", "0", 0, 5, true},
        {"10", "[5]", "0", 10, 0, true},
        {"10", "{}", "0", 10, 0, true},
        {"10", "true", "0", 10, 0, true},
        {"10", "null", "0", 10, 0, false},
        {"10", "5", "null", 10, 5, false},
        {"10", "5", "-1", 10, 5, true},
    };
    for (size_t shape = 0; shape < ARRAY_LEN(shapes); shape++) {
        for (size_t i = 0; i < ARRAY_LEN(claims); i++)
            check(shape, &claims[i]);
    }
}

/* More cached than there was: inside the prompt it is cut to it; beside it nothing can be told. */
static void
test_cached_beyond_prompt(void **state)
{
    (void)state;
    static const struct claim inside = {"10", "5", "1000", 10, 5, true};
    static const struct claim beside = {"10", "5", "1000", 1010, 5, false};
    for (size_t shape = 0; shape < ARRAY_LEN(shapes); shape++)
        check(shape, shapes[shape].inside ? &inside : &beside);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_cached_beyond_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
