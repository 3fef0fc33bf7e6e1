/* SPDX-License-Identifier: MIT
 * push_test.c - the stream as a node sees it: full state, money, configuration, what is not
 *               allowed.
 * Floor: controlplane/push tests.
 * Owns: nothing.
 * Invariant: what api/plane.md promises. */
#include "controlplane/push/push_test_rig.h"

/* ---- tests ----------------------------------------------------------------------------------- */

static void
test_full_state(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    WAIT_FOR(f, &f->dp, "\"type\":\"welcome\",\"server\":\"");
    assert_true(seen(&f->dp, f->engine->server));
    assert_true(seen(&f->dp, "\"lease_ms\":15000,\"node\":\"dataplane\""));
    assert_true(seen(&f->dp, f->engine->snapshot.hash));
    assert_true(seen(&f->dp, "\"full\":true,\"rows\":[],\"sum\":\"0\""));
    assert_true(seen(&f->dp, "\"rows\":[{\"wallet\":\"default\",\"granted\":\"0\","
                             "\"returned\":\"0\",\"free\":\"0\",\"balance\":\"0\","
                             "\"status\":\"empty\"}]"));
    /* the hash is that of the raw text of doc */
    const char *doc = strstr(buf_cstr(&f->dp.log), "\"doc\":");
    assert_non_null(doc);
    assert_memory_equal(doc + 6, f->engine->snapshot.text.ptr, f->engine->snapshot.text.len);
}

static void
test_money(void **state)
{
    struct fixture *f = *state;
    struct ledger_receipt receipt;
    connect_both(f);
    forget(&f->dp);
    assert_int_equal(ledger_deposit(f->ledger, STR("default"), LEDGER_AI,
                                    (struct money){5000000000}, STR("k"), &receipt, &f->err),
                     0);
    WAIT_FOR(f, &f->dp,
             "{\"wallet\":\"default\",\"granted\":\"0\",\"returned\":\"0\",\"free\":\"5000000000\","
             "\"balance\":\"5000000000\",\"status\":\"ok\"}");
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"default\",\"granted\":\"0\","
                "\"want\":\"1000000000\"}");
    WAIT_FOR(f, &f->dp,
             "{\"wallet\":\"default\",\"granted\":\"1000000000\",\"returned\":\"0\",\"free\":"
             "\"4000000000\",\"balance\":\"5000000000\",\"status\":\"ok\"}");
    forget(&f->dp);
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"default\",\"granted\":"
                "\"1000000000\",\"want\":\"9000000000\",\"need\":\"3500000000\"}");
    WAIT_FOR(f, &f->dp, "\"granted\":\"4500000000\",\"returned\":\"0\",\"free\":\"500000000\"");
    static const char *const back = "{\"type\":\"return\",\"epoch\":\"7\",\"wallet\":\"default\","
                                    "\"returned\":\"3500000000\"}";
    say(&f->dp, back);
    say(&f->dp, back);
    WAIT_FOR(f, &f->dp, "\"returned\":\"3500000000\",\"free\":\"4000000000\"");
#define USAGE "{\"type\":\"usage\",\"epoch\":\"7\",\"stream\":\"0\",\"first\":"
#define PAID "\"wallet\":\"default\",\"provider\":\"p\",\"cost\":\"0\",\"charge\":"
    static const char *const usage = USAGE "\"1\",\"records\":[{\"seq\":\"1\"," PAID "\"1050\"}]}";
    say(&f->dp, usage);
    WAIT_FOR(f, &f->dp, "{\"type\":\"posted\",\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"1\"}");
    forget(&f->dp);
    say(&f->dp, usage); /* sent again: nothing moves twice */
    WAIT_FOR(f, &f->dp, "{\"type\":\"posted\",\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"1\"}");
    say(&f->dp, USAGE /* of another form, and poison: the other road */
        "\"2\",\"records\":[{\"seq\":\"2\"," PAID "\"10\"},{\"seq\":\"3\",\"new\":[1]," PAID
        "\"20\"},{\"seq\":\"9\"},{\"seq\":\"5\"," PAID "\"40\"}]}");
    WAIT_FOR(f, &f->dp, "{\"type\":\"posted\",\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"5\"}");
    struct ledger_balances balances;
    assert_int_equal(ledger_balances(f->ledger, STR("default"), &balances, &f->err), 0);
    assert_true(balances.ai_usage.nano == 1120);
    /* members that records share stand in the upload once; then the same on the other road */
    say(&f->dp, USAGE "\"6\",\"records\":[{\"seq\":\"6\",\"id\":\"[\",\"texts\":[0]},"
                      "{\"seq\":\"7\",\"texts\":[2,1,0]}],"
                      "\"texts\":[{" PAID "\"3\"},{},{\"model\":\"m[0]\"}]}");
    say(&f->dp, USAGE "\"8\",\"records\":[{\"seq\":\"8\",\"texts\":[0]},"
                      "{\"seq\":\"9\",\"texts\":[1,0]}],"
                      "\"texts\":[{" PAID "\"5\"},{\"new\":[1]}]}");
    WAIT_FOR(f, &f->dp, "{\"type\":\"posted\",\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"9\"}");
    assert_int_equal(ledger_balances(f->ledger, STR("default"), &balances, &f->err), 0);
    assert_true(balances.ai_usage.nano == 1120 + 2 * 3 + 2 * 5);
    apply(f, HEAD "kind: Wallet\nmetadata: {name: default}\nspec: {frozen: true}\n");
    WAIT_FOR(f, &f->dp, "\"status\":\"frozen\"");
    forget(&f->dp);
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"default\",\"granted\":"
                "\"4500000000\",\"want\":\"1000000000\"}");
    WAIT_FOR(f, &f->dp, "\"status\":\"frozen\"");
    assert_false(seen(&f->dp, "\"granted\":\"5500000000\""));
}

