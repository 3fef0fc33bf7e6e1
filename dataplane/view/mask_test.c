/* SPDX-License-Identifier: MIT
 * mask_test.c - the key whole, encoded and in pieces; and everything that is not the key.
 * Floor: dataplane/view; test.
 * Owns: nothing.
 * Invariant: see mask.h. */
#include "dataplane/view/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KEY "sk-proj-0123456789abcdefghij/klmnopqrstuv+wxyz"

/* pieces: events, a line each; one that begins with '!' carries no text of the answer. */
static const struct {
    const char *name;
    const char *pieces;
    const char *want;
} rows[] = {
    {"nothing", "{\"c\":\"hello\"}\n{\"c\":\"sk-\"}", "{\"c\":\"hello\"}\n{\"c\":\"sk-\"}"},
    {"whole", "{\"c\":\"a " KEY " b\"}",
     "{\"c\":\"a ********************************************** b\"}"},
    {"twice", "\"" KEY KEY "\"",
     "\"****************************************************************************************"
     "****\""},
    {"JSON escape", "\"sk-proj-0123456789abcdefghij\\/klmnopqrstuv+wxyz\"",
     "\"***********************************************\""},
    {"percent", "\"sk-proj-0123456789abcdefghij%2Fklmnopqrstuv%2Bwxyz\"",
     "\"**************************************************\""},
    {"two pieces", "\"sk-proj-012\"\n\"3456789abcdefghij/klmnopqrstuv+wxyz more\"",
     "\"sk-proj-012\"\n\"*********************************** more\""},
    {"long first piece", "\"x sk-proj-0123456789abcdef\"\n\"ghij/klmnopqrstuv+wxyz\"",
     "\"x ************************\"\n\"**********************\""},
    {"a ping between", "\"sk-proj-012\"\n!\"ping\"\n\"3456789abcdefghij/klmnopqrstuv+wxyz\"",
     "\"sk-proj-012\"\n!\"ping\"\n\"***********************************\""},
    {"another word between", "\"sk-proj-012\"\n\"no\"\n\"3456789abc\"",
     "\"sk-proj-012\"\n\"no\"\n\"3456789abc\""},
    {"15 bytes", "\"sk-proj-0123456\"\n\"!\"", "\"sk-proj-0123456\"\n\"!\""},
    {"same begin", "\"sk-proj-0123\"\n\"4x6789abcdefghij\"",
     "\"sk-proj-0123\"\n\"4x6789abcdefghij\""},
};

static void
test_streams(void **state)
{
    struct arena arena;
    struct buf out;
    struct buf have;
    struct mask mask;
    (void)state;
    arena_init(&arena, 1u << 16);
    assert_int_equal(mask_init(&mask, STR(KEY), &arena), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mask_run run = {0};
        struct str rest = str_from(rows[i].pieces);
        buf_init(&out, 4096);
        buf_init(&have, 4096);
        for (bool more = true; more;) {
            struct str piece;
            more = str_cut(rest, '\n', &piece, &rest);
            struct str got = mask_stream(&mask, &run, piece, piece.ptr[0] != '!', &out);
            assert_true(got.ptr == piece.ptr || !str_eq(got, piece)); /* no copy for nothing */
            assert_int_equal(buf_put_str(&have, got), 0);
            if (more)
                assert_int_equal(buf_put_byte(&have, '\n'), 0);
        }
        if (!str_eq(buf_str(&have), str_from(rows[i].want)))
            fail_msg("%s: have %s", rows[i].name, buf_cstr(&have));
        buf_fini(&out);
        buf_fini(&have);
    }
    arena_fini(&arena);
}

static void
test_encodings(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } texts[] = {
        {"c2stcHJvai0wMTIzNDU2Nzg5YWJjZGVmZ2hpai9rbG1ub3BxcnN0dXYrd3h5eg==", true},
        {"eHNrLXByb2otMDEyMzQ1Njc4OWFiY2RlZmdoaWova2xtbm9wcXJzdHV2K3d4eXo=", true},
        {"eHhzay1wcm9qLTAxMjM0NTY3ODlhYmNkZWZnaGlqL2tsbW5vcHFyc3R1dit3eHl6", true},
        {"736b2d70726f6a2d303132333435363738396162636465666768696a2f6b6c6d6e6f70717273747576"
         "2b7778797a",
         true},
        {"c2stcHJvai0wMTIzNDU2Nzg5YWJjZGVmZ2hpai9rbG1ub3Bx", false},
        {"", false},
    };
    struct arena arena;
    struct mask mask;
    (void)state;
    arena_init(&arena, 1u << 16);
    assert_int_equal(mask_init(&mask, STR(KEY), &arena), 0);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(mask_holds(&mask, str_from(texts[i].text)), texts[i].want);
    assert_int_equal(mask_init(&mask, STR("sim"), &arena), 0);
    assert_false(mask_holds(&mask, STR("simple")));
    assert_int_equal(mask_init(&mask, STR("AKIDEXAMPLE:secret-half-of-the-key"), &arena), 0);
    assert_true(mask_holds(&mask, STR("x secret-half-of-the-key x")));
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_streams),
                                       cmocka_unit_test(test_encodings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
