/* SPDX-License-Identifier: MIT
 * options_test.c - command lines, good and bad.
 * Floor: tools/load, test.
 * Owns: nothing.
 * Invariant: nothing unknown is ignored. */
#include "tools/load/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define URL "http://127.0.0.1:9100/v1/chat/completions?x=1"
#define WORDS_MAX 8

struct row {
    const char *name;
    const char *argv[WORDS_MAX];
    int want_err;
    enum load_mode mode;
    uint64_t connections;
};

static const struct row rows[] = {
    {"rate", {"rate", "--rate", "3000", URL}, 0, LOAD_RATE, 256},
    {"closed", {"closed", "--concurrency", "7", URL}, 0, LOAD_CLOSED, 7},
    {"closed h2", {"closed", "--h2", URL}, 0, LOAD_CLOSED, 4},
    {"streams", {"streams", "--concurrency", "5000", URL}, 0, LOAD_STREAMS, 5000},
    {"no mode", {URL}, -ERR_INVALID, 0, 0},
    {"other mode", {"open", URL}, -ERR_INVALID, 0, 0},
    {"no url", {"rate"}, -ERR_INVALID, 0, 0},
    {"two urls", {"rate", URL, URL}, -ERR_INVALID, 0, 0},
    {"not a url", {"rate", "localhost:1"}, -ERR_PARSE, 0, 0},
    {"https", {"rate", "https://localhost/"}, -ERR_UNSUPPORTED, 0, 0},
    {"unknown", {"rate", "--rat", "1", URL}, -ERR_INVALID, 0, 0},
    {"no value", {"rate", URL, "--rate"}, -ERR_INVALID, 0, 0},
    {"zero", {"rate", "--rate", "0", URL}, -ERR_RANGE, 0, 0},
    {"negative", {"rate", "--rate", "-1", URL}, -ERR_RANGE, 0, 0},
    {"arrivals", {"rate", "--arrivals", "bursts", URL}, -ERR_INVALID, 0, 0},
    {"header", {"rate", "--header", "novalue", URL}, -ERR_INVALID, 0, 0},
    {"header name", {"rate", "--header", "a b: c", URL}, -ERR_INVALID, 0, 0},
    {"no file", {"rate", "--body-file", "/nowhere/at/all", URL}, -ERR_NOT_FOUND, 0, 0},
};

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct options options;
        struct err err = {0};
        char *argv[WORDS_MAX];
        int argc = 0;
        while (argc < WORDS_MAX && rows[i].argv[argc] != NULL) {
            argv[argc] = str_dup(str_from(rows[i].argv[argc]));
            assert_non_null(argv[argc]);
            argc++;
        }
        int rc = options_parse(argc, argv, &options, &err);
        if (rc != rows[i].want_err)
            print_error("%s: %d, %s\n", rows[i].name, rc, err.text);
        assert_int_equal(rc, rows[i].want_err);
        if (rc != 0) {
            assert_true(err.text[0] != '\0');
        } else {
            assert_int_equal(options.mode, rows[i].mode);
            assert_int_equal(options.connections, rows[i].connections);
            assert_true(str_eq(options.target, STR("/v1/chat/completions?x=1")));
            assert_int_equal(options.uri.port, 9100);
        }
        options_fini(&options);
        while (argc > 0)
            free(argv[--argc]);
    }
}

static void
test_request(void **state)
{
    (void)state;
    char *argv[] = {(char[]){"rate"},   (char[]){"--header"}, (char[]){"X-Sim:  words=1 "},
                    (char[]){"--body"}, (char[]){"{}"},       (char[]){"http://localhost:9100"}};
    struct options options;
    struct err err = {0};
    assert_int_equal(options_parse((int)ARRAY_LEN(argv), argv, &options, &err), 0);
    assert_int_equal(options.field_count, 1);
    assert_true(str_eq(options.fields[0].name, STR("x-sim")));
    assert_true(str_eq(options.fields[0].value, STR("words=1")));
    assert_true(str_eq(options.method, STR("POST")));
    assert_true(str_eq(options.body, STR("{}")));
    assert_true(str_eq(options.target, STR("/")));
    assert_int_equal(options.warmup, 1);
    options_fini(&options);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
