/* SPDX-License-Identifier: MIT
 * lease_test.c - what a node says to the control plane about leased money, and when it is silent.
 * Floor: dataplane/node tests.
 * Owns: see node_test_rig.h.
 * Invariant: see lease.c. */
#include "dataplane/node/node_test_rig.h"

#define QUARTER "250000000" /* FUND_LEASE_NANO */

static struct fund *
fund_of(const char *wallet)
{
    struct fund *fund = funds_get(&node.funds, str_from(wallet));
    assert_non_null(fund);
    return fund;
}

/* A worker lacks `amount`, and has the sync thread told so. */
static void
lacks(struct fund *fund, int64_t amount)
{
    assert_int_equal(fund_hold(fund, amount), -ERR_OVERDRAWN);
    assert_true(fund_should_ask(fund));
}

/* Numbers are texts of digits; what the control plane granted before is said with it. */
static void
asks_once_for_those_that_want(void **state)
{
    (void)state;
    node_send_lease(&node);
    said(""); /* no wallet at all */
    struct fund *fund = fund_of("team-\"a\"");
    (void)fund_of("silent");
    node_send_lease(&node);
    said("");
    lacks(fund, 7);
    node_send_lease(&node);
    said("{\"type\":\"lease\",\"epoch\":\"18446744073709551615\",\"wallet\":\"team-\\\"a\\\"\","
         "\"granted\":\"0\",\"want\":\"" QUARTER "\",\"need\":\"7\"}\n");
    fund_grant(fund, 5, FUND_OK);
    node_send_lease(&node);
    said(""); /* answered */
    lacks(fund, FUND_LEASE_NANO + 6);
    node_send_lease(&node);
    said("{\"type\":\"lease\",\"epoch\":\"18446744073709551615\",\"wallet\":\"team-\\\"a\\\"\","
         "\"granted\":\"5\",\"want\":\"250000001\",\"need\":\"250000001\"}\n");
    node_send_lease(&node); /* a new connection, and no answer yet: said again */
    assert_true(str_find(buf_str(&the_link.said), STR("\"need\":\"250000001\"")) != SIZE_MAX);
}

/* While the link is down nothing is under way: whoever lacks money then can have it asked for on
 * the next connection. */
static void
asks_again_after_the_link_was_down(void **state)
{
    (void)state;
    struct fund *fund = fund_of("w");
    the_link.up = false;
    lacks(fund, 7);
    node_send_lease(&node);
    said("");
    the_link.up = true;
    node_send_lease(&node);
    said("");
    lacks(fund, 8);
    node_send_lease(&node);
    said("{\"type\":\"lease\",\"epoch\":\"18446744073709551615\",\"wallet\":\"w\","
         "\"granted\":\"0\",\"want\":\"" QUARTER "\",\"need\":\"8\"}\n");
}

/* What goes back has left `available` before it is said; the sum is said, so that it may be said
 * again. */
static void
gives_back(void **state)
{
    (void)state;
    struct fund *fund = fund_of("w");
    struct fund *other = fund_of("other");
    fund_grant(fund, 1000, FUND_FROZEN);
    fund_grant(other, 1000, FUND_OK);
    node_say_returned(&node);
    said(""); /* nothing yet */
    node_funds_tick(&node);
    said("{\"type\":\"return\",\"epoch\":\"18446744073709551615\",\"wallet\":\"w\","
         "\"returned\":\"1000\"}\n");
    assert_int_equal(atomic_load(&fund->available), 0);
    assert_int_equal(atomic_load(&other->available), 1000);
    node_funds_tick(&node);
    said("");
    fund_grant(fund, 1500, FUND_FROZEN);
    node_funds_tick(&node);
    said("{\"type\":\"return\",\"epoch\":\"18446744073709551615\",\"wallet\":\"w\","
         "\"returned\":\"1500\"}\n");
    node_say_returned(&node); /* a new connection */
    said("{\"type\":\"return\",\"epoch\":\"18446744073709551615\",\"wallet\":\"w\","
         "\"returned\":\"1500\"}\n");
}

/* Nothing leaves `available` that cannot be said. */
static void
keeps_while_nobody_hears(void **state)
{
    (void)state;
    struct fund *fund = fund_of("w");
    fund_grant(fund, 1000, FUND_FROZEN);
    node.link = NULL; /* starting or stopping */
    node_funds_tick(&node);
    node.link = &the_link;
    the_link.up = false;
    node_funds_tick(&node);
    assert_int_equal(atomic_load(&fund->available), 1000);
    assert_int_equal(fund->returned, 0);
    the_link.up = true;
    node_funds_tick(&node);
    said("{\"type\":\"return\",\"epoch\":\"18446744073709551615\",\"wallet\":\"w\","
         "\"returned\":\"1000\"}\n");
}

/* Whatever is spent, asked for and given back: granted is what is left, spent and returned, and a
 * record said a second time says the same. */
