/* SPDX-License-Identifier: MIT
 * signature_test.c - headers good and bad, times at both edges, MACs that OpenSSL made elsewhere.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see signature.h. */
#include "controlplane/billing/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECRET "whsec_test_0123456789abcdef"
#define BODY "{\"id\":\"evt_1\"}"
/* printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test_0123456789abcdef */
#define MAC "950d8e5fabb3af089049297d5e94a2a84e25776792dfb61711758872d45f2336"
#define OTHER "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"
#define AT 1700000000

static void
test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *header;
        int64_t now_s;
        int want;
        const char *text;
    } rows[] = {
        {"good", "t=1700000000,v1=" MAC, AT, 0, NULL},
        {"other schemes beside", "t=1700000000,v0=x,v1=" MAC ",v2=y", AT, 0, NULL},
        {"the second of two fits", "t=1700000000,v1=" OTHER ",v1=" MAC, AT, 0, NULL},
        {"the first of two fits", "t=1700000000,v1=" MAC ",v1=" OTHER, AT, 0, NULL},
        {"v1 before t", "v1=" MAC ",t=1700000000", AT, 0, NULL},
        {"300 s old", "t=1700000000,v1=" MAC, AT + 300, 0, NULL},
        {"301 s old", "t=1700000000,v1=" MAC, AT + 301, -ERR_SIGNATURE, "300 seconds"},
        {"300 s ahead", "t=1700000000,v1=" MAC, AT - 300, 0, NULL},
        {"301 s ahead", "t=1700000000,v1=" MAC, AT - 301, -ERR_SIGNATURE, "300 seconds"},
        {"empty", "", AT, -ERR_SIGNATURE, "there is none"},
        {"no time", "v1=" MAC, AT, -ERR_SIGNATURE, "lacks t or v1"},
        {"no v1", "t=1700000000,v0=" MAC, AT, -ERR_SIGNATURE, "lacks t or v1"},
        {"two times", "t=1700000000,t=1700000000,v1=" MAC, AT, -ERR_SIGNATURE, "time"},
        {"time with a sign", "t=+1700000000,v1=" MAC, AT, -ERR_SIGNATURE, "time"},
        {"time with a zero before", "t=01700000000,v1=" MAC, AT, -ERR_SIGNATURE, "time"},
        {"time of 20 digits", "t=17000000000000000000,v1=" MAC, AT, -ERR_SIGNATURE, "time"},
        {"another time than was signed", "t=1700000001,v1=" MAC, AT, -ERR_SIGNATURE, "no v1"},
        {"another MAC", "t=1700000000,v1=" OTHER, AT, -ERR_SIGNATURE, "no v1"},
        {"short MAC", "t=1700000000,v1=52", AT, -ERR_SIGNATURE, "malformed"},
        {"empty MAC", "t=1700000000,v1=", AT, -ERR_SIGNATURE, "malformed"},
        {"MAC that is no hex", "t=1700000000,v1=zz" OTHER, AT, -ERR_SIGNATURE, "malformed"},
        {"spaces", "t=1700000000, v1=" MAC, AT, -ERR_SIGNATURE, "lacks"},
        {"empty part", "t=1700000000,,v1=" MAC, AT, -ERR_SIGNATURE, "malformed"},
        {"comma at the end", "t=1700000000,v1=" MAC ",", AT, -ERR_SIGNATURE, "malformed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct signature signature;
        struct err err = {0};
        int code = signature_read(str_from(rows[i].header), &signature, &err);
        if (code == 0)
            code = signature_check(&signature, STR(SECRET), STR(BODY), rows[i].now_s, &err);
        if (code != rows[i].want || (rows[i].text && !strstr(err.text, rows[i].text)))
            fail_msg("%s: %s \"%s\"", rows[i].name, err_name(code), err.text);
    }
}

static void
test_body_is_raw(void **state)
{
    (void)state;
    struct signature signature;
    assert_int_equal(signature_read(STR("t=1700000000,v1=" MAC), &signature, NULL), 0);
    static const char *const bodies[] = {"{\"id\": \"evt_1\"}", BODY "\n", "",
                                         "{\"id\":\"evt_2\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_int_equal(signature_check(&signature, STR(SECRET), str_from(bodies[i]), AT, NULL),
                         -ERR_SIGNATURE);
    assert_int_equal(signature_check(&signature, STR(SECRET "x"), STR(BODY), AT, NULL),
                     -ERR_SIGNATURE);
}

static void
test_caps(void **state)
{
    (void)state;
    char header[SIGNATURE_HEADER_BYTES_MAX + 128] = "t=1700000000";
    struct signature signature;
    size_t at = strlen(header);
    for (unsigned i = 0; i < SIGNATURE_COUNT_MAX; i++)
        at += (size_t)snprintf(header + at, sizeof header - at, ",v1=%s",
                               i == SIGNATURE_COUNT_MAX - 1 ? MAC : OTHER);
    assert_int_equal(signature_read(str_make(header, at), &signature, NULL), 0);
    assert_int_equal(signature_check(&signature, STR(SECRET), STR(BODY), AT, NULL), 0);
    at += (size_t)snprintf(header + at, sizeof header - at, ",v1=%s", MAC);
    assert_int_equal(signature_read(str_make(header, at), &signature, NULL), -ERR_SIGNATURE);
    memset(header, 'x', sizeof header);
    memcpy(header, "t=1,", 4);
    assert_int_equal(
        signature_read(str_make(header, SIGNATURE_HEADER_BYTES_MAX + 1), &signature, NULL),
        -ERR_SIGNATURE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_body_is_raw),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
