/* SPDX-License-Identifier: MIT
 * hooks_test.c - configurations as runtimes write them, and as they should not.
 * Floor: agent/oci, test.
 * Owns: one file in a temporary folder.
 * Invariant: see hooks.h, file.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/oci/file.h"
#include "agent/oci/hooks.h"

#define ARGS(stage)                                                                             \
    "\"args\":[\"berth-hook\",\"" stage "\",\"--runtime\",\"docker\",\"--when-down\",\"deny\"," \
    "\"--socket\",\"/s\"],\"timeout\":10}"
#define CREATE "{\"path\":\"/h\"," ARGS("createRuntime")
#define STOP "{\"path\":\"/h\"," ARGS("poststop")
#define BOTH "\"hooks\":{\"createRuntime\":[" CREATE "],\"poststop\":[" STOP "]}"

static const struct hooks hooks = {
    .path = "/h", .socket = "/s", .runtime = "docker", .when_down = "deny"};

static void
test_add(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *config;
        const char *want; /* NULL: unchanged */
        int want_code;
    } rows[] = {
        {"no hooks", "{\"a\": 1 }", "{" BOTH ",\"a\": 1 }", 0},
        {"empty", "{}", "{" BOTH "}", 0},
        {"null", "{\"hooks\":null,\"a\":1}", "{" BOTH ",\"a\":1}", 0},
        {"docker's own", "{\"hooks\": {\"prestart\": [ {\"path\":\"/x\"} ] } }",
         "{\"hooks\": {\"createRuntime\":[" CREATE "],\"poststop\":[" STOP "],\"prestart\": [ "
         "{\"path\":\"/x\"} ] } }",
         0},
        {"behind others", "{\"hooks\":{\"createRuntime\":[{\"path\":\"/x\"} ],\"poststop\":[ ]}}",
         "{\"hooks\":{\"createRuntime\":[{\"path\":\"/x\"}," CREATE " ],\"poststop\":[ " STOP "]}}",
         0},
        {"there already", "{" BOTH "}", NULL, 0},
        {"half there", "{\"hooks\":{\"createRuntime\":[" CREATE "]}}",
         "{\"hooks\":{\"poststop\":[" STOP "],\"createRuntime\":[" CREATE "]}}", 0},
        {"no object", "[]", NULL, -ERR_INVALID},
        {"hooks is no object", "{\"hooks\":[]}", NULL, -ERR_INVALID},
        {"a stage is no list", "{\"hooks\":{\"poststop\":{}}}", NULL, -ERR_INVALID},
        {"broken", "{\"hooks\":", NULL, -ERR_PARSE},
        {"twice", "{\"hooks\":{},\"hooks\":{}}", NULL, -ERR_DUPLICATE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        struct err err = {0};
        bool changed = true;
        buf_init(&out, 65536);
        int code = hooks_add(&hooks, str_from(rows[i].config), &out, &changed, &err);
        if (code != rows[i].want_code)
            fail_msg("%s: %d %s", rows[i].name, code, err.text);
        if (code == 0 && changed != (rows[i].want != NULL))
            fail_msg("%s: changed %d", rows[i].name, changed);
        if (code == 0 && rows[i].want != NULL && strcmp(buf_cstr(&out), rows[i].want) != 0)
            fail_msg("%s:\n%s\n%s", rows[i].name, buf_cstr(&out), rows[i].want);
        if (code < 0)
            assert_true(err.text[0] != '\0');
        buf_fini(&out);
    }
}

static void
test_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/oci-test-XXXXXX";
    char path[64];
    struct stat found;
    struct buf text;
    struct err err = {0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    buf_init(&text, 8192);
    assert_int_equal(file_read(path, &text, &err), -ERR_NOT_FOUND);
    assert_int_equal(file_replace(path, STR("one"), 0640, &err), 0);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(file_replace(path, STR("another"), 0640, &err), 0);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0604);
    assert_int_equal(file_read(path, &text, &err), 0);
    assert_string_equal(buf_cstr(&text), "another");
    buf_fini(&text);
    buf_init(&text, 4);
    assert_int_equal(file_read(path, &text, &err), -ERR_TOO_LARGE);
    buf_fini(&text);
    (void)snprintf(path, sizeof(path), "%s/none/config.json", folder);
    assert_int_equal(file_replace(path, STR("x"), 0600, &err), -ERR_NOT_FOUND);
    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left there */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add), cmocka_unit_test(test_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
