/* SPDX-License-Identifier: MIT
 * skip_test.c - every variant stops where the one-byte loop stops.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves skip.h. */
#include "lib/text/skip.h"

#include "lib/text/test_int.h"

#include "lib/base/str.h"

static const char *
line_naive(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

static const char *
plain_naive(const char *at, const char *end)
{
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        at++;
    }
    return at;
}

static const char *
string_naive(const char *at, const char *end, bool *ret_escaped)
{
    for (; (at = plain_naive(at, end)) < end && *at == '\\'; at += 2) {
        if (end - at < 2 || at[1] == '\0' || strchr("\"\\/bfnrt", at[1]) == NULL) {
            break;
        }
        *ret_escaped = true;
    }
    return at;
}

static void
check_all(const char *text, size_t size)
{
    const char *end = text + size;
    bool escaped[3] = {false, false, false};
    const char *want = string_naive(text, end, &escaped[0]);
    assert_ptr_equal(skip_plain(text, end), plain_naive(text, end));
    assert_ptr_equal(skip_line(text, end), line_naive(text, end));
    assert_ptr_equal(skip_string_narrow(text, end, &escaped[1]), want);
    assert_int_equal(escaped[1], escaped[0]);
    if (skip_have_wide()) {
        assert_ptr_equal(skip_string_wide(text, end, &escaped[2]), want);
        assert_int_equal(escaped[2], escaped[0]);
    }
}

/* Each byte at each place of blocks of each size, alone and behind a backslash; exact heap blocks,
 * so that the address sanitizer sees a read outside. */
static void
every_byte_at_every_place(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 200; size++) {
        char *text = malloc(size + 1);
        assert_non_null(text);
        char *exact = realloc(text, size > 0 ? size : 1);
        assert_non_null(exact);
        for (unsigned c = 0; c < 256; c += size < 70 ? 1 : 3) {
            for (size_t place = 0; place < size; place += 1 + size / 20) {
                memset(exact, 'a', size);
                exact[place] = (char)c;
                check_all(exact, size);
                exact[place > 0 ? place - 1 : 0] = '\\';
                check_all(exact, size);
            }
        }
        check_all(exact, size);
        free(exact);
    }
}

static void
random_runs_of_backslashes(void **state)
{
    (void)state;
    test_seed();
    for (int round = 0; round < 200000; round++) {
        char text[300];
        size_t size = rand_below(sizeof(text));
        uint64_t rare = 2 + rand_below(60);
        for (size_t i = 0; i < size; i++) {
            text[i] = rand_below(rare) == 0 ? '\\' : 'n';
        }
        if (size > 0 && rand_below(2) == 0) {
            text[rand_below(size)] = "\"u\x01x/"[rand_below(5)];
        }
        check_all(text, size);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(random_runs_of_backslashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
