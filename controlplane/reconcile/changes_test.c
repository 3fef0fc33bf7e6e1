/* SPDX-License-Identifier: MIT
 * changes_test.c - what is kept of what scans found, and what is forgotten.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves changes.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/reconcile/changes.h"

#define ONE(model, code, at) "{\"model\":\"" model "\",\"code\":\"" code "\",\"at\":\"" at "\"}"

static void
merges(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *news;
        int want_err;
        const char *want;
    } rows[] = {
        {"", ONE("a", "new_model", "1"), 0, "[" ONE("a", "new_model", "1") "]"},
        {"[" ONE("a", "new_model", "1") "," ONE("b", "not_listed", "1") "]",
         ONE("b", "reappeared", "2") "," ONE("a", "new_model", "2"), 0,
         "[" ONE("b", "reappeared", "2") "," ONE("a", "new_model", "2") "," ONE("b", "not_listed",
                                                                                "1") "]"},
        {"{\"broken\":", ONE("a", "new_model", "1"), 0, "[" ONE("a", "new_model", "1") "]"},
        {"{\"no\":\"list\"}", "", 0, "[]"},
        {"[1,\"x\"," ONE("a", "new_model", "1") "]", "", 0, "[" ONE("a", "new_model", "1") "]"},
        {"", "{\"model\":", -ERR_INVALID, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 1u << 20);
        assert_int_equal(changes_merge(str_from(rows[i].before), str_from(rows[i].news), &out),
                         rows[i].want_err);
        if (rows[i].want_err == 0)
            assert_string_equal(buf_cstr(&out), rows[i].want);
        buf_fini(&out);
    }
}

static void
the_oldest_go_first(void **state)
{
    (void)state;
    struct buf before;
    struct buf out;
    struct json_doc doc;
    buf_init(&before, 1u << 20);
    buf_init(&out, 1u << 20);
    json_init(&doc);
    for (unsigned i = 0; i < CHANGES_MAX; i++)
        buf_printf(&before, "%s{\"model\":\"m%u\",\"code\":\"new_model\"}", i > 0 ? "," : "[", i);
    buf_put_byte(&before, ']');
    assert_int_equal(changes_merge(buf_str(&before), STR(ONE("x", "reappeared", "9")), &out), 0);
    assert_int_equal(json_scan(&doc, buf_str(&out), NULL, NULL), 0);
    assert_int_equal(json_count(&doc, 0), CHANGES_MAX);
    assert_int_equal(str_find(buf_str(&out), STR("\"m499\"")), SIZE_MAX);
    assert_true(str_starts(buf_str(&out), STR("[{\"model\":\"x\"")));
    json_fini(&doc);
    buf_fini(&out);
    buf_fini(&before);
}

static void
every_change_has_a_code(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEEN_NEWS; i++)
        assert_int_equal(changes_code((enum seen_news)i) == NULL, i == SEEN_MISSING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(merges),
                                       cmocka_unit_test(the_oldest_go_first),
                                       cmocka_unit_test(every_change_has_a_code)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