/* Caps of a container and a key: lent by the caps of the moment of the question, told to whom it
 * concerns, and forgotten with their owner. */
static void
test_caps(void **state)
{
    struct fixture *f = *state;
    static const char *const want = "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":"
                                    "\"container/dev\",\"granted\":\"0\",\"want\":\"9000000000\"}";
    connect_both(f);
    forget(&f->dp);
    apply(f,
          HEAD "kind: Container\nmetadata: {name: dev}\nspec: {cap: {day: '2.00', hour: '1'}}\n");
    say(&f->dp, want); /* before any reconciler has seen it */
    WAIT_FOR(f, &f->dp,
             "{\"wallet\":\"container/dev\",\"granted\":\"250000000\",\"returned\":\"0\",\"free\":"
             "\"750000000\",\"balance\":\"750000000\",\"cap_per\":\"hour\",\"cap\":\"1000000000\","
             "\"cap_spent\":\"0\",\"cap_resets\":\"");
    WAIT_FOR(f, &f->dp, "\"containers\":[{\"name\":\"dev\",\"capped\":true}]");
    assert_false(seen(&f->agent, "container/dev"));
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {cap: {day: '0.20'}}\n");
    WAIT_FOR(f, &f->dp, "\"cap_per\":\"day\",\"cap\":\"200000000\"");
    WAIT_FOR(f, &f->dp, "\"status\":\"over\"");
    say(&f->dp, "{\"type\":\"return\",\"epoch\":\"7\",\"wallet\":\"container/dev\","
                "\"returned\":\"250000000\"}");
    WAIT_FOR(f, &f->dp, "\"free\":\"200000000\"");
    forget(&f->dp);
    apply(f, HEAD "kind: Container\nmetadata: {name: dev}\nspec: {cap: {day: '0.00'}}\n");
    WAIT_FOR(f, &f->dp, "\"cap\":\"0\",\"cap_spent\":\"0\"");
    assert_true(seen(&f->dp, "\"status\":\"empty\""));
    /* a key; then nobody's: as much as is wanted, until nothing of it is lent any more */
    apply(f, HEAD "kind: ApiKey\nmetadata: {name: ci}\nspec: {cap: {month: '0.10'}}\n");
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"key/ci\",\"granted\":\"0\","
                "\"want\":\"100000000\",\"need\":\"100000000\"}");
    WAIT_FOR(f, &f->dp, "{\"wallet\":\"key/ci\",\"granted\":\"100000000\"");
    assert_int_equal(object_delete(f->store, kind_at(KIND_API_KEY), STR("ci"), 0, &f->err), 0);
    forget(&f->dp);
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"key/ci\",\"granted\":"
                "\"100000000\",\"want\":\"5000000000\"}");
    WAIT_FOR(f, &f->dp, "{\"wallet\":\"key/ci\",\"granted\":\"5100000000\"");
    say(&f->dp, "{\"type\":\"return\",\"epoch\":\"7\",\"wallet\":\"key/ci\","
                "\"returned\":\"5100000000\"}");
    WAIT_FOR(f, &f->dp, "\"returned\":\"5100000000\"");
    struct budget_state left;
    assert_int_equal(budget_get(f->ledger, STR("key/ci"), &left, &f->err), -ERR_NOT_FOUND);
}

