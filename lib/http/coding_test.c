/* SPDX-License-Identifier: MIT
 * coding_test.c - what decodes, what does not, and that a small body cannot become a large one.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: every row is fed whole and byte by byte, with much room and with little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/check.h"
#include "lib/http/coding_test_rows.h"

#define OUT_MAX ((size_t)64u << 20)
#define CUT_SHORT 1 /* beside the codes: all was taken, and it was not all */

/* Decode in pieces of `step` bytes into pieces of `room`. Returns 0, a code, or CUT_SHORT. */
static int
decode(enum coding_kind kind, struct str bytes, size_t step, size_t room, struct buf *out)
{
    struct coding *coding = NULL;
    assert_int_equal(coding_new(kind, &coding), 0);
    char *piece = malloc(room);
    assert_non_null(piece);
    int rc = 0;
    while (bytes.len > 0 && rc == 0) {
        struct str input = str_make(bytes.ptr, MIN(step, bytes.len));
        size_t count = 0;
        bytes = str_skip(bytes, input.len);
        do {
            rc = coding_next(coding, &input, piece, room, &count);
            if (rc == 0)
                assert_int_equal(buf_put(out, piece, count), 0);
        } while (rc == 0 && count == room);
        assert_true(rc != 0 || input.len == 0);
    }
    if (rc == 0 && !coding_complete(coding))
        rc = CUT_SHORT;
    free(piece);
    coding_free(&coding);
    assert_null(coding);
    return rc;
}

static void
want_decoded(const char *name, enum coding_kind kind, struct str bytes, int want,
             const char *want_text)
{
    static const struct {
        size_t step, room;
    } ways[] = {{SIZE_MAX, 4096}, {1, 4096}, {SIZE_MAX, 1}, {3, 7}};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct buf out;
        buf_init(&out, OUT_MAX);
        int got = decode(kind, bytes, ways[i].step, ways[i].room, &out);
        if (got != want || (want == 0 && !str_eq(buf_str(&out), str_from(want_text))))
            fail_msg("%s, way %zu: got %d '%s'", name, i, got, buf_cstr(&out));
        buf_fini(&out);
    }
}

static void
every_coding_gives_the_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(coded); i++)
        want_decoded(coded[i].name, coded[i].kind, coded[i].bytes, 0, CODED_TEXT);
}

static void
cut_short_is_never_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(coded); i++) {
        for (size_t len = 0; len < coded[i].bytes.len; len++)
            want_decoded(coded[i].name, coded[i].kind, str_make(coded[i].bytes.ptr, len), CUT_SHORT,
                         NULL);
    }
}

static void
malformed_is_refused(void **state)
{
    (void)state;
#define ROW(name, kind, text, want, out)                \
    {                                                   \
        name, kind, {text, sizeof(text) - 1}, want, out \
    }
    static const struct {
        const char *name;
        enum coding_kind kind;
        struct str bytes;
        int want;
        const char *text;
    } rows[] = {
        ROW("gzip, text behind", CODING_GZIP, CODED_GZIP "{}", -ERR_PARSE, NULL),
        ROW("gzip, zeros behind", CODING_GZIP, CODED_GZIP "\0\0\0\0", -ERR_PARSE, NULL),
        ROW("deflate, text behind", CODING_DEFLATE, CODED_DEFLATE "{}", -ERR_PARSE, NULL),
        ROW("deflate, twice", CODING_DEFLATE, CODED_DEFLATE CODED_DEFLATE, -ERR_PARSE, NULL),
        ROW("br, text behind", CODING_BR, CODED_BR "{}", -ERR_PARSE, NULL),
        ROW("zstd, text behind", CODING_ZSTD, CODED_ZSTD "{}{}{}", -ERR_PARSE, NULL),
        ROW("zstd, a byte behind", CODING_ZSTD, CODED_ZSTD "\x28", CUT_SHORT, NULL),
        ROW("gzip, two members", CODING_GZIP, CODED_GZIP CODED_GZIP, 0, CODED_TEXT CODED_TEXT),
        ROW("gzip, half a second member", CODING_GZIP, CODED_GZIP "\x1f\x8b", CUT_SHORT, NULL),
        ROW("zstd, two frames", CODING_ZSTD, CODED_ZSTD CODED_ZSTD, 0, CODED_TEXT CODED_TEXT),
        ROW("gzip, wrong checksum", CODING_GZIP,
            "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" DEFLATED "\x8f\xa5\xfa\x9e\x41\x00\x00\x00",
            -ERR_PARSE, NULL),
        ROW("gzip, wrong length", CODING_GZIP,
            "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" DEFLATED "\x8e\xa5\xfa\x9e\x42\x00\x00\x00",
            -ERR_PARSE, NULL),
        ROW("deflate without its frame", CODING_DEFLATE, DEFLATED, -ERR_PARSE, NULL),
        ROW("plain text as gzip", CODING_GZIP, "{\"model\":\"a\"}", -ERR_PARSE, NULL),
        ROW("plain text as zstd", CODING_ZSTD, "{\"model\":\"a\"}", -ERR_PARSE, NULL),
        ROW("plain text as br", CODING_BR, "{\"model\":\"a\"}", -ERR_PARSE, NULL),
        ROW("zstd, a window of 2 GiB", CODING_ZSTD, "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00",
            -ERR_PARSE, NULL),
        ROW("zstd, a window of 128 MiB, whole and with its size", CODING_ZSTD,
            "\x28\xb5\x2f\xfd\x40\x88\x00\x00\x03\x08\x00\x61", -ERR_PARSE, NULL),
        ROW("zstd, a dictionary", CODING_ZSTD, "\x28\xb5\x2f\xfd\x21\x07\x01\x01\x00\x00",
            -ERR_PARSE, NULL),
    };
#undef ROW
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        want_decoded(rows[i].name, rows[i].kind, rows[i].bytes, rows[i].want, rows[i].text);
}

/* 16 MiB out of 27 bytes stop soon behind the first free MiB. */
static void
bombs_stop_early(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, OUT_MAX);
    struct str bomb = STR(BOMB_BR);
    assert_int_equal(decode(CODING_BR, bomb, SIZE_MAX, 16384, &out), -ERR_TOO_LARGE);
    assert_in_range(out.len, CODING_FREE_BYTES / 2, CODING_FREE_BYTES + 16384);
    out.len = 0;
    assert_int_equal(decode(CODING_BR, bomb, 1, 16384, &out), -ERR_TOO_LARGE);
    assert_in_range(out.len, CODING_FREE_BYTES / 2, CODING_FREE_BYTES + 16384);
    buf_fini(&out);
}

static void
names_of_codings(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        enum coding_kind want;
    } rows[] = {
        {"", CODING_IDENTITY},
        {"identity", CODING_IDENTITY},
        {"gzip", CODING_GZIP},
        {"GZip", CODING_GZIP},
        {"x-gzip", CODING_GZIP},
        {"deflate", CODING_DEFLATE},
        {"br", CODING_BR},
        {" zstd", CODING_ZSTD},
        {"gzip, br", CODING_UNKNOWN},
        {"compress", CODING_UNKNOWN},
        {"gzip,", CODING_UNKNOWN},
        {"aws-chunked", CODING_UNKNOWN},
        {"gzip;q=1", CODING_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (coding_kind(str_from(rows[i].value)) != rows[i].want)
            fail_msg("'%s'", rows[i].value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_coding_gives_the_text),
        cmocka_unit_test(cut_short_is_never_complete),
        cmocka_unit_test(malformed_is_refused),
        cmocka_unit_test(bombs_stop_early),
        cmocka_unit_test(names_of_codings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
