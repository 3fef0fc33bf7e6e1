/* SPDX-License-Identifier: MIT
 * json_test.c - what the scanner accepts and refuses, and what is read from its nodes.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves json.h (scanning and reading). */
#include "lib/text/json.h"

#include "lib/text/test_int.h"

struct row {
    struct str text;
    int code;         /* 0 = accepted */
    const char *part; /* of the message */
};

#define S(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }
#define GOOD(text)     \
    {                  \
        S(text), 0, "" \
    }
#define BAD(text, code, part)      \
    {                              \
        S(text), -ERR_##code, part \
    }

static const struct row rows[] = {
    GOOD("{}"),
    GOOD(" \t\r\n[ ] \n"),
    GOOD("null"),
    GOOD("true"),
    GOOD("false"),
    GOOD("\"\""),
    GOOD("0"),
    GOOD("-0"),
    GOOD("-0.0e-0"),
    GOOD("1e999"),
    GOOD("9007199254740993"),
    GOOD("1234567890123456789012345678901234567890.5E+10"),
    GOOD("{\"a\":1,\"b\":[true,null,{\"c\":\"d\"}]}"),
    GOOD("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\ud83d\\ude00\""),
    GOOD("\"\x7f \xc3\xa9 \xf0\x9f\x98\x80 \xe2\x80\xa8\""),
    GOOD("{\"MODEL\":\"dear\",\"model\":\"cheap\"}"),
    GOOD("{\"\":1}"),
    GOOD("{\"a\":{\"a\":{\"a\":1}}}"),
    GOOD("[{\"a\":1},{\"a\":1}]"),
    BAD("", PARSE, "empty"),
    BAD(" ", PARSE, "found the end at byte 1"),
    BAD("{", PARSE, "quoted key at byte 1"),
    BAD("[", PARSE, "found the end at byte 1"),
    BAD("[1", PARSE, "expected ',' or ']' at byte 2"),
    BAD("[1,]", PARSE, "expected a value at byte 3"),
    BAD("[,1]", PARSE, "expected a value at byte 1"),
    BAD("[1 2]", PARSE, "expected ',' or ']' at byte 3"),
    BAD("{\"a\":1,}", PARSE, "quoted key at byte 7"),
    BAD("{\"a\" 1}", PARSE, "expected ':' at byte 5"),
    BAD("{\"a\":}", PARSE, "expected a value at byte 5"),
    BAD("{a:1}", PARSE, "quoted key at byte 1"),
    BAD("{'a':1}", PARSE, "quoted key"),
    BAD("{\"a\":1]", PARSE, "expected ',' or '}'"),
    BAD("[1}", PARSE, "expected ',' or ']'"),
    BAD("{1:2}", PARSE, "quoted key"),
    BAD("{}{}", PARSE, "behind the JSON value at byte 2"),
    BAD("{} x", PARSE, "behind the JSON value at byte 3"),
    BAD("nul", PARSE, "expected a value"),
    BAD("True", PARSE, "expected a value"),
    BAD("NaN", PARSE, "expected a value"),
    BAD("Infinity", PARSE, "expected a value"),
    BAD("truex", PARSE, "behind"),
    BAD("01", PARSE, "leading zero"),
    BAD("-", PARSE, "without digits"),
    BAD("+1", PARSE, "expected a value"),
    BAD(".5", PARSE, "expected a value"),
    BAD("1.", PARSE, "decimal point"),
    BAD("1.e5", PARSE, "decimal point"),
    BAD("1e", PARSE, "exponent"),
    BAD("1e+", PARSE, "exponent"),
    BAD("0x10", PARSE, "behind"),
    BAD("1_000", PARSE, "behind"),
    BAD("\"abc", PARSE, "unterminated string at byte 0"),
    BAD("\"a\\", PARSE, "escape at byte 2"),
    BAD("\"\\x\"", PARSE, "unknown escape at byte 1"),
    BAD("\"\\'\"", PARSE, "unknown escape"),
    BAD("\"\\u12\"", PARSE, "hex digits at byte 1"),
    BAD("\"\\u12g4\"", PARSE, "hex digits"),
    BAD("\"\\U0041\"", PARSE, "unknown escape"),
    BAD("\"a\nb\"", PARSE, "control character in string at byte 2"),
    BAD("\"a\0b\"", PARSE, "control character"),
    BAD("\"a\x1f\"", PARSE, "control character"),
    BAD("{}\0", PARSE, "behind"),
    BAD("[1,\x0c 2]", PARSE, "expected a value"),
    BAD("[1,\xc2\xa0 2]", PARSE, "expected a value"),
    BAD("/* x */ 1", PARSE, "expected a value"),
    BAD("\"\\ud800\"", ENCODING, "lone surrogate escape at byte 1"),
    BAD("\"\\udc00\"", ENCODING, "lone surrogate"),
    BAD("\"\\ud800\\u0041\"", ENCODING, "lone surrogate"),
    BAD("\"\\ud800\\ud800\"", ENCODING, "lone surrogate"),
    BAD("\"\\ud83dx\"", ENCODING, "lone surrogate"),
    BAD("\"\xff\"", ENCODING, "UTF-8 at byte 1"),
    BAD("\"\xc0\xaf\"", ENCODING, "UTF-8"),
    BAD("\"\xed\xa0\x80\"", ENCODING, "UTF-8"),
    BAD("\"\xe2\x82\"", ENCODING, "UTF-8"),
    BAD("\xef\xbb\xbf{}", PARSE, "expected a value at byte 0"),
    BAD("{\"model\":1,\"model\":2}", DUPLICATE, "`model` at byte 11"),
    BAD("{\"a\":1,\"\\u0061\":2}", DUPLICATE, "`\\u0061`"),
    BAD("{\"\":1,\"\":2}", DUPLICATE, "``"),
    BAD("{\"messages\":[{\"role\":1},[],{\"role\":\"x\",\"role\":\"y\"}]}", DUPLICATE,
        "`messages[2].role`"),
    BAD("[[[1,{\"k\":{\"a\":[],\"a\":{}}}]]]", DUPLICATE, "`[0][0][1].k.a`"),
    BAD("{\"k01\":1,\"k02\":1,\"k03\":1,\"k04\":1,\"k05\":1,\"k06\":1,\"k07\":1,\"k08\":1,"
        "\"k09\":1,\"k10\":1,\"k11\":1,\"k12\":1,\"k13\":1,\"k14\":1,\"k15\":1,\"k16\":1,"
        "\"k17\":1,\"k\\u0301\":1,\"k01\":2}",
        DUPLICATE, "`k01`"),
};

