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
    GOOD("\\\\ud83d"),
    GOOD("\x7f"),
    GOOD("\xc3\xa9"),
    GOOD("\xe2\x80\xa8"),
    GOOD("\xf0\x9f\x98\x80"),
    GOOD("\",\""),
    GOOD("\",\"\",\"\\n\",\""),
    GOOD("\" \n\t,\r [{\"a\":\"\\\\\"}], \""),
    BAD("\""),
    BAD("\\"),
    BAD("\\x"),
    BAD("\\\n"),
    BAD("\\\xc3\xa9"),
    BAD("\\\xee\x80\x80"), /* its low seven bits are an n */
    BAD("\\u"),
    BAD("\\u00g0"),
    BAD("\\u00\\n0"),
    BAD("\\ud83d"),
    BAD("\\ude00"),
    BAD("\\ud83d\\u0041"),
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
};

static void
put_plain(struct buf *out, size_t count)
{
    while (count-- > 0) {
        buf_put_byte(out, 'x');
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
                put_plain(&out, edges[edge] + place);
                buf_put_str(&out, rows[i].piece);
                put_plain(&out, place % 3 * 600);
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
            put_plain(&out, rand_below(rand_below(10) == 0 ? 1500 : 12));
            buf_put_str(&out, str_from(between[rand_below(ARRAY_LEN(between))]));
        }
        buf_put_str(&out, STR("\":1}]"));
        json_same(buf_str(&out));
    }
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_at_every_place),
        cmocka_unit_test(random_texts_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
