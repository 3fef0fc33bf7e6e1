/* SPDX-License-Identifier: MIT
 * claim.c - what a provider says it used, turned into disjoint classes.
 * Floor: dataplane/chat; values, any thread.
 * Owns: nothing.
 * Invariant: see claim.h. */
#include "dataplane/chat/claim.h"

#include "lib/base/check.h"

/* A provider asks for less in one call; more is a lie that would cost money. */
#define CLAIM_RUNS_MAX UINT64_C(1000)

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
uint64_t
claim_carve(uint64_t *rest, uint64_t part, bool *clamped)
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

/* What prompt_tokens_details or completion_tokens_details tell apart. */
struct parts {
    uint64_t written;
    uint64_t audio;
    uint64_t audio_cached;
    uint64_t image;
    uint64_t reasoning;
};

static void
read_parts(const struct json_doc *doc, uint32_t object, struct parts *parts, bool *clamped)
{
    enum { WRITTEN, AUDIO, IMAGE, REASONING, CACHED };
    static const struct str names[] = {
        [WRITTEN] = JSON_NAME("cache_write_tokens"),   [AUDIO] = JSON_NAME("audio_tokens"),
        [IMAGE] = JSON_NAME("image_tokens"),           [REASONING] = JSON_NAME("reasoning_tokens"),
        [CACHED] = JSON_NAME("cached_tokens_details"),
    };
    uint32_t at[ARRAY_LEN(names)];
    json_pick(doc, object, names, ARRAY_LEN(names), at);
    parts->written = claim_count(doc, at[WRITTEN], clamped);
    parts->audio = claim_count(doc, at[AUDIO], clamped);
    parts->image = claim_count(doc, at[IMAGE], clamped);
    parts->reasoning = claim_count(doc, at[REASONING], clamped);
    if (json_is(doc, at[CACHED], JSON_OBJECT))
        parts->audio_cached = claim_at(doc, at[CACHED], STR("audio_tokens"), clamped);
}

static uint64_t
runs_at(const struct json_doc *doc, uint32_t node, bool *clamped)
{
    uint64_t count = claim_count(doc, node, clamped);
    if (count > CLAIM_RUNS_MAX)
        *clamped = true;
    return MIN(count, CLAIM_RUNS_MAX);
}

/* Tools that the provider ran for the call: Anthropic, and OpenRouter in its words, where a search
 * may be one of the calls that were executed, too. */
static void
claim_runs(const struct json_doc *doc, uint32_t tools, struct usage *usage)
{
    bool *clamped = &usage->clamped;
    if (!json_is(doc, tools, JSON_OBJECT))
        return;
    uint64_t searches = runs_at(doc, json_get(doc, tools, STR("web_search_requests")), clamped);
    uint64_t executed = runs_at(doc, json_get(doc, tools, STR("tool_calls_executed")), clamped);
    usage->count[USAGE_web_search] = searches;
    usage->count[USAGE_code_run] =
        runs_at(doc, json_get(doc, tools, STR("code_execution_requests")), clamped);
    usage->count[USAGE_tool_call] = executed - MIN(executed, searches);
}

/* Perplexity's searches and xAI's sources. */
static void
claim_found(const struct json_doc *doc, uint32_t queries, uint32_t sources, uint32_t cited,
            struct usage *usage)
{
    bool *clamped = &usage->clamped;
    uint64_t *searches = &usage->count[USAGE_web_search];
    uint64_t *calls = &usage->count[USAGE_tool_call];
    *searches = MAX(*searches, runs_at(doc, queries, clamped));
    *calls = MAX(*calls, runs_at(doc, sources, clamped));
    uint64_t tokens = usage->count[USAGE_input] + claim_count(doc, cited, clamped);
    usage->count[USAGE_input] = MIN(tokens, USAGE_COUNT_MAX);
}

