/* SPDX-License-Identifier: MIT
 * json_same_test.c - the scan with marks says of every text what the one without says: pieces that
 *                    are hard, at every place of a block and around the end of a window; and random
 *                    texts of them.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves json_marks.h where the CPU has what it takes, and says when it has not. */
#include "lib/text/json_same_test_rig.h"

#include "lib/text/test_int.h"

struct row {
    struct str piece; /* of the content of a string */
    bool good;
};

#define GOOD(text)                     \
    {                                  \
        {text, sizeof(text) - 1}, true \
    }
#define BAD(text)                       \
    {                                   \
        {text, sizeof(text) - 1}, false \
    }

static const struct row rows[] = {
    GOOD(""),
    GOOD("\\n"),
    GOOD("\\\""),
    GOOD("\\\\"),
    GOOD("\\\\\\\""),
    GOOD("\\/\\b\\f\\r\\t"),
    GOOD("\\u00e9"),
    GOOD("\\u00E9\\u2013"),
    GOOD("\\ud83d\\ude00"),
    GOOD("\\uABCD\\uefab\\u0189\\uFFFF"),
    GOOD("\\ud7ff\\uDBFF\\uDFFF\\ue000"),
    GOOD("\\\\ud83d"),
    GOOD("\x7f"),
    GOOD("\xc3\xa9"),
    GOOD("\xe2\x80\xa8"),
    GOOD("\xf0\x9f\x98\x80"),
    GOOD("\",\""),
    GOOD("\",\"\",\"\\n\",\""),
    GOOD("\" \n\t,\r [{\"a\":\"\\\\\"}], \""),
    GOOD("\",{\"a\":1},{\"b\":\"c\"},{},{\"d\":[{\"\":{}},{\"e\" :-0.5e1}]} ,{\"f\":null},\""),
    GOOD("\",{\"\":1,\"a\":2,\"b\":3,\"aa\":4,\"\\u0061b\":5},true,false,\""),
    BAD("\""),
    BAD("\\"),
    BAD("\\x"),
    BAD("\\\n"),
    BAD("\\\xc3\xa9"),
    BAD("\\\xee\x80\x80"), /* its low seven bits are an n */
    BAD("\\u"),
    BAD("\\u00g0"),
    BAD("\\ug000"),
    BAD("\\u0:00"),
    BAD("\\u00@0"),
    BAD("\\u000`"),
    BAD("\\u000/"),
    BAD("\\u00\xe1\x81\x81"),
    BAD("\\U0041"),
    BAD("\\u00\\n0"),
    BAD("\\ud83d"),
    BAD("\\ude00"),
    BAD("\\ud83d\\u0041"),
    BAD("\\udbff\\udbff\\udfff"),
    BAD("\\uDBFF\\u0D00"),
    BAD("\\ud83d\\n"),
    BAD("\x01"),
    BAD("\n"),
    BAD("\xc3"),
    BAD("\xa9"),
    BAD("\xc0\xaf"),
    BAD("\xed\xa0\x80"),
    BAD("\xf4\x90\x80\x80"),
    BAD("\",\\\"\",\""),
    BAD("\",{\"a\":1,\"a\":2},\""),
    BAD("\",{\"a\":1,\"\\u0061\":2},\""),
    BAD("\",{\"\":1 , \"\":2},\""),
    BAD("\",{\"\\u0061b\":1},{\"b\":1,\"b\":2},{\"c\":3},\""),
    BAD("\",{\"a\":1},{,\""),
    BAD("\",{\"a\":1},{\"b\"},\""),
    BAD("\",{\"a\":1]},{\"b\":1},\""),
    BAD("\",[\"a\"},{\"b\":1},\""),
    BAD("\",{\"a\":1}},{\"b\":1},\""),
    BAD("\",tru,\""),
    BAD("\",01,\""),
    BAD("\"\\,\""),
};

static void
put_times(struct buf *out, char byte, size_t count)
{
    while (count-- > 0) {
        buf_put_byte(out, byte);
    }
}

