/* SPDX-License-Identifier: MIT
 * cli_test.c - options, names, paths, help.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see cli.h and command.h. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/command.h"
#include "cli/kind.h"

#define ARGS_MAX 8

static const struct {
    const char *name;
    const char *args[ARGS_MAX];
    const char *want_wallet;
    int want_exit;
    bool want_flag;
    uint32_t want_names;
    enum cli_output want_output;
} rows[] = {
    {"nothing", {NULL}, NULL, CLI_USAGE, false, 0, CLI_TABLE},
    {"a name", {"x"}, NULL, CLI_DONE, false, 1, CLI_TABLE},
    {"two names", {"x", "y"}, NULL, CLI_DONE, false, 2, CLI_TABLE},
    {"three names", {"x", "y", "z"}, NULL, CLI_USAGE, false, 3, CLI_TABLE},
    {"value behind", {"x", "--wallet", "w"}, "w", CLI_DONE, false, 1, CLI_TABLE},
    {"value joined", {"--wallet=w=1", "x"}, "w=1", CLI_DONE, false, 1, CLI_TABLE},
    {"value missing", {"x", "--wallet"}, NULL, CLI_USAGE, false, 1, CLI_TABLE},
    {"flag", {"--all", "x"}, NULL, CLI_DONE, true, 1, CLI_TABLE},
    {"flag with value", {"--all=1", "x"}, NULL, CLI_USAGE, true, 0, CLI_TABLE},
    {"json", {"x", "-o", "json"}, NULL, CLI_DONE, false, 1, CLI_JSON},
    {"yaml", {"x", "--output=yaml"}, NULL, CLI_DONE, false, 1, CLI_YAML},
    {"no such output", {"x", "-o", "xml"}, NULL, CLI_USAGE, false, 1, CLI_TABLE},
    {"unknown", {"x", "--walet", "w"}, NULL, CLI_USAGE, false, 1, CLI_TABLE},
    {"a dash is a name", {"-"}, NULL, CLI_DONE, false, 1, CLI_TABLE},
    {"a negative amount is a name", {"-3.00"}, NULL, CLI_DONE, false, 1, CLI_TABLE},
    {"names behind an option", {"-f", "a", "--file=b"}, NULL, CLI_DONE, true, 2, CLI_TABLE},
    {"such an option without a name", {"-f"}, NULL, CLI_USAGE, true, 0, CLI_TABLE},
    {"behind -- all are names", {"--", "--all"}, NULL, CLI_DONE, false, 1, CLI_TABLE},
};

static void
test_options(void **state)
{
    const char *nearest = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *argv[ARGS_MAX] = {NULL};
        struct cli cli;
        const char *wallet = NULL;
        bool flag = false;
        const char *file = NULL;
        const struct cli_option options[] = {{"--wallet", &wallet, NULL},
                                             {"--all", NULL, &flag},
                                             {"-f", &file, &flag},
                                             {"--file", &file, &flag}};
        cli_init(&cli);
        cli.command = command_find("get", &nearest);
        while (cli.argc < ARGS_MAX && rows[i].args[cli.argc] != NULL) {
            argv[cli.argc] = (char *)(uintptr_t)rows[i].args[cli.argc];
            cli.argc++;
        }
        cli.argv = argv;
        bool begun = cli_begin(&cli, options, ARRAY_LEN(options), 1, 2);
        if (begun != (rows[i].want_exit == CLI_DONE) || cli.exit != rows[i].want_exit)
            fail_msg("%s: exit %d", rows[i].name, cli.exit);
        if (begun) {
            assert_int_equal(cli.name_count, rows[i].want_names);
            assert_int_equal(cli.output, rows[i].want_output);
            assert_int_equal(flag, rows[i].want_flag);
            assert_true((wallet == NULL) == (rows[i].want_wallet == NULL));
            if (wallet != NULL)
                assert_string_equal(wallet, rows[i].want_wallet);
        }
        cli_fini(&cli);
    }
}

static void
test_commands_have_help(void **state)
{
    size_t count = 0;
    (void)state;
    for (const struct command *command = command_at(0); command != NULL;
         command = command_at(++count)) {
        char needle[64];
        (void)snprintf(needle, sizeof(needle), "berth %s", command->name);
        if (strstr(command->help, "Examples\n") == NULL || strstr(command->help, needle) == NULL)
            fail_msg("berth %s --help has no example", command->name);
        assert_ptr_equal(command_find(command->name, &(const char *){NULL}), command);
    }
    assert_true(count > 10);
}

static void
test_nearest_command(void **state)
{
    const char *nearest = NULL;
    (void)state;
    assert_null(command_find("walet", &nearest));
    assert_string_equal(nearest, "wallet");
    assert_null(command_find("zzzzzzzzz", &nearest));
    assert_null(nearest);
}

static void
test_kinds(void **state)
{
    static const struct {
        const char *word;
        const char *want; /* plural, or NULL */
    } words[] = {{"container", "containers"},
                 {"Containers", "containers"},
                 {"co", "containers"},
                 {"ApiKey", "apikeys"},
                 {"key", "apikeys"},
                 {"ro", "routes"},
                 {"wallets", "wallets"},
                 {"modle", NULL},
                 {"", NULL}};
    struct cli cli;
    (void)state;
    cli_init(&cli);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const struct kind *kind = kind_find(&cli, words[i].word);
        assert_true((kind == NULL) == (words[i].want == NULL));
        if (kind != NULL)
            assert_string_equal(kind->plural, words[i].want);
    }
    const struct kind *model = kind_find(&cli, "model");
    assert_string_equal(kind_path(&cli, model, "openai/a b?%"),
                        "/apis/berth.dev/v1alpha1/models/openai/a%20b%3F%25");
    cli_fini(&cli);
}

static void
test_member(void **state)
{
    struct arena arena;
    struct tree *root = NULL;
    (void)state;
    arena_init(&arena, 65536);
    assert_int_equal(tree_from_json(STR("{\"a\":{\"b\":\"x\",\"n\":null,\"l\":[1,{\"type\":\"R\","
                                        "\"s\":\"y\"}]},\"t\":true}"),
                                    &arena, &root, NULL),
                     0);
    assert_true(str_eq(cli_text(root, "a.b"), STR("x")));
    assert_true(str_eq(cli_text(root, "t"), STR("true")));
    assert_int_equal(cli_text(root, "a.n").len, 0);
    assert_int_equal(cli_text(root, "a.l").len, 0);
    assert_true(str_eq(cli_text(root, "a.l.R.s"), STR("y")));
    assert_int_equal(cli_text(root, "a.l.S.s").len, 0);
    assert_int_equal(cli_text(root, "a.b.c").len, 0);
    assert_int_equal(cli_text(NULL, "a").len, 0);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),         cmocka_unit_test(test_commands_have_help),
        cmocka_unit_test(test_nearest_command), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
