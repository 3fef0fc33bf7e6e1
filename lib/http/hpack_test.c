/* SPDX-License-Identifier: MIT
 * hpack_test.c - our header blocks against nghttp2's, both ways, and what must not be accepted.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: nghttp2's coder is the judge of ours: same fields, same table, in long random runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "lib/base/err.h"
#include "lib/base/num.h"
#include "lib/http/hpack.h"

#define FIELDS 8u

static int
note(void *user, struct str name, struct str value)
{
    struct buf *text = user;
    buf_put_str(text, name);
    buf_put_str(text, STR(": "));
    buf_put_str(text, value);
    return buf_put_byte(text, '\n');
}

static uint32_t
next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static const char *const names[] = {
    ":status",    ":path",        ":authority",     "content-type",  "content-length", "date",
    "x-other",    "x-request-id", "authorization",  "cookie",        "user-agent",     "x-b",
    "set-cookie", "accept",       "anthropic-beta", "cache-control",
};

/* A value: often one that came before, sometimes of any bytes, sometimes longer than a table. */
static struct str
value_of(char *text, size_t size, uint32_t *seed)
{
    uint32_t kind = next(seed) % 16;
    size_t len = kind < 10 ? 6 : kind < 15 ? next(seed) % 60 : next(seed) % size;
    uint32_t letter = next(seed) % 8;
    for (size_t i = 0; i < len; i++)
        text[i] = kind < 10 ? (char)('a' + letter) : (char)(uint8_t)(next(seed) % 255 + 1);
    return str_make(text, len);
}

static void
theirs_read(nghttp2_hd_inflater *inflater, struct str block, struct buf *text)
{
    uint8_t *at = (uint8_t *)(uintptr_t)block.ptr;
    for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
        nghttp2_nv one;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &one, &flags, at, block.len, 1);
        assert_true(used >= 0);
        at += used;
        block.len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            (void)note(text, str_make((char *)one.name, one.namelen),
                       str_make((char *)one.value, one.valuelen));
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
}

/* What we write, nghttp2 reads; and the other way round, Huffman codes of every byte included. */
static void
test_against_nghttp2(void **state)
{
    (void)state;
    static char values[FIELDS][6000];
    uint32_t seed = 7;
    nghttp2_hd_deflater *deflater = NULL;
    nghttp2_hd_inflater *inflater = NULL;
    struct hpack_encoder encoder;
    struct hpack_decoder decoder;
    struct buf block;
    struct buf want;
    struct buf got;
    assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    hpack_encoder_init(&encoder);
    hpack_decoder_init(&decoder);
    buf_init(&block, 1u << 20);
    buf_init(&want, 1u << 20);
    buf_init(&got, 1u << 20);
    for (unsigned round = 0; round < 20000; round++) {
        nghttp2_nv nv[FIELDS];
        size_t count = 1 + next(&seed) % FIELDS;
        want.len = block.len = got.len = 0;
        if (next(&seed) % 64 == 0) {
            uint32_t bytes = next(&seed) % 3 == 0 ? 0 : next(&seed) % 5000;
            hpack_encoder_limit(&encoder, bytes);
            assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, bytes), 0);
            assert_int_equal(nghttp2_hd_deflate_change_table_size(deflater, bytes), 0);
        }
        hpack_begin(&encoder, &block);
        for (size_t i = 0; i < count; i++) {
            struct str name = str_from(names[next(&seed) % (sizeof names / sizeof *names)]);
            struct str value = value_of(values[i], sizeof values[i], &seed);
            nv[i] = (nghttp2_nv){(uint8_t *)(uintptr_t)name.ptr, (uint8_t *)(uintptr_t)value.ptr,
                                 name.len, value.len, NGHTTP2_NV_FLAG_NONE};
            hpack_put(&encoder, &block, name, value);
            note(&want, name, value);
        }
        assert_false(block.failed);
        theirs_read(inflater, buf_str(&block), &got);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
        assert_true(nghttp2_hd_inflate_get_dynamic_table_size(inflater) >= encoder.table.bytes);

        static uint8_t theirs[1u << 16];
        ssize_t len = nghttp2_hd_deflate_hd(deflater, theirs, sizeof theirs, nv, count);
        assert_true(len >= 0);
        got.len = 0;
        assert_int_equal(hpack_decode(&decoder, str_make((char *)theirs, (size_t)len), note, &got),
                         0);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
        assert_int_equal(nghttp2_hd_deflate_get_dynamic_table_size(deflater), decoder.table.bytes);
    }
    buf_fini(&block);
    buf_fini(&want);
    buf_fini(&got);
    hpack_encoder_fini(&encoder);
    hpack_decoder_fini(&decoder);
    nghttp2_hd_deflate_del(deflater);
    nghttp2_hd_inflate_del(inflater);
}

