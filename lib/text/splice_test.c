/* SPDX-License-Identifier: MIT
 * splice_test.c - edits of members, values and bytes, alone and together.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves splice.h. */
#include "lib/text/splice.h"

#include "lib/text/test_int.h"

/* ops: space-separated; "-k" removes member k, "+k=raw" sets it, "@n=raw" replaces node n; a
 * leading
 * '!' says that the operation conflicts, '?' that it is invalid. The root is the object. */
struct row {
    const char *text;
    const char *ops;
    const char *want;
};

static const struct row rows[] = {
    {"{}", "", "{}"},
    {"{\"a\":1}", "-a", "{}"},
    {"{ \"a\" : 1 }", "-a", "{  }"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-a", "{\"b\":2,\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-b", "{\"a\":1,\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-c", "{\"a\":1,\"b\":2}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-a -b", "{\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-b -a", "{\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-b -c", "{\"a\":1}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-c -b", "{\"a\":1}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-a -c", "{\"b\":2}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-c -a -b", "{}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", "-b -a -c -b", "{}"},
    {"{ \"a\":1 , \"b\":2 }", "-a", "{ \"b\":2 }"},
    {"{ \"a\":1 , \"b\":2 }", "-b", "{ \"a\":1 }"},
    {"{\"a\":1}", "-x", "{\"a\":1}"},
    {"{}", "+a=1", "{\"a\":1}"},
    {"{ }", "+a=1 +b=2", "{\"a\":1,\"b\":2 }"},
    {"{\"a\":1}", "+b=2", "{\"b\":2,\"a\":1}"},
    {"{\"a\":1}", "+b=2 +c=3", "{\"b\":2,\"c\":3,\"a\":1}"},
    {"{\"a\":1}", "+a=[2]", "{\"a\":[2]}"},
    {"{\"a\":1}", "-a +b=2", "{\"b\":2}"},
    {"{\"a\":1}", "+b=2 -a", "{\"b\":2}"},
    {"{\"a\":1,\"b\":2}", "+c=3 -a -b +d=4", "{\"c\":3,\"d\":4}"},
    {"{\"a\":1,\"b\":2}", "+c=3 -b +a=9", "{\"c\":3,\"a\":9}"},
    {"{\"a\":1,\"b\":2}", "-a +b=9", "{\"b\":9}"},
    {"{\"a\":{\"b\":1}}", "@4=2 !-a", "{\"a\":{\"b\":2}}"},
    {"{\"a\":1}", "+a=2 !+a=3", "{\"a\":2}"},
    {"{\"a\":1}", "+b=2 !+b=3", "{\"b\":2,\"a\":1}"},
    {"{\"a\":1}", "-a !+a=3", "{}"},
    {"{\"a\":1}", "+a=3 !-a", "{\"a\":3}"},
    {"{\"a\":{\"b\":1},\"c\":2}", "-a !@4=2 -c", "{}"},
    {"{\"a\":1}", "@0=[] !+b=2", "[]"},
    {"{\"m\\u006fdel\":\"x\"}", "+model=\"y\"", "{\"m\\u006fdel\":\"y\"}"},
    {"[1]", "-a ?+a=1 @1=2", "[2]"},
    {"{\"a\":1}", "?@9=2", "{\"a\":1}"},
};

static struct str
result(const struct splice *splice, struct str text, struct buf *out)
{
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    assert_int_equal(splice_segments(splice, text, &segments, &count, &bytes), 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(segments[i].len > 0);
        buf_put_str(out, segments[i]);
    }
    assert_int_equal(out->len, bytes);
    return buf_str(out);
}

static void
apply(struct splice *splice, const struct json_doc *doc, struct str op)
{
    int want = op.ptr[0] == '!' ? -ERR_CONFLICT : op.ptr[0] == '?' ? -ERR_INVALID : 0;
    struct str name = want != 0 ? str_skip(op, 1) : op;
    struct str key;
    struct str raw;
    uint64_t node = 0;
    int rc;
    (void)str_cut(str_skip(name, 1), '=', &key, &raw);
    switch (name.ptr[0]) {
    case '-':
        rc = splice_member_remove(splice, doc, 0, key);
        break;
    case '+':
        rc = splice_member_set(splice, doc, 0, key, raw);
        break;
    default:
        assert_int_equal(num_u64(key, 100, &node), 0);
        rc = splice_node(splice, doc, (uint32_t)node, raw);
    }
    TEST_CODE_EQ(op.ptr, rc, want);
}

static void
members_and_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct splice splice;
        struct buf out;
        struct str text = str_from(rows[i].text);
        struct str ops = str_from(rows[i].ops);
        json_init(&doc);
        arena_init(&arena, 1 << 16);
        splice_init(&splice, &arena);
        buf_init(&out, 4096);
        assert_int_equal(json_scan(&doc, text, NULL, NULL), 0);
        while (ops.len > 0) {
            struct str op;
            (void)str_cut(ops, ' ', &op, &ops);
            apply(&splice, &doc, op);
        }
        TEST_STR_EQ(result(&splice, text, &out), str_from(rows[i].want));
        buf_fini(&out);
        arena_fini(&arena);
        json_fini(&doc);
    }
}

