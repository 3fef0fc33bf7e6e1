/* SPDX-License-Identifier: MIT
 * tree_test.c - YAML and JSON to trees and back: kinds, places, refusals, caps.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves tree.h. */
#include "lib/text/tree.h"

#include "lib/text/test_int.h"

#include "lib/base/clock.h"

#define ARENA_BYTES ((size_t)64 << 20)

struct row {
    const char *text;
    const char *want; /* compact JSON of the result; for errors a part of the message */
    int code;
    uint32_t line;
    uint32_t column;
};

static const struct row yaml_rows[] = {
    {"", "[]", 0, 0, 0},
    {"# only a comment\n", "[]", 0, 0, 0},
    {"---\n---\n...\n", "[]", 0, 0, 0},
    {"a: 1\nb: x\n", "[{\"a\":1,\"b\":\"x\"}]", 0, 0, 0},
    {"a: 1\n---\n---\nb: 2\n", "[{\"a\":1},{\"b\":2}]", 0, 0, 0},
    {"- null\n- ~\n-\n- true\n- false\n", "[[null,null,null,true,false]]", 0, 0, 0},
    {"- yes\n- No\n- on\n- TRUE\n- Null\n", "[[\"yes\",\"No\",\"on\",\"TRUE\",\"Null\"]]", 0, 0, 0},
    {"- 0\n- -1.5e+3\n- 1.10\n- 12345678901234567890\n", "[[0,-1.5e+3,1.10,12345678901234567890]]",
     0, 0, 0},
    {"- 01\n- +1\n- .5\n- 1.\n- 0x1F\n- 1_0\n- .inf\n- 12:30\n- 2026-01-31\n",
     "[[\"01\",\"+1\",\".5\",\"1.\",\"0x1F\",\"1_0\",\".inf\",\"12:30\",\"2026-01-31\"]]", 0, 0, 0},
    {"- 'true'\n- \"1\"\n- |\n  a\n  b\n- >-\n  c\n  d\n",
     "[[\"true\",\"1\",\"a\\nb\\n\",\"c d\"]]", 0, 0, 0},
    {"{a: [1, {b: c}], 'd e': \"\\x41\\u00e9\"}",
     "[{\"a\":[1,{\"b\":\"c\"}],\"d e\":\"A\xc3\xa9\"}]", 0, 0, 0},
    {"80: x\ntrue: y\n'<<': z\n", "[{\"80\":\"x\",\"true\":\"y\",\"<<\":\"z\"}]", 0, 0, 0},
    {"\xef\xbb\xbf"
     "a: 1\nb: 2\n",
     "[{\"a\":1,\"b\":2}]", 0, 0, 0},
    {"\xef\xbb\xbf"
     "a: 1\n",
     "[{\"a\":1}]", 0, 0, 0},
    {"{\"a\": [1, 2.0, \"x\"]}", "[{\"a\":[1,2.0,\"x\"]}]", 0, 0, 0},
    {"%YAML 1.1\n---\na: 1\n", "[{\"a\":1}]", 0, 0, 0},
    {"a: 1\nb: 2\na: 3\n", "duplicate key `a`", -ERR_DUPLICATE, 3, 1},
    {"x:\n  - a: 1\n    \"a\": 2\n", "duplicate key `a`", -ERR_DUPLICATE, 3, 5},
    {"a: &x 1\nb: *x\n", "anchors", -ERR_UNSUPPORTED, 1, 4},
    {"a: *x\n", "aliases", -ERR_UNSUPPORTED, 1, 4},
    {"a: !!str 1\n", "tags", -ERR_UNSUPPORTED, 1, 4},
    {"a: ! x\n", "tags", -ERR_UNSUPPORTED, 1, 4},
    {"!x\na: 1\n", "tags", -ERR_UNSUPPORTED, 1, 1},
    {"%TAG ! tag:x,2000:\n---\na: 1\n", "tags", -ERR_UNSUPPORTED, 1, 1},
    {"a:\n  <<: {b: 1}\n", "merge keys", -ERR_UNSUPPORTED, 2, 3},
    {"[a, b]: 1\n", "key must be a string", -ERR_PARSE, 1, 1},
    {"? {a: 1}\n: 2\n", "key must be a string", -ERR_PARSE, 1, 3},
    {": 1\n", "", -ERR_PARSE, 1, 1},
    {"?\n: 1\n", "empty key", -ERR_PARSE, 0, 0},
    {"a: 1\n b: 2\n", "", -ERR_PARSE, 2, 3},
    {"a: [1, 2\n", "", -ERR_PARSE, 2, 1},
    {"a: \"x\n", "", -ERR_PARSE, 2, 1},
    {"a:\n\tb: 1\n", "", -ERR_PARSE, 2, 1},
    {"a: 1\n...\nb\nc: d\n", "", -ERR_PARSE, 3, 1},
    {"a: \x01\n", "", -ERR_PARSE, 0, 0},
    {"a: \xff\n", "UTF-8 at byte 3", -ERR_ENCODING, 1, 4},
    {"\xff\xfe"
     "a",
     "UTF-8", -ERR_ENCODING, 1, 1},
};