/* RFC 7541 and what it forbids. want NULL: -ERR_PARSE. */
static const struct {
    const char *name;
    struct str block;
    const char *want;
} rows[] = {
    {"C.2.1 literal with indexing",
     STR("\x40\x0a"
         "custom-key"
         "\x0d"
         "custom-header"),
     "custom-key: custom-header\n"},
    {"C.2.2 without indexing", STR("\x04\x0c/sample/path"), ":path: /sample/path\n"},
    {"C.2.3 never indexed", STR("\x10\x08password\x06secret"), "password: secret\n"},
    {"C.2.4 indexed", STR("\x82"), ":method: GET\n"},
    {"C.4.1 Huffman", STR("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
     ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"},
    {"an entry of this block",
     STR("\x40\x01"
         "a"
         "\x01"
         "b\xbe"),
     "a: b\na: b\n"},
    {"a smaller table", STR("\x3f\x11\x82"), ":method: GET\n"},
    {"two sizes", STR("\x20\x3f\xe1\x1f\x82"), ":method: GET\n"},
    {"three sizes", STR("\x20\x20\x3f\xe1\x1f\x82"), NULL},
    {"empty", STR(""), ""},
    {"empty strings", STR("\x40\x00\x00"), ": \n"},
    {"index 0", STR("\x80"), NULL},
    {"index beyond", STR("\xbe"), NULL},
    {"name index beyond", STR("\x7f\x00\x01x"), NULL},
    {"endless number", STR("\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL},
    {"number cut off", STR("\xff\x80"), NULL},
    {"no value",
     STR("\x40\x01"
         "a"),
     NULL},
    {"value cut off",
     STR("\x40\x01"
         "a"
         "\x05"
         "bc"),
     NULL},
    {"name cut off",
     STR("\x40\x05"
         "a"),
     NULL},
    {"table larger than allowed", STR("\x3f\xe2\x1f"), NULL},
    {"table size behind a field", STR("\x82\x20"), NULL},
    {"padding of zeros",
     STR("\x00\x81\x1e\x01"
         "b"),
     NULL},
    {"a byte of padding",
     STR("\x00\x82\x1f\xff\x01"
         "b"),
     NULL},
    {"EOS",
     STR("\x00\x84\xff\xff\xff\xff\x01"
         "b"),
     NULL},
};

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hpack_decoder decoder;
        struct buf got;
        hpack_decoder_init(&decoder);
        buf_init(&got, 1u << 16);
        int rc = hpack_decode(&decoder, rows[i].block, note, &got);
        if (rc != (rows[i].want != NULL ? 0 : -ERR_PARSE) ||
            (rows[i].want != NULL && strcmp(buf_cstr(&got), rows[i].want) != 0))
            fail_msg("%s: %d, %s", rows[i].name, rc, buf_cstr(&got));
        buf_fini(&got);
        hpack_decoder_fini(&decoder);
    }
}

/* A credential never enters a table; what differs each time does not push others out: a field is
 * kept when it comes a second time. */
static void
test_what_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool kept;
        uint8_t first; /* 0x10: never indexed, by proxies behind neither */
    } fields[] = {
        {"authorization", false, 0x10},
        {"set-cookie", false, 0x10},
        {"cookie", false, 0x10},
        {"api-key", false, 0x10},
        {"x-api-key", false, 0x10},
        {"x-goog-api-key", false, 0x10},
        {"proxy-authorization", false, 0x10},
        {"x-amz-security-token", false, 0x10},
        {"content-length", false, 0},
        {"accept", true, 0},
        {"date", true, 0},
        {"content-type", true, 0},
        {":status", true, 0},
        {"x-other", true, 0},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct hpack_encoder encoder;
        struct buf block;
        hpack_encoder_init(&encoder);
        buf_init(&block, 4096);
        hpack_put(&encoder, &block, str_from(fields[i].name), STR("value"));
        size_t once = block.len;
        assert_int_equal((uint8_t)block.ptr[0] & 0xf0, fields[i].first);
        for (int k = 0; k < 100; k++) { /* an id, a price */
            char value[8];
            int len = snprintf(value, sizeof value, "%d", k);
            hpack_put(&encoder, &block, str_from(fields[i].name), str_make(value, (size_t)len));
        }
        assert_int_equal(encoder.table.count, 0);
        hpack_put(&encoder, &block, str_from(fields[i].name), STR("other"));
        size_t before = block.len;
        hpack_put(&encoder, &block, str_from(fields[i].name), STR("other"));
        assert_int_equal((uint8_t)block.ptr[before] & 0xc0, fields[i].kept ? 0x40 : 0);
        assert_int_equal(encoder.table.count, fields[i].kept);
        before = block.len;
        hpack_put(&encoder, &block, str_from(fields[i].name), STR("other"));
        assert_int_equal(block.len - before, fields[i].kept ? 1 : once);
        buf_fini(&block);
        hpack_encoder_fini(&encoder);
    }
}