static void
bytes_and_order(void **state)
{
    (void)state;
    struct arena arena;
    struct splice splice;
    struct buf out;
    struct str text = STR("0123456789");
    arena_init(&arena, 1 << 16);
    splice_init(&splice, &arena);
    buf_init(&out, 4096);
    assert_int_equal(splice_replace(&splice, 8, 10, STR("Z")), 0);
    assert_int_equal(splice_replace(&splice, 2, 4, STR("xyz")), 0);
    assert_int_equal(splice_replace(&splice, 4, 4, STR("B")), 0);
    assert_int_equal(splice_replace(&splice, 2, 2, STR("A")), 0);
    assert_int_equal(splice_replace(&splice, 4, 4, STR("C")), 0);
    assert_int_equal(splice_replace(&splice, 4, 6, STR("")), 0);
    assert_int_equal(splice_replace(&splice, 3, 3, STR("!")), -ERR_CONFLICT);
    assert_int_equal(splice_replace(&splice, 3, 5, STR("!")), -ERR_CONFLICT);
    assert_int_equal(splice_replace(&splice, 0, 10, STR("!")), -ERR_CONFLICT);
    assert_int_equal(splice_replace(&splice, 10, 10, STR(".")), 0);
    assert_int_equal(splice_replace(&splice, 0, 0, STR("<")), 0);
    TEST_STR_EQ(result(&splice, text, &out), STR("<01AxyzBC67Z."));
    buf_fini(&out);
    arena_fini(&arena);
}

static void
repeated_keys_go_together(void **state)
{
    (void)state;
    struct json_limits limits = {.allow_duplicates = true};
    struct str text = STR("{\"a\":1,\"b\":2,\"a\":3,\"\\u0061\":4}");
    static const char *const want[] = {"{\"b\":2}", "{\"a\":9,\"b\":2}"};
    for (int set = 0; set < 2; set++) {
        struct json_doc doc;
        struct arena arena;
        struct splice splice;
        struct buf out;
        json_init(&doc);
        arena_init(&arena, 1 << 16);
        splice_init(&splice, &arena);
        buf_init(&out, 4096);
        assert_int_equal(json_scan(&doc, text, &limits, NULL), 0);
        int rc = set ? splice_member_set(&splice, &doc, 0, STR("a"), STR("9"))
                     : splice_member_remove(&splice, &doc, 0, STR("a"));
        assert_int_equal(rc, 0);
        TEST_STR_EQ(result(&splice, text, &out), str_from(want[set]));
        buf_fini(&out);
        arena_fini(&arena);
        json_fini(&doc);
    }
}

static void
no_memory_changes_nothing(void **state)
{
    (void)state;
    struct str text = STR("{\"a\":1,\"b\":2}");
    for (size_t max = 0; max < 4096; max += 16) {
        struct json_doc doc;
        struct arena arena;
        struct splice splice;
        json_init(&doc);
        arena_init(&arena, max);
        splice_init(&splice, &arena);
        assert_int_equal(json_scan(&doc, text, NULL, NULL), 0);
        int rc = splice_member_set(&splice, &doc, 0, STR("c"), STR("3"));
        assert_int_equal(splice.count, rc == 0);
        assert_true(rc == 0 || rc == -ERR_NOMEM);
        arena_fini(&arena);
        json_fini(&doc);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_values),
        cmocka_unit_test(bytes_and_order),
        cmocka_unit_test(repeated_keys_go_together),
        cmocka_unit_test(no_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
