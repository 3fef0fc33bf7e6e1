/* SPDX-License-Identifier: MIT
 * install_test.c - hooks files: written, valid, removed, and nothing else touched.
 * Floor: agent/daemon, test.
 * Owns: a temporary folder.
 * Invariant: what podman reads is JSON with the stage and our program. */
#include "agent/daemon/install.h"

#include <fcntl.h>

#include "lib/text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/install-test-XXXXXX";

static void
test_install(void **state)
{
    (void)state;
    static const char *const files[] = {"50-berth-create.json", "50-berth-poststop.json"};
    static const char *const stages[] = {"createRuntime", "poststop"};
    char dir[128];
    char path[256];
    struct err err = {0};
    (void)snprintf(dir, sizeof(dir), "%s/a/hooks.d", folder);
    struct agent_options options = {
        .hooks_dir = dir, .hook = "/bin/true", .run_dir = "/run/b", .when_down = "allow"};
    assert_int_equal(install_hooks(&options, &err), 0);
    for (size_t i = 0; i < 2; i++) {
        char bytes[4096];
        struct json_doc doc;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = read(fd, bytes, sizeof(bytes));
        close(fd);
        assert_true(got > 0);
        json_init(&doc);
        assert_int_equal(json_scan(&doc, str_make(bytes, (size_t)got), NULL, &err), 0);
        assert_true(json_string_eq(&doc, json_path(&doc, 0, "hook.path"), STR("/bin/true")));
        uint32_t stage = json_first(&doc, json_get(&doc, 0, STR("stages")));
        assert_true(json_string_eq(&doc, stage, str_from(stages[i])));
        assert_true(str_find(str_make(bytes, (size_t)got), STR("/run/b/hook.sock")) != SIZE_MAX);
        json_fini(&doc);
    }
    assert_int_equal(install_hooks(&options, &err), 0); /* again */
    assert_int_equal(install_remove(&options, &err), 0);
    assert_int_equal(install_remove(&options, &err), 0); /* nothing there: fine */
    assert_int_equal(rmdir(dir), 0);                     /* so it is empty */
    (void)snprintf(path, sizeof(path), "%s/a", folder);
    assert_int_equal(rmdir(path), 0);
}

static void
test_refusals(void **state)
{
    (void)state;
    struct agent_options options = {
        .hooks_dir = folder, .hook = "/nowhere/berth-hook", .run_dir = "/r", .when_down = "deny"};
    struct err err = {0};
    assert_int_equal(install_hooks(&options, &err), -ERR_NOT_FOUND);
    assert_string_equal(err.text, "/nowhere/berth-hook is no program that can be run; use --hook: "
                                  "No such file or directory");
    options.hook = "relative";
    assert_int_equal(install_hooks(&options, &err), -ERR_INVALID);
}

static int
setup(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}
static int
teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_install),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