struct last {
    struct hpack_decoder decoder;
    bool name_checked;
    bool checked;
};

static int
note_checked(void *user, struct str name, struct str value)
{
    struct last *last = user;
    (void)name, (void)value;
    last->name_checked = last->decoder.name_checked;
    last->checked = last->decoder.checked;
    return 0;
}

/* Of the last field of a block: what may be taken for good because it was looked at before. */
static void
test_what_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct str block;
        bool name_checked;
        bool checked;
    } cases[] = {
        {"of the static table", STR("\x82"), true, true},
        {"a name of it", STR("\x04\x01/"), true, false},
        {"neither",
         STR("\x40\x01"
             "a"
             "\x01"
             "b"),
         false, false},
        {"kept",
         STR("\x40\x01"
             "a"
             "\x01"
             "b\xbe"),
         true, true},
        {"a name that was kept",
         STR("\x40\x01"
             "a"
             "\x01"
             "b\x7e\x01"
             "c"),
         true, false},
        {"kept, with a value that may not be",
         STR("\x40\x01"
             "a"
             "\x01\x01\xbe"),
         false, false},
        {"kept, with an edge of white space",
         STR("\x40\x01"
             "a"
             "\x02 b\xbe"),
         false, false},
        {"kept, with a name that may not be",
         STR("\x40\x01"
             "A"
             "\x01"
             "b\xbe"),
         false, false},
        {"the name of such a one",
         STR("\x40\x01"
             "A"
             "\x01"
             "b\x7e\x01"
             "c"),
         false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct last last = {.checked = true};
        hpack_decoder_init(&last.decoder);
        assert_int_equal(hpack_decode(&last.decoder, cases[i].block, note_checked, &last), 0);
        if (last.name_checked != cases[i].name_checked || last.checked != cases[i].checked)
            fail_msg("%s: %d %d", cases[i].name, last.name_checked, last.checked);
        hpack_decoder_fini(&last.decoder);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_nghttp2),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_what_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
