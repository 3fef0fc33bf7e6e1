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
#define UP (1u << ATTESTOR_unix_pidfd)
#define IP (1u << ATTESTOR_ip_nft)

static void
test_select(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum attest_way way;
        uint64_t peer;
        struct attest_candidate candidates[3];
        size_t count;
        int want; /* -1: none */
    } rows[] = {
        {"its own", ATTEST_LOOPBACK, 10, {{10, NC, 0}, {20, NC, 0}}, 2, 0},
        {"the other", ATTEST_LOOPBACK, 20, {{10, NC, 0}, {20, NC, 0}}, 2, 1},
        {"below it", ATTEST_LOOPBACK, 11, {{20, NC, 0}, {10, NC, 0}}, 2, 1},
        {"a stranger", ATTEST_LOOPBACK, 77, {{10, NC, 0}, {20, NC, 0}}, 2, -1},
        {"root cgroup", ATTEST_LOOPBACK, 1, {{1, NC, 0}}, 1, -1},
        {"our own cgroup", ATTEST_LOOPBACK, 100, {{100, NC, 0}}, 1, -1},
        {"above our own", ATTEST_LOOPBACK, 50, {{50, NC, 0}}, 1, -1},
        {"nothing known", ATTEST_LOOPBACK, 0, {{10, NC, 0}}, 1, -1},
        {"nobody lives here", ATTEST_LOOPBACK, 10, {{0, 0, 0}}, 0, -1},
        {"twice the same", ATTEST_LOOPBACK, 10, {{10, NC, 0}, {10, NC, 0}}, 2, -1},
        {"exact before above", ATTEST_LOOPBACK, 11, {{10, NC, 0}, {11, NC, 0}}, 2, 1},
        {"alone in its netns", ATTEST_LOOPBACK, 0, {{1, N, 0}}, 1, 0},
        {"not alone", ATTEST_LOOPBACK, 0, {{1, N, 0}, {10, NC, 0}}, 2, -1},
        {"bound by cgroup, not by netns", ATTEST_LOOPBACK, 0, {{10, NC, 0}}, 1, -1},
        {"host network", ATTEST_HOST, 20, {{10, HC, 0}, {20, HC, 0}}, 2, 1},
        {"host process", ATTEST_HOST, 1, {{10, HC, 0}}, 1, -1},
        {"netns attestors are nothing on the host", ATTEST_HOST, 10, {{10, NC | N, 0}}, 1, -1},
        {"host attestor is nothing in a netns", ATTEST_LOOPBACK, 10, {{10, HC, 0}}, 1, -1},
        {"by unix socket", ATTEST_UNIX, 20, {{10, UP, 0}, {20, UP, 0}}, 2, 1},
        {"by unix socket, a stranger", ATTEST_UNIX, 1, {{10, UP, 0}}, 1, -1},
        {"unix is not loopback", ATTEST_LOOPBACK, 10, {{10, UP, 0}}, 1, -1},
        {"by address", ATTEST_ADDRESS, 0, {{1, IP, 7}, {1, IP, 8}}, 2, 1},
        {"an address of nobody", ATTEST_ADDRESS, 0, {{1, IP, 7}, {1, IP, 9}}, 2, -1},
        {"two with one address", ATTEST_ADDRESS, 0, {{1, IP, 8}, {1, IP, 8}}, 2, -1},
        {"not pinned", ATTEST_ADDRESS, 0, {{10, NC, 8}}, 1, -1},
        {"an address is nothing on loopback", ATTEST_LOOPBACK, 0, {{1, IP, 8}}, 1, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t index = 99;
        struct attest_scene scene = {.tree = &tree,
                                     .way = rows[i].way,
                                     .peer_address = 8,
                                     .peer_cgroup = rows[i].peer,
                                     .candidates = rows[i].candidates,
                                     .candidate_count = rows[i].count};
        int code = attest_select(&scene, &index);
        if ((code == 0 ? (int)index : -1) != rows[i].want)
            fail_msg("%s: %d", rows[i].name, code == 0 ? (int)index : code);
    }
}

/* A pid that may be reused tells one container from strangers, not from neighbours. */
static void
test_unsure(void **state)
{
    (void)state;
    const struct attest_candidate two[] = {{10, UP, 0}, {20, UP, 0}};
    struct attest_scene scene = {.tree = &tree,
                                 .way = ATTEST_UNIX,
                                 .peer_cgroup = 10,
                                 .peer_unsure = true,
                                 .candidates = two,
                                 .candidate_count = 2};
    size_t index = 99;
    assert_int_equal(attest_select(&scene, &index), -ERR_UNAUTHENTICATED);
    scene.candidate_count = 1;
    assert_int_equal(attest_select(&scene, &index), 0);
    scene.peer_cgroup = 1;
    assert_int_equal(attest_select(&scene, &index), -ERR_UNAUTHENTICATED);
}

#define FACTS(host_, alone_, cgroup_, runtime_)                                                  \
    {                                                                                            \
        .host = (host_), .alone = (alone_), .cgroup_id = (cgroup_), .runtime_cgroup = (runtime_) \
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
        {"usual", FACTS(false, true, 10, 1), NC},
        {"sidecar", FACTS(false, false, 10, 1), NC},
        {"no cgroup, alone", FACTS(false, true, 1, 1), N},
        {"no cgroup, not alone", FACTS(false, false, 1, 1), 0},
        {"host network", FACTS(true, false, 10, 1), HC},
        {"host network without a cgroup", FACTS(true, true, 1, 1), 0},
        {"in the runtime's own cgroup", FACTS(true, true, 10, 10), 0},
        {"above the runtime's cgroup", FACTS(true, true, 10, 30), 0},
        {"in the agent's cgroup", FACTS(true, true, 100, 1), 0},
        {"with a unix listener", {.has_unix = true, .cgroup_id = 10, .runtime_cgroup = 1}, NC | UP},
        {"a unix listener, no cgroup", {.has_unix = true, .cgroup_id = 1}, 0},
        {"a pinned address", {.is_pinned = true, .cgroup_id = 1}, IP},
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
    struct err err = {0};
    uint32_t bits = 0;
    assert_int_equal(attest_parse(STR("netns, unix+pidfd"), &bits, &err), 0);
    assert_int_equal(bits, N | UP);
    assert_int_equal(attest_parse(STR("ip"), &bits, &err), -ERR_INVALID);
    assert_string_equal(err.text, "unknown attestor \"ip\"; there are netns+cgroup,netns,"
                                  "hostnet+cgroup,unix+pidfd,ip+nft");
    assert_int_equal(attest_parse(STR_EMPTY, &bits, &err), -ERR_INVALID);
    assert_int_equal(ATTESTORS_DEFAULT, NC | N | HC | UP);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_select), cmocka_unit_test(test_unsure),
                                       cmocka_unit_test(test_suffices),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