static void
pieces_at_every_place(void **state)
{
    (void)state;
    static const size_t edges[] = {0, 440, JSON_MARKS_WINDOW - 80, 2 * JSON_MARKS_WINDOW - 80};
    struct buf out;
    if (!json_marks_usable()) {
        print_message("no AVX-512 VBMI2 here: there is one scanner only\n");
    }
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t edge = 0; edge < ARRAY_LEN(edges); edge++) {
            for (size_t place = 0; place < 100; place++) {
                struct json_doc doc;
                buf_consume(&out, out.len);
                buf_put_str(&out, STR("[\""));
                put_times(&out, 'x', edges[edge] + place);
                buf_put_str(&out, rows[i].piece);
                put_times(&out, 'x', place % 3 * 600);
                buf_put_str(&out, STR("\"]"));
                json_same(buf_str(&out));
                json_init(&doc);
                if ((json_scan(&doc, buf_str(&out), NULL, NULL) == 0) != rows[i].good) {
                    fail_msg("row %zu, %zu behind %zu", i, place, edges[edge]);
                }
                json_fini(&doc);
            }
        }
    }
    buf_fini(&out);
}

static void
random_texts_of_them(void **state)
{
    (void)state;
    static const char *const between[] = {"\",\"", "\":\"", "\"},{\"", "\",\n        \"", "xx"};
    struct buf out;
    test_seed();
    buf_init(&out, 1 << 20);
    for (int round = 0; round < 3000; round++) {
        uint64_t bad = rand_below(4);
        buf_consume(&out, out.len);
        buf_put_str(&out, STR("[{\""));
        for (size_t i = rand_below(200); i > 0; i--) {
            const struct row *row = &rows[rand_below(ARRAY_LEN(rows))];
            if (row->good || (bad == 0 && rand_below(100) == 0)) {
                buf_put_str(&out, row->piece);
            }
            put_times(&out, 'x', rand_below(rand_below(10) == 0 ? 1500 : 12));
            buf_put_str(&out, str_from(between[rand_below(ARRAY_LEN(between))]));
        }
        buf_put_str(&out, STR("\":1}]"));
        json_same(buf_str(&out));
    }
    buf_fini(&out);
}

/* The scan with marks looks for a bracket at the end before all else, and goes without the end from
 * there on. */
static void
texts_cut_at_every_place(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\" : "
        "\"gpt\",\"n\":-12.5e3,\"tools\":[],\"x\":{},\"a\\n\":[{\"\":\"\"},{\"b\":[1,[2,{}]]},"
        "{\"c\":null , \"d\":true},{\"e\":false}],\"messages\":[\n  {\"role\":\"us\\u00e9r\"},\n  "
        "{\"role\":\"na\xc3\xafve\",\"content\":\"\\\"\"},{\"a\":1,\"q\":2,\"aa\":"
        "1234567890123456789}],\"z\":0}\n ";
    static const char *const ends[] = {"", "}", "]", "}]}", "\"}", "\"]} ", ",", "\\", "{", ":1}"};
    static const char *const roots[] = {"",      "1]",  "\"x\"}",  "null ]",    "{}]",
                                        "[],{}", "]",   "}}",      "-0]",       "[1]]",
                                        "{,}",   ",[]", "1],[[1]", "\"x\"],[[]"};
    struct buf out;
    buf_init(&out, 1 << 12);
    for (size_t size = 0; size < sizeof(text); size++) {
        for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
            buf_consume(&out, out.len);
            buf_put_str(&out, str_make(text, size));
            buf_put_str(&out, str_from(ends[i]));
            json_same(buf_str(&out));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        for (size_t before = 0; before <= 128; before += 64) {
            buf_consume(&out, out.len);
            put_times(&out, ' ', before);
            buf_put_str(&out, str_from(roots[i]));
            put_times(&out, '\n', 128 - before);
            json_same(buf_str(&out));
        }
    }
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_at_every_place),
        cmocka_unit_test(random_texts_of_them),
        cmocka_unit_test(texts_cut_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
