/* SPDX-License-Identifier: MIT
 * edition_test.c - what is a catalogue, what is refused and why, and what changed.
 * Floor: controlplane/catalog tests.
 * Owns: nothing.
 * Invariant: see edition.h. */
#include "controlplane/catalog/edition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD_OF(date, count)                                                               \
    "{\n\"schema\":\"gateway-catalog/1\",\n\"as_of\":\"" date "\",\n\"currency\":\"USD\"," \
    "\n\"count\":" count ",\n\"models\":[\n"
#define MODEL_OF(id, more, pricing)                                                         \
    "{\"id\":\"x/" id "\",\"provider\":\"x\",\"upstream_id\":\"" id "\",\"kind\":\"chat\"," \
    "\"modalities\":{\"input\":[\"text\"],\"output\":[\"text\"]},\"capabilities\":[]," more \
    "\"pricing\":{" pricing "}}"
#define A MODEL_OF("a", "", "\"input\":1,\"output\":2")
#define B MODEL_OF("b", "", "\"input\":3,\"output\":4")
#define TAIL "\n]}\n"

static void
shipped(void **state)
{
    (void)state;
    struct err err = {0};
    uint32_t version = 0;
    uint32_t count = 0;
    if (edition_check(catalog_shipped(), &version, &count, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(version, catalog_version());
    assert_int_equal(count, 2990);
}

static void
refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        const char *want; /* part of the message; NULL: it passes */
    } cases[] = {
        {"two models", HEAD_OF("2026-09-01", "2") A ",\n" B TAIL, NULL},
        {"one model", HEAD_OF("2026-09-01", "1") A TAIL, NULL},
        {"empty", "", "JSON"},
        {"no catalogue", "[]", "schema"},
        {"another schema", "{\"schema\":\"x\"}", "schema"},
        {"no date", HEAD_OF("soon", "1") A TAIL, "as_of"},
        {"cut", HEAD_OF("2026-09-01", "3") A ",\n" B TAIL, "cut"},
        {"unsorted", HEAD_OF("2026-09-01", "2") B ",\n" A TAIL, "model x/a: ids must be sorted"},
        {"twice", HEAD_OF("2026-09-01", "2") A ",\n" A TAIL, "sorted"},
        {"one line", HEAD_OF("2026-09-01", "2") A "," B TAIL, "line"},
        {"a blank line", HEAD_OF("2026-09-01", "2") A ",\n\n" B TAIL, "line"},
        {"a blank", HEAD_OF("2026-09-01", "1") A " \n]}", "line"},
        {"closed at once", HEAD_OF("2026-09-01", "1") A "]}", "line"},
        {"a float", HEAD_OF("2026-09-01", "1") MODEL_OF("a", "", "\"input\":1.5") TAIL, "whole"},
        {"less than nothing", HEAD_OF("2026-09-01", "1") MODEL_OF("a", "", "\"input\":-1") TAIL,
         "whole"},
        {"unknown price", HEAD_OF("2026-09-01", "1") MODEL_OF("a", "", "\"inptu\":1") TAIL,
         "unknown price"},
        {"unknown member",
         HEAD_OF("2026-09-01", "1") MODEL_OF("a", "\"zeal\":1,", "\"input\":1") TAIL, "know"},
        {"unknown kind",
         HEAD_OF("2026-09-01", "1") "{\"id\":\"x/a\",\"provider\":\"x\",\"upstream_id\":\"a\","
                                    "\"kind\":\"oracle\"}" TAIL,
         "kind"},
        {"another's id",
         HEAD_OF("2026-09-01", "1") "{\"id\":\"x/a\",\"provider\":\"y\",\"upstream_id\":\"a\","
                                    "\"kind\":\"chat\"}" TAIL,
         "PROVIDER/NAME"},
        {"escapes",
         HEAD_OF("2026-09-01", "1") MODEL_OF("a", "\"display_name\":\"\\u0041\",", "") TAIL,
         "escapes"},
        {"a tier without its length",
         HEAD_OF("2026-09-01", "1") MODEL_OF("a", "", "\"input\":1,\"tiers\":[{\"input\":2}]") TAIL,
         "hold together"},
        {"a key twice", HEAD_OF("2026-09-01", "1") MODEL_OF("a", "\"kind\":\"chat\",", "") TAIL,
         "duplicate"},
        {"unknown at the top", "{\"schema\":\"gateway-catalog/1\",\"more\":1}", "\"more\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        uint32_t version;
        uint32_t count;
        int code = edition_check(str_from(cases[i].text), &version, &count, &err);
        if (cases[i].want ? code == 0 || !strstr(err.text, cases[i].want) : code != 0)
            fail_msg("%s: %d %s", cases[i].name, code, err.text);
    }
}

static void
note(enum edition_change change, const struct catalog_model *before,
     const struct catalog_model *after, void *user)
{
    static const char signs[] = {'+', '-', '$', '~'};
    char *seen = user;
    size_t len = strlen(seen);
    struct str id = after ? after->id : before->id;
    (void)snprintf(seen + len, 128 - len, "%c%.*s ", signs[change], STR_ARG(id));
}

static void
changes(void **state)
{
    (void)state;
    static const char before[] = HEAD_OF("2026-09-01", "4") A
        ",\n" B ",\n" MODEL_OF("c", "", "\"input\":1") ",\n" MODEL_OF("e", "", "\"input\":1") TAIL;
    static const char after[] = HEAD_OF("2026-09-02", "4") A
        ",\n" MODEL_OF("b", "", "\"input\":3,\"output\":5") ",\n" MODEL_OF(
            "d", "", "\"input\":1") ",\n" MODEL_OF("e", "\"context_tokens\":9,", "\"input\":1")
            TAIL;
    char seen[128] = "";
    assert_int_equal(edition_compare(str_from(before), str_from(after), note, seen), 0);
    assert_string_equal(seen, "$x/b -x/c +x/d ~x/e ");
    seen[0] = '\0';
    assert_int_equal(edition_compare(str_from(after), str_from(after), note, seen), 0);
    assert_string_equal(seen, "");
}

static void
in_use(void **state)
{
    (void)state;
    static const char text[] = HEAD_OF("2026-09-01", "2") A ",\n" B TAIL;
    struct catalog_model model;
    size_t cursor = 0;
    catalog_use(str_from(text));
    assert_int_equal(catalog_version(), 20260901);
    assert_int_equal(catalog_find(STR("x/b"), &model), 0);
    assert_true(str_eq(model.pricing, STR("{\"input\":3,\"output\":4}")));
    assert_int_equal(catalog_find(STR("openai/gpt-4o-mini"), &model), -ERR_NOT_FOUND);
    assert_int_equal(catalog_next(STR("x"), &cursor, &model), 0);
    assert_true(str_eq(model.id, STR("x/a")));
    catalog_use((struct str){NULL, 0});
    assert_int_equal(catalog_find(STR("openai/gpt-4o-mini"), &model), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shipped), cmocka_unit_test(refusals),
                                       cmocka_unit_test(changes), cmocka_unit_test(in_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
