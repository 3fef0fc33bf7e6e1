/* SPDX-License-Identifier: MIT
 * agent_options_test.c - what an operator may type, and the sentence for what not.
 * Floor: agent/daemon, test.
 * Owns: nothing.
 * Invariant: rows (arguments, error text or empty). */
#include "agent/daemon/agent_options.h"
#include "agent/kernel/attest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE "--control", "h:1", "--pki", "/p", "--dataplane", "/d"
struct row {
    const char *argv[12];
    const char *want; /* "" = accepted */
};

static void
test_rows(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{BASE}, ""},
        {{BASE, "--port", "80", "--policy", "deny"}, ""},
        {{"--help"}, ""},
        {{"install-hooks", "--uninstall"}, ""},
        {{"--pki", "/p"}, "--control HOST:PORT is missing; see --help"},
        {{BASE, "--port", "0"}, "--port must be 1 to 65535, not \"0\""},
        {{BASE, "--port", "65536"}, "--port must be 1 to 65535, not \"65536\""},
        {{BASE, "--policy", "maybe"}, "--policy must be deny or allow-untokened, not \"maybe\""},
        {{BASE, "--port"}, "--port needs a value"},
        {{BASE, "--prot", "1"}, "unknown option --prot, did you mean --port; see --help"},
        {{BASE, "--attestors", "netns, ip+nft", "--bridge-address", "10.9.0.1"}, ""},
        {{BASE, "--attestors", "ip"},
         "unknown attestor \"ip\"; there are netns+cgroup,netns,hostnet+cgroup,unix+pidfd,ip+nft"},
        {{BASE, "--link-local", "169.254.77.77", "--unix"}, ""},
        {{BASE, "--link-local", "10.0.0.1"}, "--link-local must be 169.254.x.y, not \"10.0.0.1\""},
        {{BASE, "--bridge-address", "here"},
         "--bridge-address must be an IPv4 address, not \"here\""},
        {{"install-hooks", "--docker", "--docker-config", "/d"}, ""},
        {{BASE, "--rootless", "1000, nobody"}, ""},
        {{BASE, "--rootless", ""}, ""},
        {{BASE, "--rootless", "root"}, "--rootless: \"root\" is not a user, or is root"},
        {{BASE, "--rootless", "0"}, "--rootless: \"0\" is not a user, or is root"},
        {{BASE, "--rootless", "no-such-user"},
         "--rootless: \"no-such-user\" is not a user, or is root"},
        {{BASE, "--rootless", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"},
         "--rootless takes at most 16 users"},
        {{BASE, "--uninstall"}, "unknown option --uninstall; see --help"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *argv[16] = {(char *)(uintptr_t) "berth-agent"};
        int argc = 1;
        struct agent_options options;
        struct err err = {0};
        for (size_t j = 0; j < ARRAY_LEN(rows[i].argv) && rows[i].argv[j] != NULL; j++)
            argv[argc++] = (char *)(uintptr_t)rows[i].argv[j];
        int code = agent_options_parse(argc, argv, &options, &err);
        assert_string_equal(err.text, rows[i].want);
        assert_int_equal(code == 0, rows[i].want[0] == '\0');
    }
}

static void
test_values(void **state)
{
    (void)state;
    const char *argv[] = {"berth-agent", BASE, "--policy", "allow-untokened", "--no-holder"};
    struct agent_options options;
    struct err err = {0};
    assert_int_equal(setenv("BERTH_AGENT_PORT", "99", 1), 0);
    assert_int_equal(setenv("BERTH_AGENT_RUN_DIR", "/r", 1), 0);
    assert_int_equal(
        agent_options_parse((int)ARRAY_LEN(argv), (char **)(uintptr_t)argv, &options, &err), 0);
    assert_int_equal(options.port, 99);
    assert_string_equal(options.run_dir, "/r");
    assert_true(options.allow_untokened && options.no_holder && !options.release_on_exit);
    assert_string_equal(options.control, "h:1");
    assert_true(!options.with_unix && options.attestors == ATTESTORS_DEFAULT);
    assert_int_equal(setenv("BERTH_AGENT_UNIX", "1", 1), 0);
    assert_int_equal(
        agent_options_parse((int)ARRAY_LEN(argv), (char **)(uintptr_t)argv, &options, &err), 0);
    assert_true(options.with_unix);
    assert_int_equal(setenv("BERTH_AGENT_UNIX", "yes", 1), 0);
    assert_int_equal(
        agent_options_parse((int)ARRAY_LEN(argv), (char **)(uintptr_t)argv, &options, &err),
        -ERR_INVALID);
    assert_string_equal(err.text, "BERTH_AGENT_UNIX is 1 or 0");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
