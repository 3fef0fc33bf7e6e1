/* SPDX-License-Identifier: MIT
 * claim.c - what a provider says it used, turned into disjoint classes.
 * Floor: dataplane/chat; values, any thread.
 * Owns: nothing.
 * Invariant: see claim.h. */
#include "dataplane/chat/claim.h"

#include "lib/base/check.h"

uint64_t
claim_count(const struct json_doc *doc, uint32_t node, bool *clamped)
{
    uint64_t value = 0;
    if (node == JSON_NONE || json_is(doc, node, JSON_NULL))
        return 0;
    if (json_u64(doc, node, USAGE_COUNT_MAX, &value) == 0)
        return value;
    *clamped = true;
    /* digits only, and too many: a claim above the maximum; everything else is no count at all */
    struct str raw = json_raw(doc, node);
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] < '0' || raw.ptr[i] > '9')
            return 0;
    }
    return USAGE_COUNT_MAX;
}

/* Move up to `part` out of *rest. */
static uint64_t
carve(uint64_t *rest, uint64_t part, bool *clamped)
{
    if (part > *rest) {
        part = *rest;
        *clamped = true;
    }
    *rest -= part;
    return part;
}

static uint64_t
claim_at(const struct json_doc *doc, uint32_t object, struct str key, bool *clamped)
{
    return claim_count(doc, json_get(doc, object, key), clamped);
}

bool
claim_openai(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    enum { PROMPT, COMPLETION, TOTAL, IN, OUT, CACHE_HIT, CACHED };
    static const struct str names[] = {
        [PROMPT] = JSON_NAME("prompt_tokens"),
        [COMPLETION] = JSON_NAME("completion_tokens"),
        [TOTAL] = JSON_NAME("total_tokens"),
        [IN] = JSON_NAME("prompt_tokens_details"),
        [OUT] = JSON_NAME("completion_tokens_details"),
        [CACHE_HIT] = JSON_NAME("prompt_cache_hit_tokens"),
        [CACHED] = JSON_NAME("cached_tokens"),
    };
    uint32_t at[ARRAY_LEN(names)];
    json_pick(doc, object, names, ARRAY_LEN(names), at);
    if (at[PROMPT] == JSON_NONE && at[COMPLETION] == JSON_NONE)
        return false;
    struct usage found = {.evidence = EVIDENCE_PROVIDER};
    bool *clamped = &found.clamped;
    uint64_t prompt = claim_count(doc, at[PROMPT], clamped);
    uint64_t completion = claim_count(doc, at[COMPLETION], clamped);
    uint64_t total = claim_count(doc, at[TOTAL], clamped);
    uint64_t sum = prompt + completion;
    uint64_t cached = 0;
    uint64_t written = 0;
    uint64_t audio_in = 0;
    uint64_t reasoning = 0;
    uint64_t audio_out = 0;
    if (json_is(doc, at[IN], JSON_OBJECT)) {
        cached = claim_at(doc, at[IN], STR("cached_tokens"), clamped);
        written = claim_at(doc, at[IN], STR("cache_write_tokens"), clamped);
        audio_in = claim_at(doc, at[IN], STR("audio_tokens"), clamped);
    }
    if (cached == 0) /* DeepSeek; Moonshot */
        cached = claim_count(doc, at[CACHE_HIT], clamped);
    if (cached == 0)
        cached = claim_count(doc, at[CACHED], clamped);
    if (json_is(doc, at[OUT], JSON_OBJECT)) {
        reasoning = claim_at(doc, at[OUT], STR("reasoning_tokens"), clamped);
        audio_out = claim_at(doc, at[OUT], STR("audio_tokens"), clamped);
    }

    found.count[USAGE_cached] = carve(&prompt, cached, clamped);
    found.count[USAGE_cache_write] = carve(&prompt, written, clamped);
    found.count[USAGE_audio_in] = carve(&prompt, audio_in, clamped);
    bool beside = reasoning > 0 && total == sum + reasoning;
    found.count[USAGE_reasoning] = beside ? reasoning : carve(&completion, reasoning, clamped);
    found.count[USAGE_audio_out] = carve(&completion, audio_out, clamped);
    found.count[USAGE_input] = prompt;
    found.count[USAGE_output] = completion;
    *usage = found;
    return true;
}