static void
accepted_and_refused(void **state)
{
    (void)state;
    struct json_doc doc;
    json_init(&doc);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        /* an exact heap copy, so that the sanitizer sees a byte too many */
        char *copy = malloc(rows[i].text.len + 1);
        assert_non_null(copy);
        memcpy(copy, rows[i].text.ptr, rows[i].text.len);
        char *exact = realloc(copy, rows[i].text.len > 0 ? rows[i].text.len : 1);
        struct err err = {0};
        int rc = json_scan(&doc, str_make(exact, rows[i].text.len), NULL, &err);
        TEST_CODE_EQ(rows[i].text.ptr, rc, rows[i].code);
        if (strstr(err.text, rows[i].part) == NULL) {
            fail_msg("%s: message \"%s\" lacks \"%s\"", rows[i].text.ptr, err.text, rows[i].part);
        }
        assert_true((doc.node_count == 0) == (rc != 0));
        free(exact);
    }
    json_fini(&doc);
}

static void
error_has_line_and_column(void **state)
{
    (void)state;
    struct json_doc doc;
    struct err err;
    json_init(&doc);
    assert_int_equal(json_scan(&doc, STR("{\n \"\xc3\xa9\": x}"), NULL, &err), -ERR_PARSE);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 7);
    assert_int_equal(json_scan(&doc, STR("[\n{\"a\":1,\n  \"a\":1}]"), NULL, &err), -ERR_DUPLICATE);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 3);
    json_fini(&doc);
}

static void
limits_are_exact(void **state)
{
    (void)state;
    struct json_doc doc;
    json_init(&doc);
    struct json_limits limits = {.depth_max = 2, .node_count_max = 4, .text_bytes_max = 12};
    static const struct row limited[] = {
        GOOD("[[1,2]]"),
        GOOD("{\"a\":[1]}"),
        BAD("[[1,2,3]]", TOO_LARGE, "too many JSON values"),
        BAD("[[[]]]", DEPTH, "nested too deeply at byte 2"),
        GOOD("[1         ]"),
        BAD("[1          ]", TOO_LARGE, "larger than 12"),
    };
    for (size_t i = 0; i < ARRAY_LEN(limited); i++) {
        struct err err = {0};
        int rc = json_scan(&doc, limited[i].text, &limits, &err);
        TEST_CODE_EQ(limited[i].text.ptr, rc, limited[i].code);
        assert_non_null(strstr(err.text, limited[i].part));
    }
    json_fini(&doc);
}

