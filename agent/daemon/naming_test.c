/* SPDX-License-Identifier: MIT
 * naming_test.c - names out of podman's own files.
 * Floor: agent/daemon, test.
 * Owns: a temporary folder.
 * Invariant: rows (container, name). */
#include "agent/daemon/naming.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/naming-test-XXXXXX";

static void
write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/overlay-containers/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *runtime;
        const char *id;
        const char *annotation;
        const char *want;
        bool infra;
    } rows[] = {
        {"podman", "aa", "", "dev-env", false},
        {"podman", "aa", "other", "other", false}, /* the annotation wins */
        {"podman", "bb", "", "", false},           /* "1" would be a number */
        {"podman", "cc", "", "x-infra", false},
        {"podman", "a0", "", "0123456789ab-infra", true}, /* of a pod */
        {"podman", "a1", "", "0123456789abc-infra", false},
        {"podman", "a2", "", "-infra", false},
        {"podman", "dd", "", "", false}, /* no names */
        {"podman", "ee", "", "rm-me", false},
        {"podman", "ff", "", "", false},
        {"runc", "plain", "", "plain", false},
        {"runc", "has.dot", "", "", false},
        {"runc", "42", "", "", false},
    };
    write_file("containers.json",
               "[{\"id\":\"aa\",\"names\":[\"dev-env\",\"second\"],\"image\":\"i\"},"
               "{\"id\":\"bb\",\"names\":[\"1\"]},{\"id\":\"cc\",\"names\":[\"x-infra\"]},"
               "{\"id\":\"a0\",\"names\":[\"0123456789ab-infra\"]},"
               "{\"id\":\"a1\",\"names\":[\"0123456789abc-infra\"]},"
               "{\"id\":\"a2\",\"names\":[\"-infra\"]},{\"id\":\"dd\"}]");
    write_file("volatile-containers.json", "[{\"id\":\"ee\",\"names\":[\"rm-me\"]}]");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static struct hook_state hook;
        char name[HOOK_NAME_BYTES];
        memset(&hook, 0, sizeof(hook));
        (void)snprintf(hook.runtime, sizeof(hook.runtime), "%s", rows[i].runtime);
        (void)snprintf(hook.id, sizeof(hook.id), "%s", rows[i].id);
        (void)snprintf(hook.name, sizeof(hook.name), "%s", rows[i].annotation);
        (void)snprintf(hook.bundle, sizeof(hook.bundle), "%s/overlay-containers/%s/userdata",
                       folder, rows[i].id);
        naming_of(&hook, name);
        assert_string_equal(name, rows[i].want);
        assert_int_equal(hook.infra, rows[i].infra);
    }
}

static void
test_hostile(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "{}",
        "[",
        "[{\"id\":\"aa\",\"names\":{}}]",
        "[{\"id\":\"aa\",\"names\":[7]}]",
        "[{\"id\":\"aa\",\"names\":[\"a\\u0000b\"]}]",
        "[{\"id\":\"aa\",\"names\":[\"0123456789012345678901234567890123456789\"]}]",
        "[[\"id\",\"aa\"]]",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char raw[32] = "";
        assert_true(naming_find(str_from(rows[i]), STR("aa"), raw, sizeof(raw)) < 0);
        assert_string_equal(raw, "");
    }
}

static int
setup(void **state)
{
    (void)state;
    char path[256];
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/overlay-containers", folder);
    return mkdir(path, 0700);
}

static int
teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"overlay-containers/containers.json",
                                        "overlay-containers/volatile-containers.json"};
    char path[256];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/overlay-containers", folder);
    return rmdir(path) != 0 || rmdir(folder) != 0 ? -1 : 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
