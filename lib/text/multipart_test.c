/* SPDX-License-Identifier: MIT
 * multipart_test.c - forms as SDKs write them, and forms that two readers would read in two ways.
 * Floor: test.
 * Owns: nothing.
 * Invariant: proves multipart.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/text/multipart.h"

#define FORM(parts) "--XX" parts "--XX--\r\n"
#define PART(head, content) "\r\n" head "\r\n\r\n" content "\r\n"
#define FIELD(name) "Content-Disposition: form-data; name=\"" name "\""
#define FILE_FIELD(name, file) FIELD(name) "; filename=\"" file "\"\r\nContent-Type: audio/wav"

static void
boundaries(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"multipart/form-data; boundary=XX", "XX"},
        {"Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b\"", "a b"},
        {"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
         "----WebKitFormBoundary7MA4YWxkTrZu0gW"},
        {"multipart/form-data", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"open", NULL},
        {"multipart/form-data; boundary=a; boundary=b", NULL},
        {"multipart/form-data; boundary=a{b", NULL},
        {"multipart/form-data; boundary=\"trailing \"", NULL},
        {"multipart/mixed; boundary=XX", NULL},
        {"application/json", NULL},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567"
         "8901234567890",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str found = STR_EMPTY;
        bool is_form = multipart_boundary(str_from(rows[i].type), &found);
        if (is_form != (rows[i].want != NULL) ||
            (is_form && !str_eq(found, str_from(rows[i].want))))
            fail_msg("%s: %d '%.*s'", rows[i].type, is_form, STR_ARG(found));
    }
}

/* "name[file|type]=content " for each part */
static int
describe(struct str body, struct buf *out, struct err *err)
{
    struct multipart form;
    struct multipart_part part;
    int rc = multipart_open(&form, body, STR("XX"), err);
    while (rc == 0 && (rc = multipart_next(&form, &part, err)) == 0) {
        buf_put_str(out, part.name);
        if (part.file)
            buf_printf(out, "[%.*s|%.*s]", STR_ARG(part.file_name), STR_ARG(part.type));
        buf_printf(out, "=%.*s ", STR_ARG(part.content));
    }
    return rc == -ERR_NOT_FOUND ? 0 : rc;
}

static void
bodies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *body;
        const char *want;
        int want_err;
    } rows[] = {
        {"a file, then the model",
         FORM(PART(FILE_FIELD("file", "a.wav"), "R\r\nI\r\n--XIFF") "--XX" PART(FIELD("model"),
                                                                                "whisper-1")),
         "file[a.wav|audio/wav]=R\r\nI\r\n--XIFF model=whisper-1 ", 0},
        {"no part", "--XX--\r\n", "", 0},
        {"no line end behind the last delimiter", "--XX" PART(FIELD("a"), "") "--XX--", "a= ", 0},
        {"unquoted, other order, other case",
         FORM(PART("content-type: text/plain\r\ncontent-disposition: Form-Data; filename=x; "
                   "name=image[]",
                   "1")),
         "image[][x|text/plain]=1 ", 0},
        {"escapes and an encoded name of a file",
         FORM(PART("Content-Disposition: form-data; name=\"f\"; filename=\"a\\\"b;c\"; "
                   "filename*=utf-8''a",
                   "1")),
         "f[a\\\"b;c|]=1 ", 0},
        {"binary is what it is",
         FORM(PART(FIELD("a") "\r\nContent-Transfer-Encoding: binary", "1")), "a=1 ", 0},
        {"preamble", "hello\r\n--XX--\r\n", "", -ERR_PARSE},
        {"epilogue", "--XX" PART(FIELD("a"), "1") "--XX--\r\nmore", "", -ERR_PARSE},
        {"blanks behind a delimiter", "--XX  " PART(FIELD("a"), "1") "--XX--", "", -ERR_PARSE},
        {"a longer delimiter", "--XX" PART(FIELD("a"), "1") "--XXY--", "", -ERR_PARSE},
        {"no end", "--XX" PART(FIELD("a"), "1"), "", -ERR_PARSE},
        {"bare line ends", "--XX\nContent-Disposition: form-data; name=a\n\n1\n--XX--", "",
         -ERR_PARSE},
        {"no name", FORM(PART("Content-Disposition: form-data", "1")), "", -ERR_PARSE},
        {"an empty name", FORM(PART(FIELD(""), "1")), "", -ERR_PARSE},
        {"two names", FORM(PART(FIELD("a") "; name=\"b\"", "1")), "", -ERR_PARSE},
        {"two dispositions", FORM(PART(FIELD("a") "\r\n" FIELD("b"), "1")), "", -ERR_PARSE},
        {"an escaped name", FORM(PART("Content-Disposition: form-data; name=\"m\\odel\"", "1")), "",
         -ERR_PARSE},
        {"no disposition", FORM(PART("Content-Type: a/b", "1")), "", -ERR_PARSE},
        {"an attachment", FORM(PART("Content-Disposition: attachment; name=\"a\"", "1")), "",
         -ERR_PARSE},
        {"base64", FORM(PART(FIELD("a") "\r\nContent-Transfer-Encoding: base64", "MQ==")), "",
         -ERR_UNSUPPORTED},
        {"a folded line", FORM(PART(FIELD("a") "\r\n x", "1")), "", -ERR_PARSE},
        {"nine lines",
         FORM(PART(FIELD("a") "\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1",
                   "1")),
         "", -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        struct err err = {0};
        buf_init(&out, 65536);
        int rc = describe(str_from(rows[i].body), &out, &err);
        if (rc != rows[i].want_err || (rc == 0 && !str_eq(buf_str(&out), str_from(rows[i].want))))
            fail_msg("%s: %d %s '%s'", rows[i].name, rc, err.text, buf_cstr(&out));
        buf_fini(&out);
    }
}

static void
caps(void **state)
{
    (void)state;
    struct buf body;
    struct buf out;
    struct err err = {0};
    buf_init(&body, 1u << 20);
    buf_init(&out, 1u << 20);
    for (uint32_t i = 0; i <= MULTIPART_PARTS_MAX; i++)
        buf_put_str(&body, STR("--XX" PART(FIELD("a"), "1")));
    buf_put_str(&body, STR("--XX--"));
    assert_int_equal(describe(buf_str(&body), &out, &err), -ERR_TOO_LARGE);
    body.len = 0;
    buf_put_str(&body, STR("--XX\r\nA: "));
    for (uint32_t i = 0; i <= MULTIPART_LINE_BYTES_MAX; i++)
        buf_put_byte(&body, 'x');
    buf_put_str(&body, STR("\r\n" FIELD("a") "\r\n\r\n1\r\n--XX--"));
    assert_int_equal(describe(buf_str(&body), &out, &err), -ERR_TOO_LARGE);
    buf_fini(&body);
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries),
        cmocka_unit_test(bodies),
        cmocka_unit_test(caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