static void
adds_up(void **state)
{
    (void)state;
    static const struct {
        int64_t grant; /* cumulative */
        enum fund_status status;
        int64_t spend;
        const char *returned; /* after a tick; "": nothing is said */
    } rows[] = {
        {1000, FUND_OK, 300, ""},  {1000, FUND_FROZEN, 0, "700"},  {2000, FUND_OK, 1000, ""},
        {2000, FUND_EMPTY, 0, ""}, {2500, FUND_FROZEN, 0, "1200"}, {2500, FUND_FROZEN, 0, ""},
    };
    struct fund *fund = fund_of("w");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fund_grant(fund, rows[i].grant, FUND_OK);
        assert_int_equal(fund_hold(fund, rows[i].spend), 0);
        fund_capture(fund, rows[i].spend, rows[i].spend);
        fund_grant(fund, rows[i].grant, rows[i].status);
        node_funds_tick(&node);
        bool silent = rows[i].returned[0] == '\0';
        struct str told = str_from(rows[i].returned);
        assert_true(silent == (the_link.said.len == 0));
        assert_true(silent || str_find(buf_str(&the_link.said), told) != SIZE_MAX);
        the_link.said.len = 0;
        assert_int_equal(atomic_load(&fund->granted), atomic_load(&fund->available) +
                                                          atomic_load(&fund->spent) +
                                                          fund->returned);
    }
}

/* ---- budgets: what a caller may spend ---- */

static void
parse(const char *text, struct config **config)
{
    struct json_doc doc;
    struct err err = {0};
    json_init(&doc);
    assert_int_equal(json_scan(&doc, str_from(text), NULL, &err), 0);
    config_release(config);
    node.config_rev++;
    assert_int_equal(config_parse(&doc, 0, node.config_rev, &node.funds, config, &err), 0);
    json_fini(&doc);
}

#define EIGHT(two) two two two two two two two two
#define KEY(name, two, more)                                              \
    "{\"name\":\"" name "\",\"hash\":\"" EIGHT(two) EIGHT(two) EIGHT(two) \
        EIGHT(two) "\",\"wallet\":\"team\"" more "}"

/* Who has no cap any more has what is here of it given back, before the ledger takes a call out of
 * it that was held of nothing; others keep theirs. */
static void
gives_back_what_caps_nobody(void **state)
{
    (void)state;
    struct fund *dev = fund_of("container/dev");
    struct fund *pod = fund_of("container/pod");
    struct fund *wallet = fund_of("team");
    struct fund *key = fund_of("key/ci");
    parse("{\"version\":1,\"settings\":{},\"keys\":[" KEY("ci", "00", ",\"capped\":true") "," KEY(
              "open", "11",
              "") "],\"containers\":[{\"name\":\"dev\",\"capped\":true},"
                  "{\"name\":\"open\",\"models\":[\"*\"]}],\"capped_wallets\":[\"team\"]}",
          &node.config);
    fund_grant(key, 4000, FUND_OK);
    atomic_store(&pod->payer, wallet);
    fund_grant(dev, 1000, FUND_OK);
    fund_grant(pod, 2000, FUND_OK);
    fund_grant(wallet, 3000, FUND_OK);
    node_drop_budgets(&node);
    said("");
    parse("{\"version\":1,\"settings\":{},\"keys\":[" KEY(
              "ci", "00", ",\"capped\":true") "],"
                                              "\"capped_wallets\":[\"team\"]}",
          &node.config);
    node_drop_budgets(&node);
    said("{\"type\":\"return\",\"epoch\":\"18446744073709551615\",\"wallet\":\"container/dev\","
         "\"returned\":\"1000\"}\n");
    parse("{\"version\":1,\"settings\":{}}", &node.config);
    node.link = NULL; /* said on the next connection */
    node_drop_budgets(&node);
    node.link = &the_link;
    said("");
    node_say_returned(&node);
    assert_true(str_find(buf_str(&the_link.said), STR("\"container/pod\",\"returned\":\"2000\"")) !=
                SIZE_MAX);
    assert_int_equal(atomic_load(&wallet->available), 3000);
    assert_int_equal(key->returned, 4000);
    assert_true(dev->lapsed && pod->lapsed && !wallet->lapsed);
    node_drop_budgets(&node);
    config_release(&node.config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks_once_for_those_that_want, rig_node, rig_node_end),
        cmocka_unit_test_setup_teardown(asks_again_after_the_link_was_down, rig_node, rig_node_end),
        cmocka_unit_test_setup_teardown(gives_back, rig_node, rig_node_end),
        cmocka_unit_test_setup_teardown(keeps_while_nobody_hears, rig_node, rig_node_end),
        cmocka_unit_test_setup_teardown(adds_up, rig_node, rig_node_end),
        cmocka_unit_test_setup_teardown(gives_back_what_caps_nobody, rig_node, rig_node_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
