/* SPDX-License-Identifier: MIT
 * options_test.c - the command line.
 * Floor: tools/sim, test.
 * Owns: nothing.
 * Invariant: nothing unknown is accepted; the help names every directive. */
#include "tools/sim/directive.h"
#include "tools/sim/options.h"
#include "tools/sim/test_int.h"

#define ARGS_MAX 24

struct row {
    const char *name;
    const char *args[ARGS_MAX];
    int want_err;
};

static int
parse(const struct row *row, struct options *ret_options, struct err *err)
{
    char *argv[ARGS_MAX];
    int argc = 0;
    while (argc < ARGS_MAX && row->args[argc] != NULL) {
        argv[argc] = (char *)(uintptr_t)row->args[argc];
        argc++;
    }
    return options_parse(argc, argv, ret_options, err);
}

static void
test_refused(void **state)
{
    static const struct row rows[] = {
        {"unknown", {"--nope"}, -ERR_INVALID},
        {"value missing", {"--key"}, -ERR_INVALID},
        {"tls needs two", {"--tls", "cert"}, -ERR_INVALID},
        {"no threads", {"--threads", "0"}, -ERR_INVALID},
        {"too many threads", {"--threads", "65"}, -ERR_INVALID},
        {"bench of nothing", {"--bench=0"}, -ERR_INVALID},
        {"bench of too much", {"--bench=65536"}, -ERR_INVALID},
        {"flag with value", {"--h2=1"}, -ERR_INVALID},
        {"other output", {"-o", "yaml"}, -ERR_INVALID},
        {"bare word", {"serve"}, -ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct options options;
        struct err err = {0};
        assert_int_equal(parse(&rows[i], &options, &err), rows[i].want_err);
        assert_non_null(strstr(err.text, "--help"));
    }
}

static void
test_accepted(void **state)
{
    static const struct row all = {
        "all",
        {"--listen", "127.0.0.1:0", "--listen=unix:/x", "--tls", "c",         "k",
         "--h2",     "--key=s",     "--script",         "f",     "--prices",  "p",
         "--replay", "d",           "--bench",          "400",   "--threads", "2",
         "-o",       "json"},
        0};
    static const struct row none = {"none", {NULL}, 0};
    struct options options;
    struct err err = {0};
    (void)state;
    assert_int_equal(parse(&all, &options, &err), 0);
    assert_int_equal(options.listen_count, 2);
    assert_string_equal(options.listen[1], "unix:/x");
    assert_string_equal(options.tls_key, "k");
    assert_string_equal(options.key, "s");
    assert_string_equal(options.replay, "d");
    assert_int_equal(options.bench_bytes, 400);
    assert_int_equal(options.threads, 2);
    assert_true(options.json);
    assert_int_equal(parse(&none, &options, &err), 0);
    assert_string_equal(options.listen[0], "127.0.0.1:9100");
    assert_int_equal(options.threads, 1);
}

static void
test_help(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, 65536);
    options_help(&text);
    for (size_t i = 0; i < DIRECTIVE_COUNT; i++)
        assert_non_null(strstr(buf_cstr(&text), directive_name((enum directive_id)i)));
    buf_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