/* What a wallet caps each of its containers to holds for those that have no cap of their own. */
static void
test_container_caps(void **state)
{
    struct fixture *f = *state;
    static const char *const want = "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":"
                                    "\"container/%s\",\"granted\":\"0\",\"want\":\"9000000000\"}";
    static const struct {
        const char *name;
        const char *answer;
    } rows[] = {
        {"plain", "{\"wallet\":\"container/plain\",\"granted\":\"250000000\",\"returned\":\"0\","
                  "\"free\":\"750000000\",\"balance\":\"750000000\",\"cap_per\":\"day\",\"cap\":"
                  "\"1000000000\""},
        {"own", "{\"wallet\":\"container/own\",\"granted\":\"1000000000\",\"returned\":\"0\","
                "\"free\":\"3000000000\",\"balance\":\"3000000000\",\"cap_per\":\"hour\","},
        {"rich", "{\"wallet\":\"container/rich\",\"granted\":\"9000000000\""},
    };
    connect_both(f);
    apply(f, HEAD "kind: Wallet\nmetadata: {name: team}\nspec: {containerCap: {day: '1.00'}}\n");
    WAIT_FOR(f, &f->dp, "\"capped_wallets\":[\"team\"]}");
    apply(f, HEAD "kind: Container\nmetadata: {name: plain}\nspec: {wallet: team}\n");
    apply(f, HEAD "kind: Container\nmetadata: {name: rich}\n");
    apply(f,
          HEAD "kind: Container\nmetadata: {name: own}\nspec: {wallet: team, cap: {hour: '4'}}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[160];
        (void)snprintf(text, sizeof text, want, rows[i].name);
        say(&f->dp, text);
        WAIT_FOR(f, &f->dp, rows[i].answer);
    }
    /* it is changed, and taken away: those who have something of it hear so */
    forget(&f->dp);
    apply(f, HEAD "kind: Wallet\nmetadata: {name: team}\nspec: {containerCap: {month: '0.10'}}\n");
    WAIT_FOR(f, &f->dp, "\"cap_per\":\"month\",\"cap\":\"100000000\"");
    WAIT_FOR(f, &f->dp, "\"status\":\"over\"");
    assert_false(seen(&f->dp, "container/own"));
    apply(f, HEAD "kind: Wallet\nmetadata: {name: team}\nspec: {}\n");
    struct budget_state left;
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    do {
        assert_true(clock_mono_ms() < deadline);
        loop_step(f->loop, 10);
        assert_int_equal(budget_get(f->ledger, STR("container/plain"), &left, &f->err), 0);
    } while (left.capped);
    assert_int_equal(left.lent.nano, 250000000);
    say(&f->dp, "{\"type\":\"return\",\"epoch\":\"7\",\"wallet\":\"container/plain\","
                "\"returned\":\"260000000\"}"); /* more than is left: see lease_return */
    do {
        assert_true(clock_mono_ms() < deadline);
        loop_step(f->loop, 10);
    } while (budget_get(f->ledger, STR("container/plain"), &left, &f->err) != -ERR_NOT_FOUND);
}

/* A data plane that does not come back loses its lease; one that does hears of it, and the journal
 * of its former life is posted. */
