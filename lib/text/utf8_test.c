/* SPDX-License-Identifier: MIT
 * utf8_test.c - valid is what RFC 3629 says, in both validators, wherever the bytes stand.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves utf8.h. */
#include "lib/text/utf8.h"

#include "lib/text/test_int.h"

struct row {
    const char *name;
    struct str text;
    size_t valid_bytes;
};

#define ROW(name, text, valid)                \
    {                                         \
        name, {text, sizeof(text) - 1}, valid \
    }
static const struct row rows[] = {
    ROW("empty", "", 0),
    ROW("ascii", "abc", 3),
    ROW("nul", "a\0b", 3),
    ROW("two bytes", "\xc3\xa9", 2),
    ROW("three bytes", "\xe6\x97\xa5", 3),
    ROW("four bytes", "\xf0\x9f\x98\x80", 4),
    ROW("last code point", "\xf4\x8f\xbf\xbf", 4),
    ROW("above the last", "\xf4\x90\x80\x80", 0),
    ROW("five bytes", "\xf8\x88\x80\x80\x80", 0),
    ROW("overlong slash", "\xc0\xaf", 0),
    ROW("overlong c1", "\xc1\xbf", 0),
    ROW("overlong three", "\xe0\x80\xaf", 0),
    ROW("overlong four", "\xf0\x80\x80\xaf", 0),
    ROW("first surrogate", "\xed\xa0\x80", 0),
    ROW("last surrogate", "\xed\xbf\xbf", 0),
    ROW("before surrogates", "\xed\x9f\xbf", 3),
    ROW("behind surrogates", "\xee\x80\x80", 3),
    ROW("noncharacter", "\xef\xbf\xbf", 3),
    ROW("lone continuation", "ab\x80", 2),
    ROW("cut after one", "a\xe6", 1),
    ROW("cut after two", "a\xe6\x97", 1),
    ROW("cut after three", "a\xf0\x9f\x98", 1),
    ROW("lead then ascii", "\xc3z", 0),
    ROW("too long", "\xc3\xa9\xa9", 2),
    ROW("fe", "\xfe", 0),
    ROW("ff", "\xff", 0),
};

/* Each row at every place of a longer text, with ASCII and with other characters around it. */
static void
rows_at_every_place(void **state)
{
    (void)state;
    char text[260];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str s = rows[i].text;
        assert_int_equal(utf8_valid_bytes(s), rows[i].valid_bytes);
        for (size_t place = 0; place < 140; place++) {
            memset(text, 'a', sizeof(text));
            for (size_t p = 0; place % 2 == 1 && p + 3 <= place; p += 3) {
                (void)utf8_encode(text + p, 0x65e5);
            }
            memcpy(text + place, s.ptr, s.len);
            bool good = s.len == rows[i].valid_bytes;
            for (size_t size = place + s.len; size <= place + s.len + 66; size += 11) {
                size_t want = good ? size : place + rows[i].valid_bytes;
                struct str all = str_make(text, size);
                if (utf8_valid_bytes(all) != want || utf8_valid_bytes_portable(all) != want) {
                    fail_msg("%s at %zu of %zu", rows[i].name, place, size);
                }
            }
        }
    }
}

static void
validators_agree_on_random_bytes(void **state)
{
    (void)state;
    test_seed();
    static const unsigned char pool[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                         0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
    char text[256];
    for (int round = 0; round < 100000; round++) {
        size_t size = rand_below(sizeof(text));
        for (size_t at = 0; at < size;) {
            /* mostly well-formed, so that errors stand late */
            size_t made = 1;
            if (rand_below(40) != 0 && at + 4 <= size) {
                uint32_t code = (uint32_t)rand_below(rand_below(2) ? 0x800 : 0x110000);
                made = utf8_encode(text + at, code >= 0xd800 && code < 0xe000 ? 'x' : code);
            } else {
                text[at] = (char)pool[rand_below(sizeof(pool))];
            }
            at += made;
        }
        struct str s = str_make(text, size);
        assert_int_equal(utf8_valid_bytes(s), utf8_valid_bytes_portable(s));
    }
}

static void
encode_and_decode_agree(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code += code == 0xd7ff ? 0x801 : 1) {
        char out[4];
        uint32_t back = 0;
        size_t size = utf8_encode(out, code);
        assert_int_equal(utf8_decode(str_make(out, size), &back), size);
        assert_int_equal(back, code);
    }
    assert_int_equal(utf8_count(STR("a\xc3\xa9\xf0\x9f\x98\x80")), 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_at_every_place),
        cmocka_unit_test(validators_agree_on_random_bytes),
        cmocka_unit_test(encode_and_decode_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
