/* SPDX-License-Identifier: MIT
 * endpoints_test.c - api/openapi/client.yaml and endpoints.def say the same.
 * Floor: test; run from the root of the project.
 * Owns: nothing.
 * Invariant: every row is documented, and every documented path is a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/text/tree.h"

static const struct {
    const char *method;
    const char *path;
} rows[] = {
#define ENDPOINT_ROW(method, version, path, speaks, kind, list, stream) {method, version path},
#include "dataplane/front/endpoints.def"
#undef ENDPOINT_ROW
};

static void
document_and_rows_agree(void **state)
{
    (void)state;
    static char text[65536];
    FILE *file = fopen("api/openapi/client.yaml", "re");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    struct arena arena;
    struct tree *list = NULL;
    struct err err = {0};
    arena_init(&arena, 16u << 20);
    if (tree_from_yaml(str_make(text, bytes), &arena, &list, &err) != 0)
        fail_msg("line %u: %s", err.line, err.text);
    const struct tree *paths = tree_get(list->first, STR("paths"));
    assert_non_null(paths);
    uint32_t documented = 0;
    for (const struct tree *path = paths->first; path != NULL; path = path->next) {
        for (const struct tree *method = path->first; method != NULL; method = method->next) {
            bool found = false;
            for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                found = found || (str_eq(path->key, str_from(rows[i].path)) &&
                                  str_eq_nocase(method->key, str_from(rows[i].method)));
            if (!found)
                fail_msg("%.*s %.*s is documented but not routed", STR_ARG(method->key),
                         STR_ARG(path->key));
            documented++;
        }
    }
    assert_int_equal(documented, ARRAY_LEN(rows));
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(document_and_rows_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
