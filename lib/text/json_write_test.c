/* SPDX-License-Identifier: MIT
 * json_write_test.c - what the writer makes is what a reader expects.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves json.h (writing). */
#include "lib/text/json.h"

#include "lib/text/test_int.h"

static void
strings(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *want;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x1f\x7f", 3}, "\"\\u0000\\u001f\x7f\""},
        {{"\xc3\xa9\xe2\x80\xa8", 5}, "\"\xc3\xa9\xe2\x80\xa8\""},
        {{"a\xff\xfe", 3}, "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xe2\x82", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80.", 4}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 256);
        assert_int_equal(json_put_string(&out, rows[i].text), 0);
        TEST_STR_EQ(buf_str(&out), str_from(rows[i].want));
        buf_fini(&out);
    }
}

/* One odd byte at each place of each length: short strings are looked at in blocks. */
static void
odd_bytes(void **state)
{
    (void)state;
    static const struct {
        char byte;
        const char *want;
    } rows[] = {
        {'b', "b"},          {'"', "\\\""},    {'\\', "\\\\"}, {'\n', "\\n"},
        {'\x1f', "\\u001f"}, {'\x7f', "\x7f"}, {' ', " "},     {'\xff', "\xef\xbf\xbd"},
    };
    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        for (size_t len = 1; len <= 70; len++) {
            for (size_t at = 0; at < len; at++) {
                struct buf in;
                struct buf want;
                struct buf out;
                buf_init(&in, len);
                buf_init(&want, 256);
                buf_init(&out, 256);
                (void)buf_put_byte(&want, '"');
                for (size_t i = 0; i < len; i++) {
                    (void)buf_put_byte(&in, i == at ? rows[row].byte : 'a');
                    (void)buf_put_str(&want, i == at ? str_from(rows[row].want) : STR("a"));
                }
                (void)buf_put_byte(&want, '"');
                assert_int_equal(json_put_string(&out, buf_str(&in)), 0);
                TEST_STR_EQ(buf_str(&out), buf_str(&want));
                buf_fini(&in);
                buf_fini(&want);
                buf_fini(&out);
            }
        }
    }
}

static void
documents(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    json_open_object(&w);
    json_member_str(&w, "s", STR("x\n"));
    json_member_i64(&w, "i", INT64_MIN);
    json_member_u64(&w, "u", UINT64_MAX);
    json_member_bool(&w, "b", false);
    json_member_raw(&w, "r", STR("1e999"));
    json_key_object(&w, "o");
    json_key_array(&w, "a");
    json_close_array(&w);
    json_close_object(&w);
    json_key_str(&w, STR("k\""));
    json_open_array(&w);
    json_value_null(&w);
    json_open_object(&w);
    json_close_object(&w);
    json_open_array(&w);
    json_value_bool(&w, true);
    json_close_array(&w);
    json_close_array(&w);
    json_close_object(&w);
    TEST_STR_EQ(buf_str(&out),
                STR("{\"s\":\"x\\n\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"
                    "\"b\":false,\"r\":1e999,\"o\":{\"a\":[]},\"k\\\"\":[null,{},[true]]}"));
    assert_false(out.failed);
    buf_fini(&out);
}

static void
failure_is_sticky(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 8);
    json_writer_init(&w, &out);
    json_open_array(&w);
    json_value_str(&w, STR("longer than eight"));
    json_value_i64(&w, 1);
    json_close_array(&w);
    assert_true(out.failed);
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(odd_bytes),
        cmocka_unit_test(documents),
        cmocka_unit_test(failure_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
