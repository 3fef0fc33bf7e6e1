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
        {"multipart/form-data; boundary=a; boundary*=utf-8''b", NULL},
        {"multipart/form-data; Boundary*0=b; boundary=a", NULL},
        {"multipart/form-data; boundary=a; x; boundary=b", NULL}, /* no name has a ';' in it */
        {"multipart/form-data; x=1\"; boundary=a; y=\"; boundary=b; z=\"", NULL},
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

/* "name[file|type]=content " for each part, the body fed in pieces of `each` bytes. */
static int
describe(struct str body, size_t each, struct buf *out, struct err *err)
{
    struct multipart form;
    struct str data = STR_EMPTY;
    enum multipart_event event = MULTIPART_MORE;
    int rc = 0;
    multipart_init(&form, STR("XX"));
    while (rc == 0 && body.len > 0) {
        struct str input = str_make(body.ptr, MIN(each, body.len));
        body = str_skip(body, input.len);
        do {
            rc = multipart_next(&form, &input, &event, &data, err);
            const struct multipart_part *part = &form.part;
            if (rc != 0)
                break;
            if (event == MULTIPART_PART) {
                buf_put_str(out, part->name);
                if (part->file)
                    buf_printf(out, "[%.*s|%.*s]", STR_ARG(part->file_name), STR_ARG(part->type));
                buf_put_byte(out, '=');
            } else if (event == MULTIPART_DATA) {
                buf_put_str(out, data);
            } else if (event == MULTIPART_PART_END) {
                buf_put_byte(out, ' ');
                assert_int_equal(part->start + part->bytes + 6, form.at); /* CRLF--XX */
            }
        } while (event != MULTIPART_MORE);
    }
    return rc == 0 ? multipart_end(&form, err) : rc;
}

static void
check_body(const char *name, const char *body, size_t each, const char *want, int want_err)
{
    struct buf out;
    struct err err = {0};
    buf_init(&out, 65536);
    int rc = describe(str_from(body), each, &out, &err);
    if (rc != want_err || (rc == 0 && !str_eq(buf_str(&out), str_from(want))))
        fail_msg("%s in pieces of %zu: %d %s '%s'", name, each, rc, err.text, buf_cstr(&out));
    buf_fini(&out);
}

struct body_row {
    const char *name;
    const char *body;
    const char *want;
    int want_err;
};

static void
check_bodies(const struct body_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t each = 1; each <= MAX(strlen(rows[i].body), 1u); each++) /* split everywhere */
            check_body(rows[i].name, rows[i].body, each, rows[i].want, rows[i].want_err);
    }
}

static void
bodies(void **state)
{
    (void)state;
    static const struct body_row rows[] = {
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
        {"what only begins like a delimiter",
         "--XX" PART(FIELD("a"), "\r\n--X\r\n-\r\r\n--\r\n--XY\r") "--XX--",
         "a=\r\n--X\r\n-\r\r\n--\r\n--XY\r ", 0},
        {"a line feed of its own in a header", FORM(PART(FIELD("a") "\nb: c", "1")), "",
         -ERR_PARSE},
        {"no end of a header", "--XX\r\n" FIELD("a"), "", -ERR_PARSE},
        {"half of the last delimiter", "--XX" PART(FIELD("a"), "1") "--XX-", "", -ERR_PARSE},
        {"half of the last line end", "--XX" PART(FIELD("a"), "1") "--XX--\r", "", -ERR_PARSE},
        {"nothing", "", "", -ERR_PARSE},
        {"a folded line", FORM(PART(FIELD("a") "\r\n x", "1")), "", -ERR_PARSE},
        {"nine lines",
         FORM(PART(FIELD("a") "\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1",
                   "1")),
         "", -ERR_PARSE},
    };
    check_bodies(rows, ARRAY_LEN(rows));
}

/* Readers of other makes would find another name in these. */
static void
names(void **state)
{
    (void)state;
    static const struct body_row rows[] = {
        {"two names, one of them empty", FORM(PART(FIELD("") "; name=\"b\"", "1")), "", -ERR_PARSE},
        {"two names, one in no parameter", FORM(PART(FIELD("a") "; x; name=\"b\"", "1")), "",
         -ERR_PARSE},
        {"two names, one in quotes that are none",
         FORM(PART("Content-Disposition: form-data; x=1\"; name=\"a\"; y=\"; name=b; z=\"", "1")),
         "", -ERR_PARSE},
        {"two names, one encoded", FORM(PART(FIELD("a") "; name*=utf-8''b", "1")), "", -ERR_PARSE},
        {"two names, one in pieces", FORM(PART(FIELD("a") "; NAME*0=b", "1")), "", -ERR_PARSE},
        {"a file's name in pieces", FORM(PART(FIELD("a") "; filename*0=b", "1")), "a[|]=1 ", 0},
        {"two dispositions, one with a blank",
         FORM(PART(FIELD("a") "\r\nContent-Disposition : form-data; name=\"b\"", "1")), "",
         -ERR_PARSE},
        {"a folded line with a colon", FORM(PART(FIELD("a") "\r\n ; name=\"b:\"", "1")), "",
         -ERR_PARSE},
    };
    check_bodies(rows, ARRAY_LEN(rows));
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
    assert_int_equal(describe(buf_str(&body), 7, &out, &err), -ERR_TOO_LARGE);
    body.len = 0;
    buf_put_str(&body, STR("--XX\r\nA: "));
    for (uint32_t i = 0; i <= MULTIPART_LINE_BYTES_MAX; i++)
        buf_put_byte(&body, 'x');
    buf_put_str(&body, STR("\r\n" FIELD("a") "\r\n\r\n1\r\n--XX--"));
    assert_int_equal(describe(buf_str(&body), 7, &out, &err), -ERR_TOO_LARGE);
    buf_fini(&body);
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries),
        cmocka_unit_test(bodies),
        cmocka_unit_test(names),
        cmocka_unit_test(caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