static void
test_orphans(void **state)
{
    struct fixture *f = *state;
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    struct ledger_balances balances;
    const struct money usd = {1000000000};
    f->push->conf.orphan_ms = 300;
    f->push->orphans_due_ms = 0;
    connect_both(f);
    assert_int_equal(
        ledger_deposit(f->ledger, STR("default"), LEDGER_AI, usd, STR("k"), &receipt, &f->err), 0);
    /* of its own epoch, of an earlier one, and of another node */
    assert_int_equal(lease_want(f->ledger, STR("dataplane"), 7, STR("default"), (struct money){0},
                                (struct money){100}, &lease, &f->err),
                     0);
    assert_int_equal(lease_want(f->ledger, STR("dataplane"), 6, STR("default"), (struct money){0},
                                (struct money){30}, &lease, &f->err),
                     0);
    assert_int_equal(lease_want(f->ledger, STR("other"), 7, STR("default"), (struct money){0},
                                (struct money){5}, &lease, &f->err),
                     0);
    uint64_t deadline = clock_mono_ms() + 5000;
    do {
        assert_true(clock_mono_ms() < deadline);
        loop_step(f->loop, 20);
        f->push->orphans_due_ms = MIN(f->push->orphans_due_ms, clock_mono_ms() + 15);
        orphan_look(f->push);
        assert_int_equal(ledger_balances(f->ledger, STR("default"), &balances, &f->err), 0);
    } while (balances.held.nano != 100);
    assert_int_equal(lease_get(f->ledger, STR("other"), 7, STR("default"), &lease, &f->err), 0);
    assert_true(lease.returned.nano == 5 && lease.rest.nano == 0);
    say(&f->dp,
        "{\"type\":\"usage\",\"epoch\":\"6\",\"stream\":\"0\",\"first\":\"1\",\"records\":[{"
        "\"seq\":\"1\",\"wallet\":\"default\",\"provider\":\"p\",\"cost\":\"0\",\"charge\":"
        "\"9\"}]}");
    WAIT_FOR(f, &f->dp, "\"epoch\":\"6\",\"seq\":\"1\"}");
    assert_int_equal(ledger_balances(f->ledger, STR("default"), &balances, &f->err), 0);
    assert_true(balances.ai_usage.nano == 9 && balances.held.nano == 100);
}

/* The store fails while leases of the lost are looked for, or taken back: the next look does it. */
static void
test_orphans_later(void **state)
{
    struct fixture *f = *state;
    struct ledger_receipt receipt;
    struct ledger_lease lease;
    const struct money usd = {1000000000};
    uint64_t deadline = clock_mono_ms() + 5000;
    assert_int_equal(
        ledger_deposit(f->ledger, STR("default"), LEDGER_AI, usd, STR("k"), &receipt, &f->err), 0);
    assert_int_equal(lease_want(f->ledger, STR("other"), 7, STR("default"), (struct money){0},
                                (struct money){5}, &lease, &f->err),
                     0);
    f->push->conf.orphan_ms = 20;
    f->push->orphans_due_ms = 0;
    orphan_look(f->push);
    assert_int_equal(f->push->lost.count, 1);
    store_fail_call(f->store, 1, -ERR_STORE); /* the list: nothing is known, nothing forgotten */
    f->push->orphans_due_ms = 0;
    orphan_look(f->push);
    assert_true(store_failed_call(f->store));
    assert_int_equal(f->push->lost.count, 1);
    bool failed = false;
    do {
        assert_true(clock_mono_ms() < deadline);
        f->push->orphans_due_ms = 0;
        store_fail_commit(f->store, failed ? 0 : 1, false);
        orphan_look(f->push);
        assert_int_equal(lease_get(f->ledger, STR("other"), 7, STR("default"), &lease, &f->err), 0);
        struct ledger_receipt again; /* was that commit tried? then this one is made */
        failed = failed || ledger_deposit(f->ledger, STR("default"), LEDGER_AI, usd, STR("k2"),
                                          &again, &f->err) == 0;
        store_fail_commit(f->store, 0, false);
    } while (lease.rest.nano != 0);
    assert_true(failed);
    f->push->orphans_due_ms = 0;
    orphan_look(f->push);
    assert_int_equal(f->push->lost.count, 0);
}

static void
test_config_changes_and_nack(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    struct json_writer writer;
    connect_both(f);
    forget(&f->dp);
    apply(f, HEAD "kind: Provider\nmetadata: {name: p}\nspec: {dialect: openai, baseUrl: "
                  "'https://h/'}\n");
    WAIT_FOR(f, &f->dp, "\"name\":\"p\"");
    assert_false(seen(&f->agent, "\"type\":\"config\""));
    char nack[256];
    (void)snprintf(
        nack, sizeof nack,
        "{\"type\":\"nack\",\"part\":\"config\",\"rev\":\"%llu\",\"path\":\"providers[0]\","
        "\"reason\":\"bad dialect\"}",
        (unsigned long long)f->engine->snapshot.revision);
    say(&f->dp, nack);
    buf_init(&out, 65536);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    do {
        loop_step(f->loop, 10);
        out.len = 0;
        json_writer_init(&writer, &out);
        push_put_nodes(f->push, &writer);
    } while (!strstr(buf_cstr(&out), "providers[0]: bad dialect") && clock_mono_ms() < end);
    assert_non_null(strstr(buf_cstr(&out), "providers[0]: bad dialect"));
    assert_non_null(strstr(buf_cstr(&out), "\"role\":\"dataplane\",\"name\":\"dataplane\""));
    buf_fini(&out);
}