static void
depth_is_capped_without_recursion(void **state)
{
    (void)state;
    struct json_doc doc;
    struct err err;
    char *deep = malloc(1 << 20);
    assert_non_null(deep);
    memset(deep, '[', 1 << 20);
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_make(deep, 1 << 20), NULL, &err), -ERR_DEPTH);
    struct json_limits limits = {.depth_max = UINT32_MAX, .node_count_max = UINT32_MAX};
    assert_int_equal(json_scan(&doc, str_make(deep, 1 << 20), &limits, &err), -ERR_DEPTH);
    assert_non_null(strstr(err.text, "byte 65535"));
    memset(deep + 65535, ']', 65535);
    assert_int_equal(json_scan(&doc, str_make(deep, (size_t)2 * 65535), &limits, &err), 0);
    assert_int_equal(doc.node_count, 65535);
    json_fini(&doc);
    free(deep);
}

static void
duplicates_may_be_allowed(void **state)
{
    (void)state;
    struct json_doc doc;
    struct json_limits limits = {.allow_duplicates = true};
    json_init(&doc);
    assert_int_equal(json_scan(&doc, STR("{\"a\":1,\"a\":2}"), &limits, NULL), 0);
    TEST_STR_EQ(json_raw(&doc, json_get(&doc, 0, STR("a"))), STR("1"));
    json_fini(&doc);
}

/* Many keys, half of them escaped; the last one repeats one of them in its other form. */
static void
many_keys(void **state)
{
    (void)state;
    struct json_doc doc;
    struct buf text;
    struct err err;
    json_init(&doc);
    buf_init(&text, 1 << 22);
    buf_put_byte(&text, '{');
    for (int i = 0; i < 50000; i++) {
        buf_printf(&text, "\"%s%d\":%d,", i % 2 ? "\\u006bey" : "key", i, i);
    }
    size_t size = text.len;
    buf_put_str(&text, STR("\"last\":0}"));
    assert_int_equal(json_scan(&doc, buf_str(&text), NULL, &err), 0);
    assert_int_equal(json_count(&doc, 0), 50001);
    TEST_STR_EQ(json_raw(&doc, json_get(&doc, 0, STR("key49999"))), STR("49999"));
    text.len = size;
    buf_put_str(&text, STR("\"key33333\":0}"));
    assert_int_equal(json_scan(&doc, buf_str(&text), NULL, &err), -ERR_DUPLICATE);
    buf_fini(&text);
    json_fini(&doc);
}

