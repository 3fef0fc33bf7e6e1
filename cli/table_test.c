/* SPDX-License-Identifier: MIT
 * table_test.c - what a table looks like on a terminal.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see table.h. */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
test_render(void **state)
{
    static const struct {
        const char *name;
        const char *cells[4];
        const char *want;
    } rows[] = {
        {"no rows", {NULL}, "NAME  N\n"},
        {"left and right", {"a", "1", "longer", "23"}, "NAME     N\na        1\nlonger  23\n"},
        {"empty is a dash", {"", "1"}, "NAME  N\n-     1\n"},
        {"characters, not bytes",
         {"\xc3\xa9t\xc3\xa9s!", "1"},
         "NAME   N\n\xc3\xa9t\xc3\xa9s!  1\n"},
        {"control bytes are shown", {"a\033[2Jb", "\n"}, "NAME    N\na?[2Jb  ?\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct table table;
        struct buf out;
        table_init(&table);
        buf_init(&out, 4096);
        table_column(&table, "NAME", false);
        table_column(&table, "N", true);
        for (size_t c = 0; c < 4 && rows[i].cells[c] != NULL; c++)
            table_cell(&table, str_from(rows[i].cells[c]));
        assert_int_equal(table_render(&table, &out), 0);
        assert_string_equal(buf_cstr(&out), rows[i].want);
        buf_fini(&out);
    }
}

static void
test_nano(void **state)
{
    static const struct {
        const char *nano;
        const char *want;
    } rows[] = {
        {"0", "0.00"}, {"21735", "0.000021735"}, {"-1000000000", "-1.00"}, {"x", "-"}, {"", "-"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct table table;
        struct buf out;
        char want[64];
        table_init(&table);
        buf_init(&out, 4096);
        table_column(&table, "U", false);
        table_cell_nano(&table, str_from(rows[i].nano));
        (void)snprintf(want, sizeof want, "U\n%s\n", rows[i].want);
        assert_int_equal(table_render(&table, &out), 0);
        assert_string_equal(buf_cstr(&out), want);
        buf_fini(&out);
    }
}

static void
test_csv(void **state)
{
    struct table table;
    struct buf out;
    (void)state;
    table_init(&table);
    table.csv = true;
    buf_init(&out, 4096);
    table_column(&table, "NAME", false);
    table_column(&table, "N", true);
    static const char *const cells[] = {"a,b", "1",    "say \"x\"", "-2", "",
                                        "",    "=1+1", "3",         "@x", "-"};
    for (size_t i = 0; i < ARRAY_LEN(cells); i++)
        table_cell(&table, str_from(cells[i]));
    assert_int_equal(table_render(&table, &out), 0);
    assert_string_equal(buf_cstr(&out), "NAME,N\r\n\"a,b\",1\r\n\"say \"\"x\"\"\",-2\r\n,\r\n"
                                        "'=1+1,3\r\n'@x,\r\n");
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_render), cmocka_unit_test(test_csv),
                                       cmocka_unit_test(test_nano)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