static void
expect_dropped(struct fixture *f, struct peer *peer)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (peer->downs == 0 && clock_mono_ms() < end)
        loop_step(f->loop, 10);
    assert_true(peer->downs > 0);
}

/* What a node may not say costs it the connection, and nothing else. */
static void
test_forbidden_records(void **state)
{
    struct fixture *f = *state;
    static const struct {
        bool agent;
        const char *text;
    } rows[] = {
        {true,
         "{\"type\":\"usage\",\"epoch\":\"7\",\"stream\":\"0\",\"first\":\"1\",\"records\":[]}"},
        {false, USAGE "\"1\",\"records\":[{\"seq\":\"1\",\"texts\":[1]}],\"texts\":[{}]}"},
        {false, USAGE "\"1\",\"records\":[{\"seq\":\"1\",\"texts\":[]}],\"texts\":[{}]}"},
        {false, USAGE "\"1\",\"records\":[{\"seq\":\"1\",\"texts\":[0,}],\"texts\":[{}]}"},
        {false, USAGE "\"1\",\"records\":[{\"seq\":\"1\"}],\"texts\":[]}"},
        {false, USAGE "\"1\",\"records\":[{\"seq\":\"1\"}],\"texts\":[1]}"},
        {true, "{\"type\":\"lease\"}"},
        {false, "{\"type\":\"bind\",\"id\":1}"},
        {false, "{\"type\":\"hosting\",\"rows\":[]}"},
        {false, "{\"type\":\"paused\",\"rows\":[]}"},
        {true, "{\"type\":\"paused\"}"},
        {true, "{\"type\":\"paused\",\"rows\":\"all\"}"},
        {true, "{\"type\":\"paused\",\"rows\":[1]}"},
        {true, "{\"type\":\"thawed\",\"rows\":[]}"},
        {false, "{\"type\":\"hello\",\"protocol\":1,\"role\":\"dataplane\",\"boot\":\"b\","
                "\"epoch\":\"1\"}"},
        {false, "{\"type\":\"ack\",\"part\":\"moon\",\"rev\":\"1\"}"},
        {false, "{\"type\":\"nothing\"}"},
        {false, "{}"},
        {false, "[]"},
        {false, "{\"type\":\"ping\",\"type\":\"ping\"}"},
        {false, "not json"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer *peer = rows[i].agent ? &f->agent : &f->dp;
        peer->downs = 0;
        connect_peer(f, peer, rows[i].agent ? "agent" : "dataplane",
                     rows[i].agent ? "agent" : "dataplane");
        WAIT_FOR(f, peer, "\"type\":\"tick\"");
        say(peer, rows[i].text);
        expect_dropped(f, peer);
        free_peer(peer);
    }
    assert_int_equal(f->engine->bindings.by_hex.count, 0);
}

/* SN-12: a node that does not read is dropped at 8 MiB, and has everything when it comes back. */
static void
test_slow_node(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    struct node *node = LIST_ENTRY(f->push->nodes.next, struct node, in_push);
    node->blocked = true; /* as if the transport were full */
    for (unsigned i = 0; i < 40000 && !node->doomed; i++)
        state_funds(node, STR("default"), true);
    assert_false(node->doomed); /* 40,000 small rows still fit */
    struct str config = buf_str(&f->engine->snapshot.text);
    size_t before = node->queued_bytes;
    for (unsigned i = 0; i < 100; i++)
        state_config(node, false);
    assert_true(node->queued_bytes <= before + config.len + 512); /* only the newest waits */
    for (unsigned i = 0; i < 200000 && !node->doomed; i++)
        state_funds(node, STR("default"), true);
    assert_true(node->doomed && node->queued_bytes <= PUSH_QUEUE_BYTES_MAX);
    forget(&f->dp);
    expect_dropped(f, &f->dp);
    WAIT_FOR(f, &f->dp, "\"type\":\"welcome\"");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    assert_true(seen(&f->dp, "\"full\":true,\"rows\":[{\"wallet\":\"default\""));
}

/* Role and name come from the certificate, not from what is said. */
static void
test_identity(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->agent, "agent", "dataplane");
    expect_dropped(f, &f->agent);
    free_peer(&f->agent);
    connect_peer(f, &f->dp, "dataplane", "visitor");
    expect_dropped(f, &f->dp);
    assert_int_equal(push_node_count(f->push, ""), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_money, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_container_caps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphans_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_changes_and_nack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forbidden_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