static void
reading(void **state)
{
    (void)state;
    struct json_doc doc;
    struct arena arena;
    struct str s;
    arena_init(&arena, 4096);
    json_init(&doc);
    struct str text =
        STR("{\"model\":\"a\\/b\\u00e9\\ud83d\\ude00\",\"n\":-12,\"list\":[1,[2],\"x\"],"
            "\"o\":{\"p\":{\"q\":true}},\"m\\u006fdel2\":null,\"z\":\"a\\u0000b\"}");
    assert_int_equal(json_scan(&doc, text, NULL, NULL), 0);
    assert_int_equal(json_count(&doc, 0), 6);
    uint32_t model = json_get(&doc, 0, STR("model"));
    assert_int_equal(json_string(&doc, model, &arena, &s), 0);
    TEST_STR_EQ(s, STR("a/b\xc3\xa9\xf0\x9f\x98\x80"));
    assert_true(json_string_eq(&doc, model, STR("a/b\xc3\xa9\xf0\x9f\x98\x80")));
    assert_false(json_string_eq(&doc, model, STR("a/b\xc3\xa9\xf0\x9f\x98")));
    assert_false(json_string_eq(&doc, model, STR("a/b\xc3\xa9\xf0\x9f\x98\x80.")));
    assert_int_equal(json_get(&doc, 0, STR("Model")), JSON_NONE);
    assert_int_not_equal(json_get(&doc, 0, STR("model2")), JSON_NONE);
    assert_true(json_is(&doc, json_get(&doc, 0, STR("model2")), JSON_NULL));
    assert_int_equal(json_string(&doc, json_get(&doc, 0, STR("z")), &arena, &s), 0);
    TEST_STR_EQ(s, STR("a\0b"));
    uint32_t q = json_path(&doc, 0, "o.p.q");
    bool value = false;
    assert_int_equal(json_bool(&doc, q, &value), 0);
    assert_true(value);
    assert_int_equal(json_path(&doc, 0, "o.x.q"), JSON_NONE);
    assert_int_equal(json_path(&doc, JSON_NONE, "o"), JSON_NONE);
    uint32_t list = json_get(&doc, 0, STR("list"));
    uint32_t item = json_first(&doc, list);
    TEST_STR_EQ(json_raw(&doc, item), STR("1"));
    item = json_sibling(&doc, list, item);
    TEST_STR_EQ(json_raw(&doc, item), STR("[2]"));
    item = json_sibling(&doc, list, item);
    assert_int_equal(json_string(&doc, item, &arena, &s), 0);
    TEST_STR_EQ(s, STR("x"));
    assert_ptr_equal(s.ptr, text.ptr + doc.nodes[item].start + 1);
    assert_int_equal(json_sibling(&doc, list, item), JSON_NONE);
    assert_int_equal(json_string(&doc, JSON_NONE, &arena, &s), -ERR_INVALID);
    assert_int_equal(json_first(&doc, q), JSON_NONE);
    assert_int_equal(json_raw(&doc, JSON_NONE).len, 0);
    json_fini(&doc);
    arena_fini(&arena);
}

static void
integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code_i64;
        int code_u64;
        int64_t i64;
        uint64_t u64;
    } numbers[] = {
        {"0", 0, 0, 0, 0},
        {"-0", 0, 0, 0, 0},
        {"12", 0, 0, 12, 12},
        {"-5", 0, -ERR_RANGE, -5, 0},
        {"1.0", -ERR_RANGE, -ERR_RANGE, 0, 0},
        {"1e3", -ERR_RANGE, -ERR_RANGE, 0, 0},
        {"1e999", -ERR_RANGE, -ERR_RANGE, 0, 0},
        {"9223372036854775807", 0, 0, INT64_MAX, INT64_MAX},
        {"-9223372036854775808", 0, -ERR_RANGE, INT64_MIN, 0},
        {"9223372036854775808", -ERR_RANGE, 0, 0, (uint64_t)INT64_MAX + 1},
        {"18446744073709551615", -ERR_RANGE, 0, 0, UINT64_MAX},
        {"18446744073709551616", -ERR_RANGE, -ERR_RANGE, 0, 0},
        {"\"1\"", -ERR_INVALID, -ERR_INVALID, 0, 0},
        {"true", -ERR_INVALID, -ERR_INVALID, 0, 0},
        {"null", -ERR_INVALID, -ERR_INVALID, 0, 0},
    };
    struct json_doc doc;
    json_init(&doc);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int64_t i64 = 0;
        uint64_t u64 = 0;
        assert_int_equal(json_scan(&doc, str_from(numbers[i].text), NULL, NULL), 0);
        TEST_CODE_EQ(numbers[i].text, json_i64(&doc, 0, INT64_MIN, INT64_MAX, &i64),
                     numbers[i].code_i64);
        TEST_CODE_EQ(numbers[i].text, json_u64(&doc, 0, UINT64_MAX, &u64), numbers[i].code_u64);
        assert_true(i64 == numbers[i].i64 && u64 == numbers[i].u64);
    }
    int64_t small = 0;
    assert_int_equal(json_scan(&doc, STR("11"), NULL, NULL), 0);
    assert_int_equal(json_i64(&doc, 0, 0, 10, &small), -ERR_RANGE);
    json_fini(&doc);
}