static void
check(const struct row *row, int rc, const struct tree *tree, const struct err *err)
{
    TEST_CODE_EQ(row->text, rc, row->code);
    if (rc != 0) {
        if (strstr(err->text, row->want) == NULL || err->text[0] == '\0') {
            fail_msg("%s: message \"%s\"", row->text, err->text);
        }
        if (row->line != 0 && (err->line != row->line || err->column != row->column)) {
            fail_msg("%s: %u:%u %s", row->text, err->line, err->column, err->text);
        }
        return;
    }
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(tree_to_json(tree, false, &out), 0);
    TEST_STR_EQ(buf_str(&out), str_from(row->want));
    buf_fini(&out);
}

static void
yaml(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yaml_rows); i++) {
        struct arena arena;
        struct tree *list = NULL;
        struct err err = {0};
        arena_init(&arena, ARENA_BYTES);
        int rc = tree_from_yaml(str_from(yaml_rows[i].text), &arena, &list, &err);
        check(&yaml_rows[i], rc, list, &err);
        arena_fini(&arena);
    }
}

static void
json(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"a\":[1,2.50,-0e5],\"b\":{},\"c\":[],\"d\":\"\\u0000\\n\"}",
         "{\"a\":[1,2.50,-0e5],\"b\":{},\"c\":[],\"d\":\"\\u0000\\n\"}", 0, 0, 0},
        {" [ true , false , null ] ", "[true,false,null]", 0, 0, 0},
        {"\"x\"", "\"x\"", 0, 0, 0},
        {"{\n \"a\": 1,\n \"a\": 2}", "duplicate key `a`", -ERR_DUPLICATE, 3, 2},
        {"{\n\n  \"a\": }", "expected a value", -ERR_PARSE, 3, 8},
        {"[\"\xff\"]", "UTF-8", -ERR_ENCODING, 1, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct tree *root = NULL;
        struct err err = {0};
        arena_init(&arena, ARENA_BYTES);
        int rc = tree_from_json(str_from(rows[i].text), &arena, &root, &err);
        check(&rows[i], rc, root, &err);
        arena_fini(&arena);
    }
}

/* The same document in both languages has the same tree and the same places. */
static void
places(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t line;
        uint32_t column;
    } want[] = {{"a", 1, 2}, {"\xc3\xa9", 1, 10}, {"c", 2, 2}};
    struct str text = STR("{\"a\": 1, \"\xc3\xa9\": [2, 3],\n \"c\": {\"d\":\n  \"e\"}}");
    for (int i = 0; i < 2; i++) {
        struct arena arena;
        struct tree *root = NULL;
        arena_init(&arena, ARENA_BYTES);
        if (i == 0) {
            assert_int_equal(tree_from_json(text, &arena, &root, NULL), 0);
        } else {
            assert_int_equal(tree_from_yaml(text, &arena, &root, NULL), 0);
            root = root->first;
        }
        assert_int_equal(root->line, 1);
        assert_int_equal(root->column, 1);
        for (size_t k = 0; k < ARRAY_LEN(want); k++) {
            const struct tree *node = tree_get(root, str_from(want[k].key));
            assert_non_null(node);
            assert_int_equal(node->line, want[k].line);
            assert_int_equal(node->column, want[k].column);
        }
        const struct tree *list = tree_get(root, STR("\xc3\xa9"));
        assert_int_equal(list->count, 2);
        assert_int_equal(list->last->column, 19);
        assert_null(tree_get(root, STR("d")));
        assert_null(tree_get(list, STR("d")));
        assert_null(tree_get(NULL, STR("d")));
        arena_fini(&arena);
    }
}

static void
fill(struct buf *text, const char *part, size_t bytes)
{
    buf_init(text, bytes + 64);
    while (text->len < bytes) {
        buf_put_str(text, str_from(part));
    }
}

