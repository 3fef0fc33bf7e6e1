/* SPDX-License-Identifier: MIT
 * log_test.c - lines as a person or a collector sees them.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: whatever the value, one event is one line of printable text. */
#include "lib/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/rune_int.h"

static char line[8192];
static int capture_fd = -1;

static uint64_t
zero_mono(void *user)
{
    (void)user;
    return 0;
}

static int64_t
zero_wall(void *user)
{
    (void)user;
    return 0;
}

static const struct clock_source zero_clock = {zero_mono, zero_wall, NULL};

static int
setup(void **state)
{
    (void)state;
    clock_replace(&zero_clock);
    (void)unsetenv("BERTH_LOG");
    capture_fd = memfd_create("log", 0);
    return capture_fd < 0 ? -1 : 0;
}

/* Everything that write() logs goes to `line`. */
static void
capture(void (*write_line)(const void *user), const void *user)
{
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(ftruncate(capture_fd, 0), 0);
    assert_true(lseek(capture_fd, 0, SEEK_SET) == 0);
    (void)dup2(capture_fd, STDERR_FILENO);
    write_line(user);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    ssize_t got = pread(capture_fd, line, sizeof(line) - 1, 0);
    assert_true(got >= 0);
    line[got] = '\0';
}

static void
write_all_kinds(const void *user)
{
    (void)user;
    LOG_INFO("started", LOG_C("host", "a b"), LOG_S("id", STR("x1")), LOG_I("delta", -5),
             LOG_U("port", 8080u), LOG_B("tls", true),
             ((struct log_field){.key = "trace", .kind = LOG_HEX, .u64 = 0xabc}));
    LOG_DEBUG("not shown");
    LOG_ERROR("bare");
}

static void
test_formats(void **state)
{
    (void)state;
    log_setup("berth-test", 0, LOG_INFO);
    capture(write_all_kinds, NULL);
    assert_string_equal(
        line, "1970-01-01T00:00:00.000Z info  berth-test: started host=\"a b\" id=x1 delta=-5 "
              "port=8080 tls=true trace=0000000000000abc\n"
              "1970-01-01T00:00:00.000Z error berth-test: bare\n");
    log_setup("berth-test", 1, LOG_INFO);
    capture(write_all_kinds, NULL);
    assert_string_equal(
        line,
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"program\":\"berth-test\","
        "\"message\":\"started\",\"host\":\"a b\",\"id\":\"x1\",\"delta\":-5,\"port\":8080,"
        "\"tls\":true,\"trace\":\"0000000000000abc\"}\n"
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"error\",\"program\":\"berth-test\","
        "\"message\":\"bare\"}\n");
}

static void
write_value(const void *user)
{
    const struct str *value = user;
    LOG_INFO("m", LOG_S("v", *value));
}

static void
test_values_are_escaped(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {
        {{"plain", 5}, "v=plain\n"},
        {{"", 0}, "v=\"\"\n"},
        {{"a\nb", 3}, "v=\"a\\nb\"\n"},
        {{"a\"\\", 3}, "v=\"a\\\"\\\\\"\n"},
        {{"\x1b[31m", 5}, "v=\"\\u001b[31m\"\n"},
        {{"\0", 1}, "v=\"\\u0000\"\n"},
        {{"\x7f", 1}, "v=\"\\u007f\"\n"},
        {{"\xc2\x85", 2}, "v=\"\\u0085\"\n"},
        {{"\xe2\x80\xae"
          "abc",
          6},
         "v=\"\\u202eabc\"\n"},
        {{"\xe2\x81\xa6", 3}, "v=\"\\u2066\"\n"},
        {{"\xc3\xa4\xf0\x9f\x98\x80", 6}, "v=\"\xc3\xa4\xf0\x9f\x98\x80\"\n"},
        {{"\xff", 1}, "v=\"\\ufffd\"\n"},
        {{"\xc3", 1}, "v=\"\\ufffd\"\n"},
        {{"\xe2\x80", 2}, "v=\"\\ufffd\\ufffd\"\n"},
        {{"\xc0\xaf", 2}, "v=\"\\ufffd\\ufffd\"\n"},
        {{"\xed\xa0\x80", 3}, "v=\"\\ufffd\\ufffd\\ufffd\"\n"},
        {{"\xf4\x90\x80\x80", 4}, "v=\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n"},
        {{"x=1 forged=true", 15}, "v=\"x=1 forged=true\"\n"},
    };
    log_setup("berth-test", 0, LOG_INFO);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        capture(write_value, &rows[i].in);
        const char *at = strstr(line, "v=");
        assert_non_null(at);
        assert_string_equal(at, rows[i].want);
    }
}

