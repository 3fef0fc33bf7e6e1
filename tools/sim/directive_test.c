/* SPDX-License-Identifier: MIT
 * directive_test.c - directives in text, their values and their errors.
 * Floor: tools/sim, test.
 * Owns: nothing.
 * Invariant: nothing unknown is ignored. */
#include "tools/sim/directive.h"
#include "tools/sim/test_int.h"

struct row {
    const char *name;
    struct str text;
    enum directive_id id;
    uint64_t want;
    int want_err;
};

static void
test_parse(void **state)
{
    static const struct row rows[] = {
        {"one", STR("words=50"), DIRECTIVE_WORDS, 50, 0},
        {"blanks", STR(" words = 50 , chunk_ms=5 "), DIRECTIVE_CHUNK_MS, 5, 0},
        {"bare", STR("close_without_done"), DIRECTIVE_CLOSE_WITHOUT_DONE, 1, 0},
        {"empty items", STR(",,status=429,"), DIRECTIVE_STATUS, 429, 0},
        {"last wins", STR("words=1,words=2"), DIRECTIVE_WORDS, 2, 0},
        {"lie", STR("lie_usage=cached_gt_prompt"), DIRECTIVE_LIE_USAGE, LIE_CACHED, 0},
        {"unknown", STR("wrods=1"), DIRECTIVE_WORDS, 0, -ERR_NOT_FOUND},
        {"unknown lie", STR("lie_usage=maybe"), DIRECTIVE_WORDS, 0, -ERR_RANGE},
        {"too large", STR("status=600"), DIRECTIVE_STATUS, 0, -ERR_RANGE},
        {"negative", STR("words=-1"), DIRECTIVE_WORDS, 0, -ERR_RANGE},
        {"not a number", STR("words=x"), DIRECTIVE_WORDS, 0, -ERR_RANGE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct directives directives = {0};
        struct err err = {0};
        assert_int_equal(directives_parse(&directives, rows[i].text, &err), rows[i].want_err);
        if (rows[i].want_err != 0)
            assert_true(err.text[0] != '\0');
        else
            assert_int_equal(directive_value(&directives, rows[i].id, 999), rows[i].want);
    }
}

static void
test_in_text(void **state)
{
    static const struct {
        struct str text;
        struct str want;
    } rows[] = {
        {STR("hello [[sim: words=5]] there"), STR(" words=5")},
        {STR("[[sim:]]"), STR("")},
        {STR("[[sim: never closed"), STR("")},
        {STR("plain"), STR("")},
        {STR("[[sim: a]] [[sim: b]]"), STR(" a")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(str_eq(directives_in_text(rows[i].text), rows[i].want));
}

static void
test_merge(void **state)
{
    struct directives a = {0};
    struct directives b = {0};
    (void)state;
    assert_int_equal(directives_parse(&a, STR("words=1,cached=2"), NULL), 0);
    assert_int_equal(directives_parse(&b, STR("words=3,status=500"), NULL), 0);
    directives_merge(&a, &b);
    assert_int_equal(directive_value(&a, DIRECTIVE_WORDS, 0), 3);
    assert_int_equal(directive_value(&a, DIRECTIVE_CACHED, 0), 2);
    assert_int_equal(directive_value(&a, DIRECTIVE_STATUS, 0), 500);
    assert_false(directive_given(&a, DIRECTIVE_TTFT_MS));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_in_text),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
