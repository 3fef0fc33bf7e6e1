/* SPDX-License-Identifier: MIT
 * answer.c - the deterministic answer: its words, chunks and token counts.
 * Floor: tools/sim; one thread at a time.
 * Owns: nothing.
 * Invariant: see answer.h. */
#include "tools/sim/answer.h"

#include <stdio.h>

#define SEARCH_NANO 10000000
#define CODE_NANO 30000000

static const char *const dictionary[64] = {
    "anchor",  "berth",   "cargo",   "deck",    "engine", "fathom",   "galley",  "harbor",
    "island",  "jetty",   "keel",    "lantern", "mast",   "north",    "ocean",   "pilot",
    "quay",    "rudder",  "sail",    "tide",    "under",  "vessel",   "wharf",   "yacht",
    "zenith",  "ballast", "compass", "dock",    "ebb",    "ferry",    "gale",    "hull",
    "inlet",   "jib",     "knot",    "lagoon",  "marina", "nautical", "oar",     "port",
    "quarter", "reef",    "shore",   "tugboat", "upwind", "voyage",   "wave",    "crew",
    "bay",     "coast",   "drift",   "estuary", "fleet",  "gull",     "horizon", "iron",
    "journey", "kelp",    "log",     "mooring", "net",    "open",     "pier",    "rope",
};

