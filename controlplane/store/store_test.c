/* SPDX-License-Identifier: MIT
 * store_test.c - every backend of stores.def passes the same cases.
 * Floor: controlplane/store tests.
 * Owns: a folder under /tmp for the time of a test.
 * Invariant: see store.h. */
#include "controlplane/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/rand.h"
#include "lib/net/loop.h"

static char folder[64];
static struct loop *loop;
static struct arena arena;

static struct store *
open_fresh(const char *scheme)
{
    char url[128];
    struct err err = {0};
    struct store *store = NULL;
    if (strcmp(scheme, "sqlite") == 0)
        (void)snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    else
        (void)snprintf(url, sizeof url, "%s:", scheme);
    if (store_open(url, loop, &store, &err) < 0)
        fail_msg("%s: %s", url, err.text);
    return store;
}

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/berth-store-XXXXXX");
    arena_init(&arena, 64u << 20);
    return mkdtemp(folder) == NULL || loop_new(&loop, NULL) < 0;
}

static int
teardown(void **state)
{
    (void)state;
    static const char *const files[] = {"a.db", "a.db-wal", "a.db-journal"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    arena_fini(&arena);
    loop_free(&loop);
    return rmdir(folder);
}

static int
put(struct store *store, const char *key, const char *value)
{
    struct store_op op = {.key = str_from(key), .value = str_from(value)};
    return store_commit(store, NULL, 0, &op, 1, NULL);
}

static int
delete_key(struct store *store, const char *key)
{
    struct store_op op = {.delete_ = true, .key = str_from(key)};
    return store_commit(store, NULL, 0, &op, 1, NULL);
}

/* "value@create,mod", or "-" when absent */
static const char *
get(struct store *store, const char *key)
{
    struct store_row row;
    int r = store_get(store, str_from(key), &arena, &row);
    if (r == -ERR_NOT_FOUND)
        return "-";
    assert_int_equal(r, 0);
    assert_true(str_eq(row.key, str_from(key)));
    return arena_printf(&arena, "%.*s@%llu,%llu", STR_ARG(row.value),
                        (unsigned long long)row.create_rev, (unsigned long long)row.mod_rev)
        .ptr;
}

static void
rows_case(struct store *store)
{
    assert_true(store_revision(store) == 0);
    assert_string_equal(get(store, "a"), "-");
    assert_int_equal(put(store, "a", "one"), 0);
    assert_int_equal(put(store, "b", ""), 0);
    assert_string_equal(get(store, "b"), "@2,2");
    assert_int_equal(put(store, "a", "two"), 0);
    assert_string_equal(get(store, "a"), "two@1,3");
    assert_int_equal(delete_key(store, "a"), 0);
    assert_int_equal(delete_key(store, "never"), 0);
    assert_string_equal(get(store, "a"), "-");
    assert_int_equal(put(store, "a", "three"), 0);
    assert_string_equal(get(store, "a"), "three@6,6");
    assert_true(store_revision(store) == 6);
}

static void
conds_case(struct store *store)
{
    struct store_op ops[] = {{.key = STR("x"), .value = STR("1")},
                             {.key = STR("y"), .value = STR("1")}};
    struct store_cond absent = {STR("x"), 0};
    uint64_t revision = 77;
    assert_int_equal(store_commit(store, &absent, 1, ops, 2, &revision), 0);
    assert_true(revision == 1);
    ops[1].value = STR("2");
    revision = 77;
    assert_int_equal(store_commit(store, &absent, 1, ops, 2, &revision), -ERR_CONFLICT);
    assert_true(revision == 77);
    assert_string_equal(get(store, "y"), "1@1,1");
    struct store_cond both[] = {{STR("x"), 1}, {STR("y"), 2}};
    assert_int_equal(store_commit(store, both, 2, ops, 2, NULL), -ERR_CONFLICT);
    both[1].mod_rev = 1;
    assert_int_equal(store_commit(store, both, 2, ops, 2, &revision), 0);
    assert_true(revision == 2 && store_revision(store) == 2);
    struct store_cond missing = {STR("z"), 9};
    assert_int_equal(store_commit(store, &missing, 1, ops, 2, NULL), -ERR_CONFLICT);
}

static const char *
list(struct store *store, const char *prefix, const char *after, size_t limit)
{
    struct store_row *rows;
    size_t count;
    uint64_t revision;
    assert_int_equal(store_list(store, str_from(prefix), str_from(after), limit, &arena, &rows,
                                &count, &revision),
                     0);
    assert_true(revision == store_revision(store));
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_printf(&arena, "%s%.*s ", text, STR_ARG(rows[i].key)).ptr;
    return text;
}

static void
list_case(struct store *store)
{
    static const char *const keys[] = {"o/b", "o/a", "o~", "o/a/x", "n", "o/c", "p", "o", "o/B"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(put(store, keys[i], "v"), 0);
    assert_string_equal(list(store, "o/", "", 0), "o/B o/a o/a/x o/b o/c ");
    assert_string_equal(list(store, "o/", "", 2), "o/B o/a ");
    assert_string_equal(list(store, "o/", "o/a", 2), "o/a/x o/b ");
    assert_string_equal(list(store, "o/", "o/aa", 2), "o/b o/c ");
    assert_string_equal(list(store, "o/", "o/c", 2), "");
    assert_string_equal(list(store, "o/", "a", 1), "o/B ");
    assert_string_equal(list(store, "", "", 0), "n o o/B o/a o/a/x o/b o/c o~ p ");
    assert_string_equal(list(store, "q", "", 0), "");
}

static void
limits_case(struct store *store)
{
    static char long_key[STORE_KEY_BYTES_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    assert_int_equal(put(store, long_key, "v"), -ERR_INVALID);
    assert_int_equal(put(store, long_key + 1, "v"), 0);
    assert_int_equal(put(store, "", "v"), -ERR_INVALID);
    assert_int_equal(put(store, "a b", "v"), -ERR_INVALID);
    assert_int_equal(put(store, "a\x7f", "v"), -ERR_INVALID);
    assert_int_equal(put(store, "\xc3\xa4", "v"), -ERR_INVALID);
    struct store_op ops[STORE_COMMIT_OPS_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        ops[i] = (struct store_op){.key = arena_printf(&arena, "k%zu", i), .value = STR("v")};
    assert_int_equal(store_commit(store, NULL, 0, ops, ARRAY_LEN(ops), NULL), -ERR_TOO_LARGE);
    assert_int_equal(store_commit(store, NULL, 0, ops, 0, NULL), -ERR_INVALID);
    assert_int_equal(store_commit(store, NULL, 0, ops, STORE_COMMIT_OPS_MAX, NULL), 0);
    ops[1].key = ops[0].key;
    assert_int_equal(store_commit(store, NULL, 0, ops, 2, NULL), -ERR_INVALID);
    ops[1].key = STR("other");
    char *large = arena_zalloc(&arena, STORE_VALUE_BYTES_MAX + 1);
    assert_non_null(large);
    ops[0].value = str_make(large, STORE_VALUE_BYTES_MAX + 1);
    assert_int_equal(store_commit(store, NULL, 0, ops, 1, NULL), -ERR_TOO_LARGE);
    ops[0].value.len--;
    assert_int_equal(store_commit(store, NULL, 0, ops, 1, NULL), 0);
    ops[1].value = ops[0].value;
    assert_int_equal(store_commit(store, NULL, 0, ops, 2, NULL), -ERR_TOO_LARGE);
    assert_true(store_revision(store) == 3);
    struct store_row row;
    assert_int_equal(store_get(store, ops[0].key, &arena, &row), 0);
    assert_true(str_eq(row.value, ops[0].value)); /* all NUL bytes */
}

/* What a watch saw, as text: "key=value@rev ", "-key@rev ", and "|" behind each call. */
struct seen {
    struct store *store;
    struct buf text;
    struct store_watch *watch;
    bool unwatch;
    bool commit;
};

static void
on_events(struct store_watch *watch, const struct store_event *events, size_t count,
          uint64_t revision, void *user)
{
    struct seen *seen = user;
    assert_ptr_equal(watch, seen->watch);
    assert_true(count > 0 && revision >= events[count - 1].revision);
    for (size_t i = 0; i < count; i++) {
        if (events[i].deleted)
            buf_printf(&seen->text, "-%.*s@%llu ", STR_ARG(events[i].key),
                       (unsigned long long)events[i].revision);
        else
            buf_printf(&seen->text, "%.*s=%.*s@%llu ", STR_ARG(events[i].key),
                       STR_ARG(events[i].value), (unsigned long long)events[i].revision);
    }
    if (seen->unwatch)
        store_unwatch(&seen->watch);
    if (seen->commit) {
        seen->commit = false;
        assert_int_equal(put(seen->store, "o/again", "x"), 0);
    }
}

static void
watch_case(struct store *store)
{
    struct seen all = {.store = store};
    struct seen late = {.store = store};
    buf_init(&all.text, 1u << 20);
    buf_init(&late.text, 1u << 20);
    assert_int_equal(store_watch(store, STR("o/"), 1, on_events, &all, &all.watch), -ERR_INVALID);
    assert_int_equal(store_watch(store, STR("o/"), 0, on_events, &all, &all.watch), 0);
    assert_int_equal(put(store, "o/a", "1"), 0);
    assert_string_equal(buf_cstr(&all.text), ""); /* never inside the commit */
    assert_int_equal(put(store, "other", "1"), 0);
    assert_int_equal(put(store, "o/b", "1"), 0);
    assert_int_equal(delete_key(store, "o/a"), 0);
    assert_int_equal(delete_key(store, "o/a"), 0);
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&all.text), "o/a=1@1 o/b=1@3 -o/a@4 ");
    all.text.len = 0;
    assert_int_equal(store_watch(store, STR("o/"), 1, on_events, &late, &late.watch), 0);
    late.unwatch = true;
    all.commit = true;
    assert_int_equal(put(store, "o/c", "2"), 0);
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&late.text), "o/b=1@3 -o/a@4 o/c=2@6 o/again=x@7 ");
    assert_string_equal(buf_cstr(&all.text), "o/c=2@6 "); /* its own commit is the next turn's */
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&all.text), "o/c=2@6 o/again=x@7 ");
    assert_int_equal(put(store, "o/d", "3"), 0);
    store_unwatch(&all.watch);
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&all.text), "o/c=2@6 o/again=x@7 ");
    assert_string_equal(buf_cstr(&late.text), "o/b=1@3 -o/a@4 o/c=2@6 o/again=x@7 ");
    buf_fini(&all.text);
    buf_fini(&late.text);
}

