/* SPDX-License-Identifier: MIT
 * str_test.c - every function over rows of edges.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: inputs are heap copies of exact size, so that an over-read is seen. */
#include "lib/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

/* A copy with nothing behind it; the sanitizer sees a read past the end. */
static struct str
exact(const char *text)
{
    struct str s = str_from(text);
    char *copy = malloc(MAX(s.len, (size_t)1));
    assert_non_null(copy);
    memcpy(copy, s.ptr, s.len);
    return str_make(copy, s.len);
}

static void
drop(struct str s)
{
    char *owned;
    memcpy(&owned, &s.ptr, sizeof(owned));
    free(owned);
}

static void
test_compare(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int order;
        bool same, same_nocase, starts, ends;
    } rows[] = {
        {"", "", 0, true, true, true, true},
        {"a", "", 1, false, false, true, true},
        {"", "a", -1, false, false, false, false},
        {"abc", "abc", 0, true, true, true, true},
        {"abc", "ab", 1, false, false, true, false},
        {"abc", "bc", -1, false, false, false, true},
        {"ABC", "abc", -1, false, true, false, false},
        {"a[", "a{", -1, false, false, false, false},             /* 0x5b and 0x7b: not letters */
        {"\xc3\x84", "\xc3\xa4", -1, false, false, false, false}, /* ASCII only */
        {"\xff", "a", 1, false, false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str a = exact(rows[i].a);
        struct str b = exact(rows[i].b);
        int order = str_cmp(a, b);
        assert_int_equal((order > 0) - (order < 0), rows[i].order);
        assert_int_equal(str_eq(a, b), rows[i].same);
        assert_int_equal(str_eq_nocase(a, b), rows[i].same_nocase);
        assert_int_equal(str_starts(a, b), rows[i].starts);
        assert_int_equal(str_ends(a, b), rows[i].ends);
        drop(a);
        drop(b);
    }
}

static void
test_nocase_bytes(void **state)
{
    (void)state;
    /* Every pair of bytes, at the start, the middle and the end of each length. */
    for (size_t len = 1; len <= 20; len++) {
        char *a = malloc(len);
        char *b = malloc(len);
        for (unsigned pair = 0; pair < 65536; pair++) {
            unsigned x = pair >> 8;
            unsigned y = pair & 255;
            size_t at = pair % len;
            bool same = x == y || ((x ^ y) == 32 && (x | 32) >= 'a' && (x | 32) <= 'z');
            memset(a, 'k', len);
            memset(b, 'K', len);
            a[at] = (char)x;
            b[at] = (char)y;
            assert_int_equal(str_eq_nocase(str_make(a, len), str_make(b, len)), same);
        }
        free(a);
        free(b);
    }
}

static void
test_find(void **state)
{
    (void)state;
    static const struct {
        const char *s, *needle;
        size_t want;
    } rows[] = {
        {"", "", 0},         {"abc", "", 0},   {"abc", "c", 2},
        {"abc", "abc", 0},   {"abc", "bc", 1}, {"abc", "abcd", SIZE_MAX},
        {"", "a", SIZE_MAX}, {"aab", "ab", 1}, {"abc", "d", SIZE_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str s = exact(rows[i].s);
        assert_int_equal(str_find(s, str_from(rows[i].needle)), rows[i].want);
        if (rows[i].needle[0] != '\0' && rows[i].needle[1] == '\0')
            assert_int_equal(str_find_byte(s, rows[i].needle[0]), rows[i].want);
        drop(s);
    }
    assert_int_equal(str_find_byte(str_make(NULL, 0), 'x'), SIZE_MAX);
}

static void
test_trim_cut_skip(void **state)
{
    (void)state;
    static const struct {
        const char *s, *trimmed, *head, *rest;
        bool cut;
    } rows[] = {
        {"", "", "", "", false},
        {" \t\r\n", "", " \t\r\n", "", false},
        {" a b ", "a b", " a b ", "", false},
        {"a:b:c", "a:b:c", "a", "b:c", true},
        {":b", ":b", "", "b", true},
        {"a:", "a:", "a", "", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str s = exact(rows[i].s);
        assert_true(str_eq(str_trim(s), str_from(rows[i].trimmed)));
        struct str head;
        struct str rest = s;
        assert_int_equal(str_cut(rest, ':', &head, &rest), rows[i].cut);
        assert_true(str_eq(head, str_from(rows[i].head)));
        assert_true(str_eq(rest, str_from(rows[i].rest)));
        drop(s);
    }
    assert_true(str_eq(str_skip(STR("abc"), 1), STR("bc")));
    assert_int_equal(str_skip(STR("abc"), 3).len, 0);
    assert_int_equal(str_skip(STR("abc"), SIZE_MAX).len, 0);
}

static void
test_copies(void **state)
{
    (void)state;
    char *copy = str_dup(STR("a\0b"));
    assert_non_null(copy);
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = str_dup(str_make(NULL, 0));
    assert_string_equal(copy, "");
    free(copy);

    char four[4] = "zzz";
    assert_true(str_copy(four, sizeof(four), STR("abc")));
    assert_string_equal(four, "abc");
    assert_false(str_copy(four, sizeof(four), STR("abcd")));
    assert_string_equal(four, "");
    assert_false(str_copy(four, 0, STR_EMPTY));
}

static void
test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned want;
    } rows[] = {
        {"", "", 0},
        {"abc", "", 3},
        {"kitten", "sitting", 3},
        {"flaw", "lawn", 2},
        {"gpt-4o", "gpt-4o", 0},
        {"gpt4o", "gpt-4o", 1},
        {"saturday", "sunday", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(str_distance(str_from(rows[i].a), str_from(rows[i].b)), rows[i].want);
        assert_int_equal(str_distance(str_from(rows[i].b), str_from(rows[i].a)), rows[i].want);
    }
    static const struct {
        const char *name;
        unsigned want;
    } near[] = {{"", 0},      {"-f", 0},      {"nop", 1},       {"nope", 1},
                {"walet", 2}, {"dev-evn", 3}, {"containers", 3}};
    for (size_t i = 0; i < ARRAY_LEN(near); i++)
        assert_int_equal(str_near_max(str_from(near[i].name)), near[i].want);
    char long_text[200];
    memset(long_text, 'a', sizeof(long_text));
    assert_int_equal(str_distance(str_make(long_text, 200), STR_EMPTY), 64);
    assert_int_equal(str_distance(str_make(long_text, 200), str_make(long_text, 64)), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),       cmocka_unit_test(test_find),
        cmocka_unit_test(test_trim_cut_skip), cmocka_unit_test(test_copies),
        cmocka_unit_test(test_distance),      cmocka_unit_test(test_nocase_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
