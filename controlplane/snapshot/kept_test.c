/* SPDX-License-Identifier: MIT
 * kept_test.c - an owner's catalogue holds, survives a restart, and goes again; what a crash leaves
 *               is swept.
 * Floor: controlplane/snapshot tests.
 * Owns: nothing.
 * Invariant: see kept.h. */
#include "controlplane/snapshot/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The shipped catalogue, dated so. */
static char *
edition_of(const char *as_of)
{
    struct str shipped = catalog_shipped();
    char *text = str_dup(shipped);
    size_t at = str_find(shipped, STR("\"as_of\":\"")) + 9;
    assert_non_null(text);
    memcpy(text + at, as_of, 10);
    return text;
}

static size_t
parts(struct store *store)
{
    struct arena arena;
    struct store_row *rows;
    size_t count = 0;
    arena_init(&arena, 64u << 20);
    assert_int_equal(
        store_list(store, STR("catalog/part/"), STR_EMPTY, 0, &arena, &rows, &count, NULL), 0);
    arena_fini(&arena);
    return count;
}

struct rig {
    struct store *store;
    struct kept kept;
    char *text; /* of 2030-01-02 */
    uint32_t shipped;
    struct err err;
};
static struct rig rig;

static int
open_rig(void **state)
{
    (void)state;
    rig = (struct rig){.text = edition_of("2030-01-02"), .shipped = catalog_version()};
    kept_init(&rig.kept);
    return store_open("memory:", NULL, &rig.store, &rig.err);
}

static int
close_rig(void **state)
{
    (void)state;
    kept_fini(&rig.kept);
    store_close(&rig.store);
    free(rig.text);
    return 0;
}

static void
replaced_and_dropped(void **state)
{
    (void)state;
    assert_int_equal(kept_load(&rig.kept, rig.store, &rig.err), 0); /* there is none */
    assert_int_equal(catalog_version(), rig.shipped);
    assert_int_equal(kept_replace(&rig.kept, rig.store, str_from(rig.text), 20300102, &rig.err), 0);
    assert_int_equal(catalog_version(), 20300102);
    assert_int_equal(parts(rig.store), 3);
    /* the same date again, with whatever prices */
    assert_int_equal(kept_replace(&rig.kept, rig.store, str_from(rig.text), 20300102, &rig.err),
                     -ERR_CONFLICT);
    assert_non_null(strstr(rig.err.text, "as_of"));
    /* a restart */
    kept_fini(&rig.kept);
    assert_int_equal(catalog_version(), rig.shipped);
    assert_int_equal(kept_load(&rig.kept, rig.store, &rig.err), 0);
    assert_int_equal(catalog_version(), 20300102);
    assert_int_equal(kept_drop(&rig.kept, rig.store, &rig.err), 0);
    assert_int_equal(catalog_version(), rig.shipped);
    assert_int_equal(parts(rig.store), 0);
}

/* Every commit of a replacement fails once: the old one holds then and after a restart. */
static void
commits_fail(void **state)
{
    (void)state;
    unsigned nth = 1;
    for (;; nth++) {
        store_fail_commit(rig.store, nth, false);
        int code = kept_replace(&rig.kept, rig.store, str_from(rig.text), 20300102, &rig.err);
        store_fail_commit(rig.store, 0, false);
        if (code == 0)
            break;
        assert_true(catalog_version() < 20300102);
        assert_int_equal(kept_load(&rig.kept, rig.store, &rig.err), 0);
        assert_true(catalog_version() < 20300102);
        assert_int_equal(parts(rig.store), 0);
    }
    assert_int_equal(nth, 5); /* three parts and the head failed */
}

static void
damaged(void **state)
{
    (void)state;
    assert_int_equal(kept_replace(&rig.kept, rig.store, str_from(rig.text), 20300102, &rig.err), 0);
    kept_fini(&rig.kept);
    const struct store_op op = {.key = STR("catalog/part/1/0001"), .value = STR("x")};
    assert_int_equal(store_commit(rig.store, NULL, 0, &op, 1, NULL), 0);
    assert_int_equal(kept_load(&rig.kept, rig.store, &rig.err), -ERR_STORE);
    assert_int_equal(catalog_version(), rig.shipped);
}

/* A release that brings a newer catalogue than the kept one. */
static void
older_than_shipped(void **state)
{
    (void)state;
    char *older = edition_of("2020-01-02");
    catalog_use(str_from(older)); /* as if that had been shipped */
    char *newer = edition_of("2020-01-03");
    assert_int_equal(kept_replace(&rig.kept, rig.store, str_from(newer), 20200103, &rig.err), 0);
    assert_int_equal(catalog_version(), rig.shipped);
    free(newer);
    free(older);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replaced_and_dropped, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(commits_fail, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(damaged, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(older_than_shipped, open_rig, close_rig)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
