/* SPDX-License-Identifier: MIT
 * install_test.c - hooks files: written, valid, removed, and nothing else touched.
 * Floor: agent/daemon, test.
 * Owns: a temporary folder.
 * Invariant: what podman reads is JSON with the stage and our program. */
#include "agent/daemon/install.h"
#include "agent/oci/file.h"

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

/* berth-runc among Docker's runtimes, and out again; everything else stays as it stood. */
static void
test_docker(void **state)
{
    (void)state;
    static const struct {
        const char *before; /* NULL: no file */
        const char *set;    /* %s = the runtime */
        const char *removed;
    } rows[] = {
        {NULL, "{\"runtimes\":{\"berth\":%s}}\n", "{\"runtimes\":{}}\n"},
        {"{ \"debug\": true }", "{\"runtimes\":{\"berth\":%s}, \"debug\": true }",
         "{\"runtimes\":{}, \"debug\": true }"},
        {"{\"runtimes\": {\"x\": {\"path\": \"/x\"}}}",
         "{\"runtimes\": {\"berth\":%s,\"x\": {\"path\": \"/x\"}}}",
         "{\"runtimes\": {\"x\": {\"path\": \"/x\"}}}"},
    };
    char path[128];
    char hook[128];
    char wrapper[128];
    char runtime[512];
    struct err err = {0};
    (void)snprintf(path, sizeof(path), "%s/daemon.json", folder);
    (void)snprintf(hook, sizeof(hook), "%s/berth-hook", folder);
    (void)snprintf(wrapper, sizeof(wrapper), "%s/berth-runc", folder);
    struct agent_options options = {
        .docker_config = path, .hook = hook, .run_dir = "/run/b", .when_down = "deny"};
    assert_int_equal(symlink("/bin/true", hook), 0);
    assert_int_equal(install_docker(&options, false, &err), -ERR_NOT_FOUND); /* no berth-runc */
    assert_int_equal(symlink("/bin/true", wrapper), 0);
    (void)snprintf(runtime, sizeof(runtime),
                   "{\"path\":\"%s\",\"runtimeArgs\":[\"--berth-socket\",\"/run/b/hook.sock\","
                   "\"--berth-hook\",\"%s\",\"--berth-when-down\",\"deny\"]}",
                   wrapper, hook);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[1024];
        struct buf have;
        if (rows[i].before != NULL)
            assert_int_equal(file_replace(path, str_from(rows[i].before), 0644, &err), 0);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(install_docker(&options, false, &err), 0);
            const char *gap = strstr(rows[i].set, "%s");
            (void)snprintf(want, sizeof(want), "%.*s%s%s", (int)(gap - rows[i].set), rows[i].set,
                           runtime, gap + 2);
            buf_init(&have, 4096);
            assert_int_equal(file_read(path, &have, &err), 0);
            assert_string_equal(buf_cstr(&have), want);
            buf_fini(&have);
        }
        assert_int_equal(install_docker(&options, true, &err), 0);
        buf_init(&have, 4096);
        assert_int_equal(file_read(path, &have, &err), 0);
        assert_string_equal(buf_cstr(&have), rows[i].removed);
        buf_fini(&have);
    }
    assert_int_equal(file_replace(path, STR("{\"runtimes\":[]}"), 0644, &err), 0);
    assert_int_equal(install_docker(&options, false, &err), -ERR_INVALID);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(install_docker(&options, true, &err), 0); /* nothing there: nothing made */
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(unlink(hook), 0);
    assert_int_equal(unlink(wrapper), 0);
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
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_docker)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