/* A string of every length with a fault at its end: the vector loops and their tails. */
static void
strings_of_every_length(void **state)
{
    (void)state;
    static const char *const ends[] = {"\"",     "\\n\"", "\xc3\xa9\"", "\x01\"", "\\q\"",
                                       "\xff\"", ""};
    static const int codes[] = {0, 0, 0, -ERR_PARSE, -ERR_PARSE, -ERR_ENCODING, -ERR_PARSE};
    struct json_doc doc;
    json_init(&doc);
    for (size_t size = 0; size < 200; size++) {
        for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
            size_t end = strlen(ends[i]);
            char *text = malloc(1 + size + end);
            assert_non_null(text);
            memset(text, 'a', 1 + size);
            text[0] = '"';
            memcpy(text + 1 + size, ends[i], end);
            int rc = json_scan(&doc, str_make(text, 1 + size + end), NULL, NULL);
            TEST_CODE_EQ(ends[i], rc, codes[i]);
            free(text);
        }
    }
    json_fini(&doc);
}

/* Several members in one walk: keys of every size class, escaped, repeated, absent. */
static void
picking(void **state)
{
    (void)state;
    static const struct str names[] = {JSON_NAME("n"),
                                       JSON_NAME("model"),
                                       JSON_NAME("tools"),
                                       JSON_NAME("max_tokens"),
                                       JSON_NAME("temperature"),
                                       JSON_NAME("max_completion_tokens"),
                                       JSON_NAME("seventeen_letters")};
    static const char *const want[] = {"1", "\"m\"", "", "2", "", "3", "4"};
    static const struct json_limits replies = {.allow_duplicates = true};
    uint32_t at[ARRAY_LEN(names)];
    struct json_doc doc;
    json_init(&doc);
    struct str text = STR("{\"\":0,\"m\\u006fdel\":\"m\",\"N\":0,\"n\":1,\"tool_\":0,\"n\":9,"
                          "\"max_tokens\":2,\"max_tokenz\":0,\"xax_tokens\":0,\"model\":\"l\","
                          "\"max_completion_tokens\":3,\"o\":{\"tools\":[]},"
                          "\"seventeen_letter5\":0,\"seventeen_letters\":4}");
    assert_int_equal(json_scan(&doc, text, &replies, NULL), 0);
    json_pick(&doc, 0, names, ARRAY_LEN(names), at);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        TEST_STR_EQ(json_raw(&doc, at[i]), str_from(want[i]));
        assert_int_equal(at[i], json_get(&doc, 0, names[i]));
    }
    json_pick(&doc, JSON_NONE, names, ARRAY_LEN(names), at);
    assert_int_equal(at[0], JSON_NONE);
    json_pick(&doc, 1, names, ARRAY_LEN(names), at);
    assert_int_equal(at[0], JSON_NONE);
    json_fini(&doc);
}

/* A number of every length, with room behind it and without, and what may and may not follow. */
static void
numbers_of_every_length(void **state)
{
    (void)state;
    static const struct {
        const char *tail;
        int code;
    } tails[] = {
        {"", 0},           {".5", 0},         {"e7", 0},
        {"E+7", 0},        {".", -ERR_PARSE}, {"e", -ERR_PARSE},
        {"x", -ERR_PARSE}, {"-", -ERR_PARSE}, {" 1", -ERR_PARSE},
    };
    static const char room[] = ",\"behind it are more than 16 bytes\"]";
    struct json_doc doc;
    json_init(&doc);
    for (size_t digits = 1; digits < 40; digits++) {
        for (size_t i = 0; i < ARRAY_LEN(tails) * 4; i++) {
            size_t row = i / 4;
            bool zero = (i & 2) != 0; /* a leading one */
            char text[128];
            int size = snprintf(text, sizeof(text), "[%0*d%s%s", (int)digits, 0, tails[row].tail,
                                (i & 1) != 0 ? room : "]");
            memset(text + 1, '7', digits);
            text[1] = zero ? '0' : '7';
            int want = zero && digits > 1 ? -ERR_PARSE : tails[row].code;
            int rc = json_scan(&doc, str_make(text, (size_t)size), NULL, NULL);
            TEST_CODE_EQ(text, rc, want);
            if (rc == 0) {
                assert_int_equal(doc.nodes[1].end - doc.nodes[1].start,
                                 digits + strlen(tails[row].tail));
            }
        }
    }
    json_fini(&doc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_and_refused),
        cmocka_unit_test(error_has_line_and_column),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(depth_is_capped_without_recursion),
        cmocka_unit_test(duplicates_may_be_allowed),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(reading),
        cmocka_unit_test(integers),
        cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(picking),
        cmocka_unit_test(numbers_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