/* A quiet op is a row like any other, and a condition sees it; a watch does not, now or later. */
static void
quiet_case(struct store *store)
{
    struct seen all = {.store = store};
    struct seen late = {.store = store};
    buf_init(&all.text, 1u << 20);
    buf_init(&late.text, 1u << 20);
    assert_int_equal(store_watch(store, STR("o/"), 0, on_events, &all, &all.watch), 0);
    const struct store_op both[] = {{.key = STR("o/a"), .value = STR("1"), .quiet = true},
                                    {.key = STR("o/b"), .value = STR("2")}};
    const struct store_op alone = {.key = STR("o/a"), .value = STR("3"), .quiet = true};
    const struct store_op gone[] = {{.key = STR("o/a"), .delete_ = true, .quiet = true},
                                    {.key = STR("o/none"), .delete_ = true, .quiet = true}};
    const struct store_cond cond = {STR("o/a"), 1};
    assert_int_equal(store_commit(store, NULL, 0, both, 2, NULL), 0);
    assert_int_equal(store_commit(store, &cond, 1, &alone, 1, NULL), 0);
    assert_int_equal(store_commit(store, &cond, 1, &alone, 1, NULL), -ERR_CONFLICT);
    assert_string_equal(get(store, "o/a"), "3@1,2");
    assert_int_equal(store_commit(store, NULL, 0, gone, 2, NULL), 0);
    assert_string_equal(get(store, "o/a"), "-");
    assert_true(store_revision(store) == 3);
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&all.text), "o/b=2@1 ");
    assert_int_equal(store_watch(store, STR("o/"), 0, on_events, &late, &late.watch), 0);
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&late.text), "o/b=2@1 ");
    store_unwatch(&all.watch);
    store_unwatch(&late.watch);
    buf_fini(&all.text);
    buf_fini(&late.text);
}