bool
claim_openai(const struct json_doc *doc, uint32_t object, struct usage *usage)
{
    enum {
        PROMPT,
        COMPLETION,
        TOTAL,
        IN,
        OUT,
        CACHE_HIT,
        CACHED,
        TOOL_USE,
        QUERIES,
        SOURCES,
        CITED
    };
    static const struct str names[] = {
        [PROMPT] = JSON_NAME("prompt_tokens"),
        [COMPLETION] = JSON_NAME("completion_tokens"),
        [TOTAL] = JSON_NAME("total_tokens"),
        [IN] = JSON_NAME("prompt_tokens_details"),
        [OUT] = JSON_NAME("completion_tokens_details"),
        [CACHE_HIT] = JSON_NAME("prompt_cache_hit_tokens"),
        [CACHED] = JSON_NAME("cached_tokens"),
        [TOOL_USE] = JSON_NAME("server_tool_use"),
        [QUERIES] = JSON_NAME("num_search_queries"),
        [SOURCES] = JSON_NAME("num_sources_used"),
        [CITED] = JSON_NAME("citation_tokens"),
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
    struct parts in = {0};
    struct parts out = {0};
    if (json_is(doc, at[IN], JSON_OBJECT)) {
        cached = claim_at(doc, at[IN], STR("cached_tokens"), clamped);
        read_parts(doc, at[IN], &in, clamped);
    }
    if (cached == 0 && at[CACHE_HIT] != JSON_NONE) /* DeepSeek; Moonshot */
        cached = claim_count(doc, at[CACHE_HIT], clamped);
    if (cached == 0 && at[CACHED] != JSON_NONE)
        cached = claim_count(doc, at[CACHED], clamped);
    if (json_is(doc, at[OUT], JSON_OBJECT))
        read_parts(doc, at[OUT], &out, clamped);

    cached = claim_carve(&prompt, cached, clamped);
    found.count[USAGE_audio_cached] = claim_carve(&cached, in.audio_cached, clamped);
    found.count[USAGE_cached] = cached;
    found.count[USAGE_cache_write] = claim_carve(&prompt, in.written, clamped);
    uint64_t audio = in.audio - MIN(in.audio, found.count[USAGE_audio_cached]);
    found.count[USAGE_audio_in] = claim_carve(&prompt, audio, clamped);
    found.count[USAGE_image_in] = claim_carve(&prompt, in.image, clamped);
    bool beside = out.reasoning > 0 && total == sum + out.reasoning;
    found.count[USAGE_reasoning] =
        beside ? out.reasoning : claim_carve(&completion, out.reasoning, clamped);
    found.count[USAGE_audio_out] = claim_carve(&completion, out.audio, clamped);
    found.count[USAGE_image_out] = claim_carve(&completion, out.image, clamped);
    found.count[USAGE_input] = prompt;
    found.count[USAGE_output] = completion;
    claim_runs(doc, at[TOOL_USE], &found);
    claim_found(doc, at[QUERIES], at[SOURCES], at[CITED], &found);
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
        found.count[USAGE_reasoning] = claim_carve(&output, reasoning, clamped);
        found.count[USAGE_output] = output;
        any = true;
    }
    if (!any)
        return false;
    uint32_t tools = json_get(doc, object, STR("server_tool_use"));
    if (tools != JSON_NONE)
        claim_runs(doc, tools, &found);
    claim_service(doc, json_get(doc, object, STR("service_tier")), &found);
    add_iterations(doc, object, has_output, &found);
    for (size_t i = 0; i < USAGE_CLASS_COUNT; i++)
        ASSERT(found.count[i] <= USAGE_COUNT_MAX);
    found.evidence = EVIDENCE_PROVIDER;
    *usage = found;
    return true;
}

void
claim_service(const struct json_doc *doc, uint32_t node, struct usage *usage)
{
    struct str raw = json_raw(doc, node);
    if (json_is(doc, node, JSON_STRING))
        usage->service = usage_service_find(str_make(raw.ptr + 1, raw.len - 2));
}
