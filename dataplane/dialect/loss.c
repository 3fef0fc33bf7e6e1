/* SPDX-License-Identifier: MIT
 * loss.c - fields that a target dialect has no place for, and amounts of reasoning.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: a field that would change the answer is never dropped in silence (WIRE-FORMATS 6).
 *            Proved by carry_test.c. */
#include "dataplane/dialect/dialect_int.h"

/* A caller may name its fields at will: what goes back to it in a header is plain and short. */
static bool
is_plain(struct str name)
{
    if (name.len == 0 || name.len > 64)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

static bool
is_noted(struct str list, struct str name)
{
    struct str item;
    while (list.len > 0) {
        (void)str_cut(list, ',', &item, &list);
        if (str_eq(item, name))
            return true;
    }
    return false;
}

void
loss_note(const struct dialect_target *target, struct str field)
{
    struct str name = is_plain(field) ? field : STR("other");
    struct buf *dropped = target->dropped;
    if (dropped == NULL || is_noted(buf_str(dropped), name))
        return;
    if (dropped->len > 0)
        buf_put_byte(dropped, ',');
    buf_put_str(dropped, name);
}

int
loss(const struct dialect_target *target, const char *dialect, struct str field, bool advisory,
     struct err *err)
{
    if (!advisory && !target->lenient)
        return err_set(err, ERR_UNSUPPORTED, "field `%.*s` cannot be carried to %s",
                       (int)MIN(field.len, (size_t)128), field.ptr, dialect);
    loss_note(target, field);
    return 0;
}

/* Values that say "as without me". */
static bool
is_neutral(const struct chat_field *field)
{
    static const char *const neutral[] = {"false", "0", "0.0", "{}", "[]", "\"\"", "[\"text\"]"};
    if (str_eq(field->name, STR("seed")))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(neutral); i++) {
        if (str_eq(field->raw, str_from(neutral[i])))
            return true;
    }
    return false;
}

/* What only advises, or hints at the form of an answer: whoever takes none of it answers alike. */
static const char *const advisory[] = {
    /* of OpenAI's */
    "client_metadata",
    "include",
    "max_tool_calls",
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning.summary",
    "service_tier",
    "store",
    "truncation",
    "verbosity",
    "web_search_call",
    /* of Anthropic's */
    "cache_control",
    "context_management",
    "inference_geo",
    "server_tool_use",
    "speed",
    /* of Gemini's */
    "labels",
    "mediaResolution",
    "safetySettings",
    "safety_settings",
    /* of Cohere's */
    "citation_options",
    "priority",
    "safety_mode",
    /* of Ollama's: how it is run */
    "keep_alive",
    "low_vram",
    "main_gpu",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_thread",
    "numa",
    "shift",
    "truncate",
    "use_mmap",
};

int
loss_field(const struct chat_field *field, const struct dialect_target *target, const char *dialect,
           struct err *err)
{
    bool advises = str_starts(field->name, STR("tools.")); /* on offer, and can go unused */
    if (is_neutral(field))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(advisory); i++)
        advises = advises || str_eq(field->name, str_from(advisory[i]));
    return loss(target, dialect, field->name, advises, err);
}

/* Shares of the output limit (WIRE-FORMATS 3.7), in percent. */
static const struct {
    const char *effort;
    uint64_t percent;
} shares[] = {{"minimal", 2}, {"low", 10},   {"medium", 30},
              {"high", 60},   {"xhigh", 90}, {"max", 95}};

uint64_t
reasoning_budget(struct str effort, uint64_t max_output)
{
    const uint64_t least = 1024;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        if (!str_eq(effort, str_from(shares[i].effort)))
            continue;
        if (max_output <= least)
            return 0;
        uint64_t budget = MAX(max_output / 100 * shares[i].percent, least);
        return MIN(budget, max_output - 1);
    }
    return 0;
}

struct str
reasoning_effort(uint64_t budget)
{
    if (budget >= 10000)
        return STR("high");
    if (budget >= 5000)
        return STR("medium");
    if (budget >= 2000)
        return STR("low");
    return STR("minimal");
}
