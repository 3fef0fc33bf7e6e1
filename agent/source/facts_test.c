/* SPDX-License-Identifier: MIT
 * facts_test.c - streams, lists and inspections as Docker 20.10 and Podman 4.3 really say them.
 * Floor: agent/source, test; runs in the root of the sources.
 * Owns: nothing; the recordings are the seeds of facts_fuzz.
 * Invariant: see facts.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/source/facts.h"

#define RECORDS "agent/source/corpus/facts_fuzz/"

static char text[65536];

static struct str
record(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), RECORDS "%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t count = fread(text, 1, sizeof(text), file);
    assert_int_equal(fclose(file), 0);
    assert_true(count > 0 && count < sizeof(text));
    return str_make(text, count);
}

/* How many lines of a recorded stream make us look at the one container that it is about. */
static size_t
looks(const char *name, const char *id)
{
    struct str rest = record(name);
    size_t count = 0;
    while (rest.len > 0) {
        struct facts facts;
        bool created = false;
        struct str line = STR_EMPTY;
        (void)str_cut(rest, '\n', &line, &rest);
        int code = facts_parse_event(line, &facts, &created);
        if (code == 0) {
            assert_string_equal(facts.id, id);
            count++;
            /* the first one says the name */
            assert_int_equal(created, count == 1);
            if (created)
                assert_string_equal(facts.name, "dev-env");
        } else {
            assert_int_equal(code, -ERR_NOT_FOUND);
        }
    }
    return count;
}

static void
test_streams(void **state)
{
    (void)state;
    /* create start pause unpause rename die stop start restart die destroy, of 17 lines */
    assert_int_equal(
        looks("docker-events", "c9f5c23627472062e485626abe5567b9fd792f3419f0d58101ba99af1eca7f36"),
        11);
    /* create init start pause unpause rename stop die remove; not the image's pull */
    assert_int_equal(
        looks("podman-events", "961c57348ac32046c3edb50f707604e4577382b149439c839ac531c5686d057e"),
        9);
}

static void
test_events(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int want;
    } rows[] = {
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"abc\"}}", 0},
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"a/../b\"}}",
         -ERR_NOT_FOUND},
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"\"}}", -ERR_NOT_FOUND},
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{}}", -ERR_NOT_FOUND},
        {"{\"Type\":\"container\",\"Action\":\"exec_create: sh\",\"Actor\":{\"ID\":\"abc\"}}",
         -ERR_NOT_FOUND},
        {"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"abc\"}}",
         -ERR_NOT_FOUND},
        {"[]", -ERR_PARSE},
        {"", -ERR_PARSE},
        {"HTTP/1.1 500", -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct facts facts;
        bool created = false;
        assert_int_equal(facts_parse_event(str_from(rows[i].line), &facts, &created), rows[i].want);
    }
}

static void
test_inspections(void **state)
{
    (void)state;
    struct facts facts;
    assert_int_equal(facts_parse_inspect(record("docker-inspect"), &facts), 0);
    assert_string_equal(facts.name, "noted"); /* by its label */
    assert_int_equal(facts.state, FACTS_RUNNING);
    assert_true(facts.whole && facts.name_fixed && facts.pid > 1 && !facts.ai_off && !facts.infra);
    assert_int_equal(facts_parse_inspect(record("podman-inspect"), &facts), 0);
    assert_string_equal(facts.name, "dev-env");
    assert_int_equal(facts.state, FACTS_PAUSED);
    assert_true(facts.whole && !facts.name_fixed && facts.pid > 1 && facts.ai_off && !facts.infra);
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"{\"Id\":\"abc\"}", 0},
        {"{\"Id\":\"abc\",\"State\":{\"Pid\":-1,\"Status\":7},\"Name\":5,\"Config\":[]}", 0},
        {"{\"Id\":\"a b\"}", -ERR_INVALID},
        {"{\"message\":\"no such container\"}", -ERR_INVALID},
        {"{\"Id\":\"abc\"", -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(facts_parse_inspect(str_from(rows[i].text), &facts), rows[i].want);
        if (rows[i].want == 0)
            assert_true(facts.state == FACTS_IDLE && facts.pid == 0 && facts.name[0] == '\0');
    }
}

struct listed {
    struct facts rows[8];
    size_t count;
};

static void
take_row(const struct facts *facts, void *user)
{
    struct listed *listed = user;
    assert_true(listed->count < ARRAY_LEN(listed->rows));
    listed->rows[listed->count++] = *facts;
}

static void
test_lists(void **state)
{
    (void)state;
    struct listed docker = {.count = 0};
    struct listed podman = {.count = 0};
    assert_int_equal(facts_parse_list(record("docker-list"), take_row, &docker), 3);
    assert_string_equal(docker.rows[0].name, "link-b");
    assert_int_equal(docker.rows[0].state, FACTS_PAUSED);
    assert_string_equal(docker.rows[1].name, "link-a"); /* also known as /link-b/al */
    assert_string_equal(docker.rows[2].name, "noted");
    assert_true(docker.rows[2].name_fixed && !docker.rows[2].whole);
    assert_int_equal(facts_parse_list(record("podman-list"), take_row, &podman), 2);
    assert_true(podman.rows[0].infra && !podman.rows[1].infra);
    assert_string_equal(podman.rows[1].name, "in-pod");
    assert_int_equal(podman.rows[1].state, FACTS_RUNNING);
    assert_int_equal(podman.rows[1].pid, 0); /* a list has no annotations: nothing is begun by it */
    assert_int_equal(facts_parse_list(STR("{}"), take_row, &podman), -ERR_PARSE);
    assert_int_equal(facts_parse_list(STR("[1,{\"Id\":\"\"},{}]"), take_row, &podman), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams), cmocka_unit_test(test_events),
        cmocka_unit_test(test_inspections), cmocka_unit_test(test_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