static void
count_revisions(struct store_watch *watch, const struct store_event *events, size_t count,
                uint64_t revision, void *user)
{
    (void)watch;
    uint64_t *last = user;
    for (size_t i = 0; i < count; i++)
        assert_true(events[i].revision == ++*last);
    assert_true(revision >= *last);
}

/* More than one delivery's worth, in commits of one and of many. */
static void
backlog_case(struct store *store)
{
    uint64_t last = 0;
    struct store_watch *watch;
    for (unsigned i = 0; i < 600; i++)
        assert_int_equal(put(store, "k", "v"), 0);
    assert_int_equal(store_watch(store, STR("k"), 0, count_revisions, &last, &watch), 0);
    loop_step(loop, 0);
    assert_true(last == 600);
    for (unsigned i = 0; i < 513; i++)
        assert_int_equal(put(store, "k", "v"), 0);
    loop_step(loop, 0);
    assert_true(last == 1113);
}

static void
count_events(struct store_watch *watch, const struct store_event *events, size_t count,
             uint64_t revision, void *user)
{
    (void)watch;
    uint64_t *next = user;
    assert_true(events[count - 1].revision <= revision);
    for (size_t i = 0; i < count; i++)
        assert_true(events[i].revision == (*next)++ / 100 + 1);
}

