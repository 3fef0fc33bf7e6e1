/* SPDX-License-Identifier: MIT
 * attest_test.c - every attestor against scenes: who is selected, and who is not.
 * Floor: agent/kernel, test.
 * Owns: a made-up cgroup tree (its cache is the tree).
 * Invariant: rows (scene, index or none); two that fit are none. */
#include "agent/kernel/attest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* 100 = us, 10 and 20 containers, 11 below 10, 111 below 10 and 11. */
static struct cgroup_tree tree;

static void
know(uint64_t id, uint64_t ancestor, bool within)
{
    size_t slot = (size_t)((id * 31u + ancestor) % CGROUP_CACHE);
    tree.cache[slot].id = id;
    tree.cache[slot].ancestor = ancestor;
    tree.cache[slot].within = within;
}

static int
setup(void **state)
{
    (void)state;
    tree = (struct cgroup_tree){.mount_fd = 1000000, .own_id = 100};
    know(11, 10, true);
    know(100, 50, true); /* 50 is above us */
    know(30, 10, true);  /* a runtime that runs inside 10 */
    return 0;
}

#define NC (1u << ATTESTOR_netns_cgroup)
#define N (1u << ATTESTOR_netns)
#define HC (1u << ATTESTOR_hostnet_cgroup)

static void
test_select(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool host;
        uint64_t peer;
        struct attest_candidate candidates[3];
        size_t count;
        int want; /* -1: none */
    } rows[] = {
        {"its own", false, 10, {{10, NC}, {20, NC}}, 2, 0},
        {"the other", false, 20, {{10, NC}, {20, NC}}, 2, 1},
        {"below it", false, 11, {{20, NC}, {10, NC}}, 2, 1},
        {"a stranger", false, 77, {{10, NC}, {20, NC}}, 2, -1},
        {"root cgroup", false, 1, {{1, NC}}, 1, -1},
        {"our own cgroup", false, 100, {{100, NC}}, 1, -1},
        {"above our own", false, 50, {{50, NC}}, 1, -1},
        {"nothing known", false, 0, {{10, NC}}, 1, -1},
        {"nobody lives here", false, 10, {{0, 0}}, 0, -1},
        {"twice the same", false, 10, {{10, NC}, {10, NC}}, 2, -1},
        {"exact before above", false, 11, {{10, NC}, {11, NC}}, 2, 1},
        {"alone in its netns", false, 0, {{1, N}}, 1, 0},
        {"not alone", false, 0, {{1, N}, {10, NC}}, 2, -1},
        {"bound by cgroup, not by netns", false, 0, {{10, NC}}, 1, -1},
        {"host network", true, 20, {{10, HC}, {20, HC}}, 2, 1},
        {"host process", true, 1, {{10, HC}}, 1, -1},
        {"netns attestors are nothing on the host", true, 10, {{10, NC | N}}, 1, -1},
        {"host attestor is nothing in a netns", false, 10, {{10, HC}}, 1, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t index = 99;
        struct attest_scene scene = {.tree = &tree,
                                     .host = rows[i].host,
                                     .peer_cgroup = rows[i].peer,
                                     .candidates = rows[i].candidates,
                                     .candidate_count = rows[i].count};
        int code = attest_select(&scene, &index);
        if ((code == 0 ? (int)index : -1) != rows[i].want)
            fail_msg("%s: %d", rows[i].name, code == 0 ? (int)index : code);
    }
}

static void
test_suffices(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct attest_facts facts;
        uint32_t want;
    } rows[] = {
        {"usual", {NULL, false, true, 10, 1}, NC},
        {"sidecar", {NULL, false, false, 10, 1}, NC},
        {"no cgroup, alone", {NULL, false, true, 1, 1}, N},
        {"no cgroup, not alone", {NULL, false, false, 1, 1}, 0},
        {"host network", {NULL, true, false, 10, 1}, HC},
        {"host network without a cgroup", {NULL, true, true, 1, 1}, 0},
        {"in the runtime's own cgroup", {NULL, true, true, 10, 10}, 0},
        {"above the runtime's cgroup", {NULL, true, true, 10, 30}, 0},
        {"in the agent's cgroup", {NULL, true, true, 100, 1}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct attest_facts facts = rows[i].facts;
        facts.tree = &tree;
        if (attest_suffices(&facts) != rows[i].want)
            fail_msg("%s: %x", rows[i].name, attest_suffices(&facts));
    }
}

static void
test_names(void **state)
{
    (void)state;
    char text[128];
    attest_names(NC | HC, text);
    assert_string_equal(text, "netns+cgroup,hostnet+cgroup");
    attest_names(0, text);
    assert_string_equal(text, "");
    assert_string_equal(attestor_get(ATTESTOR_netns)->name, "netns");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_select),
                                       cmocka_unit_test(test_suffices),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
