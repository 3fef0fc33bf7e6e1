/* SPDX-License-Identifier: MIT
 * archive_test.c - what is written is read back, by us and by tar; what is strange is refused.
 * Floor: cli tests.
 * Owns: memory streams for the time of a test.
 * Invariant: proves archive.h. */
#include "cli/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/cc.h"

static char *bytes;
static size_t count;

static void
make(const char *name, struct str text)
{
    struct err err = {0};
    FILE *out = open_memstream(&bytes, &count);
    assert_non_null(out);
    assert_int_equal(archive_put_text(out, name, text, 1700000000, &err), 0);
    assert_int_equal(archive_end(out, &err), 0);
    assert_int_equal(fclose(out), 0);
}

static void
test_round(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 511, 512, 513, 70000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct archive_head head;
        struct err err = {0};
        char *text = calloc(1, sizes[i] + 1);
        char *back = NULL;
        size_t back_count = 0;
        memset(text, 'x', sizes[i]);
        make("controlplane/pki/ca.crt", str_make(text, sizes[i]));
        assert_int_equal(count % ARCHIVE_BLOCK_BYTES, 0);
        FILE *in = fmemopen(bytes, count, "r");
        FILE *out = open_memstream(&back, &back_count);
        assert_int_equal(archive_next(in, &head, &err), 0);
        assert_string_equal(head.name, "controlplane/pki/ca.crt");
        assert_int_equal(head.bytes, sizes[i]);
        assert_int_equal(archive_take(in, &head, out, &err), 0);
        assert_int_equal(archive_next(in, &head, &err), -ERR_CLOSED);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(back_count, sizes[i]);
        assert_memory_equal(back, text, sizes[i]);
        assert_int_equal(fclose(in), 0);
        free(text);
        free(back);
        free(bytes);
    }
}

static void
test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int want;
    } rows[] = {
        {"keys/host.key", 0},          {"berth-backup", 0},
        {"controlplane/pki/a_b-c", 0}, {"", -ERR_INVALID},
        {"/etc/passwd", -ERR_INVALID}, {"../x", -ERR_INVALID},
        {"keys/../x", -ERR_INVALID},   {"keys/.hidden", -ERR_INVALID},
        {"keys/", -ERR_INVALID},       {"keys//x", -ERR_INVALID},
        {"a/b/c/d", -ERR_INVALID},     {"keys/x y", -ERR_INVALID},
        {"keys/x\n", -ERR_INVALID},    {"keys/\xc3\xa4", -ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        FILE *out = fopen("/dev/null", "we");
        int rc = archive_put_text(out, rows[i].name, STR("x"), 0, &err);
        if (rc != rows[i].want)
            fail_msg("%s: %d, want %d", rows[i].name, rc, rows[i].want);
        assert_int_equal(fclose(out), 0);
    }
}

/* One byte of the head is another, with a right checksum unless that is what was changed. */
static void
test_strange(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        char to;
        bool summed;
        int want;
    } rows[] = {
        {"nothing", 0, 'k', true, 0},
        {"checksum", 0, 'K', false, -ERR_PARSE},
        {"a link", 156, '2', true, -ERR_INVALID},
        {"a folder", 156, '5', true, -ERR_INVALID},
        {"a prefix", 345, '/', true, -ERR_INVALID},
        {"a name that leads away", 0, '/', true, -ERR_INVALID},
        {"a size that is no number", 130, 'x', true, -ERR_PARSE},
        {"a size in base 256", 124, '\x80', true, -ERR_PARSE},
        {"another magic", 257, 'x', true, -ERR_PARSE},
        {"more than there is", 126, '7', true, -ERR_IO},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct archive_head head;
        struct err err = {0};
        unsigned sum = 0;
        make("keys/host.key", STR("secret"));
        bytes[rows[i].at] = rows[i].to;
        memset(bytes + 148, ' ', 8);
        for (size_t at = 0; at < ARCHIVE_BLOCK_BYTES; at++)
            sum += (unsigned char)bytes[at];
        (void)snprintf(bytes + 148, 8, "%06o", rows[i].summed ? sum : sum - 1);
        FILE *in = fmemopen(bytes, count, "r");
        FILE *out = fopen("/dev/null", "we");
        int rc = archive_next(in, &head, &err);
        if (rc == 0)
            rc = archive_take(in, &head, out, &err);
        if (rc != rows[i].want)
            fail_msg("%s: %d, want %d", rows[i].name, rc, rows[i].want);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(fclose(in), 0);
        free(bytes);
    }
}

static void
test_too_large(void **state)
{
    (void)state;
    struct err err = {0};
    FILE *null = fopen("/dev/null", "r+e");
    assert_int_equal(archive_put(null, "controlplane/berth.db", null, UINT64_C(8) << 30, 0, &err),
                     -ERR_TOO_LARGE);
    assert_int_equal(archive_put(null, "controlplane/berth.db", null, 1, 0, &err), -ERR_IO);
    assert_int_equal(fclose(null), 0);
    FILE *full = fopen("/dev/full", "we");
    setbuf(full, NULL);
    assert_int_equal(archive_put_text(full, "keys/x", STR("x"), 0, &err), -ERR_NO_SPACE);
    (void)fclose(full);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_strange),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