static uint64_t
hash_text(uint64_t hash, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t
mix(uint64_t value)
{
    value = (value ^ value >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ value >> 32;
}

/* A chunk never ends within a character. */
static uint64_t
whole_runes(struct str text, uint64_t offset)
{
    while (offset < text.len && ((unsigned char)text.ptr[offset] & 0xc0u) == 0x80u)
        offset++;
    return offset;
}

/* The vendor runs what it is offered, and nothing else. */
static bool
has_tool(const struct sim_request *request, struct str type)
{
    return str_find(request->tools, type) != SIZE_MAX;
}

void
answer_make(const struct sim_request *request, const struct directives *directives,
            struct sim_answer *ret_answer)
{
    struct sim_answer answer = {
        .model = request->model,
        .seed = hash_text(hash_text(UINT64_C(14695981039346656037), request->model),
                          request->last_user),
        .include_usage = request->include_usage,
        .prompt = request_prompt_tokens(request),
        .reasoning = directive_value(directives, DIRECTIVE_REASONING, 0),
        .lie = (enum directive_lie)directive_value(directives, DIRECTIVE_LIE_USAGE, LIE_NONE),
    };
    answer.cached = MIN(directive_value(directives, DIRECTIVE_CACHED, 0), answer.prompt);
    if (request->endpoint == SIM_EMBEDDINGS || request->endpoint == SIM_COUNT_TOKENS ||
        request->endpoint == SIM_GEMINI_COUNT) {
        *ret_answer = answer;
        return;
    }
    answer.tool_call = request->tool_name.len > 0 && request->last_is_user &&
                       !directive_given(directives, DIRECTIVE_WORDS);
    uint64_t pieces = 0;
    if (answer.tool_call) {
        answer.tool_name = request->tool_name;
        answer.tool_arguments = request->tool_arguments;
        answer.completion = (answer.tool_name.len + answer.tool_arguments.len + 3) / 4;
        pieces = answer.tool_arguments.len;
        answer.chunk_count = MIN((pieces + 7) / 8, UINT64_C(1000));
    } else if (request->document.len > 0 && !directive_given(directives, DIRECTIVE_WORDS)) {
        answer.document = request->document;
        answer.words = answer.document.len;
        answer.completion = (answer.words + 3) / 4;
        if (answer.completion > request->max_tokens) {
            answer.completion = request->max_tokens;
            answer.words = whole_runes(answer.document, answer.completion * 4);
            answer.cut_by_limit = true;
        }
        answer.chunk_count = MIN((answer.words + 7) / 8, UINT64_C(1000));
    } else {
        answer.words = directive_value(directives, DIRECTIVE_WORDS, 8 + answer.seed % 24);
        if (answer.words > request->max_tokens) {
            answer.words = request->max_tokens;
            answer.cut_by_limit = true;
        }
        answer.completion = answer.words;
        if (request->endpoint != SIM_RESPONSES || has_tool(request, STR("\"web_search")))
            answer.searches = directive_value(directives, DIRECTIVE_SEARCHES, 0);
        if (has_tool(request, STR("\"code_")))
            answer.code_runs = directive_value(directives, DIRECTIVE_CODE, 0);
        /* chat completions count none: a call that searches is one */
        answer.units =
            request->endpoint == SIM_CHAT ? MIN(answer.searches, UINT64_C(1)) : answer.searches;
        answer.unit_nano = SEARCH_NANO;
        if (answer.code_runs > 0) {
            answer.units = answer.code_runs;
            answer.unit_nano = CODE_NANO;
        }
        pieces = answer.words;
        answer.chunk_count = pieces;
    }
    answer.completion += answer.reasoning;
    answer.chunk_count = directive_value(directives, DIRECTIVE_CHUNKS, answer.chunk_count);
    answer.chunk_count = MAX(answer.chunk_count, UINT64_C(1));
    if (answer.tool_call && (request->endpoint == SIM_GEMINI || request->endpoint == SIM_OLLAMA))
        answer.chunk_count = 1; /* calls come whole there */
    *ret_answer = answer;
}

void
answer_words(const struct sim_answer *answer, uint64_t from, uint64_t to, struct buf *out)
{
    if (answer->document.len > 0) {
        buf_put_str(out, str_make(answer->document.ptr + from, to - from));
        return;
    }
    for (uint64_t i = from; i < to; i++) {
        if (i > 0)
            buf_put_byte(out, ' ');
        buf_put_str(out, str_from(dictionary[mix(answer->seed + i) % ARRAY_LEN(dictionary)]));
    }
}

void
answer_put_words(struct json_writer *json, const char *key, const struct sim_answer *answer,
                 uint64_t from, uint64_t to)
{
    struct buf text;
    buf_init(&text, 64u << 20);
    answer_words(answer, from, to, &text);
    json_member_str(json, key, buf_str(&text));
    buf_fini(&text);
}

void
answer_chunk_span(const struct sim_answer *answer, uint64_t index, uint64_t *ret_from,
                  uint64_t *ret_to)
{
    uint64_t pieces = answer->tool_call ? answer->tool_arguments.len : answer->words;
    *ret_from = (uint64_t)((uint128_t)pieces * index / answer->chunk_count);
    *ret_to = (uint64_t)((uint128_t)pieces * (index + 1) / answer->chunk_count);
    struct str text = answer->tool_call ? answer->tool_arguments : answer->document;
    if (text.len > 0) {
        *ret_from = whole_runes(text, *ret_from);
        *ret_to = whole_runes(text, *ret_to);
    }
}

uint64_t
answer_delivered(const struct sim_answer *answer, uint64_t chunks)
{
    uint64_t from = 0;
    uint64_t to = 0;
    if (chunks == 0)
        return 0;
    if (chunks >= answer->chunk_count)
        return answer->completion;
    answer_chunk_span(answer, chunks - 1, &from, &to);
    if (answer->tool_call)
        to = (answer->tool_name.len + to + 3) / 4;
    else if (answer->document.len > 0)
        to = (to + 3) / 4;
    return MIN(to + answer->reasoning, answer->completion);
}

struct sim_usage
answer_usage(const struct sim_answer *answer)
{
    struct sim_usage usage = {
        .prompt = (int64_t)answer->prompt,
        .cached = (int64_t)answer->cached,
        .completion = (int64_t)answer->completion,
        .reasoning = (int64_t)answer->reasoning,
    };
    switch (answer->lie) {
    case LIE_NONE:
        break;
    case LIE_NEGATIVE:
        usage.prompt = -usage.prompt - 1;
        usage.completion = -usage.completion - 1;
        break;
    case LIE_HUGE:
        usage.prompt = INT64_C(9000000000000000000);
        usage.completion = INT64_C(9000000000000000000);
        break;
    case LIE_ZERO:
        usage = (struct sim_usage){0};
        break;
    case LIE_MISSING:
        usage.missing = true;
        break;
    case LIE_CACHED:
        usage.cached = usage.prompt + 1000;
        break;
    }
    if (ADD_OVERFLOW(usage.prompt, usage.completion, &usage.total))
        usage.total = INT64_MAX;
    return usage;
}

void
answer_source(uint64_t index, char out[SOURCE_BYTES])
{
    (void)snprintf(out, SOURCE_BYTES, "https://sim.test/%llu", (unsigned long long)index + 1);
}

uint64_t
answer_cited(const struct sim_answer *answer)
{
    struct buf word;
    buf_init(&word, 64);
    answer_words(answer, 0, MIN(answer->words, UINT64_C(1)), &word);
    uint64_t size = word.len;
    buf_fini(&word);
    return size;
}

void
answer_put_annotation(struct json_writer *json, const struct sim_answer *answer, uint64_t index,
                      bool nested)
{
    char source[SOURCE_BYTES];
    answer_source(index, source);
    json_open_object(json);
    json_member_str(json, "type", STR("url_citation"));
    if (nested)
        json_key_object(json, "url_citation");
    json_member_u64(json, "start_index", 0);
    json_member_u64(json, "end_index", answer_cited(answer));
    json_member_str(json, "url", str_from(source));
    json_member_str(json, "title", STR("A source"));
    if (nested)
        json_close_object(json);
    json_close_object(json);
}