/* Overwrite one class when the field is present; true when it was. */
static bool
lay_over(const struct json_doc *doc, uint32_t object, struct str key, uint64_t *count,
         bool *clamped)
{
    uint32_t node = json_get(doc, object, key);
    if (node == JSON_NONE || json_is(doc, node, JSON_NULL))
        return false;
    *count = claim_count(doc, node, clamped);
    return true;
}

static bool
lay_over_cache_writes(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    uint64_t *short_lived = &usage->count[USAGE_cache_write];
    uint64_t *long_lived = &usage->count[USAGE_cache_write_1h];
    uint32_t split = json_get(doc, object, STR("cache_creation"));
    uint64_t total = 0;
    bool any = lay_over(doc, object, STR("cache_creation_input_tokens"), &total, &usage->clamped);
    if (json_is(doc, split, JSON_OBJECT)) {
        (void)lay_over(doc, split, STR("ephemeral_5m_input_tokens"), short_lived, &usage->clamped);
        (void)lay_over(doc, split, STR("ephemeral_1h_input_tokens"), long_lived, &usage->clamped);
        any = true;
    }
    /* Without the split, or against it, the total counts: what it has more is the cheaper kind. */
    if (any && total != *short_lived + *long_lived) {
        if (total > *long_lived) {
            *short_lived = total - *long_lived;
        } else if (split == JSON_NONE) {
            *short_lived = total;
            *long_lived = 0;
        }
    }
    return any;
}

/* Tokens of a compaction or an advisor are not in the top-level counts. Added only to counts that
 * this very object has replaced, so that none is added twice. */
static void
add_iterations(const struct json_doc *doc, uint32_t object, bool has_output, struct usage *usage)
{
    bool has_input = json_get(doc, object, STR("input_tokens")) != JSON_NONE;
    uint32_t list = json_get(doc, object, STR("iterations"));
    if (!json_is(doc, list, JSON_ARRAY))
        return;
    for (uint32_t at = json_first(doc, list); at != JSON_NONE; at = json_sibling(doc, list, at)) {
        uint32_t type = json_get(doc, at, STR("type"));
        if (!json_string_eq(doc, type, STR("compaction")) &&
            !json_string_eq(doc, type, STR("advisor_message")))
            continue;
        uint64_t input = has_input ? claim_at(doc, at, STR("input_tokens"), &usage->clamped) : 0;
        uint64_t output = has_output ? claim_at(doc, at, STR("output_tokens"), &usage->clamped) : 0;
        usage->count[USAGE_input] = MIN(usage->count[USAGE_input] + input, USAGE_COUNT_MAX);
        usage->count[USAGE_output] = MIN(usage->count[USAGE_output] + output, USAGE_COUNT_MAX);
    }
}

bool
claim_anthropic(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    if (!json_is(doc, object, JSON_OBJECT))
        return false;
    struct usage found = *usage;
    bool *clamped = &found.clamped;
    bool any = lay_over(doc, object, STR("input_tokens"), &found.count[USAGE_input], clamped);
    any |=
        lay_over(doc, object, STR("cache_read_input_tokens"), &found.count[USAGE_cached], clamped);
    any |= lay_over_cache_writes(doc, object, &found);
    uint64_t output = 0;
    bool has_output = lay_over(doc, object, STR("output_tokens"), &output, clamped);
    if (has_output) {
        uint64_t reasoning = found.count[USAGE_reasoning];
        uint32_t details = json_get(doc, object, STR("output_tokens_details"));
        (void)lay_over(doc, details, STR("thinking_tokens"), &reasoning, clamped);
        found.count[USAGE_reasoning] = carve(&output, reasoning, clamped);
        found.count[USAGE_output] = output;
        any = true;
    }
    if (!any)
        return false;
    add_iterations(doc, object, has_output, &found);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        ASSERT(found.count[i] <= USAGE_COUNT_MAX);
    found.evidence = EVIDENCE_PROVIDER;
    *usage = found;
    return true;
}
