/* SPDX-License-Identifier: MIT
 * stack_test.c - who sees which part of the environment; ports; key files; the lock; taken ports.
 * Floor: cli; main thread.
 * Owns: a data directory.
 * Invariant: see stack.h, keyfile.h and preflight.h. */
#include "cli/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/keyfile.h"
#include "cli/preflight.h"
#include "lib/net/sock.h"

static char folder[] = "/tmp/berth-stack-test-XXXXXX";
static struct cli cli;

static bool
env_has(const char *const *env, const char *start)
{
    for (; env != NULL && *env != NULL; env++) {
        if (str_starts(str_from(*env), str_from(start)))
            return true;
    }
    return false;
}

/* A file that could be run; nothing here runs it. */
static void
make_program(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/berth-%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static void
test_only_the_controlplane_sees_keys(void **state)
{
    static struct stack stack = {.cli = &cli, .port = 4180};
    struct err err = {0};
    (void)state;
    assert_int_equal(setenv("OPENAI_API_KEY", "test-key", 1), 0);
    assert_int_equal(setenv("BERTH_OFFLINE_SIM", "http://elsewhere", 1), 0);
    const char *const *plain = stack_plain_env(&cli);
    assert_false(env_has(plain, "OPENAI_API_KEY="));
    assert_false(env_has(plain, "BERTH_OFFLINE_SIM="));
    assert_true(env_has(plain, "PATH="));
    make_program("controlplane");
    make_program("dataplane");
    assert_int_equal(setenv("PATH", folder, 1), 0);
    assert_int_equal(stack_plan(&stack, STACK_CONTROLPLANE, &err), 0);
    assert_true(env_has(stack.children[STACK_CONTROLPLANE].env, "OPENAI_API_KEY="));
    assert_false(env_has(stack.children[STACK_CONTROLPLANE].env, "BERTH_OFFLINE_SIM="));
    stack.offline = true;
    assert_int_equal(stack_plan(&stack, STACK_CONTROLPLANE, &err), 0);
    assert_true(
        env_has(stack.children[STACK_CONTROLPLANE].env, "BERTH_OFFLINE_SIM=http://127.0.0.1:4190"));
    assert_int_equal(stack_plan(&stack, STACK_DATAPLANE, &err), 0);
    assert_false(env_has(stack.children[STACK_DATAPLANE].env, "OPENAI_API_KEY="));
    assert_int_equal(unlink(cli_path(&cli, "berth-controlplane")), 0);
    assert_int_equal(unlink(cli_path(&cli, "berth-dataplane")), 0);
}

static void
test_ports(void **state)
{
    static const struct {
        const char *text;
        int want_exit;
        uint16_t want;
    } rows[] = {{NULL, CLI_DONE, 4180},  {"5000", CLI_DONE, 5000}, {"65525", CLI_DONE, 65525},
                {"0", CLI_USAGE, 0},     {"65526", CLI_USAGE, 0},  {"-1", CLI_USAGE, 0},
                {"5000x", CLI_USAGE, 0}, {"", CLI_USAGE, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint16_t port = 0;
        assert_int_equal(stack_port_parse(&cli, rows[i].text, &port), rows[i].want_exit);
        assert_int_equal(port, rows[i].want);
    }
}

static void
test_key_file(void **state)
{
    struct err err = {0};
    struct stat info;
    const char *path = keyfile_path(&cli, NULL, STR("ci"));
    (void)state;
    assert_int_equal(keyfile_write_to(path, STR("not-a-real-key"), &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(keyfile_write_to(path, STR("another"), &err), -ERR_EXISTS);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(cli_path(&cli, "keys")), 0);
}

static void
test_lock(void **state)
{
    struct err err = {0};
    int first = -1;
    int second = -1;
    int pid = 0;
    (void)state;
    assert_int_equal(mkdir(cli_path(&cli, "run"), 0700), 0);
    assert_int_equal(preflight_lock(&cli, false, &first, &pid, &err), -ERR_NOT_FOUND);
    assert_int_equal(preflight_lock(&cli, true, &first, &pid, &err), 0);
    assert_true(first >= 0);
    assert_int_equal(dprintf(first, "4321\n"), 5);
    assert_int_equal(preflight_lock(&cli, false, &second, &pid, &err), 0);
    assert_int_equal(second, -1);
    assert_int_equal(pid, 4321);
    (void)close(first);
    assert_int_equal(unlink(cli_path(&cli, "run/up.lock")), 0);
    assert_int_equal(rmdir(cli_path(&cli, "run")), 0);
}

static void
test_port_owner(void **state)
{
    struct err err = {0};
    struct sock_addr addr;
    char owner[64];
    char want[32];
    int fd = -1;
    (void)state;
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, &err), 0);
    assert_int_equal(sock_listen(&addr, 1, false, 0600, &fd, &err), 0);
    addr.len = sizeof(addr.u);
    assert_int_equal(getsockname(fd, &addr.u.any, &addr.len), 0);
    preflight_port_owner(ntohs(addr.u.in4.sin_port), owner);
    (void)snprintf(want, sizeof(want), ", process %d", (int)getpid());
    assert_non_null(strstr(owner, want));
    (void)close(fd);
    preflight_port_owner(1, owner);
    assert_string_equal(owner, "");
}

static int
make_folder(void **state)
{
    (void)state;
    cli_init(&cli);
    return mkdtemp(folder) != NULL && str_copy(cli.data, sizeof(cli.data), str_from(folder)) ? 0
                                                                                             : -1;
}

static int
remove_folder(void **state)
{
    (void)state;
    cli_fini(&cli);
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_controlplane_sees_keys),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_key_file),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_port_owner),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