/* What takes libyaml or a naive reader seconds to minutes must end at once. */
static void
hostile_yaml_is_cheap(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        size_t bytes;
        int code;
    } rows[] = {
        {"[", 200000, -ERR_DEPTH},
        {"{", 200000, -ERR_PARSE},
        {"{a: ", 200000, -ERR_DEPTH},
        {"- ", 200000, -ERR_DEPTH},
        {"? ", 200000, -ERR_PARSE},
        {"[{a: ", 200000, -ERR_DEPTH},
        {"%TAG !a! x\n", 200000, -ERR_UNSUPPORTED},
        {"- a\n", 200000, 0},
        {"[1,", 300000, -ERR_TOO_LARGE},
        {"- [1,1,1,1,1,1]\n", 250000, -ERR_TOO_LARGE},
        {"--- 1\n", 250000, -ERR_TOO_LARGE},
        {"a: 1\n", 200000, -ERR_DUPLICATE},
        {"# x\n", 250000, 0},
        {"\n", 250000, 0},
        {"'", 250000, 0},
        {"a ", 250000, 0},
        {"!", 250000, -ERR_UNSUPPORTED},
        {"&a ", 250000, -ERR_UNSUPPORTED},
        {"a\n", 250000, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf text;
        struct arena arena;
        struct tree *list = NULL;
        struct err err = {0};
        uint64_t start = clock_mono_ms();
        fill(&text, rows[i].part, rows[i].bytes);
        arena_init(&arena, ARENA_BYTES);
        TEST_CODE_EQ(rows[i].part, tree_from_yaml(buf_str(&text), &arena, &list, &err),
                     rows[i].code);
        uint64_t took = clock_mono_ms() - start;
        if (took > 3000) {
            fail_msg("%s took %llu ms", rows[i].part, (unsigned long long)took);
        }
        arena_fini(&arena);
        buf_fini(&text);
    }
}

static void
depth_is_exact(void **state)
{
    (void)state;
    for (size_t depth = 31; depth <= 33; depth++) {
        char text[128] = {0};
        struct arena arena;
        struct tree *list = NULL;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        arena_init(&arena, ARENA_BYTES);
        int rc = tree_from_yaml(str_from(text), &arena, &list, NULL);
        assert_int_equal(rc, depth <= 32 ? 0 : -ERR_DEPTH);
        arena_fini(&arena);
    }
    char deep[2 * (TREE_DEPTH_MAX + 1) + 1];
    for (size_t depth = TREE_DEPTH_MAX; depth <= TREE_DEPTH_MAX + 1; depth++) {
        struct arena arena;
        struct tree *root = NULL;
        struct buf out;
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        arena_init(&arena, ARENA_BYTES);
        buf_init(&out, 4096);
        int rc = tree_from_json(str_make(deep, 2 * depth), &arena, &root, NULL);
        assert_int_equal(rc, depth <= TREE_DEPTH_MAX ? 0 : -ERR_DEPTH);
        if (rc == 0) {
            assert_int_equal(tree_to_json(root, false, &out), 0);
            TEST_STR_EQ(buf_str(&out), str_make(deep, 2 * depth));
        }
        buf_fini(&out);
        arena_fini(&arena);
    }
}

static void
many_keys(void **state)
{
    (void)state;
    struct arena arena;
    struct tree *list = NULL;
    struct buf text;
    struct err err;
    arena_init(&arena, ARENA_BYTES);
    buf_init(&text, 1 << 18);
    for (int i = 0; i < 20000; i++) {
        buf_printf(&text, "k%d: 1\n", i);
    }
    assert_int_equal(tree_from_yaml(buf_str(&text), &arena, &list, &err), 0);
    assert_int_equal(list->first->count, 20000);
    buf_put_str(&text, STR("\"k777\": 2\n"));
    assert_int_equal(tree_from_yaml(buf_str(&text), &arena, &list, &err), -ERR_DUPLICATE);
    assert_int_equal(err.line, 20001);
    buf_fini(&text);
    arena_fini(&arena);
}

static void
no_memory(void **state)
{
    (void)state;
    struct str text = STR("{\"a\": [1, \"x\\n\", {\"b\": null}], \"c\": \"d\"}");
    bool done = false;
    for (size_t max = 0; !done; max += 16) {
        struct arena arena;
        struct tree *yaml_list = NULL;
        struct tree *json_root = NULL;
        arena_init(&arena, max);
        int rc_yaml = tree_from_yaml(text, &arena, &yaml_list, NULL);
        int rc_json = tree_from_json(text, &arena, &json_root, NULL);
        assert_true(rc_yaml == 0 || (rc_yaml == -ERR_NOMEM && yaml_list == NULL));
        assert_true(rc_json == 0 || (rc_json == -ERR_NOMEM && json_root == NULL));
        done = rc_yaml == 0 && rc_json == 0;
        arena_fini(&arena);
    }
}

