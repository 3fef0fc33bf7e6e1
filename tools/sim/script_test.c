/* SPDX-License-Identifier: MIT
 * script_test.c - rules: which one is used, and how bad ones are refused.
 * Floor: tools/sim, test.
 * Owns: nothing.
 * Invariant: a script that does not load leaves the old one in force. */
#include "tools/sim/script.h"
#include "tools/sim/test_int.h"

static unsigned
status_of(struct script *script, const char *path, const char *model)
{
    struct directives directives = {0};
    script_apply(script, str_from(path), str_from(model), &directives);
    return (unsigned)directive_value(&directives, DIRECTIVE_STATUS, 0);
}

static void
test_match(void **state)
{
    struct script *script = NULL;
    struct err err = {0};
    (void)state;
    assert_int_equal(script_new(&script, &err), 0);
    assert_int_equal(script_load(script,
                                 STR("- match: {path: /a, model: m, nth: 2}\n"
                                     "  do: {status: 429, retry_after: 1}\n"
                                     "- match: {model: m}\n"
                                     "  do: {status: 500}\n"
                                     "- match: {path: /b}\n"
                                     "  do:\n"
                                     "    status: 503\n"
                                     "    lie_usage: zero\n"),
                                 &err),
                     0);
    assert_int_equal(status_of(script, "/a", "m"), 500);
    assert_int_equal(status_of(script, "/a", "m"), 429);
    assert_int_equal(status_of(script, "/a", "m"), 500);
    assert_int_equal(status_of(script, "/b", "x"), 503);
    assert_int_equal(status_of(script, "/c", "x"), 0);
    script_reset(script);
    assert_int_equal(status_of(script, "/a", "m"), 500);
    assert_int_equal(status_of(script, "/a", "m"), 429);
    assert_int_equal(script_load(script, STR(""), &err), 0);
    assert_int_equal(status_of(script, "/b", "x"), 0);
    script_free(&script);
}

static void
test_refused(void **state)
{
    static const struct {
        struct str text;
        int want;
    } rows[] = {
        {STR("status: 1"), -ERR_INVALID},
        {STR("- {}"), -ERR_INVALID},
        {STR("- do: {wrods: 1}"), -ERR_NOT_FOUND},
        {STR("- do: {status: 1000}"), -ERR_RANGE},
        {STR("- match: {host: x}\n  do: {}"), -ERR_INVALID},
        {STR("- match: {nth: 0}\n  do: {}"), -ERR_INVALID},
        {STR("- do: {}\n  then: {}"), -ERR_INVALID},
        {STR("- match: x\n  do: {}"), -ERR_INVALID},
        {STR("- do: {status: 500}\n---\n- do: {status: 500}"), -ERR_INVALID},
        {STR("- do: {status: [1"), -ERR_PARSE},
    };
    struct script *script = NULL;
    struct err err = {0};
    (void)state;
    assert_int_equal(script_new(&script, &err), 0);
    assert_int_equal(script_load(script, STR("- do: {status: 418}"), &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(script_load(script, rows[i].text, &err), rows[i].want);
        assert_int_equal(status_of(script, "/a", "m"), 418);
    }
    script_free(&script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
