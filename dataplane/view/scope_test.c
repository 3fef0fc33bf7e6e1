/* SPDX-License-Identifier: MIT
 * scope_test.c - which ids a list of names with '*' stands for.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see scope.h. */
#include "dataplane/view/scope.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *id;
        bool want;
    } cases[] = {
        {"openai/gpt-4o", "openai/gpt-4o", true},
        {"openai/gpt-4o", "openai/gpt-4o-mini", false},
        {"openai/gpt-4o*", "openai/gpt-4o-mini", true},
        {"openai/*", "openai/gpt-4o", true},
        {"openai/*", "openai-eu/gpt-4o", false},
        {"openai/*", "azure/openai/gpt-4o", false},
        {"*", "openai/gpt-4o", true},
        {"**", "openai/gpt-4o", true},
        {"*mini", "openai/gpt-4o-mini", true},
        {"*mini", "openai/gpt-4o-mini-2024", false},
        {"gpt-4o*", "openai/gpt-4o-mini", true}, /* behind the provider's name */
        {"gpt-4o*", "gpt-4o/other", true},
        {"gpt-4o", "openai/gpt-4", false},
        {"llama*", "groq/meta/llama-3", false}, /* "meta/llama-3" does not begin so */
        {"*a*b*", "x/aab", true},
        {"*a*b*", "x/bba", false},
        {"a*a", "a", false},
        {"*/a", "x/a", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (scope_matches(str_from(cases[i].pattern), str_from(cases[i].id)) != cases[i].want)
            fail_msg("%s against %s", cases[i].pattern, cases[i].id);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