static void
compacted_case(struct store *store)
{
    struct store_op ops[100];
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        ops[i] = (struct store_op){.key = arena_printf(&arena, "k%zu", i), .value = STR("v")};
    uint64_t next = 0;
    struct store_watch *watch;
    assert_int_equal(store_watch(store, STR("k"), 0, count_events, &next, &watch), 0);
    for (size_t i = 0; i < 120; i++)
        assert_int_equal(store_commit(store, NULL, 0, ops, ARRAY_LEN(ops), NULL), 0);
    /* A watch that has seen nothing yet keeps everything. */
    loop_step(loop, 0);
    assert_true(next == 12000);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(store_commit(store, NULL, 0, ops, ARRAY_LEN(ops), NULL), 0);
    loop_step(loop, 0);
    assert_true(next == 13000);
    struct store_watch *old = NULL;
    assert_int_equal(store_watch(store, STR("k"), 0, count_events, &next, &old), -ERR_COMPACTED);
    assert_int_equal(store_watch(store, STR("k"), 18, count_events, &next, &old), -ERR_COMPACTED);
    uint64_t kept = 3000;
    assert_int_equal(store_watch(store, STR("k"), 30, count_events, &kept, &old), 0);
    loop_step(loop, 0);
    assert_true(kept == 13000);
}

static void
fail_case(struct store *store)
{
    store_fail_commit(store, 2, false);
    assert_int_equal(put(store, "a", "1"), 0);
    assert_int_equal(put(store, "a", "2"), -ERR_STORE);
    assert_string_equal(get(store, "a"), "1@1,1");
    store_fail_commit(store, 1, true);
    assert_int_equal(put(store, "a", "3"), -ERR_STORE);
    assert_string_equal(get(store, "a"), "3@1,2");
    assert_int_equal(put(store, "a", "4"), 0);
}

static const struct {
    const char *name;
    void (*run)(struct store *store);
} cases[] = {
    {"rows", rows_case},     {"conditions", conds_case},    {"list", list_case},
    {"limits", limits_case}, {"watch", watch_case},         {"backlog", backlog_case},
    {"quiet", quiet_case},   {"compacted", compacted_case}, {"failing", fail_case},
};

