/* SPDX-License-Identifier: MIT
 * hook_state_test.c - states as runc, crun and podman really send them, and hostile ones.
 * Floor: agent/daemon, test.
 * Owns: nothing.
 * Invariant: rows (request, error text or empty, what was read). */
#include "agent/daemon/hook_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct row {
    const char *request;
    const char *id;
    const char *runtime;
    const char *name;
    int pid;
    bool ai_off;
    bool infra;
};

static void
test_rows(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"createRuntime runc\n{\"ociVersion\":\"1.0.2-dev\",\"id\":\"t-runc\",\"status\":"
         "\"creating\",\"pid\":14535,\"bundle\":\"/b\",\"annotations\":{\"io.berth.name\":"
         "\"dev-env\"}}",
         "t-runc", "runc", "dev-env", 14535, false, false},
        {"poststop runc\n{\"id\":\"t-runc\",\"status\":\"stopped\",\"bundle\":\"/b\"}", "t-runc",
         "runc", "", 0, false, false},
        {"poststop crun\n{\"id\":\"t-crun\",\"pid\":0,\"status\":\"stopped\"}", "t-crun", "crun",
         "", 0, false, false},
        {"createRuntime runc\n{\"id\":\"f9ac\",\"pid\":2,\"annotations\":{\"io.container.manager\":"
         "\"libpod\",\"io.berth.ai\":\"false\"}}",
         "f9ac", "podman", "", 2, true, false},
        {"createRuntime x\n{\"id\":\"s\",\"pid\":2,\"annotations\":{"
         "\"io.kubernetes.cri.container-type\":\"sandbox\"}}",
         "s", "x", "", 2, false, true},
    };
    static const struct {
        const char *request;
        const char *want_err;
    } refused[] = {
        {"createRuntime runc\n{\"id\":\"a\"}", "the container's state has no pid"},
        {"createRuntime runc\n{\"pid\":1}", "the container's state has no usable id"},
        {"createRuntime runc\n{\"id\":\"a b\",\"pid\":1}",
         "the container's state has no usable id"},
        {"createRuntime runc\n{\"id\":\"a\\u0000b\",\"pid\":1}",
         "the container's state has no usable id"},
        {"createRuntime runc\n{\"id\":\"a\",\"pid\":-1}", "\"pid\" is no process id"},
        {"createRuntime runc\n{\"id\":\"a\",\"pid\":99999999999}", "\"pid\" is no process id"},
        {"createRuntime runc\n{\"id\":7,\"pid\":1}",
         "\"id\" in the container's state is no string"},
        {"createRuntime runc\n{\"id\":\"a\",\"pid\":1,\"annotations\":{\"io.berth.name\":\"123\"}}",
         "annotation io.berth.name is not 1 to 100 of A-Z a-z 0-9 - _"},
        {"createRuntime runc\n[]", "the container's state is no JSON object"},
        {"poststart runc\n{}", "unknown hook stage"},
        {"createRuntime \n{}", "the runtime's name is not usable"},
        {"createRuntime runc", "a hook's request has no first line"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        static struct hook_state got;
        struct err err = {0};
        assert_true(hook_state_parse(str_from(refused[i].request), &got, &err) < 0);
        assert_string_equal(err.text, refused[i].want_err);
        assert_string_equal(got.id, ""); /* untouched */
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static struct hook_state got;
        struct err err = {0};
        int code = hook_state_parse(str_from(rows[i].request), &got, &err);
        if (code != 0)
            fail_msg("row %zu: %s", i, err.text);
        assert_string_equal(got.id, rows[i].id);
        assert_string_equal(got.runtime, rows[i].runtime);
        assert_string_equal(got.name, rows[i].name);
        assert_int_equal(got.pid, rows[i].pid);
        assert_int_equal(got.ai_off, rows[i].ai_off);
        assert_int_equal(got.infra, rows[i].infra);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