static void
test_long_values_are_cut_and_lines_stay_whole(void **state)
{
    (void)state;
    static char text[6000];
    static const struct {
        const char *unit;
    } rows[] = {{"x"}, {"\n"}, {"\x01"}, {"\xf0\x9f\x98\x80"}, {"\xff"}, {"\""}};
    for (int json = 0; json <= 1; json++) {
        log_setup("berth-test", json, LOG_INFO);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            size_t unit = strlen(rows[i].unit);
            for (size_t at = 0; at + unit <= sizeof(text); at += unit)
                memcpy(text + at, rows[i].unit, unit);
            for (size_t len = 3900; len < 4100; len += 1) {
                struct str value = str_make(text, len - len % unit);
                capture(write_value, &value);
                size_t size = strlen(line);
                assert_true(size <= 4096);
                assert_int_equal(strcspn(line, "\n"), size - 1);
                if (json == 0 || strstr(line, "cut") == NULL)
                    continue;
                assert_true(str_ends(str_from(line), STR("\",\"cut\":true}\n")));
            }
        }
    }
}

static void
test_levels(void **state)
{
    (void)state;
    static const struct {
        const char *wanted;
        enum log_level given;
        bool debug, info, error;
    } rows[] = {
        {NULL, LOG_INFO, false, true, true},   {NULL, LOG_ERROR, false, false, true},
        {"debug", LOG_INFO, true, true, true}, {"error", LOG_INFO, false, false, true},
        {"loud", LOG_DEBUG, true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].wanted != NULL)
            assert_int_equal(setenv("BERTH_LOG", rows[i].wanted, 1), 0);
        log_setup("berth-test", -1, rows[i].given);
        assert_int_equal(log_enabled(LOG_DEBUG), rows[i].debug);
        assert_int_equal(log_enabled(LOG_INFO), rows[i].info);
        assert_int_equal(log_enabled(LOG_ERROR), rows[i].error);
        (void)unsetenv("BERTH_LOG");
    }
}

static void
test_runes_cover_unicode(void **state)
{
    (void)state;
    /* Every code point encoded by hand decodes to itself; what is no character does not. */
    for (uint32_t rune = 0; rune < 0x110010; rune++) {
        char bytes[4];
        size_t count = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
        for (size_t i = 0; i < count; i++)
            bytes[i] = (char)(0x80u | (rune >> 6 * (count - 1 - i) & 0x3fu));
        if (count == 1)
            bytes[0] = (char)rune;
        else
            bytes[0] = (char)((0xf00u >> count & 0xf0u) | rune >> 6 * (count - 1));
        size_t at = 0;
        bool valid = rune < 0x110000 && (rune < 0xd800 || rune > 0xdfff);
        uint32_t got = rune_next(str_make(bytes, count), &at);
        if (got != (valid ? rune : RUNE_BAD) || at != (valid ? count : 1))
            fail_msg("U+%04x decoded to %x, %zu bytes", rune, got, at);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_values_are_escaped),
        cmocka_unit_test(test_long_values_are_cut_and_lines_stay_whole),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_runes_cover_unicode),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