static void
run_cases(const char *scheme)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s: %s\n", scheme, cases[i].name);
        assert_int_equal(setup(NULL), 0);
        struct store *store = open_fresh(scheme);
        cases[i].run(store);
        store_close(&store);
        loop_step(loop, 0); /* nothing of a closed store is left in the loop */
        assert_int_equal(teardown(NULL), 0);
    }
}

#define STORE_ROW(name, scheme, text)     \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        run_cases(scheme);                \
    }
#include "controlplane/store/stores.def"
#undef STORE_ROW

static int
random_commit(struct store *store, uint64_t seed)
{
    static const char *const keys[] = {"a", "a/b", "a/b/c", "b", "c/1", "c/2", "c/10", "d"};
    struct store_op ops[4];
    struct store_cond cond;
    size_t count = 1 + seed % 4;
    seed /= 4;
    for (size_t i = 0; i < count; i++) {
        ops[i] = (struct store_op){.delete_ = seed % 3 == 0,
                                   .key = str_from(keys[(seed / 3 + i) % ARRAY_LEN(keys)]),
                                   .quiet = seed % 5 == 0,
                                   .value = arena_printf(&arena, "%llu", (unsigned long long)seed)};
        seed /= 3;
    }
    cond = (struct store_cond){str_from(keys[seed % ARRAY_LEN(keys)]), 0};
    struct store_row row;
    if (seed / 8 % 4 != 0 && store_get(store, cond.key, &arena, &row) == 0)
        cond.mod_rev = row.mod_rev;
    return store_commit(store, &cond, seed / 32 % 2, ops, count, NULL);
}

/* KV-12: the same random operations have the same results on every backend. */
static void
test_differential(void **state)
{
    (void)state;
    uint64_t seed = rand_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    struct store *a = open_fresh("memory");
    struct store *b = open_fresh("sqlite");
    struct seen seen_a = {.store = a};
    struct seen seen_b = {.store = b};
    buf_init(&seen_a.text, 1u << 24);
    buf_init(&seen_b.text, 1u << 24);
    assert_int_equal(store_watch(a, STR("c/"), 0, on_events, &seen_a, &seen_a.watch), 0);
    assert_int_equal(store_watch(b, STR("c/"), 0, on_events, &seen_b, &seen_b.watch), 0);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t one = rand_u64() >> 1;
        assert_int_equal(random_commit(a, one), random_commit(b, one));
        assert_true(store_revision(a) == store_revision(b));
        if (rand_below(10) == 0)
            loop_step(loop, 0);
        assert_string_equal(list(a, "", "", 0), list(b, "", "", 0));
        assert_string_equal(get(a, "a/b"), get(b, "a/b"));
    }
    loop_step(loop, 0);
    assert_string_equal(buf_cstr(&seen_a.text), buf_cstr(&seen_b.text));
    assert_true(seen_a.text.len > 100);
    buf_fini(&seen_a.text);
    buf_fini(&seen_b.text);
    store_close(&a);
    store_close(&b);
    rand_seed(0);
}

static void
test_open_errors(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int want;
    } rows[] = {
        {"", -ERR_INVALID},
        {"memory", -ERR_INVALID},
        {"memory:x", -ERR_INVALID},
        {"etcd:", -ERR_INVALID},
        {"sqlite:", -ERR_INVALID},
        {"sqlite:berth.db", -ERR_INVALID},
        {"sqlite::memory:", -ERR_INVALID},
        {"sqlite:/tmp", -ERR_INVALID},
        {"sqlite:/nonexistent/berth.db", -ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store *store = NULL;
        struct err err = {0};
        if (store_open(rows[i].url, NULL, &store, &err) != rows[i].want)
            fail_msg("%s: %s", rows[i].url, err.text);
        assert_null(store);
        assert_int_equal(-err.code, rows[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define STORE_ROW(name, scheme, text) cmocka_unit_test(test_##name),
#include "controlplane/store/stores.def"
#undef STORE_ROW
        cmocka_unit_test_setup_teardown(test_differential, setup, teardown),
        cmocka_unit_test(test_open_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
