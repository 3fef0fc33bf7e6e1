/* SPDX-License-Identifier: MIT
 * unasked.c - which models run tools unasked.
 * Floor: dataplane/view; any thread.
 * Owns: nothing.
 * Invariant: see unasked.h. */
#include "dataplane/view/unasked.h"

#include "lib/base/check.h"

/* Perplexity, OpenAI (docs/dialects.md), OpenRouter's short form of its plugin, Groq. */
static const struct unasked rows[] = {
    {"sonar-deep-research", UNASKED_HAS, "web_search", USAGE_web_search, USAGE_web_search, 100},
    {"sonar", UNASKED_BEGINS, "web_search", USAGE_web_search, USAGE_web_search_low, 10},
    {"/sonar", UNASKED_HAS, "web_search", USAGE_web_search, USAGE_web_search_low, 10},
    {"-search-preview", UNASKED_HAS, "web_search", USAGE_web_search, USAGE_web_search, 1},
    {"-search-api", UNASKED_HAS, "web_search", USAGE_web_search, USAGE_web_search, 1},
    {":online", UNASKED_ENDS, "web_search", USAGE_web_search, USAGE_web_search, 1},
    {"groq/compound", UNASKED_HAS, "compound", USAGE_tool_call, USAGE_tool_call, 10},
    {"compound-beta", UNASKED_BEGINS, "compound", USAGE_tool_call, USAGE_tool_call, 10},
};

const struct unasked *
unasked_find(struct str upstream)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str name = str_from(rows[i].name);
        bool is = rows[i].where == UNASKED_BEGINS ? str_starts(upstream, name)
                  : rows[i].where == UNASKED_ENDS ? str_ends(upstream, name)
                                                  : str_find(upstream, name) != SIZE_MAX;
        if (is)
            return &rows[i];
    }
    return NULL;
}