static void
written(void **state)
{
    (void)state;
    struct arena arena;
    struct tree *root = NULL;
    struct buf out;
    arena_init(&arena, ARENA_BYTES);
    buf_init(&out, 8192);
    struct str text =
        STR("{\"kind\":\"Rule\",\"n\":1.50,\"e\":{},\"l\":[],\"s\":[\"yes\",\"1\",\"\",\"a: "
            "b\",\"- x\","
            "\"http://x/y\",\"null\",\"a #b\",\" "
            "a\",\"\\u202e\",\"<<\",\"x\\ty\"],\"m\":[[1,[2]],{\"a\":1,\"b\":[true]}],"
            "\"t\":\"line 1\\n  line 2\\n\",\"u\":[\"a\\n\\nb\"],\"w\":\"\\n\",\"no\":null}");
    assert_int_equal(tree_from_json(text, &arena, &root, NULL), 0);
    assert_int_equal(tree_to_yaml(root, &out), 0);
    TEST_STR_EQ(buf_str(&out), STR("kind: Rule\n"
                                   "\"n\": 1.50\n"
                                   "e: {}\n"
                                   "l: []\n"
                                   "s:\n"
                                   "  - \"yes\"\n"
                                   "  - \"1\"\n"
                                   "  - \"\"\n"
                                   "  - \"a: b\"\n"
                                   "  - \"- x\"\n"
                                   "  - http://x/y\n"
                                   "  - \"null\"\n"
                                   "  - \"a #b\"\n"
                                   "  - \" a\"\n"
                                   "  - \"\\u202E\"\n"
                                   "  - \"<<\"\n"
                                   "  - \"x\\ty\"\n"
                                   "m:\n"
                                   "  - - 1\n"
                                   "    - - 2\n"
                                   "  - a: 1\n"
                                   "    b:\n"
                                   "      - true\n"
                                   "t: |\n"
                                   "  line 1\n"
                                   "    line 2\n"
                                   "u:\n"
                                   "  - |-\n"
                                   "    a\n"
                                   "\n"
                                   "    b\n"
                                   "w: \"\\n\"\n"
                                   "\"no\": null\n"));
    struct tree *list = NULL;
    struct buf back;
    buf_init(&back, 8192);
    assert_int_equal(tree_from_yaml(buf_str(&out), &arena, &list, NULL), 0);
    assert_int_equal(tree_to_json(list->first, false, &back), 0);
    struct buf want;
    buf_init(&want, 8192);
    assert_int_equal(tree_to_json(root, false, &want), 0);
    TEST_STR_EQ(buf_str(&back), buf_str(&want));
    buf_fini(&want);
    buf_fini(&back);
    buf_fini(&out);
    arena_fini(&arena);
}

static void
built_and_indented(void **state)
{
    (void)state;
    struct arena arena;
    struct buf out;
    arena_init(&arena, ARENA_BYTES);
    struct tree *root = tree_new(&arena, TREE_MAP, STR(""));
    struct tree *list = tree_new(&arena, TREE_LIST, STR(""));
    assert_true(root != NULL && list != NULL);
    tree_append(root, STR("list"), list);
    tree_append(list, STR(""), tree_new(&arena, TREE_NUMBER, STR("1")));
    tree_append(list, STR(""), tree_new(&arena, TREE_MAP, STR("")));
    tree_append(root, STR("s"), tree_new(&arena, TREE_STRING, STR("\"")));
    buf_init(&out, 4096);
    assert_int_equal(tree_to_json(root, true, &out), 0);
    TEST_STR_EQ(buf_str(&out), STR("{\n  \"list\": [\n    1,\n    {}\n  ],\n  \"s\": \"\\\"\"\n}"));
    buf_fini(&out);
    buf_init(&out, 10);
    assert_int_equal(tree_to_json(root, true, &out), -ERR_TOO_LARGE);
    assert_int_equal(tree_to_yaml(root, &out), -ERR_TOO_LARGE);
    buf_fini(&out);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml),
        cmocka_unit_test(json),
        cmocka_unit_test(places),
        cmocka_unit_test(hostile_yaml_is_cheap),
        cmocka_unit_test(depth_is_exact),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(written),
        cmocka_unit_test(built_and_indented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
